use std::path::PathBuf;

use sekisho_domain::Step;
use sekisho_trainer::{ReplayedStep, TrainError, replay};

use crate::cache::CacheArgs;
use crate::exit::{ExitStatus, Failed};
use crate::printer::Printer;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// The run's folder
    #[arg(value_name = "OUT")]
    out: PathBuf,
    /// First update
    #[arg(long, value_name = "A")]
    from_step: u64,
    /// Last update
    #[arg(long, value_name = "B")]
    to_step: u64,
    #[command(flatten)]
    cache: CacheArgs,
    /// JSON on stdout, one object a step
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &Args, printer: &Printer) -> anyhow::Result<ExitStatus> {
    let (from, to) = (Step(args.from_step), Step(args.to_step));
    let mut printed = Ok(());
    let mut tell = |step: ReplayedStep| {
        if printed.is_ok() {
            printed = if args.json { line(&step, printer) } else { text(&step, printer) };
        }
    };
    replay(&args.out, args.cache.folder().as_deref(), from, to, &mut tell).map_err(|error| match error {
        TrainError::NotARun { .. } => Failed::with(ExitStatus::NotFound, error.to_string()),
        _ => Failed::user(error),
    })?;
    printed?;
    Ok(ExitStatus::Ok)
}

fn line(step: &ReplayedStep, printer: &Printer) -> anyhow::Result<()> {
    printer.data(&serde_json::to_string(step)?)
}

fn text(step: &ReplayedStep, printer: &Printer) -> anyhow::Result<()> {
    let checked = if step.checked { "  (as it was written down in training)" } else { "" };
    printer.data(&format!("step {}  {}{checked}", step.step, step.digest.short()))?;
    for sample in &step.samples {
        let documents: Vec<String> =
            sample.documents.iter().map(|d| format!("{}[{}..{}]", d.document, d.from, d.to)).collect();
        let from = documents.join(" ");
        printer.data(&format!("  {} sample {} epoch {}: {from}", sample.mix, sample.sample, sample.epoch))?;
    }
    Ok(())
}
