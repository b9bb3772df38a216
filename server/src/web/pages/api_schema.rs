//! Schemas of the description of the API, as pages write them.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

/// A part of a type: words, or a link to a schema.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Piece {
    pub(super) text: String,
    pub(super) schema: Option<String>,
}

/// A field of an object, or a parameter.
pub(super) struct Field {
    pub(super) name: String,
    pub(super) kind: Vec<Piece>,
    pub(super) is_required: bool,
    /// Where a parameter stands: `path`, `query`, `header`; empty of a field.
    pub(super) place: String,
    pub(super) note: String,
}

const SCHEMAS: &str = "#/components/schemas/";

fn words(text: impl Into<String>) -> Piece {
    Piece { text: text.into(), schema: None }
}

/// The name of the schema that is referred to.
pub(super) fn referred(schema: &Value) -> Option<&str> {
    schema["$ref"].as_str()?.strip_prefix(SCHEMAS)
}

/// The names of all schemas that are referred to.
pub(super) fn names(value: &Value) -> BTreeSet<String> {
    match value {
        Value::Object(all) => {
            let own = referred(value).map(ToOwned::to_owned);
            all.values().flat_map(names).chain(own).collect()
        }
        Value::Array(all) => all.iter().flat_map(names).collect(),
        _ => BTreeSet::new(),
    }
}

/// A type in a few words.
pub(super) fn kind(schema: &Value) -> Vec<Piece> {
    if let Some(name) = referred(schema) {
        return vec![Piece { text: name.to_owned(), schema: Some(name.to_owned()) }];
    }
    if let Some(values) = schema["enum"].as_array() {
        let values: Vec<String> = values.iter().map(ToString::to_string).collect();
        return vec![words(values.join(" | "))];
    }
    for key in ["oneOf", "anyOf", "allOf"] {
        if let Some(all) = schema[key].as_array() {
            let between = if key == "allOf" { " + " } else { " | " };
            return joined(all.iter().map(kind), between);
        }
    }
    match &schema["type"] {
        Value::Array(all) => {
            let one = |name: &Value| {
                let mut alone = schema.clone();
                alone["type"] = name.clone();
                kind(&alone)
            };
            joined(all.iter().map(one), " | ")
        }
        Value::String(name) => plain(name, schema),
        _ => vec![words("JSON")],
    }
}

fn plain(name: &str, schema: &Value) -> Vec<Piece> {
    let around = |inner: &Value, open: &str| {
        let mut pieces = vec![words(open)];
        pieces.extend(kind(inner));
        pieces.push(words(if open.starts_with('[') { "]" } else { "}" }));
        pieces
    };
    match (name, schema["format"].as_str()) {
        ("array", _) if schema["prefixItems"].is_array() => {
            let all = schema["prefixItems"].as_array().into_iter().flatten().map(kind);
            let mut pieces = vec![words("[")];
            pieces.extend(joined(all, ", "));
            pieces.push(words("]"));
            pieces
        }
        ("array", _) => around(&schema["items"], "["),
        ("object", _) if schema["additionalProperties"].is_object() => {
            around(&schema["additionalProperties"], "{string: ")
        }
        ("integer" | "number" | "null", _) | (_, None) => vec![words(name)],
        (_, Some(format)) => vec![words(format!("{name} ({format})"))],
    }
}

fn joined(all: impl Iterator<Item = Vec<Piece>>, between: &str) -> Vec<Piece> {
    let mut pieces = Vec::new();
    for part in all {
        if !pieces.is_empty() {
            pieces.push(words(between));
        }
        pieces.extend(part);
    }
    pieces
}

/// The fields of an object; of one that is made of several, those of all its own parts, and a line for each other schema.
pub(super) fn fields(schema: &Value) -> Vec<Field> {
    let mut all = Vec::new();
    for part in schema["allOf"].as_array().into_iter().flatten() {
        if referred(part).is_some() {
            let note = text(&part["description"]);
            all.push(Field {
                name: "…".to_owned(),
                kind: kind(part),
                is_required: false,
                place: String::new(),
                note,
            });
        } else {
            all.extend(fields(part));
        }
    }
    let required: Vec<&str> =
        schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let none = Map::new();
    for (name, of) in schema["properties"].as_object().unwrap_or(&none) {
        all.push(Field {
            name: name.clone(),
            kind: kind(of),
            is_required: required.contains(&name.as_str()),
            place: String::new(),
            note: text(&of["description"]),
        });
    }
    all.sort_by_key(|field| !field.is_required);
    all
}

/// The sentences of a description in one paragraph.
pub(super) fn text(description: &Value) -> String {
    description.as_str().unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A body that has what is required and nothing else, with values that show their type.
pub(super) fn sample(api: &Value, schema: &Value, depth: u8) -> Value {
    if depth > 6 {
        return Value::Null;
    }
    if let Some(name) = referred(schema) {
        return sample(api, &api["components"]["schemas"][name], depth + 1);
    }
    for given in [&schema["example"], &schema["default"], &schema["enum"][0]] {
        if !given.is_null() {
            return given.clone();
        }
    }
    if let Some(first) = schema["oneOf"].get(0).or_else(|| schema["anyOf"].get(0)) {
        return sample(api, first, depth + 1);
    }
    let kind = schema["type"].as_str().or_else(|| schema["type"][0].as_str());
    match kind {
        Some("string") => match schema["format"].as_str() {
            Some("date-time") => "2026-12-01T09:00:00Z".into(),
            Some("date") => "2026-12-31".into(),
            _ => "…".into(),
        },
        Some("integer") => 1.into(),
        Some("number") => 1.5.into(),
        Some("boolean") => true.into(),
        Some("array") => Value::Array(vec![sample(api, &schema["items"], depth + 1)]),
        _ => {
            let mut whole = Map::new();
            for part in schema["allOf"].as_array().into_iter().flatten() {
                if let Value::Object(fields) = sample(api, part, depth + 1) {
                    whole.extend(fields);
                }
            }
            for name in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
                whole.insert(name.to_owned(), sample(api, &schema["properties"][name], depth + 1));
            }
            Value::Object(whole)
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn shown(schema: &Value) -> String {
        kind(schema).into_iter().map(|piece| piece.text).collect()
    }

    #[test]
    fn types_are_told_in_a_few_words() {
        let run = json!({ "$ref": "#/components/schemas/Run" });
        assert_eq!(kind(&run), [Piece { text: "Run".to_owned(), schema: Some("Run".to_owned()) }]);
        for (schema, words) in [
            (json!({ "type": "string", "format": "date-time" }), "string (date-time)"),
            (json!({ "type": ["integer", "null"], "format": "int64" }), "integer | null"),
            (json!({ "type": "array", "items": run }), "[Run]"),
            (json!({ "oneOf": [{ "type": "null" }, run] }), "null | Run"),
            (json!({ "type": "string", "enum": ["a", "b"] }), "\"a\" | \"b\""),
            (json!({ "type": "object", "additionalProperties": { "type": "number" } }), "{string: number}"),
            (json!({}), "JSON"),
        ] {
            assert_eq!(shown(&schema), words);
        }
    }

    #[test]
    fn a_sample_has_what_is_required() {
        let api = json!({ "components": { "schemas": { "New": {
            "type": "object", "required": ["name", "level"],
            "properties": { "name": { "type": "string" }, "level": { "enum": ["L1"] }, "more": { "type": "integer" } } } } } });
        let schema = json!({ "$ref": "#/components/schemas/New" });
        assert_eq!(sample(&api, &schema, 0), json!({ "name": "…", "level": "L1" }));
    }
}
