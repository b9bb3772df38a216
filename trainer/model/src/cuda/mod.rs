//! The Llama program on NVIDIA GPUs. Libraries are found when it runs; nothing of CUDA is needed to build it.
//!
//! Architecture invariants: nothing of CUDA is called before its library was seen to be there; a kernel's result for a row depends
//! on that row alone; what is not of the driver runs, and is tested, on the kernels' twin on the CPU (`twin/`).

mod error;
pub(crate) mod kernels;
pub(crate) mod machine;
#[cfg(test)]
mod tests;
#[cfg(test)]
pub(crate) mod twin;

pub use error::CudaError;
pub use machine::Dtype;
