//! The readers against files in their real forms (`fixtures/README.md`), and against broken ones.

mod arguments;
mod configurations;
mod hostile;
mod logs;
mod tensorboard;
mod wandb;
mod warnings;

use crate::{LogReader, Row, Trainer};

fn fixture(name: &str) -> Vec<u8> {
    fs_err::read(format!("{}/fixtures/{name}", env!("CARGO_MANIFEST_DIR"))).expect("a fixture")
}

/// A whole log at once. The last line has an end where the file has one.
fn log(name: &str, trainer: Option<Trainer>) -> (LogReader, Vec<Row>) {
    let mut reader = LogReader::new(name, trainer, None);
    feed(&mut reader, &fixture(name));
    let rows = reader.all_rows();
    (reader, rows)
}

fn feed(reader: &mut LogReader, bytes: &[u8]) {
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        match line.strip_suffix(b"\n") {
            Some(line) => reader.line(line),
            None => reader.cut_line(line),
        }
    }
}

fn row(rows: &[Row], step: u64) -> &Row {
    rows.iter().rfind(|row| row.step == step).expect("the step")
}
