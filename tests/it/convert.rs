//! `sekisho convert` as a person calls it; what it makes of each format is held in `trainer/convert/tests`.

use std::path::{Path, PathBuf};

use tests::cli;

use crate::bad_input::names;

/// A checkpoint that Megatron-Core or PyTorch wrote.
pub(crate) fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../trainer/convert/tests/fixtures").join(name)
}

#[test]
fn a_checkpoint_is_converted_and_said_tensor_by_tensor() {
    let root = tempfile::tempdir().expect("a temporary folder");
    let to = root.path().join("model");
    let from = fixture("legacy-2-2");
    let run = |flags: &[&str]| cli::run(cli::command(["convert"]).arg(&from).arg(&to).args(flags));
    let report = run(&["--from", "megatron", "--to", "hf", "--json"]).exits(0);
    assert!(report.stderr.contains("split by query group"), "{}", report.stderr);
    let report = report.json();
    assert_eq!((&report["from"], &report["step"]), (&"megatron-legacy".into(), &12_000.into()));
    assert_eq!(report["tensors"].as_array().map(Vec::len), Some(21));
    assert_eq!(report["tensors"][0]["from"], "embedding.word_embeddings.weight");
    assert_eq!(names(&to), ["config.json", "model.safetensors"]);

    let again = run(&[]).exits(4);
    assert!(again.stderr.contains("exists already"), "{}", again.stderr);
    assert_eq!(names(root.path()), ["model"]);
}

#[test]
fn what_cannot_be_converted_says_why() {
    let root = tempfile::tempdir().expect("a temporary folder");
    let to = root.path().join("model");
    let told = |from: &Path, flags: &[&str]| {
        cli::run(cli::command(["convert"]).arg(from).arg(&to).args(flags)).exits(1).stderr
    };
    for (from, flags, words) in [
        ("dcp-hf/step-12000", &["--from", "dcp"][..], "--config"),
        ("dcp-hf/step-12000", &["--from", "megatron"], "torch DCP"),
        ("hf", &["--from", "hf"], "already"),
        ("hf", &["--from", "hf", "--to", "megatron"], "llama_mistral"),
        ("nothing", &[], "nothing"),
    ] {
        let told = told(&fixture(from), flags);
        assert!(told.contains(words), "{from}: {told}");
    }
    assert_eq!(names(root.path()), [""; 0]);
}
