use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use clap::ValueEnum;
use sekisho_convert::{ConvertError, Format, Options, Report, convert, detect};

use crate::exit::{ExitStatus, Failed};
use crate::printer::Printer;
use crate::{signals, transfer};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Folder of one iteration, or of a Megatron run, whose latest one is meant
    #[arg(value_name = "IN")]
    from_dir: PathBuf,
    /// New folder
    #[arg(value_name = "OUT")]
    to_dir: PathBuf,
    /// Format of IN [default: what its files say]
    #[arg(long, value_name = "FORMAT")]
    from: Option<Source>,
    /// Format of OUT
    #[arg(long, value_name = "FORMAT", default_value = "hf")]
    to: Target,
    /// The model's config.json, copied to OUT; Megatron's arguments do without
    #[arg(long, value_name = "CONFIG.json")]
    config: Option<PathBuf>,
    /// Folder whose tokenizer is copied to OUT
    #[arg(long, value_name = "DIR")]
    tokenizer: Option<PathBuf>,
    /// Rows of the vocabulary before it was padded, where Megatron's arguments do not say so
    #[arg(long, value_name = "N", conflicts_with = "config")]
    vocab_size: Option<u64>,
    /// What was done with each tensor, as JSON on stdout
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Source {
    /// Megatron-LM: torch and torch_dist
    Megatron,
    /// torch.distributed.checkpoint
    Dcp,
    /// Hugging Face
    Hf,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Target {
    /// Hugging Face: config.json and safetensors
    Hf,
    /// Not written; says what does
    Megatron,
}

pub(crate) fn run(args: &Args, printer: &Printer) -> anyhow::Result<ExitStatus> {
    if args.to == Target::Megatron {
        let text = "Megatron checkpoints are not written here. Megatron-LM reads Hugging Face folders itself: `tools/checkpoint/convert.py --model-type GPT --loader llama_mistral --saver core`.";
        return Err(Failed::user(text));
    }
    fits(args.from, &args.from_dir)?;
    // A slash at the end would put the temporary folder into the one that it becomes.
    let to: PathBuf = args.to_dir.components().collect();
    let options = Options {
        from: args.from_dir.clone(),
        to,
        config: args.config.clone(),
        tokenizer: args.tokenizer.clone(),
        vocab_size: args.vocab_size,
    };
    let stop = Arc::new(AtomicBool::new(false));
    let stopped = signals::set_on_stop(&stop)?;
    let report = match with_bar(&options, &stop, printer) {
        Err(ConvertError::Stopped) => {
            printer.say(&ConvertError::Stopped.to_string());
            return Ok(if stopped.by_user() { ExitStatus::Interrupted } else { ExitStatus::Failure });
        }
        result => result.map_err(|error| failed(&error))?,
    };
    if args.json {
        printer.json(&report)?;
    } else {
        printer.data(&options.to.display().to_string())?;
    }
    tell(&report, printer);
    Ok(ExitStatus::Ok)
}

/// Converts under a progress bar, until it is done or `stop` is set.
pub(crate) fn with_bar(
    options: &Options,
    stop: &AtomicBool,
    printer: &Printer,
) -> Result<Report, ConvertError> {
    allow_many_files();
    let bar = printer.bar(0, transfer::BAR);
    bar.set_message("converting");
    let report = convert(options, &mut |done, all| {
        bar.set_length(all);
        bar.set_position(done);
        !stop.load(Ordering::Relaxed)
    });
    bar.finish_and_clear();
    report
}

fn failed(error: &ConvertError) -> anyhow::Error {
    let status = match error {
        ConvertError::Exists { .. } => ExitStatus::Conflict,
        _ => ExitStatus::Failure,
    };
    Failed::with(status, error.to_string())
}

/// A checkpoint of many ranks is as many open files.
fn allow_many_files() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    // Where that is not allowed, the file that cannot be opened is named.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
}

/// Refuses a checkpoint of another format than the one that was named.
fn fits(named: Option<Source>, dir: &std::path::Path) -> anyhow::Result<()> {
    let found = detect(dir);
    let fits = match (named, found) {
        (None, _) | (_, None) => true,
        (Some(Source::Megatron), Some(format)) => {
            matches!(format, Format::MegatronLegacy | Format::MegatronDist)
        }
        (Some(Source::Dcp), Some(format)) => matches!(format, Format::MegatronDist | Format::Dcp),
        (Some(Source::Hf), Some(format)) => format == Format::HuggingFace,
    };
    match found.filter(|_| !fits) {
        None => Ok(()),
        Some(format) => {
            let text = format!(
                "{} is a checkpoint of {format}, not of the format that --from names. Leave --from away, or name the other folder.",
                dir.display()
            );
            Err(Failed::user(text))
        }
    }
}

fn tell(report: &Report, printer: &Printer) {
    let step = report.step.map(|step| format!(", iteration {step}")).unwrap_or_default();
    let tokens = report.tokens.map(|tokens| format!(", {tokens} tokens")).unwrap_or_default();
    printer.say(&format!(
        "{}{step}{tokens}: {} tensors, {} bytes",
        report.from,
        report.tensors.len(),
        report.bytes
    ));
    for (done, count) in report.summary() {
        printer.say(&format!("  {count:>5}  {done}"));
    }
    if !report.left_out.is_empty() {
        printer.say(&format!("  {:>5}  left out, no weights", report.left_out.len()));
    }
    printer.say("Of each tensor, `--json` says where it came from.");
}
