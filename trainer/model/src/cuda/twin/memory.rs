//! The twin's memory: what lies around a piece is never to be written, and what was not written is no number.

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::cuda::machine::{Ptr, Release};

/// Bytes before and behind a piece. NaN in every type, and -1 as an index.
const ZONE: usize = 1024;
const POISON: u8 = 0xFF;
/// Where pieces begin, as the driver has it.
const ALIGNMENT: usize = 256;

/// The pieces that are handed out: their size by their first address.
pub(super) struct Pieces {
    handed_out: Mutex<BTreeMap<u64, usize>>,
}

impl Pieces {
    pub(super) fn new() -> Self {
        Self { handed_out: Mutex::new(BTreeMap::new()) }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<u64, usize>> {
        self.handed_out.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Bytes that are handed out.
    pub(super) fn total(&self) -> usize {
        self.lock().values().sum()
    }

    /// The first address and the bytes of every piece.
    pub(super) fn list(&self) -> Vec<[u64; 2]> {
        self.lock().iter().map(|(start, bytes)| [*start, *bytes as u64]).collect()
    }

    /// A new piece, filled with what is no number.
    pub(super) fn take(&self, bytes: usize) -> Ptr {
        let layout = layout(bytes);
        #[expect(unsafe_code, reason = "memory with zones around it")]
        // SAFETY: the layout is not empty, and all of it is written before anybody reads.
        let base = unsafe {
            let base = alloc(layout);
            if base.is_null() {
                handle_alloc_error(layout);
            }
            base.write_bytes(POISON, layout.size());
            base
        };
        let start = base as u64 + ZONE as u64;
        self.lock().insert(start, bytes);
        Ptr(start)
    }

    /// Whether the bytes lie in one piece.
    pub(super) fn holds(&self, start: Ptr, bytes: usize) -> bool {
        let pieces = self.lock();
        let before = pieces.range(..=start.0).next_back();
        before.is_some_and(|(first, size)| start.0 + bytes as u64 <= first + *size as u64)
    }

    /// Whether something was written beside a piece.
    pub(super) fn overwritten(&self) -> bool {
        self.lock().iter().any(|(start, bytes)| zones_written(*start, *bytes))
    }

    /// Makes all zones as they were, after that was told.
    pub(super) fn mend(&self) {
        for (start, bytes) in self.lock().iter() {
            write(Ptr(*start - ZONE as u64), &[POISON; ZONE]);
            write(Ptr(*start + *bytes as u64), &[POISON; ZONE]);
        }
    }

    /// What all pieces hold, zones included.
    pub(super) fn copy(&self) -> Vec<Vec<u8>> {
        self.lock().iter().map(|(start, bytes)| around(*start, *bytes).to_vec()).collect()
    }

    /// Puts back what [`Self::copy`] gave.
    pub(super) fn restore(&self, copy: &[Vec<u8>]) {
        for ((start, bytes), copy) in self.lock().iter().zip(copy) {
            write(Ptr(*start - ZONE as u64), &copy[..bytes + 2 * ZONE]);
        }
    }
}

impl Release for Pieces {
    fn release(&self, start: Ptr, bytes: usize) {
        let known = self.lock().remove(&start.0);
        let written = zones_written(start.0, bytes);
        #[expect(unsafe_code, reason = "memory with zones around it")]
        // SAFETY: `take` made it with this layout, and nobody holds it any more.
        unsafe {
            dealloc((start.0 - ZONE as u64) as *mut u8, layout(bytes));
        }
        if !std::thread::panicking() {
            assert_eq!(known, Some(bytes), "memory that was never handed out");
            assert!(!written, "something was written beside a piece of {bytes} bytes");
        }
    }
}

fn layout(bytes: usize) -> Layout {
    Layout::from_size_align(bytes + 2 * ZONE, ALIGNMENT).expect("a size that can be asked for")
}

/// A piece with its zones.
fn around<'a>(start: u64, bytes: usize) -> &'a [u8] {
    #[expect(unsafe_code, reason = "addresses are numbers here, as on a device")]
    // SAFETY: of a piece that is handed out; launches, the only ones to write, are done.
    unsafe {
        std::slice::from_raw_parts((start - ZONE as u64) as *const u8, bytes + 2 * ZONE)
    }
}

fn zones_written(start: u64, bytes: usize) -> bool {
    let all = around(start, bytes);
    all[..ZONE].iter().chain(&all[ZONE + bytes..]).any(|byte| *byte != POISON)
}

/// Copies to an address; the caller has looked whether it is in a piece.
pub(super) fn write(to: Ptr, bytes: &[u8]) {
    #[expect(unsafe_code, reason = "addresses are numbers here, as on a device")]
    // SAFETY: the bytes lie in a piece that is handed out.
    unsafe {
        std::ptr::copy_nonoverlapping(bytes.as_ptr(), to.0 as *mut u8, bytes.len());
    }
}

/// Copies from an address; the caller has looked whether it is in a piece.
pub(super) fn read(from: Ptr, bytes: &mut [u8]) {
    #[expect(unsafe_code, reason = "addresses are numbers here, as on a device")]
    // SAFETY: the bytes lie in a piece that is handed out.
    unsafe {
        std::ptr::copy_nonoverlapping(from.0 as *const u8, bytes.as_mut_ptr(), bytes.len());
    }
}
