//! What may be filtered by, and the filters that are on, each of which can be taken away.

use std::collections::BTreeSet;

use sekisho_domain::lineage::InputStage;

use super::super::parts::{self, Choice};
use super::asked::{Asked, Filter};
use super::board::Board;
use super::facts::Size;
use crate::web::frame::Frame;
use crate::web::i18n::Words as _;

/// The values that some line of the board has.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Offered {
    families: BTreeSet<String>,
    licenses: BTreeSet<String>,
    stages: BTreeSet<&'static str>,
    has_reported: bool,
}

impl Offered {
    pub(super) fn of(board: &Board) -> Self {
        let facts = || board.lines.iter().map(|line| &line.facts);
        Self {
            families: facts().filter_map(|facts| facts.family.clone()).collect(),
            licenses: facts().filter_map(|facts| facts.license.clone()).collect(),
            stages: facts().filter_map(|facts| facts.stage).map(InputStage::as_str).collect(),
            has_reported: board.lines.iter().any(super::board::Line::is_reported),
        }
    }
}

/// One list to choose from.
pub(super) struct Select {
    pub(super) name: &'static str,
    pub(super) label: &'static str,
    /// Value, label, whether it is chosen. The empty value takes the filter away.
    pub(super) options: Vec<(String, String, bool)>,
}

/// One field to fill in.
pub(super) struct Field {
    pub(super) name: &'static str,
    pub(super) label: &'static str,
    pub(super) kind: &'static str,
    pub(super) value: String,
    pub(super) hint: &'static str,
}

/// The form.
pub(super) struct Form {
    /// What of the URL is not a filter and stays.
    pub(super) kept: Vec<(String, String)>,
    pub(super) selects: Vec<Select>,
    pub(super) fields: Vec<Field>,
    /// The filters that are on, each with where it is off.
    pub(super) chips: Vec<Choice>,
}

pub(super) fn form(frame: &Frame, asked: &Asked, offered: &Offered) -> Form {
    let is_filter = |name: &str| Filter::NAMES.contains(&name);
    let passing = ["page", "lang", "theme", "part"];
    let kept = frame
        .query
        .iter()
        .filter(|(name, value)| !is_filter(name) && !passing.contains(&name.as_str()) && !value.is_empty());
    Form {
        kept: kept.cloned().collect(),
        selects: selects(frame, asked, offered),
        fields: fields(frame),
        chips: chips(frame, asked),
    }
}

fn selects(frame: &Frame, asked: &Asked, offered: &Offered) -> Vec<Select> {
    let select = |name: &'static str, label: &str, values: Vec<(String, String)>| {
        let chosen = frame.param(name).unwrap_or_default();
        let any = (String::new(), frame.t("samples.all").to_owned());
        let options = std::iter::once(any)
            .chain(values)
            .map(|(value, label)| {
                let is_chosen = value == chosen;
                (value, label, is_chosen)
            })
            .collect();
        Select { name, label: frame.t(label), options }
    };
    let plain = |values: &BTreeSet<String>| values.iter().map(|v| (v.clone(), v.clone())).collect();
    let sizes =
        Size::ALL.map(|size| (size.code().to_owned(), frame.word("board_size", size.code()).to_owned()));
    let stages =
        offered.stages.iter().map(|s| ((*s).to_owned(), frame.word("lineage_stage", s).to_owned())).collect();
    let mut selects = vec![
        select("family", "board.family", plain(&offered.families)),
        select("size", "board.size", sizes.to_vec()),
        select("stage", "board.stage", stages),
    ];
    if !offered.licenses.is_empty() {
        selects.push(select("license", "release.license", plain(&offered.licenses)));
    }
    if offered.has_reported || asked.filter.without_reported {
        let without = vec![("0".to_owned(), frame.t("board.without_reported").to_owned())];
        selects.push(select("reported", "board.reported", without));
    }
    selects
}

fn fields(frame: &Frame) -> Vec<Field> {
    let field = |name: &'static str, label: &str, kind: &'static str, hint: &'static str| Field {
        name,
        label: frame.t(label),
        kind,
        value: frame.param(name).unwrap_or_default().to_owned(),
        hint,
    };
    vec![
        field("tokens_from", "board.tokens_from", "text", "10B"),
        field("tokens_to", "board.tokens_to", "text", "1T"),
        field("since", "board.since", "date", ""),
        field("until", "board.until", "date", ""),
    ]
}

/// `規模：小型（5–15B）`, with where the board is without it.
fn chips(frame: &Frame, asked: &Asked) -> Vec<Choice> {
    let first = parts::unpaged(frame);
    let understood = |name: &str, value: &str| {
        let this = (name.to_owned(), value.to_owned());
        Filter::NAMES.contains(&name) && !value.is_empty() && !asked.ignored.contains(&this)
    };
    let chip = |(name, value): &(String, String)| {
        let (label, value) = match name.as_str() {
            "family" => ("board.family", value.clone()),
            "size" => ("board.size", frame.word("board_size", value).to_owned()),
            "stage" => ("board.stage", frame.word("lineage_stage", value).to_owned()),
            "license" => ("release.license", value.clone()),
            "tokens_from" => ("board.tokens_from", value.clone()),
            "tokens_to" => ("board.tokens_to", value.clone()),
            "since" => ("board.since", value.clone()),
            "until" => ("board.until", value.clone()),
            _ => ("board.reported", frame.t("board.without_reported").to_owned()),
        };
        Choice {
            label: frame.lang.fill("board.chip", &[("name", &frame.t(label)), ("value", &value)]),
            href: first.with(name, ""),
            current: true,
        }
    };
    frame.query.iter().filter(|(name, value)| understood(name, value)).map(chip).collect()
}

#[cfg(test)]
mod tests {
    use sekisho_domain::Language;

    use super::super::fixtures;
    use super::*;

    #[test]
    fn every_filter_that_is_on_can_be_taken_away() {
        let mut frame = fixtures::frame(Language::Ja, "/leaderboard");
        let query = [
            ("preset", "ja-4"),
            ("size", "small"),
            ("stage", "nonsense"),
            ("tokens_from", "10B"),
            ("reported", "0"),
            ("page", "2"),
        ];
        frame.query = query.map(|(k, v)| (k.to_owned(), v.to_owned())).to_vec();
        let asked = Asked::of(&frame);
        let (board, _) = fixtures::board_rows();
        let form = form(&frame, &asked, &Offered::of(&board));
        let labels: Vec<&str> = form.chips.iter().map(|chip| chip.label.as_str()).collect();
        assert_eq!(labels, ["規模：小型（5–15B）", "学習トークン数（以上）：10B", "報告値：表示しない"]);
        let href = &form.chips[0].href;
        assert!(
            href.contains("tokens_from=10B") && !href.contains("size=") && !href.contains("page="),
            "{href}"
        );
        assert_eq!(form.kept, [("preset".to_owned(), "ja-4".to_owned())]);
        let chosen = |name: &str| {
            let select = form.selects.iter().find(|s| s.name == name).expect("a list");
            select.options.iter().find(|o| o.2).map(|o| o.0.clone())
        };
        assert_eq!((chosen("size").as_deref(), chosen("family").as_deref()), (Some("small"), Some("")));
    }
}
