//! Rows that generate: each has a lane of a table of slots in the machine's memory, which is written when it begins.

use std::sync::{Arc, Mutex, PoisonError};

use super::CudaError;
use super::machine::{Machine, Memory, Ptr};
use super::pages::{PAGE, Slots};

/// Lengths of lanes are multiples of it, so that a table seldom grows.
const STEP: usize = 1024;

/// The table `[lanes, stride]` of slots.
#[derive(Default)]
pub(crate) struct Lanes {
    memory: Option<Memory>,
    lanes: usize,
    stride: usize,
    /// Counts the tables that there were.
    edition: u64,
    numbers: Arc<Mutex<Numbers>>,
}

/// Which lanes are taken.
#[derive(Default)]
struct Numbers {
    free: Vec<usize>,
    next: usize,
}

/// A row's lane, and the slots of what it has generated.
pub(crate) struct Lane {
    number: usize,
    numbers: Arc<Mutex<Numbers>>,
    slots: Slots,
    /// Tokens generated so far, each of which has its slot.
    len: usize,
    /// The table, and how many of [`Self::slots`] it knows.
    written: (u64, usize),
}

impl Lane {
    /// Tokens generated so far.
    pub(crate) const fn len(&self) -> usize {
        self.len
    }

    /// Makes room for one more token; says whether there is.
    pub(crate) fn reserve(&mut self) -> bool {
        self.len < self.slots.len() || self.slots.grow(PAGE)
    }

    /// The slot of the next token.
    pub(crate) fn next_slot(&self) -> i32 {
        self.slots.slot(self.len)
    }

    /// One more was generated.
    pub(crate) fn advance(&mut self) {
        self.len += 1;
    }

    /// Positions that it could have behind so many of a prompt.
    fn room(&self, prompt: usize) -> usize {
        prompt + self.slots.len()
    }
}

impl Drop for Lane {
    fn drop(&mut self) {
        self.numbers.lock().unwrap_or_else(PoisonError::into_inner).free.push(self.number);
    }
}

impl Lanes {
    /// A lane of its own for a row that will generate about `limit` tokens into `slots`; none without room for them.
    pub(crate) fn begin(&self, mut slots: Slots, limit: usize) -> Option<Lane> {
        if !slots.grow(limit.max(1)) {
            return None;
        }
        let mut numbers = self.numbers.lock().unwrap_or_else(PoisonError::into_inner);
        let number = numbers.free.pop().unwrap_or_else(|| {
            numbers.next += 1;
            numbers.next - 1
        });
        Some(Lane { number, numbers: Arc::clone(&self.numbers), slots, len: 0, written: (0, 0) })
    }

    /// Where a lane begins in the table, in numbers.
    pub(crate) fn start(&self, lane: &Lane) -> i32 {
        i32::try_from(lane.number * self.stride).expect("a table has fewer than 2^31 numbers")
    }

    /// The table, in which these rows' slots are written: of each its lane and the slots of its prompt.
    ///
    /// # Errors
    /// [`CudaError::OutOfMemory`], and what a copy says.
    pub(crate) fn table<'a, P: FnOnce() -> Vec<i32>>(
        &mut self,
        rows: impl Iterator<Item = (&'a mut Lane, usize, P)>,
        machine: &dyn Machine,
    ) -> Result<Ptr, CudaError> {
        let rows: Vec<_> = rows.collect();
        let lanes = rows.iter().map(|(lane, ..)| lane.number + 1).max().unwrap_or(0);
        let stride = rows.iter().map(|(lane, prompt, _)| lane.room(*prompt)).max().unwrap_or(0);
        if lanes > self.lanes || stride > self.stride || self.memory.is_none() {
            self.lanes = self.lanes.max(lanes.next_power_of_two());
            self.stride = self.stride.max(stride.next_multiple_of(STEP));
            self.memory = None;
            self.memory = Some(machine.reserve(self.lanes * self.stride * size_of::<i32>())?);
            self.edition += 1;
        }
        let table = self.memory.as_ref().expect("it was made above").start();
        for (lane, prompt, slots) in rows {
            let to = table.plus(lane.number * self.stride * size_of::<i32>());
            let (edition, known) = lane.written;
            let known = if edition == self.edition { prompt + known } else { 0 };
            let all = lane.room(prompt);
            if known == all && edition == self.edition {
                continue;
            }
            let tail = lane.slots.all();
            let words: Vec<i32> = if known == 0 {
                slots().into_iter().chain(tail).collect()
            } else {
                tail.skip(known - prompt).collect()
            };
            let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
            machine.write(to.plus(known * size_of::<i32>()), &bytes)?;
            lane.written = (self.edition, lane.slots.len());
        }
        Ok(table)
    }
}
