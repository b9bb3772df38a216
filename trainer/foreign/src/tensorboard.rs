//! TensorBoard's event files: frames of TFRecord with masked CRC-32C, each an `Event` in protocol buffers, of which the scalars are taken.
//!
//! Source: `tensorflow/core/lib/io/record_writer.h`, `event.proto`, `summary.proto`, `tensor.proto`.

mod event;
mod protobuf;
mod record;

use std::collections::{BTreeMap, BTreeSet};

use sekisho_domain::run::EventKind;

use crate::{ForeignError, History, Mark, Row, When, names, number};
use event::{Event, What};

/// An event file of a run. Its folder below the run's, `""` for the run's own, tells `train` from `validation`.
#[derive(Clone, Copy, Debug)]
pub struct File<'a> {
    /// Its path, for messages; files of the same time are ordered by it.
    pub name: &'a str,
    /// Folder below the run's.
    pub folder: &'a str,
    /// All of it.
    pub bytes: &'a [u8],
}

/// (Folder, tag) → step → value.
type Points = BTreeMap<(String, String), BTreeMap<u64, f64>>;

/// Reads all files of one run, in the order of their first event: where two have the same step, the later file has it.
///
/// # Errors
/// [`ForeignError`] when no file holds a scalar. A file that is cut off or damaged is read up to there, which is noted.
pub fn read(files: &[File<'_>]) -> Result<History, ForeignError> {
    let mut notes = Vec::new();
    let mut parts = Vec::new();
    for file in files {
        let (events, note) = event::read(file);
        notes.extend(note);
        let begin = events.first().map_or(f64::INFINITY, |event| event.wall_time);
        parts.push((begin, file, events));
    }
    parts.sort_by(|a, b| a.0.total_cmp(&b.0).then_with(|| a.1.name.cmp(b.1.name)));
    let (mut points, mut marks, mut skipped) = (Points::new(), Vec::new(), BTreeSet::new());
    for (_, file, events) in &parts {
        add(file, events, &mut points, &mut marks, &mut skipped);
    }
    if !skipped.is_empty() {
        let list: Vec<&str> = skipped.iter().map(String::as_str).collect();
        notes.push(format!("left out, as their steps count samples or tokens: {}", list.join(", ")));
    }
    if points.is_empty() {
        let file = files.first().map_or("the folder", |file| file.name);
        let rule = "and what lies beside it hold no scalar; name the folder with the run's events.out.tfevents.* files";
        let after = notes.iter().map(|note| format!(" ({note})")).collect::<String>();
        return Err(ForeignError::whole(file, format!("{rule}{after}")));
    }
    Ok(History { rows: rows(&points), marks, notes }.limited())
}

fn add(
    file: &File<'_>,
    events: &[Event],
    points: &mut Points,
    marks: &mut Vec<Mark>,
    skipped: &mut BTreeSet<String>,
) {
    let folder = if is_own(file.folder) { "" } else { file.folder };
    let mut begun: BTreeSet<&str> = BTreeSet::new();
    let mut back: Option<(u64, u64, f64)> = None;
    for event in events {
        let scalars = match &event.what {
            What::Scalars(scalars) => scalars,
            // A session that begins at a step takes back what an earlier one wrote from there on.
            What::Start => {
                for (_, of_tag) in points.iter_mut().filter(|((of, _), _)| of == folder) {
                    let last = of_tag.last_key_value().map_or(0, |(step, _)| *step);
                    if event.step > 0 && last >= event.step {
                        back = back.or(Some((event.step, last, event.wall_time)));
                        of_tag.retain(|step, _| *step < event.step);
                    }
                }
                continue;
            }
        };
        for (tag, value) in scalars {
            // Megatron-LM writes each scalar twice, the second time over samples; tensorboardX has no blanks in tags.
            if [" vs samples", " vs tokens", "_vs_samples", "_vs_tokens"].iter().any(|end| tag.ends_with(end))
            {
                skipped.insert(tag.clone());
                continue;
            }
            let of_tag = points.entry((folder.to_owned(), tag.clone())).or_default();
            if begun.insert(tag) {
                let last = of_tag.last_key_value().map(|(step, _)| *step);
                let again = last.filter(|last| event.step <= *last);
                back = back.or_else(|| again.map(|last| (event.step, last, event.wall_time)));
            }
            of_tag.insert(event.step, *value);
        }
    }
    if let Some((step, last, wall_time)) = back.filter(|_| folder.is_empty()) {
        let note = format!("the log goes back to step {step} after step {last}");
        let at = number::count(wall_time * 1000.0).and_then(|ms| i64::try_from(ms).ok()).map(When::UnixMs);
        marks.push(Mark { kind: EventKind::Resumed, step, note, at });
    }
}

/// The run's own folder, or that of Keras for training.
fn is_own(folder: &str) -> bool {
    matches!(folder, "" | "." | "train")
}

fn rows(points: &Points) -> Vec<Row> {
    let name = |(folder, tag): &(String, String)| {
        if folder.is_empty() { tag.clone() } else { format!("{folder}/{tag}") }
    };
    let named: BTreeMap<String, &BTreeMap<u64, f64>> =
        points.iter().map(|(key, of_tag)| (name(key), of_tag)).collect();
    let mut rows: BTreeMap<u64, Row> = BTreeMap::new();
    for (name, field) in names::choose(named.keys().map(String::as_str)) {
        for (step, value) in named.get(&name).into_iter().copied().flatten() {
            let row = rows.entry(*step).or_insert_with(|| Row { step: *step, ..Row::default() });
            if field == "tokens" {
                row.tokens = number::count(*value);
            } else {
                row.metrics.insert(field.clone(), *value);
            }
        }
    }
    rows.into_values().collect()
}
