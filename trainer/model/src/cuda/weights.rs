//! The weights of a model in a machine's memory: where each lies, and how it comes there.

use rayon::prelude::*;
use sekisho_weights::{Checkpoint, Family, ModelConfig};

use super::machine::{Dtype, Machine, Memory, Ptr};
use crate::ModelError;

/// Alignment of every tensor, in bytes.
const ALIGNMENT: usize = 256;
/// Values that are read, converted and copied at a time.
const PIECE: usize = 4 << 20;

/// Weights, with the memory that they lie in.
pub(crate) struct Weights {
    _memory: Memory,
    pub(crate) embedding: Ptr,
    pub(crate) layers: Vec<Layer>,
    pub(crate) norm: Ptr,
    /// The output layer; the embedding where they are tied.
    pub(crate) output: Ptr,
}

/// Those of a layer. Matrices are `[outputs, inputs]` in the type of the model, norms and biases f32; a bias may be missing.
pub(crate) struct Layer {
    pub(crate) attention_norm: Ptr,
    /// q, k and v, one below another.
    pub(crate) qkv: Ptr,
    pub(crate) qkv_bias: Ptr,
    pub(crate) head_norms: [Ptr; 2],
    pub(crate) o: Ptr,
    pub(crate) o_bias: Ptr,
    pub(crate) mlp_norm: Ptr,
    /// gate and up, one below another.
    pub(crate) gate_up: Ptr,
    pub(crate) gate_up_bias: Ptr,
    pub(crate) down: Ptr,
    pub(crate) down_bias: Ptr,
}

/// Tensors of the checkpoint that lie one behind another as one operand.
#[derive(Debug, PartialEq)]
struct Joined {
    names: Vec<String>,
    /// Values of each.
    sizes: Vec<usize>,
    dtype: Dtype,
    /// Bytes before it.
    offset: usize,
}

/// Where everything lies: offsets into one piece of memory.
#[derive(Default)]
struct Plan {
    joined: Vec<Joined>,
    bytes: usize,
}

impl Plan {
    /// Places tensors, which lie there as `dtype`.
    fn place(&mut self, tensors: &[(String, usize)], dtype: Dtype) -> usize {
        let offset = self.bytes;
        let (names, sizes): (Vec<String>, Vec<usize>) = tensors.iter().cloned().unzip();
        self.bytes += (sizes.iter().sum::<usize>() * dtype.size()).next_multiple_of(ALIGNMENT);
        self.joined.push(Joined { names, sizes, dtype, offset });
        offset
    }
}

/// Offsets of a layer's operands, in the order of [`Layer`]'s fields; none for what it has not.
type Offsets = [Option<usize>; 12];

/// Bytes that the weights of a model take.
pub(crate) fn bytes(config: &ModelConfig, dtype: Dtype) -> usize {
    let mut plan = Plan::default();
    outline(config, dtype, &mut plan);
    plan.bytes
}

/// Places all tensors of a model: the embedding, the layers, the norm, the output layer.
fn outline(config: &ModelConfig, dtype: Dtype, plan: &mut Plan) -> (usize, Vec<Offsets>, usize, usize) {
    let (vocabulary, hidden) = (config.vocab_size, config.hidden_size);
    let embedding = plan.place(&[("model.embed_tokens.weight".to_owned(), vocabulary * hidden)], dtype);
    let layers = (0..config.num_hidden_layers).map(|layer| place_layer(config, layer, dtype, plan)).collect();
    let norm = plan.place(&[("model.norm.weight".to_owned(), hidden)], Dtype::F32);
    let output = if config.tie_word_embeddings {
        embedding
    } else {
        plan.place(&[("lm_head.weight".to_owned(), vocabulary * hidden)], dtype)
    };
    (embedding, layers, norm, output)
}

fn place_layer(config: &ModelConfig, layer: usize, dtype: Dtype, plan: &mut Plan) -> Offsets {
    let (hidden, inner, dim) = (config.hidden_size, config.intermediate_size, config.head_dim);
    let (queries, keys) = (config.num_attention_heads * dim, config.num_key_value_heads * dim);
    let tensor = |name: &str, size| (format!("model.layers.{layer}.{name}"), size);
    let q_k_v = |end: &str, width| {
        [("q", queries), ("k", keys), ("v", keys)]
            .map(|(part, rows)| tensor(&format!("self_attn.{part}_proj.{end}"), rows * width))
    };
    let gate_up = |end: &str, width| {
        ["gate", "up"].map(|part| tensor(&format!("mlp.{part}_proj.{end}"), inner * width))
    };
    let has_norms = config.family == Family::Qwen3;
    let mut place =
        |is_there: bool, tensors: &[(String, usize)], dtype| is_there.then(|| plan.place(tensors, dtype));
    let f32 = Dtype::F32;
    [
        place(true, &[tensor("input_layernorm.weight", hidden)], f32),
        place(true, &q_k_v("weight", hidden), dtype),
        place(config.attention_bias, &q_k_v("bias", 1), f32),
        place(has_norms, &[tensor("self_attn.q_norm.weight", dim)], f32),
        place(has_norms, &[tensor("self_attn.k_norm.weight", dim)], f32),
        place(true, &[tensor("self_attn.o_proj.weight", hidden * queries)], dtype),
        place(config.output_bias(), &[tensor("self_attn.o_proj.bias", hidden)], f32),
        place(true, &[tensor("post_attention_layernorm.weight", hidden)], f32),
        place(true, &gate_up("weight", hidden), dtype),
        place(config.mlp_bias, &gate_up("bias", 1), f32),
        place(true, &[tensor("mlp.down_proj.weight", hidden * inner)], dtype),
        place(config.mlp_bias, &[tensor("mlp.down_proj.bias", hidden)], f32),
    ]
}

impl Weights {
    /// Reads the tensors of a checkpoint in pieces, on all threads, and copies them to the machine.
    ///
    /// # Errors
    /// A tensor that cannot be read, and what the machine refuses.
    pub(crate) fn load(
        checkpoint: &Checkpoint,
        machine: &dyn Machine,
        dtype: Dtype,
    ) -> Result<Self, ModelError> {
        let mut plan = Plan::default();
        let (embedding, layers, norm, output) = outline(checkpoint.config(), dtype, &mut plan);
        let memory = machine.reserve(plan.bytes)?;
        let start = memory.start();
        let pieces: Vec<Piece<'_>> = plan.joined.iter().flat_map(pieces).collect();
        pieces.par_iter().try_for_each(|piece| piece.copy(checkpoint, machine, start))?;
        let at = |offset: Option<usize>| offset.map_or(Ptr::NULL, |offset| start.plus(offset));
        let layer = |offsets: Offsets| {
            let [
                attention_norm,
                qkv,
                qkv_bias,
                q_norm,
                k_norm,
                o,
                o_bias,
                mlp_norm,
                gate_up,
                gate_up_bias,
                down,
                down_bias,
            ] = offsets.map(at);
            let head_norms = [q_norm, k_norm];
            Layer {
                attention_norm,
                qkv,
                qkv_bias,
                head_norms,
                o,
                o_bias,
                mlp_norm,
                gate_up,
                gate_up_bias,
                down,
                down_bias,
            }
        };
        Ok(Self {
            layers: layers.into_iter().map(layer).collect(),
            embedding: start.plus(embedding),
            norm: start.plus(norm),
            output: start.plus(output),
            _memory: memory,
        })
    }
}

/// Some values of a tensor.
struct Piece<'a> {
    name: &'a str,
    first: usize,
    count: usize,
    dtype: Dtype,
    /// Bytes from the start of the memory.
    offset: usize,
}

/// The tensors of an operand in pieces.
fn pieces(joined: &Joined) -> Vec<Piece<'_>> {
    let (dtype, mut offset) = (joined.dtype, joined.offset);
    let mut pieces = Vec::new();
    for (name, size) in joined.names.iter().zip(&joined.sizes) {
        for first in (0..*size).step_by(PIECE) {
            let count = PIECE.min(size - first);
            pieces.push(Piece { name, first, count, dtype, offset });
            offset += count * dtype.size();
        }
    }
    pieces
}

impl Piece<'_> {
    fn copy(&self, checkpoint: &Checkpoint, machine: &dyn Machine, start: Ptr) -> Result<(), ModelError> {
        let to = start.plus(self.offset);
        let is_same = match checkpoint.dtype(self.name) {
            Some(sekisho_weights::Dtype::F32) => self.dtype == Dtype::F32,
            Some(sekisho_weights::Dtype::F16) => self.dtype == Dtype::F16,
            Some(sekisho_weights::Dtype::BF16) => self.dtype == Dtype::Bf16,
            _ => false,
        };
        let range = self.first..self.first + self.count;
        let bytes = if is_same {
            checkpoint.tensors().bytes_of(self.name, range)?
        } else {
            to_bytes(&checkpoint.tensors().values_f32(self.name, range)?, self.dtype)
        };
        Ok(machine.write(to, &bytes)?)
    }
}

/// Values rounded to a type, ties to even, little-endian.
pub(crate) fn to_bytes(values: &[f32], dtype: Dtype) -> Vec<u8> {
    match dtype {
        Dtype::F32 => values.iter().flat_map(|value| value.to_le_bytes()).collect(),
        Dtype::Bf16 => values.iter().flat_map(|value| half::bf16::from_f32(*value).to_le_bytes()).collect(),
        Dtype::F16 => values.iter().flat_map(|value| half::f16::from_f32(*value).to_le_bytes()).collect(),
    }
}
