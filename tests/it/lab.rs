//! A small lab with releases: what several tests share.

use std::path::PathBuf;

use serde_json::{Value, json};
use tests::checkpoints::Recipe;
use tests::cli::{self, Ended};
use tests::database::Database;
use tests::http::{Answer, Api};
use tests::hub_double::WRITER;
use tests::service::{Options, Service, text};

/// Where its releases go.
pub(crate) const REPO: &str = "lab/gate-mini";

/// A service with an author, two approvers and a verified checkpoint.
pub(crate) struct Lab {
    pub(crate) service: Service,
    pub(crate) checkpoint: Value,
    pub(crate) author: Api,
    author_token: String,
    pub(crate) folder: tempfile::TempDir,
}

impl Lab {
    pub(crate) fn new(config: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        Recipe::default().write(&folder.path().join("model"));
        let service = Service::with(Options { config: config.to_owned(), ..Options::default() });
        // The author is an approver too, of other people's releases.
        service.add_user("mori", &["contributor", "publisher", "approver"]);
        service.add_user("ueda", &["approver"]);
        let (author, author_token) = service.token_of("mori", &["read", "ingest", "release", "publish"]);
        let subsets = "id,corpus,level,license\naozora-ja,lab,L1,CC0-1.0\ntext-LX,lab,LX,CC0-1.0\nreviews,lab,LX,CC0-1.0\nreviews-L1,lab,L1,CC0-1.0\nreviews-L2,lab,L2,CC0-1.0\nreviews-L3,lab,L3,CC0-1.0\n";
        let body = json!({ "text": subsets, "name": "lab.csv" });
        let _ = author.post("/api/v1/corpora", &body).has(200);
        let checkpoint = service.ingest(&folder.path().join("model"), "gate-mini", 10, 1000);
        Self { service, checkpoint, author, author_token, folder }
    }

    /// With a Hub to publish to.
    pub(crate) fn with_hub(endpoint: &str) -> Self {
        Self::with_hub_and(endpoint, "")
    }

    /// With a Hub, and more of a configuration.
    pub(crate) fn with_hub_and(endpoint: &str, more: &str) -> Self {
        let lab = Self::new("");
        let token = lab.folder.path().join("hub-token");
        fs_err::write(&token, WRITER).expect("written");
        let config = format!(
            "[hub]\nendpoint = \"{endpoint}\"\ntoken_file = {token:?}\nallow = [\"{endpoint}\"]\n{more}"
        );
        lab.reconfigured(&config)
    }

    /// The same lab under another configuration.
    pub(crate) fn reconfigured(mut self, config: &str) -> Self {
        self.service.reconfigure(config);
        self
    }

    /// A file beside the lineage file.
    pub(crate) fn write(&self, name: &str, text: &str) -> PathBuf {
        let file = self.folder.path().join(name);
        fs_err::create_dir_all(file.parent().expect("below the folder")).expect("a folder");
        fs_err::write(&file, text).expect("written");
        file
    }

    fn lineage(&self, level: &str) -> PathBuf {
        self.write("lineage.toml", &lineage(level))
    }

    /// A draft of the checkpoint; answers what came of the request.
    pub(crate) fn post(&self, body: &Value) -> Answer {
        let mut body = body.clone();
        body["checkpoint"] = self.checkpoint["id"].clone();
        self.author.post("/api/v1/releases", &body)
    }

    /// One action of the author on the release as it is now.
    pub(crate) fn act(&self, id: &str, action: &str) -> Answer {
        let body = json!({ "version": self.show(id)["version"], "comment": "" });
        self.author.post(&format!("/api/v1/releases/{id}/{action}"), &body)
    }

    /// A draft of this lineage file, frozen, asked for and approved by these; answers its id.
    pub(crate) fn approved(&self, lineage: &str, by: &[&str]) -> String {
        let draft = self.post(&json!({ "lineage": lineage })).has(201).json();
        let id = text(&draft["id"]).to_owned();
        self.approve(&id, by);
        id
    }

    /// Lets a draft be frozen, asked for and approved by these.
    pub(crate) fn approve(&self, id: &str, by: &[&str]) {
        let _ = self.act(id, "freeze").has(200);
        let _ = self.act(id, "request").has(200);
        let page = format!("/releases/{id}");
        for name in by {
            let _ = self.service.session(name).press(&page, &format!("{page}/approve"), "").has(303);
        }
        assert_eq!(self.show(id)["state"], "approved");
    }

    /// The author's edit of a release to this lineage file.
    pub(crate) fn edit(&self, id: &str, lineage: &str) -> Answer {
        let body = json!({ "version": self.show(id)["version"], "lineage": lineage });
        self.author.post(&format!("/api/v1/releases/{id}/edit"), &body)
    }

    /// `sekisho release …` as the author.
    pub(crate) fn release(&self, arguments: &[&str]) -> Ended {
        self.command(&[&["release"], arguments].concat())
    }

    /// `sekisho …` as the author.
    pub(crate) fn command(&self, arguments: &[&str]) -> Ended {
        let mut command = self.service.command(arguments);
        cli::run(command.env("SEKISHO_TOKEN", &self.author_token))
    }

    /// Proposed by command; answers its id.
    pub(crate) fn propose(&self, level: &str) -> String {
        let file = self.lineage(level).display().to_string();
        let flags = ["propose", "--json", "--checkpoint", text(&self.checkpoint["id"]), "--lineage", &file];
        let draft = self.release(&flags).exits(0).json();
        assert_eq!(json!([draft["state"], draft["repo"]]), json!(["draft", REPO]));
        text(&draft["id"]).to_owned()
    }

    /// Proposed, frozen, allowed and waiting for approval.
    pub(crate) fn in_review(&self) -> String {
        let id = self.propose("L1");
        let frozen = self.release(&["freeze", "--json", &id]).exits(0).json();
        assert_eq!(
            json!([frozen["state"], frozen["decision"]["verdict"]]),
            json!(["policy_checked", "allowed"])
        );
        let asked = self.release(&["request", "--json", &id]).exits(0).json();
        assert_eq!(asked["state"], "in_review");
        id
    }

    pub(crate) fn show(&self, id: &str) -> Value {
        self.service.visitor().get(&format!("/api/v1/releases/{id}")).has(200).json()
    }

    /// Who did what to a release, and what came of it.
    pub(crate) fn audit(&self, id: &str) -> Vec<(String, String, String, String)> {
        let database = Database::open(&self.service.dir());
        let entries = database.audit().into_iter().filter(|entry| entry.object == id);
        let by = |by: String| by.split(':').next().unwrap_or_default().to_owned();
        entries.map(|entry| (entry.actor, by(entry.by), entry.action, entry.result)).collect()
    }
}

/// Of one registered subset of that level.
pub(crate) fn lineage(level: &str) -> String {
    let subset = if level == "L1" { "aozora-ja".to_owned() } else { format!("text-{level}") };
    format!(
        r#"[model]
name = "gate-mini"
[[input]]
kind = "corpus"
id = "{subset}"
level = "{level}"
license = "CC0-1.0"
tokens = 1000
stage = "pretrain"
[release]
repo = "{REPO}"
license = ["apache-2.0"]
"#
    )
}
