/// Bytes of a GiB.
pub(crate) const GIB: f64 = 1_073_741_824.0;

/// What a GPU, its driver or its libraries refuse.
#[derive(Debug, thiserror::Error)]
pub enum CudaError {
    /// More memory is asked for than there is.
    #[error(
        "{device} has {free:.1} GiB free and {needed:.1} GiB are needed for {what}. Use a smaller --kv-budget, --dtype bf16, or another GPU (--device cuda:N)."
    )]
    OutOfMemory {
        /// The GPU.
        device: String,
        /// What the memory is for.
        what: &'static str,
        /// GiB.
        needed: f64,
        /// GiB.
        free: f64,
    },
    /// More memory than there is for training.
    #[error(
        "{device} has {free:.1} GiB free and training takes {needed:.1} GiB: {weights:.1} GiB for parameters, gradients and moments, the rest for a micro-batch of {sequences}. {way_on}"
    )]
    TooLarge {
        /// The GPU.
        device: String,
        /// GiB.
        needed: f64,
        /// GiB.
        free: f64,
        /// GiB of what does not depend on the micro-batch.
        weights: f64,
        /// Sequences of a micro-batch.
        sequences: usize,
        /// What would fit.
        way_on: String,
    },
    /// A model that the kernels for training do not compute.
    #[error("heads of {dim} values are not trained on GPUs, where {most} is the most. Use --device cpu.")]
    WideHeads {
        /// Values of a head.
        dim: usize,
        /// Most that there are kernels for.
        most: usize,
    },
    /// A library that is missing, too old or broken.
    #[error("{library}: {reason}. {way_on}")]
    Library {
        /// Its name.
        library: &'static str,
        /// What is wrong with it.
        reason: String,
        /// What helps.
        way_on: &'static str,
    },
    /// A kernel that does not compile.
    #[error("the kernel {kernel} does not compile for {architecture} with NVRTC {version}: {log}")]
    Compile {
        /// Its file.
        kernel: &'static str,
        /// `sm_90a`, say.
        architecture: String,
        /// The compiler's version.
        version: String,
        /// What the compiler says.
        log: String,
    },
    /// The driver or a library answers an error.
    #[error(
        "{device} failed at {what}: {reason}. What was finished is kept; start again, and look at `nvidia-smi` and `dmesg` if it comes back."
    )]
    Failed {
        /// The GPU.
        device: String,
        /// The call.
        what: &'static str,
        /// The driver's name for it.
        reason: String,
    },
    /// An error after which the driver answers nothing else to this process: a GPU that fell off the bus, a fault in its memory, a
    /// kernel that reached beyond its memory.
    #[error(
        "{device} was lost to this process at {what}: {reason}. What was finished is kept; start again, and look at `nvidia-smi` and `dmesg` if it comes back."
    )]
    Lost {
        /// The GPU.
        device: String,
        /// The call.
        what: &'static str,
        /// The driver's name for it.
        reason: String,
    },
    /// A value that is no number, or an infinite one.
    #[error(
        "{place} of the model gives values that are not finite. Look at the checkpoint with `sekisho checkpoint check`; with --dtype f16, try bf16 or f32."
    )]
    NotFinite {
        /// The layer, or the end.
        place: String,
    },
}
