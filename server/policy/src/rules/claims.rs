//! Words of openness in the announcement and the cards, against what this release is.

use std::collections::BTreeSet;

use sekisho_domain::lineage::{Gating, InputKind, ReleaseSection, Visibility};

use crate::decision::{Code, Findings, Weight};
use crate::expression::resolve;
use crate::lineage::Usage;
use crate::messages;
use crate::rules::files::visible;
use crate::rules::phrases::{Hit, Phrase, find, follows_near, goes_on, holds, normalize};
use crate::rules::{Case, licenses};
use crate::set::{ClaimRule, Duty, LicenseClass, Requirement, Softened, Use};
use sekisho_domain::Text;

pub(crate) fn judge(case: &Case<'_>, findings: &mut Findings) {
    let Some(release) = &case.facts.lineage.release else { return };
    let rules = case.set.rules();
    let harmless = rules.softened.harmless.iter().map(|text| Phrase::new(text, None));
    let claims = rules
        .claims
        .iter()
        .flat_map(|claim| claim.phrases.iter().map(move |text| Phrase::new(text, Some(claim))));
    let claims: Vec<Phrase<Option<&ClaimRule>>> = claims.chain(harmless).collect();
    let data: Vec<Phrase<()>> = rules.data_claim.phrases.iter().map(|text| Phrase::new(text, ())).collect();
    for (place, text) in places(case) {
        let text = normalize(&text);
        for hit in find(&text, &claims) {
            if let Some(claim) = hit.phrase.meaning {
                open_claim(case, release, claim, &place, &Found::new(&hit, &text, &rules.softened), findings);
            }
        }
        for hit in find(&text, &data) {
            data_claim(case, &place, &Found::new(&hit, &text, &rules.softened), findings);
        }
    }
}

/// A phrase in its text: its words, and whether they refuse or only warn.
struct Found {
    words: String,
    weight: Weight,
}

impl Found {
    fn new<T>(hit: &Hit<'_, T>, text: &[char], rules: &Softened) -> Self {
        let weight = if is_softened(hit, text, rules) { Weight::Warning } else { Weight::Violation };
        Self { words: hit.words(text), weight }
    }
}

/// Negated, or about somebody else's work: a person must look, the rule cannot tell.
fn is_softened<T>(hit: &Hit<'_, T>, text: &[char], rules: &Softened) -> bool {
    let (before, inside, after) = (hit.before(text), &text[hit.start..hit.end], hit.after(text));
    let any = |words: &[String], holds: &dyn Fn(&str) -> bool| words.iter().any(|word| holds(word));
    let negated = if inside.iter().all(char::is_ascii) {
        any(&rules.before, &|word| holds(before, word, before.len()))
            && !any(&rules.unless_before, &|word| holds(before, word, before.len()))
    } else {
        any(&rules.after, &|word| follows_near(after, word))
            || any(&rules.within, &|word| holds(inside, word, inside.len()))
    };
    negated || any(&rules.about_others, &|word| goes_on(after, word))
}

/// The announcement and every card, each with its name in a sentence.
fn places(case: &Case<'_>) -> Vec<(Text, String)> {
    let announcement =
        case.facts.announcement.iter().map(|text| (messages::WHERE_ANNOUNCEMENT.fill(&[]), text.clone()));
    let cards = case.facts.files.iter().flatten().filter(|file| file.path.starts_with("README"));
    let cards = cards.map(|file| (messages::WHERE_CARD.fill(&[("file", &file.path)]), visible(file.text())));
    announcement.chain(cards).collect()
}

fn open_claim(
    case: &Case<'_>,
    release: &ReleaseSection,
    claim: &ClaimRule,
    place: &Text,
    found: &Found,
    findings: &mut Findings,
) {
    let allowed = allowed(release);
    let model = &case.facts.lineage.model.name;
    for (requirement, reason) in
        claim.requires.iter().flat_map(|requirement| unmet(case, release, *requirement))
    {
        let values = |place, reason, allowed| {
            [("where", place), ("phrase", found.words.as_str()), ("reason", reason), ("allowed", allowed)]
        };
        let text = messages::OPEN_CLAIM.fill_each(
            &values(&place.en, &reason.en, &allowed.en),
            &values(&place.ja, &reason.ja, &allowed.ja),
        );
        let derivation = format!("{} → claim {} requires {requirement}", place.en, claim.id);
        findings.add(found.weight, Code::OpenClaim, text, model, derivation);
    }
}

/// What may be said of any release with this visibility and gating.
fn allowed(release: &ReleaseSection) -> Text {
    match (release.visibility, release.gating) {
        (Visibility::Private, _) => messages::ALLOWED_NOTHING.fill(&[]),
        (Visibility::Public, Gating::Manual) => messages::ALLOWED_ON_REQUEST.fill(&[]),
        (Visibility::Public, Gating::None | Gating::Auto) => messages::ALLOWED_OPEN_WEIGHTS.fill(&[]),
    }
}

/// Why the release does not meet a requirement; one reason per cause, so that more inputs only add reasons.
fn unmet(case: &Case<'_>, release: &ReleaseSection, requirement: Requirement) -> Vec<(&'static str, Text)> {
    let when = |broken: bool, name, template: &messages::Template| {
        if broken { vec![(name, template.fill(&[]))] } else { Vec::new() }
    };
    match requirement {
        Requirement::Public => {
            when(release.visibility == Visibility::Private, "public", &messages::REASON_PRIVATE)
        }
        Requirement::Ungated => when(release.gating != Gating::None, "ungated", &messages::REASON_GATED),
        Requirement::NotManual => {
            when(release.gating == Gating::Manual, "not-manual", &messages::REASON_MANUAL)
        }
        Requirement::OpenLicense => unmet_license(case, release, "open-license", |_, class| class.is_open()),
        Requirement::OsiLicense => {
            unmet_license(case, release, "osi-license", |osi, class| osi && class.is_open())
        }
        Requirement::DataInformation => {
            // What is missing altogether is a violation of its own.
            let unknown = case.walked.usages.iter().any(|usage| !is_informed(case, usage));
            when(unknown, "data-information", &messages::REASON_DATA_UNKNOWN)
        }
        Requirement::DataPublished => {
            let closed =
                case.walked.usages.iter().any(|usage| usage.is_text() && !is_redistributable(case, usage));
            when(closed, "data-published", &messages::REASON_DATA_CLOSED)
        }
    }
}

/// Every declared licence, and every licence that an input makes the release declare, must be as `open` says.
fn unmet_license(
    case: &Case<'_>,
    release: &ReleaseSection,
    name: &'static str,
    open: fn(bool, LicenseClass) -> bool,
) -> Vec<(&'static str, Text)> {
    let declared = release.license.iter().filter_map(|license| case.set.license(license));
    let reaching =
        case.walked.usages.iter().flat_map(licenses::licensed).flat_map(|(expression, r#use, _)| {
            let rules = expression.and_then(|text| resolve(text, case.set)).unwrap_or_default();
            rules
                .into_iter()
                .filter(move |rule| r#use != Use::Corpus && rule.duties(r#use).contains(&Duty::Declare))
        });
    let closed: BTreeSet<(&str, bool)> = declared
        .chain(reaching)
        .filter(|rule| !open(rule.osi, rule.class))
        .map(|rule| (rule.id.as_str(), rule.class.is_open()))
        .collect();
    let reason = |(id, is_open): (&str, bool)| {
        let template = if is_open { &messages::REASON_NOT_OSI } else { &messages::REASON_RESTRICTED };
        (name, template.fill(&[("license", id)]))
    };
    if release.license.is_empty() {
        return std::iter::once((name, messages::REASON_NO_LICENSE.fill(&[])))
            .chain(closed.into_iter().map(reason))
            .collect();
    }
    closed.into_iter().map(reason).collect()
}

/// Enough is known about the input for another to find or rebuild its like: name, level, licence, tokens; for a model its lineage.
fn is_informed(case: &Case<'_>, usage: &Usage<'_>) -> bool {
    let input = usage.input;
    match input.kind {
        InputKind::Corpus | InputKind::Synthetic | InputKind::Preference => {
            input.license.as_ref().is_some_and(|license| resolve(license, case.set).is_some())
                && input.level.as_ref().is_some_and(|level| case.set.level(level).is_some())
                && (input.tokens.is_some() || input.kind == InputKind::Preference)
        }
        InputKind::BaseModel | InputKind::Merge => input.lineage.is_some(),
        InputKind::Tokenizer | InputKind::Reward => true,
    }
}

fn is_redistributable(case: &Case<'_>, usage: &Usage<'_>) -> bool {
    let level = usage.input.level.as_ref().and_then(|level| case.set.level(level));
    let license = usage.input.license.as_ref().and_then(|license| resolve(license, case.set));
    level.is_some_and(|level| level.redistribute)
        && license.is_some_and(|rules| rules.iter().all(|rule| rule.class.is_open()))
}

/// "The training data is out" while some of it may not be.
fn data_claim(case: &Case<'_>, place: &Text, found: &Found, findings: &mut Findings) {
    let kept: BTreeSet<&str> = case
        .walked
        .usages
        .iter()
        .filter(|usage| {
            usage
                .input
                .level
                .as_ref()
                .and_then(|level| case.set.level(level))
                .is_some_and(|rule| rule.train && !rule.redistribute)
        })
        .map(|usage| usage.name)
        .collect();
    if kept.is_empty() {
        return;
    }
    let text = messages::DATA_CLAIM.fill(&[("phrase", &found.words), ("count", &kept.len().to_string())]);
    for subset in kept {
        let derivation = format!("{} → \"{subset}\" → level: redistribute", place.en);
        findings.add(found.weight, Code::DataClaim, text.clone(), &case.facts.lineage.model.name, derivation);
    }
}
