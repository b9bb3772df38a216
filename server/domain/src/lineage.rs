//! The lineage and release file: what a model was made from, and what is to be released. Unknown keys are refused.

use serde::{Deserialize, Serialize};

use crate::Tokens;
use crate::state::named;

named! {
    /// The release level of a corpus subset, as LLM-jp defines them.
    Level {
        /// Train, search, distribute.
        L1 = "L1",
        /// Train, search.
        L2 = "L2",
        /// Train.
        L3 = "L3",
        /// No training of models to be published.
        LX = "LX",
        /// No use at all.
        LZ = "LZ",
    }
}

impl Level {
    /// Whether a subset that was `before` may be used for more under `after`. One without a level bars publishing, as LX does.
    #[must_use]
    pub fn loosens(before: Option<Self>, after: Self) -> bool {
        after < before.unwrap_or(Self::LX)
    }
}

named! {
    /// What an input is.
    InputKind {
        /// Another model's weights.
        BaseModel = "base_model",
        /// Text.
        Corpus = "corpus",
        /// Text that a model wrote.
        Synthetic = "synthetic",
        /// Preference pairs.
        Preference = "preference",
        /// A tokenizer.
        Tokenizer = "tokenizer",
        /// A reward or judge model.
        Reward = "reward",
        /// A model merged in.
        Merge = "merge",
    }
}

named! {
    /// At which stage an input entered.
    InputStage {
        /// Pre-training; `train` is another spelling of it in a file.
        #[serde(alias = "train")]
        Pretrain = "pretrain",
        /// Continual pre-training.
        Continual = "continual",
        /// Mid-training.
        Midtrain = "midtrain",
        /// Supervised fine-tuning.
        Sft = "sft",
        /// Preference tuning.
        Preference = "preference",
        /// Tokenizer training.
        Tokenizer = "tokenizer",
        /// Initial weights.
        Init = "init",
        /// Merging.
        Merge = "merge",
        /// Reward modelling.
        Reward = "reward",
        /// Dense weights made into a mixture of experts.
        Upcycle = "upcycle",
        /// Writing text for another stage.
        Synthetic = "synthetic",
    }
}

named! {
    /// Who may see the repository.
    Visibility {
        /// Everybody.
        Public = "public",
        /// The lab.
        Private = "private",
    }
}

named! {
    /// Whether the Hub asks before a download.
    Gating {
        /// No.
        None = "none",
        /// Yes, granted at once.
        Auto = "auto",
        /// Yes, granted by a person.
        Manual = "manual",
    }
}

named! {
    /// What kind of release.
    ReleaseStage {
        /// The finished model.
        Final = "final",
        /// A preview.
        Beta = "beta",
        /// A failed run, published with its story.
        Failed = "failed",
    }
}

named! {
    /// The type that weights are published in.
    PublishedDtype {
        /// bfloat16.
        Bf16 = "bf16",
        /// float32.
        F32 = "f32",
    }
}

named! {
    /// A part of the work that goes out with the weights, where the release levels allow it.
    BundlePart {
        /// The resolved specification of the run.
        Specification = "specification",
        /// Loss, learning rate and gradient norm of every step, and events.
        Logs = "logs",
        /// What the subsets are; of L1 subsets also the digests by which the data order can be replayed.
        Data = "data",
        /// Scores, and the records item by item.
        Evaluation = "evaluation",
        /// Version and source of the code.
        Code = "code",
    }
}

/// The whole file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LineageFile {
    /// The model this file is about.
    pub model: ModelSection,
    /// Everything it was made from.
    #[serde(default, rename = "input")]
    pub inputs: Vec<Input>,
    /// Recorded decisions of the lab on what a lab may decide itself.
    #[serde(default, rename = "waiver")]
    pub waivers: Vec<Waiver>,
    /// What is to be released; absent in a parent's lineage file.
    #[serde(default)]
    pub release: Option<ReleaseSection>,
}

/// `[model]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelSection {
    /// Display name.
    pub name: String,
}

/// `[[input]]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Input {
    /// What it is.
    pub kind: InputKind,
    /// Its name: a corpus subset, a Hub repository.
    #[serde(default)]
    pub id: Option<String>,
    /// Path of its own lineage file, relative to this one, for a model of ours.
    #[serde(default)]
    pub lineage: Option<String>,
    /// SPDX expression, `LicenseRef-…`, or a Hub licence id.
    #[serde(default)]
    pub license: Option<String>,
    /// Release level; kept as text so that an unknown level is a finding of the policy, not a parse error.
    #[serde(default)]
    pub level: Option<String>,
    /// Tokens used.
    #[serde(default)]
    pub tokens: Option<Tokens>,
    /// Model that wrote a synthetic input.
    #[serde(default)]
    pub generator: Option<String>,
    /// Licence of that model.
    #[serde(default)]
    pub generator_license: Option<String>,
    /// At which stage it entered.
    #[serde(default)]
    pub stage: Option<InputStage>,
}

/// `[[waiver]]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Waiver {
    /// The violation it lifts.
    pub code: String,
    /// For which input.
    #[serde(default)]
    pub input: Option<String>,
    /// Why.
    pub reason: String,
    /// The document that shows it.
    #[serde(default)]
    pub evidence: Option<String>,
    /// Who decided.
    pub by: String,
    /// Last day on which it holds, `YYYY-MM-DD`.
    #[serde(default)]
    pub until: Option<toml::value::Datetime>,
}

/// `[release]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReleaseSection {
    /// `owner/name` on the Hub.
    pub repo: String,
    /// Branch; `main` by default.
    #[serde(default = "main_branch")]
    pub revision: String,
    /// Tag on the commit; made from the release's id by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
    /// Final, beta or failed.
    #[serde(default = "final_stage")]
    pub stage: ReleaseStage,
    /// Declared licences, Hub ids.
    #[serde(default)]
    pub license: Vec<String>,
    /// Public or private.
    #[serde(default = "public")]
    pub visibility: Visibility,
    /// Gating on the Hub.
    #[serde(default = "ungated")]
    pub gating: Gating,
    /// Folder with what will be published, relative to this file.
    #[serde(default)]
    pub files: Option<String>,
    /// Type of the published weights; the checkpoint's own when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dtype: Option<PublishedDtype>,
    /// Most bytes of one file of weights, `5GB`; the checkpoint's own files when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shard_size: Option<String>,
    /// What of the work goes along.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub bundle: Vec<BundlePart>,
    /// Id of a published release in another repository or on another branch whose place this one takes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub supersedes: Option<String>,
    /// Announcement text, relative to this file.
    #[serde(default)]
    pub announcement: Option<String>,
    /// What the repository says of itself in one line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

impl Visibility {
    /// How few may see it: a greater number is stricter.
    #[must_use]
    pub const fn strictness(self) -> u8 {
        match self {
            Self::Public => 0,
            Self::Private => 1,
        }
    }
}

impl Gating {
    /// How much stands before a download: a greater number is stricter.
    #[must_use]
    pub const fn strictness(self) -> u8 {
        match self {
            Self::None => 0,
            Self::Auto => 1,
            Self::Manual => 2,
        }
    }
}

fn main_branch() -> String {
    "main".to_owned()
}

const fn final_stage() -> ReleaseStage {
    ReleaseStage::Final
}

const fn public() -> Visibility {
    Visibility::Public
}

const fn ungated() -> Gating {
    Gating::None
}

#[cfg(test)]
mod tests {
    use super::{InputStage, LineageFile};
    use crate::parse_toml;

    fn stage(name: &str) -> Result<Option<InputStage>, String> {
        let text = format!("model.name = \"m\"\ninput = [{{ kind = \"base_model\", stage = \"{name}\" }}]\n");
        let file: LineageFile = parse_toml("lineage.toml", &text).map_err(|error| error.to_string())?;
        Ok(file.inputs[0].stage)
    }

    #[test]
    fn every_stage_is_read_by_its_name_and_train_is_pretrain() {
        for known in InputStage::ALL {
            assert_eq!(stage(known.as_str()), Ok(Some(*known)));
        }
        assert_eq!(stage("train"), Ok(Some(InputStage::Pretrain)));
        assert_eq!(serde_json::to_value(InputStage::Pretrain).expect("a name"), "pretrain");
        let error = stage("upcicle").expect_err("no such stage");
        assert!(error.contains("did you mean \"upcycle\"?"), "{error}");
    }
}
