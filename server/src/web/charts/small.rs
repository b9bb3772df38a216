//! Drawings of one line of text: they stand in table cells.

use std::fmt::Write as _;

use super::svg::escape;

/// A line without axes; empty for fewer than two values.
pub(crate) fn sparkline(values: &[f64], label: &str) -> String {
    let finite: Vec<f64> = values.iter().copied().filter(|v| v.is_finite()).collect();
    let low = finite.iter().copied().fold(f64::INFINITY, f64::min);
    let high = finite.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    if finite.len() < 2 {
        return String::new();
    }
    let span = if high > low { high - low } else { 1.0 };
    let mut path = String::new();
    for (i, value) in finite.iter().enumerate() {
        let letter = if i == 0 { 'M' } else { 'L' };
        let x = 2.0 + 96.0 * i as f64 / (finite.len() - 1) as f64;
        let _ = write!(path, "{letter}{x:.1} {:.1}", 22.0 - 20.0 * (value - low) / span);
    }
    format!(
        r#"<svg class="spark" viewBox="0 0 100 24" role="img" aria-label="{}"><path class="line" d="{path}"/></svg>"#,
        escape(label)
    )
}

/// An interval on a track from 0 to 1.
pub(crate) fn whisker(low: f64, value: f64, high: f64) -> String {
    let x = |v: f64| 1.0 + 98.0 * v.clamp(0.0, 1.0);
    format!(
        r#"<svg class="whisker" viewBox="0 0 100 12" aria-hidden="true"><path class="track" d="M1 6H99M1 3v6M50 4.5v3M99 3v6"/><path class="bar" d="M{:.1} 6H{:.1}"/><circle class="mark" cx="{:.1}" cy="6" r="2.6"/></svg>"#,
        x(low),
        x(high),
        x(value)
    )
}

#[cfg(test)]
mod tests {
    use super::sparkline;

    #[test]
    fn a_line_needs_two_values() {
        assert_eq!(sparkline(&[1.0], ""), "");
        assert_eq!(sparkline(&[1.0, f64::NAN], ""), "");
        assert!(sparkline(&[1.0, 1.0], "<label>").contains("&lt;label&gt;"));
    }
}
