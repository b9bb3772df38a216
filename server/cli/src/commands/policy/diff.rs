use std::path::{Path, PathBuf};

use sekisho_policy::{Change, DecisionDiff, PolicySet, Weight};

use super::{How, facts_of, policy_set, status, today};
use crate::exit::ExitStatus;
use crate::printer::Printer;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Lineage and release file, judged by both sets: the exit status is that of the second verdict
    #[arg(value_name = "LINEAGE.toml")]
    lineage: Option<PathBuf>,
    /// The set to compare with: a built-in one by name, or a file
    #[arg(long, value_name = "SET")]
    against: String,
    #[command(flatten)]
    how: How,
}

pub(crate) fn run(args: &Args, printer: &Printer) -> anyhow::Result<ExitStatus> {
    let (then, now) = (args.how.set()?, policy_set(&args.against)?);
    match &args.lineage {
        Some(lineage) => decisions(lineage, (&then, &now), &args.how, printer),
        None => sets(&then, &now, &args.how, printer),
    }
}

fn decisions(
    lineage: &Path,
    (then, now): (&PolicySet, &PolicySet),
    how: &How,
    printer: &Printer,
) -> anyhow::Result<ExitStatus> {
    let (facts, today) = (facts_of(lineage, printer)?, today());
    let decide = |set| sekisho_policy::evaluate(&facts, set, today);
    let diff = sekisho_policy::diff(&decide(then), &decide(now));
    if how.json {
        printer.json(&diff)?;
    } else {
        printer.data(&lines(&diff, how).join("\n"))?;
    }
    Ok(status(diff.now))
}

fn lines(diff: &DecisionDiff, how: &How) -> Vec<String> {
    let (then, now) = (&diff.policy_then, &diff.policy_now);
    let mut lines = vec![format!(
        "{} ({} {}) → {} ({} {})",
        how.verdict(diff.then),
        then.name,
        then.version,
        how.verdict(diff.now),
        now.name,
        now.version
    )];
    if diff.changes.is_empty() {
        lines.push(how.pick("No finding differs.", "判定内容に差異はありません。").to_owned());
    }
    for change in &diff.changes {
        lines.push(format!("{} {}: {}", moved(change, how), change.code.as_str(), change.text.get(how.lang)));
        lines.extend(change.derivation.iter().map(|line| format!("    {line}")));
    }
    lines
}

/// `+ violation`, `- warning`, or `~ warning → violation`.
fn moved(change: &Change, how: &How) -> String {
    let name = |weight: Weight| match weight {
        Weight::Violation => how.pick("violation", "違反"),
        Weight::Warning => how.pick("warning", "警告"),
        Weight::Obligation => how.pick("obligation", "義務"),
    };
    match (change.then, change.now) {
        (Some(then), Some(now)) => format!("~ {} → {}", name(then), name(now)),
        (None, Some(now)) => format!("+ {}", name(now)),
        (Some(then), None) => format!("- {}", name(then)),
        (None, None) => String::new(),
    }
}

fn sets(then: &PolicySet, now: &PolicySet, how: &How, printer: &Printer) -> anyhow::Result<ExitStatus> {
    let changes = sekisho_policy::diff_sets(then, now);
    if how.json {
        let named = |set: &PolicySet| serde_json::json!({ "name": set.name(), "version": set.version(), "digest": set.digest() });
        let answer =
            serde_json::json!({ "policy_then": named(then), "policy_now": named(now), "changes": changes });
        printer.json(&answer)?;
        return Ok(ExitStatus::Ok);
    }
    if changes.is_empty() {
        printer.data(how.pick("The rules are the same.", "規則に差異はありません。"))?;
    } else {
        let lines: Vec<String> = changes.iter().map(ToString::to_string).collect();
        printer.data(&lines.join("\n"))?;
    }
    Ok(ExitStatus::Ok)
}
