//! What is compared: two to six runs or checkpoints, and which checkpoint of a run stands for it.

use std::collections::HashMap;

use sekisho_domain::evaluation::TaskRun;
use sekisho_domain::{CheckpointId, EvaluationId, Tokens};
use sekisho_store::{Checkpoint, Evaluation, Run, ScoreRow};

use super::settings::Settings;
use crate::service::runs;
use crate::{App, WebError};

/// Most that are compared at once.
pub const MOST: usize = 6;

/// Which checkpoint stands for a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Align {
    /// The one nearest to the number of tokens that all have reached.
    Tokens,
    /// The last one with a score.
    Last,
    /// The one that was named; of a run the last one with a score.
    Chosen,
}

impl Align {
    /// All, in the order in which they are offered.
    pub const ALL: [Self; 3] = [Self::Tokens, Self::Last, Self::Chosen];

    /// For URLs and keys.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Tokens => "tokens",
            Self::Last => "last",
            Self::Chosen => "chosen",
        }
    }

    /// Reads a code. Without one runs are compared after as many tokens, and checkpoints as they were named.
    #[must_use]
    pub fn of(code: Option<&str>, named: &[Named]) -> Self {
        let known = Self::ALL.into_iter().find(|align| Some(align.as_str()) == code);
        let only_checkpoints = named.iter().all(|named| named.checkpoint.is_some());
        known.unwrap_or(if only_checkpoints { Self::Chosen } else { Self::Tokens })
    }
}

/// What an id names.
#[derive(Clone, Debug)]
pub struct Named {
    /// As it was given.
    pub key: String,
    /// The run, or the run of the checkpoint.
    pub run: Run,
    /// The checkpoint, if one was named.
    pub checkpoint: Option<Checkpoint>,
    /// Checkpoints of the run that have a score, by tokens.
    pub scored: Vec<Checkpoint>,
}

/// A checkpoint that is compared.
#[derive(Clone, Debug)]
pub struct Column {
    /// What was named.
    pub named: Named,
    /// What stands for it; none of a run without a score.
    pub checkpoint: Option<Checkpoint>,
    /// Its primary scores, of one kind of settings the newest.
    pub scores: Vec<Found>,
}

/// A score with what it was made under.
#[derive(Clone, Debug)]
pub struct Found {
    /// The score.
    pub row: ScoreRow,
    /// What was run.
    pub run: TaskRun,
    /// Where it comes from.
    pub evaluation: Evaluation,
}

impl Found {
    /// What is known of its settings.
    #[must_use]
    pub fn settings(&self) -> Settings<'_> {
        Settings {
            run: &self.run,
            shots: self.row.entry.shots,
            metric: &self.row.entry.metric,
            environment: &self.evaluation.environment,
        }
    }
}

/// What the ids name, and those that name nothing. An id is that of a checkpoint or of a run, or a run's name; the first six count, each once.
///
/// # Errors
/// When the store fails.
pub async fn named(app: &App, ids: &[String]) -> Result<(Vec<Named>, Vec<String>), WebError> {
    let (mut found, mut unknown) = (Vec::<Named>::new(), Vec::new());
    for key in ids {
        if found.len() == MOST || found.iter().any(|named| named.key == *key) || unknown.contains(key) {
            continue;
        }
        match one(app, key).await? {
            Some(named) => found.push(named),
            None => unknown.push(key.clone()),
        }
    }
    Ok((found, unknown))
}

async fn one(app: &App, key: &str) -> Result<Option<Named>, WebError> {
    let checkpoint = match key.parse::<CheckpointId>() {
        Ok(id) => app.store.checkpoint(id).await?,
        Err(_) => None,
    };
    let run = match &checkpoint {
        Some(checkpoint) => app.store.run(checkpoint.run).await?,
        None => match runs::find(app, key).await {
            Ok(run) => Some(run),
            Err(error) if error.code == "not-found" => None,
            Err(error) => return Err(error),
        },
    };
    let Some(run) = run else { return Ok(None) };
    let scored = app.store.scored_checkpoints(run.id).await?;
    Ok(Some(Named { key: key.to_owned(), run, checkpoint, scored }))
}

/// The number of tokens that all have reached with a score; none where one has no score.
#[must_use]
pub fn reached(named: &[Named]) -> Option<Tokens> {
    let last = |named: &Named| named.scored.last().map(|checkpoint| checkpoint.tokens);
    named.iter().map(last).collect::<Option<Vec<_>>>()?.into_iter().min()
}

/// The checkpoint that stands for what was named.
#[must_use]
pub fn standing(named: &Named, align: Align, reached: Option<Tokens>) -> Option<&Checkpoint> {
    let nearest =
        |at: Tokens| named.scored.iter().min_by_key(|checkpoint| checkpoint.tokens.0.abs_diff(at.0));
    match align {
        Align::Tokens => reached.and_then(nearest).or(named.scored.last()),
        Align::Last => named.scored.last(),
        Align::Chosen => named.checkpoint.as_ref().or(named.scored.last()),
    }
}

/// The columns of a comparison, in the order named.
///
/// # Errors
/// When the store fails.
pub async fn columns(app: &App, named: Vec<Named>, align: Align) -> Result<Vec<Column>, WebError> {
    let reached = reached(&named);
    let mut columns = Vec::with_capacity(named.len());
    for named in named {
        let checkpoint = standing(&named, align, reached).cloned();
        let scores = match &checkpoint {
            Some(checkpoint) => scores(app, checkpoint).await?,
            None => Vec::new(),
        };
        columns.push(Column { named, checkpoint, scores });
    }
    Ok(columns)
}

/// The primary scores of a checkpoint in the order of its suites, the newest evaluation first.
async fn scores(app: &App, checkpoint: &Checkpoint) -> Result<Vec<Found>, WebError> {
    let evaluations = app.store.evaluations_of(checkpoint.id).await?;
    let ids: Vec<EvaluationId> = evaluations.iter().map(|evaluation| evaluation.id).collect();
    let rows = app.store.scores_of_checkpoints(&[checkpoint.id]).await?;
    let mut by_work: HashMap<_, ScoreRow> =
        rows.into_iter().filter(|row| row.primary).map(|row| (row.work, row)).collect();
    let mut work = app.store.work_of_all(&ids).await?;
    work.sort_by_key(|row| (ids.iter().position(|id| *id == row.evaluation), row.work.position));
    let mut found: Vec<Found> = Vec::new();
    for item in work {
        let Some(row) = by_work.remove(&item.work.id) else { continue };
        let Some(evaluation) = evaluations.iter().find(|e| e.id == item.evaluation) else { continue };
        if !found.iter().any(|known| same_settings(&known.row, &row)) {
            found.push(Found { row, run: item.work.run, evaluation: evaluation.clone() });
        }
    }
    Ok(found)
}

/// Whether two scores may be compared.
#[must_use]
pub fn same_settings(a: &ScoreRow, b: &ScoreRow) -> bool {
    a.entry.fingerprint == b.entry.fingerprint && a.entry.metric == b.entry.metric
}
