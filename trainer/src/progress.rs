use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use sekisho_domain::run::MetricRow;
use sekisho_domain::{Clock, Step, Tokens};

/// How a run is carried out. Nothing in here changes what is computed.
pub struct TrainOptions {
    /// The run's folder.
    pub out: PathBuf,
    /// The server that is told about progress.
    pub server: Option<ServerAddress>,
    /// The server's project for a run that is new there; `default` when absent.
    pub project: Option<String>,
    /// Go on from the last complete checkpoint in the folder.
    pub resume: bool,
    /// `auto`, `cpu` or `cuda:N`.
    pub device: String,
    /// Threads; all cores when absent.
    pub threads: Option<usize>,
    /// Set from a signal handler: the update in hand is finished, a checkpoint written, and [`train`](crate::train) returns.
    pub stop: Arc<AtomicBool>,
    /// Where tokens and what was learned of files are kept between runs; nowhere when absent.
    pub cache: Option<PathBuf>,
    /// Dates events.
    pub clock: Arc<dyn Clock>,
}

impl TrainOptions {
    /// A fresh run in `out` on the best device, with all cores, and no server.
    #[must_use]
    pub fn new(out: impl Into<PathBuf>, clock: Arc<dyn Clock>) -> Self {
        Self {
            out: out.into(),
            server: None,
            project: None,
            resume: false,
            device: "auto".to_owned(),
            threads: None,
            stop: Arc::default(),
            cache: None,
            clock,
        }
    }
}

/// Where the server is and who we are to it.
#[derive(Clone, Debug)]
pub struct ServerAddress {
    /// Base address, e.g. `http://127.0.0.1:7070`.
    pub url: String,
    /// API token with the scope `ingest`.
    pub token: Option<String>,
}

/// What a run tells whoever watches it. Called on the training thread: return soon.
pub trait Progress: Send {
    /// Training begins after update `done` and is to end after update `total`.
    fn start(&mut self, done: Step, total: Step);
    /// An update was made. The speed is that of the last few updates.
    fn step(&mut self, row: &MetricRow, tokens_per_second: f64, remaining: Duration);
    /// A checkpoint is complete on disk.
    fn checkpoint(&mut self, path: &Path, step: Step);
    /// Something worth a sentence.
    fn note(&mut self, text: &str);
    /// Before training: `done` of `total` bytes of a text are tokens. Those that are in the cache already are not told.
    fn reading(&mut self, _file: &Path, _done: u64, _total: u64) {}
}

/// Watches in silence.
impl Progress for () {
    fn start(&mut self, _done: Step, _total: Step) {}
    fn step(&mut self, _row: &MetricRow, _tokens_per_second: f64, _remaining: Duration) {}
    fn checkpoint(&mut self, _path: &Path, _step: Step) {}
    fn note(&mut self, _text: &str) {}
}

/// How a run ended without an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// All updates of `[stop]` were made.
    Finished,
    /// Every mix had reached its `repeat` before that.
    DataUsedUp,
    /// It was asked to stop, and may be resumed.
    Stopped,
}

/// Shares of the last 10,000 updates, from 0 to 1, that stood out: more than six standard deviations above the mean of the 128 before
/// (OLMo-core's `StabilityMonitor`).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SpikeScore {
    /// Of the losses.
    pub loss: f64,
    /// Of the gradient norms.
    pub grad_norm: f64,
}

/// What a run came to.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// How it ended.
    pub ended: Ended,
    /// The last update.
    pub step: Step,
    /// Training targets seen.
    pub tokens: Tokens,
    /// Loss of the last update made by this call; none when there was nothing left to do.
    pub loss: Option<f64>,
    /// How often updates stood out; none before the first one.
    pub spikes: Option<SpikeScore>,
    /// The last checkpoint; none when not a single update was made.
    pub checkpoint: Option<PathBuf>,
}
