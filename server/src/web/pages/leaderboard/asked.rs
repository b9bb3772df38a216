//! The question that a URL asks: every state of the page is in it, and what cannot be understood is named and left aside.

use jiff::civil::Date;
use sekisho_domain::lineage::InputStage;

use super::board::Line;
use super::facts::{Size, start_of};
use crate::web::frame::Frame;

/// What the query asks for.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Asked {
    /// All checkpoints, not the latest of each run alone.
    pub(super) all: bool,
    pub(super) sort: Option<String>,
    pub(super) ascending: bool,
    /// Names of tasks whose columns are hidden.
    pub(super) hidden: Vec<String>,
    /// Keys of lines that stand above the others.
    pub(super) pins: Vec<String>,
    /// Key of the line that the others are compared with.
    pub(super) base: Option<String>,
    pub(super) view: View,
    /// The scatter's horizontal axis is trained tokens, not parameters.
    pub(super) by_tokens: bool,
    /// Scores run to 100.
    pub(super) hundred: bool,
    pub(super) filter: Filter,
    /// Names and values that were not understood.
    pub(super) ignored: Vec<(String, String)>,
}

/// The tabs, as the URL names them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum View {
    #[default]
    Table,
    Bars,
    Radar,
    Scatter,
}

impl View {
    pub(super) const ALL: [Self; 4] = [Self::Table, Self::Bars, Self::Radar, Self::Scatter];

    pub(super) const fn code(self) -> &'static str {
        match self {
            Self::Table => "table",
            Self::Bars => "bars",
            Self::Radar => "radar",
            Self::Scatter => "scatter",
        }
    }
}

/// Which lines are wanted.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Filter {
    pub(super) family: Option<String>,
    pub(super) size: Option<Size>,
    pub(super) stage: Option<InputStage>,
    pub(super) license: Option<String>,
    pub(super) tokens_from: Option<u64>,
    pub(super) tokens_to: Option<u64>,
    pub(super) since: Option<Date>,
    pub(super) until: Option<Date>,
    pub(super) without_reported: bool,
}

impl Asked {
    pub(super) fn of(frame: &Frame) -> Self {
        let mut asked = Self::default();
        for (name, value) in &frame.query {
            if !value.is_empty() && !asked.take(name, value) {
                asked.ignored.push((name.clone(), value.clone()));
            }
        }
        asked
    }

    /// Whether it was understood, or is somebody else's.
    fn take(&mut self, name: &str, value: &str) -> bool {
        let list = || value.split(',').map(ToOwned::to_owned).collect();
        match (name, value) {
            ("all", "1") => self.all = true,
            ("order", "asc" | "desc") => self.ascending = value == "asc",
            ("sort", _) => self.sort = Some(value.to_owned()),
            ("hide", _) => self.hidden = list(),
            ("pin", _) => self.pins.push(value.to_owned()),
            ("base", _) => self.base = Some(value.to_owned()),
            ("x", "tokens" | "size") => self.by_tokens = value == "tokens",
            ("scale", "1" | "100") => self.hundred = value == "100",
            ("view", _) => {
                let Some(view) = View::ALL.into_iter().find(|view| view.code() == value) else {
                    return false;
                };
                self.view = view;
            }
            ("page", _) => return value.parse::<usize>().is_ok(),
            ("all" | "order" | "scale" | "x", _) => return false,
            (name, value) => return self.filter.take(name, value),
        }
        true
    }
}

impl Filter {
    /// The parameters that filter.
    pub(super) const NAMES: [&'static str; 9] =
        ["family", "size", "stage", "license", "tokens_from", "tokens_to", "since", "until", "reported"];

    fn take(&mut self, name: &str, value: &str) -> bool {
        let text = || Some(value.to_owned());
        match name {
            "family" => self.family = text(),
            "license" => self.license = text(),
            "size" => self.size = Size::ALL.into_iter().find(|size| size.code() == value),
            "stage" => self.stage = value.parse().ok(),
            "tokens_from" => self.tokens_from = tokens(value),
            "tokens_to" => self.tokens_to = tokens(value),
            "since" => self.since = value.parse().ok(),
            "until" => self.until = value.parse().ok(),
            "reported" => self.without_reported = value == "0",
            // Which board is asked for, and what every page knows.
            other => return ["suite", "preset", "task", "lang", "theme", "part"].contains(&other),
        }
        match name {
            "size" => self.size.is_some(),
            "stage" => self.stage.is_some(),
            "tokens_from" => self.tokens_from.is_some(),
            "tokens_to" => self.tokens_to.is_some(),
            "since" => self.since.is_some(),
            "until" => self.until.is_some(),
            "reported" => self.without_reported,
            _ => true,
        }
    }

    /// Whether a line is wanted. What is not known of it does not fit a filter that asks for it.
    pub(super) fn wants(&self, line: &Line) -> bool {
        let facts = &line.facts;
        let is = |wanted: &Option<String>, value: &Option<String>| wanted.is_none() || wanted == value;
        let after_last = |day: Date| day.tomorrow().unwrap_or(day);
        is(&self.family, &facts.family)
            && is(&self.license, &facts.license)
            && self.size.is_none_or(|size| facts.size() == Some(size))
            && self.stage.is_none_or(|stage| facts.stage == Some(stage))
            && self.tokens_from.is_none_or(|least| facts.tokens.is_some_and(|n| n >= least))
            && self.tokens_to.is_none_or(|most| facts.tokens.is_some_and(|n| n <= most))
            && self.since.is_none_or(|day| facts.day >= start_of(day))
            && self.until.is_none_or(|day| facts.day < start_of(after_last(day)))
            && !(self.without_reported && line.is_reported())
    }
}

/// `10B`, `1.5T`, `300000`: tokens as they are written on the page.
fn tokens(text: &str) -> Option<u64> {
    let (digits, unit) = match text.chars().last()?.to_ascii_uppercase() {
        'K' => (&text[..text.len() - 1], 1e3),
        'M' => (&text[..text.len() - 1], 1e6),
        'B' => (&text[..text.len() - 1], 1e9),
        'T' => (&text[..text.len() - 1], 1e12),
        _ => (text, 1.0),
    };
    let value = digits.parse::<f64>().ok()? * unit;
    (0.0..1e18).contains(&value).then_some(value as u64)
}

#[cfg(test)]
mod tests {
    use sekisho_bench::Catalog;
    use sekisho_domain::Language;

    use super::super::board::Board;
    use super::super::fixtures;
    use super::*;

    fn asked(query: &[(&str, &str)]) -> Asked {
        let mut frame = fixtures::frame(Language::En, "/leaderboard");
        frame.query = query.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        Asked::of(&frame)
    }

    #[test]
    fn nonsense_is_named_and_the_rest_holds() {
        let query = [
            ("size", "huge"),
            ("stage", "later"),
            ("tokens_from", "many"),
            ("tokens_to", "1.5T"),
            ("since", "2026-13-01"),
            ("until", "2026-11-30"),
            ("view", "pie"),
            ("scale", "7"),
            ("order", "up"),
            ("page", "x"),
            ("colour", "red"),
            ("family", "llama"),
            ("preset", "ja-4"),
            ("lang", "ja"),
            ("license", ""),
        ];
        let asked = asked(&query);
        let ignored: Vec<&str> = asked.ignored.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(
            ignored,
            ["size", "stage", "tokens_from", "since", "view", "scale", "order", "page", "colour"]
        );
        let filter = &asked.filter;
        assert_eq!((filter.tokens_to, filter.family.as_deref()), (Some(1_500_000_000_000), Some("llama")));
        assert_eq!(filter.until.map(|day| day.to_string()).as_deref(), Some("2026-11-30"));
        assert_eq!((filter.size, &filter.license), (None, &None));
    }

    #[test]
    fn filters_look_at_what_is_known() {
        let catalog = Catalog::builtin();
        let board = Board::new(&catalog, fixtures::board_tasks(), None, fixtures::board_models());
        let left = |query: &[(&str, &str)]| {
            let filter = asked(query).filter;
            board.lines.iter().filter(|line| filter.wants(line)).count()
        };
        let all = board.lines.len();
        assert_eq!(left(&[]), all);
        assert_eq!(left(&[("reported", "0")]), all - 1);
        assert_eq!(left(&[("size", "small")]), all, "8B and 7B");
        assert_eq!(left(&[("size", "large")]), 0);
        assert_eq!(left(&[("family", "gpt")]), 0);
        assert_eq!(left(&[("stage", "continual")]), 1);
        assert_eq!(
            left(&[("tokens_from", "8B"), ("tokens_to", "9B")]),
            all - 1,
            "of the reported one they are not known"
        );
        assert_eq!(left(&[("since", "2026-01-01")]), all - 1);
        assert_eq!(left(&[("until", "2025-04-14")]), 1, "the day itself counts");
        assert_eq!(left(&[("license", "llama2")]), 1);
    }
}
