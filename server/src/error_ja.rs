//! The Japanese of errors whose sentence names things. The English stands where the error is made.

use sekisho_domain::release::ReleaseState;
use sekisho_domain::{Language, StateError};

use crate::web::i18n::Words as _;

/// What can be missing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Noun {
    /// A training run.
    Run,
    /// Something that happened to a run.
    Event,
    /// A checkpoint.
    Checkpoint,
    /// A checkpoint that arrives in pieces.
    Upload,
    /// A file of one; named by its path.
    UploadFile,
    /// An evaluation.
    Evaluation,
    /// A task in an evaluation; named by the evaluation.
    TaskIn,
    /// What this server knows of a task.
    Definition,
    /// A subset in the registry of corpora.
    Subset,
    /// A project.
    Project,
    /// A policy set.
    Policy,
    /// A release.
    Release,
    /// A channel of automatic publication.
    Channel,
    /// Where messages about what happens are sent.
    Webhook,
    /// One of these messages.
    Message,
    /// Something that could be done to a release.
    Action,
    /// A suite of tasks.
    Suite,
    /// An account.
    Account,
    /// An API token.
    Token,
    /// A page; named by its path.
    Page,
    /// A file that pages are made with.
    File,
    /// A file of a benchmark; named by its digest.
    DataFile,
    /// A task of an evaluation, as the queue has it.
    WorkItem,
    /// What starts workers.
    Launcher,
    /// Workers that were started together.
    Launch,
    /// One of them; named by its number.
    LaunchTask,
}

impl Noun {
    /// As the English sentence has it.
    pub(crate) const fn en(self) -> &'static str {
        match self {
            Self::Run => "run",
            Self::Event => "event of this run",
            Self::Checkpoint => "checkpoint",
            Self::Upload => "upload",
            Self::UploadFile => "file in this upload",
            Self::Evaluation => "evaluation",
            Self::TaskIn => "task in evaluation",
            Self::Definition => "definition on this server of task",
            Self::Subset => "subset in the registry",
            Self::Project => "project",
            Self::Policy => "policy set",
            Self::Release => "release",
            Self::Channel => "channel",
            Self::Webhook => "webhook",
            Self::Message => "message",
            Self::Action => "action on a release",
            Self::Suite => "suite",
            Self::Account => "account",
            Self::Token => "token",
            Self::Page => "page",
            Self::File => "file in /static",
            Self::DataFile => "data file",
            Self::WorkItem => "work item",
            Self::Launcher => "launcher in the configuration",
            Self::Launch => "launch",
            Self::LaunchTask => "worker of this launch",
        }
    }

    /// The key of its Japanese word.
    const fn key(self) -> &'static str {
        match self {
            Self::Run => "run",
            Self::Event => "event",
            Self::Checkpoint => "checkpoint",
            Self::Upload => "upload",
            Self::UploadFile => "upload_file",
            Self::Evaluation => "evaluation",
            Self::TaskIn => "task_in",
            Self::Definition => "definition",
            Self::Subset => "subset",
            Self::Project => "project",
            Self::Policy => "policy",
            Self::Release => "release",
            Self::Channel => "channel",
            Self::Webhook => "webhook",
            Self::Message => "message",
            Self::Action => "action",
            Self::Suite => "suite",
            Self::Account => "account",
            Self::Token => "token",
            Self::Page => "page",
            Self::File => "file",
            Self::DataFile => "data_file",
            Self::WorkItem => "work_item",
            Self::Launcher => "launcher",
            Self::Launch => "launch",
            Self::LaunchTask => "launch_task",
        }
    }
}

/// 「実験「x」は見つかりません。」
pub(crate) fn missing_ja(noun: Noun, name: &str) -> String {
    let ja = Language::Ja;
    let noun = ja.t(&format!("missing_thing.{}", noun.key()));
    ja.fill("error.missing", &[("noun", &noun), ("name", &name)])
}

/// The name that pages give to a release's state.
pub(crate) fn release_state_ja(state: ReleaseState) -> &'static str {
    Language::Ja.t(&format!("release_state.{state}"))
}

/// Why a state does not allow an action, with the names that pages give to states.
pub(crate) fn wrong_state_ja(error: &StateError) -> String {
    let ja = Language::Ja;
    let word = |state: &str| {
        let section = if error.kind == "release" { "release_state" } else { "checkpoint_state" };
        ja.find(&format!("{section}.{}", state.trim())).unwrap_or(state).trim().to_owned()
    };
    let allowed: Vec<String> = error.allowed.split(',').map(word).collect();
    ja.fill("error.wrong_state", &[("state", &word(error.state)), ("allowed", &allowed.join("、"))])
}
