//! Runs tasks on one model: prompts, plan, engine, records.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Instant;

use sekisho_bench::{Record, Request, RequestKind, TaskData, TaskDefinition};
use sekisho_domain::Sha256;
use sekisho_domain::evaluation::{Bos, TaskRun};
use sekisho_domain::score::TokenCounts;
use sekisho_model::{Compute, Inference, Tokenizer};

use crate::EvalError;
use crate::ledger::Ledger;
use crate::plan::{Ask, Node, Plan};
use crate::prompts::Prompts;
use crate::questions::Question;
use crate::remote::{Remote, RemoteOptions, RemoteWalk};
use crate::timing::{Phase, Timing};
use crate::walk::{Pace, Walk};

/// Who computes.
pub enum Engine {
    /// Weights in this process.
    Local(Box<dyn Inference>),
    /// A server.
    Remote(Box<Remote>),
}

/// A model with its tokenizer and identity.
pub struct Model {
    /// The engine.
    pub engine: Engine,
    /// Its tokenizer.
    pub tokenizer: Tokenizer,
    /// Identity of weights and configuration; of what a server says, where it computes.
    pub digest: Sha256,
    /// Parameters, where they are known.
    pub parameters: Option<u64>,
}

impl Model {
    /// Examines the folder as the server does, then loads it. A hostile or broken checkpoint never reaches the engine.
    ///
    /// # Errors
    /// A refusal, a tokenizer that is missing or larger than the model, or a device that cannot compute it.
    pub fn load(dir: &Path, compute: &Compute) -> Result<Self, EvalError> {
        let examined = sekisho_weights::inspect(dir).map_err(sekisho_model::ModelError::from)?;
        let inference = sekisho_model::load(dir, compute)?;
        let tokenizer = Tokenizer::load(dir)?;
        let need = inference.config().vocab_size;
        if tokenizer.vocab_size() > need {
            return Err(EvalError::TokenizerTooLarge { have: tokenizer.vocab_size(), need });
        }
        Ok(Self {
            engine: Engine::Local(inference),
            tokenizer,
            digest: examined.digest,
            parameters: Some(examined.parameters),
        })
    }

    /// The model that a server has, with the tokenizer of a folder; weights need not be there. Asks the server a test sentence.
    ///
    /// # Errors
    /// A tokenizer that cannot be used, or a server that cannot be: [`EvalError::Remote`].
    pub fn remote(dir: &Path, options: &RemoteOptions) -> Result<Self, EvalError> {
        let tokenizer = Tokenizer::load(dir)?;
        let remote = Remote::connect(options, &tokenizer)?;
        let (digest, parameters) = (remote.identity(), remote.parameters());
        Ok(Self { engine: Engine::Remote(Box::new(remote)), tokenizer, digest, parameters })
    }

    /// What may move the last digits of an answer, besides the weights: answers of two of them are not mixed in one task.
    pub(crate) fn numerics(&self) -> String {
        match &self.engine {
            Engine::Local(inference) => Numerics::of(&**inference),
            Engine::Remote(_) => Numerics::CPU.to_owned(),
        }
    }

    /// Most tokens of a sequence's input, where the profile cuts, for tasks of this kind.
    pub(crate) fn longest(&self, settings: Settings, kind: RequestKind) -> usize {
        match &self.engine {
            Engine::Local(inference) => settings.max_length.unwrap_or(inference.config().longest()),
            Engine::Remote(remote) => remote.longest(settings.max_length, kind),
        }
    }
}

/// Names of the ways in which the same weights are computed.
pub(crate) struct Numerics;

impl Numerics {
    /// Ours on the CPU, candle, and servers, which are told apart by the model's identity.
    pub(crate) const CPU: &str = "f32";

    fn of(inference: &dyn Inference) -> String {
        if inference.device() == "cpu" {
            return Self::CPU.to_owned();
        }
        let fast = if inference.is_invariant() { "" } else { " fast" };
        format!("cuda {}{fast}", inference.dtype())
    }
}

/// One task to be run.
#[derive(Clone, Copy)]
pub struct Task<'a> {
    /// Its definition.
    pub definition: &'a TaskDefinition,
    /// Split, limit, shots.
    pub run: &'a TaskRun,
    /// BOS rule.
    pub bos: Bos,
    /// Its items.
    pub data: &'a TaskData,
    /// Items that are answered already and are not asked again.
    pub finished: &'a BTreeSet<u64>,
}

/// How tasks are run. None of it changes a score of our own engine but [`Self::max_length`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Share prefixes and run in batches. Without it every sequence is run by itself, from its first token on: the reference,
    /// and bit-equal.
    pub sharing: bool,
    /// Most memory for keys and values, in bytes; [`Inference::kv_budget`] or what the longest sequence needs when absent.
    pub kv_bytes: Option<usize>,
    /// Most tokens of a sequence, where the profile cuts prompts, and of a window of a rolling text; as many as the model takes
    /// ([`sekisho_weights::ModelConfig::longest`]) when absent. Cut prompts are counted; the windows change bits per byte, as in
    /// lm-eval, and stand in the environment alone.
    pub max_length: Option<usize>,
}

impl Default for Settings {
    fn default() -> Self {
        Self { sharing: true, kv_bytes: None, max_length: None }
    }
}

/// Who watches tasks being run, and keeps their records. Tasks are named by their index.
pub trait Watch {
    /// The prompts are made: items in all, and those that are still to be asked.
    fn planned(&mut self, task: usize, total: u64, left: u64);
    /// An item is answered.
    ///
    /// # Errors
    /// When the record cannot be kept; the run ends then.
    fn record(&mut self, task: usize, record: Record) -> Result<(), EvalError>;
    /// Work done so far.
    fn worked(&mut self, task: usize, spent: Spent);
    /// Whether to stop between two batches.
    fn stopped(&self) -> bool;
}

/// What a task has cost.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Spent {
    /// Wall time; where tasks share a batch, by their tokens in it.
    pub seconds: f64,
    /// Tokens. Prompts count when they are answered.
    pub tokens: TokenCounts,
    /// Whether prompts started with BOS.
    pub bos: bool,
}

/// Runs tasks and hands every record to `watch` as it comes, in the order of the plan and not of the items.
///
/// # Errors
/// [`EvalError`]; the records handed over before it stay valid.
pub fn run_tasks(
    model: &Model,
    tasks: &[Task<'_>],
    settings: Settings,
    prompts: &mut Prompts,
    watch: &mut dyn Watch,
) -> Result<(Vec<Spent>, Timing), EvalError> {
    let begun = Instant::now();
    let mut encoded = Vec::with_capacity(tasks.len());
    for (number, task) in tasks.iter().enumerate() {
        if task.data.items.is_empty() {
            return Err(EvalError::Empty { task: task.definition.name() });
        }
        let longest = model.longest(settings, task.definition.request.kind());
        encoded.push(prompts.of(&model.tokenizer, task, longest)?);
        let left = task.data.items.iter().filter(|item| !task.finished.contains(&item.index)).count();
        watch.planned(number, task.data.items.len() as u64, left as u64);
    }
    let mut timing = Timing::default();
    timing.add(Phase::Encode, begun);
    let questions: Vec<Question<'_>> = tasks
        .iter()
        .zip(&encoded)
        .enumerate()
        .flat_map(|(number, (task, encoded))| {
            let open = task.data.items.iter().zip(&encoded.items);
            let open = open.filter(|(item, _)| !task.finished.contains(&item.index));
            open.map(move |(item, encoded)| Question { task: number, item, encoded })
        })
        .collect();
    let begun = Instant::now();
    let asked = questions.iter().enumerate().flat_map(|(number, question)| question.asked(number)).collect();
    let plan = if settings.sharing { Plan::shared(asked) } else { Plan::alone(asked) };
    timing.add(Phase::Plan, begun);
    let ledger = Ledger::new(tasks, &questions, timing, watch);
    let ledger = match &model.engine {
        Engine::Local(inference) => {
            let (kv_bytes, below) = kv_bytes(&**inference, &plan, &questions, settings)?;
            let pace = Pace { alone: !settings.sharing, kv_bytes, below };
            let mut walk = Walk::new((&**inference, &model.tokenizer), &plan, pace, ledger);
            walk.run()?;
            walk.ledger
        }
        Engine::Remote(remote) => {
            let mut walk = RemoteWalk::new((model, remote), &plan, ledger)?;
            walk.run()?;
            walk.ledger
        }
    };
    let Ledger { mut spent, timing, .. } = ledger;
    for (spent, encoded) in spent.iter_mut().zip(&encoded) {
        spent.bos = encoded.bos;
    }
    Ok((spent, timing))
}

/// The budget for keys and values, and for each edge what the heaviest path below it takes: every sequence, with what is generated
/// from it, must fit by itself.
fn kv_bytes(
    inference: &dyn Inference,
    plan: &Plan<'_>,
    questions: &[Question<'_>],
    settings: Settings,
) -> Result<(usize, Vec<usize>), EvalError> {
    let generated = |(ask, _): &(Ask, usize)| match questions[ask.question].item.request {
        Request::Generate { max_new_tokens, .. } => inference.kv_bytes(max_new_tokens as usize),
        _ => 0,
    };
    let own = |node: &Node<'_>| inference.kv_bytes(node.tokens.len());
    let end =
        |node: &Node<'_>| node.reads.iter().flat_map(|read| &read.asks).map(generated).max().unwrap_or(0);
    let below = plan.weights_below(&own, &end);
    let need = plan.roots.iter().map(|root| own(&plan.nodes[*root]) + below[*root]).max().unwrap_or(0);
    let most = inference.kv_most();
    let have = settings.kv_bytes.unwrap_or_else(|| inference.kv_budget().max(need)).min(most);
    if have < need { Err(EvalError::KvBudget { have, need }) } else { Ok((have, below)) }
}
