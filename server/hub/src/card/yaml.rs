//! YAML scalars and the lines of front matter.

/// A YAML scalar: plain where that is safe in flow style too, else quoted. JSON strings are YAML strings, but for letters
/// that YAML does not print.
pub(super) fn scalar(text: &str) -> String {
    let plain = text.starts_with(|first: char| first.is_ascii_alphabetic())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '/'))
        && !["true", "false", "null", "yes", "no", "on", "off", "y", "n"]
            .contains(&text.to_lowercase().as_str());
    if plain {
        return text.to_owned();
    }
    let quoted = serde_json::Value::from(text).to_string();
    let mut out = String::with_capacity(quoted.len());
    for letter in quoted.chars() {
        match letter {
            '\u{7f}'..='\u{9f}' | '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}' => {
                out.push_str(&format!("\\u{:04x}", u32::from(letter)));
            }
            _ => out.push(letter),
        }
    }
    out
}

/// Lines between `---` and `---`.
pub(super) struct FrontMatter(Vec<String>);

impl FrontMatter {
    pub(super) fn new() -> Self {
        Self(vec!["---".to_owned()])
    }

    /// `key: value`, `key: [a, b]`, or nothing.
    pub(super) fn list<T: AsRef<str>>(&mut self, key: &str, items: &[T]) {
        match items {
            [] => {}
            [one] => self.0.push(format!("{key}: {}", scalar(one.as_ref()))),
            many => self.sequence(key, many),
        }
    }

    /// `key: [a]`, for keys that the Hub takes as a list only.
    pub(super) fn sequence<T: AsRef<str>>(&mut self, key: &str, items: &[T]) {
        let items: Vec<String> = items.iter().map(|item| scalar(item.as_ref())).collect();
        self.0.push(format!("{key}: [{}]", items.join(", ")));
    }

    /// `key: value`.
    pub(super) fn value(&mut self, key: &str, value: &str) {
        self.list(key, &[value]);
    }

    /// Lines as they stand.
    pub(super) fn lines(&mut self, lines: impl IntoIterator<Item = String>) {
        self.0.extend(lines);
    }

    /// With the lines that close it.
    pub(super) fn finish(mut self) -> String {
        self.0.push("---\n\n".to_owned());
        self.0.join("\n")
    }
}

#[cfg(test)]
mod tests {
    use super::scalar;

    const TEXTS: [&str; 17] = [
        "apache-2.0",
        "no",
        "1e3",
        "llm-jp-eval@1.3",
        "a: b",
        "a\"b",
        "",
        "---",
        "a\n---\nb",
        "*a",
        "&a",
        "# x",
        "a\u{0}\u{7f}\u{85}\u{2028}\u{feff}b",
        "日本語😀",
        "[a, b]",
        "2026-12-01",
        "NULL",
    ];

    #[test]
    fn scalars_that_yaml_would_read_otherwise_are_quoted() {
        for (text, yaml) in [
            ("apache-2.0", "apache-2.0"),
            ("no", "\"no\""),
            ("1e3", "\"1e3\""),
            ("llm-jp-eval@1.3", "\"llm-jp-eval@1.3\""),
            ("a: b", "\"a: b\""),
            ("a\"b", "\"a\\\"b\""),
            ("", "\"\""),
        ] {
            assert_eq!(scalar(text), yaml);
        }
    }

    #[test]
    fn a_yaml_parser_reads_back_what_was_written() {
        for text in TEXTS {
            let written = format!("key: {}\nlist: [{}, x]\n", scalar(text), scalar(text));
            let read: serde_json::Value = serde_saphyr::from_str(&written).expect(&written);
            assert_eq!(read, serde_json::json!({"key": text, "list": [text, "x"]}), "{written}");
        }
    }
}
