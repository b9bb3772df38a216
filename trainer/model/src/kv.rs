//! Keys and values of token sequences: edges of a tree, shared by everything below them.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::families::{Reading, Snapshot};
use crate::ops::attention::{Heads, KeyValues, Segment};

/// Keys and values of one edge, chained to those of the tokens before it.
pub struct Kv {
    parent: Option<Arc<Kv>>,
    len: usize,
    layers: Vec<KeyValues>,
    /// In place of the layers, of everything from the root on: what candle's programs have read.
    snapshot: Option<Snapshot>,
    meter: Meter,
}

/// Bytes of the edges of one model that are alive.
#[derive(Clone, Default)]
pub(crate) struct Meter(Arc<AtomicUsize>);

impl Meter {
    pub(crate) fn bytes(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

/// Tokens to be computed below others.
#[derive(Clone, Copy)]
pub struct Edge<'a> {
    /// What stands before them; it stays as it is and may be shared.
    pub prefix: Option<&'a Arc<Kv>>,
    /// The tokens.
    pub tokens: &'a [u32],
    /// The first of them whose hidden state is asked for.
    pub read: usize,
}

impl Edge<'_> {
    /// Tokens from the root to its end.
    pub(crate) fn end(&self) -> usize {
        self.prefix.map_or(0, |kv| kv.len) + self.tokens.len()
    }
}

/// What [`crate::Inference::extend_all`] gives back for an edge.
pub struct Extended {
    /// The new edge.
    pub kv: Arc<Kv>,
    /// `[tokens from Edge::read on, Inference::hidden_width]`, after the final norm.
    pub hidden: Vec<f32>,
}

/// One sequence of a generating batch.
pub struct DecodeRow {
    /// The prompt.
    pub kv: Arc<Kv>,
    /// What was generated so far; grows by one token with each [`crate::Inference::decode`].
    pub tail: Tail,
    /// The token to go on from.
    pub token: u32,
}

/// Keys and values of a sequence that grows token by token.
pub struct Tail {
    layers: Vec<KeyValues>,
    /// Tokens that room is made for.
    limit: usize,
    /// In place of the layers: candle's program.
    pub(crate) reading: Option<Reading>,
}

impl Kv {
    pub(crate) fn new(parent: Option<Arc<Self>>, layers: Vec<KeyValues>, meter: Meter) -> Self {
        let len = parent.as_ref().map_or(0, |parent| parent.len) + stored(&layers);
        Self { parent, len, layers, snapshot: None, meter }.metered()
    }

    /// What a program of candle's has read, from the root on.
    pub(crate) fn of_snapshot(snapshot: Snapshot, meter: Meter) -> Self {
        Self { parent: None, len: snapshot.len(), layers: Vec::new(), snapshot: Some(snapshot), meter }
            .metered()
    }

    fn metered(self) -> Self {
        self.meter.0.fetch_add(self.bytes(), Ordering::Relaxed);
        self
    }

    pub(crate) fn snapshot(&self) -> Option<&Snapshot> {
        self.snapshot.as_ref()
    }

    /// Tokens from the root to the end of this edge.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Memory of this edge alone; of a snapshot, of everything before it too.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let snapshot = self.snapshot.as_ref().map_or(0, |snapshot| snapshot.bytes);
        self.layers.iter().map(KeyValues::bytes).sum::<usize>() + snapshot
    }

    /// The edges from the root to this one.
    pub(crate) fn chain(&self) -> Vec<&Self> {
        let mut chain: Vec<&Self> = std::iter::successors(Some(self), |kv| kv.parent.as_deref()).collect();
        chain.reverse();
        chain
    }

    pub(crate) fn segment(&self, layer: usize) -> Segment<'_> {
        self.layers[layer].segment()
    }
}

impl Drop for Kv {
    /// A sequence extended token by token is a long chain; dropping it recursively would use up the stack.
    fn drop(&mut self) {
        self.meter.0.fetch_sub(self.bytes(), Ordering::Relaxed);
        let mut parent = self.parent.take();
        while let Some(kv) = parent {
            parent = Arc::into_inner(kv).and_then(|mut kv| kv.parent.take());
        }
    }
}

impl DecodeRow {
    /// A row that continues `kv` with `token`. Its keys and values are made for `limit` tokens at once; more make them grow.
    #[must_use]
    pub fn new(kv: Arc<Kv>, token: u32, limit: usize) -> Self {
        Self { kv, tail: Tail { layers: Vec::new(), limit, reading: None }, token }
    }

    /// Tokens of the prompt and of what was generated, without [`Self::token`].
    #[must_use]
    pub fn len(&self) -> usize {
        self.kv.len + self.tail.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Tail {
    /// Tokens kept.
    #[must_use]
    pub fn len(&self) -> usize {
        self.reading.as_ref().map_or_else(|| stored(&self.layers), |reading| reading.generated)
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(crate) fn append(&mut self, layer: usize, heads: Heads, keys: &[f32], values: &[f32]) {
        if layer == self.layers.len() {
            self.layers.push(KeyValues::with_capacity(heads, self.limit));
        }
        self.layers[layer].append(keys, values);
    }

    /// Memory taken.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.layers.iter().map(KeyValues::bytes).sum()
    }

    pub(crate) fn segment(&self, layer: usize) -> Segment<'_> {
        self.layers[layer].segment()
    }
}

fn stored(layers: &[KeyValues]) -> usize {
    layers.first().map_or(0, KeyValues::len)
}
