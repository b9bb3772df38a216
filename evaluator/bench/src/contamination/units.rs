use std::ops::Range;

use unicode_normalization::UnicodeNormalization as _;
use unicode_normalization::char::is_combining_mark;

/// A text as a sequence of units: NFKC, lower case, without punctuation, symbols and white space. A unit is one character of a
/// script that puts no spaces between words (Han, kana, Bopomofo), else one word: letters, digits and marks in a row.
pub(super) struct Units {
    /// The units, one after the other.
    text: String,
    /// Where each begins in `text`, and where the last one ends.
    bounds: Vec<usize>,
    /// Units that are single characters.
    characters: usize,
}

impl Units {
    pub(super) fn of(text: &str) -> Self {
        let mut units = Self { text: String::with_capacity(text.len()), bounds: vec![0], characters: 0 };
        for c in text.nfkc().flat_map(char::to_lowercase) {
            if is_character(c) {
                units.close();
                units.text.push(c);
                units.close();
                units.characters += 1;
            } else if c.is_alphanumeric() || (is_combining_mark(c) && units.is_open()) {
                units.text.push(c);
            } else if !is_ignored(c) {
                units.close();
            }
        }
        units.close();
        units
    }

    /// Ends the word that has begun, if one has.
    fn close(&mut self) {
        if self.is_open() {
            self.bounds.push(self.text.len());
        }
    }

    fn is_open(&self) -> bool {
        self.bounds.last().is_some_and(|end| *end < self.text.len())
    }

    pub(super) fn len(&self) -> usize {
        self.bounds.len() - 1
    }

    /// Bytes of the text without everything that does not count.
    pub(super) fn bytes(&self) -> usize {
        self.text.len()
    }

    /// Whether it is counted in characters: more than half of its units are.
    pub(super) fn are_characters(&self) -> bool {
        self.characters * 2 > self.len()
    }

    fn slice(&self, range: Range<usize>) -> &str {
        &self.text[self.bounds[range.start]..self.bounds[range.end]]
    }

    /// A number for each unit, the same for the same unit.
    pub(super) fn hashes(&self) -> Vec<u64> {
        (0..self.len()).map(|unit| hash(self.slice(unit..unit + 1))).collect()
    }

    /// Whether `length` units from `at` on are those of `other` from `from` on.
    pub(super) fn same(&self, at: usize, other: &Self, from: usize, length: usize) -> bool {
        if at + length > self.len() || from + length > other.len() {
            return false;
        }
        // The same letters may be cut into other words.
        let cut = |units: &Self, first: usize, unit: usize| units.bounds[first + unit] - units.bounds[first];
        self.slice(at..at + length) == other.slice(from..from + length)
            && (0..length).all(|unit| cut(self, at, unit) == cut(other, from, unit))
    }

    /// The units as a person reads them: with spaces where a word stands beside something.
    pub(super) fn shown(&self, range: Range<usize>) -> String {
        let mut shown = String::new();
        let mut after_word = false;
        for unit in range {
            let unit = self.slice(unit..unit + 1);
            let is_word = !unit.starts_with(is_character);
            if !shown.is_empty() && (is_word || after_word) {
                shown.push(' ');
            }
            shown.push_str(unit);
            after_word = is_word;
        }
        shown
    }
}

/// Letters of scripts that are written without spaces: Han, hiragana, katakana, Bopomofo. The middle dot is punctuation.
const fn is_character(c: char) -> bool {
    matches!(c,
        '\u{3005}'..='\u{3007}' | '\u{3021}'..='\u{3029}' | '\u{3031}'..='\u{3035}' | '\u{303b}'
        | '\u{3041}'..='\u{3096}' | '\u{309d}'..='\u{309f}' | '\u{30a1}'..='\u{30fa}' | '\u{30fc}'..='\u{30ff}'
        | '\u{3105}'..='\u{312f}' | '\u{31a0}'..='\u{31bf}' | '\u{31f0}'..='\u{31ff}' | '\u{3400}'..='\u{4dbf}'
        | '\u{4e00}'..='\u{9fff}' | '\u{f900}'..='\u{faff}' | '\u{1b000}'..='\u{1b16f}' | '\u{20000}'..='\u{3ffff}')
}

/// What does not even end a word: apostrophes, soft hyphens, characters without width, variation selectors.
const fn is_ignored(c: char) -> bool {
    matches!(c,
        '\'' | '\u{2019}' | '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2060}'..='\u{2064}' | '\u{feff}'
        | '\u{fe00}'..='\u{fe0f}' | '\u{e0100}'..='\u{e01ef}')
}

/// FNV-1a, with its bits mixed at the end.
fn hash(unit: &str) -> u64 {
    let fnv = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    let hash = unit.bytes().fold(0xcbf2_9ce4_8422_2325, fnv);
    (hash ^ (hash >> 32)).wrapping_mul(BASE)
}

/// An odd number with irregular bits (2^64 divided by the golden ratio).
const BASE: u64 = 0x9e37_79b9_7f4a_7c15;

/// The hash of every `length` units in a row (at least 1), by the place of the first: a polynomial in [`BASE`], carried from one
/// window to the next (Karp and Rabin 1987). Equal windows have equal hashes; the reverse is for the caller to check.
pub(super) fn windows(units: &[u64], length: usize) -> impl Iterator<Item = (usize, u64)> {
    let power = (0..length).fold(1, |power: u64, _| power.wrapping_mul(BASE));
    let mut hash = 0u64;
    units.iter().enumerate().filter_map(move |(last, unit)| {
        hash = hash.wrapping_mul(BASE).wrapping_add(*unit);
        if let Some(gone) = last.checked_sub(length) {
            hash = hash.wrapping_sub(units[gone].wrapping_mul(power));
        }
        Some(((last + 1).checked_sub(length)?, hash))
    })
}
