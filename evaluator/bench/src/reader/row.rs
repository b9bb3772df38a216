use sekisho_domain::nearest;
use serde_json::{Map, Value};

use crate::error::TaskError;
use crate::template::Template;

/// One record of a data file: named fields, and where it stands so that errors can say so.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    file: String,
    place: String,
    fields: Map<String, Value>,
}

impl Row {
    pub(crate) fn new(file: &str, place: String, fields: Map<String, Value>) -> Self {
        Self { file: file.to_owned(), place, fields }
    }

    /// Gives a field a text, in place of what it held.
    pub(crate) fn set(&mut self, field: &str, text: String) {
        self.fields.insert(field.to_owned(), Value::String(text));
    }

    /// Takes in the fields of another record.
    pub(crate) fn join(&mut self, other: Self) {
        self.fields.extend(other.fields);
    }

    /// Whether both say the same, wherever they stand.
    pub(crate) fn same(&self, other: &Self) -> bool {
        self.fields == other.fields
    }

    /// Whether a field holds this text.
    pub(crate) fn holds(&self, field: &str, text: &str) -> bool {
        self.fields.get(field).and_then(as_text).is_some_and(|value| value == text)
    }

    /// An error that names this record.
    pub(crate) fn error(&self, message: String) -> TaskError {
        error_at(&self.file, &self.place, message)
    }

    /// A template with this record's fields.
    pub(crate) fn fill(&self, template: &Template) -> Result<String, TaskError> {
        template.render(|field| self.text(field))
    }

    /// Several templates with this record's fields.
    pub(crate) fn fill_all(&self, templates: &[Template]) -> Result<Vec<String>, TaskError> {
        templates.iter().map(|template| self.fill(template)).collect()
    }

    /// A field as text; numbers and truth values as JSON writes them.
    pub(crate) fn text(&self, field: &str) -> Result<String, TaskError> {
        let value = self.value(field)?;
        as_text(value).ok_or_else(|| self.error(format!("field \"{field}\" is {}, not a text", kind(value))))
    }

    /// A field that is a list of texts.
    pub(crate) fn list(&self, field: &str) -> Result<Vec<String>, TaskError> {
        let value = self.value(field)?;
        let texts =
            value.as_array().and_then(|values| values.iter().map(as_text).collect::<Option<Vec<_>>>());
        texts
            .filter(|texts| !texts.is_empty())
            .ok_or_else(|| self.error(format!("field \"{field}\" is {}, not a list of texts", kind(value))))
    }

    /// A field that is an index below `count`, as a number or in digits.
    pub(crate) fn index(&self, field: &str, count: usize) -> Result<usize, TaskError> {
        let text = self.text(field)?;
        text.parse().ok().filter(|index| *index < count).ok_or_else(|| {
            self.error(format!(
                "field \"{field}\" is {text}; with {count} choices it must be 0 to {}",
                count.max(1) - 1
            ))
        })
    }

    /// What a path such as `choices.0` leads to.
    fn value(&self, path: &str) -> Result<&Value, TaskError> {
        let (field, rest) = path.split_once('.').map_or((path, None), |(field, rest)| (field, Some(rest)));
        let value = self.fields.get(field).ok_or_else(|| {
            let near = nearest(field, self.fields.keys().map(String::as_str));
            let hint = near.map(|near| format!("; did the definition mean \"{near}\"?")).unwrap_or_default();
            self.error(format!("field \"{field}\" is missing{hint}"))
        })?;
        let inner = rest.map_or(Some(value), |rest| walk(value, rest));
        inner.ok_or_else(|| self.error(format!("\"{path}\" leads nowhere in field \"{field}\"")))
    }
}

/// What a path such as `answers.0.text` leads to.
pub(super) fn walk<'a>(value: &'a Value, path: &str) -> Option<&'a Value> {
    path.split('.').try_fold(value, |value, key| match value {
        Value::Array(values) => values.get(key.parse::<usize>().ok()?),
        Value::Object(fields) => fields.get(key),
        _ => None,
    })
}

/// An error at a place of a file.
pub(crate) fn error_at(file: &str, place: &str, message: String) -> TaskError {
    TaskError::Data { file: file.to_owned(), place: place.to_owned(), message }
}

fn as_text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(truth) => Some(truth.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

const fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a truth value",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}
