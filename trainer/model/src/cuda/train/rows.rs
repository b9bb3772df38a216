//! What a batch tells the kernels: ids, targets, contexts, and which rows share a token. All of it is contents of memory whose places
//! depend on the number of rows alone.

use crate::cuda::CudaError;
use crate::cuda::machine::{Machine, Ptr};
use crate::train::{Batch, IGNORED};

/// Most rows of a piece.
const PIECE: usize = 32;

/// The rows of a batch brought together by token, each token's in order, and cut into pieces: what `embedding_backward.cu` reads.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Pieces {
    /// All rows.
    order: Vec<i32>,
    /// First place in `order`, rows, token, row of the partial sums or -1.
    pieces: Vec<[i32; 4]>,
    /// Of tokens of several pieces: first row of the partial sums, how many, token.
    joins: Vec<[i32; 3]>,
}

impl Pieces {
    pub(super) fn of(inputs: &[u32]) -> Self {
        let mut order: Vec<u32> = (0..u32::try_from(inputs.len()).expect("rows stay below 2^31")).collect();
        // Stable: a token's rows stay in order.
        order.sort_by_key(|row| inputs[*row as usize]);
        let mut it = Self::default();
        let (mut first, mut place) = (0, 0);
        for run in order.chunk_by(|a, b| inputs[*a as usize] == inputs[*b as usize]) {
            let token = inputs[run[0] as usize] as i32;
            let count = run.len().div_ceil(PIECE);
            if count > 1 {
                it.joins.push([place, count as i32, token]);
            }
            for rows in run.chunks(PIECE).map(|piece| piece.len() as i32) {
                let to = if count > 1 { place } else { -1 };
                it.pieces.push([first, rows, token, to]);
                first += rows;
                place += i32::from(count > 1);
            }
        }
        it.order = order.into_iter().map(|row| row as i32).collect();
        it
    }
}

/// Most rows of partial sums: a token of more than [`PIECE`] rows has fewer than two for each of those.
pub(super) const fn partials(rows: usize) -> usize {
    rows.div_ceil(PIECE / 2)
}

/// Most tokens of several pieces.
pub(super) const fn joins(rows: usize) -> usize {
    rows.div_ceil(PIECE)
}

/// Where it lies for so many rows.
#[derive(Clone, Copy)]
pub(super) struct Rows {
    pub(super) count: usize,
    /// Ids there are.
    vocabulary: usize,
    pub(super) inputs: Ptr,
    pub(super) targets: Ptr,
    pub(super) starts: Ptr,
    pub(super) order: Ptr,
    pub(super) pieces: Ptr,
    pub(super) joins: Ptr,
    /// f32: the share of a target's loss, and the weight of the z-loss.
    pub(super) objective: Ptr,
}

/// Ints in all.
const fn ints(rows: usize) -> usize {
    8 * rows + 3 * joins(rows) + 2
}

/// Bytes for so many rows.
pub(super) const fn bytes(rows: usize) -> usize {
    ints(rows) * size_of::<i32>()
}

impl Rows {
    /// From `start` on.
    pub(super) fn at(start: Ptr, count: usize, vocabulary: usize) -> Self {
        let at = |ints: usize| start.plus(ints * size_of::<i32>());
        Self {
            count,
            vocabulary,
            inputs: at(0),
            targets: at(count),
            starts: at(2 * count),
            order: at(3 * count),
            pieces: at(4 * count),
            joins: at(8 * count),
            objective: at(8 * count + 3 * joins(count)),
        }
    }

    /// Writes all of it, in one copy.
    ///
    /// # Panics
    /// When the batch has another number of rows, or names an id outside the vocabulary.
    pub(super) fn write(
        &self,
        machine: &dyn Machine,
        batch: &Batch<'_>,
        pieces: &Pieces,
        objective: [f32; 2],
    ) -> Result<(), CudaError> {
        let known = |id: &u32| (*id as usize) < self.vocabulary;
        assert_eq!(batch.inputs.len(), self.count, "as many rows as there is room for");
        assert!(batch.inputs.iter().all(known), "ids of the vocabulary");
        assert!(batch.targets.iter().all(|id| *id == IGNORED || known(id)), "targets of the vocabulary");
        let mut all = Vec::with_capacity(ints(self.count));
        all.extend(batch.inputs.iter().map(|id| *id as i32));
        // What is ignored is negative.
        all.extend(batch.targets.iter().map(|id| if *id == IGNORED { -1 } else { *id as i32 }));
        all.extend(batch.starts.iter().map(|row| *row as i32));
        all.extend(&pieces.order);
        all.extend(pieces.pieces.iter().flatten());
        all.resize(8 * self.count, 0);
        all.extend(pieces.joins.iter().flatten());
        all.resize(8 * self.count + 3 * joins(self.count), 0);
        all.extend(objective.map(|value| value.to_bits().cast_signed()));
        machine.write(self.inputs, pulp::bytemuck::cast_slice(&all))
    }
}

#[cfg(test)]
mod tests {
    use super::{PIECE, Pieces, joins, partials};
    use crate::testing::Random;

    #[test]
    fn every_row_is_in_one_piece_of_its_token_in_order() {
        for (seed, vocabulary) in [(1, 1), (2, 3), (3, 50), (4, 5_000)] {
            for rows in [1, 31, 32, 33, 700] {
                let mut random = Random(seed + rows as u64);
                let inputs: Vec<u32> = (0..rows).map(|_| random.below(vocabulary) as u32).collect();
                let Pieces { order, pieces, joins: joined } = Pieces::of(&inputs);
                let mut of_token: Vec<Vec<i32>> = vec![Vec::new(); vocabulary];
                let mut place = 0;
                for [first, count, token, to] in &pieces {
                    assert!(*count > 0 && *count <= PIECE as i32);
                    of_token[*token as usize].extend(&order[*first as usize..][..*count as usize]);
                    if *to >= 0 {
                        assert_eq!(*to, place);
                        place += 1;
                    }
                }
                for (token, rows) in of_token.iter().enumerate() {
                    let own = (0..inputs.len()).filter(|row| inputs[*row] as usize == token);
                    assert_eq!(*rows, own.map(|row| row as i32).collect::<Vec<_>>());
                    let several = joined.iter().filter(|join| join[2] as usize == token).count();
                    assert_eq!(several, usize::from(rows.len() > PIECE));
                }
                assert!(place as usize <= partials(rows) && joined.len() <= joins(rows));
                assert_eq!(joined.iter().map(|join| join[1]).sum::<i32>(), place);
                assert!(pieces.len() <= rows);
            }
        }
    }
}
