use sekisho_domain::Tokens;

/// How positions on an axis grow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scale {
    /// Equal distances are equal differences.
    Linear,
    /// Equal distances are equal ratios. There is no zero on it.
    Log,
}

impl Scale {
    /// The position before it is mapped to pixels. `value` is above zero on a log scale.
    pub(crate) fn position(self, value: f64) -> f64 {
        match self {
            Self::Linear => value,
            Self::Log => value.log10(),
        }
    }

    /// Whether the scale has a place for the value.
    pub(crate) fn holds(self, value: f64) -> bool {
        value.is_finite() && (self == Self::Linear || value > 0.0)
    }
}

/// How the numbers beside the ticks are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Numbers {
    /// `0.25`, with as many digits as the step between ticks needs.
    Plain,
    /// `51.2k`, `1.2M`, `3.5B`.
    Short,
    /// Billions without suffix, for an axis titled `[billion]`: `0.1`, `10`, `1,000`.
    Billions,
    /// Millions without suffix, for an axis titled `[million]`: `0.05`, `1`, `500`.
    Millions,
    /// `3e-4`.
    Scientific,
}

/// A mark on an axis.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Tick {
    /// The value it stands at.
    pub(crate) at: f64,
    /// The number beside it.
    pub(crate) label: String,
}

/// Ticks at round values within `low..=high`, about `wanted` of them. On a log scale powers of ten; where these are too few, also
/// their doubles and fivefolds; within less than a decade the round values of a linear axis.
pub(crate) fn ticks(scale: Scale, numbers: Numbers, low: f64, high: f64, wanted: usize) -> Vec<Tick> {
    let (values, step) = match scale {
        Scale::Linear => linear(low, high, wanted),
        Scale::Log => log(low, high, wanted),
    };
    values.into_iter().map(|at| Tick { at, label: label(numbers, at, step) }).collect()
}

/// The range widened to round values, for an axis that should begin and end with a tick.
pub(crate) fn rounded(low: f64, high: f64, wanted: usize) -> (f64, f64) {
    let once = |(low, high): (f64, f64)| {
        let step = step(low, high, wanted);
        // A value that is a tick already, but for its last bit, stays where it is.
        ((low / step + 1e-9).floor() * step, (high / step - 1e-9).ceil() * step)
    };
    // The wider range may ask for a larger step.
    once(once((low, high)))
}

/// 1, 2 or 5 times a power of ten, whichever is nearest in ratio.
fn step(low: f64, high: f64, wanted: usize) -> f64 {
    let rough = (high - low) / wanted.max(1) as f64;
    let power = 10f64.powf(rough.log10().floor());
    let factor = match rough / power {
        f if f < 1.414 => 1.0,
        f if f < 3.162 => 2.0,
        f if f < 7.071 => 5.0,
        _ => 10.0,
    };
    factor * power
}

fn linear(low: f64, high: f64, wanted: usize) -> (Vec<f64>, f64) {
    let step = step(low, high, wanted);
    if !step.is_finite() || step <= 0.0 {
        return (vec![low], low.abs());
    }
    let first = (low / step - 1e-9).ceil();
    let last = (high / step + 1e-9).floor();
    let values = (0..=(last - first).max(0.0) as usize).map(|i| (first + i as f64) * step).collect();
    (values, step)
}

fn log(low: f64, high: f64, wanted: usize) -> (Vec<f64>, f64) {
    let (first, last) = (low.log10().floor() as i32, high.log10().ceil() as i32);
    let within = |factors: &[f64], every: i32| -> Vec<f64> {
        (first..=last)
            .step_by(every.max(1) as usize)
            .flat_map(|power| factors.iter().map(move |f| f * 10f64.powi(power)))
            .filter(|v| *v >= low * (1.0 - 1e-9) && *v <= high * (1.0 + 1e-9))
            .collect()
    };
    let powers = within(&[1.0], 1);
    if powers.len() > wanted {
        return (within(&[1.0], (powers.len() / wanted.max(1)) as i32 + 1), low);
    }
    if powers.len() >= 3 {
        return (powers, low);
    }
    let finer = within(&[1.0, 2.0, 5.0], 1);
    if finer.len() >= 3 { (finer, low) } else { linear(low, high, wanted) }
}

pub(super) fn label(numbers: Numbers, at: f64, step: f64) -> String {
    match numbers {
        Numbers::Plain => plain(at, step),
        Numbers::Short if at < 1000.0 => plain(at, step),
        Numbers::Short => Tokens(at.round() as u64).short(),
        Numbers::Billions if at >= 1e12 => Tokens((at / 1e9).round() as u64).to_string(),
        Numbers::Billions => significant(at / 1e9),
        Numbers::Millions => significant(at / 1e6),
        Numbers::Scientific if at == 0.0 => "0".to_owned(),
        Numbers::Scientific => format!("{at:.1e}").replace(".0e", "e"),
    }
}

fn plain(at: f64, step: f64) -> String {
    let decimals = if step > 0.0 { (-(step.log10() + 1e-9).floor()).clamp(0.0, 6.0) } else { 3.0 };
    // Minus as typography has it, and no "-0.0".
    let text = format!("{:.*}", decimals as usize, at + 0.0);
    text.replace('-', "\u{2212}")
}

/// Three significant digits, without zeros at the end: `0.0001`, `0.25`, `120`.
fn significant(value: f64) -> String {
    if value == 0.0 {
        return "0".to_owned();
    }
    let decimals = (2 - value.abs().log10().floor() as i32).clamp(0, 15) as usize;
    let text = format!("{value:.decimals$}");
    match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text,
    }
}

/// Which labels are written, of ticks in ascending order at these places: those that touch no other. Powers of ten come first on a
/// log scale, then from the left. `width` answers how long a label is.
pub(super) fn readable(
    scale: Scale,
    ticks: &[Tick],
    place: impl Fn(f64) -> f64,
    width: impl Fn(&str) -> f64,
) -> Vec<bool> {
    let is_power = |tick: &Tick| (tick.at.log10() - tick.at.log10().round()).abs() < 1e-9;
    let mut order: Vec<usize> = (0..ticks.len()).collect();
    order.sort_by_key(|i| scale == Scale::Log && !is_power(&ticks[*i]));
    let mut taken: Vec<(f64, f64)> = Vec::new();
    let mut written = vec![false; ticks.len()];
    for i in order {
        let (at, half) = (place(ticks[i].at), width(&ticks[i].label) / 2.0);
        written[i] = taken.iter().all(|(from, to)| at + half <= *from || at - half >= *to);
        if written[i] {
            taken.push((at - half, at + half));
        }
    }
    written
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(scale: Scale, numbers: Numbers, (low, high): (f64, f64), expected: &[&str]) {
        let labels: Vec<String> = ticks(scale, numbers, low, high, 6).into_iter().map(|t| t.label).collect();
        assert_eq!(labels, expected, "{scale:?} {low}..{high}");
    }

    #[test]
    fn ticks_stand_at_round_values() {
        use Numbers as N;
        use Scale::{Linear, Log};
        check(Linear, N::Plain, (0.0, 1.0), &["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]);
        check(Linear, N::Plain, (-0.1, 0.1), &["−0.10", "−0.05", "0.00", "0.05", "0.10"]);
        let fifties = ["0", "50k", "100k", "150k", "200k", "250k", "300k", "350k", "400k"];
        check(Linear, N::Short, (0.0, 417_233.0), &fifties);
        check(Log, N::Short, (1.0, 90_000.0), &["1", "10", "100", "1k", "10k"]);
        check(Log, N::Short, (51_200.0, 4e6), &["100k", "200k", "500k", "1M", "2M"]);
        check(Log, N::Billions, (8e8, 3.5e12), &["1", "10", "100", "1,000"]);
        check(Log, N::Billions, (1e5, 2e9), &["0.0001", "0.001", "0.01", "0.1", "1"]);
        check(Log, N::Millions, (51_200.0, 2.6e6), &["0.1", "0.2", "0.5", "1", "2"]);
        check(Linear, N::Billions, (0.0, 1e9), &["0", "0.2", "0.4", "0.6", "0.8", "1"]);
        check(Log, N::Scientific, (1e-5, 3e-4), &["1e-5", "2e-5", "5e-5", "1e-4", "2e-4"]);
        check(Log, N::Short, (51_200.0, 61_000.0), &["52k", "54k", "56k", "58k", "60k"]);
    }

    #[test]
    fn labels_that_would_touch_are_left_out_powers_of_ten_last() {
        let found = ticks(Scale::Log, Numbers::Short, 51_200.0, 4e6, 6);
        let written = |pixels: f64| -> Vec<String> {
            let place = |at: f64| pixels * (at / 51_200.0).log10();
            let keep = readable(Scale::Log, &found, place, |label| 8.0 * label.len() as f64);
            found.iter().zip(keep).filter(|(_, keep)| *keep).map(|(tick, _)| tick.label.clone()).collect()
        };
        assert_eq!(written(300.0), ["100k", "200k", "500k", "1M", "2M"]);
        assert_eq!(written(40.0), ["100k", "1M"]);
    }

    #[test]
    fn a_range_is_widened_to_ticks() {
        let near = |found: (f64, f64), low: f64, high: f64| {
            assert!((found.0 - low).abs() < 1e-9 && (found.1 - high).abs() < 1e-9, "{found:?}");
        };
        near(rounded(0.13, 0.58, 5), 0.1, 0.6);
        near(rounded(0.15, 0.45, 6), 0.15, 0.45);
    }
}
