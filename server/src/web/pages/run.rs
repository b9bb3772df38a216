//! `/runs/{run}`: where a run stands, its curves, its checkpoints and what happened to it; one part at a time.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use askama::Template;
use axum::extract::{Path, State};
use axum::http::header;
use axum::response::{IntoResponse as _, Response};
use sekisho_bench::Catalog;
use sekisho_domain::run::{MetricRow, RunState};
use sekisho_domain::{Step, Tokens};
use sekisho_store::Run;

use super::axis::{Against, Ends, Ground};
use super::drawn::Drawn;
use super::parts::{self, Choice, Readout};
use super::run_checkpoints::Checkpoints;
use super::run_curves::{Curves, TABLE_ROWS};
use super::run_data::DataRow;
use super::run_events::EventRow;
use super::run_load::{self, Facts};
use super::run_log::SegmentRow;
use super::run_plan::PlanView;
use super::run_sheet::{Difference, Part};
use super::run_tree::Tree;
use super::{run_data, run_events, run_log, run_readouts, run_sheet, scored};
use crate::service::{corpora, runs};
use crate::web::charts::MAX_POINTS;
use crate::web::frame::Frame;
use crate::{App, Noun, WebError};

/// Checkpoints and events on the first part; the others have all.
const NEWEST: usize = 5;

#[derive(Template)]
#[template(path = "runs/run.html")]
struct RunPage {
    frame: Frame,
    how: Vec<String>,
    run: RunView,
}

/// The part that is fetched again when something changes.
#[derive(Template)]
#[template(path = "runs/run.html", block = "live")]
struct RunLive {
    frame: Frame,
    run: RunView,
}

/// A part of the page.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Tab {
    #[default]
    Overview,
    Curves,
    Metrics,
    Checkpoints,
    Events,
    Settings,
    Data,
    Log,
}

impl Tab {
    const ALL: [Self; 8] = [
        Self::Overview,
        Self::Curves,
        Self::Metrics,
        Self::Checkpoints,
        Self::Events,
        Self::Settings,
        Self::Data,
        Self::Log,
    ];

    const fn code(self) -> &'static str {
        match self {
            Self::Overview => "overview",
            Self::Curves => "curves",
            Self::Metrics => "metrics",
            Self::Checkpoints => "checkpoints",
            Self::Events => "events",
            Self::Settings => "settings",
            Self::Data => "data",
            Self::Log => "log",
        }
    }

    fn of(frame: &Frame) -> Self {
        Self::ALL.into_iter().find(|tab| frame.param("tab") == Some(tab.code())).unwrap_or_default()
    }

    /// The part that a figure stands on; of the score figures only the mean is on the first part too.
    fn of_figure(id: &str) -> Self {
        if id == "mean" || id.starts_with("task-") { Self::Curves } else { Self::Metrics }
    }
}

struct RunView {
    name: String,
    state: RunState,
    /// Who registered it; an export names nobody.
    owner: Option<String>,
    /// Where the experiment is talked about.
    issue: Option<String>,
    topics: String,
    alarm: Option<String>,
    tabs: Vec<Choice>,
    overview: Option<Overview>,
    curves: Option<CurvesView>,
    checkpoints: Option<Checkpoints>,
    events: Option<Vec<EventRow>>,
    settings: Option<Settings>,
    data: Option<DataView>,
    log: Option<LogView>,
}

/// The first part.
struct Overview {
    readouts: Vec<Readout>,
    /// Nothing has come of it yet: how to send something.
    is_waiting: bool,
    tree: Tree,
    mean: Drawn,
    checkpoints: Checkpoints,
    events: Vec<EventRow>,
    plan: PlanView,
}

/// Curves of scores, or of what the trainer reports.
struct CurvesView {
    title: &'static str,
    axes: Vec<Choice>,
    /// This stage alone, or with those before; empty for a run that starts from scratch.
    stages: Vec<Choice>,
    /// The whole, where only a part is drawn.
    whole: Option<String>,
    /// Every row of it as CSV.
    csv: Option<String>,
    first: Vec<Drawn>,
    small: Vec<Drawn>,
}

/// What the run was registered with.
struct Settings {
    warnings: Vec<(&'static str, String)>,
    sheet: Vec<Part>,
    digest: Option<String>,
    spec: Option<String>,
    /// The run that it is held against.
    other: Option<String>,
    differences: Vec<Difference>,
}

struct DataView {
    has_spec: bool,
    rows: Vec<DataRow>,
    has_losses: bool,
}

struct LogView {
    lines: Vec<String>,
    segments: Vec<SegmentRow>,
}

/// `GET /runs/{run}?tab=&x=tokens-log|tokens|steps|flops|hours&from=&to=&stage=all&with=RUN`; with `part=live` only what changes.
pub(crate) async fn show(
    State(app): State<App>,
    frame: Frame,
    Path(key): Path<String>,
) -> Result<Response, WebError> {
    let tab = Tab::of(&frame);
    let run = frame.shown(&app, runs::find(&app, &key).await?).await?;
    let facts = run_load::load(&app, &frame, run, tab).await?;
    let run = view(&frame, &app.catalog, tab, &facts);
    if frame.param("part") == Some("live") {
        return parts::page(&RunLive { frame, run });
    }
    let how = how(&facts.run);
    parts::page(&RunPage { frame, how, run })
}

/// `GET /runs/{run}/{figure}.svg|csv|json`: a figure of the page in its language, or the part of it that `from` and `to` name. What
/// descends from an LZ subset leaves in no file.
pub(crate) async fn file(
    State(app): State<App>,
    frame: Frame,
    Path((key, name)): Path<(String, String)>,
) -> Result<Response, WebError> {
    let (id, kind) = name.rsplit_once('.').unwrap_or((&name, ""));
    let unknown = || WebError::not_found(Noun::Page, format!("/runs/{key}/{name}"));
    if !["svg", "csv", "json"].contains(&kind) {
        return Err(unknown());
    }
    let tab = Tab::of_figure(id);
    let run = frame.shown(&app, runs::find(&app, &key).await?).await?;
    corpora::may_use(&app, run.clone()).await?;
    let facts = run_load::load(&app, &frame, run, tab).await?;
    let rows = if kind == "csv" { MAX_POINTS } else { TABLE_ROWS };
    let curves = curves(&frame, &app.catalog, &facts, rows);
    let drawn = figures(&curves, tab).into_iter().find(|drawn| drawn.figure.id == id);
    drawn.and_then(|drawn| drawn.download(kind)).ok_or_else(unknown)
}

fn how(run: &Run) -> Vec<String> {
    vec![format!("sekisho run show {}", run.name), format!("GET /api/v1/runs/{}", run.name)]
}

fn view(frame: &Frame, catalog: &Catalog, tab: Tab, facts: &Facts) -> RunView {
    let choice = |one: Tab| Choice {
        label: frame.word("run_tab", one.code()).to_owned(),
        href: frame.with("tab", if one == Tab::default() { "" } else { one.code() }),
        current: one == tab,
    };
    let events = |most: usize| {
        let mut rows = run_events::rows(frame, &facts.run.name, &facts.events);
        rows.truncate(most);
        rows
    };
    RunView {
        name: facts.run.name.clone(),
        state: facts.run.state,
        owner: facts.run.owner.clone().filter(|_| !frame.is_frozen()),
        issue: facts.run.issue.clone().filter(|_| !frame.is_frozen()),
        topics: format!("run:{}", facts.run.id),
        alarm: run_readouts::alarm(frame, facts),
        tabs: Tab::ALL.into_iter().map(choice).collect(),
        overview: (tab == Tab::Overview).then(|| overview(frame, catalog, facts, events(NEWEST))),
        curves: matches!(tab, Tab::Curves | Tab::Metrics).then(|| curves_view(frame, catalog, tab, facts)),
        checkpoints: (tab == Tab::Checkpoints).then(|| Checkpoints::of(frame, catalog, facts, usize::MAX)),
        events: (tab == Tab::Events).then(|| events(usize::MAX)),
        settings: (tab == Tab::Settings).then(|| settings(frame, facts)),
        data: (tab == Tab::Data).then(|| data(frame, facts)),
        log: (tab == Tab::Log).then(|| LogView {
            lines: run_log::lines(facts),
            segments: run_log::segments(frame, &facts.segments),
        }),
    }
}

fn overview(frame: &Frame, catalog: &Catalog, facts: &Facts, events: Vec<EventRow>) -> Overview {
    // Its curve is drawn as a learning curve is; other axes need every row.
    let plain = Frame { query: Vec::new(), path: format!("/runs/{}", facts.run.name), ..frame.clone() };
    Overview {
        readouts: run_readouts::readouts(frame, facts),
        is_waiting: facts.run.state == RunState::Registered && facts.scored.is_empty(),
        tree: Tree::of(frame, facts),
        mean: curves(&plain, catalog, facts, TABLE_ROWS).mean(),
        checkpoints: Checkpoints::of(frame, catalog, facts, NEWEST),
        events,
        plan: PlanView::of(frame, facts),
    }
}

/// The curves on the axis that is asked for, and between the ends that are asked for.
fn curves<'f>(frame: &'f Frame, catalog: &'f Catalog, facts: &'f Facts, table_rows: usize) -> Curves<'f> {
    let asked = Against::of(frame.param("x"));
    let is_whole = frame.param("stage") == Some("all");
    let mut ground = Ground::of(&facts.rows, &facts.segments, parameters(facts));
    if let Some((fork, _)) = facts.fork.as_ref().filter(|_| is_whole) {
        ground = ground.after(Tokens(fork.before.0 + fork.tokens.0), steps_before(facts));
    }
    let against = if ground.offers(asked) { asked } else { Against::default() };
    Curves { frame, catalog, facts, against, ground, is_whole, span: Ends::SHARED.of(frame), table_rows }
}

fn figures(curves: &Curves<'_>, tab: Tab) -> Vec<Drawn> {
    match tab {
        Tab::Curves => {
            let tasks = scored::tasks(curves.facts.scored.iter().rev());
            std::iter::once(curves.mean()).chain(curves.tasks(&tasks)).collect()
        }
        _ => std::iter::once(curves.loss()).chain(curves.metrics()).collect(),
    }
}

fn curves_view(frame: &Frame, catalog: &Catalog, tab: Tab, facts: &Facts) -> CurvesView {
    // Files are found under the page's own name, whatever name it was asked for by.
    let own = Frame { path: format!("/runs/{}", facts.run.name), ..frame.clone() };
    let curves = curves(&own, catalog, facts, TABLE_ROWS);
    let offered = Against::ALL.into_iter().filter(|axis| curves.ground.offers(*axis));
    // Another axis has other ends.
    let spanless = Ends::SHARED.without(frame);
    let whole = curves.span.map(|_| spanless.with("", ""));
    let axes = offered.map(|axis| axis_choice(&spanless, axis, curves.against)).collect();
    let mut figures = figures(&curves, tab).into_iter().map(|drawn| drawn.zoomable(Ends::SHARED));
    let first = figures.next().into_iter().collect();
    CurvesView {
        title: frame.word("run_tab", tab.code()),
        axes,
        stages: stages(&spanless, facts, curves.is_whole),
        whole,
        csv: (tab == Tab::Metrics).then(|| format!("/runs/{}/metrics.csv", facts.run.name)),
        first,
        small: figures.collect(),
    }
}

/// Updates before the first of this stage: a child counts on from its parent's unless it says otherwise, and then they are in its own.
fn steps_before(facts: &Facts) -> Step {
    let resets = facts.run.spec.as_ref().is_some_and(|spec| spec["parent"]["reset_steps"] == true);
    facts.fork.as_ref().filter(|_| resets).map_or(Step(0), |(fork, _)| fork.step)
}

fn stages(frame: &Frame, facts: &Facts, is_whole: bool) -> Vec<Choice> {
    if facts.fork.is_none() {
        return Vec::new();
    }
    let choice = |key, value: &str, current| Choice {
        label: frame.t(key).to_owned(),
        href: frame.with("stage", value),
        current,
    };
    vec![choice("run.this_stage", "", !is_whole), choice("run.all_stages", "all", is_whole)]
}

/// Parameters of the model, as its newest examined checkpoint has them.
fn parameters(facts: &Facts) -> Option<u64> {
    facts.scored.iter().rev().find_map(|scored| Some(scored.checkpoint.verification.as_ref()?.parameters))
}

fn axis_choice(frame: &Frame, axis: Against, current: Against) -> Choice {
    let value = if axis == Against::default() { "" } else { axis.code() };
    Choice {
        label: axis.label(frame.lang).to_owned(),
        href: frame.with("x", value),
        current: axis == current,
    }
}

fn settings(frame: &Frame, facts: &Facts) -> Settings {
    let spec = facts.run.spec.as_ref();
    let other = facts.other.as_ref();
    Settings {
        warnings: run_sheet::warnings(frame.lang, &facts.warnings),
        sheet: spec.map(|spec| run_sheet::sheet(frame, spec)).unwrap_or_default(),
        digest: facts.run.spec_digest.map(|digest| digest.to_string()),
        spec: spec.and_then(|spec| serde_json::to_string_pretty(spec).ok()),
        differences: other.map(|other| run_sheet::differences(other.spec.as_ref(), spec)).unwrap_or_default(),
        other: other.map(|other| other.name.clone()),
    }
}

fn data(frame: &Frame, facts: &Facts) -> DataView {
    let rows = run_data::rows(frame, facts);
    DataView {
        has_spec: facts.run.spec.is_some(),
        has_losses: rows.iter().any(|row| row.loss.missing.is_none()),
        rows,
    }
}

/// `GET /runs/{run}/metrics.csv`: every row.
pub(crate) async fn metrics_csv(
    State(app): State<App>,
    frame: Frame,
    Path(key): Path<String>,
) -> Result<Response, WebError> {
    let run = frame.shown(&app, runs::find(&app, &key).await?).await?;
    let rows = app.store.metrics(run.id).await?;
    corpora::may_use(&app, run).await?;
    Ok(([(header::CONTENT_TYPE, "text/csv; charset=utf-8")], csv(&rows)).into_response())
}

/// Every metric row as CSV; an absent value is an empty field. The names that the trainer gave follow ours.
fn csv(rows: &[MetricRow]) -> String {
    let more: BTreeSet<&String> = rows.iter().flat_map(|row| row.more.keys()).collect();
    let own = ["loss", "ce", "z_loss", "lr", "grad_norm", "seconds"];
    let names: Vec<&str> = own.into_iter().chain(more.into_iter().map(String::as_str)).collect();
    let mut out = format!("step,tokens,{}\n", names.join(","));
    for row in rows {
        let field = |name: &&str| row.get(name).map_or_else(String::new, |value| value.to_string());
        let fields: Vec<String> = names.iter().map(field).collect();
        let _ = writeln!(out, "{},{},{}", row.step.0, row.tokens.0, fields.join(","));
    }
    out
}

#[cfg(test)]
pub(super) fn samples(frame: &Frame) -> Vec<String> {
    tests::samples(frame)
}

#[cfg(test)]
mod tests {
    use sekisho_domain::Language;

    use super::*;
    use crate::service::lineage::Fork;
    use crate::web::pages::fixtures;

    fn page(frame: &Frame, tab: Tab, facts: &Facts) -> String {
        let run = view(frame, &Catalog::builtin(), tab, facts);
        RunPage { frame: frame.clone(), how: how(&facts.run), run }.render().expect("renders")
    }

    fn with(frame: &Frame, query: &[(&str, &str)]) -> Frame {
        let query = query.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Frame { query, ..frame.clone() }
    }

    fn child() -> Facts {
        let mut child = fixtures::run_facts(3);
        let fork = Fork {
            parent: Run { name: "v4-8b-base".to_owned(), ..child.run.clone() },
            step: Step(30_000),
            tokens: Tokens(251_658_240_000),
            before: Tokens(0),
        };
        child.fork = Some((fork, child.rows[..300].to_vec()));
        child.branches = vec![Run { name: "v4-8b-decay <1>".to_owned(), ..child.run.clone() }];
        child
    }

    pub(super) fn samples(frame: &Frame) -> Vec<String> {
        let mut fresh = fixtures::run_facts(0);
        fresh.rows.clear();
        fresh.events.clear();
        fresh.segments.clear();
        fresh.plans.clear();
        let run = view(frame, &Catalog::builtin(), Tab::Overview, &fixtures::run_facts(5));
        let fragment = RunLive { frame: frame.clone(), run }.render().expect("renders");
        assert!(fragment.trim_start().starts_with("<div id=\"live\""), "{}", &fragment[..200]);
        let whole = page(&with(frame, &[("stage", "all")]), Tab::Metrics, &child());
        assert!(whole.contains("v4-8b-base"), "the curve hangs off its parent's");
        let mut pages = vec![whole, page(frame, Tab::Overview, &child())];
        for tab in Tab::ALL {
            let mut full = fixtures::run_facts(5);
            full.data = fixtures::run_data();
            full.other = Some(Run { name: "v4 <base>".to_owned(), spec: None, ..full.run.clone() });
            full.warnings =
                sekisho_foreign::warnings(&serde_json::json!({ "optimizer": { "eps": 1e-5 } }), None);
            pages.extend([page(frame, tab, &full), page(frame, tab, &fresh)]);
        }
        pages
    }

    #[test]
    fn every_figure_is_a_file_with_the_titles_of_the_field() {
        let (catalog, facts) = (Catalog::builtin(), fixtures::run_facts(5));
        for (lang, mean, x) in [
            (Language::Ja, "サブタスクスコアの平均", "学習トークン数 [B]（対数）"),
            (Language::En, "Average of subtask scores", "Trained tokens [billion, log]"),
        ] {
            let frame = fixtures::frame(lang, "/runs/v4-8b-exp2");
            let curves = curves(&frame, &catalog, &facts, TABLE_ROWS);
            for tab in [Tab::Curves, Tab::Metrics] {
                for drawn in figures(&curves, tab) {
                    assert_eq!(Tab::of_figure(&drawn.figure.id), tab, "{}", drawn.figure.id);
                    for absent in ["href", "<script", "url(", "@import", "var(", "light-dark", "currentColor"]
                    {
                        assert!(!drawn.file.contains(absent), "{}: {absent}", drawn.figure.id);
                    }
                    assert!(
                        drawn.file.contains(x) && drawn.file.contains("class=\"caption\""),
                        "{}",
                        drawn.figure.id
                    );
                }
            }
            let first = curves.mean();
            assert!(
                first.file.contains(mean)
                    && first.file.contains(">llm-jp-eval-dev100")
                    && first.file.contains("n = "),
                "{}",
                first.file
            );
            assert!(first.figure.heads.contains(&mean.to_owned()));
            let link = first.figure.svg.as_deref();
            assert_eq!(link, Some(format!("/runs/v4-8b-exp2/mean.svg?lang={lang}").as_str()));
        }
    }

    #[test]
    fn a_part_of_the_axis_is_drawn_and_said_in_the_address() {
        let (catalog, facts) = (Catalog::builtin(), fixtures::run_facts(5));
        let frame = fixtures::frame(Language::En, "/runs/v4-8b-exp2");
        let frame = with(&frame, &[("tab", "metrics"), ("x", "steps"), ("from", "10000"), ("to", "20000")]);
        let curves = curves(&frame, &catalog, &facts, TABLE_ROWS);
        let loss = curves.loss();
        assert!(
            loss.figure
                .rows
                .iter()
                .all(|row| row[0].value.as_str() >= "10,000" && row[0].value.as_str() <= "20,000")
        );
        assert!(
            loss.figure.wide.contains(">12k<") && !loss.figure.wide.contains(">30k<"),
            "{}",
            loss.figure.wide
        );
        let shown = curves_view(&frame, &catalog, Tab::Metrics, &facts);
        assert_eq!(shown.whole.as_deref(), Some("/runs/v4-8b-exp2?tab=metrics&x=steps"));
        assert!(
            shown.first[0]
                .figure
                .zoom
                .as_ref()
                .is_some_and(|zoom| zoom.0.contains("loss.json?tab=metrics&x=steps&from=10000"))
        );
        assert!(shown.axes.iter().all(|axis| !axis.href.contains("from=")), "another axis has other ends");
        for nonsense in ["from=2&to=1", "from=x&to=2", "from=NaN&to=9"] {
            let query: Vec<(&str, &str)> =
                nonsense.split('&').filter_map(|pair| pair.split_once('=')).collect();
            assert_eq!(Ends::SHARED.of(&with(&frame, &query)), None, "{nonsense}");
        }
    }
}
