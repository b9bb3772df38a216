//! The Llama program on NVIDIA GPUs. Libraries are found when it runs; nothing of CUDA is needed to build it.
//!
//! Architecture invariants: nothing of CUDA is called before its library was seen to be there; a kernel's result for a row depends
//! on that row alone; what is not of the driver runs, and is tested, on the kernels' twin on the CPU (`twin/`).

mod algorithms;
mod angles;
mod arena;
mod batch;
mod bench;
mod blaslt;
mod compile;
mod context;
mod cubins;
mod driver;
mod error;
mod functions;
#[cfg(test)]
mod gate;
mod gpu;
mod graphs;
mod kernels;
mod lanes;
mod libraries;
mod llama;
mod machine;
mod ops;
mod pages;
mod prebuilt;
mod program;
mod rows;
mod staging;
#[cfg(test)]
mod stand_in;
mod survey;
#[cfg(test)]
mod tests;
mod train;
#[cfg(test)]
mod twin;
mod weights;

use std::sync::Arc;

pub use bench::{Row, Scale, Trained, bench_training, loading, throughput, training};
pub use error::CudaError;
use gpu::Gpu;
pub(crate) use lanes::Lane;
pub(crate) use llama::CudaLlama;
pub use llama::Options;
pub use machine::Dtype;
pub(crate) use machine::Machine;
pub(crate) use pages::Slots;
pub(crate) use rows::Rows;
pub(crate) use survey::{free_bytes, gpus, report};
pub(crate) use train::check as check_memory;
pub use train::{CudaOps, Forecast, forecast};

/// The GPU with this number, as a machine. `fast`: the last digits of a product may depend on how many rows it has.
///
/// # Errors
/// [`CudaError`] when it is not there, or a library that is needed is not.
pub(crate) fn open(number: usize, fast: bool) -> Result<Arc<dyn Machine>, CudaError> {
    Ok(Arc::new(Gpu::open(number, fast)?))
}

/// Measures the operations of the GPU with this number, and tells each as it comes.
///
/// # Errors
/// [`CudaError`].
pub fn bench(number: usize, scale: Scale, tell: &mut dyn FnMut(Row)) -> Result<(), CudaError> {
    bench::run(&*open(number, false)?, scale, tell)
}
