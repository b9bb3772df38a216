use serde_json::Value;
use tests::checkpoints::Recipe;
use tests::cli;
use tests::data::oracle;
use tests::service::{Options, Service, evaluating, text};
use tests::webdriver::Browser;

/// A few items, so that the stage is set in seconds.
const SUITE: &str = r#"
name = "monitor"
title_en = "Monitoring"
title_ja = "監視用"
task = [
    { profile = "llm-jp-eval@1.3", task = "jcommonsenseqa", split = "dev", limit = 6 },
    { profile = "lm-eval@0.4", task = "openbookqa", split = "test", limit = 6 },
]
"#;

/// The run on the stage.
pub(super) const RUN: &str = "mini-ja-en";

/// A service with real checkpoints, examined; none without the data.
pub(super) struct Stage {
    pub(super) service: Service,
    /// The newest checkpoint.
    pub(super) checkpoint: Value,
    /// Its evaluation.
    pub(super) evaluation: Value,
    _folder: tempfile::TempDir,
}

impl Stage {
    /// Checkpoints of the oracle's run with the losses that it wrote down.
    pub(super) fn set() -> Option<Self> {
        Self::of([96, 320, 640, 800])
    }

    /// The last of them alone.
    pub(super) fn last() -> Option<Self> {
        Self::of([800])
    }

    fn of<const N: usize>(steps: [u64; N]) -> Option<Self> {
        let model = oracle()?.join("mini-ja-en");
        let folder = tempfile::tempdir().expect("a temporary folder");
        fs_err::create_dir(folder.path().join("suites")).expect("a folder");
        fs_err::write(folder.path().join("suites/monitor.toml"), SUITE).expect("written");
        let config = evaluating("monitor", folder.path());
        let service = Service::with(Options { config, local_worker: true, ..Options::default() });
        let checkpoints =
            steps.map(|step| service.ingest(&model.join(format!("step-{step:04}")), RUN, step, step * 4096));
        let rows = tests::data::json_lines(&model.join("train_log.jsonl"));
        let body = serde_json::json!({ "seq": 0, "rows": rows });
        service.api().post(&format!("/api/v1/runs/{RUN}/metrics"), &body).has(200);
        let evaluations =
            checkpoints.each_ref().map(|checkpoint| service.finished_evaluation(checkpoint, 180));
        let newest = |all: &[Value]| all.last().expect("one at least").clone();
        let (checkpoint, evaluation) = (newest(&checkpoints), newest(&evaluations));
        Some(Self { service, checkpoint, evaluation, _folder: folder })
    }
}

/// Accounts of an author and an approver, and a release of a checkpoint that waits for approval; answers its path.
pub(super) fn release_in_review(service: &Service, checkpoint: &Value) -> String {
    service.add_user("mori", &["contributor"]);
    service.add_user("ueda", &["approver"]);
    let (author, _) = service.token_of("mori", &["read", "release"]);
    let subsets = "id,corpus,language,tokens,level,license\naozora-ja,aozora,ja,3276800,L1,CC0-1.0\n";
    let registered = serde_json::json!({ "text": subsets, "name": "corpora.csv" });
    let _ = service.api().post("/api/v1/corpora", &registered).has(200);
    let lineage = "[model]\nname = \"gate-mini\"\n\
        [[input]]\nkind = \"corpus\"\nid = \"aozora-ja\"\nlevel = \"L1\"\nlicense = \"CC0-1.0\"\ntokens = 3276800\n\
        [release]\nrepo = \"lab/gate-mini\"\nlicense = [\"apache-2.0\"]\n";
    let body = serde_json::json!({ "checkpoint": checkpoint["id"], "lineage": lineage });
    let mut release = author.post("/api/v1/releases", &body).has(201).json();
    let id = text(&release["id"]).to_owned();
    for action in ["freeze", "request"] {
        let body = serde_json::json!({ "version": release["version"] });
        release = author.post(&format!("/api/v1/releases/{id}/{action}"), &body).has(200).json();
    }
    assert_eq!(release["state"], "in_review");
    format!("/releases/{id}")
}

/// A service with a small verified checkpoint that nobody examines.
pub(super) fn small() -> (Service, Value, tempfile::TempDir) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    Recipe::default().write(folder.path());
    let service = Service::start();
    let checkpoint = service.ingest(folder.path(), "small", 10, 1000);
    (service, checkpoint, folder)
}

/// Signs an account in by a link, in the browser.
pub(super) fn sign_in(browser: &Browser, service: &Service, name: &str) {
    browser.goto(&service.link(name));
    browser.click("form[action='/login'] button");
    browser.wait_for_text("header", name);
}

/// The one-time link as the command prints it.
pub(super) fn link_by_command(service: &Service, name: &str) -> String {
    cli::run(&mut service.command(&["user", "link", name])).exits(0).stdout.trim().to_owned()
}
