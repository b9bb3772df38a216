//! What `demo --once` prints: the contract's JSON.

use anyhow::Context as _;
use sekisho_domain::score::Interval;
use sekisho_domain::{CheckpointId, ReleaseId, RunId, Sha256};
use sekisho_server::App;
use sekisho_server::service::found;
use serde::Serialize;

use super::input;
use crate::printer::Printer;

#[derive(Serialize)]
pub(crate) struct Summary {
    data_dir: String,
    url: String,
    run: Run,
    checkpoints: Vec<Checkpoint>,
    release: Release,
}

#[derive(Serialize)]
struct Run {
    id: RunId,
    name: String,
}

#[derive(Serialize)]
struct Checkpoint {
    id: CheckpointId,
    step: u64,
    tokens: u64,
    digest: Option<Sha256>,
    scores: Vec<Score>,
    mean: Option<Interval>,
}

#[derive(Serialize)]
struct Score {
    profile: String,
    task: String,
    metric: String,
    value: f64,
    low: f64,
    high: f64,
    n: u64,
}

#[derive(Serialize)]
struct Release {
    id: ReleaseId,
    state: String,
    verdict: String,
    violations: serde_json::Value,
}

/// Collects it from the store.
pub(crate) async fn collect(app: &App) -> anyhow::Result<Summary> {
    let run = app.store.run_by_name(input::NAME).await?.context("the demo's run is not registered")?;
    let mut checkpoints = Vec::new();
    for checkpoint in app.store.checkpoints_of_run(run.id).await? {
        let mut scores = Vec::new();
        let mut mean = None;
        for evaluation in app.store.evaluations_of(checkpoint.id).await? {
            let of_suite = found::of(app, &evaluation).await?;
            scores.extend(of_suite.primary().map(|row| Score {
                profile: row.entry.profile.clone(),
                task: row.entry.task.clone(),
                metric: row.entry.metric.clone(),
                value: row.entry.value,
                low: row.entry.low,
                high: row.entry.high,
                n: row.entry.n,
            }));
            mean = mean.or(of_suite.scores.mean);
        }
        checkpoints.push(Checkpoint {
            id: checkpoint.id,
            step: checkpoint.step.0,
            tokens: checkpoint.tokens.0,
            digest: checkpoint.verification.map(|found| found.digest),
            scores,
            mean,
        });
    }
    let last = checkpoints.last().context("the demo has no checkpoint")?.id;
    let release = app.store.releases_of(last).await?.into_iter().next().context("the demo has no release")?;
    let decision = release.decision.unwrap_or_default();
    Ok(Summary {
        data_dir: app.config.dir.display().to_string(),
        url: app.config.public_url.clone(),
        run: Run { id: run.id, name: run.name },
        checkpoints,
        release: Release {
            id: release.id,
            state: release.state.to_string(),
            verdict: decision["verdict"].as_str().unwrap_or_default().to_owned(),
            violations: decision["violations"].clone(),
        },
    })
}

impl Summary {
    /// The same for a person at the terminal.
    pub(crate) fn say(&self, printer: &Printer) {
        printer.say("");
        printer.say(&format!("  learning curve    {}/runs/{}", self.url, self.run.name));
        printer.say(&format!("  leaderboard       {}/leaderboard", self.url));
        printer.say(&format!(
            "  release           {}/releases/{}  ({}, {})",
            self.url, self.release.id, self.release.state, self.release.verdict
        ));
    }
}
