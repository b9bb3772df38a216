//! Training on a machine for CUDA: the operations of [`crate::backend`] by their kernels.
//!
//! All memory is reserved before the first update of a shape, and every sum has an order that depends on shapes and on which rows
//! share a token alone: two runs, or a list that is run as a graph, have the same bits.

pub(crate) mod attention;
mod flat;
mod forecast;
mod kernels;
mod rows;
mod step;
#[cfg(test)]
mod tests;

use std::cell::RefCell;
use std::ops::Range;
use std::sync::Arc;

use self::flat::Flat;
pub(crate) use self::forecast::check;
pub use self::forecast::{Forecast, forecast};
use self::kernels::Kernels;
use self::rows::Pieces;
use self::step::Step;
use super::CudaError;
use super::machine::{Dtype, Machine, Memory, Ptr};
use crate::backend::{Arena, Array, Format, Keeping, Op, Ops, Slot};
use crate::ops::rope::Rope;
use crate::ops::{adamw, moments};
use crate::train::{Batch, Layout, Measured, Objective, Settings, StepLoss};

/// Logits kept at a time [values]: a GiB.
const LOGITS: usize = 1 << 28;
/// Rows that a tile of a product has at most.
const TILE: usize = 128;

/// What an update's numbers are read from: losses, `ln²Z`, targets and the sum of the gradient's squares, f64 each.
const TOTALS: usize = 4;
/// Values that one launch takes of a flat array: their number must be an int.
const PORTION: usize = 1 << 30;
/// Most blocks that sum a portion's squares.
const SQUARE_BLOCKS: usize = 1024;
/// Most blocks that look at a tensor's moments, and the values that are worth one.
const MOMENT_BLOCKS: usize = 64;
const MOMENT_SHARE: usize = 1 << 14;

/// The operations of training on a machine for CUDA. A slot of [`crate::backend::Width::Narrow`] is bf16 in [`Format::Bf16`].
pub struct CudaOps {
    machine: Arc<dyn Machine>,
    /// Of narrow tensors.
    dtype: Dtype,
    keeping: Keeping,
    flat: Flat,
    rope: Rope,
    /// [`TOTALS`], then the sums of blocks.
    sums: Memory,
    step: Option<Step>,
    failure: RefCell<Failure>,
}

/// What went wrong in a call that waits for nothing.
#[derive(Debug, Default)]
enum Failure {
    #[default]
    None,
    /// And nobody has heard of it yet.
    New(CudaError),
    /// And was told.
    Told,
}

impl CudaOps {
    /// `parameters` are laid out as `layout` says; moments and gradients are zeros.
    ///
    /// # Errors
    /// [`CudaError::OutOfMemory`].
    pub(crate) fn new(
        machine: Arc<dyn Machine>,
        layout: &Layout,
        parameters: &[f32],
        rope: Rope,
        settings: Settings,
    ) -> Result<Self, CudaError> {
        let (format, dtype) = (settings.format, dtype_of(settings.format));
        let flat = Flat::new(&*machine, layout, settings)?;
        let sums = machine.reserve(sums_bytes(layout, flat.length()))?;
        let (keeping, failure) = (keeping(format), RefCell::default());
        let mut it = Self { machine, dtype, keeping, flat, rope, sums, step: None, failure };
        let kernels = it.kernels();
        for array in [Array::Gradients, Array::FirstMoments, Array::SecondMoments] {
            // Two values of 16 bits are four bytes of zeros, and there is an even number of them.
            let words = it.flat.length() * it.flat.dtype(array).size() / size_of::<f32>();
            kernels.zero(it.flat.start(array), words)?;
        }
        kernels.zero(it.sums.start(), 2 * TOTALS)?;
        it.put(Array::Parameters, parameters)?;
        Ok(it)
    }

    /// Bytes that were reserved for the present shape and for the flat arrays.
    #[cfg(test)]
    pub(crate) fn reserved(&self) -> usize {
        self.flat.bytes() + self.sums.bytes() + self.step.as_ref().map_or(0, Step::bytes)
    }

    fn kernels(&self) -> Kernels<'_> {
        Kernels { machine: &*self.machine, dtype: self.dtype }
    }

    /// Replaces an array, and what is made of it.
    fn put(&mut self, array: Array, values: &[f32]) -> Result<(), CudaError> {
        self.flat.upload(&*self.machine, array, values)?;
        if array == Array::Parameters
            && let Some(working) = self.flat.working()
        {
            self.kernels().round(self.flat.start(array), working, self.flat.length())?;
        }
        Ok(())
    }

    /// Does something unless something went wrong before.
    fn attempt(&self, what: impl FnOnce() -> Result<(), CudaError>) {
        let sound = matches!(*self.failure.borrow(), Failure::None);
        if sound && let Err(error) = what() {
            *self.failure.borrow_mut() = Failure::New(error);
        }
    }

    /// What went wrong before.
    fn sound(&self) -> Result<(), CudaError> {
        let mut failure = self.failure.borrow_mut();
        match std::mem::take(&mut *failure) {
            Failure::None => Ok(()),
            Failure::New(error) => {
                *failure = Failure::Told;
                Err(error)
            }
            Failure::Told => {
                *failure = Failure::Told;
                let reason = "it failed before, and nothing was done since".to_owned();
                Err(CudaError::Failed { device: self.machine.name(), what: "training", reason })
            }
        }
    }

    /// Reads numbers back.
    fn read(&self, from: Ptr, count: usize) -> Result<Vec<f64>, CudaError> {
        let mut bytes = vec![0; count * size_of::<f64>()];
        self.machine.read(from, &mut bytes)?;
        Ok(bytes.as_chunks().0.iter().map(|bytes| f64::from_ne_bytes(*bytes)).collect())
    }

    fn take_in(&mut self, batch: &Batch<'_>, objective: &Objective) -> Result<(), CudaError> {
        let step = self.step.as_mut().expect("memory is reserved before a batch is loaded");
        step.set_length(&*self.machine, &self.rope, batch.length)?;
        let share = 1.0 / objective.targets as f32;
        let pieces = Pieces::of(batch.inputs);
        step.rows.write(&*self.machine, batch, &pieces, [share, objective.z_loss])
    }

    fn try_measure(&self) -> Result<Measured, CudaError> {
        let (totals, kernels) = (self.sums.start(), self.kernels());
        let blocks = totals.plus(TOTALS * size_of::<f64>());
        kernels.square_sum(self.flat.start(Array::Gradients), self.flat.length(), blocks, totals)?;
        let sums = self.read(totals, TOTALS)?;
        let loss = StepLoss { ce: sums[0], squared_log_z: sums[1], targets: sums[2] as u64 };
        Ok(Measured { loss, grad_norm: sums[3].sqrt() })
    }
}

/// The type of narrow tensors.
const fn dtype_of(format: Format) -> Dtype {
    match format {
        Format::F32 => Dtype::F32,
        Format::Bf16 => Dtype::Bf16,
    }
}

/// How tensors are kept in a format.
pub(crate) const fn keeping(format: Format) -> Keeping {
    Keeping { narrow: dtype_of(format).size(), logits: LOGITS, tile: TILE }
}

/// Bytes of [`TOTALS`] and of the largest sums of blocks.
fn sums_bytes(layout: &Layout, length: usize) -> usize {
    let squares = length.div_ceil(PORTION) * SQUARE_BLOCKS;
    let moments: usize = layout.tensors().iter().map(|tensor| 5 * moment_blocks(tensor.range.len())).sum();
    (TOTALS + squares.max(moments)) * size_of::<f64>()
}

fn moment_blocks(values: usize) -> usize {
    values.div_ceil(MOMENT_SHARE).clamp(1, MOMENT_BLOCKS)
}

impl Ops for CudaOps {
    fn keeping(&self) -> Keeping {
        self.keeping
    }

    fn reserve(&mut self, arena: &Arena, list: &[Op]) {
        // The old memory goes before the new is taken.
        self.step = None;
        match Step::reserve(&*self.machine, arena, list, self.dtype) {
            Ok(step) => self.step = Some(step),
            Err(error) => self.attempt(|| Err(error)),
        }
    }

    fn load(&mut self, batch: &Batch<'_>, objective: &Objective) {
        if matches!(*self.failure.borrow(), Failure::None)
            && let Err(error) = self.take_in(batch, objective)
        {
            *self.failure.borrow_mut() = Failure::New(error);
        }
    }

    fn run(&mut self, op: &Op) {
        self.attempt(|| self.try_run(op));
    }

    fn run_all(&mut self, list: &[Op]) {
        self.attempt(|| {
            let key = self.step.as_ref().expect("memory is reserved before a list is run").key;
            // Which rows share a token, where contexts begin and how many targets there are is read from memory, so the list is the
            // same launches for every batch.
            self.machine.captured(key, &mut || list.iter().try_for_each(|op| self.try_run(op)))
        });
    }

    fn zero_gradients(&mut self) {
        self.attempt(|| {
            self.kernels().zero(self.flat.start(Array::Gradients), self.flat.length())?;
            self.kernels().zero(self.sums.start(), 2 * TOTALS)
        });
    }

    fn measure(&mut self) -> Result<Measured, CudaError> {
        self.sound()?;
        self.try_measure()
    }

    fn adamw(&mut self, part: Range<usize>, constants: &adamw::Constants) {
        self.attempt(|| {
            let place = self.flat.place(part.start);
            let arrays = Array::ALL.map(|array| self.flat.at(array, place));
            let working = self.flat.working().map(|working| working.plus(place * Dtype::Bf16.size()));
            let moments = self.flat.dtype(Array::FirstMoments);
            self.kernels().adamw(arrays, moments, working.unwrap_or(Ptr::NULL), part, constants)
        });
    }

    fn moment_statistics(
        &mut self,
        parts: &[(Range<usize>, adamw::Constants)],
    ) -> Result<Vec<moments::Statistics>, CudaError> {
        self.sound()?;
        let begin = self.sums.start().plus(TOTALS * size_of::<f64>());
        let mut blocks = 0;
        for (part, constants) in parts {
            let place = self.flat.place(part.start);
            let arrays = [Array::Parameters, Array::FirstMoments, Array::SecondMoments];
            let arrays = arrays.map(|array| self.flat.at(array, place));
            let moments = self.flat.dtype(Array::FirstMoments);
            let (sums, own) = (begin.plus(5 * blocks * size_of::<f64>()), moment_blocks(part.len()));
            self.kernels().moment_sums(arrays, moments, sums, (own, part.len()), constants)?;
            blocks += own;
        }
        let sums = self.read(begin, 5 * blocks)?;
        let mut rest = &sums[..];
        let of_part = |(part, _): &(Range<usize>, adamw::Constants)| {
            let own = rest.split_off(..5 * moment_blocks(part.len())).expect("as many as were asked for");
            let sum = |i: usize| own.iter().skip(i).step_by(5).sum::<f64>();
            moments::Statistics {
                values: part.len() as u64,
                below_eps: sum(0) as u64,
                exp_avg: sum(1),
                exp_avg_sq: sum(2),
                parameters: sum(3),
                update: sum(4),
            }
        };
        Ok(parts.iter().map(of_part).collect())
    }

    fn upload(&mut self, array: Array, values: Vec<f32>) -> Result<(), CudaError> {
        self.sound()?;
        self.put(array, &values)
    }

    fn download(&self, array: Array, out: &mut [f32]) -> Result<(), CudaError> {
        self.sound()?;
        self.flat.download(&*self.machine, array, out)
    }
}

/// A tensor of the arena: where it is, how many values, and their type.
#[derive(Clone, Copy)]
pub(crate) struct Tensor {
    pub(crate) at: Ptr,
    pub(crate) values: usize,
    pub(crate) dtype: Dtype,
}

impl CudaOps {
    /// Where a tensor of the arena is.
    pub(crate) fn tensor(&self, slot: Slot) -> Tensor {
        self.step.as_ref().expect("memory is reserved before an operation is run").tensor(slot)
    }
}
