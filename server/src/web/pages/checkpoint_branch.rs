//! `/checkpoints/{id}/branch`: a child run from a checkpoint: what it keeps, what it changes, its learning rate, its specification.

use askama::Template;
use axum::Form;
use axum::extract::{Path, State};
use axum::http::header;
use axum::response::{IntoResponse as _, Redirect, Response};
use sekisho_domain::Tokens;
use sekisho_domain::checkpoint::CheckpointState;
use sekisho_domain::user::{Role, Scope};
use sekisho_domain::wire::RegisterRun;
use sekisho_store::{Checkpoint, Run};
use serde::Deserialize;

use super::parts::{self, Cell, Choice, Figure};
use super::run_plan::read;
use super::run_sheet::{self, Difference};
use crate::service::branches::{self, Asked, Branch, Kind};
use crate::service::{checkpoints, runs};
use crate::web::charts::paint::{self, Role as Paint};
use crate::web::charts::{Axis, Chart, Flag, Look, Numbers, Point, Scale, Series, Size};
use crate::web::format;
use crate::web::frame::{Frame, encode};
use crate::web::i18n::Words as _;
use crate::{App, Viewer, WebError};

/// Shapes that a decay may have, as the specification names them.
const SHAPES: [&str; 4] = ["minus_sqrt", "linear", "cosine", "exponential"];

#[derive(Template)]
#[template(path = "checkpoints/branch.html")]
struct BranchPage {
    frame: Frame,
    how: Vec<String>,
    checkpoint: Checkpoint,
    path: String,
    notice: Option<String>,
    /// Why it cannot be registered here.
    reason: Option<&'static str>,
    kinds: Vec<Choice>,
    kind: Kind,
    fields: Fields,
    shapes: Vec<&'static str>,
    child: Option<ChildView>,
}

struct ChildView {
    name: String,
    steps: String,
    /// What, and whether it goes on as it was.
    kept: Vec<(&'static str, &'static str)>,
    against: String,
    differences: Vec<Difference>,
    figure: Figure,
    text: String,
    download: String,
}

/// What the forms send.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Fields {
    csrf: String,
    kind: String,
    name: String,
    steps: String,
    warmup: String,
    shape: String,
    rate: String,
}

impl Fields {
    fn of(frame: &Frame) -> Self {
        let value = |name: &str| frame.param(name).unwrap_or_default().to_owned();
        Self {
            csrf: String::new(),
            kind: value("kind"),
            name: value("name"),
            steps: value("steps"),
            warmup: value("warmup"),
            shape: value("shape"),
            rate: value("rate"),
        }
    }

    fn asked(&self) -> Result<Asked, WebError> {
        let given = |text: &str| Some(text.trim().to_owned()).filter(|text| !text.is_empty());
        Ok(Asked {
            kind: Kind::of(Some(&self.kind)),
            name: given(&self.name),
            steps: read(&self.steps)?,
            warmup: read(&self.warmup)?,
            shape: given(&self.shape).filter(|shape| SHAPES.contains(&shape.as_str())),
            rate: read(&self.rate)?,
        })
    }
}

/// `GET /checkpoints/{id}/branch?kind=decay|midtrain|continual&name=&steps=&warmup=&shape=&rate=`.
pub(crate) async fn show(
    State(app): State<App>,
    frame: Frame,
    Path(key): Path<String>,
) -> Result<Response, WebError> {
    let (run, checkpoint) = load(&app, &key).await?;
    let fields = Fields::of(&frame);
    let made = fields.asked().and_then(|asked| branches::branch(&run, &checkpoint, &asked));
    parts::page(&view(frame, &run, checkpoint, fields, made))
}

/// `GET /checkpoints/{id}/branch.toml`: the child's specification.
pub(crate) async fn file(
    State(app): State<App>,
    frame: Frame,
    Path(key): Path<String>,
) -> Result<Response, WebError> {
    let (run, checkpoint) = load(&app, &key).await?;
    let child = branches::branch(&run, &checkpoint, &Fields::of(&frame).asked()?)?;
    Ok(([(header::CONTENT_TYPE, "application/toml; charset=utf-8")], child.text).into_response())
}

/// `POST /checkpoints/{id}/branch`: registers the child.
pub(crate) async fn register(
    State(app): State<App>,
    frame: Frame,
    viewer: Viewer,
    Path(key): Path<String>,
    Form(fields): Form<Fields>,
) -> Result<Response, WebError> {
    let actor = viewer.form_actor(&fields.csrf)?;
    let (run, checkpoint) = load(&app, &key).await?;
    actor.require_in(&run.project, &[Role::Contributor], Scope::Ingest)?;
    let made = fields.asked().and_then(|asked| branches::branch(&run, &checkpoint, &asked));
    let registered = match made.as_ref() {
        Ok(child) => {
            runs::register(&app, &request(&run, child), &actor.user.name).await.map(|(run, _)| run.name)
        }
        Err(error) => Err(error.clone()),
    };
    match registered {
        Ok(name) => Ok(Redirect::to(&format!("/runs/{}", encode(&name))).into_response()),
        Err(error) => {
            let path = format!("/checkpoints/{}/branch", checkpoint.id);
            let notice = super::error::told(frame.lang, &error);
            let mut page = view(Frame { path, query: Vec::new(), ..frame }, &run, checkpoint, fields, made);
            page.notice = Some(notice);
            Ok((error.status, parts::page(&page)?).into_response())
        }
    }
}

fn request(parent: &Run, child: &Branch) -> RegisterRun {
    RegisterRun {
        name: child.name.clone(),
        planned_tokens: sekisho_foreign::configuration::tokens(&child.spec).map(Tokens),
        spec: Some(child.spec.clone()),
        suite: parent.suite.clone(),
        project: Some(parent.project.clone()),
        issue: None,
    }
}

async fn load(app: &App, key: &str) -> Result<(Run, Checkpoint), WebError> {
    let checkpoint = checkpoints::find(app, key).await?;
    let run = runs::find(app, &checkpoint.run.to_string()).await?;
    if checkpoint.state != CheckpointState::Verified {
        let detail = format!(
            "Checkpoint {} is {}; a run goes on from a verified one.",
            checkpoint.id, checkpoint.state
        );
        let ja = "分岐できるのは、検証済みのチェックポイントだけです。";
        return Err(WebError::conflict("checkpoint-unverified", detail).or_ja(ja));
    }
    Ok((run, checkpoint))
}

fn view(
    frame: Frame,
    run: &Run,
    checkpoint: Checkpoint,
    fields: Fields,
    made: Result<Branch, WebError>,
) -> BranchPage {
    let path = format!("/checkpoints/{}/branch", checkpoint.id);
    let kind = Kind::of(Some(&fields.kind));
    let choice = |one: Kind| Choice {
        label: frame.word("branch_kind", one.as_str()).to_owned(),
        href: format!("{path}?kind={}", one.as_str()),
        current: one == kind,
    };
    let user = frame.user.as_ref();
    let may = user.is_some_and(|user| user.has_in(&run.project, Role::Contributor) || user.has(Role::Admin));
    let (child, notice) = match made {
        Ok(child) => (Some(child_view(&frame, run, &checkpoint, kind, child, &fields)), None),
        Err(error) => (None, Some(super::error::told(frame.lang, &error))),
    };
    BranchPage {
        how: vec![format!("GET {path}.toml?kind={}", kind.as_str()), "POST /api/v1/runs".to_owned()],
        notice,
        reason: (!may)
            .then(|| frame.t(if user.is_none() { "action.sign_in" } else { "action.needs_contributor" })),
        kinds: Kind::ALL.into_iter().map(choice).collect(),
        shapes: SHAPES.to_vec(),
        child,
        kind,
        fields,
        path,
        checkpoint,
        frame,
    }
}

fn child_view(
    frame: &Frame,
    run: &Run,
    checkpoint: &Checkpoint,
    kind: Kind,
    child: Branch,
    fields: &Fields,
) -> ChildView {
    let query = [
        ("kind", kind.as_str()),
        ("name", &fields.name),
        ("steps", &fields.steps),
        ("warmup", &fields.warmup),
        ("shape", &fields.shape),
        ("rate", &fields.rate),
    ];
    let given = query.iter().filter(|(_, value)| !value.is_empty());
    let query: Vec<String> = given.map(|(name, value)| format!("{name}={}", encode(value))).collect();
    let all: Vec<Difference> = run_sheet::differences(run.spec.as_ref(), Some(&child.spec));
    ChildView {
        steps: format::count(child.steps),
        kept: kept(frame, kind),
        against: run.name.clone(),
        differences: all.into_iter().filter(|one| !one.path.starts_with("parent.")).collect(),
        figure: figure(frame, checkpoint, run, &child),
        download: format!("/checkpoints/{}/branch.toml?{}", checkpoint.id, query.join("&")),
        text: child.text,
        name: child.name,
    }
}

/// What goes on as it was, and what does not.
fn kept(frame: &Frame, kind: Kind) -> Vec<(&'static str, &'static str)> {
    let moments = if kind == Kind::Continual { "branch.fresh" } else { "branch.kept" };
    let (data, steps) = match kind {
        Kind::Decay => ("branch.goes_on", "branch.counts_on"),
        Kind::MidTraining | Kind::Continual => ("branch.from_start", "branch.from_one"),
    };
    let rate = match kind {
        Kind::Decay => "branch.rate_decay",
        Kind::MidTraining => "branch.rate_midtrain",
        Kind::Continual => "branch.rate_continual",
    };
    [
        ("branch.weights", "branch.kept"),
        ("branch.moments", moments),
        ("branch.data", data),
        ("branch.steps_counted", steps),
        ("branch.rate", rate),
    ]
    .map(|(what, how)| (frame.t(what), frame.t(how)))
    .to_vec()
}

/// The parent's learning rate, and the child's leaving it.
fn figure(frame: &Frame, checkpoint: &Checkpoint, run: &Run, child: &Branch) -> Figure {
    let lang = frame.lang;
    let [before, rest, own] = &child.rates;
    let line = |name: &str, look: Look, palette: usize, points: &[(f64, f64)]| Series {
        name: name.to_owned(),
        look,
        palette,
        points: points.iter().copied().map(Point::from).collect(),
    };
    let axis = |title: &str, numbers: Numbers, range| Axis {
        title: title.to_owned(),
        scale: Scale::Linear,
        numbers,
        range,
    };
    let at = lang.fill("run.at_step", &[("step", &checkpoint.step)]);
    let end = own.last().map_or_else(String::new, |(_, rate)| format::scientific(*rate));
    let begin = own.first().map_or_else(String::new, |(_, rate)| format::scientific(*rate));
    let steps = format::count(child.steps);
    let values: [(&str, &dyn std::fmt::Display); 4] =
        [("at", &at), ("steps", &steps), ("begin", &begin), ("end", &end)];
    let title = lang.t("branch.preview").to_owned();
    let summary = if own.is_empty() {
        lang.t("branch.no_rate").to_owned()
    } else {
        lang.fill("branch.summary", &values)
    };
    let chart = Chart {
        label: format!("{title}. {summary}"),
        x: axis(lang.t("axis.steps"), Numbers::Short, None),
        y: axis(lang.t("axis.learning_rate"), Numbers::Scientific, Some((0.0, 0.0))),
        series: vec![
            line("", Look::Faint, paint::role(Paint::Stable), rest),
            line(&run.name, Look::Line, paint::role(Paint::Stable), before),
            line(&child.name, Look::Line, paint::role(Paint::Decay), own),
        ],
        references: Vec::new(),
        flags: vec![Flag { x: checkpoint.step.0 as f64, note: at }],
    };
    let every = own.len().div_ceil(20).max(1);
    let shown = own.iter().enumerate().filter(|(i, _)| i % every == 0 || i + 1 == own.len());
    Figure {
        id: "rate".to_owned(),
        title,
        summary,
        empty: own.is_empty(),
        wide: chart.svg(Size::Wide),
        narrow: chart.svg(Size::Narrow),
        heads: vec![lang.t("axis.steps").to_owned(), lang.t("axis.learning_rate").to_owned()],
        rows: shown
            .map(|(_, (step, rate))| {
                vec![Cell::from(format::count(*step as u64)), Cell::from(format::scientific(*rate))]
            })
            .collect(),
        ..Figure::new(lang)
    }
}

#[cfg(test)]
pub(super) fn samples(frame: &Frame) -> Vec<String> {
    use super::fixtures;
    let spec = serde_json::json!({ "name": "v4", "optimizer": { "lr": 3e-4 }, "schedule": { "kind": "constant" }, "stop": { "steps": 100_000 } });
    let run = Run { spec: Some(spec), ..fixtures::run() };
    let checkpoint = fixtures::verified_checkpoint();
    let member = fixtures::user("mori", fixtures::id("mori"), &[Role::Contributor]);
    let signed_in = Frame { user: Some(member), csrf: "csrf_x".to_owned(), ..frame.clone() };
    let page = |frame: &Frame, run: &Run, kind: Kind| {
        let fields = Fields { kind: kind.as_str().to_owned(), name: "a <b>".to_owned(), ..Fields::default() };
        let made = fields.asked().and_then(|asked| branches::branch(run, &checkpoint, &asked));
        view(frame.clone(), run, checkpoint.clone(), fields, made).render().expect("renders")
    };
    let unknown = Run { spec: None, ..run.clone() };
    let mut pages: Vec<String> = Kind::ALL.into_iter().map(|kind| page(&signed_in, &run, kind)).collect();
    pages.push(page(frame, &unknown, Kind::Decay));
    pages
}
