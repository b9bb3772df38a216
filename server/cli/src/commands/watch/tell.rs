//! Each change of state, with its time, once.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use sekisho_domain::checkpoint::CheckpointState;
use sekisho_domain::wire::CheckpointView;
use sekisho_domain::{CheckpointId, Clock as _};
use sekisho_server::SystemClock;
use serde_json::{Value, json};

use super::is_settled;
use crate::fields::words;
use crate::printer::Printer;

pub(super) struct Teller<'a> {
    printer: &'a Printer,
    json: bool,
    /// What was there before this command started is not told.
    is_first_look: bool,
    /// Checkpoints of whom something is told, or was known before.
    states: BTreeMap<CheckpointId, (CheckpointState, bool)>,
    evaluations: BTreeMap<String, String>,
    /// Checkpoints whose suites have ended.
    evaluated: BTreeSet<CheckpointId>,
    has_refused: bool,
    last: String,
}

impl<'a> Teller<'a> {
    pub(super) fn new(printer: &'a Printer, json: bool) -> Self {
        Self {
            printer,
            json,
            is_first_look: true,
            states: BTreeMap::new(),
            evaluations: BTreeMap::new(),
            evaluated: BTreeSet::new(),
            has_refused: false,
            last: String::new(),
        }
    }

    pub(super) fn first_look_is_over(&mut self) {
        self.is_first_look = false;
    }

    /// Whether a checkpoint that was handed over has no verdict yet.
    pub(super) fn is_waiting(&self) -> bool {
        self.states.values().any(|(state, is_new)| *is_new && !is_settled(*state))
    }

    pub(super) fn heard_refusal(&self) -> bool {
        self.has_refused
    }

    /// Talk for the person at the terminal.
    pub(super) fn note(&self, text: &str) {
        self.printer.say(&format!("{}  {text}", SystemClock.now()));
    }

    /// The same, unless it was the last thing that was said.
    pub(super) fn once(&mut self, text: &str) {
        if self.last != text {
            self.note(text);
            text.clone_into(&mut self.last);
        }
    }

    pub(super) fn converting(&self, step: u64, path: &Path) {
        self.line(step, "converting", &path.display().to_string());
    }

    pub(super) fn failed(&self, step: u64, path: &Path, why: &str) {
        self.line(step, "not taken", &format!("{}: {why}", path.display()));
    }

    /// Where a checkpoint stands, if that is news. Answers whether its evaluations are of interest.
    pub(super) fn checkpoint(&mut self, checkpoint: &CheckpointView) -> bool {
        let before = self.states.get(&checkpoint.id).copied();
        // What the first look finds settled is old; what it finds unsettled is followed to its end.
        let is_new = before.map_or(!self.is_first_look || !is_settled(checkpoint.state), |(_, new)| new);
        self.states.insert(checkpoint.id, (checkpoint.state, is_new));
        if is_new && before.map(|(state, _)| state) != Some(checkpoint.state) {
            self.has_refused |= checkpoint.state == CheckpointState::Refused;
            let detail =
                checkpoint.refusal.clone().or_else(|| checkpoint.digest.as_ref().map(ToString::to_string));
            let state = checkpoint.state.to_string();
            self.line(checkpoint.step.0, &state, &detail.unwrap_or_else(|| checkpoint.id.to_string()));
        }
        is_new && checkpoint.state == CheckpointState::Verified && !self.evaluated.contains(&checkpoint.id)
    }

    /// Where the evaluations of a checkpoint stand; once all have ended, nobody need ask again.
    pub(super) fn evaluations(&mut self, checkpoint: &CheckpointView, evaluations: &[Value]) {
        evaluations.iter().for_each(|evaluation| self.evaluation(checkpoint, evaluation));
        let ended = |evaluation: &Value| matches!(words(evaluation, "/state"), "finished" | "failed");
        if !evaluations.is_empty() && evaluations.iter().all(ended) {
            self.evaluated.insert(checkpoint.id);
        }
    }

    /// Where one stands, if that is news.
    fn evaluation(&mut self, checkpoint: &CheckpointView, evaluation: &Value) {
        let state = words(evaluation, "/state").to_owned();
        let key = words(evaluation, "/id").to_owned();
        if self.evaluations.get(&key) == Some(&state) {
            return;
        }
        let mean = evaluation.pointer("/mean/value").and_then(Value::as_f64);
        let mean = mean.map(|mean| format!(", mean {mean:.4}")).unwrap_or_default();
        let detail = format!("{state}{mean}");
        self.line(checkpoint.step.0, &format!("suite {}", words(evaluation, "/suite")), &detail);
        self.evaluations.insert(key, state);
    }

    fn line(&self, step: u64, state: &str, detail: &str) {
        let time = SystemClock.now().to_string();
        let text = if self.json {
            json!({ "time": time, "step": step, "state": state, "detail": detail }).to_string()
        } else {
            format!("{time}  step {step}  {state}  {detail}")
        };
        // Nobody is left to tell when stdout is closed; what was handed over is handed over.
        let _ = self.printer.data(&text);
    }
}
