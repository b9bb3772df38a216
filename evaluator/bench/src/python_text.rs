/// White space as Python's `str.strip` and `\s` know it: also the separators U+001C–U+001F, which Unicode does not count.
pub(crate) fn is_white(c: char) -> bool {
    c.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&c)
}

/// `str.strip()` of Python.
pub(crate) fn strip(text: &str) -> &str {
    text.trim_matches(is_white)
}

/// `str.rstrip()` of Python: lm-eval moves what it takes away from a context to the continuation.
#[must_use]
pub fn python_rstrip(text: &str) -> &str {
    text.trim_end_matches(is_white)
}

/// The number of pieces that `re.split(r"\s+", text)` makes: white space at an end makes an empty piece there.
pub(crate) fn words(text: &str) -> u64 {
    let mut gaps = 0;
    let mut white = false;
    for c in text.chars() {
        gaps += u64::from(is_white(c) && !white);
        white = is_white(c);
    }
    gaps + 1
}

#[cfg(test)]
mod tests {
    use super::words;

    #[test]
    fn words_are_the_pieces_between_white_space() {
        for (text, expected) in
            [("", 1), ("a", 1), ("a b", 2), (" a\n\nb ", 4), ("一\u{3000}二", 2), ("\u{1c}", 2)]
        {
            assert_eq!(words(text), expected, "{text:?}");
        }
    }
}
