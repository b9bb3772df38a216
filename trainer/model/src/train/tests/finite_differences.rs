//! Gradients against central differences of the plain program in f64.

use sekisho_weights::ModelConfig;

use super::{Numbers, OwnedBatch, loss_of, parameters, program, small, switches};
use crate::reference::Reference;
use crate::train::{Layout, TrainingStep};

/// Half the way between the two points.
const STEP: f64 = 1e-5;
const Z_LOSS: f32 = 1e-3;

/// Mean of the batch's only sequence.
fn loss(config: &ModelConfig, parameters: &[f64], batch: &OwnedBatch) -> f64 {
    Reference::new(config, &Layout::new(config), parameters).loss(
        &batch.inputs,
        &batch.targets,
        f64::from(Z_LOSS),
    )
}

fn check(name: &str, config: &ModelConfig) {
    let mut numbers = Numbers(4);
    let tokens: Vec<u32> = (0..41).map(|_| numbers.token(config.vocab_size)).collect();
    let batch = OwnedBatch::of_windows(&tokens, 40);
    let mut program = program(config, 6);
    let sums = loss_of(&mut program, &batch, &batch.objective(Z_LOSS));
    let at: Vec<f64> = parameters(config, 6).into_iter().map(f64::from).collect();
    let expected = loss(config, &at, &batch);
    let found = (sums.ce + f64::from(Z_LOSS) * sums.squared_log_z) / sums.targets as f64;
    assert!((found - expected).abs() < 1e-6 * expected, "{name}: loss {found} is not {expected}");
    for tensor in program.layout().tensors() {
        let gradient = &program.gradients()[tensor.range.clone()];
        let length = gradient.iter().map(|g| f64::from(*g) * f64::from(*g)).sum::<f64>().sqrt();
        // Along the gradient a part that is too small shows, along another direction one that is missing.
        let along: Vec<f64> = gradient.iter().map(|g| f64::from(*g) / length).collect();
        let root = (gradient.len() as f64).sqrt();
        let across: Vec<f64> = gradient.iter().map(|_| f64::from(numbers.value().signum()) / root).collect();
        for direction in [along, across] {
            let moved = |step: f64| {
                let mut moved = at.clone();
                for (value, direction) in moved[tensor.range.clone()].iter_mut().zip(&direction) {
                    *value += step * direction;
                }
                loss(config, &moved, &batch)
            };
            let difference = (moved(STEP) - moved(-STEP)) / (2.0 * STEP);
            let product: f64 = gradient.iter().zip(&direction).map(|(g, d)| f64::from(*g) * d).sum();
            // A random direction has about a root-th of the gradient's length along it.
            let scale = product.abs().max(length / root);
            assert!(
                (difference - product).abs() < 1e-4 * scale,
                "{name}: {} {product:e} is not {difference:e}",
                tensor.name
            );
        }
    }
}

#[test]
fn every_gradient_is_the_slope_of_the_loss() {
    check("llama", &small(false, false));
    check("llama, tied and scaled", &small(true, true));
    for (name, config) in switches() {
        check(name, &config);
    }
}
