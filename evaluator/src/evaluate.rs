//! Several tasks on one model, without a server: what `sekisho eval` does.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use sekisho_bench::{Record, SourceRef, TaskData, TaskDefinition, aggregate, fingerprint, load};
use sekisho_domain::Sha256;
use sekisho_domain::evaluation::{Bos, TaskRun};
use sekisho_domain::score::ResultEntry;
use serde::Serialize;
use serde_json::Value;

use crate::out::{Identity, OutFile};
use crate::run::{Model, Settings, Spent, Task, Watch, run_tasks};
use crate::timing::Timing;
use crate::{EvalError, Prompts, environment};

/// What to evaluate, and how.
pub struct Request<'a> {
    /// The tasks, in order.
    pub tasks: &'a [(TaskDefinition, TaskRun)],
    /// Delivers the bytes of a data file, or a sentence saying why it cannot.
    pub read: &'a dyn Fn(&SourceRef) -> Result<Vec<u8>, String>,
    /// Digests of data files that are taken although the definition names others.
    pub accept: &'a [Sha256],
    /// BOS rule.
    pub bos: Bos,
    /// How the tasks are run.
    pub settings: Settings,
    /// Threads; all cores when absent.
    pub threads: Option<usize>,
    /// Keep per-item records here, and go on from what is there.
    pub out: Option<&'a Path>,
    /// Set to stop between two steps.
    pub stop: Arc<AtomicBool>,
}

/// Progress of an evaluation. Tasks are named by their index.
pub trait Progress: Send {
    /// The prompts of a task are made: its name, its items, and those still to be asked.
    fn task(&mut self, task: usize, name: &str, total: u64, left: u64);
    /// An item is answered.
    fn item(&mut self, task: usize);
    /// Work done on a task so far.
    fn worked(&mut self, task: usize, spent: Spent);
}

/// Watches in silence.
impl Progress for () {
    fn task(&mut self, _task: usize, _name: &str, _total: u64, _left: u64) {}
    fn item(&mut self, _task: usize) {}
    fn worked(&mut self, _task: usize, _spent: Spent) {}
}

/// `eval --json`.
#[derive(Debug, Serialize)]
pub struct Report {
    /// The model.
    pub model: ModelView,
    /// Tokenizer, BOS, dtype, device, engine, version, threads, truncated items.
    pub environment: BTreeMap<String, Value>,
    /// Wall time.
    pub seconds: f64,
    /// One entry per metric.
    pub results: Vec<ResultEntry>,
    /// Where the time went.
    pub timing: Timing,
    /// Which of `results` are primary metrics, for tables.
    #[serde(skip)]
    pub primary: Vec<bool>,
}

/// The model in a report.
#[derive(Debug, Serialize)]
pub struct ModelView {
    /// Identity of weights and configuration; of what a server says, where it computes.
    pub digest: Sha256,
    /// Parameters; null where a server computes and does not say.
    pub parameters: Option<u64>,
}

/// Evaluates a model on some tasks.
///
/// # Errors
/// [`EvalError`]; records written to `out` before it stay, and the next call goes on from them.
pub fn evaluate(
    model: &Model,
    request: &Request<'_>,
    prompts: &mut Prompts,
    progress: &mut dyn Progress,
) -> Result<Report, EvalError> {
    let mut pool = rayon::ThreadPoolBuilder::new();
    if let Some(threads) = request.threads {
        pool = pool.num_threads(threads);
    }
    let begun = Instant::now();
    let pool = pool.build()?;
    let mut data = Vec::with_capacity(request.tasks.len());
    for (definition, run) in request.tasks {
        data.push(load(definition, run, request.accept, request.read)?);
    }
    let mut keeper = Keeper::new(model, request, &data, progress)?;
    let finished: Vec<BTreeSet<u64>> =
        keeper.records.iter().map(|records| records.keys().copied().collect()).collect();
    let tasks: Vec<Task<'_>> = request
        .tasks
        .iter()
        .zip(&data)
        .zip(&finished)
        .map(|(((definition, run), data), finished)| Task {
            definition,
            run,
            bos: request.bos,
            data,
            finished,
        })
        .collect();
    let settings = request.settings;
    let (spent, timing) = pool.install(|| run_tasks(model, &tasks, settings, prompts, &mut keeper))?;
    let records = keeper.records;
    let results = tasks.iter().zip(records).zip(&spent).flat_map(|((task, records), spent)| {
        scores(task, &records.into_values().collect::<Vec<_>>(), *spent)
    });
    let (results, primary): (Vec<ResultEntry>, Vec<bool>) = results.unzip();
    let bos = spent.iter().map(|spent| spent.bos).collect();
    let mut environment = environment(model, &bos, pool.current_num_threads(), settings);
    let truncated = results.iter().zip(&primary).filter(|(_, primary)| **primary).map(|(r, _)| r.truncated);
    environment.insert("truncated".to_owned(), Value::from(truncated.sum::<u64>()));
    Ok(Report {
        model: ModelView { digest: model.digest, parameters: model.parameters },
        environment,
        seconds: begun.elapsed().as_secs_f64(),
        results,
        timing,
        primary,
    })
}

fn scores(task: &Task<'_>, records: &[Record], spent: Spent) -> Vec<(ResultEntry, bool)> {
    let mut scores = aggregate(task.definition, task.run, &task.data.sources, task.bos, records);
    for (entry, _) in &mut scores {
        entry.seconds = spent.seconds;
        entry.tokens = spent.tokens;
    }
    scores
}

/// Keeps the records of all tasks: in memory for the scores, in the file for the next start.
struct Keeper<'a> {
    out: Option<OutFile>,
    names: Vec<String>,
    records: Vec<BTreeMap<u64, Record>>,
    stop: Arc<AtomicBool>,
    progress: &'a mut dyn Progress,
}

impl<'a> Keeper<'a> {
    fn new(
        model: &Model,
        request: &Request<'_>,
        data: &[TaskData],
        progress: &'a mut dyn Progress,
    ) -> Result<Self, EvalError> {
        let mut out = None;
        let mut records = vec![BTreeMap::new(); data.len()];
        if let Some(path) = request.out {
            let prints = request
                .tasks
                .iter()
                .zip(data)
                .map(|((definition, run), data)| {
                    let name = format!("{}/{}", definition.name(), run.split);
                    (name, fingerprint(definition, run, &data.sources, request.bos))
                })
                .collect::<Vec<_>>();
            let identity = Identity::new(model, request.settings, prints)?;
            let file = OutFile::open(path, identity)?;
            for ((definition, run), records) in request.tasks.iter().zip(&mut records) {
                *records = file.of(definition, run);
            }
            out = Some(file);
        }
        let names = request.tasks.iter().map(|(definition, _)| definition.name()).collect();
        Ok(Self { out, names, records, stop: request.stop.clone(), progress })
    }
}

impl Watch for Keeper<'_> {
    fn planned(&mut self, task: usize, total: u64, left: u64) {
        self.progress.task(task, &self.names[task], total, left);
    }

    fn record(&mut self, task: usize, record: Record) -> Result<(), EvalError> {
        if let Some(out) = &mut self.out {
            out.append(&record)?;
        }
        self.records[task].insert(record.item, record);
        self.progress.item(task);
        Ok(())
    }

    fn worked(&mut self, task: usize, spent: Spent) {
        self.progress.worked(task, spent);
    }

    fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}
