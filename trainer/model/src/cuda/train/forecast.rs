//! How much memory training takes on a GPU, before any is taken, and what would fit where that is too much.

use sekisho_weights::ModelConfig;

use super::{flat, keeping, step, sums_bytes};
use crate::cuda::CudaError;
use crate::cuda::error::GIB;
use crate::cuda::machine::Machine;
use crate::train::{Layout, MicroBatch, Recompute, Settings, planned};

/// Memory that training takes on a GPU [bytes], to the byte; the driver's own is not in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Forecast {
    /// The parameters in f32, and where linear layers are computed in bf16 a copy in that.
    pub weights: usize,
    /// Gradients, in f32.
    pub gradients: usize,
    /// Both moments, in f32.
    pub moments: usize,
    /// What lives between forward and backward of a micro-batch, and what single operations need.
    pub activations: usize,
}

impl Forecast {
    /// All of it.
    #[must_use]
    pub const fn total(&self) -> usize {
        self.weights + self.gradients + self.moments + self.activations
    }
}

/// What training this model with micro-batches of this shape takes.
///
/// # Panics
/// For a configuration that [is not trained](crate::train::is_trained).
#[must_use]
pub fn forecast(config: &ModelConfig, settings: Settings, micro: MicroBatch) -> Forecast {
    let (layout, dtype) = (Layout::new(config), super::dtype_of(settings.format));
    let (array, working) = flat::bytes(&layout, settings.format);
    let (list, arena) = planned(config, micro, settings.recompute, keeping(settings.format));
    let length = array / size_of::<f32>();
    Forecast {
        weights: array + working,
        gradients: array,
        moments: 2 * array,
        activations: step::bytes(&arena, &list, dtype)
            + step::angle_bytes(micro.length, config.head_dim)
            + sums_bytes(&layout, length),
    }
}

/// Refuses what a machine has not the memory for, and says what would fit.
///
/// # Errors
/// [`CudaError::TooLarge`]; [`CudaError::Failed`].
pub(crate) fn check(
    machine: &dyn Machine,
    config: &ModelConfig,
    settings: Settings,
    micro: MicroBatch,
) -> Result<(), CudaError> {
    let (needed, free) = (forecast(config, settings, micro), machine.free_bytes()?);
    if needed.total() <= free {
        return Ok(());
    }
    let gib = |bytes: usize| bytes as f64 / GIB;
    Err(CudaError::TooLarge {
        device: machine.name(),
        needed: gib(needed.total()),
        free: gib(free),
        weights: gib(needed.weights + needed.gradients + needed.moments),
        sequences: micro.sequences,
        way_on: way_on(config, settings, micro, free),
    })
}

/// The changes that make it fit, each with what it takes then.
fn way_on(config: &ModelConfig, settings: Settings, micro: MicroBatch, free: usize) -> String {
    let of = |recompute, sequences| {
        forecast(config, Settings { recompute, ..settings }, MicroBatch { sequences, ..micro }).total()
    };
    // Of the numbers that divide the micro-batch, and so the batch, the largest.
    let smaller = |recompute| {
        let mut divisors = (1..micro.sequences).rev().filter(|n| micro.sequences.is_multiple_of(*n));
        divisors.find(|sequences| of(recompute, *sequences) <= free)
    };
    let layer = Recompute::Layer;
    let mut ways = Vec::new();
    let mut add =
        |what: String, bytes: usize| ways.push(format!("{what} takes {:.1} GiB", bytes as f64 / GIB));
    let fewer = smaller(settings.recompute);
    if let Some(sequences) = fewer {
        add(format!("batch.micro = {sequences}"), of(settings.recompute, sequences));
    }
    if settings.recompute != layer {
        if of(layer, micro.sequences) <= free {
            add("precision.recompute = \"layer\"".to_owned(), of(layer, micro.sequences));
        } else if let Some(sequences) = smaller(layer).filter(|sequences| Some(*sequences) != fewer) {
            let what = format!("batch.micro = {sequences} with precision.recompute = \"layer\"");
            add(what, of(layer, sequences));
        }
    }
    match &ways[..] {
        [] => format!(
            "Even batch.micro = 1 with precision.recompute = \"layer\" takes {:.1} GiB: use a larger GPU (--device cuda:N) or --device cpu.",
            of(layer, 1) as f64 / GIB
        ),
        ways => format!("What would fit: {}.", ways.join("; ")),
    }
}
