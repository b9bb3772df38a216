//! The next batch, read beside the computation. What is remembered of the place in the data is the place of what was handed out: a batch
//! that was read and never asked for leaves no trace.

use std::sync::Arc;
use std::thread::JoinHandle;

use super::{Corpora, DataError, Position, UpdateBatch};

/// A place after a batch, and the batch; none where the corpora have fewer samples left.
pub(super) type Drawn = (Position, Result<Option<UpdateBatch>, DataError>);

/// A batch that is being read.
pub(super) struct Ahead {
    from: Position,
    sequences: usize,
    thread: JoinHandle<Drawn>,
}

impl Ahead {
    /// Begins to read. A thread of its own: those that compute never wait for a disk, and never for each other because of it.
    pub(super) fn begin(corpora: &Arc<Corpora>, from: Position, sequences: usize) -> std::io::Result<Self> {
        let (corpora, place) = (Arc::clone(corpora), from.clone());
        let thread = std::thread::Builder::new()
            .name("data".to_owned())
            .spawn(move || corpora.draw_one_by_one(place, sequences))?;
        Ok(Self { from, sequences, thread })
    }

    /// The batch, if it is this one; what was read for another place is dropped.
    pub(super) fn take(self, from: &Position, sequences: usize) -> Option<Drawn> {
        if self.from != *from || self.sequences != sequences {
            return None;
        }
        match self.thread.join() {
            Ok(drawn) => Some(drawn),
            Err(panic) => std::panic::resume_unwind(panic),
        }
    }
}
