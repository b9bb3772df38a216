//! The forward program of the Llama family as launches: [`crate::Llama`]'s, operation by operation.

use sekisho_weights::ModelConfig;

use super::CudaError;
use super::arena::Arena;
use super::machine::{Dtype, Into, Machine, Memory, Ptr};
use super::ops::{Attention, Cache, Context, Ops, Rope};
use super::weights::Weights;
use crate::ops::attention::Heads;

/// A model's weights and its cache, and what is the same in every pass.
pub(crate) struct Program {
    pub(crate) config: ModelConfig,
    pub(crate) dtype: Dtype,
    pub(crate) attention: Attention,
    weights: Weights,
    _memory: Memory,
    /// Of each layer.
    cache: Vec<Cache>,
}

/// Operands of a pass that are the same in all layers.
pub(crate) struct Pass {
    pub(crate) ids: Ptr,
    pub(crate) slots: Ptr,
    pub(crate) angles: Ptr,
    pub(crate) context: Context,
}

/// Bytes of a slot in all layers.
pub(crate) fn slot_bytes(config: &ModelConfig, dtype: Dtype) -> usize {
    2 * config.num_hidden_layers * config.num_key_value_heads * config.head_dim * dtype.size()
}

impl Program {
    /// With a cache of so many slots.
    ///
    /// # Errors
    /// [`CudaError::OutOfMemory`].
    pub(crate) fn new(
        config: ModelConfig,
        dtype: Dtype,
        weights: Weights,
        slots: usize,
        machine: &dyn Machine,
    ) -> Result<Self, CudaError> {
        let memory = machine.reserve(slots * slot_bytes(&config, dtype))?;
        let half = slots * config.num_key_value_heads * config.head_dim * dtype.size();
        let of = |layer| {
            let keys = memory.start().plus(2 * layer * half);
            Cache { keys, values: keys.plus(half) }
        };
        let cache = (0..config.num_hidden_layers).map(of).collect();
        let heads = Heads {
            queries: config.num_attention_heads,
            keys: config.num_key_value_heads,
            dim: config.head_dim,
        };
        let attention = Attention { heads, window: config.window_of_all().unwrap_or(0) };
        Ok(Self { config, dtype, attention, weights, _memory: memory, cache })
    }

    fn ops<'a>(&self, machine: &'a dyn Machine) -> Ops<'a> {
        Ops { machine, dtype: self.dtype }
    }

    /// Computes the residual stream of some rows, up to and without the final norm; `attend` computes `mixed` from `q`.
    ///
    /// # Errors
    /// What the machine says.
    pub(crate) fn forward(
        &self,
        machine: &dyn Machine,
        arena: &Arena,
        pass: &Pass,
        attend: &dyn Fn(&Ops<'_>, Cache) -> Result<(), CudaError>,
    ) -> Result<(), CudaError> {
        let ops = self.ops(machine);
        let (rows, hidden) = (pass.context.rows, self.config.hidden_size);
        let Heads { queries, keys, dim } = self.attention.heads;
        let inner = self.config.intermediate_size;
        let scale = if self.config.scaled_embedding { (hidden as f32).sqrt() } else { 1.0 };
        ops.embedding((self.weights.embedding, pass.ids), arena.x, [rows, hidden], scale)?;
        for (i, (layer, cache)) in self.weights.layers.iter().zip(&self.cache).enumerate() {
            self.norm(&ops, arena, rows, layer.attention_norm, 2 * i)?;
            let width = (queries + 2 * keys) * dim;
            ops.matmul((arena.normed, layer.qkv, arena.qkv), [rows, width, hidden], Into::Same)?;
            let rope = Rope {
                qkv: arena.qkv,
                bias: layer.qkv_bias,
                head_norms: layer.head_norms,
                angles: pass.angles,
                slots: pass.slots,
                q: arena.q,
                eps: self.eps(),
            };
            ops.rope(rows, &rope, *cache, pass.context.positions, self.attention.heads)?;
            attend(&ops, *cache)?;
            ops.matmul((arena.mixed, layer.o, arena.x), [rows, hidden, queries * dim], Into::Added)?;
            ops.add_bias(arena.x, layer.o_bias, [rows, hidden])?;

            self.norm(&ops, arena, rows, layer.mlp_norm, 2 * i + 1)?;
            ops.matmul((arena.normed, layer.gate_up, arena.gate_up), [rows, 2 * inner, hidden], Into::Same)?;
            ops.swiglu((arena.gate_up, layer.gate_up_bias), arena.activated, [rows, inner])?;
            ops.matmul((arena.activated, layer.down, arena.x), [rows, hidden, inner], Into::Added)?;
            ops.add_bias(arena.x, layer.down_bias, [rows, hidden])?;
        }
        Ok(())
    }

    fn eps(&self) -> f32 {
        self.config.rms_norm_eps as f32
    }

    fn norm(
        &self,
        ops: &Ops<'_>,
        arena: &Arena,
        rows: usize,
        weight: Ptr,
        place: usize,
    ) -> Result<(), CudaError> {
        let size = [rows, self.config.hidden_size];
        ops.rms_norm((arena.x, Ptr::NULL), (weight, self.eps()), arena.normed, size, (arena.bad, place))
    }

    /// The final norm of rows of a residual stream, all or those that `chosen` names, into `arena.normed` from row `first` on.
    ///
    /// # Errors
    /// What the machine says.
    pub(crate) fn finish(
        &self,
        machine: &dyn Machine,
        arena: &Arena,
        (x, chosen): (Ptr, Ptr),
        rows: std::ops::Range<usize>,
    ) -> Result<(), CudaError> {
        let hidden = self.config.hidden_size;
        let out = arena.normed.plus(rows.start * hidden * self.dtype.size());
        let place = (arena.bad, 2 * self.config.num_hidden_layers);
        self.ops(machine).rms_norm(
            (x, chosen),
            (self.weights.norm, self.eps()),
            out,
            [rows.len(), hidden],
            place,
        )
    }

    /// Logits of the first rows of `arena.normed`, into `arena.logits`.
    ///
    /// # Errors
    /// What the machine says.
    pub(crate) fn logits(&self, machine: &dyn Machine, arena: &Arena, rows: usize) -> Result<(), CudaError> {
        let size = [rows, self.config.vocab_size, self.config.hidden_size];
        self.ops(machine).matmul((arena.normed, self.weights.output, arena.logits), size, Into::F32)
    }

    /// The place that a kernel calls by a number.
    pub(crate) fn place(&self, number: usize) -> String {
        let last = self.config.num_hidden_layers;
        match (number / 2, number % 2) {
            (0, 0) => "the embedding".to_owned(),
            (layer, 1) => format!("attention of layer {layer} (model.layers.{layer}.self_attn)"),
            (layer, _) if layer <= last => {
                format!("the feed-forward part of layer {0} (model.layers.{0}.mlp)", layer - 1)
            }
            _ => "the output".to_owned(),
        }
    }
}
