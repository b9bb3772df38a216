//! Tokens per second of a checkpoint: `cargo run --release -p sekisho-model --example throughput -- CHECKPOINT`.
//! `RAYON_NUM_THREADS` sets the threads.
#![expect(clippy::print_stdout, reason = "a program for the terminal")]

use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use sekisho_model::{DecodeRow, Inference, Llama, Place};

/// Repetitions; the fastest counts, the others had company on the machine.
const TIMES: usize = 5;

fn main() -> Result<(), Box<dyn Error>> {
    let dir = std::env::args().nth(1).ok_or("usage: throughput CHECKPOINT")?;
    let start = Instant::now();
    let model = Llama::load(Path::new(&dir))?;
    println!("loaded in {:.2} s", start.elapsed().as_secs_f64());
    let vocabulary = u32::try_from(model.config().vocab_size)?;
    let tokens: Vec<u32> = (0..2048).map(|i: u32| i.wrapping_mul(2_654_435_761) % vocabulary).collect();
    for length in [128, 512, 2048] {
        let seconds = fastest(|| model.extend(None, &tokens[..length]).map(drop))?;
        println!("prefill of {length} tokens: {:.0} tokens/s", length as f64 / seconds);
    }
    let hidden = model.extend(None, &tokens[..512])?.hidden;
    let places: Vec<Place<'_>> = hidden.places(0..512).collect();
    let seconds = fastest(|| model.logits(&places).map(drop))?;
    println!("logits of 512 positions: {:.0} positions/s", 512.0 / seconds);
    let prompt = model.extend(None, &tokens[..256])?.kv;
    for batch in [1, 8, 32] {
        const STEPS: usize = 64;
        let seconds = fastest(|| {
            let row = |token: &u32| DecodeRow::new(Arc::clone(&prompt), *token, 64);
            let mut rows: Vec<DecodeRow> = tokens[..batch].iter().map(row).collect();
            (0..STEPS).try_for_each(|_| model.decode(&mut rows).map(drop))
        })?;
        println!("decode of {batch} rows after 256 tokens: {:.0} tokens/s", (batch * STEPS) as f64 / seconds);
    }
    Ok(())
}

fn fastest<E>(mut run: impl FnMut() -> Result<(), E>) -> Result<f64, E> {
    let mut best = f64::INFINITY;
    for _ in 0..TIMES {
        let start = Instant::now();
        run()?;
        best = best.min(start.elapsed().as_secs_f64());
    }
    Ok(best)
}
