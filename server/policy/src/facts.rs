//! What goes in, and how a caller gathers it.

use std::collections::BTreeMap;

use sekisho_domain::lineage::{Input, LineageFile};
use sekisho_domain::score::ResultEntry;
use sekisho_domain::{Text, TomlError, parse_toml};
use serde::Deserialize;

use crate::names::{LeftOut, why_left_out};

/// Everything that a decision depends on, besides the rules and the day.
#[derive(Clone, Debug)]
pub struct Facts {
    /// Path of the lineage file; parents are resolved against it.
    pub path: String,
    /// The lineage file that is judged.
    pub lineage: LineageFile,
    /// The lineage files it refers to, directly or through others, by their resolved paths. One that is not here is missing.
    pub parents: BTreeMap<String, LineageFile>,
    /// The texts among the files to be published (root folder only); `None` when nothing is known about files yet.
    pub files: Option<Vec<ReleasedFile>>,
    /// The announcement.
    pub announcement: Option<String>,
    /// Files that the release names and that are not there.
    pub missing: Vec<String>,
    /// What lies in the release folder and is no text of the release: neither judged nor published.
    pub left_out: Vec<LeftOut>,
    /// What the registry says of subsets, by their ids; `None` where there is no registry. It is the truth, the lineage file claims:
    /// what differs is a violation, and what the lineage leaves out is taken from here.
    pub registry: Option<BTreeMap<String, Registered>>,
    /// The subsets that the run's own specification says it was trained on; empty where the run is not known.
    pub trained: Vec<Trained>,
    /// Scores of the model, for the set's gates.
    pub scores: Vec<ResultEntry>,
    /// Paired tests against the published model.
    pub regressions: Vec<Regression>,
    /// How many items of tasks were found in the training text.
    pub contamination: Vec<Contamination>,
    /// Scores of which nobody knows how many items were found, each with the reason.
    pub unreported: Vec<Unreported>,
}

/// What the registry says of a subset; what it does not know is `None`, and the claim holds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Registered {
    /// Release level.
    pub level: Option<String>,
    /// SPDX expression, `LicenseRef-…`, or a Hub licence id.
    pub license: Option<String>,
    /// Model that wrote it.
    pub generator: Option<String>,
    /// Licence of that model.
    pub generator_license: Option<String>,
}

/// Items of a task that were found in the training text.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Contamination {
    /// Task id.
    pub task: String,
    /// Items looked for.
    pub items: u64,
    /// Items found.
    pub contaminated: u64,
}

impl Contamination {
    /// Share of the items that were found, 0–1; all of them where there were none to look for.
    #[must_use]
    pub fn share(&self) -> f64 {
        if self.items == 0 {
            return 1.0;
        }
        #[expect(clippy::cast_precision_loss, reason = "no benchmark has 2^53 items")]
        let share = self.contaminated as f64 / self.items as f64;
        share
    }
}

/// A score whose items were not looked for in all of the training text.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Unreported {
    /// Task id.
    pub task: String,
    /// What is missing, as a part of a sentence.
    pub reason: Text,
}

/// A subset as a run's specification names it (`[[data.mix]]`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trained {
    /// The run.
    pub run: String,
    /// Name of the subset; the lineage's input of this id is meant.
    pub subset: String,
    /// Release level that the specification claims.
    pub level: Option<String>,
}

/// A text that will be published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReleasedFile {
    /// Name in the root of the repository.
    pub path: String,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

impl ReleasedFile {
    /// As text; what is not UTF-8 holds no line that could be required.
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.bytes).unwrap_or_default()
    }
}

/// A paired test of this model against the published one on one task.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Regression {
    /// The published model.
    pub current: String,
    /// The task.
    pub task: String,
    /// This model minus the published one.
    pub delta: f64,
    /// Corrected p value.
    pub p: f64,
}

/// Where the caller's files are. Paths are as [`Facts::gather`] resolved them: `/`-separated, without `.` and inner `..`.
pub trait Folder {
    /// The text of a file, or `None` when it is not there.
    ///
    /// # Errors
    /// A sentence, when it is there and cannot be read.
    fn read(&self, path: &str) -> Result<Option<Vec<u8>>, String>;

    /// Names and sizes of the files directly in a folder, or `None` when it is not there.
    ///
    /// # Errors
    /// A sentence, when it is there and cannot be listed.
    fn list(&self, path: &str) -> Result<Option<Vec<(String, u64)>>, String>;
}

/// Why the facts could not be gathered.
#[derive(Debug, thiserror::Error)]
pub enum FactsError {
    /// The lineage file itself is not there.
    #[error("there is no lineage file {0}")]
    NotFound(String),
    /// A file could not be read.
    #[error("{0}")]
    Read(String),
    /// A lineage file is malformed.
    #[error(transparent)]
    Toml(#[from] TomlError),
    /// A text is not UTF-8.
    #[error("{0} is not UTF-8 text")]
    Encoding(String),
}

impl Facts {
    /// Facts about a lineage alone: no files, no scores, no registry.
    #[must_use]
    pub fn of(path: &str, lineage: LineageFile) -> Self {
        Self {
            path: normalize(path),
            lineage,
            parents: BTreeMap::new(),
            files: None,
            announcement: None,
            missing: Vec::new(),
            left_out: Vec::new(),
            registry: None,
            trained: Vec::new(),
            scores: Vec::new(),
            regressions: Vec::new(),
            contamination: Vec::new(),
            unreported: Vec::new(),
        }
    }

    /// Reads a lineage file, every lineage file it descends from, and what its `[release]` names. `path` should be absolute, so
    /// that one file reached on two ways is recognised as one.
    ///
    /// A parent, folder or announcement that is not there is a finding of the decision, not an error.
    ///
    /// # Errors
    /// [`FactsError`] when the file is not there, or anything that is there cannot be read.
    pub fn gather(path: &str, folder: &dyn Folder) -> Result<Self, FactsError> {
        let root = normalize(path);
        let lineage = read_lineage(&root, folder)?.ok_or_else(|| FactsError::NotFound(path.to_owned()))?;
        let mut facts = Self::of(&root, lineage);
        facts.gather_parents(folder)?;
        if let Some(release) = facts.lineage.release.clone() {
            if let Some(files) = &release.files {
                facts.files = Some(facts.gather_files(files, folder)?);
            }
            if let Some(announcement) = &release.announcement {
                match folder.read(&resolve(&root, announcement)).map_err(FactsError::Read)? {
                    Some(bytes) => facts.announcement = Some(utf8(announcement, bytes)?),
                    None => facts.missing.push(announcement.clone()),
                }
            }
        }
        Ok(facts)
    }

    /// Adds a lineage file that the judged one descends from, by its path beside [`Self::path`].
    pub fn add_parent(&mut self, path: &str, lineage: LineageFile) {
        self.parents.insert(normalize(path), lineage);
    }

    /// The part of the paths that says only where a checkout lies: the folders, with a `/` at the end, that the judged file and
    /// every parent have in common. Nothing when a file refers to an absolute path.
    #[must_use]
    pub fn common_folder(&self) -> &str {
        let inputs =
            std::iter::once(&self.lineage).chain(self.parents.values()).flat_map(|file| &file.inputs);
        if inputs.filter_map(|input| input.lineage.as_deref()).any(|path| path.starts_with('/')) {
            return "";
        }
        let mut common = self.path.as_str();
        for path in self.parents.keys() {
            let shared = common.bytes().zip(path.bytes()).take_while(|(a, b)| a == b).count();
            // Two characters may share their first bytes.
            let shared = (0..=shared).rev().find(|at| common.is_char_boundary(*at)).unwrap_or(0);
            common = &common[..shared];
        }
        common.rfind('/').map_or("", |end| &common[..=end])
    }

    /// The lineage file that an input of the judged one refers to, where it is here.
    #[must_use]
    pub fn parent_of(&self, input: &Input) -> Option<&LineageFile> {
        self.parents.get(&resolve(&self.path, input.lineage.as_deref()?))
    }

    fn gather_parents(&mut self, folder: &dyn Folder) -> Result<(), FactsError> {
        let mut open: Vec<String> = references(&self.path, &self.lineage).map(|(_, path)| path).collect();
        while let Some(path) = open.pop() {
            if path == self.path || self.parents.contains_key(&path) {
                continue;
            }
            if let Some(parent) = read_lineage(&path, folder)? {
                open.extend(references(&path, &parent).map(|(_, path)| path));
                self.parents.insert(path, parent);
            }
        }
        Ok(())
    }

    fn gather_files(&mut self, relative: &str, folder: &dyn Folder) -> Result<Vec<ReleasedFile>, FactsError> {
        let base = resolve(&self.path, relative);
        let Some(names) = folder.list(&base).map_err(FactsError::Read)? else {
            self.missing.push(relative.to_owned());
            return Ok(Vec::new());
        };
        let mut files = Vec::new();
        for (name, size) in names {
            if let Some(why) = why_left_out(&name, size) {
                self.left_out.push(LeftOut { path: name, why });
                continue;
            }
            if let Some(bytes) = folder.read(&format!("{base}/{name}")).map_err(FactsError::Read)? {
                files.push(ReleasedFile { path: name, bytes });
            }
        }
        Ok(files)
    }
}

/// The inputs of a lineage file that have one of their own, with its resolved path.
pub(crate) fn references<'a>(
    path: &'a str,
    lineage: &'a LineageFile,
) -> impl Iterator<Item = (&'a Input, String)> {
    lineage.inputs.iter().filter_map(move |input| Some((input, resolve(path, input.lineage.as_deref()?))))
}

fn read_lineage(path: &str, folder: &dyn Folder) -> Result<Option<LineageFile>, FactsError> {
    let Some(bytes) = folder.read(path).map_err(FactsError::Read)? else { return Ok(None) };
    Ok(Some(parse_toml(path, &utf8(path, bytes)?)?))
}

fn utf8(path: &str, bytes: Vec<u8>) -> Result<String, FactsError> {
    String::from_utf8(bytes).map_err(|_| FactsError::Encoding(path.to_owned()))
}

/// `relative` as seen from the folder of `file`.
pub(crate) fn resolve(file: &str, relative: &str) -> String {
    if relative.starts_with('/') {
        return normalize(relative);
    }
    let folder = file.rsplit_once('/').map_or("", |(folder, _)| folder);
    let rooted = file.starts_with('/') && folder.is_empty();
    normalize(&if folder.is_empty() && !rooted {
        relative.to_owned()
    } else {
        format!("{folder}/{relative}")
    })
}

/// Removes `.`, empty parts and inner `..` without looking at any disk.
fn normalize(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => {
                parts.pop();
            }
            ".." if path.starts_with('/') => {}
            part => parts.push(part),
        }
    }
    let joined = parts.join("/");
    if path.starts_with('/') { format!("/{joined}") } else { joined }
}

/// `path` as seen from the folder of `file`, so that texts and digests do not depend on where a checkout lies.
pub(crate) fn relative_to(file: &str, path: &str) -> String {
    let folder: Vec<&str> = file.split('/').collect();
    let folder = &folder[..folder.len() - 1];
    let target: Vec<&str> = path.split('/').collect();
    let shared = folder.iter().zip(&target).take_while(|(a, b)| a == b).count();
    let mut parts = vec![".."; folder.len() - shared];
    parts.extend(&target[shared..]);
    parts.join("/")
}

#[cfg(test)]
mod tests {
    use sekisho_domain::parse_toml;

    use super::{Facts, normalize, relative_to, resolve};

    #[test]
    fn where_a_checkout_lies_is_no_fact() {
        let file = |reference: &str| {
            let text = format!(
                "model.name = \"m\"\ninput = [{{ kind = \"base_model\", lineage = \"{reference}\" }}]\n"
            );
            parse_toml("lineage.toml", &text).expect("a lineage file")
        };
        let facts = |path: &str, reference: &str, parents: &[&str]| {
            let mut facts = Facts::of(path, file(reference));
            parents.iter().for_each(|parent| facts.add_parent(parent, file("x.toml")));
            facts.common_folder().to_owned()
        };
        assert_eq!(facts("/a/lab/lineage.toml", "p/l.toml", &["/a/lab/p/l.toml"]), "/a/lab/");
        assert_eq!(facts("/a/lab/lineage.toml", "../p/l.toml", &["/a/p/l.toml"]), "/a/");
        assert_eq!(facts("/a/関/lineage.toml", "../門/l.toml", &["/a/門/l.toml"]), "/a/");
        assert_eq!(facts("/a/lab/lineage.toml", "/b/l.toml", &["/b/l.toml"]), "");
        assert_eq!(facts("/a/lab/lineage.toml", "x.toml", &[]), "/a/lab/");
        assert_eq!(facts("lineage.toml", "x.toml", &["x.toml"]), "");
    }

    #[test]
    fn an_input_leads_to_its_lineage_file() {
        let text = "model.name = \"m\"\ninput = [{ kind = \"base_model\", lineage = \"../p/l.toml\" }, { kind = \"base_model\", id = \"a/b\" }]\n";
        let mut facts =
            Facts::of("/a/m/lineage.toml", parse_toml("lineage.toml", text).expect("a lineage file"));
        facts
            .add_parent("/a/p/l.toml", parse_toml("l.toml", "model.name = \"p\"\n").expect("a lineage file"));
        let names =
            facts.lineage.inputs.iter().map(|input| facts.parent_of(input).map(|file| &*file.model.name));
        assert_eq!(names.collect::<Vec<_>>(), [Some("p"), None]);
    }

    #[test]
    fn paths_are_resolved_without_a_disk() {
        assert_eq!(normalize("./a//b/../c"), "a/c");
        assert_eq!(normalize("../a"), "../a");
        assert_eq!(normalize("/../a"), "/a");
        assert_eq!(resolve("/x/child/lineage.toml", "../parent/lineage.toml"), "/x/parent/lineage.toml");
        assert_eq!(resolve("lineage.toml", "parent/lineage.toml"), "parent/lineage.toml");
        assert_eq!(resolve("/lineage.toml", "parent.toml"), "/parent.toml");
        assert_eq!(relative_to("/x/child/lineage.toml", "/x/parent/lineage.toml"), "../parent/lineage.toml");
        assert_eq!(relative_to("lineage.toml", "parent/lineage.toml"), "parent/lineage.toml");
    }
}
