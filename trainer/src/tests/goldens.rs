use std::path::PathBuf;

use sekisho_model::backend::Array;
use sekisho_model::train::{Batch, CpuProgram, Layout, Measured, Objective, TrainingStep};
use sekisho_weights::{Checkpoint, Safetensors};

use crate::optimizer::AdamW;
use crate::spec::Spec;

/// The folder of PyTorch's results, if the test data is there.
fn folder() -> Option<PathBuf> {
    let data = std::env::var_os("SEKISHO_TEST_DATA").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/data")),
        PathBuf::from,
    );
    let folder = data.join("../oracle/trainer/tiny-a");
    if !folder.is_dir() {
        let required = std::env::var_os("SEKISHO_REQUIRE_DATA").is_some_and(|value| value == "1");
        assert!(!required, "no test data at {}, and SEKISHO_REQUIRE_DATA=1", folder.display());
        eprintln!("skipped: no test data at {}", folder.display());
        return None;
    }
    Some(folder)
}

const SPEC: &str = "name = \"tiny-a\"\n[init]\nfrom = \"model\"\n[data]\nsequence_length = 64\n[[data.mix]]\nname = \"a\"\npath = \"a\"
[batch]\nsequences = 4\n[optimizer]\nlr = 3e-3\nmin_lr = 3e-4\n[schedule]\nkind = \"wsd\"\nwarmup_steps = 4\ndecay_steps = 6
decay_shape = \"linear\"\n[stop]\nsteps = 20\n";

fn distance(a: &[f32], b: &[f32]) -> f64 {
    let square = |x: f64| x * x;
    let apart: f64 = a.iter().zip(b).map(|(a, b)| square(f64::from(*a) - f64::from(*b))).sum();
    (apart / b.iter().map(|b| square(f64::from(*b))).sum::<f64>()).sqrt()
}

#[test]
fn twenty_updates_are_pytorchs() {
    let Some(folder) = folder() else { return };
    let scratch = tempfile::tempdir().expect("a temporary folder");
    fs_err::create_dir_all(scratch.path().join("model")).expect("a folder");
    for (from, to) in [("config.json", "config.json"), ("init.safetensors", "model.safetensors")] {
        fs_err::copy(folder.join(from), scratch.path().join("model").join(to)).expect("a copy");
    }
    let spec = Spec::parse("spec.toml", SPEC, scratch.path()).expect("a specification");
    let checkpoint = Checkpoint::open(&scratch.path().join("model")).expect("the first weights");
    let layout = Layout::new(checkpoint.config());
    let parameters = crate::init::parameters(&spec, &layout).expect("the first weights");
    let mut program = CpuProgram::new(checkpoint.config().clone(), parameters);
    let mut adamw = AdamW::new(&spec.optimizer, 1, &layout);
    let schedule = spec.learning_rate();

    let meta: serde_json::Value =
        serde_json::from_str(&fs_err::read_to_string(folder.join("meta.json")).expect("meta.json"))
            .expect("JSON");
    let tokens = Safetensors::open(&folder.join("tokens.safetensors"))
        .expect("tokens")
        .bytes("tokens")
        .expect("int32");
    let tokens: Vec<u32> = tokens.as_chunks::<4>().0.iter().map(|b| u32::from_le_bytes(*b)).collect();
    let starts: Vec<usize> = (0..256).map(|row| row / 64 * 64).collect();
    for (step, batch) in tokens.chunks_exact(4 * 65).enumerate() {
        let inputs: Vec<u32> = batch.chunks_exact(65).flat_map(|w| w[..64].to_vec()).collect();
        let targets: Vec<u32> = batch.chunks_exact(65).flat_map(|w| w[1..].to_vec()).collect();
        program.zero_gradients();
        let batch = Batch { length: 64, inputs: &inputs, targets: &targets, starts: &starts };
        program.accumulate(&batch, &Objective { targets: 256, z_loss: 0.0 });
        let Measured { loss, grad_norm } = program.measure().expect("the CPU never fails");
        let lr = schedule.of_update(step as u64 + 1);
        for (key, got) in [("ce", loss.ce / 256.0), ("grad_norm", grad_norm), ("lr", lr)] {
            let expected = meta["train_f32"][step][key].as_f64().expect("a number");
            assert!(
                (got - expected).abs() < 2e-5 * expected,
                "update {}: {key} {got} is not {expected}",
                step + 1
            );
        }
        program.update(&adamw.next(lr, grad_norm));
    }
    let after = Safetensors::open(&folder.join("after20.safetensors")).expect("after 20 updates");
    for (prefix, array) in
        [("param", Array::Parameters), ("exp_avg", Array::FirstMoments), ("exp_avg_sq", Array::SecondMoments)]
    {
        let mut values = vec![0.0; layout.length];
        program.download(array, &mut values).expect("the CPU never fails");
        for tensor in layout.tensors() {
            let expected = after.tensor_f32(&format!("{prefix}.{}", tensor.name)).expect("a tensor");
            let distance = distance(&values[tensor.range.clone()], &expected);
            assert!(distance < 2e-5, "{prefix}.{}: {distance:e}", tensor.name);
        }
    }
}
