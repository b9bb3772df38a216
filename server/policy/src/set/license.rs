//! What a licence asks for, by what the licensed thing is used as.

use std::collections::BTreeMap;

use sekisho_domain::Sha256;
use serde::{Deserialize, Serialize};

use super::rules::words;

words! {
    /// How free a licence is, for the claims; from the freest on.
    LicenseClass {
        /// No rights claimed.
        PublicDomain = "public-domain",
        /// Attribution at most.
        Permissive = "permissive",
        /// Adaptations under the same licence.
        ShareAlike = "share-alike",
        /// No licence of its own; the release level decides.
        Internal = "internal",
        /// A contract with conditions of use.
        Restricted = "restricted",
        /// Not for commercial use.
        Noncommercial = "noncommercial",
        /// No adaptations.
        NoDerivatives = "no-derivatives",
    }
}

impl LicenseClass {
    /// Whether a release under it may be called open at all.
    #[must_use]
    pub const fn is_open(self) -> bool {
        matches!(self, Self::PublicDomain | Self::Permissive | Self::ShareAlike)
    }
}

words! {
    /// What a licence asks for when something under it goes into a model.
    Duty {
        /// Its full text comes along.
        LicenseFile = "license-file",
        /// NOTICE holds its line, byte for byte.
        Notice = "notice",
        /// Its acceptable use policy comes along.
        UsePolicy = "use-policy",
        /// The card shows its "Built with …".
        BuiltWith = "built-with",
        /// The model's name begins with its prefix.
        NamePrefix = "name-prefix",
        /// The release declares it, or a licence that meets its terms.
        Declare = "declare",
        /// The card gives credit.
        Attribution = "attribution",
        /// The card says that something was changed.
        StateChanges = "state-changes",
        /// Perhaps the same licence is owed: unsettled for weights.
        ShareAlike = "share-alike",
        /// Its restrictions of use are passed on as a term.
        UseRestrictions = "use-restrictions",
        /// It ends at some number of monthly users.
        UserLimit = "user-limit",
        /// Not without permission: commercial use is excluded.
        Noncommercial = "noncommercial",
        /// Not without permission: adaptations are excluded.
        NoDerivatives = "no-derivatives",
        /// Outputs may not improve other models.
        Forbidden = "forbidden",
    }
}

words! {
    /// What a licensed thing is used as.
    Use {
        /// Weights or a tokenizer taken over.
        Base = "base",
        /// Text trained on.
        Corpus = "corpus",
        /// Text that the licensed model wrote.
        Outputs = "outputs",
        /// Reward or judge model.
        Judge = "judge",
        /// The release itself is under it.
        Declared = "declared",
    }
}

/// One licence: its names and the duties it brings, by use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LicenseRule {
    /// The Hub's id, or `LicenseRef-…`.
    pub id: String,
    /// SPDX ids and other names of the same licence.
    #[serde(default)]
    pub names: Vec<String>,
    /// How free it is.
    pub class: LicenseClass,
    /// Approved by the Open Source Initiative.
    #[serde(default)]
    pub osi: bool,
    /// Other declared licences that meet its terms.
    #[serde(default)]
    pub covered_by: Vec<String>,
    #[serde(default)]
    base: Vec<Duty>,
    #[serde(default)]
    corpus: Vec<Duty>,
    #[serde(default)]
    outputs: Vec<Duty>,
    #[serde(default)]
    judge: Vec<Duty>,
    #[serde(default)]
    declared: Vec<Duty>,
    /// Where the full text is expected in the release.
    #[serde(default)]
    pub file: Option<String>,
    /// The line that NOTICE must hold.
    #[serde(default)]
    pub notice: Option<String>,
    /// What the card must show.
    #[serde(default)]
    pub built_with: Option<String>,
    /// What the model's name must begin with.
    #[serde(default)]
    pub name_prefix: Option<String>,
    /// The sentence that gives credit, with `{input}`.
    #[serde(default)]
    pub attribution: Option<String>,
    /// Where the facts come from.
    pub source: String,
    #[serde(default)]
    clauses: BTreeMap<Duty, String>,
    /// The licence's text, one entry per edition.
    #[serde(default)]
    pub(crate) text: Vec<KnownText>,
    /// Its acceptable use policy, one entry per edition.
    #[serde(default)]
    pub(crate) use_policy: Vec<KnownText>,
}

impl LicenseRule {
    /// What it asks for when something under it is used as `use`, in the order of the set.
    #[must_use]
    pub fn duties(&self, r#use: Use) -> &[Duty] {
        match r#use {
            Use::Base => &self.base,
            Use::Corpus => &self.corpus,
            Use::Outputs => &self.outputs,
            Use::Judge => &self.judge,
            Use::Declared => &self.declared,
        }
    }

    /// The uses in which a duty arises.
    #[must_use]
    pub fn uses(&self, duty: Duty) -> Vec<Use> {
        Use::ALL.iter().copied().filter(|r#use| self.duties(*r#use).contains(&duty)).collect()
    }

    /// The clause behind a duty, or nothing when the set names none.
    #[must_use]
    pub fn clause(&self, duty: Duty) -> &str {
        self.clauses.get(&duty).map_or("", String::as_str)
    }

    /// Whether `name` is its id or one of its names, whatever the case.
    #[must_use]
    pub fn is_called(&self, name: &str) -> bool {
        self.id.eq_ignore_ascii_case(name) || self.names.iter().any(|known| known.eq_ignore_ascii_case(name))
    }
}

/// A text known by its words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct KnownText {
    pub(crate) start: String,
    pub(crate) words: usize,
    pub(crate) sha256: Sha256,
}
