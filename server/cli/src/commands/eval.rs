use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use indicatif::ProgressBar;
use sekisho_bench::{Catalog, RequestKind, TaskDefinition, means, share_of_mean};
use sekisho_domain::Sha256;
use sekisho_domain::evaluation::{Bos, TaskRun};
use sekisho_domain::score::ResultEntry;
use sekisho_evaluator::{
    Engine, EvalError, Model, Progress, Prompts, Report, Request, Settings, Spent, evaluate,
};

use super::{data, tasks};
use crate::compute::ComputeArgs;
use crate::engine::EngineArgs;
use crate::exit::{ExitStatus, Failed};
use crate::printer::Printer;
use crate::selection::Selection;
use crate::signals;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Folder of the model
    #[arg(long, value_name = "PATH")]
    model: PathBuf,
    #[command(flatten)]
    selection: Selection,
    /// Shots, instead of the task's own number or the suite's
    #[arg(long, value_name = "K")]
    shots: Option<u32>,
    /// auto (the profile's rule), on or off
    #[arg(long, default_value = "auto", value_name = "BOS")]
    bos: Bos,
    #[command(flatten)]
    compute: ComputeArgs,
    /// Threads [default: all cores]
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
    /// Run every sequence by itself: the slow reference, equal bit for bit
    #[arg(long)]
    no_sharing: bool,
    /// Most memory for keys and values, e.g. 512MiB or 2GiB [default: 1 GiB, or what the longest prompt needs; on a GPU a share of its memory]
    #[arg(long, value_name = "SIZE", value_parser = size)]
    kv_budget: Option<usize>,
    /// Most tokens of a prompt where the profile cuts [default: the model's context]
    #[arg(long, value_name = "N")]
    max_length: Option<usize>,
    #[command(flatten)]
    engine: EngineArgs,
    /// Keep tokenised prompts here for the next checkpoint
    #[arg(long, value_name = "DIR")]
    cache: Option<PathBuf>,
    /// Take a data file with this digest although the definition names another; recorded as other settings
    #[arg(long, value_name = "SHA256")]
    accept: Vec<Sha256>,
    /// Keep per-item records, and go on from what is there
    #[arg(long, value_name = "FILE.jsonl")]
    out: Option<PathBuf>,
    /// The report as JSON on stdout
    #[arg(long)]
    json: bool,
    /// Tokens run and saved, and where the time went, on stderr
    #[arg(long)]
    timing: bool,
}

pub(crate) fn run(args: &Args, printer: &Printer) -> anyhow::Result<ExitStatus> {
    let catalog = tasks::catalog(args.selection.tasks.as_ref())?;
    let selected = args.selection.runs(&catalog, args.shots)?;
    let model = model(args, &selected, printer).map_err(Failed::user)?;
    let stop = Arc::new(AtomicBool::new(false));
    let stopped = signals::set_on_stop(&stop)?;
    let request = Request {
        tasks: &selected,
        read: &|source| data::read(&args.selection.data, source),
        accept: &args.accept,
        bos: args.bos,
        settings: Settings {
            sharing: !args.no_sharing,
            kv_bytes: args.kv_budget,
            max_length: args.max_length,
        },
        threads: args.threads,
        out: args.out.as_deref(),
        stop,
    };
    let mut prompts = args.cache.as_deref().map_or_else(Prompts::new, Prompts::in_folder);
    let report = match evaluate(&model, &request, &mut prompts, &mut Bars { printer, bars: Vec::new() }) {
        Err(EvalError::Stopped) if stopped.by_user() => {
            return Err(Failed::with(
                ExitStatus::Interrupted,
                "interrupted; with --out the same command goes on from here",
            ));
        }
        other => other.map_err(Failed::user)?,
    };
    if args.timing {
        say_timing(&report, printer);
    }
    if args.json {
        printer.json(&report)?;
    } else {
        table(&report, printer)?;
        if let Some(suite) = &args.selection.suite {
            say_means(&report, &catalog, suite, printer)?;
        }
    }
    Ok(ExitStatus::Ok)
}

/// The weights of the folder, or the server that answers for them.
fn model(args: &Args, selected: &[(TaskDefinition, TaskRun)], printer: &Printer) -> anyhow::Result<Model> {
    let likelihoods = selected.iter().any(|(task, _)| task.request.kind() != RequestKind::Generate);
    let Some(options) = args.engine.options(args.max_length, likelihoods) else {
        let compute = args.compute.choose()?.with_kv_bytes(args.kv_budget);
        printer.say(compute.reason());
        return Ok(Model::load(&args.model, &compute)?);
    };
    let model = Model::remote(&args.model, &options)?;
    if let Engine::Remote(remote) = &model.engine {
        printer.say(&remote.to_string());
    }
    Ok(model)
}

fn table(report: &Report, printer: &Printer) -> anyhow::Result<()> {
    let rows: Vec<_> = report
        .results
        .iter()
        .map(|r| {
            vec![
                r.profile.clone(),
                r.task.clone(),
                r.split.clone(),
                r.metric.clone(),
                format!("{:.3}", r.value),
                format!("[{:.3}, {:.3}]", r.low, r.high),
                r.stderr.map_or_else(|| "—".to_owned(), |s| format!("{s:.3}")),
                r.n.to_string(),
                r.shots.to_string(),
            ]
        })
        .collect();
    printer.table(
        &["profile", "task", "split", "metric", "value", "95% interval", "stderr", "n", "shots"],
        &rows,
    )
}

/// The means that the harness itself names, of a suite that has some. A mean of which something is missing says so in its name.
fn say_means(report: &Report, catalog: &Catalog, suite: &str, printer: &Printer) -> anyhow::Result<()> {
    let suite = catalog.suite(suite).map_err(Failed::user)?;
    let value = |run: &TaskRun| {
        let primary = report.results.iter().zip(&report.primary).filter(|(_, primary)| **primary);
        let of_run = |result: &&ResultEntry| {
            (&result.profile, &result.task, &result.split) == (&run.profile, &run.task, &run.split)
        };
        let result = primary.map(|(result, _)| result).find(of_run)?;
        share_of_mean(&result.metric, result.value)
    };
    let rows: Vec<_> = means(suite, &value)
        .iter()
        .map(|mean| {
            vec![mean.label(), mean.value.map_or_else(|| "—".to_owned(), |value| format!("{value:.3}"))]
        })
        .collect();
    if rows.is_empty() {
        return Ok(());
    }
    printer.data("\n")?;
    printer.table(&["mean", "value"], &rows)
}

fn say_timing(report: &Report, printer: &Printer) {
    for result in report.results.iter().zip(&report.primary).filter(|(_, primary)| **primary).map(|(r, _)| r)
    {
        let tokens = result.tokens;
        printer.say(&format!(
            "{}/{}: {:.1} s, {} tokens in prompts, {} run ({} saved by sharing), {} generated",
            result.profile,
            result.task,
            result.seconds,
            tokens.prompt,
            tokens.prefilled,
            tokens.prompt.saturating_sub(tokens.prefilled),
            tokens.generated
        ));
    }
    let parts = report.timing.parts().map(|(name, time)| format!("{name} {:.2} s", time.as_secs_f64()));
    printer.say(&format!("in all {:.2} s: {}", report.seconds, parts.join(", ")));
}

/// A size with a unit: B, kB, MB, GB (powers of 1,000) or KiB, MiB, GiB (powers of 1,024).
fn size(text: &str) -> Result<usize, String> {
    let wrong = || format!("\"{text}\" is no size; write 512MiB or 2GiB");
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let number: f64 = text[..digits].parse().map_err(|_| wrong())?;
    let unit = match text[digits..].trim() {
        "" | "B" => 1.0,
        "kB" => 1e3,
        "MB" => 1e6,
        "GB" => 1e9,
        "KiB" => 1024.0,
        "MiB" => 1024.0 * 1024.0,
        "GiB" => 1024.0 * 1024.0 * 1024.0,
        _ => return Err(wrong()),
    };
    Ok((number * unit) as usize)
}

/// An evaluation on the terminal: a bar for every task that has something left.
struct Bars<'a> {
    printer: &'a Printer,
    bars: Vec<ProgressBar>,
}

impl Progress for Bars<'_> {
    fn task(&mut self, _task: usize, name: &str, total: u64, left: u64) {
        let bar = self
            .printer
            .bar(total, "{prefix:<36} {bar:24} {pos:>5}/{len} items  {per_sec}  {msg}  {eta} left");
        bar.set_prefix(name.to_owned());
        bar.set_position(total - left);
        bar.reset_eta();
        self.bars.push(bar);
    }

    fn item(&mut self, task: usize) {
        self.bars[task].inc(1);
    }

    fn worked(&mut self, task: usize, spent: Spent) {
        let tokens = spent.tokens;
        let saved = tokens.prompt.saturating_sub(tokens.prefilled);
        self.bars[task]
            .set_message(format!("{} tokens run, {saved} saved", tokens.prefilled + tokens.generated));
    }
}
