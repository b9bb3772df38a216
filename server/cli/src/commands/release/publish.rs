use std::str::FromStr;

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use sekisho_domain::Timestamp;
use serde_json::{Value, json};

use super::steps::{Goal, follow};
use super::{Act, act, path, view};
use crate::client::Client;
use crate::exit::ExitStatus;
use crate::fields::words;
use crate::printer::Printer;

#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    act: Act,
    /// Wait until it is out; exit 1 when it stops
    #[arg(long, conflicts_with_all = ["at", "dry_run"])]
    wait: bool,
    /// Let it go out by itself at this time (2026-12-01T09:00 here, or with an offset); `none` takes the time back
    #[arg(long, value_name = "TIME")]
    at: Option<At>,
    /// Only look at the Hub and say what would happen; exit 5 when something is in the way
    #[arg(long, conflicts_with = "at")]
    dry_run: bool,
}

/// When.
#[derive(Clone, Copy, Debug, PartialEq)]
struct At(Option<Timestamp>);

impl FromStr for At {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "none" {
            return Ok(Self(None));
        }
        let at = text.parse::<jiff::Timestamp>().ok().or_else(|| here(text));
        let at = at.map(|at| Timestamp::from_unix_ms(at.as_millisecond()));
        at.map(|at| Self(Some(at))).ok_or_else(|| {
            "write it like 2026-12-01T09:00 (by the clock of this machine) or 2026-12-01T09:00:00+09:00, or none"
                .to_owned()
        })
    }
}

/// A time without an offset is one of this machine's zone.
fn here(text: &str) -> Option<jiff::Timestamp> {
    let time: DateTime = text.parse().ok()?;
    Some(time.to_zoned(TimeZone::system()).ok()?.timestamp())
}

pub(super) fn run(args: &Args, printer: &Printer) -> anyhow::Result<ExitStatus> {
    let Act { id, message, options } = &args.act;
    let client = Client::new(&options.server)?;
    if args.dry_run {
        return plan(&client, args, printer);
    }
    let release = match args.at {
        Some(At(at)) => act(&client, id, "schedule", &json!({ "at": at, "comment": message }))?,
        None => {
            let release = act(&client, id, "publish", &json!({ "comment": message }))?;
            let reached = |release: &Value| release["state"] == "published";
            let goal = Goal { what: "publication", reached, before: Vec::new() };
            if args.wait { follow(&client, id, &goal, printer)? } else { release }
        }
    };
    view::show(&release, options, printer)?;
    Ok(ExitStatus::Ok)
}

/// What would happen, found by looking alone.
fn plan(client: &Client, args: &Args, printer: &Printer) -> anyhow::Result<ExitStatus> {
    let Act { id, options, .. } = &args.act;
    let plan: Value = client.get(&format!("{}/plan", path(id)))?;
    if options.json {
        printer.json(&plan)?;
    } else {
        let lines: Vec<&str> =
            plan["lines"].as_array().into_iter().flatten().map(|line| words(line, "/en")).collect();
        printer.data(&lines.join("\n"))?;
    }
    let hindered = plan["objections"].as_array().is_some_and(|objections| !objections.is_empty());
    Ok(if hindered { ExitStatus::Refused } else { ExitStatus::Ok })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_has_an_offset_or_is_of_this_machine() {
        let at = |text: &str| text.parse::<At>();
        let nine = Timestamp::try_from("2026-12-01T00:00:00Z".to_owned()).expect("a time");
        assert_eq!(at("2026-12-01T09:00:00+09:00"), Ok(At(Some(nine))));
        assert_eq!(at("none"), Ok(At(None)));
        let local = here("2026-12-01T09:00").expect("a time");
        let zoned = local.to_zoned(TimeZone::system());
        assert_eq!((zoned.hour(), zoned.minute()), (9, 0));
        assert!(at("2026-12-01T09:00").is_ok() && at("tomorrow").is_err_and(|error| error.contains("none")));
    }
}
