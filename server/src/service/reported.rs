//! Rows of the leaderboard that others published: what ships with this program, and what people bring in. They are shown with source
//! and date and never ranked.

mod read;

use std::sync::LazyLock;

use jiff::civil::Date;
use sekisho_bench::Catalog;
use sekisho_domain::evaluation::TaskRun;
use sekisho_domain::reported::{ReportedModel, ReportedScore};
use sekisho_domain::user::{Role, Scope};
use sekisho_store::Reported;
use serde_json::json;

use super::people;
use crate::{Actor, App, WebError};

pub use read::{COLUMNS, Read, Refused, read};

/// Who may bring rows in.
pub const KEEPERS: [Role; 1] = [Role::Contributor];

/// The numbers that ship: six models of the Swallow LLM Leaderboard (`swallow-llm/leaderboard`, commit 2728fee of 2025-04-14, CC BY 4.0).
const SWALLOW: &str = include_str!("reported/swallow-2025-04-14.csv");

static SHIPPED: LazyLock<Vec<ReportedModel>> = LazyLock::new(|| {
    let read = read(&Catalog::builtin(), SWALLOW);
    debug_assert!(read.refused.is_empty(), "{:?}", read.refused);
    read.models
});

/// The rows that ship with this program.
#[must_use]
pub fn shipped() -> &'static [ReportedModel] {
    &SHIPPED
}

/// All rows: those that ship and those that were brought in, which take their place where model and source are the same.
///
/// # Errors
/// When the store fails.
pub async fn all(app: &App) -> Result<Vec<ReportedModel>, WebError> {
    let mut rows: Vec<ReportedModel> = app.store.reported().await?.into_iter().map(|kept| kept.row).collect();
    for row in shipped() {
        if !rows.iter().any(|kept| (&kept.model, &kept.source) == (&row.model, &row.source)) {
            rows.push(row.clone());
        }
    }
    Ok(rows)
}

/// Keeps rows; each takes the place of one of the same model and source.
///
/// # Errors
/// 403; 422 for no rows.
pub async fn import(app: &App, actor: &Actor, rows: Vec<ReportedModel>) -> Result<(), WebError> {
    let may = actor.require(&KEEPERS, Scope::Ingest);
    people::on_record(app, actor, "reported.import", &format!("{} models", rows.len()), may).await?;
    if rows.is_empty() {
        let ja = "取り込める行がありません。各行の理由を確認し、修正してから再度取り込んでください。";
        let detail = "There is no line to import; mend what is named and import again.";
        return Err(WebError::refused("reported", detail).or_ja(ja));
    }
    let names: Vec<&str> = rows.iter().map(|row| row.model.as_str()).collect();
    let audit =
        people::entry(app, actor, "reported.import", &names.join(", "), "done", json!({ "models": names }));
    let kept = |row| Reported { row, by: actor.user.name.clone(), at: app.now() };
    let rows: Vec<Reported> = rows.into_iter().map(kept).collect();
    Ok(app.store.put_reported(&rows, &audit).await?)
}

/// A reported value as a horizontal line beside a curve.
#[derive(Clone, Debug, PartialEq)]
pub struct ReportedLine {
    /// Whose value it is.
    pub model: String,
    /// When it was published.
    pub day: Date,
    /// Who published it.
    pub source: String,
    /// In the metric's own unit for one task (BLEU 0–100), 0–1 for a mean over several.
    pub value: f64,
}

/// The reported values that may stand beside a curve over these tasks: those of models of which every task was reported by the same
/// profile, on the same split with all its items and as many shots. Means of fewer tasks are another thing and are left out.
#[must_use]
pub fn beside(catalog: &Catalog, rows: &[ReportedModel], tasks: &[TaskRun]) -> Vec<ReportedLine> {
    rows.iter().filter_map(|row| line(catalog, row, tasks)).collect()
}

fn line(catalog: &Catalog, row: &ReportedModel, tasks: &[TaskRun]) -> Option<ReportedLine> {
    let shares: Vec<f64> =
        tasks.iter().map(|task| Some(score(catalog, row, task)?.share)).collect::<Option<_>>()?;
    let value = match (shares.as_slice(), tasks) {
        ([], _) => return None,
        ([share], [task]) => share * catalog.published_metric(&task.profile, &task.task)?.1,
        (shares, _) => shares.iter().sum::<f64>() / shares.len() as f64,
    };
    Some(ReportedLine { model: row.model.clone(), day: row.day, source: row.source.clone(), value })
}

/// What a row says of a task exactly as it is run: same profile, split, shots, and all items.
#[must_use]
pub fn score<'r>(catalog: &Catalog, row: &'r ReportedModel, run: &TaskRun) -> Option<&'r ReportedScore> {
    row.scores.iter().find(|score| {
        let theirs = TaskRun {
            profile: score.profile.clone(),
            task: score.task.clone(),
            split: score.split.clone(),
            limit: None,
            shots: Some(score.shots),
        };
        catalog.same_run(&theirs, run)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(profile: &str, task: &str, split: &str, limit: Option<u64>) -> TaskRun {
        TaskRun {
            profile: profile.to_owned(),
            task: task.to_owned(),
            split: split.to_owned(),
            limit,
            shots: None,
        }
    }

    #[test]
    fn what_ships_is_read_whole_and_gives_the_published_means() {
        let catalog = Catalog::builtin();
        let read = read(&catalog, SWALLOW);
        assert_eq!(read.refused, []);
        assert!(shipped().iter().all(|row| row.scores.len() == 10 && row.license == "CC-BY-4.0"));
        let means = |preset: &str| -> Vec<f64> {
            let preset = catalog.presets().iter().find(|p| p.name == preset).expect("built in");
            shipped()
                .iter()
                .filter_map(|row| line(&catalog, row, &preset.tasks))
                .map(|line| line.value)
                .collect()
        };
        // The last columns of the published table. Its scores have three digits, so the last digit of a mean may be the other one.
        for (preset, published) in [
            ("ja-4", [0.680, 0.790, 0.607, 0.702, 0.789, 0.811]),
            ("swallow-paper-8", [0.504, 0.595, 0.389, 0.460, 0.549, 0.560]),
            ("swallow-ja", [0.515, 0.621, 0.346, 0.415, 0.519, 0.530]),
        ] {
            let means = means(preset);
            assert_eq!(means.len(), published.len(), "{preset}");
            let is_near = means.iter().zip(published).all(|(ours, theirs)| (ours - theirs).abs() < 6e-4);
            assert!(is_near, "{preset}: {means:?}");
        }
        assert_eq!(means("swallow-en"), [0.0; 0], "nothing is published of the English tasks");
    }

    #[test]
    fn a_line_stands_only_beside_the_same_tasks_on_the_same_split() {
        let catalog = Catalog::builtin();
        let gpt = &shipped()[1];
        let of = |task: TaskRun| line(&catalog, gpt, &[task]).map(|line| line.value);
        assert_eq!(of(run("llm-jp-eval@1.3", "niilc", "test", None)), Some(0.616));
        assert_eq!(of(run("llm-jp-eval@1.3", "niilc", "dev", None)), None);
        assert_eq!(of(run("llm-jp-eval@1.3", "niilc", "test", Some(100))), None);
        assert_eq!(of(run("llm-jp-eval@1.1", "niilc", "test", None)), None);
        let bleu = of(run("jp-harness@1", "wmt20-en-ja", "test", None)).expect("is there");
        assert!((bleu - 28.6).abs() < 1e-9, "BLEU is drawn on its own scale: {bleu}");
        let other_shots = TaskRun { shots: Some(5), ..run("llm-jp-eval@1.3", "niilc", "test", None) };
        assert_eq!(of(other_shots), None);
        assert_eq!(line(&catalog, gpt, &[]), None);
    }
}
