//! What comes out: verdict, violations, warnings, obligations, each with its code, its text and why it holds.

use std::collections::{BTreeMap, BTreeSet};

use sekisho_domain::{Language, Sha256, Text, canonical_json};
use serde::{Deserialize, Serialize};

use crate::PolicySet;
use crate::messages;

/// Declares the codes with their fixed names.
macro_rules! codes {
    ($($(#[$doc:meta])* $variant:ident = $name:literal),+ $(,)?) => {
        /// The stable name of a rule. An obligation that would be a violation when not met bears the violation's code.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum Code { $($(#[$doc])* #[serde(rename = $name)] $variant),+ }

        impl Code {
            /// Every code, in the order of the contract.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The fixed name.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name),+ }
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
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// Which rule.
    pub code: Code,
    /// What it says, in both languages.
    pub text: Text,
    /// Why it holds, one line per way in: input → edge → … → rule.
    pub derivation: Vec<String>,
}

/// Whether the release may go out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// No violation.
    Allowed,
    /// At least one.
    Refused,
}

/// Which rules were applied.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyRef {
    /// Name of the set.
    pub name: String,
    /// Its version.
    pub version: String,
    /// SHA-256 of its text.
    pub digest: Sha256,
}

/// The decision, serialised as `policy check --json` shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
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

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Weight {
    Violation,
    Warning,
    Obligation,
}

/// What a finding is about, for waivers: the input's id, or nothing when it is about the release itself.
type Subjects = BTreeSet<String>;

/// Findings on their way to a decision. Findings of one code with the same text are one finding with several derivations.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    found: BTreeMap<(Weight, Code, Text), (BTreeSet<String>, Subjects)>,
}

impl Findings {
    pub(crate) fn add(&mut self, weight: Weight, code: Code, text: Text, subject: &str, derivation: String) {
        let (derivations, subjects) = self.found.entry((weight, code, text)).or_default();
        derivations.insert(derivation);
        subjects.insert(subject.to_owned());
    }

    /// Turns the violations of one code that are about `input` (all of them when it is absent) into warnings; says whether there were any.
    /// A finding with several subjects is lifted only for the one that the waiver names, so it stays while another holds it up.
    pub(crate) fn lift(&mut self, code: Code, input: Option<&str>, note: &str) -> bool {
        let hit: Vec<_> = self
            .found
            .iter()
            .filter(|((weight, known, _), (_, subjects))| {
                let about = |name: &str| subjects.iter().all(|subject| subject == name);
                *weight == Weight::Violation && *known == code && input.is_none_or(about)
            })
            .map(|(key, _)| key.clone())
            .collect();
        for key in &hit {
            let Some((mut derivations, subjects)) = self.found.remove(key) else { continue };
            derivations.insert(note.to_owned());
            self.found.insert((Weight::Warning, key.1, key.2.clone()), (derivations, subjects));
        }
        !hit.is_empty()
    }

    pub(crate) fn decide(self, set: &PolicySet) -> Decision {
        let mut lists: BTreeMap<Weight, Vec<Finding>> = BTreeMap::new();
        for ((weight, code, text), (derivation, _)) in self.found {
            let finding = Finding { code, text, derivation: derivation.into_iter().collect() };
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
