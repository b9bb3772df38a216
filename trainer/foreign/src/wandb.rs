//! W&B's exports. CSV from a chart has `Step` and `run - metric` with `__MIN` and `__MAX` beside each; CSV and JSONL from the API
//! (`run.history()`, `run.scan_history()`) have `_step`, `_runtime`, `_timestamp` and a column for each metric.

use std::collections::{BTreeMap, BTreeSet};

use sekisho_domain::run::quote_bare_numbers;
use serde_json::{Map, Value};

use crate::{ForeignError, History, Row, names, number};

/// Reads an export. `run` names W&B's run where a chart shows several.
///
/// # Errors
/// [`ForeignError`] names file, line, rule and the way on.
pub fn read(file: &str, bytes: &[u8], run: Option<&str>) -> Result<History, ForeignError> {
    let text = text(file, bytes)?;
    let text = text.trim_start_matches('\u{feff}');
    let first = text.trim_start().chars().next();
    let Some(first) = first else {
        return Err(ForeignError::whole(
            file,
            "is empty; export the run's history again, as CSV or JSON lines",
        ));
    };
    let table = if first == '{' { lines(file, text)? } else { csv(file, text, run)? };
    history(file, table)
}

/// UTF-8, or UTF-16 as a spreadsheet saves it.
fn text(file: &str, bytes: &[u8]) -> Result<String, ForeignError> {
    let wide = |order: fn([u8; 2]) -> u16| {
        let units = bytes[2..].chunks_exact(2).map(|pair| order([pair[0], pair[1]]));
        char::decode_utf16(units).map(|letter| letter.unwrap_or(char::REPLACEMENT_CHARACTER)).collect()
    };
    match bytes {
        [0xff, 0xfe, ..] => return Ok(wide(u16::from_le_bytes)),
        [0xfe, 0xff, ..] => return Ok(wide(u16::from_be_bytes)),
        _ => {}
    }
    String::from_utf8(bytes.to_vec()).map_err(|error| {
        let line =
            bytes[..error.utf8_error().valid_up_to()].iter().filter(|byte| **byte == b'\n').count() + 1;
        let rule = "is not UTF-8; save the file as UTF-8 (in a spreadsheet: CSV UTF-8)";
        ForeignError::at_line(file, line as u64, rule)
    })
}

/// Rows with the source's own names, and what there is to say.
#[derive(Default)]
struct Table {
    rows: Vec<BTreeMap<String, f64>>,
    notes: Vec<String>,
    /// The name of the step's column, where the form of the file fixes it.
    step: Option<String>,
}

fn csv(file: &str, text: &str, run: Option<&str>) -> Result<Table, ForeignError> {
    let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(text.as_bytes());
    let head: Vec<String> = match reader.headers() {
        Ok(head) => head.iter().map(|name| name.trim().to_owned()).collect(),
        Err(error) => return Err(ForeignError::at_line(file, 1, error.to_string())),
    };
    let columns = columns(file, &head, run)?;
    let mut table = Table { step: columns.step.clone(), ..Table::default() };
    for record in reader.records() {
        let record = record.map_err(|error| {
            let line = error.position().map_or(0, csv::Position::line);
            ForeignError::at_line(file, line, format!("{error}; export the file again"))
        })?;
        let line = record.position().map_or(0, csv::Position::line);
        if record.len() < head.len() {
            table.notes.push(format!(
                "{file}, line {line}: {} of {} columns; the file is cut off here, and the line was left out",
                record.len(),
                head.len()
            ));
            continue;
        }
        let cells = columns
            .names
            .iter()
            .zip(&record)
            .filter_map(|(name, cell)| Some((name.clone()?, number::plain(cell.trim())?)));
        table.rows.push(cells.collect());
    }
    Ok(table)
}

struct Columns {
    /// By place, the metric; none for what is left out.
    names: Vec<Option<String>>,
    step: Option<String>,
}

/// Which column is what. A chart's columns belong to runs.
fn columns(file: &str, head: &[String], run: Option<&str>) -> Result<Columns, ForeignError> {
    if head.iter().any(|name| name == "_step") {
        // pandas writes its row numbers under an empty name.
        let names = head.iter().map(|name| (!name.is_empty()).then(|| name.clone())).collect();
        return Ok(Columns { names, step: None });
    }
    let of = |name: &str| name.rsplit_once(" - ").map(|(run, metric)| (run.to_owned(), metric.to_owned()));
    let runs: BTreeSet<String> = head.iter().filter_map(|name| of(name)).map(|(run, _)| run).collect();
    let chosen = match (run, runs.len()) {
        (Some(run), _) if runs.contains(run) => run.to_owned(),
        (None, 1) => runs.iter().next().cloned().unwrap_or_default(),
        (_, 0) => {
            let rule = "has neither a column \"_step\" nor columns \"run - metric\" as W&B's exports do; export the chart as CSV, or write run.history() or run.scan_history() to a file";
            return Err(ForeignError::at_line(file, 1, rule));
        }
        (given, _) => {
            let list: Vec<&str> = runs.iter().map(String::as_str).collect();
            let named = given.map_or_else(String::new, |run| format!(", and none is called \"{run}\""));
            let rule = format!("holds several runs{named}; name one with --wandb-run: {}", list.join(", "));
            return Err(ForeignError::at_line(file, 1, rule));
        }
    };
    let axis = head.first().cloned().unwrap_or_default();
    let is_axis = names::STEPS.contains(&axis.to_lowercase().as_str());
    if !is_axis {
        let rule = format!(
            "\"{axis}\" is the horizontal axis, which does not count updates; set the chart's axis to Step and export it again"
        );
        return Err(ForeignError::at_line(file, 1, rule));
    }
    let metric = |(at, name): (usize, &String)| {
        if at == 0 {
            return Some(name.clone());
        }
        let (run, metric) = of(name)?;
        // Where a chart shows fewer points than there are, these are the extremes of what lies between two.
        let whole = !(metric.ends_with("__MIN") || metric.ends_with("__MAX"));
        (run == chosen && whole && !metric.starts_with('_')).then_some(metric)
    };
    Ok(Columns { names: head.iter().enumerate().map(metric).collect(), step: Some(axis) })
}

fn lines(file: &str, text: &str) -> Result<Table, ForeignError> {
    let mut table = Table::default();
    let count = text.lines().count();
    for (at, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        // Python's json writes NaN and Infinity, which JSON does not have.
        let read = serde_json::from_str::<Map<String, Value>>(line)
            .or_else(|_| serde_json::from_slice(&quote_bare_numbers(line.as_bytes())));
        match read {
            Ok(fields) => {
                let mut row = BTreeMap::new();
                flatten("", &fields, &mut row);
                table.rows.push(row);
            }
            Err(_) if at + 1 == count => {
                table.notes.push(format!("{file}, line {count}: the last line is cut off, and was left out"));
            }
            Err(error) => {
                let rule = format!(
                    "is no JSON object ({error}); write one object a line, as run.scan_history() gives them"
                );
                return Err(ForeignError::at_line(file, at as u64 + 1, rule));
            }
        }
    }
    Ok(table)
}

/// W&B shows what is nested with dots.
fn flatten(prefix: &str, fields: &Map<String, Value>, row: &mut BTreeMap<String, f64>) {
    for (key, value) in fields {
        let name = if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") };
        match value {
            Value::Number(number) => row.extend(number.as_f64().map(|value| (name, value))),
            // W&B's own spelling of what JSON has no number for.
            Value::String(text) if matches!(&**text, "NaN" | "Infinity" | "-Infinity") => {
                row.extend(number::plain(text).map(|value| (name, value)));
            }
            Value::Object(inner) => flatten(&name, inner, row),
            _ => {}
        }
    }
}

fn history(file: &str, table: Table) -> Result<History, ForeignError> {
    let all: BTreeSet<&str> = table.rows.iter().flat_map(|row| row.keys().map(String::as_str)).collect();
    let lower: BTreeMap<String, &str> = all.iter().map(|name| (name.to_lowercase(), *name)).collect();
    let step = match &table.step {
        Some(step) => step.as_str(),
        None => *names::STEPS.iter().find_map(|name| lower.get(*name)).ok_or_else(|| {
            let rule =
                "has no column that counts steps (_step, global_step, iteration); export the whole history";
            ForeignError::whole(file, rule)
        })?,
    };
    let mut notes = table.notes;
    if all.contains("_step") && step != "_step" {
        notes.push(format!(
            "{file}: \"{step}\" counts the updates; _step counts calls of log and is left out"
        ));
    }
    let metrics = all.iter().copied().filter(|name| *name != step && !name.starts_with('_'));
    let fields: BTreeMap<String, String> = names::choose(metrics).into_iter().collect();
    let mut rows: BTreeMap<u64, Row> = BTreeMap::new();
    let mut without = 0_u64;
    for found in &table.rows {
        let Some(at) = found.get(step).and_then(|value| number::count(*value)) else {
            without += 1;
            continue;
        };
        let mut row = Row { step: at, ..Row::default() };
        for (name, value) in found {
            match fields.get(name).map(String::as_str) {
                Some("tokens") => row.tokens = number::count(*value),
                Some(field) => {
                    row.metrics.insert(field.to_owned(), *value);
                }
                None => {}
            }
        }
        rows.entry(at).or_insert_with(|| Row { step: at, ..Row::default() }).merge(row);
    }
    if without > 0 {
        notes.push(format!("{file}: {without} lines have no \"{step}\" and were left out"));
    }
    let rows: Vec<Row> =
        rows.into_values().filter(|row| !row.metrics.is_empty() || row.tokens.is_some()).collect();
    if rows.is_empty() {
        return Err(ForeignError::whole(
            file,
            "has no line with a step and a number; export the history again",
        ));
    }
    Ok(History { rows, marks: Vec::new(), notes }.limited())
}
