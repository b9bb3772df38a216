//! The operations of training by name: each is a launch or two.

use std::ops::Range;

use super::rows::{self, Rows};
use super::{PORTION, SQUARE_BLOCKS, TOTALS, Tensor};
use crate::cuda::CudaError;
use crate::cuda::kernels::Kernel;
use crate::cuda::machine::{Arg, Dtype, Form, Into, Launch, Machine, Product, Ptr};
use crate::ops::adamw::Constants;

/// Values that a block takes of those that are treated one by one.
const EACH: usize = 2048;

/// A machine, and the type of narrow tensors.
#[derive(Clone, Copy)]
pub(super) struct Kernels<'a> {
    pub(super) machine: &'a dyn Machine,
    pub(super) dtype: Dtype,
}

/// Blocks that share the rows of the gradient of a norm: enough for every GPU to be busy, and a few rows for each.
pub(super) const fn norm_blocks(rows: usize) -> usize {
    let blocks = rows.div_ceil(8);
    if blocks > 512 { 512 } else { blocks }
}

/// Blocks that share the rows of a sum of columns.
pub(super) const fn column_blocks(rows: usize) -> usize {
    let blocks = rows.div_ceil(16);
    if blocks > 128 { 128 } else { blocks }
}

fn int(value: usize) -> Arg {
    Arg::Int(i32::try_from(value).expect("counts stay below 2^31"))
}

impl Kernels<'_> {
    fn launch(&self, kernel: Kernel, dtype: Dtype, grid: [usize; 2], args: &[Arg]) -> Result<(), CudaError> {
        if grid.contains(&0) {
            return Ok(());
        }
        let [x, y] = grid.map(|count| u32::try_from(count).expect("blocks stay below 2^32"));
        self.machine.launch(&Launch { kernel, dtype, blocks: [x, y, 1], args })
    }

    /// A kernel that takes values one by one.
    fn each(&self, kernel: Kernel, dtype: Dtype, count: usize, args: &[Arg]) -> Result<(), CudaError> {
        self.launch(kernel, dtype, [count.div_ceil(EACH), 1], args)
    }

    /// `x [count]` of f32 becomes 0.
    pub(super) fn zero(&self, x: Ptr, count: usize) -> Result<(), CudaError> {
        portions(count).try_for_each(|(first, count)| {
            let args = [Arg::Ptr(x.plus(first * size_of::<f32>())), int(count)];
            self.each(Kernel::Zero, Dtype::F32, count, &args)
        })
    }

    /// f32 in the type of operands.
    pub(super) fn round(&self, from: Ptr, to: Ptr, count: usize) -> Result<(), CudaError> {
        portions(count).try_for_each(|(first, count)| {
            let from = from.plus(first * size_of::<f32>());
            let args = [Arg::Ptr(from), Arg::Ptr(to.plus(first * self.dtype.size())), int(count)];
            self.each(Kernel::RoundTo, self.dtype, count, &args)
        })
    }

    pub(super) fn multiply(&self, x: Tensor, factor: f32) -> Result<(), CudaError> {
        let args = [Arg::Ptr(x.at), int(x.values), Arg::Float(factor)];
        self.each(Kernel::Multiply, x.dtype, x.values, &args)
    }

    pub(super) fn add(&self, into: Tensor, from: Tensor) -> Result<(), CudaError> {
        assert_eq!(into.dtype, from.dtype, "sums are of one type");
        let args = [Arg::Ptr(into.at), Arg::Ptr(from.at), int(into.values)];
        self.each(Kernel::Add, into.dtype, into.values, &args)
    }

    /// Rows of f32 by id.
    pub(super) fn embedding(
        &self,
        table: Ptr,
        ids: Ptr,
        out: Ptr,
        [rows, hidden]: [usize; 2],
    ) -> Result<(), CudaError> {
        let args = [Arg::Ptr(table), Arg::Ptr(ids), Arg::Ptr(out), int(hidden), Arg::Float(1.0)];
        self.launch(Kernel::Embedding, Dtype::F32, [rows, 1], &args)
    }

    pub(super) fn embedding_backward(
        &self,
        dout: Ptr,
        rows: &Rows,
        partials: Ptr,
        dtable: Ptr,
        hidden: usize,
    ) -> Result<(), CudaError> {
        let head = [dout, rows.order, rows.pieces, partials, dtable].map(Arg::Ptr);
        let args = [&head[..], &[int(hidden)]].concat();
        self.launch(Kernel::EmbeddingBackward, Dtype::F32, [rows.count, 1], &args)?;
        let args = [Arg::Ptr(partials), Arg::Ptr(rows.joins), Arg::Ptr(dtable), int(hidden)];
        self.launch(Kernel::EmbeddingJoin, Dtype::F32, [rows::joins(rows.count), 1], &args)
    }

    /// Of the stream, or of heads.
    pub(super) fn rms_norm(
        &self,
        x: Tensor,
        (weight, eps): (Ptr, f32),
        out: Tensor,
        width: usize,
    ) -> Result<(), CudaError> {
        let lines = x.values / width;
        if x.dtype == Dtype::F32 && out.dtype != Dtype::F32 || width > HEAD {
            // All rows; and nobody asks whether values are finite, since the loss tells.
            let none = Arg::Ptr(Ptr::NULL);
            let head = [Arg::Ptr(x.at), none, Arg::Ptr(weight), Arg::Ptr(out.at), int(width)];
            let args = [&head[..], &[Arg::Float(eps), none, int(0)]].concat();
            return self.launch(Kernel::RmsNorm, out.dtype, [lines, 1], &args);
        }
        let made = [Arg::Ptr(x.at), Arg::Ptr(weight), Arg::Ptr(out.at)];
        let args = [&made[..], &[int(lines), int(width), Arg::Float(eps)]].concat();
        self.launch(Kernel::HeadNorm, out.dtype, [lines.div_ceil(8), 1], &args)
    }

    /// `weight`: the weight, its gradient and ε.
    pub(super) fn rms_norm_backward(
        &self,
        x: Tensor,
        (weight, dweight, eps): (Ptr, Ptr, f32),
        dy: Tensor,
        dx: Tensor,
        (partials, width): (Ptr, usize),
    ) -> Result<(), CudaError> {
        let lines = x.values / width;
        let blocks = norm_blocks(lines);
        let of_heads = x.dtype == dy.dtype && width <= HEAD;
        let kernel = if of_heads { Kernel::HeadNormBackward } else { Kernel::RmsNormBackward };
        let head = [x.at, weight, dy.at, dx.at, partials].map(Arg::Ptr);
        let args = [&head[..], &[int(lines), int(width), Arg::Float(eps)]].concat();
        self.launch(kernel, dy.dtype, [blocks, 1], &args)?;
        self.add_partials(partials, dweight, [blocks, width])
    }

    fn add_partials(&self, partials: Ptr, out: Ptr, [count, width]: [usize; 2]) -> Result<(), CudaError> {
        let args = [Arg::Ptr(partials), Arg::Ptr(out), int(count), int(width)];
        self.launch(Kernel::AddPartials, Dtype::F32, [width.div_ceil(32), 1], &args)
    }

    pub(super) fn bias(&self, x: Tensor, bias: Ptr, width: usize) -> Result<(), CudaError> {
        let args = [Arg::Ptr(x.at), Arg::Ptr(bias), int(width)];
        self.launch(Kernel::AddBias, x.dtype, [x.values / width, 1], &args)
    }

    pub(super) fn bias_backward(
        &self,
        dy: Tensor,
        partials: Ptr,
        dbias: Ptr,
        width: usize,
    ) -> Result<(), CudaError> {
        let rows = dy.values / width;
        let blocks = column_blocks(rows);
        let args = [Arg::Ptr(dy.at), Arg::Ptr(partials), int(rows), int(width)];
        self.launch(Kernel::ColumnSums, dy.dtype, [width.div_ceil(256), blocks], &args)?;
        self.add_partials(partials, dbias, [blocks, width])
    }

    /// `x`, `w` and `out`, of `m`, `n` and `k`.
    pub(super) fn product(
        &self,
        form: Form,
        [x, w, out]: [Ptr; 3],
        [m, n, k]: [usize; 3],
        into: Into,
    ) -> Result<(), CudaError> {
        self.machine.multiply(&Product { form, x, w, out, m, n, k, dtype: self.dtype, into })
    }

    /// Turns rows of sequences of `length` positions.
    pub(super) fn rotate(
        &self,
        x: Tensor,
        angles: Ptr,
        (rows, length): (usize, usize),
        heads: usize,
        direction: f32,
    ) -> Result<(), CudaError> {
        let dim = x.values / rows.max(1) / heads;
        let head = [Arg::Ptr(x.at), Arg::Ptr(angles), int(heads), int(dim), int(length)];
        let args = [&head[..], &[Arg::Float(direction)]].concat();
        self.launch(Kernel::Rotate, x.dtype, [rows, 1], &args)
    }

    pub(super) fn gated(&self, gate: Tensor, up: Tensor, out: Tensor) -> Result<(), CudaError> {
        let args = [Arg::Ptr(gate.at), Arg::Ptr(up.at), Arg::Ptr(out.at), int(out.values)];
        self.each(Kernel::Gated, out.dtype, out.values, &args)
    }

    /// Gate, up, the gradient of the result, and those of gate and up.
    pub(super) fn gated_backward(&self, tensors: [Tensor; 5]) -> Result<(), CudaError> {
        let count = tensors[0].values;
        let args = [&tensors.map(|tensor| Arg::Ptr(tensor.at))[..], &[int(count)]].concat();
        self.each(Kernel::GatedBackward, tensors[0].dtype, count, &args)
    }

    /// `made`: the gradient of the logits, and what each row adds to the losses.
    pub(super) fn cross_entropy(
        &self,
        logits: Ptr,
        made: [Ptr; 2],
        targets: Ptr,
        objective: Ptr,
        [rows, vocabulary]: [usize; 2],
    ) -> Result<(), CudaError> {
        let args = [logits, made[0], targets, objective, made[1]].map(Arg::Ptr);
        let args = [&args[..], &[int(vocabulary)]].concat();
        self.launch(Kernel::CrossEntropy, self.dtype, [rows, 1], &args)
    }

    pub(super) fn loss_sums(&self, losses: Ptr, totals: Ptr, rows: usize) -> Result<(), CudaError> {
        let args = [Arg::Ptr(losses), Arg::Ptr(totals), int(rows)];
        self.launch(Kernel::LossSums, Dtype::F32, [1, 1], &args)
    }

    /// Parameters, gradients and moments of type `moments`, whose first value has place `first` on the host; `working` gets a copy
    /// unless it is null.
    pub(super) fn adamw(
        &self,
        arrays: [Ptr; 4],
        moments: Dtype,
        working: Ptr,
        part: Range<usize>,
        constants: &Constants,
    ) -> Result<(), CudaError> {
        let Constants { scale, beta1, rest1, beta2, rest2, keep, step, root, eps, key } = *constants;
        let numbers = [scale, beta1, rest1, beta2, rest2, keep, step, root, eps].map(Arg::Float);
        let draw = [key, key >> 32, part.start as u64, part.start as u64 >> 32];
        let draw = draw.map(|word| Arg::Int((word as u32).cast_signed()));
        let arrays = arrays.map(Arg::Ptr);
        let args = [&arrays[..], &[Arg::Ptr(working), int(part.len())], &numbers, &draw].concat();
        self.each(Kernel::Adamw, moments, part.len(), &args)
    }

    /// The sum of the squares of `x [count]` becomes the last of `totals`; `blocks` gets what the blocks sum.
    pub(super) fn square_sum(&self, x: Ptr, count: usize, blocks: Ptr, totals: Ptr) -> Result<(), CudaError> {
        let mut sums = 0;
        for (first, count) in portions(count) {
            let x = x.plus(first * size_of::<f32>());
            let args = [Arg::Ptr(x), Arg::Ptr(blocks.plus(sums * size_of::<f64>())), int(count)];
            let own = count.div_ceil(EACH).min(SQUARE_BLOCKS);
            self.launch(Kernel::SquareSums, Dtype::F32, [own, 1], &args)?;
            sums += own;
        }
        let last = totals.plus((TOTALS - 1) * size_of::<f64>());
        let args = [Arg::Ptr(blocks), Arg::Ptr(last), int(sums)];
        self.launch(Kernel::FoldSums, Dtype::F32, [1, 1], &args)
    }

    /// Of parameters and moments of type `moments`; f64 `sums [blocks, 5]`.
    pub(super) fn moment_sums(
        &self,
        arrays: [Ptr; 3],
        moments: Dtype,
        sums: Ptr,
        (blocks, count): (usize, usize),
        constants: &Constants,
    ) -> Result<(), CudaError> {
        let numbers = [constants.step, constants.root, constants.eps].map(Arg::Float);
        let args = [&arrays.map(Arg::Ptr)[..], &[Arg::Ptr(sums), int(count)], &numbers].concat();
        self.launch(Kernel::MomentSums, moments, [blocks, 1], &args)
    }
}

/// Widest head.
const HEAD: usize = 256;

/// The parts of so many values that a launch takes: the first, and how many.
fn portions(count: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..count).step_by(PORTION).map(move |first| (first, PORTION.min(count - first)))
}
