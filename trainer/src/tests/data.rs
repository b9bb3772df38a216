//! Runs on text, with a cache.

use super::{Bench, assert_same};
use crate::{TrainOptions, train};

/// Forty documents of letters, and a tokenizer for them.
fn write_text(bench: &Bench, letters: &str) {
    let line = |n: usize| {
        let text: String = letters.chars().cycle().skip(n % 3).take(9 + n % 7).collect();
        serde_json::json!({ "text": text }).to_string() + "\n"
    };
    fs_err::write(bench.path("made-up.jsonl"), (0..40).map(line).collect::<String>()).expect("written");
    let file = serde_json::json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": [], "normalizer": null, "pre_tokenizer": null,
        "post_processor": null, "decoder": null,
        "model": { "type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": null, "end_of_word_suffix": null,
            "fuse_unk": false, "byte_fallback": false, "ignore_merges": false, "vocab": { "</s>": 0, "a": 1, "b": 2, "c": 3 }, "merges": [] },
    });
    fs_err::create_dir_all(bench.path("tokenizer")).expect("a folder");
    fs_err::write(bench.path("tokenizer/tokenizer.json"), file.to_string()).expect("written");
    fs_err::write(bench.path("tokenizer/tokenizer_config.json"), "{\"eos_token\": \"</s>\"}")
        .expect("written");
}

const TEXT: [(&str, &str); 2] = [
    ("path = \"made-up\"", "path = \"made-up.jsonl\""),
    ("[data]", "[tokenizer]\npath = \"tokenizer\"\n[data]"),
];

fn options(bench: &Bench, run: &str, resume: bool) -> TrainOptions {
    TrainOptions { cache: Some(bench.path("cache")), resume, ..bench.options(run) }
}

#[test]
fn a_cache_changes_nothing_of_a_run() {
    let bench = Bench::new();
    write_text(&bench, "abc");
    bench.train("plain", &TEXT).expect("a run without a cache");
    for run in ["cold", "warm"] {
        train(&bench.spec(&TEXT), &options(&bench, run, false), &mut ()).expect(run);
        assert_same(&bench.path("plain"), &bench.path(run), "step-000012");
    }
}

#[test]
fn a_text_that_changed_is_refused_with_both_hashes_and_a_touched_one_is_not() {
    let bench = Bench::new();
    write_text(&bench, "abc");
    let short = [&TEXT[..], &[("steps = 12\n[checkpoint]", "steps = 4\n[checkpoint]")]].concat();
    train(&bench.spec(&short), &options(&bench, "run", false), &mut ()).expect("a run");
    let resume = || train(&bench.spec(&TEXT), &options(&bench, "run", true), &mut ());
    // As long as before, under the same name.
    write_text(&bench, "acb");
    let error = resume().expect_err("another text").to_string();
    assert!(error.contains("made-up.jsonl has changed since the run began: it was sha256:"), "{error}");
    assert_eq!(error.matches("sha256:").count(), 2, "{error}");
    write_text(&bench, "abc");
    resume().expect("the old text, written at another time");
    bench.train("straight", &TEXT).expect("a run");
    assert_same(&bench.path("straight"), &bench.path("run"), "step-000012");
}
