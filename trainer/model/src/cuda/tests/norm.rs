//! RMSNorm.

use super::{Bench, EVERY, NULL, assert_close, assert_same, int, ptr};
use crate::cuda::kernels::Kernel;
use crate::cuda::machine::{Arg, Dtype};
use crate::ops;
use crate::testing::Random;

/// The norms of some rows of `x`, and what became of the place of the first that is not finite.
fn norms(bench: &Bench, x: &[f32], rows: Option<&[i32]>, weight: &[f32], dtype: Dtype) -> (Vec<f32>, i32) {
    let width = weight.len();
    let count = rows.map_or(x.len() / width, <[i32]>::len);
    let (on, by) = (bench.values(x, Dtype::F32), bench.values(weight, Dtype::F32));
    let list = bench.ints(rows.unwrap_or_default());
    let (out, bad) = (bench.blank(count * width, dtype), bench.ints(&[9]));
    let list = if rows.is_some() { ptr(&list) } else { NULL };
    let args = [ptr(&on), list, ptr(&by), ptr(&out), int(width), Arg::Float(1e-5), ptr(&bad), int(4)];
    bench.run(Kernel::RmsNorm, dtype, [count, 1, 1], &args);
    (bench.read(&out, dtype), bench.read_ints(&bad)[0])
}

#[test]
fn rows_are_normed_as_on_the_cpu_whatever_stands_beside_them() {
    let Some(bench) = Bench::new() else { return };
    for dtype in EVERY {
        for width in [1, 6, 16, 129, 2_048, 4_104, 2_051] {
            let mut random = Random(width as u64);
            let (x, weight) = (random.values(5 * width), random.values(width));
            let mut expected = vec![0.0; x.len()];
            ops::rms_norm::forward(&x, &weight, 1e-5, &mut expected);
            let (found, bad) = norms(&bench, &x, None, &weight, dtype);
            let case = format!("width {width}");
            assert_close(&found, &expected, dtype, 2e-6, &case);
            assert_eq!(bad, 9, "all are finite");

            let row = |i: usize| &found[i * width..][..width];
            let (gathered, _) = norms(&bench, &x, Some(&[3, 0, 3]), &weight, dtype);
            assert_same(&gathered, &[row(3), row(0), row(3)].concat(), &case);
            let (alone, _) = norms(&bench, &x[2 * width..3 * width], None, &weight, dtype);
            assert_same(&alone, row(2), &case);
        }
    }
}

#[test]
fn a_value_that_is_not_finite_is_noticed_in_the_rows_that_are_asked_for() {
    let Some(bench) = Bench::new() else { return };
    let weight = vec![1.0; 70];
    for odd in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        for at in [0, 69, 41] {
            let mut x = Random(5).values(3 * 70);
            x[70 + at] = odd;
            assert_eq!(norms(&bench, &x, None, &weight, Dtype::F16).1, 4);
            assert_eq!(norms(&bench, &x, Some(&[1]), &weight, Dtype::F16).1, 4);
            assert_eq!(norms(&bench, &x, Some(&[0, 2]), &weight, Dtype::F16).1, 9);
        }
    }
}
