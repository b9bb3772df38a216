//! Samples, and the sequences of an update that are made of them.

use sekisho_domain::Sha256;
use sekisho_model::train::IGNORED;
use sha2::Digest as _;

use super::Span;

/// A sequence as it was cut from a corpus.
#[derive(Clone, Debug)]
pub(crate) struct Sample {
    /// Number of the corpus in the specification.
    pub(crate) corpus: usize,
    /// Number of the sample in the order of its corpus, from 0.
    pub(crate) number: u64,
    /// Epoch of the corpus, from 1.
    pub(crate) epoch: u64,
    /// Where its tokens come from.
    pub(crate) spans: Vec<Span>,
    /// T+1 tokens, fewer where documents are not packed.
    pub(crate) tokens: Vec<u32>,
}

/// The sequences of an update, padded to `[sequences, T]`.
pub(crate) struct UpdateBatch {
    pub(crate) samples: Vec<Sample>,
    pub(crate) inputs: Vec<u32>,
    pub(crate) targets: Vec<u32>,
    /// For each input the position in its sequence where its context begins.
    pub(crate) contexts: Vec<usize>,
}

impl UpdateBatch {
    pub(super) fn new(samples: Vec<Sample>, length: usize, document_mask: bool) -> Self {
        let size = samples.len() * length;
        let mut batch = Self {
            samples: Vec::new(),
            inputs: Vec::with_capacity(size),
            targets: Vec::with_capacity(size),
            contexts: Vec::with_capacity(size),
        };
        for (number, sample) in samples.iter().enumerate() {
            let tokens = &sample.tokens;
            let learned = tokens.len().saturating_sub(1);
            let end = (number + 1) * length;
            batch.inputs.extend_from_slice(&tokens[..learned]);
            batch.inputs.resize(end, 0);
            batch.targets.extend_from_slice(&tokens[tokens.len() - learned..]);
            batch.targets.resize(end, IGNORED);
            contexts(sample, length, document_mask, &mut batch.contexts);
        }
        batch.samples = samples;
        batch
    }

    /// Targets that are learned from.
    pub(crate) fn learned(&self) -> u64 {
        self.targets.iter().filter(|target| **target != IGNORED).count() as u64
    }

    /// SHA-256 over the digest of what came before and the tokens of this update: a chain that tells two histories apart.
    pub(crate) fn chained(&self, before: Sha256) -> Sha256 {
        let mut hasher = sha2::Sha256::new();
        hasher.update(before.as_bytes());
        // The hasher is fast over long pieces only.
        let mut bytes = Vec::new();
        for sample in &self.samples {
            bytes.clear();
            bytes.extend((sample.tokens.len() as u64).to_le_bytes());
            bytes.extend(sample.tokens.iter().flat_map(|id| id.to_le_bytes()));
            hasher.update(&bytes);
        }
        Sha256::from_bytes(hasher.finalize().into())
    }
}

/// Where the context of each position begins: at its document under a mask, else at the sequence. Padding follows the last
/// document.
fn contexts(sample: &Sample, length: usize, document_mask: bool, contexts: &mut Vec<usize>) {
    let begin = contexts.len();
    let mut last = 0;
    if document_mask {
        for span in &sample.spans {
            last = contexts.len() - begin;
            contexts.resize(contexts.len() + span.to - span.from, last);
        }
    }
    // The last token of a sample is no input.
    contexts.truncate(begin + length);
    contexts.resize(begin + length, last);
}
