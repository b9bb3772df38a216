use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use sekisho_bench::SourceRef;
use sekisho_bench::contamination::{Index, ItemTexts, texts};
use sekisho_domain::Sha256;
use sekisho_domain::evaluation::TaskRun;
use sekisho_domain::lineage::Level;
use sekisho_domain::wire::{
    ContaminationMethod, ContaminationReport, KeptContamination, ScannedSubset, TaskContamination,
};
use sekisho_evaluator::Scan;
use sekisho_trainer::{Spec, Texts};
use serde::Serialize;

use super::{data, tasks};
use crate::client::{Client, Part, ServerArgs, encode};
use crate::exit::{ExitStatus, Failed};
use crate::printer::Printer;
use crate::selection::Selection;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Training text (.jsonl, .jsonl.zst), as FILE or as SUBSET=FILE; without it the subset has the file's name
    #[arg(value_name = "TEXT", required_unless_present = "spec", conflicts_with = "spec")]
    texts: Vec<String>,
    /// A run's specification instead: the text of every [[data.mix]]
    #[arg(long, value_name = "SPEC.toml")]
    spec: Option<PathBuf>,
    #[command(flatten)]
    selection: Selection,
    /// Words of an item in a row that must stand in a document
    #[arg(long, value_name = "N", default_value_t = ContaminationMethod::default().words)]
    words: u32,
    /// The same for Japanese, in characters
    #[arg(long, value_name = "N", default_value_t = ContaminationMethod::default().characters)]
    characters: u32,
    /// Take a data file with this digest although the definition names another
    #[arg(long, value_name = "SHA256")]
    accept: Vec<Sha256>,
    /// Show what was found, with the number of the document; not of a subset of level L3, LX or LZ
    #[arg(long)]
    examples: bool,
    /// The report as JSON on stdout
    #[arg(long)]
    json: bool,
    /// Send the report to the service, for this run (name or id)
    #[arg(long, value_name = "NAME")]
    run: Option<String>,
    #[command(flatten)]
    server: ServerArgs,
}

pub(crate) fn run(args: &Args, printer: &Printer) -> anyhow::Result<ExitStatus> {
    let method = method(args)?;
    let subsets = subsets(args)?;
    let asked = asked(args)?;
    let items: Vec<Vec<String>> =
        asked.iter().flat_map(|task| &task.texts.items).map(|item| item.parts.clone()).collect();
    let index = Index::new(method, &items);
    drop(items);
    let mut scans = Vec::new();
    for subset in &subsets {
        scans.push((subset, scan(subset, &index, printer)?));
    }
    let report = report(method, &asked, &index, &scans);
    let examples = args.examples.then(|| examples(&asked, &scans));
    if args.json {
        printer.json(&Printed { report: &report, examples: examples.as_deref() })?;
    } else {
        print(&report, examples.as_deref(), printer)?;
    }
    let closed: Vec<&str> = subsets.iter().filter(|s| !s.may_be_shown()).map(|s| s.name.as_str()).collect();
    if args.examples && !closed.is_empty() {
        printer
            .say(&format!("passages are shown of levels L1 and L2 alone, so not of {}", closed.join(", ")));
    }
    if let Some(run) = &args.run {
        let path = format!("/runs/{}/contamination", encode(run));
        let kept: Vec<KeptContamination> = Client::new(&args.server)?.post::<Part<_>>(&path, &report)?.items;
        printer.say(&format!("the service keeps {} reports on run {run}", kept.len()));
    }
    Ok(ExitStatus::Ok)
}

fn method(args: &Args) -> anyhow::Result<ContaminationMethod> {
    let usual = ContaminationMethod::default();
    let method = ContaminationMethod {
        words: args.words,
        least_words: usual.least_words.min(args.words),
        characters: args.characters,
        least_characters: usual.least_characters.min(args.characters),
    };
    method.fault().map_or(Ok(method), |fault| Err(Failed::user(fault)))
}

/// Files that are one part of the training text.
struct Subset {
    name: String,
    level: Option<Level>,
    files: Vec<PathBuf>,
}

impl Subset {
    /// Text of other levels than these leaves its place as counts alone. A level that nobody named bars nothing: the files are the
    /// user's own.
    fn may_be_shown(&self) -> bool {
        self.level.is_none_or(|level| matches!(level, Level::L1 | Level::L2))
    }
}

/// What is looked through: each subset once, in the order of its first file.
fn subsets(args: &Args) -> anyhow::Result<Vec<Subset>> {
    let mut named: Vec<(String, Option<Level>, PathBuf)> = Vec::new();
    if let Some(spec) = &args.spec {
        let mix = Spec::load(spec).map_err(Failed::user)?.data.mix;
        named.extend(mix.into_iter().map(|mix| (mix.name, mix.level, mix.path)));
    }
    for text in &args.texts {
        let (name, path) = match text.split_once('=') {
            Some((name, path)) if !name.is_empty() && !name.contains('/') => (name.to_owned(), path),
            _ => (file_name(text), text.as_str()),
        };
        named.push((name, None, PathBuf::from(path)));
    }
    let mut subsets: Vec<Subset> = Vec::new();
    for (name, level, path) in named {
        let is_text = [".jsonl", ".jsonl.zst"].iter().any(|end| path.to_string_lossy().ends_with(end));
        if args.spec.is_some() && !is_text {
            return Err(Failed::user(format!(
                "subset \"{name}\" is token ids ({}), and items are looked for in text; name the text of every subset instead of --spec, as {name}=FILE.jsonl",
                path.display()
            )));
        }
        match subsets.iter_mut().find(|subset| subset.name == name) {
            Some(subset) => subset.files.push(path),
            None => subsets.push(Subset { name, level, files: vec![path] }),
        }
    }
    Ok(subsets)
}

/// `web-ja` of `corpus/web-ja.jsonl.zst`.
fn file_name(path: &str) -> String {
    let name = Path::new(path)
        .file_name()
        .map_or_else(|| path.to_owned(), |name| name.to_string_lossy().into_owned());
    name.trim_end_matches(".zst").trim_end_matches(".jsonl").to_owned()
}

/// A task whose items are looked for.
struct Asked {
    run: TaskRun,
    texts: ItemTexts,
}

fn asked(args: &Args) -> anyhow::Result<Vec<Asked>> {
    let catalog = tasks::catalog(args.selection.tasks.as_ref())?;
    let mut seen = BTreeSet::new();
    let mut asked = Vec::new();
    for (definition, run) in args.selection.runs(&catalog, None)? {
        // A suite may ask a task twice, with other shots.
        if !seen.insert((run.profile.clone(), run.task.clone(), run.split.clone())) {
            continue;
        }
        let read = |source: &SourceRef| data::read(&args.selection.data, source);
        let texts = texts(&definition, &run, &args.accept, &read).map_err(Failed::user)?;
        asked.push(Asked { run, texts });
    }
    Ok(asked)
}

fn scan<'a>(subset: &Subset, index: &'a Index, printer: &Printer) -> anyhow::Result<Scan<'a>> {
    let mut sizes = Vec::new();
    for file in &subset.files {
        let found = fs_err::metadata(file);
        let found = found.map_err(|error| Failed::with(ExitStatus::NotFound, error.to_string()))?;
        sizes.push(found.len());
    }
    let template = "{prefix:<36} {bar:24} {bytes:>10}/{total_bytes}  {bytes_per_sec}  {eta} left";
    let bar = printer.bar(sizes.iter().sum(), template);
    bar.set_prefix(subset.name.clone());
    let mut scan = Scan::new(index);
    let mut before = 0;
    for (file, size) in subset.files.iter().zip(sizes) {
        let mut texts = Texts::open(file).map_err(Failed::user)?;
        let documents = std::iter::from_fn(|| {
            bar.set_position(before + texts.consumed());
            texts.next()
        });
        scan.read(documents).map_err(Failed::user)?;
        before += size;
    }
    bar.finish();
    Ok(scan)
}

type Scans<'s> = [(&'s Subset, Scan<'s>)];

fn report(
    method: ContaminationMethod,
    asked: &[Asked],
    index: &Index,
    scans: &Scans<'_>,
) -> ContaminationReport {
    let mut first = 0;
    let mut tasks = Vec::new();
    for Asked { run, texts } in asked {
        let numbers = |is_meant: &dyn Fn(usize) -> bool| -> BTreeSet<u64> {
            let items = texts.items.iter().enumerate().filter(|(place, _)| is_meant(first + place));
            items.map(|(_, item)| item.item).collect()
        };
        let found_in: Vec<(String, BTreeSet<u64>)> = scans
            .iter()
            .map(|(subset, scan)| (subset.name.clone(), numbers(&|item| scan.found()[item].is_some())))
            .collect();
        let too_short = numbers(&|item| !index.is_looked_for(item));
        tasks.push(TaskContamination {
            profile: run.profile.clone(),
            task: run.task.clone(),
            split: run.split.clone(),
            limit: run.limit,
            sources: texts.sources.clone(),
            items: texts.items.len() as u64,
            looked_for: (texts.items.len() - too_short.len()) as u64,
            too_short,
            found: found_in.iter().flat_map(|(_, items)| items).copied().collect(),
            found_in: found_in.into_iter().map(|(name, items)| (name, items.len() as u64)).collect(),
        });
        first += texts.items.len();
    }
    let scanned = |(subset, scan): &(&Subset, Scan<'_>)| ScannedSubset {
        name: subset.name.clone(),
        documents: scan.documents(),
    };
    ContaminationReport { method, subsets: scans.iter().map(scanned).collect(), tasks }
}

/// `--json`: the report as a service takes it, and the examples where they were asked for.
#[derive(Serialize)]
struct Printed<'a> {
    #[serde(flatten)]
    report: &'a ContaminationReport,
    #[serde(skip_serializing_if = "Option::is_none")]
    examples: Option<&'a [Example]>,
}

/// An item in the first document of a subset that holds it.
#[derive(Serialize)]
struct Example {
    profile: String,
    task: String,
    split: String,
    item: u64,
    subset: String,
    /// From 0.
    document: u64,
    /// Normalised.
    passage: String,
}

fn examples(asked: &[Asked], scans: &Scans<'_>) -> Vec<Example> {
    let items: Vec<(&TaskRun, u64)> =
        asked.iter().flat_map(|task| task.texts.items.iter().map(|item| (&task.run, item.item))).collect();
    let mut examples = Vec::new();
    for (subset, scan) in scans.iter().filter(|(subset, _)| subset.may_be_shown()) {
        for ((run, item), found) in items.iter().zip(scan.found()) {
            let Some(found) = found else { continue };
            examples.push(Example {
                profile: run.profile.clone(),
                task: run.task.clone(),
                split: run.split.clone(),
                item: *item,
                subset: subset.name.clone(),
                document: found.document,
                passage: found.passage.clone(),
            });
        }
    }
    examples
}

fn print(
    report: &ContaminationReport,
    examples: Option<&[Example]>,
    printer: &Printer,
) -> anyhow::Result<()> {
    let rows: Vec<Vec<String>> = report
        .tasks
        .iter()
        .map(|task| {
            vec![
                task.profile.clone(),
                task.task.clone(),
                task.split.clone(),
                task.items.to_string(),
                task.looked_for.to_string(),
                task.found.len().to_string(),
                share(task.found.len() as u64, task.looked_for),
            ]
        })
        .collect();
    printer.table(&["profile", "task", "split", "items", "looked for", "found", "share"], &rows)?;
    printer.data("")?;
    let names: BTreeSet<&str> = report.tasks.iter().map(|task| task.task.as_str()).collect();
    let mut rows = Vec::new();
    for subset in &report.subsets {
        for task in &report.tasks {
            let found = task.found_in.get(&subset.name).copied().unwrap_or_default();
            let of = if names.len() == report.tasks.len() {
                task.task.clone()
            } else {
                format!("{}/{}", task.profile, task.task)
            };
            rows.push(vec![subset.name.clone(), subset.documents.to_string(), of, found.to_string()]);
        }
    }
    printer.table(&["subset", "documents", "task", "found"], &rows)?;
    for found in examples.unwrap_or_default() {
        printer.data(&format!(
            "\n{}/{} {} item {} in {} document {}:\n  {}",
            found.profile, found.task, found.split, found.item, found.subset, found.document, found.passage
        ))?;
    }
    Ok(())
}

/// Of the items that were looked for.
fn share(found: u64, looked_for: u64) -> String {
    if looked_for == 0 {
        return "—".to_owned();
    }
    format!("{:.2}%", found as f64 * 100.0 / looked_for as f64)
}

#[cfg(test)]
mod tests {
    use super::{file_name, share};

    #[test]
    fn a_subset_has_the_name_of_its_file() {
        assert_eq!(file_name("corpus/web-ja.v1.jsonl.zst"), "web-ja.v1");
        assert_eq!(file_name("aozora.jsonl"), "aozora");
    }

    #[test]
    fn a_share_of_nothing_is_none() {
        assert_eq!([share(1, 8), share(0, 3), share(0, 0)], ["12.50%", "0.00%", "—"]);
    }
}
