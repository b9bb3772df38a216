//! The gradient of attention: weights are computed again from the saved logarithms of their sums, a block of queries at a
//! time (FlashAttention 2, arXiv 2307.08691, without its atomics: a key head's gradients are one task).

use std::ops::Range;

use pulp::{Simd, WithSimd};
use rayon::prelude::*;

use super::{Heads, documents};
use crate::ops::lanes;
use crate::ops::matmul::kernel::{self, Left, NR, Panels, Rows};

/// Query rows whose weights are computed again at a time: four tiles of the widest machines. What a block of queries and a
/// panel of keys have between them stays in the first-level cache.
const BLOCK: usize = 48;

/// What the gradient needs of [`super::forward`]: its arguments and its results.
#[derive(Clone, Copy)]
pub struct Saved<'a> {
    /// Queries `[rows, queries · dim]`, keys and values `[rows, keys · dim]`.
    pub qkv: (&'a [f32], &'a [f32], &'a [f32]),
    /// Row `r` saw rows `starts[r]..=r`.
    pub starts: &'a [usize],
    /// Heads.
    pub heads: Heads,
    /// The result, `[rows, queries · dim]`.
    pub out: &'a [f32],
    /// Logarithms of the sums of the exponentials, `[rows, queries]`.
    pub lse: &'a [f32],
}

/// The gradients of [`super::forward`] in queries, keys and values, written to `(dq, dk, dv)`; `dout` is that of its result.
pub fn backward(saved: &Saved<'_>, dout: &[f32], (dq, dk, dv): (&mut [f32], &mut [f32], &mut [f32])) {
    let heads = saved.heads;
    let documents = documents(saved.starts);
    let tasks: Vec<(Range<usize>, usize)> =
        documents.iter().flat_map(|rows| (0..heads.keys).map(|key| (rows.clone(), key))).collect();
    let gradients: Vec<HeadGradients> =
        tasks.into_par_iter().map(|(rows, key)| HeadGradients::compute(saved, dout, rows, key)).collect();
    let shared = heads.sharing() * heads.dim;
    let copies = [(dq, shared), (dk, heads.dim), (dv, heads.dim)];
    for (which, (target, width)) in copies.into_iter().enumerate() {
        for (rows, of_document) in documents.iter().zip(gradients.chunks(heads.keys)) {
            let target = &mut target[rows.start * heads.keys * width..rows.end * heads.keys * width];
            target.par_chunks_mut(heads.keys * width).enumerate().with_min_len(64).for_each(
                |(row, target)| {
                    for (target, gradients) in target.chunks_exact_mut(width).zip(of_document) {
                        target.copy_from_slice(&gradients.0[which][row * width..][..width]);
                    }
                },
            );
        }
    }
}

/// Gradients of the queries `[rows, sharing · dim]`, keys and values `[rows, dim]` of one key head in one document.
struct HeadGradients([Vec<f32>; 3]);

impl HeadGradients {
    fn compute(saved: &Saved<'_>, dout: &[f32], rows: Range<usize>, key: usize) -> Self {
        let (heads, n) = (saved.heads, rows.len());
        let dim = heads.dim;
        let (q, k, v) = saved.qkv;
        let k = columns(k, heads.keys, dim, &rows, key);
        let keys = Keys {
            k: kernel::panels_of_columns(&k, n, dim),
            v: kernel::panels_of_columns(&columns(v, heads.keys, dim, &rows, key), n, dim),
            rows: k.chunks(NR * dim).map(|k| kernel::panels_of_rows(k, k.len() / dim, dim)).collect(),
            dim,
        };
        let mut dq = vec![0.0; n * heads.sharing() * dim];
        let mut sums =
            Sums { dk: vec![[0.0; NR]; n.div_ceil(NR) * dim], dv: vec![[0.0; NR]; n.div_ceil(NR) * dim] };
        for shared in 0..heads.sharing() {
            let query = key * heads.sharing() + shared;
            let head = QueryHead {
                q: columns(q, heads.queries, dim, &rows, query),
                out: columns(saved.out, heads.queries, dim, &rows, query),
                dout: columns(dout, heads.queries, dim, &rows, query),
                lse: columns(saved.lse, heads.queries, 1, &rows, query),
            };
            for first in (0..n).step_by(BLOCK) {
                let of_block = head.block(first..(first + BLOCK).min(n), &keys, &mut sums);
                let target = dq[first * heads.sharing() * dim..].chunks_mut(heads.sharing() * dim);
                for (target, row) in target.zip(of_block.chunks_exact(dim)) {
                    target[shared * dim..][..dim].copy_from_slice(row);
                }
            }
        }
        Self([dq, rows_of_panels(&sums.dk, n, dim), rows_of_panels(&sums.dv, n, dim)])
    }
}

/// The columns of head `head` in some rows of `x [_, heads · dim]`, as `[rows, dim]`.
pub(in crate::ops) fn columns(
    x: &[f32],
    heads: usize,
    dim: usize,
    rows: &Range<usize>,
    head: usize,
) -> Vec<f32> {
    let width = heads * dim;
    let mut out = Vec::with_capacity(rows.len() * dim);
    for row in x[rows.start * width..rows.end * width].chunks_exact(width) {
        out.extend_from_slice(&row[head * dim..(head + 1) * dim]);
    }
    out
}

/// Panels of `[dim, 32]` as `[n, dim]`.
fn rows_of_panels(panels: &[[f32; NR]], n: usize, dim: usize) -> Vec<f32> {
    let mut rows = vec![0.0; n * dim];
    for (rows, panel) in rows.chunks_mut(NR * dim).zip(panels.chunks_exact(dim)) {
        for (i, row) in rows.chunks_exact_mut(dim).enumerate() {
            for (value, slot) in row.iter_mut().zip(panel) {
                *value = slot[i];
            }
        }
    }
    rows
}

/// A key head's keys and values in one document, in panels of 32 positions.
struct Keys {
    /// `[panels, dim, 32]`.
    k: Panels,
    /// `[panels, dim, 32]`.
    v: Panels,
    /// A panel's keys once more, as `[⌈dim / 32⌉, positions, 32]`.
    rows: Vec<Panels>,
    dim: usize,
}

/// The gradients of a key head's keys and values, `[panels, dim, 32]` each.
struct Sums {
    dk: Panels,
    dv: Panels,
}

/// One query head in one document, `[rows, dim]` each, `lse [rows]`.
struct QueryHead {
    q: Vec<f32>,
    out: Vec<f32>,
    dout: Vec<f32>,
    lse: Vec<f32>,
}

impl QueryHead {
    /// What some query rows contribute, one panel of keys after another: with `P` the weights, `dVᵀ += dOᵀ·P`,
    /// `dP = dO·Vᵀ`, `dS = P∘(dP - rowsum(dO∘O))·scale`, `dKᵀ += Qᵀ·dS`, and `dQ = dS·K`, which is the result.
    ///
    /// `P` and `dS` come out of their products in the order in which the next products read them.
    fn block(&self, rows: Range<usize>, keys: &Keys, sums: &mut Sums) -> Vec<f32> {
        let (dim, m) = (keys.dim, rows.len());
        let part = rows.start * dim..rows.end * dim;
        let (q, dout) = (&self.q[part.clone()], &self.dout[part.clone()]);
        let out = self.out[part].chunks_exact(dim);
        let along: Vec<f32> =
            dout.chunks_exact(dim).zip(out).map(|(dout, out)| product_sum(dout, out)).collect();
        // Left operands, packed once for all panels.
        let left = [
            Left::new(&Rows::row_major(q, m, dim), 0..m, 0..dim),
            Left::new(&Rows::row_major(dout, m, dim), 0..m, 0..dim),
            Left::new(&Rows::column_major(dout, dim, m), 0..dim, 0..m),
            Left::new(&Rows::column_major(q, dim, m), 0..dim, 0..m),
        ];
        let mut scores = Left::default();
        let (mut p, mut ds) = ([[0.0; NR]; BLOCK], [[0.0; NR]; BLOCK]);
        let (p, ds) = (&mut p[..m], &mut ds[..m]);
        let mut dq = vec![0.0; m * dim];
        for (j, first) in (0..rows.end).step_by(NR).enumerate() {
            let panel = j * dim..(j + 1) * dim;
            left[0].times(&keys.k[panel.clone()], NR, false, p.as_flattened_mut());
            left[1].times(&keys.v[panel.clone()], NR, false, ds.as_flattened_mut());
            lanes::simd(Weights {
                seen: rows.start + 1,
                first,
                scale: 1.0 / (dim as f32).sqrt(),
                lse: &self.lse[rows.clone()],
                along: &along,
                p,
                ds,
            });
            left[2].times(p, NR, true, sums.dv[panel.clone()].as_flattened_mut());
            left[3].times(ds, NR, true, sums.dk[panel].as_flattened_mut());
            let positions = keys.rows[j].len() / dim.div_ceil(NR);
            scores.fill(&Rows::row_major(ds.as_flattened(), m, NR), 0..m, 0..positions);
            scores.times(&keys.rows[j], dim, j > 0, &mut dq);
        }
        dq
    }
}

/// The sum of products as the other operations take it.
fn product_sum(a: &[f32], b: &[f32]) -> f32 {
    struct Dot<'a>(&'a [f32], &'a [f32]);
    impl WithSimd for Dot<'_> {
        type Output = f32;

        #[inline(always)]
        fn with_simd<S: Simd>(self, _: S) -> f32 {
            lanes::dot(self.0, self.1)
        }
    }
    lanes::simd(Dot(a, b))
}

/// Some queries and a panel of keys.
struct Weights<'a> {
    /// Positions that the first query sees; each further query sees one more.
    seen: usize,
    /// The panel's first position.
    first: usize,
    scale: f32,
    lse: &'a [f32],
    along: &'a [f32],
    /// Scores, which become weights.
    p: &'a mut [[f32; NR]],
    /// Gradients of weights, which become gradients of unscaled scores.
    ds: &'a mut [[f32; NR]],
}

impl WithSimd for Weights<'_> {
    type Output = ();

    /// Zeros beyond what is visible.
    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let constants = self.lse.iter().zip(self.along).enumerate();
        for ((p, ds), (i, (lse, along))) in self.p.iter_mut().zip(self.ds).zip(constants) {
            for (p, ds) in p.iter_mut().zip(ds.iter_mut()) {
                *p = lanes::exp(*p * self.scale - lse);
                *ds = *p * (*ds - along) * self.scale;
            }
            let visible = (self.seen + i).saturating_sub(self.first).min(NR);
            p[visible..].fill(0.0);
            ds[visible..].fill(0.0);
        }
    }
}
