//! The warnings for a configuration, as the terminal shows them: first, and in the language that was asked for.

use sekisho_domain::Language;
use sekisho_foreign::warnings::{published_rates, unlabelled};
use sekisho_foreign::{Warning, warnings};
use serde_json::Value;

#[derive(clap::Args)]
pub(crate) struct LanguageArgs {
    /// Language of warnings
    #[arg(long, default_value = "en", value_name = "ja|en")]
    lang: Language,
}

impl LanguageArgs {
    /// `en`, `ja`.
    pub(crate) fn code(&self) -> &'static str {
        self.lang.as_str()
    }

    /// One line for each warning of a specification.
    pub(crate) fn lines(&self, spec: &Value, planned_tokens: Option<u64>) -> Vec<String> {
        warnings(spec, planned_tokens).iter().map(|warning| self.line(warning)).collect()
    }

    /// What to look at before a specification of ours is trained: its warnings, and the peak learning rates of published runs of its
    /// size.
    pub(crate) fn of_training(&self, spec: &Value) -> Vec<String> {
        let mut lines = self.lines(spec, None);
        lines.extend(unlabelled(spec).iter().map(|warning| self.line(warning)));
        let rates = published_rates(spec);
        if !rates.is_empty() {
            lines.push(format!("published     {}", rates.join(", ")));
        }
        lines
    }

    fn line(&self, warning: &Warning) -> String {
        format!("warning: {}: {}", warning.code, warning.text.get(self.lang))
    }
}
