use std::collections::BTreeMap;

use sekisho_domain::Sha256;
use serde::{Deserialize, Serialize};

use crate::reader::Reader;
use crate::step::Step;
use crate::template::Template;

/// A data file of a task.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SourceRef {
    /// Source id, the folder below the data directory, e.g. `jglue`.
    #[serde(rename = "id")]
    pub source: String,
    /// Path below the source.
    pub file: String,
    /// SHA-256 of the bytes; other bytes are refused unless accepted by name. Absent where the digest of the complete
    /// upstream file is not known here: then only bytes that are accepted by name are read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<Sha256>,
    /// Which part of the data it holds.
    pub role: Role,
    /// Where the file is had; named when it is missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// How this file is read; the task's reader when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reader: Option<Reader>,
    /// Fields that every record of this file gets, e.g. its subject.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub set: BTreeMap<String, String>,
    /// Only the records with these values.
    #[serde(default, rename = "where", skip_serializing_if = "BTreeMap::is_empty")]
    pub only: BTreeMap<String, String>,
}

impl SourceRef {
    /// `source/path`, as errors name it.
    #[must_use]
    pub fn name(&self) -> String {
        format!("{}/{}", self.source, self.file)
    }
}

/// What a data file holds. Several files of one role are one list, in the order of the definition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Examples, or what examples are drawn from.
    Train,
    /// For monitoring.
    Dev,
    /// For release scores.
    Test,
    /// Everything: the split rule makes the splits out of it.
    All,
}

impl Role {
    /// The name used in definitions.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Dev => "dev",
            Self::Test => "test",
            Self::All => "all",
        }
    }
}

impl From<Split> for Role {
    fn from(split: Split) -> Self {
        match split {
            Split::Train => Self::Train,
            Split::Dev => Self::Dev,
            Split::Test => Self::Test,
        }
    }
}

/// A part of the data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Split {
    /// Where shots come from.
    Train,
    /// For monitoring.
    Dev,
    /// For release scores.
    Test,
}

impl Split {
    /// Every split.
    pub const ALL: [Self; 3] = [Self::Train, Self::Dev, Self::Test];

    /// The name used in `--split`, records and file names.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Dev => "dev",
            Self::Test => "test",
        }
    }
}

impl std::fmt::Display for Split {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How splits are made from the files. The rules of llm-jp-eval are those of the processors of its release 1.3.0; each
/// starts from `random.seed(42)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SplitRule {
    /// The files of a role are the split of that name, in their own order.
    Files,
    /// The train files shuffled, first `int(0.9·n)` records train, the rest dev; test as it is.
    LlmJpEval,
    /// All files shuffled as one list: 80 % train, 10 % dev, 10 % test (`JSeM`).
    LlmJpEvalPool,
    /// Train as it is; all other files shuffled as one list, whose halves are dev and test (MAWPS).
    LlmJpEvalHalves,
    /// Every file shuffled by itself, its first half to dev and the rest to test, then both lists shuffled, all from one
    /// stream; the first 16 of each are train and not asked (JMMLU).
    LlmJpEvalByFile,
}

impl SplitRule {
    /// The role of the files that a split is made from.
    pub(crate) const fn role(self, split: Split) -> Role {
        match (self, split) {
            (Self::LlmJpEvalPool | Self::LlmJpEvalByFile, _)
            | (Self::LlmJpEvalHalves, Split::Dev | Split::Test) => Role::All,
            (Self::LlmJpEval, Split::Dev) | (_, Split::Train) => Role::Train,
            (_, Split::Dev) => Role::Dev,
            (_, Split::Test) => Role::Test,
        }
    }
}

/// A field made from the other fields of a record. Fields are made in the order of the definition.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Derive {
    /// Its name; an existing field is replaced.
    pub field: String,
    /// The text it starts from, made of the fields of the record.
    pub from: Template,
    /// What is done to that text.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<Step>,
    /// Only in the files of this role; in all files when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<Role>,
}
