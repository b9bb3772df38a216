use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use sekisho_bench::Record;
use sekisho_bench::compare::{Comparison, Counts, Row, Side, compare, p_value};
use sekisho_bench::import::{Line, Origin};
use sekisho_domain::score::Interval;
use serde::Serialize;

use super::tasks;
use crate::exit::{ExitStatus, Failed};
use crate::printer::Printer;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Per-item records of the first model, from `eval --out` or `import --out`
    #[arg(value_name = "A.jsonl")]
    a: PathBuf,
    /// Per-item records of the second model
    #[arg(value_name = "B.jsonl")]
    b: PathBuf,
    /// Folder with task files of your own: which metrics judge a task, and which is primary
    #[arg(long, value_name = "DIR")]
    tasks: Option<PathBuf>,
    /// The comparison as JSON on stdout
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &Args, printer: &Printer) -> anyhow::Result<ExitStatus> {
    let (a, b) = (Records::read(&args.a)?, Records::read(&args.b)?);
    let catalog = tasks::catalog(args.tasks.as_ref())?;
    let comparison = compare(&a.records, &b.records, &catalog)
        .map_err(|error| Failed::with(ExitStatus::Conflict, error.to_string()))?;
    if args.json {
        printer.json(&Report { a: &a.source, b: &b.source, comparison: &comparison })?;
        return Ok(ExitStatus::Ok);
    }
    for (name, source) in [("A", &a.source), ("B", &b.source)] {
        printer.say(&format!("{name}: {}", source.describe()));
    }
    say_counts(comparison.counts, printer);
    printer.data(&comparison.verdict.text)?;
    table(&comparison, printer)?;
    Ok(ExitStatus::Ok)
}

/// `--json`: the comparison, and what A and B are.
#[derive(Serialize)]
struct Report<'a> {
    a: &'a Source,
    b: &'a Source,
    #[serde(flatten)]
    comparison: &'a Comparison,
}

/// A records file.
#[derive(Serialize)]
struct Source {
    file: String,
    records: usize,
    /// Where the records come from that were not made here; each once.
    origins: Vec<Origin>,
}

struct Records {
    source: Source,
    records: Vec<Record>,
}

impl Records {
    fn read(path: &Path) -> anyhow::Result<Self> {
        let text = fs_err::read_to_string(path).map_err(|error| match error.kind() {
            ErrorKind::NotFound => Failed::with(ExitStatus::NotFound, error.to_string()),
            _ => Failed::user(error),
        })?;
        let (mut records, mut origins) = (Vec::new(), Vec::new());
        for (index, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
            let line: Line = serde_json::from_str(line).map_err(|error| {
                Failed::user(format!("{}, line {}: not a record: {error}", path.display(), index + 1))
            })?;
            records.push(line.record);
            origins.extend(line.origin.filter(|origin| !origins.contains(origin)));
        }
        let source = Source { file: path.display().to_string(), records: records.len(), origins };
        Ok(Self { source, records })
    }
}

impl Source {
    fn describe(&self) -> String {
        let mut harnesses: Vec<String> = self
            .origins
            .iter()
            .map(|origin| {
                [Some(origin.harness.as_str()), origin.version.as_deref()]
                    .into_iter()
                    .flatten()
                    .collect::<Vec<_>>()
                    .join(" ")
            })
            .collect();
        harnesses.dedup();
        let external =
            if harnesses.is_empty() { String::new() } else { format!(", made by {}", harnesses.join(", ")) };
        format!("{} ({} records{external})", self.file, self.records)
    }
}

fn say_counts(counts: Counts, printer: &Printer) {
    let Counts { shared, other_prompt, only_a, only_b } = counts;
    let left_out =
        [(only_a, "only in A"), (only_b, "only in B"), (other_prompt, "asked with another prompt")];
    let left_out: Vec<String> =
        left_out.iter().filter(|(n, _)| *n > 0).map(|(n, where_)| format!("{n} {where_}")).collect();
    let rest =
        if left_out.is_empty() { String::new() } else { format!("; left out: {}", left_out.join(", ")) };
    printer.say(&format!("{shared} shared items{rest}"));
}

fn table(comparison: &Comparison, printer: &Printer) -> anyhow::Result<()> {
    let mut rows: Vec<Vec<String>> = comparison.rows.iter().map(row).collect();
    if let Some(mean) = &comparison.mean {
        let names = [format!("mean of {} tasks", mean.tasks), String::new(), String::new(), String::new()];
        let corrected = String::new();
        rows.push(cells(
            names,
            [mean.a, mean.b],
            mean.difference,
            [p_value(mean.p), corrected],
            comparison.verdict.better,
        ));
    }
    let header =
        ["task", "split", "metric", "n", "A", "B", "B − A", "95% interval", "p", "corrected", "better"];
    printer.table(&header, &rows)
}

fn row(row: &Row) -> Vec<String> {
    let names =
        [format!("{}/{}", row.profile, row.task), row.split.clone(), row.metric.clone(), row.n.to_string()];
    cells(names, [row.a, row.b], row.difference, [p_value(row.p), p_value(row.p_corrected)], row.better)
}

fn cells(
    names: [String; 4],
    scores: [f64; 2],
    difference: Interval,
    p: [String; 2],
    better: Option<Side>,
) -> Vec<String> {
    let mut cells: Vec<String> = names.into();
    cells.extend(scores.map(number));
    let sign = if difference.value < 0.0 { "" } else { "+" };
    cells.push(format!("{sign}{}", number(difference.value)));
    cells.push(format!("[{}, {}]", number(difference.low), number(difference.high)));
    cells.extend(p);
    let better = match better {
        Some(Side::A) => "A",
        Some(Side::B) => "B",
        None => "—",
    };
    cells.push(better.to_owned());
    cells
}

/// Three decimals; perplexities can be too long for that.
fn number(value: f64) -> String {
    if value.abs() < 1e6 { format!("{value:.3}") } else { format!("{value:.3e}") }
}
