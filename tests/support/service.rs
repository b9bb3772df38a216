//! A real `sekisho serve` process in a folder of its own.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use fs_err::OpenOptions;
use serde_json::{Value, json};

use crate::http::{Api, Session};
use crate::process::Process;
use crate::wait::until;
use crate::{cli, data, postgres};

/// How a service is started.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Text of its `sekisho.toml`.
    pub config: String,
    /// Whether it starts a worker of its own.
    pub local_worker: bool,
    /// Where it keeps its data; a temporary folder when absent.
    pub dir: Option<PathBuf>,
    /// The largest file that it may write, in units of the shell's `ulimit -f` (512 bytes).
    pub file_limit: Option<u32>,
}

/// A running service. It and what it started end when this is dropped.
pub struct Service {
    process: Process,
    root: tempfile::TempDir,
    options: Options,
    url: String,
    token: String,
}

impl Service {
    /// On a free port, with everything at its default and no worker.
    #[must_use]
    pub fn start() -> Self {
        Self::with(Options::default())
    }

    /// On a free port.
    ///
    /// # Panics
    /// When it does not start.
    #[must_use]
    pub fn with(options: Options) -> Self {
        let root = tempfile::tempdir().expect("a temporary folder");
        fs_err::write(root.path().join("sekisho.toml"), &options.config).expect("written");
        let (process, url) = spawn(root.path(), &options, "127.0.0.1:0");
        let mut service = Self { process, root, options, url, token: String::new() };
        let token =
            fs_err::read_to_string(service.dir().join("admin-token")).expect("the first start writes it");
        token.trim().clone_into(&mut service.token);
        service
    }

    /// Its address.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Where it keeps its data.
    #[must_use]
    pub fn dir(&self) -> PathBuf {
        dir(self.root.path(), &self.options)
    }

    /// The admin's token.
    #[must_use]
    pub fn token(&self) -> &str {
        &self.token
    }

    /// kill -9.
    pub fn kill9(&mut self) {
        self.process.kill9();
    }

    /// SIGTERM; answers the exit code.
    pub fn terminate(&mut self) -> Option<i32> {
        self.process.terminate().code()
    }

    /// Starts it again at the same address with the same data.
    ///
    /// # Panics
    /// When it does not start.
    pub fn restart(&mut self) {
        let address = self.url.trim_start_matches("http://").to_owned();
        let (process, url) = spawn(self.root.path(), &self.options, &address);
        self.process = process;
        assert_eq!(url, self.url);
    }

    /// Starts it again under another configuration.
    ///
    /// # Panics
    /// When it does not start.
    pub fn reconfigure(&mut self, config: &str) {
        self.process.kill9();
        config.clone_into(&mut self.options.config);
        fs_err::write(self.root.path().join("sekisho.toml"), config).expect("written");
        self.restart();
    }

    /// Starts it again with its data folder moved to another place.
    ///
    /// # Panics
    /// When it does not start.
    pub fn move_data(&mut self) {
        self.terminate();
        let moved = self.root.path().join("moved");
        fs_err::rename(self.dir(), &moved).expect("moved");
        postgres::moved(&self.dir(), moved.clone());
        self.options.dir = Some(moved);
        self.restart();
    }

    /// SIGTERM, and a start without the limit on the size of its files.
    ///
    /// # Panics
    /// When it does not start.
    pub fn lift_limit(&mut self) {
        self.terminate();
        self.options.file_limit = None;
        self.restart();
    }

    /// Its process id, as the lock of its folder names it.
    ///
    /// # Panics
    /// When there is no lock.
    #[must_use]
    pub fn pid(&self) -> u32 {
        let lock = fs_err::read_to_string(self.dir().join(".lock")).expect("a lock");
        lock.split_whitespace().nth(1).and_then(|pid| pid.parse().ok()).expect("process N on HOST")
    }

    /// Requests as the admin.
    #[must_use]
    pub fn api(&self) -> Api {
        Api::new(&self.url, Some(&self.token))
    }

    /// Requests of a stranger.
    #[must_use]
    pub fn visitor(&self) -> Api {
        Api::new(&self.url, None)
    }

    /// A command that talks to it as the admin.
    #[must_use]
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = cli::command(arguments);
        command.env("SEKISHO_SERVER", &self.url).env("SEKISHO_TOKEN", &self.token);
        command
    }

    /// `sekisho worker` by hand.
    #[must_use]
    pub fn worker(&self) -> Process {
        let log = log(&self.root.path().join("worker.log"));
        let mut command = self.command(&["worker", "--server", &self.url]);
        Process::spawn(
            command.env("XDG_CACHE_HOME", self.root.path().join("cache")).stdout(Stdio::null()).stderr(log),
        )
    }

    /// Hands a good checkpoint over by reference; answers it as it is when verified.
    ///
    /// # Panics
    /// When it is refused.
    #[must_use]
    pub fn ingest(&self, folder: &Path, run: &str, step: u64, tokens: u64) -> Value {
        let (step, tokens) = (step.to_string(), tokens.to_string());
        let mut command =
            self.command(&["ingest", "--json", "--run", run, "--step", &step, "--tokens", &tokens]);
        let checkpoint = cli::run(command.arg(folder)).exits(0).json();
        assert_eq!(checkpoint["state"], "verified");
        checkpoint
    }

    /// The newest evaluation of a checkpoint.
    #[must_use]
    pub fn evaluation(&self, checkpoint: &Value) -> Option<Value> {
        let path = format!("/api/v1/checkpoints/{}/evaluations", text(&checkpoint["id"]));
        self.api().get(&path).has(200).items().as_array().and_then(|all| all.first().cloned())
    }

    /// The newest evaluation of a checkpoint, when it is finished.
    ///
    /// # Panics
    /// When it fails, or is not finished within `seconds`.
    #[must_use]
    pub fn finished_evaluation(&self, checkpoint: &Value, seconds: u64) -> Value {
        until("the evaluation", seconds, || {
            let evaluation = self.evaluation(checkpoint)?;
            assert_ne!(evaluation["state"], "failed", "{evaluation:#}");
            (evaluation["state"] == "finished").then_some(evaluation)
        })
    }

    /// The per-item records of one task of an evaluation.
    #[must_use]
    pub fn records(&self, evaluation: &Value, task: &str) -> Vec<Value> {
        let path = format!("/api/v1/evals/{}/records?task={task}", text(&evaluation["id"]));
        let lines = self.api().get(&path).has(200).text;
        lines.lines().map(|line| serde_json::from_str(line).expect("a record")).collect()
    }

    /// Adds an account.
    pub fn add_user(&self, name: &str, roles: &[&str]) {
        let body = json!({ "name": name, "roles": roles });
        self.api().post("/api/v1/users", &body).has(201);
    }

    /// Requests under a new token of an account.
    #[must_use]
    pub fn token_of(&self, name: &str, scopes: &[&str]) -> (Api, String) {
        let body = json!({ "label": "test", "scopes": scopes });
        let answer = self.api().post(&format!("/api/v1/users/{name}/tokens"), &body).has(201).json();
        let token = text(&answer["token"]).to_owned();
        (Api::new(&self.url, Some(&token)), token)
    }

    /// A one-time sign-in link of an account.
    #[must_use]
    pub fn link(&self, name: &str) -> String {
        let answer = self.api().post(&format!("/api/v1/users/{name}/login-link"), &json!({})).has(200).json();
        text(&answer["url"]).to_owned()
    }

    /// Signs an account in.
    #[must_use]
    pub fn session(&self, name: &str) -> Session {
        Session::sign_in(&self.url, &self.link(name))
    }
}

impl Drop for Service {
    #[expect(clippy::print_stderr, reason = "the log of a service whose test failed")]
    fn drop(&mut self) {
        if std::thread::panicking() {
            for file in [
                self.root.path().join("serve.log"),
                self.root.path().join("worker.log"),
                self.dir().join("worker.log"),
            ] {
                eprintln!("{}:\n{}", file.display(), fs_err::read_to_string(&file).unwrap_or_default());
            }
        }
    }
}

/// A configuration that evaluates with the data pack, tasks and suites of `tasks`, and this suite by default.
///
/// # Panics
/// When there is no data pack: the caller has asked before.
#[must_use]
pub fn evaluating(suite: &str, tasks: &Path) -> String {
    let data = data::data().expect("asked before");
    format!("[evaluate]\nsuite = \"{suite}\"\ndata = {data:?}\ntasks = {tasks:?}\n")
}

/// A JSON string.
///
/// # Panics
/// When it is none.
#[must_use]
pub fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("{value} is no text"))
}

fn dir(root: &Path, options: &Options) -> PathBuf {
    options.dir.clone().unwrap_or_else(|| root.join("data"))
}

fn log(path: &Path) -> Stdio {
    OpenOptions::new().create(true).append(true).open(path).expect("a log").into_file().into()
}

/// Starts the process and waits for its address.
fn spawn(root: &Path, options: &Options, listen: &str) -> (Process, String) {
    let file = root.join("serve.log");
    let before = fs_err::metadata(&file).map_or(0, |meta| meta.len());
    let mut command = match options.file_limit {
        None => cli::command(["serve"]),
        Some(limit) => cli::limited(limit, ["serve"]),
    };
    command.args(["--listen", listen]);
    command.arg("--config").arg(root.join("sekisho.toml")).arg("--dir").arg(dir(root, options));
    if let Some(database) = postgres::of_folder(&dir(root, options)) {
        command.args(["--database-url", &database]);
    }
    if !options.local_worker {
        command.arg("--no-local-worker");
    }
    let cache = root.join("cache");
    let mut process =
        Process::spawn(command.env("XDG_CACHE_HOME", cache).stdout(Stdio::null()).stderr(log(&file)));
    let url = until("the service", 60, || {
        let said = fs_err::read_to_string(&file).unwrap_or_default().split_off(usize::try_from(before).ok()?);
        assert!(process.is_running(), "the service ended: {said}");
        let mut whole = said.split_inclusive('\n').filter_map(|line| line.strip_suffix('\n'));
        whole.find_map(|line| line.strip_prefix("Sekisho serves at ")).map(ToOwned::to_owned)
    });
    (process, url)
}
