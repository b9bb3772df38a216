use std::io::Write as _;
use std::time::Instant;

use serde_json::json;

use super::{Numbers, OwnedBatch, loss_of, parameters, small, switches};
use crate::testing::{bits, on_threads};
use crate::train::{CpuProgram, Recompute, Settings, activation_bytes};

const POLICIES: [Recompute; 3] = [Recompute::None, Recompute::Light, Recompute::Layer];

#[test]
fn what_is_computed_again_has_the_same_bits_whatever_was_in_the_memory() {
    let mut numbers = Numbers(8);
    let tokens: Vec<u32> = (0..2 * 51).map(|_| numbers.token(67)).collect();
    let batch = OwnedBatch::of_windows(&tokens, 50);
    let objective = batch.objective(1e-4);
    for (name, config) in switches().into_iter().chain([("llama", small(true, true))]) {
        let step = |recompute| {
            let settings = Settings { recompute, ..Settings::default() };
            let mut program = CpuProgram::on_cpu(config.clone(), settings, parameters(&config, 1));
            let first = loss_of(&mut program, &batch, &objective);
            program.ops.arena.values.fill(f32::NAN);
            let second = loss_of(&mut program, &batch, &objective);
            assert!(first == second, "{name}: {recompute:?} after other contents");
            (second, bits(program.gradients()), program.ops.arena.values.len())
        };
        let [none, light, layer] = POLICIES.map(step);
        assert!((none.0, &none.1) == (light.0, &light.1), "{name}: norms and SwiGLU");
        assert!((none.0, &none.1) == (layer.0, &layer.1), "{name}: layers");
        assert!(none.2 > light.2 && light.2 > layer.2, "{name}: {} {} {}", none.2, light.2, layer.2);
    }
}

#[test]
fn memory_is_told_before_it_is_taken() {
    let mut numbers = Numbers(8);
    let tokens: Vec<u32> = (0..3 * 21).map(|_| numbers.token(67)).collect();
    let batch = OwnedBatch::of_windows(&tokens, 20);
    let config = small(false, false);
    for recompute in POLICIES {
        let settings = Settings { recompute, ..Settings::default() };
        let mut program = CpuProgram::on_cpu(config.clone(), settings, parameters(&config, 1));
        loss_of(&mut program, &batch, &batch.objective(0.0));
        let rotations = 20 * config.head_dim;
        let taken = 4 * (program.ops.arena.values.len() + rotations) as u64;
        assert_eq!(activation_bytes(&config, 3, 20, recompute), taken);
    }
}

/// What recomputation costs and saves on the oracle's mini model, batch 8 × 512.
#[test]
#[ignore = "a measurement"]
fn the_time_and_memory_of_each_policy() {
    let config = super::model(
        &json!({"model_type": "llama", "vocab_size": 8000, "hidden_size": 256, "num_hidden_layers": 6,
        "num_attention_heads": 8, "num_key_value_heads": 4, "head_dim": 32, "intermediate_size": 704,
        "max_position_embeddings": 512, "tie_word_embeddings": true}),
    );
    let mut numbers = Numbers(8);
    let tokens: Vec<u32> = (0..8 * 513).map(|_| numbers.token(8000)).collect();
    let batch = OwnedBatch::of_windows(&tokens, 512);
    let objective = batch.objective(0.0);
    let mut programs = POLICIES.map(|recompute| {
        let settings = Settings { recompute, ..Settings::default() };
        CpuProgram::on_cpu(config.clone(), settings, parameters(&config, 1))
    });
    let mut fastest = [f64::INFINITY; 3];
    on_threads(2, || {
        // In turn, so that all have the same company.
        for _ in 0..6 {
            for (program, fastest) in programs.iter_mut().zip(&mut fastest) {
                let begun = Instant::now();
                loss_of(program, &batch, &objective);
                *fastest = fastest.min(begun.elapsed().as_secs_f64());
            }
        }
    });
    for ((recompute, program), fastest) in POLICIES.iter().zip(&programs).zip(fastest) {
        let memory = program.ops.arena.values.len() as f64 * 4e-6;
        let speed = 4096.0 / fastest;
        let _ = writeln!(std::io::stdout().lock(), "{recompute:?}: {speed:.0} tokens/s, {memory:.0} MB");
    }
}
