use std::collections::BTreeMap;

use regex::{Captures, Regex};
use serde::{Deserialize, Serialize};
use unicode_normalization::UnicodeNormalization as _;

use crate::python_text::{is_white, strip};

/// What an answer becomes when a step finds nothing in it, in lm-eval and in the JP harness.
const INVALID: &str = "[invalid]";

/// One thing done to a text: to a generated one before it is judged, to answers and gold texts before they are compared, to
/// a field of a record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Step {
    /// Only what stands before the first occurrence of this.
    Until(String),
    /// The first match, stripped: all of it, its group, or the first of its groups that is not empty; `[invalid]` without a
    /// match. As the `regex` filter of lm-eval.
    First(Pattern),
    /// The last match, likewise.
    Last(Pattern),
    /// Every match is taken out, as Python's `re.sub(pattern, "", text)`.
    Delete(Pattern),
    /// A text that is a key becomes its value; others stay.
    Map(BTreeMap<String, String>),
    /// A text that is no number becomes this.
    NumberOr(String),
    /// A number with an integer value is written as an integer; everything else becomes `[invalid]`.
    Integer,
    /// White space at both ends is removed, as Python's `str.strip` does.
    Strip,
    /// White space at the start is removed, as Python's `str.lstrip` does.
    StripStart,
    /// These characters are removed from both ends, as Python's `str.strip(characters)` does.
    StripChars(String),
    /// Unicode NFKC.
    Nfkc,
    /// Lower case.
    Lowercase,
}

impl Step {
    /// The text after this step.
    #[must_use]
    pub fn apply(&self, text: &str) -> String {
        match self {
            Self::Until(until) => {
                text.split_once(until.as_str()).map_or(text, |(before, _)| before).to_owned()
            }
            Self::First(pattern) => found(pattern.regex.captures(text)),
            Self::Last(pattern) => found(pattern.regex.captures_iter(text).last()),
            Self::Delete(pattern) => pattern.regex.replace_all(text, "").into_owned(),
            Self::Map(map) => map.get(text).map_or(text, String::as_str).to_owned(),
            Self::NumberOr(otherwise) => {
                if text.parse::<f64>().is_ok() {
                    text.to_owned()
                } else {
                    otherwise.clone()
                }
            }
            Self::Integer => integer(text).unwrap_or_else(|| INVALID.to_owned()),
            Self::Strip => strip(text).to_owned(),
            Self::StripStart => text.trim_start_matches(is_white).to_owned(),
            Self::StripChars(characters) => text.trim_matches(|c| characters.contains(c)).to_owned(),
            Self::Nfkc => text.nfkc().collect(),
            Self::Lowercase => text.to_lowercase(),
        }
    }
}

/// The text after all steps, in order.
pub(crate) fn apply(steps: &[Step], text: &str) -> String {
    steps.iter().fold(text.to_owned(), |text, step| step.apply(&text))
}

/// What Python's `findall` gives of a match: all of it, its one group, or all of its groups.
fn found(captures: Option<Captures<'_>>) -> String {
    let Some(captures) = captures else { return INVALID.to_owned() };
    let found = match captures.len() {
        1 => captures.get(0).map(|all| all.as_str()),
        2 => Some(captures.get(1).map_or("", |group| group.as_str())),
        _ => captures.iter().skip(1).flatten().map(|group| group.as_str()).find(|group| !group.is_empty()),
    };
    found.map_or_else(|| INVALID.to_owned(), |found| strip(found).to_owned())
}

fn integer(text: &str) -> Option<String> {
    let value: f64 = text.parse().ok()?;
    // Python's `float.is_integer`; `int` writes it without a fraction.
    (value.is_finite() && value.fract() == 0.0).then(|| format!("{:.0}", value + 0.0))
}

/// A regular expression.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Pattern {
    regex: Regex,
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.regex.as_str() == other.regex.as_str()
    }
}

impl Eq for Pattern {}

impl TryFrom<String> for Pattern {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        match Regex::new(&text) {
            Ok(regex) => Ok(Self { regex }),
            Err(error) => {
                // The parser draws a picture over several lines and says what is wrong in the last one.
                let error = error.to_string();
                let reason = error.lines().last().unwrap_or_default().trim_start_matches("error: ");
                Err(format!("\"{text}\" is no regular expression of this program: {reason}"))
            }
        }
    }
}

impl From<Pattern> for String {
    fn from(pattern: Pattern) -> Self {
        pattern.regex.as_str().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::{Pattern, Step, apply};

    fn pattern(text: &str) -> Pattern {
        Pattern::try_from(text.to_owned()).expect("a regular expression")
    }

    /// What `re`, `str` and the filters of lm-eval 0.4.13 answer.
    #[test]
    fn steps_do_as_python_does() {
        let flexible = pattern(r"(-?[$0-9.,]{2,})|(-?[0-9]+)");
        for (step, text, expected) in [
            (Step::Until("\n\n".into()), "東京\n\n### 入力:", "東京"),
            (Step::Until("\n\n".into()), "\n\n東京", ""),
            (Step::First(pattern(r"#### (\-?[0-9\.\,]+)")), "1\n#### 1,234\n#### 5", "1,234"),
            (Step::Last(pattern(r"#### (\-?[0-9\.\,]+)")), "1\n#### 1,234\n#### 5", "5"),
            (Step::First(pattern(r"答えは(\-?[0-9\.\,]+)です。")), "答えは7", "[invalid]"),
            (Step::Last(flexible.clone()), "5 + 6 = 11.", "11."),
            (Step::Last(flexible), "it is 7", "7"),
            (Step::First(pattern("[a-z]+")), "1 ab cd", "ab"),
            (Step::First(pattern("a(b?)")), "a", ""),
            (Step::First(pattern("a(b?)(c?)")), "a", "[invalid]"),
            (Step::Delete(pattern("[^0-9.]")), "約2.5点", "2.5"),
            (Step::Delete(pattern("(?s).*#### ")), "a\nb #### 3", "3"),
            (Step::Map([("A".to_owned(), "0".to_owned())].into()), "A", "0"),
            (Step::Map([("A".to_owned(), "0".to_owned())].into()), "E", "E"),
            (Step::NumberOr("-2.0".into()), "2.5", "2.5"),
            (Step::NumberOr("-2.0".into()), "2.5.", "-2.0"),
            (Step::NumberOr("-2.0".into()), "", "-2.0"),
            (Step::Integer, "19.0", "19"),
            (Step::Integer, "-0.0", "0"),
            (Step::Integer, "2.5", "[invalid]"),
            (Step::Strip, " \u{3000}\u{1f}a\u{85}", "a"),
            (Step::StripStart, "\n a ", "a "),
            (Step::StripChars(".".into()), ".5..", "5"),
            (Step::Nfkc, "１９８８年", "1988年"),
            (Step::Lowercase, "Ａb", "ａb"),
        ] {
            assert_eq!(step.apply(text), expected, "{step:?} of {text:?}");
        }
        assert_eq!(apply(&[Step::Until("\n".into()), Step::Strip], " a \n b"), "a");
    }
}
