mod json;
mod row;
mod squad;
mod table;
mod xml;
mod xwino;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::error::TaskError;
pub(crate) use row::{Row, error_at};

/// How a data file becomes records with named fields.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "format", rename_all = "lowercase", deny_unknown_fields)]
pub enum Reader {
    /// One JSON object a line; its keys are the fields.
    Jsonl,
    /// A JSON array of objects; their keys are the fields.
    Json {
        /// Keys that lead to the array, with dots between them; the file is the array when absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        at: Option<String>,
    },
    /// Comma-separated values, with quotes as in RFC 4180; a byte order mark is skipped.
    Csv {
        /// The fields in a file without header; the first record names them when absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        columns: Option<Vec<String>>,
    },
    /// Lines cut at tabs; quotes mean nothing. A byte order mark is skipped.
    Tsv {
        /// The fields in a file without header; the first line names them when absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        columns: Option<Vec<String>>,
    },
    /// One record a line; its one field is the line.
    Lines {
        /// The name of the field. Files of one role are read side by side, and each gives its own field.
        field: String,
    },
    /// The whole file is one record with the field `text`.
    Text,
    /// The JSON of SQuAD: a record for each question, with the fields `title`, `context`, `question`, `id`, `answers` (a
    /// list of objects with `text`) and `passage` (the number of its paragraph in the file, from 0).
    Squad,
    /// XML: every element named `record` is a record.
    Xml {
        /// Name of the elements that are records.
        record: String,
        /// Field → where it is: the name of elements below the record, `parent/name`, or `@attribute` of the record itself.
        /// White space at both ends and empty elements are dropped, several values are joined.
        fields: BTreeMap<String, String>,
        /// Between several values of a field.
        join: String,
    },
    /// The seven columns of XWINO's `dataset.tsv`. Fields: `before`, `pronoun`, `after` (the sentence, cut around the
    /// pronoun), `rest` (`after` without white space at its ends), `option1`, `option2`, `answer` (0 or 1).
    Xwino {
        /// First column of the rows that are taken, e.g. `jp`.
        language: String,
    },
}

impl Reader {
    /// The records of a file; `file` is its name in errors.
    pub(crate) fn rows(&self, file: &str, bytes: &[u8]) -> Result<Vec<Row>, TaskError> {
        let text = std::str::from_utf8(bytes).map_err(|error| {
            let line = 1 + bytes[..error.valid_up_to()].iter().filter(|byte| **byte == b'\n').count();
            error_at(file, &format!("line {line}"), "these bytes are not UTF-8".to_owned())
        })?;
        match self {
            Self::Jsonl => json::lines(file, text),
            Self::Json { at } => json::array(file, text, at.as_deref()),
            Self::Csv { columns } => table::csv(file, text, columns.as_deref()),
            Self::Tsv { columns } => table::tsv(file, text, columns.as_deref()),
            Self::Lines { field } => Ok(lines(file, text, field)),
            Self::Text => Ok(vec![Row::new(file, "the whole file".to_owned(), one("text", text))]),
            Self::Squad => squad::questions(file, text),
            Self::Xml { record, fields, join } => xml::Elements { record, fields, join }.read(file, text),
            Self::Xwino { language } => xwino::rows(file, text, language),
        }
    }

    /// Whether files of one role are read side by side instead of one after the other.
    pub(crate) const fn side_by_side(&self) -> bool {
        matches!(self, Self::Lines { .. })
    }
}

fn lines(file: &str, text: &str, field: &str) -> Vec<Row> {
    let row = |(index, line)| Row::new(file, format!("line {}", index + 1), one(field, line));
    text.lines().enumerate().map(row).collect()
}

fn one(field: &str, value: &str) -> Map<String, Value> {
    Map::from_iter([(field.to_owned(), Value::String(value.to_owned()))])
}
