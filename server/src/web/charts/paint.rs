//! How series are told apart: the palette's colours, a ramp of hues with dashes beside it, and the roles of the field's figures. Each comes
//! with a dash and a marker, never by colour alone.

use std::fmt::Write as _;

/// First number of the ramp, above any number of a palette.
const RAMP: usize = 100;
/// First number of the roles.
const ROLES: usize = 200;
/// Hues of the ramp.
pub(crate) const SHADES: usize = 6;

/// What kind of model a line is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Trained without more said: a whole line.
    Stable,
    /// A branch whose learning rate falls: dotted.
    Decay,
    /// A mixture of experts: dashes and dots.
    MixtureOfExperts,
}

/// What a line is in a figure of schedules: gray cosine, red stable, blue decay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// A cosine schedule.
    Cosine,
    /// The stable phase of a WSD schedule.
    Stable,
    /// A branch that decays.
    Decay,
}

/// The number of a series on the ramp: its place among the sizes, and its kind.
pub(crate) const fn ramp(shade: usize, kind: Kind) -> usize {
    RAMP + (shade % SHADES) * 10 + kind as usize
}

/// The number of a series in a role.
pub(crate) const fn role(role: Role) -> usize {
    ROLES + role as usize
}

/// The classes of a series' number.
pub(super) fn class(number: usize) -> String {
    match number {
        200 => "cosine".to_owned(),
        201 => "stable".to_owned(),
        202 => "decay".to_owned(),
        n if n >= RAMP => format!("r{} d{}", (n - RAMP) / 10 % SHADES + 1, n % 10),
        n => format!("p{}", n % 8 + 1),
    }
}

/// Which of the four markers.
pub(super) const fn marker(number: usize) -> usize {
    match number {
        n if n >= ROLES => n - ROLES,
        n if n >= RAMP => n % 10,
        n => n % 4,
    }
}

/// What `static/app.css` says of charts in the light theme, for a drawing that is read where no style sheet of ours is. Colours are written
/// out: not every reader of SVG knows a current one.
pub(super) fn style() -> String {
    let mut style = "\
text { font: 12px system-ui, 'Noto Sans JP', sans-serif; fill: #59616a; } .caption { font-size: 11px; } .num { font-size: 11px; font-variant-numeric: tabular-nums; } \
.ground { fill: #ffffff; } .grid { stroke: #eceae3; fill: none; } .axis { stroke: #59616a; fill: none; opacity: .7; } \
.name { font-weight: 500; } .lead { stroke: #dedbd2; fill: none; } \
.reference { stroke: #59616a; fill: none; stroke-dasharray: 1 4; stroke-width: 1.5; stroke-linecap: round; } \
.reference-name { font-size: 11px; paint-order: stroke; stroke: #ffffff; stroke-width: 4px; stroke-linejoin: round; } \
.flag path { stroke: #805300; fill: none; stroke-dasharray: 3 3; opacity: .8; } .flag .cloth { fill: #805300; stroke: none; opacity: 1; } \
.region { fill: #59616a; opacity: .1; } .band { stroke: none; opacity: .16; } .fill { opacity: .85; } .fill.second { opacity: .35; } \
.faint { fill: none; stroke-width: .8; opacity: .32; stroke-linejoin: round; } \
.line { fill: none; stroke-width: 1.7; stroke-linejoin: round; } .bar { fill: none; stroke-width: 1.2; opacity: .75; } \
.mark.hollow { stroke-width: 1.5; } "
        .to_owned();
    let palette = ["#27478a", "#ab3224", "#256238", "#805300", "#70388a", "#0f6a75", "#59616a", "#a02a6c"];
    let hues = ["#0b7265", "#0b6b8a", "#2b5cab", "#5147b3", "#7f3aa3", "#9b2a72"];
    let roles = [("cosine", "#59616a"), ("stable", "#ab3224"), ("decay", "#27478a")];
    let numbered = |letter: char, colours: &[&'static str]| -> Vec<(String, &'static str)> {
        (1..).zip(colours).map(|(i, colour)| (format!("{letter}{i}"), *colour)).collect()
    };
    let mut all = [numbered('p', &palette), numbered('r', &hues)].concat();
    all.extend(roles.map(|(name, colour)| (name.to_owned(), colour)));
    for (name, colour) in all {
        let _ = write!(
            style,
            ".{name} .line, .{name} .faint, .{name} .bar {{ stroke: {colour}; }} \
             .{name} .mark, .{name} .band, .{name} .fill {{ fill: {colour}; }} \
             .{name} .mark.hollow {{ fill: #ffffff; stroke: {colour}; }} .name.{name} {{ fill: {colour}; }} "
        );
    }
    style + DASHES
}

/// As in `static/app.css`.
const DASHES: &str = "\
.p2 .line { stroke-dasharray: 7 3; } .p3 .line { stroke-dasharray: 2 3; } .p4 .line { stroke-dasharray: 8 3 2 3; } \
.p5 .line { stroke-dasharray: 12 3; } .p6 .line { stroke-dasharray: 4 2; } .p7 .line { stroke-dasharray: 1 3; } \
.p8 .line { stroke-dasharray: 12 3 2 3 2 3; } .d1 .line { stroke-dasharray: 2 3; } .d2 .line { stroke-dasharray: 8 3 2 3; } \
.cosine .line { stroke-dasharray: 8 3; } .decay .line { stroke-dasharray: 2 3; }";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_style_of_a_file_says_what_the_style_sheet_says() {
        let css = include_str!("../../../../static/app.css");
        let style = style();
        let colour = |name: &str| {
            let rest = css.split(&format!("--{name}: light-dark(")).nth(1).expect("a colour");
            rest[..7].to_owned()
        };
        for name in (1..=8).map(|i| format!("p{i}")).chain((1..=SHADES).map(|i| format!("r{i}"))) {
            assert!(
                style.contains(&format!(
                    ".{name} .line, .{name} .faint, .{name} .bar {{ stroke: {}; }}",
                    colour(&name)
                )),
                "{name}"
            );
        }
        let dashes = DASHES.split("} ").map(|rule| rule.trim_end_matches('}').trim());
        for rule in dashes {
            let (selector, dash) = rule.split_once(" { ").expect("a rule");
            let own = css.split(&format!("{selector} {{ ")).nth(1).unwrap_or_else(|| panic!("{selector}"));
            assert!(own.starts_with(dash.trim_end_matches(" ")), "{selector}: {dash}");
        }
    }

    #[test]
    fn numbers_have_their_classes() {
        assert_eq!([class(0), class(9)], ["p1", "p2"]);
        assert_eq!(class(ramp(2, Kind::Decay)), "r3 d1");
        assert_eq!(class(ramp(7, Kind::MixtureOfExperts)), "r2 d2");
        assert_eq!(
            [Role::Cosine, Role::Stable, Role::Decay].map(|r| class(role(r))),
            ["cosine", "stable", "decay"]
        );
    }
}
