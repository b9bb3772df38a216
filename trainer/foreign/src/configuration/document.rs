//! A configuration file as a tree, of which values are taken one by one: what nobody took is left.

use serde_json::{Map, Value};

use crate::{ForeignError, number};

/// Reads TOML.
pub(super) fn toml(file: &str, text: &str) -> Result<Value, ForeignError> {
    let text = text.trim_start_matches('\u{feff}');
    toml::from_str(text).map_err(|error| {
        let rule = format!("{}; paste the whole TOML file", error.message().trim());
        match error.span() {
            Some(span) => {
                let before = text.get(..span.start).unwrap_or(text);
                ForeignError::at_line(file, before.matches('\n').count() as u64 + 1, rule)
            }
            None => ForeignError::whole(file, rule),
        }
    })
}

/// Reads YAML: one document, a mapping.
pub(super) fn yaml(file: &str, text: &str) -> Result<Value, ForeignError> {
    let found: Value = serde_saphyr::from_str(text).map_err(|error| {
        // The parser's message shows the lines around the place below its first line.
        let message = error.to_string();
        let first = message.lines().next().unwrap_or_default().trim().to_owned();
        ForeignError::whole(file, format!("is not YAML: {first}; paste the whole file"))
    })?;
    if found.is_object() {
        return Ok(found);
    }
    Err(ForeignError::whole(file, "is no YAML mapping; paste the whole configuration file"))
}

/// A section of a specification that is being made.
pub(super) type Section = Map<String, Value>;

/// A tree that values are taken out of.
pub(super) struct Document(pub(super) Value);

impl Document {
    /// Takes the first value that is there and not null.
    pub(super) fn take(&mut self, paths: &[&str]) -> Option<Value> {
        paths.iter().find_map(|path| self.take_one(path))
    }

    fn take_one(&mut self, path: &str) -> Option<Value> {
        let (parent, key) = path.rsplit_once('/')?;
        let section = self.0.pointer_mut(parent)?.as_object_mut()?;
        section.remove(key).filter(|value| !value.is_null())
    }

    /// A number; a text that is one counts, since YAML reads `3e-4` as a text.
    pub(super) fn number(&mut self, paths: &[&str]) -> Option<Value> {
        let value = self.take(paths)?;
        match value.as_str().and_then(number::plain) {
            Some(number) if number.is_finite() => Some(number.into()),
            _ => Some(value),
        }
    }

    /// A whole number above zero; nothing else is taken.
    pub(super) fn count(&mut self, paths: &[&str]) -> Option<u64> {
        let is_count = |path: &&&str| self.0.pointer(path).and_then(Value::as_u64).is_some_and(|n| n > 0);
        let path = *paths.iter().find(is_count)?;
        self.take_one(path)?.as_u64()
    }

    /// Moves values into a section under the contract's names.
    pub(super) fn moved(&mut self, names: &[(&str, &[&str])]) -> Section {
        let found = names.iter().filter_map(|(name, paths)| Some(((*name).to_owned(), self.number(paths)?)));
        found.collect()
    }

    /// What is left, without empty sections.
    pub(super) fn rest(self) -> Value {
        pruned(self.0).unwrap_or_else(|| Value::Object(Section::new()))
    }
}

fn pruned(value: Value) -> Option<Value> {
    match value {
        Value::Object(fields) => {
            let fields: Section =
                fields.into_iter().filter_map(|(name, value)| Some((name, pruned(value)?))).collect();
            (!fields.is_empty()).then_some(Value::Object(fields))
        }
        Value::Null => None,
        other => Some(other),
    }
}

/// A specification from its sections, those that say something, and what was left.
pub(super) fn specification(trainer: &str, sections: Vec<(&str, Section)>, rest: Document) -> Value {
    let mut spec = Section::new();
    spec.insert("trainer".to_owned(), trainer.into());
    for (name, section) in sections.into_iter().filter(|(_, section)| !section.is_empty()) {
        spec.insert(name.to_owned(), section.into());
    }
    spec.insert("other".to_owned(), rest.rest());
    spec.into()
}
