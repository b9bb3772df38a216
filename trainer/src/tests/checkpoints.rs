use std::process::Command;

use sekisho_domain::Step;
use sekisho_model::train::{Batch, CpuProgram, Layout, Objective, TrainingStep};
use sekisho_weights::{Checkpoint, ModelConfig, Safetensors, inspect, read_manifest};

use super::{Bench, assert_same};
use crate::{Ended, TrainError, replay};

#[test]
fn a_checkpoint_is_a_hugging_face_folder() {
    let bench = Bench::new();
    bench.train("run", &[]).expect("a run");
    for step in [4, 8, 12] {
        let folder = bench.path(&format!("run/step-{step:06}"));
        let inspected = inspect(&folder).expect("a checkpoint that is accepted");
        assert_eq!(inspected.parameters, bench.spec(&[]).model_config().expect("a model").parameters());
        assert!(inspected.tensors.iter().all(|tensor| tensor.dtype == sekisho_weights::Dtype::BF16));
        let manifest = read_manifest(&folder).expect("a manifest");
        assert_eq!(
            (manifest.run.as_str(), manifest.step, manifest.tokens.0),
            ("tiny", Step(step), step * 32)
        );
        let paths: Vec<&str> = manifest.files.iter().map(|file| file.path.as_str()).collect();
        let inner = ["moments.safetensors", "parameters.safetensors", "state.json"]
            .map(|f| format!("training_state/{f}"));
        let expected: Vec<&str> = ["config.json", "model.safetensors"]
            .into_iter()
            .chain(inner.iter().map(String::as_str))
            .collect();
        assert_eq!(paths, expected);
    }
}

/// Mean cross-entropy of a model on a fixed sequence.
fn loss(config: &ModelConfig, tensor: impl Fn(&str) -> Vec<f32>) -> f64 {
    let parameters = Layout::new(config).tensors().iter().flat_map(|t| tensor(&t.name)).collect();
    let tokens: Vec<u32> = (0..17).map(|i| i * 7 % 32).collect();
    let batch = Batch { length: 16, inputs: &tokens[..16], targets: &tokens[1..], starts: &[0; 16] };
    let objective = Objective { targets: 16, z_loss: 0.0 };
    let mut program = CpuProgram::new(config.clone(), parameters);
    program.accumulate(&batch, &objective);
    program.measure().expect("the CPU never fails").loss.ce / 16.0
}

#[test]
fn a_scaled_embedding_is_folded_into_the_export() {
    let bench = Bench::new();
    let scaled = [("tie_word_embeddings = true", "tie_word_embeddings = true\nscaled_embedding = true")];
    let exact = [scaled[0], ("every = 4", "every = 12\ndtype = \"f32\"")];
    bench.train("run", &exact).expect("a run");
    let folder = bench.path("run/step-000012");
    let exported = Checkpoint::open(&folder).expect("a checkpoint");
    assert!(!exported.config().tie_word_embeddings, "a tied model is exported untied");
    let trained =
        Safetensors::open(&folder.join("training_state/parameters.safetensors")).expect("the raw parameters");
    let ours = loss(&bench.spec(&exact).model_config().expect("a model"), |name| {
        trained.tensor_f32(name).expect(name)
    });
    let theirs = loss(exported.config(), |name| exported.tensor_f32(name).expect(name));
    assert!((ours - theirs).abs() < 1e-6, "{ours} and {theirs}");
}

#[test]
fn a_run_may_start_from_a_checkpoint() {
    let bench = Bench::new();
    bench.train("parent", &[("every = 4", "every = 12\ndtype = \"f32\"")]).expect("a run");
    let from = format!("[init]\nfrom = {:?}\n[data]", bench.path("parent/step-000012"));
    bench.train("child", &[("[data]\n", &format!("{from}\n")), ("lr = 1e-2", "lr = 1e-9")]).expect("a run");
    // With next to no learning rate the child ends where its parent ended.
    let open = |checkpoint: &str| {
        let folder = bench.path(checkpoint).join("training_state");
        Safetensors::open(&folder.join("parameters.safetensors")).expect("parameters")
    };
    let (parent, child) = (open("parent/step-000012"), open("child/step-000012"));
    for name in parent.names() {
        let values = |of: &Safetensors| of.tensor_f32(name).expect("a tensor");
        for (a, b) in values(&parent).iter().zip(values(&child)) {
            assert!((a - b).abs() < 1e-6, "{name}: {a} and {b}");
        }
    }
}

#[test]
fn keep_rules_remove_what_they_do_not_keep() {
    let bench = Bench::new();
    bench.train("run", &[("every = 4", "every = 2\nkeep = [\"every:6\", \"last:2\"]")]).expect("a run");
    let kept: Vec<u64> =
        (1..=12).filter(|step| bench.path(&format!("run/step-{step:06}")).exists()).collect();
    assert_eq!(kept, [6, 10, 12]);
}

fn kept(bench: &Bench) -> Vec<u64> {
    (1..=12).filter(|step| bench.path(&format!("run/step-{step:06}")).exists()).collect()
}

#[test]
fn the_best_and_where_a_child_began_outlive_the_others() {
    let bench = Bench::new();
    let every = ("every = 4", "every = 2");
    bench.train("all", &[every]).expect("a run that keeps all");
    let rows = super::log(&bench.path("all"));
    let mean =
        |step: &u64| rows[*step as usize - 2..*step as usize].iter().filter_map(|row| row.loss).sum::<f64>();
    let best = [2, 4, 6, 8, 10, 12].into_iter().min_by(|a, b| mean(a).total_cmp(&mean(b))).expect("steps");
    let short = ("steps = 12\n[checkpoint]", "steps = 4\n[checkpoint]");
    bench.train("run", &[every, short]).expect("the parent's beginning");
    let child = ("[model]", "[parent]\nrun = \"run\"\nstep = 2\n[model]");
    bench.train("child", &[child, every]).expect("a child");
    bench.resume("run", &[("every = 4", "every = 2\nkeep = [\"best:1\"]")]).expect("the rest");
    let mut expected = vec![2, best, 12];
    expected.sort_unstable();
    expected.dedup();
    assert_eq!(kept(&bench), expected, "the child's, the best, the newest");
}

#[test]
fn the_dense_beginning_is_written_and_kept() {
    let bench = Bench::new();
    bench.train("run", &[("every = 4", "every = 12\nkeep = [\"dense_early\"]")]).expect("a run");
    assert_eq!(kept(&bench), [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12], "the list, and the newest");
}

#[test]
fn room_is_bounded() {
    let bench = Bench::new();
    let every = |keep: &str| format!("every = 2\n{keep}");
    bench.train("run", &[("every = 4", &every(""))]).expect("a run");
    let manifest = read_manifest(&bench.path("run/step-000012")).expect("a manifest");
    let size: u64 = manifest.files.iter().map(|file| file.size).sum();
    fs_err::remove_dir_all(bench.path("run")).expect("removed");
    // States grow by some bytes from checkpoint to checkpoint.
    let space = every(&format!("keep = [\"every:2\", \"space:{}B\"]", 3 * size + size / 2));
    bench.train("run", &[("every = 4", &space)]).expect("a run");
    assert_eq!(kept(&bench), [8, 10, 12]);
}

#[test]
fn a_run_ends_when_every_corpus_has_reached_its_repeat() {
    let bench = Bench::new();
    // 240 tokens make 29 windows; half of them make three updates of four.
    let outcome = bench.train("run", &[("weight = 1.0", "repeat = 0.5")]).expect("a run");
    assert_eq!((outcome.ended, outcome.step), (Ended::DataUsedUp, Step(3)));
    assert!(bench.path("run/step-000003/manifest.json").is_file());
}

#[test]
fn epochs_are_recorded() {
    let bench = Bench::new();
    bench.train("run", &[]).expect("a run");
    let events = fs_err::read_to_string(bench.path("run/events.jsonl")).expect("events");
    // Update 8 takes windows 29 to 32.
    assert!(
        events.contains("{\"kind\":\"data_stage\",\"step\":8,\"note\":\"made-up: epoch 2 begins\""),
        "{events}"
    );
}

#[test]
fn replay_tells_what_was_trained_on_and_checks_it() {
    let bench = Bench::new();
    bench.train("run", &[]).expect("a run");
    let mut told = Vec::new();
    replay(&bench.path("run"), None, Step(3), Step(9), &mut |step| told.push(step)).expect("a replay");
    assert_eq!(told.iter().map(|step| step.step.0).collect::<Vec<_>>(), (3..=9).collect::<Vec<_>>());
    assert!(told.iter().all(|step| step.checked), "each is held against what training wrote down");
    // From anywhere, and without what was written down, it is the same.
    let digests = bench.path("run/data.sha256");
    let again = |from: u64| {
        let mut steps = Vec::new();
        replay(&bench.path("run"), None, Step(from), Step(9), &mut |step| steps.push(step))
            .expect("a replay");
        steps
    };
    assert_eq!(again(7), told[4..]);
    let written = fs_err::read(&digests).expect("digests");
    assert_eq!(written.len(), 12 * 32);
    fs_err::remove_file(&digests).expect("removed");
    let older = again(7);
    assert_eq!(older.iter().map(|step| step.checked).collect::<Vec<_>>(), [false, true, false]);
    assert!(older.iter().zip(&told[4..]).all(|(a, b)| (&a.digest, &a.samples) == (&b.digest, &b.samples)));
    let mut other = written.clone();
    other[5 * 32] ^= 1;
    fs_err::write(&digests, other).expect("written");
    let error = replay(&bench.path("run"), None, Step(5), Step(9), &mut |_| ()).expect_err("another digest");
    assert!(matches!(error, TrainError::Replay { step: Step(6), .. }), "{error}");
    fs_err::write(&digests, &written[..7 * 32]).expect("an unfinished run");
    let error = replay(&bench.path("run"), None, Step(3), Step(9), &mut |_| ()).expect_err("not trained yet");
    assert!(error.to_string().contains("can tell of 1 to 7"), "{error}");
    fs_err::write(&digests, written).expect("written");
    for sample in told.iter().flat_map(|step| &step.samples) {
        assert_eq!(sample.tokens.len(), 9);
        assert_eq!(sample.documents.iter().map(|d| d.to - d.from).sum::<usize>(), 9);
    }
    let error = replay(&bench.path("run"), None, Step(3), Step(13), &mut |_| ()).expect_err("never trained");
    assert!(matches!(error, TrainError::Range { .. }), "{error}");
    bench.write_corpus(2);
    let error = replay(&bench.path("run"), None, Step(1), Step(4), &mut |_| ()).expect_err("other data");
    assert!(matches!(error, TrainError::DataChanged { .. }), "{error}");
}

/// A small file system, where this account may make one.
struct SmallDisk(std::path::PathBuf);

impl SmallDisk {
    fn mount(path: std::path::PathBuf) -> Option<Self> {
        fs_err::create_dir_all(&path).expect("a folder");
        let mounted =
            Command::new("mount").args(["-t", "tmpfs", "-o", "size=192k", "tmpfs"]).arg(&path).output();
        mounted.is_ok_and(|output| output.status.success()).then_some(Self(path))
    }

    fn grow(&self) {
        let mounted = Command::new("mount").args(["-o", "remount,size=8m"]).arg(&self.0).status();
        assert!(mounted.is_ok_and(|status| status.success()), "a larger {}", self.0.display());
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let unmounted = Command::new("umount").arg(&self.0).status();
        assert!(unmounted.is_ok_and(|status| status.success()), "umount {}", self.0.display());
    }
}

#[test]
fn a_full_disk_leaves_the_older_checkpoint_and_no_litter() {
    let bench = Bench::new();
    let Some(disk) = SmallDisk::mount(bench.path("run")) else {
        eprintln!("skipped: this account may not mount a small file system");
        return;
    };
    let error = bench.train("run", &[]).expect_err("a full disk");
    let text = error.to_string();
    assert!(text.starts_with("Not enough space (needs 0."), "{text}");
    assert!(text.ends_with("The partial files were removed. Free some space and resume."), "{text}");
    let mut names: Vec<String> = fs_err::read_dir(&disk.0)
        .expect("the run's folder")
        .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    let checkpoints: Vec<&String> = names.iter().filter(|name| name.contains("step")).collect();
    assert!(!checkpoints.is_empty() && checkpoints.iter().all(|name| name.starts_with("step-")), "{names:?}");
    inspect(&disk.0.join(checkpoints[checkpoints.len() - 1])).expect("the last complete checkpoint");
    disk.grow();
    bench.resume("run", &[]).expect("the rest");
    bench.train("straight", &[]).expect("a run");
    assert_same(&bench.path("straight"), &disk.0, "step-000012");
}
