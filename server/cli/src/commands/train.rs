use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use indicatif::ProgressBar;
use sekisho_domain::Step;
use sekisho_domain::run::MetricRow;
use sekisho_server::SystemClock;
use sekisho_trainer::spec::Machine;
use sekisho_trainer::{Ended, Progress, ServerAddress, Spec, TrainOptions, train};

use crate::cache::CacheArgs;
use crate::client::TokenArgs;
use crate::exit::{ExitStatus, Failed};
use crate::printer::Printer;
use crate::warn::LanguageArgs;
use crate::{parent, signals};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Run specification
    #[arg(value_name = "SPEC.toml")]
    spec: PathBuf,
    /// The run's folder
    #[arg(long, value_name = "OUT", required_unless_present = "check")]
    dir: Option<PathBuf>,
    /// Tell this service about progress and checkpoints
    #[arg(long, env = "SEKISHO_SERVER", value_name = "URL")]
    server: Option<String>,
    /// Project of a run that the service does not know yet [default: default]
    #[arg(long, requires = "server", value_name = "NAME")]
    project: Option<String>,
    #[command(flatten)]
    token: TokenArgs,
    /// Go on from the last complete checkpoint
    #[arg(long)]
    resume: bool,
    /// Show the resolved specification and train nothing
    #[arg(long)]
    check: bool,
    #[command(flatten)]
    machine: MachineArgs,
    #[command(flatten)]
    cache: CacheArgs,
    #[command(flatten)]
    language: LanguageArgs,
    /// auto, cpu or cuda:N
    #[arg(long, default_value = "auto", value_name = "DEVICE")]
    device: String,
    /// Threads [default: all cores]
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
}

/// What `--check` reckons time and money for.
#[derive(clap::Args)]
pub(crate) struct MachineArgs {
    /// With --check: time on so many accelerators
    #[arg(long, requires = "check", value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    gpus: Option<u32>,
    /// What one of them sustains, in TFLOP/s; H100s reach 300 to 500 in bf16
    #[arg(long, requires = "gpus", default_value_t = 400.0, value_name = "T", value_parser = positive)]
    tflops: f64,
    /// Price of one for a day
    #[arg(long, requires = "gpus", value_name = "YEN", value_parser = positive)]
    yen_per_gpu_day: Option<f64>,
}

impl MachineArgs {
    /// The machine; none without `--gpus`.
    pub(crate) fn read(&self) -> Option<Machine> {
        let (tflops, yen_per_gpu_day) = (self.tflops, self.yen_per_gpu_day);
        self.gpus.map(|gpus| Machine { gpus, tflops, yen_per_gpu_day })
    }
}

pub(crate) fn run(args: &Args, printer: &Printer) -> anyhow::Result<ExitStatus> {
    let spec = Spec::load(&args.spec).map_err(Failed::user)?;
    let Some(out) = args.dir.as_ref().filter(|_| !args.check) else {
        for line in args.language.of_training(&serde_json::to_value(&spec)?) {
            printer.data(&line)?;
        }
        printer.data(&spec.check(args.machine.read()))?;
        printer.data(spec.mixture(args.cache.folder().as_deref()).trim_end())?;
        return Ok(ExitStatus::Ok);
    };
    parent::follow()?;
    let server = match &args.server {
        Some(url) => Some(ServerAddress { url: url.clone(), token: args.token.read()? }),
        None => None,
    };
    let stop = Arc::new(AtomicBool::new(false));
    let interrupted = signals::set_on_stop(&stop)?;
    let options = TrainOptions {
        server,
        project: args.project.clone(),
        resume: args.resume,
        device: args.device.clone(),
        threads: args.threads,
        cache: args.cache.folder(),
        stop,
        ..TrainOptions::new(out, Arc::new(SystemClock))
    };
    let mut progress = Bar::new(printer);
    let outcome = train(&spec, &options, &mut progress).map_err(Failed::from)?;
    progress.finish();
    printer.say(&match outcome.ended {
        Ended::Finished => format!("Finished after step {} ({} tokens).", outcome.step, outcome.tokens),
        Ended::DataUsedUp => format!(
            "The data is used up: every mix reached its repeat at step {} ({} tokens).",
            outcome.step, outcome.tokens
        ),
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

fn positive(text: &str) -> Result<f64, String> {
    let number = text.parse::<f64>().ok().filter(|number| number.is_finite() && *number > 0.0);
    number.ok_or_else(|| "it must be a number above 0".to_owned())
}

/// Training on the terminal.
pub(crate) struct Bar<'a> {
    printer: &'a Printer,
    bar: Option<ProgressBar>,
    /// Of a text that is tokenised.
    reading: Option<(PathBuf, ProgressBar)>,
}

impl<'a> Bar<'a> {
    pub(crate) fn new(printer: &'a Printer) -> Self {
        Self { printer, bar: None, reading: None }
    }

    pub(crate) fn finish(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish();
        }
    }
}

impl Progress for Bar<'_> {
    fn reading(&mut self, file: &Path, done: u64, total: u64) {
        let known = self.reading.take().filter(|(of, _)| of == file);
        let (_, bar) = self.reading.insert(known.unwrap_or_else(|| {
            let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
            self.printer.say(&format!("tokenising {}", file.display()));
            let template = "tokens  {wide_bar} {bytes} of {total_bytes}  {bytes_per_sec}  {msg}  {eta} left";
            (file.to_owned(), self.printer.bar(total, template).with_message(name))
        }));
        bar.set_position(done);
        if done == total {
            bar.finish_and_clear();
        }
    }

    fn start(&mut self, done: Step, total: Step) {
        // A grid trains one run after another.
        self.finish();
        let bar = self.printer.bar(total.0, "train  {wide_bar} {pos}/{len} steps  {msg}  {eta} left");
        bar.set_position(done.0);
        self.bar = Some(bar);
    }

    fn step(&mut self, row: &MetricRow, tokens_per_second: f64, _remaining: Duration) {
        let Some(bar) = &self.bar else { return };
        bar.set_position(row.step.0);
        bar.set_message(format!("loss {:.3}  {tokens_per_second:.0} tokens/s", row.loss.unwrap_or(f64::NAN)));
    }

    fn checkpoint(&mut self, path: &Path, step: Step) {
        if self.printer.is_plain() {
            self.printer.say(&format!("step {step}: checkpoint {}", path.display()));
        }
    }

    fn note(&mut self, text: &str) {
        self.printer.say(text);
    }
}
