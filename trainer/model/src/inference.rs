//! What evaluation asks of a model, on whatever device it runs.

use std::ops::Range;
use std::sync::Arc;

use rayon::prelude::*;
use sekisho_weights::ModelConfig;

use crate::kv::{DecodeRow, Edge, Extended, Kv};
use crate::ops::softmax::log_sum_exp;
use crate::{ModelError, cuda};

/// Rows of logits held at once.
const LOGIT_ROWS: usize = 64;

/// A model that reads and goes on.
///
/// A token's hidden state and logits depend only on the tokens before it; where [`Self::is_invariant`], to the last bit: not on
/// how those were cut into edges, on the other rows of a batch or on the number of threads.
pub trait Inference: Send + Sync {
    /// The model's dimensions.
    fn config(&self) -> &ModelConfig;

    /// What computes it, as results name it.
    fn engine(&self) -> &'static str {
        "sekisho"
    }

    /// Where it computes, as results name it.
    fn device(&self) -> String {
        "cpu".to_owned()
    }

    /// The type of its weights and activations, as results name it.
    fn dtype(&self) -> &'static str {
        "f32"
    }

    /// Whether cuts, batches and threads never change a bit.
    fn is_invariant(&self) -> bool {
        true
    }

    /// Most tokens of edges, and most rows of generations, that are worth being computed together.
    fn at_once(&self) -> AtOnce {
        AtOnce { tokens: 1024, rows: 64 }
    }

    /// Memory for keys and values that is taken when nobody says how much may be, in bytes.
    fn kv_budget(&self) -> usize {
        1 << 30
    }

    /// Most memory for keys and values that may be asked for, in bytes.
    fn kv_most(&self) -> usize {
        usize::MAX
    }

    /// Computes some edges together. Our own program does not limit positions to `max_position_embeddings`: where to cut is the
    /// profile's rule.
    ///
    /// # Errors
    /// [`ModelError::TokenOutsideVocabulary`] and [`ModelError::TooLong`], then nothing was computed; [`ModelError::Candle`] and
    /// [`ModelError::Cuda`].
    fn extend_all(&self, edges: &[Edge<'_>]) -> Result<Vec<Extended>, ModelError>;

    /// Computes one edge and answers the hidden states of all its tokens.
    ///
    /// # Errors
    /// As [`Self::extend_all`].
    fn extend(&self, prefix: Option<&Arc<Kv>>, tokens: &[u32]) -> Result<Extended, ModelError> {
        let mut extended = self.extend_all(&[Edge { prefix, tokens, read: 0 }])?;
        Ok(extended.swap_remove(0))
    }

    /// Memory that the keys and values of an edge of so many tokens take.
    fn kv_bytes(&self, tokens: usize) -> usize;

    /// Memory that the keys and values of all living edges take; what rows have generated is not among them.
    fn kv_live(&self) -> usize;

    /// Logits `[places, vocabulary]`.
    ///
    /// # Errors
    /// [`ModelError::Cuda`].
    fn logits(&self, places: &[Place<'_>]) -> Result<Vec<f32>, ModelError>;

    /// What the logits at some places say of what is asked there.
    ///
    /// # Errors
    /// As [`Self::logits`].
    fn look(&self, asks: &[Ask<'_>]) -> Result<Vec<Seen>, ModelError> {
        let mut seen = Vec::with_capacity(asks.len());
        for asks in asks.chunks(LOGIT_ROWS) {
            let places: Vec<Place<'_>> = asks.iter().map(|ask| ask.place).collect();
            let logits = self.logits(&places)?;
            let rows = logits.par_chunks_exact(self.config().vocab_size);
            seen.par_extend(asks.par_iter().zip(rows).map(|(ask, logits)| ask.of(logits)));
        }
        Ok(seen)
    }

    /// Takes each row's token, adds it to the row's tail and gives back the logits after it, `[rows, vocabulary]`.
    ///
    /// # Errors
    /// [`ModelError::TokenOutsideVocabulary`] and [`ModelError::TooLong`], then no row has changed; [`ModelError::Candle`] and
    /// [`ModelError::Cuda`].
    fn decode(&self, rows: &mut [DecodeRow]) -> Result<Vec<f32>, ModelError>;

    /// [`Self::decode`], of which only the likeliest token of each row is asked ([`likeliest`]).
    ///
    /// # Errors
    /// As [`Self::decode`].
    fn decode_likeliest(&self, rows: &mut [DecodeRow]) -> Result<Vec<Option<u32>>, ModelError> {
        let logits = self.decode(rows)?;
        Ok(logits.chunks_exact(self.config().vocab_size).map(likeliest).collect())
    }
}

/// How much is worth being computed together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AtOnce {
    /// Tokens of a batch of edges.
    pub tokens: usize,
    /// Rows generated at once.
    pub rows: usize,
}

/// Hidden states `[tokens, width]` after the final norm, wherever they are.
pub struct Hidden(pub(crate) Kept);

/// Where hidden states are.
pub(crate) enum Kept {
    Host { width: usize, values: Vec<f32> },
    Device(cuda::Rows),
}

impl Hidden {
    /// In this process's memory. Candle does not give its hidden states away: they are the logits.
    #[must_use]
    pub fn host(width: usize, values: Vec<f32>) -> Self {
        Self(Kept::Host { width, values })
    }

    /// How many there are.
    #[must_use]
    pub fn rows(&self) -> usize {
        match &self.0 {
            Kept::Host { width, values } => values.len() / width,
            Kept::Device(rows) => rows.len(),
        }
    }

    /// All values; none of what is on a GPU.
    #[must_use]
    pub fn values(&self) -> &[f32] {
        match &self.0 {
            Kept::Host { values, .. } => values,
            Kept::Device(_) => &[],
        }
    }

    /// All values, to be changed; none of what is on a GPU.
    pub fn values_mut(&mut self) -> &mut [f32] {
        match &mut self.0 {
            Kept::Host { values, .. } => values,
            Kept::Device(_) => &mut [],
        }
    }

    /// One of them.
    #[must_use]
    pub fn place(&self, row: usize) -> Place<'_> {
        Place { hidden: self, row }
    }

    /// Some of them.
    pub fn places(&self, rows: Range<usize>) -> impl Iterator<Item = Place<'_>> {
        rows.map(|row| self.place(row))
    }
}

/// A hidden state.
#[derive(Clone, Copy)]
pub struct Place<'a> {
    /// Where it is.
    pub hidden: &'a Hidden,
    /// Which one.
    pub row: usize,
}

impl<'a> Place<'a> {
    /// Its values; none of what is on a GPU.
    pub(crate) fn values(&self) -> &'a [f32] {
        match &self.hidden.0 {
            Kept::Host { width, values } => &values[self.row * width..][..*width],
            Kept::Device(_) => &[],
        }
    }
}

/// What is asked of the logits at a place.
pub struct Ask<'a> {
    /// The place.
    pub place: Place<'a>,
    /// Tokens whose logits are asked for.
    pub tokens: &'a [u32],
    /// Whether the denominator of the softmax is.
    pub normaliser: bool,
    /// Whether the likeliest token is.
    pub likeliest: bool,
}

/// What logits say of an [`Ask`].
#[derive(Clone, Debug, PartialEq)]
pub struct Seen {
    /// Of [`Ask::tokens`].
    pub logits: Vec<f32>,
    /// Natural logarithm of the denominator of the softmax, in f64; 0 where it was not asked for.
    pub normaliser: f64,
    /// [`likeliest`]; none where it was not asked for.
    pub likeliest: Option<u32>,
    /// Whether all logits are numbers, and none infinite.
    pub finite: bool,
}

impl Ask<'_> {
    /// The answer of a row of logits.
    fn of(&self, logits: &[f32]) -> Seen {
        Seen {
            logits: self.tokens.iter().map(|token| logits[*token as usize]).collect(),
            normaliser: if self.normaliser { log_sum_exp(logits) } else { 0.0 },
            likeliest: if self.likeliest { likeliest(logits) } else { None },
            // A sum over the vocabulary may step over a NaN; the logits themselves are looked at.
            finite: logits.iter().all(|logit| logit.is_finite()),
        }
    }
}

/// The first of the largest logits; none when one is not a number.
#[must_use]
pub fn likeliest(logits: &[f32]) -> Option<u32> {
    let mut best = (0, f32::NEG_INFINITY);
    for (id, logit) in (0..).zip(logits) {
        if logit.is_nan() {
            return None;
        }
        if *logit > best.1 {
            best = (id, *logit);
        }
    }
    best.1.is_finite().then_some(best.0)
}
