use std::path::PathBuf;

use sekisho_model::device;

use crate::exit::ExitStatus;
use crate::printer::Printer;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Data folder to look at
    #[arg(long, env = "SEKISHO_DIR", default_value = "sekisho-data", value_name = "DIR")]
    dir: PathBuf,
}

pub(crate) fn run(args: &Args, printer: &Printer) -> anyhow::Result<ExitStatus> {
    let threads = std::thread::available_parallelism()?;
    let mut rows = vec![
        row("version", env!("CARGO_PKG_VERSION")),
        row("threads", &threads.to_string()),
        row("disk", &disk(&args.dir)),
    ];
    rows.extend(device::report().iter().map(|line| row("device", line)));
    let chosen = match device::choose("auto") {
        Ok(chosen) => chosen.reason,
        Err(error) => error.to_string(),
    };
    rows.push(row("auto", &chosen));
    printer.table(&["what", "found"], &rows)?;
    Ok(ExitStatus::Ok)
}

fn row(what: &str, found: &str) -> Vec<String> {
    vec![what.to_owned(), found.to_owned()]
}

/// Free space where the data folder is, or will be.
fn disk(dir: &std::path::Path) -> String {
    let existing = dir.ancestors().find(|p| p.exists()).unwrap_or(std::path::Path::new("."));
    match rustix::fs::statvfs(existing) {
        Ok(stat) => {
            let free = stat.f_bavail * stat.f_frsize / 1_000_000_000;
            format!("{free} GB free at {}", existing.display())
        }
        Err(error) => format!("{}: {error}", existing.display()),
    }
}
