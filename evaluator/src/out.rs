//! `--out FILE.jsonl`: records as they come, taken up again after a kill.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use sekisho_bench::{Record, TaskDefinition};
use sekisho_domain::Sha256;
use sekisho_domain::evaluation::TaskRun;
use sekisho_weights::write_atomic;
use serde::{Deserialize, Serialize};

use crate::run::Numerics;
use crate::{EvalError, Model, Settings};

/// What the records of a file depend on, kept beside it in `FILE.jsonl.key`: content, so that a renamed folder goes on and
/// changed weights do not.
#[derive(PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Identity {
    model: Sha256,
    tokenizer: Sha256,
    /// BOS and EOS, which stand beside tokenizer.json.
    #[serde(default)]
    special: [Option<u32>; 2],
    max_length: Option<usize>,
    /// What computes, as far as it may move the last digits: the type of the weights on another device than the CPU.
    #[serde(default = "on_the_cpu")]
    numerics: String,
    /// Task and split → fingerprint.
    tasks: BTreeMap<String, Sha256>,
}

impl Identity {
    /// Of these tasks, named `profile/task/split`. Records name no more than that, so no two may share it.
    pub(crate) fn new(
        model: &Model,
        settings: Settings,
        tasks: Vec<(String, Sha256)>,
    ) -> Result<Self, EvalError> {
        let mut names: Vec<String> = tasks.iter().map(|(name, _)| name.clone()).collect();
        names.sort();
        if let Some(twice) = names.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(EvalError::SameRecords { task: twice[0].clone() });
        }
        let tasks = tasks.into_iter().collect();
        let max_length = settings.max_length;
        let tokenizer = &model.tokenizer;
        let special = [tokenizer.bos(), tokenizer.eos()];
        Ok(Self {
            model: model.digest,
            tokenizer: tokenizer.digest(),
            special,
            max_length,
            numerics: model.numerics(),
            tasks,
        })
    }

    /// Takes the tasks of an earlier start over; says whether none of them is the same task in other settings.
    fn takes(&mut self, earlier: Self) -> bool {
        let of =
            |identity: &Self| (identity.model, identity.tokenizer, identity.special, identity.max_length);
        let same = of(self) == of(&earlier) && self.numerics == earlier.numerics;
        let fits = |(name, print): (&String, &Sha256)| self.tasks.get(name).is_none_or(|ours| ours == print);
        if !same || !earlier.tasks.iter().all(fits) {
            return false;
        }
        self.tasks.extend(earlier.tasks);
        true
    }
}

/// Of files that were written before there was another device.
fn on_the_cpu() -> String {
    Numerics::CPU.to_owned()
}

/// The file, and the records that were in it.
pub(crate) struct OutFile {
    file: fs_err::File,
    records: Vec<Record>,
}

impl OutFile {
    /// Opens the file, or makes it, and keeps others from it. Answers of another model or of other settings are never mixed in. A
    /// last line that a kill cut short is dropped; a whole line that is no record is refused, and nothing is changed.
    pub(crate) fn open(path: &Path, mut identity: Identity) -> Result<Self, EvalError> {
        let key = key_path(path);
        let file =
            fs_err::OpenOptions::new().create(true).truncate(false).read(true).write(true).open(path)?;
        if let Err(std::fs::TryLockError::WouldBlock) = file.file().try_lock() {
            return Err(EvalError::Sink(format!(
                "another evaluation writes {}; wait for it, or give another --out",
                path.display()
            )));
        }
        let (records, length) = read(path)?;
        let present = length > 0;
        if present && !earlier(&key).is_some_and(|earlier| identity.takes(earlier)) {
            return Err(EvalError::Sink(format!(
                "{} holds answers of another model, of another kind of device or type of weights, or of a task in other settings; give another --out, or remove it with {}",
                path.display(),
                key.display()
            )));
        }
        let text = serde_json::to_vec(&identity).map_err(|error| EvalError::Sink(error.to_string()))?;
        write_atomic(&key, |file| file.write_all(&text)).map_err(|error| full(path, error))?;
        file.set_len(length)?;
        let mut out = Self { file, records };
        std::io::Seek::seek(&mut out.file, std::io::SeekFrom::End(0))?;
        Ok(out)
    }

    /// The records of one task that were there, by item.
    pub(crate) fn of(&self, definition: &TaskDefinition, run: &TaskRun) -> BTreeMap<u64, Record> {
        let same = |r: &&Record| {
            r.profile == definition.profile && r.task == definition.task && r.split == run.split
        };
        self.records.iter().filter(same).map(|r| (r.item, r.clone())).collect()
    }

    /// Appends a record as one line in one write.
    pub(crate) fn append(&mut self, record: &Record) -> Result<(), EvalError> {
        let mut line = serde_json::to_vec(record).map_err(|error| EvalError::Sink(error.to_string()))?;
        line.push(b'\n');
        self.file.write_all(&line).map_err(|error| full(self.file.path(), error))
    }
}

/// A full disk in a sentence with the way on.
fn full(path: &Path, error: std::io::Error) -> EvalError {
    if !sekisho_domain::is_disk_full(&error) {
        return EvalError::Io(error);
    }
    EvalError::Sink(format!(
        "Not enough space for {}. The answers so far are kept; free some space, and the same command goes on from there.",
        path.display()
    ))
}

fn key_path(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".key");
    PathBuf::from(name)
}

fn earlier(key: &Path) -> Option<Identity> {
    serde_json::from_slice(&fs_err::read(key).ok()?).ok()
}

/// The complete records, and the length of the file up to the end of the last of them.
fn read(path: &Path) -> Result<(Vec<Record>, u64), EvalError> {
    let bytes = fs_err::read(path)?;
    let mut records = Vec::new();
    let mut length = 0;
    for (number, line) in bytes.split_inclusive(|byte| *byte == b'\n').enumerate() {
        if line.last() != Some(&b'\n') {
            break;
        }
        records.push(serde_json::from_slice(line).map_err(|error| {
            let (path, number) = (path.display(), number + 1);
            EvalError::Sink(format!(
                "{path}, line {number} is no record ({error}); mend it, or give another --out"
            ))
        })?);
        length += line.len() as u64;
    }
    Ok((records, length))
}
