use std::ops::Range;

use sekisho_weights::ModelConfig;

use super::Layout;
use super::forward::List;
use super::parts::Parts;
use crate::backend::{Arena, Op, Recompute};

/// Places begin at multiples of so many values: 256 bytes, what devices ask of an array.
const ALIGN: usize = 64;

impl Arena {
    /// Places for tensors of these lengths, each from the first operation that names it to the last. The largest first, each
    /// at the lowest place that is free all its life: near the least that is possible, which is what lives at the fullest
    /// moment (greedy by size, arXiv 2001.03288).
    pub(super) fn plan(lengths: &[usize], list: &[Op]) -> Self {
        let lives = lives(lengths.len(), list);
        let mut order: Vec<usize> = (0..lengths.len()).filter(|slot| !lives[*slot].is_empty()).collect();
        order.sort_by_key(|slot| (std::cmp::Reverse(lengths[*slot]), *slot));
        let mut slots = vec![0..0; lengths.len()];
        let mut placed: Vec<usize> = Vec::with_capacity(order.len());
        for slot in order {
            let together = |other: &&usize| {
                lives[**other].start < lives[slot].end && lives[slot].start < lives[**other].end
            };
            let mut taken: Vec<Range<usize>> =
                placed.iter().filter(together).map(|other| slots[*other].clone()).collect();
            taken.sort_by_key(|place| place.start);
            // Once a gap is wide enough, it ends before everything that follows.
            let start = taken.iter().fold(0, |start, place| {
                if start + lengths[slot] <= place.start {
                    start
                } else {
                    start.max(place.end.next_multiple_of(ALIGN))
                }
            });
            slots[slot] = start..start + lengths[slot];
            placed.push(slot);
        }
        let length = slots.iter().map(|place| place.end).max().unwrap_or(0);
        Self { length, slots }
    }
}

/// The operations from the first to behind the last that names each tensor.
fn lives(count: usize, list: &[Op]) -> Vec<Range<usize>> {
    let mut lives = vec![0..0; count];
    for (i, op) in list.iter().enumerate() {
        for slot in op.slots() {
            let life = &mut lives[slot.0];
            *life = if life.start == life.end { i..i + 1 } else { life.start..i + 1 };
        }
    }
    lives
}

/// Memory in bytes that a micro-batch of `rows` sequences of `length` positions takes beside parameters, gradients and
/// moments: the arena, and the tables of rotations. What single operations take for a moment is not in it.
///
/// # Panics
/// For a configuration that [is not trained](super::is_trained).
#[must_use]
pub fn activation_bytes(config: &ModelConfig, rows: usize, length: usize, recompute: Recompute) -> u64 {
    assert!(super::is_trained(config), "a family that is trained");
    let parts = Parts::new(config, &Layout::new(config));
    let (list, lengths) = List::new(config, &parts, (rows * length, length), recompute).finish();
    let values = Arena::plan(&lengths, &list).length + length * config.head_dim;
    (values * size_of::<f32>()) as u64
}

#[cfg(test)]
mod tests {
    use super::{ALIGN, lives};
    use crate::backend::{Arena, Op, Slot};
    use crate::testing::Random;

    /// Tensors of any length that live for any time.
    fn random(seed: u64) -> (Vec<usize>, Vec<Op>) {
        let mut random = Random(seed);
        let lengths: Vec<usize> = (0..60).map(|_| 1 + random.below(500)).collect();
        let list = (0..200)
            .map(|i| {
                let slot = (i / 4 + random.below(10)).min(59);
                Op::Zero { x: Slot(slot) }
            })
            .collect();
        (lengths, list)
    }

    #[test]
    fn what_lives_together_lies_apart_and_little_is_wasted() {
        for seed in 0..20 {
            let (lengths, list) = random(seed);
            let (arena, lives) = (Arena::plan(&lengths, &list), lives(lengths.len(), &list));
            for (a, (place, life)) in arena.slots.iter().zip(&lives).enumerate() {
                assert!(place.start.is_multiple_of(ALIGN) && place.end <= arena.length);
                assert!(life.is_empty() || place.len() == lengths[a]);
                for (b, (other, other_life)) in arena.slots.iter().zip(&lives).enumerate().skip(a + 1) {
                    let together = life.start < other_life.end && other_life.start < life.end;
                    let apart = place.end <= other.start || other.end <= place.start;
                    assert!(!together || apart, "tensors {a} and {b} of seed {seed}");
                }
            }
            let at = |i: usize| {
                let living = lives.iter().zip(&lengths).filter(|(life, _)| life.contains(&i));
                living.map(|(_, length)| length.next_multiple_of(ALIGN)).sum::<usize>()
            };
            let least = (0..list.len()).map(at).max().expect("operations");
            assert!(arena.length <= least * 5 / 4, "{} where {least} live", arena.length);
        }
    }
}
