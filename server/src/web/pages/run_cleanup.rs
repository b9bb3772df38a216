//! `/runs/{run}/cleanup`: which checkpoints of a run are kept and why, and what the removal of the others gives back.

use askama::Template;
use axum::Form;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse as _, Redirect, Response};
use sekisho_domain::Sha256;
use sekisho_domain::user::Role;
use sekisho_domain::wire::{CleanupItem, CleanupRule, CleanupView, Kept, KeptReason};
use sekisho_store::Run;
use serde::Deserialize;

use super::parts::{self, Cell, Readout};
use crate::service::{cleanup, runs};
use crate::web::api::RuleQuery;
use crate::web::format;
use crate::web::frame::{Frame, encode};
use crate::web::i18n::Words as _;
use crate::{App, Viewer, WebError};

#[derive(Template)]
#[template(path = "runs/cleanup.html")]
struct CleanupPage {
    frame: Frame,
    how: Vec<String>,
    run: String,
    rule: CleanupRule,
    /// The rule as a query.
    query: String,
    readouts: Vec<Readout>,
    rows: Vec<Row>,
    /// How many copies of ours the button removes.
    removed: usize,
    plan: String,
    /// Removes the folders that are not ours.
    shell: Option<String>,
    /// What was done just now.
    notice: Option<String>,
    /// Why the button is not there.
    why_not: Option<&'static str>,
}

struct Row {
    href: String,
    step: String,
    state: &'static str,
    mean: Cell,
    bytes: String,
    freed: Cell,
    /// Words, and where they lead.
    kept: Vec<(String, Option<String>)>,
    /// What becomes of one that is not kept.
    fate: &'static str,
    path: String,
}

/// What the form sends.
#[derive(Deserialize)]
pub(crate) struct Fields {
    csrf: String,
    every: u64,
    last: u64,
    best: u64,
    plan: String,
}

/// `GET /runs/{run}/cleanup?every=1000&last=3&best=1`.
pub(crate) async fn show(
    State(app): State<App>,
    frame: Frame,
    Path(key): Path<String>,
    Query(query): Query<RuleQuery>,
) -> Result<Response, WebError> {
    let (run, plan) = cleanup::asked(&app, &key, query.rule()).await?;
    parts::page(&view(frame, &run, &plan))
}

/// `GET /runs/{run}/cleanup.csv`: the same list as a table.
pub(crate) async fn csv(
    State(app): State<App>,
    _frame: Frame,
    Path(key): Path<String>,
    Query(query): Query<RuleQuery>,
) -> Result<Response, WebError> {
    let (_, plan) = cleanup::asked(&app, &key, query.rule()).await?;
    let head = ["step", "checkpoint", "state", "owned", "bytes", "freed_bytes", "kept", "path"];
    let rows = plan.items.into_iter().map(|item| {
        let kept: Vec<&str> = item.kept.iter().map(|kept| kept.reason.as_str()).collect();
        vec![
            item.step.0.to_string(),
            item.checkpoint.to_string(),
            item.state.to_string(),
            item.owned.to_string(),
            item.bytes.to_string(),
            item.freed_bytes.to_string(),
            kept.join(" "),
            item.path,
        ]
    });
    Ok(parts::csv(&head, rows))
}

/// `POST /runs/{run}/cleanup`: removes the copies that were shown, and shows what is left.
pub(crate) async fn clean(
    State(app): State<App>,
    viewer: Viewer,
    Path(key): Path<String>,
    Form(fields): Form<Fields>,
) -> Result<Response, WebError> {
    let actor = viewer.form_actor(&fields.csrf)?;
    let run = runs::find(&app, &key).await?;
    let rule = CleanupRule { every: fields.every, last: fields.last, best: fields.best };
    let plan: Sha256 = fields.plan.parse().map_err(|_| {
        WebError::bad_request("cleanup-plan", "The form lacks what was looked at. Load the page again.")
    })?;
    let done = cleanup::clean(&app, actor, &run, rule, plan).await?;
    let path = format!(
        "/runs/{}/cleanup?{}&removed={}&freed={}",
        encode(&run.name),
        query_of(rule),
        done.removed.len(),
        done.freed_bytes
    );
    Ok(Redirect::to(&path).into_response())
}

fn query_of(rule: CleanupRule) -> String {
    format!("every={}&last={}&best={}", rule.every, rule.last, rule.best)
}

fn view(frame: Frame, run: &Run, plan: &CleanupView) -> CleanupPage {
    let rule = plan.rule;
    let removed = plan.items.iter().filter(|item| item.owned && item.kept.is_empty()).count();
    let keeps: String = [("every", rule.every), ("last", rule.last), ("best", rule.best)]
        .iter()
        .filter(|(_, n)| *n > 0)
        .map(|(name, n)| format!(" --keep {name}:{n}"))
        .collect();
    let done = frame.param("removed").and_then(|n| n.parse::<u64>().ok());
    let freed = frame.param("freed").and_then(|n| n.parse().ok()).map(format::bytes);
    let notice = done.map(|n| {
        frame.lang.fill("cleanup.done", &[("n", &format::count(n)), ("bytes", &freed.unwrap_or_default())])
    });
    CleanupPage {
        how: vec![
            format!("sekisho checkpoint clean --run {}{keeps}", run.name),
            format!("GET /api/v1/runs/{}/cleanup?{}", run.name, query_of(rule)),
        ],
        run: run.name.clone(),
        query: query_of(rule),
        readouts: readouts(&frame, plan, removed),
        rows: plan.items.iter().map(|item| row(&frame, item)).collect(),
        plan: plan.plan.hex(),
        shell: plan.shell.clone(),
        why_not: why_not(&frame, &run.project),
        rule,
        removed,
        notice,
        frame,
    }
}

fn why_not(frame: &Frame, project: &str) -> Option<&'static str> {
    match &frame.user {
        None => Some(frame.t("action.sign_in")),
        Some(user) if !user.has_in(project, Role::Contributor) && !user.has(Role::Admin) => {
            Some(frame.t("action.needs_contributor"))
        }
        Some(_) => None,
    }
}

fn readouts(frame: &Frame, plan: &CleanupView, removed: usize) -> Vec<Readout> {
    let kept = plan.items.iter().filter(|item| !item.kept.is_empty()).count();
    let others = plan.items.iter().filter(|item| !item.owned && item.kept.is_empty());
    let bytes: u64 = others.clone().map(|item| item.bytes).sum();
    let number = |n: usize| format::count(n as u64);
    vec![
        Readout::new(frame.t("cleanup.kept"), number(kept), ""),
        Readout::new(frame.t("cleanup.removed"), number(removed), ""),
        Readout::new(frame.t("cleanup.freed"), format::bytes(plan.freed_bytes), ""),
        Readout::new(
            frame.t("cleanup.others"),
            number(others.count()),
            if bytes > 0 { format::bytes(bytes) } else { String::new() },
        ),
    ]
}

fn row(frame: &Frame, item: &CleanupItem) -> Row {
    let fate = match (item.kept.is_empty(), item.owned) {
        (false, _) => "",
        (true, true) => frame.t("cleanup.to_remove"),
        (true, false) => frame.t("cleanup.not_ours"),
    };
    let freed = (item.kept.is_empty() && item.owned).then(|| {
        if item.freed_bytes == 0 {
            frame.t("cleanup.shared").to_owned()
        } else {
            format::bytes(item.freed_bytes)
        }
    });
    Row {
        href: format!("/checkpoints/{}", item.checkpoint),
        step: item.step.to_string(),
        state: item.state.as_str(),
        mean: Cell::of(item.mean.map(format::score), frame.t("missing.incomplete")),
        bytes: format::bytes(item.bytes),
        freed: Cell::of(freed, frame.t("cleanup.nothing")),
        kept: item.kept.iter().map(|kept| reason(frame, kept)).collect(),
        fate,
        path: item.path.clone(),
    }
}

/// `実験 v4-8b-decay の分岐元`, with a link where there is a page.
pub(super) fn reason(frame: &Frame, kept: &Kept) -> (String, Option<String>) {
    let name = kept.name.clone().unwrap_or_default();
    let href = match kept.reason {
        KeptReason::Branch => Some(format!("/runs/{}", encode(&name))),
        KeptReason::Release => kept.id.as_ref().map(|id| format!("/releases/{id}")),
        _ => None,
    };
    (frame.fill(&format!("kept.{}", kept.reason), "name", &name), href)
}

#[cfg(test)]
pub(super) fn samples(frame: &Frame) -> Vec<String> {
    use sekisho_domain::Step;
    use sekisho_domain::checkpoint::CheckpointState;

    use super::fixtures;
    let kept = |reason: KeptReason, name: Option<&str>| Kept {
        reason,
        name: name.map(ToOwned::to_owned),
        id: name.map(|_| fixtures::id::<sekisho_domain::ReleaseId>("r").to_string()),
    };
    let item = |step: u64, owned: bool, kept: Vec<Kept>| CleanupItem {
        checkpoint: fixtures::id(&format!("c{step}")),
        step: Step(step),
        state: CheckpointState::Verified,
        mean: step.is_multiple_of(2000).then_some(0.4123),
        owned,
        path: format!("/data/runs/v4-8b-exp2/iter_{step:07}"),
        bytes: 16_060_522_240,
        freed_bytes: if owned && kept.is_empty() && step > 57_000 { 16_060_522_240 } else { 0 },
        kept,
    };
    let items = vec![
        item(60_000, true, KeptReason::ALL.iter().map(|reason| kept(*reason, Some("v4 <8b>"))).collect()),
        item(58_000, true, Vec::new()),
        item(57_000, true, Vec::new()),
        item(56_500, false, Vec::new()),
    ];
    let full = CleanupView {
        rule: CleanupRule { every: 1000, last: 3, best: 1 },
        items,
        next: None,
        freed_bytes: 16_060_522_240,
        plan: Sha256::of("plan"),
        shell: Some("rm -r -- '/data/runs/v4-8b-exp2/iter_0056500'".to_owned()),
    };
    let empty = CleanupView { items: Vec::new(), freed_bytes: 0, shell: None, ..full.clone() };
    let run = fixtures::run_facts(0).run;
    let mut after = frame.clone();
    after.query =
        vec![("removed".to_owned(), "2".to_owned()), ("freed".to_owned(), "16060522240".to_owned())];
    [(after, full), (frame.clone(), empty)]
        .map(|(frame, plan)| view(frame, &run, &plan).render().expect("renders"))
        .into()
}
