use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use sekisho_bench::Record;
use sekisho_bench::compare::{Comparison, Counts, Row, Side, compare, p_value};
use sekisho_bench::import::{Line, Origin};
use sekisho_domain::score::Interval;
use serde::Serialize;
use serde_json::Value;

use super::tasks;
use crate::client::{Client, TokenArgs, encode};
use crate::exit::{ExitStatus, Failed};
use crate::printer::Printer;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Per-item records of two models, from `eval --out` or `import --out`; with --server two to six runs (names or ids) or checkpoints, the
    /// first being the baseline
    #[arg(value_name = "A.jsonl|ID", num_args = 2..=6, required = true)]
    sides: Vec<String>,
    /// URL of a service that knows them as runs or checkpoints
    #[arg(long, value_name = "URL")]
    server: Option<String>,
    /// With --server: which checkpoint stands for a run: tokens (as many as all have reached), last, chosen
    #[arg(long, value_name = "RULE", requires = "server", value_parser = ["tokens", "last", "chosen"])]
    align: Option<String>,
    #[command(flatten)]
    token: TokenArgs,
    /// Folder with task files of your own: which metrics judge a task, and which is primary
    #[arg(long, value_name = "DIR", conflicts_with = "server")]
    tasks: Option<PathBuf>,
    /// The comparison as JSON on stdout
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &Args, printer: &Printer) -> anyhow::Result<ExitStatus> {
    if let Some(server) = &args.server {
        return on_server(args, server, printer);
    }
    let [a, b] = args.sides.as_slice() else {
        let text = "Two files are compared at a time; runs and checkpoints of a service are named with --server URL.";
        return Err(Failed::with(ExitStatus::Unexpected, text.to_owned()));
    };
    let (a, b) = (Records::read(Path::new(a))?, Records::read(Path::new(b))?);
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

/// Runs or checkpoints of a service: each against the first.
fn on_server(args: &Args, server: &str, printer: &Printer) -> anyhow::Result<ExitStatus> {
    let ids: Vec<String> = args.sides.iter().map(|id| encode(id)).collect();
    let align = args.align.as_ref().map_or_else(String::new, |align| format!("&align={align}"));
    let client = Client::reading(server, &args.token)?;
    let found: Value = client.get(&format!("/compare?ids={}{align}", ids.join(",")))?;
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let pairs = list(&found["pairs"]);
    let nothing_shared = pairs.iter().all(|pair| pair["verdict"].is_null());
    for id in list(&found["unknown"]) {
        printer.say(&format!("There is no run or checkpoint \"{}\"; the others are compared.", text(&id)));
    }
    if args.json {
        printer.json(&found)?;
    } else {
        for column in list(&found["columns"]) {
            let at = if column["step"].is_null() {
                "no score yet".to_owned()
            } else {
                format!("step {}", column["step"])
            };
            printer.say(&format!("{}: {} ({at})", text(&column["id"]), text(&column["run"])));
        }
        for pair in &pairs {
            one_pair(pair, printer)?;
        }
    }
    if nothing_shared {
        let text = "no two of them have a score under the same settings; evaluate them on the same suite";
        return Err(Failed::with(ExitStatus::Conflict, text.to_owned()));
    }
    Ok(ExitStatus::Ok)
}

fn one_pair(pair: &Value, printer: &Printer) -> anyhow::Result<()> {
    let name = |side: &str| pair[side].as_str().unwrap_or_default().to_owned();
    let (a, b) = (name("a"), name("b"));
    if pair["verdict"].is_null() {
        return printer.data(&format!("{a} and {b} have no score under the same settings"));
    }
    let comparison: Comparison = serde_json::from_value(pair.clone())?;
    printer.say(&format!("A: {a}, B: {b}"));
    printer.data(&comparison.verdict.said(&a, &b).en)?;
    table(&comparison, printer)
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
