//! What a set says about levels, claims, gates and the house, once it is resolved. Licences have a file of their own.

use sekisho_domain::Text;
use serde::de::{Error as _, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::license::LicenseRule;

/// A whole set after what it extends was laid under it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Rules {
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) based_on: Option<String>,
    pub(crate) source: Vec<String>,
    pub(crate) title: Option<Text>,
    pub(crate) house: House,
    pub(crate) gates: Gates,
    #[serde(rename = "level")]
    pub(crate) levels: Vec<LevelRule>,
    #[serde(rename = "license")]
    pub(crate) licenses: Vec<LicenseRule>,
    #[serde(rename = "claim")]
    pub(crate) claims: Vec<ClaimRule>,
    pub(crate) data_claim: PhraseList,
    pub(crate) restrictive: PhraseList,
    pub(crate) softened: Softened,
    #[serde(rename = "gate")]
    pub(crate) gate: Vec<Gate>,
}

/// Whether a level permits a use. `Ask` stands for a use that the lab has not decided: nothing happens until it has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Permit {
    /// `true`.
    Yes,
    /// `false`, and what is not written.
    #[default]
    No,
    /// `"ask"`.
    Ask,
}

impl Permit {
    /// Only a plain yes permits.
    #[must_use]
    pub const fn allows(self) -> bool {
        matches!(self, Self::Yes)
    }
}

impl Serialize for Permit {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Yes => serializer.serialize_bool(true),
            Self::No => serializer.serialize_bool(false),
            Self::Ask => serializer.serialize_str("ask"),
        }
    }
}

impl<'de> Deserialize<'de> for Permit {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Word;
        impl Visitor<'_> for Word {
            type Value = Permit;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("true, false or \"ask\"")
            }

            fn visit_bool<E>(self, value: bool) -> Result<Permit, E> {
                Ok(if value { Permit::Yes } else { Permit::No })
            }

            fn visit_str<E: serde::de::Error>(self, value: &str) -> Result<Permit, E> {
                if value == "ask" {
                    Ok(Permit::Ask)
                } else {
                    Err(E::custom("expected true, false or \"ask\""))
                }
            }
        }
        deserializer.deserialize_any(Word)
    }
}

/// What a release level permits.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LevelRule {
    /// `L1` … `LZ`.
    pub id: String,
    /// Anything derived from it may exist outside.
    pub r#use: Permit,
    /// Models to be published may be trained on it, at any stage.
    pub train: Permit,
    /// It may be searched, and quoted in a demonstration.
    #[serde(default)]
    pub search: Permit,
    /// The text itself may be handed on.
    pub redistribute: Permit,
    /// Models may be evaluated on it, without a gradient.
    #[serde(default)]
    pub evaluate: Permit,
    /// Where the rule comes from.
    #[serde(default)]
    pub source: String,
}

/// A claim such as "open source", and what a release must be to make it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClaimRule {
    /// Its name.
    pub id: String,
    /// What the release must be.
    pub requires: Vec<Requirement>,
    /// The words that make the claim; `…` stands for at most 16 letters.
    pub phrases: Vec<String>,
    /// Where the rule comes from.
    #[serde(default)]
    pub source: String,
}

/// Declares an enum of words in a set file, with the word of each value.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $text:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
        pub enum $name { $($(#[$vdoc])* #[serde(rename = $text)] $variant),+ }

        impl $name {
            /// Every value, in the order of the documentation.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The word in a set file.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $text),+ }
            }
        }
    };
}
pub(crate) use words;

words! {
    /// What a claim can require of a release.
    Requirement {
        /// Everybody may see the repository.
        Public = "public",
        /// Nobody has to ask for it.
        Ungated = "ungated",
        /// Nobody has to be admitted by a person.
        NotManual = "not-manual",
        /// Every licence that binds it is open.
        OpenLicense = "open-license",
        /// Every licence that binds it is approved by the Open Source Initiative.
        OsiLicense = "osi-license",
        /// Level, licence and tokens of every text are stated, and the lineage of every model.
        DataInformation = "data-information",
        /// Every text may be handed on.
        DataPublished = "data-published",
    }
}

words! {
    /// How hard a rule of the house is.
    Strictness {
        /// The rule is off.
        Allow = "allow",
        /// It warns.
        Warn = "warn",
        /// It refuses.
        Refuse = "refuse",
    }
}

words! {
    /// What a house may require of every release.
    Required {
        /// `[release] files` names the folder, so that notices and licence texts are judged and not only owed.
        Files = "files",
        /// The card that the Hub shows, `README.md`.
        CardEn = "card-en",
        /// The card in Japanese, `README_ja.md`.
        CardJa = "card-ja",
        /// An announcement, for a public release.
        Announcement = "announcement",
        /// A description of the repository.
        Description = "description",
        /// Under `license: other` the card names the licence and links to it: `license_name`, and `license_link` to a file of the
        /// release or a URL.
        LicenseLink = "license-link",
        /// The card's `base_model` names every model that the lineage names as a base.
        BaseModel = "base-model",
        /// Level, licence and tokens of every text are stated, and the lineage of every model.
        DataInformation = "data-information",
    }
}

/// Rules of the house; every key is optional and replaces that of the extended set.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct House {
    /// A declared licence that is not open, although no input brings it.
    pub restrictive_license: Option<Strictness>,
    /// The licence of the house: another open one, which no input brings, warns.
    pub default_license: Option<String>,
    /// Share-alike text that the declared licence does not continue; `warn` when absent.
    pub share_alike: Option<Strictness>,
    /// A sentence in card, description or announcement that restricts what an open licence does not; `warn` when absent.
    pub card_contradiction: Option<Strictness>,
    /// What every release must bring.
    pub require: Option<Vec<Required>>,
    /// Rules for waivers.
    pub waivers: Option<Waivers>,
}

/// Rules for waivers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Waivers {
    /// A waiver without evidence lifts nothing.
    pub evidence: Option<bool>,
    /// Codes that no waiver lifts, besides those that nobody may lift.
    pub never: Option<Vec<String>>,
}

impl House {
    /// The keys of `over`, and below them those of `self`.
    pub(crate) fn overlaid(&self, over: Self) -> Self {
        let below = self.clone();
        let waivers = match (over.waivers, below.waivers) {
            (Some(over), Some(below)) => Some(Waivers {
                evidence: over.evidence.or(below.evidence),
                never: over.never.or(below.never),
            }),
            (over, below) => over.or(below),
        };
        Self {
            restrictive_license: over.restrictive_license.or(below.restrictive_license),
            default_license: over.default_license.or(below.default_license),
            share_alike: over.share_alike.or(below.share_alike),
            card_contradiction: over.card_contradiction.or(below.card_contradiction),
            require: over.require.or(below.require),
            waivers,
        }
    }

    /// Whether the house requires this of every release.
    #[must_use]
    pub fn requires(&self, what: Required) -> bool {
        self.require.iter().flatten().any(|required| *required == what)
    }

    /// The codes that no waiver lifts in this house.
    pub fn never_waived(&self) -> impl Iterator<Item = &str> {
        self.waivers.iter().flat_map(|waivers| waivers.never.iter().flatten()).map(String::as_str)
    }

    /// Whether a waiver needs evidence.
    #[must_use]
    pub fn wants_evidence(&self) -> bool {
        self.waivers.as_ref().and_then(|waivers| waivers.evidence).unwrap_or(false)
    }
}

/// Phrases that are looked for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PhraseList {
    pub(crate) phrases: Vec<String>,
}

/// Words that turn a claim into a matter for a person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Softened {
    pub(crate) before: Vec<String>,
    pub(crate) unless_before: Vec<String>,
    pub(crate) after: Vec<String>,
    pub(crate) within: Vec<String>,
    pub(crate) about_others: Vec<String>,
    pub(crate) harmless: Vec<String>,
}

/// Which tasks may not have fallen significantly against the published model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoRegression {
    /// Every task with a paired test.
    All,
    /// No task.
    None,
    /// These, by id.
    Tasks(Vec<String>),
}

impl NoRegression {
    /// Whether a task is among them.
    #[must_use]
    pub fn covers(&self, task: &str) -> bool {
        match self {
            Self::All => true,
            Self::None => false,
            Self::Tasks(tasks) => tasks.iter().any(|known| known == task),
        }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum WordOrList {
    Word(String),
    List(Vec<String>),
}

impl Serialize for NoRegression {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let raw = match self {
            Self::All => WordOrList::Word("all".to_owned()),
            Self::None => WordOrList::Word("none".to_owned()),
            Self::Tasks(tasks) => WordOrList::List(tasks.clone()),
        };
        raw.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for NoRegression {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match WordOrList::deserialize(deserializer)? {
            WordOrList::Word(word) if word == "all" => Ok(Self::All),
            WordOrList::Word(word) if word == "none" => Ok(Self::None),
            WordOrList::Word(_) => Err(D::Error::custom("expected \"all\", \"none\" or a list of tasks")),
            WordOrList::List(tasks) => Ok(Self::Tasks(tasks)),
        }
    }
}

/// Gates that hold for many tasks at once; every key is optional and replaces that of the extended set.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Gates {
    /// Tasks that may not fall against the published model; all when absent.
    pub no_regression: Option<NoRegression>,
    /// p below which a fall refuses; 0.01 when absent (`users.md` §7.13 uses the same).
    pub significance: Option<f64>,
    /// Greatest share (0–1) of contaminated items, for every task with a score.
    pub contamination: Option<f64>,
}

impl Gates {
    pub(crate) fn overlaid(&self, over: Self) -> Self {
        Self {
            no_regression: over.no_regression.or_else(|| self.no_regression.clone()),
            significance: over.significance.or(self.significance),
            contamination: over.contamination.or(self.contamination),
        }
    }

    /// p below which a fall refuses.
    #[must_use]
    pub fn significance(&self) -> f64 {
        self.significance.unwrap_or(0.01)
    }

    /// Tasks that may not fall.
    #[must_use]
    pub fn no_regression(&self) -> &NoRegression {
        self.no_regression.as_ref().unwrap_or(&NoRegression::All)
    }
}

/// What the score of one task must reach, and how clean its items must be.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Gate {
    /// Versioned profile.
    pub profile: String,
    /// Task id.
    pub task: String,
    /// Metric; any of the task's when absent.
    #[serde(default)]
    pub metric: Option<String>,
    /// `dev` or `test`; any when absent.
    #[serde(default)]
    pub split: Option<String>,
    /// The least value, in the metric's own unit. The value itself is compared, not its interval.
    #[serde(default)]
    pub at_least: Option<f64>,
    /// Greatest share (0–1) of contaminated items.
    #[serde(default)]
    pub contamination: Option<f64>,
}

impl Gate {
    /// Whether both are about the same score.
    pub(crate) fn same_score(&self, other: &Self) -> bool {
        self.profile == other.profile
            && self.task == other.task
            && self.metric == other.metric
            && self.split == other.split
    }
}
