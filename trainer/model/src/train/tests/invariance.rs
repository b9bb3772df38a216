use sekisho_weights::ModelConfig;

use super::{Numbers, OwnedBatch, loss_of, program, small, switches};
use crate::train::{IGNORED, Measured, Objective, TrainingStep};

fn batch(sequences: usize, length: usize, seed: u64) -> OwnedBatch {
    let mut numbers = Numbers(seed);
    let tokens: Vec<u32> = (0..sequences * (length + 1)).map(|_| numbers.token(67)).collect();
    OwnedBatch::of_windows(&tokens, length)
}

fn with_threads<R: Send>(threads: usize, run: impl FnOnce() -> R + Send) -> R {
    rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("a thread pool").install(run)
}

#[test]
fn a_step_has_the_same_bits_on_any_number_of_threads() {
    let batch = batch(3, 100, 7);
    for config in switches().map(|(_, config)| config).into_iter().chain([small(true, false)]) {
        same_on_any_number_of_threads(&batch, &config);
    }
}

fn same_on_any_number_of_threads(batch: &OwnedBatch, config: &ModelConfig) {
    let step = || {
        let mut program = program(config, 1);
        let loss = loss_of(&mut program, batch, &batch.objective(1e-4));
        (loss, program.gradients().iter().map(|g| g.to_bits()).collect::<Vec<_>>())
    };
    let one = with_threads(1, step);
    for threads in [2, 3, 5] {
        assert!(with_threads(threads, step) == one, "{threads} threads");
    }
}

#[test]
fn gradients_add_up_over_micro_batches() {
    let whole = batch(4, 24, 3);
    let objective = whole.objective(1e-4);
    let mut at_once = program(&small(false, true), 2);
    let loss = loss_of(&mut at_once, &whole, &objective);
    let mut in_parts = program(&small(false, true), 2);
    for part in 0..2 {
        let rows = part * 48..(part + 1) * 48;
        let part = OwnedBatch {
            length: 24,
            inputs: whole.inputs[rows.clone()].to_vec(),
            targets: whole.targets[rows].to_vec(),
            starts: whole.starts[..48].to_vec(),
        };
        in_parts.accumulate(&part.view(), &objective);
    }
    let sum = in_parts.measure().expect("the CPU never fails").loss;
    assert!((sum.ce - loss.ce).abs() < 1e-9 * loss.ce && sum.targets == loss.targets);
    let distance = super::relative_distance(in_parts.gradients(), at_once.gradients());
    assert!(distance < 1e-6, "{distance:e}");
    in_parts.zero_gradients();
    assert!(in_parts.gradients().iter().all(|g| *g == 0.0));
    assert_eq!(in_parts.measure().expect("the CPU never fails"), Measured::default());
}

#[test]
fn a_document_mask_makes_documents_strangers() {
    // Two documents in one sequence under the mask have the losses they have alone: rotary positions are relative.
    let both = batch(1, 40, 11);
    let mut masked =
        OwnedBatch { starts: (0..40).map(|row| if row < 16 { 0 } else { 16 }).collect(), ..both };
    masked.targets[15] = IGNORED;
    let objective = Objective { targets: 39, z_loss: 0.0 };
    let mut together = program(&small(true, false), 5);
    let loss = loss_of(&mut together, &masked, &objective);
    let mut apart = program(&small(true, false), 5);
    for rows in [0..16, 16..40] {
        let document = OwnedBatch {
            length: rows.len(),
            inputs: masked.inputs[rows.clone()].to_vec(),
            targets: masked.targets[rows.clone()].to_vec(),
            starts: vec![0; rows.len()],
        };
        apart.accumulate(&document.view(), &objective);
    }
    let sum = apart.measure().expect("the CPU never fails").loss;
    assert_eq!((loss.targets, sum.targets), (39, 39));
    assert!((loss.ce - sum.ce).abs() < 1e-5 * sum.ce, "{} and {}", loss.ce, sum.ce);
    let distance = super::relative_distance(together.gradients(), apart.gradients());
    assert!(distance < 1e-5, "{distance:e}");
}
