//! Whole runs of a tiny model on made-up tokens.

mod checkpoints;
mod children;
mod data;
mod families;
mod goldens;
mod grids;
mod lineages;
mod refusals;
mod reporting;
mod resume;
mod rollbacks;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use sekisho_domain::run::MetricRow;
use sekisho_domain::{Clock, Timestamp};

use crate::{Outcome, Spec, TrainError, TrainOptions, train};

/// A clock that stands still.
struct Stopped;

impl Clock for Stopped {
    fn now(&self) -> Timestamp {
        Timestamp::from_unix_ms(1_700_000_000_000)
    }
}

/// A folder with a corpus, and runs beside it.
pub(crate) struct Bench {
    folder: tempfile::TempDir,
}

/// A tiny model on 29 windows of 8 tokens an epoch, four to an update.
const SPEC: &str = r#"
name = "tiny"
seed = 7
[model]
vocab_size = 32
hidden_size = 16
num_hidden_layers = 2
num_attention_heads = 2
num_key_value_heads = 1
intermediate_size = 24
rope_theta = 10000.0
rms_norm_eps = 1e-5
tie_word_embeddings = true
[data]
sequence_length = 8
total_samples = 200
[[data.mix]]
name = "made-up"
path = "made-up"
weight = 1.0
[batch]
sequences = 4
micro = 2
[optimizer]
lr = 1e-2
z_loss = 1e-4
[schedule]
kind = "wsd"
warmup_steps = 3
decay_steps = 4
total_steps = 12
[stability]
skip_sigma = 0.5
window = 4
[stop]
steps = 12
[checkpoint]
every = 4
"#;

impl Bench {
    pub(crate) fn new() -> Self {
        let bench = Self { folder: tempfile::tempdir().expect("a temporary folder") };
        bench.write_corpus(1);
        bench
    }

    /// 20 documents of 12 tokens: `a, a + b, a + 2b …` in a ring, so that there is something to learn.
    fn write_corpus(&self, seed: u16) {
        let documents: Vec<Vec<u16>> =
            (0..20).map(|d| (0..12).map(|t| (d * 5 + t * (d % 3 + seed)) % 32).collect()).collect();
        self.write_documents(&documents);
    }

    /// A corpus of documents of 12 tokens.
    fn write_documents(&self, documents: &[Vec<u16>]) {
        let count = documents.len() as i64;
        let mut idx = b"MMIDIDX\0\0".to_vec();
        idx.extend(1_u64.to_le_bytes());
        idx.push(8);
        idx.extend(count.to_le_bytes());
        idx.extend((count + 1).to_le_bytes());
        documents.iter().for_each(|d| idx.extend((d.len() as i32).to_le_bytes()));
        (0..count).for_each(|d| idx.extend((d * 24).to_le_bytes()));
        (0..=count).for_each(|d| idx.extend(d.to_le_bytes()));
        let bin: Vec<u8> = documents.iter().flatten().flat_map(|id| id.to_le_bytes()).collect();
        fs_err::write(self.path("made-up.idx"), idx).expect("an index");
        fs_err::write(self.path("made-up.bin"), bin).expect("tokens");
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn spec(&self, changes: &[(&str, &str)]) -> Spec {
        spec_in(self.folder.path(), changes)
    }

    fn options(&self, run: &str) -> TrainOptions {
        let device = "cpu".to_owned();
        TrainOptions { device, threads: Some(2), ..TrainOptions::new(self.path(run), Arc::new(Stopped)) }
    }

    pub(crate) fn train(&self, run: &str, changes: &[(&str, &str)]) -> Result<Outcome, TrainError> {
        train(&self.spec(changes), &self.options(run), &mut ())
    }

    fn resume(&self, run: &str, changes: &[(&str, &str)]) -> Result<Outcome, TrainError> {
        train(&self.spec(changes), &TrainOptions { resume: true, ..self.options(run) }, &mut ())
    }
}

/// [`SPEC`] with some texts replaced, on the corpus in `folder`.
fn spec_in(folder: &Path, changes: &[(&str, &str)]) -> Spec {
    let mut text = SPEC.to_owned();
    for (from, to) in changes {
        assert!(text.contains(from), "{from}");
        text = text.replace(from, to);
    }
    Spec::parse("spec.toml", &text, folder).expect("a valid specification")
}

/// The rows of a run's log, without their times.
fn log(run: &Path) -> Vec<MetricRow> {
    let text = fs_err::read_to_string(run.join("log.jsonl")).expect("a log");
    let row = |line: &str| serde_json::from_str::<MetricRow>(line).expect("a row");
    text.lines().map(|line| MetricRow { seconds: None, ..row(line) }).collect()
}

/// Whether two runs ended in the same bits: log, data, parameters and moments.
fn assert_same(a: &Path, b: &Path, step: &str) {
    assert_eq!(log(a), log(b));
    for file in ["parameters.safetensors", "moments.safetensors", "state.json"] {
        let read = |run: &Path| {
            fs_err::read(run.join(step).join("training_state").join(file)).expect("a checkpoint")
        };
        assert!(read(a) == read(b), "{file} differs");
    }
}
