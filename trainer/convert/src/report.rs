use serde::Serialize;

use crate::Format;
use crate::plan::Plan;

/// What a conversion did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Report {
    /// What it came from.
    pub from: Format,
    /// Update that it was saved after, where the checkpoint says so.
    pub step: Option<u64>,
    /// Tokens trained on: consumed samples × sequence length, where the checkpoint says so.
    pub tokens: Option<u64>,
    /// Bytes of all tensors.
    pub bytes: u64,
    /// Rows of the vocabulary that only padded it, and are gone.
    pub padding: u64,
    /// Weight files that were written.
    pub files: Vec<String>,
    /// Each tensor that was written.
    pub tensors: Vec<Written>,
    /// What lay among the weights and is none, by its name in the checkpoint.
    pub left_out: Vec<String>,
}

/// A tensor that was written, and where it came from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Written {
    /// Its name.
    pub name: String,
    /// Element type, as it was.
    pub dtype: String,
    /// Dimensions.
    pub shape: Vec<u64>,
    /// Its name in the checkpoint, or the names of several.
    pub from: String,
    /// The files it was read from.
    pub files: Vec<String>,
    /// What was done to it; nothing for a copy.
    pub done: Vec<String>,
}

impl Report {
    /// How often each thing was done, most often first.
    #[must_use]
    pub fn summary(&self) -> Vec<(String, usize)> {
        let mut counts: Vec<(String, usize)> = Vec::new();
        for tensor in &self.tensors {
            let copied = ["copied".to_owned()];
            for done in if tensor.done.is_empty() { &copied[..] } else { &tensor.done } {
                match counts.iter_mut().find(|(known, _)| known == done) {
                    Some((_, count)) => *count += 1,
                    None => counts.push((done.clone(), 1)),
                }
            }
        }
        counts.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        counts
    }
}

pub(crate) fn written(plan: &Plan<'_>) -> Vec<Written> {
    let written = plan.outputs.iter().map(|output| {
        let mut files: Vec<String> = output.rows.iter().flat_map(|rows| rows.tensor.files()).collect();
        files.sort();
        files.dedup();
        Written {
            name: output.name.clone(),
            dtype: output.dtype.to_string(),
            shape: output.shape.clone(),
            from: output.from.clone(),
            files,
            done: output.done.clone(),
        }
    });
    written.collect()
}
