//! What a run's curves are drawn against.

use sekisho_domain::{Language, Step, Tokens};

use crate::web::charts::{Axis, Numbers, Scale};
use crate::web::i18n::Words as _;

/// What curves are drawn against.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Against {
    /// Training targets, logarithmic: learning curves are read over orders of magnitude.
    #[default]
    TokensLog,
    /// Training targets, linear.
    Tokens,
    /// Updates, linear.
    Steps,
}

impl Against {
    /// All, in the order in which they are offered.
    pub(super) const ALL: [Self; 3] = [Self::TokensLog, Self::Tokens, Self::Steps];

    /// For URLs.
    pub(super) const fn code(self) -> &'static str {
        match self {
            Self::TokensLog => "tokens-log",
            Self::Tokens => "tokens",
            Self::Steps => "steps",
        }
    }

    /// Reads a code; the default for anything else.
    pub(super) fn of(code: Option<&str>) -> Self {
        Self::ALL.into_iter().find(|a| Some(a.code()) == code).unwrap_or_default()
    }

    /// Name of the choice.
    pub(super) fn label(self, lang: Language) -> &'static str {
        match self {
            Self::TokensLog => lang.t("run.x_tokens_log"),
            Self::Tokens => lang.t("run.x_tokens"),
            Self::Steps => lang.t("run.x_steps"),
        }
    }

    /// Where a row or a checkpoint lies.
    pub(super) fn x(self, step: Step, tokens: Tokens) -> f64 {
        match self {
            Self::Steps => step.0 as f64,
            Self::TokensLog | Self::Tokens => tokens.0 as f64,
        }
    }

    /// The axis for a run that has come so far.
    pub(super) fn axis(self, lang: Language, furthest: Tokens, range: Option<(f64, f64)>) -> Axis {
        match self {
            Self::TokensLog => Axis::tokens(lang, Scale::Log, furthest, range),
            Self::Tokens => Axis::tokens(lang, Scale::Linear, furthest, range),
            Self::Steps => {
                let title = lang.t("axis.steps").to_owned();
                Axis { title, scale: Scale::Linear, numbers: Numbers::Short, range }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn titles_are_those_of_the_fields_figures() {
        let title = |lang, against: Against, tokens| against.axis(lang, Tokens(tokens), None).title;
        let (far, near) = (500_000_000_000, 51_200);
        assert_eq!(title(Language::Ja, Against::default(), far), "学習トークン数 [B]（対数）");
        assert_eq!(title(Language::En, Against::default(), far), "Trained tokens [billion, log]");
        assert_eq!(title(Language::Ja, Against::default(), near), "学習トークン数 [M]（対数）");
        assert_eq!(title(Language::En, Against::default(), near), "Trained tokens [million, log]");
        assert_eq!(title(Language::En, Against::Tokens, far), "Trained tokens [billion]");
        assert_eq!(Against::of(None).axis(Language::En, Tokens(near), None).scale, Scale::Log);
        assert_eq!(Language::Ja.t("axis.mean"), "サブタスクスコアの平均");
        assert_eq!(Language::En.t("axis.mean"), "Average of subtask scores");
    }
}
