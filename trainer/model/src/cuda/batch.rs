//! Rows of a batch of edges as the kernels are told of them: one upload for all of it.

use super::kernels::PREFILL_ROWS;

/// Consecutive rows of one edge.
pub(crate) struct Part<'a> {
    pub(crate) tokens: &'a [u32],
    /// Position of the first of them.
    pub(crate) position: usize,
    /// Slots of all positions from 0 to the last of them.
    pub(crate) slots: &'a [i32],
    /// Rows whose hidden states are kept, from this one of them on.
    pub(crate) read: usize,
}

/// Rows of one sequence that attention takes together: the first row, how many, its position, where its slots begin in the table.
pub(crate) type Tile = [i32; 4];

/// What is uploaded: arrays of 32-bit numbers one after another.
#[derive(Default, Debug, PartialEq, Eq)]
pub(crate) struct Upload {
    pub(crate) words: Vec<i32>,
}

/// Where an array lies in an upload, in words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct At(pub(crate) usize);

impl Upload {
    /// Adds an array, from a 16-byte boundary on: tiles are read as vectors of four.
    pub(crate) fn push(&mut self, array: impl IntoIterator<Item = i32>) -> At {
        self.words.resize(self.words.len().next_multiple_of(4), 0);
        let at = At(self.words.len());
        self.words.extend(array);
        at
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        self.words.iter().flat_map(|word| word.to_le_bytes()).collect()
    }
}

/// A batch.
pub(crate) struct Batch {
    pub(crate) upload: Upload,
    pub(crate) rows: usize,
    /// Rows whose hidden states are kept.
    pub(crate) reads: usize,
    pub(crate) tiles: usize,
    /// The last position, and one.
    pub(crate) positions: usize,
    pub(crate) at: Arrays,
}

/// The arrays of a batch.
#[derive(Clone, Copy)]
pub(crate) struct Arrays {
    pub(crate) ids: At,
    pub(crate) positions: At,
    pub(crate) slots: At,
    pub(crate) starts: At,
    pub(crate) read: At,
    pub(crate) tiles: At,
    pub(crate) table: At,
}

fn int(value: usize) -> i32 {
    i32::try_from(value).expect("rows, positions and slots stay below 2^31")
}

impl Batch {
    /// Of these parts, for attention in which so many queries share a key head.
    pub(crate) fn new(parts: &[Part<'_>], sharing: usize) -> Self {
        let mut upload = Upload::default();
        let each = || parts.iter().flat_map(|part| 0..part.tokens.len());
        let rows = each().count();
        let mut firsts = Vec::with_capacity(parts.len());
        let mut lengths = 0;
        for part in parts {
            firsts.push(int(lengths));
            lengths += part.slots.len();
        }
        let ids = upload.push(parts.iter().flat_map(|part| part.tokens).map(|id| id.cast_signed()));
        let positions = upload
            .push(parts.iter().flat_map(|part| (part.position..part.position + part.tokens.len()).map(int)));
        let own = |part: &Part<'_>| part.slots[part.position..][..part.tokens.len()].to_vec();
        let slots = upload.push(parts.iter().flat_map(own));
        let starts = upload.push(
            parts
                .iter()
                .zip(&firsts)
                .flat_map(|(part, first)| std::iter::repeat_n(*first, part.tokens.len())),
        );
        let read: Vec<i32> = read_rows(parts).collect();
        let reads = read.len();
        let read = upload.push(read);
        let tiles = tiles(parts, &firsts, sharing);
        let count = tiles.len();
        let tiles = upload.push(tiles.into_iter().flatten());
        let table = upload.push(parts.iter().flat_map(|part| part.slots).copied());
        let end = parts.iter().map(|part| part.position + part.tokens.len()).max().unwrap_or(0);
        let at = Arrays { ids, positions, slots, starts, read, tiles, table };
        Self { upload, rows, reads, tiles: count, positions: end, at }
    }
}

/// The rows whose hidden states are kept, in order.
fn read_rows<'a>(parts: &'a [Part<'a>]) -> impl Iterator<Item = i32> + 'a {
    let mut before = 0;
    parts.iter().flat_map(move |part| {
        let first = before;
        before += part.tokens.len();
        (part.read.min(part.tokens.len())..part.tokens.len()).map(move |row| int(first + row))
    })
}

/// Each part in tiles. A query's result does not depend on which others are in its tile.
fn tiles(parts: &[Part<'_>], firsts: &[i32], sharing: usize) -> Vec<Tile> {
    let height = (PREFILL_ROWS / sharing).max(1);
    let mut tiles = Vec::new();
    let mut row = 0;
    for (part, first) in parts.iter().zip(firsts) {
        let mut done = 0;
        while done < part.tokens.len() {
            let rows = height.min(part.tokens.len() - done);
            tiles.push([int(row + done), int(rows), int(part.position + done), *first]);
            done += rows;
        }
        row += part.tokens.len();
    }
    tiles
}

#[cfg(test)]
mod tests {
    use super::{At, Batch, Part};

    #[test]
    fn every_row_finds_its_sequence() {
        let tokens: Vec<u32> = (10..60).collect();
        let slots: Vec<i32> = (0..53).map(|i| 100 + i).collect();
        let others = [7, 8, 9];
        let parts = [
            Part { tokens: &tokens, position: 3, slots: &slots, read: 48 },
            Part { tokens: &[1], position: 2, slots: &others, read: 0 },
            Part { tokens: &[], position: 3, slots: &others, read: 0 },
        ];
        let batch = Batch::new(&parts, 2);
        let array = |at: At, count: usize| &batch.upload.words[at.0..][..count];
        assert_eq!((batch.rows, batch.reads, batch.tiles, batch.positions), (51, 3, 3, 53));
        assert_eq!(array(batch.at.ids, 51)[49..], [59, 1]);
        assert_eq!(array(batch.at.positions, 51)[48..], [51, 52, 2]);
        assert_eq!(array(batch.at.slots, 51)[..2], [103, 104]);
        assert_eq!(array(batch.at.slots, 51)[50], 9);
        assert_eq!(array(batch.at.starts, 51)[49..], [0, 53]);
        assert_eq!(array(batch.at.read, 3), [48, 49, 50]);
        assert_eq!(array(batch.at.tiles, 12), [0, 32, 3, 0, 32, 18, 35, 0, 50, 1, 2, 53]);
        assert_eq!(array(batch.at.table, 59)[50..], [150, 151, 152, 7, 8, 9, 7, 8, 9]);
        assert_eq!(batch.at.tiles.0 % 4, 0);
        for row in 0..51 {
            let of = |at: At| array(at, 51)[row];
            let seen = batch.at.table.0 + (of(batch.at.starts) + of(batch.at.positions)) as usize;
            assert_eq!(batch.upload.words[seen], of(batch.at.slots), "row {row}");
        }
    }
}
