//! The worker's loop: claim a work item, run it, hand its records back as they come.

use std::any::Any;
use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use sekisho_bench::{SourceRef, TaskDefinition, load};
use sekisho_domain::Sha256;
use sekisho_domain::wire::{Claim, ClaimedItems, ItemFailure, SourceFile, WorkItem};
use sekisho_model::cuda::CudaError;
use sekisho_model::{Compute, ModelError};
use sekisho_weights::{Refusal, write_atomic};

use crate::client::{self, Client, ClientError};
use crate::lease::{Batches, Lease};
use crate::models::Models;
use crate::{EvalError, Model, Prompts, Settings, Task, environment, run_tasks};

/// Between two claims while nothing waits.
const POLL: Duration = Duration::from_secs(1);
/// Longest pause between two claims while the service is away.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// A worker that has never reached the service gives up after this.
const FIRST_CONTACT: Duration = Duration::from_secs(60);

/// How a worker behaves.
#[derive(Clone, Debug)]
pub struct WorkerOptions {
    /// Name, unique among the living.
    pub name: String,
    /// Pool it works for; empty for any.
    pub pool: String,
    /// Ends after so long without work; never when absent.
    pub max_idle: Option<Duration>,
    /// Folder in which data files are kept by digest.
    pub cache: PathBuf,
    /// Threads; all cores when absent.
    pub threads: Option<usize>,
    /// What computes.
    pub compute: Compute,
    /// Set to drain: what is answered is handed over, the rest of the item goes back to the queue.
    pub stop: Arc<AtomicBool>,
}

/// Why a worker ended without an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// It was asked to stop, and drained.
    Drained,
    /// Nothing waited for `max_idle`.
    Idle,
}

/// Why a worker could not go on. Failures of single items are told to the service and are none.
#[derive(Debug, thiserror::Error)]
pub enum WorkerError {
    /// The service refused the worker, or cannot be reached.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The thread pool could not be made.
    #[error("{0}")]
    Threads(#[from] rayon::ThreadPoolBuildError),
    /// The GPU answers nothing more to this process. The item went back to the queue.
    #[error("{0} The worker ends, since a process cannot use a GPU again that it has lost.")]
    GpuLost(String),
}

/// Why an item could not be finished.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ItemError {
    #[error(transparent)]
    Eval(#[from] EvalError),
    #[error(transparent)]
    Client(#[from] ClientError),
    #[error(
        "{path} holds checkpoint {have}, the work item is about {want}. The folder was changed after it was verified; announce it again."
    )]
    OtherCheckpoint { path: String, have: Sha256, want: Sha256 },
    #[error("the worker failed unexpectedly: {0}")]
    Panic(String),
}

impl ItemError {
    /// Whether another try, perhaps elsewhere, may help: a disk that did not answer, a network, an accident.
    fn may_pass(&self) -> bool {
        match self {
            Self::Eval(EvalError::Model(ModelError::Checkpoint(refusal))) => {
                matches!(refusal, Refusal::Unreadable { .. } | Refusal::Changed { .. })
            }
            // Another worker's GPU may have more memory, or be in a better state.
            Self::Eval(EvalError::Model(ModelError::Cuda(error))) => {
                !matches!(error, CudaError::NotFinite { .. })
            }
            Self::Eval(EvalError::Io(_)) | Self::Client(_) | Self::Panic(_) => true,
            Self::Eval(_) | Self::OtherCheckpoint { .. } => false,
        }
    }

    /// Whether the GPU is lost to this process.
    fn is_gpu_lost(&self) -> bool {
        matches!(self, Self::Eval(EvalError::Model(ModelError::Cuda(CudaError::Lost { .. }))))
    }
}

/// A process that answers work items, one after the other.
pub struct Worker {
    client: Client,
    options: WorkerOptions,
    pool: rayon::ThreadPool,
    models: Models,
    prompts: Prompts,
}

impl Worker {
    /// A worker for the service at this address.
    ///
    /// # Errors
    /// When the thread pool or the HTTP client cannot be made.
    pub fn new(server: &str, token: Option<String>, options: WorkerOptions) -> Result<Self, WorkerError> {
        let mut pool = rayon::ThreadPoolBuilder::new();
        if let Some(threads) = options.threads {
            pool = pool.num_threads(threads);
        }
        Ok(Self {
            client: Client::new(server, token)?,
            pool: pool.build()?,
            models: Models::new(options.compute.clone()),
            prompts: Prompts::new(),
            options,
        })
    }

    /// Works until it is asked to stop, or has been idle for too long.
    ///
    /// # Errors
    /// The service refuses the worker (token, version, pool), or was never reached.
    pub fn run(mut self) -> Result<Ended, WorkerError> {
        let mut idle_since = Instant::now();
        let mut reached = false;
        let mut pause = POLL;
        while !self.options.stop.load(Ordering::Relaxed) {
            match self.claim() {
                Ok(claimed) => {
                    (reached, pause) = (true, POLL);
                    if !claimed.items.is_empty() {
                        self.models.prepare(claimed.next);
                        claimed.items.iter().try_for_each(|item| self.work(item))?;
                        idle_since = Instant::now();
                        continue;
                    }
                }
                Err(ClientError::Away { reason, .. }) if reached || idle_since.elapsed() < FIRST_CONTACT => {
                    tracing::warn!(reason, "the service is away; trying again in {pause:?}");
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
                Err(error) => return Err(error.into()),
            }
            if self.options.max_idle.is_some_and(|most| idle_since.elapsed() >= most) {
                return Ok(Ended::Idle);
            }
            client::sleep(pause, &self.options.stop);
        }
        Ok(Ended::Drained)
    }

    /// One item at a time: others may take the rest, and a kill costs little.
    fn claim(&self) -> Result<ClaimedItems, ClientError> {
        let claim = Claim {
            worker: self.options.name.clone(),
            pool: self.options.pool.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            loaded: self.models.digest(),
            max: 1,
        };
        self.client.claim(&claim)
    }

    /// Runs an item under heartbeats. Whatever happens to it, the loop goes on, unless the GPU is lost.
    fn work(&mut self, item: &WorkItem) -> Result<(), WorkerError> {
        let name = format!("{}/{}", item.run.profile, item.run.task);
        tracing::info!(item = %item.id, checkpoint = %item.checkpoint, "{name}: begun");
        let Self { client, options, pool, models, prompts } = self;
        let lease =
            Lease { client, worker: &options.name, item, stop: &options.stop, lost: AtomicBool::new(false) };
        let result = std::thread::scope(|scope| {
            let (done, ended) = mpsc::channel();
            let lease = &lease;
            scope.spawn(move || lease.beat(&ended));
            let run = || pool.install(|| answer(lease, &options.cache, models, prompts));
            let result = catch_unwind(AssertUnwindSafe(run));
            drop(done);
            result
        });
        let result = result.unwrap_or_else(|panic| {
            models.forget();
            Err(ItemError::Panic(words(&*panic)))
        });
        match result {
            Ok(end) => tracing::info!(item = %item.id, "{name}: {end}"),
            Err(_) if lease.is_lost() => tracing::warn!(item = %item.id, "{name}: the lease has passed on"),
            Err(error) => {
                tracing::error!(item = %item.id, %error, "{name}: failed");
                let failure = ItemFailure { message: error.to_string(), retry: error.may_pass() };
                if let Err(error) = lease.fail(failure) {
                    tracing::error!(item = %item.id, %error, "the failure could not be reported");
                }
                if error.is_gpu_lost() {
                    return Err(WorkerError::GpuLost(error.to_string()));
                }
            }
        }
        Ok(())
    }
}

/// Answers what is still unanswered of an item; says how it ended.
fn answer(
    lease: &Lease<'_>,
    cache: &Path,
    models: &mut Models,
    prompts: &mut Prompts,
) -> Result<&'static str, ItemError> {
    let item = lease.item;
    let definition =
        TaskDefinition::from_toml(&format!("the definition of {}", item.run.task), &item.definition)
            .map_err(EvalError::from)?;
    let files = sources(lease, cache)?;
    let accept: Vec<Sha256> = item.sources.iter().map(|source| source.sha256).collect();
    let read = |wanted: &SourceRef| {
        let file = files.get(&(wanted.source.as_str(), wanted.file.as_str()));
        file.cloned().ok_or_else(|| "the service sent no such file with the work item".to_owned())
    };
    let data = load(&definition, &item.run, &accept, &read).map_err(EvalError::from)?;
    let model = checked_model(models, item)?;
    let finished: BTreeSet<u64> = item.finished.iter().copied().collect();
    let task =
        Task { definition: &definition, run: &item.run, bos: item.bos, data: &data, finished: &finished };
    let settings = Settings::default();
    let mut batches = Batches::new(lease);
    match run_tasks(model, &[task], settings, prompts, &mut batches) {
        Ok((spent, _)) => {
            let bos = spent.iter().map(|spent| spent.bos).collect();
            let environment = environment(model, &bos, rayon::current_num_threads(), settings);
            batches.finish(environment)?;
            Ok("finished")
        }
        Err(EvalError::Stopped) => match batches.error.take() {
            Some(error) => Err(error.into()),
            None if lease.is_lost() => Err(EvalError::Stopped.into()),
            None => {
                batches.give_back()?;
                Ok("given back")
            }
        },
        Err(error) => Err(error.into()),
    }
}

/// The model of an item, held against its digest.
pub(crate) fn checked_model<'a>(models: &'a mut Models, item: &WorkItem) -> Result<&'a Model, ItemError> {
    let have = models.of(&item.path, item.digest)?.digest;
    if have != item.digest {
        models.forget();
        return Err(ItemError::OtherCheckpoint { path: item.path.clone(), have, want: item.digest });
    }
    Ok(models.of(&item.path, item.digest)?)
}

type Files<'a> = BTreeMap<(&'a str, &'a str), Vec<u8>>;

fn sources<'a>(lease: &'a Lease<'_>, cache: &Path) -> Result<Files<'a>, ClientError> {
    let file = |source: &'a SourceFile| {
        let bytes = source_bytes(lease, cache, source.sha256)?;
        Ok(((source.source.as_str(), source.file.as_str()), bytes))
    };
    lease.item.sources.iter().map(file).collect()
}

/// From the cache if it is there and whole, else from the service. A cache that cannot be written only costs time.
fn source_bytes(lease: &Lease<'_>, cache: &Path, sha256: Sha256) -> Result<Vec<u8>, ClientError> {
    let path = cache.join(sha256.hex());
    if let Ok(bytes) = fs_err::read(&path)
        && Sha256::of(&bytes) == sha256
    {
        return Ok(bytes);
    }
    let bytes = lease.client.source(sha256, lease.stop)?;
    let kept =
        fs_err::create_dir_all(cache).and_then(|()| write_atomic(&path, |file| file.write_all(&bytes)));
    if let Err(error) = kept {
        tracing::warn!(%error, "a data file could not be kept for the next time");
    }
    Ok(bytes)
}

fn words(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no words".to_owned())
}

#[cfg(test)]
mod tests {
    use super::{CudaError, EvalError, ItemError, ModelError};

    fn check(error: CudaError, may_pass: bool, is_lost: bool) {
        let error = ItemError::from(EvalError::from(ModelError::from(error)));
        assert_eq!((error.may_pass(), error.is_gpu_lost()), (may_pass, is_lost), "{error}");
    }

    #[test]
    fn what_a_gpu_could_not_do_is_tried_elsewhere_unless_the_weights_are_at_fault() {
        let device = || "NVIDIA H200".to_owned();
        let reason = || "ILLEGAL_ADDRESS".to_owned();
        check(CudaError::Lost { device: device(), what: "a launch", reason: reason() }, true, true);
        check(CudaError::Failed { device: device(), what: "a launch", reason: reason() }, true, false);
        let memory = CudaError::OutOfMemory { device: device(), what: "weights", needed: 30.0, free: 20.0 };
        check(memory, true, false);
        check(CudaError::NotFinite { place: "the embedding".to_owned() }, false, false);
    }
}
