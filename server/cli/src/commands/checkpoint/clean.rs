use indicatif::HumanBytes;
use sekisho_domain::wire::{CleanUp, CleanedUp, CleanupItem, CleanupRule, CleanupView};

use super::Options;
use crate::client::{Client, encode};
use crate::exit::ExitStatus;
use crate::printer::Printer;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Name or id of the run
    #[arg(long, value_name = "NAME")]
    run: String,
    /// What stays: every:N (steps), last:N, best:N (by the mean on the run's suite) [default: what the run's specification keeps]
    #[arg(long, value_name = "RULE", value_parser = part)]
    keep: Vec<Part>,
    /// Remove; without it the list is all
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    options: Options,
}

/// A part of a rule.
#[derive(Clone, Debug, PartialEq)]
struct Part {
    name: String,
    n: u64,
}

fn part(text: &str) -> Result<Part, String> {
    let wrong = || format!("\"{text}\" is no rule; write every:1000, last:3 or best:1");
    let (name, n) = text.split_once(':').ok_or_else(wrong)?;
    let n = n.parse().map_err(|_| wrong())?;
    if ["every", "last", "best"].contains(&name) {
        Ok(Part { name: name.to_owned(), n })
    } else {
        Err(wrong())
    }
}

fn rule(parts: &[Part]) -> Option<CleanupRule> {
    let n = |name: &str| parts.iter().rev().find(|part| part.name == name).map_or(0, |part| part.n);
    (!parts.is_empty()).then(|| CleanupRule { every: n("every"), last: n("last"), best: n("best") })
}

pub(crate) fn run(args: &Args, printer: &Printer) -> anyhow::Result<ExitStatus> {
    let client = Client::new(&args.options.server)?;
    let asked = rule(&args.keep);
    let query = asked.map_or_else(String::new, |rule| {
        format!("?every={}&last={}&best={}", rule.every, rule.last, rule.best)
    });
    let path = format!("/runs/{}/cleanup", encode(&args.run));
    let plan: CleanupView = client.get(&format!("{path}{query}"))?;
    if !args.yes {
        if args.options.json {
            printer.json(&plan)?;
        } else {
            table(&plan, printer)?;
            printer.say("Nothing was removed. Ask again with --yes to remove what is Sekisho's own.");
        }
        return Ok(ExitStatus::Ok);
    }
    let asked = CleanUp { rule: Some(plan.rule), plan: plan.plan };
    let done: CleanedUp = client.post(&path, &asked)?;
    if args.options.json {
        printer.json(&done)?;
    } else {
        let is_removed = |item: &&CleanupItem| done.removed.contains(&item.checkpoint);
        let rows: Vec<_> = plan.items.iter().filter(is_removed).map(row).collect();
        printer.table(&HEAD, &rows)?;
        let bytes = HumanBytes(done.freed_bytes);
        printer.say(&format!("Removed the weights of {} ({bytes}); scores stay.", done.removed.len()));
    }
    others(done.shell.as_deref(), printer);
    Ok(ExitStatus::Ok)
}

const HEAD: [&str; 6] = ["step", "state", "size", "freed", "kept because", "path"];

fn table(plan: &CleanupView, printer: &Printer) -> anyhow::Result<()> {
    let rows: Vec<_> = plan.items.iter().map(row).collect();
    printer.table(&HEAD, &rows)?;
    printer.say(&format!("{} would be given back.", HumanBytes(plan.freed_bytes)));
    others(plan.shell.as_deref(), printer);
    Ok(())
}

fn others(shell: Option<&str>, printer: &Printer) {
    if let Some(shell) = shell {
        printer.say(&format!("These folders are not Sekisho's; remove them where they lie:\n  {shell}"));
    }
}

fn row(item: &CleanupItem) -> Vec<String> {
    let kept: Vec<String> = item
        .kept
        .iter()
        .map(|kept| match &kept.name {
            Some(name) => format!("{} ({name})", kept.reason),
            None => kept.reason.to_string(),
        })
        .collect();
    let kept = match (kept.is_empty(), item.owned) {
        (false, _) => kept.join(", "),
        (true, true) => "— remove".to_owned(),
        (true, false) => "— not Sekisho's".to_owned(),
    };
    vec![
        item.step.to_string(),
        item.state.to_string(),
        HumanBytes(item.bytes).to_string(),
        HumanBytes(item.freed_bytes).to_string(),
        kept,
        item.path.clone(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_is_the_sum_of_its_parts() {
        let parts = ["every:1000", "last:3"].map(|text| part(text).expect("a rule"));
        assert_eq!(rule(&parts), Some(CleanupRule { every: 1000, last: 3, best: 0 }));
        assert_eq!(rule(&[]), None, "the run's own");
        for wrong in ["1000", "every:x", "first:3"] {
            assert!(part(wrong).expect_err("no rule").contains("every:1000"), "{wrong}");
        }
    }
}
