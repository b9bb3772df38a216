//! Embedding, SwiGLU, bias.

use super::{Bench, EVERY, NULL, assert_same, int, ptr, rounded, value};
use crate::cuda::kernels::Kernel;
use crate::cuda::machine::{Arg, Dtype};
use crate::ops;
use crate::testing::Random;

#[test]
fn rows_of_the_table_are_gathered_and_scaled() {
    let Some(bench) = Bench::new() else { return };
    for dtype in EVERY {
        for hidden in [1, 7, 16, 100, 2_056] {
            let mut random = Random(hidden as u64);
            let (vocabulary, ids) = (11, [3_u32, 10, 0, 3, 5]);
            let table = rounded(&random.values(vocabulary * hidden), dtype);
            let mut expected = vec![0.0; ids.len() * hidden];
            ops::embedding::forward(&table, hidden, &ids, &mut expected);
            expected.iter_mut().for_each(|x| *x *= 2.5);

            let x = bench.blank(expected.len(), Dtype::F32);
            let (table, id) = (bench.values(&table, dtype), bench.ints(&ids.map(|id| id as i32)));
            let args = [ptr(&table), ptr(&id), ptr(&x), int(hidden), Arg::Float(2.5)];
            bench.run(Kernel::Embedding, dtype, [ids.len(), 1, 1], &args);
            assert_same(&bench.read(&x, Dtype::F32), &expected, &format!("hidden {hidden}, {dtype:?}"));
        }
    }
}

#[test]
fn gates_open_as_on_the_cpu() {
    let Some(bench) = Bench::new() else { return };
    for dtype in EVERY {
        // Blocks of a row share its values however many there are.
        for (inner, blocks) in [(1, 1), (13, 1), (64, 1), (3_000, 2), (3_000, 12), (2_053, 1)] {
            let mut random = Random(inner as u64);
            let rows = 3;
            let scaled = |x: Vec<f32>| x.into_iter().map(|x| 6.0 * x).collect::<Vec<_>>();
            let gate_up = rounded(&scaled(random.values(rows * 2 * inner)), dtype);
            let bias = random.values(2 * inner);
            for biased in [false, true] {
                let mut expected = vec![0.0; rows * inner];
                for (row, out) in gate_up.chunks_exact(2 * inner).zip(expected.chunks_exact_mut(inner)) {
                    let mut row = row.to_vec();
                    if biased {
                        ops::bias::forward(&mut row, &bias);
                    }
                    ops::swiglu::forward(&row[..inner], &row[inner..], out);
                }
                let (from, added) = (bench.values(&gate_up, dtype), bench.values(&bias, Dtype::F32));
                let out = bench.blank(expected.len(), dtype);
                let added = if biased { ptr(&added) } else { NULL };
                let args = [ptr(&from), added, ptr(&out), int(inner)];
                bench.run(Kernel::Swiglu, dtype, [rows, blocks, 1], &args);
                let case = format!("inner {inner}, bias {biased}, {dtype:?}");
                assert_same(&bench.read(&out, dtype), &rounded(&expected, dtype), &case);
            }
        }
    }
}

#[test]
fn a_bias_is_added_to_every_row() {
    let Some(bench) = Bench::new() else { return };
    for width in [1, 9, 64, 2_500] {
        let mut random = Random(width as u64);
        let (mut x, bias) = (random.values(3 * width), random.values(width));
        let (on, added) = (bench.values(&x, Dtype::F32), bench.values(&bias, Dtype::F32));
        bench.run(Kernel::AddBias, Dtype::F32, [3, 1, 1], &[ptr(&on), ptr(&added), int(width)]);
        ops::bias::forward(&mut x, &bias);
        assert_same(&bench.read(&on, Dtype::F32), &x, &format!("width {width}"));
    }
}

#[test]
fn every_value_of_16_bits_is_widened_as_on_the_cpu() {
    let Some(bench) = Bench::new() else { return };
    for dtype in [Dtype::Bf16, Dtype::F16] {
        let all: Vec<u8> = (0..=u16::MAX).flat_map(u16::to_ne_bytes).collect();
        let expected: Vec<f32> = all.chunks_exact(2).map(|bytes| value(bytes, dtype)).collect();
        let (table, ids) = (bench.bytes(&all), bench.ints(&[0]));
        let x = bench.blank(expected.len(), Dtype::F32);
        let args = [ptr(&table), ptr(&ids), ptr(&x), int(expected.len()), Arg::Float(1.0)];
        bench.run(Kernel::Embedding, dtype, [1, 1, 1], &args);
        for (bits, (found, expected)) in bench.read(&x, Dtype::F32).iter().zip(expected).enumerate() {
            let same = found.to_bits() == expected.to_bits() || found.is_nan() && expected.is_nan();
            assert!(same, "{dtype:?} {bits:#06x}: {found} and {expected}");
        }
    }
}

#[test]
fn values_are_rounded_as_on_the_cpu() {
    let Some(bench) = Bench::new() else { return };
    // Ties, neighbours of the largest, what is subnormal in either type, then anything.
    let mut x = vec![
        0.0,
        -0.0,
        1.0,
        65_519.0,
        65_520.0,
        -65_504.0,
        3.4e38,
        -3.4e38,
        1e-40,
        2.98e-8,
        2.981e-8,
        f32::INFINITY,
    ];
    x.extend((0..400).map(|i| f32::from_bits(0x3F80_0000 + i * 0x800)));
    x.extend((0..900).map(|i| f32::from_bits(0x3300_0000 + i * 0x9_1000)));
    let mut random = Random(3);
    x.extend((0..4_000).map(|_| f32::from_bits(random.bits() as u32)).filter(|x| !x.is_nan()));
    // The RMSNorm of ones is its weight.
    let (ones, weight) = (bench.values(&vec![1.0; x.len()], Dtype::F32), bench.values(&x, Dtype::F32));
    let bad = bench.ints(&[i32::MAX]);
    for dtype in EVERY {
        let out = bench.blank(x.len(), dtype);
        let eps = Arg::Float(0.0);
        let args = [ptr(&ones), NULL, ptr(&weight), ptr(&out), int(x.len()), eps, ptr(&bad), int(0)];
        bench.run(Kernel::RmsNorm, dtype, [1, 1, 1], &args);
        assert_same(&bench.read(&out, dtype), &rounded(&x, dtype), &format!("{dtype:?}"));
    }
    assert_eq!(bench.read_ints(&bad), [i32::MAX]);
}
