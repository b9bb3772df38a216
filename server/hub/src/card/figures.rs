//! Numbers as a card writes them.

use sekisho_domain::Language;
use sekisho_domain::score::Interval;

/// A count in prose: "about 3.5 trillion", 「約3.5兆」; three significant digits from a million on. 1B is 10億 and 1T is 1兆.
pub(super) fn about(count: u64, language: Language) -> String {
    const EN: [(u64, &str); 3] =
        [(1_000_000_000_000, " trillion"), (1_000_000_000, " billion"), (1_000_000, " million")];
    const JA: [(u64, &str); 3] = [(1_000_000_000_000, "兆"), (100_000_000, "億"), (10_000, "万")];
    let units = if language == Language::En { EN } else { JA };
    match units.into_iter().find(|(unit, _)| count >= *unit) {
        Some((unit, name)) if count >= 1_000_000 => {
            let number = significant(count, unit);
            if language == Language::En {
                format!("about {number}{name}")
            } else {
                format!("約{number}{name}")
            }
        }
        _ => exact(count),
    }
}

/// Three significant digits in units of `unit`, so that both languages round the same count to the same value.
fn significant(count: u64, unit: u64) -> String {
    let digits = count.ilog10();
    let grain = 10_u64.pow(digits.saturating_sub(2));
    let rounded = (count + grain / 2) / grain * grain;
    let (whole, rest) = (rounded / unit, rounded % unit);
    let width = unit.ilog10() as usize;
    let fraction = format!("{rest:0width$}");
    let fraction = fraction.trim_end_matches('0');
    if fraction.is_empty() { exact(whole) } else { format!("{}.{fraction}", exact(whole)) }
}

/// 2,072,488,058,295.
pub(super) fn exact(count: u64) -> String {
    sekisho_domain::Tokens(count).to_string()
}

/// `0.612 [0.587, 0.637]`, or one decimal for metrics from 0 to 100.
pub(super) fn score(value: f64, low: f64, high: f64, percent: bool) -> (String, String) {
    let show = |x: f64| if percent { format!("{x:.1}") } else { format!("{x:.3}") };
    (show(value), format!("[{}, {}]", show(low), show(high)))
}

/// BLEU, chrF and ROUGE run from 0 to 100, everything else to 1.
pub(super) fn is_percent(metric: &str) -> bool {
    let metric = metric.to_lowercase();
    ["bleu", "chrf", "rouge"].iter().any(|name| metric.contains(name))
}

pub(super) fn interval(interval: &Interval) -> (String, String) {
    score(interval.value, interval.low, interval.high, false)
}

/// `3e-4`, never `0.0003`.
pub(super) fn small(value: f64) -> String {
    if value != 0.0 && value.abs() < 0.01 { format!("{value:e}") } else { value.to_string() }
}

/// `+0.065`, `−0.018`, with the digits of the score.
pub(super) fn signed(value: f64, percent: bool) -> String {
    let digits = if percent { 1 } else { 3 };
    let size = format!("{:.digits$}", value.abs());
    format!("{}{size}", if value < 0.0 { '−' } else { '+' })
}

/// `p < 0.001`, `p = 0.011`, `p = 0.21`.
pub(super) fn p_value(p: f64) -> String {
    match p {
        p if p < 0.001 => "p < 0.001".to_owned(),
        p if p < 0.0995 => format!("p = {p:.3}"),
        p => format!("p = {p:.2}"),
    }
}

/// A share: whole percents, one decimal near the ends; only nothing is 0 % and only all is 100 %.
pub(super) fn percent(part: u64, whole: u64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "three digits are printed")]
    let share = 100.0 * part as f64 / whole.max(1) as f64;
    match share {
        _ if part == 0 => "0%".to_owned(),
        _ if part >= whole => "100%".to_owned(),
        share if share < 1.0 => format!("{:.1}%", share.max(0.1)),
        share if share > 99.0 => format!("{:.1}%", share.min(99.9)),
        share => format!("{share:.0}%"),
    }
}

/// `16 GB`, `52 MB`: two significant digits, powers of ten as the Hub has them.
pub(super) fn bytes(count: u64) -> String {
    const UNITS: [(u64, &str); 3] = [(1_000_000_000_000, "TB"), (1_000_000_000, "GB"), (1_000_000, "MB")];
    let (unit, name) = UNITS.into_iter().find(|(unit, _)| count >= *unit).unwrap_or((1_000, "kB"));
    let grain = 10_u64.pow(count.max(1).ilog10().saturating_sub(1));
    let rounded = (count + grain / 2) / grain * grain;
    #[expect(clippy::cast_precision_loss, reason = "two digits are printed")]
    let size = rounded as f64 / unit as f64;
    format!("{size} {name}")
}

/// `2026-12-01`, 「2026年12月1日」; what is no such day as it stands.
pub(super) fn day(date: &str, language: Language) -> String {
    let parts: Vec<u16> = date.split('-').filter_map(|part| part.parse().ok()).collect();
    match (language, parts.as_slice()) {
        (Language::Ja, [year, month, day]) => format!("{year}年{month}月{day}日"),
        _ => date.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use sekisho_domain::Language::{En, Ja};

    use super::{about, bytes, day, p_value, percent, signed, small};

    #[test]
    fn differences_shares_and_days() {
        assert_eq!(
            [signed(0.0651, false), signed(-0.0184, false), signed(1.25, true)],
            ["+0.065", "−0.018", "+1.2"]
        );
        assert_eq!(
            [0.0004, 0.0112, 0.044, 0.0996, 0.21].map(p_value),
            ["p < 0.001", "p = 0.011", "p = 0.044", "p = 0.10", "p = 0.21"]
        );
        for (part, whole, expected) in [
            (1, 2, "50%"),
            (54_321, 100_000, "54%"),
            (0, 5, "0%"),
            (5, 5, "100%"),
            (0, 0, "0%"),
            (9_999, 10_000, "99.9%"),
            (3, 1_000, "0.3%"),
        ] {
            assert_eq!(percent(part, whole), expected);
        }
        assert_eq!(
            [bytes(16_060_522_496), bytes(52_000_000), bytes(344_000_000_000)],
            ["16 GB", "52 MB", "340 GB"]
        );
        assert_eq!([bytes(1_500_000_000_000), bytes(7_000)], ["1.5 TB", "7 kB"]);
        assert_eq!(
            [day("2026-12-01", En), day("2026-12-01", Ja), day("?", Ja)],
            ["2026-12-01", "2026年12月1日", "?"]
        );
    }

    #[test]
    fn counts_read_the_same_in_both_languages() {
        for (count, en, ja) in [
            (999, "999", "999"),
            (123_400, "123,400", "123,400"),
            (1_234_000, "about 1.23 million", "約123万"),
            (12_345_678, "about 12.3 million", "約1,230万"),
            (1_000_000_000, "about 1 billion", "約10億"),
            (90_000_000_000, "about 90 billion", "約900億"),
            (123_400_000_000, "about 123 billion", "約1,230億"),
            (3_500_000_000_000, "about 3.5 trillion", "約3.5兆"),
            (9_996_000, "about 10 million", "約1,000万"),
        ] {
            assert_eq!((about(count, En).as_str(), about(count, Ja).as_str()), (en, ja), "{count}");
        }
    }

    #[test]
    fn small_values_have_exponents() {
        assert_eq!(
            [small(3e-4), small(1e-8), small(0.1), small(0.95), small(0.0)],
            ["3e-4", "1e-8", "0.1", "0.95", "0"]
        );
    }
}
