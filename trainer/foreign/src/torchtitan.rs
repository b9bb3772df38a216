//! torchtitan's metric line: `step: 10  loss: 10.7069  grad_norm:  1.5  memory: 30.99GiB(32.62%)  tps: 7,034  tflops: 407.35  mfu: 41.19%`,
//! with colours and behind the logger's head; and its `validate step:`. Older ones have no `grad_norm`, no `tflops`, newer ones further
//! fields. The start says `… global batch size 64, gradient accumulation steps 1, sequence length 8192, total steps 1000 (warmup 200)`.
//! Source: `MetricsProcessor.log` and the trainer's start in pytorch/torchtitan of 2025.

use serde_json::json;

use crate::log::{Said, Setup};
use crate::number;

/// Reads a line without colours.
pub(crate) fn read(line: &str) -> Option<Said> {
    if let Some((_, start)) = line.split_once("Trainer is initialized with ") {
        return Some(Said::Setup(setup(start)));
    }
    let at = line.find("step: ")?;
    let validation = line[..at].trim_end().ends_with("validate");
    let (step, rest) = line[at + "step: ".len()..].trim_start().split_once("  ")?;
    let step = number::count(number::plain(step.trim())?)?;
    let prefix = if validation { "validation/" } else { "" };
    let metrics: Vec<_> = pairs(rest)
        .flat_map(|(name, value)| match name {
            // `30.99GiB(32.62%)`
            "memory" => value.split_once("GiB").map(|(gib, _)| ("memory_gib", gib)),
            "tps" => Some(("tokens_per_second_per_gpu", value)),
            "mfu" => Some(("mfu_percent", value)),
            _ => Some((name, value)),
        })
        .filter_map(|(name, value)| Some((format!("{prefix}{name}"), number::leading(value)?)))
        .collect();
    let loss = format!("{prefix}loss");
    metrics.iter().any(|(name, _)| *name == loss).then(|| Said::Metrics {
        step,
        samples: None,
        metrics,
        time: time(&line[..at]),
    })
}

/// `name: value` pairs, two blanks apart; a value may be padded.
fn pairs(rest: &str) -> impl Iterator<Item = (&str, &str)> {
    let mut rest = rest;
    std::iter::from_fn(move || {
        let (name, after) = rest.split_once(':')?;
        let after = after.trim_start();
        let end = after.find(char::is_whitespace).unwrap_or(after.len());
        let (value, left) = after.split_at(end);
        rest = left;
        Some((name.trim(), value))
    })
}

/// `[titan] 2025-06-04 08:51:48,074 - root - INFO - `
fn time(head: &str) -> Option<String> {
    let words: Vec<&str> = head.split_whitespace().collect();
    let at = words.iter().position(|word| word.len() == 10 && word.as_bytes().get(4) == Some(&b'-'))?;
    let clock = words.get(at + 1)?.split(',').next()?;
    Some(format!("{} {clock}", words[at].trim_start_matches('[')))
}

fn setup(text: &str) -> Setup {
    let after = |name: &str| {
        let (_, rest) = text.split_once(name)?;
        let digits = rest.trim_start().split(|c: char| !c.is_ascii_digit()).next()?;
        digits.parse::<u64>().ok()
    };
    let (sequences, sequence_length) = (after("global batch size "), after("sequence length "));
    let (steps, warmup) = (after("total steps "), after("(warmup "));
    let mut spec = json!({ "trainer": "torchtitan" });
    let mut put = |section: &str, key: &str, value: Option<u64>| {
        if let Some(value) = value {
            spec[section][key] = value.into();
        }
    };
    put("data", "sequence_length", sequence_length);
    put("batch", "sequences", sequences);
    put("batch", "micro", after("local batch size "));
    put("schedule", "warmup_steps", warmup);
    put("schedule", "total_steps", steps);
    put("stop", "steps", steps);
    Setup { sequence_length, sequences, spec: Some(spec) }
}
