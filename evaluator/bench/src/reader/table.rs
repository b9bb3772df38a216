use csv::ReaderBuilder;
use serde_json::{Map, Value};

use super::row::{Row, error_at};
use crate::error::TaskError;

/// Comma-separated values.
pub(super) fn csv(file: &str, text: &str, columns: Option<&[String]>) -> Result<Vec<Row>, TaskError> {
    let mut reader =
        ReaderBuilder::new().has_headers(false).flexible(true).from_reader(without_mark(text).as_bytes());
    let records = reader.records().enumerate().map(|(index, record)| {
        let record = record.map_err(|error| {
            error_at(file, &format!("record {}", index + 1), format!("not comma-separated values ({error})"))
        })?;
        let line = record.position().map_or(0, csv::Position::line);
        Ok((format!("line {line}"), record.iter().map(str::to_owned).collect()))
    });
    table(file, columns, records)
}

/// Lines cut at tabs.
pub(super) fn tsv(file: &str, text: &str, columns: Option<&[String]>) -> Result<Vec<Row>, TaskError> {
    let records = without_mark(text).lines().enumerate().map(|(index, line)| {
        Ok((format!("line {}", index + 1), line.split('\t').map(str::to_owned).collect()))
    });
    table(file, columns, records)
}

fn without_mark(text: &str) -> &str {
    text.strip_prefix('\u{feff}').unwrap_or(text)
}

fn table(
    file: &str,
    columns: Option<&[String]>,
    mut records: impl Iterator<Item = Result<(String, Vec<String>), TaskError>>,
) -> Result<Vec<Row>, TaskError> {
    let columns = match columns {
        Some(columns) => columns.to_vec(),
        None => records.next().transpose()?.map(|(_, header)| header).unwrap_or_default(),
    };
    let row = |record: Result<(String, Vec<String>), TaskError>| {
        let (place, values) = record?;
        if values.len() != columns.len() {
            let message = format!("{} values where there are {} columns", values.len(), columns.len());
            return Err(error_at(file, &place, message));
        }
        let fields: Map<String, Value> =
            columns.iter().cloned().zip(values.into_iter().map(Value::String)).collect();
        Ok(Row::new(file, place, fields))
    };
    records.map(row).collect()
}
