use std::collections::BTreeMap;

use sekisho_domain::lineage::LineageFile;
use sekisho_domain::parse_toml;
use sekisho_policy::{Facts, ReleasedFile, Trained};
use sekisho_store::{Checkpoint, Release};

use super::texts::ANNOUNCEMENT;
use super::{against, contaminated, content};
use crate::service::{corpora, found, runs};
use crate::{App, WebError};

/// What the policy judges a release by: the same as `policy check` reads from its author's folder, with the card that is
/// published, the run's specification and the scores.
pub(super) async fn of(app: &App, release: &Release, checkpoint: &Checkpoint) -> Result<Facts, WebError> {
    let mut facts = of_lineage(app, release).await?;
    facts.files = Some(released_texts(app, release).await?);
    if let Some(key) = release.files.get(ANNOUNCEMENT) {
        facts.announcement = Some(text(app, ANNOUNCEMENT, key).await?);
    }
    facts.missing.clone_from(&release.missing);
    facts.trained = trained(app, checkpoint).await?;
    facts.registry = Some(corpora::registry(app).await?);
    facts.regressions = against::regressions(against::against_published(app, release, checkpoint).await?);
    let mut scores = Vec::new();
    for evaluation in app.store.evaluations_of(checkpoint.id).await? {
        scores.extend(found::of(app, &evaluation).await?.primary().cloned());
    }
    (facts.contamination, facts.unreported) = contaminated::facts(app, checkpoint, &scores).await?;
    facts.scores.extend(scores.into_iter().map(|row| row.entry));
    Ok(facts)
}

/// The lineage alone: the release's own file and those it descends from.
pub(super) async fn of_lineage(app: &App, release: &Release) -> Result<Facts, WebError> {
    let (lineage, _) = content::lineage(&release.lineage)?;
    let mut facts = Facts::of(&release.path, lineage);
    for (path, key) in &release.parents {
        facts.add_parent(path, parent(path, &text(app, path, key).await?)?);
    }
    Ok(facts)
}

/// A lineage file that another one refers to.
pub(super) fn parent(path: &str, text: &str) -> Result<LineageFile, WebError> {
    parse_toml(path, text).map_err(|error| WebError::refused("lineage", format!("{error}.")))
}

/// `[[data.mix]]` of the specifications of the run and of all runs that it descends from.
pub(super) async fn trained(app: &App, checkpoint: &Checkpoint) -> Result<Vec<Trained>, WebError> {
    let Some(run) = app.store.run(checkpoint.run).await? else { return Ok(Vec::new()) };
    let mut trained = Vec::new();
    for run in runs::line(app, run).await? {
        let claims = run.spec.iter().flat_map(corpora::claims);
        trained.extend(claims.map(|claim| Trained {
            run: run.name.clone(),
            subset: claim.subset,
            level: claim.level,
        }));
    }
    Ok(trained)
}

async fn released_texts(app: &App, release: &Release) -> Result<Vec<ReleasedFile>, WebError> {
    let cards = [("README.md", &release.card_en), ("README_ja.md", &release.card_ja)];
    let card = |(path, text): (&str, &String)| ReleasedFile {
        path: path.to_owned(),
        bytes: text.clone().into_bytes(),
    };
    let mut texts: Vec<ReleasedFile> = cards.into_iter().map(card).collect();
    let given = release.files.iter().filter(|(path, _)| *path != ANNOUNCEMENT).collect();
    let given = self::texts(app, given).await?;
    texts.extend(given.into_iter().map(|(path, text)| ReleasedFile { path, bytes: text.into_bytes() }));
    Ok(texts)
}

/// Texts of a release by their paths, from the blob store.
///
/// # Errors
/// When one is gone, or is no text.
pub async fn texts(app: &App, keys: Vec<(&String, &String)>) -> Result<BTreeMap<String, String>, WebError> {
    let mut texts = BTreeMap::new();
    for (path, key) in keys {
        texts.insert(path.clone(), text(app, path, key).await?);
    }
    Ok(texts)
}

/// A text of a release from the blob store.
pub(super) async fn text(app: &App, path: &str, key: &str) -> Result<String, WebError> {
    let gone = || WebError::internal(format_args!("the text {path} of a release is gone ({key})"));
    let bytes = app.blobs.get(key).await?.ok_or_else(gone)?;
    String::from_utf8(bytes).map_err(WebError::internal)
}
