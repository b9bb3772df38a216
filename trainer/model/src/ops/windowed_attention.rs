//! Causal self-attention in which a position sees a window of so many positions, itself included (Mistral, arXiv
//! 2310.06825; transformers' `sliding_window`). The arguments are those of [`super::attention`].

use std::ops::Range;

use pulp::{Simd, WithSimd};
use rayon::prelude::*;

use super::attention::{Heads, Saved, columns};
use super::{lanes, matmul};

/// Query rows of a task.
const BLOCK: usize = 64;

/// Some queries and the keys that one or another of them sees.
struct Block<'a> {
    /// Query rows.
    rows: Range<usize>,
    /// Key rows.
    seen: Range<usize>,
    starts: &'a [usize],
    window: usize,
}

/// The blocks of a batch, in order; none has queries of two documents.
fn blocks(starts: &[usize], window: usize) -> Vec<Block<'_>> {
    let mut blocks = Vec::new();
    let mut first = 0;
    for document in starts.chunk_by(|a, b| a == b) {
        let end = first + document.len();
        for row in (first..end).step_by(BLOCK) {
            let rows = row..(row + BLOCK).min(end);
            let seen = starts[row].max((row + 1).saturating_sub(window))..rows.end;
            blocks.push(Block { rows, seen, starts, window });
        }
        first = end;
    }
    blocks
}

impl Block<'_> {
    /// Which of the block's keys query `row` sees.
    fn visible(&self, row: usize) -> Range<usize> {
        let first = self.starts[row].max((row + 1).saturating_sub(self.window));
        first - self.seen.start..row + 1 - self.seen.start
    }

    /// Scores of one head `[rows, seen]`, unscaled.
    fn scores(&self, q: &[f32], k: &[f32], dim: usize) -> Vec<f32> {
        let (m, n) = (self.rows.len(), self.seen.len());
        let mut scores = vec![0.0; m * n];
        matmul::forward(q, k, m, dim, n, &mut scores);
        scores
    }
}

/// Adds `[rows, dim]` to head `head` of some rows of `x [_, heads · dim]`.
fn add_head(x: &mut [f32], rows: &Range<usize>, heads: usize, head: usize, from: &[f32]) {
    let dim = from.len() / rows.len();
    let into = x[rows.start * heads * dim..rows.end * heads * dim].chunks_exact_mut(heads * dim);
    for (into, from) in into.zip(from.chunks_exact(dim)) {
        for (into, from) in into[head * dim..].iter_mut().zip(from) {
            *into += from;
        }
    }
}

/// [`super::attention::forward`] in which row `r` sees the last `window` of rows `starts[r]..=r`.
pub fn forward(
    (q, k, v): (&[f32], &[f32], &[f32]),
    starts: &[usize],
    heads: Heads,
    window: usize,
    out: &mut [f32],
    lse: &mut [f32],
) {
    let dim = heads.dim;
    let blocks = blocks(starts, window);
    let results: Vec<(Vec<f32>, Vec<f32>)> = blocks
        .par_iter()
        .map(|block| {
            let (m, n) = (block.rows.len(), block.seen.len());
            let mut out = vec![0.0; m * heads.queries * dim];
            let mut lse = vec![0.0; m * heads.queries];
            for head in 0..heads.queries {
                let key = head / heads.sharing();
                let values = |x, key| columns(x, heads.keys, dim, &block.seen, key);
                let queries = columns(q, heads.queries, dim, &block.rows, head);
                let mut p = block.scores(&queries, &values(k, key), dim);
                for (i, row) in p.chunks_exact_mut(n).enumerate() {
                    let visible = block.visible(block.rows.start + i);
                    lse[i * heads.queries + head] = lanes::simd(Softmax { row, visible, dim });
                }
                let mut mixed = vec![0.0; m * dim];
                matmul::backward_input(&p, &values(v, key), m, dim, n, &mut mixed);
                add_head(&mut out, &(0..m), heads.queries, head, &mixed);
            }
            (out, lse)
        })
        .collect();
    for (block, (block_out, block_lse)) in blocks.iter().zip(results) {
        let width = heads.queries * dim;
        out[block.rows.start * width..block.rows.end * width].copy_from_slice(&block_out);
        lse[block.rows.start * heads.queries..block.rows.end * heads.queries].copy_from_slice(&block_lse);
    }
}

/// A query's unscaled scores, which become weights: zeros beyond what it sees.
struct Softmax<'a> {
    row: &'a mut [f32],
    visible: Range<usize>,
    dim: usize,
}

impl WithSimd for Softmax<'_> {
    /// The logarithm of the sum of the exponentials.
    type Output = f32;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> f32 {
        let Self { row, visible, dim } = self;
        let scale = 1.0 / (dim as f32).sqrt();
        row[..visible.start].fill(0.0);
        row[visible.end..].fill(0.0);
        let seen = &mut row[visible];
        let max = lanes::max(seen) * scale;
        for score in seen.iter_mut() {
            *score = lanes::exp(*score * scale - max);
        }
        let sum = lanes::sum(seen);
        for weight in seen {
            *weight /= sum;
        }
        max + sum.ln()
    }
}

/// The gradients of [`forward`] in queries, keys and values, written to `(dq, dk, dv)`; `dout` is that of its result. A key
/// head's gradients are one task.
pub fn backward(
    saved: &Saved<'_>,
    window: usize,
    dout: &[f32],
    (dq, dk, dv): (&mut [f32], &mut [f32], &mut [f32]),
) {
    let heads = saved.heads;
    let blocks = blocks(saved.starts, window);
    let all = 0..saved.starts.len();
    let gradients: Vec<[Vec<f32>; 3]> =
        (0..heads.keys).into_par_iter().map(|key| key_head(saved, &blocks, dout, key)).collect();
    for target in [&mut *dq, &mut *dk, &mut *dv] {
        target.fill(0.0);
    }
    for (key, [of_queries, of_keys, of_values]) in gradients.iter().enumerate() {
        // The query heads of one key head lie side by side.
        add_head(dq, &all, heads.keys, key, of_queries);
        add_head(dk, &all, heads.keys, key, of_keys);
        add_head(dv, &all, heads.keys, key, of_values);
    }
}

/// Gradients of the queries `[rows, sharing · dim]`, keys and values `[rows, dim]` of one key head.
fn key_head(saved: &Saved<'_>, blocks: &[Block<'_>], dout: &[f32], key: usize) -> [Vec<f32>; 3] {
    let Saved { qkv: (q, k, v), heads, out, lse, starts } = *saved;
    let (dim, sharing) = (heads.dim, heads.sharing());
    let mut dq = vec![0.0; starts.len() * sharing * dim];
    let (mut dk, mut dv) = (vec![0.0; starts.len() * dim], vec![0.0; starts.len() * dim]);
    for block in blocks {
        let (m, n) = (block.rows.len(), block.seen.len());
        let k = columns(k, heads.keys, dim, &block.seen, key);
        let v = columns(v, heads.keys, dim, &block.seen, key);
        let seen = block.seen.start * dim..block.seen.end * dim;
        for shared in 0..sharing {
            let head = key * sharing + shared;
            let of = |x| columns(x, heads.queries, dim, &block.rows, head);
            let (q, out, dout) = (of(q), of(out), of(dout));
            let mut p = block.scores(&q, &k, dim);
            let mut ds = vec![0.0; m * n];
            matmul::forward(&dout, &v, m, dim, n, &mut ds);
            for (i, (p, ds)) in p.chunks_exact_mut(n).zip(ds.chunks_exact_mut(n)).enumerate() {
                let row = block.rows.start + i;
                let values = i * dim..(i + 1) * dim;
                let (out, dout, lse) = (&out[values.clone()], &dout[values], lse[row * heads.queries + head]);
                lanes::simd(Backward { p, ds, visible: block.visible(row), out, dout, lse });
            }
            matmul::backward_weight(&p, &dout, m, dim, n, &mut dv[seen.clone()]);
            matmul::backward_weight(&ds, &q, m, dim, n, &mut dk[seen.clone()]);
            let mut of_head = vec![0.0; m * dim];
            matmul::backward_input(&ds, &k, m, dim, n, &mut of_head);
            add_head(&mut dq, &block.rows, sharing, shared, &of_head);
        }
    }
    [dq, dk, dv]
}

/// One query, as in the gradient of plain attention: `P = e^(S·scale - lse)`, `dS = P∘(dP - dO·O)·scale`.
struct Backward<'a> {
    /// Unscaled scores, which become weights.
    p: &'a mut [f32],
    /// Gradients of weights, which become those of unscaled scores.
    ds: &'a mut [f32],
    visible: Range<usize>,
    out: &'a [f32],
    dout: &'a [f32],
    lse: f32,
}

impl WithSimd for Backward<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let Self { p, ds, visible, out, dout, lse } = self;
        let scale = 1.0 / (out.len() as f32).sqrt();
        for beyond in [&mut *p, &mut *ds] {
            beyond[..visible.start].fill(0.0);
            beyond[visible.end..].fill(0.0);
        }
        let along = lanes::dot(dout, out);
        for (p, ds) in p[visible.clone()].iter_mut().zip(&mut ds[visible]) {
            *p = lanes::exp(*p * scale - lse);
            *ds = *p * (*ds - along) * scale;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{backward, forward};
    use crate::ops::attention::{self, Heads, Saved};
    use crate::testing::{Random, bits, on_threads};

    const HEADS: Heads = Heads { queries: 4, keys: 2, dim: 8 };
    const ROWS: usize = 150;

    fn close(a: &[f32], b: &[f32]) {
        for (a, b) in a.iter().zip(b) {
            assert!((a - b).abs() < 1e-5, "{a} and {b}");
        }
    }

    /// Results and the three gradients under a window.
    fn run(window: usize, starts: &[usize]) -> [Vec<f32>; 5] {
        let mut random = Random(3);
        let (wide, narrow) = (HEADS.queries * HEADS.dim, HEADS.keys * HEADS.dim);
        let (q, k, v) =
            (random.values(ROWS * wide), random.values(ROWS * narrow), random.values(ROWS * narrow));
        let dout = random.values(ROWS * wide);
        let [mut out, mut dq] = [(); 2].map(|()| vec![f32::NAN; ROWS * wide]);
        let [mut dk, mut dv] = [(); 2].map(|()| vec![f32::NAN; ROWS * narrow]);
        let mut lse = vec![f32::NAN; ROWS * HEADS.queries];
        if window == usize::MAX {
            attention::forward((&q, &k, &v), starts, HEADS, &mut out, &mut lse);
        } else {
            forward((&q, &k, &v), starts, HEADS, window, &mut out, &mut lse);
        }
        let saved = Saved { qkv: (&q, &k, &v), starts, heads: HEADS, out: &out, lse: &lse };
        if window == usize::MAX {
            attention::backward(&saved, &dout, (&mut dq, &mut dk, &mut dv));
        } else {
            backward(&saved, window, &dout, (&mut dq, &mut dk, &mut dv));
        }
        [out, lse, dq, dk, dv]
    }

    #[test]
    fn a_window_as_long_as_the_context_is_plain_attention() {
        let starts: Vec<usize> = (0..ROWS).map(|row| if row < 70 { 0 } else { 70 }).collect();
        for (windowed, plain) in run(80, &starts).iter().zip(&run(usize::MAX, &starts)) {
            close(windowed, plain);
        }
    }

    #[test]
    fn a_window_of_one_is_the_value_itself() {
        let [out, ..] = run(1, &[0; ROWS]);
        let mut random = Random(3);
        random.values(ROWS * (HEADS.queries + HEADS.keys) * HEADS.dim);
        let v = random.values(ROWS * HEADS.keys * HEADS.dim);
        for (head, out) in out.chunks_exact(HEADS.dim).enumerate() {
            let value = head / HEADS.sharing();
            close(out, &v[value * HEADS.dim..(value + 1) * HEADS.dim]);
        }
    }

    #[test]
    fn the_bits_are_the_same_on_any_number_of_threads() {
        let starts: Vec<usize> = (0..ROWS).map(|row| row / 75 * 75).collect();
        let one = on_threads(1, || run(13, &starts)).map(|x| bits(&x));
        assert!(on_threads(3, || run(13, &starts)).map(|x| bits(&x)) == one);
    }
}
