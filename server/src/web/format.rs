//! Numbers, units and dates as they stand on the screen. A minus is U+2212; scores are 0–1 with three decimals.

use jiff::tz::TimeZone;
use sekisho_domain::{Language, Timestamp, Tokens};

use super::i18n::Words as _;

/// `0.412`.
pub(crate) fn score(value: f64) -> String {
    minus(&format!("{value:.3}"))
}

/// `[0.373, 0.451]`.
pub(crate) fn interval(low: f64, high: f64) -> String {
    format!("[{}, {}]", score(low), score(high))
}

/// `+0.006`, `−0.018`.
pub(crate) fn difference(value: f64) -> String {
    minus(&format!("{value:+.3}"))
}

/// `1.832` for a loss.
pub(crate) fn loss(value: f64) -> String {
    minus(&format!("{value:.3}"))
}

/// `3e-4`, `1.25e-5`: learning rates and small coefficients.
pub(crate) fn scientific(value: f64) -> String {
    if value == 0.0 {
        return "0".to_owned();
    }
    let text = format!("{value:.2e}");
    let Some((digits, exponent)) = text.split_once('e') else { return text };
    format!("{}e{exponent}", digits.trim_end_matches('0').trim_end_matches('.'))
}

/// `p = 0.021`, `p < 0.001`.
pub(crate) fn p_value(p: f64) -> String {
    if p < 0.001 { "p < 0.001".to_owned() } else { format!("p = {p:.3}") }
}

/// `14.3%`.
pub(crate) fn percent(part: f64, whole: f64) -> String {
    // Of nothing nothing is done.
    format!("{:.1}%", if whole > 0.0 { 100.0 * part / whole } else { 0.0 })
}

/// `2,072,488`.
pub(crate) fn count(value: u64) -> String {
    Tokens(value).to_string()
}

/// `1.8B`, `260k`.
pub(crate) fn short(value: u64) -> String {
    Tokens(value).short()
}

/// `16.1 GB`: decimal units, as the Hub has them.
pub(crate) fn bytes(size: u64) -> String {
    if size < 1000 {
        return format!("{size} B");
    }
    let (divisor, unit) = match size {
        0..1_000_000 => (1e3, "kB"),
        1_000_000..1_000_000_000 => (1e6, "MB"),
        1_000_000_000..1_000_000_000_000 => (1e9, "GB"),
        _ => (1e12, "TB"),
    };
    format!("{:.1} {unit}", size as f64 / divisor)
}

/// `4日3時間`, `1 h 42 min`: the two largest units.
pub(crate) fn duration(lang: Language, seconds: f64) -> String {
    if seconds > 0.0 && seconds < 9.95 {
        return lang.fill("duration.s", &[("n", &format!("{seconds:.1}"))]);
    }
    let total = seconds.max(0.0).round() as u64;
    let parts =
        [(total / 86_400, "d"), (total / 3600 % 24, "h"), (total / 60 % 60, "min"), (total % 60, "s")];
    let first = parts.iter().position(|part| part.0 > 0).unwrap_or(3);
    let shown = parts[first..].iter().take(2).filter(|part| part.0 > 0 || total == 0);
    let words: Vec<String> =
        shown.map(|(n, unit)| lang.fill(&format!("duration.{unit}"), &[("n", n)])).collect();
    words.join(if lang == Language::Ja { "" } else { " " })
}

/// `2時間前`, `2 h ago`: the largest unit.
pub(crate) fn ago(lang: Language, now: Timestamp, then: Timestamp) -> String {
    let seconds = now.seconds_since(then);
    let coarse = match seconds {
        s if s < 60.0 => return lang.t("duration.now").to_owned(),
        s if s < 3600.0 => (s / 60.0).floor() * 60.0,
        s if s < 86_400.0 => (s / 3600.0).floor() * 3600.0,
        s => (s / 86_400.0).floor() * 86_400.0,
    };
    lang.fill("duration.ago", &[("duration", &duration(lang, coarse))])
}

/// `2026-11-21 14:03 JST`.
pub(crate) fn stamp(zone: &TimeZone, at: Timestamp) -> String {
    let zoned = at.to_jiff().to_zoned(zone.clone());
    zoned.strftime("%Y-%m-%d %H:%M %Z").to_string()
}

/// `50.1Bトークン/日` from a second's tokens on; per second below a billion a day.
pub(crate) fn throughput(lang: Language, tokens_per_second: f64) -> String {
    let per_day = tokens_per_second * 86_400.0;
    let (key, value) = if per_day >= 1e9 {
        ("unit.tokens_per_day", per_day)
    } else {
        ("unit.tokens_per_second", tokens_per_second)
    };
    lang.fill(key, &[("n", &short(value.round() as u64))])
}

fn minus(text: &str) -> String {
    text.replace('-', "\u{2212}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_the_field_writes_them() {
        assert_eq!([score(0.4123), interval(0.373, 0.4512)], ["0.412", "[0.373, 0.451]"]);
        assert_eq!([difference(0.006), difference(-0.018)], ["+0.006", "−0.018"]);
        assert_eq!([scientific(3e-4), scientific(1e-8), scientific(1.25e-5)], ["3e-4", "1e-8", "1.25e-5"]);
        assert_eq!([bytes(999), bytes(16_100_000_000), bytes(1_500)], ["999 B", "16.1 GB", "1.5 kB"]);
        assert_eq!([p_value(0.0004), p_value(0.001), p_value(0.21)], ["p < 0.001", "p = 0.001", "p = 0.210"]);
        assert_eq!(percent(500.0, 3500.0), "14.3%");
        assert_eq!(throughput(Language::Ja, 579_000.0), "50Bトークン/日");
    }

    #[test]
    fn times_are_written_in_the_language_of_the_page() {
        assert_eq!(
            [duration(Language::Ja, 6120.0), duration(Language::En, 6120.0)],
            ["1時間42分", "1 h 42 min"]
        );
        assert_eq!([duration(Language::Ja, 38.2), duration(Language::Ja, 0.0)], ["38秒", "0秒"]);
        assert_eq!(duration(Language::En, 356_400.0), "4 d 3 h");
        let then = Timestamp::from_unix_ms(1_795_237_380_000);
        assert_eq!(ago(Language::Ja, then.plus_seconds(7300), then), "2時間前");
        let tokyo = TimeZone::fixed(jiff::tz::offset(9));
        assert_eq!(stamp(&tokyo, then), "2026-11-21 14:03 +09");
    }
}
