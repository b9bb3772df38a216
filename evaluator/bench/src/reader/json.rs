use serde_json::{Map, Value};

use super::row::{Row, error_at, walk};
use crate::error::TaskError;

/// One JSON object a line.
pub(super) fn lines(file: &str, text: &str) -> Result<Vec<Row>, TaskError> {
    text.lines()
        .enumerate()
        .map(|(index, line)| {
            let place = format!("line {}", index + 1);
            let fields: Map<String, Value> = serde_json::from_str(line)
                .map_err(|error| error_at(file, &place, format!("not a JSON object ({error})")))?;
            Ok(Row::new(file, place, fields))
        })
        .collect()
}

/// A JSON array of objects, at the end of the path `at`.
pub(super) fn array(file: &str, text: &str, at: Option<&str>) -> Result<Vec<Row>, TaskError> {
    let whole: Value = serde_json::from_str(text)
        .map_err(|error| error_at(file, &format!("line {}", error.line()), format!("not JSON ({error})")))?;
    let (place, found) = match at {
        Some(path) => (path, walk(&whole, path)),
        None => ("line 1", Some(&whole)),
    };
    let records = found
        .and_then(Value::as_array)
        .ok_or_else(|| error_at(file, place, "there is no array of objects here".to_owned()))?;
    let row = |(index, record): (usize, &Value)| {
        let place = format!("record {}", index + 1);
        match record {
            Value::Object(fields) => Ok(Row::new(file, place, fields.clone())),
            _ => Err(error_at(file, &place, "not a JSON object".to_owned())),
        }
    };
    records.iter().enumerate().map(row).collect()
}
