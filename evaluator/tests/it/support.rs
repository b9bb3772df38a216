//! Where the data is, and a watcher that keeps records.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use sekisho_bench::{Catalog, Record, SourceRef, TaskData, TaskDefinition, load};
use sekisho_domain::evaluation::{Bos, TaskRun};
use sekisho_evaluator::{Engine, EvalError, Model, Prompts, Settings, Spent, Task, Watch, run_tasks};
use sekisho_model::{Compute, DecodeRow, Edge, Extended, Inference, ModelError, Place};
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
    let path = match source.source.as_str() {
        // What the oracle derived from the data pack.
        "oracle" => folder.join("../oracle/tasks/data").join(&source.file),
        name => folder.join("bench").join(name).join(&source.file),
    };
    fs_err::read(path).map_err(|error| error.to_string())
}

pub(crate) fn load_model(dir: &Path) -> Model {
    Model::load(dir, &Compute::cpu()).expect("a good model")
}

/// The built-in tasks, and the oracle's own ones in our format.
pub(crate) fn catalog() -> Catalog {
    let mut catalog = Catalog::builtin();
    for (file, text) in [
        ("o_hellaswag.toml", include_str!("../../../tests/oracle/tasks/o_hellaswag.toml")),
        ("o_jcommonsenseqa.toml", include_str!("../../../tests/oracle/tasks/o_jcommonsenseqa.toml")),
        ("o_lambada.toml", include_str!("../../../tests/oracle/tasks/o_lambada.toml")),
        ("o_wikitext2.toml", include_str!("../../../tests/oracle/tasks/o_wikitext2.toml")),
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
    pub(crate) settings: Settings,
    pub(crate) threads: usize,
}

impl Default for How {
    fn default() -> Self {
        Self { bos: Bos::Auto, settings: Settings::default(), threads: 2 }
    }
}

/// Every sequence by itself.
pub(crate) fn alone() -> How {
    How { settings: Settings { sharing: false, ..Settings::default() }, ..How::default() }
}

/// Runs a task; the records by item, and what it cost.
pub(crate) fn answers(
    model: &Model,
    asked: &Asked,
    how: How,
    finished: &BTreeSet<u64>,
) -> Result<(BTreeMap<u64, Record>, Spent), EvalError> {
    let (mut records, spent) = answers_of_all(model, &[asked], how, finished)?;
    Ok((records.swap_remove(0), spent[0]))
}

/// The records of a task whose prompts may have been made before.
pub(crate) fn answers_with(model: &Model, asked: &Asked, prompts: &mut Prompts) -> BTreeMap<u64, Record> {
    let mut all = all_with(model, &[asked], How::default(), &BTreeSet::new(), prompts).expect("answered");
    all.0.swap_remove(0)
}

/// Runs some tasks together; the records of each by item, and what each cost.
pub(crate) fn answers_of_all<'a>(
    model: &Model,
    asked: &[&'a Asked],
    how: How,
    finished: &'a BTreeSet<u64>,
) -> Result<(Vec<BTreeMap<u64, Record>>, Vec<Spent>), EvalError> {
    all_with(model, asked, how, finished, &mut Prompts::new())
}

fn all_with<'a>(
    model: &Model,
    asked: &[&'a Asked],
    how: How,
    finished: &'a BTreeSet<u64>,
    prompts: &mut Prompts,
) -> Result<(Vec<BTreeMap<u64, Record>>, Vec<Spent>), EvalError> {
    let task = |asked: &&'a Asked| Task {
        definition: &asked.definition,
        run: &asked.run,
        bos: how.bos,
        data: &asked.data,
        finished,
    };
    let tasks: Vec<Task<'_>> = asked.iter().map(task).collect();
    let mut kept = Kept { of_tasks: asked.iter().map(|_| OfTask::default()).collect() };
    let pool = rayon::ThreadPoolBuilder::new().num_threads(how.threads).build().expect("a pool");
    let (spent, _) = pool.install(|| run_tasks(model, &tasks, how.settings, prompts, &mut kept))?;
    for ((of_task, asked), spent) in kept.of_tasks.iter().zip(asked).zip(&spent) {
        assert_eq!(of_task.planned, asked.data.items.len() as u64);
        assert_eq!(of_task.records.len() as u64, of_task.left, "every item is answered once");
        let told = of_task.worked.map(|worked| worked.tokens);
        assert_eq!(
            told.unwrap_or_default(),
            spent.tokens,
            "the last word on the work done is the whole of it"
        );
    }
    Ok((kept.of_tasks.into_iter().map(|of_task| of_task.records).collect(), spent))
}

struct Kept {
    of_tasks: Vec<OfTask>,
}

#[derive(Default)]
struct OfTask {
    planned: u64,
    left: u64,
    worked: Option<Spent>,
    records: BTreeMap<u64, Record>,
}

impl Watch for Kept {
    fn planned(&mut self, task: usize, total: u64, left: u64) {
        let of_task = &mut self.of_tasks[task];
        (of_task.planned, of_task.left) = (total, left);
    }

    fn record(&mut self, task: usize, record: Record) -> Result<(), EvalError> {
        let item = record.item;
        let earlier = self.of_tasks[task].records.insert(item, record);
        assert!(earlier.is_none(), "item {item} is answered twice");
        Ok(())
    }

    fn worked(&mut self, task: usize, spent: Spent) {
        self.of_tasks[task].worked = Some(spent);
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

    fn extend_all(&self, edges: &[Edge<'_>]) -> Result<Vec<Extended>, ModelError> {
        let mut all = self.inner.extend_all(edges)?;
        let width = self.config.hidden_size;
        for (extended, edge) in all.iter_mut().zip(edges) {
            for (row, token) in
                extended.hidden.values_mut().chunks_exact_mut(width).zip(&edge.tokens[edge.read..])
            {
                if Some(*token) == self.broken {
                    row.fill(f32::NAN);
                }
            }
        }
        Ok(all)
    }

    fn kv_bytes(&self, tokens: usize) -> usize {
        self.inner.kv_bytes(tokens)
    }

    fn kv_live(&self) -> usize {
        self.inner.kv_live()
    }

    fn logits(&self, places: &[Place<'_>]) -> Result<Vec<f32>, ModelError> {
        self.inner.logits(places)
    }

    fn decode(&self, rows: &mut [DecodeRow]) -> Result<Vec<f32>, ModelError> {
        self.inner.decode(rows)
    }
}

/// A model that notes the most memory that its keys and values took.
pub(crate) struct Weighed {
    inner: Box<dyn Inference>,
    /// Of rows that are being generated, when they were last seen.
    tails: AtomicUsize,
    most: Arc<AtomicUsize>,
}

impl Weighed {
    fn weigh(&self) {
        let now = self.inner.kv_live() + self.tails.load(Ordering::Relaxed);
        self.most.fetch_max(now, Ordering::Relaxed);
    }
}

impl Inference for Weighed {
    fn config(&self) -> &ModelConfig {
        self.inner.config()
    }

    fn extend_all(&self, edges: &[Edge<'_>]) -> Result<Vec<Extended>, ModelError> {
        let all = self.inner.extend_all(edges);
        self.weigh();
        all
    }

    fn kv_bytes(&self, tokens: usize) -> usize {
        self.inner.kv_bytes(tokens)
    }

    fn kv_live(&self) -> usize {
        self.inner.kv_live()
    }

    fn logits(&self, places: &[Place<'_>]) -> Result<Vec<f32>, ModelError> {
        self.inner.logits(places)
    }

    fn decode(&self, rows: &mut [DecodeRow]) -> Result<Vec<f32>, ModelError> {
        let logits = self.inner.decode(rows);
        self.tails.store(rows.iter().map(|row| row.tail.bytes()).sum(), Ordering::Relaxed);
        self.weigh();
        logits
    }
}

/// The model, and the most memory that its keys and values have taken so far.
pub(crate) fn weighed(model: Model) -> (Model, Arc<AtomicUsize>) {
    let most = Arc::new(AtomicUsize::new(0));
    let Engine::Local(inner) = model.engine else { panic!("a model of ours") };
    let inference = Weighed { inner, tails: AtomicUsize::new(0), most: most.clone() };
    (Model { engine: Engine::Local(Box::new(inference)), ..model }, most)
}

/// The model with another context length, or with a token that breaks it.
pub(crate) fn altered(model: Model, longest: Option<usize>, broken: Option<u32>) -> Model {
    let Engine::Local(inner) = model.engine else { panic!("a model of ours") };
    let mut config = inner.config().clone();
    config.max_position_embeddings = longest.unwrap_or(config.max_position_embeddings);
    Model { engine: Engine::Local(Box::new(Altered { inner, config, broken })), ..model }
}
