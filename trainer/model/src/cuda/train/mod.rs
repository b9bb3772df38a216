//! Training on a machine for CUDA: the operations of [`crate::backend`] by their kernels.

pub(crate) mod attention;
