//! The registry of corpora: subsets with their release level, licence and evidence. The registry is the truth; lineage files and run
//! specifications make claims about it.

use serde::{Deserialize, Serialize};

use crate::lineage::Level;
use crate::{Sha256, Tokens};

/// One subset of a corpus. Levels and licences are of subsets, never of a corpus as a whole: one version of a corpus holds several.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Subset {
    /// The name that lineage files and run specifications use.
    pub id: String,
    /// What it is part of, for example `llm-jp-corpus-v3`.
    pub corpus: String,
    /// ISO 639-1 code; `code` and others as the lab likes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
    /// Tokens, as `tokenizer` counts them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens: Option<Tokens>,
    /// The tokenizer that counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokenizer: Option<String>,
    /// Release level; nobody may publish what was trained on a subset without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub level: Option<Level>,
    /// SPDX expression, `LicenseRef-…`, or a Hub licence id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub license: Option<String>,
    /// Name of the document that shows level and licence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evidence: Option<String>,
    /// SHA-256 of that document.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evidence_sha256: Option<Sha256>,
    /// The model that wrote it, for synthetic text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generator: Option<String>,
    /// Licence of that model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generator_license: Option<String>,
}

/// `[[subset]]` tables: the TOML that is imported.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SubsetFile {
    /// The subsets.
    #[serde(rename = "subset")]
    pub subsets: Vec<Subset>,
}

impl Subset {
    /// Why it cannot be registered, as a sentence; nothing when it can.
    #[must_use]
    pub fn fault(&self) -> Option<String> {
        let plain =
            |text: &str| !text.trim().is_empty() && text.len() <= 200 && !text.chars().any(char::is_control);
        if !plain(&self.id) || self.id.contains(['/', '\\', '?', '#']) {
            return Some(format!(
                "\"{}\" cannot be a subset's id: use 1 to 200 visible characters without \"/\", \"\\\", \"?\" and \"#\"",
                self.id.escape_debug()
            ));
        }
        if !plain(&self.corpus) {
            return Some(format!("subset \"{}\" names no corpus", self.id));
        }
        if self.evidence_sha256.is_some() && self.evidence.is_none() {
            return Some(format!(
                "subset \"{}\" has the digest of a document but not its name (evidence)",
                self.id
            ));
        }
        if self.generator.is_none() && self.generator_license.is_some() {
            return Some(format!("subset \"{}\" has generator_license but no generator", self.id));
        }
        None
    }

    /// What another registration of the same id says otherwise: name of the field, this value, the other's.
    #[must_use]
    pub fn differences(&self, other: &Self) -> Vec<(&'static str, String, String)> {
        let text = |value: &Option<String>| value.clone().unwrap_or_default();
        let level = |subset: &Self| subset.level.map_or_else(String::new, |level| level.to_string());
        let count = |subset: &Self| subset.tokens.map_or_else(String::new, |tokens| tokens.0.to_string());
        let digest =
            |subset: &Self| subset.evidence_sha256.map_or_else(String::new, |sha256| sha256.to_string());
        let all = [
            ("corpus", self.corpus.clone(), other.corpus.clone()),
            ("language", text(&self.language), text(&other.language)),
            ("tokens", count(self), count(other)),
            ("tokenizer", text(&self.tokenizer), text(&other.tokenizer)),
            ("level", level(self), level(other)),
            ("license", text(&self.license), text(&other.license)),
            ("evidence", text(&self.evidence), text(&other.evidence)),
            ("evidence_sha256", digest(self), digest(other)),
            ("generator", text(&self.generator), text(&other.generator)),
            ("generator_license", text(&self.generator_license), text(&other.generator_license)),
        ];
        all.into_iter().filter(|(_, a, b)| a != b).collect()
    }
}
