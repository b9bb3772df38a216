//! `sekisho presets` and `sekisho grid` as a person calls them; what a grid computes is held in `trainer/src/tests/grids.rs`.

use std::path::Path;

use serde_json::json;
use tests::cli;
use tests::service::Service;

use crate::bad_input::trained_on;

#[test]
fn presets_are_listed_and_one_is_a_specification() {
    let listed = cli::run(&mut cli::command(["presets"])).exits(0).stdout;
    for words in
        ["llm-jp-3-1.8b", "1,867,", "llama-2-70b", "68,976,648,192", "sarashina2.2-3b", "arXiv 2307.09288"]
    {
        assert!(listed.contains(words), "{words}: {listed}");
    }
    let json = cli::run(&mut cli::command(["presets", "--json"])).exits(0).json();
    assert_eq!(json.as_array().map(Vec::len), Some(listed.lines().count() - 1));
    let folder = tempfile::tempdir().expect("a folder");
    let spec = folder.path().join("spec.toml");
    fs_err::write(&spec, cli::run(&mut cli::command(["presets", "llama-2-7b"])).exits(0).stdout)
        .expect("written");
    let shown = cli::run(cli::command(["train", "--check"]).arg(&spec)).exits(0).stdout;
    // Llama 2's epsilon is the one that LLM-jp's 172B failed with.
    assert!(
        shown.starts_with("warning: adam-epsilon: ") && shown.contains("6,738,415,616 parameters"),
        "{shown}"
    );
    assert!(shown.contains("Llama 2 7B 3e-4"), "{shown}");
    cli::run(&mut cli::command(["presets", "llama-2-7"])).exits(3).says(&["did you mean \"llama-2-7b\"?"]);
}

fn grid(file: &Path, arguments: &[&str]) -> cli::Ended {
    cli::run(cli::command(["grid"]).arg(file).args(arguments))
}

#[test]
fn seeds_and_mixtures_are_trained_and_what_they_are_made_of_is_judged() {
    let folder = tempfile::tempdir().expect("a folder");
    let labelled = "path = \"a.jsonl\"\nlevel = \"L1\"\nlicense = \"CC0-1.0\"";
    let base = trained_on(folder.path()).replace("path = \"a.jsonl\"", labelled);
    fs_err::write(folder.path().join("base.toml"), base).expect("written");
    fs_err::write(folder.path().join("anneal.toml"), ANNEAL).expect("written");
    let place = |name: &str| folder.path().join(name);
    cli::run(cli::command(["train"]).arg(place("base.toml")).arg("--dir").arg(place("base"))).exits(0);
    let file = folder.path().join("grid.toml");
    let mixture = |name: &str, labels: &str| {
        format!(
            "[[mixture]]\nname = \"{name}\"\n[[mixture.mix]]\nname = \"{name}\"\npath = \"a.jsonl\"\nweight = 1.0\n{labels}"
        )
    };
    let known = mixture("known", "level = \"L1\"\nlicense = \"CC0-1.0\"\n");
    let text =
        format!("name = \"g\"\nspec = \"anneal.toml\"\nseeds = [1, 2]\n{known}{}", mixture("unknown", ""));
    fs_err::write(&file, text).expect("written");
    let shown = grid(&file, &["--check", "--gpus", "8"]).exits(0).stdout;
    for words in [
        "warning: lineage-unknown: no level for unknown, no license for unknown",
        "g-known-1",
        "4 runs",
        "GPU-days",
    ] {
        assert!(shown.contains(words), "{words}: {shown}");
    }
    let out = folder.path().join("out");
    let dir = out.display().to_string();
    let made = grid(&file, &["--dir", &dir, "--json"]).exits(0).json();
    assert_eq!(made["runs"].as_array().map(Vec::len), Some(4));
    assert_eq!(made["soups"].as_array().map(Vec::len), Some(2));
    let again = grid(&file, &["--dir", &dir]).exits(0);
    assert!(
        again.stdout.contains("mean of 2") && again.stderr.contains("g-known-1: was finished before"),
        "{again:?}"
    );
    let judged = |path: &str| {
        let ended = cli::run(cli::command(["policy", "check", "--json"]).arg(out.join(path)));
        let codes = ended.json()["violations"].as_array().cloned().unwrap_or_default();
        (ended.code, codes.iter().map(|found| found["code"].clone()).collect::<Vec<_>>())
    };
    assert_eq!(judged("g-known-1/lineage.toml"), (Some(0), Vec::new()));
    assert_eq!(judged("known-soup/lineage.toml"), (Some(0), Vec::new()));
    let (code, codes) = judged("unknown-soup/lineage.toml");
    assert_eq!(code, Some(5));
    for expected in ["level-unknown", "license-unknown"] {
        assert!(codes.contains(&json!(expected)), "{codes:?}");
    }
    assert!(!codes.contains(&json!("lineage-missing")), "{codes:?}");
}

const ANNEAL: &str = r#"name = "anneal"
[parent]
run = "base"
step = 2
data = "restart"
reset_steps = true
[tokenizer]
path = "tokenizer"
[data]
sequence_length = 32
[[data.mix]]
name = "a"
path = "a.jsonl"
[batch]
sequences = 2
[optimizer]
lr = 1e-3
[schedule]
kind = "linear"
[stop]
steps = 2
"#;

#[test]
fn the_runs_of_a_grid_hang_off_their_parent_on_the_service() {
    let service = Service::start();
    let folder = tempfile::tempdir().expect("a folder");
    let place = |name: &str| folder.path().join(name);
    let base = trained_on(folder.path()).replace("name = \"bad\"", "name = \"base\"");
    for (name, text) in [
        ("base.toml", &*base),
        ("anneal.toml", ANNEAL),
        ("grid.toml", "spec = \"anneal.toml\"\nseeds = [1, 2]\n"),
    ] {
        fs_err::write(place(name), text).expect("written");
    }
    let on_service = |command: &str, file: &str, out: &str| {
        cli::run(service.command(&[command]).arg(place(file)).arg("--dir").arg(place(out))).exits(0)
    };
    let _ = on_service("train", "base.toml", "base");
    let _ = on_service("grid", "grid.toml", "out");
    for run in ["anneal-1", "anneal-2"] {
        let told = service.visitor().get(&format!("/api/v1/runs/{run}")).has(200).json();
        assert_eq!((&told["state"], &told["step"]), (&json!("finished"), &json!(2)), "{told}");
        let page = service.visitor().get(&format!("/runs/{run}")).has(200).text;
        assert!(page.contains("href=\"/runs/base\""), "the tree: {page}");
    }
    assert!(place("out/soup/model.safetensors").is_file());
}
