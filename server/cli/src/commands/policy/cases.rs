use std::path::PathBuf;

use sekisho_policy::{CaseOutcome, PolicySet};

use super::{How, read, set_file, today};
use crate::exit::{ExitStatus, Failed};
use crate::printer::Printer;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Cases; by default those beside the set: SET.tests.toml for SET.toml
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
    #[command(flatten)]
    how: How,
}

pub(crate) fn run(args: &Args, printer: &Printer) -> anyhow::Result<ExitStatus> {
    let set = args.how.set()?;
    let (file, text) = cases(args)?;
    let outcomes = sekisho_policy::run_cases(&set, &file, &text, today()).map_err(Failed::user)?;
    let held = outcomes.iter().filter(|outcome| outcome.holds()).count();
    if args.how.json {
        printer.json(&serde_json::json!({
            "policy": { "name": set.name(), "version": set.version(), "digest": set.digest() },
            "file": file, "cases": outcomes.len(), "held": held, "outcomes": outcomes,
        }))?;
    } else {
        show(&outcomes, &args.how, printer)?;
        printer.data(&format!("{} {}: {held}/{}", set.name(), set.version(), outcomes.len()))?;
    }
    Ok(if held == outcomes.len() { ExitStatus::Ok } else { ExitStatus::Failure })
}

/// The file's name and its text.
fn cases(args: &Args) -> anyhow::Result<(String, String)> {
    let beside = || {
        let set = set_file(&args.how.policy)?;
        Some(set.with_extension("tests.toml"))
    };
    if let Some(file) = args.file.clone().or_else(beside) {
        return Ok((file.display().to_string(), read(&file)?));
    }
    let name = &args.how.policy;
    let text = PolicySet::cases(name)
        .ok_or_else(|| Failed::with(ExitStatus::NotFound, format!("there are no cases beside {name}")))?;
    Ok((format!("{name}.tests.toml"), text.to_owned()))
}

fn show(outcomes: &[CaseOutcome], how: &How, printer: &Printer) -> anyhow::Result<()> {
    let header = [how.pick("result", "結果"), how.pick("case", "ケース"), how.pick("difference", "差異")];
    let rows: Vec<Vec<String>> = outcomes
        .iter()
        .map(|outcome| {
            let result =
                if outcome.holds() { how.pick("ok", "一致") } else { how.pick("differs", "不一致") };
            vec![result.to_owned(), outcome.name.clone(), outcome.differences.join("; ")]
        })
        .collect();
    printer.table(&header, &rows)
}
