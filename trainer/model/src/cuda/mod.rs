//! The Llama program on NVIDIA GPUs. Libraries are found when it runs; nothing of CUDA is needed to build it.
//!
//! Architecture invariants: nothing of CUDA is called before its library was seen to be there; a kernel's result for a row depends
//! on that row alone; what is not of the driver runs, and is tested, on the kernels' twin on the CPU (`twin/`).

mod angles;
mod arena;
mod batch;
pub(crate) mod bench;
mod error;
pub(crate) mod kernels;
mod lanes;
mod llama;
pub(crate) mod machine;
mod ops;
mod pages;
mod program;
mod rows;
mod weights;

pub use bench::{Row, Scale, throughput};
pub use error::CudaError;
pub(crate) use lanes::Lane;
pub(crate) use llama::CudaLlama;
pub use llama::Options;
pub use machine::Dtype;
pub(crate) use pages::Slots;
pub(crate) use rows::Rows;
