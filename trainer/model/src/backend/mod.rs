//! What a device does for training: a closed list of operations ([`Op`]) on operands that are named and never held.
//!
//! A program is a list of [`Op`]s. An operand is a [`Slot`], a tensor of the arena that lives for a part of one step, or a
//! [`Weight`], a part of the flat arrays. Only the backend knows where those are, so the same list runs on the CPU
//! ([`CpuOps`]) and on a device with memory of its own. The CPU's operations are the reference of every other backend's.

mod cpu;

use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::cuda::CudaError;
use crate::ops::attention::Heads;
use crate::ops::{adamw, moments};
use crate::train::{Batch, Measured, Objective};

pub use cpu::CpuOps;
pub(crate) use cpu::KEEPING as CPU_KEEPING;

/// A tensor of the arena: its number in [`Arena::slots`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Slot(pub usize);

/// A tensor of the flat arrays, a matrix `[rows, columns]` as stored, a vector `[1, columns]`. Parameters, gradients and
/// moments are laid out alike; the operation says which of them it means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Weight {
    /// First value.
    pub start: usize,
    /// Outputs of a linear layer, or the vocabulary.
    pub rows: usize,
    /// Inputs of a linear layer, or the values of a vector.
    pub columns: usize,
}

impl Weight {
    /// Its part of the flat arrays.
    #[must_use]
    pub fn range(&self) -> Range<usize> {
        self.start..self.start + self.rows * self.columns
    }
}

/// What a tensor of the arena is kept in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Width {
    /// f32: the residual stream and its gradient, logits, logarithms of softmax denominators.
    Wide,
    /// The backend's [`Format`], if it keeps one: operands of linear layers and of attention, and their gradients.
    Narrow,
}

/// The size of a tensor of the arena.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// Values.
    pub values: usize,
    /// What each is kept in.
    pub width: Width,
}

/// The place of a tensor in the arena.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// First byte.
    pub start: usize,
    /// Bytes.
    pub bytes: usize,
    /// What is there.
    pub extent: Extent,
}

/// Where the tensors of a step lie in one piece of memory. Tensors whose lives do not overlap share places.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Arena {
    /// Bytes in all.
    pub bytes: usize,
    /// Each tensor's place.
    pub slots: Vec<Place>,
}

/// How a backend keeps tensors: what the arena is planned by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keeping {
    /// Bytes of a value of [`Width::Narrow`].
    pub narrow: usize,
    /// Logits kept at a time [values]: those of a whole batch are the largest tensor of a training step.
    pub logits: usize,
    /// Rows of logits that it likes to compute together: their number is a multiple of it where it is not less.
    pub tile: usize,
}

impl Keeping {
    /// Bytes of a value.
    #[must_use]
    pub const fn size(&self, width: Width) -> usize {
        match width {
            Width::Wide => size_of::<f32>(),
            Width::Narrow => self.narrow,
        }
    }
}

/// The four flat arrays, laid out as [`crate::train::Layout`] says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Array {
    /// Weights, in f32 whatever format is computed in.
    Parameters,
    /// Gradients added up since [`Ops::zero_gradients`].
    Gradients,
    /// AdamW's first moments.
    FirstMoments,
    /// AdamW's second moments.
    SecondMoments,
}

impl Array {
    /// All of them.
    pub(crate) const ALL: [Self; 4] =
        [Self::Parameters, Self::Gradients, Self::FirstMoments, Self::SecondMoments];
}

/// The format of the operands of linear layers, forward and backward. Sums, norms, attention and parameters are f32.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// As they are.
    #[default]
    F32,
    /// Rounded to bf16, to nearest and ties to even.
    Bf16,
}

/// What the backward pass computes again instead of keeping it from the forward pass. The bits are the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Recompute {
    /// Nothing.
    None,
    /// Results of the norms before attention and feed-forward, and of SwiGLU: a quarter of the memory, and no time that can be measured.
    #[default]
    Light,
    /// Whole layers: of each, only what goes into it is kept.
    Layer,
}

/// One operation. In shapes, `n` is the number of positions of the batch that was loaded.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Op {
    /// `out [n, columns]` = rows of the table by the batch's input ids.
    Embedding { table: Weight, out: Slot },
    /// Adds `dout [n, columns]` to those rows' gradients.
    EmbeddingBackward { dout: Slot, table: Weight },
    /// `x *= factor`.
    Multiply { x: Slot, factor: f32 },
    /// `into += from`.
    Add { into: Slot, from: Slot },
    /// `x = 0`.
    Zero { x: Slot },
    /// [`crate::ops::rms_norm::forward`] of rows as wide as the weight.
    RmsNorm { x: Slot, weight: Weight, eps: f32, out: Slot },
    /// Its gradients, added to `dx` and to the weight's.
    RmsNormBackward { x: Slot, weight: Weight, eps: f32, dy: Slot, dx: Slot },
    /// `out [n, rows] = x [n, columns] · wᵀ`, operands in the backend's [`Format`].
    Matmul { x: Slot, weight: Weight, out: Slot },
    /// `dx [n, columns] = dy [n, rows] · w`, likewise.
    MatmulBackwardInput { dy: Slot, weight: Weight, dx: Slot },
    /// The weight's gradient `+= dyᵀ · x`, likewise.
    MatmulBackwardWeight { dy: Slot, x: Slot, weight: Weight },
    /// Adds the bias to every row of `x`.
    Bias { x: Slot, bias: Weight },
    /// Adds the sum of the rows of `dy` to the bias's gradient.
    BiasBackward { dy: Slot, bias: Weight },
    /// Turns `x [n, heads, dim]` by each row's position in its sequence.
    Rope { x: Slot, heads: usize },
    /// Turns it back.
    RopeBackward { x: Slot, heads: usize },
    /// Causal attention within the batch's contexts, of queries, keys and values; a row sees at most `window` positions.
    Attention { qkv: [Slot; 3], out: Slot, lse: Slot, heads: Heads, window: Option<usize> },
    /// The gradients in queries, keys and values.
    AttentionBackward {
        qkv: [Slot; 3],
        out: Slot,
        lse: Slot,
        dout: Slot,
        dqkv: [Slot; 3],
        heads: Heads,
        window: Option<usize>,
    },
    /// `out = silu(gate) · up`.
    Swiglu { gate: Slot, up: Slot, out: Slot },
    /// Its gradients.
    SwigluBackward { gate: Slot, up: Slot, dout: Slot, dgate: Slot, dup: Slot },
    /// The output layer and the loss, forward and backward at once, as many rows at a time as fit into `logits`: adds the
    /// batch's losses to the sums that [`Ops::measure`] reads and to the weight's gradient, writes `dx`.
    Head { x: Slot, weight: Weight, logits: Slot, dx: Slot },
}

impl Op {
    /// The tensors of the arena that it reads or writes.
    #[must_use]
    pub fn slots(&self) -> Vec<Slot> {
        match *self {
            Self::Embedding { out: x, .. }
            | Self::EmbeddingBackward { dout: x, .. }
            | Self::Multiply { x, .. }
            | Self::Zero { x }
            | Self::Bias { x, .. }
            | Self::BiasBackward { dy: x, .. }
            | Self::Rope { x, .. }
            | Self::RopeBackward { x, .. } => vec![x],
            Self::Add { into: a, from: b }
            | Self::RmsNorm { x: a, out: b, .. }
            | Self::Matmul { x: a, out: b, .. }
            | Self::MatmulBackwardInput { dy: a, dx: b, .. }
            | Self::MatmulBackwardWeight { dy: a, x: b, .. } => vec![a, b],
            Self::RmsNormBackward { x: a, dy: b, dx: c, .. }
            | Self::Swiglu { gate: a, up: b, out: c }
            | Self::Head { x: a, logits: b, dx: c, .. } => vec![a, b, c],
            Self::Attention { qkv: [q, k, v], out, lse, .. } => vec![q, k, v, out, lse],
            Self::AttentionBackward { qkv: [q, k, v], out, lse, dout, dqkv: [dq, dk, dv], .. } => {
                vec![q, k, v, out, lse, dout, dq, dk, dv]
            }
            Self::SwigluBackward { gate, up, dout, dgate, dup } => vec![gate, up, dout, dgate, dup],
        }
    }
}

/// A device with its memory: the four flat arrays, the arena, the ids of a batch, and the sums of losses.
///
/// A device may still be at an operation when the call returns. So what goes wrong in one that waits for nothing is kept, nothing
/// is done from then on, and the next one that waits returns it. The CPU never fails.
pub trait Ops {
    /// How tensors are kept.
    fn keeping(&self) -> Keeping;
    /// Takes memory for the tensors of a step, whose contents are whatever was there, and for what the operations of the list need
    /// besides.
    fn reserve(&mut self, arena: &Arena, list: &[Op]);
    /// Takes over a batch and the objective; the operations that follow are about it.
    fn load(&mut self, batch: &Batch<'_>, objective: &Objective);
    /// Runs one operation.
    fn run(&mut self, op: &Op);
    /// Runs the list that memory was reserved for.
    fn run_all(&mut self, list: &[Op]) {
        list.iter().for_each(|op| self.run(op));
    }
    /// Forgets gradients and sums of losses.
    fn zero_gradients(&mut self);
    /// Sums of losses and the global norm of the gradients since then: the one value that an update's host side waits for.
    ///
    /// # Errors
    /// The first since the last call that waited.
    fn measure(&mut self) -> Result<Measured, CudaError>;
    /// [`adamw::update`] of a part of the flat arrays.
    fn adamw(&mut self, part: Range<usize>, constants: &adamw::Constants);
    /// [`moments::statistics`] of parts of the flat arrays.
    ///
    /// # Errors
    /// As [`Self::measure`].
    fn moment_statistics(
        &mut self,
        parts: &[(Range<usize>, adamw::Constants)],
    ) -> Result<Vec<moments::Statistics>, CudaError>;
    /// Replaces an array.
    ///
    /// # Errors
    /// As [`Self::measure`].
    ///
    /// # Panics
    /// When it has another length.
    fn upload(&mut self, array: Array, values: Vec<f32>) -> Result<(), CudaError>;
    /// Copies an array out.
    ///
    /// # Errors
    /// As [`Self::measure`].
    ///
    /// # Panics
    /// When `out` has another length.
    fn download(&self, array: Array, out: &mut [f32]) -> Result<(), CudaError>;
}
