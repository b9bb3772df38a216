//! The model card of a release: everything that the service knows about it, and what people wrote.

use std::collections::{BTreeMap, BTreeSet};

use sekisho_domain::lineage::LineageFile;
use sekisho_domain::score::ResultEntry;
use sekisho_domain::{Language, ReleaseId};
use sekisho_hub::card::{
    self, CardCheckpoint, CardCredit, CardEditError, CardEdits, CardExtras, CardFacts, CardMean, CardScore,
    Section,
};
use sekisho_policy::Owed;
use sekisho_store::{Checkpoint, Release, Verification};

use super::{act, card_extras, content, facts, leave, texts};
use crate::service::{checkpoints, corpora, found, people};
use crate::{Actor, App, WebError};
use sekisho_domain::release::ReleaseAction;
use sekisho_domain::user::{Role, Scope};

/// Makes both cards of a release again, from what is known now and what people wrote.
pub(super) async fn write(app: &App, release: &mut Release, checkpoint: &Checkpoint) -> Result<(), WebError> {
    let facts = facts_of(app, release, checkpoint).await?;
    let edits = edits(&release.card_edits)?;
    release.card_en = card::render(&facts, &edits, Language::En);
    release.card_ja = card::render(&facts, &edits, Language::Ja);
    Ok(())
}

/// Everything that the card of a release says.
async fn facts_of(app: &App, release: &Release, checkpoint: &Checkpoint) -> Result<CardFacts, WebError> {
    let found = verified(checkpoint)?;
    let (lineage, _) = content::lineage(&release.lineage)?;
    let mut of_lineage = facts::of_lineage(app, release).await?;
    of_lineage.registry = Some(corpora::registry(app).await?);
    let owed = sekisho_policy::owed(&of_lineage, &app.policy);
    let mut extras = card_extras::gather(app, release, checkpoint, found, &lineage).await?;
    extras.restrictions = owed.restrictions.iter().cloned().collect();
    let credit =
        |(name, license): &(String, String)| CardCredit { name: name.clone(), license: license.clone() };
    extras.credits = owed.credits.iter().map(credit).collect();
    let mut facts = card_facts(app, checkpoint, found, lineage, &owed, extras).await?;
    if let Some(prepared) = &release.prepared {
        facts.checkpoint.digest = prepared.digest;
        facts.checkpoint.dtype.clone_from(&prepared.dtype);
    }
    Ok(facts)
}

/// What the ingest job found out; only a verified checkpoint is released.
pub(super) fn verified(checkpoint: &Checkpoint) -> Result<&Verification, WebError> {
    checkpoint.verification.as_ref().ok_or_else(|| {
        let detail =
            format!("Checkpoint {} is {}; only a verified one is released.", checkpoint.id, checkpoint.state);
        WebError::conflict("checkpoint-unverified", detail)
    })
}

async fn card_facts(
    app: &App,
    checkpoint: &Checkpoint,
    found: &Verification,
    lineage: LineageFile,
    owed: &Owed,
    extras: CardExtras,
) -> Result<CardFacts, WebError> {
    let run = app.store.run(checkpoint.run).await?;
    let (mut scores, mut mean) = (Vec::new(), None);
    for evaluation in app.store.evaluations_of(checkpoint.id).await? {
        let of_suite = found::of(app, &evaluation).await?;
        for row in of_suite.primary() {
            let limit = of_suite.work.iter().find(|w| w.work.id == row.work).and_then(|w| w.work.run.limit);
            scores.push(card_score(app, row.entry.clone(), limit)?);
        }
        let suite = evaluation.suite;
        mean = mean.or(of_suite.scores.mean.map(|interval| CardMean { suite, interval }));
    }
    Ok(CardFacts {
        lineage,
        languages: languages(&scores),
        checkpoint: CardCheckpoint {
            run: checkpoint.run_name.clone(),
            step: checkpoint.step,
            tokens: checkpoint.tokens,
            digest: found.digest,
            parameters: found.parameters,
            embedding_parameters: found.embedding_parameters,
            dtype: found.dtype.clone(),
        },
        config: found.config.clone(),
        spec: run.and_then(|run| run.spec),
        scores,
        mean,
        built_with: owed.built_with.iter().cloned().collect(),
        notices: texts::credits(owed),
        extras,
    })
}

/// The languages of the tasks, those of most tasks first: what is known about the languages of the model.
fn languages(scores: &[CardScore]) -> Vec<String> {
    let mut tasks: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for score in scores {
        tasks.entry(&score.language).or_default().insert(&score.entry.task);
    }
    let mut languages: Vec<(&str, usize)> =
        tasks.into_iter().map(|(language, tasks)| (language, tasks.len())).collect();
    languages.sort_by_key(|(language, tasks)| (std::cmp::Reverse(*tasks), *language));
    languages.into_iter().map(|(language, _)| language.to_owned()).collect()
}

fn card_score(app: &App, entry: ResultEntry, limit: Option<u64>) -> Result<CardScore, WebError> {
    let definition = app.catalog.find(&entry.profile, &entry.task).map_err(WebError::internal)?;
    Ok(CardScore {
        title_en: definition.title_en.clone(),
        title_ja: definition.title_ja.clone(),
        language: definition.language.clone(),
        entry,
        limit,
    })
}

/// People's texts as the card knows them.
fn edits(kept: &sekisho_store::CardEdits) -> Result<CardEdits, WebError> {
    let json = serde_json::to_value(kept).map_err(WebError::internal)?;
    serde_json::from_value(json).map_err(WebError::internal)
}

/// Which sections take a text, with what stands in each now: people's text, else the default.
///
/// # Errors
/// When the store fails.
pub async fn editable(
    app: &App,
    release: &Release,
    language: Language,
) -> Result<BTreeMap<Section, String>, WebError> {
    let checkpoint = checkpoints::find(app, &release.checkpoint.to_string()).await?;
    let facts = facts_of(app, release, &checkpoint).await?;
    let mut texts = card::defaults(&facts, language);
    texts.extend(edits(&release.card_edits)?.of(language).clone());
    Ok(texts)
}

/// Changes people's texts in the card: back to draft, approvals void. A text that is empty, or the default, brings the default back.
///
/// # Errors
/// 403 for anybody but the author, 409 while it is being published, 412 when it has changed, 422 for a text that cannot stand there.
pub async fn edit_card(
    app: &App,
    actor: &Actor,
    id: ReleaseId,
    version: u64,
    sections: &sekisho_store::CardEdits,
) -> Result<Release, WebError> {
    let done = write_sections(app, actor, id, version, sections).await;
    people::on_record(app, actor, "release.edit", &id.to_string(), done).await
}

async fn write_sections(
    app: &App,
    actor: &Actor,
    id: ReleaseId,
    version: u64,
    sections: &sekisho_store::CardEdits,
) -> Result<Release, WebError> {
    let mut release = super::find(app, &id.to_string()).await?;
    actor.require_in(&release.project, &[Role::Contributor], Scope::Release)?;
    super::propose::author_at(actor, &release, version)?;
    leave::check(app, &release, ReleaseAction::Edit).await?;
    let checkpoint = checkpoints::find(app, &release.checkpoint.to_string()).await?;
    let facts = facts_of(app, &release, &checkpoint).await?;
    for (code, texts) in sections {
        let language: Language = code.parse().map_err(|_| unknown("language", code, "en, ja"))?;
        let defaults = card::defaults(&facts, language);
        let kept = release.card_edits.entry(code.clone()).or_default();
        for (name, text) in texts {
            let section: Section = name.parse().map_err(|error: String| refused(&format!("{error}.")))?;
            let text = text.replace("\r\n", "\n");
            card::check_edit(section, &text).map_err(|error| not_taken(section, &error))?;
            if text.trim().is_empty() || defaults.get(&section).is_some_and(|d| d.trim() == text.trim()) {
                kept.remove(name);
            } else {
                kept.insert(name.clone(), text);
            }
        }
    }
    release.card_edits.retain(|_, texts| !texts.is_empty());
    write(app, &mut release, &checkpoint).await?;
    let release = act::step(app, actor, release, ReleaseAction::Edit, "").await?;
    app.events.publish(format!("release:{id}"), "state");
    Ok(release)
}

fn unknown(what: &str, name: &str, known: &str) -> WebError {
    refused(&format!("\"{name}\" is no {what} of a card; there are {known}."))
}

fn refused(detail: &str) -> WebError {
    WebError::refused("card-edit", detail)
}

fn not_taken(section: Section, error: &CardEditError) -> WebError {
    let text = error.text();
    let (en, ja) = (section.title(Language::En), section.title(Language::Ja));
    refused(&format!("{en}: {}", text.en)).or_ja(format!("{ja}：{}", text.ja))
}
