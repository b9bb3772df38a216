//! Rows that generate, a token at a time.

use super::*;

/// What of a step's answer is read back.
#[derive(Clone, Copy)]
pub(super) enum Wanted {
    Logits,
    Likeliest,
}

/// The answer of a step.
#[derive(Default)]
pub(super) struct Answer {
    /// `[rows, vocabulary]`.
    pub(super) logits: Vec<f32>,
    /// Of each row; below 0 where logits are not finite.
    pub(super) likeliest: Vec<i32>,
}

impl CudaLlama {
    /// One token for every row; tokens were checked.
    pub(super) fn decode_checked(&self, rows: &mut [DecodeRow], wanted: Wanted) -> Result<Answer, CudaError> {
        let mut state = self.state();
        for row in rows.iter_mut() {
            self.make_room(row, &state.lanes)?;
        }
        let mut all = Answer::default();
        for rows in rows.chunks_mut(LOOKS) {
            let answer = self.step(&mut state, rows, wanted)?;
            all.logits.extend(answer.logits);
            all.likeliest.extend(answer.likeliest);
        }
        for row in rows {
            lane(row).advance();
        }
        Ok(all)
    }

    /// A lane for a row that has none, and a slot for its next token.
    fn make_room(&self, row: &mut DecodeRow, lanes: &Lanes) -> Result<(), CudaError> {
        if let Grown::Layers(_) = row.tail.grown {
            let slots = Slots::none(Arc::clone(&self.pool));
            let lane = lanes.begin(slots, row.tail.limit).ok_or_else(|| self.full(row.tail.limit))?;
            row.tail.grown = Grown::Lane(lane);
        }
        if lane(row).reserve() { Ok(()) } else { Err(self.full(1)) }
    }

    /// One token for at most [`LOOKS`] rows.
    fn step(&self, state: &mut State, rows: &mut [DecodeRow], wanted: Wanted) -> Result<Answer, CudaError> {
        let machine = &*self.machine;
        let count = rows.len();
        if count == 0 {
            return Ok(Answer::default());
        }
        let longest = rows.iter().map(|row| row.len() + 1).max().unwrap_or(1);
        let size = Size::of(count, longest);
        let table = self.table(state, rows)?;
        let step = Step { start: state.step.start() };
        machine.write(step.start, &self.told(state, rows, size.rows))?;
        let angles = state.angles.of(longest, machine)?;
        self.make_partial(state, size)?;
        let context = Context { table, starts: step.array(3), positions: step.array(1) };
        let pass = Pass { rows: size.rows, ids: step.array(0), slots: step.array(2), angles, context };
        let mut run = || self.step_pass(&state.arena, &pass, state.partial.start(), size, step);
        // A captured pass is told of no other addresses.
        let mut key = DefaultHasher::new();
        (size.rows, size.pieces, table.0, angles.0, state.partial.start().0).hash(&mut key);
        machine.captured(key.finish(), &mut run)?;
        self.answer(&state.arena, step, count, wanted)
    }

    fn step_pass(
        &self,
        arena: &Arena,
        pass: &Pass,
        partial: Ptr,
        size: Size,
        step: Step,
    ) -> Result<(), CudaError> {
        let machine = &*self.machine;
        let attention = self.program.attention;
        let most = self.rows_of_partial(size.pieces);
        let attend = |ops: &Ops<'_>, cache: Cache| {
            let width = attention.heads.queries * attention.heads.dim * self.program.dtype.size();
            for first in (0..size.rows).step_by(most) {
                let rows = most.min(size.rows - first);
                let (q, out) = (arena.q.plus(first * width), arena.mixed.plus(first * width));
                let context = pass.context.from(first);
                ops.attention_decode(rows, (q, out), cache, context, attention, (partial, size.pieces))?;
            }
            Ok(())
        };
        self.program.forward(machine, arena, pass, &attend)?;
        self.program.finish(machine, arena, (arena.x, Ptr::NULL), 0..size.rows)?;
        self.program.logits(machine, arena, size.rows)?;
        let answers = [Ptr::NULL, step.normalisers(), step.likeliest()];
        let ops = Ops { machine, dtype: self.program.dtype };
        let shape = [size.rows, self.program.config.vocab_size];
        ops.summary(arena.logits, [step.firsts(), Ptr::NULL], answers, shape)
    }

    /// The table of slots, in which the rows' are written.
    fn table(&self, state: &mut State, rows: &mut [DecodeRow]) -> Result<Ptr, CudaError> {
        let lanes = rows.iter_mut().map(|row| {
            let DecodeRow { kv, tail, .. } = row;
            let Grown::Lane(lane) = &mut tail.grown else { unreachable!("every row was given a lane") };
            (lane, kv.len(), || kv.slots())
        });
        state.lanes.table(lanes, &*self.machine)
    }

    /// The arrays of a step: ids, positions, slots, starts; rows beyond those that there are go nowhere and see nothing.
    fn told(&self, state: &State, rows: &mut [DecodeRow], padded: usize) -> Vec<u8> {
        let mut bytes = vec![0; 5 * Step::ARRAY];
        for row in 0..padded {
            let told = match rows.get_mut(row) {
                Some(row) => {
                    let position = i32::try_from(row.len()).expect("positions stay below 2^31");
                    let (token, lane) = (row.token.cast_signed(), lane(row));
                    [token, position, lane.next_slot(), state.lanes.start(lane)]
                }
                None => [0, -1, -1, 0],
            };
            for (array, word) in told.into_iter().enumerate() {
                bytes[array * Step::ARRAY + 4 * row..][..4].copy_from_slice(&word.to_le_bytes());
            }
        }
        bytes
    }

    /// Rows whose partial sums fit [`PARTIAL_BYTES`].
    fn rows_of_partial(&self, pieces: usize) -> usize {
        (PARTIAL_BYTES / self.partial_bytes(pieces)).max(1)
    }

    /// Bytes of the partial sums of a row.
    fn partial_bytes(&self, pieces: usize) -> usize {
        let heads = self.program.attention.heads;
        heads.queries * pieces * (heads.dim + 2) * size_of::<f32>()
    }

    fn make_partial(&self, state: &mut State, size: Size) -> Result<(), CudaError> {
        let bytes = self.partial_bytes(size.pieces) * size.rows.min(self.rows_of_partial(size.pieces));
        if bytes > state.partial.bytes() {
            state.partial = self.machine.reserve(bytes.next_power_of_two())?;
        }
        Ok(())
    }

    fn answer(&self, arena: &Arena, step: Step, rows: usize, wanted: Wanted) -> Result<Answer, CudaError> {
        let (from, width) = match wanted {
            Wanted::Logits => (arena.logits, self.program.config.vocab_size),
            Wanted::Likeliest => (step.likeliest(), 1),
        };
        let mut bytes = vec![0; rows * width * 4];
        self.read_back(arena, &mut [(from, &mut bytes)])?;
        let words = bytes.as_chunks().0.iter();
        Ok(match wanted {
            Wanted::Logits => {
                Answer { logits: words.map(|word| f32::from_le_bytes(*word)).collect(), ..Answer::default() }
            }
            Wanted::Likeliest => Answer {
                likeliest: words.map(|word| i32::from_le_bytes(*word)).collect(),
                ..Answer::default()
            },
        })
    }
}

/// The lane of a row that was given one.
fn lane(row: &mut DecodeRow) -> &mut Lane {
    match &mut row.tail.grown {
        Grown::Lane(lane) => lane,
        _ => unreachable!("every row was given a lane"),
    }
}

/// The size of a step: few sizes, so that a captured pass serves many of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Size {
    rows: usize,
    /// Pieces of the longest row's keys.
    pieces: usize,
}

impl Size {
    fn of(rows: usize, longest: usize) -> Self {
        let rows = if rows <= 8 { rows.next_power_of_two() } else { rows.next_multiple_of(8) };
        Self { rows: rows.min(LOOKS), pieces: longest.div_ceil(DECODE_PIECE).next_power_of_two() }
    }
}

#[cfg(test)]
mod tests {
    use super::{DECODE_PIECE, LOOKS, Size};

    #[test]
    fn every_step_fits_its_size() {
        for rows in 1..=LOOKS {
            for longest in [1, DECODE_PIECE, DECODE_PIECE + 1, 5 * DECODE_PIECE, 100_000] {
                let size = Size::of(rows, longest);
                assert!(size.rows >= rows && size.rows <= LOOKS && size.pieces * DECODE_PIECE >= longest);
            }
        }
        let sizes: std::collections::HashSet<usize> =
            (1..=LOOKS).map(|rows| Size::of(rows, 1).rows).collect();
        assert_eq!(sizes.len(), 3 + LOOKS / 8);
    }
}
