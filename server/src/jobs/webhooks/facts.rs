//! The parts of sentences: what is not known is left out, and the sentence stays one.

use std::fmt::Display;

use sekisho_domain::{Language, Text};

use crate::web::i18n::Words as _;

/// Longest quotation of what a person or a program said.
const LONGEST: usize = 500;

/// A sentence in both languages.
pub(super) fn both(of: impl Fn(Language) -> String) -> Text {
    Text { en: of(Language::En), ja: of(Language::Ja) }
}

/// What somebody said, on one line and not too long.
pub(super) fn quoted(text: &str) -> String {
    let visible = |c: char| {
        if c.is_control() || "\u{202a}\u{202b}\u{202d}\u{202e}\u{2066}\u{2067}\u{2068}".contains(c) {
            ' '
        } else {
            c
        }
    };
    let line: String = text.chars().map(visible).collect();
    let line = line.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

/// Facts of a sentence, in its language, in their order.
pub(super) struct Facts {
    lang: Language,
    all: Vec<String>,
}

impl Facts {
    pub(super) const fn new(lang: Language) -> Self {
        Self { lang, all: Vec::new() }
    }

    /// A fact under its key in the catalogue, when its value is known.
    pub(super) fn with(mut self, key: &str, value: Option<impl Display>) -> Self {
        self.all.extend(value.map(|value| self.lang.fill(key, &[("n", &value)])));
        self
    }

    /// `（a、b）`, or nothing.
    pub(super) fn in_brackets(self) -> String {
        let (lang, list) = (self.lang, self.list());
        if list.is_empty() { list } else { lang.fill("webhook_text.brackets", &[("facts", &list)]) }
    }

    /// `a、b`.
    pub(super) fn list(self) -> String {
        self.all.join(self.lang.t("common.comma"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_somebody_said_stays_on_one_line() {
        assert_eq!(quoted("a\n b\t\u{202e}c\r\n"), "a b c");
        assert_eq!(quoted(&"関".repeat(600)).chars().count(), 501);
    }
}
