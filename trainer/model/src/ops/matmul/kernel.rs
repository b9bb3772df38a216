//! The register tile: a few rows times 32 columns, and the two packed orders it reads.

use std::ops::Range;

use pulp::{Simd, WithSimd};
use rayon::prelude::*;

use crate::ops::lanes;

/// Columns of a panel: two vectors of AVX-512, four of AVX2, eight of NEON.
pub(crate) const NR: usize = 32;
/// Rows of the largest tile. Two vectors for each of twelve rows fill 24 of the 32 registers of AVX-512 and NEON.
pub(super) const MR: usize = 12;
/// Rows of the largest tile where there are only 16 registers (AVX2).
const MR_NARROW: usize = 6;
/// Terms of a chain taken in one go; the partial sum rests in the result meanwhile, which rounds nothing.
pub(super) const DEPTH: usize = 512;

/// The left operand: `count` rows of `depth` values, in either order.
pub(crate) struct Rows<'a> {
    data: &'a [f32],
    /// Number of rows.
    pub(super) count: usize,
    /// Terms of each chain.
    pub(super) depth: usize,
    transposed: bool,
}

impl<'a> Rows<'a> {
    /// `data [count, depth]`.
    pub(crate) fn row_major(data: &'a [f32], count: usize, depth: usize) -> Self {
        assert_eq!(data.len(), count * depth, "an operand of {count} rows and {depth} columns");
        Self { data, count, depth, transposed: false }
    }

    /// `data [depth, count]`.
    pub(crate) fn column_major(data: &'a [f32], count: usize, depth: usize) -> Self {
        assert_eq!(data.len(), count * depth, "an operand of {depth} rows and {count} columns");
        Self { data, count, depth, transposed: true }
    }

    /// Puts terms `terms` of some rows into `out`, `H` rows after another as `[terms, H]`, those of the rest likewise.
    fn pack<const H: usize>(&self, rows: Range<usize>, terms: Range<usize>, out: &mut Vec<f32>) {
        if self.transposed {
            out.resize(rows.len() * terms.len(), 0.0);
            for (t, p) in terms.clone().enumerate() {
                let (whole, rest) = self.data[p * self.count..][rows.clone()].as_chunks::<H>();
                let mut group = t * H;
                for values in whole {
                    out[group..group + H].copy_from_slice(values);
                    group += terms.len() * H;
                }
                let group = whole.len() * terms.len() * H + t * rest.len();
                out[group..group + rest.len()].copy_from_slice(rest);
            }
            return;
        }
        // Added value by value: memory that was filled with zeros first would be written twice.
        out.clear();
        out.reserve(rows.len() * terms.len());
        for first in rows.clone().step_by(H) {
            let group = first..(first + H).min(rows.end);
            for p in terms.clone() {
                out.extend(group.clone().map(|row| self.data[row * self.depth + p]));
            }
        }
    }
}

/// A right operand in the order in which tiles read it: panels of `[depth, 32]`.
pub(crate) type Panels = Vec<[f32; NR]>;

/// `[n, k]` into panels of `[k, 32]`, columns of zeros added to the last.
pub(crate) fn panels_of_columns(w: &[f32], n: usize, k: usize) -> Panels {
    const CHUNK: usize = 64;
    assert_eq!(w.len(), n * k, "a weight of {n} rows and {k} columns");
    let mut panels = vec![[0.0; NR]; n.div_ceil(NR) * k];
    panels.par_chunks_mut(k).zip(w.par_chunks(k * NR)).for_each(|(panel, rows)| {
        for (i, panel) in panel.chunks_mut(CHUNK).enumerate() {
            for (r, row) in rows.chunks_exact(k).enumerate() {
                for (slot, value) in panel.iter_mut().zip(&row[i * CHUNK..]) {
                    slot[r] = *value;
                }
            }
        }
    });
    panels
}

/// `[k, n]` into panels of `[k, 32]`, columns of zeros added to the last.
pub(crate) fn panels_of_rows(w: &[f32], k: usize, n: usize) -> Panels {
    assert_eq!(w.len(), n * k, "an operand of {k} rows and {n} columns");
    // Collected, not filled in: memory of this size would first be written with zeros.
    let slots = (0..n.div_ceil(NR) * k).into_par_iter().with_min_len(512);
    slots
        .map(|slot| {
            let (panel, row) = (slot / k, slot % k);
            let columns = &w[row * n + panel * NR..(row + 1) * n];
            columns.first_chunk().copied().unwrap_or_else(|| {
                let mut padded = [0.0; NR];
                padded[..columns.len()].copy_from_slice(columns);
                padded
            })
        })
        .collect()
}

/// `out [rows, n] (+)= a[rows] · panels` on the calling thread.
pub(super) fn block(
    a: &Rows<'_>,
    rows: Range<usize>,
    panels: &[[f32; NR]],
    n: usize,
    accumulate: bool,
    out: &mut [f32],
) {
    let mut left = Left::default();
    for start in (0..a.depth).step_by(DEPTH) {
        let terms = start..(start + DEPTH).min(a.depth);
        left.fill(a, rows.clone(), terms.clone());
        let accumulate = accumulate || start > 0;
        lanes::simd(Times { left: &left.packed, panels, depth: a.depth, terms, n, accumulate, out });
    }
}

/// A left operand in the order in which tiles read it.
#[derive(Default)]
pub(crate) struct Left {
    /// `[tiles, terms, rows of a tile]`.
    packed: Vec<f32>,
    terms: usize,
}

impl Left {
    /// Some terms of some rows.
    pub(crate) fn new(a: &Rows<'_>, rows: Range<usize>, terms: Range<usize>) -> Self {
        let mut left = Self::default();
        left.fill(a, rows, terms);
        left
    }

    /// [`Self::new`] in the memory of one that is no longer needed.
    pub(crate) fn fill(&mut self, a: &Rows<'_>, rows: Range<usize>, terms: Range<usize>) {
        self.terms = terms.len();
        // Not under `lanes::simd`: with AVX-512 this becomes scatters, which are slower than plain stores.
        match lanes::simd(Tallest) {
            MR => a.pack::<MR>(rows, terms, &mut self.packed),
            _ => a.pack::<MR_NARROW>(rows, terms, &mut self.packed),
        }
    }

    /// `out [rows, n] (+)= left · panels` on the calling thread, for panels of as many terms.
    pub(crate) fn times(&self, panels: &[[f32; NR]], n: usize, accumulate: bool, out: &mut [f32]) {
        let (depth, terms) = (self.terms, 0..self.terms);
        lanes::simd(Times { left: &self.packed, panels, depth, terms, n, accumulate, out });
    }
}

/// Rows of the largest tile on this machine.
struct Tallest;

impl WithSimd for Tallest {
    type Output = usize;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> usize {
        if S::F32_LANES == 8 { MR_NARROW } else { MR }
    }
}

struct Times<'a> {
    /// Packed.
    left: &'a [f32],
    /// Panels of `depth` terms, of which `terms` are taken.
    panels: &'a [[f32; NR]],
    depth: usize,
    terms: Range<usize>,
    n: usize,
    accumulate: bool,
    out: &'a mut [f32],
}

impl WithSimd for Times<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { left, panels, depth, terms, n, accumulate, out } = self;
        let tallest = Tallest.with_simd(simd);
        for (j, panel) in panels.chunks_exact(depth).enumerate() {
            let columns = j * NR..((j + 1) * NR).min(n);
            let strip = Strip { b: &panel[terms.clone()], columns, n, accumulate };
            let tiles = left.chunks(terms.len() * tallest).zip(out.chunks_mut(tallest * n));
            for (a, out) in tiles {
                strip.tile_of_height(simd, a, out);
            }
        }
    }
}

/// One panel's part of a product.
struct Strip<'a> {
    /// `[terms, 32]`.
    b: &'a [[f32; NR]],
    /// Where it stands in the result.
    columns: Range<usize>,
    /// Width of the result.
    n: usize,
    accumulate: bool,
}

impl Strip<'_> {
    /// Picks the tile for this number of rows.
    #[inline(always)]
    fn tile_of_height<S: Simd>(&self, simd: S, a: &[f32], out: &mut [f32]) {
        match out.len() / self.n {
            1 => self.tile::<S, 1>(simd, a, out),
            2 => self.tile::<S, 2>(simd, a, out),
            3 => self.tile::<S, 3>(simd, a, out),
            4 => self.tile::<S, 4>(simd, a, out),
            5 => self.tile::<S, 5>(simd, a, out),
            6 => self.tile::<S, 6>(simd, a, out),
            7 => self.tile::<S, 7>(simd, a, out),
            8 => self.tile::<S, 8>(simd, a, out),
            9 => self.tile::<S, 9>(simd, a, out),
            10 => self.tile::<S, 10>(simd, a, out),
            11 => self.tile::<S, 11>(simd, a, out),
            _ => self.tile::<S, 12>(simd, a, out),
        }
    }

    /// `out[r][columns] (+)= Σ_p a[p][r] · b[p]` for `H` rows, each sum a chain in the order of `p`.
    #[inline(always)]
    fn tile<S: Simd, const H: usize>(&self, simd: S, a: &[f32], out: &mut [f32]) {
        let step = 2 * S::F32_LANES;
        for offset in (0..self.columns.len()).step_by(step) {
            let columns =
                self.columns.start + offset..self.columns.end.min(self.columns.start + offset + step);
            let mut acc = [[simd.splat_f32s(0.0); 2]; H];
            if self.accumulate {
                for (acc, row) in acc.iter_mut().zip(out.chunks_exact(self.n)) {
                    *acc = load(simd, &row[columns.clone()]);
                }
            }
            for (a, b) in a.chunks_exact(H).zip(self.b) {
                let (b, _) = S::as_simd_f32s(&b[offset..offset + step]);
                for (acc, a) in acc.iter_mut().zip(a) {
                    let a = simd.splat_f32s(*a);
                    acc[0] = simd.mul_add_f32s(a, b[0], acc[0]);
                    acc[1] = simd.mul_add_f32s(a, b[1], acc[1]);
                }
            }
            for (acc, row) in acc.iter().zip(out.chunks_exact_mut(self.n)) {
                store(simd, *acc, &mut row[columns.clone()]);
            }
        }
    }
}

/// Two vectors; zeros where the slice is shorter.
#[inline(always)]
fn load<S: Simd>(simd: S, from: &[f32]) -> [S::f32s; 2] {
    match S::as_simd_f32s(from) {
        ([first, second], []) => [*first, *second],
        _ => [
            simd.partial_load_f32s(from),
            simd.partial_load_f32s(from.get(S::F32_LANES..).unwrap_or_default()),
        ],
    }
}

/// Two vectors, or as much of them as there is room for.
#[inline(always)]
fn store<S: Simd>(simd: S, values: [S::f32s; 2], to: &mut [f32]) {
    if let ([first, second], []) = S::as_mut_simd_f32s(to) {
        (*first, *second) = (values[0], values[1]);
        return;
    }
    simd.partial_store_f32s(to, values[0]);
    simd.partial_store_f32s(to.get_mut(S::F32_LANES..).unwrap_or_default(), values[1]);
}
