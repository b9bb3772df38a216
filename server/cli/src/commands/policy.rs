mod cases;
mod diff;
mod explain;

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use jiff::civil::Date;
use sekisho_domain::Language;
use sekisho_policy::{Facts, FactsError, Folder, PolicySet, Verdict};

use crate::exit::{ExitStatus, Failed};
use crate::printer::Printer;

#[derive(clap::Subcommand)]
pub(crate) enum Command {
    /// Judge a lineage and release file: exit 0 when allowed, 5 when refused
    Check(Args),
    /// Say why: rule, clause and source of every finding, and what each input brought
    Explain(explain::Args),
    /// Run the cases beside a set: exit 1 when one does not hold
    Test(cases::Args),
    /// What another set makes of a release; without a lineage file, what two sets differ in
    Diff(diff::Args),
}

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Lineage and release file
    #[arg(value_name = "LINEAGE.toml")]
    lineage: PathBuf,
    #[command(flatten)]
    how: How,
}

// By which rules, and how the answer looks. No doc comment: it would become the help of the command.
#[derive(clap::Args)]
pub(crate) struct How {
    /// A built-in set by name (base, llm-jp-2025, swallow, strict), or a file
    #[arg(long, default_value = "base", value_name = "SET")]
    policy: String,
    /// Language of the findings: ja or en
    #[arg(long, default_value = "en", value_name = "LANG")]
    lang: Language,
    /// The answer as JSON on stdout
    #[arg(long)]
    json: bool,
}

impl How {
    fn set(&self) -> anyhow::Result<PolicySet> {
        policy_set(&self.policy)
    }

    /// The words of the answer's language.
    fn pick(&self, en: &'static str, ja: &'static str) -> &'static str {
        match self.lang {
            Language::En => en,
            Language::Ja => ja,
        }
    }

    fn verdict(&self, verdict: Verdict) -> &'static str {
        match verdict {
            Verdict::Allowed => self.pick("Allowed", "公開可"),
            Verdict::Refused => self.pick("Refused", "公開不可"),
        }
    }
}

pub(crate) fn run(command: &Command, printer: &Printer) -> anyhow::Result<ExitStatus> {
    match command {
        Command::Check(args) => check(args, printer),
        Command::Explain(args) => explain::run(args, printer),
        Command::Test(args) => cases::run(args, printer),
        Command::Diff(args) => diff::run(args, printer),
    }
}

fn check(args: &Args, printer: &Printer) -> anyhow::Result<ExitStatus> {
    let set = args.how.set()?;
    let facts = facts_of(&args.lineage, printer)?;
    let decision = sekisho_policy::evaluate(&facts, &set, today());
    if args.how.json {
        printer.json(&decision)?;
    } else {
        printer.data(&decision.render(args.how.lang).join("\n"))?;
    }
    Ok(status(decision.verdict))
}

const fn status(verdict: Verdict) -> ExitStatus {
    match verdict {
        Verdict::Allowed => ExitStatus::Ok,
        Verdict::Refused => ExitStatus::Refused,
    }
}

/// Everything that a lineage file names; says what of its folder is not judged.
fn facts_of(lineage: &Path, printer: &Printer) -> anyhow::Result<Facts> {
    let facts = gather(lineage, &Disk)?;
    for left_out in &facts.left_out {
        printer.say(&format!("{} is not judged: {}.", left_out.path, left_out.why));
    }
    Ok(facts)
}

/// Everything that a lineage file names.
pub(crate) fn gather(lineage: &Path, folder: &dyn Folder) -> anyhow::Result<Facts> {
    let path = std::path::absolute(lineage)?;
    Facts::gather(&path.display().to_string(), folder).map_err(|error| match error {
        FactsError::NotFound(_) => Failed::with(ExitStatus::NotFound, error.to_string()),
        _ => Failed::user(error),
    })
}

/// The day here: waivers end by the lab's calendar.
fn today() -> Date {
    use sekisho_domain::Clock as _;
    jiff::tz::TimeZone::system().to_datetime(sekisho_server::SystemClock.now().to_jiff()).date()
}

fn policy_set(name: &str) -> anyhow::Result<PolicySet> {
    let Some(file) = set_file(name) else {
        return PolicySet::builtin(name)
            .map_err(|error| Failed::with(ExitStatus::NotFound, error.to_string()));
    };
    PolicySet::from_toml(name, &read(file)?).map_err(Failed::user)
}

/// The file behind the name of a set; `None` for a built-in one.
fn set_file(name: &str) -> Option<&Path> {
    let file = Path::new(name);
    file.extension().is_some_and(|extension| extension == "toml").then_some(file)
}

/// A text that the user named.
fn read(file: &Path) -> anyhow::Result<String> {
    fs_err::read_to_string(file).map_err(|error| match error.kind() {
        ErrorKind::NotFound => {
            Failed::with(ExitStatus::NotFound, format!("there is no file {}", file.display()))
        }
        _ => Failed::user(error),
    })
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
