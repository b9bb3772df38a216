//! A log, line by line: whose it is, the rows in it, restarts, and what does not add up.

use std::collections::BTreeMap;

use sekisho_domain::run::EventKind;
use serde_json::Value;

use crate::{Mark, Row, When, megatron, names, nanotron, number, torchtitan};

/// Who wrote a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trainer {
    /// Megatron-LM and its forks.
    Megatron,
    /// PyTorch's torchtitan.
    Torchtitan,
    /// Hugging Face's nanotron.
    Nanotron,
}

impl Trainer {
    /// All, in the order in which a line is tried.
    pub const ALL: [Self; 3] = [Self::Megatron, Self::Torchtitan, Self::Nanotron];

    /// The name in commands.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Megatron => "megatron",
            Self::Torchtitan => "torchtitan",
            Self::Nanotron => "nanotron",
        }
    }

    fn read(self, line: &str) -> Option<Said> {
        match self {
            Self::Megatron => megatron::log::read(line),
            Self::Torchtitan => torchtitan::read(line),
            Self::Nanotron => nanotron::read(line),
        }
    }
}

/// What a log says of the run as a whole.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Setup {
    /// Targets of a sequence.
    pub sequence_length: Option<u64>,
    /// Sequences of an update.
    pub sequences: Option<u64>,
    /// The specification, as far as the log has it, in the contract's shape.
    pub spec: Option<Value>,
}

/// What a line says.
pub(crate) enum Said {
    /// Metrics under the source's own names. `samples`: sequences up to here.
    Metrics { step: u64, samples: Option<u64>, metrics: Vec<(String, f64)>, time: Option<String> },
    /// Something about the run as a whole.
    Setup(Setup),
    /// The trainer said that it is done.
    Finished { time: Option<String> },
}

/// Reads a log as it grows. Give it whole lines.
#[derive(Debug)]
pub struct LogReader {
    file: String,
    trainer: Option<Trainer>,
    setup: Setup,
    dump: megatron::Dump,
    /// Targets of an update, given from outside: what a log says of tokens is then not used.
    tokens_per_step: Option<u64>,
    line: u64,
    /// The row that the next lines may still add to.
    open: Option<Row>,
    rows: Vec<Row>,
    marks: Vec<Mark>,
    notes: Vec<String>,
    said: Vec<&'static str>,
    /// The last update that was seen, and whether its loss was a number.
    last: Option<(u64, bool)>,
    found: u64,
}

impl LogReader {
    /// A reader for a log called `file`; without a trainer the first line that one of them writes decides.
    #[must_use]
    pub fn new(file: &str, trainer: Option<Trainer>, tokens_per_step: Option<u64>) -> Self {
        Self {
            file: file.to_owned(),
            trainer,
            setup: Setup::default(),
            dump: megatron::Dump::default(),
            tokens_per_step,
            line: 0,
            open: None,
            rows: Vec::new(),
            marks: Vec::new(),
            notes: Vec::new(),
            said: Vec::new(),
            last: None,
            found: 0,
        }
    }

    /// Another file follows, of the same run: lines are counted from 1 again.
    pub fn next_file(&mut self, file: &str) {
        self.close();
        file.clone_into(&mut self.file);
        self.line = 0;
        self.said.clear();
    }

    /// What the run's arguments say, where the log does not hold them.
    pub fn assume(&mut self, setup: Setup) {
        self.learn(setup);
    }

    /// Who wrote it, once that is known.
    #[must_use]
    pub const fn trainer(&self) -> Option<Trainer> {
        self.trainer
    }

    /// What it said of the run as a whole so far.
    #[must_use]
    pub const fn setup(&self) -> &Setup {
        &self.setup
    }

    /// Lines with metrics so far.
    #[must_use]
    pub const fn found(&self) -> u64 {
        self.found
    }

    /// Takes a line, without its end. Bytes that are no UTF-8 are replaced; numbers are ASCII in every encoding that logs have.
    pub fn line(&mut self, bytes: &[u8]) {
        self.line += 1;
        if bytes.contains(&0) {
            self.say("zero bytes", "holds zero bytes, as a file cut off by a crash does; the rest of the line is read without them");
        }
        let text = String::from_utf8_lossy(bytes);
        let text = plain_text(&text);
        // A progress bar writes over itself.
        for text in text.split('\r') {
            self.text(text);
        }
    }

    /// Takes the last line of everything, whose end is missing: most likely a process died in the middle of a number.
    pub fn cut_line(&mut self, bytes: &[u8]) {
        let text = String::from_utf8_lossy(bytes);
        if plain_text(&text).trim_end().ends_with(['|', '%']) {
            return self.line(bytes);
        }
        self.line += 1;
        self.say("cut", "the last line is cut off and was left out; import the log again when it is whole");
    }

    fn text(&mut self, text: &str) {
        let may_dump = self.trainer.is_none_or(|trainer| trainer == Trainer::Megatron);
        if let Some(args) = may_dump.then(|| self.dump.line(text)).flatten() {
            self.trainer = self.trainer.or(Some(Trainer::Megatron));
            self.notes.extend(args.notes.iter().map(|note| format!("{}: {note}", self.file)));
            self.learn(megatron::setup(&args));
            return;
        }
        let trainers: &[Trainer] = self.trainer.as_ref().map_or(&Trainer::ALL, std::slice::from_ref);
        let Some((trainer, said)) = trainers.iter().find_map(|trainer| Some((*trainer, trainer.read(text)?)))
        else {
            return;
        };
        self.trainer = Some(trainer);
        match said {
            Said::Setup(setup) => self.learn(setup),
            Said::Finished { time } => {
                let step = self.last.map_or(0, |(step, _)| step);
                self.mark(EventKind::Finished, step, "the trainer's log says that training is done", time);
            }
            Said::Metrics { step, samples, metrics, time } => self.metrics(step, samples, metrics, time),
        }
    }

    fn metrics(
        &mut self,
        step: u64,
        samples: Option<u64>,
        metrics: Vec<(String, f64)>,
        time: Option<String>,
    ) {
        self.found += 1;
        let same = self.open.as_ref().is_some_and(|row| row.step == step);
        let back = self.last.filter(|(last, _)| step <= *last && !same);
        if let Some((last, _)) = back {
            let note = format!("the log goes back to step {step} after step {last}");
            self.mark(EventKind::Resumed, step, &note, time.clone());
        }
        let row = self.row(step, samples, metrics);
        let loss = row.metrics.get("loss").copied();
        if let Some(loss) = loss.filter(|loss| !loss.is_finite()) {
            if self.last.is_none_or(|(_, fine)| fine) {
                let note = format!("the loss is {loss} ({}, line {})", self.file, self.line);
                self.mark(EventKind::Note, step, &note, time);
            }
            self.say("loss", "has a loss that is no finite number; such points are left out, and the first one is an event");
        }
        let fine = loss.map_or_else(|| self.last.is_none_or(|(_, fine)| fine), f64::is_finite);
        self.last = Some((step, fine));
        match self.open.as_mut().filter(|_| same) {
            Some(open) => open.merge(row),
            None => {
                self.close();
                self.open = Some(row);
            }
        }
    }

    fn row(&mut self, step: u64, samples: Option<u64>, found: Vec<(String, f64)>) -> Row {
        let mut metrics = BTreeMap::new();
        let mut counted = None;
        let names = names::choose(found.iter().map(|(name, _)| name.as_str()));
        for ((_, value), (_, field)) in found.into_iter().zip(names) {
            if field == "tokens" {
                counted = number::count(value);
            } else {
                metrics.insert(field, value);
            }
        }
        let of_samples = samples.zip(self.setup.sequence_length).and_then(|(a, b)| a.checked_mul(b));
        let per_step = self
            .tokens_per_step
            .or_else(|| self.setup.sequences?.checked_mul(self.setup.sequence_length?))
            .and_then(|tokens| tokens.checked_mul(step));
        let tokens = match self.tokens_per_step {
            Some(_) => per_step,
            // What nanotron counts has three digits; the product is exact.
            None if self.trainer == Some(Trainer::Nanotron) => per_step.or(counted),
            None => of_samples.or(counted).or(per_step),
        };
        if tokens.is_none() {
            self.say("tokens", "does not say how many tokens a step has (the sequence length is missing); give --tokens-per-step, or the launch script with --arguments");
        }
        Row { step, tokens, metrics }
    }

    fn learn(&mut self, setup: Setup) {
        self.setup.sequence_length = setup.sequence_length.or(self.setup.sequence_length);
        self.setup.sequences = setup.sequences.or(self.setup.sequences);
        // A run that goes on prints its arguments again, with other paths and counters: the first ones registered it.
        if self.setup.spec.is_none() {
            self.setup.spec = setup.spec;
        }
    }

    fn mark(&mut self, kind: EventKind, step: u64, note: &str, time: Option<String>) {
        self.marks.push(Mark { kind, step, note: note.to_owned(), at: time.map(When::Local) });
    }

    /// Says something once a file.
    fn say(&mut self, what: &'static str, rule: &str) {
        if !self.said.contains(&what) {
            self.said.push(what);
            self.notes.push(format!("{}, line {}: {rule}", self.file, self.line));
        }
    }

    fn close(&mut self) {
        self.rows.extend(self.open.take());
    }

    /// The rows that are complete by now, in the order of the log: a later row of the same step takes the earlier one's place.
    pub fn rows(&mut self) -> Vec<Row> {
        std::mem::take(&mut self.rows)
    }

    /// The same with the last one, at the end of the log.
    pub fn all_rows(&mut self) -> Vec<Row> {
        if let Some(open) = &self.open {
            self.rows.push(open.clone());
        }
        self.rows()
    }

    /// What happened since the last time.
    pub fn marks(&mut self) -> Vec<Mark> {
        std::mem::take(&mut self.marks)
    }

    /// What there is to say since the last time.
    pub fn notes(&mut self) -> Vec<String> {
        std::mem::take(&mut self.notes)
    }
}

/// A line without colours, cursor movements and zero bytes.
fn plain_text(line: &str) -> String {
    let mut out = String::with_capacity(line.len());
    let mut letters = line.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '\u{1b}' if letters.next_if_eq(&'[').is_some() => {
                // ECMA-48: a control sequence ends with a byte from @ to ~.
                for letter in letters.by_ref() {
                    if ('@'..='~').contains(&letter) {
                        break;
                    }
                }
            }
            '\u{1b}' | '\0' => {}
            _ => out.push(letter),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::plain_text;

    #[test]
    fn colours_go_and_letters_stay() {
        assert_eq!(
            plain_text("\u{1b}[31mstep:  1  \u{1b}[38;2;180;60;0mloss\u{1b}[0m 損失\0"),
            "step:  1  loss 損失"
        );
        assert_eq!(plain_text("a\u{1b}["), "a");
    }
}
