//! The command line as it reads, and the commands that need no service.

use std::path::Path;

use serde_json::{Value, json};
use tests::cli::{self, Ended};

/// `--help` of a command and of all below it.
fn help(path: &mut Vec<String>, text: &mut String) {
    let ended = cli::run(cli::command(path.iter()).arg("--help")).exits(0);
    text.push_str(&format!(
        "$ sekisho {}\n\n{}\n",
        [&**path, &["--help".to_owned()]].concat().join(" "),
        ended.stdout
    ));
    let (_, commands) = ended.stdout.split_once("\nCommands:\n").unwrap_or_default();
    let commands = commands.split("\n\n").next().unwrap_or_default();
    // A name stands two columns in; the lines of a long description further.
    let names =
        commands.lines().filter_map(|line| line.strip_prefix("  ")).filter(|line| !line.starts_with(' '));
    for name in names.filter_map(|line| line.split_whitespace().next()).filter(|name| *name != "help") {
        path.push(name.to_owned());
        help(path, text);
        path.pop();
    }
}

#[test]
fn help_reads_as_it_did() {
    let mut text = String::new();
    help(&mut Vec::new(), &mut text);
    insta::assert_snapshot!("help", text);
}

const ALLOWED: &str = r#"
[model]
name = "lab-mini"
[[input]]
kind = "corpus"
id = "aozora-ja"
level = "L1"
license = "CC0-1.0"
tokens = 5000000
stage = "pretrain"
[release]
repo = "lab/lab-mini"
license = ["apache-2.0"]
"#;

fn check(lineage: &Path) -> Ended {
    cli::run(cli::command(["policy", "check", "--json"]).arg(lineage))
}

#[test]
fn policy_check_answers_json_and_an_exit_code() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("lineage.toml");
    fs_err::write(&file, ALLOWED).expect("written");
    let allowed = check(&file).exits(0).json();
    assert_eq!(json!([allowed["verdict"], allowed["violations"]]), json!(["allowed", []]));

    fs_err::write(&file, ALLOWED.replace("\"L1\"", "\"LX\"")).expect("written");
    let refused = check(&file).exits(5).json();
    assert_eq!(refused["verdict"], "refused");
    let violations = refused["violations"].as_array().expect("a list");
    assert_eq!(violations.len(), 1, "{violations:?}");
    assert_eq!(violations[0]["code"], "level-forbids-training");
    for (lang, words) in
        [("en", "Subset \"aozora-ja\" is level LX"), ("ja", "サブセット「aozora-ja」はリリースレベルLX")]
    {
        let sentence = violations[0]["text"][lang].as_str().expect("a sentence");
        assert!(sentence.contains(words), "{sentence}");
    }
    assert!(violations[0]["derivation"].as_array().is_some_and(|lines| !lines.is_empty()));
    for decision in [&allowed, &refused] {
        assert_eq!(decision["policy"]["name"], "base");
        for digest in [&decision["digest"], &decision["policy"]["digest"]] {
            assert!(digest.as_str().is_some_and(|text| text.starts_with("sha256:")), "{digest}");
        }
        assert!(decision["warnings"].is_array() && decision["obligations"].is_array());
    }
    assert_ne!(allowed["digest"], refused["digest"]);
    let people = cli::run(cli::command(["policy", "check", "--lang", "ja"]).arg(&file)).exits(5);
    assert!(
        people.stdout.contains("level-forbids-training") && people.stdout.contains("リリースレベルLX"),
        "{}",
        people.stdout
    );
}

#[test]
fn tasks_are_listed_shown_and_checked() {
    let list = cli::run(&mut cli::command(["tasks", "list"])).exits(0).stdout;
    for (profile, task) in [
        ("llm-jp-eval@1.3", "jcommonsenseqa"),
        ("llm-jp-eval@1.3", "jemhopqa"),
        ("llm-jp-eval@1.3", "niilc"),
        ("lm-eval@0.4", "openbookqa"),
        ("lm-eval@0.4", "xwinograd_jp"),
    ] {
        let listed = list.lines().any(|line| line.split_whitespace().take(2).eq([profile, task]));
        assert!(listed, "{profile} {task} is not in\n{list}");
    }
    let shown = cli::run(&mut cli::command(["tasks", "show", "niilc"])).exits(0).stdout;
    assert!(shown.parse::<toml::Table>().is_ok_and(|task| task["task"].as_str() == Some("niilc")), "{shown}");
    cli::run(&mut cli::command(["tasks", "show", "nilc"]))
        .exits(3)
        .says(&["there is no task \"nilc\"", "did you mean \"niilc\"?"]);

    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("mine.toml");
    fs_err::write(&file, &shown).expect("written");
    cli::run(cli::command(["tasks", "check"]).arg(&file)).exits(0);
    fs_err::write(&file, shown.replace("max_new_tokens", "max_tokens")).expect("written");
    cli::run(cli::command(["tasks", "check"]).arg(&file)).exits(1).says(&["mine.toml"]);
}

/// On LLM-jp's own digests; what lacks a file says which.
#[test]
fn benchmark_data_is_built_and_verified() {
    let Some(data) = tests::data::data() else { return };
    let folder = tempfile::tempdir().expect("a temporary folder");
    let of = |command: &str, tasks: &str| {
        let mut command = cli::command(["data", command, "--profile", "llm-jp-eval@1.3", "--task", tasks]);
        command.arg("--data").arg(&data);
        command
    };
    let built = cli::run(of("build", "jcommonsenseqa,niilc").arg("--out").arg(folder.path())).exits(0).stdout;
    for task in ["jcommonsenseqa", "niilc"] {
        let row = |line: &str| line.starts_with(task) && line.contains(" dev ") && line.ends_with(" equal");
        assert!(built.lines().any(row), "{task} in\n{built}");
        for split in ["train", "dev", "test"] {
            let file = folder.path().join(format!("evaluation/{split}/{task}.json"));
            let json: Value = serde_json::from_slice(&fs_err::read(&file).expect("written")).expect("JSON");
            assert!(
                json["samples"].as_array().is_some_and(|samples| !samples.is_empty()),
                "{}",
                file.display()
            );
        }
    }
    let talk = cli::run(of("build", "jnli").arg("--out").arg(folder.path())).exits(0).stderr;
    for words in ["not built: jnli, dev:", "jnli-v1.1/train-v1.1.json", "put the file there"] {
        assert!(talk.contains(words), "\"{words}\" is not in\n{talk}");
    }
    let verified = cli::run(&mut of("verify", "niilc,jnli")).exits(1);
    assert!(
        verified.stdout.lines().any(|line| line.starts_with("niilc") && line.contains(" ok ")),
        "{}",
        verified.stdout
    );
    assert!(verified.stdout.contains(" missing") && verified.stderr.contains("`sekisho tasks show`"));
    cli::run(&mut of("verify", "niilk")).exits(3).says(&["niilc"]);
}

#[test]
fn doctor_says_what_is_there() {
    let found = cli::run(cli::command(["doctor", "--dir"]).arg(std::env::temp_dir())).exits(0).stdout;
    for what in ["version", "threads", "disk", "device", "auto"] {
        assert!(
            found.lines().any(|line| line.split_whitespace().next() == Some(what)),
            "no {what} in\n{found}"
        );
    }
}

#[test]
fn completions_are_a_script() {
    let script = cli::run(&mut cli::command(["completions", "bash"])).exits(0);
    assert!(script.stdout.contains("_sekisho") && script.stderr.is_empty());
}

#[test]
fn a_one_in_the_environment_hides_the_bars() {
    for said in ["1", "true", "0", ""] {
        let mut command = cli::command(["presets"]);
        let ended = cli::run(command.env("SEKISHO_NO_PROGRESS", said)).exits(0);
        assert!(ended.stdout.contains("llm-jp-3-1.8b"), "{said}");
    }
}
