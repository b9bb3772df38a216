//! Where the data is, and a watcher that keeps records.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sekisho_bench::{Catalog, Record, SourceRef, TaskData, TaskDefinition, load};
use sekisho_domain::evaluation::{Bos, TaskRun};
use sekisho_domain::score::TokenCounts;
use sekisho_evaluator::{EvalError, Model, Spent, Task, Watch, run_task};
use sekisho_model::{DecodeRow, Extended, Inference, Kv, ModelError};
use sekisho_weights::ModelConfig;

/// The data pack (`SEKISHO_TEST_DATA`, relative to the workspace), or none with a line on stderr.
fn data() -> Option<PathBuf> {
    let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    let folder = root.join(std::env::var_os("SEKISHO_TEST_DATA").unwrap_or("../shared/data".into()));
    if folder.is_dir() {
        return Some(folder);
    }
    eprintln!("skipped: no test data at {}", folder.display());
    None
}

/// The tiny English model of the data pack.
pub(crate) fn stories() -> Option<PathBuf> {
    Some(data()?.join("models/stories260K/hf"))
}

/// The bilingual model of the oracle.
pub(crate) fn oracle() -> Option<PathBuf> {
    Some(data()?.join("../oracle/mini-ja-en/step-0800"))
}

/// The goldens of one task, one JSON object a line, in the order of the items.
pub(crate) fn goldens(file: &str, prefix: &str) -> Vec<serde_json::Value> {
    let path = data().expect("called only with data").join("../oracle/goldens/step-0800").join(file);
    let text = fs_err::read_to_string(path).expect("the oracle lies beside the data pack");
    let rows = text.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).expect("JSON"));
    rows.filter(|row| row["id"].as_str().is_some_and(|id| id.starts_with(prefix))).collect()
}

pub(crate) fn read(source: &SourceRef) -> Result<Vec<u8>, String> {
    let folder = data().ok_or("no test data")?;
    let path = folder.join("bench").join(&source.source).join(&source.file);
    fs_err::read(path).map_err(|error| error.to_string())
}

pub(crate) fn load_model(dir: &Path) -> Model {
    Model::load(dir).expect("a good model")
}

/// The built-in tasks, and the oracle's own ones in our format.
pub(crate) fn catalog() -> Catalog {
    let mut catalog = Catalog::builtin();
    for (file, text) in [
        ("o_hellaswag.toml", include_str!("../../../tests/oracle/tasks/o_hellaswag.toml")),
        ("o_jcommonsenseqa.toml", include_str!("../../../tests/oracle/tasks/o_jcommonsenseqa.toml")),
        ("o_winogrande.toml", include_str!("../../../tests/oracle/tasks/o_winogrande.toml")),
        ("o_xwino_ja.toml", include_str!("../../../tests/oracle/tasks/o_xwino_ja.toml")),
    ] {
        catalog.add(file, text).expect("a valid definition");
    }
    catalog
}

/// A task with its items.
pub(crate) struct Asked {
    pub(crate) definition: TaskDefinition,
    pub(crate) run: TaskRun,
    pub(crate) data: TaskData,
}

/// The first items of a task of [`catalog`], written `profile/task/split`.
pub(crate) fn asked(name: &str, limit: usize, shots: Option<u32>) -> Asked {
    let [profile, task, split] = name.split('/').collect::<Vec<_>>()[..] else { panic!("{name}") };
    let definition = catalog().find(profile, task).expect("known").clone();
    let run = TaskRun {
        profile: definition.profile.clone(),
        task: task.to_owned(),
        split: split.to_owned(),
        limit: Some(limit as u64),
        shots,
    };
    let data = load(&definition, &run, &[], &read).expect("real data is well-formed");
    Asked { definition, run, data }
}

/// How a task is run.
#[derive(Clone, Copy)]
pub(crate) struct How {
    pub(crate) bos: Bos,
    pub(crate) sharing: bool,
    pub(crate) threads: usize,
}

impl Default for How {
    fn default() -> Self {
        Self { bos: Bos::Auto, sharing: true, threads: 2 }
    }
}

/// Runs a task; the records by item, and what it cost.
pub(crate) fn answers(
    model: &Model,
    asked: &Asked,
    how: How,
    finished: &BTreeSet<u64>,
) -> Result<(BTreeMap<u64, Record>, Spent), EvalError> {
    let task = Task {
        definition: &asked.definition,
        run: &asked.run,
        bos: how.bos,
        data: &asked.data,
        finished,
        sharing: how.sharing,
    };
    let mut kept = Kept::default();
    let pool = rayon::ThreadPoolBuilder::new().num_threads(how.threads).build().expect("a pool");
    let spent = pool.install(|| run_task(model, &task, &mut kept))?;
    assert_eq!(kept.planned, asked.data.items.len() as u64);
    assert_eq!(kept.records.len() as u64, kept.left, "every item is answered once");
    assert_eq!(kept.worked, spent.tokens, "the last word on the work done is the whole of it");
    Ok((kept.records, spent))
}

#[derive(Default)]
struct Kept {
    planned: u64,
    left: u64,
    worked: TokenCounts,
    records: BTreeMap<u64, Record>,
}

impl Watch for Kept {
    fn planned(&mut self, total: u64, left: u64) {
        (self.planned, self.left) = (total, left);
    }

    fn record(&mut self, record: Record) -> Result<(), EvalError> {
        let item = record.item;
        assert!(self.records.insert(item, record).is_none(), "item {item} is answered twice");
        Ok(())
    }

    fn worked(&mut self, tokens: TokenCounts) {
        self.worked = tokens;
    }

    fn stopped(&self) -> bool {
        false
    }
}

/// A model with a shorter context, or with a broken token.
pub(crate) struct Altered {
    pub(crate) inner: Box<dyn Inference>,
    pub(crate) config: ModelConfig,
    /// After this token the logits are no numbers.
    pub(crate) broken: Option<u32>,
}

impl Inference for Altered {
    fn config(&self) -> &ModelConfig {
        &self.config
    }

    fn extend(&self, prefix: Option<&Arc<Kv>>, tokens: &[u32]) -> Result<Extended, ModelError> {
        let mut extended = self.inner.extend(prefix, tokens)?;
        let width = self.config.hidden_size;
        for (row, token) in extended.hidden.chunks_exact_mut(width).zip(tokens) {
            if Some(*token) == self.broken {
                row.fill(f32::NAN);
            }
        }
        Ok(extended)
    }

    fn logits(&self, hidden: &[f32]) -> Vec<f32> {
        self.inner.logits(hidden)
    }

    fn decode(&self, rows: &mut [DecodeRow]) -> Result<Vec<f32>, ModelError> {
        self.inner.decode(rows)
    }
}

/// The model with another context length, or with a token that breaks it.
pub(crate) fn altered(model: Model, longest: Option<usize>, broken: Option<u32>) -> Model {
    let mut config = model.inference.config().clone();
    config.max_position_embeddings = longest.unwrap_or(config.max_position_embeddings);
    Model { inference: Box::new(Altered { inner: model.inference, config, broken }), ..model }
}
