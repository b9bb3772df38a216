//! Runs that go on from another one's checkpoint.

use std::path::Path;

use sekisho_domain::run::MetricRow;
use sekisho_domain::{Step, Tokens};
use sekisho_weights::Safetensors;

use super::{Bench, log};
use crate::{Ended, replay};

/// [`super::SPEC`] as a child of `run` at update 8.
const CHILD: (&str, &str) = ("[model]", "[parent]\nrun = \"run\"\nstep = 8\n[model]");
/// Another mix, from its beginning, with updates counted from 1.
const RESTART: (&str, &str) =
    ("[model]", "[parent]\nrun = \"run\"\nstep = 8\ndata = \"restart\"\nreset_steps = true\n[model]");

fn tensors(run: &Path, step: &str, file: &str) -> Vec<u8> {
    fs_err::read(run.join(step).join("training_state").join(file)).expect("a checkpoint")
}

fn rows_after(run: &Path, step: u64) -> Vec<MetricRow> {
    log(run).into_iter().filter(|row| row.step.0 > step).collect()
}

#[test]
fn a_branch_that_changes_nothing_is_its_parent_to_the_bit() {
    let bench = Bench::new();
    bench.train("run", &[]).expect("the parent");
    let before = tensors(&bench.path("run"), "step-000008", "moments.safetensors");
    let outcome = bench.train("child", &[CHILD]).expect("the child");
    assert_eq!((outcome.ended, outcome.step, outcome.tokens), (Ended::Finished, Step(12), Tokens(4 * 4 * 8)));
    for file in ["parameters.safetensors", "moments.safetensors"] {
        let of = |run: &str| tensors(&bench.path(run), "step-000012", file);
        assert!(of("run") == of("child"), "{file} differs");
    }
    let own_tokens = |mut row: MetricRow| {
        row.tokens = Tokens(row.tokens.0 - 8 * 4 * 8);
        row
    };
    let theirs: Vec<MetricRow> = rows_after(&bench.path("run"), 8).into_iter().map(own_tokens).collect();
    assert_eq!(log(&bench.path("child")), theirs, "tokens are those of its own stage");
    assert!(theirs.iter().any(|row| row.lr == Some(0.0)), "the comparison is to cover a skipped update");
    assert_eq!(
        before,
        tensors(&bench.path("run"), "step-000008", "moments.safetensors"),
        "the parent is as it was"
    );
    let events = fs_err::read_to_string(bench.path("child/events.jsonl")).expect("events");
    assert!(events.contains("from checkpoint 8 of tiny"), "{events}");
}

#[test]
fn a_decay_branch_lowers_the_rate_from_where_the_parent_is_and_can_be_interrupted() {
    let bench = Bench::new();
    let parent = [("decay_steps = 4\ntotal_steps = 12", "decay_steps = 2\ntotal_steps = 12")];
    bench.train("run", &parent).expect("the parent");
    let decay = [
        CHILD,
        ("decay_steps = 4\ntotal_steps = 12", "decay_steps = 6\ntotal_steps = 14\ndecay_shape = \"linear\""),
        ("steps = 12\n[checkpoint]", "steps = 14\n[checkpoint]"),
    ];
    bench.train("straight", &decay).expect("the branch");
    let rates: Vec<Option<f64>> = log(&bench.path("straight")).into_iter().map(|row| row.lr).collect();
    assert_eq!(rates.len(), 6);
    assert!(rates.iter().flatten().filter(|lr| **lr > 0.0).is_sorted_by(|a, b| a > b), "{rates:?}");
    let short = [decay[0], decay[1], ("steps = 12\n[checkpoint]", "steps = 10\n[checkpoint]")];
    bench.train("parted", &short).expect("two updates");
    // By now the parent is of no use any more.
    fs_err::remove_dir_all(bench.path("run")).expect("removed");
    bench.resume("parted", &decay).expect("the rest");
    super::assert_same(&bench.path("straight"), &bench.path("parted"), "step-000014");
}

#[test]
fn mid_training_takes_the_moments_and_begins_its_own_data() {
    let bench = Bench::new();
    bench.train("run", &[]).expect("the parent");
    let longer = ("sequence_length = 8\ntotal_samples = 200", "sequence_length = 16");
    let model = ("tie_word_embeddings = true", "tie_word_embeddings = true\nmax_position_embeddings = 16");
    let still = ("lr = 1e-2", "lr = 1e-9");
    let one = ("every = 4", "every = 1");
    bench.train("middle", &[RESTART, longer, model, still, one]).expect("the child");
    assert_eq!(log(&bench.path("middle"))[0].step, Step(1));
    let moment = |run: &str, step: &str| {
        let path = bench.path(run).join(step).join("training_state/moments.safetensors");
        let moments = Safetensors::open(&path).expect("moments");
        moments.tensor_f32("exp_avg_sq.model.layers.0.mlp.up_proj.weight").expect("a moment")
    };
    let (theirs, after) = (moment("run", "step-000008"), moment("middle", "step-000001"));
    // One update adds a twentieth of the square of the gradient to what was there.
    assert!(theirs.iter().zip(&after).all(|(a, b)| *b >= a * 0.949), "the second moment goes on");
    let weights = RESTART.1.replace("step = 8", "step = 8\nstate = \"weights\"");
    bench.train("start", &[("[model]", &weights), still, one]).expect("a start of its own");
    let begun = moment("start", "step-000001");
    assert!(theirs.iter().zip(&begun).any(|(a, b)| *b < a * 0.5), "it starts from nothing");
}

#[test]
fn what_a_child_was_trained_on_is_told_from_where_it_begins() {
    let bench = Bench::new();
    bench.train("run", &[]).expect("the parent");
    bench.train("child", &[CHILD]).expect("the child");
    let told = |run: &str| {
        let mut steps = Vec::new();
        replay(&bench.path(run), None, Step(9), Step(12), &mut |step| steps.push(step)).expect("told");
        steps
    };
    let (theirs, ours) = (told("run"), told("child"));
    assert_eq!(theirs, ours, "tokens, documents and digests");
    assert!(ours[3].checked);
    let error = replay(&bench.path("child"), None, Step(8), Step(9), &mut |_| {}).expect_err("the parent's");
    assert!(error.to_string().contains("can tell of 9 to 12"), "{error}");
}

#[test]
fn a_child_that_cannot_go_on_says_why_and_begins_nothing() {
    let bench = Bench::new();
    bench.train("run", &[]).expect("the parent");
    let child = |from: &str, to: &str| (CHILD.0, CHILD.1.replace(from, to));
    for (parent, change, expected) in [
        (child("run = \"run\"", "run = \"nobody\""), None, "there is no run nobody: neither "),
        (child("step = 8", "step = 7"), None, "has no checkpoint of update 7; it has those of 4, 8, 12"),
        (
            child("", ""),
            Some(("intermediate_size = 24", "intermediate_size = 32")),
            "model.intermediate_size is 32, and 24 in the parent",
        ),
        (
            child("", ""),
            Some(("seed = 7", "seed = 8")),
            "seed is 8, and 7 in the parent; the parent's order of data",
        ),
        (child("", ""), Some(("weight = 1.0", "repeat = 9.0")), "data.mix.0 is made-up: Repeat(9.0)"),
        (child("", ""), Some(("total_samples = 200", "total_samples = 100")), "data.total_samples is 100"),
    ] {
        let changes: Vec<(&str, &str)> =
            std::iter::once((parent.0, parent.1.as_str())).chain(change).collect();
        let error = bench.train("child", &changes).expect_err(expected).to_string();
        assert!(error.contains(expected), "{error}");
        assert!(!bench.path("child").exists(), "{expected}: nothing was begun");
    }
    bench.write_corpus(2);
    let error = bench.train("child", &[CHILD]).expect_err("other data").to_string();
    assert!(error.contains("made-up.bin has changed since the run began"), "{error}");
}

#[test]
fn the_model_is_the_parents_unless_the_child_says_otherwise() {
    let bench = Bench::new();
    bench
        .train(
            "run",
            &[("tie_word_embeddings = true", "tie_word_embeddings = true\nscaled_embedding = true")],
        )
        .expect("the parent");
    let section =
        super::SPEC.split_once("[model]").and_then(|(_, rest)| rest.split_once("[data]")).expect("a model").0;
    let model = format!("[model]{section}");
    let parent = "[parent]\nrun = \"run\"\nstep = 8\n";
    let spec = bench.spec(&[(&model, parent)]);
    let config = spec.model_config().expect("a model");
    assert!(config.scaled_embedding && config.hidden_size == 16 && config.max_position_embeddings == 8);
    let longer = format!("{parent}[model]\nmax_position_embeddings = 64\nrope_theta = 500000.0\n");
    let config = bench.spec(&[(&model, &longer)]).model_config().expect("a model");
    assert_eq!((config.max_position_embeddings, config.rope_theta, config.hidden_size), (64, 500_000.0, 16));
    // What the parent is not and the child asks for is no silence.
    let untied = format!("{parent}[model]\ntie_word_embeddings = false\n");
    let error = bench.train("child", &[(&model, &untied)]).expect_err("other tensors").to_string();
    assert!(error.contains("tie_word_embeddings"), "{error}");
    let behind = ("warmup_steps = 3", "warmup_steps = 3\nwarmup_init = \"parent\"");
    let text = super::SPEC.replacen(&model, parent, 1).replacen(behind.0, behind.1, 1);
    let error =
        crate::Spec::parse("spec.toml", &text, bench.folder.path()).expect_err("a warm-up of the past");
    assert!(error.to_string().contains("set parent.reset_steps = true"), "{error}");
    let elsewhere = super::SPEC.replace(&model, "[parent]\nrun = \"elsewhere\"\nstep = 8\n");
    let error = crate::Spec::parse("spec.toml", &elsewhere, bench.folder.path()).expect_err("no model");
    assert!(error.to_string().contains("parent.run is elsewhere, which is no run's folder"), "{error}");
}

#[test]
fn a_child_that_was_cut_short_before_its_first_checkpoint_begins_at_the_same_one() {
    let bench = Bench::new();
    bench.train("run", &[]).expect("the parent");
    bench.train("child", &[CHILD]).expect("the child");
    let straight = tensors(&bench.path("child"), "step-000012", "parameters.safetensors");
    fs_err::remove_dir_all(bench.path("child/step-000012")).expect("removed");
    bench.resume("child", &[CHILD]).expect("again");
    assert!(straight == tensors(&bench.path("child"), "step-000012", "parameters.safetensors"));
    fs_err::remove_dir_all(bench.path("child/step-000012")).expect("removed");
    fs_err::remove_dir_all(bench.path("run")).expect("removed");
    bench.train("run", &[("lr = 1e-2", "lr = 2e-2")]).expect("another parent");
    let error = bench.resume("child", &[CHILD]).expect_err("another parent").to_string();
    assert!(error.contains("checkpoint 8 of tiny is not the one that this run began at"), "{error}");
}
