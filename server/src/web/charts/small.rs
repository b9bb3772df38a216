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

/// Shares of a whole, each in a colour of the palette, side by side from the left.
pub(crate) fn stack(parts: &[(usize, f64)]) -> String {
    let mut svg =
        r#"<svg class="shares" viewBox="0 0 100 10" preserveAspectRatio="none" aria-hidden="true">"#
            .to_owned();
    let mut from = 0.0;
    for (palette, share) in parts {
        let (class, width) = (palette % 8 + 1, 100.0 * share.clamp(0.0, 1.0));
        let _ = write!(svg, r#"<rect class="p{class}" x="{from:.1}" y="0" width="{width:.1}" height="10"/>"#);
        from += width;
    }
    svg + "</svg>"
}

#[cfg(test)]
mod tests {
    use super::{sparkline, stack};

    #[test]
    fn shares_stand_side_by_side() {
        let svg = stack(&[(0, 0.25), (9, 0.75)]);
        assert!(svg.contains(r#"<rect class="p1" x="0.0" y="0" width="25.0""#), "{svg}");
        assert!(svg.contains(r#"<rect class="p2" x="25.0" y="0" width="75.0""#), "{svg}");
    }

    #[test]
    fn a_line_needs_two_values() {
        assert_eq!(sparkline(&[1.0], ""), "");
        assert_eq!(sparkline(&[1.0, f64::NAN], ""), "");
        assert!(sparkline(&[1.0, 1.0], "<label>").contains("&lt;label&gt;"));
    }
}
