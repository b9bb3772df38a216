use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use sekisho_domain::Entropy as _;
use sekisho_domain::wire::WorkItem;
use sekisho_evaluator::{Ended, Worker, WorkerOptions, bundle};
use sekisho_server::SystemEntropy;

use crate::client::ServerArgs;
use crate::compute::ComputeArgs;
use crate::exit::{ExitStatus, Failed};
use crate::printer::Printer;
use crate::{cache, parent, signals};

#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    server: ServerArgs,
    /// Pool to work for [default: any]
    #[arg(long, default_value = "", value_name = "NAME", hide_default_value = true)]
    pool: String,
    /// End after so long without work, for example 10m
    #[arg(long, value_name = "TIME", value_parser = duration)]
    max_idle: Option<Duration>,
    /// Name in the queue, unique among the living
    #[arg(long, value_name = "NAME", hide = true)]
    name: Option<String>,
    /// Work through a bundle, without a service; what is answered is kept, and the same command goes on
    #[arg(long, value_name = "DIR", conflicts_with_all = ["pool", "max_idle"])]
    bundle: Option<PathBuf>,
    /// Threads [default: all cores]
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
    #[command(flatten)]
    compute: ComputeArgs,
}

pub(crate) fn run(args: &Args, printer: &Printer) -> anyhow::Result<ExitStatus> {
    parent::follow()?;
    let stop = Arc::new(AtomicBool::new(false));
    let stopped = signals::set_on_stop(&stop)?;
    let options = WorkerOptions {
        name: args.name.clone().unwrap_or_else(name),
        pool: args.pool.clone(),
        max_idle: args.max_idle,
        cache: cache::default().join("sources"),
        threads: args.threads,
        compute: args.compute.choose()?,
        stop,
    };
    printer.say(options.compute.reason());
    if let Some(folder) = &args.bundle {
        return offline(folder, &options, printer);
    }
    printer.say(&format!("worker {} for {}", options.name, args.server.server));
    let worker = Worker::new(&args.server.server, args.server.token()?, options).map_err(Failed::user)?;
    match worker.run().map_err(Failed::user)? {
        Ended::Idle => printer.say("nothing to do for --max-idle; ended"),
        Ended::Drained => printer.say("drained"),
    }
    Ok(if stopped.by_user() { ExitStatus::Interrupted } else { ExitStatus::Ok })
}

/// Works through a bundle.
fn offline(folder: &Path, options: &WorkerOptions, printer: &Printer) -> anyhow::Result<ExitStatus> {
    let mut failures = 0;
    let mut failed = |item: &WorkItem, reason: &str| {
        failures += 1;
        tracing::error!(item = %item.id, "{}/{}: {reason}", item.run.profile, item.run.task);
    };
    let (ended, finished) = bundle::run_bundle(folder, options, &mut failed).map_err(Failed::user)?;
    printer.say(&format!("{finished} work items are finished"));
    if ended == Ended::Drained {
        printer.say("stopped; the same command goes on");
    }
    Ok(if failures > 0 { ExitStatus::Failure } else { ExitStatus::Ok })
}

/// `host-pid-random`: unique among the living, and readable in the queue.
fn name() -> String {
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let mut random = [0; 3];
    SystemEntropy.fill(&mut random);
    format!("{host}-{}-{:06x}", std::process::id(), u32::from_be_bytes([0, random[0], random[1], random[2]]))
}

/// `90s`, `10m`, `2h`, or a number of seconds.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let (number, unit) = match text.char_indices().find(|(_, c)| !c.is_ascii_digit()) {
        Some((at, _)) => text.split_at(at),
        None => (text, "s"),
    };
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        _ => return Err("expected a time such as 90s, 10m or 2h".to_owned()),
    };
    let number: u64 = number.parse().map_err(|_| "expected a time such as 90s, 10m or 2h".to_owned())?;
    Ok(Duration::from_secs(number * seconds))
}
