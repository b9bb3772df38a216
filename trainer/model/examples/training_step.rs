//! Training throughput of a checkpoint's architecture: forward, backward and the gradient norm of 8 sequences of 512
//! random tokens, in f32, without the optimiser's update, which takes a few percent.
//!
//! `RAYON_NUM_THREADS=2 training_step CHECKPOINT [STEPS]` prints tokens per second and the peak of the process's memory as
//! one line of JSON. `training_step.py` beside this file measures PyTorch in turn with this program.
#![expect(clippy::print_stdout, reason = "a program for the terminal")]

use std::error::Error;
use std::path::Path;
use std::time::Instant;

use sekisho_model::device::Device;
use sekisho_model::train::{Batch, Layout, MicroBatch, Objective, Settings, program};
use sekisho_weights::Checkpoint;

const SEQUENCES: usize = 8;
const LENGTH: usize = 512;
/// Steps before the clock starts: memory is taken, pages are touched.
const WARM_UP: usize = 2;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let dir = arguments.next().ok_or("usage: training_step CHECKPOINT [STEPS]")?;
    let steps: usize = arguments.next().map_or(Ok(10), |steps| steps.parse())?;
    let checkpoint = Checkpoint::open(Path::new(&dir))?;
    let config = checkpoint.config().clone();
    let mut parameters = Vec::new();
    for tensor in Layout::new(&config).tensors() {
        parameters.extend(checkpoint.tensor_f32(&tensor.name)?);
    }
    let tokens = tokens(u32::try_from(config.vocab_size)?);
    let micro = MicroBatch { sequences: SEQUENCES, length: LENGTH };
    let mut program = program(Device::Cpu, config, Settings::default(), micro, parameters)?;
    let rows = SEQUENCES * LENGTH;
    let starts: Vec<usize> = (0..rows).map(|row| row / LENGTH * LENGTH).collect();
    let batch = Batch { length: LENGTH, inputs: &tokens[..rows], targets: &tokens[1..], starts: &starts };
    let objective = Objective { targets: rows as u64, z_loss: 0.0 };
    let mut seconds = Vec::new();
    let mut talk = (0.0, 0.0);
    for step in 0..WARM_UP + steps {
        let start = Instant::now();
        program.zero_gradients();
        program.accumulate(&batch, &objective);
        let measured = program.measure()?;
        talk = (measured.loss.ce / rows as f64, measured.grad_norm);
        if step >= WARM_UP {
            seconds.push(start.elapsed().as_secs_f64());
        }
    }
    seconds.sort_by(f64::total_cmp);
    let rate = |seconds: f64| (rows as f64 / seconds).round();
    let result = serde_json::json!({
        "fastest": rate(seconds[0]),
        "median": rate(seconds[steps / 2]),
        "peak_mib": peak_mib()?,
        "loss": talk.0,
        "norm": talk.1,
    });
    println!("{result}");
    Ok(())
}

/// Random tokens, the same everywhere: one more than the batch has, since targets are the tokens that follow.
fn tokens(vocabulary: u32) -> Vec<u32> {
    let mut state = 1_u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) % vocabulary
    };
    (0..=SEQUENCES * LENGTH).map(|_| next()).collect()
}

/// The most memory that the process had in use, in MiB (Linux).
fn peak_mib() -> Result<u64, Box<dyn Error>> {
    let status = fs_err::read_to_string("/proc/self/status")?;
    let line =
        status.lines().find(|line| line.starts_with("VmHWM:")).ok_or("no VmHWM in /proc/self/status")?;
    let kib = line.split_whitespace().nth(1).ok_or("VmHWM without a number")?;
    Ok(kib.parse::<u64>()? / 1024)
}
