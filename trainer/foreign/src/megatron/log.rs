//! Iteration lines: ` [2025-04-13 23:41:20] iteration       20/    1000 | consumed samples:          320 | elapsed time per iteration
//! (ms): 820.7 | learning rate: 4.000000E-05 | global batch size:    16 | lm loss: 1.072453E+01 | loss scale: 131072.0 | grad norm: 3.874 |
//! number of skipped iterations:   6 | number of nan iterations:   0 |`. Before 2020 names had no colon, and until 2024 there was no time; forks
//! write `(s)`, `consumed tokens`, `throughput per GPU (TFLOP/s/GPU)`, `TFLOPs`, the mean behind a slash. A loss is printed only where it
//! is above 0, so NaN leaves none.

use crate::log::Said;
use crate::number;

/// Reads a line without colours.
pub(crate) fn read(line: &str) -> Option<Said> {
    if line.contains("[after training is done]") {
        let time = line.split_once("datetime: ").map(|(_, time)| time.trim().to_owned());
        return Some(Said::Finished { time });
    }
    if let Some((_, rest)) = line.split_once("validation loss at iteration ") {
        return validation(rest);
    }
    let at = line.find("iteration ").filter(|at| !line[..*at].ends_with(|c: char| c.is_alphanumeric()))?;
    let mut fields = line[at + "iteration ".len()..].split('|');
    let (step, total) = fields.next()?.split_once('/')?;
    let step = step.trim().parse().ok()?;
    (total.trim() == "infinity" || total.trim().parse::<u64>().is_ok()).then_some(())?;
    let (mut samples, mut metrics) = (None, Vec::new());
    for (name, value) in fields.filter_map(field) {
        match name {
            "consumed samples" => samples = number::count(value),
            "elapsed time per iteration (ms)" => metrics.push(("seconds".to_owned(), value / 1000.0)),
            "elapsed time per iteration (s)" => metrics.push(("seconds".to_owned(), value)),
            "number of skipped iterations" => metrics.push(("skipped_iterations".to_owned(), value)),
            "number of nan iterations" => metrics.push(("nan_iterations".to_owned(), value)),
            "throughput per GPU (TFLOP/s/GPU)" | "TFLOPs" => {
                metrics.push(("tflops_per_gpu".to_owned(), value));
            }
            _ => metrics.push((name.to_owned(), value)),
        }
    }
    let known = metrics.iter().any(|(name, _)| name == "seconds");
    known.then(|| Said::Metrics { step, samples, metrics, time: time(&line[..at]) })
}

/// `lm loss: 1.0E+01` or, before 2020, `lm loss 1.0E+01`.
fn field(field: &str) -> Option<(&str, f64)> {
    let field = field.trim();
    let split = field.rsplit_once(": ").or_else(|| field.rsplit_once(' '))?;
    Some((split.0.trim().trim_end_matches(':'), number::leading(split.1)?))
}

/// ` validation loss at iteration 50 | lm loss value: 8.889540E+00 | lm loss PPL: 7.255679E+03 |`; newer ones say on which set.
fn validation(rest: &str) -> Option<Said> {
    let (head, values) = rest.split_once('|')?;
    let step = head.split_whitespace().next()?.parse().ok()?;
    let metrics: Vec<_> = values
        .split('|')
        .filter_map(field)
        .map(|(name, value)| (format!("validation/{}", name.trim_end_matches(" value")), value))
        .collect();
    (!metrics.is_empty()).then_some(Said::Metrics { step, samples: None, metrics, time: None })
}

/// `[2025-04-13 23:41:20]` or `[2025-10-21T16:18:53+08:00]` before the line, whatever stands before it.
fn time(head: &str) -> Option<String> {
    let (_, rest) = head.trim_end().strip_suffix(']')?.rsplit_once('[')?;
    rest.starts_with("20").then(|| rest.to_owned())
}
