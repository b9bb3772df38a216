//! Training on the kernels' twin, or on the GPU that `SEKISHO_TEST_GPU` names, against training on the CPU.

mod memory;
mod operations;
mod products;
mod programs;
