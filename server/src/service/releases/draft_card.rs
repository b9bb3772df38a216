use std::collections::{BTreeMap, BTreeSet};

use sekisho_domain::lineage::LineageFile;
use sekisho_domain::score::ResultEntry;
use sekisho_hub::card::{CardCheckpoint, CardFacts, CardMean, CardScore};
use sekisho_policy::Owed;
use sekisho_store::{Checkpoint, Verification};

use super::texts;
use crate::service::evaluations;
use crate::{App, WebError};

/// Everything that the card of a checkpoint says.
pub(super) async fn card_facts(
    app: &App,
    checkpoint: &Checkpoint,
    found: &Verification,
    lineage: &LineageFile,
    owed: &Owed,
) -> Result<CardFacts, WebError> {
    let run = app.store.run(checkpoint.run).await?;
    let (mut scores, mut mean) = (Vec::new(), None);
    for evaluation in app.store.evaluations_of(checkpoint.id).await? {
        let of_suite = evaluations::suite_scores(app, &evaluation).await?;
        let work = app.store.work_of(evaluation.id).await?;
        for row in of_suite.tasks.into_iter().flatten() {
            let limit = work.iter().find(|w| w.work.id == row.work).and_then(|w| w.work.run.limit);
            scores.push(card_score(app, row.entry, limit)?);
        }
        let suite = evaluation.suite;
        mean = mean.or(of_suite.mean.map(|interval| CardMean { suite, interval }));
    }
    Ok(CardFacts {
        lineage: lineage.clone(),
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
