//! What a program for CUDA asks of whatever runs its kernels: memory, copies, launches, matrix products. A GPU does
//! ([`super::gpu`]), and so does the twin of the tests, which runs the same kernels on the CPU.

use std::sync::Arc;

use super::CudaError;
use super::kernels::Kernel;

/// An address in a machine's memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ptr(pub(crate) u64);

impl Ptr {
    /// No memory: for operands that a kernel may be without.
    pub(crate) const NULL: Self = Self(0);

    /// So many bytes further.
    pub(crate) const fn plus(self, bytes: usize) -> Self {
        Self(self.0 + bytes as u64)
    }
}

/// A piece of a machine's memory; given back when the last one who holds it lets go.
pub(crate) struct Memory {
    start: Ptr,
    bytes: usize,
    owner: Arc<dyn Release>,
}

/// Takes memory back.
pub(crate) trait Release: Send + Sync {
    /// `start` is what was handed out.
    fn release(&self, start: Ptr, bytes: usize);
}

impl Memory {
    /// Memory of `owner`, which gets it back.
    pub(crate) fn new(start: Ptr, bytes: usize, owner: Arc<dyn Release>) -> Self {
        Self { start, bytes, owner }
    }

    /// Its first byte.
    pub(crate) const fn start(&self) -> Ptr {
        self.start
    }

    /// Its size.
    pub(crate) const fn bytes(&self) -> usize {
        self.bytes
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        self.owner.release(self.start, self.bytes);
    }
}

/// The type in which weights, activations and the cache are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Dtype {
    /// 32-bit.
    F32,
    /// The upper half of `F32`.
    Bf16,
    /// IEEE 754 half.
    F16,
}

impl Dtype {
    /// Bytes of a value.
    #[must_use]
    pub const fn size(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::Bf16 | Self::F16 => 2,
        }
    }

    /// As options, results and the names of kernels write it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::Bf16 => "bf16",
            Self::F16 => "f16",
        }
    }
}

/// An argument of a kernel, as its parameter list declares it.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Arg {
    Ptr(Ptr),
    Int(i32),
    Float(f32),
}

/// One launch of a kernel.
pub(crate) struct Launch<'a> {
    pub(crate) kernel: Kernel,
    /// The instance.
    pub(crate) dtype: Dtype,
    /// Blocks, of [`Kernel::threads`] threads each.
    pub(crate) blocks: [u32; 3],
    pub(crate) args: &'a [Arg],
}

/// `out [m, n]` is the product of `x` and `w` that its [`Form`] says, row-major all; `x` and `w` of `dtype`, sums over `k` in f32.
/// Addresses are multiples of 16, of matrices at least whose rows are.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Product {
    pub(crate) form: Form,
    pub(crate) x: Ptr,
    pub(crate) w: Ptr,
    pub(crate) out: Ptr,
    pub(crate) m: usize,
    pub(crate) n: usize,
    pub(crate) k: usize,
    pub(crate) dtype: Dtype,
    pub(crate) into: Into,
}

/// Which product of a linear layer it is: how its matrices lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Form {
    /// `x [m, k] · wᵀ` for `w [n, k]`: the layer.
    Forward,
    /// `x [m, k] · w` for `w [k, n]`: the gradient in its input.
    Input,
    /// `xᵀ · w` for `x [k, m]`, `w [k, n]`: the gradient in its weight.
    Weight,
}

/// What becomes of a product.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Into {
    /// Rounded to the type of its operands.
    Same,
    /// Written in f32.
    F32,
    /// Added to f32.
    Added,
}

/// What runs kernels. Everything is carried out in the order in which it was asked for.
pub(crate) trait Machine: Send + Sync {
    /// Memory; its content is anything.
    ///
    /// # Errors
    /// [`CudaError::OutOfMemory`].
    fn reserve(&self, bytes: usize) -> Result<Memory, CudaError>;

    /// Bytes that could still be reserved, as the machine says.
    fn free_bytes(&self) -> Result<usize, CudaError>;

    /// Copies to the machine; `bytes` may change as soon as this returns.
    fn write(&self, to: Ptr, bytes: &[u8]) -> Result<(), CudaError>;

    /// Copies back, and waits for that and so for everything before it.
    fn read(&self, from: Ptr, bytes: &mut [u8]) -> Result<(), CudaError>;

    /// Runs a kernel.
    fn launch(&self, launch: &Launch<'_>) -> Result<(), CudaError>;

    /// Computes a product. A row's values depend on that row and on `w` alone, whatever `m` is; of [`Form::Weight`] on the shape too.
    fn multiply(&self, product: &Product) -> Result<(), CudaError>;

    /// Runs a sequence of launches and products that will be asked for again and again under the same `key`. A GPU writes it down the
    /// second time, and from then on does what is written without running `run`: so with one key it must be the same kernels in the
    /// same order on the same addresses and shapes, whose contents alone may differ. `run` only launches and multiplies, may be run
    /// twice in a call, and nothing else is asked of the machine meanwhile.
    ///
    /// # Errors
    /// What `run` returns.
    fn captured(&self, key: u64, run: &mut dyn FnMut() -> Result<(), CudaError>) -> Result<(), CudaError> {
        let _ = key;
        run()
    }

    /// What it is, in words.
    fn name(&self) -> String;
}
