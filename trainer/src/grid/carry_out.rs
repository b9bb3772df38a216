//! A grid is trained run by run: what is finished is found finished, what was interrupted goes on.

use std::collections::VecDeque;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};

use fs_err::File;
use sekisho_domain::run::MetricRow;
use sekisho_domain::{Step, Tokens};
use sekisho_weights::FolderLock;
use serde::Serialize;

use super::{Cell, Grid, GridError, SoupRow, of_run, soups};
use crate::checkpoint::State;
use crate::folder::RunFolder;
use crate::{Ended, Progress, Spec, TrainError, TrainOptions, lineage, train};

/// Updates at the end of a run over which its loss is averaged: a single batch says little.
const LAST: usize = 10;

/// What a grid came to.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Carried {
    /// The runs that were finished.
    pub runs: Vec<Row>,
    /// The means of seeds, of mixtures all of whose runs are finished.
    pub soups: Vec<SoupRow>,
    /// Whether it was asked to stop before all was done, and may be called again.
    pub stopped: bool,
}

/// One run that was finished.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Row {
    /// Its name.
    pub run: String,
    /// Its mixture.
    pub mixture: Option<String>,
    /// Its seed.
    pub seed: u64,
    /// The last update.
    pub step: Step,
    /// Targets learned from.
    pub tokens: Tokens,
    /// Mean loss of the last updates.
    pub loss: Option<f64>,
    /// How many these are.
    pub averaged: usize,
    /// Its last checkpoint.
    pub checkpoint: PathBuf,
}

/// Trains every run of a grid in a folder of its own below `dir`, one after another, and makes the mean of each mixture's seeds.
/// `options` answers those of a run in a folder; whether it goes on from a checkpoint is decided here.
///
/// # Errors
/// [`GridError`]; runs that were finished until then stay, and the next call finds them.
pub fn carry_out(
    grid: &Grid,
    dir: &Path,
    options: &dyn Fn(&Path) -> TrainOptions,
    progress: &mut dyn Progress,
) -> Result<Carried, GridError> {
    grid.check(dir)?;
    fs_err::create_dir_all(dir)?;
    let dir = fs_err::canonicalize(dir)?;
    let _lock = FolderLock::take(&dir)?;
    let mut carried = Carried { runs: Vec::new(), soups: Vec::new(), stopped: false };
    for seeds in grid.cells.chunk_by(|a, b| a.mixture == b.mixture) {
        let begin = carried.runs.len();
        for cell in seeds {
            let Some(row) = run(cell, &dir.join(&cell.spec.name), options, progress)? else {
                carried.stopped = true;
                return Ok(carried);
            };
            carried.runs.push(row);
        }
        let spec = &seeds[0].spec;
        if spec.parent.is_some() || spec.init.from.is_some() {
            carried.soups.extend(soups::of(&dir, &carried.runs[begin..])?);
        } else if seeds.len() > 1 {
            progress.note(
                "no mean is made: runs that begin at weights of their own have none that means anything",
            );
        }
    }
    Ok(carried)
}

/// Trains one run to its end, unless it is there already; none when it was asked to stop.
fn run(
    cell: &Cell,
    out: &Path,
    options: &dyn Fn(&Path) -> TrainOptions,
    progress: &mut dyn Progress,
) -> Result<Option<Row>, GridError> {
    let spec = &cell.spec;
    let begun = out.join("spec.toml").is_file();
    let last = if begun { RunFolder::existing(out)?.checkpoints()?.pop() } else { None };
    if last.is_none_or(|step| step < spec.stop.steps) {
        progress.note(&format!("{}: {}", spec.name, if begun { "goes on" } else { "begins" }));
        let options = TrainOptions { resume: begun, ..options(out) };
        let outcome = train(spec, &options, progress).map_err(|error| of_run(spec, error))?;
        if outcome.ended == Ended::Stopped {
            return Ok(None);
        }
    } else {
        progress.note(&format!("{}: was finished before", spec.name));
        // A kill may have come between the last checkpoint and what is said of it.
        count(out).map_err(|error| of_run(spec, error))?;
    }
    row(cell, &RunFolder::existing(out)?).map(Some)
}

/// Writes the lineage of a run as of its last checkpoint.
fn count(out: &Path) -> Result<(), TrainError> {
    let folder = RunFolder::existing(out)?;
    let Some(last) = folder.checkpoints()?.pop() else { return Ok(()) };
    lineage::write(&folder, &Spec::load(&folder.spec())?, &State::read(&folder.checkpoint(last))?)
}

/// What a finished run's folder says of it.
fn row(cell: &Cell, folder: &RunFolder) -> Result<Row, GridError> {
    let step = folder.checkpoints()?.pop().unwrap_or_default();
    let mut last = VecDeque::with_capacity(LAST + 1);
    for line in BufReader::new(File::open(folder.log())?).lines() {
        let Ok(row) = serde_json::from_str::<MetricRow>(&line?) else { continue };
        last.push_back(row);
        if last.len() > LAST {
            last.pop_front();
        }
    }
    let losses: Vec<f64> = last.iter().filter_map(|row| row.loss).collect();
    Ok(Row {
        run: cell.spec.name.clone(),
        mixture: cell.mixture.clone(),
        seed: cell.spec.seed,
        step: Step(step),
        tokens: last.back().map_or(Tokens(0), |row| row.tokens),
        loss: (!losses.is_empty()).then(|| losses.iter().sum::<f64>() / losses.len() as f64),
        averaged: losses.len(),
        checkpoint: folder.checkpoint(step),
    })
}
