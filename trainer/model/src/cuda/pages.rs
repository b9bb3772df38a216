//! The cache of keys and values in pages, on the side of the host: which slots belong to which tokens.

use std::sync::{Arc, Mutex, PoisonError};

/// Slots of a page. An edge of the trie takes whole pages, so that a short one wastes little and a long one is few numbers.
pub(crate) const PAGE: usize = 16;

/// The pages that nobody holds.
pub(crate) struct Pool {
    free: Mutex<Vec<u32>>,
    pages: usize,
}

impl Pool {
    /// So many pages, all of them free.
    pub(crate) fn new(pages: usize) -> Arc<Self> {
        let numbers = (0..u32::try_from(pages).unwrap_or(u32::MAX)).rev();
        Arc::new(Self { free: Mutex::new(numbers.collect()), pages })
    }

    /// Pages in all.
    pub(crate) const fn pages(&self) -> usize {
        self.pages
    }

    /// Pages that nobody holds.
    pub(crate) fn free(&self) -> usize {
        self.free.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Takes pages, all of them or none.
    fn take(&self, count: usize) -> Option<Vec<u32>> {
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        let rest = free.len().checked_sub(count)?;
        Some(free.drain(rest..).rev().collect())
    }

    fn give_back(&self, pages: &mut Vec<u32>) {
        self.free.lock().unwrap_or_else(PoisonError::into_inner).extend(pages.drain(..).rev());
    }
}

/// The slots of consecutive tokens. They go back to the pool with it: an edge is pinned for as long as somebody holds it.
pub(crate) struct Slots {
    pool: Arc<Pool>,
    pages: Vec<u32>,
    len: usize,
}

impl Slots {
    /// Of no tokens yet.
    pub(crate) const fn none(pool: Arc<Pool>) -> Self {
        Self { pool, pages: Vec::new(), len: 0 }
    }

    /// Tokens that have one.
    pub(crate) const fn len(&self) -> usize {
        self.len
    }

    /// Pages held.
    pub(crate) const fn pages(&self) -> usize {
        self.pages.len()
    }

    /// Takes slots for more tokens. Without room for all of them, says so and takes none.
    pub(crate) fn grow(&mut self, tokens: usize) -> bool {
        let pages = (self.len + tokens).div_ceil(PAGE);
        let Some(more) = self.pool.take(pages - self.pages.len()) else { return false };
        self.pages.extend(more);
        self.len += tokens;
        true
    }

    /// The slot of a token.
    pub(crate) fn slot(&self, token: usize) -> i32 {
        let slot = self.pages[token / PAGE] as usize * PAGE + token % PAGE;
        i32::try_from(slot).expect("a cache has fewer than 2^31 slots")
    }

    /// The slots of all tokens.
    pub(crate) fn all(&self) -> impl Iterator<Item = i32> {
        (0..self.len).map(|token| self.slot(token))
    }
}

impl Drop for Slots {
    fn drop(&mut self) {
        self.pool.give_back(&mut self.pages);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::sync::Arc;

    use super::{PAGE, Pool, Slots};
    use crate::testing::Random;

    #[test]
    fn no_slot_belongs_to_two_and_all_come_back() {
        let pool = Pool::new(40);
        let mut random = Random(1);
        let mut held: Vec<Slots> = Vec::new();
        for _ in 0..2_000 {
            match random.below(3) {
                0 => held.push(Slots::none(Arc::clone(&pool))),
                1 if !held.is_empty() => drop(held.swap_remove(random.below(held.len()))),
                _ if !held.is_empty() => {
                    let chosen = random.below(held.len());
                    let (more, before) = (random.below(70), held[chosen].len());
                    let free = pool.free();
                    let grown = held[chosen].grow(more);
                    assert_eq!(held[chosen].len(), if grown { before + more } else { before });
                    assert!(grown || pool.free() == free, "what does not fit takes nothing");
                }
                _ => {}
            }
            let slots: Vec<i32> = held.iter().flat_map(Slots::all).collect();
            assert_eq!(slots.iter().collect::<BTreeSet<_>>().len(), slots.len());
            assert!(slots.iter().all(|slot| (0..40 * PAGE as i32).contains(slot)));
            assert_eq!(pool.free() + held.iter().map(Slots::pages).sum::<usize>(), pool.pages());
        }
        drop(held);
        assert_eq!(pool.free(), 40);
    }
}
