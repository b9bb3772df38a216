//! Cosines and sines of positions in a machine's memory.

use super::CudaError;
use super::machine::{Machine, Memory, Ptr};
use crate::ops::rope::Rope;

/// Positions that a table begins with.
const FIRST: usize = 4096;

/// A table that grows with the longest sequence.
pub(crate) struct Angles {
    rope: Rope,
    memory: Option<Memory>,
    positions: usize,
}

impl Angles {
    /// Of no positions yet.
    pub(crate) const fn new(rope: Rope) -> Self {
        Self { rope, memory: None, positions: 0 }
    }

    /// The table `[positions, dim / 2, 2]` of at least so many positions.
    ///
    /// # Errors
    /// [`CudaError::OutOfMemory`].
    pub(crate) fn of(&mut self, positions: usize, machine: &dyn Machine) -> Result<Ptr, CudaError> {
        if let Some(memory) = self.memory.as_ref().filter(|_| positions <= self.positions) {
            return Ok(memory.start());
        }
        let positions = positions.max(FIRST).next_power_of_two();
        let table = self.rope.table(0..positions);
        let pairs = table.cos.iter().zip(&table.sin);
        let bytes: Vec<u8> =
            pairs.flat_map(|(cos, sin)| [cos.to_le_bytes(), sin.to_le_bytes()].concat()).collect();
        let memory = machine.reserve(bytes.len())?;
        machine.write(memory.start(), &bytes)?;
        self.positions = positions;
        Ok(self.memory.insert(memory).start())
    }
}
