//! nanotron's iteration line: `iteration: 2 / 15 | consumed_tokens: 1.02K | elapsed_time_per_iteration_ms: 11.8 | tokens_per_sec: 43.2K |
//! … | lm_loss: 5.32 | lr: 0.00015 | grad_norm: 2.96`; newer ones say `time_per_iteration_ms` and end with `eta`. Numbers have three
//! digits and a unit of thousand, so tokens are reckoned from the start's `sequence_length: 2048 | global_batch_size: 1024` where that is
//! in the log. Source: `DistributedTrainer.train_step_logs` and `LoggerWriter` in huggingface/nanotron of 2024 and 2025.

use serde_json::json;

use crate::log::{Said, Setup};
use crate::number;

/// Reads a line without colours.
pub(crate) fn read(line: &str) -> Option<Said> {
    let fields = |from: usize| {
        line[from..].split('|').filter_map(|field| field.split_once(':').map(|(n, v)| (n.trim(), v.trim())))
    };
    let Some(at) = line.find("iteration: ").filter(|_| line.contains("| consumed_tokens:")) else {
        let at = line.find("mbs: ").filter(|_| line.contains("| sequence_length:"))?;
        return Some(Said::Setup(setup(&fields(at).collect::<Vec<_>>())));
    };
    let mut fields = fields(at);
    let (_, counter) = fields.next()?;
    let step = number::count(number::plain(counter.split('/').next()?.trim())?)?;
    let metrics: Vec<(String, f64)> = fields
        .filter(|(name, _)| *name != "eta")
        .filter_map(|(name, value)| {
            let value = number::human(value)?;
            Some(match name {
                "elapsed_time_per_iteration_ms" | "time_per_iteration_ms" => {
                    ("seconds".to_owned(), value / 1000.0)
                }
                _ => (name.to_owned(), value),
            })
        })
        .collect();
    Some(Said::Metrics { step, samples: None, metrics, time: time(&line[..at]) })
}

/// `08/31/2024 14:37:31 [INFO|DP=0|PP=0|TP=0]: `; the year is missing in newer ones, and such a time says too little.
fn time(head: &str) -> Option<String> {
    let words: Vec<&str> = head.split_whitespace().collect();
    let at = words.iter().position(|word| word.len() == 10 && word.split('/').count() == 3)?;
    let day: Vec<&str> = words[at].split('/').collect();
    Some(format!("{}-{}-{} {}", day[2], day[0], day[1], words.get(at + 1)?))
}

fn setup(fields: &[(&str, &str)]) -> Setup {
    let count = |name: &str| {
        let (_, value) = fields.iter().find(|(known, _)| *known == name)?;
        value.parse::<u64>().ok()
    };
    let (sequence_length, sequences) = (count("sequence_length"), count("global_batch_size"));
    let mut spec = json!({ "trainer": "nanotron" });
    let mut put = |section: &str, key: &str, value: Option<u64>| {
        if let Some(value) = value {
            spec[section][key] = value.into();
        }
    };
    put("data", "sequence_length", sequence_length);
    put("batch", "sequences", sequences);
    put("batch", "micro", count("mbs"));
    put("schedule", "total_steps", count("train_steps"));
    put("stop", "steps", count("train_steps"));
    Setup { sequence_length, sequences, spec: Some(spec) }
}
