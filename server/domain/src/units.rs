use std::fmt;

use serde::{Deserialize, Serialize};

/// Optimiser updates, counted from 1 within a run's own stage.
#[derive(
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Debug,
    Default,
    Serialize,
    Deserialize,
    utoipa::ToSchema,
)]
#[serde(transparent)]
pub struct Step(pub u64);

/// Training targets seen, within a run's own stage unless a name says "cumulative".
#[derive(
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Debug,
    Default,
    Serialize,
    Deserialize,
    utoipa::ToSchema,
)]
#[serde(transparent)]
pub struct Tokens(pub u64);

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&grouped(self.0))
    }
}

impl fmt::Display for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&grouped(self.0))
    }
}

impl Tokens {
    /// `51.2k`, `8.39M`, `500B`, `3.50T`: three significant digits, as decks and spec sheets write it.
    #[must_use]
    pub fn short(self) -> String {
        short(self.0)
    }
}

/// 2072488 → `2,072,488`.
fn grouped(value: u64) -> String {
    let digits = value.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

fn short(value: u64) -> String {
    const UNITS: [(u64, &str); 4] =
        [(1_000_000_000_000, "T"), (1_000_000_000, "B"), (1_000_000, "M"), (1_000, "k")];
    let Some((unit, suffix)) = UNITS.into_iter().find(|(unit, _)| value >= *unit) else {
        return value.to_string();
    };
    #[expect(clippy::cast_precision_loss, reason = "three significant digits are printed")]
    let scaled = value as f64 / unit as f64;
    let text = match scaled {
        x if x >= 100.0 => format!("{x:.0}"),
        x if x >= 10.0 => format!("{x:.1}"),
        x => format!("{x:.2}"),
    };
    let text = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
    format!("{text}{suffix}")
}

#[cfg(test)]
mod tests {
    use super::{Tokens, grouped};

    #[test]
    fn numbers_are_written_as_spec_sheets_write_them() {
        assert_eq!(grouped(2_072_488_058_295), "2,072,488,058,295");
        for (tokens, text) in [
            (999, "999"),
            (51_200, "51.2k"),
            (8_388_608, "8.39M"),
            (500_000_000_000, "500B"),
            (3_500_000_000_000, "3.5T"),
        ] {
            assert_eq!(Tokens(tokens).short(), text);
        }
    }
}
