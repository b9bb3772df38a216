use sekisho_domain::{Language, Sha256};
use sekisho_hub::signature::{KeySource, Verification};
use serde::{Deserialize, Serialize};

use crate::exit::{ExitStatus, Failed};
use crate::printer::Printer;

/// What came of a verification.
#[derive(Serialize)]
pub(super) struct Report {
    /// The folder, or `owner/name` at a commit.
    pub(super) of: String,
    /// Whether everything fits.
    pub(super) good: bool,
    /// By the signature; null where it could not be judged.
    pub(super) signature: Option<Verification>,
    pub(super) digest: Digest,
    /// What the release tells of itself, where everything is as it was signed.
    pub(super) release: Option<Record>,
    /// Everything that is wrong, a sentence each.
    pub(super) problems: Vec<String>,
    #[serde(skip)]
    language: Language,
}

/// `release.json`.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Record {
    release: String,
    signer: String,
    policy: Policy,
    approvals_needed: u32,
    /// The blanket approval under which it went out by itself.
    #[serde(default)]
    channel: Option<String>,
    judged: String,
}

#[derive(Clone, Serialize, Deserialize)]
struct Policy {
    name: String,
    version: String,
    digest: String,
}

impl Record {
    fn facts(&self) -> Vec<(&'static str, String)> {
        // The key may be anybody's, and so may these words.
        let plain = |text: &str| text.escape_debug().to_string();
        let Policy { name, version, digest } = &self.policy;
        let policy = plain(&format!("{name} {version}"));
        let beforehand = self
            .channel
            .as_ref()
            .map(|channel| format!(", given beforehand for channel \"{}\"", plain(channel)));
        let needed = self.approvals_needed;
        vec![
            ("signer", format!("{}  (release {})", plain(&self.signer), plain(&self.release))),
            ("policy", format!("{policy}  ({}, judged on {})", plain(digest), plain(&self.judged))),
            ("approvals", format!("{needed} needed{}", beforehand.unwrap_or_default())),
        ]
    }
}

/// Identity of weights and configuration.
#[derive(Default, Serialize)]
pub(super) struct Digest {
    /// Of the files as they are; null where they are not at hand.
    pub(super) computed: Option<Sha256>,
    /// Of the weights alone.
    pub(super) weights: Option<Sha256>,
    /// What `README.md` says.
    pub(super) card: Option<Sha256>,
}

impl Report {
    /// `record` is the text of `release.json`; it is believed where nothing is wrong with what was signed.
    pub(super) fn new(
        of: String,
        (signature, record): (Option<Verification>, Option<&str>),
        digest: Digest,
        other: Vec<String>,
        language: Language,
    ) -> Self {
        let found = signature.iter().flat_map(|found| &found.problems);
        let found = found.map(|problem| problem.text().get(language).to_owned());
        let problems: Vec<String> = found.chain(other).collect();
        let is_signed = signature.as_ref().is_some_and(Verification::is_good);
        let release = record.filter(|_| is_signed).and_then(|text| serde_json::from_str(text).ok());
        Self { of, good: problems.is_empty(), signature, digest, release, problems, language }
    }

    pub(super) fn tell(&self, json: bool, printer: &Printer) -> anyhow::Result<ExitStatus> {
        if json {
            printer.json(self)?;
        } else {
            printer.facts(&self.facts())?;
        }
        for problem in &self.problems {
            printer.say(problem);
        }
        if !self.good {
            let (of, n) = (&self.of, self.problems.len());
            let count = if n == 1 { "one problem".to_owned() } else { format!("{n} problems") };
            return Err(Failed::user(format!("{of} is not verified: {count}")));
        }
        if let Some(signature) = &self.signature {
            printer.say(signature.summary().get(self.language));
        }
        Ok(ExitStatus::Ok)
    }

    fn facts(&self) -> Vec<(&'static str, String)> {
        let mut facts = vec![("release", self.of.clone())];
        facts.extend(self.release.iter().flat_map(Record::facts));
        if let Some(Verification { key, hint, listed, good, .. }) = &self.signature {
            let source = match key {
                KeySource::Given => "given with --key",
                KeySource::Folder => "came with the files: compare it with the one the lab publishes",
            };
            facts.push(("key", format!("{hint}  ({source})")));
            facts.push(("files", format!("{good}/{listed} as signed")));
        } else {
            facts.push(("signature", "none that can be judged".to_owned()));
        }
        facts.extend(self.digest.facts());
        facts
    }
}

impl Digest {
    /// Why the files are not those of the card, if they are not. A card may name the weights alone.
    pub(super) fn fault(&self) -> Option<String> {
        let (computed, card) = (self.computed?, self.card?);
        let differs = computed != card && self.weights != Some(card);
        differs.then(|| {
            format!(
                "Weights and configuration are {computed}; README.md says {card}. Download the release again."
            )
        })
    }

    fn facts(&self) -> Vec<(&'static str, String)> {
        let beside = match (self.computed, self.card) {
            (Some(_), Some(_)) if self.fault().is_none() => "equal to the one in README.md",
            (Some(_), Some(_)) => "not the one in README.md",
            (Some(_), None) => "README.md names none",
            (None, Some(_)) => "as README.md says; computed from a downloaded folder only",
            (None, None) => return Vec::new(),
        };
        let digest = self.computed.or(self.card);
        let mut facts: Vec<_> =
            digest.iter().map(|digest| ("digest", format!("{digest}  ({beside})"))).collect();
        facts.extend(self.weights.iter().map(|weights| ("weights", weights.to_string())));
        facts
    }
}

/// The digest that a card names below `sekisho verify`.
pub(super) fn digest_in(card: &str) -> Option<Sha256> {
    let mut lines = card.lines().skip_while(|line| !line.trim_start().starts_with("sekisho verify "));
    lines.nth(1)?.trim().strip_prefix("# ")?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digest_stands_below_the_command() {
        let digest = Sha256::of("x");
        let card = format!("# Model\n\n```bash\nsekisho verify 'gate mini'\n# {digest}\n```\n");
        assert_eq!(digest_in(&card), Some(digest));
        assert_eq!(digest_in("```bash\nsekisho verify m\n```"), None);
        assert_eq!(digest_in(&format!("# {digest}\n")), None);
    }

    #[test]
    fn digests_are_held_against_one_another_where_both_are_known() {
        let (a, b) = (Some(Sha256::of("a")), Some(Sha256::of("b")));
        let digest = |computed, weights, card| Digest { computed, weights, card };
        assert!(digest(a, b, a).fault().is_none() && digest(a, b, b).fault().is_none());
        assert!(digest(a, None, b).fault().is_some_and(|fault| fault.contains("README.md says")));
        for unknown in [digest(None, None, b), digest(a, b, None), digest(None, None, None)] {
            assert!(unknown.fault().is_none());
        }
        let other = vec!["x".to_owned()];
        let told = Report::new("m".to_owned(), (None, None), digest(a, None, b), other, Language::En);
        assert!(!told.good && told.facts().iter().any(|(_, fact)| fact.contains("not the one in README.md")));
    }

    #[test]
    fn who_signed_under_which_rules_is_told_of_what_is_as_it_was_signed() {
        let record = r#"{ "release": "01k", "signer": "lab", "policy": { "name": "base", "version": "3", "digest": "ff" },
            "approvals_needed": 2, "channel": "decay\u001b[2J", "judged": "2026-11-30" }"#;
        let signed = |problems: Vec<sekisho_hub::signature::Problem>| Verification {
            key: KeySource::Given,
            hint: "ab".to_owned(),
            listed: 3,
            good: 3,
            ignored: Vec::new(),
            problems,
        };
        let report = |signature: Option<Verification>, record: Option<&str>| {
            Report::new("m".to_owned(), (signature, record), Digest::default(), Vec::new(), Language::Ja)
        };
        let facts = report(Some(signed(Vec::new())), Some(record)).facts();
        for (name, fact) in [
            ("signer", "lab  (release 01k)"),
            ("policy", "base 3  (ff, judged on 2026-11-30)"),
            ("approvals", "2 needed, given beforehand for channel \"decay\\u{1b}[2J\""),
        ] {
            assert!(facts.contains(&(name, fact.to_owned())), "{facts:?}");
        }
        let none = |report: Report| report.facts().iter().all(|(name, _)| *name != "signer");
        assert!(none(report(None, Some(record))), "nobody signed it");
        let changed = sekisho_hub::signature::Problem::Changed { path: "release.json".to_owned() };
        let broken = report(Some(signed(vec![changed])), Some(record));
        assert!(broken.problems[0].contains("署名後に変更されています"), "{:?}", broken.problems);
        assert!(
            none(broken) && none(report(Some(signed(Vec::new())), None)) && none(report(None, Some("x")))
        );
    }
}
