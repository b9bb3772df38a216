//! The two gradients of a product, by our own kernels.

use crate::cuda::machine::{Dtype, Form, Into, Product};
use crate::cuda::ops::plain_product;
use crate::cuda::tests::{Bench, assert_close, assert_same, rounded};
use crate::ops::matmul;
use crate::testing::Random;

/// Whole tiles and none, what tensor cores take and not.
const SHAPES: [[usize; 3]; 7] =
    [[1, 1, 1], [8, 8, 8], [64, 64, 64], [72, 136, 65], [65, 200, 70], [7, 16, 130], [16, 7, 24]];

fn product(
    bench: &Bench,
    (form, into): (Form, Into),
    (x, w): (&[f32], &[f32]),
    [m, n, k]: [usize; 3],
    dtype: Dtype,
) -> Vec<f32> {
    let kept = if into == Into::Same { dtype } else { Dtype::F32 };
    let (x, w) = (bench.values(x, dtype), bench.values(w, dtype));
    let out = bench.values(&vec![0.5; m * n], kept);
    let at = out.start();
    plain_product(
        &*bench.machine,
        &Product { form, x: x.start(), w: w.start(), out: at, m, n, k, dtype, into },
    )
    .expect("a product");
    bench.read(&out, kept)
}

#[test]
fn every_gradient_is_the_chain_of_the_cpu() {
    let Some(bench) = Bench::new() else { return };
    for dtype in [Dtype::F32, Dtype::Bf16] {
        for shape @ [m, n, k] in SHAPES {
            let mut random = Random((m * k + n) as u64);
            let (x, w) = (rounded(&random.values(m * k), dtype), rounded(&random.values(n * k), dtype));
            let (mut input, mut weight) = (vec![0.0; m * n], vec![0.0; m * n]);
            matmul::backward_input(&x, &w, m, n, k, &mut input);
            matmul::backward_weight(&x, &w, k, n, m, &mut weight);
            for (form, expected) in [(Form::Input, &input), (Form::Weight, &weight)] {
                let case = format!("{form:?} {shape:?}, {dtype:?}");
                let wide = product(&bench, (form, Into::F32), (&x, &w), shape, dtype);
                let tensor_cores = n % 8 == 0 && (if form == Form::Weight { m } else { k }) % 8 == 0;
                if dtype == Dtype::F32 || !tensor_cores {
                    assert_same(&wide, expected, &case);
                } else {
                    assert_close(&wide, expected, Dtype::F32, 1e-5 + 4e-7 * k as f32, &case);
                }
                let same = product(&bench, (form, Into::Same), (&x, &w), shape, dtype);
                assert_same(&same, &rounded(&wide, dtype), &case);
                let added = product(&bench, (form, Into::Added), (&x, &w), shape, dtype);
                assert_same(&added, &wide.iter().map(|value| 0.5 + value).collect::<Vec<_>>(), &case);
            }
        }
    }
}
