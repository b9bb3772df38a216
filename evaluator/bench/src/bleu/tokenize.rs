use std::sync::LazyLock;

use regex::Regex;

use super::Tokenize;
use crate::python_text::python_rstrip;

type Rule = (Regex, &'static str);

/// mteval-v13a's language-dependent part: ASCII punctuation apart, but not `'`; full stop and comma unless a digit stands
/// on either side; the dash behind a digit.
static V13A: LazyLock<[Rule; 4]> = LazyLock::new(|| {
    [
        rule(r"([{-~\[-` -&(-+:-@/])", " ${1} "),
        rule(r"([^0-9])([.,])", "${1} ${2} "),
        rule(r"([.,])([^0-9])", " ${1} ${2}"),
        rule(r"([0-9])(-)", "${1} ${2} "),
    ]
});

/// mteval-v14's international rules: punctuation unless a number stands on either side, symbols always.
static INTERNATIONAL: LazyLock<[Rule; 3]> = LazyLock::new(|| {
    [rule(r"(\P{N})(\p{P})", "${1} ${2} "), rule(r"(\p{P})(\P{N})", " ${1} ${2}"), rule(r"(\p{S})", " ${1} ")]
});

fn rule(pattern: &str, replacement: &'static str) -> Rule {
    (Regex::new(pattern).expect("a literal pattern"), replacement)
}

impl Tokenize {
    /// The line with spaces between its words. As in sacreBLEU, white space at its end is dropped first: the rules of
    /// `intl` see that nothing follows a final full stop.
    pub(super) fn apply(self, line: &str) -> String {
        let line = python_rstrip(line).to_owned();
        match self {
            Self::V13a => replace(unescape(&line), &*V13A),
            Self::International => replace(line, &*INTERNATIONAL),
            Self::Char => line.chars().flat_map(|c| [c, ' ']).collect(),
            Self::None => line,
        }
    }
}

/// mteval-v13a's language-independent part. The spaces around let the rules see a start and an end.
fn unescape(line: &str) -> String {
    let mut line = line.replace("<skipped>", "").replace("-\n", "").replace('\n', " ");
    for (entity, character) in [("&quot;", "\""), ("&amp;", "&"), ("&lt;", "<"), ("&gt;", ">")] {
        line = line.replace(entity, character);
    }
    format!(" {line} ")
}

fn replace(line: String, rules: &[Rule]) -> String {
    rules.iter().fold(line, |line, (pattern, with)| pattern.replace_all(&line, *with).into_owned())
}

#[cfg(test)]
mod tests {
    use super::Tokenize;
    use crate::ngram;

    /// Values of sacreBLEU 2.6.0.
    #[test]
    fn words_are_sacrebleus() {
        for (line, v13a, international) in [
            (
                "It cost $1,234.56 (about 10%) -- or so they said.",
                "It cost $ 1,234.56 ( about 10 % ) -- or so they said .",
                "It cost $ 1,234.56 ( about 10 % ) - - or so they said .",
            ),
            (
                "Tom &amp; Jerry's 3-day trip, 5-4 to U.S.A.",
                "Tom & Jerry's 3 - day trip , 5 - 4 to U . S . A .",
                "Tom & amp ; Jerry ' s 3 - day trip , 5-4 to U . S . A .",
            ),
            ("a\u{301}.b, 1,2 3.a ...", "a\u{301} . b , 1,2 3 . a . . .", "a\u{301} . b , 1,2 3 . a . . ."),
            ("「価格」は１，０００円。", "「価格」は１，０００円。", "「 価格 」 は１，０００円 。"),
            ("in 2019. ", "in 2019 .", "in 2019."),
        ] {
            for (tokenize, golden) in [(Tokenize::V13a, v13a), (Tokenize::International, international)] {
                let tokenized = tokenize.apply(line);
                assert_eq!(ngram::words(&tokenized).collect::<Vec<_>>().join(" "), golden, "{tokenize:?}");
            }
        }
    }
}
