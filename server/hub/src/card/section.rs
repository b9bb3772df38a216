//! The sections of a card as data: their order, their headings, and which of them people write.

use std::fmt;
use std::str::FromStr;

use sekisho_domain::Language;
use serde::{Deserialize, Serialize};

/// A section, in the order of the card.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Section {
    /// Sentences under the title: what, by whom, made from what.
    Intro,
    /// The story of a failed run; only in the card of one.
    FailureStory,
    /// The releases of the family.
    Models,
    /// When each came out.
    History,
    /// How to load it.
    Usage,
    /// Shape and size.
    Details,
    /// Vocabulary.
    Tokenizer,
    /// Subsets with tokens, levels and licences.
    TrainingData,
    /// Hyperparameters and compute.
    Training,
    /// Mean over trained tokens.
    LearningCurve,
    /// Scores with intervals and settings.
    Evaluation,
    /// Risks and limitations.
    Limitations,
    /// What is published and what is not.
    Availability,
    /// Licence, credits, restrictions and waivers.
    License,
    /// Digest and signature.
    Verification,
    /// How to cite it.
    Citation,
    /// Thanks.
    Acknowledgements,
    /// Where questions go.
    Contact,
    /// Who wrote the card.
    Authors,
}

/// What a person's text does in a section.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Editing {
    /// Nothing: the section is computed and takes no text.
    Computed,
    /// It stands below what is computed.
    Adds,
    /// It takes the place of the default text; computed lines and tables of the section stay.
    Replaces,
}

impl Section {
    /// Every section, in the order of the card.
    pub const ALL: &'static [Self] = &[
        Self::Intro,
        Self::FailureStory,
        Self::Models,
        Self::History,
        Self::Usage,
        Self::Details,
        Self::Tokenizer,
        Self::TrainingData,
        Self::Training,
        Self::LearningCurve,
        Self::Evaluation,
        Self::Limitations,
        Self::Availability,
        Self::License,
        Self::Verification,
        Self::Citation,
        Self::Acknowledgements,
        Self::Contact,
        Self::Authors,
    ];

    /// The fixed name: forms, JSON and the command line.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Intro => "intro",
            Self::FailureStory => "failure-story",
            Self::Models => "models",
            Self::History => "history",
            Self::Usage => "usage",
            Self::Details => "details",
            Self::Tokenizer => "tokenizer",
            Self::TrainingData => "training-data",
            Self::Training => "training",
            Self::LearningCurve => "learning-curve",
            Self::Evaluation => "evaluation",
            Self::Limitations => "limitations",
            Self::Availability => "availability",
            Self::License => "license",
            Self::Verification => "verification",
            Self::Citation => "citation",
            Self::Acknowledgements => "acknowledgements",
            Self::Contact => "contact",
            Self::Authors => "authors",
        }
    }

    /// What a person's text does here.
    ///
    /// It replaces the default where the default is a sentence for want of a better one (intro, limitations, citation,
    /// acknowledgements, contact, authors), and is added where something computed must stay: the snippet, the tables of
    /// tokenizer and training, and the sentence that a failed run is one.
    #[must_use]
    pub const fn editing(self) -> Editing {
        match self {
            Self::Models
            | Self::History
            | Self::Details
            | Self::TrainingData
            | Self::LearningCurve
            | Self::Evaluation
            | Self::Availability
            | Self::License
            | Self::Verification => Editing::Computed,
            Self::FailureStory | Self::Usage | Self::Tokenizer | Self::Training => Editing::Adds,
            Self::Intro
            | Self::Limitations
            | Self::Citation
            | Self::Acknowledgements
            | Self::Contact
            | Self::Authors => Editing::Replaces,
        }
    }

    /// Computed, and closed to people's text.
    #[must_use]
    pub const fn is_computed(self) -> bool {
        matches!(self.editing(), Editing::Computed)
    }

    /// The sections that take people's text.
    pub fn editable() -> impl Iterator<Item = Self> {
        Self::ALL.iter().copied().filter(|section| !section.is_computed())
    }

    /// What the section is called: its heading, but for the intro, which has none.
    #[must_use]
    pub const fn title(self, language: Language) -> &'static str {
        let (en, ja) = match self {
            Self::Intro => ("Introduction", "紹介文"),
            Self::FailureStory => ("What failed", "失敗の経緯"),
            Self::Models => ("Models", "モデル一覧"),
            Self::History => ("Releases", "リリース履歴"),
            Self::Usage => ("Usage", "使い方"),
            Self::Details => ("Model details", "モデルの詳細"),
            Self::Tokenizer => ("Tokenizer", "トークナイザー"),
            Self::TrainingData => ("Training data", "学習データ"),
            Self::Training => ("Training", "学習"),
            Self::LearningCurve => ("Learning curve", "学習曲線"),
            Self::Evaluation => ("Evaluation", "評価"),
            Self::Limitations => ("Risks and limitations", "リスクと制限事項"),
            Self::Availability => ("What is available", "公開の範囲"),
            Self::License => ("License", "ライセンス"),
            Self::Verification => ("Verification", "検証方法"),
            Self::Citation => ("Citation", "引用"),
            Self::Acknowledgements => ("Acknowledgements", "謝辞"),
            Self::Contact => ("Contact", "問い合わせ先"),
            Self::Authors => ("Card authors", "作成者"),
        };
        match language {
            Language::En => en,
            Language::Ja => ja,
        }
    }

    /// The heading as Markdown; parts of another section stand one level below it.
    pub(super) fn heading(self, language: Language) -> String {
        let level = if matches!(self, Self::Tokenizer | Self::LearningCurve) { "###" } else { "##" };
        format!("{level} {}", self.title(language))
    }
}

impl fmt::Display for Section {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Section {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL.iter().copied().find(|section| section.as_str() == text).ok_or_else(|| {
            let known: Vec<&str> = Self::ALL.iter().map(|section| section.as_str()).collect();
            format!("\"{text}\" is none of {}", known.join(", "))
        })
    }
}

#[cfg(test)]
mod tests {
    use sekisho_domain::Language;

    use super::Section;

    #[test]
    fn a_section_has_one_name_and_a_title_in_each_language() {
        for section in Section::ALL {
            assert_eq!(section.as_str().parse(), Ok(*section));
            assert_eq!(serde_json::to_value(section).expect("serialises"), section.as_str());
            assert_ne!(section.title(Language::En), section.title(Language::Ja));
        }
        assert!(Section::ALL.is_sorted());
        assert!("licence".parse::<Section>().expect_err("unknown").contains("license, verification"));
    }
}
