use std::collections::BTreeMap;

use sekisho_domain::Sha256;
use sekisho_domain::wire::SourceFile;

use crate::definition::{Role, SourceRef, Split, SplitRule, TaskDefinition};
use crate::error::TaskError;
use crate::python_random::PythonRandom;
use crate::reader::{Reader, Row, error_at};

/// Seed of every shuffle of llm-jp-eval's processors.
const LLM_JP_EVAL_SEED: u64 = 42;

/// Records that llm-jp-eval takes for examples from the head of each half of JMMLU.
const BY_FILE_EXAMPLES: usize = 16;

/// The data files of a run, read and checked: the records of each role, file by file.
pub(crate) struct Files {
    sources: Vec<SourceFile>,
    roles: BTreeMap<Role, Vec<Vec<Row>>>,
}

impl Files {
    /// Reads the named sources and checks their digests.
    pub(crate) fn read(
        definition: &TaskDefinition,
        sources: &[&SourceRef],
        accept: &[Sha256],
        read: &dyn Fn(&SourceRef) -> Result<Vec<u8>, String>,
    ) -> Result<Self, TaskError> {
        let mut files = Self { sources: Vec::new(), roles: BTreeMap::new() };
        for source in sources {
            let (found, rows) = one_file(definition, source, accept, read)?;
            if !files.sources.contains(&found) {
                files.sources.push(found);
            }
            let lists = files.roles.entry(source.role).or_default();
            match lists.last_mut() {
                Some(first) if reader(definition, source).side_by_side() => {
                    side_by_side(first, rows, &source.name())?;
                }
                _ => lists.push(rows),
            }
        }
        for (role, lists) in &mut files.roles {
            for row in lists.iter_mut().flatten() {
                derive(definition, *role, row)?;
            }
        }
        Ok(files)
    }

    /// What was read.
    pub(crate) fn sources(&self) -> Vec<SourceFile> {
        self.sources.clone()
    }

    /// The records of a split in its order; empty when its files were not read.
    pub(crate) fn rows(&self, definition: &TaskDefinition, split: Split) -> Vec<&Row> {
        let mut random = PythonRandom::new(LLM_JP_EVAL_SEED);
        let rule = definition.splits;
        let lists = self.roles.get(&rule.role(split)).map(Vec::as_slice).unwrap_or_default();
        let mut rows: Vec<&Row> = lists.iter().flatten().collect();
        let parts = match (rule, split) {
            (SplitRule::LlmJpEval, Split::Train | Split::Dev) => {
                random.shuffle(&mut rows);
                [0.9, 1.0]
            }
            (SplitRule::LlmJpEvalPool, _) => {
                random.shuffle(&mut rows);
                [0.8, 0.9]
            }
            (SplitRule::LlmJpEvalHalves, Split::Dev | Split::Test) => {
                random.shuffle(&mut rows);
                [0.0, 0.5]
            }
            (SplitRule::LlmJpEvalByFile, _) => return by_file(lists, split, &mut random),
            (SplitRule::Files, _)
            | (SplitRule::LlmJpEval, Split::Test)
            | (SplitRule::LlmJpEvalHalves, Split::Train) => return rows,
        };
        let [train, dev] = parts.map(|share| python_share(rows.len(), share));
        match split {
            Split::Train => rows.drain(..train).collect(),
            Split::Dev => rows.drain(train..dev).collect(),
            Split::Test => rows.split_off(dev),
        }
    }
}

/// The bytes of a source, checked, as records with the source's own fields.
fn one_file(
    definition: &TaskDefinition,
    source: &SourceRef,
    accept: &[Sha256],
    read: &dyn Fn(&SourceRef) -> Result<Vec<u8>, String>,
) -> Result<(SourceFile, Vec<Row>), TaskError> {
    let task = definition.name();
    let bytes = read(source).map_err(|message| TaskError::Source {
        task: task.clone(),
        file: source.name(),
        from: source.url.as_ref().map_or_else(String::new, |url| format!(" ({url})")),
        message,
    })?;
    let have = Sha256::of(&bytes);
    if source.sha256 != Some(have) && !accept.contains(&have) {
        return Err(match source.sha256 {
            Some(want) => TaskError::DataHash { task, file: source.name(), want, have },
            None => TaskError::DataUnknown { task, file: source.name(), have },
        });
    }
    let mut rows = reader(definition, source).rows(&source.name(), &bytes)?;
    rows.retain(|row| source.only.iter().all(|(field, text)| row.holds(field, text)));
    rows.retain(|row| {
        !definition.drop.iter().any(|(field, texts)| texts.iter().any(|text| row.holds(field, text)))
    });
    for row in &mut rows {
        source.set.iter().for_each(|(field, text)| row.set(field, text.clone()));
    }
    Ok((SourceFile { source: source.source.clone(), file: source.file.clone(), sha256: have }, rows))
}

fn reader<'a>(definition: &'a TaskDefinition, source: &'a SourceRef) -> &'a Reader {
    source.reader.as_ref().unwrap_or(&definition.reader)
}

/// Puts the records of a file beside those of the files before it.
fn side_by_side(first: &mut [Row], rows: Vec<Row>, file: &str) -> Result<(), TaskError> {
    if first.len() != rows.len() {
        let place = format!("line {}", rows.len());
        let message = format!(
            "the file ends here, the one beside it after line {}; files that are read side by side must match line by line",
            first.len()
        );
        return Err(error_at(file, &place, message));
    }
    first.iter_mut().zip(rows).for_each(|(row, beside)| row.join(beside));
    Ok(())
}

fn derive(definition: &TaskDefinition, role: Role, row: &mut Row) -> Result<(), TaskError> {
    for derived in definition.derive.iter().filter(|derived| derived.role.is_none_or(|only| only == role)) {
        let text = row.fill(&derived.from)?;
        row.set(&derived.field, crate::step::apply(&derived.steps, &text));
    }
    Ok(())
}

/// JMMLU: one stream over all files and both lists.
fn by_file<'a>(lists: &'a [Vec<Row>], split: Split, random: &mut PythonRandom) -> Vec<&'a Row> {
    let (mut dev, mut test) = (Vec::new(), Vec::new());
    for list in lists {
        let mut rows: Vec<&Row> = list.iter().collect();
        random.shuffle(&mut rows);
        test.extend(rows.split_off(rows.len() / 2));
        dev.extend(rows);
    }
    random.shuffle(&mut dev);
    random.shuffle(&mut test);
    let rest = |rows: &mut Vec<&'a Row>| rows.split_off(BY_FILE_EXAMPLES.min(rows.len()));
    let (dev_rest, test_rest) = (rest(&mut dev), rest(&mut test));
    match split {
        Split::Train => dev.into_iter().chain(test).collect(),
        Split::Dev => dev_rest,
        Split::Test => test_rest,
    }
}

/// `int(n * share)` of Python: the product is a double, cut towards zero.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "as Python computes it"
)]
fn python_share(n: usize, share: f64) -> usize {
    (n as f64 * share) as usize
}
