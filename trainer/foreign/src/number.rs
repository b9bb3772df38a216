//! Numbers as programs print them.

/// The number at the beginning of a text, without its unit: `7,034`, `62.9 ms`, `513.3/512.9`, `12.5%`, `nan`.
pub(crate) fn leading(text: &str) -> Option<f64> {
    let word = text.split_whitespace().next()?;
    let word = word.split('/').next()?.trim_end_matches('%');
    plain(word)
}

/// A number alone; thousands may be grouped.
pub(crate) fn plain(word: &str) -> Option<f64> {
    let known = |word: &str| {
        let starts = word.trim_start_matches(['+', '-']);
        let named = ["nan", "inf", "infinity"].iter().any(|name| starts.eq_ignore_ascii_case(name));
        (named || starts.starts_with(|c: char| c.is_ascii_digit() || c == '.'))
            .then(|| word.parse().ok())
            .flatten()
    };
    known(word).or_else(|| word.contains(',').then(|| known(&word.replace(',', ""))).flatten())
}

/// `8.79K`, `480B`, `0.112`: three digits and a unit of thousand.
pub(crate) fn human(word: &str) -> Option<f64> {
    const UNITS: [(char, &str); 5] = [('K', "e3"), ('M', "e6"), ('B', "e9"), ('G', "e9"), ('T', "e12")];
    let word = word.trim();
    let unit = UNITS.iter().find_map(|(unit, power)| Some((word.strip_suffix(*unit)?, power)));
    match unit {
        // As one decimal number, so that 8.79K is 8790.
        Some((digits, power)) => plain(&format!("{digits}{power}")),
        None => plain(word),
    }
}

/// A whole number that a float stands for.
pub(crate) fn count(value: f64) -> Option<u64> {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked by the range")]
    (0.0..EXACT).contains(&value).then(|| value.round() as u64)
}

/// A count as a number for reckoning.
#[expect(clippy::cast_precision_loss, reason = "counts of tokens and parameters stay below 2^53")]
pub(crate) const fn float(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::{count, human, leading, plain};

    #[test]
    fn numbers_are_read_as_programs_print_them() {
        for (text, value) in [
            ("7,034  tflops", 7034.0),
            ("513.3/512.9", 513.3),
            ("12.5%", 12.5),
            ("1.342E-04 |", 1.342e-4),
            (".001", 0.001),
            ("-3", -3.0),
        ] {
            assert_eq!(leading(text), Some(value), "{text}");
        }
        assert!(leading("nan").is_some_and(f64::is_nan) && plain("-INF") == Some(f64::NEG_INFINITY));
        for none in ["", "None", "n/a", "GiB", "infinite loop", "1e", "--"] {
            assert_eq!(leading(none), None, "{none}");
        }
        assert_eq!(
            (human("480B"), human("1.02K"), human("0.112")),
            (Some(4.8e11), Some(1020.0), Some(0.112))
        );
        assert_eq!((count(1e30), count(-1.0), count(f64::NAN), count(2.0)), (None, None, None, Some(2)));
    }
}
