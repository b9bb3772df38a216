//! The Llama forward program (`LlamaForCausalLM` of transformers) for inference: pre-norm blocks of attention with rotary
//! positions and SwiGLU, a final norm, an output layer that may be the embedding. Mistral, Qwen 2 and Qwen 3 are the same program.

#[cfg(test)]
mod tests;

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use sekisho_weights::{Checkpoint, Family, ModelConfig};

use crate::inference::{Hidden, Place};
use crate::kv::{DecodeRow, Edge, Extended, Kv, Meter};
use crate::ops::attention::{Group, Heads, KeyValues, Segment};
use crate::ops::matmul::Packed;
use crate::ops::rope::{Rope, Table};
use crate::ops::{attention, embedding, matmul, rms_norm, rope, swiglu};
use crate::{Inference, ModelError};

/// Rows computed at a time when a long sequence is extended; bounds the memory of activations.
const ROWS: usize = 512;

/// A Llama on the CPU, in f32.
pub struct Llama {
    config: ModelConfig,
    heads: Heads,
    rope: Rope,
    /// `[vocabulary, hidden]`, unless the output layer holds it.
    embedding: Option<Vec<f32>>,
    layers: Vec<Layer>,
    norm: Vec<f32>,
    output: Packed,
    meter: Meter,
}

struct Layer {
    attention_norm: Vec<f32>,
    q: Linear,
    k: Linear,
    v: Linear,
    /// Qwen 3's, of each head of q and of k.
    head_norms: Option<[Vec<f32>; 2]>,
    o: Linear,
    mlp_norm: Vec<f32>,
    gate: Linear,
    up: Linear,
    down: Linear,
}

struct Linear {
    weight: Packed,
    bias: Option<Vec<f32>>,
}

impl Llama {
    /// Opens a Hugging Face folder and reads the weights, widened to f32.
    ///
    /// # Errors
    /// [`ModelError::Checkpoint`] when the folder is refused or cannot be read.
    pub fn load(dir: &Path) -> Result<Self, ModelError> {
        Self::from_checkpoint(&Checkpoint::open(dir)?)
    }

    /// Reads the weights of an open checkpoint.
    ///
    /// # Errors
    /// [`ModelError::Checkpoint`] when a tensor cannot be read, [`ModelError::OtherEngine`] for a family that is no Llama.
    pub fn from_checkpoint(checkpoint: &Checkpoint) -> Result<Self, ModelError> {
        let config = checkpoint.config().clone();
        if !config.family.is_own() {
            return Err(ModelError::OtherEngine { model_type: config.family.model_type() });
        }
        let layers = (0..config.num_hidden_layers)
            .map(|i| Layer::read(checkpoint, &format!("model.layers.{i}.")))
            .collect::<Result<_, _>>()?;
        let table = checkpoint.tensor_f32("model.embed_tokens.weight")?;
        let (vocabulary, hidden) = (config.vocab_size, config.hidden_size);
        let (embedding, output) = if config.tie_word_embeddings {
            (None, Packed::new(&table, vocabulary, hidden))
        } else {
            let output = checkpoint.tensor_f32("lm_head.weight")?;
            (Some(table), Packed::new(&output, vocabulary, hidden))
        };
        Ok(Self {
            heads: Heads {
                queries: config.num_attention_heads,
                keys: config.num_key_value_heads,
                dim: config.head_dim,
            },
            rope: Rope::new(config.head_dim, config.rope_theta, config.rope_scaling.as_ref()),
            embedding,
            layers,
            norm: checkpoint.tensor_f32("model.norm.weight")?,
            output,
            config,
            meter: Meter::default(),
        })
    }

    /// `[tokens, hidden]`.
    fn embed(&self, tokens: &[u32]) -> Vec<f32> {
        let hidden = self.config.hidden_size;
        let mut x = vec![0.0; tokens.len() * hidden];
        match &self.embedding {
            Some(table) => embedding::forward(table, hidden, tokens, &mut x),
            None => {
                for (x, &id) in x.chunks_exact_mut(hidden).zip(tokens) {
                    self.output.copy_row(id as usize, x);
                }
            }
        }
        if self.config.scaled_embedding {
            let factor = (hidden as f32).sqrt();
            x.iter_mut().for_each(|x| *x *= factor);
        }
        x
    }

    /// The program over some tokens; `attend(layer, q, k, v, out)` stores keys and values and computes attention.
    fn forward(
        &self,
        tokens: &[u32],
        positions: &Table,
        mut attend: impl FnMut(usize, &[f32], &[f32], &[f32], &mut [f32]),
    ) -> Vec<f32> {
        let Heads { queries, keys, .. } = self.heads;
        let mut x = self.embed(tokens);
        let mut normed = vec![0.0; x.len()];
        for (i, layer) in self.layers.iter().enumerate() {
            self.normalise(&x, &layer.attention_norm, &mut normed);
            let (mut q, mut k, v) = (layer.q.run(&normed), layer.k.run(&normed), layer.v.run(&normed));
            if let Some([q_norm, k_norm]) = &layer.head_norms {
                q = self.normalised(&q, q_norm);
                k = self.normalised(&k, k_norm);
            }
            rope::forward(&mut q, queries, positions);
            rope::forward(&mut k, keys, positions);
            let mut mixed = vec![0.0; q.len()];
            attend(i, &q, &k, &v, &mut mixed);
            add(&mut x, &layer.o.run(&mixed));

            self.normalise(&x, &layer.mlp_norm, &mut normed);
            let (gate, up) = (layer.gate.run(&normed), layer.up.run(&normed));
            let mut activated = vec![0.0; gate.len()];
            swiglu::forward(&gate, &up, &mut activated);
            add(&mut x, &layer.down.run(&activated));
        }
        self.normalise(&x, &self.norm, &mut normed);
        normed
    }

    fn normalise(&self, x: &[f32], weight: &[f32], out: &mut [f32]) {
        rms_norm::forward(x, weight, self.config.rms_norm_eps as f32, out);
    }

    fn normalised(&self, x: &[f32], weight: &[f32]) -> Vec<f32> {
        let mut out = vec![0.0; x.len()];
        self.normalise(x, weight, &mut out);
        out
    }
}

impl Inference for Llama {
    fn config(&self) -> &ModelConfig {
        &self.config
    }

    fn extend_all(&self, edges: &[Edge<'_>]) -> Result<Vec<Extended>, ModelError> {
        check_tokens(&self.config, edges.iter().flat_map(|edge| edge.tokens.iter().copied()))?;
        check_lengths(&self.config, bound(&self.config), edges.iter().map(Edge::end))?;
        Ok(on_pool(|| self.extend_checked(edges)))
    }

    fn kv_bytes(&self, tokens: usize) -> usize {
        self.layers.len() * KeyValues::bytes_of(self.heads, tokens)
    }

    fn logits(&self, places: &[Place<'_>]) -> Result<Vec<f32>, ModelError> {
        let hidden: Vec<f32> = places.iter().flat_map(Place::values).copied().collect();
        Ok(self.logits_of(&hidden))
    }

    fn kv_live(&self) -> usize {
        self.meter.bytes()
    }

    fn decode(&self, rows: &mut [DecodeRow]) -> Result<Vec<f32>, ModelError> {
        check_tokens(&self.config, rows.iter().map(|row| row.token))?;
        check_lengths(&self.config, bound(&self.config), rows.iter().map(|row| row.len() + 1))?;
        Ok(on_pool(|| self.decode_checked(rows)))
    }
}

impl Llama {
    fn extend_checked(&self, edges: &[Edge<'_>]) -> Vec<Extended> {
        let mut growing: Vec<Growing<'_>> = edges.iter().map(|edge| Growing::new(edge, self)).collect();
        for pieces in pieces(edges, ROWS) {
            let tokens: Vec<u32> =
                pieces.iter().flat_map(|(edge, part)| &edges[*edge].tokens[part.clone()]).copied().collect();
            let positions = pieces.iter().flat_map(|(edge, part)| {
                let start = growing[*edge].start;
                part.start + start..part.end + start
            });
            let table = self.rope.table(positions);
            let hidden = self.forward(&tokens, &table, |layer, q, k, v, out| {
                self.attend_pieces(layer, &mut growing, &pieces, (q, k, v), out);
            });
            let mut rest = hidden.as_slice();
            for (edge, part) in &pieces {
                let (rows, after) = rest.split_at(part.len() * self.config.hidden_size);
                let unread = edges[*edge].read.saturating_sub(part.start).min(part.len());
                growing[*edge].hidden.extend_from_slice(&rows[unread * self.config.hidden_size..]);
                rest = after;
            }
        }
        growing.into_iter().map(|edge| edge.finish(&self.meter)).collect()
    }

    /// Stores the pieces' keys and values and lets their queries see what stands before each.
    fn attend_pieces(
        &self,
        layer: usize,
        growing: &mut [Growing<'_>],
        pieces: &[Piece],
        (q, k, v): (&[f32], &[f32], &[f32]),
        out: &mut [f32],
    ) {
        let width = self.heads.keys * self.heads.dim;
        let mut first = 0;
        for (edge, part) in pieces {
            let values = first * width..(first + part.len()) * width;
            growing[*edge].stored[layer].append(&k[values.clone()], &v[values]);
            first += part.len();
        }
        let segments: Vec<Vec<Segment<'_>>> = pieces
            .iter()
            .map(|(edge, _)| {
                let edge = &growing[*edge];
                let before = edge.chain.iter().map(|kv| kv.segment(layer));
                before.chain([edge.stored[layer].segment()]).collect()
            })
            .collect();
        let groups: Vec<Group<'_>> = segments
            .iter()
            .zip(pieces)
            .map(|(segments, (edge, part))| Group {
                rows: part.len(),
                segments,
                visible: growing[*edge].start + part.start + 1,
                window: self.config.window_of_all(),
            })
            .collect();
        attention::attend(q, &groups, self.heads, out, None);
    }

    fn decode_checked(&self, rows: &mut [DecodeRow]) -> Vec<f32> {
        let tokens: Vec<u32> = rows.iter().map(|row| row.token).collect();
        let table = self.rope.table(rows.iter().map(DecodeRow::len));
        let width = self.heads.keys * self.heads.dim;
        let visible: Vec<usize> = rows.iter().map(|row| row.len() + 1).collect();
        let window = self.config.window_of_all();
        let hidden = self.forward(&tokens, &table, |layer, q, k, v, out| {
            let added = k.chunks_exact(width).zip(v.chunks_exact(width));
            for (row, (k, v)) in rows.iter_mut().zip(added) {
                row.tail.append(layer, self.heads, k, v);
            }
            let segments: Vec<Vec<Segment<'_>>> = rows
                .iter()
                .map(|row| {
                    let prompt = row.kv.chain().into_iter().map(|kv| kv.segment(layer));
                    prompt.chain([row.tail.segment(layer)]).collect()
                })
                .collect();
            let groups: Vec<Group<'_>> = segments
                .iter()
                .zip(&visible)
                .map(|(segments, &visible)| Group { rows: 1, segments, visible, window })
                .collect();
            attention::attend(q, &groups, self.heads, out, None);
        });
        self.logits_of(&hidden)
    }

    /// `[rows, vocabulary]` of `[rows, hidden]`.
    fn logits_of(&self, hidden: &[f32]) -> Vec<f32> {
        let rows = hidden.len() / self.config.hidden_size;
        let mut logits = vec![0.0; rows * self.config.vocab_size];
        matmul::forward_packed(hidden, &self.output, &mut logits);
        logits
    }
}

/// Refuses an id without an embedding.
pub(crate) fn check_tokens(
    config: &ModelConfig,
    tokens: impl IntoIterator<Item = u32>,
) -> Result<(), ModelError> {
    let vocabulary = config.vocab_size;
    match tokens.into_iter().find(|&id| id as usize >= vocabulary) {
        Some(id) => Err(ModelError::TokenOutsideVocabulary { id, vocabulary }),
        None => Ok(()),
    }
}

/// The longest sequence that is computed: of a model with a window in some of its layers, as long as that.
pub(crate) fn bound(config: &ModelConfig) -> Option<usize> {
    config.window.filter(|_| config.window_of_all().is_none())
}

/// Refuses a sequence that is longer than `most`.
pub(crate) fn check_lengths(
    config: &ModelConfig,
    most: Option<usize>,
    lengths: impl IntoIterator<Item = usize>,
) -> Result<(), ModelError> {
    let (have, most) = (lengths.into_iter().max().unwrap_or(0), most.unwrap_or(usize::MAX));
    if have > most {
        return Err(ModelError::TooLong { have, most, model_type: config.family.model_type() });
    }
    Ok(())
}

/// Some tokens of an edge: its number, and which of its tokens.
pub(crate) type Piece = (usize, Range<usize>);

/// The tokens of all edges in groups of at most `rows`, in order.
pub(crate) fn pieces(edges: &[Edge<'_>], rows: usize) -> Vec<Vec<Piece>> {
    let mut groups: Vec<Vec<Piece>> = Vec::new();
    let mut room = 0;
    for (number, edge) in edges.iter().enumerate() {
        let mut next = 0;
        while next < edge.tokens.len() {
            if room == 0 {
                groups.push(Vec::new());
                room = rows;
            }
            let end = edge.tokens.len().min(next + room);
            room -= end - next;
            groups.last_mut().expect("one was pushed").push((number, next..end));
            next = end;
        }
    }
    groups
}

/// An edge while it is computed.
struct Growing<'a> {
    prefix: Option<&'a Arc<Kv>>,
    /// The edges before it, from the root.
    chain: Vec<&'a Kv>,
    /// Tokens before it.
    start: usize,
    /// Of each layer.
    stored: Vec<KeyValues>,
    hidden: Vec<f32>,
    width: usize,
}

impl<'a> Growing<'a> {
    fn new(edge: &Edge<'a>, model: &Llama) -> Self {
        let keys = || KeyValues::with_capacity(model.heads, edge.tokens.len());
        let read = edge.tokens.len().saturating_sub(edge.read);
        Self {
            prefix: edge.prefix,
            chain: edge.prefix.map(|kv| kv.chain()).unwrap_or_default(),
            start: edge.prefix.map_or(0, |kv| kv.len()),
            stored: model.layers.iter().map(|_| keys()).collect(),
            hidden: Vec::with_capacity(read * model.config.hidden_size),
            width: model.config.hidden_size,
        }
    }

    fn finish(self, meter: &Meter) -> Extended {
        let kv = Kv::new(self.prefix.cloned(), self.stored, meter.clone());
        Extended { kv: Arc::new(kv), hidden: Hidden::host(self.width, self.hidden) }
    }
}

/// Runs on a thread of the pool. From outside, every parallel loop of the program would wait for a thread to wake up; from
/// inside, those too small to share run at once.
fn on_pool<R: Send>(run: impl FnOnce() -> R + Send) -> R {
    rayon::scope(|_| run())
}

impl Layer {
    /// Reads the tensors whose names begin with `prefix`.
    fn read(checkpoint: &Checkpoint, prefix: &str) -> Result<Self, ModelError> {
        let config = checkpoint.config();
        let (hidden, inner) = (config.hidden_size, config.intermediate_size);
        let queries = config.num_attention_heads * config.head_dim;
        let keys = config.num_key_value_heads * config.head_dim;
        let tensor = |name: &str| checkpoint.tensor_f32(&format!("{prefix}{name}"));
        let linear = |name: &str, outputs, inputs, bias| -> Result<Linear, ModelError> {
            let weight = Packed::new(&tensor(&format!("{name}.weight"))?, outputs, inputs);
            let bias = if bias { Some(tensor(&format!("{name}.bias"))?) } else { None };
            Ok(Linear { weight, bias })
        };
        let (attention, mlp) = (config.attention_bias, config.mlp_bias);
        Ok(Self {
            attention_norm: tensor("input_layernorm.weight")?,
            q: linear("self_attn.q_proj", queries, hidden, attention)?,
            k: linear("self_attn.k_proj", keys, hidden, attention)?,
            v: linear("self_attn.v_proj", keys, hidden, attention)?,
            head_norms: (config.family == Family::Qwen3)
                .then(|| {
                    Ok::<_, ModelError>([
                        tensor("self_attn.q_norm.weight")?,
                        tensor("self_attn.k_norm.weight")?,
                    ])
                })
                .transpose()?,
            o: linear("self_attn.o_proj", hidden, queries, config.output_bias())?,
            mlp_norm: tensor("post_attention_layernorm.weight")?,
            gate: linear("mlp.gate_proj", inner, hidden, mlp)?,
            up: linear("mlp.up_proj", inner, hidden, mlp)?,
            down: linear("mlp.down_proj", hidden, inner, mlp)?,
        })
    }
}

impl Linear {
    /// `[rows, inputs]` to `[rows, outputs]`.
    fn run(&self, x: &[f32]) -> Vec<f32> {
        let rows = x.len() / self.weight.inputs();
        let mut out = vec![0.0; rows * self.weight.outputs()];
        matmul::forward_packed(x, &self.weight, &mut out);
        if let Some(bias) = &self.bias {
            for row in out.chunks_exact_mut(bias.len()) {
                add(row, bias);
            }
        }
        out
    }
}

/// `x += y`.
fn add(x: &mut [f32], y: &[f32]) {
    for (x, y) in x.iter_mut().zip(y) {
        *x += y;
    }
}
