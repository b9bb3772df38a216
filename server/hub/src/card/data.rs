//! What the model was trained on.

use std::collections::{BTreeMap, BTreeSet};

use sekisho_domain::Language;
use sekisho_domain::lineage::{Input, InputKind, InputStage};

use super::figures::{about, exact, percent};
use super::markdown::{Cell, escape, or_dash, table};
use super::{Card, CardSubset};

/// Text that was trained on, as far as levels and tokens go.
pub(super) struct Leveled<'a> {
    pub(super) level: Option<&'a str>,
    pub(super) tokens: Option<u64>,
}

impl Card<'_> {
    /// Subsets, other inputs, and what may be redistributed of the text.
    pub(super) fn training_data(&self) -> Option<String> {
        let subsets = &self.facts.extras.subsets;
        let inputs: Vec<&Input> =
            self.facts.lineage.inputs.iter().filter(|input| !self.is_subset(input)).collect();
        let mut parts = Vec::new();
        if !subsets.is_empty() {
            parts.push(self.subset_table(subsets));
        }
        if !inputs.is_empty() {
            parts.push(self.input_table(&inputs));
        }
        if parts.is_empty() {
            return None;
        }
        parts.push(
            self.say(
                "Release levels: L1 may be redistributed; L2 and L3 were used for training and are not redistributed.",
                "リリースレベル：L1は再頒布できます。L2およびL3は学習に使用し、再頒布しません。",
            )
            .to_owned(),
        );
        parts.extend(self.shares());
        parts.extend(self.counted_with());
        Some(parts.join("\n\n"))
    }

    /// The registry is the truth about text: with its subsets, the lineage's own lines of text say nothing more.
    pub(super) fn is_subset(&self, input: &Input) -> bool {
        let is_text = matches!(input.kind, InputKind::Corpus | InputKind::Synthetic);
        is_text && !self.facts.extras.subsets.is_empty()
    }

    fn subset_table(&self, subsets: &[CardSubset]) -> String {
        let header = [
            self.say("Stage", "段階"),
            self.say("Language", "言語"),
            self.say("Subset", "サブセット"),
            self.say("Tokens", "トークン数"),
            self.say("Repetitions", "繰り返し回数"),
            self.say("Release level", "リリースレベル"),
            self.say("License", "ライセンス"),
            self.say("Generator", "生成モデル"),
        ];
        let row = |subset: &CardSubset| {
            vec![
                self.stage(subset.stage).into(),
                or_dash(subset.language.as_ref().map(|code| self.language_name(code))),
                Cell::from(&subset.id),
                or_dash(subset.tokens.map(|tokens| exact(tokens.0))),
                or_dash(subset.repeats.map(|times| times.to_string())),
                or_dash(subset.level.as_ref()),
                or_dash(subset.license.as_ref()),
                generator(subset.generator.as_deref(), subset.generator_license.as_deref()),
            ]
        };
        let mut rows: Vec<Vec<Cell>> = subsets.iter().map(row).collect();
        let total: Option<u64> = subsets.iter().map(|subset| subset.tokens.map(|tokens| tokens.0)).sum();
        if let (Some(total), true) = (total, subsets.len() > 1) {
            let mut line = vec![Cell::none(); header.len()];
            (line[0], line[3]) = (self.say("Total", "合計").into(), exact(total).into());
            rows.push(line);
        }
        table(&header, &rows)
    }

    fn input_table(&self, inputs: &[&Input]) -> String {
        let header = [
            self.say("Stage", "段階"),
            self.say("Input", "入力"),
            self.say("Kind", "種類"),
            self.say("Tokens", "トークン数"),
            self.say("Release level", "リリースレベル"),
            self.say("License", "ライセンス"),
            self.say("Generator", "生成モデル"),
        ];
        let row = |input: &&Input| {
            vec![
                self.stage(input.stage).into(),
                name(input).into(),
                self.kind(input.kind).into(),
                or_dash(input.tokens.map(|tokens| exact(tokens.0))),
                or_dash(input.level.as_ref()),
                or_dash(input.license.as_ref()),
                generator(input.generator.as_deref(), input.generator_license.as_deref()),
            ]
        };
        table(&header, &inputs.iter().map(row).collect::<Vec<_>>())
    }

    /// Every text with its level, from the registry where it is known, else from the lineage.
    pub(super) fn leveled(&self) -> Vec<Leveled<'_>> {
        let subsets = &self.facts.extras.subsets;
        if subsets.is_empty() {
            let inputs = self.facts.lineage.inputs.iter().filter(|input| input.level.is_some());
            let leveled = |input: &'_ Input| input.tokens.map(|tokens| tokens.0);
            return inputs
                .map(|input| Leveled { level: input.level.as_deref(), tokens: leveled(input) })
                .collect();
        }
        let leveled = |subset: &'_ CardSubset| subset.tokens.map(|tokens| tokens.0);
        subsets
            .iter()
            .map(|subset| Leveled { level: subset.level.as_deref(), tokens: leveled(subset) })
            .collect()
    }

    /// How much of the text may be redistributed, in sentences.
    fn shares(&self) -> Option<String> {
        let all = self.leveled();
        let of = |level: &str| all.iter().filter(|text| text.level == Some(level)).collect::<Vec<_>>();
        let free = of("L1");
        if all.is_empty() {
            return None;
        }
        let sum = |texts: &[&Leveled<'_>]| texts.iter().map(|text| text.tokens).sum::<Option<u64>>();
        let (count, total) = (free.len(), all.len());
        let size = sum(&free).filter(|_| count > 0).map(|tokens| {
            let about = about(tokens, self.language);
            let share = sum(&all.iter().collect::<Vec<_>>()).filter(|whole| *whole > 0);
            let share = share.map(|whole| format!("{}{}", self.say(", ", "、"), percent(tokens, whole)));
            let share = share.unwrap_or_default();
            match self.language {
                Language::En => format!(" ({about} tokens{share})"),
                Language::Ja => format!("（{about}トークン{share}）"),
            }
        });
        let size = size.unwrap_or_default();
        let mut sentences = vec![match self.language {
            Language::En if count == 0 => {
                format!("None of the {total} subsets of text has release level L1.")
            }
            Language::Ja if count == 0 => {
                format!("{total}サブセットのうち、リリースレベルL1のサブセットはありません。")
            }
            Language::En => format!(
                "Of {total} subsets of text, {count}{size} {} release level L1 and may be redistributed.",
                if count == 1 { "has" } else { "have" }
            ),
            Language::Ja => format!(
                "{total}サブセットのうち{count}サブセット{size}はリリースレベルL1で、再頒布できます。"
            ),
        }];
        sentences.extend(self.kept(&of("L2"), &of("L3")));
        let unknown = all.iter().filter(|text| text.level.is_none()).count();
        if unknown > 0 {
            sentences.push(match self.language {
                Language::En => format!("Subsets without a registered level: {unknown}."),
                Language::Ja => format!("リリースレベルが未登録のサブセットは{unknown}件です。"),
            });
        }
        Some(sentences.join(self.say(" ", "")))
    }

    /// The text that is not redistributed.
    fn kept(&self, l2: &[&Leveled<'_>], l3: &[&Leveled<'_>]) -> Option<String> {
        let count = l2.len() + l3.len();
        let levels = match (l2.is_empty(), l3.is_empty()) {
            (true, true) => return None,
            (false, true) => "L2",
            (true, false) => "L3",
            (false, false) => self.say("L2 and L3", "L2およびL3"),
        };
        Some(match (self.language, count) {
            (Language::En, 1) => {
                format!(
                    "The text of the {count} subset of {levels} is not redistributed, for reasons of rights."
                )
            }
            (Language::En, _) => {
                format!(
                    "The text of the {count} subsets of {levels} is not redistributed, for reasons of rights."
                )
            }
            (Language::Ja, _) => {
                format!("{levels}の{count}サブセットは、権利上の理由により本文を公開していません。")
            }
        })
    }

    /// Token counts mean nothing without the tokenizer that counted.
    fn counted_with(&self) -> Option<String> {
        let extras = &self.facts.extras;
        let fallback = extras.tokenizer.as_ref().and_then(|tokenizer| tokenizer.counted_with.as_deref());
        let mut counted: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for subset in &extras.subsets {
            if let Some(tokenizer) = subset.counted_with.as_deref().or(fallback) {
                counted.entry(tokenizer).or_default().insert(&subset.id);
            }
        }
        let texts: Vec<String> = match counted.len() {
            0 => return None,
            1 => counted.keys().map(|tokenizer| escape(tokenizer)).collect(),
            _ => counted
                .iter()
                .map(|(tokenizer, subsets)| {
                    let subsets: Vec<String> = subsets.iter().map(|id| escape(id)).collect();
                    let (tokenizer, subsets) = (escape(tokenizer), self.list(&subsets));
                    match self.language {
                        Language::En => format!("{tokenizer} ({subsets})"),
                        Language::Ja => format!("{tokenizer}（{subsets}）"),
                    }
                })
                .collect(),
        };
        let texts = self.list(&texts);
        Some(match self.language {
            Language::En => format!("Tokens were counted with {texts}."),
            Language::Ja => format!("計数に用いたトークナイザー：{texts}"),
        })
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
            Some(InputStage::Upcycle) => ("Upcycling", "MoEへのアップサイクル"),
            Some(InputStage::Synthetic) => ("Text generation", "データの生成"),
        };
        self.say(en, ja)
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
        self.say(en, ja)
    }
}

/// What the card calls an input.
pub(super) fn name(input: &Input) -> &str {
    input.id.as_deref().or(input.lineage.as_deref()).unwrap_or(input.kind.as_str())
}

fn generator(model: Option<&str>, license: Option<&str>) -> Cell {
    match (model, license) {
        (Some(model), Some(license)) => format!("{model} ({license})").into(),
        (model, _) => or_dash(model),
    }
}
