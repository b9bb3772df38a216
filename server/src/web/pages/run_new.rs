//! `/runs/new`: registers a run from what its trainer is started with. The first button shows what it comes to, warnings first; the second
//! one keeps it.

use askama::Template;
use axum::Form;
use axum::extract::State;
use axum::response::{IntoResponse as _, Redirect, Response};
use jiff::civil::Date;
use sekisho_domain::run::Plan;
use sekisho_domain::user::{Role, Scope};
use sekisho_domain::{Sha256, canonical_json};
use sekisho_foreign::Source;
use sekisho_foreign::warnings::{parameters, published_rates};
use serde::Deserialize;

use super::parts::{self, Choice, Readout};
use super::run_plan::read;
use super::run_sheet::{self, Difference, Part};
use crate::service::registrations::{self, Asked, Draft};
use crate::service::{plans, projects, runs};
use crate::web::format;
use crate::web::frame::{Frame, encode};
use crate::web::i18n::Words as _;
use crate::{Actor, App, Viewer, WebError};

/// Runs that are offered as the one to hold it against.
const OFFERED: u32 = 100;

#[derive(Template)]
#[template(path = "runs/new.html")]
struct NewPage {
    frame: Frame,
    how: Vec<String>,
    notice: Option<String>,
    fields: Fields,
    /// Why it cannot be used; the form is shown all the same.
    reason: Option<&'static str>,
    sources: Vec<Choice>,
    projects: Vec<String>,
    suites: Vec<String>,
    runs: Vec<String>,
    draft: Option<DraftView>,
}

/// What was read, before it is kept.
struct DraftView {
    name: String,
    source: String,
    notes: Vec<String>,
    warnings: Vec<(&'static str, String)>,
    readouts: Vec<Readout>,
    sheet: Vec<Part>,
    parent: Option<String>,
    differences: Vec<Difference>,
    digest: String,
}

/// What the form sends.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Fields {
    csrf: String,
    text: String,
    source: String,
    name: String,
    project: String,
    suite: String,
    parent: String,
    parent_step: String,
    issue: String,
    gpus: String,
    speed: String,
    end: String,
    /// The digest of the specification that was shown.
    shown: String,
    /// `register` by the second button.
    action: String,
}

/// `GET /runs/new?parent=RUN`.
pub(crate) async fn show(State(app): State<App>, frame: Frame) -> Result<Response, WebError> {
    let parent = frame.param("parent").unwrap_or_default().to_owned();
    let fields = Fields { parent, ..Fields::default() };
    parts::page(&page(&app, frame, fields, None, None).await?)
}

/// `POST /runs/new`: shows what was read, or registers what was shown. A refusal shows the page again with what was typed.
pub(crate) async fn act(
    State(app): State<App>,
    frame: Frame,
    viewer: Viewer,
    Form(fields): Form<Fields>,
) -> Result<Response, WebError> {
    let actor = viewer.form_actor(&fields.csrf)?;
    let frame = Frame { path: "/runs/new".to_owned(), query: Vec::new(), ..frame };
    match done(&app, actor, &fields).await {
        Ok(Done::Registered(name)) => Ok(Redirect::to(&format!("/runs/{}", encode(&name))).into_response()),
        Ok(Done::Read(draft, is_changed)) => {
            let notice = is_changed.then(|| frame.t("register.changed").to_owned());
            parts::page(&page(&app, frame, fields, Some(&draft), notice).await?)
        }
        Err(error) => {
            let notice = super::error::told(frame.lang, &error);
            let page = page(&app, frame, fields, None, Some(notice)).await?;
            Ok((error.status, parts::page(&page)?).into_response())
        }
    }
}

/// What came of a form.
enum Done {
    /// Something to look at; it may be something else than was shown before.
    Read(Box<Draft>, bool),
    Registered(String),
}

async fn done(app: &App, actor: &Actor, fields: &Fields) -> Result<Done, WebError> {
    let asked = asked(fields)?;
    let project = asked.project.as_deref().unwrap_or(projects::DEFAULT);
    actor.require_in(project, &[Role::Contributor], Scope::Ingest)?;
    let draft = registrations::draft(app, &asked).await?;
    let is_shown = fields.shown == digest(&draft);
    if fields.action != "register" || !is_shown {
        return Ok(Done::Read(Box::new(draft), fields.action == "register"));
    }
    let (run, is_new) = runs::register(app, &draft.request, &actor.user.name).await?;
    let plan = Plan { end: draft.pace.end, gpus: asked.gpus, ..Plan::default() };
    if is_new && plan != Plan::default() {
        plans::change(app, actor, &run.name, &plan, "").await?;
    }
    Ok(Done::Registered(run.name))
}

fn digest(draft: &Draft) -> String {
    Sha256::of(canonical_json(draft.spec())).hex()
}

fn asked(fields: &Fields) -> Result<Asked, WebError> {
    let given = |text: &str| Some(text.trim().to_owned()).filter(|text| !text.is_empty());
    Ok(Asked {
        text: fields.text.replace("\r\n", "\n"),
        source: Source::of(&fields.source),
        name: given(&fields.name),
        project: given(&fields.project),
        suite: given(&fields.suite),
        parent: given(&fields.parent),
        parent_step: read(&fields.parent_step)?,
        issue: given(&fields.issue),
        gpus: read(&fields.gpus)?,
        speed: read(&fields.speed)?,
        end: read::<Date>(&fields.end)?,
    })
}

async fn page(
    app: &App,
    frame: Frame,
    fields: Fields,
    draft: Option<&Draft>,
    notice: Option<String>,
) -> Result<NewPage, WebError> {
    let projects = app.store.projects().await?.into_iter().map(|project| project.name).collect();
    let runs = app.store.runs(OFFERED).await?.into_iter().map(|run| run.name).collect();
    let suites = app.catalog.suites().iter().map(|suite| suite.name.clone()).collect();
    Ok(view(frame, fields, draft, notice, (projects, suites, runs)))
}

type Offered = (Vec<String>, Vec<String>, Vec<String>);

fn view(
    frame: Frame,
    fields: Fields,
    draft: Option<&Draft>,
    notice: Option<String>,
    (projects, suites, runs): Offered,
) -> NewPage {
    let source = |source: Source| Choice {
        label: frame.word("configuration", source.as_str()).to_owned(),
        href: source.as_str().to_owned(),
        current: fields.source == source.as_str(),
    };
    let may = |user: &sekisho_store::User| {
        user.has(Role::Admin) || projects.iter().any(|project| user.has_in(project, Role::Contributor))
    };
    NewPage {
        how: vec![
            "sekisho run register FILE --name NAME --check".to_owned(),
            "POST /api/v1/runs?check=true".to_owned(),
        ],
        notice,
        reason: match &frame.user {
            None => Some(frame.t("action.sign_in")),
            Some(user) => (!may(user)).then(|| frame.t("action.needs_contributor")),
        },
        sources: Source::ALL.into_iter().map(source).collect(),
        draft: draft.map(|draft| draft_view(&frame, draft)),
        projects,
        suites,
        runs,
        fields,
        frame,
    }
}

fn draft_view(frame: &Frame, draft: &Draft) -> DraftView {
    let spec = draft.spec();
    let parent = draft.parent.as_ref();
    DraftView {
        name: draft.request.name.clone(),
        source: frame.word("configuration", draft.source.as_str()).to_owned(),
        notes: notes(frame, draft),
        warnings: run_sheet::warnings(frame.lang, &draft.warnings),
        readouts: readouts(frame, draft),
        sheet: run_sheet::sheet(frame, spec),
        parent: parent.map(|parent| parent.name.clone()),
        differences: parent
            .map(|parent| run_sheet::differences(parent.spec.as_ref(), Some(spec)))
            .unwrap_or_default(),
        digest: digest(draft),
    }
}

/// What published runs of about that size used, and what could not be made out.
fn notes(frame: &Frame, draft: &Draft) -> Vec<String> {
    let lang = frame.lang;
    let rates = published_rates(draft.spec());
    let beside = lang.fill("register.beside", &[("runs", &rates.join(lang.t("common.comma")))]);
    let introduced = |note: &String| lang.fill("register.note", &[("note", note)]);
    let beside = (!rates.is_empty()).then_some(beside);
    beside.into_iter().chain(draft.notes.iter().map(introduced)).collect()
}

fn readouts(frame: &Frame, draft: &Draft) -> Vec<Readout> {
    let (lang, spec, pace) = (frame.lang, draft.spec(), &draft.pace);
    let unknown = lang.t("missing.not_said");
    let tokens = draft.request.planned_tokens.map(|tokens| (tokens.short(), tokens.to_string()));
    let count = |value: &serde_json::Value| value.as_u64().map(|n| (format::count(n), String::new()));
    let rate = spec["optimizer"]["lr"].as_f64().map(|rate| (format::scientific(rate), String::new()));
    let per_day = pace.steps_per_day.map(|steps| {
        let tokens = pace.tokens_per_day.map(|tokens| format::throughput(lang, tokens / 86_400.0));
        (format::count(steps.round() as u64), tokens.unwrap_or_default())
    });
    let steps_label = if pace.is_needed { "register.steps_needed" } else { "register.steps_per_day" };
    let no_pace = lang.t("missing.no_pace");
    vec![
        Readout::of(lang.t("run.tokens"), tokens, unknown),
        Readout::of(lang.t("run.step"), count(&spec["stop"]["steps"]), unknown),
        Readout::of(
            lang.t("board.parameters"),
            parameters(spec).map(|n| (format::short(n), format::count(n))),
            unknown,
        ),
        Readout::of(lang.t("register.peak_rate"), rate, unknown),
        Readout::of(lang.t(steps_label), per_day, no_pace),
        Readout::of(lang.t("run.plan_end"), pace.end.map(|end| (end.to_string(), String::new())), no_pace),
    ]
}

#[cfg(test)]
pub(super) fn samples(frame: &Frame) -> Vec<String> {
    use super::fixtures;
    use sekisho_domain::Tokens;
    use sekisho_domain::wire::RegisterRun;
    let text = "--num-layers 32 --hidden-size 4096 --num-attention-heads 32 --seq-length 8192 --global-batch-size 1024 --train-iters 1000 --lr 1e-2 --adam-eps 1e-5 --x $UNSET";
    let found = sekisho_foreign::configuration("pasted", text, None).expect("a configuration");
    let draft = Draft {
        warnings: sekisho_foreign::warnings(&found.spec, None),
        request: RegisterRun {
            name: "v4-8b <1>".to_owned(),
            planned_tokens: Some(Tokens(8_388_608_000)),
            spec: Some(found.spec),
            ..RegisterRun::default()
        },
        source: found.source,
        notes: found.notes,
        parent: Some(fixtures::run()),
        pace: registrations::Pace {
            steps_per_day: Some(5958.0),
            tokens_per_day: Some(5e10),
            end: None,
            is_needed: false,
        },
    };
    let offered = || (vec!["default".to_owned()], vec!["llm-jp".to_owned()], vec!["v4 <base>".to_owned()]);
    let member = fixtures::user("mori", fixtures::id("mori"), &[Role::Contributor]);
    let signed_in = Frame { user: Some(member), csrf: "csrf_x".to_owned(), ..frame.clone() };
    let fields = Fields { text: text.to_owned(), source: "megatron".to_owned(), ..Fields::default() };
    [
        view(signed_in, fields.clone(), Some(&draft), None, offered()),
        view(frame.clone(), fields, None, Some("no < yes".to_owned()), offered()),
    ]
    .map(|page| page.render().expect("renders"))
    .to_vec()
}
