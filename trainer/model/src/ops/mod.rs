//! One operation a file, `forward` and `backward` side by side, on flat `f32` slices in row-major order.
//!
//! Every value is one fixed chain of roundings (fused multiply-adds in index order, sums over sixteen lanes folded in a
//! fixed tree), so no result depends on how rows are grouped, on the threads or on the width of the machine's vectors.

pub mod adamw;
pub mod attention;
pub mod bf16;
pub mod bias;
pub mod cross_entropy;
pub mod elementwise;
pub mod embedding;
pub mod lanes;
pub mod matmul;
pub mod moments;
pub mod rms_norm;
pub mod rope;
pub mod softmax;
pub mod square_norm;
pub mod swiglu;
pub mod windowed_attention;
