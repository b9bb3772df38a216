//! Which items of benchmarks were found in the training text of runs: taking the reports, and what they say of scores.

mod check;
mod standing;

use std::collections::BTreeSet;

use sekisho_domain::user::{Role, Scope};
use sekisho_domain::wire::{ContaminationReport, KeptContamination};
use serde_json::json;

use super::{people, releases, runs};
use crate::{Actor, App, WebError};

pub use standing::{Chain, Looked, standings};

/// Takes a report on a run and judges again what is on its way. Of one task, split and data, the newest report counts.
///
/// # Errors
/// 403; 404 for the run; 422 for a method that finds less than the usual one, a report that leaves out a subset of the run, a task
/// that is unknown, and numbers that contradict each other or the data.
pub async fn accept(
    app: &App,
    actor: &Actor,
    key: &str,
    report: ContaminationReport,
) -> Result<Vec<KeptContamination>, WebError> {
    actor.require(&[Role::Contributor], Scope::Ingest)?;
    let run = runs::find(app, key).await?;
    check::method(&report)?;
    check::subsets(&run, &report)?;
    let ContaminationReport { method, subsets, tasks } = report;
    let (mut kept, mut seen) = (Vec::with_capacity(tasks.len()), BTreeSet::new());
    for task in tasks {
        let task = check::task(app, task, &subsets).await?;
        let data = task.data();
        if !seen.insert((task.profile.clone(), task.task.clone(), task.split.clone(), data)) {
            let detail = format!("{} is there twice; keep one of the two.", task.name());
            let ja = format!("{}が2回記載されています。一方を削除してください。", task.name());
            return Err(check::refused(detail, ja));
        }
        let (subsets, by) = (subsets.clone(), actor.user.name.clone());
        kept.push(KeptContamination { task, method, subsets, data, by, at: app.now() });
    }
    let told = |kept: &KeptContamination| {
        let task = &kept.task;
        json!({ "task": task.name(), "data": kept.data, "looked_for": task.looked_for, "found": task.found.len() })
    };
    let detail = json!({ "run": run.name, "tasks": kept.iter().map(told).collect::<Vec<_>>() });
    let audit = people::entry(app, actor, "run.contamination", &run.id.to_string(), "done", detail);
    app.store.put_contamination(run.id, &kept, &audit).await?;
    app.events.publish(format!("run:{}", run.id), "score");
    releases::rejudge(app, Some(actor)).await?;
    Ok(app.store.contamination(run.id).await?)
}

/// The reports on a run, by profile, task and split.
///
/// # Errors
/// 404.
pub async fn of_run(app: &App, key: &str) -> Result<Vec<KeptContamination>, WebError> {
    let run = runs::find(app, key).await?;
    Ok(app.store.contamination(run.id).await?)
}
