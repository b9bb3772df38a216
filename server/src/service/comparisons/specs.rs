//! How the specifications of several runs differ.

use std::collections::BTreeMap;

use serde_json::Value;

/// A setting that is not the same in all: its path, and its value in each; none where a specification does not say it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Differing {
    /// `optimizer.eps`, `data.mix[web-ja].weight`.
    pub path: String,
    /// As JSON, texts without quotes.
    pub values: Vec<Option<String>>,
}

/// Only what differs, by path. Entries of lists that have a `name` go by it, so that one more in front moves none.
#[must_use]
pub fn differing(specs: &[Option<&Value>]) -> Vec<Differing> {
    let flat: Vec<BTreeMap<String, String>> =
        specs.iter().map(|spec| spec.map(leaves).unwrap_or_default()).collect();
    let paths: std::collections::BTreeSet<&String> = flat.iter().flat_map(BTreeMap::keys).collect();
    let row = |path: &String| Differing {
        path: path.clone(),
        values: flat.iter().map(|leaves| leaves.get(path).cloned()).collect(),
    };
    let differs =
        |row: &Differing| row.path != "name" && row.values.iter().any(|value| *value != row.values[0]);
    paths.into_iter().map(row).filter(differs).collect()
}

/// Every value of a specification by its path, as JSON, texts without quotes.
#[must_use]
pub fn leaves(spec: &Value) -> BTreeMap<String, String> {
    let mut leaves = BTreeMap::new();
    flatten(spec, String::new(), &mut leaves);
    leaves
}

fn flatten(value: &Value, path: String, into: &mut BTreeMap<String, String>) {
    match value {
        Value::Object(fields) if !fields.is_empty() => {
            for (name, value) in fields {
                let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                flatten(value, path, into);
            }
        }
        Value::Array(entries) if entries.iter().any(Value::is_object) => {
            for (place, entry) in entries.iter().enumerate() {
                let name = entry["name"].as_str().map_or_else(|| place.to_string(), ToOwned::to_owned);
                flatten(entry, format!("{path}[{name}]"), into);
            }
        }
        Value::String(text) => drop(into.insert(path, text.clone())),
        // 1e-5, not 0.00001.
        Value::Number(number) if number.as_f64().is_some_and(|n| n != 0.0 && n.abs() < 1e-3) => {
            drop(into.insert(path, number.as_f64().map_or_else(String::new, |n| format!("{n:e}"))));
        }
        other => drop(into.insert(path, other.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_what_differs_is_said_with_its_path() {
        let a = json!({ "name": "a", "seed": 1, "optimizer": { "eps": 1e-8, "betas": [0.9, 0.95] },
            "data": { "mix": [{ "name": "ja", "weight": 0.4 }, { "name": "en", "weight": 0.6 }] } });
        let b = json!({ "name": "b", "seed": 1, "optimizer": { "eps": 1e-5, "betas": [0.9, 0.95] },
            "data": { "mix": [{ "name": "code", "weight": 0.1 }, { "name": "ja", "weight": 0.4 }, { "name": "en", "weight": 0.5 }] } });
        let found = differing(&[Some(&a), Some(&b)]);
        let said: Vec<(&str, [Option<&str>; 2])> = found
            .iter()
            .map(|row| (row.path.as_str(), [row.values[0].as_deref(), row.values[1].as_deref()]))
            .collect();
        let expected = [
            ("data.mix[code].name", [None, Some("code")]),
            ("data.mix[code].weight", [None, Some("0.1")]),
            ("data.mix[en].weight", [Some("0.6"), Some("0.5")]),
            ("optimizer.eps", [Some("1e-8"), Some("1e-5")]),
        ];
        assert_eq!(said, expected);
        assert!(differing(&[Some(&a), Some(&a)]).is_empty());
        assert_eq!(differing(&[Some(&a), None]).len(), 7, "what one does not say differs");
    }
}
