use std::fmt::Write as _;

use indicatif::ProgressBar;
use sekisho_domain::run::RunEvent;
use sekisho_domain::wire::{MetricsAccepted, RegisterRun, RunView};
use sekisho_domain::{Clock as _, Sha256, Step, Timestamp, Tokens};
use sekisho_foreign::{Mark, Row, When};
use sekisho_server::SystemClock;
use serde::Serialize;
use serde_json::{Value, json};

use crate::client::{Client, ServerArgs};
use crate::exit::{ExitStatus, Failed};
use crate::printer::Printer;
use crate::warn::LanguageArgs;

/// Rows of a batch.
const ROWS: usize = 500;

/// The run that a history goes to.
#[derive(clap::Args)]
pub(super) struct Target {
    /// Name of the run; an unknown one is created
    #[arg(long, value_name = "NAME", required_unless_present = "check")]
    run: Option<String>,
    /// Project of a run that is created [default: default]
    #[arg(long, value_name = "NAME")]
    project: Option<String>,
    /// Planned end of a run that is created [default: what the arguments say]
    #[arg(long, value_name = "TOKENS")]
    planned_tokens: Option<u64>,
    /// Targets of an update, where the source does not say it
    #[arg(long, value_name = "N")]
    pub(super) tokens_per_step: Option<u64>,
    /// How the run ended, when it has and its log does not say so
    #[arg(long, value_name = "HOW", value_parser = ["finished", "failed"])]
    ended: Option<String>,
    /// Show what was read and send nothing
    #[arg(long)]
    pub(super) check: bool,
    #[command(flatten)]
    language: LanguageArgs,
    /// What was done as JSON on stdout
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: ServerArgs,
}

impl Target {
    /// Says the warnings for a configuration.
    pub(super) fn warn(&self, spec: Option<&Value>, printer: &Printer) {
        let lines = spec.map(|spec| self.language.lines(spec, self.planned_tokens));
        lines.iter().flatten().for_each(|line| printer.say(line));
    }

    /// Gives rows without tokens theirs.
    pub(super) fn count_tokens(&self, rows: &mut [Row]) {
        if let Some(per_step) = self.tokens_per_step {
            rows.iter_mut().for_each(|row| row.tokens = row.step.checked_mul(per_step));
        }
        // A row that says nothing of tokens stands where the last one stood.
        let mut last = None;
        for row in rows {
            last = row.tokens.or(last);
            row.tokens = last;
        }
    }

    /// `--check`: what was read.
    pub(super) fn show(&self, spec: Option<&Value>, rows: &[Row], printer: &Printer) -> anyhow::Result<()> {
        let names: std::collections::BTreeSet<&str> =
            rows.iter().flat_map(|row| row.metrics.keys().map(String::as_str)).collect();
        let steps = (rows.iter().map(|row| row.step).min(), rows.iter().map(|row| row.step).max());
        if self.json {
            let steps = json!([steps.0, steps.1]);
            return printer
                .json(&json!({ "rows": rows.len(), "steps": steps, "metrics": names, "spec": spec }));
        }
        let tokens = rows.iter().filter_map(|row| row.tokens).max();
        let mut facts = vec![
            ("rows", rows.len().to_string()),
            ("steps", steps.0.zip(steps.1).map_or_else(|| "—".to_owned(), |(a, b)| format!("{a} to {b}"))),
            ("tokens", tokens.map_or_else(|| "—".to_owned(), |tokens| Tokens(tokens).to_string())),
            ("metrics", names.into_iter().collect::<Vec<_>>().join(", ")),
        ];
        if let Some(spec) = spec {
            facts.push(("specification", serde_json::to_string_pretty(spec)?));
        }
        printer.facts(&facts)
    }
}

/// What an import did.
#[derive(Default, Serialize)]
struct Done {
    run: String,
    /// Rows read from the source.
    rows: u64,
    /// Rows for steps beyond those that the service knew.
    new: u64,
    /// Rows for earlier steps that were sent again.
    again: u64,
    /// Rows of batches that the service had already.
    known: u64,
    events: u64,
}

/// Sends rows in numbered batches. The writer is named by what is sent, so the same source sent twice counts once.
pub(super) struct Sender<'a> {
    target: &'a Target,
    client: Client,
    run: RunView,
    writer: String,
    seq: u64,
    /// The last update that was sent.
    last: u64,
    done: Done,
}

impl<'a> Sender<'a> {
    /// Registers the run, with its configuration where the source has one.
    pub(super) fn begin(
        target: &'a Target,
        spec: Option<&Value>,
        rows: &[Row],
        printer: &Printer,
    ) -> anyhow::Result<Self> {
        let client = Client::new(&target.server)?;
        let name = target.run.clone().unwrap_or_default();
        let mut register = RegisterRun {
            name,
            spec: spec.cloned(),
            planned_tokens: target.planned_tokens.or_else(|| spec.and_then(planned)).map(Tokens),
            project: target.project.clone(),
            ..RegisterRun::default()
        };
        let run: RunView = match client.post("/runs", &register) {
            Err(error) if is_conflict(&error) && register.spec.is_some() => {
                printer.say(&format!(
                    "{error} Its history is added to the run that is there, and the configuration is not."
                ));
                register.spec = None;
                client.post("/runs", &register)?
            }
            answer => answer?,
        };
        let mut content = String::new();
        for row in rows {
            writeln!(content, "{}", row.to_json())?;
        }
        let digest = Sha256::of(content.as_bytes()).hex();
        let done = Done { run: run.name.clone(), ..Done::default() };
        Ok(Self { target, client, run, writer: format!("import-{}", &digest[..16]), seq: 0, last: 0, done })
    }

    /// Rows come as they are written, and which make a batch depends on when: this process is a writer of its own.
    pub(super) fn go_live(&mut self) {
        let now = SystemClock.now().unix_ms();
        let name = format!("{} {now} {}", self.writer, std::process::id());
        self.writer = format!("follow-{}", &Sha256::of(name.as_bytes()).hex()[..16]);
    }

    /// Sends rows. `bar` counts them.
    pub(super) fn rows(&mut self, rows: &[Row], bar: &ProgressBar) -> anyhow::Result<()> {
        // Where the steps go back a batch ends, so that a restart is seen as one.
        let forward = rows.chunk_by(|row, next| row.step < next.step);
        for rows in forward.flat_map(|rows| rows.chunks(ROWS)) {
            let fields: Vec<Value> = rows.iter().map(Row::to_json).collect();
            let batch = json!({ "seq": self.seq, "writer": self.writer, "rows": fields });
            let path = format!("/runs/{}/metrics", self.run.id);
            // A number that was sent without an answer is never used for other rows; rows that were taken then replace themselves.
            self.seq += 1;
            let accepted: MetricsAccepted = self.client.post(&path, &batch)?;
            self.last = rows.iter().map(|row| row.step).fold(self.last, u64::max);
            let count = rows.len() as u64;
            self.done.rows += count;
            if accepted.repeated {
                self.done.known += count;
            } else {
                let new = rows.iter().filter(|row| row.step > self.run.step.0).count() as u64;
                self.done.new += new;
                self.done.again += count - new;
            }
            bar.inc(count);
        }
        Ok(())
    }

    /// Sends what happened. An event that is there already changes nothing.
    pub(super) fn marks(&mut self, marks: &[Mark]) -> anyhow::Result<()> {
        for mark in marks {
            let at = mark.at.as_ref().and_then(instant);
            let event = RunEvent { kind: mark.kind, step: Step(mark.step), note: mark.note.clone(), at };
            self.client.tell(&format!("/runs/{}/events", self.run.id), &event)?;
            self.done.events += 1;
        }
        Ok(())
    }

    /// Says what came of it.
    pub(super) fn finish(mut self, printer: &Printer) -> anyhow::Result<ExitStatus> {
        if let Some(kind) = self.target.ended.as_ref().and_then(|ended| ended.parse().ok()) {
            let step = self.last.max(self.run.step.0);
            self.marks(&[Mark { kind, step, note: String::new(), at: None }])?;
        }
        let done = self.done;
        if self.target.json {
            printer.json(&done)?;
        } else {
            printer.data(&format!(
                "{}: {} rows read, {} new, {} sent again for earlier steps, {} known already; {} events",
                done.run, done.rows, done.new, done.again, done.known, done.events
            ))?;
        }
        Ok(ExitStatus::Ok)
    }
}

fn is_conflict(error: &anyhow::Error) -> bool {
    error.downcast_ref::<Failed>().is_some_and(|failed| failed.status == ExitStatus::Conflict)
}

/// The tokens that a specification makes.
fn planned(spec: &Value) -> Option<u64> {
    let sequences = spec["stop"]["steps"].as_u64()?.checked_mul(spec["batch"]["sequences"].as_u64()?)?;
    sequences.checked_mul(spec["data"]["sequence_length"].as_u64()?)
}

/// A time of a log; without a zone it is read as this machine's.
fn instant(when: &When) -> Option<Timestamp> {
    let ms = match when {
        When::UnixMs(ms) => *ms,
        When::Local(text) => match text.parse::<jiff::Timestamp>() {
            Ok(instant) => instant.as_millisecond(),
            Err(_) => {
                let civil: jiff::civil::DateTime = text.parse().ok()?;
                civil.to_zoned(jiff::tz::TimeZone::system()).ok()?.timestamp().as_millisecond()
            }
        },
    };
    Some(Timestamp::from_unix_ms(ms))
}
