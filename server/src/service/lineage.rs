//! What went into a checkpoint, as its run's specification and those of the runs before it say.

use std::collections::BTreeSet;

use sekisho_domain::lineage::{InputKind, Level};
use sekisho_policy::{LineageGraph, LineageNode, Standing};
use sekisho_store::{Checkpoint, Run};
use serde_json::Value;

use super::corpora::{self, Claim};
use crate::{App, WebError};

/// The lineage of a checkpoint; levels and licences are the registry's.
///
/// # Errors
/// When the store fails.
pub async fn of_checkpoint(app: &App, checkpoint: &Checkpoint) -> Result<LineageGraph, WebError> {
    let name = format!("{} · {}", checkpoint.run_name, checkpoint.step);
    let run = app.store.run(checkpoint.run).await?;
    let has_spec = run.as_ref().is_some_and(|run| run.spec.is_some());
    let mut graph = LineageGraph::of(model(name, has_spec));
    let (mut at, mut next, mut seen) = (0, run, BTreeSet::new());
    while let Some(run) = next.filter(|run| seen.insert(run.id)) {
        let Some(spec) = &run.spec else { break };
        inputs(app, &mut graph, spec, at).await?;
        next = parent(app, spec).await?;
        if let Some(parent) = &next {
            let step = spec["parent"]["step"].as_u64().map_or_else(String::new, |step| format!(" · {step}"));
            let node = model(format!("{}{step}", parent.name), parent.spec.is_some());
            at = graph.add(node, at, "continual");
        }
    }
    Ok(graph)
}

fn model(name: String, is_known: bool) -> LineageNode {
    let standing = if is_known { Standing::Clear } else { Standing::Unknown };
    LineageNode { name, kind: None, level: None, license: None, generator: None, standing }
}

/// The run that a specification descends from, if it names one that is known.
///
/// # Errors
/// When the store fails.
pub(super) async fn parent(app: &App, spec: &Value) -> Result<Option<Run>, WebError> {
    let Some(key) = spec["parent"]["run"].as_str() else { return Ok(None) };
    match app.store.run_by_name(key).await? {
        Some(run) => Ok(Some(run)),
        None => match key.parse() {
            Ok(id) => Ok(app.store.run(id).await?),
            Err(_) => Ok(None),
        },
    }
}

/// Texts, the tokenizer, and weights that it began with.
async fn inputs(app: &App, graph: &mut LineageGraph, spec: &Value, at: usize) -> Result<(), WebError> {
    let stage = if spec["parent"]["run"].is_string() || spec["init"]["from"].is_string() {
        "continual"
    } else {
        "pretrain"
    };
    for claim in corpora::claims(spec) {
        graph.add(text(app, claim).await?, at, stage);
    }
    let last = |value: &Value| value.as_str().map(|path| path.rsplit('/').next().unwrap_or(path).to_owned());
    if let Some(name) = last(&spec["tokenizer"]["path"]) {
        let node = LineageNode { kind: Some(InputKind::Tokenizer), ..model(name, true) };
        graph.add(node, at, "tokenizer");
    }
    if let Some(name) = last(&spec["init"]["from"]) {
        // Its own lineage is in no specification; the lineage file of a release names it.
        let node = LineageNode { kind: Some(InputKind::BaseModel), ..model(name, false) };
        graph.add(node, at, "init");
    }
    Ok(())
}

async fn text(app: &App, claim: Claim) -> Result<LineageNode, WebError> {
    let there = app.store.subset(&claim.subset).await?.map(|found| found.subset);
    let level = there.as_ref().and_then(|subset| subset.level);
    Ok(LineageNode {
        name: claim.subset,
        kind: Some(if there.as_ref().is_some_and(|s| s.generator.is_some()) {
            InputKind::Synthetic
        } else {
            InputKind::Corpus
        }),
        license: there.as_ref().and_then(|subset| subset.license.clone()).or(claim.license),
        generator: there.and_then(|subset| subset.generator),
        standing: match level {
            Some(Level::LX | Level::LZ) => Standing::Barred,
            Some(_) => Standing::Clear,
            None => Standing::Unknown,
        },
        level: level.map(|level| level.to_string()),
    })
}
