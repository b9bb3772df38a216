use sekisho_weights::config::{Family, ModelConfig};

use super::parts::{LayerParts, Linear, Parts};
use crate::backend::{Extent, Keeping, Op, Recompute, Slot, Weight, Width};
use crate::ops::attention::Heads;

/// What a list is written for.
#[derive(Clone, Copy)]
pub(super) struct Shape {
    /// Positions.
    pub(super) rows: usize,
    /// Positions of a sequence.
    pub(super) length: usize,
}

/// The program while it is written down: operations, and the sizes of the tensors they name.
pub(super) struct List<'a> {
    pub(super) config: &'a ModelConfig,
    pub(super) parts: &'a Parts,
    pub(super) heads: Heads,
    pub(super) recompute: Recompute,
    window: Option<usize>,
    rows: usize,
    extents: Vec<Extent>,
    list: Vec<Op>,
}

/// A layer's tensors that its backward pass begins with.
pub(super) struct Layer {
    /// The stream below the layer, `[n, hidden]`.
    pub(super) input: Slot,
    /// None where it is computed again.
    pub(super) inner: Option<(Attention, FeedForward)>,
}

/// What the lower half of a layer leaves behind.
#[derive(Clone, Copy)]
pub(super) struct Attention {
    /// After the first norm, `[n, hidden]`; none where it is computed again.
    pub(super) normed: Option<Slot>,
    /// Queries and keys before the norms over heads, where there are some.
    pub(super) raw: Option<[Slot; 2]>,
    /// Queries `[n, heads · dim]` and keys, both turned, and values `[n, key heads · dim]`.
    pub(super) qkv: [Slot; 3],
    /// Logarithm of each softmax denominator, `[n, heads]`.
    pub(super) lse: Slot,
    /// Result of attention, `[n, heads · dim]`.
    pub(super) mixed: Slot,
    /// The stream between attention and feed-forward, `[n, hidden]`.
    pub(super) middle: Slot,
}

/// What the upper half leaves behind.
#[derive(Clone, Copy)]
pub(super) struct FeedForward {
    /// After the second norm, `[n, hidden]`; none where it is computed again.
    pub(super) normed: Option<Slot>,
    /// `[n, intermediate]`.
    pub(super) gate: Slot,
    /// `[n, intermediate]`.
    pub(super) up: Slot,
    /// `silu(gate) · up`, `[n, intermediate]`; none where it is computed again.
    pub(super) hidden: Option<Slot>,
}

impl<'a> List<'a> {
    /// The step of so many positions in sequences.
    pub(super) fn new(
        config: &'a ModelConfig,
        parts: &'a Parts,
        Shape { rows, length }: Shape,
        recompute: Recompute,
        keeping: Keeping,
    ) -> Self {
        let heads = Heads {
            queries: config.num_attention_heads,
            keys: config.num_key_value_heads,
            dim: config.head_dim,
        };
        // A window that no sequence is longer than hides nothing.
        let window = config.window.filter(|window| *window < length);
        let mut list =
            Self { config, parts, heads, recompute, window, rows, extents: Vec::new(), list: Vec::new() };
        let (layers, stream) = list.forward();
        let dnormed = list.head(stream, keeping);
        list.backward(&layers, stream, dnormed);
        list
    }

    /// The operations and the size of each of their tensors.
    pub(super) fn finish(self) -> (Vec<Op>, Vec<Extent>) {
        (self.list, self.extents)
    }

    /// A new tensor, `[n, columns]`.
    pub(super) fn tensor(&mut self, columns: usize, width: Width) -> Slot {
        self.extents.push(Extent { values: self.rows * columns, width });
        Slot(self.extents.len() - 1)
    }

    pub(super) fn push(&mut self, op: Op) {
        self.list.push(op);
    }

    pub(super) fn eps(&self) -> f32 {
        self.config.rms_norm_eps as f32
    }

    /// The factor on embeddings: √hidden with `scaled_embedding`.
    pub(super) fn embedding_scale(&self) -> Option<f32> {
        self.config.scaled_embedding.then(|| (self.config.hidden_size as f32).sqrt())
    }

    /// The window that hides something.
    pub(super) fn window(&self) -> Option<usize> {
        self.window
    }

    /// From token ids to the stream below the final norm.
    fn forward(&mut self) -> (Vec<Layer>, Slot) {
        let mut stream = self.tensor(self.config.hidden_size, Width::Wide);
        self.push(Op::Embedding { table: self.parts.embedding, out: stream });
        if let Some(factor) = self.embedding_scale() {
            self.push(Op::Multiply { x: stream, factor });
        }
        let mut layers = Vec::new();
        for parts in &self.parts.layers {
            let attention = self.attention(parts, stream);
            let (feed_forward, hidden) = self.feed_forward(parts, attention.middle);
            let above = self.linear(hidden, &parts.down, Width::Wide);
            self.push(Op::Add { into: above, from: attention.middle });
            let inner = match self.recompute {
                Recompute::None => Some((attention, feed_forward)),
                Recompute::Light => Some((
                    Attention { normed: None, ..attention },
                    FeedForward { normed: None, hidden: None, ..feed_forward },
                )),
                Recompute::Layer => None,
            };
            layers.push(Layer { input: stream, inner });
            stream = above;
        }
        (layers, stream)
    }

    /// The lower half of a layer.
    pub(super) fn attention(&mut self, parts: &LayerParts, input: Slot) -> Attention {
        let normed = self.norm(input, parts.input_norm);
        let [mut q, mut k, v] =
            [&parts.q, &parts.k, &parts.v].map(|part| self.linear(normed, part, Width::Narrow));
        let raw = parts.head_norms.map(|[q_norm, k_norm]| {
            let raw = [q, k];
            (q, k) = (self.head_norm(q, &parts.q, q_norm), self.head_norm(k, &parts.k, k_norm));
            raw
        });
        self.push(Op::Rope { x: q, heads: self.heads.queries });
        self.push(Op::Rope { x: k, heads: self.heads.keys });
        let qkv = [q, k, v];
        let mixed = self.tensor(parts.q.weight.rows, Width::Narrow);
        let lse = self.tensor(self.heads.queries, Width::Wide);
        self.push(Op::Attention { qkv, out: mixed, lse, heads: self.heads, window: self.window });
        let middle = self.linear(mixed, &parts.o, Width::Wide);
        self.push(Op::Add { into: middle, from: input });
        Attention { normed: Some(normed), raw, qkv, lse, mixed, middle }
    }

    /// The upper half of a layer, up to the matrix that leads back into the stream, which is given `hidden`.
    pub(super) fn feed_forward(&mut self, parts: &LayerParts, middle: Slot) -> (FeedForward, Slot) {
        let normed = self.norm(middle, parts.middle_norm);
        let [gate, up] = [&parts.gate, &parts.up].map(|part| self.linear(normed, part, Width::Narrow));
        let hidden = self.swiglu(gate, up);
        (FeedForward { normed: Some(normed), gate, up, hidden: Some(hidden) }, hidden)
    }

    /// `silu(gate) · up`.
    pub(super) fn swiglu(&mut self, gate: Slot, up: Slot) -> Slot {
        let hidden = self.tensor(self.config.intermediate_size, Width::Narrow);
        self.push(Op::Swiglu { gate, up, out: hidden });
        hidden
    }

    /// A norm over the stream.
    pub(super) fn norm(&mut self, x: Slot, weight: Weight) -> Slot {
        let out = self.tensor(weight.columns, Width::Narrow);
        self.push(Op::RmsNorm { x, weight, eps: self.eps(), out });
        out
    }

    /// A norm over each head of what a linear layer gave.
    fn head_norm(&mut self, x: Slot, linear: &Linear, weight: Weight) -> Slot {
        let out = self.tensor(linear.weight.rows, Width::Narrow);
        self.push(Op::RmsNorm { x, weight, eps: self.eps(), out });
        out
    }

    /// A result in the stream is wide.
    fn linear(&mut self, x: Slot, linear: &Linear, width: Width) -> Slot {
        let out = self.tensor(linear.weight.rows, width);
        self.push(Op::Matmul { x, weight: linear.weight, out });
        if let Some(bias) = linear.bias {
            self.push(Op::Bias { x: out, bias });
        }
        out
    }

    /// The final norm, the output layer and the loss; gives back the gradient of the final norm's result.
    fn head(&mut self, stream: Slot, keeping: Keeping) -> Slot {
        let normed = self.norm(stream, self.parts.norm);
        let dnormed = self.tensor(self.config.hidden_size, Width::Narrow);
        let vocabulary = self.config.vocab_size;
        let most = keeping.logits / vocabulary;
        let most = if most > keeping.tile { most / keeping.tile * keeping.tile } else { most };
        let values = most.clamp(1, self.rows.max(1)) * vocabulary;
        self.extents.push(Extent { values, width: Width::Wide });
        let logits = Slot(self.extents.len() - 1);
        self.push(Op::Head { x: normed, weight: self.parts.head, logits, dx: dnormed });
        dnormed
    }
}

/// Whether the program computes this model. A Qwen whose window is only in some layers is not among them.
#[must_use]
pub fn is_trained(config: &ModelConfig) -> bool {
    match config.family {
        Family::Llama | Family::Mistral => true,
        Family::Qwen2 | Family::Qwen3 => config.window.is_none(),
        _ => false,
    }
}
