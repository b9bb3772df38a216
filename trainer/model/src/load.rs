use std::path::Path;

use sekisho_weights::Checkpoint;

use crate::device::{self, Chosen, Device, DeviceError};
use crate::families::Candle;
use crate::{Inference, Llama, ModelError, cuda};

/// What computes a model, and how.
#[derive(Clone, Debug)]
pub struct Compute {
    chosen: Chosen,
    /// Whether the device was named and not found.
    named: bool,
    options: cuda::Options,
}

impl Compute {
    /// On the CPU.
    #[must_use]
    pub fn cpu() -> Self {
        let chosen = Chosen { device: Device::Cpu, reason: String::new() };
        Self { chosen, named: true, options: cuda::Options::default() }
    }

    /// On `auto`, `cpu` or `cuda:N`.
    ///
    /// # Errors
    /// [`DeviceError`].
    pub fn on(request: &str, options: cuda::Options) -> Result<Self, DeviceError> {
        let chosen = device::choose(request)?;
        if chosen.device == Device::Cpu && options.dtype.is_some_and(|dtype| dtype != cuda::Dtype::F32) {
            return Err(DeviceError::Dtype { reason: chosen.reason });
        }
        Ok(Self { chosen, named: request != "auto", options })
    }

    /// What was chosen, and why.
    #[must_use]
    pub fn reason(&self) -> &str {
        &self.chosen.reason
    }

    /// What was chosen.
    #[must_use]
    pub fn device(&self) -> Device {
        self.chosen.device
    }

    /// How it computes there.
    #[must_use]
    pub fn options(&self) -> cuda::Options {
        self.options
    }

    /// With so much memory for keys and values.
    #[must_use]
    pub fn with_kv_bytes(mut self, bytes: Option<usize>) -> Self {
        self.options.kv_bytes = bytes;
        self
    }
}

/// Opens a Hugging Face folder and reads its weights into the program that computes its family: our own where there is one,
/// else candle's, which knows the CPU alone.
///
/// # Errors
/// [`ModelError::Checkpoint`] when the folder is refused or cannot be read, also for a family that nobody here computes;
/// [`ModelError::Candle`]; [`ModelError::CpuOnly`] when a GPU was named; [`ModelError::Cuda`].
pub fn load(dir: &Path, compute: &Compute) -> Result<Box<dyn Inference>, ModelError> {
    let checkpoint = Checkpoint::open(dir)?;
    let family = checkpoint.config().family;
    match compute.chosen.device {
        Device::Cuda(number) if family.is_own() => {
            let machine = cuda::open(number, compute.options.fast)?;
            Ok(Box::new(cuda::CudaLlama::load(&checkpoint, machine, compute.options)?))
        }
        Device::Cuda(_) if compute.named => Err(ModelError::CpuOnly { model_type: family.model_type() }),
        _ if family.is_own() => Ok(Box::new(Llama::from_checkpoint(&checkpoint)?)),
        _ => Ok(Box::new(Candle::from_checkpoint(&checkpoint)?)),
    }
}
