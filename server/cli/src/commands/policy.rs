use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use sekisho_domain::Language;
use sekisho_policy::{Decision, Facts, FactsError, Folder, PolicySet};

use crate::exit::{ExitStatus, Failed};
use crate::printer::Printer;

#[derive(clap::Subcommand)]
pub(crate) enum Command {
    /// Judge a lineage and release file: exit 0 when allowed, 5 when refused
    Check(Args),
}

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Lineage and release file
    #[arg(value_name = "LINEAGE.toml")]
    lineage: PathBuf,
    /// A built-in set by name, or a file
    #[arg(long, default_value = "base", value_name = "SET")]
    policy: String,
    /// Language of the findings: ja or en
    #[arg(long, default_value = "en", value_name = "LANG")]
    lang: Language,
    /// The decision as JSON on stdout
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(command: &Command, printer: &Printer) -> anyhow::Result<ExitStatus> {
    let Command::Check(args) = command;
    let decision = decide(args, printer)?;
    if args.json {
        printer.json(&decision)?;
    } else {
        printer.data(&decision.render(args.lang).join("\n"))?;
    }
    Ok(if decision.allowed() { ExitStatus::Ok } else { ExitStatus::Refused })
}

fn decide(args: &Args, printer: &Printer) -> anyhow::Result<Decision> {
    let set = policy_set(&args.policy)?;
    let facts = gather(&args.lineage, &Disk)?;
    for left_out in &facts.left_out {
        printer.say(&format!("{} is not judged: {}.", left_out.path, left_out.why));
    }
    let today = jiff::tz::TimeZone::system().to_datetime(system_now()).date();
    Ok(sekisho_policy::evaluate(&facts, &set, today))
}

/// Everything that a lineage file names.
pub(crate) fn gather(lineage: &Path, folder: &dyn Folder) -> anyhow::Result<Facts> {
    let path = std::path::absolute(lineage)?;
    Facts::gather(&path.display().to_string(), folder).map_err(|error| match error {
        FactsError::NotFound(_) => Failed::with(ExitStatus::NotFound, error.to_string()),
        _ => Failed::user(error),
    })
}

fn system_now() -> jiff::Timestamp {
    use sekisho_domain::Clock as _;
    sekisho_server::SystemClock.now().to_jiff()
}

fn policy_set(name: &str) -> anyhow::Result<PolicySet> {
    let file = Path::new(name);
    if file.extension().is_some_and(|extension| extension == "toml") {
        let text = fs_err::read_to_string(file).map_err(Failed::user)?;
        return PolicySet::from_toml(name, &text).map_err(Failed::user);
    }
    PolicySet::builtin(name).map_err(|error| Failed::with(ExitStatus::NotFound, error.to_string()))
}

/// The files beside a lineage file.
pub(crate) struct Disk;

impl Folder for Disk {
    fn read(&self, path: &str) -> Result<Option<Vec<u8>>, String> {
        there(fs_err::read(path))
    }

    fn list(&self, path: &str) -> Result<Option<Vec<(String, u64)>>, String> {
        let Some(entries) = there(fs_err::read_dir(path))? else { return Ok(None) };
        let mut files = Vec::new();
        for entry in entries {
            let entry = entry.map_err(|error| error.to_string())?;
            let meta = fs_err::metadata(entry.path()).map_err(|error| error.to_string())?;
            if meta.is_file() {
                files.push((entry.file_name().to_string_lossy().into_owned(), meta.len()));
            }
        }
        Ok(Some(files))
    }
}

fn there<T>(result: std::io::Result<T>) -> Result<Option<T>, String> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error.to_string()),
    }
}
