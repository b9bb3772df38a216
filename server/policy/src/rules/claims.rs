//! Words of openness, and of restriction, in the announcement, the description and the cards, against what this release is.

use std::collections::BTreeSet;

use sekisho_domain::lineage::{Gating, InputKind, ReleaseSection, Visibility};

use crate::decision::{Citation, Code, Findings, Weight};
use crate::expression::resolve;
use crate::lineage::Usage;
use crate::messages;
use crate::rules::files::visible;
use crate::rules::phrases::{Hit, Phrase, find, follows_near, goes_on, holds, normalize};
use crate::rules::{Case, licenses};
use crate::set::{ClaimRule, Duty, LicenseClass, Requirement, Softened, Strictness, Use};
use sekisho_domain::Text;

pub(crate) fn judge(case: &Case<'_>, findings: &mut Findings) {
    let Some(release) = &case.facts.lineage.release else { return };
    let (openness, data) = (openness(case), data(case));
    let rules = case.set.rules();
    let harmless = rules.softened.harmless.iter();
    let restrictive = rules.restrictive.phrases.iter().map(|text| Phrase::new(text, true));
    let restrictive: Vec<Phrase<bool>> =
        restrictive.chain(harmless.map(|text| Phrase::new(text, false))).collect();
    for (place, text) in places(case, release) {
        let text = normalize(&text);
        for hit in find(&text, &openness) {
            if let Some(claim) = hit.phrase.meaning {
                open_claim(case, release, claim, &place, &Found::new(&hit, &text, &rules.softened), findings);
            }
        }
        for hit in find(&text, &data) {
            data_claim(case, &place, &Found::new(&hit, &text, &rules.softened), findings);
        }
        for hit in find(&text, &restrictive).into_iter().filter(|hit| hit.phrase.meaning) {
            contradiction(case, release, &place, &Found::new(&hit, &text, &rules.softened), findings);
        }
    }
}

/// What an announcement claims that the release is not: each phrase as it was found, with what is said about it. Phrases that the rules
/// allow here are not among them.
pub(crate) fn of_announcement(case: &Case<'_>, text: &str) -> Vec<(String, Findings)> {
    let Some(release) = &case.facts.lineage.release else { return Vec::new() };
    let (openness, data) = (openness(case), data(case));
    let place = messages::WHERE_ANNOUNCEMENT.fill(&[]);
    let (softened, text) = (&case.set.rules().softened, normalize(text));
    let mut claims: Vec<(usize, String, Findings)> = Vec::new();
    for hit in find(&text, &openness) {
        let (found, mut findings) = (Found::new(&hit, &text, softened), Findings::default());
        if let Some(claim) = hit.phrase.meaning {
            open_claim(case, release, claim, &place, &found, &mut findings);
        }
        claims.push((hit.start, found.words, findings));
    }
    for hit in find(&text, &data) {
        let (found, mut findings) = (Found::new(&hit, &text, softened), Findings::default());
        data_claim(case, &place, &found, &mut findings);
        claims.push((hit.start, found.words, findings));
    }
    claims.sort_by_key(|(start, ..)| *start);
    let found = claims.into_iter().filter(|(.., findings)| findings.cited().next().is_some());
    found.map(|(_, words, findings)| (words, findings)).collect()
}

/// The phrases that claim openness, and those that only look like one of them.
fn openness<'s>(case: &Case<'s>) -> Vec<Phrase<Option<&'s ClaimRule>>> {
    let rules = case.set.rules();
    let of_claim =
        |claim: &'s ClaimRule| claim.phrases.iter().map(move |text| Phrase::new(text, Some(claim)));
    let harmless = rules.softened.harmless.iter().map(|text| Phrase::new(text, None));
    rules.claims.iter().flat_map(of_claim).chain(harmless).collect()
}

/// The phrases that say that the training data is out.
fn data(case: &Case<'_>) -> Vec<Phrase<()>> {
    case.set.rules().data_claim.phrases.iter().map(|text| Phrase::new(text, ())).collect()
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

/// The announcement, the description of the repository and every card, each with its name in a sentence.
fn places(case: &Case<'_>, release: &ReleaseSection) -> Vec<(Text, String)> {
    let at = |template: &messages::Template, text: &String| (template.fill(&[]), text.clone());
    let announcement = case.facts.announcement.iter().map(|text| at(&messages::WHERE_ANNOUNCEMENT, text));
    let description = release.description.iter().map(|text| at(&messages::WHERE_DESCRIPTION, text));
    let cards = case.facts.files.iter().flatten().filter(|file| file.path.starts_with("README"));
    let cards = cards.map(|file| (messages::WHERE_CARD.fill(&[("file", &file.path)]), visible(file.text())));
    announcement.chain(description).chain(cards).collect()
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
        let rule = Citation::new(format!("claim {}", claim.id), requirement, &claim.source);
        findings.add_by(found.weight, Code::OpenClaim, text, (model, derivation), Some(rule));
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
            let unknown = case.walked.usages.iter().any(|usage| !lacking(case, usage).is_empty());
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

/// What is not known about an input, so that nobody else could find or rebuild its like: of text level, licence and tokens, of a
/// model its lineage.
pub(crate) fn lacking(case: &Case<'_>, usage: &Usage<'_>) -> Vec<&'static messages::Template> {
    let input = usage.input;
    let mut lacking = Vec::new();
    match input.kind {
        InputKind::Corpus | InputKind::Synthetic | InputKind::Preference => {
            if usage.level.and_then(|level| case.set.level(level)).is_none() {
                lacking.push(&messages::WHAT_LEVEL);
            }
            if usage.license.and_then(|license| resolve(license, case.set)).is_none() {
                lacking.push(&messages::WHAT_LICENSE);
            }
            if input.tokens.is_none() && input.kind != InputKind::Preference {
                lacking.push(&messages::WHAT_TOKENS);
            }
        }
        InputKind::BaseModel | InputKind::Merge if input.lineage.is_none() => {
            lacking.push(&messages::WHAT_LINEAGE);
        }
        InputKind::BaseModel | InputKind::Merge | InputKind::Tokenizer | InputKind::Reward => {}
    }
    lacking
}

fn is_redistributable(case: &Case<'_>, usage: &Usage<'_>) -> bool {
    let level = usage.level.and_then(|level| case.set.level(level));
    let license = usage.license.and_then(|license| resolve(license, case.set));
    level.is_some_and(|level| level.redistribute.allows())
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
                .level
                .and_then(|level| case.set.level(level))
                .is_some_and(|rule| rule.train.allows() && !rule.redistribute.allows())
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

/// A sentence that restricts what none of the declared licences restricts: one of the two is not meant.
fn contradiction(
    case: &Case<'_>,
    release: &ReleaseSection,
    place: &Text,
    found: &Found,
    findings: &mut Findings,
) {
    let declared: Option<Vec<_>> = release.license.iter().map(|license| case.set.license(license)).collect();
    let Some(declared) = declared.filter(|rules| !rules.is_empty()) else { return };
    if !declared.iter().all(|rule| rule.class.is_open()) {
        return;
    }
    let weight = match case.set.house().card_contradiction {
        Some(Strictness::Allow) => return,
        Some(Strictness::Refuse) => found.weight,
        Some(Strictness::Warn) | None => Weight::Warning,
    };
    let license = declared.iter().map(|rule| rule.id.as_str()).collect::<Vec<_>>().join(", ");
    let values = |place| [("where", place), ("phrase", found.words.as_str()), ("license", license.as_str())];
    let text = messages::CARD_CONTRADICTION.fill_each(&values(&place.en), &values(&place.ja));
    let model = &case.facts.lineage.model.name;
    let derivation = format!("{} → restrictive: \"{}\"", place.en, found.words);
    findings.add(weight, Code::CardContradiction, text, model, derivation);
}
