//! Pieces that several pages are made of.

use askama::Template;
use askama::filters::HtmlSafe;
use axum::http::header;
use axum::response::{Html, IntoResponse as _, Response};
use sekisho_domain::corpus::Subset;
use sekisho_domain::evaluation::{TaskRun, WorkState};
use sekisho_domain::score::ResultEntry;
use sekisho_domain::{Language, Timestamp};
use serde::Deserialize;

use super::axis::Ends;
use crate::WebError;
use crate::web::format;
use crate::web::frame::Frame;
use crate::web::i18n::Words as _;

/// A rendered page.
pub(super) fn page(template: &impl Template) -> Result<Response, WebError> {
    let html = template.render().map_err(WebError::internal)?;
    Ok(Html(html).into_response())
}

/// What a form sends that is a button and nothing else.
#[derive(Deserialize)]
pub(crate) struct Csrf {
    pub(super) csrf: String,
}

/// A cell with a score, its interval, and a link to where it comes from; or the reason why there is none.
#[derive(Clone, Debug, Default, Template)]
#[template(path = "_partials/score.html")]
pub(super) struct ScoreCell {
    /// `0.412`.
    pub(super) value: String,
    /// `[0.373, 0.451]`, `± 0.039`, or nothing.
    pub(super) interval: String,
    /// Shown when the pointer rests on it: n, shots, metric, settings.
    pub(super) note: String,
    /// Why it may not be compared with its neighbours; empty when it may.
    pub(super) mark: String,
    /// How many of its items were found in the training text, `3/98`; empty where none were, or nobody looked.
    pub(super) taint: String,
    /// What it has more than the row that all are compared with: `+0.012`.
    pub(super) delta: String,
    /// Where it leads.
    pub(super) href: Option<String>,
    /// Why there is no score.
    pub(super) missing: Option<String>,
}

impl HtmlSafe for ScoreCell {}

impl ScoreCell {
    /// No score, and why.
    pub(super) fn missing(reason: &str) -> Self {
        Self { missing: Some(reason.to_owned()), ..Self::default() }
    }

    /// A number without an interval.
    pub(super) fn plain(value: String) -> Self {
        Self { value, ..Self::default() }
    }

    /// A task's score.
    pub(super) fn of(lang: Language, entry: &ResultEntry) -> Self {
        Self {
            value: format::score(entry.value),
            interval: format::interval(entry.low, entry.high),
            note: entry_note(lang, entry),
            ..Self::default()
        }
    }
}

/// `exact_match, 4-shot, dev, n = 100`.
pub(super) fn entry_note(lang: Language, entry: &ResultEntry) -> String {
    let n = format::count(entry.n);
    lang.fill(
        "score.note",
        &[("metric", &entry.metric), ("shots", &entry.shots), ("split", &entry.split), ("n", &n)],
    )
}

/// Why a task has no score yet.
pub(super) fn missing_reason(lang: Language, state: Option<WorkState>) -> &'static str {
    match state {
        None => lang.t("missing.not_evaluated"),
        Some(WorkState::Waiting) => lang.t("missing.waiting"),
        Some(WorkState::Running) => lang.t("missing.running"),
        Some(WorkState::Failed) => lang.t("missing.failed"),
        Some(WorkState::Finished) => lang.t("missing.not_computable"),
    }
}

/// A value, or why there is none: a dash always has a reason.
#[derive(Clone, Debug, PartialEq, Eq, Template)]
#[template(path = "_partials/cell.html")]
pub(super) struct Cell {
    pub(super) value: String,
    pub(super) missing: Option<&'static str>,
}

impl HtmlSafe for Cell {}

impl Cell {
    /// No value, and why.
    pub(super) const fn missing(reason: &'static str) -> Self {
        Self { value: String::new(), missing: Some(reason) }
    }

    /// The value, or why there is none.
    pub(super) fn of(value: Option<impl Into<String>>, reason: &'static str) -> Self {
        value.map_or(Self::missing(reason), |value| Self { value: value.into(), missing: None })
    }
}

impl From<String> for Cell {
    fn from(value: String) -> Self {
        Self { value, missing: None }
    }
}

/// The document that shows a subset's level and licence; a link where it is named by its address.
#[derive(Clone, Debug, PartialEq, Eq, Template)]
#[template(path = "_partials/evidence.html")]
pub(super) struct Evidence {
    text: Cell,
    href: Option<String>,
}

impl HtmlSafe for Evidence {}

impl Evidence {
    /// Of a subset, or that there is none.
    pub(super) fn of(frame: &Frame, subset: &Subset) -> Self {
        let is_address = |text: &&String| text.starts_with("https://") || text.starts_with("http://");
        Self {
            href: subset.evidence.as_ref().filter(is_address).cloned(),
            text: Cell::of(subset.evidence.clone(), frame.t("corpora.no_evidence")),
        }
    }
}

/// A moment: how long ago, with the time of day where the pointer rests.
#[derive(Clone, Debug, Template)]
#[template(path = "_partials/time.html")]
pub(crate) struct When {
    /// RFC 3339, for programs.
    iso: String,
    at: String,
    ago: String,
}

impl HtmlSafe for When {}

impl When {
    pub(crate) fn new(frame: &Frame, at: Timestamp) -> Self {
        Self { iso: at.to_string(), at: frame.stamp(&at), ago: frame.ago(&at) }
    }
}

/// A number with its name, as on an instrument.
#[derive(Clone, Debug, Default)]
pub(super) struct Readout {
    /// Name.
    pub(super) label: String,
    /// Value.
    pub(super) value: String,
    /// What stands beside it in small type.
    pub(super) sub: String,
    /// Share of a whole, for a bar below it.
    pub(super) share: Option<f64>,
    /// Why there is no value.
    pub(super) missing: Option<&'static str>,
}

impl Readout {
    pub(super) fn new(label: &str, value: impl Into<String>, sub: impl Into<String>) -> Self {
        Self { label: label.to_owned(), value: value.into(), sub: sub.into(), ..Self::default() }
    }

    /// Without a value, and why.
    pub(super) fn missing(label: &str, reason: &'static str) -> Self {
        Self { label: label.to_owned(), missing: Some(reason), ..Self::default() }
    }

    /// The value with what stands beside it, or why there is none.
    pub(super) fn of(label: &str, value: Option<(String, String)>, reason: &'static str) -> Self {
        value.map_or_else(|| Self::missing(label, reason), |(value, sub)| Self::new(label, value, sub))
    }
}

/// A chart with its title, its summary and the table that says the same.
#[derive(Clone, Debug, Template)]
#[template(path = "_partials/figure.html")]
pub(super) struct Figure {
    pub(super) lang: Language,
    /// Anchor.
    pub(super) id: String,
    pub(super) title: String,
    /// One sentence.
    pub(super) summary: String,
    /// Nothing to draw yet.
    pub(super) empty: bool,
    /// One drawing for all screens, for charts that stand side by side.
    pub(super) small: Option<String>,
    /// Drawing for wide screens.
    pub(super) wide: String,
    /// Drawing for narrow screens.
    pub(super) narrow: String,
    /// Column heads of the table.
    pub(super) heads: Vec<String>,
    /// Rows of the table.
    pub(super) rows: Vec<Vec<Cell>>,
    /// Said in the table's caption.
    pub(super) note: String,
    /// Where all rows are, when the table has only some.
    pub(super) csv: Option<String>,
    /// Where the drawing is as a file; then the table is offered beside it.
    pub(super) svg: Option<String>,
    /// Where a script finds the numbers of a part of it.
    pub(super) zoom: Option<(String, Ends)>,
    /// What it was made from, below the drawing in a file: suite, items, day.
    pub(super) caption: String,
}

impl HtmlSafe for Figure {}

impl Figure {
    /// Without content, in that language.
    pub(super) fn new(lang: Language) -> Self {
        Self {
            lang,
            id: String::new(),
            title: String::new(),
            summary: String::new(),
            empty: false,
            small: None,
            wide: String::new(),
            narrow: String::new(),
            heads: Vec::new(),
            rows: Vec::new(),
            note: String::new(),
            csv: None,
            svg: None,
            zoom: None,
            caption: String::new(),
        }
    }

    /// `(40)`: how many rows the table has.
    fn count(&self) -> String {
        self.lang.fill("table.rows", &[("n", &self.rows.len())])
    }
}

/// A CSV field. A leading sign that a spreadsheet would run as a formula is kept from it.
pub(super) fn quoted(text: &str) -> String {
    let safe = if text.starts_with(['=', '+', '-', '@']) { format!("'{text}") } else { text.to_owned() };
    if safe.contains([',', '"', '\n']) { format!("\"{}\"", safe.replace('"', "\"\"")) } else { safe }
}

/// A table as CSV, as an answer.
pub(super) fn csv(head: &[&str], rows: impl Iterator<Item = Vec<String>>) -> Response {
    let line = |fields: &Vec<String>| fields.iter().map(|field| quoted(field)).collect::<Vec<_>>().join(",");
    let lines: Vec<String> = std::iter::once(head.join(",")).chain(rows.map(|row| line(&row))).collect();
    let kind = [(header::CONTENT_TYPE, "text/csv; charset=utf-8")];
    (kind, lines.join("\n") + "\n").into_response()
}

/// The same of numbers, where a leading minus is one: nothing else in it begins with a sign.
pub(super) fn numbers_csv(head: &[&str], rows: impl Iterator<Item = Vec<String>>) -> Response {
    let field = |text: &String| if text.parse::<f64>().is_ok() { text.clone() } else { quoted(text) };
    let lines = rows.map(|row| row.iter().map(field).collect::<Vec<_>>().join(","));
    let lines: Vec<String> = std::iter::once(head.join(",")).chain(lines).collect();
    let kind = [(header::CONTENT_TYPE, "text/csv; charset=utf-8")];
    (kind, lines.join("\n") + "\n").into_response()
}

/// A link that chooses among states of a page.
#[derive(Clone, Debug)]
pub(super) struct Choice {
    pub(super) label: String,
    pub(super) href: String,
    pub(super) current: bool,
}

/// A column head that sorts by link.
#[derive(Clone, Debug)]
pub(super) struct SortHead {
    pub(super) label: String,
    /// Second line: metric and shots.
    pub(super) sub: String,
    /// Shown when the pointer rests on it.
    pub(super) title: String,
    pub(super) href: String,
    /// `ascending`, `descending` or nothing.
    pub(super) sorted: &'static str,
}

/// Another filter or order begins at its first page.
pub(super) fn unpaged(frame: &Frame) -> Frame {
    let mut first = frame.clone();
    first.query.retain(|(name, _)| name != "page");
    first
}

/// Cuts a list that was read with one row more than it may show; says so when there was one.
pub(super) fn cut<T>(frame: &Frame, rows: &mut Vec<T>, most: u32) -> Option<String> {
    let is_cut = rows.len() > most as usize;
    rows.truncate(most as usize);
    is_cut.then(|| frame.fill("table.cut", "n", format::count(u64::from(most))))
}

/// Links of the parts of a list that is shown page by page.
#[derive(Clone, Debug, Default)]
pub(super) struct Pager {
    pub(super) from: usize,
    pub(super) to: usize,
    /// Of this part, from 1.
    pub(super) number: usize,
    /// How many parts there are, at least one.
    pub(super) pages: usize,
    /// How many things there are.
    pub(super) total: usize,
    /// `21–40 of 100`.
    pub(super) text: String,
    pub(super) previous: Option<String>,
    pub(super) next: Option<String>,
}

impl Pager {
    /// Page `number` (from 1) of so many things, `size` a page. A number beyond the last shows the last.
    pub(super) fn new(frame: &Frame, number: usize, size: usize, total: usize) -> Self {
        let last = total.div_ceil(size).max(1);
        let number = number.clamp(1, last);
        let link = |n: usize| frame.with("page", &n.to_string());
        let (from, to) = ((number - 1) * size, (number * size).min(total));
        Self {
            from,
            to,
            number,
            pages: last,
            total,
            text: frame.lang.fill("pager.range", &[("from", &(from + 1)), ("to", &to), ("total", &total)]),
            previous: (number > 1).then(|| link(number - 1)),
            next: (number < last).then(|| link(number + 1)),
        }
    }
}

/// `exact_match, 4-shot, n = 100`: what stands under the head of a task's column.
pub(super) fn head_note(entry: &ResultEntry) -> String {
    format!("{}, {}-shot, n = {}", entry.metric, entry.shots, format::count(entry.n))
}

/// `4-shot, dev, 100`: how a task of a suite is run.
pub(super) fn run_note(lang: Language, run: &TaskRun) -> String {
    let mut words = vec![run.profile.clone(), run.split.clone()];
    words.extend(run.shots.map(|shots| format!("{shots}-shot")));
    words.extend(run.limit.map(|limit| lang.fill("task.limit", &[("n", &limit)])));
    words.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::web::pages::fixtures;

    #[test]
    fn only_an_address_is_a_link() {
        let frame = fixtures::frame(Language::En, "/corpora");
        let mut subset = fixtures::subsets().remove(0).subset;
        for (evidence, href) in [
            ("https://example.org/a?b", Some("https://example.org/a?b")),
            ("letter.pdf", None),
            ("javascript:alert(1)", None),
        ] {
            subset.evidence = Some(evidence.to_owned());
            let shown = Evidence::of(&frame, &subset);
            assert_eq!((shown.text.value.as_str(), shown.href.as_deref()), (evidence, href));
        }
        subset.evidence = None;
        assert!(Evidence::of(&frame, &subset).text.missing.is_some());
    }

    #[test]
    fn a_field_of_a_csv_is_no_formula_and_breaks_no_line() {
        assert_eq!([quoted("=1+1"), quoted("a,\"b")], ["'=1+1", "\"a,\"\"b\""]);
        let answer = csv(&["a", "b"], [vec!["x".to_owned(), "y,z".to_owned()]].into_iter());
        assert_eq!(answer.headers()[header::CONTENT_TYPE], "text/csv; charset=utf-8");
    }

    #[test]
    fn a_page_beyond_the_last_shows_the_last() {
        let frame = fixtures::frame(Language::En, "/evals/x/samples");
        let pager = Pager::new(&frame, 9, 20, 45);
        assert_eq!((pager.from, pager.to, pager.next), (40, 45, None));
        assert_eq!(pager.previous.as_deref(), Some("/evals/x/samples?page=2"));
        assert_eq!(Pager::new(&frame, 0, 20, 0).to, 0);
    }
}
