//! Attention for training and its gradients: every tier against the operations on the CPU.

use std::ops::Range;

use super::{Bench, assert_same, rounded};
use crate::cuda::machine::{Dtype, Memory};
use crate::cuda::train::attention::{self, Attention, AttentionGradient, Tier};
use crate::ops::attention::{Heads, Saved};
use crate::ops::{attention as plain, windowed_attention as windowed};
use crate::testing::Random;

/// Documents of a batch, one after another, in the values of a type.
struct Case {
    dtype: Dtype,
    heads: Heads,
    window: Option<usize>,
    starts: Vec<usize>,
    q: Vec<f32>,
    k: Vec<f32>,
    v: Vec<f32>,
    dout: Vec<f32>,
}

/// Results: `out`, `lse`, and the gradients of queries, keys and values.
const NAMES: [&str; 5] = ["out", "lse", "dq", "dk", "dv"];

impl Case {
    fn new(heads: Heads, window: Option<usize>, lengths: &[usize], dtype: Dtype) -> Self {
        let mut starts = Vec::new();
        for length in lengths {
            starts.extend(vec![starts.len(); *length]);
        }
        let rows = starts.len();
        let mut random = Random((rows + heads.dim) as u64);
        let mut values = |heads: usize, size: f32, dim: usize| {
            let values: Vec<f32> = random.values(rows * heads * dim).iter().map(|x| x * size).collect();
            rounded(&values, dtype)
        };
        // Scores of some size, so that weights differ.
        let (q, k, v) = (
            values(heads.queries, 3.0, heads.dim),
            values(heads.keys, 1.0, heads.dim),
            values(heads.keys, 1.0, heads.dim),
        );
        let dout = values(heads.queries, 1.0, heads.dim);
        Self { dtype, heads, window, starts, q, k, v, dout }
    }

    /// Its rows from `first` on, whose documents begin there or later.
    fn part(&self, rows: Range<usize>) -> Self {
        let of = |x: &[f32], heads: usize| {
            let width = heads * self.heads.dim;
            x[rows.start * width..rows.end * width].to_vec()
        };
        let Self { dtype, heads, window, .. } = *self;
        let starts = self.starts[rows.clone()].iter().map(|start| start - rows.start).collect();
        let [q, dout] = [&self.q, &self.dout].map(|x| of(x, heads.queries));
        let [k, v] = [&self.k, &self.v].map(|x| of(x, heads.keys));
        Self { dtype, heads, window, starts, q, k, v, dout }
    }

    fn rows(&self) -> usize {
        self.starts.len()
    }

    fn name(&self) -> String {
        format!("{:?}, {:?}, window {:?}, {} rows", self.dtype, self.heads, self.window, self.rows())
    }

    /// What the operations on the CPU make of it. The gradients are of a result in the case's type, which comes with them.
    fn expected(&self) -> ([Vec<f32>; 5], Vec<f32>) {
        let Self { heads, starts, q, k, v, dout, .. } = self;
        let (mut out, mut lse) = (vec![f32::NAN; q.len()], vec![f32::NAN; self.rows() * heads.queries]);
        match self.window {
            None => plain::forward((q, k, v), starts, *heads, &mut out, &mut lse),
            Some(window) => windowed::forward((q, k, v), starts, *heads, window, &mut out, &mut lse),
        }
        let kept = rounded(&out, self.dtype);
        let saved = Saved { qkv: (q, k, v), starts, heads: *heads, out: &kept, lse: &lse };
        let [mut dq, mut dk, mut dv] = [q, k, v].map(|x| vec![f32::NAN; x.len()]);
        match self.window {
            None => plain::backward(&saved, dout, (&mut dq, &mut dk, &mut dv)),
            Some(window) => windowed::backward(&saved, window, dout, (&mut dq, &mut dk, &mut dv)),
        }
        ([out, lse, dq, dk, dv], kept)
    }

    fn on<'a>(&'a self, bench: &'a Bench) -> OnBench<'a> {
        let starts: Vec<i32> = self.starts.iter().map(|start| *start as i32).collect();
        let qkv = [&self.q, &self.k, &self.v].map(|x| bench.values(x, self.dtype));
        let dqkv = [&self.q, &self.k, &self.v].map(|x| bench.blank(x.len(), self.dtype));
        OnBench {
            case: self,
            bench,
            starts: bench.ints(&starts),
            qkv,
            dqkv,
            dout: bench.values(&self.dout, self.dtype),
            scratch: bench.bytes(&vec![0xFF; attention::scratch_bytes(self.rows(), self.heads)]),
        }
    }
}

/// A case's operands; what is to be written holds no number yet.
struct OnBench<'a> {
    case: &'a Case,
    bench: &'a Bench,
    starts: Memory,
    qkv: [Memory; 3],
    dqkv: [Memory; 3],
    dout: Memory,
    scratch: Memory,
}

impl OnBench<'_> {
    fn attention(&self, out: &Memory, lse: &Memory) -> Attention {
        let Case { dtype, heads, window, .. } = *self.case;
        Attention {
            dtype,
            rows: self.case.rows(),
            heads,
            window,
            starts: self.starts.start(),
            qkv: self.qkv.each_ref().map(Memory::start),
            out: out.start(),
            lse: lse.start(),
        }
    }

    /// By a tier, or by the one that is chosen.
    fn forward(&self, tier: Option<Tier>) -> [Vec<f32>; 2] {
        let (bench, case) = (self.bench, self.case);
        let out = bench.blank(case.q.len(), case.dtype);
        let lse = bench.blank(case.rows() * case.heads.queries, Dtype::F32);
        let attention = self.attention(&out, &lse);
        match tier {
            Some(tier) => attention::forward_by(&*bench.machine, &attention, tier),
            None => attention::forward(&*bench.machine, &attention),
        }
        .expect("launches");
        [bench.read(&out, case.dtype), bench.read(&lse, Dtype::F32)]
    }

    /// From what a forward pass has left.
    fn backward(&self, tier: Option<Tier>, out: &[f32], lse: &[f32]) -> [Vec<f32>; 3] {
        let (bench, case) = (self.bench, self.case);
        let (out, lse) = (bench.values(out, case.dtype), bench.values(lse, Dtype::F32));
        let gradient = AttentionGradient {
            of: self.attention(&out, &lse),
            dout: self.dout.start(),
            dqkv: self.dqkv.each_ref().map(Memory::start),
            scratch: self.scratch.start(),
        };
        match tier {
            Some(tier) => attention::backward_by(&*bench.machine, &gradient, tier),
            None => attention::backward(&*bench.machine, &gradient),
        }
        .expect("launches");
        self.dqkv.each_ref().map(|x| bench.read(x, case.dtype))
    }

    fn all(&self, tier: Option<Tier>, out: &[f32], lse: &[f32]) -> [Vec<f32>; 5] {
        let [made, sums] = self.forward(tier);
        let [dq, dk, dv] = self.backward(tier, out, lse);
        [made, sums, dq, dk, dv]
    }
}

/// The sizes of the terms that a result is a sum of.
struct Sizes {
    /// Squared and summed: of products by weights or by gradients of scores, which tensor cores take in bf16.
    factors: [Vec<f64>; 5],
    /// The same before anything cancels.
    gross: [Vec<f64>; 5],
}

/// A sum over the values of a head.
fn dot(a: &[f32], b: &[f32]) -> f64 {
    a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
}

fn dot_of_sizes(a: &[f32], b: &[f32]) -> f64 {
    a.iter().zip(b).map(|(a, b)| (f64::from(*a) * f64::from(*b)).abs()).sum()
}

impl Sizes {
    fn of(case: &Case, out: &[f32], lse: &[f32]) -> Self {
        let (heads, dim) = (case.heads, case.heads.dim);
        let lengths = [case.q.len(), lse.len(), case.q.len(), case.k.len(), case.k.len()];
        let mut sizes = Self { factors: lengths.map(|n| vec![0.0; n]), gross: lengths.map(|n| vec![0.0; n]) };
        sizes.gross[1].fill(10.0);
        let scale = 1.0 / (dim as f64).sqrt();
        for (row, start) in case.starts.iter().enumerate() {
            let first = case.window.map_or(*start, |window| (*start).max((row + 1).saturating_sub(window)));
            for head in 0..heads.queries {
                let of = row * heads.queries + head;
                let query = of * dim..(of + 1) * dim;
                let (q, dout, out) = (&case.q[query.clone()], &case.dout[query.clone()], &out[query.clone()]);
                let (along, gross_along) = (dot(dout, out), dot_of_sizes(dout, out));
                for key in first..=row {
                    let at = (key * heads.keys + head / heads.sharing()) * dim;
                    let (k, v) = (&case.k[at..at + dim], &case.v[at..at + dim]);
                    let weight = (dot(q, k) * scale - f64::from(lse[of])).exp();
                    let score = weight * (dot(dout, v) - along).abs() * scale;
                    let gross = weight * (dot_of_sizes(dout, v) + gross_along) * scale;
                    for i in 0..dim {
                        let mut add = |which: usize, to: usize, factor: f64, gross: f64, by: f32| {
                            sizes.factors[which][to] += (factor * f64::from(by)).powi(2);
                            sizes.gross[which][to] += gross * f64::from(by).abs();
                        };
                        add(0, query.start + i, weight, weight, v[i]);
                        add(2, query.start + i, score, gross, k[i]);
                        add(3, at + i, score, gross, q[i]);
                        add(4, at + i, weight, weight, dout[i]);
                    }
                }
            }
        }
        sizes
    }
}

/// Asserts that the results of a tier are those of the CPU, but for roundings: of f32 in sums, of the type in results, and of
/// factors where a tier rounds them to bf16 as well.
fn check(bench: &Bench, case: &Case, tier: Tier) {
    let (expected, kept) = case.expected();
    let found = case.on(bench).all(Some(tier), &kept, &expected[1]);
    let sizes = Sizes::of(case, &kept, &expected[1]);
    for (which, name) in NAMES.iter().enumerate() {
        let unit = if which == 1 || case.dtype == Dtype::F32 { 0.0 } else { 1.0 / 256.0 };
        // Roundings of many factors are not all of the largest size and to one side: six times their usual sum.
        let of_factors = if tier == Tier::Plain { 0.0 } else { 1.0 / 96.0 };
        assert_eq!(found[which].len(), expected[which].len(), "{name} of {}", case.name());
        for (i, (found, expected)) in found[which].iter().zip(&expected[which]).enumerate() {
            let allowed = unit * f64::from(expected.abs())
                + of_factors * sizes.factors[which][i].sqrt()
                + 2e-6 * sizes.gross[which][i]
                + 1e-7;
            let off = f64::from((found - expected).abs());
            // What is no number is not close to one.
            assert!(off <= allowed, "{name} of {}: value {i} is {found}, not {expected}", case.name());
        }
    }
}

fn heads(keys: usize, sharing: usize, dim: usize) -> Heads {
    Heads { queries: keys * sharing, keys, dim }
}

/// Widths, heads, windows and documents that no tier but the plain one computes, or that all do.
fn cases(dtype: Dtype) -> Vec<Case> {
    [
        (heads(1, 1, 16), None, &[1, 3, 140][..]),
        (heads(2, 3, 80), Some(7), &[20, 30]),
        (heads(1, 4, 128), None, &[135, 2]),
        (heads(1, 8, 256), Some(129), &[140, 5]),
        (heads(1, 3, 18), Some(300), &[90, 4]),
        (heads(3, 1, 200), None, &[30, 1, 1, 9]),
        (heads(2, 2, 33), Some(1), &[31]),
        (heads(1, 1, 1), None, &[1]),
    ]
    .into_iter()
    .map(|(heads, window, lengths)| Case::new(heads, window, lengths, dtype))
    .collect()
}

#[test]
fn the_plain_tier_is_that_of_the_cpu() {
    let Some(bench) = Bench::new() else { return };
    for dtype in [Dtype::F32, Dtype::Bf16] {
        for case in cases(dtype) {
            check(&bench, &case, Tier::Plain);
        }
    }
}

/// Documents that begin and end anywhere in tiles of 32, 64 and 128.
fn tile_cases() -> Vec<Case> {
    [
        (heads(1, 1, 64), None, &[1, 150, 3][..]),
        (heads(2, 3, 96), None, &[66, 5]),
        (heads(1, 4, 128), None, &[200]),
        (heads(1, 8, 64), Some(9), &[40, 38]),
        (heads(1, 3, 128), Some(50), &[90, 70]),
        (heads(1, 1, 128), Some(64), &[63, 1, 64, 1, 65, 128, 7]),
        (heads(2, 1, 96), Some(1), &[75]),
        (heads(1, 2, 64), Some(130), &[31, 290, 2]),
        (heads(1, 1, 64), None, &[128]),
        // A last tile of a single row.
        (heads(1, 1, 64), None, &[193]),
        (heads(3, 1, 64), None, &[1]),
    ]
    .into_iter()
    .map(|(heads, window, lengths)| Case::new(heads, window, lengths, Dtype::Bf16))
    .collect()
}

#[test]
fn the_tier_of_tiles_is_that_of_the_cpu() {
    let Some(bench) = Bench::new() else { return };
    for case in tile_cases() {
        check(&bench, &case, Tier::Mma);
    }
}

#[test]
fn every_width_has_a_tier_and_the_bits_are_the_same_each_time() {
    let Some(bench) = Bench::new() else { return };
    for (dtype, dim, tier) in [
        (Dtype::F32, 64, Tier::Plain),
        (Dtype::Bf16, 48, Tier::Plain),
        (Dtype::Bf16, 64, Tier::Mma),
        (Dtype::Bf16, 96, Tier::Mma),
        (Dtype::Bf16, 128, Tier::Mma),
    ] {
        let case = Case::new(heads(1, 2, dim), Some(20), &[30, 1, 9], dtype);
        let (expected, kept) = case.expected();
        let [chosen, named] = [None, Some(tier)].map(|tier| case.on(&bench).all(tier, &kept, &expected[1]));
        for ((chosen, named), name) in chosen.iter().zip(&named).zip(NAMES) {
            assert_same(chosen, named, &format!("{name} of {}", case.name()));
        }
    }
}

#[test]
fn documents_before_and_behind_change_no_bits() {
    let Some(bench) = Bench::new() else { return };
    // Tiles begin at multiples of 128 rows.
    let documents = [100, 28, 70, 33, 140];
    let rows = 128..231;
    for (dtype, tier, dim, window) in [
        (Dtype::F32, Tier::Plain, 20, None),
        (Dtype::Bf16, Tier::Plain, 16, Some(11)),
        (Dtype::Bf16, Tier::Mma, 64, None),
        (Dtype::Bf16, Tier::Mma, 96, Some(40)),
    ] {
        let case = Case::new(heads(1, 2, dim), window, &documents, dtype);
        let (expected, kept) = case.expected();
        let among = case.on(&bench).all(Some(tier), &kept, &expected[1]);
        let part = case.part(rows.clone());
        let of = |x: &[f32]| x[x.len() / case.rows() * rows.start..x.len() / case.rows() * rows.end].to_vec();
        let alone = part.on(&bench).all(Some(tier), &of(&kept), &of(&expected[1]));
        for ((alone, among), name) in alone.iter().zip(&among).zip(NAMES) {
            assert_same(alone, &of(among), &format!("{name} of {}", case.name()));
        }
    }
}

#[test]
fn keys_that_more_than_two_thousand_queries_see_get_what_all_of_them_give() {
    let Some(bench) = Bench::new() else { return };
    check(&bench, &Case::new(heads(1, 1, 64), None, &[2_115, 70], Dtype::Bf16), Tier::Mma);
}
