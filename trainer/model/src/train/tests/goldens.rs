use std::path::{Path, PathBuf};

use sekisho_weights::{Checkpoint, Safetensors};

use super::{OwnedBatch, loss_of, relative_distance};
use crate::backend::{Op, Ops};
use crate::ops::matmul;
use crate::train::{CpuProgram, Objective, TrainingStep};

/// The folder of PyTorch's results for a tiny model, if the test data is there.
fn folder() -> Option<PathBuf> {
    crate::testing::oracle("trainer/tiny-a")
}

fn program(folder: &Path) -> CpuProgram {
    let scratch = tempfile::tempdir().expect("a temporary folder");
    for (from, to) in [("config.json", "config.json"), ("init.safetensors", "model.safetensors")] {
        fs_err::copy(folder.join(from), scratch.path().join(to)).expect("a copy of the golden's weights");
    }
    let checkpoint = Checkpoint::open(scratch.path()).expect("the golden's first weights");
    let config = checkpoint.config().clone();
    let parameters = crate::train::Layout::new(&config)
        .tensors()
        .iter()
        .flat_map(|tensor| checkpoint.tensor_f32(&tensor.name).expect("every tensor"))
        .collect();
    CpuProgram::new(config, parameters)
}

/// Batch 1: four windows of 65 tokens.
fn batch(folder: &Path) -> OwnedBatch {
    let tokens = Safetensors::open(&folder.join("tokens.safetensors")).expect("the golden's tokens");
    let bytes = tokens.bytes("tokens").expect("int32 tokens");
    let (all, _) = bytes.as_chunks::<4>();
    let tokens: Vec<u32> = all.iter().take(4 * 65).map(|b| u32::from_le_bytes(*b)).collect();
    OwnedBatch::of_windows(&tokens, 64)
}

#[test]
fn logits_loss_and_gradients_are_pytorchs() {
    let Some(folder) = folder() else { return };
    let meta: serde_json::Value =
        serde_json::from_str(&fs_err::read_to_string(folder.join("meta.json")).expect("meta.json"))
            .expect("JSON");
    let batch = batch(&folder);
    for (z_loss, file, run) in [(0.0, "grads_ce", "step1_ce_f32"), (1e-4, "grads_z", "step1_z_f32")] {
        let mut program = program(&folder);
        let objective = Objective { targets: 256, z_loss };
        let loss = loss_of(&mut program, &batch, &objective);
        let golden = |key: &str| meta[run][key].as_f64().expect("a number");
        for (what, got, expected) in [
            ("ce", loss.ce / 256.0, golden("ce")),
            ("mean ln²Z", loss.squared_log_z / 256.0, golden("mean_logz_sq")),
            ("total", (loss.ce + f64::from(z_loss) * loss.squared_log_z) / 256.0, golden("total")),
        ] {
            assert!((got - expected).abs() < 2e-6 * expected, "{run} {what}: {got} is not {expected}");
        }
        let goldens =
            Safetensors::open(&folder.join(format!("{file}.safetensors"))).expect("the golden's gradients");
        for tensor in program.layout().tensors() {
            let expected = goldens.tensor_f32(&tensor.name).expect("a gradient for every tensor");
            let distance = relative_distance(&program.gradients()[tensor.range.clone()], &expected);
            assert!(distance < 2e-5, "{file} {}: {distance:e}", tensor.name);
        }
    }
}

#[test]
fn logits_are_pytorchs() {
    let Some(folder) = folder() else { return };
    let batch = batch(&folder);
    let mut program = program(&folder);
    let (view, objective) = (batch.view(), Objective { targets: 256, z_loss: 0.0 });
    program.prepare(&view);
    program.ops.load(&view, &objective);
    let (list, mut logits) = (program.list.clone(), vec![0.0; 256 * 512]);
    for op in &list {
        if let Op::Head { x, weight, .. } = *op {
            let [normed] = program.ops.arena.get([x]);
            matmul::forward(normed, &program.ops.parameters[weight.range()], 256, 64, 512, &mut logits);
            break;
        }
        program.ops.run(op);
    }
    let expected = Safetensors::open(&folder.join("logits.safetensors")).expect("the golden's logits");
    let expected = expected.tensor_f32("logits").expect("logits");
    let distance = relative_distance(&logits, &expected);
    assert!(distance < 2e-6, "{distance:e}");
}
