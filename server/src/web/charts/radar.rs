//! A radar: one axis a task, one closed line a model.

use std::f64::consts::TAU;
use std::fmt::Write as _;

use super::Size;
use super::svg::escape;

/// One model.
#[derive(Clone, Debug)]
pub(crate) struct Ring {
    pub(crate) name: String,
    /// Share of each axis, 0–1; none where there is no score: the line is open there.
    pub(crate) shares: Vec<Option<f64>>,
    /// Dashed: the values were reported elsewhere.
    pub(crate) is_reported: bool,
}

/// A radar of at least three axes.
#[derive(Clone, Debug)]
pub(crate) struct Radar {
    /// Title and summary in words.
    pub(crate) label: String,
    /// Name of each axis.
    pub(crate) axes: Vec<String>,
    pub(crate) rings: Vec<Ring>,
    /// What stands at the rim: 1, or 100.
    pub(crate) most: f64,
}

impl Radar {
    /// The drawing as one `<svg>` element.
    pub(crate) fn svg(&self, size: Size) -> String {
        let (width, radius) = if size == Size::Wide { (680.0, 150.0) } else { (360.0, 92.0) };
        let (cx, cy) = (width / 2.0, radius + 34.0);
        let below = 17.0 * self.rings.len() as f64;
        let mut out = format!(
            r#"<svg viewBox="0 0 {width} {:.0}" role="img" aria-label="{}">"#,
            2.0 * radius + 76.0 + below,
            escape(&self.label)
        );
        let point = |axis: usize, share: f64| {
            let angle = TAU * axis as f64 / self.axes.len().max(1) as f64;
            (cx + radius * share * angle.sin(), cy - radius * share * angle.cos())
        };
        self.grid(&mut out, &point, (cx, cy));
        for (number, ring) in self.rings.iter().enumerate() {
            let palette = number % 8 + 1;
            let dash = if ring.is_reported { " dashed" } else { "" };
            let _ = write!(out, r#"<g class="series p{palette}"><title>{}</title>"#, escape(&ring.name));
            let _ = write!(out, r#"<path class="line{dash}" d="{}"/>"#, path(ring, &point));
            for (axis, share) in ring.shares.iter().enumerate() {
                if let Some(share) = share {
                    let (x, y) = point(axis, share.clamp(0.0, 1.0));
                    let _ = write!(out, r#"<circle class="mark" cx="{x:.1}" cy="{y:.1}" r="2.4"/>"#);
                }
            }
            let y = 2.0 * radius + 74.0 + 17.0 * number as f64;
            let _ = write!(
                out,
                r#"<path class="line{dash}" d="M10 {:.1}h22"/><text class="name" x="38" y="{y:.1}">{}</text></g>"#,
                y - 4.0,
                escape(&ring.name)
            );
        }
        out + "</svg>"
    }

    fn grid(&self, out: &mut String, point: &dyn Fn(usize, f64) -> (f64, f64), (cx, cy): (f64, f64)) {
        for quarter in 1..=4 {
            let share = f64::from(quarter) / 4.0;
            let full =
                Ring { name: String::new(), shares: vec![Some(share); self.axes.len()], is_reported: false };
            let _ = write!(out, r#"<path class="grid" d="{}"/>"#, path(&full, point));
            let (x, y) = point(0, share);
            let _ = write!(
                out,
                r#"<text class="num" x="{:.1}" y="{:.1}">{}</text>"#,
                x + 4.0,
                y + 11.0,
                share * self.most
            );
        }
        for (axis, name) in self.axes.iter().enumerate() {
            let (x, y) = point(axis, 1.0);
            let _ = write!(out, r#"<path class="grid" d="M{cx:.1} {cy:.1}L{x:.1} {y:.1}"/>"#);
            let anchor = match x - cx {
                far if far > 1.0 => "start",
                far if far < -1.0 => "end",
                _ => "middle",
            };
            let (x, y) = point(axis, 1.06);
            let _ = write!(
                out,
                r#"<text class="title" x="{x:.1}" y="{:.1}" text-anchor="{anchor}">{}</text>"#,
                y + if y > cy + 1.0 { 10.0 } else { 0.0 },
                escape(name)
            );
        }
    }
}

/// Along the axes that have a value, back to the first where all have one.
fn path(ring: &Ring, point: &dyn Fn(usize, f64) -> (f64, f64)) -> String {
    let mut path = String::new();
    let mut letter = 'M';
    for (axis, share) in ring.shares.iter().enumerate() {
        match share {
            Some(share) => {
                let (x, y) = point(axis, share.clamp(0.0, 1.0));
                let _ = write!(path, "{letter}{x:.1} {y:.1}");
                letter = 'L';
            }
            None => letter = 'M',
        }
    }
    if ring.shares.iter().all(Option::is_some) {
        path.push('Z');
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_score_opens_the_line() {
        let ring = |name: &str, shares: [Option<f64>; 3], is_reported| Ring {
            name: name.to_owned(),
            shares: shares.to_vec(),
            is_reported,
        };
        let radar = Radar {
            label: "radar".to_owned(),
            axes: ["a", "b <c>", "d"].map(ToOwned::to_owned).to_vec(),
            rings: vec![
                ring("whole", [Some(1.0), Some(0.5), Some(0.0)], false),
                ring("open", [Some(1.0), None, Some(0.5)], true),
            ],
            most: 100.0,
        };
        let svg = radar.svg(Size::Wide);
        let lines: Vec<&str> =
            svg.split("<path class=\"line").skip(1).filter(|p| !p.contains("h22")).collect();
        let ends: Vec<bool> =
            lines.iter().map(|line| line.split("\"/>").next().is_some_and(|d| d.ends_with('Z'))).collect();
        assert_eq!(ends, [true, false]);
        assert!(lines[1].starts_with(" dashed") && lines[1].matches('M').count() == 2, "{}", lines[1]);
        assert!(svg.contains("b &lt;c&gt;") && svg.contains(">100<"), "{svg}");
        assert_eq!(svg.matches("<circle").count(), 5);
    }
}
