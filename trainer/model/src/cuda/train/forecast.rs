//! How much memory training takes on a GPU, before any is taken, and what would fit where that is too much.

use sekisho_weights::ModelConfig;

use super::{flat, keeping, step, sums_bytes};
use crate::cuda::CudaError;
use crate::cuda::error::GIB;
use crate::cuda::machine::Machine;
use crate::train::{Format, Layout, MicroBatch, Recompute, Settings, planned};

/// Memory that training takes on a GPU [bytes], to the byte; the driver's own is not in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Forecast {
    /// The parameters in f32, and where linear layers are computed in bf16 a copy in that.
    pub weights: usize,
    /// Gradients, in f32.
    pub gradients: usize,
    /// Both moments.
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
    let [array, moment, working] = flat::bytes(&layout, settings);
    let (list, arena) = planned(config, micro, settings.recompute, keeping(settings.format));
    let length = array / size_of::<f32>();
    Forecast {
        weights: array + working,
        gradients: array,
        moments: 2 * moment,
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

/// A change of the specification, in words, and what training takes then [bytes].
type Way = (String, usize);

/// The changes that make it fit, each with what it takes then.
fn way_on(config: &ModelConfig, settings: Settings, micro: MicroBatch, free: usize) -> String {
    let of = |settings, sequences| forecast(config, settings, MicroBatch { sequences, ..micro }).total();
    // Of the numbers that divide the micro-batch, and so the batch, the largest.
    let smaller = |settings| {
        let divisors = (1..micro.sequences).rev().filter(|n| micro.sequences.is_multiple_of(*n));
        divisors.map(|sequences| (sequences, of(settings, sequences))).find(|(_, bytes)| *bytes <= free)
    };
    let layers = Settings { recompute: Recompute::Layer, ..settings };
    let narrow = Settings { moments: Format::Bf16, ..settings };
    let mut ways: Vec<Way> = Vec::new();
    let fewer = smaller(settings);
    ways.extend(fewer.map(|(sequences, bytes)| (format!("batch.micro = {sequences}"), bytes)));
    let bytes = of(layers, micro.sequences);
    if bytes <= free {
        ways.push(("precision.recompute = \"layer\"".to_owned(), bytes));
    } else if let Some((sequences, bytes)) = smaller(layers)
        && fewer.is_none_or(|(other, _)| other != sequences)
    {
        ways.push((format!("batch.micro = {sequences} with precision.recompute = \"layer\""), bytes));
    }
    let bytes = of(narrow, micro.sequences);
    if bytes <= free {
        ways.push(("optimizer.moments = \"bf16\"".to_owned(), bytes));
    }
    let least = of(Settings { recompute: Recompute::Layer, ..narrow }, 1);
    let all = "batch.micro = 1 with precision.recompute = \"layer\" and optimizer.moments = \"bf16\"";
    if ways.is_empty() && least <= free {
        ways.push((all.to_owned(), least));
    }
    let gib = |bytes: usize| format!("takes {:.1} GiB", bytes as f64 / GIB);
    if ways.is_empty() {
        return format!("Even {all} {}: use a larger GPU (--device cuda:N) or --device cpu.", gib(least));
    }
    let ways: Vec<String> = ways.iter().map(|(what, bytes)| format!("{what} {}", gib(*bytes))).collect();
    format!("What would fit: {}.", ways.join("; "))
}
