//! Attention of whole sequences and its gradients, by the kernels that are best for their type and width of a head.

use crate::cuda::CudaError;
use crate::cuda::kernels::{Kernel, TRAIN_DIMS, TRAIN_KEYS, TRAIN_QUERIES};
use crate::cuda::machine::{Arg, Dtype, Launch, Machine, Ptr};
use crate::ops::attention::Heads;

/// [`crate::ops::attention::forward`], or [`crate::ops::windowed_attention::forward`], with its operands on a machine.
#[derive(Clone, Copy)]
pub(crate) struct Attention {
    /// Of queries, keys, values and the result: f32 or bf16.
    pub(crate) dtype: Dtype,
    pub(crate) rows: usize,
    /// At most 256 wide.
    pub(crate) heads: Heads,
    /// Rows that a row sees at most, its own included.
    pub(crate) window: Option<usize>,
    /// i32 `[rows]`: row `r` sees rows `starts[r]..=r` of the batch. They never fall.
    pub(crate) starts: Ptr,
    /// `[rows, queries · dim]`, `[rows, keys · dim]` twice.
    pub(crate) qkv: [Ptr; 3],
    /// As the queries.
    pub(crate) out: Ptr,
    /// f32 `[rows, queries]`: logarithms of the sums of the exponentials.
    pub(crate) lse: Ptr,
}

/// [`crate::ops::attention::backward`], or [`crate::ops::windowed_attention::backward`].
#[derive(Clone, Copy)]
pub(crate) struct AttentionGradient {
    /// What [`forward`] was given and has made.
    pub(crate) of: Attention,
    /// The gradient of its result.
    pub(crate) dout: Ptr,
    /// Those of queries, keys and values, which are written.
    pub(crate) dqkv: [Ptr; 3],
    /// [`scratch_bytes`] of memory.
    pub(crate) scratch: Ptr,
}

/// Memory that [`backward`] needs beside its operands: a sum for each query, f32 `[rows, queries]`.
pub(crate) fn scratch_bytes(rows: usize, heads: Heads) -> usize {
    rows * heads.queries * size_of::<f32>()
}

/// Which kernels compute it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tier {
    /// A query, or a key, of a block: any type and width.
    Plain,
    /// Tiles on tensor cores: bf16, and [`TRAIN_DIMS`].
    Mma,
}

impl Tier {
    /// The fastest that there is.
    pub(crate) fn of(attention: &Attention) -> Self {
        let tiles = attention.dtype == Dtype::Bf16 && TRAIN_DIMS.contains(&attention.heads.dim);
        if tiles { Self::Mma } else { Self::Plain }
    }
}

/// Writes `out` and `lse`.
///
/// # Errors
/// [`CudaError`] of a launch.
pub(crate) fn forward(machine: &dyn Machine, attention: &Attention) -> Result<(), CudaError> {
    forward_by(machine, attention, Tier::of(attention))
}

/// Writes the gradients `dqkv`. Every value is one sum, whose order depends on shapes and `starts` alone.
///
/// # Errors
/// [`CudaError`] of a launch.
pub(crate) fn backward(machine: &dyn Machine, gradient: &AttentionGradient) -> Result<(), CudaError> {
    backward_by(machine, gradient, Tier::of(&gradient.of))
}

/// [`forward`] by these kernels.
pub(crate) fn forward_by(machine: &dyn Machine, attention: &Attention, tier: Tier) -> Result<(), CudaError> {
    let made = [Arg::Ptr(attention.out), Arg::Ptr(attention.lse)];
    let args = [&attention.seen()[..], &made, &attention.shape()].concat();
    let Attention { rows, heads, .. } = *attention;
    let (kernel, grid) = match tier {
        Tier::Plain => (Kernel::AttentionTrain, [rows, heads.queries, 1]),
        Tier::Mma => (Kernel::AttentionTrainMma, [heads.queries, rows.div_ceil(TRAIN_QUERIES), 1]),
    };
    attention.launch(machine, kernel, grid, &args)
}

/// [`backward`] by these kernels.
pub(crate) fn backward_by(
    machine: &dyn Machine,
    gradient: &AttentionGradient,
    tier: Tier,
) -> Result<(), CudaError> {
    let AttentionGradient { of, dout, dqkv, scratch } = *gradient;
    let Attention { rows, heads, .. } = of;
    let [dq, dk, dv, dout, delta] = [dqkv[0], dqkv[1], dqkv[2], dout, scratch].map(Arg::Ptr);
    let args = [Arg::Ptr(of.out), dout, delta, int(heads.queries), int(heads.dim)];
    of.launch(machine, Kernel::AttentionTrainDelta, [rows, 1, 1], &args)?;

    let saved = [&of.seen()[..], &[dout, Arg::Ptr(of.lse), delta]].concat();
    let (keys, queries) = match tier {
        Tier::Plain => (
            (Kernel::AttentionTrainKeys, [rows, heads.keys, 1]),
            (Kernel::AttentionTrainQueries, [rows, heads.queries, 1]),
        ),
        Tier::Mma => (
            (Kernel::AttentionTrainKeysMma, [heads.keys, rows.div_ceil(TRAIN_KEYS), 1]),
            (Kernel::AttentionTrainQueriesMma, [heads.queries, rows.div_ceil(TRAIN_QUERIES), 1]),
        ),
    };
    of.launch(machine, keys.0, keys.1, &[&saved[..], &[dk, dv], &of.shape()].concat())?;
    of.launch(machine, queries.0, queries.1, &[&saved[..], &[dq], &of.shape()].concat())
}

impl Attention {
    fn launch(
        &self,
        machine: &dyn Machine,
        kernel: Kernel,
        grid: [usize; 3],
        args: &[Arg],
    ) -> Result<(), CudaError> {
        if self.rows == 0 {
            return Ok(());
        }
        let blocks = grid.map(|count| u32::try_from(count).expect("rows stay below 2^31"));
        machine.launch(&Launch { kernel, dtype: self.dtype, blocks, args })
    }

    /// What every kernel reads.
    fn seen(&self) -> [Arg; 4] {
        let [q, k, v] = self.qkv.map(Arg::Ptr);
        [q, k, v, Arg::Ptr(self.starts)]
    }

    /// Sizes, window and scale, as the kernels' last parameters.
    fn shape(&self) -> [Arg; 6] {
        let Heads { queries, keys, dim } = self.heads;
        // To see more than all is to see all.
        let window = self.window.map_or(0, |window| window.min(self.rows));
        let scale = Arg::Float(1.0 / (dim as f32).sqrt());
        [int(self.rows), int(queries), int(keys), int(dim), int(window), scale]
    }
}

fn int(value: usize) -> Arg {
    Arg::Int(i32::try_from(value).expect("dimensions and rows stay below 2^31"))
}
