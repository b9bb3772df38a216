//! The kernels by name: their sources, the threads of their blocks, and the registers that a thread may take.

use super::machine::Dtype;

/// A kernel; `kernels/<file>.cu` says what it computes and which operation of [`crate::ops`] defines that.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Kernel {
    Embedding,
    RmsNorm,
    Rope,
    AttentionPlain,
    AttentionPrefill,
    AttentionDecode,
    AttentionCombine,
    Swiglu,
    AddBias,
    Matmul,
    Summary,
    EmbeddingBackward,
    EmbeddingJoin,
    RmsNormBackward,
    HeadNorm,
    HeadNormBackward,
    ColumnSums,
    AddPartials,
    Zero,
    Add,
    Multiply,
    RoundTo,
    Gated,
    GatedBackward,
    Rotate,
    CrossEntropy,
    LossSums,
    Adamw,
    SquareSums,
    FoldSums,
    MomentSums,
    MatmulInput,
    MatmulWeight,
    AttentionTrain,
    AttentionTrainDelta,
    AttentionTrainKeys,
    AttentionTrainQueries,
    AttentionTrainMma,
    AttentionTrainKeysMma,
    AttentionTrainQueriesMma,
}

/// What is known of a kernel before it is compiled.
#[derive(Clone, Copy, Debug)]
pub(crate) struct About {
    /// Its file in `kernels/`, without `.cu`.
    pub(crate) file: &'static str,
    /// As in its source, before `_<dtype>`.
    pub(crate) name: &'static str,
    /// Threads of a block.
    pub(crate) threads: u32,
    /// Most registers of a thread.
    #[cfg_attr(not(test), expect(dead_code, reason = "the gate in the tests holds it"))]
    pub(crate) registers: u32,
    /// The types it is instantiated for.
    pub(crate) dtypes: &'static [Dtype],
}

const EVERY: &[Dtype] = &[Dtype::F32, Dtype::Bf16, Dtype::F16];
const HALVES: &[Dtype] = &[Dtype::Bf16, Dtype::F16];
const PLAIN: &[Dtype] = &[Dtype::F32];
const TRAINED: &[Dtype] = &[Dtype::F32, Dtype::Bf16];
const NARROW: &[Dtype] = &[Dtype::Bf16];

const BACKWARD: &str = "attention_train_backward";
const BACKWARD_MMA: &str = "attention_train_backward_mma";

/// Keys of a piece of [`Kernel::AttentionDecode`], cut at multiples of it from position 0 on.
pub(crate) const DECODE_PIECE: usize = 256;
/// Rows that a tile of [`Kernel::AttentionPrefill`] holds, counted as queries that share a key head.
pub(crate) const PREFILL_ROWS: usize = 64;
/// Widths of a head that it computes.
pub(crate) const PREFILL_DIMS: &[usize] = &[64, 96, 128];
/// Queries of a block of [`Kernel::AttentionTrainMma`] and [`Kernel::AttentionTrainQueriesMma`].
pub(crate) const TRAIN_QUERIES: usize = 128;
/// Keys of a block of [`Kernel::AttentionTrainKeysMma`].
pub(crate) const TRAIN_KEYS: usize = 64;
/// Widths of a head that these compute.
pub(crate) const TRAIN_DIMS: &[usize] = &[64, 96, 128];
/// Rows and columns of a tile of [`Kernel::Matmul`].
pub(crate) const MATMUL_TILE: usize = 64;

impl Kernel {
    /// All of them.
    pub(crate) const ALL: &[Self] = &[
        Self::Embedding,
        Self::RmsNorm,
        Self::Rope,
        Self::AttentionPlain,
        Self::AttentionPrefill,
        Self::AttentionDecode,
        Self::AttentionCombine,
        Self::Swiglu,
        Self::AddBias,
        Self::Matmul,
        Self::Summary,
        Self::EmbeddingBackward,
        Self::EmbeddingJoin,
        Self::RmsNormBackward,
        Self::HeadNorm,
        Self::HeadNormBackward,
        Self::ColumnSums,
        Self::AddPartials,
        Self::Zero,
        Self::Add,
        Self::Multiply,
        Self::RoundTo,
        Self::Gated,
        Self::GatedBackward,
        Self::Rotate,
        Self::CrossEntropy,
        Self::LossSums,
        Self::Adamw,
        Self::SquareSums,
        Self::FoldSums,
        Self::MomentSums,
        Self::MatmulInput,
        Self::MatmulWeight,
        Self::AttentionTrain,
        Self::AttentionTrainDelta,
        Self::AttentionTrainKeys,
        Self::AttentionTrainQueries,
        Self::AttentionTrainMma,
        Self::AttentionTrainKeysMma,
        Self::AttentionTrainQueriesMma,
    ];

    /// What is known of it.
    pub(crate) const fn about(self) -> About {
        let (file, name, threads, registers, dtypes) = match self {
            Self::Embedding => ("embedding", "embedding", 256, 32, EVERY),
            Self::RmsNorm => ("rms_norm", "rms_norm", 256, 40, EVERY),
            Self::Rope => ("rope", "rope", 256, 80, EVERY),
            Self::AttentionPlain => ("attention_plain", "attention_plain", 128, 32, EVERY),
            Self::AttentionPrefill => ("attention_prefill", "attention_prefill", 128, 192, HALVES),
            Self::AttentionDecode => ("attention_decode", "attention_decode", 128, 128, EVERY),
            Self::AttentionCombine => ("attention_decode", "attention_combine", 128, 32, EVERY),
            Self::Swiglu => ("swiglu", "swiglu", 256, 48, EVERY),
            Self::AddBias => ("swiglu", "add_bias", 256, 40, TRAINED),
            Self::Matmul => ("matmul", "matmul", 256, 80, EVERY),
            Self::Summary => ("summary", "summary", 1024, 32, PLAIN),
            Self::EmbeddingBackward => ("embedding_backward", "embedding_backward", 256, 48, PLAIN),
            Self::EmbeddingJoin => ("embedding_backward", "embedding_join", 256, 48, PLAIN),
            Self::RmsNormBackward => ("rms_norm_backward", "rms_norm_backward", 256, 80, TRAINED),
            Self::HeadNorm => ("rms_norm_backward", "head_norm", 256, 40, TRAINED),
            Self::HeadNormBackward => ("rms_norm_backward", "head_norm_backward", 256, 80, TRAINED),
            Self::ColumnSums => ("rms_norm_backward", "column_sums", 256, 40, TRAINED),
            Self::AddPartials => ("rms_norm_backward", "add_partials", 256, 40, PLAIN),
            Self::Zero => ("elementwise", "zero", 256, 32, PLAIN),
            Self::Add => ("elementwise", "add", 256, 40, TRAINED),
            Self::Multiply => ("elementwise", "multiply", 256, 32, PLAIN),
            Self::RoundTo => ("elementwise", "round_to", 256, 32, NARROW),
            Self::Gated => ("elementwise", "gated", 256, 48, TRAINED),
            Self::GatedBackward => ("elementwise", "gated_backward", 256, 64, TRAINED),
            Self::Rotate => ("elementwise", "rotate", 256, 48, TRAINED),
            Self::CrossEntropy => ("cross_entropy", "cross_entropy", 1024, 64, TRAINED),
            Self::LossSums => ("cross_entropy", "loss_sums", 256, 40, PLAIN),
            Self::Adamw => ("adamw", "adamw", 256, 80, TRAINED),
            Self::SquareSums => ("adamw", "square_sums", 256, 48, PLAIN),
            Self::FoldSums => ("adamw", "fold_sums", 256, 40, PLAIN),
            Self::MomentSums => ("adamw", "moment_sums", 256, 64, TRAINED),
            Self::MatmulInput => ("matmul_gradients", "matmul_input", 256, 96, TRAINED),
            Self::MatmulWeight => ("matmul_gradients", "matmul_weight", 256, 96, TRAINED),
            Self::AttentionTrain => ("attention_train", "attention_train", 128, 64, TRAINED),
            Self::AttentionTrainDelta => (BACKWARD, "attention_train_delta", 128, 64, TRAINED),
            Self::AttentionTrainKeys => (BACKWARD, "attention_train_keys", 128, 64, TRAINED),
            Self::AttentionTrainQueries => (BACKWARD, "attention_train_queries", 128, 64, TRAINED),
            Self::AttentionTrainMma => ("attention_train_mma", "attention_train_mma", 128, 255, NARROW),
            Self::AttentionTrainKeysMma => (BACKWARD_MMA, "attention_train_keys_mma", 128, 255, NARROW),
            Self::AttentionTrainQueriesMma => (BACKWARD_MMA, "attention_train_queries_mma", 256, 255, NARROW),
        };
        About { file, name, threads, registers, dtypes }
    }

    /// Shared memory that a block gets beside what its source declares [bytes]. With that it is at most 99 KiB, which every GPU from
    /// Ampere on gives.
    pub(crate) const fn shared_bytes(self) -> u32 {
        // A row of a tile of bf16, the widest.
        const ROW: u32 = (128 + 8) * 2;
        match self {
            // Keys, values, gradients of results, and two stages of queries.
            Self::AttentionTrainKeysMma => 5 * 64 * ROW,
            // Queries and two stages of 32 keys and values; two stages of 64 keys and values.
            Self::AttentionTrainMma | Self::AttentionTrainQueriesMma => 4 * 64 * ROW,
            _ => 0,
        }
    }

    /// The name of an instance in the compiled code.
    pub(crate) fn symbol(self, dtype: Dtype) -> String {
        format!("{}_{}", self.about().name, dtype.as_str())
    }
}

/// A file of the kernels' sources.
pub(crate) struct Source {
    /// Without `.cu`.
    pub(crate) file: &'static str,
    pub(crate) text: &'static str,
}

/// What the sources include, by name; there is nothing else to include.
pub(crate) const HEADERS: [(&str, &str); 2] =
    [("device.cuh", include_str!("kernels/device.cuh")), ("tiles.cuh", include_str!("kernels/tiles.cuh"))];

macro_rules! sources {
    ($($file:literal),+ $(,)?) => {
        /// The sources, which `#include` the headers.
        pub(crate) const SOURCES: &[Source] = &[
            $(Source { file: $file, text: include_str!(concat!("kernels/", $file, ".cu")) }),+
        ];
    };
}

sources![
    "adamw",
    "attention_decode",
    "attention_plain",
    "attention_prefill",
    "attention_train",
    "attention_train_backward",
    "attention_train_backward_mma",
    "attention_train_mma",
    "cross_entropy",
    "elementwise",
    "embedding",
    "embedding_backward",
    "matmul",
    "matmul_gradients",
    "rms_norm",
    "rms_norm_backward",
    "rope",
    "summary",
    "swiglu"
];
