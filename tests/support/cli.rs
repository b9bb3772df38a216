//! `sekisho` as a person or a script calls it.

use std::ffi::OsStr;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::binary;

/// What a command printed, and how it ended.
#[derive(Debug)]
pub struct Ended {
    /// Exit code; none when a signal ended it.
    pub code: Option<i32>,
    /// Data.
    pub stdout: String,
    /// Talk.
    pub stderr: String,
}

/// A command without the caller's own settings.
#[must_use]
pub fn command(arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Command {
    let mut command = Command::new(binary::sekisho());
    command.args(arguments).stdin(Stdio::null()).env("COLUMNS", "100");
    // Nobody is signed in, whatever this machine's user has done.
    command.env("SEKISHO_LOGINS", "/nonexistent/logins.json");
    // One for all tests, beside the build: it is meant to be shared by processes that know nothing of each other.
    command.env("SEKISHO_CACHE", binary::sekisho().with_file_name("test-cache"));
    for name in [
        "HF_TOKEN",
        "HF_ENDPOINT",
        "SEKISHO_SERVER",
        "SEKISHO_TOKEN",
        "SEKISHO_DIR",
        "SEKISHO_NO_PROGRESS",
        "RUST_LOG",
    ] {
        command.env_remove(name);
    }
    command
}

/// [`command`] that may not write a file larger than this, in units of `ulimit -f` (512 bytes): what a full disk is where
/// nobody may mount a small one.
#[must_use]
pub fn limited(blocks: u32, arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Command {
    let inner = command(arguments);
    let mut command = Command::new("sh");
    let script = format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$@\"");
    command.args(["-c", &script, "sh"]).arg(inner.get_program()).args(inner.get_args());
    command.stdin(Stdio::null());
    for (name, value) in inner.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    command
}

/// Runs a command to its end.
///
/// # Panics
/// When it cannot be started or prints something other than UTF-8.
pub fn run(command: &mut Command) -> Ended {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let text = |bytes| String::from_utf8(bytes).expect("text is UTF-8");
    Ended { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
}

impl Ended {
    /// The same, if it ended like this.
    ///
    /// # Panics
    /// When it ended otherwise, with all it printed.
    pub fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "stdout:\n{}\nstderr:\n{}", self.stdout, self.stderr);
        self
    }

    /// stdout as one JSON document.
    ///
    /// # Panics
    /// When it is none, or something else beside it.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {}", self.stdout))
    }

    /// A failure as people see it: nothing on stdout, and a last sentence on stderr that holds all these words.
    ///
    /// # Panics
    /// When it is not so.
    pub fn says(&self, words: &[&str]) {
        let sentence = self.stderr.lines().last().unwrap_or_default();
        assert!(sentence.starts_with("error: "), "{}", self.stderr);
        for word in words {
            assert!(sentence.contains(word), "\"{sentence}\" does not say \"{word}\"");
        }
    }
}
