use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use indicatif::HumanBytes;
use sekisho_domain::Language;
use sekisho_server::Config;
use serde_json::json;

use crate::client::{Client, ServerArgs};
use crate::exit::{ExitStatus, Failed};
use crate::partial::{self, Partial};
use crate::printer::Printer;
use crate::signals;
use crate::site::{Source, Wanted, export};

const BAR: &str = "{bar:24} {pos}/{len} {wide_msg}";

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Folder to make; it must not be there yet
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Only this run, also on the leaderboard; may be given several times [default: every run that may be handed on]
    #[arg(long, value_name = "NAME")]
    run: Vec<String>,
    /// Only this preset of the leaderboard; may be given several times [default: every preset and suite]
    #[arg(long, value_name = "PRESET")]
    preset: Vec<String>,
    /// Languages of the pages
    #[arg(long, value_name = "ja|en|both", default_value = "both", value_parser = langs)]
    lang: Languages,
    /// Read this data folder, which no service may have meanwhile, instead of asking a service
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Configuration file of the data folder
    #[arg(long, value_name = "sekisho.toml", requires = "dir")]
    config: Option<PathBuf>,
    /// What was written, as JSON on stdout
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: ServerArgs,
}

#[derive(Clone)]
struct Languages(Vec<Language>);

fn langs(text: &str) -> Result<Languages, String> {
    match text {
        "both" => Ok(Languages(vec![Language::Ja, Language::En])),
        one => one.parse().map(|lang| Languages(vec![lang])).map_err(|_| "ja, en or both".to_owned()),
    }
}

pub(super) fn run(args: &Args, printer: &Printer) -> anyhow::Result<ExitStatus> {
    // A slash at the end would put the temporary folder into the one that it becomes.
    let out: PathBuf = args.out.components().collect();
    partial::must_be_new(&out)?;
    let source = match &args.dir {
        None => Source::Service(Client::new(&args.server)?),
        Some(dir) => Source::folder(match &args.config {
            Some(file) => Config::load(file, dir).map_err(Failed::user)?,
            None => Config::defaults(dir).map_err(Failed::user)?,
        })?,
    };
    let stop = Arc::new(AtomicBool::new(false));
    let stopped = signals::set_on_stop(&stop)?;
    let folder = Partial::make(&out)?;
    let bar = printer.bar(0, BAR);
    let wanted = Wanted { langs: args.lang.0.clone(), runs: args.run.clone(), presets: args.preset.clone() };
    let written = export(&source, &wanted, folder.path(), &bar, &stop).map_err(Failed::on_disk);
    bar.finish_and_clear();
    let Some(written) = written? else {
        drop(folder);
        printer.say("Stopped; nothing was kept.");
        return Ok(if stopped.by_user() { ExitStatus::Interrupted } else { ExitStatus::Failure });
    };
    folder.become_whole(&out).map_err(|error| Failed::user(sekisho_domain::disk_sentence(&error)))?;
    let out = out.display().to_string();
    if args.json {
        let (pages, files, bytes) = (written.pages, written.files, written.bytes);
        printer.json(&json!({ "dir": out, "pages": pages, "files": files, "bytes": bytes }))?;
    } else {
        printer.data(&out)?;
        printer.say(&format!(
            "{} pages and {} other files, {}. Open index.html.",
            written.pages,
            written.files - written.pages,
            HumanBytes(written.bytes)
        ));
    }
    Ok(ExitStatus::Ok)
}
