//! How to load the model, its shape, its tokenizer.

use sekisho_domain::Language;
use serde_json::Value;

use super::figures::{bytes, exact};
use super::markdown::{Cell, escape, list_of_values};
use super::{Card, Section};

impl Card<'_> {
    /// Libraries, a snippet, and what it takes to hold the weights.
    pub(super) fn usage(&self) -> String {
        let quoted = |text: &str| Value::from(text).to_string();
        let repo = quoted(self.release().map_or("MODEL", |release| &release.repo));
        let revision = self.release().map_or("main", |release| &release.revision);
        let revision =
            if revision == "main" { String::new() } else { format!(", revision={}", quoted(revision)) };
        let snippet = format!(
            "```python\nfrom transformers import AutoModelForCausalLM, AutoTokenizer\n\n\
             tokenizer = AutoTokenizer.from_pretrained({repo}{revision})\n\
             model = AutoModelForCausalLM.from_pretrained({repo}{revision}, dtype=\"auto\")\n\
             inputs = tokenizer(\"自然言語処理とは何か\", return_tensors=\"pt\")\n\
             print(tokenizer.decode(model.generate(**inputs, max_new_tokens=100)[0]))\n```",
        );
        let mut parts = vec![self.libraries(), snippet];
        parts.extend(self.memory());
        parts.extend(self.edit(Section::Usage));
        parts.join("\n\n")
    }

    fn libraries(&self) -> String {
        let version = self.facts.config.get("transformers_version").and_then(Value::as_str).map(escape);
        match (version, self.language) {
            (None, Language::En) => "Needs `transformers` and `torch`.".to_owned(),
            (None, Language::Ja) => "必要なライブラリ：`transformers`、`torch`".to_owned(),
            (Some(version), Language::En) => {
                format!("Needs `transformers` (configuration written for {version}) and `torch`.")
            }
            (Some(version), Language::Ja) => {
                format!("必要なライブラリ：`transformers`（設定は{version}の形式）、`torch`")
            }
        }
    }

    fn memory(&self) -> Option<String> {
        let checkpoint = &self.facts.checkpoint;
        let width = match checkpoint.dtype.as_str() {
            "float32" | "F32" | "f32" => 4,
            "bfloat16" | "BF16" | "bf16" | "float16" | "F16" | "f16" => 2,
            _ => return None,
        };
        let size = bytes(checkpoint.parameters.saturating_mul(width));
        let dtype = escape(&checkpoint.dtype);
        Some(match self.language {
            Language::En => {
                format!(
                    "The weights are {dtype} and take about {size} of memory; activations and the KV cache come on top."
                )
            }
            Language::Ja => format!(
                "重みは{dtype}で、約{size}のメモリを使用します。活性化とKVキャッシュの分は別に必要です。"
            ),
        })
    }

    /// Shape and size.
    pub(super) fn details(&self) -> String {
        let config = |key: &str| self.facts.config.get(key).and_then(Value::as_u64);
        let shown = |key: &str| config(key).map(|value| Cell::from(exact(value)));
        let checkpoint = &self.facts.checkpoint;
        let heads = config("num_attention_heads").map(|heads| match config("num_key_value_heads") {
            Some(kv) if kv != heads => format!("{heads} (KV {kv})"),
            _ => heads.to_string(),
        });
        let inner = checkpoint.parameters.saturating_sub(checkpoint.embedding_parameters);
        let cumulative = self.facts.extras.cumulative_tokens;
        let rows = vec![
            (self.say("Architecture", "種別"), self.architecture().map(Cell::from)),
            (self.say("Layers", "層数"), shown("num_hidden_layers")),
            (self.say("Hidden size", "隠れ層の次元"), shown("hidden_size")),
            (self.say("Heads", "ヘッド数"), heads.map(Cell::from)),
            (self.say("Feed-forward size", "フィードフォワード層の次元"), shown("intermediate_size")),
            (self.say("Experts", "エキスパート数"), shown("num_local_experts")),
            (self.say("Experts per token", "トークンごとのエキスパート数"), shown("num_experts_per_tok")),
            (self.say("Sequence length", "系列長"), shown("max_position_embeddings")),
            (
                self.say("Embedding parameters", "埋め込みパラメータ数"),
                Some(exact(checkpoint.embedding_parameters).into()),
            ),
            (self.say("Other parameters", "埋め込み以外のパラメータ数"), Some(exact(inner).into())),
            (self.say("Vocabulary size", "語彙数"), shown("vocab_size")),
            (self.say("Weights", "重みの形式"), Some(Cell::from(&checkpoint.dtype))),
            (
                self.say("Trained tokens (this stage)", "学習トークン数（この段階）"),
                Some(exact(checkpoint.tokens.0).into()),
            ),
            (
                self.say("Trained tokens (all stages)", "総学習トークン数（累計）"),
                cumulative.map(|tokens| exact(tokens.0).into()),
            ),
        ];
        list_of_values(self.item_and_value(), rows)
    }

    /// The class that loads it, else the family, as the configuration names it.
    fn architecture(&self) -> Option<String> {
        let config = &self.facts.config;
        let named = config.pointer("/architectures/0").or_else(|| config.get("model_type"));
        named.and_then(Value::as_str).map(ToOwned::to_owned)
    }

    /// Vocabulary, and what people say of it.
    pub(super) fn tokenizer(&self) -> Option<String> {
        let rows = self.facts.extras.tokenizer.as_ref().map(|tokenizer| {
            let expansion = tokenizer.added.map(|added| match (added, self.language) {
                (0, Language::En) => "none".to_owned(),
                (0, Language::Ja) => "なし".to_owned(),
                (_, Language::En) => format!("{} entries added", exact(added)),
                (_, Language::Ja) => format!("あり（追加語彙数 {}）", exact(added)),
            });
            let rows = vec![
                (self.say("Kind", "種別"), tokenizer.kind.as_ref().map(Cell::from)),
                (self.say("Entries", "語彙数"), Some(exact(tokenizer.vocabulary).into())),
                (self.say("Vocabulary expansion", "語彙拡張"), expansion.map(Cell::from)),
                (
                    self.say("Digest", "ダイジェスト"),
                    tokenizer.digest.map(|digest| Cell::code(&digest.to_string())),
                ),
            ];
            list_of_values(self.item_and_value(), rows)
        });
        self.with_edit(Section::Tokenizer, rows.into_iter().collect())
    }
}
