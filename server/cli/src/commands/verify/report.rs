use sekisho_domain::Sha256;
use sekisho_hub::signature::{KeySource, Verification};
use serde::Serialize;

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
    /// Everything that is wrong, a sentence each.
    pub(super) problems: Vec<String>,
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
    pub(super) fn new(
        of: String,
        signature: Option<Verification>,
        digest: Digest,
        other: Vec<String>,
    ) -> Self {
        let found = signature.iter().flat_map(|found| &found.problems).map(|problem| problem.text().en);
        let problems: Vec<String> = found.chain(other).collect();
        Self { of, good: problems.is_empty(), signature, digest, problems }
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
            printer.say(&signature.summary().en);
        }
        Ok(ExitStatus::Ok)
    }

    fn facts(&self) -> Vec<(&'static str, String)> {
        let mut facts = vec![("release", self.of.clone())];
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
        let told = Report::new("m".to_owned(), None, digest(a, None, b), vec!["x".to_owned()]);
        assert!(!told.good && told.facts().iter().any(|(_, fact)| fact.contains("not the one in README.md")));
    }
}
