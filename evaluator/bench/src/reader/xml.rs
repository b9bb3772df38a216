use std::collections::BTreeMap;

use roxmltree::{Document, Node, ParsingOptions};
use serde_json::{Map, Value};

use super::row::{Row, error_at};
use crate::error::TaskError;
use crate::python_text::strip;

/// Which elements are records, and where their fields are.
pub(super) struct Elements<'a> {
    pub(super) record: &'a str,
    pub(super) fields: &'a BTreeMap<String, String>,
    pub(super) join: &'a str,
}

impl Elements<'_> {
    pub(super) fn read(&self, file: &str, text: &str) -> Result<Vec<Row>, TaskError> {
        // A document type is read over: no entity is fetched from anywhere.
        let options = ParsingOptions { allow_dtd: true, ..ParsingOptions::default() };
        let document = Document::parse_with_options(text, options).map_err(|error| {
            error_at(file, &format!("line {}", error.pos().row), format!("not well-formed XML ({error})"))
        })?;
        let records = document.descendants().filter(|node| node.has_tag_name(self.record));
        let rows: Vec<Row> = records
            .map(|node| {
                let line = document.text_pos_at(node.range().start).row;
                Row::new(file, format!("line {line}"), self.fields_of(node))
            })
            .collect();
        if rows.is_empty() {
            return Err(error_at(file, "line 1", format!("there is no <{}> element in it", self.record)));
        }
        Ok(rows)
    }

    /// A field without any element stays away, so that using it is an error that names the record.
    fn fields_of(&self, record: Node<'_, '_>) -> Map<String, Value> {
        let mut fields = Map::new();
        for (field, place) in self.fields {
            if let Some(text) = self.text(record, place) {
                fields.insert(field.clone(), Value::String(text));
            }
        }
        fields
    }

    fn text(&self, record: Node<'_, '_>, place: &str) -> Option<String> {
        if let Some(attribute) = place.strip_prefix('@') {
            return record.attribute(attribute).map(str::to_owned);
        }
        let (parent, name) =
            place.split_once('/').map_or((None, place), |(parent, name)| (Some(parent), name));
        let below = |node: &Node<'_, '_>| {
            parent.is_none_or(|parent| node.parent().is_some_and(|above| above.has_tag_name(parent)))
        };
        let nodes: Vec<_> =
            record.descendants().filter(|node| node.has_tag_name(name) && below(node)).collect();
        let texts: Vec<&str> = nodes
            .iter()
            .map(|node| strip(node.text().unwrap_or("")))
            .filter(|text| !text.is_empty())
            .collect();
        (!nodes.is_empty()).then(|| texts.join(self.join))
    }
}
