//! A benchmark of our own in the format of a user's: task, suite and data in one folder.

use std::path::{Path, PathBuf};

use sekisho_domain::Sha256;
use serde_json::json;

/// Profile of the task.
pub const PROFILE: &str = "test@1";
/// Id of the task.
pub const TASK: &str = "gates";
/// Name of the suite that has this one task.
pub const SUITE: &str = "gates-only";

/// Files of a benchmark.
#[derive(Clone, Debug)]
pub struct Benchmark {
    /// Folder with task and suite files.
    pub tasks: PathBuf,
    /// Folder with data.
    pub data: PathBuf,
    /// Items.
    pub items: u64,
}

impl Benchmark {
    /// Questions with four choices each. Every question is `length` bytes long and begins in its own way, so each takes the same
    /// time and nothing is shared between them.
    ///
    /// # Panics
    /// When the disk does not take it.
    #[must_use]
    pub fn write(folder: &Path, items: u64, length: usize) -> Self {
        let (tasks, data) = (folder.join("tasks"), folder.join("data"));
        fs_err::create_dir_all(tasks.join("suites")).expect("a folder");
        fs_err::create_dir_all(data.join(TASK)).expect("a folder");
        let lines: String = (0..items).map(|item| line(item, length)).collect();
        fs_err::write(data.join(TASK).join("items.jsonl"), &lines).expect("written");
        fs_err::write(tasks.join("gates.toml"), definition(Sha256::of(&lines))).expect("written");
        let suite = format!(
            "name = \"{SUITE}\"\ntitle_en = \"Gates\"\ntitle_ja = \"関所\"\n\
             [[task]]\nprofile = \"{PROFILE}\"\ntask = \"{TASK}\"\nsplit = \"test\"\n"
        );
        fs_err::write(tasks.join("suites/gates.toml"), suite).expect("written");
        Self { tasks, data, items }
    }

    /// Lets its licence forbid that the items are handed on.
    ///
    /// # Panics
    /// When the task file is not there.
    pub fn forbid_redistribution(&self) {
        let file = self.tasks.join("gates.toml");
        let text = fs_err::read_to_string(&file).expect("the task file");
        let closed = text.replace("redistributable = true", "redistributable = false");
        assert_ne!(closed, text);
        fs_err::write(file, closed).expect("written");
    }

    /// Lets its definition name no digest, as that of a task whose file is not public does.
    ///
    /// # Panics
    /// When the task file is not there.
    pub fn without_digest(&self) {
        let file = self.tasks.join("gates.toml");
        let text = fs_err::read_to_string(&file).expect("the task file");
        let open: String = text
            .lines()
            .filter(|line| !line.starts_with("sha256"))
            .fold(String::new(), |all, line| all + line + "\n");
        assert!(open.len() < text.len());
        fs_err::write(file, open).expect("written");
    }

    /// `sekisho.toml` of a service that evaluates with it.
    #[must_use]
    pub fn config(&self) -> String {
        let Self { tasks, data, .. } = self;
        format!("[evaluate]\nsuite = \"{SUITE}\"\ndata = {data:?}\ntasks = {tasks:?}\n")
    }
}

/// The questions do not have to make sense: the model's weights are arbitrary too.
fn line(item: u64, length: usize) -> String {
    let words = ["barrier", "permit", "traveller", "road", "lantern", "mountain", "river", "inn"];
    let word =
        |i: u64| words[usize::try_from((item * 31 + i * 17 + i * i * (item + 3)) % 8).expect("below eight")];
    let mut query = format!("{item:04}:");
    for i in 0.. {
        if query.len() >= length {
            break;
        }
        query.push(' ');
        query.push_str(word(i));
    }
    query.truncate(length);
    let choices: Vec<String> = (0..4).map(|i| format!("gate {}", (item + i) % 10)).collect();
    format!("{}\n", json!({ "query": query, "choices": choices, "gold": item % 4 }))
}

fn definition(sha256: Sha256) -> String {
    format!(
        r#"profile = "{PROFILE}"
task = "{TASK}"
version = 1
title_en = "Gates"
title_ja = "関所"
language = "en"
license = "Apache-2.0"
redistributable = true
citation = "tests/support/benchmark.rs"
chance = 0.25
primary = "acc"
metrics = ["acc", "acc_norm"]
stderr = "sample"
bos = "off"
encoding = "pair"
splits = "files"

[[source]]
id = "{TASK}"
file = "items.jsonl"
sha256 = "{}"
role = "test"

[reader]
format = "jsonl"

[prompt]
input = "{{query}}"

[request]
kind = "choices"
choices = "choices"
delimiter = " "
gold = "gold"
"#,
        sha256.hex()
    )
}
