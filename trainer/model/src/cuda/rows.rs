//! Hidden states in a machine's memory.

use std::sync::Arc;

use super::machine::{Memory, Ptr};

/// Some rows of an array that several edges share.
#[derive(Clone)]
pub(crate) struct Rows {
    memory: Arc<Memory>,
    first: usize,
    len: usize,
}

impl Rows {
    /// Rows `first..first + len` of an array.
    pub(crate) fn new(memory: Arc<Memory>, first: usize, len: usize) -> Self {
        Self { memory, first, len }
    }

    /// How many there are.
    pub(crate) const fn len(&self) -> usize {
        self.len
    }

    /// The array that they are rows of.
    pub(crate) fn array(&self) -> Ptr {
        self.memory.start()
    }

    /// Whether both are rows of one array.
    pub(crate) fn same_array(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.memory, &other.memory)
    }

    /// The number of one of them in that array.
    pub(crate) fn index(&self, row: usize) -> i32 {
        i32::try_from(self.first + row).expect("a batch has fewer than 2^31 rows")
    }
}
