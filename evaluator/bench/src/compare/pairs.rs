use std::collections::BTreeMap;
use std::iter::Sum;

use serde::{Deserialize, Serialize};

use super::TaskCounts;
use crate::record::{PerContext, Record};

/// Items by where they are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = ComparedItems)]
pub struct Counts {
    /// In both, with the same prompt: these are compared.
    pub shared: u64,
    /// In both, but asked with another prompt.
    pub other_prompt: u64,
    /// Only in A.
    pub only_a: u64,
    /// Only in B.
    pub only_b: u64,
}

impl Sum for Counts {
    fn sum<I: Iterator<Item = Self>>(counts: I) -> Self {
        counts.fold(Self::default(), |sum, counts| Self {
            shared: sum.shared + counts.shared,
            other_prompt: sum.other_prompt + counts.other_prompt,
            only_a: sum.only_a + counts.only_a,
            only_b: sum.only_b + counts.only_b,
        })
    }
}

/// The items of one task that both have, side by side.
pub(super) struct Task<'r> {
    pub(super) profile: &'r str,
    pub(super) task: &'r str,
    pub(super) split: &'r str,
    pub(super) a: Vec<&'r Record>,
    pub(super) b: Vec<&'r Record>,
    pub(super) counts: Counts,
}

impl Task<'_> {
    pub(super) fn counted(&self) -> TaskCounts {
        TaskCounts {
            profile: self.profile.to_owned(),
            task: self.task.to_owned(),
            split: self.split.to_owned(),
            counts: self.counts,
        }
    }
}

type Key<'r> = (&'r str, &'r str, &'r str);
type Items<'r> = BTreeMap<Key<'r>, BTreeMap<u64, &'r Record>>;

/// Every task that either has, in the order of profile, task and split.
pub(super) fn tasks<'r>(a: &'r [Record], b: &'r [Record]) -> Vec<Task<'r>> {
    let (mut a, mut b) = (items(a), items(b));
    let keys: std::collections::BTreeSet<Key<'r>> = a.keys().chain(b.keys()).copied().collect();
    keys.into_iter()
        .map(|key| task(key, &a.remove(&key).unwrap_or_default(), &b.remove(&key).unwrap_or_default()))
        .collect()
}

fn items(records: &[Record]) -> Items<'_> {
    let mut items = Items::new();
    for record in records {
        items.entry((&record.profile, &record.task, &record.split)).or_default().insert(record.item, record);
    }
    items
}

fn task<'r>(key: Key<'r>, a: &BTreeMap<u64, &'r Record>, b: &BTreeMap<u64, &'r Record>) -> Task<'r> {
    let (profile, name, split) = key;
    let mut task =
        Task { profile, task: name, split, a: Vec::new(), b: Vec::new(), counts: Counts::default() };
    for (item, ours) in a {
        match b.get(item) {
            Some(theirs) if same_question(ours, theirs) => {
                task.counts.shared += 1;
                task.a.push(ours);
                task.b.push(theirs);
            }
            Some(_) => task.counts.other_prompt += 1,
            None => task.counts.only_a += 1,
        }
    }
    task.counts.only_b = b.keys().filter(|item| !a.contains_key(item)).count() as u64;
    task
}

fn same_question(a: &Record, b: &Record) -> bool {
    if unknown(&a.prompt_sha256) || unknown(&b.prompt_sha256) {
        return a.gold == b.gold;
    }
    a.prompt_sha256 == b.prompt_sha256
}

/// No digest at all.
fn unknown(prompt: &PerContext<String>) -> bool {
    matches!(prompt, PerContext::Each(digests) if digests.is_empty())
}
