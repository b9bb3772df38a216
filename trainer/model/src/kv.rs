//! Keys and values of token sequences: edges of a tree, shared by everything below them.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::families::{Reading, Snapshot};
use crate::ops::attention::{Heads, KeyValues, Segment};
use crate::{Hidden, cuda};

/// Keys and values of one edge, chained to those of the tokens before it.
pub struct Kv {
    parent: Option<Arc<Kv>>,
    len: usize,
    kept: KeptKv,
    /// Memory of this edge alone.
    bytes: usize,
    meter: Meter,
}

/// Where keys and values are.
pub(crate) enum KeptKv {
    /// Of each layer.
    Layers(Vec<KeyValues>),
    /// Of everything from the root on: what candle's programs have read.
    Snapshot(Snapshot),
    /// In the cache of a GPU.
    Slots(cuda::Slots),
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
    /// Of the tokens from [`Edge::read`] on.
    pub hidden: Hidden,
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
    pub(crate) grown: Grown,
    /// Tokens that room is made for.
    pub(crate) limit: usize,
}

/// Where they are.
pub(crate) enum Grown {
    /// Of each layer; of none before the first token.
    Layers(Vec<KeyValues>),
    /// Candle's program.
    Reading(Reading),
    /// In the cache of a GPU.
    Lane(cuda::Lane),
}

impl Kv {
    /// Behind `parent`.
    pub(crate) fn new(parent: Option<Arc<Self>>, layers: Vec<KeyValues>, meter: Meter) -> Self {
        let bytes = layers.iter().map(KeyValues::bytes).sum();
        let own = stored(&layers);
        Self::metered(parent, own, KeptKv::Layers(layers), bytes, meter)
    }

    /// What a program of candle's has read, from the root on.
    pub(crate) fn of_snapshot(snapshot: Snapshot, meter: Meter) -> Self {
        let (len, bytes) = (snapshot.len(), snapshot.bytes);
        Self::metered(None, len, KeptKv::Snapshot(snapshot), bytes, meter)
    }

    /// Slots of a cache that take so much of it.
    pub(crate) fn of_slots(
        parent: Option<Arc<Self>>,
        slots: cuda::Slots,
        bytes: usize,
        meter: Meter,
    ) -> Self {
        Self::metered(parent, slots.len(), KeptKv::Slots(slots), bytes, meter)
    }

    fn metered(parent: Option<Arc<Self>>, own: usize, kept: KeptKv, bytes: usize, meter: Meter) -> Self {
        meter.0.fetch_add(bytes, Ordering::Relaxed);
        let len = parent.as_ref().map_or(0, |parent| parent.len) + own;
        Self { parent, len, kept, bytes, meter }
    }

    pub(crate) fn snapshot(&self) -> Option<&Snapshot> {
        match &self.kept {
            KeptKv::Snapshot(snapshot) => Some(snapshot),
            _ => None,
        }
    }

    /// The slots of all tokens from the root on.
    pub(crate) fn slots(&self) -> Vec<i32> {
        let own = |kv: &Self| match &kv.kept {
            KeptKv::Slots(slots) => slots.all().collect(),
            _ => Vec::new(),
        };
        self.chain().into_iter().flat_map(own).collect()
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
        self.bytes
    }

    /// The edges from the root to this one.
    pub(crate) fn chain(&self) -> Vec<&Self> {
        let mut chain: Vec<&Self> = std::iter::successors(Some(self), |kv| kv.parent.as_deref()).collect();
        chain.reverse();
        chain
    }

    /// Of one layer, in this process's memory.
    pub(crate) fn segment(&self, layer: usize) -> Segment<'_> {
        match &self.kept {
            KeptKv::Layers(layers) => layers[layer].segment(),
            _ => unreachable!("an edge of another program"),
        }
    }
}

impl Drop for Kv {
    /// A sequence extended token by token is a long chain; dropping it recursively would use up the stack.
    fn drop(&mut self) {
        self.meter.0.fetch_sub(self.bytes, Ordering::Relaxed);
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
        Self { kv, tail: Tail { grown: Grown::Layers(Vec::new()), limit }, token }
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
        match &self.grown {
            Grown::Layers(layers) => stored(layers),
            Grown::Reading(reading) => reading.generated,
            Grown::Lane(lane) => lane.len(),
        }
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(crate) fn append(&mut self, layer: usize, heads: Heads, keys: &[f32], values: &[f32]) {
        let limit = self.limit;
        let layers = self.layers_mut();
        if layer == layers.len() {
            layers.push(KeyValues::with_capacity(heads, limit));
        }
        layers[layer].append(keys, values);
    }

    fn layers_mut(&mut self) -> &mut Vec<KeyValues> {
        match &mut self.grown {
            Grown::Layers(layers) => layers,
            _ => unreachable!("a row of another program"),
        }
    }

    /// Memory taken in this process.
    #[must_use]
    pub fn bytes(&self) -> usize {
        match &self.grown {
            Grown::Layers(layers) => layers.iter().map(KeyValues::bytes).sum(),
            _ => 0,
        }
    }

    /// Of one layer, in this process's memory.
    pub(crate) fn segment(&self, layer: usize) -> Segment<'_> {
        match &self.grown {
            Grown::Layers(layers) => layers[layer].segment(),
            _ => unreachable!("a row of another program"),
        }
    }
}

fn stored(layers: &[KeyValues]) -> usize {
    layers.first().map_or(0, KeyValues::len)
}
