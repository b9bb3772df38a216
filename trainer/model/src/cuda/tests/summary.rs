//! What is read off logits.

use super::{Bench, assert_same, int, ptr};
use crate::cuda::kernels::Kernel;
use crate::cuda::machine::Dtype;
use crate::ops::softmax::log_sum_exp;
use crate::testing::Random;

/// Picked logits, normalisers, likeliest tokens.
fn summary(
    bench: &Bench,
    logits: &[f32],
    vocabulary: usize,
    wanted: &[Vec<i32>],
) -> (Vec<f32>, Vec<f64>, Vec<i32>) {
    let rows = wanted.len();
    let ends = wanted.iter().scan(0, |end, ids| {
        *end += ids.len() as i32;
        Some(*end)
    });
    let first = bench.ints(&[0].into_iter().chain(ends).collect::<Vec<_>>());
    let (on, ids) = (bench.values(logits, Dtype::F32), bench.ints(&wanted.concat()));
    let picked = bench.blank(wanted.concat().len(), Dtype::F32);
    let (normaliser, likeliest) = (bench.blank(2 * rows, Dtype::F32), bench.blank(rows, Dtype::F32));
    let args =
        [ptr(&on), ptr(&first), ptr(&ids), ptr(&picked), ptr(&normaliser), ptr(&likeliest), int(vocabulary)];
    bench.run(Kernel::Summary, Dtype::F32, [rows, 1, 1], &args);
    let normaliser = bench.read_bytes(&normaliser);
    let normaliser = normaliser.as_chunks().0.iter().map(|bytes| f64::from_ne_bytes(*bytes)).collect();
    (bench.read(&picked, Dtype::F32), normaliser, bench.read_ints(&likeliest))
}

#[test]
fn logits_are_picked_and_normalised_as_on_the_cpu() {
    let Some(bench) = Bench::new() else { return };
    for vocabulary in [1, 5, 64, 3_001, 17_000] {
        let mut random = Random(vocabulary as u64);
        let logits: Vec<f32> = random.values(4 * vocabulary).into_iter().map(|x| 20.0 * x).collect();
        let wanted: Vec<Vec<i32>> = [0, 3, 1, 1_500]
            .map(|count| (0..count).map(|_| random.below(vocabulary) as i32).collect())
            .to_vec();
        let (picked, normaliser, likeliest) = summary(&bench, &logits, vocabulary, &wanted);
        let rows = || logits.chunks_exact(vocabulary).zip(&wanted);
        let expected: Vec<f32> =
            rows().flat_map(|(row, ids)| ids.iter().map(|id| row[*id as usize])).collect();
        assert_same(&picked, &expected, &format!("vocabulary {vocabulary}"));
        for (i, (row, ids)) in rows().enumerate() {
            assert!(
                (normaliser[i] - log_sum_exp(row)).abs() < 1e-12,
                "{} and {}",
                normaliser[i],
                log_sum_exp(row)
            );
            let first = (0..vocabulary).rev().max_by(|a, b| row[*a].total_cmp(&row[*b])).expect("a token");
            assert_eq!(likeliest[i], first as i32);
            // The row alone.
            let alone = summary(&bench, row, vocabulary, std::slice::from_ref(ids));
            assert_eq!((alone.1[0].to_bits(), alone.2[0]), (normaliser[i].to_bits(), likeliest[i]));
        }
    }
}

#[test]
fn of_equal_logits_the_first_is_the_likeliest_and_odd_ones_are_told() {
    let Some(bench) = Bench::new() else { return };
    let vocabulary = 9_000;
    let with = |changes: &[(usize, f32)]| {
        let mut row = Random(1).values(vocabulary);
        for (i, value) in changes {
            row[*i] = *value;
        }
        row
    };
    let rows = [
        with(&[(8_990, 3.0), (8_191, 3.0), (8_192, 3.0)]),
        with(&[(0, 3.0), (1, 3.0)]),
        with(&[(5_000, f32::NAN)]),
        with(&[(8_999, f32::INFINITY)]),
        with(&[(0, f32::NEG_INFINITY)]),
        vec![-1e30; vocabulary],
    ];
    let (_, normaliser, likeliest) =
        summary(&bench, &rows.concat(), vocabulary, &vec![Vec::new(); rows.len()]);
    assert_eq!(likeliest, [8_191, 0, -1, -1, -1, 0]);
    assert!((normaliser[5] + 1e30).abs() < 1e23, "{}", normaliser[5]);
}
