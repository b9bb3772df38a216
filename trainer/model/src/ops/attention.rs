//! Causal self-attention with grouped queries (GQA, arXiv 2305.13245).
//!
//! A query's scores, their softmax and the sum of values are taken in the order of positions, wherever those are kept, so
//! the result does not depend on how a context is cut into segments or which queries are computed together.

mod backward;
mod kernel;
#[cfg(test)]
mod tests;

use std::ops::Range;

use rayon::prelude::*;

pub(super) use backward::columns;
pub use backward::{Saved, backward};
pub use kernel::{KeyValues, Segment};

/// Heads of an attention layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heads {
    /// Query heads.
    pub queries: usize,
    /// Key and value heads; divides `queries`.
    pub keys: usize,
    /// Values of a head.
    pub dim: usize,
}

impl Heads {
    /// Query heads that share a key head.
    #[must_use]
    pub fn sharing(&self) -> usize {
        self.queries / self.keys
    }
}

/// Consecutive query rows that see the same segments; row `i` of the group sees the first `visible + i` positions.
pub struct Group<'a> {
    /// Number of rows.
    pub rows: usize,
    /// Where the keys and values are, first position first.
    pub segments: &'a [Segment<'a>],
    /// Positions that the first row sees, its own included.
    pub visible: usize,
    /// The last so many of them are seen (Mistral, arXiv 2310.06825); all where there is none.
    pub window: Option<usize>,
}

/// Attention of whole sequences, as in training. `q` and `out` are `[rows, queries · dim]`, `k` and `v` are
/// `[rows, keys · dim]`; row `r` sees rows `starts[r]..=r`, so `starts` carries both the bounds of sequences and a document
/// mask. `lse [rows, queries]` gets the natural logarithm of the sum of the exponentials of the scaled scores.
pub fn forward(
    (q, k, v): (&[f32], &[f32], &[f32]),
    starts: &[usize],
    heads: Heads,
    out: &mut [f32],
    lse: &mut [f32],
) {
    let width = heads.keys * heads.dim;
    let documents = documents(starts);
    let stored: Vec<KeyValues> = documents
        .par_iter()
        .map(|rows| {
            let mut stored = KeyValues::new(heads);
            let values = rows.start * width..rows.end * width;
            stored.append(&k[values.clone()], &v[values]);
            stored
        })
        .collect();
    let segments: Vec<[Segment<'_>; 1]> = stored.iter().map(|s| [s.segment()]).collect();
    let groups: Vec<Group<'_>> = segments
        .iter()
        .zip(&documents)
        .map(|(segments, rows)| Group { rows: rows.len(), segments, visible: 1, window: None })
        .collect();
    attend(q, &groups, heads, out, Some(lse));
}

/// The runs of rows that begin their context at the same row.
fn documents(starts: &[usize]) -> Vec<Range<usize>> {
    starts
        .chunk_by(|a, b| a == b)
        .scan(0, |end, document| {
            let start = *end;
            *end += document.len();
            Some(start..*end)
        })
        .collect()
}

/// Attention of query rows to stored keys and values. `q` and `out` are `[rows, queries · dim]`, the groups' rows one after
/// another; `lse`, where it is asked for, `[rows, queries]`.
pub fn attend(q: &[f32], groups: &[Group<'_>], heads: Heads, out: &mut [f32], lse: Option<&mut [f32]>) {
    let mut tasks = Vec::new();
    let threads = rayon::current_num_threads();
    let rows: usize = groups.iter().map(|group| group.rows).sum();
    // Few rows: a task for every key head of every row. Else whole rows, as many as a tile takes.
    let (rows_per_task, split) = match rows {
        0 => return,
        few if few < 4 * threads => (1, heads.keys),
        _ => (4 * kernel::TALLEST.div_ceil(heads.sharing()), 1),
    };
    let mut rest = kernel::Io { q, out, lse };
    for group in groups {
        for first in (0..group.rows).step_by(rows_per_task) {
            let rows = rows_per_task.min(group.rows - first);
            for part in 0..split {
                let width = heads.keys / split;
                let part = kernel::Part {
                    rows,
                    segments: group.segments,
                    visible: group.visible + first,
                    window: group.window.unwrap_or(usize::MAX),
                    keys: part * width..(part + 1) * width,
                    heads,
                };
                tasks.push((take(&mut rest, &part), part));
            }
        }
    }
    tasks.into_par_iter().for_each(|(io, part)| part.run(io));
}

/// Splits the next rows, or the next heads of a single row, off the rest.
fn take<'a>(rest: &mut kernel::Io<'a>, part: &kernel::Part<'_>) -> kernel::Io<'a> {
    let heads = part.rows * part.keys.len() * part.heads.sharing();
    let values = heads * part.heads.dim;
    kernel::Io {
        q: rest.q.split_off(..values).unwrap_or_default(),
        out: rest.out.split_off_mut(..values).unwrap_or_default(),
        lse: rest.lse.as_mut().map(|lse| lse.split_off_mut(..heads).unwrap_or_default()),
    }
}
