use std::path::{Path, PathBuf};

use sekisho_bench::{Catalog, SourceRef, Split, TaskDefinition, dataset_json};
use sekisho_domain::Sha256;

use super::tasks;
use crate::exit::{ExitStatus, Failed};
use crate::printer::Printer;

#[derive(clap::Subcommand)]
pub(crate) enum Command {
    /// Write llm-jp-eval's data files, evaluation/{train,dev,test}/<task>.json, from the original data
    Build {
        #[command(flatten)]
        of: Of,
        /// Folder to write to
        #[arg(long, value_name = "DIR", default_value = ".")]
        out: PathBuf,
        /// Take a data file with this digest although the definition names another, or none
        #[arg(long, value_name = "SHA256")]
        accept: Vec<Sha256>,
    },
    /// Say which data files are there, and whether they are the ones that the definitions name
    Verify(Of),
}

#[derive(clap::Args)]
pub(crate) struct Of {
    /// Profile, with or without version
    #[arg(long, value_name = "P")]
    profile: String,
    /// Only these tasks of it
    #[arg(long, value_name = "T[,T]", value_delimiter = ',')]
    task: Vec<String>,
    /// Folder with benchmark data: DIR/bench/<source>/… or DIR/<source>/…
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// Folder with task files of your own
    #[arg(long, value_name = "DIR")]
    tasks: Option<PathBuf>,
}

pub(crate) fn run(command: &Command, printer: &Printer) -> anyhow::Result<ExitStatus> {
    match command {
        Command::Build { of, out, accept } => build(of, out, accept, printer),
        Command::Verify(of) => verify(of, printer),
    }
}

/// The tasks that are meant.
fn chosen(of: &Of, catalog: &Catalog) -> anyhow::Result<Vec<TaskDefinition>> {
    let missing = |error: sekisho_bench::TaskError| Failed::with(ExitStatus::NotFound, error.to_string());
    let profile = catalog.profile(&of.profile).map_err(missing)?;
    if of.task.is_empty() {
        return Ok(catalog.iter().filter(|definition| definition.profile == profile).cloned().collect());
    }
    of.task.iter().map(|task| catalog.find(profile, task).cloned().map_err(missing)).collect()
}

fn build(of: &Of, out: &Path, accept: &[Sha256], printer: &Printer) -> anyhow::Result<ExitStatus> {
    let definitions = chosen(of, &tasks::catalog(of.tasks.as_ref())?)?;
    let mut rows = Vec::new();
    let mut refused = Vec::new();
    for definition in &definitions {
        for split in definition.splits() {
            match dataset_json(definition, split, accept, &|source| read(&of.data, source)) {
                Ok(text) => {
                    let file = out.join(format!("evaluation/{split}/{}.json", definition.task));
                    write(&file, &text)?;
                    let digest = Sha256::of(&text);
                    rows.push(vec![
                        definition.task.clone(),
                        split.to_string(),
                        digest.hex(),
                        judged(definition, split, digest).to_owned(),
                    ]);
                }
                Err(error) => refused.push(format!("{}, {split}: {error}", definition.task)),
            }
        }
    }
    printer.table(&["task", "split", "SHA-256", "LLM-jp's"], &rows)?;
    for sentence in &refused {
        printer.say(&format!("not built: {sentence}"));
    }
    let differs = rows.iter().any(|row| row[3] == DIFFERS);
    Ok(if differs || rows.is_empty() { ExitStatus::Failure } else { ExitStatus::Ok })
}

const DIFFERS: &str = "differs";

/// Whether a file is the one that LLM-jp publishes the digest of: dev alone.
fn judged(definition: &TaskDefinition, split: Split, digest: Sha256) -> &'static str {
    match definition.published.filter(|_| split == Split::Dev) {
        Some(published) if published == digest => "equal",
        Some(_) => DIFFERS,
        None => "not published",
    }
}

fn write(file: &Path, text: &str) -> anyhow::Result<()> {
    let folder = file.parent().unwrap_or(Path::new("."));
    fs_err::create_dir_all(folder)
        .and_then(|()| sekisho_weights::write_atomic(file, |file| file.write_all(text.as_bytes())))
        .map_err(|error| Failed::on_disk(error.into()))
}

fn verify(of: &Of, printer: &Printer) -> anyhow::Result<ExitStatus> {
    let definitions = chosen(of, &tasks::catalog(of.tasks.as_ref())?)?;
    let mut rows = Vec::new();
    for definition in &definitions {
        let mut seen = std::collections::BTreeSet::new();
        for source in definition.sources.iter().filter(|source| seen.insert(source.name())) {
            let (state, digest) = state(&of.data, source);
            rows.push(vec![definition.task.clone(), source.name(), state.to_owned(), digest]);
        }
    }
    printer.table(&["task", "file", "state", "SHA-256 found"], &rows)?;
    let wrong = rows.iter().filter(|row| row[2] == MISSING || row[2] == OTHER).count();
    if wrong == 0 {
        return Ok(ExitStatus::Ok);
    }
    printer.say(&format!(
        "{wrong} of {} files are missing or not the ones that the definitions name; `sekisho tasks show` says where each is had",
        rows.len()
    ));
    Ok(ExitStatus::Failure)
}

const MISSING: &str = "missing";
const OTHER: &str = "other";

fn state(data: &Path, source: &SourceRef) -> (&'static str, String) {
    let Ok(bytes) = read(data, source) else { return (MISSING, String::new()) };
    let have = Sha256::of(&bytes);
    let state = match source.sha256 {
        Some(want) if want == have => "ok",
        Some(_) => OTHER,
        None => "no digest known",
    };
    (state, have.hex())
}

/// A data file, looked for where the contract says.
pub(crate) fn read(data: &Path, source: &SourceRef) -> Result<Vec<u8>, String> {
    let places = [data.join("bench"), data.to_owned()].map(|d| d.join(&source.source).join(&source.file));
    match places.iter().find(|place| place.is_file()) {
        Some(place) => fs_err::read(place).map_err(|error| error.to_string()),
        None => {
            let [first, second] = places.map(|place| place.display().to_string());
            Err(format!(
                "it is neither {first} nor {second}; put the file there, or name another folder with --data"
            ))
        }
    }
}
