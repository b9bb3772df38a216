//! Linear layers in bf16: the definition of what a device with bf16 units computes.

use super::{Numbers, OwnedBatch, loss_of, parameters, relative_distance, small};
use crate::backend::{Arena, Array, CpuOps, Extent, Op, Ops, Place, Slot, Weight, Width};
use crate::ops::adamw::Constants;
use crate::ops::rope::Rope;
use crate::ops::{bf16, matmul};
use crate::testing::{Random, bits, on_threads};
use crate::train::{CpuProgram, Format, Settings, TrainingStep};

/// Rows, inputs and outputs.
const SHAPE: [usize; 3] = [7, 33, 20];

#[test]
fn operands_are_rounded_and_sums_are_not() {
    let [m, k, n] = SHAPE;
    let mut random = Random(2);
    let (w, x, dy) = (random.values(n * k), random.values(m * k), random.values(m * n));
    let mut ops = CpuOps::new(w.clone(), Rope::new(2, 1e4, None), Format::Bf16);
    let place = |start: usize, values: usize| Place {
        start: 4 * start,
        bytes: 4 * values,
        extent: Extent { values, width: Width::Narrow },
    };
    let slots = vec![place(0, m * k), place(300, m * n), place(600, m * k), place(900, m * n)];
    ops.reserve(&Arena { bytes: 4800, slots }, &[]);
    let [x_slot, dy_slot, dx_slot, out_slot] = [0, 1, 2, 3].map(Slot);
    ops.arena.get([x_slot])[0].copy_from_slice(&x);
    ops.arena.get([dy_slot])[0].copy_from_slice(&dy);
    let weight = Weight { start: 0, rows: n, columns: k };
    ops.run(&Op::Matmul { x: x_slot, weight, out: out_slot });
    ops.run(&Op::MatmulBackwardInput { dy: dy_slot, weight, dx: dx_slot });
    ops.run(&Op::MatmulBackwardWeight { dy: dy_slot, x: x_slot, weight });

    let [w, x, dy] = [&w, &x, &dy].map(|values| bf16::rounded(values));
    let [mut out, mut dx, mut dw] = [m * n, m * k, n * k].map(|length| vec![0.0; length]);
    matmul::forward(&x, &w, m, k, n, &mut out);
    matmul::backward_input(&dy, &w, m, k, n, &mut dx);
    matmul::backward_weight(&dy, &x, m, k, n, &mut dw);
    assert_eq!(bits(ops.arena.get([out_slot])[0]), bits(&out));
    assert_eq!(bits(ops.arena.get([dx_slot])[0]), bits(&dx));
    assert_eq!(bits(&ops.gradients), bits(&dw));
}

const CONSTANTS: Constants = Constants {
    scale: 1.0,
    beta1: 0.9,
    rest1: 0.1,
    beta2: 0.95,
    rest2: 0.05,
    keep: 1.0,
    step: 1e-3,
    root: 1.0,
    eps: 1e-8,
    key: 0x0123_4567_89AB_CDEF,
};

#[test]
fn updates_go_to_the_masters_and_a_restored_program_goes_on_with_the_same_bits() {
    let mut numbers = Numbers(3);
    let tokens: Vec<u32> = (0..2 * 31).map(|_| numbers.token(67)).collect();
    let batch = OwnedBatch::of_windows(&tokens, 30);
    let config = small(true, false);
    let settings = Settings { format: Format::Bf16, ..Settings::default() };
    let fresh = |parameters| CpuProgram::on_cpu(config.clone(), settings, parameters);
    let update = |program: &mut CpuProgram| {
        let loss = loss_of(program, &batch, &batch.objective(0.0));
        program.update(&vec![CONSTANTS; program.layout().tensors().len()]);
        loss
    };
    let run = || {
        let mut whole = fresh(parameters(&config, 1));
        update(&mut whole);
        let mut restored = fresh(vec![0.0; whole.layout().length]);
        for array in [Array::Parameters, Array::FirstMoments, Array::SecondMoments] {
            let mut values = vec![0.0; whole.layout().length];
            whole.download(array, &mut values).expect("the CPU never fails");
            restored.upload(array, values).expect("the CPU never fails");
        }
        let losses = (update(&mut whole), update(&mut restored));
        assert_eq!(losses.0, losses.1);
        assert_eq!(bits(whole.parameters()), bits(restored.parameters()));
        bits(whole.parameters())
    };
    let one = on_threads(1, run);
    assert!(on_threads(3, run) == one, "three threads");
    assert!(one.iter().any(|bits| bits & 0xffff != 0), "masters keep what bf16 has no place for");
}

#[test]
fn gradients_are_those_of_f32_but_for_the_rounding() {
    let mut numbers = Numbers(3);
    let tokens: Vec<u32> = (0..2 * 31).map(|_| numbers.token(67)).collect();
    let batch = OwnedBatch::of_windows(&tokens, 30);
    let config = small(false, false);
    let [f32, bf16] = [Format::F32, Format::Bf16].map(|format| {
        let settings = Settings { format, ..Settings::default() };
        let mut program = CpuProgram::on_cpu(config.clone(), settings, parameters(&config, 1));
        loss_of(&mut program, &batch, &batch.objective(0.0));
        program.gradients().to_vec()
    });
    let distance = relative_distance(&bf16, &f32);
    assert!((1e-4..3e-2).contains(&distance), "{distance:e}");
}
