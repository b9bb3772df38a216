//! Matrix products.

use super::{Bench, EVERY, assert_close, assert_same, rounded};
use crate::cuda::machine::{Dtype, Form, Into, Product};
use crate::cuda::ops::plain_product;
use crate::ops;
use crate::testing::Random;

/// `x [m, k] · w [n, k]ᵀ`, where it is added to `out`.
fn product(
    bench: &Bench,
    (x, w): (&[f32], &[f32]),
    [m, k, n]: [usize; 3],
    dtype: Dtype,
    into: Into,
    out: &[f32],
) -> Vec<f32> {
    let kept = if into == Into::Same { dtype } else { Dtype::F32 };
    let (x, w) = (bench.values(x, dtype), bench.values(w, dtype));
    let to = if into == Into::Added { bench.values(out, Dtype::F32) } else { bench.blank(m * n, kept) };
    let (form, out) = (Form::Forward, to.start());
    let product = Product { form, x: x.start(), w: w.start(), out, m, n, k, dtype, into };
    plain_product(&*bench.machine, &product).expect("a product");
    bench.read(&to, kept)
}

/// Whole tiles and none, depths that tensor cores take and not.
const SHAPES: [[usize; 3]; 9] = [
    [1, 8, 1],
    [1, 1, 1],
    [3, 40, 17],
    [64, 64, 64],
    [65, 200, 70],
    [5, 77, 66],
    [70, 130, 3],
    [2, 328, 129],
    [17, 16, 64],
];

#[test]
fn every_result_is_the_chain_of_the_cpu() {
    let Some(bench) = Bench::new() else { return };
    for dtype in EVERY {
        for shape @ [m, k, n] in SHAPES {
            let mut random = Random((m * k + n) as u64);
            let x = rounded(&random.values(m * k), dtype);
            let w = rounded(&random.values(n * k), dtype);
            let before = random.values(m * n);
            let mut expected = vec![0.0; m * n];
            ops::matmul::forward(&x, &w, m, k, n, &mut expected);
            let case = format!("{shape:?}, {dtype:?}");

            let wide = product(&bench, (&x, &w), shape, dtype, Into::F32, &[]);
            // How tensor cores round in between is theirs, and they cut off what others round.
            if dtype == Dtype::F32 || k % 8 != 0 {
                assert_same(&wide, &expected, &case);
            } else {
                assert_close(&wide, &expected, Dtype::F32, 1e-5 + 4e-7 * k as f32, &case);
            }
            let same = product(&bench, (&x, &w), shape, dtype, Into::Same, &[]);
            assert_same(&same, &rounded(&wide, dtype), &case);
            let added = product(&bench, (&x, &w), shape, dtype, Into::Added, &before);
            let sums: Vec<f32> = before.iter().zip(&wide).map(|(a, b)| a + b).collect();
            assert_same(&added, &sums, &case);
        }
    }
}

#[test]
fn a_row_has_the_same_bits_alone_and_anywhere_in_a_batch() {
    let Some(bench) = Bench::new() else { return };
    for dtype in EVERY {
        for (k, n) in [(136, 70), (75, 40)] {
            let mut random = Random(k as u64);
            let (row, w) = (random.values(k), random.values(n * k));
            let alone = product(&bench, (&row, &w), [1, k, n], dtype, Into::F32, &[]);
            for (m, at) in [(2, 1), (70, 5), (70, 66)] {
                let mut x: Vec<f32> = random.values(m * k).into_iter().map(|x| 100.0 * x).collect();
                x[at * k..][..k].copy_from_slice(&row);
                let all = product(&bench, (&x, &w), [m, k, n], dtype, Into::F32, &[]);
                assert_same(&all[at * n..][..n], &alone, &format!("row {at} of {m}, {dtype:?}"));
            }
        }
    }
}

/// Whatever the machine has for products: on a GPU cuBLASLt, by the one algorithm that was chosen for a weight.
#[test]
fn the_number_of_rows_never_changes_a_bit_of_a_row() {
    let Some(bench) = Bench::new() else { return };
    for (dtype, into) in [(Dtype::Bf16, Into::Same), (Dtype::F16, Into::F32), (Dtype::F32, Into::F32)] {
        let [k, n] = [256, 192];
        let mut random = Random(9);
        let (x, w) = (random.values(300 * k), random.values(n * k));
        let (x, w) = (rounded(&x, dtype), rounded(&w, dtype));
        let multiplied = |rows: usize| {
            let (x, w) = (bench.values(&x[..rows * k], dtype), bench.values(&w, dtype));
            let kept = if into == Into::Same { dtype } else { Dtype::F32 };
            let out = bench.blank(rows * n, kept);
            let (form, out_at) = (Form::Forward, out.start());
            let product =
                Product { form, x: x.start(), w: w.start(), out: out_at, m: rows, n, k, dtype, into };
            bench.machine.multiply(&product).expect("a product");
            bench.read(&out, kept)
        };
        let all = multiplied(300);
        let mut expected = vec![0.0; 300 * n];
        ops::matmul::forward(&x, &w, 300, k, n, &mut expected);
        let rounding = if into == Into::Same { dtype } else { Dtype::F32 };
        assert_close(&all, &expected, rounding, 2e-4, &format!("{dtype:?}"));
        for rows in [1, 2, 5, 16, 17, 64, 100, 129, 257] {
            assert_same(&multiplied(rows), &all[..rows * n], &format!("{rows} rows, {dtype:?}"));
        }
    }
}
