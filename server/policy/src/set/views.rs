//! What pages and commands show of a set, read from its rules.

use super::PolicySet;
use super::license::{Duty, LicenseRule, Use};
use super::rules::{ClaimRule, Gate, Gates, House, LevelRule, Permit};
use crate::rules::licenses::settled;

/// A use of text that a level permits or not, for a table of level × use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LevelUse {
    /// Models to be published are trained on it, at any stage.
    Train,
    /// It is searched, and quoted in a demonstration.
    Search,
    /// It is handed on.
    Redistribute,
    /// Models are evaluated on it, without a gradient.
    Evaluate,
    /// Anything derived from it leaves the lab.
    Use,
}

impl LevelUse {
    /// Every use, in the order of a table.
    pub const ALL: &'static [Self] =
        &[Self::Train, Self::Search, Self::Redistribute, Self::Evaluate, Self::Use];

    /// What a level says about it.
    #[must_use]
    pub const fn permit(self, level: &LevelRule) -> Permit {
        match self {
            Self::Train => level.train,
            Self::Search => level.search,
            Self::Redistribute => level.redistribute,
            Self::Evaluate => level.evaluate,
            Self::Use => level.r#use,
        }
    }
}

/// A rule about names.
#[derive(Clone, Copy, Debug)]
pub struct NamingRule<'a> {
    /// What name, repository and card title must begin with.
    pub prefix: &'a str,
    /// The licence that says so; its uses and clause are those of [`Duty::NamePrefix`].
    pub license: &'a LicenseRule,
}

/// A file that a licence wants in the root of the repository.
#[derive(Clone, Copy, Debug)]
pub struct RequiredFile<'a> {
    /// Its usual name.
    pub file: &'a str,
    /// The line that it must hold, for a notice.
    pub line: Option<&'a str>,
    /// What kind of file: licence text, notice or use policy.
    pub duty: Duty,
    /// The licence that wants it; its uses and clause are those of the duty.
    pub license: &'a LicenseRule,
}

impl PolicySet {
    /// Every licence it knows, in the order of the file.
    #[must_use]
    pub fn licenses(&self) -> &[LicenseRule] {
        &self.rules.licenses
    }

    /// Every release level, in the order of the file.
    #[must_use]
    pub fn levels(&self) -> &[LevelRule] {
        &self.rules.levels
    }

    /// Every claim, in the order of the file.
    #[must_use]
    pub fn claims(&self) -> &[ClaimRule] {
        &self.rules.claims
    }

    /// Phrases that say that the training data is out.
    #[must_use]
    pub fn data_phrases(&self) -> &[String] {
        &self.rules.data_claim.phrases
    }

    /// Phrases that restrict what an open licence does not.
    #[must_use]
    pub fn restrictive_phrases(&self) -> &[String] {
        &self.rules.restrictive.phrases
    }

    /// What single tasks must reach.
    #[must_use]
    pub fn task_gates(&self) -> &[Gate] {
        &self.rules.gate
    }

    /// Gates for many tasks at once.
    #[must_use]
    pub const fn gates(&self) -> &Gates {
        &self.rules.gates
    }

    /// The rules of the house.
    #[must_use]
    pub const fn house(&self) -> &House {
        &self.rules.house
    }

    /// The rule for one licence id or SPDX id, whatever its case.
    #[must_use]
    pub fn license(&self, name: &str) -> Option<&LicenseRule> {
        self.rules.licenses.iter().find(|rule| rule.is_called(name))
    }

    /// Whether two expressions mean the same licences, whatever names they use.
    #[must_use]
    pub fn same_license(&self, a: &str, b: &str) -> bool {
        settled(a, self) == settled(b, self)
    }

    /// The rule for a release level.
    #[must_use]
    pub fn level(&self, id: &str) -> Option<&LevelRule> {
        self.rules.levels.iter().find(|rule| rule.id == id)
    }

    /// Licences that have a say in the model's name.
    pub fn naming(&self) -> impl Iterator<Item = NamingRule<'_>> {
        self.rules
            .licenses
            .iter()
            .filter(|license| !license.uses(Duty::NamePrefix).is_empty())
            .filter_map(|license| Some(NamingRule { prefix: license.name_prefix.as_deref()?, license }))
    }

    /// Files that licences want in the root of the repository.
    pub fn required_files(&self) -> impl Iterator<Item = RequiredFile<'_>> {
        self.rules.licenses.iter().flat_map(|license| {
            let all = [
                (Duty::LicenseFile, license.file.as_deref(), None),
                (Duty::Notice, Some("NOTICE"), license.notice.as_deref()),
                (Duty::UsePolicy, Some("USE_POLICY.md"), None),
            ];
            all.into_iter()
                .filter(|(duty, ..)| Use::ALL.iter().any(|r#use| license.duties(*r#use).contains(duty)))
                .filter_map(move |(duty, file, line)| Some(RequiredFile { file: file?, line, duty, license }))
        })
    }
}
