use std::path::PathBuf;

use sekisho_evaluator::{Engine, Model};
use sekisho_model::cuda::{self, Row, Scale};
use sekisho_model::device::{self, Device};
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
    /// Small problems: to see that it runs
    #[arg(long)]
    tiny: bool,
    /// The list as JSON on stdout
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &Args, printer: &Printer) -> anyhow::Result<ExitStatus> {
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
            cuda::bench(number(args.compute.device())?, scale, &mut tell).map_err(Failed::user)?;
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
