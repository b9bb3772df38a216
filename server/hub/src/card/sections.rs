//! The parts of a card, in their order.

use sekisho_domain::lineage::{Gating, Input, InputKind, InputStage, Visibility};
use sekisho_domain::{Language, Tokens};
use serde_json::Value;

use super::Card;
use super::figures::{about, exact, small};
use super::table::{escape, table};

impl Card<'_> {
    /// Link to the other language, title, and two sentences: what, from what.
    pub(super) fn head(&self) -> String {
        let facts = self.facts;
        let link = self.say("[日本語](README_ja.md)", "[English](README.md)");
        let shown = if facts.built_with.is_empty() {
            String::new()
        } else {
            format!(" - {}", facts.built_with.join(", "))
        };
        let name = escape(&facts.lineage.model.name);
        let parameters = about(facts.checkpoint.parameters, self.language);
        let tokens = about(facts.checkpoint.tokens.0, self.language);
        let origin = self.origin();
        let languages = self.languages();
        let languages = match (languages.is_empty(), self.language) {
            (true, _) => String::new(),
            (false, Language::En) => format!(" for {languages}"),
            (false, Language::Ja) => format!("{languages}を対象とする"),
        };
        let sentences = match self.language {
            Language::En => format!(
                "{name} is a language model{languages} with {parameters} parameters. {origin} on {tokens} tokens."
            ),
            Language::Ja => format!(
                "{name}は、{languages}{parameters}パラメータの言語モデルです。{origin}、{tokens}トークンで学習しました。"
            ),
        };
        format!("{link}\n\n# {name}{shown}\n\n{sentences}")
    }

    fn origin(&self) -> String {
        let bases = self
            .facts
            .lineage
            .inputs
            .iter()
            .filter(|input| matches!(input.kind, InputKind::BaseModel | InputKind::Merge));
        let names: Vec<String> = bases.map(|input| escape(name(input))).collect();
        match (names.is_empty(), self.language) {
            (true, Language::En) => "It was trained from scratch".to_owned(),
            (true, Language::Ja) => "フルスクラッチで".to_owned(),
            (false, Language::En) => format!("It was trained from {}", names.join(", ")),
            (false, Language::Ja) => format!("{}を元に", names.join("、")),
        }
    }

    fn languages(&self) -> String {
        let named = self.facts.languages.iter().map(|code| match code.as_str() {
            "ja" => self.say("Japanese", "日本語"),
            "en" => self.say("English", "英語"),
            other => other,
        });
        let named: Vec<&str> = named.collect();
        named.join(self.say(" and ", "と"))
    }

    pub(super) fn usage(&self) -> String {
        let repo = self.facts.lineage.release.as_ref().map_or("MODEL", |release| &release.repo);
        let revision = self.facts.lineage.release.as_ref().map_or("main", |release| &release.revision);
        let revision = if revision == "main" { String::new() } else { format!(", revision=\"{revision}\"") };
        format!(
            "{}\n\n```python\nfrom transformers import AutoModelForCausalLM, AutoTokenizer\n\n\
             tokenizer = AutoTokenizer.from_pretrained(\"{repo}\"{revision})\n\
             model = AutoModelForCausalLM.from_pretrained(\"{repo}\"{revision}, dtype=\"auto\")\n\
             inputs = tokenizer(\"自然言語処理とは何か\", return_tensors=\"pt\")\n\
             print(tokenizer.decode(model.generate(**inputs, max_new_tokens=100)[0]))\n```",
            self.say("## Usage", "## 使い方")
        )
    }

    pub(super) fn details(&self) -> String {
        let config = |key: &str| self.facts.config.get(key).and_then(Value::as_u64);
        let checkpoint = &self.facts.checkpoint;
        let heads = config("num_attention_heads").map(|heads| match config("num_key_value_heads") {
            Some(kv) if kv != heads => format!("{heads} (KV {kv})"),
            _ => heads.to_string(),
        });
        let inner = checkpoint.parameters.saturating_sub(checkpoint.embedding_parameters);
        let rows = [
            (self.say("Architecture", "種別"), self.architecture()),
            (self.say("Layers", "層数"), config("num_hidden_layers").map(exact)),
            (self.say("Hidden size", "隠れ層の次元"), config("hidden_size").map(exact)),
            (self.say("Heads", "ヘッド数"), heads),
            (
                self.say("Feed-forward size", "フィードフォワード層の次元"),
                config("intermediate_size").map(exact),
            ),
            (self.say("Sequence length", "系列長"), config("max_position_embeddings").map(exact)),
            (
                self.say("Embedding parameters", "埋め込みパラメータ数"),
                Some(exact(checkpoint.embedding_parameters)),
            ),
            (self.say("Other parameters", "埋め込み以外のパラメータ数"), Some(exact(inner))),
            (self.say("Vocabulary size", "語彙数"), config("vocab_size").map(exact)),
            (self.say("Weights", "重みの形式"), Some(checkpoint.dtype.clone())),
            (
                self.say("Trained tokens (this stage)", "学習トークン数（この段階）"),
                Some(exact(checkpoint.tokens.0)),
            ),
        ];
        let rows: Vec<Vec<String>> =
            rows.into_iter().filter_map(|(label, value)| Some(vec![label.to_owned(), value?])).collect();
        let header = [self.say("Item", "項目"), self.say("Value", "値")];
        format!("{}\n\n{}", self.say("## Model details", "## モデルの詳細"), table(&header, &rows))
    }

    /// The class that loads it, else the family, as the configuration names it.
    fn architecture(&self) -> Option<String> {
        let config = &self.facts.config;
        let named = config.pointer("/architectures/0").or_else(|| config.get("model_type"));
        named.and_then(Value::as_str).map(ToOwned::to_owned)
    }

    pub(super) fn training_data(&self) -> String {
        let inputs = &self.facts.lineage.inputs;
        if inputs.is_empty() {
            return String::new();
        }
        let header = [
            self.say("Stage", "段階"),
            self.say("Input", "入力"),
            self.say("Kind", "種類"),
            self.say("Tokens", "トークン数"),
            self.say("Release level", "リリースレベル"),
            self.say("License", "ライセンス"),
            self.say("Generator", "生成モデル"),
        ];
        let rows: Vec<Vec<String>> = inputs.iter().map(|input| self.input(input)).collect();
        let title = self.say("## Training data", "## 学習データ");
        let levels = self.say(
            "Release levels: L1 may be redistributed; L2 and L3 were used for training and are not redistributed.",
            "リリースレベル：L1は再頒布できます。L2およびL3は学習に使用し、再頒布しません。",
        );
        format!("{title}\n\n{}\n\n{levels}", table(&header, &rows))
    }

    fn input(&self, input: &Input) -> Vec<String> {
        let or_dash = |text: &Option<String>| text.clone().unwrap_or_else(|| "—".to_owned());
        let generator = match (&input.generator, &input.generator_license) {
            (Some(generator), Some(license)) => format!("{generator} ({license})"),
            (generator, _) => or_dash(generator),
        };
        vec![
            self.stage(input.stage).to_owned(),
            name(input).to_owned(),
            self.kind(input.kind).to_owned(),
            input.tokens.map_or_else(|| "—".to_owned(), |Tokens(count)| exact(count)),
            or_dash(&input.level),
            or_dash(&input.license),
            generator,
        ]
    }

    fn stage(&self, stage: Option<InputStage>) -> &'static str {
        let (en, ja) = match stage {
            None => ("—", "—"),
            Some(InputStage::Pretrain) => ("Pre-training", "事前学習"),
            Some(InputStage::Continual) => ("Continual pre-training", "継続事前学習"),
            Some(InputStage::Midtrain) => ("Mid-training", "中間学習"),
            Some(InputStage::Sft) => ("Supervised fine-tuning", "教師ありファインチューニング"),
            Some(InputStage::Preference) => ("Preference tuning", "選好チューニング"),
            Some(InputStage::Tokenizer) => ("Tokenizer", "トークナイザー"),
            Some(InputStage::Init) => ("Initialisation", "初期化"),
            Some(InputStage::Merge) => ("Merging", "マージ"),
            Some(InputStage::Reward) => ("Reward modelling", "報酬モデルの学習"),
        };
        if self.language == Language::En { en } else { ja }
    }

    fn kind(&self, kind: InputKind) -> &'static str {
        let (en, ja) = match kind {
            InputKind::BaseModel => ("Base model", "ベースモデル"),
            InputKind::Corpus => ("Corpus", "コーパス"),
            InputKind::Synthetic => ("Synthetic data", "合成データ"),
            InputKind::Preference => ("Preference data", "選好データ"),
            InputKind::Tokenizer => ("Tokenizer", "トークナイザー"),
            InputKind::Reward => ("Reward model", "報酬モデル"),
            InputKind::Merge => ("Merged model", "マージしたモデル"),
        };
        if self.language == Language::En { en } else { ja }
    }

    /// What the run specification says, in the names of its keys' meanings.
    pub(super) fn training(&self) -> String {
        let checkpoint = &self.facts.checkpoint;
        let spec = |pointer: &str| self.facts.spec.as_ref().and_then(|spec| spec.pointer(pointer));
        let number = |pointer: &str| spec(pointer).and_then(Value::as_f64).map(small);
        let text = |pointer: &str| spec(pointer).and_then(Value::as_str).map(str::to_owned);
        let per_step = spec("/batch/sequences")
            .and_then(Value::as_u64)
            .zip(spec("/data/sequence_length").and_then(Value::as_u64));
        let betas =
            number("/optimizer/betas/0").zip(number("/optimizer/betas/1")).map(|(a, b)| format!("{a}, {b}"));
        let rows = [
            (self.say("Run", "実験"), Some(checkpoint.run.clone())),
            (self.say("Step", "ステップ"), Some(exact(checkpoint.step.0))),
            (
                self.say("LR scheduler", "学習率スケジューラー"),
                text("/schedule/kind").map(|kind| if kind == "wsd" { "WSD".to_owned() } else { kind }),
            ),
            (self.say("Peak learning rate", "最大学習率"), number("/optimizer/lr")),
            (
                self.say("Global batch size", "グローバルバッチサイズ"),
                per_step.map(|(sequences, length)| {
                    format!("{} × {} = {}", exact(sequences), exact(length), exact(sequences * length))
                }),
            ),
            (self.say("AdamW β", "AdamWのβ"), betas),
            (self.say("AdamW ε", "AdamWのε"), number("/optimizer/eps")),
            (self.say("Weight decay", "重み減衰"), number("/optimizer/weight_decay")),
            (self.say("Precision", "精度"), text("/precision/forward")),
        ];
        let rows: Vec<Vec<String>> =
            rows.into_iter().filter_map(|(label, value)| Some(vec![label.to_owned(), value?])).collect();
        let header = [self.say("Item", "項目"), self.say("Value", "値")];
        format!("{}\n\n{}", self.say("## Training", "## 学習"), table(&header, &rows))
    }

    pub(super) fn limitations(&self) -> String {
        let mut lines = vec![
            self.say("## Risks and limitations", "## リスクと制限事項").to_owned(),
            self.say(
                "Output may be wrong or biased. Where it bears on decisions that matter, such as medical or legal ones, have an expert check it.",
                "出力には誤りや偏りが含まれる場合があります。医療・法律などの重要な判断に用いる場合は、専門家による確認を行ってください。",
            )
            .to_owned(),
        ];
        let truncated: u64 = self.facts.scores.iter().map(|row| row.entry.truncated).sum();
        if truncated > 0 {
            let count = exact(truncated);
            lines.push(match self.language {
                Language::En => format!("{count} evaluation inputs were longer than the model's sequence and were cut at their beginning."),
                Language::Ja => format!("評価の入力のうち{count}件は系列長を超えたため、先頭を切り詰めています。"),
            });
        }
        lines.join("\n\n")
    }

    /// Who may have the weights, and how much of the text. Nothing is said about what Sekisho does not know.
    pub(super) fn availability(&self) -> String {
        let Some(release) = &self.facts.lineage.release else { return String::new() };
        let weights = match (release.visibility, release.gating) {
            (Visibility::Private, _) => self.say("private", "非公開"),
            (Visibility::Public, Gating::None) => {
                self.say("public (open weights)", "公開（オープンウェイト）")
            }
            (Visibility::Public, Gating::Auto) => {
                self.say("public after registration (open weights)", "登録後に公開（オープンウェイト）")
            }
            (Visibility::Public, Gating::Manual) => {
                self.say("on request, granted one by one", "申請制（個別承認）")
            }
        };
        let leveled = self.facts.lineage.inputs.iter().filter(|input| input.level.is_some());
        let (free, kept): (Vec<&Input>, Vec<&Input>) =
            leveled.partition(|input| input.level.as_deref() == Some("L1"));
        let mut rows = vec![vec![self.say("Weights", "重み").to_owned(), weights.to_owned()]];
        let tokens = |inputs: &[&Input]| {
            exact(inputs.iter().filter_map(|input| input.tokens).map(|tokens| tokens.0).sum())
        };
        for (inputs, en, ja) in
            [(free, "may be redistributed", "再頒布可"), (kept, "may not be redistributed", "再頒布不可")]
        {
            if !inputs.is_empty() {
                let (count, tokens) = (inputs.len(), tokens(&inputs));
                let share = match self.language {
                    Language::En => format!(
                        "{en}: {count} {}, {tokens} tokens",
                        if count == 1 { "subset" } else { "subsets" }
                    ),
                    Language::Ja => format!("{ja}：{count}サブセット、{tokens}トークン"),
                };
                rows.push(vec![self.say("Training text", "学習テキスト").to_owned(), share]);
            }
        }
        let header = [self.say("Component", "対象"), self.say("Availability", "範囲")];
        format!("{}\n\n{}", self.say("## What is available", "## 公開の範囲"), table(&header, &rows))
    }

    pub(super) fn license(&self) -> String {
        let title = self.say("## License", "## ライセンス");
        let declared = self
            .facts
            .lineage
            .release
            .as_ref()
            .map(|release| release.license.join(", "))
            .filter(|text| !text.is_empty());
        let mut parts = vec![title.to_owned()];
        parts.extend(declared.map(|ids| escape(&ids)));
        let mut credits: Vec<String> = self.facts.lineage.inputs.iter().filter_map(credit).collect();
        credits.sort();
        credits.dedup();
        if !credits.is_empty() {
            let intro = self.say(
                "The model was made from the following, under these licences:",
                "次の素材を、それぞれのライセンスに基づいて使用しています。",
            );
            parts.push(format!("{intro}\n\n{}", credits.join("\n")));
        }
        if !self.facts.notices.is_empty() {
            let lines: Vec<String> =
                self.facts.notices.iter().map(|line| format!("> {}", escape(line))).collect();
            parts.push(lines.join("\n>\n"));
        }
        parts.join("\n\n")
    }

    pub(super) fn verification(&self) -> String {
        let digest = self.facts.checkpoint.digest;
        let said = self.say(
            "Digest of weights and configuration; `sekisho verify` computes it from a downloaded folder:",
            "重みと設定のダイジェストです。ダウンロードしたフォルダーに対して`sekisho verify`で確認できます。",
        );
        format!(
            "{}\n\n{said}\n\n```bash\nsekisho verify {}\n# {digest}\n```",
            self.say("## Verification", "## 検証方法"),
            self.folder()
        )
    }

    /// The folder that a download of the repository gives.
    pub(super) fn folder(&self) -> &str {
        let repo = self.facts.lineage.release.as_ref().map(|release| release.repo.as_str());
        repo.and_then(|repo| repo.rsplit('/').next()).unwrap_or("MODEL")
    }
}

fn name(input: &Input) -> &str {
    input.id.as_deref().or(input.lineage.as_deref()).unwrap_or(input.kind.as_str())
}

/// `- web-ja: CC-BY-4.0`.
fn credit(input: &Input) -> Option<String> {
    Some(format!("- {}: {}", escape(name(input)), escape(input.license.as_deref()?)))
}
