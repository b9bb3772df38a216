//! The warnings for a configuration, as the terminal shows them: first, and in the language that was asked for.

use sekisho_domain::Language;
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

    fn line(&self, warning: &Warning) -> String {
        format!("warning: {}: {}", warning.code, warning.text.get(self.lang))
    }
}
