use std::collections::BTreeMap;

use sekisho_domain::Timestamp;
use sekisho_domain::lineage::{InputKind, LineageFile, ReleaseSection};
use sekisho_hub::card::{
    CardComparison, CardComparisonRow, CardCompute, CardDifference, CardEnvironment, CardExtras,
    CardFamilyMember, CardSignature, CardSubset, CardTokenizer,
};
use sekisho_store::{Checkpoint, Release, Verification};

use super::against::{AgainstPublished, against_published};
use super::base::against_base;
use super::{card_sources, contaminated, learning_curve, science, settings, target};
use crate::service::{checkpoints, compute, lineage};
use crate::{Anonymous, App, WebError};

/// Below it a difference is called significant in a card.
const ALPHA: f64 = 0.05;

/// What of the card the service knows from elsewhere than the checkpoint itself.
pub(super) async fn gather(
    app: &App,
    release: &Release,
    checkpoint: &Checkpoint,
    found: &Verification,
    lineage: &LineageFile,
) -> Result<CardExtras, WebError> {
    let Some(section) = target(release) else { return Ok(CardExtras::default()) };
    let readable = app.config.is_https() && app.config.anonymous() == Anonymous::Viewer;
    let page = |path: String| readable.then(|| format!("{}{path}", app.config.public_url));
    let published = against_published(app, release, checkpoint).await?;
    let out = published.as_ref().map(|against| &against.current);
    let base = against_base(app, release, checkpoint, out).await?;
    Ok(CardExtras {
        family: family(app, release, &section, checkpoint).await?,
        tokenizer: Some(CardTokenizer {
            vocabulary: found.vocab_size,
            added: None,
            kind: card_sources::tokenizer_kind(app, checkpoint, found).await?,
            digest: found.tokenizer,
            counted_with: None,
        }),
        cumulative_tokens: lineage::cumulative_tokens(app, checkpoint).await?,
        subsets: subsets(app, checkpoint, lineage).await?,
        compute: compute(app, checkpoint).await?,
        curve: learning_curve::curve(app, checkpoint).await?,
        base,
        previous: published.and_then(|AgainstPublished { current, tasks }| {
            comparison(current.name.clone(), target(&current).map(|section| section.repo), tasks)
        }),
        data_digests: card_sources::data_digests(app, checkpoint).await?,
        environment: environment(app, checkpoint).await?,
        contamination: contaminated::of_card(app, checkpoint).await?,
        results_url: page(format!("/checkpoints/{}", checkpoint.id)),
        components: science::components(app, release, checkpoint, lineage, &section).await?,
        signature: Some(CardSignature {
            key_fingerprint: app.signing.public().hint(),
            signer: section.repo.split('/').next().unwrap_or_default().to_owned(),
            public_key: page("/api/v1/signing-key".to_owned()),
        }),
        year: u16::try_from(app.now().to_jiff().to_zoned(jiff::tz::TimeZone::system()).year()).ok(),
        ..CardExtras::default()
    })
}

/// The releases that went to the same repository, and this one.
async fn family(
    app: &App,
    release: &Release,
    section: &ReleaseSection,
    checkpoint: &Checkpoint,
) -> Result<Vec<CardFamilyMember>, WebError> {
    let mut family = vec![member(release, section, checkpoint, None)];
    for (other, theirs) in settings::published(app, release, &section.repo).await? {
        let model = checkpoints::find(app, &other.checkpoint.to_string()).await?;
        let steps = app.store.steps(other.id).await?;
        let out = steps.iter().map(|step| step.at).max();
        family.push(member(&other, &theirs, &model, out));
    }
    Ok(family)
}

fn member(
    release: &Release,
    section: &ReleaseSection,
    checkpoint: &Checkpoint,
    out: Option<Timestamp>,
) -> CardFamilyMember {
    CardFamilyMember {
        name: release.name.clone(),
        repo: section.repo.clone(),
        revision: section.revision.clone(),
        parameters: checkpoint.verification.as_ref().map(|found| found.parameters),
        tokens: Some(checkpoint.tokens),
        stage: section.stage,
        state: release.state,
        is_this: out.is_none(),
        published: out.map(day),
    }
}

/// `2026-11-30` in the zone of the service.
pub(super) fn day(at: Timestamp) -> String {
    at.to_jiff().to_zoned(jiff::tz::TimeZone::system()).date().to_string()
}

/// The texts of the lineage as the registry has them; none while one is not registered, for a table with half of them would mislead.
async fn subsets(
    app: &App,
    checkpoint: &Checkpoint,
    lineage: &LineageFile,
) -> Result<Vec<CardSubset>, WebError> {
    let spec = app.store.run(checkpoint.run).await?.and_then(|run| run.spec).unwrap_or_default();
    let mixes = spec["data"]["mix"].as_array().cloned().unwrap_or_default();
    let mut subsets = Vec::new();
    for input in &lineage.inputs {
        if !matches!(input.kind, InputKind::Corpus | InputKind::Synthetic | InputKind::Preference) {
            continue;
        }
        let Some(id) = &input.id else { return Ok(Vec::new()) };
        let Some(there) = app.store.subset(id).await?.map(|found| found.subset) else {
            return Ok(Vec::new());
        };
        let mix = mixes.iter().find(|mix| mix["name"].as_str() == Some(id));
        subsets.push(CardSubset {
            id: id.clone(),
            language: there.language,
            stage: input.stage,
            tokens: input.tokens,
            repeats: mix.and_then(|mix| mix["repeat"].as_f64()),
            level: there.level.map(|level| level.to_string()),
            license: there.license.or_else(|| input.license.clone()),
            generator: there.generator.or_else(|| input.generator.clone()),
            generator_license: there.generator_license.or_else(|| input.generator_license.clone()),
            counted_with: there.tokenizer,
        });
    }
    Ok(subsets)
}

/// Another model's scores beside this one's; none without a task that both answered.
pub(super) fn comparison(
    name: String,
    repo: Option<String>,
    tasks: Vec<super::TaskDifference>,
) -> Option<CardComparison> {
    if tasks.is_empty() {
        return None;
    }
    let row = |task: super::TaskDifference| CardComparisonRow {
        fingerprint: task.fingerprint,
        metric: task.metric,
        value: task.theirs,
        range: Some((task.theirs_low, task.theirs_high)),
        reported: false,
        difference: Some(CardDifference { delta: task.delta, p: task.p, significant: task.p < ALPHA }),
    };
    Some(CardComparison {
        name,
        repo,
        rows: tasks.into_iter().map(row).collect(),
        mean: None,
        corrected: true,
    })
}

/// Wall time by devices.
async fn compute(app: &App, checkpoint: &Checkpoint) -> Result<Vec<CardCompute>, WebError> {
    let spent = compute::of_checkpoint(app, checkpoint).await?;
    let card = |spent: compute::Spent| CardCompute { devices: spent.devices, hours: spent.seconds / 3600.0 };
    Ok(spent.into_iter().map(card).collect())
}

/// Where the scores were computed; none where the evaluations differ.
async fn environment(app: &App, checkpoint: &Checkpoint) -> Result<Option<CardEnvironment>, WebError> {
    let mut seen: Option<BTreeMap<String, String>> = None;
    for evaluation in app.store.evaluations_of(checkpoint.id).await? {
        match &seen {
            Some(before) if *before != evaluation.environment => return Ok(None),
            _ => seen = Some(evaluation.environment),
        }
    }
    let Some(environment) = seen else { return Ok(None) };
    let value = |key: &str| environment.get(key).cloned();
    Ok(value("engine").zip(value("device")).zip(value("dtype")).map(|((engine, device), dtype)| {
        CardEnvironment {
            engine,
            device,
            dtype,
            bos: value("bos").and_then(|bos| match bos.as_str() {
                "on" => Some(true),
                "off" => Some(false),
                _ => None,
            }),
        }
    }))
}
