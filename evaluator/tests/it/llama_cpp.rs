//! A real server: llama.cpp's own, from the Python package `xllamacpp`, with our weights as GGUF.

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::Duration;

use sekisho_evaluator::{RemoteOptions, Settings, environment};
use serde_json::Value;

use crate::remote::{remote, same};
use crate::support::{How, answers, asked, load_model, oracle, stories};

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/oracle/llama_cpp_server.py");
const NAME: &str = "mini";

/// The interpreter of `SEKISHO_TEST_PYTHON`, else `python3`, where it can import the package; else a line that says so.
fn python() -> Option<String> {
    let python = std::env::var("SEKISHO_TEST_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let mut import = Command::new(&python);
    import.args(["-c", "import gguf, xllamacpp"]).stdout(Stdio::null()).stderr(Stdio::null());
    if import.status().is_ok_and(|status| status.success()) {
        return Some(python);
    }
    let installed = std::env::var("SEKISHO_TOOLS_INSTALLED").is_ok_and(|said| said == "1");
    assert!(!installed, "{python} has no xllamacpp although tests/run.sh has installed it");
    eprintln!("skipped: {python} has no xllamacpp; tests/run.sh installs it");
    None
}

/// The server's process; it ends with its standard input.
struct LlamaCpp {
    child: Child,
    input: Option<ChildStdin>,
    url: String,
}

impl LlamaCpp {
    fn start(python: &str, dir: &Path, folder: &Path) -> Self {
        let mut command = Command::new(python);
        command.arg(SCRIPT).args([dir, Path::new(NAME), &folder.join("model.gguf")]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().expect("the interpreter starts");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("piped")).read_line(&mut line).expect("a line");
        let said: Value = serde_json::from_str(&line).expect("the script says where it listens");
        let url = said["url"].as_str().expect("a text").to_owned();
        Self { input: child.stdin.take(), child, url }
    }
}

impl Drop for LlamaCpp {
    fn drop(&mut self) {
        drop(self.input.take());
        // What does not end by itself is ended; what has is an error here.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn compare(dir: &Path, shots: Option<u32>, tasks: &[(&str, usize)]) {
    let Some(python) = python() else { return };
    let folder = tempfile::tempdir().expect("a temporary folder");
    let server = LlamaCpp::start(&python, dir, folder.path());
    let options = RemoteOptions {
        url: server.url.clone(),
        model: NAME.to_owned(),
        token: None,
        concurrency: 2,
        timeout: Duration::from_secs(60),
        pause: Duration::from_millis(100),
        max_length: None,
        dtype: None,
        likelihoods: true,
    };
    let (local, remote) = (load_model(dir), remote(dir, &options));
    assert_eq!(environment(&remote, &BTreeSet::new(), 2, Settings::default())["engine"], "llama.cpp");
    for (name, limit) in tasks {
        let asked = asked(name, *limit, shots);
        let (ours, _) = answers(&local, &asked, How::default(), &BTreeSet::new()).expect("answered");
        let (theirs, spent) = answers(&remote, &asked, How::default(), &BTreeSet::new()).expect("answered");
        let largest = same(&ours, &theirs, false);
        assert!(largest < 1e-3, "{name}: {largest:.1e}");
        eprintln!(
            "{name}: {} items, largest difference {largest:.1e}; {:?}, {:.1} s",
            ours.len(),
            spent.tokens,
            spent.seconds
        );
    }
}

#[test]
fn llama_cpp_answers_as_we_do_on_the_oracles_model() {
    let Some(dir) = oracle() else { return };
    compare(
        &dir,
        None,
        &[
            ("llm-jp-eval@1.3/jcommonsenseqa/dev", 6),
            ("llm-jp-eval@1.3/niilc/dev", 6),
            ("lm-eval/openbookqa/test", 3),
            ("oracle/o_lambada/test", 8),
            ("oracle/o_xwino_ja/test", 4),
        ],
    );
}

#[test]
fn llama_cpp_answers_as_we_do_on_stories260k() {
    let Some(dir) = stories() else { return };
    // Beyond the 512 tokens that it was trained on, the likeliest tokens are too close to call.
    compare(&dir, Some(0), &[("llm-jp-eval@1.3/jemhopqa/dev", 6), ("lm-eval/openbookqa/test", 4)]);
}
