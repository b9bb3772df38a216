//! What a trainer writes, handed over as it becomes complete. What was told once is kept by the service alone: a step that it knows is
//! not handed over again, so the command may be stopped and started at any time.

mod look;
mod tell;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use sekisho_convert::{Options, origin};
use sekisho_domain::checkpoint::CheckpointState;
use sekisho_domain::wire::{AnnounceCheckpoint, CheckpointView, RegisterRun, RunView};
use sekisho_domain::{Step, Tokens};
use sekisho_trainer::ServerAddress;
use sekisho_trainer::report::{ReportError, RunClient, UploadOptions};

use crate::client::{Client, ServerArgs};
use crate::commands::convert::with_bar;
use crate::commands::worker::duration;
use crate::exit::{ExitStatus, Failed};
use crate::printer::Printer;
use crate::signals;
use look::{Found, Kind, Look};
use tell::Teller;

/// Between two looks at whether a folder still grows, under `--once`.
const GLANCE: Duration = Duration::from_secs(1);

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Folder that the trainer writes its checkpoints into
    dir: PathBuf,
    /// Name of the run; an unknown one is created
    #[arg(long, value_name = "NAME")]
    run: String,
    /// Project of a run that is created [default: default]
    #[arg(long, value_name = "NAME")]
    project: Option<String>,
    /// How often to look
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = duration)]
    every: Duration,
    /// Where converted checkpoints go [default: DIR-hf]
    #[arg(long, value_name = "DIR")]
    convert_to: Option<PathBuf>,
    /// Tokens of one update, where the checkpoint does not say how many it has seen
    #[arg(long, value_name = "N")]
    tokens_per_step: Option<u64>,
    /// The model's config.json, for torch DCP checkpoints
    #[arg(long, value_name = "CONFIG.json")]
    config: Option<PathBuf>,
    /// Folder whose tokenizer is copied beside converted weights
    #[arg(long, value_name = "DIR")]
    tokenizer: Option<PathBuf>,
    /// Rows of the vocabulary before it was padded, where Megatron's arguments do not say so
    #[arg(long, value_name = "N", conflicts_with = "config")]
    vocab_size: Option<u64>,
    /// Send the bytes instead of the folder's path
    #[arg(long)]
    copy: bool,
    /// Hand over what is complete now, wait until it is verified or refused, and end
    #[arg(long)]
    once: bool,
    /// One JSON object a line
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: ServerArgs,
}

pub(crate) fn run(args: &Args, printer: &Printer) -> anyhow::Result<ExitStatus> {
    let dir = fs_err::canonicalize(&args.dir).map_err(|error| {
        Failed::user(format!("{error}; give the folder that the trainer writes its checkpoints into"))
    })?;
    let stop = Arc::new(AtomicBool::new(false));
    let stopped = signals::set_on_stop(&stop)?;
    let address = ServerAddress { url: args.server.server.clone(), token: args.server.credential()? };
    let reports = RunClient::new(&address).map_err(Failed::user)?;
    let registration =
        RegisterRun { name: args.run.clone(), project: args.project.clone(), ..RegisterRun::default() };
    let run = reports.register(&registration).map_err(Failed::from)?;
    let mut watch = Watch {
        args,
        convert_to: args.convert_to.clone().unwrap_or_else(|| beside(&dir)),
        look: Look::new(&dir),
        client: Client::new(&args.server)?,
        reports,
        run,
        teller: Teller::new(printer, args.json),
        said: BTreeMap::new(),
        stop: stop.clone(),
        printer,
    };
    let all_well = if args.once { watch.once()? } else { watch.follow()? };
    Ok(match (stop.load(Ordering::Relaxed), all_well) {
        (true, _) if stopped.by_user() => ExitStatus::Interrupted,
        (_, true) => ExitStatus::Ok,
        (_, false) => ExitStatus::Failure,
    })
}

/// `DIR-hf`.
fn beside(dir: &Path) -> PathBuf {
    let name = dir.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    dir.with_file_name(format!("{name}-hf"))
}

struct Watch<'a> {
    args: &'a Args,
    convert_to: PathBuf,
    look: Look,
    client: Client,
    reports: RunClient,
    run: RunView,
    teller: Teller<'a>,
    /// What was wrong with a folder, so that it is said once and tried again when somebody has changed the folder.
    said: BTreeMap<PathBuf, look::Snapshot>,
    stop: Arc<AtomicBool>,
    printer: &'a Printer,
}

impl Watch<'_> {
    /// Looks until it is stopped.
    fn follow(&mut self) -> anyhow::Result<bool> {
        self.teller.note(&format!("watching {} for run {}", self.look.dir().display(), self.run.name));
        while !self.is_stopped() {
            if let Err(error) = self.round() {
                self.away(error)?;
            }
            self.pause(self.args.every);
        }
        Ok(true)
    }

    /// A service that does not answer is asked again; one that says no will say it again.
    fn away(&mut self, error: anyhow::Error) -> anyhow::Result<()> {
        match error.downcast_ref::<Failed>().map(|failed| failed.status) {
            Some(ExitStatus::Failure | ExitStatus::Unexpected) => {
                self.teller.once(&format!("{error}"));
                Ok(())
            }
            _ => Err(error),
        }
    }

    /// Two glances, so that a folder that still grows is seen to; then waits for the verdicts. Whether nothing was refused.
    fn once(&mut self) -> anyhow::Result<bool> {
        self.look.again();
        self.pause(GLANCE);
        self.round()?;
        while !self.is_stopped() && self.teller.is_waiting() {
            self.pause(Duration::from_millis(200));
            self.hear()?;
        }
        Ok(self.said.is_empty() && !self.teller.heard_refusal())
    }

    /// One look at the folder and one at the service.
    fn round(&mut self) -> anyhow::Result<()> {
        let known = self.hear()?;
        for found in self.look.again() {
            if self.is_stopped() {
                return Ok(());
            }
            if known.iter().any(|checkpoint| checkpoint.step == Step(found.step)) {
                continue;
            }
            if self.said.get(&found.path) == Some(&found.snapshot) {
                continue;
            }
            match self.hand_over(&found) {
                Ok(checkpoint) => {
                    self.said.remove(&found.path);
                    self.teller.checkpoint(&checkpoint);
                }
                Err(error) if is_about_all(&error) => {
                    return Err(error
                        .downcast::<ReportError>()
                        .map_or_else(|e| e, |e| Failed::from(e).into()));
                }
                Err(_) if self.is_stopped() => return Ok(()),
                Err(error) => {
                    self.teller.failed(found.step, &found.path, &format!("{error:#}"));
                    self.said.insert(found.path.clone(), found.snapshot);
                }
            }
        }
        Ok(())
    }

    /// What the service says of the run's checkpoints; changes are told.
    fn hear(&mut self) -> anyhow::Result<Vec<CheckpointView>> {
        let known: Vec<CheckpointView> = self.client.list(&format!("/runs/{}/checkpoints", self.run.id))?;
        for checkpoint in &known {
            if self.teller.checkpoint(checkpoint) {
                let path = format!("/checkpoints/{}/evaluations", checkpoint.id);
                let evaluations: Vec<serde_json::Value> = self.client.list(&path)?;
                self.teller.evaluations(checkpoint, &evaluations);
            }
        }
        self.teller.first_look_is_over();
        Ok(known)
    }

    fn hand_over(&mut self, found: &Found) -> anyhow::Result<CheckpointView> {
        let (folder, tokens) = match found.kind {
            Kind::Ours { tokens } => (found.path.clone(), Some(tokens)),
            Kind::HuggingFace => (found.path.clone(), None),
            Kind::Foreign => {
                let tokens = origin(&found.path).map_err(Failed::user)?.tokens;
                (self.converted(found)?, tokens)
            }
        };
        let per_step = self.args.tokens_per_step.and_then(|tokens| tokens.checked_mul(found.step));
        let Some(tokens) = tokens.or(per_step) else {
            let text = "the checkpoint does not say how many tokens it has seen. Give --tokens-per-step: batch × sequence length";
            return Err(Failed::user(text));
        };
        let (step, tokens) = (Step(found.step), Tokens(tokens));
        let handed = if self.args.copy {
            self.reports.upload(self.run.id, (step, tokens), &folder, UploadOptions::default(), &mut |_| {})
        } else {
            let path = folder.display().to_string();
            self.reports.announce(self.run.id, &AnnounceCheckpoint { step, tokens, path, copy: false })
        };
        handed.map_err(anyhow::Error::from)
    }

    /// The Hugging Face folder of a checkpoint; one that an earlier start has made is whole.
    fn converted(&mut self, found: &Found) -> anyhow::Result<PathBuf> {
        let name = found.path.file_name().unwrap_or_default();
        fs_err::create_dir_all(&self.convert_to).map_err(Failed::user)?;
        let to = fs_err::canonicalize(&self.convert_to).map_err(Failed::user)?.join(name);
        if to.is_dir() {
            return Ok(to);
        }
        if self.args.tokenizer.is_none() {
            self.teller.once(
                "Nothing is evaluated without a tokenizer; --tokenizer puts one beside converted weights.",
            );
        }
        self.teller.converting(found.step, &found.path);
        let options = Options {
            from: found.path.clone(),
            to: to.clone(),
            config: self.args.config.clone(),
            tokenizer: self.args.tokenizer.clone(),
            vocab_size: self.args.vocab_size,
        };
        with_bar(&options, &self.stop, self.printer).map_err(Failed::user)?;
        Ok(to)
    }

    fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Sleeps, and wakes up early when asked to stop.
    fn pause(&self, time: Duration) {
        let mut left = time;
        while !self.is_stopped() && !left.is_zero() {
            let nap = left.min(Duration::from_millis(100));
            std::thread::sleep(nap);
            left -= nap;
        }
    }
}

/// A refusal of one checkpoint is about that one; a service that is away, or a token or a run that it does not know, is about all.
fn is_about_all(error: &anyhow::Error) -> bool {
    let report = error.downcast_ref::<ReportError>();
    report.is_some_and(|error| error.is_temporary() || matches!(error.status(), Some(401 | 404)))
}

/// Whether nothing more is to be expected of the gate.
fn is_settled(state: CheckpointState) -> bool {
    !matches!(state, CheckpointState::Received | CheckpointState::Verifying)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::beside;

    #[test]
    fn converted_checkpoints_go_beside_the_folder() {
        assert_eq!(beside(Path::new("/runs/v4-8b")), Path::new("/runs/v4-8b-hf"));
    }
}
