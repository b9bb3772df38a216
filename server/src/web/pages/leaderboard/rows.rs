//! What the lines of one page need beside their scores: intervals, tests, contamination, environment. The cost grows with the lines
//! shown and their columns, never with those of the whole board.

use std::collections::{BTreeMap, HashMap};

use sekisho_domain::{CheckpointId, EvaluationId, RunId, WorkItemId};
use sekisho_store::{Evaluation, WorkRow};

use super::super::scored::Mean;
use super::board::{self, Line, Model, Pick};
use crate::service::comparisons::{self, Primary, TieTest};
use crate::service::contamination::{self, Looked};
use crate::service::evaluations;
use crate::{App, WebError};

/// A line that is shown.
#[derive(Clone, Debug)]
pub(super) struct Row {
    pub(super) line: Line,
    /// Whether it was asked for by name and stands above the others.
    pub(super) is_pinned: bool,
    /// With its interval, where every column has a score.
    pub(super) mean: Option<Mean>,
    /// What it has more than the base, where there is one and this is not it.
    pub(super) delta: Option<Delta>,
    /// Items of its scores that were found in the training text.
    pub(super) found: HashMap<WorkItemId, Looked>,
    /// What its workers reported; of several evaluations what they have in common stands once.
    pub(super) environment: BTreeMap<String, String>,
    pub(super) evaluation: Option<EvaluationId>,
}

/// The differences from the base.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Delta {
    /// Of the means, where both are whole.
    pub(super) mean: Option<f64>,
    /// The paired test of that; none where the two did not answer the same items.
    pub(super) p: Option<f64>,
    /// Of each column as it enters a mean, where both have a comparable score.
    pub(super) columns: Vec<Option<f64>>,
}

/// The lines with what is shown of them, and the tests behind their ranks.
#[derive(Clone, Debug, Default)]
pub(super) struct Rows {
    pub(super) rows: Vec<Row>,
    /// Names of the two, and what was found.
    pub(super) tests: Vec<(String, String, TieTest)>,
}

/// Looks up what is shown of the lines.
pub(super) async fn load(
    app: &App,
    mut pinned: Vec<Line>,
    mut lines: Vec<Line>,
    base: Option<&Line>,
    is_ranked: bool,
) -> Result<Rows, WebError> {
    let order = board::ranked(&lines);
    let primary: Vec<Primary> = order.iter().map(|line| lines[*line].primary()).collect();
    let mut tests = Vec::new();
    if is_ranked {
        let ties = comparisons::ties(app, &primary).await?;
        let name = |row: usize| named(&lines[order[row]]);
        tests = ties.tests.iter().map(|test| (name(test.leader), name(test.row), *test)).collect();
        board::tie(&mut lines, &ties.groups);
    }
    for pin in &mut pinned {
        pin.rank = lines.iter().find(|line| line.key() == pin.key()).and_then(|line| line.rank);
    }
    let with = |is_pinned| move |line| (line, is_pinned);
    let all: Vec<(Line, bool)> =
        pinned.into_iter().map(with(true)).chain(lines.into_iter().map(with(false))).collect();
    let p = tested(app, base, &all).await?;
    let evaluations = evaluations_of(app, &all).await?;
    let looked = looked(app, &all).await?;
    let mut rows = Vec::with_capacity(all.len());
    for (line, is_pinned) in all {
        let mut mean = line.mean;
        if let Some(mean) = mean.as_mut().filter(|_| is_ranked && line.is_whole() && !line.is_reported()) {
            let found = evaluations::mean(app, &line.primary()).await?;
            mean.interval = found.map(|interval| (interval.low, interval.high));
        }
        let key = line.key();
        let delta = base
            .filter(|base| base.key() != key)
            .map(|base| delta(base, &line, p.get(&key).copied().flatten()));
        let (found, environment, evaluation) = match &line.model {
            Model::Ours(standing) => {
                let own: Vec<&Evaluation> =
                    evaluations.iter().filter(|e| e.checkpoint == standing.checkpoint).collect();
                let found = looked.get(&standing.checkpoint).cloned().unwrap_or_default();
                (found, together(&own), line.picks.iter().find_map(Pick::score).map(|score| score.evaluation))
            }
            Model::Reported(_) => (HashMap::new(), BTreeMap::new(), None),
        };
        rows.push(Row { line, is_pinned, mean, delta, found, environment, evaluation });
    }
    Ok(Rows { rows, tests })
}

/// The name of a line and, of a checkpoint, its step.
pub(super) fn named(line: &Line) -> String {
    match &line.model {
        Model::Ours(standing) => format!("{} · {}", line.facts.name, standing.step),
        Model::Reported(_) => line.facts.name.clone(),
    }
}

fn delta(base: &Line, line: &Line, p: Option<f64>) -> Delta {
    let both_whole = base.is_whole() && line.is_whole();
    let comparable = |pick: &Pick| match pick {
        Pick::Same(_) | Pick::Reported(_) => pick.share(),
        Pick::Missing(_) | Pick::Other(..) => None,
    };
    let columns = base.picks.iter().zip(&*line.picks).map(|(a, b)| Some(comparable(b)? - comparable(a)?));
    Delta {
        mean: base.mean.zip(line.mean).filter(|_| both_whole).map(|(a, b)| b.value - a.value),
        p: p.filter(|_| both_whole),
        columns: columns.collect(),
    }
}

/// The paired test of each whole line against the base, by key.
async fn tested(
    app: &App,
    base: Option<&Line>,
    lines: &[(Line, bool)],
) -> Result<HashMap<String, Option<f64>>, WebError> {
    let testable = |line: &Line| line.is_whole() && !line.is_reported();
    let Some(base) = base.filter(|base| testable(base)) else { return Ok(HashMap::new()) };
    let others: Vec<&Line> = lines
        .iter()
        .map(|(line, _)| line)
        .filter(|line| testable(line) && line.key() != base.key())
        .collect();
    let mut primary = vec![base.primary()];
    primary.extend(others.iter().map(|line| line.primary()));
    let found = comparisons::against_first(app, &primary).await?;
    let keys = others.into_iter().map(Line::key);
    Ok(keys.zip(found).map(|(key, found)| (key, found.map(|found| found.p))).collect())
}

async fn evaluations_of(app: &App, lines: &[(Line, bool)]) -> Result<Vec<Evaluation>, WebError> {
    let ids: Vec<CheckpointId> =
        lines.iter().filter_map(|(line, _)| Some(line.standing()?.checkpoint)).collect();
    let scored: Vec<EvaluationId> = lines
        .iter()
        .flat_map(|(line, _)| line.picks.iter().filter_map(Pick::score).map(|score| score.evaluation))
        .collect();
    let mut found = app.store.evaluations_of_all(&ids).await?;
    found.retain(|evaluation| scored.contains(&evaluation.id));
    Ok(found)
}

/// What several evaluations say of their environment, different values side by side.
fn together(evaluations: &[&Evaluation]) -> BTreeMap<String, String> {
    let mut all: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for (name, value) in evaluations.iter().flat_map(|evaluation| &evaluation.environment) {
        let values = all.entry(name.clone()).or_default();
        if !values.contains(&value.as_str()) {
            values.push(value);
        }
    }
    all.into_iter().map(|(name, values)| (name, values.join(" | "))).collect()
}

/// What was found of the items behind the scores, where the training text of the run was looked through.
async fn looked(
    app: &App,
    lines: &[(Line, bool)],
) -> Result<HashMap<CheckpointId, HashMap<WorkItemId, Looked>>, WebError> {
    let ours = || lines.iter().filter_map(|(line, _)| line.standing());
    let runs: Vec<RunId> = ours().map(|standing| standing.run).collect();
    // Without a report on the run itself nothing is known of any score.
    let reported = app.store.runs_looked_through(&runs).await?;
    let of_reported = ours().filter(|standing| reported.contains(&standing.run));
    let ids: Vec<CheckpointId> = of_reported.map(|standing| standing.checkpoint).collect();
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let scores = || lines.iter().flat_map(|(line, _)| line.picks.iter().filter_map(Pick::score));
    let shown: Vec<WorkItemId> = scores().map(|score| score.work).collect();
    let mut evaluations: Vec<EvaluationId> = scores().map(|score| score.evaluation).collect();
    evaluations.sort();
    evaluations.dedup();
    let mut looked = HashMap::new();
    let work: Vec<WorkRow> = app.store.work_of_all(&evaluations).await?;
    for checkpoint in app.store.checkpoints_by_id(&ids).await? {
        let is_shown = |w: &&WorkRow| w.checkpoint == checkpoint.id && shown.contains(&w.work.id);
        let own: Vec<&WorkRow> = work.iter().filter(is_shown).collect();
        let standings = contamination::standings(app, &checkpoint, own).await?;
        let known = standings.into_iter().filter_map(|(work, standing)| Some((work, standing.ok()?)));
        looked.insert(checkpoint.id, known.collect());
    }
    Ok(looked)
}
