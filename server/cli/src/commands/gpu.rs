use std::path::{Path, PathBuf};

use sekisho_evaluator::{Engine, Model};
use sekisho_model::cuda::{self, Row, Scale};
use sekisho_model::device::{self, Device};
use sekisho_model::train::{Format, MicroBatch, Recompute, Settings, is_trained};
use sekisho_weights::ModelConfig;
use serde_json::{Value, json};

use crate::compute::ComputeArgs;
use crate::exit::{ExitStatus, Failed};
use crate::printer::Printer;

#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    compute: ComputeArgs,
    /// Folder of a model that is measured instead of the kernels
    #[arg(long, value_name = "PATH")]
    model: Option<PathBuf>,
    /// The operations of training instead
    #[arg(long, conflicts_with = "model")]
    training: bool,
    #[command(flatten)]
    train: TrainArgs,
    /// Small problems: to see that it runs
    #[arg(long)]
    tiny: bool,
    /// The list as JSON on stdout
    #[arg(long)]
    json: bool,
}

/// A model that is trained with random weights.
#[derive(clap::Args)]
struct TrainArgs {
    /// A model's config.json: train it with random weights on random tokens instead
    #[arg(long, value_name = "CONFIG.json", conflicts_with_all = ["model", "training"])]
    train: Option<PathBuf>,
    /// Sequences of an update
    #[arg(long, requires = "train", default_value_t = 1, value_name = "N")]
    sequences: usize,
    /// Positions of a sequence
    #[arg(long, requires = "train", default_value_t = 4096, value_name = "N")]
    length: usize,
    /// Updates
    #[arg(long, requires = "train", default_value_t = 12, value_name = "N")]
    updates: usize,
    /// What is computed again: none, light or layer
    #[arg(long, requires = "train", default_value = "light", value_parser = recompute)]
    recompute: Recompute,
    /// Also the digest of all values afterwards
    #[arg(long, requires = "train")]
    digest: bool,
}

fn recompute(text: &str) -> Result<Recompute, String> {
    match text {
        "none" => Ok(Recompute::None),
        "light" => Ok(Recompute::Light),
        "layer" => Ok(Recompute::Layer),
        _ => Err("it must be none, light or layer".to_owned()),
    }
}

pub(crate) fn run(args: &Args, printer: &Printer) -> anyhow::Result<ExitStatus> {
    if let Some(config) = &args.train.train {
        return train(args, config, printer);
    }
    let scale = if args.tiny { Scale::Tiny } else { Scale::Full };
    let rows = match &args.model {
        Some(model) => {
            let compute = args.compute.choose()?;
            printer.say(compute.reason());
            let loaded = Model::load(model, &compute).map_err(Failed::user)?;
            let Engine::Local(inference) = &loaded.engine else { unreachable!("weights were loaded") };
            let mut rows = cuda::throughput(&**inference, scale).map_err(Failed::user)?.to_vec();
            rows.extend(cuda::loading(model, &compute).map_err(Failed::user)?);
            rows
        }
        None => {
            let mut rows = Vec::new();
            let bar = printer.spinner("measuring");
            let mut tell = |row: Row| {
                bar.set_message(format!("{} {}", row.name, row.shape));
                rows.push(row);
            };
            let measure = if args.training { cuda::bench_training } else { cuda::bench };
            measure(number(args.compute.device())?, scale, &mut tell).map_err(Failed::user)?;
            bar.finish_and_clear();
            rows
        }
    };
    if args.json {
        printer.json(&rows.iter().map(fields).collect::<Vec<Value>>())?;
    } else {
        let header = ["operation", "shape", "time", "TFLOP/s", "TB/s"];
        printer.table(&header, &rows.iter().map(cells).collect::<Vec<_>>())?;
    }
    Ok(ExitStatus::Ok)
}

/// Trains, and tells the time of each update and what came of them.
fn train(args: &Args, config: &Path, printer: &Printer) -> anyhow::Result<ExitStatus> {
    let TrainArgs { sequences, length, updates, recompute, digest, .. } = args.train;
    let text = fs_err::read_to_string(config).map_err(Failed::user)?;
    let model = ModelConfig::from_json(&config.display().to_string(), &text).map_err(Failed::user)?;
    let micro = MicroBatch { sequences, length };
    let format = match args.compute.dtype() {
        None | Some(cuda::Dtype::Bf16) => Format::Bf16,
        Some(cuda::Dtype::F32) => Format::F32,
        Some(other) => {
            return Err(Failed::user(format!("training computes in f32 or bf16, not {}", other.as_str())));
        }
    };
    if !is_trained(&model) || sequences == 0 || length == 0 {
        return Err(Failed::user("this model is not trained here, or the micro-batch is empty"));
    }
    let chosen = device::choose(args.compute.device()).map_err(Failed::user)?;
    printer.say(&chosen.reason);
    let settings = Settings { format, recompute, ..Settings::default() };
    let trained =
        cuda::training(chosen.device, &model, settings, micro, (updates, digest)).map_err(Failed::user)?;
    let mut sorted = trained.seconds.clone();
    // The first ones compile, choose and write down.
    sorted.drain(..sorted.len().min(3));
    sorted.sort_by(f64::total_cmp);
    let median = sorted.get(sorted.len() / 2).copied();
    let rate = median.map(|seconds| (sequences * length) as f64 / seconds);
    let memory = cuda::forecast(&model, settings, micro).total();
    let said = json!({
        "parameters": model.parameters(), "tokens_per_second": rate, "seconds": trained.seconds,
        "losses": trained.losses, "bytes": memory, "digest": trained.digest.map(|digest| digest.hex()),
    });
    if args.json {
        printer.json(&said)?;
    } else {
        let rate = rate.map_or_else(|| "—".to_owned(), |rate| format!("{rate:.0}"));
        let header = ["parameters", "tokens/s", "last loss"];
        let last = trained.losses.last().map_or_else(|| "—".to_owned(), |loss| format!("{loss:.4}"));
        printer.table(&header, &[vec![model.parameters().to_string(), rate, last]])?;
    }
    Ok(ExitStatus::Ok)
}

fn fields(row: &Row) -> Value {
    json!({ "name": row.name, "shape": row.shape, "seconds": row.seconds, "teraflops": row.teraflops(), "terabytes": row.terabytes() })
}

fn cells(row: &Row) -> Vec<String> {
    let rate = |value: f64| if value < 0.005 { "—".to_owned() } else { format!("{value:.2}") };
    vec![
        row.name.to_owned(),
        row.shape.clone(),
        format!("{:.3} ms", row.seconds * 1e3),
        rate(row.teraflops()),
        rate(row.terabytes()),
    ]
}

/// The number of a GPU that is there.
fn number(request: &str) -> anyhow::Result<usize> {
    let chosen = device::choose(request).map_err(Failed::user)?;
    match chosen.device {
        Device::Cuda(number) => Ok(number),
        _ => Err(Failed::user(format!("no GPU that could be measured: {}", chosen.reason))),
    }
}
