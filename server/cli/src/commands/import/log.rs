use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use indicatif::ProgressBar;
use sekisho_foreign::{LogReader, Mark, Row, Trainer, megatron};

use super::history::{BAR, missing};
use super::send::{Sender, Target};
use super::tail::Tail;
use crate::exit::{ExitStatus, Failed};
use crate::printer::Printer;
use crate::signals;

/// How often a growing log is looked at.
const LOOK: Duration = Duration::from_millis(500);
/// Longest pause between attempts while the service is away.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// A text that holds no metrics may be a launch script up to this size.
const SCRIPT: u64 = 1 << 20;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Logs of one run, in the order in which they were written
    #[arg(value_name = "LOG", required = true)]
    paths: Vec<PathBuf>,
    /// Megatron-LM's launch command or script, where the log does not begin with the arguments
    #[arg(long, value_name = "FILE")]
    arguments: Option<PathBuf>,
    /// Keep reading the last log as it grows, through rotation and truncation, until Ctrl-C
    #[arg(long, conflicts_with = "check")]
    follow: bool,
    #[command(flatten)]
    target: Target,
}

pub(super) fn run(args: &Args, trainer: Option<Trainer>, printer: &Printer) -> anyhow::Result<ExitStatus> {
    let stop = Arc::new(AtomicBool::new(false));
    let interrupted = if args.follow { Some(signals::set_on_stop(&stop)?) } else { None };
    let mut import = Import::read(args, trainer, printer)?;
    let spec = import.reader.setup().spec.clone();
    args.target.warn(spec.as_ref(), printer);
    args.target.count_tokens(&mut import.rows);
    if args.target.check {
        args.target.show(spec.as_ref(), &import.rows, printer)?;
        return Ok(ExitStatus::Ok);
    }
    let mut sender = Sender::begin(&args.target, spec.as_ref(), &import.rows, printer)?;
    if args.follow {
        sender.go_live();
    }
    let bar = printer.bar(import.rows.len() as u64, BAR);
    sender.rows(&import.rows, &bar)?;
    sender.marks(&import.marks)?;
    if args.follow {
        bar.set_message("following");
        import.follow(&mut sender, &bar, &stop, printer)?;
    }
    bar.finish_and_clear();
    let status = sender.finish(printer)?;
    let by_user = interrupted.is_some_and(|signals| signals.by_user());
    Ok(if by_user { ExitStatus::Interrupted } else { status })
}

/// The logs as they are read.
struct Import<'a> {
    target: &'a Target,
    reader: LogReader,
    tail: Tail,
    rows: Vec<Row>,
    marks: Vec<Mark>,
}

impl<'a> Import<'a> {
    /// Reads everything that is there by now.
    fn read(args: &'a Args, trainer: Option<Trainer>, printer: &Printer) -> anyhow::Result<Self> {
        let (first, others) = args.paths.split_first().ok_or_else(|| Failed::user("name a log"))?;
        let mut reader = LogReader::new(&first.display().to_string(), trainer, args.target.tokens_per_step);
        if let Some(path) = &args.arguments {
            let text =
                String::from_utf8_lossy(&fs_err::read(path).map_err(|error| missing(&error))?).into_owned();
            let found = megatron::arguments(&path.display().to_string(), &text).map_err(Failed::user)?;
            found.notes.iter().for_each(|note| printer.say(note));
            reader.assume(megatron::setup(&found));
        }
        let mut tail = Tail::open(first).map_err(|error| missing(&error))?;
        drain(&mut tail, &mut reader, printer)?;
        for path in others {
            tail.last_line().iter().for_each(|line| reader.cut_line(line));
            reader.next_file(&path.display().to_string());
            tail = Tail::open(path).map_err(|error| missing(&error))?;
            drain(&mut tail, &mut reader, printer)?;
        }
        if !args.follow {
            tail.last_line().iter().for_each(|line| reader.cut_line(line));
        }
        if reader.found() == 0 && reader.setup().spec.is_none() && !args.follow {
            script(first, &mut reader, trainer, printer)?;
        }
        let rows = if args.follow { reader.rows() } else { reader.all_rows() };
        let marks = reader.marks();
        reader.notes().iter().for_each(|note| printer.say(note));
        Ok(Self { target: &args.target, reader, tail, rows, marks })
    }

    /// Sends what comes until it is asked to stop. A service that is away is tried again.
    fn follow(
        &mut self,
        sender: &mut Sender<'_>,
        bar: &ProgressBar,
        stop: &AtomicBool,
        printer: &Printer,
    ) -> anyhow::Result<()> {
        let (mut waiting, mut marks): (Vec<Row>, Vec<Mark>) = (Vec::new(), Vec::new());
        let (mut pause, mut next) = (LOOK, Instant::now());
        loop {
            let ending = stop.load(Ordering::Relaxed);
            for line in self.tail.lines().map_err(Failed::user)? {
                self.reader.line(&line);
            }
            // The last row waits for the next one: a validation may still add to it.
            let mut rows = if ending { self.reader.all_rows() } else { self.reader.rows() };
            self.target.count_tokens(&mut rows);
            bar.inc_length(rows.len() as u64);
            waiting.append(&mut rows);
            marks.append(&mut self.reader.marks());
            self.reader.notes().iter().for_each(|note| printer.say(note));
            if Instant::now() >= next {
                match send(sender, &mut waiting, &mut marks, bar) {
                    Ok(()) => pause = LOOK,
                    Err(error) if ending => return Err(error),
                    Err(error) => {
                        if pause == LOOK {
                            printer.say(&format!(
                                "{error:#} The log is still read, and the service told later."
                            ));
                        }
                        pause = (pause * 2).min(LONGEST_PAUSE);
                        next = Instant::now() + pause;
                    }
                }
            }
            if ending {
                return send(sender, &mut waiting, &mut marks, bar);
            }
            std::thread::sleep(LOOK);
        }
    }
}

fn send(
    sender: &mut Sender<'_>,
    rows: &mut Vec<Row>,
    marks: &mut Vec<Mark>,
    bar: &ProgressBar,
) -> anyhow::Result<()> {
    if !rows.is_empty() {
        sender.rows(rows, bar)?;
        rows.clear();
    }
    if !marks.is_empty() {
        sender.marks(marks)?;
        marks.clear();
    }
    Ok(())
}

fn drain(tail: &mut Tail, reader: &mut LogReader, printer: &Printer) -> anyhow::Result<()> {
    let bar = printer.bar(tail.size(), crate::transfer::BAR);
    bar.set_message("read");
    loop {
        let lines = tail.lines().map_err(Failed::user)?;
        if lines.is_empty() && tail.is_at_end() {
            break;
        }
        lines.iter().for_each(|line| reader.line(line));
        bar.set_position(tail.position());
    }
    bar.finish_and_clear();
    Ok(())
}

/// A text without a metric may be the launch script: it registers the run before it starts.
fn script(
    path: &Path,
    reader: &mut LogReader,
    trainer: Option<Trainer>,
    printer: &Printer,
) -> anyhow::Result<()> {
    let nothing = || {
        let names: Vec<&str> = trainer
            .as_ref()
            .map_or(&Trainer::ALL[..], std::slice::from_ref)
            .iter()
            .map(|t| t.as_str())
            .collect();
        Failed::user(format!(
            "{}: no line is one of {}'s; name the log of the process that prints the metrics (Megatron-LM: the last rank, torchtitan: LOG_RANK), or with --follow wait for them",
            path.display(),
            names.join(", ")
        ))
    };
    let may_be = trainer.is_none_or(|trainer| trainer == Trainer::Megatron)
        && fs_err::metadata(path).map_err(|error| missing(&error))?.len() <= SCRIPT;
    if !may_be {
        return Err(nothing());
    }
    let text = String::from_utf8_lossy(&fs_err::read(path).map_err(|error| missing(&error))?).into_owned();
    let found = megatron::arguments(&path.display().to_string(), &text).map_err(|_| nothing())?;
    found.notes.iter().for_each(|note| printer.say(note));
    reader.assume(megatron::setup(&found));
    Ok(())
}
