//! What `sekisho release propose` sends: everything that the lineage file names, as `policy check` reads it.

use std::collections::BTreeMap;
use std::path::Path;

use sekisho_policy::{Facts, LeftOut, ReleasedFile, is_card};
use serde_json::{Value, json};

use crate::commands::policy::{Disk, gather as facts_of};
use crate::exit::Failed;
use crate::printer::Printer;

/// Reads the lineage file, the ones it descends from, the texts and the announcement.
pub(crate) fn gather(lineage: &Path, printer: &Printer) -> anyhow::Result<Value> {
    let facts = facts_of(lineage, &Disk)?;
    let common = facts.common_folder();
    let name = |path: &str| path.strip_prefix(common).unwrap_or(path).to_owned();
    let mut parents = BTreeMap::new();
    for path in facts.parents.keys() {
        parents.insert(name(path), read(path)?);
    }
    Ok(json!({
        "lineage": read(&facts.path)?,
        "path": name(&facts.path),
        "parents": parents,
        "files": texts(&facts, printer)?,
        "announcement": facts.announcement,
        "missing": facts.missing,
    }))
}

fn read(path: &str) -> anyhow::Result<String> {
    fs_err::read_to_string(path).map_err(Failed::user)
}

/// The service writes the card itself.
fn texts(facts: &Facts, printer: &Printer) -> anyhow::Result<BTreeMap<String, String>> {
    let mut texts = BTreeMap::new();
    for LeftOut { path, why } in &facts.left_out {
        printer.say(&format!("{path} is not sent: {why}."));
    }
    for ReleasedFile { path, bytes } in facts.files.iter().flatten() {
        if is_card(path) {
            printer.say(&format!("{path} is not sent: the service writes the model card."));
            continue;
        }
        let text = String::from_utf8(bytes.clone())
            .map_err(|_| Failed::user(format!("{path} is not UTF-8 text; a release holds texts only")))?;
        texts.insert(path.clone(), text);
    }
    Ok(texts)
}
