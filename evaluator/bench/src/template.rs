use serde::{Deserialize, Serialize};

/// A text with `{field}` placeholders; `{{` and `}}` stand for the braces themselves. `{field.2}` and `{field.key}` reach
/// into lists and objects.
///
/// Values are put in as they are: braces inside data mean nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Template {
    text: String,
    pieces: Vec<Piece>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    Field(String),
}

impl Template {
    /// Puts the values in; `value` is asked once per placeholder.
    ///
    /// # Errors
    /// The first error of `value`.
    pub fn render<E>(&self, mut value: impl FnMut(&str) -> Result<String, E>) -> Result<String, E> {
        let mut out = String::with_capacity(self.text.len());
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => out.push_str(text),
                Piece::Field(name) => out.push_str(&value(name)?),
            }
        }
        Ok(out)
    }

    /// The names of its placeholders, in order of appearance.
    pub fn fields(&self) -> impl Iterator<Item = &str> {
        self.pieces.iter().filter_map(|piece| match piece {
            Piece::Field(name) => Some(name.as_str()),
            Piece::Text(_) => None,
        })
    }
}

impl Template {
    /// The placeholders that follow each other with nothing between them, run by run.
    pub(crate) fn runs(&self) -> Vec<Vec<&str>> {
        let mut runs: Vec<Vec<&str>> = Vec::new();
        let mut open = false;
        for piece in &self.pieces {
            match (piece, runs.last_mut()) {
                (Piece::Field(name), Some(run)) if open => run.push(name),
                (Piece::Field(name), _) => runs.push(vec![name]),
                (Piece::Text(_), _) => {}
            }
            open = matches!(piece, Piece::Field(_));
        }
        runs
    }

    /// Whether it says something of its own around its placeholders.
    pub(crate) fn has_words(&self) -> bool {
        self.pieces
            .iter()
            .any(|piece| matches!(piece, Piece::Text(text) if text.chars().any(char::is_alphanumeric)))
    }
}

impl TryFrom<String> for Template {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let mut pieces = Vec::new();
        let mut literal = String::new();
        let mut rest = text.as_str();
        while let Some(at) = rest.find(['{', '}']) {
            literal.push_str(&rest[..at]);
            let brace = &rest[at..=at];
            rest = &rest[at + 1..];
            if let Some(after) = rest.strip_prefix(brace) {
                literal.push_str(brace);
                rest = after;
                continue;
            }
            let field = rest.split_once('}').filter(|(name, _)| {
                brace == "{"
                    && !name.is_empty()
                    && name.chars().all(|c| c.is_alphanumeric() || c == '_' || c == '.')
            });
            let Some((name, after)) = field else {
                return Err(format!(
                    "a single \"{brace}\" in \"{text}\" is no placeholder; write {{field}}, or {brace}{brace} for the brace itself"
                ));
            };
            if !literal.is_empty() {
                pieces.push(Piece::Text(std::mem::take(&mut literal)));
            }
            pieces.push(Piece::Field(name.to_owned()));
            rest = after;
        }
        literal.push_str(rest);
        if !literal.is_empty() {
            pieces.push(Piece::Text(literal));
        }
        Ok(Self { text, pieces })
    }
}

impl From<Template> for String {
    fn from(template: Template) -> Self {
        template.text
    }
}

#[cfg(test)]
mod tests {
    use super::Template;

    fn render(text: &str) -> Result<String, String> {
        Template::try_from(text.to_owned())?.render(|name| Ok(format!("<{name}>")))
    }

    #[test]
    fn placeholders_are_replaced_and_doubled_braces_kept() {
        for (text, expected) in [
            ("", ""),
            ("質問：{question}\n", "質問：<question>\n"),
            ("{a}{b}", "<a><b>"),
            ("{choices.0}", "<choices.0>"),
            (r"\boxed{{{x}}}", r"\boxed{<x>}"),
            ("{{}}", "{}"),
        ] {
            assert_eq!(render(text).as_deref(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn placeholders_side_by_side_are_one_run() {
        let template = |text: &str| Template::try_from(text.to_owned()).expect("well-formed");
        assert_eq!(template("{before}{option1}").runs(), [["before", "option1"]]);
        assert_eq!(template("質問：{question}\n選択肢：0.{a},1.{b}").runs(), [["question"], ["a"], ["b"]]);
        assert!(template("").runs().is_empty());
        assert!(template("問題： {question}").has_words() && !template("{a}: {b}\n").has_words());
    }

    #[test]
    fn values_are_not_templates() {
        let template = Template::try_from("{a}".to_owned()).expect("well-formed");
        assert_eq!(template.render(|_| Ok::<_, String>("{b}".to_owned())).as_deref(), Ok("{b}"));
    }

    #[test]
    fn a_lonely_brace_is_refused() {
        for text in ["{", "}", "a } b", "{}", "{a b}", "{a", "{a{b}"] {
            assert!(render(text).is_err(), "{text}");
        }
    }
}
