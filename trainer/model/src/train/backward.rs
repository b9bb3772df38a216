use super::forward::{Attention, FeedForward, Layer, List};
use super::parts::{LayerParts, Linear};
use crate::backend::{Op, Slot, Width};

impl List<'_> {
    /// From the gradient of the final norm's result down to the embedding: the list of `forward.rs`, read backwards.
    pub(super) fn backward(&mut self, layers: &[Layer], stream: Slot, dnormed: Slot) {
        // The gradient of the stream, which every layer adds to.
        let dstream = self.tensor(self.config.hidden_size, Width::Wide);
        self.push(Op::Zero { x: dstream });
        let (weight, eps) = (self.parts.norm, self.eps());
        self.push(Op::RmsNormBackward { x: stream, weight, eps, dy: dnormed, dx: dstream });
        for (parts, layer) in self.parts.layers.iter().zip(layers).rev() {
            let (attention, feed_forward) = layer.inner.unwrap_or_else(|| {
                let attention = self.attention(parts, layer.input);
                let (feed_forward, _) = self.feed_forward(parts, attention.middle);
                (attention, feed_forward)
            });
            self.feed_forward_backward(parts, attention.middle, feed_forward, dstream);
            self.attention_backward(parts, layer.input, attention, dstream);
        }
        if let Some(factor) = self.embedding_scale() {
            self.push(Op::Multiply { x: dstream, factor });
        }
        self.push(Op::EmbeddingBackward { dout: dstream, table: self.parts.embedding });
    }

    /// The upper half of a layer; `dstream` is the gradient of what goes in and out.
    fn feed_forward_backward(&mut self, parts: &LayerParts, middle: Slot, kept: FeedForward, dstream: Slot) {
        let FeedForward { normed, gate, up, hidden } = kept;
        let hidden = hidden.unwrap_or_else(|| self.swiglu(gate, up));
        self.weight_backward(dstream, hidden, &parts.down);
        let dhidden = self.input_backward(dstream, &parts.down);
        let [dgate, dup] = [(); 2].map(|()| self.tensor(self.config.intermediate_size, Width::Narrow));
        self.push(Op::SwigluBackward { gate, up, dout: dhidden, dgate, dup });
        let normed = normed.unwrap_or_else(|| self.norm(middle, parts.middle_norm));
        let branches = [(dgate, &parts.gate), (dup, &parts.up)];
        let dnormed = self.branches_backward(&branches, normed);
        let (weight, eps) = (parts.middle_norm, self.eps());
        self.push(Op::RmsNormBackward { x: middle, weight, eps, dy: dnormed, dx: dstream });
    }

    /// The lower half of a layer, likewise.
    fn attention_backward(&mut self, parts: &LayerParts, input: Slot, kept: Attention, dstream: Slot) {
        let Attention { normed, raw, qkv, lse, mixed, .. } = kept;
        self.weight_backward(dstream, mixed, &parts.o);
        let dmixed = self.input_backward(dstream, &parts.o);
        let [mut dq, mut dk, dv] =
            [&parts.q, &parts.k, &parts.v].map(|part| self.tensor(part.weight.rows, Width::Narrow));
        let (heads, window) = (self.heads, self.window());
        let dqkv = [dq, dk, dv];
        self.push(Op::AttentionBackward { qkv, out: mixed, lse, dout: dmixed, dqkv, heads, window });
        self.push(Op::RopeBackward { x: dq, heads: heads.queries });
        self.push(Op::RopeBackward { x: dk, heads: heads.keys });
        if let (Some([q, k]), Some([q_norm, k_norm])) = (raw, parts.head_norms) {
            [dq, dk] = [(dq, q, q_norm, &parts.q), (dk, k, k_norm, &parts.k)].map(|(dy, x, weight, part)| {
                let dx = self.tensor(part.weight.rows, Width::Narrow);
                self.push(Op::Zero { x: dx });
                self.push(Op::RmsNormBackward { x, weight, eps: self.eps(), dy, dx });
                dx
            });
        }
        let normed = normed.unwrap_or_else(|| self.norm(input, parts.input_norm));
        let branches = [(dq, &parts.q), (dk, &parts.k), (dv, &parts.v)];
        let dnormed = self.branches_backward(&branches, normed);
        let (weight, eps) = (parts.input_norm, self.eps());
        self.push(Op::RmsNormBackward { x: input, weight, eps, dy: dnormed, dx: dstream });
    }

    /// Linear layers that take the same `x`: their gradients, and the sum of those of `x`, in this order.
    fn branches_backward(&mut self, branches: &[(Slot, &Linear)], x: Slot) -> Slot {
        for (dy, linear) in branches {
            self.weight_backward(*dy, x, linear);
        }
        let (first, others) = branches.split_first().expect("at least one branch");
        let sum = self.input_backward(first.0, first.1);
        for (dy, linear) in others {
            let summand = self.input_backward(*dy, linear);
            self.push(Op::Add { into: sum, from: summand });
        }
        sum
    }

    fn weight_backward(&mut self, dy: Slot, x: Slot, linear: &Linear) {
        self.push(Op::MatmulBackwardWeight { dy, x, weight: linear.weight });
        if let Some(bias) = linear.bias {
            self.push(Op::BiasBackward { dy, bias });
        }
    }

    fn input_backward(&mut self, dy: Slot, linear: &Linear) -> Slot {
        let dx = self.tensor(linear.weight.columns, Width::Narrow);
        self.push(Op::MatmulBackwardInput { dy, weight: linear.weight, dx });
        dx
    }
}
