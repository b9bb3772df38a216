use std::ops::Range;

use sekisho_weights::ModelConfig;

use super::forward::{List, Shape};
use super::parts::Parts;
use super::{Layout, MicroBatch};
use crate::backend::{Arena, CPU_KEEPING, Extent, Keeping, Op, Place, Recompute};

/// Places begin at multiples of so many bytes, what devices ask of an array.
const ALIGN: usize = 256;

impl Arena {
    /// Places for tensors of these sizes, each from the first operation that names it to the last. The largest first, each at the
    /// lowest place that is free all its life: near the least that is possible, which is what lives at the fullest moment (greedy by
    /// size, arXiv 2001.03288).
    pub(super) fn plan(extents: &[Extent], list: &[Op], keeping: Keeping) -> Self {
        let lives = lives(extents.len(), list);
        let place = |extent: &Extent| Place {
            start: 0,
            bytes: extent.values * keeping.size(extent.width),
            extent: *extent,
        };
        let mut slots: Vec<Place> = extents.iter().map(place).collect();
        let mut order: Vec<usize> = (0..slots.len()).filter(|slot| !lives[*slot].is_empty()).collect();
        order.sort_by_key(|slot| (std::cmp::Reverse(slots[*slot].bytes), *slot));
        let mut placed: Vec<usize> = Vec::with_capacity(order.len());
        for slot in order {
            let together = |other: &&usize| {
                lives[**other].start < lives[slot].end && lives[slot].start < lives[**other].end
            };
            let mut taken: Vec<Place> = placed.iter().filter(together).map(|other| slots[*other]).collect();
            taken.sort_by_key(|place| place.start);
            let bytes = slots[slot].bytes;
            // Once a gap is wide enough, it ends before everything that follows.
            slots[slot].start = taken.iter().fold(0, |start, place| {
                if start + bytes <= place.start {
                    start
                } else {
                    start.max((place.start + place.bytes).next_multiple_of(ALIGN))
                }
            });
            placed.push(slot);
        }
        let ends = placed.iter().map(|slot| slots[*slot].start + slots[*slot].bytes);
        Self { bytes: ends.max().unwrap_or(0).next_multiple_of(ALIGN), slots }
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

/// The list of a step, and where its tensors lie.
pub(crate) fn planned(
    config: &ModelConfig,
    micro: MicroBatch,
    recompute: Recompute,
    keeping: Keeping,
) -> (Vec<Op>, Arena) {
    let parts = Parts::new(config, &Layout::new(config));
    let shape = Shape { rows: micro.sequences * micro.length, length: micro.length };
    let (list, extents) = List::new(config, &parts, shape, recompute, keeping).finish();
    let arena = Arena::plan(&extents, &list, keeping);
    (list, arena)
}

/// Memory in bytes that a micro-batch of `rows` sequences of `length` positions takes on the CPU beside parameters, gradients and
/// moments: the arena, and the tables of rotations. What single operations take for a moment is not in it.
///
/// # Panics
/// For a configuration that [is not trained](super::is_trained).
#[must_use]
pub fn activation_bytes(config: &ModelConfig, rows: usize, length: usize, recompute: Recompute) -> u64 {
    assert!(super::is_trained(config), "a family that is trained");
    let (_, arena) = planned(config, MicroBatch { sequences: rows, length }, recompute, CPU_KEEPING);
    (arena.bytes + length * config.head_dim * size_of::<f32>()) as u64
}

#[cfg(test)]
mod tests {
    use super::{ALIGN, lives};
    use crate::backend::{Arena, Extent, Keeping, Op, Slot, Width};
    use crate::testing::Random;

    const KEEPING: Keeping = Keeping { narrow: 2, logits: 1, tile: 1 };

    /// Tensors of any size that live for any time.
    fn random(seed: u64) -> (Vec<Extent>, Vec<Op>) {
        let mut random = Random(seed);
        let extents: Vec<Extent> = (0..60)
            .map(|i| Extent {
                values: 1 + random.below(5_000),
                width: if i % 3 == 0 { Width::Wide } else { Width::Narrow },
            })
            .collect();
        let list = (0..200)
            .map(|i| {
                let slot = (i / 4 + random.below(10)).min(59);
                Op::Zero { x: Slot(slot) }
            })
            .collect();
        (extents, list)
    }

    #[test]
    fn what_lives_together_lies_apart_and_little_is_wasted() {
        for seed in 0..20 {
            let (extents, list) = random(seed);
            let (arena, lives) = (Arena::plan(&extents, &list, KEEPING), lives(extents.len(), &list));
            for (a, (place, life)) in arena.slots.iter().zip(&lives).enumerate() {
                assert!(place.start.is_multiple_of(ALIGN) && place.start + place.bytes <= arena.bytes);
                let size = if a.is_multiple_of(3) { 4 } else { 2 };
                assert!(place.extent == extents[a] && place.bytes == size * extents[a].values);
                for (b, (other, other_life)) in arena.slots.iter().zip(&lives).enumerate().skip(a + 1) {
                    let together = life.start < other_life.end && other_life.start < life.end;
                    let apart =
                        place.start + place.bytes <= other.start || other.start + other.bytes <= place.start;
                    assert!(!together || apart, "tensors {a} and {b} of seed {seed}");
                }
            }
            let at = |i: usize| {
                let living = lives.iter().zip(&arena.slots).filter(|(life, _)| life.contains(&i));
                living.map(|(_, place)| place.bytes.next_multiple_of(ALIGN)).sum::<usize>()
            };
            let least = (0..list.len()).map(at).max().expect("operations");
            assert!(arena.bytes <= least * 5 / 4, "{} where {least} live", arena.bytes);
        }
    }
}
