//! What commands that train have in common: their options, and training on the terminal.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use indicatif::ProgressBar;
use sekisho_domain::Step;
use sekisho_domain::run::MetricRow;
use sekisho_server::SystemClock;
use sekisho_trainer::spec::Machine;
use sekisho_trainer::{Progress, ServerAddress, TrainOptions};

use crate::cache::CacheArgs;
use crate::client::TokenArgs;
use crate::printer::Printer;
use crate::warn::LanguageArgs;

#[derive(clap::Args)]
pub(crate) struct TrainingArgs {
    /// Tell this service about progress and checkpoints
    #[arg(long, env = "SEKISHO_SERVER", value_name = "URL")]
    server: Option<String>,
    /// Project of a run that the service does not know yet [default: default]
    #[arg(long, requires = "server", value_name = "NAME")]
    project: Option<String>,
    #[command(flatten)]
    token: TokenArgs,
    /// Show what was resolved, warnings first, and train nothing
    #[arg(long)]
    pub(crate) check: bool,
    /// With --check: time on so many accelerators
    #[arg(long, requires = "check", value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    gpus: Option<u32>,
    /// What one of them sustains, in TFLOP/s; H100s reach 300 to 500 in bf16
    #[arg(long, requires = "gpus", default_value_t = 400.0, value_name = "T", value_parser = positive)]
    tflops: f64,
    /// Price of one for a day
    #[arg(long, requires = "gpus", value_name = "YEN", value_parser = positive)]
    yen_per_gpu_day: Option<f64>,
    #[command(flatten)]
    pub(crate) cache: CacheArgs,
    #[command(flatten)]
    pub(crate) language: LanguageArgs,
    /// auto, cpu or cuda:N
    #[arg(long, default_value = "auto", value_name = "DEVICE")]
    device: String,
    /// Threads [default: all cores]
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
}

impl TrainingArgs {
    /// What `--check` reckons time and money for; none without `--gpus`.
    pub(crate) fn machine(&self) -> Option<Machine> {
        let (tflops, yen_per_gpu_day) = (self.tflops, self.yen_per_gpu_day);
        self.gpus.map(|gpus| Machine { gpus, tflops, yen_per_gpu_day })
    }

    /// The service that is told, with what signs in to it.
    pub(crate) fn address(&self) -> anyhow::Result<Option<ServerAddress>> {
        let Some(url) = &self.server else { return Ok(None) };
        Ok(Some(ServerAddress { url: url.clone(), token: self.token.read()? }))
    }

    /// Of a run in this folder.
    pub(crate) fn options(
        &self,
        out: &Path,
        server: Option<ServerAddress>,
        stop: Arc<AtomicBool>,
    ) -> TrainOptions {
        TrainOptions {
            server,
            project: self.project.clone(),
            device: self.device.clone(),
            threads: self.threads,
            cache: self.cache.folder(),
            stop,
            ..TrainOptions::new(out, Arc::new(SystemClock))
        }
    }
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
