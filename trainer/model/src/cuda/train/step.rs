//! The memory of a step of one shape, and the operations on it.

use std::sync::atomic::{AtomicU64, Ordering};

use super::attention::{self, Attention, AttentionGradient};
use super::kernels::{self, Kernels};
use super::rows::{self, Rows};
use super::{CudaOps, Tensor};
use crate::backend::{Arena, Array, Op, Place, Slot, Weight, Width};
use crate::cuda::CudaError;
use crate::cuda::machine::{Dtype, Form, Into, Machine, Memory, Ptr};
use crate::ops::attention::Heads;
use crate::ops::rope::Rope;

/// Alignment of every array [bytes].
const ALIGN: usize = 256;

/// The memory of a step.
pub(super) struct Step {
    memory: Memory,
    places: Vec<Place>,
    dtype: Dtype,
    pub(super) rows: Rows,
    /// f64 `[rows, 3]`: what the loss of each row adds.
    losses: Ptr,
    /// What an operation needs for itself.
    scratch: Ptr,
    /// Positions of a sequence, and the rotations of each.
    angles: Option<(usize, Memory)>,
    /// Of the graph that the list becomes.
    pub(super) key: u64,
}

/// Rows and vocabulary of a list.
fn sizes(arena: &Arena, list: &[Op]) -> (usize, usize) {
    let of = |op: &Op| match *op {
        Op::Embedding { table, out } => {
            Some((arena.slots[out.0].extent.values / table.columns.max(1), table.rows))
        }
        _ => None,
    };
    list.iter().find_map(of).unwrap_or((0, 0))
}

/// Bytes of the arrays of a step: the arena, what a batch tells, losses, scratch memory.
fn parts(arena: &Arena, list: &[Op], dtype: Dtype) -> [usize; 4] {
    let (rows, _) = sizes(arena, list);
    let scratch = list.iter().map(|op| scratch(op, arena, rows, dtype)).max().unwrap_or(0);
    [arena.bytes, rows::bytes(rows), 3 * rows * size_of::<f64>(), scratch].map(|n| n.next_multiple_of(ALIGN))
}

/// Bytes that a step takes, the table of rotations apart.
pub(super) fn bytes(arena: &Arena, list: &[Op], dtype: Dtype) -> usize {
    parts(arena, list, dtype).iter().sum()
}

/// Bytes of the rotations of so many positions.
pub(super) const fn angle_bytes(length: usize, dim: usize) -> usize {
    length * (dim / 2) * 2 * size_of::<f32>()
}

/// Bytes that an operand takes as the operand of a product, if it is not kept as one.
fn operand_bytes(arena: &Arena, slot: Slot, dtype: Dtype) -> usize {
    let extent = arena.slots[slot.0].extent;
    if extent.width == Width::Narrow || dtype == Dtype::F32 {
        return 0;
    }
    (extent.values * dtype.size()).next_multiple_of(ALIGN)
}

/// Bytes of scratch memory of an operation.
fn scratch(op: &Op, arena: &Arena, rows: usize, dtype: Dtype) -> usize {
    let operand = |slot| operand_bytes(arena, slot, dtype);
    match *op {
        Op::Matmul { x, .. } => operand(x),
        Op::MatmulBackwardInput { dy, .. } => operand(dy),
        Op::MatmulBackwardWeight { dy, x, .. } => operand(dy) + operand(x),
        Op::EmbeddingBackward { table, .. } => rows::partials(rows) * table.columns * size_of::<f32>(),
        Op::RmsNormBackward { x, weight, .. } => {
            let lines = arena.slots[x.0].extent.values / weight.columns.max(1);
            kernels::norm_blocks(lines) * weight.columns * size_of::<f32>()
        }
        Op::BiasBackward { bias, .. } => kernels::column_blocks(rows) * bias.columns * size_of::<f32>(),
        Op::AttentionBackward { heads, .. } => attention::scratch_bytes(rows, heads),
        Op::Head { logits, .. } => operand(logits),
        _ => 0,
    }
}

impl Step {
    /// Memory for a list.
    pub(super) fn reserve(
        machine: &dyn Machine,
        arena: &Arena,
        list: &[Op],
        dtype: Dtype,
    ) -> Result<Self, CudaError> {
        static KEYS: AtomicU64 = AtomicU64::new(0);
        let (count, vocabulary) = sizes(arena, list);
        let parts = parts(arena, list, dtype);
        let memory = machine.reserve(parts.iter().sum())?;
        let at = |part: usize| memory.start().plus(parts[..part].iter().sum());
        Ok(Self {
            places: arena.slots.clone(),
            dtype,
            rows: Rows::at(at(1), count, vocabulary),
            losses: at(2),
            scratch: at(3),
            angles: None,
            key: KEYS.fetch_add(1, Ordering::Relaxed),
            memory,
        })
    }

    #[cfg(test)]
    pub(super) fn bytes(&self) -> usize {
        self.memory.bytes() + self.angles.as_ref().map_or(0, |(_, memory)| memory.bytes())
    }

    /// The rotations of sequences of so many positions. Another length is another shape, so it is reserved once.
    pub(super) fn set_length(
        &mut self,
        machine: &dyn Machine,
        rope: &Rope,
        length: usize,
    ) -> Result<(), CudaError> {
        if self.angles.as_ref().is_some_and(|(there, _)| *there == length) {
            return Ok(());
        }
        let table = rope.table(0..length);
        let pairs: Vec<f32> = table.cos.iter().zip(&table.sin).flat_map(|(cos, sin)| [*cos, *sin]).collect();
        self.angles = None;
        let memory = machine.reserve(size_of_val(&pairs[..]))?;
        machine.write(memory.start(), pulp::bytemuck::cast_slice(&pairs))?;
        self.angles = Some((length, memory));
        Ok(())
    }

    pub(super) fn tensor(&self, slot: Slot) -> Tensor {
        let place = &self.places[slot.0];
        let dtype = if place.extent.width == Width::Wide { Dtype::F32 } else { self.dtype };
        Tensor { at: self.memory.start().plus(place.start), values: place.extent.values, dtype }
    }
}

impl CudaOps {
    /// One operation.
    ///
    /// # Errors
    /// [`CudaError`] of a launch.
    pub(crate) fn try_run(&self, op: &Op) -> Result<(), CudaError> {
        let (step, k) = (self.step(), self.kernels());
        let t = |slot: Slot| step.tensor(slot);
        match *op {
            Op::Embedding { table, out } => k.embedding(
                self.parameter(table),
                step.rows.inputs,
                t(out).at,
                [step.rows.count, table.columns],
            ),
            Op::EmbeddingBackward { dout, table } => k.embedding_backward(
                t(dout).at,
                &step.rows,
                step.scratch,
                self.gradient(table),
                table.columns,
            ),
            Op::Multiply { x, factor } => k.multiply(t(x), factor),
            Op::Add { into, from } => k.add(t(into), t(from)),
            Op::Zero { x } => k.zero_tensor(t(x)),
            Op::RmsNorm { x, weight, eps, out } => {
                k.rms_norm(t(x), (self.parameter(weight), eps), t(out), weight.columns)
            }
            Op::RmsNormBackward { x, weight, eps, dy, dx } => {
                let of_weight = (self.parameter(weight), self.gradient(weight), eps);
                k.rms_norm_backward(t(x), of_weight, t(dy), t(dx), (step.scratch, weight.columns))
            }
            Op::Matmul { x, weight, out } => self.matmul(t(x), weight, t(out)),
            Op::MatmulBackwardInput { dy, weight, dx } => self.matmul_backward_input(t(dy), weight, t(dx)),
            Op::MatmulBackwardWeight { dy, x, weight } => self.matmul_backward_weight(t(dy), t(x), weight),
            Op::Bias { x, bias } => k.bias(t(x), self.parameter(bias), bias.columns),
            Op::BiasBackward { dy, bias } => {
                k.bias_backward(t(dy), step.scratch, self.gradient(bias), bias.columns)
            }
            Op::Rope { x, heads } => self.rotate(t(x), heads, 1.0),
            Op::RopeBackward { x, heads } => self.rotate(t(x), heads, -1.0),
            Op::Attention { qkv, out, lse, heads, window } => {
                attention::forward(&*self.machine, &self.attention(qkv, (out, lse), heads, window))
            }
            Op::AttentionBackward { qkv, out, lse, dout, dqkv, heads, window } => {
                let of = self.attention(qkv, (out, lse), heads, window);
                let (dout, dqkv, scratch) = (t(dout).at, dqkv.map(|slot| t(slot).at), step.scratch);
                attention::backward(&*self.machine, &AttentionGradient { of, dout, dqkv, scratch })
            }
            Op::Swiglu { gate, up, out } => k.gated(t(gate), t(up), t(out)),
            Op::SwigluBackward { gate, up, dout, dgate, dup } => {
                k.gated_backward([gate, up, dout, dgate, dup].map(t))
            }
            Op::Head { x, weight, logits, dx } => self.head([x, logits, dx].map(t), weight),
        }
    }

    fn step(&self) -> &Step {
        self.step.as_ref().expect("memory is reserved before an operation is run")
    }

    fn parameter(&self, weight: Weight) -> Ptr {
        self.flat.at(Array::Parameters, self.flat.place(weight.start))
    }

    fn gradient(&self, weight: Weight) -> Ptr {
        self.flat.at(Array::Gradients, self.flat.place(weight.start))
    }

    /// The weight as the operand of a product.
    fn factor(&self, weight: Weight) -> Ptr {
        let place = self.flat.place(weight.start);
        self.flat
            .working()
            .map_or_else(|| self.parameter(weight), |copy| copy.plus(place * self.dtype.size()))
    }

    /// A tensor as the operand of a product; one that is not kept as such is rounded into scratch memory, behind `used` bytes of it.
    fn operand(&self, x: Tensor, used: usize) -> Result<(Ptr, usize), CudaError> {
        if x.dtype == self.dtype {
            return Ok((x.at, used));
        }
        let to = self.step().scratch.plus(used);
        self.kernels().round(x.at, to, x.values)?;
        Ok((to, used + (x.values * self.dtype.size()).next_multiple_of(ALIGN)))
    }

    fn matmul(&self, x: Tensor, weight: Weight, out: Tensor) -> Result<(), CudaError> {
        let Weight { rows: n, columns: k, .. } = weight;
        let shape = [x.values / k, n, k];
        let (x, _) = self.operand(x, 0)?;
        self.kernels().product(Form::Forward, [x, self.factor(weight), out.at], shape, self.into(out))
    }

    fn matmul_backward_input(&self, dy: Tensor, weight: Weight, dx: Tensor) -> Result<(), CudaError> {
        let Weight { rows: k, columns: n, .. } = weight;
        let shape = [dy.values / k, n, k];
        let (dy, _) = self.operand(dy, 0)?;
        self.kernels().product(Form::Input, [dy, self.factor(weight), dx.at], shape, self.into(dx))
    }

    fn matmul_backward_weight(&self, dy: Tensor, x: Tensor, weight: Weight) -> Result<(), CudaError> {
        let shape = [weight.rows, weight.columns, x.values / weight.columns];
        let (dy, used) = self.operand(dy, 0)?;
        let (x, _) = self.operand(x, used)?;
        self.kernels().product(Form::Weight, [dy, x, self.gradient(weight)], shape, Into::Added)
    }

    /// What becomes of a product that goes there.
    fn into(&self, out: Tensor) -> Into {
        if out.dtype == self.dtype { Into::Same } else { Into::F32 }
    }

    fn rotate(&self, x: Tensor, heads: usize, direction: f32) -> Result<(), CudaError> {
        let step = self.step();
        let (length, angles) = step.angles.as_ref().expect("a batch was loaded");
        self.kernels().rotate(x, angles.start(), (step.rows.count, *length), heads, direction)
    }

    fn attention(
        &self,
        qkv: [Slot; 3],
        (out, lse): (Slot, Slot),
        heads: Heads,
        window: Option<usize>,
    ) -> Attention {
        let step = self.step();
        let at = |slot: Slot| step.tensor(slot).at;
        let (rows, starts) = (step.rows.count, step.rows.starts);
        let (qkv, out, lse) = (qkv.map(at), at(out), at(lse));
        Attention { dtype: self.dtype, rows, heads, window, starts, qkv, out, lse }
    }

    /// The loss of some rows from `first` on, and its gradient.
    fn loss(&self, (logits, dlogits): (Ptr, Ptr), first: usize, shape: [usize; 2]) -> Result<(), CudaError> {
        let rows = self.step().rows;
        let targets = rows.targets.plus(first * size_of::<i32>());
        let losses = self.step().losses.plus(3 * first * size_of::<f64>());
        self.kernels().cross_entropy(logits, [dlogits, losses], targets, rows.objective, shape)
    }

    /// Of [`Op::Head`] the loss alone, of as many rows as there are logits: what is measured.
    ///
    /// # Errors
    /// As [`Self::try_run`].
    pub(crate) fn try_run_loss(&self, op: &Op) -> Result<(), CudaError> {
        let Op::Head { logits, weight, .. } = *op else { return self.try_run(op) };
        let logits = self.tensor(logits);
        let rows = logits.values / weight.rows;
        self.loss((logits.at, self.step().scratch), 0, [rows, weight.rows])
    }

    /// The output layer and the loss, some rows after others.
    fn head(&self, [x, logits, dx]: [Tensor; 3], weight: Weight) -> Result<(), CudaError> {
        let (step, kernels) = (self.step(), self.kernels());
        let Weight { rows: vocabulary, columns: d, .. } = weight;
        let most = logits.values / vocabulary;
        // The gradient of the logits takes their place, or is rounded beside them.
        let dlogits = if self.dtype == Dtype::F32 { logits.at } else { step.scratch };
        let factor = self.factor(weight);
        for first in (0..step.rows.count).step_by(most) {
            let rows = most.min(step.rows.count - first);
            let of_rows = |tensor: Tensor| tensor.at.plus(first * d * tensor.dtype.size());
            let (x, dx) = (of_rows(x), of_rows(dx));
            kernels.product(Form::Forward, [x, factor, logits.at], [rows, vocabulary, d], Into::F32)?;
            self.loss((logits.at, dlogits), first, [rows, vocabulary])?;
            kernels.product(
                Form::Weight,
                [dlogits, x, self.gradient(weight)],
                [vocabulary, d, rows],
                Into::Added,
            )?;
            kernels.product(Form::Input, [dlogits, factor, dx], [rows, d, vocabulary], Into::Same)?;
        }
        kernels.loss_sums(step.losses, self.sums.start(), step.rows.count)
    }
}

impl Kernels<'_> {
    /// Zeros, also in what is left of the last four bytes.
    fn zero_tensor(&self, x: Tensor) -> Result<(), CudaError> {
        self.zero(x.at, (x.values * x.dtype.size()).div_ceil(size_of::<f32>()))
    }
}
