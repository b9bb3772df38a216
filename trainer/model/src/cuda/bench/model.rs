//! How fast a whole model reads and generates.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use sekisho_weights::Checkpoint;

use super::{Row, Scale};
use crate::cuda::llama::dtype_of;
use crate::cuda::weights::{self, Weights};
use crate::device::Device;
use crate::{Ask, Compute, DecodeRow, Edge, Inference, Kv, ModelError, cuda};

/// Timed runs of each row; the median counts.
const RUNS: usize = 5;

/// Questions behind one prompt with examples, as benchmarks ask them; then a token of many rows. Operations and bytes are those
/// that the model's dimensions make necessary.
///
/// # Errors
/// [`ModelError`].
pub fn throughput(model: &dyn Inference, scale: Scale) -> Result<[Row; 2], ModelError> {
    let pick = |full: usize, tiny: usize| if scale == Scale::Full { full } else { tiny };
    let shape = Shape { prompt: pick(512, 8), questions: pick(128, 3), length: pick(64, 4) };
    let prompt = model.extend(None, &tokens(model, shape.prompt, 0))?.kv;
    let prefill = prefill(model, &prompt, shape)?;
    drop(prompt);
    Ok([prefill, decode(model, pick(256, 3), pick(256, 8), pick(32, 2))?])
}

/// The weights of a folder on their way to a GPU, once; files that were read before come from the system's cache.
///
/// # Errors
/// [`ModelError`].
pub fn loading(dir: &Path, compute: &Compute) -> Result<Option<Row>, ModelError> {
    let Device::Cuda(number) = compute.device() else { return Ok(None) };
    let checkpoint = Checkpoint::open(dir)?;
    let machine = cuda::open(number, false)?;
    let dtype = compute.options().dtype.unwrap_or_else(|| dtype_of(&checkpoint));
    let begun = Instant::now();
    let weights = Weights::load(&checkpoint, &*machine, dtype)?;
    // Copies are done when one after them has come back.
    machine.read(weights.norm, &mut [0; 4])?;
    Ok(Some(Row {
        name: "load",
        shape: dtype.as_str().to_owned(),
        seconds: begun.elapsed().as_secs_f64(),
        operations: 0.0,
        bytes: weights::bytes(checkpoint.config(), dtype) as f64,
    }))
}

#[derive(Clone, Copy)]
struct Shape {
    /// Tokens of what the questions share.
    prompt: usize,
    questions: usize,
    /// Tokens of a question.
    length: usize,
}

/// Ids from all over the vocabulary.
fn tokens(model: &dyn Inference, count: usize, seed: u32) -> Vec<u32> {
    let vocabulary = u32::try_from(model.config().vocab_size).unwrap_or(u32::MAX);
    (0..count as u32).map(|i| (i + seed).wrapping_mul(2_654_435_761) % vocabulary).collect()
}

fn prefill(model: &dyn Inference, prompt: &Arc<Kv>, shape: Shape) -> Result<Row, ModelError> {
    let Shape { questions, length, .. } = shape;
    let sequences: Vec<Vec<u32>> =
        (0..questions as u32).map(|question| tokens(model, length, 1 + question * 977)).collect();
    let run = || {
        let edge = |tokens| Edge { prefix: Some(prompt), tokens, read: length - 1 };
        let edges: Vec<Edge<'_>> = sequences.iter().map(|tokens| edge(tokens)).collect();
        let extended = model.extend_all(&edges)?;
        let ask = |extended| Ask { place: place(extended), tokens: &[1], normaliser: true, likeliest: true };
        let asks: Vec<Ask<'_>> = extended.iter().map(ask).collect();
        model.look(&asks).map(drop)
    };
    let rows = (questions * length) as f64;
    let pairs = questions as f64 * (0..length).map(|i| (shape.prompt + i + 1) as f64).sum::<f64>();
    let operations = rows * layers(model) + pairs * attention(model) + questions as f64 * output(model);
    Ok(Row {
        name: "prefill",
        shape: format!("{questions} × {length} tokens behind {}", shape.prompt),
        seconds: median(run)?,
        operations,
        bytes: weight_bytes(model),
    })
}

fn place(extended: &crate::Extended) -> crate::Place<'_> {
    extended.hidden.place(0)
}

/// Every row behind a prompt of its own: keys that are shared would be read from a cache of the GPU's.
fn decode(model: &dyn Inference, rows: usize, prompt: usize, steps: usize) -> Result<Row, ModelError> {
    let mut all = Vec::with_capacity(rows);
    for row in 0..rows as u32 {
        let read = tokens(model, prompt, 1 + row * 977);
        let kv = model.extend_all(&[Edge { prefix: None, tokens: &read, read: prompt }])?.swap_remove(0).kv;
        all.push(DecodeRow::new(kv, read[0], (RUNS + 1) * steps));
    }
    let run = || (0..steps).try_for_each(|_| model.decode_likeliest(&mut all).map(drop));
    let seconds = median(run)? / steps as f64;
    let slot = model.kv_bytes(1 << 16) as f64 / f64::from(1 << 16);
    // The run in the middle, after the one that warms up, and half of its own steps.
    let length = prompt + steps * (RUNS / 2 + 1) + steps / 2;
    Ok(Row {
        name: "decode",
        shape: format!("{rows} rows behind {length}"),
        seconds,
        operations: rows as f64 * (layers(model) + output(model)),
        bytes: weight_bytes(model) + (rows * length) as f64 * slot,
    })
}

/// Seconds of a run, after one that warms up.
fn median(mut run: impl FnMut() -> Result<(), ModelError>) -> Result<f64, ModelError> {
    run()?;
    let mut all = Vec::with_capacity(RUNS);
    for _ in 0..RUNS {
        let begun = Instant::now();
        run()?;
        all.push(begun.elapsed().as_secs_f64());
    }
    all.sort_by(f64::total_cmp);
    Ok(all[RUNS / 2])
}

/// Multiplications and additions of the matrices of all layers for a token.
fn layers(model: &dyn Inference) -> f64 {
    let config = model.config();
    let embedding = config.embedding_parameters();
    2.0 * (config.parameters() - embedding) as f64
}

/// Those of the output layer.
fn output(model: &dyn Inference) -> f64 {
    2.0 * (model.config().vocab_size * model.config().hidden_size) as f64
}

/// Those of attention for a pair of a token and one that it sees, in all layers.
fn attention(model: &dyn Inference) -> f64 {
    let config = model.config();
    4.0 * (config.num_hidden_layers * config.num_attention_heads * config.head_dim) as f64
}

/// Bytes of the weights, of which an embedding that is not the output layer is read at single rows alone.
fn weight_bytes(model: &dyn Inference) -> f64 {
    let config = model.config();
    let embedding = if config.tie_word_embeddings { 0 } else { config.vocab_size * config.hidden_size };
    let size = if model.dtype() == "f32" { 4.0 } else { 2.0 };
    (config.parameters() - embedding as u64) as f64 * size
}
