//! The training step: forward and backward of a micro-batch, and the optimiser's update, over flat arrays.
//!
//! There is no autograd. The family is fixed, so the program is one written-out list of operations (`forward.rs`,
//! `backward.rs`), made once for a shape, over an arena planned from it (`plan.rs`), and run by a backend
//! ([`crate::backend`]). Each operation's gradient stands beside it in [`crate::ops`]. A step is deterministic at any number
//! of threads.

mod backward;
mod forward;
mod layout;
mod parts;
mod plan;
mod program;

use sekisho_weights::ModelConfig;

use crate::backend::{Array, CpuOps};
use crate::cuda::{self, CudaError};
use crate::device::Device;
use crate::ops::{adamw, moments};

pub use layout::{Layout, Tensor};
pub use plan::activation_bytes;
pub(crate) use plan::planned;
pub use program::{CpuProgram, Program, is_trained};

pub use crate::backend::{Format, Recompute};
pub use crate::ops::cross_entropy::{IGNORED, Loss as StepLoss};

/// What a device does for training. Parameters, gradients and moments are flat `f32` arrays, cut up by the [`Layout`], in
/// its own memory.
pub trait TrainingStep {
    /// Which tensor lies where.
    fn layout(&self) -> &Layout;
    /// Forgets gradients and losses.
    fn zero_gradients(&mut self);
    /// Runs a micro-batch forward and backward; adds its gradients and losses to those that are there.
    ///
    /// # Panics
    /// When the batch's slices do not fit its shape, or an input is outside the vocabulary; callers check ids first.
    fn accumulate(&mut self, batch: &Batch<'_>, objective: &Objective);
    /// What has been added up since [`Self::zero_gradients`]. The one value of an update that is waited for.
    ///
    /// # Errors
    /// What went wrong on a device since the last call that waited; nothing was done from then on. Never on the CPU.
    fn measure(&mut self) -> Result<Measured, CudaError>;
    /// AdamW's update, with the constants of every tensor of the layout, in its order.
    ///
    /// # Panics
    /// When there are not as many as tensors.
    fn update(&mut self, constants: &[adamw::Constants]);
    /// Moments, parameters and updates of every tensor of the layout after an update with these constants, in its order.
    ///
    /// # Errors
    /// As [`Self::measure`].
    ///
    /// # Panics
    /// When there are not as many as tensors.
    fn moment_statistics(
        &mut self,
        constants: &[adamw::Constants],
    ) -> Result<Vec<moments::Statistics>, CudaError>;
    /// Replaces an array: a checkpoint is restored.
    ///
    /// # Errors
    /// As [`Self::measure`].
    ///
    /// # Panics
    /// When it has another length than the layout.
    fn upload(&mut self, array: Array, values: Vec<f32>) -> Result<(), CudaError>;
    /// Copies an array out: a checkpoint is written.
    ///
    /// # Errors
    /// As [`Self::measure`].
    ///
    /// # Panics
    /// When `out` has another length than the layout.
    fn download(&self, array: Array, out: &mut [f32]) -> Result<(), CudaError>;
}

/// How a step is computed, the numbers' meaning apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// Of linear layers.
    pub format: Format,
    /// What is computed again rather than kept.
    pub recompute: Recompute,
    /// Of AdamW's moments; in bf16 they are rounded at random, and a GPU takes half the memory for them.
    pub moments: Format,
}

/// The shape of a micro-batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MicroBatch {
    /// Sequences.
    pub sequences: usize,
    /// Positions in a sequence.
    pub length: usize,
}

/// The training step of a device for micro-batches of this shape; `parameters` are laid out as [`Layout::new`] says.
///
/// # Errors
/// [`CudaError`] when a GPU is not there, has not the memory, or has no kernels for the model. Never on the CPU.
///
/// # Panics
/// When the parameters do not fit the configuration, or it [is not trained](is_trained).
pub fn program(
    device: Device,
    config: ModelConfig,
    settings: Settings,
    micro: MicroBatch,
    parameters: Vec<f32>,
) -> Result<Box<dyn TrainingStep>, CudaError> {
    match device {
        Device::Cpu => Ok(Box::new(Program::<CpuOps>::on_cpu(config, settings, parameters))),
        Device::Cuda(number) => {
            let machine = cuda::open(number, false)?;
            Ok(Box::new(Program::on_machine(machine, config, settings, micro, &parameters)?))
        }
    }
}

/// A micro-batch of sequences of one length.
#[derive(Clone, Copy, Debug)]
pub struct Batch<'a> {
    /// Positions in a sequence.
    pub length: usize,
    /// Token ids, `[sequences, length]`.
    pub inputs: &'a [u32],
    /// The token after each input, `[sequences, length]`, or [`IGNORED`].
    pub targets: &'a [u32],
    /// The row of `inputs`, flattened, where each position's context begins, `[sequences, length]`: the first of its
    /// sequence, or of its document under a document mask.
    pub starts: &'a [usize],
}

/// What is minimised: `Σ (ce + z_loss · ln²Z) / targets` over all micro-batches of an update.
#[derive(Clone, Copy, Debug)]
pub struct Objective {
    /// Unmasked targets of the whole update, over all its micro-batches.
    pub targets: u64,
    /// Weight of the squared logarithm of the softmax denominator (PaLM, arXiv 2204.02311).
    pub z_loss: f32,
}

/// What an update is judged by.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Measured {
    /// Sums over all micro-batches.
    pub loss: StepLoss,
    /// Global L2 norm of the gradient, before clipping.
    pub grad_norm: f64,
}

#[cfg(test)]
pub(crate) mod tests;
