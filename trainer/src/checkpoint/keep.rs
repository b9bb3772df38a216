use std::collections::BTreeSet;

use sekisho_weights::read_manifest;

use super::State;
use crate::folder::RunFolder;
use crate::parent;
use crate::spec::{Checkpoint, Keep, is_dense_early};

/// A checkpoint, as the rules see it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Held {
    pub(crate) step: u64,
    /// What it takes on the disk.
    bytes: u64,
    /// Mean loss before it; none of one that a version without this wrote.
    loss: Option<f64>,
    /// A child began here, or a resume or a return would: at the newest, and the newest of those that were due.
    needed: bool,
}

/// The complete checkpoints of a run in order. What no rule asks for is not read.
pub(crate) fn held(folder: &RunFolder, section: &Checkpoint) -> std::io::Result<Vec<Held>> {
    let rules = &section.keep;
    if rules.is_empty() {
        return Ok(Vec::new());
    }
    let asks_for = |rule: fn(&Keep) -> bool| rules.iter().any(rule);
    let (space, best) =
        (asks_for(|rule| matches!(rule, Keep::Space(_))), asks_for(|rule| matches!(rule, Keep::Best(_))));
    let steps = folder.checkpoints()?;
    let begun_at = parent::begun_at(folder);
    let newest = [steps.last(), steps.iter().rfind(|step| section.is_due(**step))];
    let one = |step| {
        let path = folder.checkpoint(step);
        // One that cannot be read is no candidate for the best, and takes no room that is known of.
        let manifest = read_manifest(&path).ok().filter(|_| space);
        let state = State::read(&path).ok().filter(|_| best);
        Held {
            step,
            bytes: manifest.map_or(0, |manifest| manifest.files.iter().map(|file| file.size).sum()),
            loss: state.and_then(|state| state.loss.mean()),
            needed: newest.contains(&Some(&step)) || begun_at.contains(&step),
        }
    };
    Ok(steps.iter().copied().map(one).collect())
}

/// Whether a checkpoint is kept however many follow it.
pub(crate) fn is_permanent(step: u64, rules: &[Keep]) -> bool {
    let bounded = rules.iter().any(|rule| matches!(rule, Keep::Space(_)));
    !bounded && (rules.is_empty() || rules.iter().any(|rule| keeps_by_number(*rule, step)))
}

fn keeps_by_number(rule: Keep, step: u64) -> bool {
    match rule {
        Keep::Every(n) => step.is_multiple_of(n),
        Keep::DenseEarly => is_dense_early(step),
        Keep::Last(_) | Keep::Best(_) | Keep::Space(_) => false,
    }
}

/// The checkpoints that are to go: those that no rule keeps, then the oldest until the rest fits into [`Keep::Space`], the best ones
/// last. What is needed stays even if it does not fit.
pub(crate) fn removable(held: &[Held], rules: &[Keep]) -> Vec<u64> {
    let best = best(held, rules);
    let mut kept: Vec<Held> = held.to_vec();
    if rules.iter().any(|rule| !matches!(rule, Keep::Space(_))) {
        let last =
            rules.iter().filter_map(|rule| if let Keep::Last(n) = rule { Some(*n) } else { None }).max();
        let newest = held.iter().rev().take(usize::try_from(last.unwrap_or(0)).unwrap_or(usize::MAX));
        let newest: BTreeSet<u64> = newest.map(|one| one.step).collect();
        kept.retain(|one| {
            one.needed
                || newest.contains(&one.step)
                || best.contains(&one.step)
                || rules.iter().any(|rule| keeps_by_number(*rule, one.step))
        });
    }
    let space = rules.iter().filter_map(|rule| if let Keep::Space(n) = rule { Some(*n) } else { None }).min();
    while let Some(space) = space
        && kept.iter().map(|one| one.bytes).sum::<u64>() > space
    {
        let oldest =
            |of_best: bool| kept.iter().position(|one| !one.needed && best.contains(&one.step) == of_best);
        let Some(place) = oldest(false).or_else(|| oldest(true)) else { break };
        kept.remove(place);
    }
    let kept: BTreeSet<u64> = kept.iter().map(|one| one.step).collect();
    held.iter().map(|one| one.step).filter(|step| !rules.is_empty() && !kept.contains(step)).collect()
}

/// Those of the lowest loss, the earlier of two equal ones.
fn best(held: &[Held], rules: &[Keep]) -> BTreeSet<u64> {
    let count = rules.iter().filter_map(|rule| if let Keep::Best(n) = rule { Some(*n) } else { None }).max();
    let mut ranked: Vec<(f64, u64)> = held.iter().filter_map(|one| Some((one.loss?, one.step))).collect();
    ranked.sort_by(|(a, _), (b, _)| a.total_cmp(b));
    let count = usize::try_from(count.unwrap_or(0)).unwrap_or(usize::MAX);
    ranked.into_iter().take(count).map(|(_, step)| step).collect()
}

#[cfg(test)]
mod tests {
    use super::{Held, is_permanent, removable};
    use crate::spec::Keep;

    #[test]
    fn rules_add_up_until_there_is_no_room() {
        // 400 is the best, 500 the next; a child began at 200, and 600 is the newest.
        let losses = [3.0, 2.9, 2.8, 2.1, 2.2, 2.5];
        let held: Vec<Held> = (1..=6)
            .zip(losses)
            .map(|(n, loss)| Held { step: n * 100, bytes: 10, loss: Some(loss), needed: [2, 6].contains(&n) })
            .collect();
        for (rules, removed) in [
            (&[][..], &[][..]),
            (&[Keep::Last(2)], &[100, 300, 400]),
            (&[Keep::Every(300)], &[100, 400, 500]),
            (&[Keep::Every(300), Keep::Last(3)], &[100]),
            (&[Keep::Last(99)], &[]),
            (&[Keep::Best(1)], &[100, 300, 500]),
            (&[Keep::Best(2), Keep::Last(1)], &[100, 300]),
            (&[Keep::DenseEarly], &[]),
            (&[Keep::Space(60)], &[]),
            (&[Keep::Space(40)], &[100, 300]),
            (&[Keep::Space(39), Keep::Best(1)], &[100, 300, 500]),
            (&[Keep::Space(30), Keep::Best(1), Keep::Last(3)], &[100, 300, 500]),
            (&[Keep::Space(20), Keep::Best(1), Keep::Last(3)], &[100, 300, 400, 500]),
            (&[Keep::Space(1)], &[100, 300, 400, 500]),
        ] {
            assert_eq!(removable(&held, rules), removed, "{rules:?}");
        }
        let unknown: Vec<Held> = held.iter().map(|one| Held { loss: None, ..*one }).collect();
        assert_eq!(removable(&unknown, &[Keep::Best(1)]), [100, 300, 400, 500]);
    }

    #[test]
    fn nothing_is_permanent_where_room_is_bounded() {
        assert!(is_permanent(600, &[]) && is_permanent(600, &[Keep::Every(300), Keep::Last(1)]));
        assert!(
            is_permanent(70, &[Keep::DenseEarly]) && !is_permanent(71, &[Keep::DenseEarly, Keep::Last(9)])
        );
        assert!(!is_permanent(600, &[Keep::Every(300), Keep::Space(1)]));
    }
}
