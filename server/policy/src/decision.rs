//! What comes out: verdict, violations, warnings, obligations, each with its code, its text and why it holds.

use std::collections::{BTreeMap, BTreeSet};

use sekisho_domain::{Language, Sha256, Text, canonical_json};
use serde::{Deserialize, Serialize};

use crate::PolicySet;
use crate::messages;

/// Declares the codes with their fixed names.
macro_rules! codes {
    ($($(#[$doc:meta])* $variant:ident = $name:tt),+ $(,)?) => {
        /// The stable name of a rule. An obligation that would be a violation when not met bears the violation's code.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, utoipa::ToSchema)]
        #[schema(as = PolicyCode)]
        pub enum Code { $($(#[$doc])* #[serde(rename = $name)] $variant),+ }

        impl Code {
            /// Every code, in the order of the contract.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The fixed name.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name),+ }
            }

            /// The code of that name.
            #[must_use]
            pub fn named(name: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|code| code.as_str() == name)
            }

            /// One sentence: what the rule looks at.
            #[must_use]
            pub fn meaning(self) -> Text {
                messages::meaning(self).fill(&[])
            }
        }
    };
}

codes! {
    /// LX text was trained on.
    LevelForbidsTraining = "level-forbids-training",
    /// LZ text was used.
    LevelForbidsUse = "level-forbids-use",
    /// A subset without a known level.
    LevelUnknown = "level-unknown",
    /// Two levels for one subset, or another than the registry's.
    LevelMismatch = "level-mismatch",
    /// No rule for a licence.
    LicenseUnknown = "license-unknown",
    /// The declared licence cannot meet an input's.
    LicenseConflict = "license-conflict",
    /// Two licences for one subset.
    LicenseContradiction = "license-contradiction",
    /// A non-commercial input.
    NoncommercialInput = "noncommercial-input",
    /// Outputs of a model whose licence forbids training others on them.
    OutputsForbidden = "outputs-forbidden",
    /// The name does not begin as a licence demands.
    NamePrefix = "name-prefix",
    /// The card lacks a "Built with …".
    BuiltWithMissing = "built-with-missing",
    /// NOTICE lacks a line.
    NoticeMissing = "notice-missing",
    /// A licence text is not included.
    LicenseFileMissing = "license-file-missing",
    /// An acceptable use policy is not included.
    UsePolicyMissing = "use-policy-missing",
    /// Card and release name different licences.
    CardLicenseMismatch = "card-license-mismatch",
    /// A word for openness that this release may not use.
    OpenClaim = "open-claim",
    /// Training data said to be out that may not be handed on.
    DataClaim = "data-claim",
    /// A score below its gate.
    GateScore = "gate-score",
    /// Significantly worse than what is published.
    GateRegression = "gate-regression",
    /// The lineage bites its tail.
    LineageCycle = "lineage-cycle",
    /// An input whose own inputs nobody knows.
    LineageMissing = "lineage-missing",
    /// Give credit.
    Attribution = "attribution",
    /// Say what was changed.
    StateChanges = "state-changes",
    /// Perhaps the same licence is owed.
    ShareAlike = "share-alike",
    /// Pass on restrictions of use.
    UseRestrictions = "use-restrictions",
    /// A licence ends at some number of users.
    UserLimit = "user-limit",
    /// A waiver that lifts nothing.
    WaiverVoid = "waiver-void",
    /// A file that the release names is not there.
    FileMissing = "file-missing",
    /// Too many items of a task in the training text, or nobody looked.
    GateContamination = "gate-contamination",
    /// A licence that is not open although no input brings it.
    RestrictiveLicense = "restrictive-license",
    /// Another licence than the house's own.
    LicenseNotDefault = "license-not-default",
    /// Something that the house requires of every release is not there.
    RequiredMissing = "required-missing",
    /// The card does not name a base model.
    BaseModelMissing = "base-model-missing",
    /// A text of the release restricts what its licence does not.
    CardContradiction = "card-contradiction",
}

impl Code {
    /// Whether a lab may decide to lift it. Levels, forbidden outputs and unknown lineage are not its to lift.
    #[must_use]
    pub fn waivable(self) -> bool {
        self != Self::OutputsForbidden
            && !self.as_str().starts_with("level-")
            && !self.as_str().starts_with("lineage-")
    }
}

/// One violation, warning or obligation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = PolicyFinding)]
pub struct Finding {
    /// Which rule.
    pub code: Code,
    /// What it says, in both languages.
    pub text: Text,
    /// Why it holds, one line per way in: input → edge → … → rule.
    pub derivation: Vec<String>,
}

/// Whether the release may go out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// No violation.
    Allowed,
    /// At least one.
    Refused,
}

/// Which rules were applied.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct PolicyRef {
    /// Name of the set.
    pub name: String,
    /// Its version.
    pub version: String,
    /// SHA-256 of its text.
    pub digest: Sha256,
}

/// The decision, serialised as `policy check --json` shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Decision {
    /// Allowed exactly when there are no violations.
    pub verdict: Verdict,
    /// The rules.
    pub policy: PolicyRef,
    /// What stands in the way, sorted.
    pub violations: Vec<Finding>,
    /// What a person should look at, sorted; waived violations are among them.
    pub warnings: Vec<Finding>,
    /// What the inputs ask for, met or not, sorted.
    pub obligations: Vec<Finding>,
    /// SHA-256 of the canonical JSON of the other fields.
    pub digest: Sha256,
}

impl Decision {
    /// Whether the release may go out.
    #[must_use]
    pub fn allowed(&self) -> bool {
        self.verdict == Verdict::Allowed
    }

    /// One of its lists.
    #[must_use]
    pub fn list(&self, weight: Weight) -> &[Finding] {
        match weight {
            Weight::Violation => &self.violations,
            Weight::Warning => &self.warnings,
            Weight::Obligation => &self.obligations,
        }
    }

    /// Whether an obligation asks for a text that was among the files: a licence, a notice or a use policy, without a violation, waived
    /// or not, of the same rule on the same way.
    #[must_use]
    pub fn includes(&self, obligation: &Finding) -> bool {
        let texts = [Code::LicenseFileMissing, Code::NoticeMissing, Code::UsePolicyMissing];
        let broken = |finding: &Finding| {
            let same = |line: &String| finding.derivation.contains(line);
            finding.code == obligation.code && obligation.derivation.iter().any(same)
        };
        texts.contains(&obligation.code)
            && self.obligations.contains(obligation)
            && !self.violations.iter().chain(&self.warnings).any(broken)
    }

    /// As plain text, one line each: the verdict, then every finding with its derivation below it.
    #[must_use]
    pub fn render(&self, language: Language) -> Vec<String> {
        messages::render(self, language)
    }
}

/// Which list of a decision a finding stands in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Weight {
    /// It stands in the way.
    Violation,
    /// A person should look.
    Warning,
    /// It is owed, met or not.
    Obligation,
}

impl Weight {
    /// Every list, in the order of a decision.
    pub const ALL: &'static [Self] = &[Self::Violation, Self::Warning, Self::Obligation];

    /// The fixed name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Violation => "violation",
            Self::Warning => "warning",
            Self::Obligation => "obligation",
        }
    }
}

/// The rule behind a finding.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Citation {
    /// `license gemma`, `level LX`, `claim open-source`, `house share_alike` …
    pub rule: String,
    /// The clause, where the set names one.
    pub clause: String,
    /// Where the rule comes from.
    pub source: String,
}

impl Citation {
    pub(crate) fn new(rule: impl Into<String>, clause: &str, source: &str) -> Self {
        Self { rule: rule.into(), clause: clause.to_owned(), source: source.to_owned() }
    }
}

/// What a finding is about, for waivers: the input's id, or nothing when it is about the release itself.
type Subjects = BTreeSet<String>;

/// Findings on their way to a decision. Findings of one code with the same text are one finding with several derivations.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    found: BTreeMap<(Weight, Code, Text), Found>,
}

/// What is kept of a finding besides its key.
#[derive(Debug, Default)]
struct Found {
    derivations: BTreeSet<String>,
    subjects: Subjects,
    citations: BTreeSet<Citation>,
}

impl Findings {
    pub(crate) fn add(&mut self, weight: Weight, code: Code, text: Text, subject: &str, derivation: String) {
        self.add_by(weight, code, text, (subject, derivation), None);
    }

    /// As [`Self::add`], with the rule behind it.
    pub(crate) fn add_by(
        &mut self,
        weight: Weight,
        code: Code,
        text: Text,
        (subject, derivation): (&str, String),
        citation: Option<Citation>,
    ) {
        let found = self.found.entry((weight, code, text)).or_default();
        found.derivations.insert(derivation);
        found.subjects.insert(subject.to_owned());
        found.citations.extend(citation);
    }

    /// Turns the violations of one code that are about `input` (all of them when it is absent) into warnings; says whether there were any.
    /// A finding with several subjects is lifted only for the one that the waiver names, so it stays while another holds it up.
    pub(crate) fn lift(&mut self, code: Code, input: Option<&str>, note: &str) -> bool {
        let hit: Vec<_> = self
            .found
            .iter()
            .filter(|((weight, known, _), found)| {
                let about = |name: &str| found.subjects.iter().all(|subject| subject == name);
                *weight == Weight::Violation && *known == code && input.is_none_or(about)
            })
            .map(|(key, _)| key.clone())
            .collect();
        for key in &hit {
            let Some(mut found) = self.found.remove(key) else { continue };
            found.derivations.insert(note.to_owned());
            self.found.insert((Weight::Warning, key.1, key.2.clone()), found);
        }
        !hit.is_empty()
    }

    /// Every finding with its list and the rules behind it, in the order of the decision.
    pub(crate) fn cited(&self) -> impl Iterator<Item = (Weight, Finding, Vec<Citation>)> {
        self.found.iter().map(|((weight, code, text), found)| {
            let derivation = found.derivations.iter().cloned().collect();
            let finding = Finding { code: *code, text: text.clone(), derivation };
            (*weight, finding, found.citations.iter().cloned().collect())
        })
    }

    pub(crate) fn decide(self, set: &PolicySet) -> Decision {
        let mut lists: BTreeMap<Weight, Vec<Finding>> = BTreeMap::new();
        for ((weight, code, text), found) in self.found {
            let finding = Finding { code, text, derivation: found.derivations.into_iter().collect() };
            lists.entry(weight).or_default().push(finding);
        }
        let mut take = |weight| lists.remove(&weight).unwrap_or_default();
        let violations = take(Weight::Violation);
        let mut decision = Decision {
            verdict: if violations.is_empty() { Verdict::Allowed } else { Verdict::Refused },
            policy: PolicyRef {
                name: set.name().to_owned(),
                version: set.version().to_owned(),
                digest: set.digest(),
            },
            violations,
            warnings: take(Weight::Warning),
            obligations: take(Weight::Obligation),
            digest: Sha256::of([]),
        };
        decision.digest = digest(&decision);
        decision
    }
}

fn digest(decision: &Decision) -> Sha256 {
    let mut json = serde_json::to_value(decision).expect("a decision holds only strings and lists");
    if let Some(fields) = json.as_object_mut() {
        fields.remove("digest");
    }
    Sha256::of(canonical_json(&json))
}

#[cfg(test)]
mod tests {
    use super::Code;

    #[test]
    fn levels_outputs_and_lineage_cannot_be_waived() {
        let fixed: Vec<&str> =
            Code::ALL.iter().filter(|code| !code.waivable()).map(|code| code.as_str()).collect();
        assert_eq!(
            fixed,
            [
                "level-forbids-training",
                "level-forbids-use",
                "level-unknown",
                "level-mismatch",
                "outputs-forbidden",
                "lineage-cycle",
                "lineage-missing"
            ]
        );
    }
}
