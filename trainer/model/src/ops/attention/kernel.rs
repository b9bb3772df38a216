//! The loops of attention: a few queries against panels of 16 keys, then their weights against rows of values.

use std::ops::Range;

use pulp::{Simd, WithSimd};

use super::Heads;
use crate::ops::{lanes, softmax};

/// Positions of a panel of keys.
const PANEL: usize = 16;
/// Queries taken together: two vectors for each of six fit the 16 registers of AVX2 and hide the latency of AVX-512.
pub(super) const TALLEST: usize = 6;

/// Keys and values of consecutive positions of one layer, in the order in which attention reads them. Heads are kept apart:
/// side by side, a power of two of values from one position to the next would leave only a few sets of the cache in use.
pub struct KeyValues {
    heads: Heads,
    len: usize,
    /// Positions there is room for.
    capacity: usize,
    /// `[key heads, ⌈capacity / 16⌉, dim, 16]`.
    keys: Vec<f32>,
    /// `[key heads, capacity, dim]`.
    values: Vec<f32>,
}

/// [`KeyValues`] seen by attention.
#[derive(Clone, Copy)]
pub struct Segment<'a> {
    len: usize,
    heads: usize,
    keys: &'a [f32],
    values: &'a [f32],
}

impl KeyValues {
    /// No positions yet.
    #[must_use]
    pub fn new(heads: Heads) -> Self {
        Self::with_capacity(heads, 0)
    }

    /// No positions yet, and room for so many.
    #[must_use]
    pub fn with_capacity(heads: Heads, capacity: usize) -> Self {
        let width = heads.keys * heads.dim;
        Self {
            heads,
            len: 0,
            capacity,
            keys: vec![0.0; capacity.next_multiple_of(PANEL) * width],
            values: vec![0.0; capacity * width],
        }
    }

    /// Positions kept.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Memory taken.
    #[must_use]
    pub fn bytes(&self) -> usize {
        Self::bytes_of(self.heads, self.capacity)
    }

    /// Memory that so many positions take.
    #[must_use]
    pub fn bytes_of(heads: Heads, positions: usize) -> usize {
        (positions.next_multiple_of(PANEL) + positions) * heads.keys * heads.dim * size_of::<f32>()
    }

    /// Adds positions: `keys` (after rotation) and `values` are both `[rows, key heads · dim]`.
    pub fn append(&mut self, keys: &[f32], values: &[f32]) {
        let dim = self.heads.dim;
        let width = self.heads.keys * dim;
        let end = self.len + keys.len() / width;
        if end > self.capacity {
            self.grow(end.max(2 * self.capacity).next_multiple_of(PANEL));
        }
        let (panels, stride) = (self.capacity.next_multiple_of(PANEL) * dim, self.capacity * dim);
        for head in 0..self.heads.keys {
            let stored = &mut self.keys[head * panels..][..panels];
            for (position, row) in (self.len..end).zip(keys.chunks_exact(width)) {
                let panel = &mut stored[position / PANEL * PANEL * dim..][..PANEL * dim];
                let slots = panel[position % PANEL..].iter_mut().step_by(PANEL);
                for (slot, value) in slots.zip(&row[head * dim..]) {
                    *slot = *value;
                }
            }
            let stored = self.values[head * stride..][self.len * dim..end * dim].chunks_exact_mut(dim);
            for (stored, row) in stored.zip(values.chunks_exact(width)) {
                stored.copy_from_slice(&row[head * dim..][..dim]);
            }
        }
        self.len = end;
    }

    /// Makes room for `capacity` positions.
    fn grow(&mut self, capacity: usize) {
        let mut larger = Self::with_capacity(self.heads, capacity);
        copy_heads(&self.keys, &mut larger.keys, self.heads.keys);
        copy_heads(&self.values, &mut larger.values, self.heads.keys);
        larger.len = self.len;
        *self = larger;
    }

    /// The positions kept so far.
    #[must_use]
    pub fn segment(&self) -> Segment<'_> {
        Segment { len: self.len, heads: self.heads.keys, keys: &self.keys, values: &self.values }
    }
}

/// Copies the part of each head to the beginning of its part of a larger array.
fn copy_heads(from: &[f32], to: &mut [f32], heads: usize) {
    let (short, long) = (from.len() / heads, to.len() / heads);
    for head in 0..heads {
        to[head * long..][..short].copy_from_slice(&from[head * short..][..short]);
    }
}

impl<'a> Segment<'a> {
    /// The panels of one key head.
    fn keys(&self, head: usize) -> &'a [f32] {
        let size = self.keys.len() / self.heads;
        &self.keys[head * size..][..size]
    }

    /// The rows of one key head.
    fn values(&self, head: usize) -> &'a [f32] {
        let size = self.values.len() / self.heads;
        &self.values[head * size..][..size]
    }
}

/// Some rows and key heads: one task.
pub(super) struct Part<'a> {
    pub(super) rows: usize,
    pub(super) segments: &'a [Segment<'a>],
    /// The position behind the last one that the first row sees; each further row sees one more.
    pub(super) visible: usize,
    /// How many positions before that are seen at most.
    pub(super) window: usize,
    pub(super) keys: Range<usize>,
    pub(super) heads: Heads,
}

impl Part<'_> {
    pub(super) fn run(self, io: Io<'_>) {
        lanes::simd(Run { part: self, io });
    }
}

/// What a task reads and writes: `[rows, key heads · sharing · dim]`, `lse` the same without `dim`.
pub(super) struct Io<'a> {
    pub(super) q: &'a [f32],
    pub(super) out: &'a mut [f32],
    pub(super) lse: Option<&'a mut [f32]>,
}

struct Run<'a> {
    part: Part<'a>,
    io: Io<'a>,
}

impl WithSimd for Run<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { part, mut io } = self;
        let sharing = part.heads.sharing();
        // Query heads of one key head, in tiles; short ones of several rows together.
        let rows_per_tile = (TALLEST / sharing).max(1);
        let keys = part.keys.len();
        let mut scratch = Scratch::new(&part);
        for key in 0..keys {
            for row in (0..part.rows).step_by(rows_per_tile) {
                let rows = row..(row + rows_per_tile).min(part.rows);
                for first in (0..sharing).step_by(TALLEST) {
                    let shared = first..(first + TALLEST).min(sharing);
                    scratch.queries.clear();
                    scratch.queries.extend(rows.clone().flat_map(|row| {
                        let (first, visible) = ((row * keys + key) * sharing, part.visible + row);
                        shared.clone().map(move |s| Query { index: first + s, visible })
                    }));
                    let key = part.keys.start + key;
                    match scratch.queries.len() {
                        1 => tile::<S, 1>(simd, &part, key, &mut scratch, &mut io),
                        2 => tile::<S, 2>(simd, &part, key, &mut scratch, &mut io),
                        3 => tile::<S, 3>(simd, &part, key, &mut scratch, &mut io),
                        4 => tile::<S, 4>(simd, &part, key, &mut scratch, &mut io),
                        5 => tile::<S, 5>(simd, &part, key, &mut scratch, &mut io),
                        _ => tile::<S, 6>(simd, &part, key, &mut scratch, &mut io),
                    }
                }
            }
        }
    }
}

/// One query vector of a tile.
#[derive(Clone, Copy)]
struct Query {
    /// Its number among the head vectors of `q` and `out`.
    index: usize,
    /// The position behind the last one it sees.
    visible: usize,
}

/// Memory of a task, kept from tile to tile.
struct Scratch {
    queries: Vec<Query>,
    /// Scaled queries, `[dim, tile]`.
    packed: Vec<f32>,
    /// Scores, then weights, `[tile, stride]`.
    weights: Vec<f32>,
    stride: usize,
    /// Sums of values, `[tile, dim]`.
    sums: Vec<f32>,
}

impl Scratch {
    fn new(part: &Part<'_>) -> Self {
        // The last panel of a segment may be written in full where only a part of it counts.
        let stride = (part.visible + part.rows + 2 * PANEL).next_multiple_of(PANEL);
        Self {
            queries: Vec::with_capacity(TALLEST),
            packed: vec![0.0; TALLEST * part.heads.dim],
            weights: vec![0.0; TALLEST * stride],
            stride,
            sums: vec![0.0; TALLEST * part.heads.dim],
        }
    }
}

/// Attention of `H` queries to one key head.
#[inline(always)]
fn tile<S: Simd, const H: usize>(
    simd: S,
    part: &Part<'_>,
    key: usize,
    scratch: &mut Scratch,
    io: &mut Io<'_>,
) {
    let dim = part.heads.dim;
    let Scratch { queries, packed, weights, stride, sums } = scratch;
    let scale = 1.0 / (dim as f32).sqrt();
    for (h, query) in queries.iter().enumerate() {
        let q = &io.q[query.index * dim..][..dim];
        for (slot, q) in packed[h..].iter_mut().step_by(H).zip(q) {
            *slot = q * scale;
        }
    }
    let most = queries.iter().map(|query| query.visible).max().unwrap_or(0);
    let common = queries.iter().map(|query| query.visible).min().unwrap_or(0);
    let seen = |query: &Query| query.visible.saturating_sub(part.window);
    // What no query sees any more is left out; what some see has a weight of zero for the others.
    let begin = queries.iter().map(seen).min().unwrap_or(0);
    for (offset, segment) in placed(part.segments, begin, most) {
        let count = segment.len.min(most - offset);
        scores::<S, H>(simd, &packed[..dim * H], segment.keys(key), count, |h, p, values| {
            simd.partial_store_f32s(&mut weights[h * *stride + offset + p..], values);
        });
    }
    let mut totals = [0.0; H];
    for ((query, weights), total) in queries.iter().zip(weights.chunks_exact_mut(*stride)).zip(&mut totals) {
        let padded = query.visible.next_multiple_of(lanes::LANES);
        weights[..seen(query)].fill(f32::NEG_INFINITY);
        weights[query.visible..padded].fill(f32::NEG_INFINITY);
        let (max, sum) = softmax::exponentials(&mut weights[..padded]);
        *total = sum;
        if let Some(lse) = &mut io.lse {
            lse[query.index] = max + sum.ln();
        }
    }
    sums[..H * dim].fill(0.0);
    for (offset, segment) in placed(part.segments, begin, common) {
        let count = segment.len.min(common - offset);
        let weights = Weights { rows: weights, stride: *stride, first: offset };
        add_values::<S, H>(simd, weights, &segment.values(key)[..count * dim], dim, sums);
    }
    for (h, query) in queries.iter().enumerate().filter(|(_, query)| query.visible > common) {
        for (offset, segment) in placed(part.segments, begin, query.visible) {
            let start = common.saturating_sub(offset).min(segment.len);
            let end = segment.len.min(query.visible - offset);
            let weights = Weights { rows: &weights[h * *stride..], stride: 0, first: offset + start };
            let values = &segment.values(key)[start * dim..end * dim];
            add_values::<S, 1>(simd, weights, values, dim, &mut sums[h * dim..][..dim]);
        }
    }
    for ((query, total), sums) in queries.iter().zip(totals).zip(sums.chunks_exact(dim)) {
        for (out, sum) in io.out[query.index * dim..][..dim].iter_mut().zip(sums) {
            *out = sum / total;
        }
    }
}

/// The segments that begin before position `end` and end behind `begin`, each with its first position.
#[inline(always)]
fn placed<'a>(
    segments: &'a [Segment<'a>],
    begin: usize,
    end: usize,
) -> impl Iterator<Item = (usize, Segment<'a>)> {
    segments
        .iter()
        .scan(0, |next, segment| {
            let offset = *next;
            *next += segment.len;
            Some((offset, *segment))
        })
        .take_while(move |(offset, _)| *offset < end)
        .filter(move |(offset, segment)| offset + segment.len > begin)
}

/// Products of `H` queries (`q [dim, H]`) with the first `count` keys of a head; `store(h, position, vector)` gets them.
#[inline(always)]
fn scores<S: Simd, const H: usize>(
    simd: S,
    q: &[f32],
    keys: &[f32],
    count: usize,
    mut store: impl FnMut(usize, usize, S::f32s),
) {
    let size = q.len() / H * PANEL;
    let panels = count.div_ceil(PANEL);
    for i in (0..panels).step_by(2) {
        // Two panels together keep twice as many chains in flight; an odd last one goes with itself.
        let second = (i + 1).min(panels - 1);
        let (a, b) = (&keys[i * size..][..size], &keys[second * size..][..size]);
        for lane in (0..PANEL).step_by(S::F32_LANES) {
            let mut acc = [[simd.splat_f32s(0.0); 2]; H];
            for (q, (a, b)) in q.chunks_exact(H).zip(a.chunks_exact(PANEL).zip(b.chunks_exact(PANEL))) {
                let a = S::as_simd_f32s(&a[lane..lane + S::F32_LANES]).0[0];
                let b = S::as_simd_f32s(&b[lane..lane + S::F32_LANES]).0[0];
                for (acc, q) in acc.iter_mut().zip(q) {
                    let q = simd.splat_f32s(*q);
                    acc[0] = simd.mul_add_f32s(q, a, acc[0]);
                    acc[1] = simd.mul_add_f32s(q, b, acc[1]);
                }
            }
            for (h, acc) in acc.iter().enumerate() {
                store(h, i * PANEL + lane, acc[0]);
                store(h, second * PANEL + lane, acc[usize::from(second != i)]);
            }
        }
    }
}

/// Weights of some queries, a row of `stride` for each, the one for the first position of interest at `first`.
#[derive(Clone, Copy)]
struct Weights<'a> {
    rows: &'a [f32],
    stride: usize,
    first: usize,
}

/// `sums[h] += Σ weight[h][p] · value[p]`, each sum a chain in the order of positions; `sums [H, dim]`, `values [positions,
/// dim]`.
#[inline(always)]
fn add_values<S: Simd, const H: usize>(
    simd: S,
    weights: Weights<'_>,
    values: &[f32],
    dim: usize,
    sums: &mut [f32],
) {
    let step = 2 * S::F32_LANES;
    for column in (0..dim).step_by(step) {
        let columns = column..dim.min(column + step);
        let mut acc = [[simd.splat_f32s(0.0); 2]; H];
        for (acc, sums) in acc.iter_mut().zip(sums.chunks_exact(dim)) {
            *acc = load_pair(simd, &sums[columns.clone()]);
        }
        for (i, values) in values.chunks(PANEL * dim).enumerate() {
            // Slices of a known length need no check at every position. The rows are padded, so the last is whole too.
            let weights: [&[f32]; H] = std::array::from_fn(|h| {
                &weights.rows[h * weights.stride + weights.first + i * PANEL..][..PANEL]
            });
            let rows = (0..PANEL).zip(values.chunks_exact(dim));
            if columns.len() == step {
                for (p, row) in rows {
                    let (pair, _) = S::as_simd_f32s(&row[column..column + step]);
                    add_row(simd, &weights, p, [pair[0], pair[1]], &mut acc);
                }
            } else {
                for (p, row) in rows {
                    add_row(simd, &weights, p, load_pair(simd, &row[columns.clone()]), &mut acc);
                }
            }
        }
        for (acc, sums) in acc.iter().zip(sums.chunks_exact_mut(dim)) {
            let sums = &mut sums[columns.clone()];
            simd.partial_store_f32s(sums, acc[0]);
            simd.partial_store_f32s(sums.get_mut(S::F32_LANES..).unwrap_or_default(), acc[1]);
        }
    }
}

/// Adds one position's values.
#[inline(always)]
fn add_row<S: Simd, const H: usize>(
    simd: S,
    weights: &[&[f32]; H],
    position: usize,
    values: [S::f32s; 2],
    acc: &mut [[S::f32s; 2]; H],
) {
    for (acc, weights) in acc.iter_mut().zip(weights) {
        let weight = simd.splat_f32s(weights[position]);
        acc[0] = simd.mul_add_f32s(weight, values[0], acc[0]);
        acc[1] = simd.mul_add_f32s(weight, values[1], acc[1]);
    }
}

/// Up to two vectors, zeros where the slice ends.
#[inline(always)]
fn load_pair<S: Simd>(simd: S, from: &[f32]) -> [S::f32s; 2] {
    [simd.partial_load_f32s(from), simd.partial_load_f32s(from.get(S::F32_LANES..).unwrap_or_default())]
}
