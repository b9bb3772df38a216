//! How fast a whole model reads and generates.

use std::sync::Arc;
use std::time::Instant;

use super::{Row, Scale};
use crate::{Ask, DecodeRow, Edge, Inference, Kv, ModelError};

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
    Ok([prefill(model, &prompt, shape)?, decode(model, &prompt, pick(256, 3), pick(32, 2))?])
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

fn decode(model: &dyn Inference, prompt: &Arc<Kv>, rows: usize, steps: usize) -> Result<Row, ModelError> {
    let start = |token: u32| DecodeRow::new(prompt.clone(), token, (RUNS + 2) * steps);
    let mut all: Vec<DecodeRow> = tokens(model, rows, 5).into_iter().map(start).collect();
    let run = || (0..steps).try_for_each(|_| model.decode_likeliest(&mut all).map(drop));
    let seconds = median(run)? / steps as f64;
    let slot = model.kv_bytes(1 << 16) as f64 / f64::from(1 << 16);
    Ok(Row {
        name: "decode",
        shape: format!("{rows} rows behind {}", prompt.len()),
        seconds,
        operations: rows as f64 * (layers(model) + output(model)),
        bytes: weight_bytes(model) + (rows * prompt.len()) as f64 * slot,
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
