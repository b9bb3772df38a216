//! `log.jsonl`: one line an update. `events.jsonl`: one line an event.

use std::io::Write;
use std::path::Path;

use fs_err::{File, OpenOptions};
use sekisho_domain::run::{MetricRow, RunEvent};
use serde::Serialize;

/// A file of JSON lines that grows.
pub(crate) struct Log(File);

impl Log {
    /// Opens `log.jsonl` as it was after update `step`: later lines, and a line that a kill cut short, are removed.
    pub(crate) fn open_at(path: &Path, step: u64) -> std::io::Result<Self> {
        let kept = end_of(path, step)?;
        let log = Self::open(path)?;
        log.0.set_len(kept)?;
        Ok(log)
    }

    /// Opens a file of lines for adding to it. A line that a kill cut short is removed.
    pub(crate) fn open(path: &Path) -> std::io::Result<Self> {
        let file = OpenOptions::new().create(true).append(true).open(path)?;
        let bytes = fs_err::read(path)?;
        let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |last| last + 1);
        if whole < bytes.len() {
            file.set_len(whole as u64)?;
        }
        Ok(Self(file))
    }

    pub(crate) fn row(&mut self, row: &MetricRow) -> std::io::Result<()> {
        self.line(row)
    }

    pub(crate) fn event(&mut self, event: &RunEvent) -> std::io::Result<()> {
        self.line(event)
    }

    /// The file, to make what was written survive a power cut.
    pub(crate) fn handle(&self) -> std::io::Result<std::fs::File> {
        self.0.file().try_clone()
    }

    /// One write, so that a reader sees whole lines unless the process is killed in it. A line for which there is no room leaves
    /// no part of itself.
    fn line(&mut self, value: &impl Serialize) -> std::io::Result<()> {
        let mut line = serde_json::to_vec(value)?;
        line.push(b'\n');
        let before = self.0.metadata()?.len();
        self.0.write_all(&line).inspect_err(|_| {
            // The first error is the one to report; the next start cuts the line off.
            let _ = self.0.set_len(before);
        })
    }
}

/// Bytes of a log up to and including the row of update `step`.
pub(crate) fn end_of(path: &Path, step: u64) -> std::io::Result<u64> {
    let text = if path.is_file() { fs_err::read_to_string(path)? } else { String::new() };
    let kept: usize = text
        .split_inclusive('\n')
        .take_while(|line| line.ends_with('\n'))
        .take_while(|line| serde_json::from_str::<MetricRow>(line).is_ok_and(|row| row.step.0 <= step))
        .map(str::len)
        .sum();
    Ok(kept as u64)
}

#[cfg(test)]
mod tests {
    use sekisho_domain::run::MetricRow;
    use sekisho_domain::{Step, Tokens};

    use super::Log;

    #[test]
    fn a_log_is_cut_back_to_a_checkpoint() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("log.jsonl");
        let row = |step| MetricRow {
            step: Step(step),
            tokens: Tokens(step * 10),
            loss: Some(1.5),
            ce: Some(1.5),
            z_loss: Some(0.0),
            lr: Some(1e-3),
            grad_norm: Some(0.5),
            seconds: Some(0.1),
            ..MetricRow::default()
        };
        let mut log = Log::open_at(&path, 0).expect("a new log");
        (1..=5).for_each(|step| log.row(&row(step)).expect("a row"));
        let whole = fs_err::read_to_string(&path).expect("the log");
        let lines: Vec<&str> = whole.lines().collect();
        fs_err::write(&path, format!("{whole}{{\"step\":6,\"tok")).expect("a line cut short");
        drop(Log::open_at(&path, 9).expect("the log"));
        assert_eq!(fs_err::read_to_string(&path).expect("the log"), whole);
        let mut log = Log::open_at(&path, 3).expect("the log");
        log.row(&row(4)).expect("a row");
        assert_eq!(fs_err::read_to_string(&path).expect("the log").lines().collect::<Vec<_>>(), lines[..4]);
    }
}
