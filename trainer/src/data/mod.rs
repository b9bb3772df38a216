//! What is trained on, in which order: corpora, how documents become samples, and how samples of several corpora take turns.
//!
//! Architecture invariant: tokens, their order and their digests depend on the specification and on what the files hold. A cache, read-ahead
//! and threads change when something is computed, never what.

mod ahead;
mod batch;
#[cfg(test)]
mod bench;
mod blend;
mod cache;
mod corpus;
mod error;
mod indexed;
mod jsonl;
mod lines;
mod megatron;
mod order;
mod permutation;
mod places;
mod random_state;
mod size;
mod store;
mod texts;
mod writer;

use std::sync::Arc;

use rayon::prelude::*;
use sekisho_model::Tokenizer;

use crate::spec::{Packing, Share, Spec};
use ahead::{Ahead, Drawn};
use blend::Blend;
use corpus::Corpus;
use order::{OrderError, OrderSettings, SampleOrder};

pub(crate) use batch::{Sample, UpdateBatch};
pub(crate) use blend::Position;
pub(crate) use cache::{Cache, Opening, Told};
pub(crate) use corpus::{DataFile, paths};
pub use error::DataError;
pub(crate) use order::Span;
pub(crate) use size::{Size, size};
pub use texts::Texts;

/// All corpora of a run and the place in them.
pub(crate) struct Data {
    corpora: Arc<Corpora>,
    position: Position,
    ahead: Option<Ahead>,
}

/// What does not change while one reads.
struct Corpora {
    corpora: Vec<Corpus>,
    orders: Vec<SampleOrder>,
    blend: Blend,
    length: usize,
    packing: Packing,
    vocabulary: usize,
    document_mask: bool,
}

impl Data {
    /// Opens the corpora of a specification, at the beginning. `vocabulary` is the number of rows of the embedding.
    pub(crate) fn open(
        spec: &Spec,
        vocabulary: usize,
        tokenizer: Option<&Tokenizer>,
        cache: &Cache,
        told: Told<'_>,
    ) -> Result<Self, DataError> {
        if let Some(have) = tokenizer.map(Tokenizer::vocab_size).filter(|have| *have > vocabulary) {
            return Err(DataError::Vocabulary { have, need: vocabulary });
        }
        let text = tokenizer.map(jsonl::Text::new).transpose()?;
        // Hashing is what a first start waits for: all files at once.
        let files: Vec<_> = spec.data.mix.par_iter().map(|mix| corpus::files(mix, cache)).collect();
        let mut corpora = Vec::with_capacity(files.len());
        for (mix, files) in spec.data.mix.iter().zip(files) {
            corpora.push(Corpus::open(mix, files?, text.as_ref(), cache, told)?);
        }
        cache.tell(told);
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
            corpora: Arc::new(Corpora {
                blend: Blend::new(&weights, limits),
                corpora,
                orders,
                length: spec.data.sequence_length,
                packing: spec.data.packing,
                vocabulary,
                document_mask: spec.data.document_mask,
            }),
            ahead: None,
        })
    }

    /// The files behind the corpora.
    pub(crate) fn files(&self) -> Vec<DataFile> {
        self.corpora.corpora.iter().flat_map(|corpus| corpus.files.clone()).collect()
    }

    /// Name of a corpus.
    pub(crate) fn name(&self, corpus: usize) -> &str {
        &self.corpora.corpora[corpus].name
    }

    /// The epoch each corpus is in, from 1; 0 before its first sample.
    pub(crate) fn epochs(&self) -> Vec<u64> {
        self.position
            .taken
            .iter()
            .zip(&self.corpora.orders)
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
            if self.corpora.blend.next(&mut self.position).is_none() {
                return;
            }
        }
    }

    /// The next `sequences` samples; none when the corpora have fewer left.
    pub(crate) fn next_batch(&mut self, sequences: usize) -> Result<Option<UpdateBatch>, DataError> {
        let ahead = self.ahead.take().and_then(|ahead| ahead.take(&self.position, sequences));
        let (position, batch) = match ahead {
            Some(drawn) => drawn,
            None => self.corpora.draw(self.position.clone(), sequences),
        };
        self.position = position;
        batch
    }

    /// Reads the batch after this one beside what the caller does until it asks for it.
    pub(crate) fn read_ahead(&mut self, sequences: usize) {
        // Without a thread to spare it is read when it is asked for.
        self.ahead = Ahead::begin(&self.corpora, self.position.clone(), sequences).ok();
    }
}

impl Corpora {
    /// The samples after a place, read by all threads.
    fn draw(&self, mut place: Position, sequences: usize) -> Drawn {
        let numbers = self.numbers(&mut place, sequences);
        let samples: Vec<_> =
            numbers.par_iter().map(|(corpus, number)| self.sample(*corpus, *number)).collect();
        (place, self.batch(samples, sequences))
    }

    /// The same on this thread alone.
    fn draw_one_by_one(&self, mut place: Position, sequences: usize) -> Drawn {
        let numbers = self.numbers(&mut place, sequences);
        let samples = numbers.iter().map(|(corpus, number)| self.sample(*corpus, *number)).collect();
        (place, self.batch(samples, sequences))
    }

    /// Corpus and number of the next samples, fewer where the corpora end.
    fn numbers(&self, place: &mut Position, sequences: usize) -> Vec<(usize, u64)> {
        std::iter::from_fn(|| self.blend.next(place)).take(sequences).collect()
    }

    fn batch(
        &self,
        samples: Vec<Result<Sample, DataError>>,
        sequences: usize,
    ) -> Result<Option<UpdateBatch>, DataError> {
        // The first that cannot be read is told, whichever thread was quicker.
        let samples: Vec<Sample> = samples.into_iter().collect::<Result<_, _>>()?;
        let is_whole = samples.len() == sequences;
        Ok(is_whole.then(|| UpdateBatch::new(samples, self.length, self.document_mask)))
    }

    fn sample(&self, corpus: usize, number: u64) -> Result<Sample, DataError> {
        let order = &self.orders[corpus];
        let Corpus { name, documents, .. } = &self.corpora[corpus];
        let spans = order.spans(number, documents)?;
        let mut tokens = Vec::with_capacity(self.length + 1);
        documents.read(&spans, &mut tokens)?;
        if self.packing == Packing::Contiguous && tokens.len() != self.length + 1 {
            // Somebody writes to the index.
            let file = self.corpora[corpus].files.iter().map(|file| file.path.clone()).next();
            return Err(DataError::Changing { file: file.unwrap_or_default() });
        }
        let is_outside = |id: u32| id as usize >= self.vocabulary;
        // The highest first: this is looked at for every token that is trained on.
        if tokens.iter().copied().max().is_some_and(is_outside) {
            let at = tokens.iter().position(|id| is_outside(*id)).expect("the highest is one");
            return Err(DataError::Token {
                corpus: name.clone(),
                document: Span::holding(&spans, at).document,
                id: tokens[at],
                vocabulary: self.vocabulary,
            });
        }
        Ok(Sample { corpus, number, epoch: number / order.per_epoch + 1, spans, tokens })
    }
}

/// Shares of the corpora: their weights, or repetitions times what they hold.
fn weights(spec: &Spec, corpora: &[Corpus]) -> Vec<f64> {
    let size = |corpus: &Corpus| match spec.data.packing {
        Packing::Contiguous => corpus.documents.tokens(),
        Packing::PerDocument => corpus.documents.documents(),
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
    match SampleOrder::new(&settings, &corpus.documents) {
        Ok(Some(order)) => Ok(order),
        Ok(None) => Err(DataError::TooShort {
            corpus: corpus.name.clone(),
            tokens: corpus.documents.tokens(),
            need: spec.data.sequence_length + 1,
        }),
        Err(OrderError::Data(error)) => Err(error),
        Err(OrderError::TooMany(count)) => Err(DataError::TooMany { corpus: corpus.name.clone(), count }),
    }
}

#[cfg(test)]
mod tests;
