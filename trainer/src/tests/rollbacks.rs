//! Runs that meet batches whose loss is no number.

use std::path::Path;

use sekisho_domain::Step;
use sekisho_model::train::Layout;
use sekisho_weights::{Dtype, TensorData, to_f32_bytes, write_safetensors};

use super::{Bench, assert_same, log};
use crate::{Ended, ReplayedStep, TrainError, replay};

/// A token whose row in the embedding overflows when it is scaled.
const POISON: u16 = 32;

/// [`super::SPEC`] on the weights and the corpus of [`Bench::poison`], in the order of the file: update u is trained on tokens `32 (u - 1)` to
/// `32 u`, as long as nothing is left out.
pub(super) const POISONED: [(&str, &str); 4] = [
    ("vocab_size = 32", "vocab_size = 33"),
    ("tie_word_embeddings = true", "tie_word_embeddings = false\nscaled_embedding = true"),
    ("[data]\n", "[init]\nfrom = \"poisoned\"\n[data]\norder = \"sequential\"\n"),
    ("skip_sigma = 0.5", "on_nan = \"rollback\"\nmax_rollbacks = 3\nskip_sigma = 0.5"),
];

/// The first two changes alone, to draw the weights by.
const MODEL: [(&str, &str); 2] = [POISONED[0], POISONED[1]];

impl Bench {
    /// A corpus for so many updates, of which those in `updates` meet the poison, and weights that it is poison to.
    pub(super) fn poison(&self, updates: &[usize], of: usize) {
        let mut tokens: Vec<u16> = (0..of * 32 + 24).map(|i| (i * (i / 12 % 3 + 1) % 32) as u16).collect();
        updates.iter().for_each(|update| tokens[32 * (update - 1) + 5] = POISON);
        self.write_documents(&tokens.chunks_exact(12).map(<[u16]>::to_vec).collect::<Vec<_>>());
        let spec = self.spec(&MODEL);
        let config = spec.model_config().expect("a model");
        let layout = Layout::new(&config);
        let mut values = crate::init::parameters(&spec, &layout).expect("first weights");
        let table = layout.tensors().iter().find(|t| t.name == "model.embed_tokens.weight").expect("a table");
        let row = table.range.start + usize::from(POISON) * config.hidden_size;
        values[row..row + config.hidden_size].fill(3e38);
        let folder = self.path("poisoned");
        fs_err::create_dir_all(&folder).expect("a folder");
        fs_err::write(folder.join("config.json"), config.to_hf_json("float32").to_string()).expect("written");
        let tensors = layout.tensors().iter().map(|tensor| TensorData {
            name: tensor.name.clone(),
            dtype: Dtype::F32,
            shape: tensor.shape.clone(),
            bytes: to_f32_bytes(&values[tensor.range.clone()]).into(),
        });
        write_safetensors(&folder.join("model.safetensors"), &std::collections::BTreeMap::new(), tensors)
            .expect("written");
    }
}

fn told(run: &Path, from: u64, to: u64) -> Vec<ReplayedStep> {
    let mut steps = Vec::new();
    replay(run, None, Step(from), Step(to), &mut |step| steps.push(step)).expect("a replay");
    steps
}

/// The updates' first samples, in the order of the corpus.
fn first_samples(steps: &[ReplayedStep]) -> Vec<u64> {
    steps.iter().map(|step| step.samples[0].sample).collect()
}

#[test]
fn a_run_goes_back_and_leaves_out_what_it_stumbled_over() {
    let bench = Bench::new();
    // Update 6 fails: back to 4, and 5 is trained on what would have been 7. The twelfth batch is that of update 10 by then.
    bench.poison(&[6, 12], 20);
    let outcome = bench.train("run", &POISONED).expect("a run");
    assert_eq!((outcome.ended, outcome.step), (Ended::Finished, Step(12)));
    let run = bench.path("run");
    let rows = log(&run);
    assert!(rows.iter().map(|row| row.step.0).eq(1..=12), "{rows:?}");
    assert!(rows.iter().all(|row| row.loss.is_some_and(f64::is_finite)));
    assert!(rows.iter().any(|row| row.lr == Some(0.0)), "with a skipped update");
    let events = fs_err::read_to_string(run.join("events.jsonl")).expect("events");
    for expected in [
        "{\"kind\":\"rollback\",\"step\":4,\"note\":\"the loss of update 6 is NaN: back to checkpoint 4; the 8 samples that followed it, up to update 6, are left out\"",
        "{\"kind\":\"rollback\",\"step\":8,\"note\":\"the loss of update 10 is NaN: back to checkpoint 8;",
    ] {
        assert!(events.contains(expected), "{events}");
    }
    let all = told(&run, 1, 12);
    assert!(all.iter().all(|step| step.checked));
    assert_eq!(first_samples(&all), [0, 4, 8, 12, 24, 28, 32, 36, 48, 52, 56, 60]);
    assert!(all.iter().flat_map(|step| &step.samples).all(|sample| !sample.tokens[..8].contains(&32)));
    for from in 2..=12 {
        assert_eq!(told(&run, from, 12), all[from as usize - 1..], "from {from}");
    }
    fs_err::remove_file(run.join("data.sha256")).expect("removed");
    assert_eq!(first_samples(&told(&run, 6, 12)), first_samples(&all[5..]), "by the checkpoints alone");
    let state = crate::checkpoint::State::read(&run.join("step-000012")).expect("a state");
    assert_eq!(
        state.rollbacks,
        crate::rollback::read(&crate::folder::RunFolder::existing(&run).expect("a run")).expect("a list")
    );
    assert_eq!(state.tokens.0, 12 * 32, "tokens that were trained on");
}

#[test]
fn an_interruption_does_not_change_where_a_run_goes_back_to() {
    let bench = Bench::new();
    bench.poison(&[6, 7, 12], 20);
    bench.train("straight", &POISONED).expect("a run");
    for stop in [3, 4, 5, 6, 8, 9, 11] {
        let name = format!("parted-{stop}");
        let steps = format!("steps = {stop}\n[checkpoint]");
        let short: Vec<(&str, &str)> =
            POISONED.into_iter().chain([("steps = 12\n[checkpoint]", steps.as_str())]).collect();
        bench.train(&name, &short).expect("some updates");
        bench.resume(&name, &POISONED).expect("the rest");
        assert_same(&bench.path("straight"), &bench.path(&name), "step-000012");
        assert_eq!(told(&bench.path(&name), 1, 12), told(&bench.path("straight"), 1, 12), "{stop}");
    }
}

#[test]
fn a_checkpoint_that_a_return_passes_is_set_aside_and_not_lost() {
    let bench = Bench::new();
    bench.poison(&[7], 20);
    let short: Vec<(&str, &str)> =
        POISONED.into_iter().chain([("steps = 12\n[checkpoint]", "steps = 6\n[checkpoint]")]).collect();
    bench.train("run", &short).expect("six updates");
    let written = fs_err::read(bench.path("run/step-000006/model.safetensors")).expect("weights");
    bench.resume("run", &POISONED).expect("the rest");
    assert!(!bench.path("run/step-000006").exists());
    let kept = fs_err::read(bench.path("run/left-000006/model.safetensors")).expect("weights");
    assert!(kept == written);
}

#[test]
fn a_child_goes_back_to_its_beginning_as_its_parent_did() {
    let bench = Bench::new();
    bench.poison(&[10], 20);
    bench.train("run", &POISONED).expect("the parent");
    let child = ("[model]", "[parent]\nrun = \"run\"\nstep = 8\n[model]");
    let unsaid = ("[init]\nfrom = \"poisoned\"\n", "");
    let changes: Vec<(&str, &str)> = POISONED.into_iter().chain([child, unsaid]).collect();
    bench.train("child", &changes).expect("the child");
    let losses = |run: &str| log(&bench.path(run)).into_iter().map(|row| row.loss).collect::<Vec<_>>();
    assert_eq!(losses("child"), losses("run")[8..]);
    let of = |run: &str| {
        fs_err::read(bench.path(run).join("step-000012/training_state/moments.safetensors")).expect("moments")
    };
    assert!(of("run") == of("child"), "the moments differ");
    assert_eq!(told(&bench.path("child"), 9, 12), told(&bench.path("run"), 9, 12));
    let events = fs_err::read_to_string(bench.path("child/events.jsonl")).expect("events");
    assert!(events.contains("back to the beginning; the 8 samples"), "{events}");
}

#[test]
fn a_run_without_a_way_back_stops() {
    let bench = Bench::new();
    bench.poison(&[3], 20);
    let error = bench.train("early", &POISONED).expect_err("no checkpoint yet").to_string();
    assert!(
        error.contains("the loss of update 3 is NaN; the run was stopped. There is no checkpoint"),
        "{error}"
    );
    bench.poison(&[5, 6, 7, 8, 9], 20);
    let error = bench.train("often", &POISONED).expect_err("too often");
    assert!(matches!(error, TrainError::RolledBackTooOften { most: 3, .. }), "{error}");
    let error = error.to_string();
    assert!(
        error.contains("The last good checkpoint is step 4")
            && error.ends_with("stability.max_rollbacks allows."),
        "{error}"
    );
    let more: Vec<(&str, &str)> =
        POISONED.into_iter().chain([("max_rollbacks = 3", "max_rollbacks = 5")]).collect();
    let outcome = bench.resume("often", &more).expect("a higher number is the way on");
    assert_eq!(outcome.step, Step(12));
    assert_eq!(first_samples(&told(&bench.path("often"), 4, 6)), [12, 36, 40]);
}
