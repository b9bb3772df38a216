use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use sekisho_domain::Tokens;
use sekisho_trainer::grid::{Carried, Grid, GridError, carry_out};

use crate::exit::{ExitStatus, Failed};
use crate::printer::Printer;
use crate::training::{Bar, TrainingArgs};
use crate::{parent, signals};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Seeds and mixtures, and the specification that they change
    #[arg(value_name = "GRID.toml")]
    grid: PathBuf,
    /// Folder of the runs' folders and of the means; called again with it, the grid goes on
    #[arg(long, value_name = "OUT", required_unless_present = "check")]
    dir: Option<PathBuf>,
    #[command(flatten)]
    training: TrainingArgs,
    /// What came of it as JSON on stdout
    #[arg(long, conflicts_with = "check")]
    json: bool,
}

pub(crate) fn run(args: &Args, printer: &Printer) -> anyhow::Result<ExitStatus> {
    let grid = Grid::load(&args.grid).map_err(failed)?;
    let Some(out) = args.dir.as_ref().filter(|_| !args.training.check) else {
        return check(args, &grid, printer);
    };
    parent::follow()?;
    let server = args.training.address()?;
    let stop = Arc::new(AtomicBool::new(false));
    let interrupted = signals::set_on_stop(&stop)?;
    let options = |folder: &Path| args.training.options(folder, server.clone(), stop.clone());
    let cost = grid.cost();
    printer.say(&format!(
        "{} runs, {} tokens, {:.2e} FLOP",
        grid.cells.len(),
        Tokens(cost.tokens),
        cost.flops
    ));
    let mut progress = Bar::new(printer);
    let carried = carry_out(&grid, out, &options, &mut progress).map_err(failed)?;
    progress.finish();
    if args.json {
        printer.json(&carried)?;
    } else {
        table(&carried, printer)?;
    }
    if !carried.stopped {
        return Ok(ExitStatus::Ok);
    }
    printer.say("Stopped; call it again to go on.");
    Ok(if interrupted.by_user() { ExitStatus::Interrupted } else { ExitStatus::Ok })
}

/// Warnings first, each once; then the runs, and all together.
fn check(args: &Args, grid: &Grid, printer: &Printer) -> anyhow::Result<ExitStatus> {
    // Without a folder a parent is looked for where the runs' folders would lie.
    grid.check(args.dir.as_deref().unwrap_or(Path::new("."))).map_err(failed)?;
    let mut said = Vec::new();
    for cell in &grid.cells {
        for line in args.training.language.of_training(&serde_json::to_value(&cell.spec)?) {
            if !said.contains(&line) {
                printer.data(&line)?;
                said.push(line);
            }
        }
    }
    let row = |name: &str, lr: String, tokens: u64, flops: f64| {
        vec![name.to_owned(), lr, Tokens(tokens).to_string(), format!("{flops:.2e}")]
    };
    let mut rows: Vec<Vec<String>> = Vec::new();
    for cell in &grid.cells {
        let cost = cell.spec.cost();
        rows.push(row(&cell.spec.name, format!("{:e}", cell.spec.optimizer.lr), cost.tokens, cost.flops));
    }
    let all = grid.cost();
    rows.push(row(&format!("{} runs", grid.cells.len()), String::new(), all.tokens, all.flops));
    printer.table(&["run", "lr", "tokens", "FLOP"], &rows)?;
    if let Some(machine) = args.training.machine() {
        printer.data(&format!("together {}", all.time(machine)))?;
    }
    Ok(ExitStatus::Ok)
}

fn table(carried: &Carried, printer: &Printer) -> anyhow::Result<()> {
    let name = |mixture: &Option<String>| mixture.clone().unwrap_or_else(|| "—".to_owned());
    let mut rows: Vec<Vec<String>> = Vec::new();
    for run in &carried.runs {
        let loss = run.loss.map_or_else(|| "—".to_owned(), |loss| format!("{loss:.4}"));
        let checkpoint = run.checkpoint.display().to_string();
        rows.push(vec![name(&run.mixture), run.seed.to_string(), run.tokens.to_string(), loss, checkpoint]);
    }
    for soup in &carried.soups {
        let of = format!("mean of {}", soup.soup.of.len());
        rows.push(vec![
            name(&soup.mixture),
            of,
            String::new(),
            String::new(),
            soup.folder.display().to_string(),
        ]);
    }
    let updates = carried.runs.iter().map(|run| run.averaged).max().unwrap_or_default();
    let loss = format!("loss, last {updates} updates");
    printer.table(&["mixture", "seed", "tokens", &loss, "checkpoint"], &rows)
}

fn failed(error: GridError) -> anyhow::Error {
    match error {
        GridError::Train { run, error } => {
            let Failed { status, message } = Failed::from(error);
            Failed::with(status, format!("{run}: {message}"))
        }
        GridError::OtherSoup(_) => Failed::with(ExitStatus::Conflict, error.to_string()),
        error => Failed::user(error),
    }
}
