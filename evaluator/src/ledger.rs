//! What a run has answered and cost so far, whatever computes.

use std::collections::BTreeSet;
use std::time::Instant;

use sekisho_bench::Answer;

use crate::EvalError;
use crate::questions::{Question, record};
use crate::run::{Spent, Task, Watch};
use crate::timing::{Phase, Timing};

/// Answers go through it to whoever watches; tasks are charged here.
pub(crate) struct Ledger<'a, 'w> {
    pub(crate) tasks: &'a [Task<'a>],
    pub(crate) questions: &'a [Question<'a>],
    watch: &'w mut dyn Watch,
    /// By task.
    pub(crate) spent: Vec<Spent>,
    pub(crate) timing: Timing,
}

impl<'a, 'w> Ledger<'a, 'w> {
    pub(crate) fn new(
        tasks: &'a [Task<'a>],
        questions: &'a [Question<'a>],
        timing: Timing,
        watch: &'w mut dyn Watch,
    ) -> Self {
        Self { tasks, questions, watch, spent: vec![Spent::default(); tasks.len()], timing }
    }

    /// Whether to stop.
    ///
    /// # Errors
    /// [`EvalError::Stopped`] when somebody asked for it.
    pub(crate) fn go_on(&self) -> Result<(), EvalError> {
        if self.watch.stopped() { Err(EvalError::Stopped) } else { Ok(()) }
    }

    /// What the task of a question has spent.
    pub(crate) fn of(&mut self, question: usize) -> &mut Spent {
        &mut self.spent[self.questions[question].task]
    }

    /// Scores the answer to a question, and hands its record over.
    pub(crate) fn keep(&mut self, question: usize, answer: Answer) -> Result<(), EvalError> {
        let begun = Instant::now();
        let asked = &self.questions[question];
        self.spent[asked.task].tokens.prompt += asked.prompt_tokens();
        let record = record(&self.tasks[asked.task], asked, answer)?;
        let kept = self.watch.record(asked.task, record);
        self.timing.add(Phase::Records, begun);
        kept
    }

    /// Tells of the work done on the tasks of these questions.
    pub(crate) fn tell(&mut self, questions: impl IntoIterator<Item = usize>) {
        let tasks: BTreeSet<usize> =
            questions.into_iter().map(|question| self.questions[question].task).collect();
        for task in tasks {
            self.watch.worked(task, self.spent[task]);
        }
    }

    /// `profile/task` and line of a question, as errors name it.
    pub(crate) fn name(&self, question: usize) -> (String, u64) {
        let question = &self.questions[question];
        (self.tasks[question.task].definition.name(), question.item.index)
    }
}
