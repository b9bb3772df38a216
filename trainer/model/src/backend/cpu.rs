use std::borrow::Cow;
use std::ops::Range;

use rayon::prelude::*;

use super::{Arena, Array, Format, Keeping, Op, Ops, Slot, Weight};
use crate::cuda::CudaError;
use crate::ops::attention::{self, Heads, Saved};
use crate::ops::rope::{self, Rope, Table};
use crate::ops::{
    adamw, bf16, bias, cross_entropy, elementwise, embedding, matmul, moments, rms_norm, square_norm, swiglu,
    windowed_attention,
};
use crate::train::{Batch, Measured, Objective, StepLoss};

/// The operations of [`crate::ops`] on memory of the process: deterministic at any number of threads.
pub struct CpuOps {
    pub(crate) parameters: Vec<f32>,
    pub(crate) gradients: Vec<f32>,
    exp_avg: Vec<f32>,
    exp_avg_sq: Vec<f32>,
    /// In bf16 both hold such values alone.
    moments: Format,
    /// The parameters in bf16's values, where linear layers are computed in it.
    working: Option<Vec<f32>>,
    pub(crate) arena: Memory,
    rope: Rope,
    table: Table,
    batch: Loaded,
    loss: StepLoss,
}

/// The arena's memory with the places of its tensors.
#[derive(Default)]
pub(crate) struct Memory {
    pub(crate) values: Vec<f32>,
    slots: Vec<Range<usize>>,
}

impl Memory {
    /// Some tensors, to be read and written.
    pub(crate) fn get<const N: usize>(&mut self, slots: [Slot; N]) -> [&mut [f32]; N] {
        let places = slots.map(|slot| self.slots[slot.0].clone());
        self.values.get_disjoint_mut(places).expect("tensors that live at one time lie apart")
    }
}

/// The batch that operations are about.
#[derive(Default)]
struct Loaded {
    inputs: Vec<u32>,
    targets: Vec<u32>,
    starts: Vec<usize>,
    z_loss: f32,
    /// Of each target's loss in the objective.
    share: f32,
}

impl CpuOps {
    /// `parameters` are laid out as [`crate::train::Layout`] says; moments are zeros.
    #[must_use]
    pub fn new(parameters: Vec<f32>, rope: Rope, format: Format) -> Self {
        let zeros = || vec![0.0; parameters.len()];
        Self {
            gradients: zeros(),
            exp_avg: zeros(),
            exp_avg_sq: zeros(),
            moments: Format::F32,
            working: (format == Format::Bf16).then(|| bf16::rounded(&parameters)),
            arena: Memory::default(),
            table: rope.table(0..0),
            rope,
            batch: Loaded::default(),
            loss: StepLoss::default(),
            parameters,
        }
    }

    /// With moments in this format.
    #[must_use]
    pub fn with_moments(self, moments: Format) -> Self {
        Self { moments, ..self }
    }

    fn array(&mut self, array: Array) -> &mut Vec<f32> {
        match array {
            Array::Parameters => &mut self.parameters,
            Array::Gradients => &mut self.gradients,
            Array::FirstMoments => &mut self.exp_avg,
            Array::SecondMoments => &mut self.exp_avg_sq,
        }
    }

    fn matmul(&mut self, x: Slot, weight: Weight, out: Slot) {
        let Self { arena, parameters, working, .. } = self;
        let [x, out] = arena.get([x, out]);
        let x = operand(working.is_some(), x);
        let w = &working.as_ref().unwrap_or(parameters)[weight.range()];
        matmul::forward(&x, w, out.len() / weight.rows, weight.columns, weight.rows, out);
    }

    fn matmul_backward_input(&mut self, dy: Slot, weight: Weight, dx: Slot) {
        let Self { arena, parameters, working, .. } = self;
        let [dy, dx] = arena.get([dy, dx]);
        let dy = operand(working.is_some(), dy);
        let w = &working.as_ref().unwrap_or(parameters)[weight.range()];
        matmul::backward_input(&dy, w, dx.len() / weight.columns, weight.columns, weight.rows, dx);
    }

    fn matmul_backward_weight(&mut self, dy: Slot, x: Slot, weight: Weight) {
        let [dy, x] = self.arena.get([dy, x]);
        let bf16 = self.working.is_some();
        let (m, dw) = (x.len() / weight.columns, &mut self.gradients[weight.range()]);
        matmul::backward_weight(&operand(bf16, dy), &operand(bf16, x), m, weight.columns, weight.rows, dw);
    }

    fn attention(
        &mut self,
        [q, k, v]: [Slot; 3],
        (out, lse): (Slot, Slot),
        heads: Heads,
        window: Option<usize>,
    ) {
        let [q, k, v, out, lse] = self.arena.get([q, k, v, out, lse]);
        let (qkv, starts) = ((&*q, &*k, &*v), &self.batch.starts);
        match window {
            None => attention::forward(qkv, starts, heads, out, lse),
            Some(window) => windowed_attention::forward(qkv, starts, heads, window, out, lse),
        }
    }

    fn attention_backward(&mut self, slots: [Slot; 9], heads: Heads, window: Option<usize>) {
        let [q, k, v, out, lse, dout, dq, dk, dv] = self.arena.get(slots);
        let saved = Saved { qkv: (q, k, v), starts: &self.batch.starts, heads, out, lse };
        match window {
            None => attention::backward(&saved, dout, (dq, dk, dv)),
            Some(window) => windowed_attention::backward(&saved, window, dout, (dq, dk, dv)),
        }
    }

    fn head(&mut self, [x, logits, dx]: [Slot; 3], weight: Weight) {
        let Self { arena, parameters, gradients, working, batch, loss, .. } = self;
        let [x, logits, dx] = arena.get([x, logits, dx]);
        let (d, vocabulary, bf16) = (weight.columns, weight.rows, working.is_some());
        let w = &working.as_ref().unwrap_or(parameters)[weight.range()];
        let dw = &mut gradients[weight.range()];
        let rows = logits.len() / vocabulary;
        let packed = matmul::Packed::new(w, vocabulary, d);
        let chunks = x.chunks(rows * d).zip(dx.chunks_mut(rows * d));
        for ((x, dx), targets) in chunks.zip(batch.targets.chunks(rows)) {
            let m = targets.len();
            let logits = &mut logits[..m * vocabulary];
            let x = operand(bf16, x);
            matmul::forward_packed(&x, &packed, logits);
            *loss += cross_entropy::forward_backward(logits, vocabulary, targets, batch.z_loss, batch.share);
            let dlogits = operand(bf16, logits);
            matmul::backward_weight(&dlogits, &x, m, d, vocabulary, dw);
            matmul::backward_input(&dlogits, w, m, d, vocabulary, dx);
        }
    }
}

/// An operand of a linear layer in the format that is computed in.
fn operand(bf16: bool, x: &[f32]) -> Cow<'_, [f32]> {
    if bf16 { Cow::Owned(bf16::rounded(x)) } else { Cow::Borrowed(x) }
}

/// All of it in f32; 32 MiB of logits.
pub(crate) const KEEPING: Keeping = Keeping { narrow: size_of::<f32>(), logits: 1 << 23, tile: 1 };

impl Ops for CpuOps {
    fn keeping(&self) -> Keeping {
        KEEPING
    }

    fn reserve(&mut self, arena: &Arena, _: &[Op]) {
        // The old memory goes before the new is taken.
        self.arena = Memory::default();
        let size = size_of::<f32>();
        let places = arena.slots.iter();
        let slots = places.map(|place| place.start / size..(place.start + place.bytes) / size).collect();
        self.arena = Memory { values: vec![0.0; arena.bytes / size], slots };
    }

    fn load(&mut self, batch: &Batch<'_>, objective: &Objective) {
        self.batch = Loaded {
            inputs: batch.inputs.to_vec(),
            targets: batch.targets.to_vec(),
            starts: batch.starts.to_vec(),
            z_loss: objective.z_loss,
            share: 1.0 / objective.targets as f32,
        };
        if self.table.positions() != batch.length {
            self.table = self.rope.table(0..batch.length);
        }
    }

    fn run(&mut self, op: &Op) {
        let Self { arena, parameters, gradients, batch, table, .. } = self;
        match *op {
            Op::Embedding { table, out } => {
                let [out] = arena.get([out]);
                embedding::forward(&parameters[table.range()], table.columns, &batch.inputs, out);
            }
            Op::EmbeddingBackward { dout, table } => {
                let [dout] = arena.get([dout]);
                embedding::backward(table.columns, &batch.inputs, dout, &mut gradients[table.range()]);
            }
            Op::Multiply { x, factor } => elementwise::multiply(arena.get([x])[0], factor),
            Op::Add { into, from } => {
                let [into, from] = arena.get([into, from]);
                elementwise::add(into, from);
            }
            Op::Zero { x } => arena.get([x])[0].fill(0.0),
            Op::RmsNorm { x, weight, eps, out } => {
                let [x, out] = arena.get([x, out]);
                rms_norm::forward(x, &parameters[weight.range()], eps, out);
            }
            Op::RmsNormBackward { x, weight, eps, dy, dx } => {
                let [x, dy, dx] = arena.get([x, dy, dx]);
                let (weight, dweight) = (&parameters[weight.range()], &mut gradients[weight.range()]);
                rms_norm::backward(x, weight, eps, dy, dx, dweight);
            }
            Op::Matmul { x, weight, out } => self.matmul(x, weight, out),
            Op::MatmulBackwardInput { dy, weight, dx } => self.matmul_backward_input(dy, weight, dx),
            Op::MatmulBackwardWeight { dy, x, weight } => self.matmul_backward_weight(dy, x, weight),
            Op::Bias { x, bias } => bias::forward(arena.get([x])[0], &parameters[bias.range()]),
            Op::BiasBackward { dy, bias } => bias::backward(arena.get([dy])[0], &mut gradients[bias.range()]),
            Op::Rope { x, heads } => rope::forward(arena.get([x])[0], heads, table),
            Op::RopeBackward { x, heads } => rope::backward(arena.get([x])[0], heads, table),
            Op::Attention { qkv, out, lse, heads, window } => self.attention(qkv, (out, lse), heads, window),
            Op::AttentionBackward { qkv: [q, k, v], out, lse, dout, dqkv: [dq, dk, dv], heads, window } => {
                self.attention_backward([q, k, v, out, lse, dout, dq, dk, dv], heads, window);
            }
            Op::Swiglu { gate, up, out } => {
                let [gate, up, out] = arena.get([gate, up, out]);
                swiglu::forward(gate, up, out);
            }
            Op::SwigluBackward { gate, up, dout, dgate, dup } => {
                let [gate, up, dout, dgate, dup] = arena.get([gate, up, dout, dgate, dup]);
                swiglu::backward(gate, up, dout, dgate, dup);
            }
            Op::Head { x, weight, logits, dx } => self.head([x, logits, dx], weight),
        }
    }

    fn zero_gradients(&mut self) {
        self.gradients.par_chunks_mut(1 << 16).for_each(|gradients| gradients.fill(0.0));
        self.loss = StepLoss::default();
    }

    fn measure(&mut self) -> Result<Measured, CudaError> {
        Ok(Measured { loss: self.loss, grad_norm: square_norm::forward(&self.gradients).sqrt() })
    }

    fn adamw(&mut self, part: Range<usize>, constants: &adamw::Constants) {
        let parameters = &mut self.parameters[part.clone()];
        let moments = (&mut self.exp_avg[part.clone()], &mut self.exp_avg_sq[part.clone()]);
        adamw::update(parameters, &self.gradients[part.clone()], moments, constants);
        if self.moments == Format::Bf16 {
            let moments = (&mut self.exp_avg[part.clone()], &mut self.exp_avg_sq[part.clone()]);
            adamw::round_moments(moments, part.start, constants);
        }
        if let Some(working) = &mut self.working {
            bf16::round_into(&self.parameters[part.clone()], &mut working[part]);
        }
    }

    fn moment_statistics(
        &mut self,
        parts: &[(Range<usize>, adamw::Constants)],
    ) -> Result<Vec<moments::Statistics>, CudaError> {
        let of = |(part, constants): &(Range<usize>, adamw::Constants)| {
            let part = || part.clone();
            let moments = (&self.exp_avg[part()], &self.exp_avg_sq[part()]);
            moments::statistics(&self.parameters[part()], moments, constants)
        };
        Ok(parts.iter().map(of).collect())
    }

    fn upload(&mut self, array: Array, values: Vec<f32>) -> Result<(), CudaError> {
        assert_eq!(values.len(), self.array(array).len(), "an array of this layout");
        let is_moment = matches!(array, Array::FirstMoments | Array::SecondMoments);
        let rounds = is_moment && self.moments == Format::Bf16;
        *self.array(array) = if rounds { bf16::rounded(&values) } else { values };
        if array == Array::Parameters
            && let Some(working) = &mut self.working
        {
            bf16::round_into(&self.parameters, working);
        }
        Ok(())
    }

    fn download(&self, array: Array, out: &mut [f32]) -> Result<(), CudaError> {
        let values = match array {
            Array::Parameters => &self.parameters,
            Array::Gradients => &self.gradients,
            Array::FirstMoments => &self.exp_avg,
            Array::SecondMoments => &self.exp_avg_sq,
        };
        assert_eq!(values.len(), out.len(), "an array of this layout");
        elementwise::copy(out, values);
        Ok(())
    }
}
