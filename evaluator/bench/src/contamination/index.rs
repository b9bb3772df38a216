use std::collections::{BTreeSet, HashMap};
use std::hash::{BuildHasherDefault, Hasher};
use std::ops::Range;

use sekisho_domain::wire::ContaminationMethod;

use super::units::{Units, windows};

/// An item that stands in a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Match {
    /// Place of the item in the list that the index was made from.
    pub item: usize,
    /// What of it stands there, normalised.
    pub passage: String,
}

/// Everything that is looked for in documents.
///
/// A window of the least number of units is carried over the document, one for words and one for characters; its hash is looked up
/// once, and where it is known, the units themselves are compared, so that a collision of hashes counts for nothing.
pub struct Index {
    looked_for: Vec<bool>,
    texts: Vec<Units>,
    words: Table,
    characters: Table,
}

/// Units in a row of one of the index's texts.
#[derive(Clone, Copy)]
struct Pattern {
    item: usize,
    text: usize,
    from: usize,
    length: usize,
}

/// Patterns by the hash of their first units.
struct Table {
    /// How many first units.
    window: usize,
    patterns: Vec<Pattern>,
    by_hash: HashMap<u64, Range<usize>, BuildHasherDefault<AsItIs>>,
}

impl Index {
    /// For items that are given as parts: texts that stand for themselves, so that nothing is looked for across two of them.
    ///
    /// Of an item with parts that are long enough, every run of units as long as the method says is looked for, within each of these
    /// parts; of any other item its longest part as a whole, unless that is too short.
    #[must_use]
    pub fn new(method: ContaminationMethod, items: &[Vec<String>]) -> Self {
        let size = |n: u32| usize::try_from(n).unwrap_or(usize::MAX).max(1);
        // The least is never above the length itself.
        let [words, characters] =
            [(method.words, method.least_words), (method.characters, method.least_characters)]
                .map(|(n, least)| (size(n), size(least.min(n))));
        let of = |units: &Units| if units.are_characters() { characters } else { words };
        let (mut texts, mut looked_for) = (Vec::new(), Vec::with_capacity(items.len()));
        let (mut word_patterns, mut character_patterns) = (Vec::new(), Vec::new());
        for (item, parts) in items.iter().enumerate() {
            let chosen = chosen(parts, &of);
            looked_for.push(!chosen.is_empty());
            for units in chosen {
                let (n, least) = of(&units);
                let length = n.min(units.len());
                let known = if units.are_characters() { &mut character_patterns } else { &mut word_patterns };
                // A window of the least length begins at every place, and a pattern only where it still fits.
                let firsts =
                    windows(&units.hashes(), least).take(units.len() + 1 - length).collect::<Vec<_>>();
                let text = texts.len();
                known.extend(
                    firsts.into_iter().map(|(from, hash)| (hash, Pattern { item, text, from, length })),
                );
                texts.push(units);
            }
        }
        Self {
            looked_for,
            texts,
            words: Table::new(words.1, word_patterns),
            characters: Table::new(characters.1, character_patterns),
        }
    }

    /// Whether an item is long enough to be looked for.
    #[must_use]
    pub fn is_looked_for(&self, item: usize) -> bool {
        self.looked_for.get(item).copied().unwrap_or_default()
    }

    /// Items.
    #[must_use]
    pub fn len(&self) -> usize {
        self.looked_for.len()
    }

    /// Whether there are no items.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.looked_for.is_empty()
    }

    /// The items that stand in a document, each once, by their places; `is_known` names those that need not be found again.
    #[must_use]
    pub fn matches(&self, document: &str, is_known: impl Fn(usize) -> bool) -> Vec<Match> {
        let units = Units::of(document);
        let hashes = units.hashes();
        let mut seen = BTreeSet::new();
        let mut found = Vec::new();
        for table in [&self.words, &self.characters] {
            for (at, hash) in windows(&hashes, table.window) {
                for pattern in table.of(hash) {
                    let Pattern { item, text, from, length } = *pattern;
                    if is_known(item) || seen.contains(&item) {
                        continue;
                    }
                    if units.same(at, &self.texts[text], from, length) {
                        seen.insert(item);
                        found.push(Match { item, passage: units.shown(at..at + length) });
                    }
                }
            }
        }
        found.sort_by_key(|found| found.item);
        found
    }
}

/// The parts of an item that are looked for: those that are long enough, else the longest one, unless it is too short. `of` gives the
/// length of a run, and the least one.
fn chosen(parts: &[String], of: &dyn Fn(&Units) -> (usize, usize)) -> Vec<Units> {
    let parts: Vec<Units> = parts.iter().map(|part| Units::of(part)).collect();
    let (long, short): (Vec<Units>, Vec<Units>) =
        parts.into_iter().partition(|units| units.len() >= of(units).0);
    if !long.is_empty() {
        return long;
    }
    let whole = short.into_iter().filter(|units| units.len() >= of(units).1);
    whole.max_by_key(Units::bytes).into_iter().collect()
}

impl Table {
    fn new(window: usize, mut patterns: Vec<(u64, Pattern)>) -> Self {
        patterns.sort_by_key(|(hash, _)| *hash);
        let mut by_hash = HashMap::default();
        let mut from = 0;
        for same in patterns.chunk_by(|(a, _), (b, _)| a == b) {
            by_hash.insert(same[0].0, from..from + same.len());
            from += same.len();
        }
        Self { window, patterns: patterns.into_iter().map(|(_, pattern)| pattern).collect(), by_hash }
    }

    fn of(&self, hash: u64) -> &[Pattern] {
        self.by_hash.get(&hash).map_or(&[], |range| &self.patterns[range.clone()])
    }
}

/// The keys are hashes already.
#[derive(Default)]
struct AsItIs(u64);

impl Hasher for AsItIs {
    fn finish(&self) -> u64 {
        // The table looks at the lowest and the highest bits; those of a polynomial are the least mixed.
        self.0 ^ (self.0 >> 32)
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}
