//! What went into a checkpoint, as its run's specification and those of the runs before it say.

use std::collections::BTreeSet;

use sekisho_domain::lineage::{InputKind, Level};
use sekisho_domain::{Step, Tokens};
use sekisho_policy::{LineageGraph, LineageNode, Standing};
use sekisho_store::{Checkpoint, Run};
use serde_json::Value;

use super::corpora::{self, Claim};
use super::runs;
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
    let line = match run {
        Some(run) => runs::line(app, run).await?,
        None => Vec::new(),
    };
    let mut at = 0;
    for (i, run) in line.iter().enumerate() {
        let Some(spec) = &run.spec else { break };
        inputs(app, &mut graph, spec, at).await?;
        if let Some(parent) = line.get(i + 1) {
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

/// What a run's specification says of the checkpoint that the run goes on from.
enum Branch {
    /// It starts from first weights of its own.
    Scratch,
    /// It goes on from this update of a run that is registered here.
    From(Box<Run>, Step),
    /// It goes on from weights whose training nobody registered here.
    Unknown,
}

async fn branch(app: &App, spec: &Value) -> Result<Branch, WebError> {
    if spec["init"]["from"].is_string() {
        return Ok(Branch::Unknown);
    }
    if spec["parent"].is_null() {
        return Ok(Branch::Scratch);
    }
    let (run, step) = (runs::parent_of(app, spec).await?, spec["parent"]["step"].as_u64());
    Ok(run.zip(step).map_or(Branch::Unknown, |(run, step)| Branch::From(Box::new(run), Step(step))))
}

/// Tokens of a checkpoint's stage and of all stages before it. None where that is not known: a run on the way has no specification,
/// began with weights from elsewhere, or branched off where neither a checkpoint nor a metric row of its parent tells the tokens.
///
/// # Errors
/// When the store fails.
pub async fn cumulative_tokens(app: &App, checkpoint: &Checkpoint) -> Result<Option<Tokens>, WebError> {
    let (mut total, mut seen) = (checkpoint.tokens.0, BTreeSet::new());
    let mut next = app.store.run(checkpoint.run).await?;
    while let Some(run) = next {
        // Steps may count from 1 again in a child, so only the run itself tells whether the way leads back.
        if !seen.insert(run.id) {
            return Ok(None);
        }
        let Some(spec) = &run.spec else { return Ok(None) };
        next = match branch(app, spec).await? {
            Branch::Scratch => return Ok(Some(Tokens(total))),
            Branch::Unknown => return Ok(None),
            Branch::From(parent, step) => {
                let Some(before) = tokens_at(app, &parent, step).await? else { return Ok(None) };
                total = total.saturating_add(before.0);
                Some(*parent)
            }
        };
    }
    Ok(None)
}

/// Where a run leaves the one that it goes on from.
#[derive(Clone, Debug, PartialEq)]
pub struct Fork {
    /// The run that it goes on from.
    pub parent: Run,
    /// Which of its updates.
    pub step: Step,
    /// Tokens of the parent's stage at that update.
    pub tokens: Tokens,
    /// Tokens of all stages before the parent's, where they are known.
    pub before: Tokens,
}

/// The fork that a run begins at; none for one that starts from scratch, or from something that is not registered here.
///
/// # Errors
/// When the store fails.
pub async fn fork(app: &App, run: &Run) -> Result<Option<Fork>, WebError> {
    let Some(spec) = &run.spec else { return Ok(None) };
    let Branch::From(parent, step) = branch(app, spec).await? else { return Ok(None) };
    let Some(tokens) = tokens_at(app, &parent, step).await? else { return Ok(None) };
    let (mut before, mut seen) = (0_u64, BTreeSet::from([run.id, parent.id]));
    let mut next = (*parent).clone();
    while let Some(spec) = next.spec.clone() {
        let Branch::From(older, step) = branch(app, &spec).await? else { break };
        let Some(tokens) = tokens_at(app, &older, step).await? else { break };
        if !seen.insert(older.id) {
            break;
        }
        before = before.saturating_add(tokens.0);
        next = *older;
    }
    Ok(Some(Fork { parent: *parent, step, tokens, before: Tokens(before) }))
}

/// Tokens of a run's stage at an update: its checkpoint's, else its log's.
async fn tokens_at(app: &App, run: &Run, step: Step) -> Result<Option<Tokens>, WebError> {
    if step == Step(0) {
        return Ok(Some(Tokens(0)));
    }
    let checkpoints = app.store.checkpoints_of_run(run.id).await?;
    if let Some(found) = checkpoints.iter().find(|found| found.step == step) {
        return Ok(Some(found.tokens));
    }
    let rows = app.store.metrics(run.id).await?;
    Ok(rows.iter().find(|row| row.step == step).map(|row| row.tokens))
}

/// The checkpoint that a run goes on from, as its specification names it. None where it starts from scratch or names one that is not
/// registered here.
///
/// # Errors
/// When the store fails.
pub async fn parent_checkpoint(app: &App, run: &Run) -> Result<Option<Checkpoint>, WebError> {
    let Some(spec) = &run.spec else { return Ok(None) };
    let Branch::From(parent, step) = branch(app, spec).await? else { return Ok(None) };
    let checkpoints = app.store.checkpoints_of_run(parent.id).await?;
    Ok(checkpoints.into_iter().find(|found| found.step == step))
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
