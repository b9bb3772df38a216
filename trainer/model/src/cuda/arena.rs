//! Memory that the program works in: planned once for the rows that are computed together.

use sekisho_weights::ModelConfig;

use super::CudaError;
use super::machine::{Dtype, Machine, Memory, Ptr};

/// Alignment of every array, in bytes.
const ALIGNMENT: usize = 256;

/// The arrays of a pass over some rows.
pub(crate) struct Arena {
    _memory: Memory,
    /// Rows there is room for.
    pub(crate) rows: usize,
    /// The residual stream, f32 `[rows, hidden]`.
    pub(crate) x: Ptr,
    /// `[rows, hidden]`.
    pub(crate) normed: Ptr,
    /// `[rows, (queries + 2 · keys) · dim]`.
    pub(crate) qkv: Ptr,
    /// `[rows, queries · dim]`.
    pub(crate) q: Ptr,
    /// What attention gives, `[rows, queries · dim]`.
    pub(crate) mixed: Ptr,
    /// `[rows, 2 · inner]`; where `qkv`, `q` and `mixed` were.
    pub(crate) gate_up: Ptr,
    /// `[rows, inner]`.
    pub(crate) activated: Ptr,
    /// Of as many rows as logits are looked at together, f32 `[looks, vocabulary]`.
    pub(crate) logits: Ptr,
    /// The smallest place whose values are not finite, an int.
    pub(crate) bad: Ptr,
}

/// Where the arrays lie for so many rows, and how many bytes they take.
struct Plan {
    bytes: usize,
}

impl Plan {
    fn place(&mut self, bytes: usize) -> usize {
        let offset = self.bytes;
        self.bytes += bytes.next_multiple_of(ALIGNMENT);
        offset
    }
}

/// Offsets in the order of [`Arena`]'s fields.
fn plan(config: &ModelConfig, dtype: Dtype, rows: usize, looks: usize) -> (Plan, [usize; 9]) {
    let (size, f32) = (dtype.size(), size_of::<f32>());
    let queries = config.num_attention_heads * config.head_dim;
    let keys = config.num_key_value_heads * config.head_dim;
    let mut plan = Plan { bytes: 0 };
    let x = plan.place(rows * config.hidden_size * f32);
    let normed = plan.place(rows.max(looks) * config.hidden_size * size);
    // Attention's arrays are dead when the feed-forward part begins, and the other way round.
    let shared = plan.bytes;
    let qkv = plan.place(rows * (queries + 2 * keys) * size);
    let q = plan.place(rows * queries * size);
    let mixed = plan.place(rows * queries * size);
    let attention = plan.bytes;
    plan.bytes = shared;
    let gate_up = plan.place(rows * 2 * config.intermediate_size * size);
    let activated = plan.place(rows * config.intermediate_size * size);
    plan.bytes = plan.bytes.max(attention);
    let logits = plan.place(looks * config.vocab_size * f32);
    let bad = plan.place(f32);
    (plan, [x, normed, qkv, q, mixed, gate_up, activated, logits, bad])
}

/// Bytes that the arena takes.
pub(crate) fn bytes(config: &ModelConfig, dtype: Dtype, rows: usize, looks: usize) -> usize {
    plan(config, dtype, rows, looks).0.bytes
}

impl Arena {
    /// For so many rows, and logits of so many.
    ///
    /// # Errors
    /// [`CudaError::OutOfMemory`].
    pub(crate) fn new(
        config: &ModelConfig,
        machine: &dyn Machine,
        dtype: Dtype,
        rows: usize,
        looks: usize,
    ) -> Result<Self, CudaError> {
        let (plan, offsets) = plan(config, dtype, rows, looks);
        let memory = machine.reserve(plan.bytes)?;
        let [x, normed, qkv, q, mixed, gate_up, activated, logits, bad] =
            offsets.map(|offset| memory.start().plus(offset));
        machine.write(bad, &i32::MAX.to_le_bytes())?;
        Ok(Self { _memory: memory, rows, x, normed, qkv, q, mixed, gate_up, activated, logits, bad })
    }
}
