//! Drives the demo down the road: train, ingest, evaluate, propose, judge, ask for approval.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::Context as _;
use indicatif::ProgressBar;
use sekisho_domain::checkpoint::CheckpointState;
use sekisho_domain::evaluation::WorkState;
use sekisho_domain::release::ReleaseAction;
use sekisho_domain::user::{Role, Scope};
use sekisho_server::service::corpora::{self, Format};
use sekisho_server::service::releases::Proposal;
use sekisho_server::service::{evaluations, found, people, releases};
use sekisho_server::{Actor, App, Proof};
use sekisho_store::{Checkpoint, User};
use tokio::process::{Child, Command};

use super::input;
use crate::exit::Failed;
use crate::printer::Printer;

/// The two people of the demo.
pub(crate) struct People {
    author: User,
    approver: User,
    /// Token of the author for the trainer.
    token: String,
}

/// The author (学習担当) and the approver (承認者), made at the first start.
pub(crate) async fn people(app: &App) -> anyhow::Result<People> {
    let author = account(app, "author", &[Role::Contributor, Role::Evaluator, Role::Publisher]).await?;
    let approver = account(app, "approver", &[Role::Approver]).await?;
    let token = people::add_token(app, &author, "demo trainer", &[Scope::Ingest], Some(1), None).await?;
    Ok(People { author, approver, token })
}

async fn account(app: &App, name: &str, roles: &[Role]) -> anyhow::Result<User> {
    match app.store.user_by_name(name).await? {
        Some(user) => Ok(user),
        None => Ok(people::add_user(app, None, name, roles).await?),
    }
}

impl People {
    /// The author, as signed in.
    fn as_author(&self) -> Actor {
        let proof = Proof::Session { csrf: String::new(), makers: Vec::new() };
        Actor { user: self.author.clone(), proof }
    }

    /// Prints a one-time link for each.
    pub(crate) async fn say_links(&self, app: &App, printer: &Printer) -> anyhow::Result<()> {
        for (who, user) in [("author  ", &self.author), ("approver", &self.approver)] {
            let link = people::login_link(app, user, None).await?;
            printer.say(&format!("  sign in once as {who}  {link}"));
        }
        Ok(())
    }
}

/// The whole road. What an earlier start has done is not done again.
pub(crate) async fn walk(app: &App, people: &People, printer: &Printer) -> anyhow::Result<()> {
    register_corpora(app, people).await?;
    ask_again(app).await?;
    let mut trainer = Trainer::start(app, &people.token)?;
    let mut bars = Bars::new(printer);
    loop {
        let trained = trainer.finished().await?;
        let standing = Standing::of(app).await?;
        bars.show(&standing, printer);
        standing.failure(app).await?;
        if trained && standing.checkpoints.is_empty() {
            let text = format!("training ended without a checkpoint: {}", last_line(&trainer.log));
            return Err(Failed::user(text));
        }
        if trained && standing.settled() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
    bars.finish();
    let last = Standing::of(app).await?.checkpoints.pop().context("the demo trained no checkpoint")?;
    propose(app, people, &last.checkpoint).await
}

/// The registry of corpora knows what the run will be trained on.
async fn register_corpora(app: &App, people: &People) -> anyhow::Result<()> {
    let text = input::corpora(&app.config.dir)?;
    let subsets = corpora::read(Format::Toml, "corpora.toml", &text)?;
    corpora::import(app, &people.as_author(), &subsets, false).await?;
    Ok(())
}

/// What failed in an earlier start is tried again: its cause may be mended.
async fn ask_again(app: &App) -> anyhow::Result<()> {
    for judged in Standing::of(app).await?.checkpoints {
        if judged.state == Some(WorkState::Failed) {
            evaluations::start(app, &judged.checkpoint, input::SUITE).await?;
        }
    }
    Ok(())
}

/// Drafts a release of the last checkpoint, lets the policy judge it and asks for approval.
async fn propose(app: &App, people: &People, checkpoint: &Checkpoint) -> anyhow::Result<()> {
    if !app.store.releases_of(checkpoint.id).await?.is_empty() {
        return Ok(());
    }
    let author = people.as_author();
    let proposal = Proposal { lineage: input::lineage(&app.config.dir)?, ..Proposal::default() };
    let draft = releases::propose(app, &author, checkpoint, &proposal).await?;
    let judged = releases::act(app, &author, draft.id, draft.version, ReleaseAction::Freeze, "").await?;
    releases::act(app, &author, judged.id, judged.version, ReleaseAction::Request, "").await?;
    Ok(())
}

/// `sekisho train` as a process of its own, resumed if an earlier start was cut off.
struct Trainer {
    child: Option<Child>,
    log: PathBuf,
}

impl Trainer {
    fn start(app: &App, token: &str) -> anyhow::Result<Self> {
        let dir = &app.config.dir;
        let (out, log) = (dir.join(input::RUN), dir.join("train.log"));
        let stderr = fs_err::OpenOptions::new().create(true).append(true).open(&log)?;
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("train").arg(dir.join(input::SPEC)).arg("--dir").arg(&out);
        command.args(["--server", &app.config.public_url]).env("SEKISHO_TOKEN", token);
        // What it shows is the same on every machine.
        command.arg("--cache").arg(dir.join("cache")).args(["--device", "cpu"]);
        command.env(sekisho_server::launch::PARENT, std::process::id().to_string());
        if out.is_dir() {
            command.arg("--resume");
        }
        let child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::from(stderr.into_file()))
            .kill_on_drop(true)
            .spawn()?;
        Ok(Self { child: Some(child), log })
    }

    async fn finished(&mut self) -> anyhow::Result<bool> {
        let Some(child) = &mut self.child else { return Ok(true) };
        let Some(status) = child.try_wait()? else { return Ok(false) };
        self.child = None;
        if status.success() {
            return Ok(true);
        }
        Err(Failed::user(format!("training ended with {status}: {}", last_line(&self.log))))
    }
}

fn last_line(log: &Path) -> String {
    let text = fs_err::read_to_string(log).unwrap_or_default();
    text.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("no message").to_owned()
}

/// How far everything is.
#[derive(Default)]
struct Standing {
    step: u64,
    loss: Option<f64>,
    checkpoints: Vec<Judged>,
}

struct Judged {
    checkpoint: Checkpoint,
    /// Items answered and in all, over the suite; `None` before the evaluation is queued.
    items: Option<(u64, u64)>,
    state: Option<WorkState>,
    mean: Option<sekisho_domain::score::Interval>,
}

impl Standing {
    async fn of(app: &App) -> anyhow::Result<Self> {
        let Some(run) = app.store.run_by_name(input::NAME).await? else { return Ok(Self::default()) };
        let mut checkpoints = Vec::new();
        for checkpoint in app.store.checkpoints_of_run(run.id).await? {
            let evaluation = app.store.evaluations_of(checkpoint.id).await?.into_iter().next();
            let mut judged = Judged { checkpoint, items: None, state: None, mean: None };
            if let Some(evaluation) = evaluation {
                let found = found::of(app, &evaluation).await?;
                let done = found.work.iter().map(|w| w.finished).sum();
                let total = found.work.iter().map(|w| w.total.unwrap_or(0)).sum();
                judged.items = Some((done, total));
                judged.state = Some(evaluation.state);
                judged.mean = found.scores.mean;
            }
            checkpoints.push(judged);
        }
        Ok(Self { step: run.step.0, loss: run.loss, checkpoints })
    }

    /// The first checkpoint that was refused, or whose evaluation failed, with its reason.
    async fn failure(&self, app: &App) -> anyhow::Result<()> {
        for judged in &self.checkpoints {
            let (checkpoint, step) = (&judged.checkpoint, judged.checkpoint.step);
            if let Some(reason) = checkpoint.refusal.as_ref() {
                return Err(Failed::user(format!("checkpoint {step} was refused: {}", reason.en)));
            }
            if judged.state != Some(WorkState::Failed) {
                continue;
            }
            for evaluation in app.store.evaluations_of(checkpoint.id).await? {
                let work = app.store.work_of(evaluation.id).await?;
                let failed = work.into_iter().find(|row| row.state == WorkState::Failed);
                if let Some(reason) = failed.and_then(|row| row.error) {
                    return Err(Failed::user(format!(
                        "the evaluation of checkpoint {step} failed: {reason}"
                    )));
                }
            }
        }
        Ok(())
    }

    /// Nothing waits: every checkpoint is refused, or examined to the end.
    fn settled(&self) -> bool {
        !self.checkpoints.is_empty()
            && self.checkpoints.iter().all(|judged| match judged.checkpoint.state {
                CheckpointState::Refused | CheckpointState::Changed | CheckpointState::Gone => true,
                CheckpointState::Verified => {
                    matches!(judged.state, Some(WorkState::Finished | WorkState::Failed))
                }
                CheckpointState::Received | CheckpointState::Verifying => false,
            })
    }
}

struct Bars {
    train: ProgressBar,
    evaluate: ProgressBar,
    told: usize,
}

impl Bars {
    fn new(printer: &Printer) -> Self {
        Self {
            train: printer.bar(input::STEPS, "train     {bar:30} {pos:>4}/{len} steps  {msg}"),
            evaluate: printer.bar(input::CHECKPOINTS, "evaluate  {bar:30} {pos:>4}/{len} checkpoints  {msg}"),
            told: 0,
        }
    }

    fn show(&mut self, standing: &Standing, printer: &Printer) {
        self.train.set_position(standing.step);
        if let Some(loss) = standing.loss {
            self.train.set_message(format!("loss {loss:.3}"));
        }
        let finished: Vec<&Judged> = standing.checkpoints.iter().take_while(|j| j.mean.is_some()).collect();
        self.evaluate.set_position(finished.len() as u64);
        if let Some((done, total)) = standing.checkpoints.get(finished.len()).and_then(|j| j.items) {
            self.evaluate.set_message(format!("{done}/{total} items"));
        }
        for judged in finished.iter().skip(self.told) {
            if let Some(mean) = judged.mean {
                let step = judged.checkpoint.step;
                printer.say(&format!(
                    "  step {step:>5}  mean {:.3} [{:.3}, {:.3}]",
                    mean.value, mean.low, mean.high
                ));
            }
        }
        self.told = self.told.max(finished.len());
    }

    fn finish(&self) {
        self.train.finish();
        self.evaluate.finish_with_message("");
    }
}
