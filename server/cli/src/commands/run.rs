mod register;

use sekisho_domain::run::{EventStatus, KeptEvent, Segment};
use sekisho_domain::wire::RunView;
use serde_json::{Value, json};

use crate::client::{Client, ServerArgs, encode};
use crate::exit::ExitStatus;
use crate::printer::Printer;

#[derive(clap::Subcommand)]
pub(crate) enum Command {
    /// Registers a run before it starts, from what its trainer is started with
    Register(Box<register::Args>),
    /// Runs, newest report first
    List {
        /// Only those of this project
        #[arg(long, value_name = "NAME")]
        project: Option<String>,
        #[command(flatten)]
        options: Options,
    },
    /// One run, by name or id
    Show {
        /// Name or id
        run: String,
        #[command(flatten)]
        options: Options,
    },
    /// What happened to a run, newest first
    Events {
        /// Name or id
        run: String,
        /// Only those that nobody has looked at
        #[arg(long)]
        proposed: bool,
        #[command(flatten)]
        options: Options,
    },
    /// Confirms an event of a run, or dismisses it, with a note
    Decide {
        /// Name or id
        run: String,
        /// Id of the event, as `run events` prints it
        event: String,
        /// What it was
        #[arg(value_parser = ["confirmed", "dismissed"])]
        status: String,
        /// Cause, what was done
        #[arg(short, long, default_value = "")]
        message: String,
        #[command(flatten)]
        options: Options,
    },
    /// The processes that reported a run, with the time between them
    Segments {
        /// Name or id
        run: String,
        #[command(flatten)]
        options: Options,
    },
    /// Plans what a run takes, and says how it stands against that
    Plan {
        /// Name or id
        run: String,
        /// Last day of training
        #[arg(long, value_name = "YYYY-MM-DD")]
        end: Option<String>,
        /// Accelerators that it trains on
        #[arg(long, value_name = "N")]
        gpus: Option<u32>,
        /// GPU-days that it may use
        #[arg(long, value_name = "DAYS")]
        budget: Option<f64>,
        /// Price of a GPU-day [JPY]
        #[arg(long, value_name = "YEN")]
        price: Option<f64>,
        /// Why the plan changes
        #[arg(short, long, default_value = "")]
        message: String,
        #[command(flatten)]
        options: Options,
    },
}

#[derive(clap::Args)]
pub(crate) struct Options {
    #[command(flatten)]
    server: ServerArgs,
    /// JSON on stdout
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(command: &Command, printer: &Printer) -> anyhow::Result<ExitStatus> {
    match command {
        Command::Register(args) => return register::run(args, printer),
        Command::List { project, options } => {
            let mut runs: Vec<RunView> = Client::new(&options.server)?.list("/runs")?;
            runs.retain(|run| project.as_ref().is_none_or(|project| run.project == *project));
            if options.json { printer.json(&runs)? } else { table(&runs, printer)? }
        }
        Command::Show { run, options } => {
            let found: RunView = Client::new(&options.server)?.get(&format!("/runs/{}", encode(run)))?;
            if options.json { printer.json(&found)? } else { table(&[found], printer)? }
        }
        Command::Events { run, proposed, options } => {
            let mut events: Vec<KeptEvent> = Client::new(&options.server)?.list(&path(run, "events"))?;
            events.retain(|event| !proposed || event.status == EventStatus::Proposed);
            events.reverse();
            if options.json { printer.json(&events)? } else { event_table(&events, printer)? }
        }
        Command::Decide { run, event, status, message, options } => {
            decide(run, event, status, message, options, printer)?;
        }
        Command::Segments { run, options } => {
            let segments: Vec<Segment> = Client::new(&options.server)?.list(&path(run, "segments"))?;
            if options.json { printer.json(&segments)? } else { segment_table(&segments, printer)? }
        }
        Command::Plan { run, end, gpus, budget, price, message, options } => {
            let client = Client::new(&options.server)?;
            let change = json!({
                "end": end, "gpus": gpus, "budget_gpu_days": budget, "yen_per_gpu_day": price, "reason": message,
            });
            if end.is_some() || gpus.is_some() || budget.is_some() || price.is_some() {
                let _: Value = client.post(&path(run, "plan"), &change)?;
            }
            let stands: Value = client.get(&path(run, "plan"))?;
            if options.json { printer.json(&stands)? } else { plan_table(&stands, printer)? }
        }
    }
    Ok(ExitStatus::Ok)
}

fn table(runs: &[RunView], printer: &Printer) -> anyhow::Result<()> {
    let rows: Vec<_> = runs.iter().map(row).collect();
    printer.table(&["run", "project", "state", "step", "tokens", "suite", "id"], &rows)
}

fn row(run: &RunView) -> Vec<String> {
    vec![
        run.name.clone(),
        run.project.clone(),
        run.state.to_string(),
        run.step.to_string(),
        run.tokens.short(),
        run.suite.clone().unwrap_or_else(|| "—".to_owned()),
        run.id.to_string(),
    ]
}

fn path(run: &str, part: &str) -> String {
    format!("/runs/{}/{part}", encode(run))
}

fn decide(
    run: &str,
    event: &str,
    status: &str,
    message: &str,
    options: &Options,
    printer: &Printer,
) -> anyhow::Result<()> {
    let client = Client::new(&options.server)?;
    let events: Vec<KeptEvent> = client.list(&path(run, "events"))?;
    let version = events.iter().find(|known| known.id.to_string() == event).map(|known| known.version);
    let body = json!({ "status": status, "remark": message, "version": version });
    let decided: KeptEvent = client.post(&path(run, &format!("events/{}", encode(event))), &body)?;
    if options.json { printer.json(&decided) } else { event_table(&[decided], printer) }
}

fn event_table(events: &[KeptEvent], printer: &Printer) -> anyhow::Result<()> {
    let row = |event: &KeptEvent| {
        let lost = event.lost_seconds.map(|seconds| format!("down {seconds:.0} s"));
        let parts = [event.note.clone(), lost.unwrap_or_default(), event.remark.clone()];
        let what: Vec<String> = parts.into_iter().filter(|part| !part.is_empty()).collect();
        vec![
            event.at.to_string(),
            event.step.to_string(),
            event.kind.to_string(),
            event.status.to_string(),
            event.decided_by.clone().unwrap_or_else(|| event.by.clone()),
            what.join(" · "),
            event.id.to_string(),
        ]
    };
    let rows: Vec<_> = events.iter().map(row).collect();
    printer.table(&["at", "step", "what", "state", "by", "note", "id"], &rows)
}

fn segment_table(segments: &[Segment], printer: &Printer) -> anyhow::Result<()> {
    let row = |(i, segment): (usize, &Segment)| {
        let before = i.checked_sub(1).map(|before| segment.first_at.seconds_since(segments[before].last_at));
        vec![
            segment.number.to_string(),
            segment.first_step.to_string(),
            segment.last_step.to_string(),
            segment.first_at.to_string(),
            segment.last_at.to_string(),
            before.map_or_else(|| "—".to_owned(), |seconds| format!("{seconds:.0} s")),
            segment.host.clone(),
            segment.writer.clone(),
        ]
    };
    let rows: Vec<_> = segments.iter().enumerate().map(row).collect();
    printer.table(
        &["segment", "from step", "to step", "first report", "last report", "down before", "host", "writer"],
        &rows,
    )
}

fn plan_table(stands: &Value, printer: &Printer) -> anyhow::Result<()> {
    let cell = |value: &Value| match value {
        Value::Null => "—".to_owned(),
        Value::String(text) => text.clone(),
        Value::Number(number) => number.as_f64().map_or_else(|| number.to_string(), |n| format!("{n:.2}")),
        other => other.to_string(),
    };
    let (plan, outlook) = (&stands["plan"], &stands["outlook"]);
    let rows = [
        ("planned end", &plan["end"]),
        ("forecast end", &outlook["forecast_end"]),
        ("delay [days]", &outlook["delay_days"]),
        ("tokens a day", &outlook["tokens_per_day"]),
        ("GPUs", &plan["gpus"]),
        ("GPU-days used", &outlook["gpu_days_used"]),
        ("GPU-days planned", &plan["budget_gpu_days"]),
        ("JPY used", &outlook["yen_used"]),
    ];
    let rows: Vec<_> = rows.iter().map(|(name, value)| vec![(*name).to_owned(), cell(value)]).collect();
    printer.table(&["plan", ""], &rows)
}
