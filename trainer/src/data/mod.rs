//! What is trained on, in which order: corpora, how documents become samples, and how samples of several corpora take turns.

mod blend;
mod corpus;
mod indexed;
mod jsonl;
mod order;
mod permutation;
mod random_state;
mod texts;

use std::path::PathBuf;

use sekisho_model::Tokenizer;
use sekisho_model::train::IGNORED;
use sha2::Digest as _;

use crate::spec::{Packing, Share, Spec};
use blend::Blend;
use corpus::Corpus;
use order::{OrderSettings, SampleOrder};

pub(crate) use blend::Position;
pub(crate) use corpus::DataFile;
pub(crate) use order::Span;
pub use texts::Texts;

/// Data that cannot be trained on.
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    /// The system's, naming the file.
    #[error("{0}")]
    Io(#[from] std::io::Error),
    /// Neither text nor an indexed dataset.
    #[error(
        "{path} is not a corpus; give a .jsonl or .jsonl.zst file, or the prefix of a Megatron .bin and .idx",
        path = path.display()
    )]
    Form {
        /// The path in the specification.
        path: PathBuf,
    },
    /// Not text, where text is needed.
    #[error("{path} is not a file of documents; give a .jsonl or .jsonl.zst file, one JSON object a line with a \"text\"", path = path.display())]
    NotText {
        /// The path.
        path: PathBuf,
    },
    /// A line of text that cannot be used.
    #[error("{file}:{line}: {reason}; every line must be a JSON object with a \"text\"", file = file.display())]
    Line {
        /// The file.
        file: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong.
        reason: String,
    },
    /// Not Zstandard.
    #[error("{file} cannot be decompressed: {reason}; compress it with zstd again", file = file.display())]
    Compressed {
        /// The file.
        file: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// A Megatron file that breaks the format.
    #[error("{file} is not a Megatron indexed dataset: {reason}; make it again with preprocess_data.py", file = file.display())]
    Index {
        /// The file.
        file: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// Text without a tokenizer.
    #[error("{file} is text, but the specification has no [tokenizer]; add tokenizer.path", file = file.display())]
    NoTokenizer {
        /// The file.
        file: PathBuf,
    },
    /// A tokenizer that cannot end documents.
    #[error(
        "the tokenizer names no EOS token, which ends every document; name eos_token in tokenizer_config.json"
    )]
    NoEos,
    /// More tokens than rows in the embedding.
    #[error("The tokenizer has {have} entries, the model only {need}. Give the tokenizer used in training.")]
    Vocabulary {
        /// Entries of the tokenizer.
        have: usize,
        /// Rows of the embedding.
        need: usize,
    },
    /// A token the model has no row for.
    #[error(
        "corpus {corpus}, document {document}: token {id} is outside the model's vocabulary of {vocabulary}"
    )]
    Token {
        /// The corpus.
        corpus: String,
        /// The document, from 0.
        document: usize,
        /// The id.
        id: u32,
        /// Rows of the embedding.
        vocabulary: usize,
    },
    /// Not even one sample.
    #[error(
        "corpus {corpus} has {tokens} tokens, fewer than one sequence needs ({need}); leave it out or shorten data.sequence_length"
    )]
    TooShort {
        /// The corpus.
        corpus: String,
        /// Its tokens.
        tokens: usize,
        /// Tokens of a sample.
        need: usize,
    },
}

/// All corpora of a run and the place in them.
pub(crate) struct Data {
    corpora: Vec<Corpus>,
    orders: Vec<SampleOrder>,
    blend: Blend,
    position: Position,
    length: usize,
    vocabulary: usize,
    document_mask: bool,
}

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

impl Data {
    /// Opens the corpora of a specification, at the beginning. `vocabulary` is the number of rows of the embedding.
    pub(crate) fn open(
        spec: &Spec,
        vocabulary: usize,
        tokenizer: Option<&Tokenizer>,
    ) -> Result<Self, DataError> {
        if let Some(have) = tokenizer.map(Tokenizer::vocab_size).filter(|have| *have > vocabulary) {
            return Err(DataError::Vocabulary { have, need: vocabulary });
        }
        let text = tokenizer.map(jsonl::Text::new).transpose()?;
        let corpora: Vec<Corpus> =
            spec.data.mix.iter().map(|mix| Corpus::open(mix, text.as_ref())).collect::<Result<_, _>>()?;
        let weights = weights(spec, &corpora);
        let sum: f64 = weights.iter().sum();
        let orders = corpora
            .iter()
            .enumerate()
            .map(|(i, corpus)| sample_order(spec, i, corpus, weights[i] / sum))
            .collect::<Result<Vec<_>, _>>()?;
        let limits =
            spec.data.mix.iter().zip(&orders).map(|(mix, order)| limit(mix.share(), order)).collect();
        Ok(Self {
            position: Position { taken: vec![0; corpora.len()] },
            blend: Blend::new(&weights, limits),
            corpora,
            orders,
            length: spec.data.sequence_length,
            vocabulary,
            document_mask: spec.data.document_mask,
        })
    }

    /// The files behind the corpora.
    pub(crate) fn files(&self) -> Vec<DataFile> {
        self.corpora.iter().flat_map(|corpus| corpus.files.clone()).collect()
    }

    /// Name of a corpus.
    pub(crate) fn name(&self, corpus: usize) -> &str {
        &self.corpora[corpus].name
    }

    /// The epoch each corpus is in, from 1; 0 before its first sample.
    pub(crate) fn epochs(&self) -> Vec<u64> {
        self.position
            .taken
            .iter()
            .zip(&self.orders)
            .map(|(taken, order)| taken.div_ceil(order.per_epoch))
            .collect()
    }

    pub(crate) fn position(&self) -> &Position {
        &self.position
    }

    pub(crate) fn seek(&mut self, position: Position) {
        self.position = position;
    }

    /// Goes over so many samples without reading them.
    pub(crate) fn skip(&mut self, samples: u64) {
        for _ in 0..samples {
            if self.blend.next(&mut self.position).is_none() {
                return;
            }
        }
    }

    /// The next `sequences` samples; none when the corpora have fewer left.
    pub(crate) fn next_batch(&mut self, sequences: usize) -> Result<Option<UpdateBatch>, DataError> {
        let mut samples = Vec::with_capacity(sequences);
        for _ in 0..sequences {
            let Some((corpus, number)) = self.blend.next(&mut self.position) else { return Ok(None) };
            samples.push(self.sample(corpus, number)?);
        }
        Ok(Some(UpdateBatch::new(samples, self.length, self.document_mask)))
    }

    fn sample(&self, corpus: usize, number: u64) -> Result<Sample, DataError> {
        let order = &self.orders[corpus];
        let spans = order.spans(number);
        let mut tokens = Vec::with_capacity(self.length + 1);
        for span in &spans {
            let before = tokens.len();
            self.corpora[corpus].read(*span, &mut tokens)?;
            if let Some(id) = tokens[before..].iter().find(|id| **id as usize >= self.vocabulary) {
                return Err(DataError::Token {
                    corpus: self.name(corpus).to_owned(),
                    document: span.document,
                    id: *id,
                    vocabulary: self.vocabulary,
                });
            }
        }
        Ok(Sample { corpus, number, epoch: number / order.per_epoch + 1, spans, tokens })
    }
}

/// Shares of the corpora: their weights, or repetitions times what they hold.
fn weights(spec: &Spec, corpora: &[Corpus]) -> Vec<f64> {
    let size = |corpus: &Corpus| match spec.data.packing {
        Packing::Contiguous => corpus.lengths.iter().sum::<usize>(),
        Packing::PerDocument => corpus.lengths.len(),
    };
    spec.data
        .mix
        .iter()
        .zip(corpora)
        .map(|(mix, corpus)| match mix.share() {
            Share::Weight(weight) => weight,
            Share::Repeat(repeat) => repeat * size(corpus) as f64,
        })
        .collect()
}

/// Samples a corpus may give.
fn limit(share: Share, order: &SampleOrder) -> u64 {
    match share {
        Share::Weight(_) => order.available(),
        Share::Repeat(repeat) => order.available().min((repeat * order.per_epoch as f64) as u64),
    }
}

fn sample_order(spec: &Spec, i: usize, corpus: &Corpus, weight: f64) -> Result<SampleOrder, DataError> {
    // Megatron-LM asks each dataset of a blend for 0.5 % more than its share (`mid_level_dataset_surplus`).
    let total = spec.total_samples();
    let samples = match spec.data.mix.len() {
        1 => total,
        _ => ((total as f64 * weight).ceil() * 1.005).ceil() as u64,
    };
    let settings = OrderSettings {
        order: spec.data.order,
        packing: spec.data.packing,
        length: spec.data.sequence_length,
        seed: spec.seed,
        corpus: i,
        samples,
    };
    SampleOrder::new(&settings, &corpus.lengths).ok_or_else(|| DataError::TooShort {
        corpus: corpus.name.clone(),
        tokens: corpus.lengths.iter().sum(),
        need: spec.data.sequence_length + 1,
    })
}

impl UpdateBatch {
    fn new(samples: Vec<Sample>, length: usize, document_mask: bool) -> Self {
        let mut batch =
            Self { samples: Vec::new(), inputs: Vec::new(), targets: Vec::new(), contexts: Vec::new() };
        for sample in &samples {
            let tokens = &sample.tokens;
            let learned = tokens.len().saturating_sub(1);
            let padded = |ids: &[u32], with: u32| {
                let padding = std::iter::repeat_n(with, length - learned);
                ids.iter().copied().chain(padding).collect::<Vec<u32>>()
            };
            batch.inputs.extend(padded(&tokens[..learned], 0));
            batch.targets.extend(padded(&tokens[tokens.len() - learned..], IGNORED));
            batch.contexts.extend(contexts(sample, length, document_mask));
        }
        batch.samples = samples;
        batch
    }

    /// Targets that are learned from.
    pub(crate) fn learned(&self) -> u64 {
        self.targets.iter().filter(|target| **target != IGNORED).count() as u64
    }

    /// SHA-256 over the digest of what came before and the tokens of this update: a chain that tells two histories apart.
    pub(crate) fn chained(&self, before: sekisho_domain::Sha256) -> sekisho_domain::Sha256 {
        let mut hasher = sha2::Sha256::new();
        hasher.update(before.as_bytes());
        for sample in &self.samples {
            hasher.update((sample.tokens.len() as u64).to_le_bytes());
            sample.tokens.iter().for_each(|id| hasher.update(id.to_le_bytes()));
        }
        sekisho_domain::Sha256::from_bytes(hasher.finalize().into())
    }
}

/// Where the context of each position begins: at its document under a mask, else at the sequence. Padding follows the last
/// document.
fn contexts(sample: &Sample, length: usize, document_mask: bool) -> Vec<usize> {
    let mut contexts = Vec::with_capacity(length + 1);
    if document_mask {
        for span in &sample.spans {
            contexts.resize(contexts.len() + span.to - span.from, contexts.len());
        }
    }
    let last = contexts.last().copied().unwrap_or(0);
    contexts.resize(length, last);
    contexts
}

#[cfg(test)]
mod tests;
