//! Families other than Llama's, through candle-transformers on the CPU, in f32.
//!
//! Candle's programs answer the logits after the last token of what they are given, so a place whose logits are asked for is
//! the last token of a call: an edge is read up to its first such place, then token by token. Nothing is promised about the
//! last digits: they may depend on where edges are cut.

mod program;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use sekisho_weights::{Checkpoint, ModelConfig};

use crate::inference::{AtOnce, Hidden, Place};
use crate::kv::{DecodeRow, Edge, Extended, Grown, Kv, Meter};
use crate::llama::{check_lengths, check_tokens};
use crate::{Inference, ModelError};

use program::Program;

/// A model that candle computes.
pub(crate) struct Candle {
    config: ModelConfig,
    /// What has read nothing.
    fresh: Program,
    meter: Meter,
}

/// A copy of all keys and values so far is kept where it holds at most so many times those of the edge itself. Behind shorter
/// edges, of which a long prefix may have many, the tokens are read again by whatever goes on from there.
const COPY: usize = 4;

/// What stands before an edge.
pub(crate) struct Snapshot {
    /// From the root on.
    tokens: Vec<u32>,
    /// The program that has read them.
    program: Option<Program>,
    /// Without one: the last snapshot before that has one.
    base: Option<Arc<Kv>>,
    /// Memory of the program's keys and values.
    pub(crate) bytes: usize,
}

/// A program, and how many tokens it has read.
pub(crate) struct Reading {
    program: Program,
    read: usize,
    /// How many of them were generated.
    pub(crate) generated: usize,
}

impl Candle {
    /// Reads the weights of an open checkpoint, widened to f32.
    ///
    /// # Errors
    /// [`ModelError::Checkpoint`] when a tensor cannot be read, [`ModelError::Candle`] when candle takes another shape.
    pub(crate) fn from_checkpoint(checkpoint: &Checkpoint) -> Result<Self, ModelError> {
        let config = checkpoint.config().clone();
        let fresh = Program::load(checkpoint)?;
        Ok(Self { config, fresh, meter: Meter::default() })
    }

    /// A program that has read what `kv` holds.
    fn resume(&self, kv: Option<&Kv>) -> Result<Reading, ModelError> {
        let fresh = || Reading { program: self.fresh.clone(), read: 0, generated: 0 };
        let Some(snapshot) = kv.and_then(Kv::snapshot) else { return Ok(fresh()) };
        let mut reading = match (&snapshot.program, &snapshot.base) {
            (Some(program), _) => Reading { program: program.clone(), read: snapshot.len(), generated: 0 },
            (None, Some(base)) => self.resume(Some(base))?,
            (None, None) => fresh(),
        };
        let unread = &snapshot.tokens[reading.read..];
        self.read(&mut reading, unread)?;
        Ok(reading)
    }

    /// Reads some tokens; the logits after the last one, none when there are no tokens.
    fn read(&self, reading: &mut Reading, tokens: &[u32]) -> Result<Vec<f32>, ModelError> {
        let (mut logits, mut rest) = (Vec::new(), tokens);
        while !rest.is_empty() {
            let rows = reading.program.rows(&self.config, reading.read).min(rest.len());
            let (some, after) = rest.split_at(rows);
            logits = reading.program.read(some, reading.read).map_err(|error| self.failed(&error))?;
            reading.read += rows;
            rest = after;
        }
        Ok(logits)
    }

    fn failed(&self, error: &candle_core::Error) -> ModelError {
        program::failed(&self.config, error)
    }

    fn extend_one(&self, edge: &Edge<'_>) -> Result<Extended, ModelError> {
        let prefix = edge.prefix.map(|kv| &**kv);
        let mut reading = self.resume(prefix)?;
        let before = edge.read.min(edge.tokens.len());
        // The first token that is read off is the last of the first call.
        let first = if before < edge.tokens.len() { before + 1 } else { before };
        let mut hidden = self.read(&mut reading, &edge.tokens[..first])?;
        if before == edge.tokens.len() {
            hidden.clear();
        }
        for token in edge.tokens[first..].chunks(1) {
            hidden.extend(self.read(&mut reading, token)?);
        }
        let snapshot = self.keep(edge, reading.program);
        let kv = Kv::of_snapshot(snapshot, self.meter.clone());
        Ok(Extended { kv: Arc::new(kv), hidden: Hidden::host(self.config.vocab_size, hidden) })
    }

    /// The snapshot behind an edge that `program` has read.
    fn keep(&self, edge: &Edge<'_>, program: Program) -> Snapshot {
        let before = edge.prefix.and_then(|kv| kv.snapshot());
        let mut tokens = before.map(|before| before.tokens.clone()).unwrap_or_default();
        tokens.extend(edge.tokens);
        let base = match before {
            Some(before) if before.program.is_none() => before.base.clone(),
            _ => edge.prefix.cloned(),
        };
        let own = tokens.len() - base.as_ref().map_or(0, |kv| kv.len());
        if program.grows_in_place() || own * COPY < tokens.len() {
            return Snapshot { tokens, program: None, base, bytes: 0 };
        }
        let bytes = self.kv_bytes(tokens.len());
        Snapshot { tokens, program: Some(program), base: None, bytes }
    }
}

impl Snapshot {
    pub(crate) fn len(&self) -> usize {
        self.tokens.len()
    }
}

impl Inference for Candle {
    fn config(&self) -> &ModelConfig {
        &self.config
    }

    fn engine(&self) -> &'static str {
        "candle"
    }

    fn is_invariant(&self) -> bool {
        false
    }

    /// A row takes a copy of its prompt's keys and values, and rows are computed one after another.
    fn at_once(&self) -> AtOnce {
        AtOnce { tokens: 1024, rows: 1 }
    }

    fn extend_all(&self, edges: &[Edge<'_>]) -> Result<Vec<Extended>, ModelError> {
        check_tokens(&self.config, edges.iter().flat_map(|edge| edge.tokens.iter().copied()))?;
        check_lengths(&self.config, Some(self.config.longest()), edges.iter().map(Edge::end))?;
        edges.iter().map(|edge| self.extend_one(edge)).collect()
    }

    /// A snapshot may take up to [`COPY`] times this, since it holds what stands before its edge once more; the meter knows.
    fn kv_bytes(&self, tokens: usize) -> usize {
        let config = &self.config;
        2 * size_of::<f32>()
            * config.num_hidden_layers
            * config.num_key_value_heads
            * config.head_dim
            * tokens
    }

    fn kv_live(&self) -> usize {
        self.meter.bytes()
    }

    fn logits(&self, places: &[Place<'_>]) -> Result<Vec<f32>, ModelError> {
        Ok(places.iter().flat_map(Place::values).copied().collect())
    }

    fn decode(&self, rows: &mut [DecodeRow]) -> Result<Vec<f32>, ModelError> {
        check_tokens(&self.config, rows.iter().map(|row| row.token))?;
        check_lengths(&self.config, Some(self.config.longest()), rows.iter().map(|row| row.len() + 1))?;
        let mut logits = Vec::with_capacity(rows.len() * self.config.vocab_size);
        for row in rows {
            if let Grown::Layers(_) = &row.tail.grown {
                row.tail.grown = Grown::Reading(self.resume(Some(&row.kv))?);
            }
            let Grown::Reading(reading) = &mut row.tail.grown else {
                unreachable!("a row of another program");
            };
            logits.extend(self.read(reading, &[row.token])?);
            reading.generated += 1;
        }
        Ok(logits)
    }
}
