use serde::{Deserialize, Serialize};

/// An error of the API: RFC 9457 `application/problem+json` with a stable `code`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Problem {
    /// `about:blank` or a page in the documentation.
    #[serde(rename = "type", default = "about_blank")]
    pub kind: String,
    /// The HTTP status in words.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// What is wrong, the rule, and the way on, in one or two sentences.
    #[serde(default)]
    pub detail: String,
    /// Stable kebab-case code.
    #[serde(default)]
    pub code: String,
    /// The request id, as in the server's log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<String>,
    /// Of a piece of an upload that does not follow what is there: where the next one begins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offset: Option<u64>,
}

fn about_blank() -> String {
    "about:blank".to_owned()
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if self.detail.is_empty() { &self.title } else { &self.detail })
    }
}
