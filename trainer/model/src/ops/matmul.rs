//! Matrix products: the linear layer and its two gradients.
//!
//! Every element of a result is one chain of fused multiply-adds in index order, whatever the shape of the rest, so a row
//! has the same bits alone and in a batch. (The `gemm` crate, measured, is as fast, but gives a row alone other bits than the
//! same row among others, and cuts its sums where the machine's caches tell it to, so that they differ from one machine to
//! the next.)

pub(crate) mod kernel;

use rayon::prelude::*;

use kernel::{NR, Panels, Rows};

/// A weight in the order in which the kernel reads it: panels of 32 outputs, in each panel the inputs one after another.
pub struct Packed {
    panels: Panels,
    inputs: usize,
    outputs: usize,
}

impl Packed {
    /// Packs `w [outputs, inputs]`, the layout of a linear layer's weight in a checkpoint.
    #[must_use]
    pub fn new(w: &[f32], outputs: usize, inputs: usize) -> Self {
        Self { panels: kernel::panels_of_columns(w, outputs, inputs), inputs, outputs }
    }

    /// Width of an input row.
    #[must_use]
    pub fn inputs(&self) -> usize {
        self.inputs
    }

    /// Width of a result row.
    #[must_use]
    pub fn outputs(&self) -> usize {
        self.outputs
    }

    /// Copies row `i` of the weight back out: a tied embedding is read from the output layer.
    ///
    /// # Panics
    /// When `i` is not below [`Self::outputs`].
    pub fn copy_row(&self, i: usize, out: &mut [f32]) {
        assert!(i < self.outputs, "row {i} of a weight with {} rows", self.outputs);
        let panel = &self.panels[i / NR * self.inputs..][..self.inputs];
        for (out, values) in out.iter_mut().zip(panel) {
            *out = values[i % NR];
        }
    }
}

/// `out = x · wᵀ` for `x [m, k]`, `w [n, k]`, `out [m, n]`.
pub fn forward(x: &[f32], w: &[f32], m: usize, k: usize, n: usize, out: &mut [f32]) {
    let panels = kernel::panels_of_columns(w, n, k);
    product(&Rows::row_major(x, m, k), &panels, n, false, out);
}

/// [`forward`] with a weight that was packed before; the same bits.
pub fn forward_packed(x: &[f32], w: &Packed, out: &mut [f32]) {
    let rows = out.len() / w.outputs;
    product(&Rows::row_major(x, rows, w.inputs), &w.panels, w.outputs, false, out);
}

/// `dx = dy · w` for `dy [m, n]`, `w [n, k]`, `dx [m, k]`: the gradient of [`forward`] in its input.
pub fn backward_input(dy: &[f32], w: &[f32], m: usize, k: usize, n: usize, dx: &mut [f32]) {
    let panels = kernel::panels_of_rows(w, n, k);
    product(&Rows::row_major(dy, m, n), &panels, k, false, dx);
}

/// `dw += dyᵀ · x` for `dy [m, n]`, `x [m, k]`, `dw [n, k]`: the gradient of [`forward`] in its weight, added up.
pub fn backward_weight(dy: &[f32], x: &[f32], m: usize, k: usize, n: usize, dw: &mut [f32]) {
    let panels = kernel::panels_of_rows(x, m, k);
    product(&Rows::column_major(dy, n, m), &panels, k, true, dw);
}

/// Multiply-adds below which waking a second thread costs more than it brings: some ten microseconds of work.
const SERIAL: usize = 1 << 19;
/// Rows of one task. With [`kernel::DEPTH`] values each they fit the second-level cache beside a panel.
const GROUP: usize = 8 * kernel::MR;

/// `out [rows, n] (+)= a · b` with `b` in panels.
fn product(a: &Rows<'_>, panels: &[[f32; NR]], n: usize, accumulate: bool, out: &mut [f32]) {
    assert_eq!(out.len(), a.count * n, "a result of {} rows and {n} columns", a.count);
    if out.is_empty() {
        return;
    }
    let threads = rayon::current_num_threads();
    let serial = threads == 1 || a.count * n * a.depth < SERIAL;
    if serial {
        kernel::block(a, 0..a.count, panels, n, accumulate, out);
    } else if a.count > 2 * GROUP {
        // Small enough that the threads end together, however few tiles there are.
        let share = a.count.div_ceil(8 * threads).next_multiple_of(kernel::MR).clamp(2 * kernel::MR, GROUP);
        out.par_chunks_mut(share * n).enumerate().for_each(|(i, out)| {
            let rows = i * share..(i * share + out.len() / n);
            kernel::block(a, rows, panels, n, accumulate, out);
        });
    } else {
        by_columns(a, panels, n, accumulate, out);
    }
}

/// Not many rows: the threads share the columns, so that the weight is read once and not once for every share of the rows.
/// Each works on a strip of its own, which is copied into place afterwards.
fn by_columns(a: &Rows<'_>, panels: &[[f32; NR]], n: usize, accumulate: bool, out: &mut [f32]) {
    let tasks = (a.count * n * a.depth / (SERIAL / 2)).clamp(1, 2 * rayon::current_num_threads());
    let width = n.div_ceil(NR).div_ceil(tasks) * NR;
    if a.count == 1 {
        out.par_chunks_mut(width).zip(panels.par_chunks(width / NR * a.depth)).for_each(|(out, panels)| {
            kernel::block(a, 0..1, panels, out.len(), accumulate, out);
        });
        return;
    }
    let strips: Vec<Vec<f32>> = panels
        .par_chunks(width / NR * a.depth)
        .enumerate()
        .map(|(i, panels)| {
            let (first, columns) = (i * width, width.min(n - i * width));
            let mut strip = vec![0.0; a.count * columns];
            if accumulate {
                for (strip, out) in strip.chunks_exact_mut(columns).zip(out.chunks_exact(n)) {
                    strip.copy_from_slice(&out[first..first + columns]);
                }
            }
            kernel::block(a, 0..a.count, panels, columns, accumulate, &mut strip);
            strip
        })
        .collect();
    for (row, out) in out.chunks_exact_mut(n).enumerate() {
        for (out, strip) in out.chunks_mut(width).zip(&strips) {
            out.copy_from_slice(&strip[row * out.len()..][..out.len()]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Packed, backward_input, backward_weight, forward, forward_packed};
    use crate::testing::{Random, bits, on_threads};

    /// `start + Σ_p a(p) · b(p)`, each step rounded once.
    fn chain(start: f32, terms: impl Iterator<Item = (f32, f32)>) -> f32 {
        terms.fold(start, |sum, (a, b)| a.mul_add(b, sum))
    }

    /// Shapes around every edge of tiles, panels, depth blocks and the two ways of sharing work.
    const SHAPES: [[usize; 3]; 9] = [
        [1, 1, 1],
        [1, 1700, 333],
        [2, 64, 32],
        [5, 513, 97],
        [13, 40, 33],
        [47, 300, 70],
        [48, 300, 64],
        [203, 129, 100],
        [300, 1100, 31],
    ];

    fn on_one_and_two_threads(name: &str, expected: &[f32], run: impl Fn() -> Vec<f32> + Sync) {
        for threads in [1, 2] {
            let found = on_threads(threads, &run);
            assert!(bits(&found) == bits(expected), "{name} on {threads} threads");
        }
    }

    #[test]
    fn every_element_is_one_chain() {
        for [m, k, n] in SHAPES {
            let mut random = Random(5);
            let (x, w, dy) = (random.values(m * k), random.values(n * k), random.values(m * n));
            let expected: Vec<f32> = (0..m * n)
                .map(|i| chain(0.0, (0..k).map(|p| (x[i / n * k + p], w[i % n * k + p]))))
                .collect();
            on_one_and_two_threads(&format!("forward {m} {k} {n}"), &expected, || {
                let mut out = vec![f32::NAN; m * n];
                forward(&x, &w, m, k, n, &mut out);
                out
            });
            on_one_and_two_threads(&format!("packed {m} {k} {n}"), &expected, || {
                let mut out = vec![f32::NAN; m * n];
                forward_packed(&x, &Packed::new(&w, n, k), &mut out);
                out
            });
            let expected: Vec<f32> = (0..m * k)
                .map(|i| chain(0.0, (0..n).map(|p| (dy[i / k * n + p], w[p * k + i % k]))))
                .collect();
            on_one_and_two_threads(&format!("backward_input {m} {k} {n}"), &expected, || {
                let mut dx = vec![f32::NAN; m * k];
                backward_input(&dy, &w, m, k, n, &mut dx);
                dx
            });
            let expected: Vec<f32> = (0..n * k)
                .map(|i| chain(w[i], (0..m).map(|p| (dy[p * n + i / k], x[p * k + i % k]))))
                .collect();
            on_one_and_two_threads(&format!("backward_weight {m} {k} {n}"), &expected, || {
                let mut dw = w.clone();
                backward_weight(&dy, &x, m, k, n, &mut dw);
                dw
            });
        }
    }

    #[test]
    fn a_packed_weight_gives_its_rows_back() {
        let w = Random(6).values(70 * 33);
        let packed = Packed::new(&w, 70, 33);
        for row in [0, 31, 32, 69] {
            let mut out = vec![0.0; 33];
            packed.copy_row(row, &mut out);
            assert_eq!(out, w[row * 33..][..33]);
        }
    }
}
