//! Bytes on their way to the GPU and back. They are copied into pinned memory, from which the GPU takes them by itself while the next
//! ones are copied; so the caller's may change at once, and small writes wait for nothing. Many bytes come back the same way: the GPU
//! fills one buffer while the other one is emptied.

use std::sync::Arc;

use super::CudaError;
use super::context::{Context, Event, Pinned};
use super::machine::Ptr;

/// Bytes of a buffer; there are two.
const BUFFER: usize = 16 << 20;
/// Most bytes that are copied before the GPU may begin with them.
const PIECE: usize = 8 << 20;
/// Copies begin at multiples of it, a line of the cache.
const ALIGNMENT: usize = 64;
/// Bytes that are worth a thread of their own.
const SHARE: usize = 1 << 20;
/// Most threads that copy; more are not faster than the memory.
const THREADS: usize = 4;

/// Where the next bytes go. Both buffers are filled in turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Cursor {
    buffer: usize,
    used: usize,
}

/// A place for some bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    buffer: usize,
    start: usize,
    bytes: usize,
    /// Whether it is the first of a buffer, which must have been read by then; the other one is full.
    turned: bool,
}

impl Cursor {
    /// A place for as many of these bytes as there is room for in one piece.
    fn take(&mut self, wanted: usize) -> Place {
        let turned = self.used >= BUFFER;
        if turned {
            *self = Self { buffer: 1 - self.buffer, used: 0 };
        }
        let bytes = wanted.min(PIECE).min(BUFFER - self.used);
        let place = Place { buffer: self.buffer, start: self.used, bytes, turned };
        self.used = (self.used + bytes).next_multiple_of(ALIGNMENT);
        place
    }
}

/// Two buffers.
pub(super) struct Staging {
    cursor: Cursor,
    buffers: [(Pinned, Event); 2],
}

impl Staging {
    /// Takes the pinned memory.
    pub(super) fn new(context: &Arc<Context>) -> Result<Self, CudaError> {
        let buffer = || Ok::<_, CudaError>((Pinned::new(context, BUFFER)?, Event::new(context)?));
        Ok(Self { cursor: Cursor { buffer: 0, used: 0 }, buffers: [buffer()?, buffer()?] })
    }

    /// Copies to the GPU; the bytes are read when this returns.
    pub(super) fn write(&mut self, context: &Context, to: Ptr, bytes: &[u8]) -> Result<(), CudaError> {
        let mut done = 0;
        while done < bytes.len() {
            let place = self.cursor.take(bytes.len() - done);
            if place.turned {
                self.buffers[1 - place.buffer].1.record()?;
                self.buffers[place.buffer].1.wait()?;
            }
            let pinned = &mut self.buffers[place.buffer].0.bytes()[place.start..place.start + place.bytes];
            copy(&bytes[done..done + place.bytes], pinned);
            context.upload(to.plus(done), pinned)?;
            done += place.bytes;
        }
        Ok(())
    }
}

/// Bytes of a read that are worth the way through the buffers.
pub(super) const MANY: usize = 1 << 20;

impl Staging {
    /// Copies from the GPU, and waits for it.
    pub(super) fn read(&mut self, context: &Context, from: Ptr, bytes: &mut [u8]) -> Result<(), CudaError> {
        // What was written before is on the GPU before it fills a buffer: the stream keeps the order.
        let mut filling: Option<&mut [u8]> = None;
        let (mut number, mut begun) = (0, 0);
        for piece in bytes.chunks_mut(BUFFER) {
            let (pinned, event) = &mut self.buffers[number];
            context.download_later(from.plus(begun), &mut pinned.bytes()[..piece.len()])?;
            event.record()?;
            begun += piece.len();
            number = 1 - number;
            if let Some(before) = filling.replace(piece) {
                self.empty(number, before)?;
            }
        }
        filling.map_or(Ok(()), |last| self.empty(1 - number, last))
    }

    /// Takes what a buffer was filled with.
    fn empty(&mut self, number: usize, to: &mut [u8]) -> Result<(), CudaError> {
        let (pinned, event) = &mut self.buffers[number];
        event.wait()?;
        copy(&pinned.bytes()[..to.len()], to);
        Ok(())
    }
}

/// Copies with several threads, and not with rayon's: one of those that waits takes up other work, which may want to write too, while the
/// buffers are locked by itself.
fn copy(from: &[u8], to: &mut [u8]) {
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(THREADS);
    let share = from.len().div_ceil(threads).max(SHARE);
    let mut shares = to.chunks_mut(share).zip(from.chunks(share));
    let first = shares.next();
    std::thread::scope(|scope| {
        for (to, from) in shares {
            scope.spawn(move || to.copy_from_slice(from));
        }
        if let Some((to, from)) = first {
            to.copy_from_slice(from);
        }
    });
}

#[cfg(test)]
mod tests {
    use super::{ALIGNMENT, BUFFER, Cursor, PIECE, Place};

    #[test]
    fn places_follow_each_other_and_turn_at_the_end() {
        let mut cursor = Cursor { buffer: 0, used: 0 };
        let place = |buffer, start, bytes, turned| Place { buffer, start, bytes, turned };
        assert_eq!(cursor.take(3), place(0, 0, 3, false));
        assert_eq!(cursor.take(70), place(0, ALIGNMENT, 70, false));
        assert_eq!(cursor.take(PIECE + 1), place(0, 3 * ALIGNMENT, PIECE, false));
        let mut left = BUFFER - 3 * ALIGNMENT - PIECE;
        while left > 0 {
            let place = cursor.take(usize::MAX);
            assert_eq!((place.buffer, place.turned), (0, false));
            assert_eq!(place.start + left, BUFFER);
            left -= place.bytes;
        }
        assert_eq!(cursor.take(5), place(1, 0, 5, true));
        assert_eq!(cursor.take(5), place(1, ALIGNMENT, 5, false));
    }

    #[test]
    fn no_place_reaches_over_the_end_of_its_buffer() {
        let mut cursor = Cursor { buffer: 0, used: 0 };
        let mut last = place_end(cursor.take(1));
        for step in 0..100_000_usize {
            let place = cursor.take(1 + step * 7919 % (PIECE + 999));
            assert!(place.bytes > 0 && place.bytes <= PIECE, "{place:?}");
            assert!(place.start + place.bytes <= BUFFER, "{place:?}");
            // Nothing overlaps what was written since the buffer was begun.
            assert!(if place.turned { place.start == 0 } else { place.start >= last }, "{place:?}");
            last = place_end(place);
        }
    }

    fn place_end(place: Place) -> usize {
        place.start + place.bytes
    }
}
