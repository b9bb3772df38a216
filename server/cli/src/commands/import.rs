mod history;
mod log;
mod reported;
mod send;
mod tail;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use sekisho_bench::import::{self, File, Imported, ReportedScore, Settings};
use sekisho_foreign::Trainer;
use serde::Serialize;

use crate::exit::{ExitStatus, Failed};
use crate::printer::Printer;

#[derive(clap::Subcommand)]
pub(crate) enum Command {
    /// lm-eval 0.4: results_*.json with the samples of --log_samples
    LmEval(Args),
    /// llm-jp-eval 1.x and 2.x: the result JSON, or a folder of *.eval-generated.json
    LlmJpEval {
        #[command(flatten)]
        args: Args,
        /// Versioned profile, where the file does not say the version
        #[arg(long, value_name = "P")]
        profile: Option<String>,
        /// dev or test, where the file does not say it
        #[arg(long, value_name = "SPLIT", value_parser = ["dev", "test"])]
        split: Option<String>,
    },
    /// swallow-evaluation: its results folder of one model
    Swallow(Args),
    /// W&B: a history exported as CSV or JSON lines, into a run
    Wandb(Box<history::WandbArgs>),
    /// TensorBoard: the event files of a run, into a run
    Tensorboard(Box<history::TensorboardArgs>),
    /// Megatron-LM: arguments and iterations of its log, or a launch script, into a run
    Megatron(Box<log::Args>),
    /// torchtitan: the steps of its log, into a run
    Torchtitan(Box<log::Args>),
    /// nanotron: the iterations of its log, into a run
    Nanotron(Box<log::Args>),
    /// A log of any of the three, told by its lines
    Log(Box<log::Args>),
    /// Scores that others published, from a CSV file, into a service's leaderboard
    Reported(reported::Args),
}

#[derive(clap::Args)]
pub(crate) struct Args {
    /// A result file, or the folder that holds it
    #[arg(value_name = "PATH")]
    path: PathBuf,
    /// Write per-item records, which `compare` reads
    #[arg(long, value_name = "FILE.jsonl")]
    out: Option<PathBuf>,
    /// Run that the results belong to, noted in every record
    #[arg(long, value_name = "NAME")]
    run: Option<String>,
    /// Step of the run
    #[arg(long, value_name = "N", requires = "run")]
    step: Option<u64>,
    /// What was found as JSON on stdout
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(command: &Command, printer: &Printer) -> anyhow::Result<ExitStatus> {
    let (args, imported) = match command {
        Command::Wandb(args) => return history::wandb(args, printer),
        Command::Tensorboard(args) => return history::tensorboard(args, printer),
        Command::Megatron(args) => return log::run(args, Some(Trainer::Megatron), printer),
        Command::Torchtitan(args) => return log::run(args, Some(Trainer::Torchtitan), printer),
        Command::Nanotron(args) => return log::run(args, Some(Trainer::Nanotron), printer),
        Command::Log(args) => return log::run(args, None, printer),
        Command::LmEval(args) => (args, lm_eval(&Files::read(&args.path)?)?),
        Command::LlmJpEval { args, profile, split } => {
            let settings = Settings { profile: profile.as_deref(), split: split.as_deref() };
            (args, llm_jp_eval(&Files::read(&args.path)?, settings)?)
        }
        Command::Reported(args) => return reported::run(args, printer),
        Command::Swallow(args) => {
            (args, import::swallow(&Files::read(&args.path)?.list()).map_err(Failed::user)?)
        }
    };
    let imported = owned_by(imported, args);
    if let Some(out) = &args.out {
        write(&imported, out)?;
    }
    for note in &imported.notes {
        printer.say(note);
    }
    let summary = Summary::new(&imported);
    if args.json {
        printer.json(&summary)?;
    } else {
        summary.table(printer)?;
    }
    if let Some(out) = &args.out {
        printer.say(&format!("{} records in {}", imported.lines.len(), out.display()));
    }
    Ok(ExitStatus::Ok)
}

/// The newest results of a folder, which lm-eval names by date, or the file itself; its samples lie beside it.
fn lm_eval(files: &Files) -> anyhow::Result<Imported> {
    let list = files.list();
    let is_results = |file: &&File<'_>| {
        let name = file_name(file.name);
        name == "results.json" || name.starts_with("results_") && name.ends_with(".json")
    };
    let results = match &files.chosen {
        Some(chosen) => list.iter().find(|file| file.name == chosen),
        None => list.iter().filter(is_results).max_by_key(|file| file_name(file.name)),
    };
    let Some(results) = results else {
        return Err(Failed::with(ExitStatus::NotFound, "there is no results_*.json of lm-eval"));
    };
    let folder = |name: &str| Path::new(name).parent().map(Path::to_path_buf);
    let samples: Vec<File<'_>> = list
        .iter()
        .filter(|file| file.name.ends_with(".jsonl") && folder(file.name) == folder(results.name))
        .copied()
        .collect();
    import::lm_eval(*results, &samples).map_err(Failed::user)
}

/// One result file, or every `*.eval-generated.json` of a folder.
fn llm_jp_eval(files: &Files, settings: Settings<'_>) -> anyhow::Result<Imported> {
    let list = files.list();
    let wanted = |file: &&File<'_>| match &files.chosen {
        Some(chosen) => file.name == chosen,
        None => file.name.ends_with(".eval-generated.json"),
    };
    let mut imported = Imported::default();
    for file in list.iter().filter(wanted) {
        let Imported { lines, reported, notes } =
            import::llm_jp_eval(*file, settings).map_err(Failed::user)?;
        imported.lines.extend(lines);
        imported.reported.extend(reported);
        imported.notes.extend(notes);
    }
    if imported == Imported::default() {
        let message = "there is no *.eval-generated.json; name the result JSON itself";
        return Err(Failed::with(ExitStatus::NotFound, message));
    }
    Ok(imported)
}

/// Notes run and step in every line.
fn owned_by(mut imported: Imported, args: &Args) -> Imported {
    let lines = imported.lines.iter_mut().filter_map(|line| line.origin.as_mut());
    for origin in lines.chain(imported.reported.iter_mut().map(|score| &mut score.origin)) {
        (origin.run, origin.step) = (args.run.clone(), args.step);
    }
    imported
}

fn write(imported: &Imported, out: &Path) -> anyhow::Result<()> {
    let mut text = String::new();
    for line in &imported.lines {
        writeln!(text, "{}", serde_json::to_string(line)?)?;
    }
    fs_err::write(out, text).map_err(Failed::user)
}

/// The JSON files of a folder, or of the folder in which the named file lies.
struct Files {
    files: Vec<(String, Vec<u8>)>,
    /// The file that was named.
    chosen: Option<String>,
}

impl Files {
    fn read(path: &Path) -> anyhow::Result<Self> {
        let mut paths = Vec::new();
        let is_file = path.is_file();
        let folder = if is_file { path.parent().filter(|p| !p.as_os_str().is_empty()) } else { Some(path) };
        let folder = folder.unwrap_or(Path::new("."));
        if !folder.is_dir() {
            let message = format!("there is no {}", path.display());
            return Err(Failed::with(ExitStatus::NotFound, message));
        }
        collect(folder, !is_file, &mut paths).map_err(Failed::user)?;
        let chosen = is_file.then(|| folder.join(path.file_name().unwrap_or_default()));
        // Of a named file only itself and the samples beside it are of use.
        let wanted = |file: &PathBuf| chosen.as_ref().is_none_or(|c| c == file || is_lines(file));
        let files = paths
            .into_iter()
            .filter(wanted)
            .map(|file| Ok((file.display().to_string(), fs_err::read(&file).map_err(Failed::user)?)))
            .collect::<anyhow::Result<Vec<_>>>()?;
        Ok(Self { files, chosen: chosen.map(|file| file.display().to_string()) })
    }

    fn list(&self) -> Vec<File<'_>> {
        self.files.iter().map(|(name, bytes)| File { name, bytes }).collect()
    }
}

fn is_lines(file: &Path) -> bool {
    file.extension().is_some_and(|extension| extension == "jsonl")
}

/// JSON files, sorted, also of the folders below.
fn collect(folder: &Path, below: bool, found: &mut Vec<PathBuf>) -> std::io::Result<()> {
    let mut entries: Vec<PathBuf> =
        fs_err::read_dir(folder)?.map(|entry| entry.map(|entry| entry.path())).collect::<Result<_, _>>()?;
    entries.sort();
    for path in entries {
        // A link could lead back up.
        let kind = fs_err::symlink_metadata(&path)?.file_type();
        if kind.is_dir() && below {
            collect(&path, below, found)?;
        } else if path.extension().is_some_and(|e| e == "json" || e == "jsonl") && path.is_file() {
            found.push(path);
        }
    }
    Ok(())
}

fn file_name(name: &str) -> &str {
    name.rsplit(['/', '\\']).next().unwrap_or(name)
}

/// `--json`: what was found.
#[derive(Serialize)]
struct Summary<'a> {
    /// Per-item records.
    records: usize,
    tasks: Vec<Task<'a>>,
    reported: &'a [ReportedScore],
    notes: &'a [String],
}

#[derive(Serialize)]
struct Task<'a> {
    profile: &'a str,
    task: &'a str,
    split: &'a str,
    n: usize,
    /// Metric → mean over the items, where that is the score.
    scores: BTreeMap<&'a str, f64>,
}

impl<'a> Summary<'a> {
    fn new(imported: &'a Imported) -> Self {
        let mut by_task: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for record in imported.lines.iter().map(|line| &line.record) {
            by_task.entry((&record.profile, &record.task, &record.split)).or_default().push(record);
        }
        let task = |((profile, task, split), records): (
            (&'a String, &'a String, &'a String),
            Vec<&'a sekisho_bench::Record>,
        )| {
            // A perplexity is no mean of its items'.
            let is_mean =
                |metric: &&String| !metric.ends_with("perplexity") && metric.as_str() != "bits_per_byte";
            let metrics = records.iter().flat_map(|record| record.score.keys()).filter(is_mean);
            let mean = |metric: &'a String| {
                let values: Vec<f64> = records.iter().filter_map(|r| r.score.get(metric).copied()).collect();
                Some((metric.as_str(), sekisho_bench::stats::mean(&values)?))
            };
            Task { profile, task, split, n: records.len(), scores: metrics.filter_map(mean).collect() }
        };
        Self {
            records: imported.lines.len(),
            tasks: by_task.into_iter().map(task).collect(),
            reported: &imported.reported,
            notes: &imported.notes,
        }
    }

    fn table(&self, printer: &Printer) -> anyhow::Result<()> {
        let items = self.tasks.iter().flat_map(|task| {
            task.scores.iter().map(|(metric, value)| {
                row([task.profile, task.task, metric], *value, task.n.to_string(), "items")
            })
        });
        let reported = self.reported.iter().map(|score| {
            let n = score.n.map_or_else(|| "—".to_owned(), |n| n.to_string());
            row([&score.profile, &score.task, &score.metric], score.value, n, "reported")
        });
        let rows: Vec<_> = items.chain(reported).collect();
        printer.table(&["profile", "task", "metric", "value", "n", "as"], &rows)
    }
}

fn row(names: [&str; 3], value: f64, n: String, kind: &str) -> Vec<String> {
    let mut row: Vec<String> = names.map(ToOwned::to_owned).into();
    row.extend([format!("{value:.4}"), n, kind.to_owned()]);
    row
}
