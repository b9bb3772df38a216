//! The whole training step against the CPU's.

use sekisho_weights::ModelConfig;

use crate::backend::{Array, Format, Recompute};
use crate::cuda::machine::Machine;
use crate::cuda::tests::machine_running_once;
use crate::cuda::train::CudaOps;
use crate::ops::adamw::Constants;
use crate::testing::bits;
use crate::train::tests::{Numbers, OwnedBatch, parameters, relative_distance, small, switches};
use crate::train::{CpuProgram, IGNORED, Measured, MicroBatch, Program, Settings, TrainingStep};

type CudaProgram = Program<CudaOps>;

/// Sequences of the micro-batches, and their length.
const MICRO: MicroBatch = MicroBatch { sequences: 2, length: 37 };

const CONSTANTS: Constants = Constants {
    scale: 1.0,
    beta1: 0.9,
    rest1: 0.1,
    beta2: 0.95,
    rest2: 0.05,
    keep: 0.9999,
    step: 1e-3,
    root: 0.3,
    eps: 1e-5,
    key: 0x0123_4567_89AB_CDEF,
};

/// Two micro-batches of random tokens, the second with documents and targets that are left out.
fn batches(seed: u64) -> [OwnedBatch; 2] {
    let mut numbers = Numbers(seed);
    let tokens: Vec<u32> = (0..4 * 38).map(|_| numbers.token(67)).collect();
    let (first, second) = tokens.split_at(2 * 38);
    let mut second = OwnedBatch::of_windows(second, MICRO.length);
    for row in 11..37 {
        second.starts[row] = if row < 30 { 11 } else { 30 };
    }
    second.targets[10] = IGNORED;
    second.targets[29] = IGNORED;
    [OwnedBatch::of_windows(first, MICRO.length), second]
}

fn on_twin(config: &ModelConfig, settings: Settings) -> Option<CudaProgram> {
    let machine = machine_running_once()?;
    let program = Program::on_machine(machine, config.clone(), settings, MICRO, &parameters(config, 1));
    Some(program.expect("memory"))
}

/// Updates on fresh batches each; what each was judged by.
fn train(program: &mut dyn TrainingStep, updates: u64) -> Vec<Measured> {
    (0..updates)
        .map(|update| {
            let batches = batches(100 + update);
            let objective = crate::train::Objective { targets: 146, z_loss: 1e-3 };
            program.zero_gradients();
            for batch in &batches {
                program.accumulate(&batch.view(), &objective);
            }
            let measured = program.measure().expect("sound");
            program.update(&vec![CONSTANTS; program.layout().tensors().len()]);
            measured
        })
        .collect()
}

fn array(program: &dyn TrainingStep, array: Array) -> Vec<f32> {
    let mut values = vec![0.0; program.layout().length];
    program.download(array, &mut values).expect("downloaded");
    values
}

const ARRAYS: [Array; 4] = [Array::Parameters, Array::Gradients, Array::FirstMoments, Array::SecondMoments];

/// Every model there is a switch for, and tied and scaled embeddings.
fn models() -> Vec<(&'static str, ModelConfig)> {
    let more = [("tied and scaled", small(true, true)), ("untied", small(false, false))];
    switches().into_iter().chain(more).collect()
}

/// `bounds`: relative, of losses and of arrays.
fn is_as_on_the_cpu(settings: Settings, (of_losses, of_arrays): (f64, f64)) {
    for (name, config) in models() {
        let Some(mut cuda) = on_twin(&config, settings) else { return };
        let mut cpu = CpuProgram::on_cpu(config.clone(), settings, parameters(&config, 1));
        let (found, expected) = (train(&mut cuda, 3), train(&mut cpu, 3));
        for (update, (found, expected)) in found.iter().zip(&expected).enumerate() {
            assert_eq!(found.loss.targets, expected.loss.targets, "{name}");
            for (what, found, expected) in [
                ("cross-entropy", found.loss.ce, expected.loss.ce),
                ("ln²Z", found.loss.squared_log_z, expected.loss.squared_log_z),
                ("norm", found.grad_norm, expected.grad_norm),
            ] {
                let off = (found - expected).abs() / expected;
                let bound = if what == "norm" { of_arrays } else { of_losses };
                assert!(off < bound, "{name}, update {update}: {what} {found}, {expected}");
            }
        }
        for which in ARRAYS {
            let distance = relative_distance(&array(&cuda, which), &array(&cpu, which));
            assert!(distance < of_arrays, "{name}, {which:?}: {distance:e}");
        }
    }
}

#[test]
fn several_updates_in_f32_are_the_cpus() {
    is_as_on_the_cpu(Settings::default(), (1e-6, 1e-4));
}

#[test]
fn several_updates_with_moments_in_bf16_are_the_cpus() {
    // The same bits are drawn; a sum that differs in its last place may fall on the other side of one.
    let settings = Settings { moments: Format::Bf16, ..Settings::default() };
    is_as_on_the_cpu(settings, (1e-6, 1e-3));
}

#[test]
fn several_updates_in_bf16_are_the_cpus_but_for_what_is_rounded_in_between() {
    let settings = Settings { format: Format::Bf16, ..Settings::default() };
    is_as_on_the_cpu(settings, (2e-3, 5e-2));
}

#[test]
fn two_runs_and_every_recomputation_have_the_same_bits() {
    for format in [Format::F32, Format::Bf16] {
        for (name, config) in models() {
            let mut results = Vec::new();
            for recompute in [Recompute::None, Recompute::None, Recompute::Light, Recompute::Layer] {
                let Some(mut program) = on_twin(&config, Settings { format, recompute, moments: format })
                else {
                    return;
                };
                let measured = train(&mut program, 1);
                let arrays = ARRAYS.map(|which| bits(&array(&program, which)));
                results.push((measured, arrays));
            }
            let (first, others) = results.split_first().expect("some");
            for other in others {
                assert!(first == other, "{name}, {format:?}");
            }
        }
    }
}

/// On a GPU a list is a graph from its third run on; on the twin it is the same launches either way.
#[test]
fn a_list_that_was_written_down_has_the_bits_of_its_operations() {
    let config = small(false, true);
    let settings = Settings { format: Format::Bf16, ..Settings::default() };
    let Some(mut graphs) = on_twin(&config, settings) else { return };
    let mut single = on_twin(&config, settings).expect("there was one");
    for seed in 0..3 {
        for batch in &batches(seed) {
            let objective = batch.objective(1e-3);
            graphs.accumulate(&batch.view(), &objective);
            single.accumulate_singly(&batch.view(), &objective);
        }
        assert_eq!(graphs.measure().expect("sound"), single.measure().expect("sound"), "batches {seed}");
    }
    let gradients = |program: &CudaProgram| bits(&array(program, Array::Gradients));
    assert_eq!(gradients(&graphs), gradients(&single));
}

#[test]
fn a_restored_program_goes_on_with_the_same_bits() {
    let config = small(true, false);
    let settings = Settings { format: Format::Bf16, moments: Format::Bf16, ..Settings::default() };
    let Some(mut whole) = on_twin(&config, settings) else { return };
    train(&mut whole, 2);
    let mut restored = on_twin(&config, settings).expect("there was one");
    for which in [Array::Parameters, Array::FirstMoments, Array::SecondMoments] {
        restored.upload(which, array(&whole, which)).expect("uploaded");
    }
    assert_eq!(train(&mut whole, 1), train(&mut restored, 1));
    for which in ARRAYS {
        assert_eq!(bits(&array(&whole, which)), bits(&array(&restored, which)), "{which:?}");
    }
}

#[test]
fn a_value_that_is_no_number_is_seen_in_loss_and_norm() {
    let config = small(false, false);
    for format in [Format::F32, Format::Bf16] {
        let Some(mut program) = on_twin(&config, Settings { format, ..Settings::default() }) else { return };
        let mut values = parameters(&config, 1);
        let at = program.layout().find("model.layers.1.mlp.up_proj.weight").expect("a tensor").range.start;
        values[at + 3] = f32::NAN;
        program.upload(Array::Parameters, values).expect("uploaded");
        let [batch, _] = batches(1);
        program.zero_gradients();
        program.accumulate(&batch.view(), &batch.objective(0.0));
        let measured = program.measure().expect("the GPU is well");
        assert!(measured.loss.ce.is_nan() && measured.grad_norm.is_nan(), "{measured:?}");
    }
}

#[test]
fn micro_batches_of_another_shape_are_taken_too() {
    let config = small(false, false);
    let Some(mut program) = on_twin(&config, Settings::default()) else { return };
    let mut cpu = CpuProgram::new(config.clone(), parameters(&config, 1));
    let mut numbers = Numbers(7);
    let tokens: Vec<u32> = (0..3 * 12).map(|_| numbers.token(67)).collect();
    let [mut found, mut expected] = [0.0; 2];
    for length in [11, 5, 11] {
        let batch = OwnedBatch::of_windows(&tokens, length);
        let objective = batch.objective(0.0);
        program.accumulate(&batch.view(), &objective);
        cpu.accumulate(&batch.view(), &objective);
        found = program.measure().expect("sound").loss.ce;
        expected = cpu.measure().expect("sound").loss.ce;
    }
    assert!((found - expected).abs() < 1e-6 * expected, "{found}, {expected}");
    let name = machine_running_once().map(|machine| Machine::name(&*machine));
    assert!(name.is_some());
}
