//! Encoded prompts, made once for a task and a tokenizer and reused for every checkpoint.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sekisho_bench::Item;
use sekisho_domain::{Sha256, canonical_json};
use sekisho_model::Tokenizer;
use sekisho_weights::write_atomic;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::EvalError;
use crate::encode::{EncodedItem, Encoder};
use crate::run::Task;

/// Goes up whenever the same texts may become other token ids.
const VERSION: u32 = 2;
/// Tasks kept in memory: the suite of a sweep.
const KEPT: usize = 64;

/// Prompts that were encoded before: in memory, and in a folder when one is given.
#[derive(Default)]
pub struct Prompts {
    folder: Option<PathBuf>,
    kept: BTreeMap<Sha256, Arc<Encoded>>,
    /// How many tasks had to be encoded.
    made: u64,
}

/// The prompts of one task.
#[derive(Serialize, Deserialize)]
pub(crate) struct Encoded {
    /// One for each item of the data, in its order.
    pub(crate) items: Vec<EncodedItem>,
    /// Whether they start with BOS.
    pub(crate) bos: bool,
}

impl Prompts {
    /// Kept in memory alone.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Kept in a folder too, for the next process. A file that cannot be written only costs time.
    #[must_use]
    pub fn in_folder(folder: &Path) -> Self {
        Self { folder: Some(folder.to_owned()), ..Self::default() }
    }

    /// How many tasks were encoded rather than found.
    #[must_use]
    pub fn made(&self) -> u64 {
        self.made
    }

    /// The prompts of a task for this tokenizer.
    pub(crate) fn of(
        &mut self,
        tokenizer: &Tokenizer,
        task: &Task<'_>,
        longest: usize,
    ) -> Result<Arc<Encoded>, EvalError> {
        let key = key(tokenizer, task, longest);
        if let Some(found) = self.kept.get(&key) {
            return Ok(found.clone());
        }
        let file = self.folder.as_ref().map(|folder| folder.join(format!("{}.json", key.hex())));
        let found = file.as_deref().and_then(|file| read(file, task.data.items.len()));
        let encoded = match found {
            Some(found) => found,
            None => {
                let encoder = Encoder::new(tokenizer, task.definition, task.bos, longest)?;
                let encoded = Encoded { items: encoder.items(&task.data.items)?, bos: encoder.bos() };
                self.made += 1;
                if let Some(file) = &file {
                    write(file, &encoded);
                }
                encoded
            }
        };
        if self.kept.len() == KEPT {
            self.kept.pop_first();
        }
        let encoded = Arc::new(encoded);
        self.kept.insert(key, encoded.clone());
        Ok(encoded)
    }
}

/// Everything that token ids depend on.
fn key(tokenizer: &Tokenizer, task: &Task<'_>, longest: usize) -> Sha256 {
    Sha256::of(canonical_json(&json!({
        "version": VERSION,
        "texts": texts(task),
        "rules": [json!(task.definition.encoding), json!(task.definition.truncation), json!(task.definition.bos_rule(task.bos))],
        "tokenizer": tokenizer.digest(),
        "bos": [tokenizer.bos(), tokenizer.eos()],
        "max_length": longest,
    })))
}

/// The texts themselves, not the settings that they are made from: what a reader or a template makes of the same data may change
/// with a version of this program.
fn texts(task: &Task<'_>) -> Sha256 {
    let item = |item: &Item| json!([item.request, item.examples]);
    let items: Vec<Value> = task.data.items.iter().map(item).collect();
    Sha256::of(canonical_json(&Value::Array(items)))
}

fn read(file: &Path, items: usize) -> Option<Encoded> {
    let encoded: Encoded = serde_json::from_slice(&fs_err::read(file).ok()?).ok()?;
    (encoded.items.len() == items).then_some(encoded)
}

fn write(file: &Path, encoded: &Encoded) {
    let bytes = serde_json::to_vec(encoded).expect("numbers, written to memory");
    let folder = file.parent().unwrap_or(Path::new("."));
    let kept =
        fs_err::create_dir_all(folder).and_then(|()| write_atomic(file, |file| file.write_all(&bytes)));
    if let Err(error) = kept {
        tracing::warn!(%error, "encoded prompts could not be kept for the next time");
    }
}
