//! Grids: one specification, trained under several seeds and on several mixtures, and the mean of each mixture's seeds. LLM-jp-4's
//! mid-training and OLMo 2's micro-annealing (arXiv 2501.00656) are this.

mod carry_out;
mod soups;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use sekisho_domain::{TomlError, parse_toml};
use serde::Deserialize;

use crate::checkpoint::check_spec;
use crate::folder::RunFolder;
use crate::parent::Found;
use crate::spec::{Cost, Mix, Spec, SpecError};
use crate::surgery::SurgeryError;
use crate::{DataError, TrainError, data};

pub use carry_out::{Carried, Row, carry_out};
pub use soups::SoupRow;

/// A grid that cannot be trained, or stopped.
#[derive(Debug, thiserror::Error)]
pub enum GridError {
    /// The file cannot be read, or the folder not written.
    #[error("{0}")]
    Io(#[from] std::io::Error),
    /// Not TOML, or a key that is not known.
    #[error("{0}")]
    Toml(#[from] TomlError),
    /// The specification that all runs are made from.
    #[error(transparent)]
    Spec(#[from] SpecError),
    /// A value of the grid that breaks a rule.
    #[error("{file}: {key} {rule}")]
    Rule {
        /// The grid's file.
        file: String,
        /// The key.
        key: &'static str,
        /// What is wrong and the way on, as the rest of a sentence after the key.
        rule: String,
    },
    /// One of the runs.
    #[error("{run}: {error}")]
    Train {
        /// Its name.
        run: String,
        /// What is wrong with it.
        error: TrainError,
    },
    /// Another process trains in the folder.
    #[error(transparent)]
    Lock(#[from] sekisho_weights::LockError),
    /// A mean could not be made.
    #[error("{folder}: {error}", folder = folder.display())]
    Soup {
        /// Where it should be.
        folder: PathBuf,
        /// Why not.
        error: SurgeryError,
    },
    /// Seeds that were not trained equally long.
    #[error(
        "{mixture}: seed {a} ended at update {at_a} and seed {b} at {at_b}, and a mean is made of runs of one length; give those the same [stop] and call it again"
    )]
    Uneven {
        /// The mixture.
        mixture: String,
        /// A seed.
        a: u64,
        /// Its last update.
        at_a: u64,
        /// Another seed.
        b: u64,
        /// Its last update.
        at_b: u64,
    },
    /// A mean is there that was made of something else.
    #[error("{folder} is there and is not the mean of these checkpoints; move it away to have it made again", folder = .0.display())]
    OtherSoup(PathBuf),
}

/// `GRID.toml`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    /// The specification that all runs are made from, relative to this file.
    spec: PathBuf,
    /// Begins the runs' names; the specification's unless said.
    name: Option<String>,
    seeds: Vec<u64>,
    lr: Option<f64>,
    min_lr: Option<f64>,
    #[serde(default, rename = "mixture")]
    mixtures: Vec<Mixture>,
}

/// `[[mixture]]`: corpora in the place of the specification's, and a learning rate of its own.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Mixture {
    name: String,
    lr: Option<f64>,
    min_lr: Option<f64>,
    #[serde(default)]
    mix: Vec<Mix>,
}

/// All runs of a grid.
#[derive(Clone, Debug)]
pub struct Grid {
    /// The runs, mixture by mixture and in the order of the seeds.
    pub cells: Vec<Cell>,
}

/// One run of a grid.
#[derive(Clone, Debug, PartialEq)]
pub struct Cell {
    /// Its mixture; none where the grid has no mixtures.
    pub mixture: Option<String>,
    /// Its specification; the name is also that of its folder.
    pub spec: Spec,
}

impl Grid {
    /// Reads a grid and makes the specification of each run. Relative paths are relative to the folder of the file that has them.
    ///
    /// # Errors
    /// [`GridError`] names file, key or run, and the way on.
    pub fn load(path: &Path) -> Result<Self, GridError> {
        let name = path.display().to_string();
        let file: File = parse_toml(&name, &fs_err::read_to_string(path)?)?;
        let path = std::path::absolute(path)?;
        let folder = path.parent().unwrap_or(Path::new("/"));
        let base = Spec::load(&folder.join(&file.spec))?;
        check(&name, &file, &base.name)?;
        let mixtures: Vec<Option<&Mixture>> = match file.mixtures.as_slice() {
            [] => vec![None],
            mixtures => mixtures.iter().map(Some).collect(),
        };
        let mut cells = Vec::new();
        for mixture in mixtures {
            for seed in &file.seeds {
                let spec = spec_of(&base, &file, mixture, *seed, folder);
                spec.recheck(&folder.join(&file.spec)).map_err(|error| of_run(&spec, error.into()))?;
                cells.push(Cell { mixture: mixture.map(|mixture| mixture.name.clone()), spec });
            }
        }
        Ok(Self { cells })
    }

    /// What all runs cost.
    #[must_use]
    pub fn cost(&self) -> Cost {
        self.cells.iter().map(|cell| cell.spec.cost()).sum()
    }

    /// Looks for what would stop a run that comes late: corpora and tokenizers that are not there, a parent that does not fit, another
    /// run in a folder.
    ///
    /// # Errors
    /// [`GridError::Train`] with the first run that could not be trained in `dir`.
    pub fn check(&self, dir: &Path) -> Result<(), GridError> {
        let dir = std::path::absolute(dir)?;
        self.cells.iter().try_for_each(|cell| {
            check_run(&cell.spec, &dir.join(&cell.spec.name)).map_err(|error| of_run(&cell.spec, error))
        })
    }
}

fn of_run(spec: &Spec, error: TrainError) -> GridError {
    GridError::Train { run: spec.name.clone(), error }
}

fn check(name: &str, file: &File, base: &str) -> Result<(), GridError> {
    let refuse = |key, rule: &str| Err(GridError::Rule { file: name.to_owned(), key, rule: rule.to_owned() });
    if file.seeds.is_empty() {
        return refuse("seeds", "is empty; give at least one");
    }
    if file.seeds.iter().collect::<BTreeSet<_>>().len() < file.seeds.len() {
        return refuse("seeds", "has one seed twice; each makes one run");
    }
    let names: BTreeSet<&str> = file.mixtures.iter().map(|mixture| mixture.name.as_str()).collect();
    if names.len() < file.mixtures.len() {
        return refuse("mixture.name", "is one name twice; names of mixtures must differ");
    }
    let is_plain = |name: &&str| {
        let letter = |c: char| c.is_alphanumeric() || "-_.".contains(c);
        !name.is_empty() && !name.starts_with('.') && name.chars().all(letter)
    };
    let begin = file.name.as_deref().unwrap_or(base);
    if !names.into_iter().chain([begin]).all(|name| is_plain(&name)) {
        return refuse("a name", "becomes a folder's: use letters, digits, \"-\", \"_\" and \".\"");
    }
    Ok(())
}

/// The specification of one run.
fn spec_of(base: &Spec, file: &File, mixture: Option<&Mixture>, seed: u64, folder: &Path) -> Spec {
    let mut spec = base.clone();
    let name = file.name.as_ref().unwrap_or(&base.name);
    let of_mixture = mixture.map_or_else(String::new, |mixture| format!("{}-", mixture.name));
    spec.name = format!("{name}-{of_mixture}{seed}");
    spec.seed = seed;
    let own = |own: fn(&Mixture) -> Option<f64>| mixture.and_then(own);
    spec.optimizer.lr = own(|mixture| mixture.lr).or(file.lr).unwrap_or(base.optimizer.lr);
    spec.optimizer.min_lr = own(|mixture| mixture.min_lr).or(file.min_lr).unwrap_or(base.optimizer.min_lr);
    if let Some(mixture) = mixture.filter(|mixture| !mixture.mix.is_empty()) {
        let placed = |mix: &Mix| Mix { path: folder.join(&mix.path), ..mix.clone() };
        spec.data.mix = mixture.mix.iter().map(placed).collect();
    }
    spec
}

fn check_run(spec: &Spec, out: &Path) -> Result<(), TrainError> {
    for mix in &spec.data.mix {
        if !data::paths(mix)?.iter().all(|file| file.is_file()) {
            return Err(DataError::Form { path: mix.path.clone() }.into());
        }
    }
    if let Some(tokenizer) = &spec.tokenizer {
        fs_err::metadata(&tokenizer.path)?;
    }
    if out.join("spec.toml").is_file() {
        let run = RunFolder::existing(out)?;
        let earlier = Spec::load(&run.spec())?;
        return check_spec(&earlier, &spec.recorded(Some(&earlier)));
    }
    let Some(parent) = &spec.parent else { return Ok(()) };
    let found = Found::look(parent, out)?;
    let spec = found.inherited(spec.clone()).recorded(None);
    spec.recheck(&out.join("spec.toml"))?;
    found.check(parent, &spec)
}
