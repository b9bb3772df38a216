//! Memory is told before it is taken, and what goes wrong is told once and in a sentence.

use std::sync::Arc;

use crate::backend::{Format, Recompute};
use crate::cuda::CudaError;
use crate::cuda::train::forecast;
use crate::cuda::twin::Twin;
use crate::train::tests::{Numbers, OwnedBatch, model, parameters, small};
use crate::train::{MicroBatch, Program, Settings, TrainingStep};

const POLICIES: [Recompute; 3] = [Recompute::None, Recompute::Light, Recompute::Layer];

#[test]
fn a_forecast_is_what_is_reserved() {
    let config = model(&serde_json::json!({"model_type": "qwen3", "attention_bias": true}));
    for format in [Format::F32, Format::Bf16] {
        for recompute in POLICIES {
            for (sequences, length) in [(1, 9), (3, 20)] {
                let Some(twin) = Twin::new() else { return };
                let settings = Settings { format, recompute, moments: format };
                let micro = MicroBatch { sequences, length };
                let told = forecast(&config, settings, micro);
                let mut program = Program::on_machine(
                    Arc::new(twin),
                    config.clone(),
                    settings,
                    micro,
                    &parameters(&config, 1),
                )
                .expect("memory");
                let mut numbers = Numbers(2);
                let tokens: Vec<u32> = (0..sequences * (length + 1)).map(|_| numbers.token(67)).collect();
                let batch = OwnedBatch::of_windows(&tokens, length);
                program.accumulate(&batch.view(), &batch.objective(0.0));
                assert_eq!(program.ops.reserved(), told.total(), "{settings:?} {micro:?}");
            }
        }
    }
}

#[test]
fn what_does_not_fit_is_refused_with_what_would() {
    let config = small(false, false);
    let settings = Settings { format: Format::Bf16, recompute: Recompute::None, moments: Format::F32 };
    let micro = MicroBatch { sequences: 12, length: 64 };
    let of = |recompute, sequences| {
        forecast(&config, Settings { recompute, ..settings }, MicroBatch { sequences, ..micro }).total()
    };
    let said = |bytes: usize| -> Option<String> {
        let twin = Twin::new()?.with_memory(bytes);
        let refused =
            Program::on_machine(Arc::new(twin), config.clone(), settings, micro, &parameters(&config, 1));
        match refused.err().expect("too little") {
            error @ CudaError::TooLarge { .. } => Some(error.to_string()),
            other => panic!("{other}"),
        }
    };
    let Some(one) = said(of(Recompute::None, 12) - 1) else { return };
    assert!(one.contains("What would fit: batch.micro = 6 takes"), "{one}");
    assert!(one.contains("; precision.recompute = \"layer\" takes"), "{one}");
    let less = said(of(Recompute::None, 4).max(of(Recompute::Layer, 6))).expect("there was one");
    assert!(less.contains("batch.micro = 6 with precision.recompute = \"layer\" takes"), "{less}");
    let few = said(of(Recompute::Layer, 1) - 1).expect("there was one");
    let way = "What would fit: batch.micro = 1 with precision.recompute = \"layer\" and optimizer.moments = \"bf16\" takes";
    assert!(few.contains(way), "{few}");
    let smallest = Settings { recompute: Recompute::Layer, moments: Format::Bf16, ..settings };
    let one = MicroBatch { sequences: 1, ..micro };
    let none = said(forecast(&config, smallest, one).total() - 1).expect("there was one");
    assert!(none.contains("Even batch.micro = 1 with"), "{none}");
}

#[test]
fn what_goes_wrong_is_told_by_the_next_call_that_waits_and_nothing_is_done_after_it() {
    let config = small(false, false);
    let (settings, micro) = (Settings::default(), MicroBatch { sequences: 1, length: 8 });
    let needed = forecast(&config, settings, micro).total();
    let Some(twin) = Twin::new() else { return };
    let twin = Arc::new(twin.with_memory(needed));
    let mut program =
        Program::on_machine(twin, config.clone(), settings, micro, &parameters(&config, 1)).expect("memory");
    let tokens: Vec<u32> = (0..41).collect();
    let batch = OwnedBatch::of_windows(&tokens, 40);
    program.accumulate(&batch.view(), &batch.objective(0.0));
    program.zero_gradients();
    let error = program.measure().expect_err("a longer batch has no memory");
    assert!(matches!(error, CudaError::OutOfMemory { .. }), "{error}");
    let error = program.download(crate::backend::Array::Parameters, &mut []).expect_err("it failed");
    assert!(error.to_string().contains("nothing was done since"), "{error}");
}

#[test]
fn heads_that_are_too_wide_are_refused() {
    let config = model(&serde_json::json!({"model_type": "llama", "head_dim": 264}));
    let Some(twin) = Twin::new() else { return };
    let micro = MicroBatch { sequences: 1, length: 8 };
    let parameters = parameters(&config, 1);
    let refused = Program::on_machine(Arc::new(twin), config, Settings::default(), micro, &parameters);
    assert!(matches!(refused.err(), Some(CudaError::WideHeads { dim: 264, .. })));
}
