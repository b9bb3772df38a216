//! The official Python client as a judge: `tests/oracle/hub_client.py` run by the interpreter that has `huggingface_hub`.

use std::collections::BTreeMap;
use std::process::Stdio;

use serde_json::Value;
use tokio::process::Command;

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/oracle/hub_client.py");

/// An interpreter that can import `huggingface_hub`.
pub struct OfficialClient {
    python: String,
    home: tempfile::TempDir,
}

impl OfficialClient {
    /// From `SEKISHO_TEST_PYTHON`, else `python3`. Nothing, and a line that says so, when it lacks the package.
    ///
    /// # Panics
    /// When it lacks the package although `SEKISHO_TOOLS_INSTALLED=1` says that the tools are there.
    #[expect(clippy::print_stderr, reason = "a skipped test says so")]
    pub async fn find() -> Option<Self> {
        let python = std::env::var("SEKISHO_TEST_PYTHON").unwrap_or_else(|_| "python3".to_owned());
        let import = Command::new(&python)
            .args(["-c", "import huggingface_hub"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .await;
        if import.is_ok_and(|status| status.success()) {
            return Some(Self { python, home: tempfile::tempdir().expect("temp dir") });
        }
        let installed = std::env::var("SEKISHO_TOOLS_INSTALLED").is_ok_and(|said| said == "1");
        assert!(!installed, "{python} has no huggingface_hub although tests/run.sh has installed it");
        eprintln!("skipped: {python} has no huggingface_hub; tests/run.sh installs it");
        None
    }

    /// Runs the script and reads its JSON.
    pub async fn run(&self, xet: bool, arguments: &[&str]) -> Value {
        let mut command = Command::new(&self.python);
        command
            .arg(SCRIPT)
            .args(arguments)
            .env("HF_HOME", self.home.path())
            .env("HF_HUB_DISABLE_TELEMETRY", "1");
        command.env_remove("HF_TOKEN").env_remove("HF_ENDPOINT").env("HF_HUB_DISABLE_PROGRESS_BARS", "1");
        if !xet {
            command.env("HF_HUB_DISABLE_XET", "1");
        }
        let output = command.output().await.expect("the interpreter runs");
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {stderr}");
        serde_json::from_slice(&output.stdout).expect("the script prints JSON")
    }

    /// SHA-256 of every file at a revision, as the client downloads it.
    pub async fn download(
        &self,
        xet: bool,
        endpoint: &str,
        token: &str,
        repo: &str,
        revision: &str,
    ) -> BTreeMap<String, String> {
        let files = self.run(xet, &["download", endpoint, token, repo, revision]).await;
        serde_json::from_value(files).expect("path to digest")
    }
}
