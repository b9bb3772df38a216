//! Work for a machine without a network: a folder with the work list, the plan of each item and the data goes in, and the records are
//! in it when it comes back.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use sekisho_bench::{Record, SourceRef, TaskDefinition, load};
use sekisho_domain::Sha256;
use sekisho_domain::score::TokenCounts;
use sekisho_domain::wire::{WorkBundle, WorkItem};
use sekisho_weights::{FolderLock, write_atomic};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::models::Models;
use crate::worker::{ItemError, WorkerError, WorkerOptions, checked_model};
use crate::{Ended, EvalError, Prompts, Settings, Spent, Task, Watch, environment, run_tasks};

/// Why a folder is not taken for a bundle, or what is wrong with one.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    /// Not what the service made.
    #[error("{folder} is no bundle that can be used: {reason}")]
    Refused {
        /// The folder.
        folder: String,
        /// Thing and rule.
        reason: String,
    },
    /// A file cannot be read or written.
    #[error("{}", sekisho_domain::disk_sentence(.0))]
    Io(#[from] std::io::Error),
    /// Somebody else works on it.
    #[error(transparent)]
    Lock(#[from] sekisho_weights::LockError),
    /// The worker could not go on.
    #[error(transparent)]
    Worker(#[from] WorkerError),
}

/// `bundle.json`.
#[derive(Serialize, Deserialize)]
struct Sealed {
    seal: Sha256,
    bundle: WorkBundle,
}

/// What is beside the records of an item when it is finished.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Finished {
    /// The plan that was carried out.
    pub plan: Sha256,
    /// SHA-256 of the file of records.
    pub records: Sha256,
    /// Items of the task.
    pub total: u64,
    /// Wall seconds, of the last try.
    pub seconds: f64,
    /// Tokens, of the last try.
    pub tokens: TokenCounts,
    /// What computed.
    pub environment: BTreeMap<String, String>,
}

/// How an item of a bundle stands.
#[derive(Clone, Debug, PartialEq)]
pub enum Standing {
    /// All its records are there and are those that the worker wrote.
    Finished(Finished, Vec<Value>),
    /// So many items are answered.
    Begun(usize),
    /// It cannot be taken as it is.
    Wrong(String),
}

/// Writes `bundle.json`, the last file of a bundle.
///
/// # Errors
/// [`BundleError::Io`].
pub fn write_bundle(folder: &Path, bundle: &WorkBundle) -> Result<(), BundleError> {
    let sealed = Sealed { seal: bundle.seal(), bundle: bundle.clone() };
    let text = serde_json::to_vec_pretty(&sealed).map_err(std::io::Error::other)?;
    Ok(write_atomic(&folder.join("bundle.json"), |file| file.write_all(&text))?)
}

/// Reads it, and holds it against its seal.
///
/// # Errors
/// [`BundleError::Refused`] for anything that is not as it was made.
pub fn read_bundle(folder: &Path) -> Result<WorkBundle, BundleError> {
    let refused = |reason: String| BundleError::Refused { folder: folder.display().to_string(), reason };
    let text = fs_err::read(folder.join("bundle.json")).map_err(|error| {
        refused(format!("{error}. A bundle is made by `sekisho bundle make`, which writes bundle.json last."))
    })?;
    let sealed: Sealed = serde_json::from_slice(&text)
        .map_err(|error| refused(format!("bundle.json cannot be read ({error}); make the bundle again")))?;
    if sealed.bundle.seal() != sealed.seal {
        let reason = "bundle.json was altered after the bundle was made: its digest is not the one in it. Make the bundle again";
        return Err(refused(reason.to_owned()));
    }
    let minor = |version: &str| version.split('.').take(2).map(ToOwned::to_owned).collect::<Vec<_>>();
    if minor(&sealed.bundle.version) != minor(env!("CARGO_PKG_VERSION")) {
        let reason = format!(
            "it was made by version {}, and this is {}; use the same",
            sealed.bundle.version,
            env!("CARGO_PKG_VERSION")
        );
        return Err(refused(reason));
    }
    Ok(sealed.bundle)
}

/// Where a data file of a bundle lies.
#[must_use]
pub fn source_path(folder: &Path, sha256: Sha256) -> PathBuf {
    folder.join("sources").join(sha256.hex())
}

/// Where the weights of a checkpoint lie, if the bundle has them.
#[must_use]
pub fn model_path(folder: &Path, digest: Sha256) -> PathBuf {
    folder.join("models").join(digest.hex())
}

/// How an item of a bundle stands.
///
/// # Errors
/// [`BundleError::Io`].
pub fn standing(folder: &Path, item: &WorkItem) -> Result<Standing, BundleError> {
    let paths = Paths::of(folder, item);
    let bytes = match fs_err::read(&paths.records) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
        bytes => bytes?,
    };
    let done = match fs_err::read(&paths.done) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Ok(Standing::Begun(bytes.iter().filter(|byte| **byte == b'\n').count()));
        }
        done => done?,
    };
    let Ok(finished) = serde_json::from_slice::<Finished>(&done) else {
        return Ok(Standing::Wrong(format!("{} cannot be read", paths.done.display())));
    };
    if finished.records != Sha256::of(&bytes) {
        let text = format!(
            "{} is not the file that the worker finished: its digest is another one",
            paths.records.display()
        );
        return Ok(Standing::Wrong(text));
    }
    if finished.plan != item.plan() {
        return Ok(Standing::Wrong("its answers are of another plan than the bundle's".to_owned()));
    }
    let records: Result<Vec<Value>, _> = bytes
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty())
        .map(serde_json::from_slice)
        .collect();
    Ok(match records {
        Ok(records) => Standing::Finished(finished, records),
        Err(error) => Standing::Wrong(format!("{}: {error}", paths.records.display())),
    })
}

/// Answers what is unanswered in a bundle; says how many items are finished, and how it ended.
///
/// # Errors
/// [`BundleError`]. What cannot be answered of one item is told in `failed`, and the next one is begun.
pub fn run_bundle(
    folder: &Path,
    options: &WorkerOptions,
    failed: &mut dyn FnMut(&WorkItem, &str),
) -> Result<(Ended, usize), BundleError> {
    let bundle = read_bundle(folder)?;
    fs_err::create_dir_all(folder.join("results"))?;
    let _lock = FolderLock::take(&folder.join("results"))?;
    let mut threads = rayon::ThreadPoolBuilder::new();
    if let Some(number) = options.threads {
        threads = threads.num_threads(number);
    }
    let threads = threads.build().map_err(WorkerError::from)?;
    let (mut models, mut prompts, mut finished) = (Models::new(options.compute.clone()), Prompts::new(), 0);
    for item in &bundle.items {
        if options.stop.load(Ordering::Relaxed) {
            return Ok((Ended::Drained, finished));
        }
        match standing(folder, item)? {
            Standing::Finished(..) => {
                finished += 1;
                continue;
            }
            Standing::Wrong(reason) => {
                failed(item, &reason);
                continue;
            }
            Standing::Begun(_) => {}
        }
        let name = format!("{}/{}", item.run.profile, item.run.task);
        tracing::info!(item = %item.id, checkpoint = %item.checkpoint, "{name}: begun");
        let answered = threads.install(|| answer(folder, item, &mut models, &mut prompts, &options.stop));
        match answered {
            Ok(()) => finished += 1,
            Err(ItemError::Eval(EvalError::Stopped)) => return Ok((Ended::Drained, finished)),
            Err(error) => failed(item, &error.to_string()),
        }
    }
    Ok((Ended::Idle, finished))
}

fn answer(
    folder: &Path,
    item: &WorkItem,
    models: &mut Models,
    prompts: &mut Prompts,
    stop: &AtomicBool,
) -> Result<(), ItemError> {
    let mut item = item.clone();
    let own = model_path(folder, item.digest);
    if own.is_dir() {
        item.path = own.display().to_string();
    }
    let definition =
        TaskDefinition::from_toml(&format!("the definition of {}", item.run.task), &item.definition)
            .map_err(EvalError::from)?;
    let accept: Vec<Sha256> = item.sources.iter().map(|source| source.sha256).collect();
    let read = |wanted: &SourceRef| {
        let file = item.sources.iter().find(|file| file.source == wanted.source && file.file == wanted.file);
        let file = file.ok_or_else(|| "the bundle has no such file".to_owned())?;
        fs_err::read(source_path(folder, file.sha256)).map_err(|error| error.to_string())
    };
    let data = load(&definition, &item.run, &accept, &read).map_err(EvalError::from)?;
    let mut sink = Sink::open(folder, &item, stop).map_err(EvalError::from)?;
    let model = checked_model(models, &item)?;
    let finished = sink.finished.clone();
    let task =
        Task { definition: &definition, run: &item.run, bos: item.bos, data: &data, finished: &finished };
    let settings = Settings::default();
    let (spent, _) = run_tasks(model, &[task], settings, prompts, &mut sink)?;
    let bos = spent.iter().map(|spent| spent.bos).collect();
    let environment = environment(model, &bos, rayon::current_num_threads(), settings);
    let text = |value: Value| value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned);
    let environment = environment.into_iter().map(|(name, value)| (name, text(value))).collect();
    sink.finish(&item, environment).map_err(EvalError::from)?;
    tracing::info!(item = %item.id, "{}/{}: finished", item.run.profile, item.run.task);
    Ok(())
}

struct Paths {
    records: PathBuf,
    done: PathBuf,
}

impl Paths {
    fn of(folder: &Path, item: &WorkItem) -> Self {
        let results = folder.join("results");
        Self {
            records: results.join(format!("{}.jsonl", item.id)),
            done: results.join(format!("{}.done.json", item.id)),
        }
    }
}

/// Records as they come, one line each in one write.
struct Sink<'a> {
    file: fs_err::File,
    paths: Paths,
    finished: BTreeSet<u64>,
    total: u64,
    spent: Spent,
    stop: &'a AtomicBool,
}

impl<'a> Sink<'a> {
    /// Goes on behind the last whole line; one that a kill cut short is dropped.
    fn open(folder: &Path, item: &WorkItem, stop: &'a AtomicBool) -> std::io::Result<Self> {
        let paths = Paths::of(folder, item);
        let mut file = fs_err::OpenOptions::new()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(&paths.records)?;
        let bytes = fs_err::read(&paths.records)?;
        let mut finished: BTreeSet<u64> = item.finished.iter().copied().collect();
        let mut length = 0;
        for line in bytes.split_inclusive(|byte| *byte == b'\n') {
            if line.last() != Some(&b'\n') {
                break;
            }
            let record: Record = serde_json::from_slice(line).map_err(|error| {
                std::io::Error::other(format!(
                    "{} has a line that is no record: {error}",
                    paths.records.display()
                ))
            })?;
            finished.insert(record.item);
            length += line.len() as u64;
        }
        file.set_len(length)?;
        std::io::Seek::seek(&mut file, std::io::SeekFrom::End(0))?;
        Ok(Self { file, paths, finished, total: 0, spent: Spent::default(), stop })
    }

    fn finish(self, item: &WorkItem, environment: BTreeMap<String, String>) -> std::io::Result<()> {
        self.file.sync_all()?;
        let finished = Finished {
            plan: item.plan(),
            records: Sha256::of(fs_err::read(&self.paths.records)?),
            total: self.total,
            seconds: self.spent.seconds,
            tokens: self.spent.tokens,
            environment,
        };
        let text = serde_json::to_vec_pretty(&finished).map_err(std::io::Error::other)?;
        write_atomic(&self.paths.done, |file| file.write_all(&text))
    }
}

impl Watch for Sink<'_> {
    fn planned(&mut self, _task: usize, total: u64, _left: u64) {
        self.total = total;
    }

    fn record(&mut self, _task: usize, record: Record) -> Result<(), EvalError> {
        let mut line = serde_json::to_vec(&record).map_err(|error| EvalError::Sink(error.to_string()))?;
        line.push(b'\n');
        self.file.write_all(&line)?;
        if self.stopped() { Err(EvalError::Stopped) } else { Ok(()) }
    }

    fn worked(&mut self, _task: usize, spent: Spent) {
        self.spent = spent;
    }

    fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}
