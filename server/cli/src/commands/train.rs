use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use sekisho_trainer::{Ended, Spec, TrainOptions, train};

use crate::exit::{ExitStatus, Failed};
use crate::printer::Printer;
use crate::training::{Bar, TrainingArgs};
use crate::{parent, signals};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Run specification
    #[arg(value_name = "SPEC.toml")]
    spec: PathBuf,
    /// The run's folder
    #[arg(long, value_name = "OUT", required_unless_present = "check")]
    dir: Option<PathBuf>,
    /// Go on from the last complete checkpoint
    #[arg(long)]
    resume: bool,
    #[command(flatten)]
    training: TrainingArgs,
}

pub(crate) fn run(args: &Args, printer: &Printer) -> anyhow::Result<ExitStatus> {
    let spec = Spec::load(&args.spec).map_err(Failed::user)?;
    let Some(out) = args.dir.as_ref().filter(|_| !args.training.check) else {
        for line in args.training.language.of_training(&serde_json::to_value(&spec)?) {
            printer.data(&line)?;
        }
        printer.data(spec.check(args.training.machine()).trim_end())?;
        printer.data(spec.mixture(args.training.cache.folder().as_deref()).trim_end())?;
        return Ok(ExitStatus::Ok);
    };
    parent::follow()?;
    let server = args.training.address()?;
    let stop = Arc::new(AtomicBool::new(false));
    let interrupted = signals::set_on_stop(&stop)?;
    let options = TrainOptions { resume: args.resume, ..args.training.options(out, server, stop) };
    let mut progress = Bar::new(printer);
    let outcome = train(&spec, &options, &mut progress).map_err(Failed::from)?;
    progress.finish();
    printer.say(&match outcome.ended {
        Ended::Finished => format!("Finished after step {} ({} tokens).", outcome.step, outcome.tokens),
        Ended::DataUsedUp => {
            format!("The data is used up at step {} ({} tokens).", outcome.step, outcome.tokens)
        }
        Ended::Stopped => format!("Stopped after step {}; go on with --resume.", outcome.step),
    });
    if let Some(score) = outcome.spikes {
        printer.say(&format!(
            "Spike score: {:.2} % of the losses and {:.2} % of the gradient norms stood out by more than 6 σ.",
            100.0 * score.loss,
            100.0 * score.grad_norm
        ));
    }
    let by_user = outcome.ended == Ended::Stopped && interrupted.by_user();
    Ok(if by_user { ExitStatus::Interrupted } else { ExitStatus::Ok })
}
