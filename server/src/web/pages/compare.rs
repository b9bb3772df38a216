//! `/compare`: two to six runs or checkpoints: a sentence for each pair, tables, curves, and what more training would bring.

use std::collections::BTreeSet;

use askama::Template;
use axum::extract::{Path, State};
use axum::response::Response;
use sekisho_bench::Catalog;
use sekisho_domain::{RunId, Tokens};

use super::axis::{Against, Ends};
use super::compare_curves::{Curves, RunFacts};
use super::compare_scaling::{self, RunScaling};
use super::compare_table::{self, ColumnHead, RowView, Sentence};
use super::drawn::Drawn;
use super::parts::{self, Choice};
use super::scored::Scored;
use crate::service::comparisons::selection::{self, Align, Column, Named};
use crate::service::comparisons::specs::{self, Differing};
use crate::service::comparisons::table::{self, Table};
use crate::service::{corpora, evaluations};
use crate::web::frame::Frame;
use crate::{App, Noun, WebError};

#[derive(Template)]
#[template(path = "compare/compare.html")]
struct ComparePage {
    frame: Frame,
    how: Vec<String>,
    heads: Vec<ColumnHead>,
    notices: Vec<String>,
    tabs: Vec<Choice>,
    tab: Tab,
    aligns: Vec<Choice>,
    sentences: Vec<Sentence>,
    rows: Vec<RowView>,
    specs: Vec<Differing>,
    has_specs: bool,
    axes: Vec<Choice>,
    /// The curves from end to end, where only a part is drawn.
    whole: Option<String>,
    figures: Vec<Drawn>,
    more: String,
    /// The query without the number of tokens, for its form.
    hidden: Vec<(String, String)>,
}

/// Which part of the comparison is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tab {
    Scores,
    Curves,
    Scaling,
}

impl Tab {
    const ALL: [Self; 3] = [Self::Scores, Self::Curves, Self::Scaling];

    const fn code(self) -> &'static str {
        match self {
            Self::Scores => "scores",
            Self::Curves => "curves",
            Self::Scaling => "scaling",
        }
    }

    fn of(frame: &Frame) -> Self {
        Self::ALL.into_iter().find(|tab| frame.param("tab") == Some(tab.code())).unwrap_or(Self::Scores)
    }
}

/// Everything that the page is made from.
#[derive(Default)]
pub(super) struct Facts {
    pub(super) columns: Vec<Column>,
    /// Position of the baseline.
    pub(super) base: usize,
    pub(super) align: Option<Align>,
    /// Tokens that all have reached.
    pub(super) reached: Option<Tokens>,
    pub(super) unknown: Vec<String>,
    pub(super) table: Option<Table>,
    /// Each run once.
    pub(super) runs: Vec<RunFacts>,
    pub(super) scaling: Vec<RunScaling>,
}

/// `GET /compare?ids=a,b&base=a&align=tokens|last|chosen&tab=scores|curves|scaling&x=…&more=20`. Ids are runs or checkpoints.
pub(crate) async fn show(State(app): State<App>, frame: Frame) -> Result<Response, WebError> {
    let tab = Tab::of(&frame);
    let facts = load(&app, &frame, &[tab]).await?;
    parts::page(&view(frame, &app.catalog, tab, &facts))
}

/// `GET /compare/{figure}.svg|csv|json`: a figure of the page in its language. What descends from an LZ subset leaves in no file.
pub(crate) async fn file(
    State(app): State<App>,
    frame: Frame,
    Path(name): Path<String>,
) -> Result<Response, WebError> {
    let (id, kind) = name.rsplit_once('.').unwrap_or((&name, ""));
    let tab = match id {
        "bars" => Tab::Scores,
        "mean" | "schedule" | "difference" => Tab::Curves,
        "scaling" | "loss-scaling" => Tab::Scaling,
        _ => return Err(WebError::not_found(Noun::Page, format!("/compare/{name}"))),
    };
    let facts = load(&app, &frame, &[tab]).await?;
    for column in &facts.columns {
        corpora::may_use(&app, column.named.run.clone()).await?;
    }
    let page = Frame { path: "/compare".to_owned(), ..frame };
    let figures = figures(&page, &app.catalog, tab, &facts);
    let drawn = figures.iter().find(|drawn| drawn.figure.id == id);
    let answer = drawn.and_then(|drawn| drawn.download(kind));
    answer.ok_or_else(|| WebError::not_found(Noun::Page, format!("/compare/{name}")))
}

/// The ids of the address: `ids=a,b`, or one `id=` for each box of a form.
fn ids(frame: &Frame) -> Vec<String> {
    let listed = frame.param("ids").unwrap_or_default().split(',');
    let boxes = frame.query.iter().filter(|(name, _)| name == "id").map(|(_, value)| value.as_str());
    listed.chain(boxes).map(str::trim).filter(|id| !id.is_empty()).map(ToOwned::to_owned).collect()
}

async fn load(app: &App, frame: &Frame, tabs: &[Tab]) -> Result<Facts, WebError> {
    let (named, unknown) = selection::named(app, &ids(frame)).await?;
    if named.len() < 2 {
        let columns = named.into_iter().map(|named| Column { named, checkpoint: None, scores: Vec::new() });
        return Ok(Facts { columns: columns.collect(), unknown, ..Facts::default() });
    }
    let align = Align::of(frame.param("align"), &named);
    let base = named.iter().position(|named| frame.param("base") == Some(named.key.as_str())).unwrap_or(0);
    let reached = selection::reached(&named);
    let runs = if tabs.contains(&Tab::Scores) { Vec::new() } else { runs(app, &named).await? };
    let scaling = if tabs.contains(&Tab::Scaling) {
        compare_scaling::load(app, &runs, compare_scaling::more(frame)).await?
    } else {
        Vec::new()
    };
    let columns = selection::columns(app, named, align).await?;
    let table = table::table(app, &columns, base).await?;
    Ok(Facts { columns, base, align: Some(align), reached, unknown, table: Some(table), runs, scaling })
}

/// The runs of what was named, each once, with what their curves are drawn from.
async fn runs(app: &App, named: &[Named]) -> Result<Vec<RunFacts>, WebError> {
    let mut seen: BTreeSet<RunId> = BTreeSet::new();
    let mut runs = Vec::new();
    for run in named.iter().map(|named| &named.run).filter(|run| seen.insert(run.id)) {
        let mut checkpoints = app.store.checkpoints_of_run(run.id).await?;
        checkpoints.sort_by_key(|checkpoint| checkpoint.tokens);
        let suite = evaluations::suite_of(app, run).to_owned();
        runs.push(RunFacts {
            scored: Scored::load_all(app, checkpoints, &suite).await?,
            rows: app.store.metrics(run.id).await?,
            run: run.clone(),
        });
    }
    Ok(runs)
}

fn view(frame: Frame, catalog: &Catalog, tab: Tab, facts: &Facts) -> ComparePage {
    let keys: Vec<&str> = facts.columns.iter().map(|column| column.named.key.as_str()).collect();
    let specs: Vec<Option<&serde_json::Value>> =
        facts.columns.iter().map(|column| column.named.run.spec.as_ref()).collect();
    ComparePage {
        how: how(&keys),
        heads: compare_table::heads(&frame, facts),
        notices: notices(&frame, facts),
        tabs: tabs(&frame, tab),
        tab,
        aligns: aligns(&frame, facts),
        sentences: compare_table::sentences(&frame, facts),
        rows: compare_table::rows(&frame, catalog, facts),
        has_specs: specs.iter().any(Option::is_some),
        specs: if facts.table.is_some() { specs::differing(&specs) } else { Vec::new() },
        axes: axes(&frame, tab, facts),
        whole: whole(&frame, tab),
        figures: figures(&frame, catalog, tab, facts),
        more: compare_scaling::more(&frame).to_string(),
        hidden: frame
            .query
            .iter()
            .filter(|(name, _)| !["more", "lang", "theme"].contains(&name.as_str()))
            .cloned()
            .collect(),
        frame,
    }
}

fn how(keys: &[&str]) -> Vec<String> {
    if keys.len() < 2 {
        return vec![
            "sekisho compare RUN RUN --server URL".to_owned(),
            "GET /api/v1/compare?ids=A,B".to_owned(),
        ];
    }
    vec![
        format!("sekisho compare {} --server URL", keys.join(" ")),
        format!("GET /api/v1/compare?ids={}", keys.join(",")),
    ]
}

fn notices(frame: &Frame, facts: &Facts) -> Vec<String> {
    let mut notices: Vec<String> =
        facts.unknown.iter().map(|id| frame.fill("compare.unknown", "id", id)).collect();
    let asked: BTreeSet<String> = ids(frame).into_iter().collect();
    if asked.len() > facts.columns.len() + facts.unknown.len() && facts.columns.len() == selection::MOST {
        notices.push(frame.fill("compare.too_many", "n", selection::MOST));
    }
    let unscored = facts.columns.iter().filter(|column| facts.table.is_some() && column.scores.is_empty());
    notices.extend(unscored.map(|column| frame.fill("compare.unscored", "name", &column.named.run.name)));
    notices
}

fn tabs(frame: &Frame, current: Tab) -> Vec<Choice> {
    let choice = |tab: Tab| Choice {
        label: frame.word("compare_tab", tab.code()).to_owned(),
        href: frame.with("tab", if tab == Tab::Scores { "" } else { tab.code() }),
        current: tab == current,
    };
    Tab::ALL.into_iter().map(choice).collect()
}

/// Which checkpoint stands for a run; what was named is offered where it says more than the last one.
fn aligns(frame: &Frame, facts: &Facts) -> Vec<Choice> {
    let has_checkpoint = facts.columns.iter().any(|column| column.named.checkpoint.is_some());
    let choice = |align: Align| Choice {
        label: match (align, facts.reached) {
            (Align::Tokens, Some(reached)) => frame.fill("align.tokens_at", "tokens", reached.short()),
            _ => frame.word("align", align.as_str()).to_owned(),
        },
        href: frame.with("align", align.as_str()),
        current: facts.align == Some(align),
    };
    Align::ALL.into_iter().filter(|align| has_checkpoint || *align != Align::Chosen).map(choice).collect()
}

/// Runs that go on from another model are read on a linear axis, those from scratch on a logarithmic one.
fn against(frame: &Frame, facts: &Facts) -> Against {
    let goes_on = |facts: &RunFacts| {
        facts
            .run
            .spec
            .as_ref()
            .is_some_and(|spec| spec["parent"].is_object() || spec["init"]["from"].is_string())
    };
    match frame.param("x") {
        None if !facts.runs.is_empty() && facts.runs.iter().all(goes_on) => Against::Tokens,
        asked => Some(Against::of(asked)).filter(|axis| Against::SHARED.contains(axis)).unwrap_or_default(),
    }
}

fn axes(frame: &Frame, tab: Tab, facts: &Facts) -> Vec<Choice> {
    let current = against(frame, facts);
    let offered = Against::SHARED.into_iter().filter(|axis| tab == Tab::Curves || *axis != Against::Steps);
    let choice = |axis: Against| Choice {
        label: axis.label(frame.lang).to_owned(),
        // Another axis has other ends.
        href: Ends::SHARED.without(frame).with("x", axis.code()),
        current: axis == current,
    };
    if tab == Tab::Scores { Vec::new() } else { offered.map(choice).collect() }
}

fn whole(frame: &Frame, tab: Tab) -> Option<String> {
    let ends = [Ends::SHARED, Ends::STEPS];
    let is_part = tab == Tab::Curves && ends.iter().any(|ends| ends.of(frame).is_some());
    is_part.then(|| ends.iter().fold(frame.clone(), |frame, ends| ends.without(&frame)).with("", ""))
}

fn figures(frame: &Frame, catalog: &Catalog, tab: Tab, facts: &Facts) -> Vec<Drawn> {
    if facts.table.is_none() {
        return Vec::new();
    }
    let against = against(frame, facts);
    let curves = Curves { frame, runs: &facts.runs, against };
    match tab {
        Tab::Scores => vec![compare_table::bars(frame, catalog, facts)],
        Tab::Curves => [Some(curves.mean()), Some(curves.schedule()), curves.difference()]
            .into_iter()
            .flatten()
            .collect(),
        Tab::Scaling => {
            let against = if against == Against::Steps { Against::TokensLog } else { against };
            compare_scaling::figures(frame, &facts.scaling, against, compare_scaling::more(frame))
        }
    }
}

#[cfg(test)]
pub(super) fn samples(frame: &Frame) -> Vec<String> {
    let catalog = Catalog::builtin();
    let page = |tab: Tab, facts: &Facts| view(frame.clone(), &catalog, tab, facts).render().expect("renders");
    let facts = super::fixtures::compare_facts();
    let scores = page(Tab::Scores, &facts);
    assert!(scores.contains(frame.word("setting", "split")), "the reason why a row may not be compared");
    let mut pages = vec![scores, page(Tab::Curves, &facts), page(Tab::Scaling, &facts)];
    let unknown = Facts { unknown: vec!["<nobody>".to_owned()], ..Facts::default() };
    let none = page(Tab::Scores, &unknown);
    assert!(none.contains("&#60;nobody&#62;") && none.contains(frame.t("compare.empty")), "{none}");
    pages.push(none);
    pages
}

#[cfg(test)]
mod tests {
    use sekisho_domain::Language;

    use super::*;
    use crate::web::pages::fixtures;

    #[test]
    fn ids_come_in_a_list_or_from_boxes() {
        let mut frame = fixtures::frame(Language::Ja, "/compare");
        let query = [("ids", "a, b,,c"), ("id", "d"), ("id", ""), ("tab", "curves")];
        frame.query = query.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
        assert_eq!(ids(&frame), ["a", "b", "c", "d"]);
        assert_eq!(Tab::of(&frame), Tab::Curves);
    }

    #[test]
    fn every_figure_is_a_file_with_the_titles_of_the_page() {
        let facts = fixtures::compare_facts();
        let catalog = Catalog::builtin();
        for (lang, mean, loss) in [
            (Language::Ja, "サブタスクスコアの平均", "学習損失 [nat/トークン]"),
            (Language::En, "Average of subtask scores", "Training loss [nats per token]"),
        ] {
            let frame = fixtures::frame(lang, "/compare");
            let drawn: Vec<Drawn> =
                Tab::ALL.into_iter().flat_map(|tab| figures(&frame, &catalog, tab, &facts)).collect();
            let ids: Vec<&str> = drawn.iter().map(|drawn| drawn.figure.id.as_str()).collect();
            assert_eq!(ids[..4], ["bars", "mean", "schedule", "difference"]);
            let file = |id: &str| &drawn.iter().find(|drawn| drawn.figure.id == id).expect("a figure").file;
            assert!(file("mean").contains(mean) && file("schedule").contains(loss), "{lang}");
            for drawn in &drawn {
                for absent in ["href", "<script", "url(", "@import", "var(", "light-dark", "currentColor"] {
                    assert!(!drawn.file.contains(absent), "{}: {absent}", drawn.figure.id);
                }
                assert!(
                    drawn.figure.svg.as_ref().is_some_and(|link| link.ends_with(&format!("lang={lang}")))
                );
            }
            assert_eq!(
                file("schedule").matches("class=\"series stable\"").count(),
                4,
                "two runs on two panels"
            );
        }
    }
}
