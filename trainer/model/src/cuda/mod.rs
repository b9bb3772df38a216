//! The Llama program on NVIDIA GPUs. Libraries are found when it runs; nothing of CUDA is needed to build it.
//!
//! Architecture invariants: nothing of CUDA is called before its library was seen to be there; a kernel's result for a row depends
//! on that row alone; what is not of the driver runs, and is tested, on the kernels' twin on the CPU (`twin/`).

mod algorithms;
mod blaslt;
mod compile;
mod context;
mod cubins;
mod driver;
mod error;
mod functions;
#[cfg(test)]
mod gate;
pub(crate) mod gpu;
mod graphs;
pub(crate) mod kernels;
mod libraries;
pub(crate) mod machine;
mod prebuilt;
mod staging;
#[cfg(test)]
mod stand_in;
mod survey;

pub use error::CudaError;
pub use machine::Dtype;
pub(crate) use survey::{free_bytes, gpus, report};
