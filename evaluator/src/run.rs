//! Runs one task on one model: plan, engine, records.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use sekisho_bench::{Answer, Item, Record, Request, TaskData, TaskDefinition};
use sekisho_domain::Sha256;
use sekisho_domain::evaluation::{Bos, TaskRun};
use sekisho_domain::score::TokenCounts;
use sekisho_model::ops::softmax::log_sum_exp;
use sekisho_model::{Inference, Kv, Llama, Tokenizer};

use crate::EvalError;
use crate::encode::{EncodedItem, Encoder};
use crate::generate::{Generated, Generator, Wish};
use crate::plan::{self, Ask, Asked, Edge};

/// Rows generated at once.
const BATCH: usize = 32;

/// Logits rows held at once while choices are scored.
const LOGIT_ROWS: usize = 64;

/// A loaded model with its tokenizer and identity.
pub struct Model {
    /// The engine.
    pub inference: Box<dyn Inference>,
    /// Its tokenizer.
    pub tokenizer: Tokenizer,
    /// Identity of weights and configuration.
    pub digest: Sha256,
    /// Parameters.
    pub parameters: u64,
}

impl Model {
    /// Examines the folder as the server does, then loads it. A hostile or broken checkpoint never reaches the engine.
    ///
    /// # Errors
    /// A refusal, or a tokenizer that is missing or larger than the model.
    pub fn load(dir: &Path) -> Result<Self, EvalError> {
        let examined = sekisho_weights::inspect(dir).map_err(sekisho_model::ModelError::from)?;
        let inference = Llama::load(dir)?;
        let tokenizer = Tokenizer::load(dir)?;
        let need = inference.config().vocab_size;
        if tokenizer.vocab_size() > need {
            return Err(EvalError::TokenizerTooLarge { have: tokenizer.vocab_size(), need });
        }
        Ok(Self {
            inference: Box::new(inference),
            tokenizer,
            digest: examined.digest,
            parameters: examined.parameters,
        })
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
    /// Share prefixes. Without it every sequence is run by itself, from its first token on: the reference, and bit-equal.
    pub sharing: bool,
}

/// Who watches a task being run, and keeps its records.
pub trait Watch {
    /// The plan is made: items in all, and those that are still to be asked.
    fn planned(&mut self, total: u64, left: u64);
    /// An item is answered.
    ///
    /// # Errors
    /// When the record cannot be kept; the task ends then.
    fn record(&mut self, record: Record) -> Result<(), EvalError>;
    /// Work done so far.
    fn worked(&mut self, tokens: TokenCounts);
    /// Whether to stop between two edges.
    fn stopped(&self) -> bool;
}

/// What a task has cost.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Spent {
    /// Wall time.
    pub seconds: f64,
    /// Tokens.
    pub tokens: TokenCounts,
    /// Whether prompts started with BOS.
    pub bos: bool,
}

/// Runs a task and hands every record to `watch` as it comes. Records come in the order of the plan, not of the items.
///
/// # Errors
/// [`EvalError`]; the records handed over before it stay valid.
pub fn run_task(model: &Model, task: &Task<'_>, watch: &mut dyn Watch) -> Result<Spent, EvalError> {
    let begun = Instant::now();
    if task.data.items.is_empty() {
        return Err(EvalError::Empty { task: task.definition.name() });
    }
    let longest = model.inference.config().max_position_embeddings;
    let encoder = Encoder::new(&model.tokenizer, task.definition, task.bos, longest)?;
    let items: Vec<&Item> = task.data.items.iter().filter(|i| !task.finished.contains(&i.index)).collect();
    watch.planned(task.data.items.len() as u64, items.len() as u64);
    let encoded: Vec<EncodedItem> = items.iter().map(|item| encoder.item(item)).collect::<Result<_, _>>()?;
    let mut runner = Runner::new(model, task, &items, &encoded, watch);
    runner.run()?;
    Ok(Spent { seconds: begun.elapsed().as_secs_f64(), tokens: runner.counts(), bos: encoder.bos() })
}

struct Runner<'a, 'w> {
    model: &'a Model,
    task: &'a Task<'a>,
    items: &'a [&'a Item],
    encoded: &'a [EncodedItem],
    watch: &'w mut dyn Watch,
    generator: Generator<'a>,
    /// Keys and values of the edges from the root to where the walk is.
    path: Vec<Arc<Kv>>,
    /// Summed log-likelihoods of each item's choices, and the number of choices still open.
    scores: Vec<(Vec<f64>, usize)>,
    counts: TokenCounts,
}

impl<'a, 'w> Runner<'a, 'w> {
    fn new(
        model: &'a Model,
        task: &'a Task<'a>,
        items: &'a [&'a Item],
        encoded: &'a [EncodedItem],
        watch: &'w mut dyn Watch,
    ) -> Self {
        let generator = Generator::new(&*model.inference, &model.tokenizer);
        let scores = encoded.iter().map(|e| (vec![0.0; e.sequences.len()], e.sequences.len())).collect();
        let prompt = encoded.iter().flat_map(|e| &e.sequences).map(|s| s.input.len() as u64).sum();
        let counts = TokenCounts { prompt, ..TokenCounts::default() };
        Self { model, task, items, encoded, watch, generator, path: Vec::new(), scores, counts }
    }

    fn counts(&self) -> TokenCounts {
        TokenCounts { generated: self.generator.tokens, ..self.counts }
    }

    fn run(&mut self) -> Result<(), EvalError> {
        let asked = self.asked();
        if self.task.sharing {
            plan::walk(asked, &mut |edge| self.visit(&edge))?;
        } else {
            for alone in asked {
                plan::walk(vec![alone], &mut |edge| self.visit(&edge))?;
                self.generate(0)?;
            }
        }
        self.generate(0)
    }

    fn asked(&self) -> Vec<Asked<'a>> {
        let sequences = |(item, encoded): (usize, &'a EncodedItem)| {
            encoded.sequences.iter().enumerate().map(move |(sequence, s)| Asked {
                ask: Ask { item, sequence },
                tokens: &s.input,
                reads: if self.generates(item) { 1 } else { s.targets.len() },
            })
        };
        self.encoded.iter().enumerate().flat_map(sequences).collect()
    }

    fn generates(&self, item: usize) -> bool {
        matches!(self.items[item].request, Request::Generate { .. })
    }

    /// Runs an edge, reads off it what is asked there, and finishes what ends with it.
    fn visit(&mut self, edge: &Edge<'_>) -> Result<(), EvalError> {
        if self.watch.stopped() {
            return Err(EvalError::Stopped);
        }
        self.path.truncate(edge.depth);
        let extended = self.model.inference.extend(self.path.last(), edge.tokens)?;
        self.path.push(extended.kv.clone());
        self.counts.prefilled += edge.tokens.len() as u64;
        let width = self.model.inference.config().hidden_size;
        let reads: Vec<_> = edge.reads.iter().collect();
        for some in reads.chunks(LOGIT_ROWS) {
            let row = |position: usize| &extended.hidden[(position - edge.start) * width..][..width];
            let hidden: Vec<f32> = some.iter().flat_map(|(position, _)| row(**position)).copied().collect();
            let logits = self.model.inference.logits(&hidden);
            let vocabulary = self.model.inference.config().vocab_size;
            for ((_, asks), logits) in some.iter().zip(logits.chunks_exact(vocabulary)) {
                self.read(asks, logits, &extended.kv)?;
            }
        }
        for ask in &edge.ends {
            self.close(*ask)?;
        }
        self.watch.worked(self.counts());
        Ok(())
    }

    /// Adds the log-probability of each target, or starts a generation.
    fn read(&mut self, asks: &[(Ask, usize)], logits: &[f32], kv: &Arc<Kv>) -> Result<(), EvalError> {
        // A sum over the vocabulary may step over a NaN; the logits themselves are looked at.
        if let (Some((ask, _)), false) = (asks.first(), logits.iter().all(|logit| logit.is_finite())) {
            return Err(self.not_finite(ask.item));
        }
        let mut normaliser = None;
        for (ask, target) in asks {
            let targets = &self.encoded[ask.item].sequences[ask.sequence].targets;
            match self.items[ask.item].request {
                Request::Generate { ref stop, max_new_tokens, .. } => {
                    let wish = Wish { item: ask.item, stop, limit: max_new_tokens };
                    let done =
                        self.generator.start(wish, kv.clone(), logits).map_err(|i| self.not_finite(i))?;
                    done.map_or(Ok(()), |done| self.answer_text(done))?;
                    self.generate(BATCH - 1)?;
                }
                Request::Choices { .. } | Request::Continuation { .. } | Request::Rolling { .. } => {
                    let normaliser = *normaliser.get_or_insert_with(|| log_sum_exp(logits));
                    let value = f64::from(logits[targets[*target] as usize]) - normaliser;
                    if !value.is_finite() {
                        return Err(self.not_finite(ask.item));
                    }
                    self.scores[ask.item].0[ask.sequence] += value;
                }
            }
        }
        Ok(())
    }

    /// A sequence is complete; with the last one of its item, the item is.
    fn close(&mut self, ask: Ask) -> Result<(), EvalError> {
        if self.generates(ask.item) {
            return Ok(());
        }
        let (values, open) = &mut self.scores[ask.item];
        *open -= 1;
        if *open > 0 {
            return Ok(());
        }
        let sequences = &self.encoded[ask.item].sequences;
        let choice_tokens = sequences.iter().map(|s| s.targets.len() as u64).collect();
        let answer = Answer::Choices { loglikelihoods: std::mem::take(values), choice_tokens, greedy: None };
        self.keep(ask.item, answer)
    }

    /// Generates until at most `room` rows are on their way.
    fn generate(&mut self, room: usize) -> Result<(), EvalError> {
        while self.generator.len() > room {
            if self.watch.stopped() {
                return Err(EvalError::Stopped);
            }
            let finished = self.generator.step()?.map_err(|item| self.not_finite(item))?;
            for done in finished {
                self.answer_text(done)?;
            }
            self.watch.worked(self.counts());
        }
        Ok(())
    }

    fn answer_text(&mut self, done: Generated) -> Result<(), EvalError> {
        self.keep(done.item, Answer::Text { output: done.output, stop: done.stop })
    }

    fn keep(&mut self, item: usize, answer: Answer) -> Result<(), EvalError> {
        let encoded = &self.encoded[item];
        let record = Record::new(
            self.task.definition,
            self.task.run,
            self.items[item],
            answer,
            encoded.prompt_tokens.clone(),
            encoded.truncated,
        )?;
        self.watch.record(record)
    }

    fn not_finite(&self, item: usize) -> EvalError {
        EvalError::NotFinite { task: self.task.definition.name(), item: self.items[item].index }
    }
}
