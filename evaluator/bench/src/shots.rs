use std::collections::BTreeMap;

use sekisho_domain::evaluation::TaskRun;

use crate::definition::{Sampler, TaskDefinition};
use crate::error::TaskError;
use crate::prompt::{Question, fill};
use crate::python_random::PythonRandom;
use crate::reader::Row;
use crate::splits::Files;

/// `fewshot_random_seed` of lm-eval.
const LM_EVAL_SEED: u64 = 1234;

/// `rnd.seed(42)` in the evaluator of the JP harness.
const JP_HARNESS_SEED: u64 = 42;

/// The examples of a run: asked for one item after the other, in the harness's order.
pub(crate) struct Examples<'a> {
    definition: &'a TaskDefinition,
    /// Records that may become examples.
    pool: Vec<&'a Row>,
    /// Examples of a prompt.
    shots: usize,
    /// Whether the examples come from the split that is asked.
    own_split: bool,
    /// The streams that are drawn from: one, or one for each value of `per`.
    streams: BTreeMap<String, PythonRandom>,
    /// Examples as text, by their place in the pool.
    rendered: BTreeMap<usize, String>,
}

impl<'a> Examples<'a> {
    pub(crate) fn new(
        definition: &'a TaskDefinition,
        run: &TaskRun,
        files: &'a Files,
    ) -> Result<Self, TaskError> {
        let shots = &definition.shots;
        let asked = definition.shots_of(run);
        let pool = match shots.from {
            Some(from) if asked > 0 => files.rows(definition, from),
            _ => Vec::new(),
        };
        let examples = Self {
            definition,
            pool,
            shots: usize::try_from(asked).unwrap_or(usize::MAX),
            own_split: shots.from == Some(definition.split_of(run)?),
            streams: BTreeMap::new(),
            rendered: BTreeMap::new(),
        };
        if !shots.literal.is_empty() && examples.shots > shots.literal.len() {
            return Err(examples.too_many(shots.literal.len()));
        }
        Ok(examples)
    }

    /// The order in which the harness asks `n` items.
    pub(crate) fn order(&mut self, n: usize) -> Vec<usize> {
        let mut order: Vec<usize> = (0..n).collect();
        if self.definition.shots.sampler == Sampler::JpHarness {
            self.stream("").shuffle(&mut order);
        }
        order
    }

    /// The examples of the next item, as text.
    pub(crate) fn of(&mut self, row: &Row) -> Result<Vec<String>, TaskError> {
        if self.shots == 0 {
            return Ok(Vec::new());
        }
        let shots = &self.definition.shots;
        if !shots.literal.is_empty() {
            let examples = shots.literal.iter().take(self.shots);
            return Ok(examples.map(|example| self.render(&example.input, &example.output)).collect());
        }
        let group = shots.per.as_ref().map(|field| row.text(field)).transpose()?;
        let candidates: Vec<usize> = match (&shots.per, &group) {
            (Some(field), Some(group)) => {
                (0..self.pool.len()).filter(|place| self.pool[*place].holds(field, group)).collect()
            }
            _ => (0..self.pool.len()).collect(),
        };
        let spare = usize::from(self.own_split && shots.spare);
        let wanted = self.shots.saturating_add(spare);
        if wanted > candidates.len() {
            return Err(self.too_many(candidates.len().saturating_sub(spare)));
        }
        let drawn: Vec<usize> = match shots.sampler {
            Sampler::First => (0..wanted).collect(),
            Sampler::LmEval | Sampler::JpHarness => {
                self.stream(group.as_deref().unwrap_or_default()).sample(candidates.len(), wanted)
            }
        };
        let places = drawn.into_iter().map(|place| candidates[place]);
        // An item is known by what it says, as the harnesses compare documents.
        let others: Vec<usize> = places
            .filter(|place| !(self.own_split && self.pool[*place].same(row)))
            .take(self.shots)
            .collect();
        others.into_iter().map(|place| self.text(place)).collect()
    }

    fn stream(&mut self, group: &str) -> &mut PythonRandom {
        let seed = match self.definition.shots.sampler {
            Sampler::JpHarness => JP_HARNESS_SEED,
            Sampler::First | Sampler::LmEval => LM_EVAL_SEED,
        };
        self.streams.entry(group.to_owned()).or_insert_with(|| PythonRandom::new(seed))
    }

    fn text(&mut self, place: usize) -> Result<String, TaskError> {
        if let Some(text) = self.rendered.get(&place) {
            return Ok(text.clone());
        }
        let question = Question::new(self.definition, self.pool[place])?;
        let text = self.render(question.example_input(), &question.output);
        self.rendered.insert(place, text.clone());
        Ok(text)
    }

    fn render(&self, input: &str, output: &str) -> String {
        let template = self.definition.prompt.shot.as_ref();
        let template = template.expect("a definition that names examples says how one looks");
        fill(template, &[("input", input), ("output", output)])
    }

    fn too_many(&self, most: usize) -> TaskError {
        let asked = u32::try_from(self.shots).unwrap_or(u32::MAX);
        let reason = format!("there are examples for {most} at most; ask for no more");
        TaskError::Shots { task: self.definition.name(), asked, reason }
    }
}
