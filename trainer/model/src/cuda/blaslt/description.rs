//! What cuBLASLt is told of a product.

use cudarc::cublaslt::sys as lt;

use super::{Products, check};
use crate::cuda::CudaError;
use crate::cuda::algorithms::Class;
use crate::cuda::functions::BlasLtFunctions;
use crate::cuda::machine::{Dtype, Form, Into};

/// A product as the library describes it.
pub(super) struct Description<'a> {
    functions: &'a BlasLtFunctions,
    pub(super) operation: lt::cublasLtMatmulDesc_t,
    pub(super) w: lt::cublasLtMatrixLayout_t,
    pub(super) x: lt::cublasLtMatrixLayout_t,
    pub(super) out: lt::cublasLtMatrixLayout_t,
}

#[expect(unsafe_code, reason = "functions of cuBLASLt")]
impl<'a> Description<'a> {
    /// Of `m` rows.
    pub(super) fn of(products: &'a Products, class: &Class, m: usize) -> Result<Self, CudaError> {
        let functions = products.functions();
        let null = std::ptr::null_mut();
        let mut it = Self { functions, operation: null, w: null.cast(), x: null.cast(), out: null.cast() };
        let stored = match class.dtype {
            Dtype::F32 => lt::cudaDataType::CUDA_R_32F,
            Dtype::Bf16 => lt::cudaDataType::CUDA_R_16BF,
            Dtype::F16 => lt::cudaDataType::CUDA_R_16F,
        };
        let written = if class.into == Into::Same { stored } else { lt::cudaDataType::CUDA_R_32F };
        // Of f32 no other type takes part, whatever the environment allows.
        let compute = match class.dtype {
            Dtype::F32 => lt::cublasComputeType_t::CUBLAS_COMPUTE_32F_PEDANTIC,
            Dtype::Bf16 | Dtype::F16 => lt::cublasComputeType_t::CUBLAS_COMPUTE_32F,
        };
        use lt::cublasLtMatmulDescAttributes_t::{CUBLASLT_MATMUL_DESC_TRANSA, CUBLASLT_MATMUL_DESC_TRANSB};
        let transposed: i32 = 1;
        // Rows and columns as the library counts, before anything is transposed.
        let (attribute, w, x) = match class.form {
            Form::Forward => (Some(CUBLASLT_MATMUL_DESC_TRANSA), (class.k, class.n), (class.k, m)),
            Form::Input => (None, (class.n, class.k), (class.k, m)),
            Form::Weight => (Some(CUBLASLT_MATMUL_DESC_TRANSB), (class.n, class.k), (m, class.k)),
        };
        // SAFETY: handles are written to fields, from which `drop` gives them back; the attribute is 32 bits.
        unsafe {
            let scale = lt::cudaDataType::CUDA_R_32F;
            let answer = (functions.cublasLtMatmulDescCreate)(&raw mut it.operation, compute, scale);
            check(&products.context, "cublasLtMatmulDescCreate", answer)?;
            if let Some(attribute) = attribute {
                let value = (&raw const transposed).cast();
                let answer = (functions.cublasLtMatmulDescSetAttribute)(it.operation, attribute, value, 4);
                check(&products.context, "cublasLtMatmulDescSetAttribute", answer)?;
            }
            for (layout, dtype, (rows, columns)) in [
                (&raw mut it.w, stored, w),
                (&raw mut it.x, stored, x),
                (&raw mut it.out, written, (class.n, m)),
            ] {
                let answer = (functions.cublasLtMatrixLayoutCreate)(
                    layout,
                    dtype,
                    rows as u64,
                    columns as u64,
                    i64::try_from(rows).unwrap_or(i64::MAX),
                );
                check(&products.context, "cublasLtMatrixLayoutCreate", answer)?;
            }
        }
        Ok(it)
    }
}

#[expect(unsafe_code, reason = "functions of cuBLASLt")]
impl Drop for Description<'_> {
    fn drop(&mut self) {
        // SAFETY: each was made by `of`, or is null.
        unsafe {
            for layout in [self.w, self.x, self.out] {
                if !layout.is_null() {
                    (self.functions.cublasLtMatrixLayoutDestroy)(layout);
                }
            }
            if !self.operation.is_null() {
                (self.functions.cublasLtMatmulDescDestroy)(self.operation);
            }
        }
    }
}
