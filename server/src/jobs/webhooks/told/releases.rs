//! Of releases.

use sekisho_domain::lineage::Visibility;
use sekisho_domain::webhook::EventType;
use sekisho_domain::{Language, ReleaseId, Text};
use sekisho_hub::Step;
use sekisho_store::{Happening, Release, StepState};
use serde_json::{Value, json};

use super::super::facts::{Facts, both, quoted};
use super::{Told, links, object};
use crate::service::releases;
use crate::web::i18n::Words as _;
use crate::{App, WebError};

/// What sentences about a release are made of.
struct Known {
    release: Release,
    repo: String,
    visibility: Visibility,
    approved: usize,
    needed: u32,
    successor: Option<String>,
}

/// Of a release.
pub(super) async fn release(app: &App, happening: &Happening) -> Result<Told, WebError> {
    let release = releases::find(app, &happening.subject).await?;
    let known = known(app, release, happening).await?;
    let detail = &happening.detail;
    let text = both(|lang| sentence(lang, happening.kind, &known, detail));
    let path = format!("/releases/{}", known.release.id);
    let (page, api) = links(app, &path, &path);
    let release = &known.release;
    let data = json!({
        "release": release.id, "name": quoted(&release.name), "state": release.state, "checkpoint": release.checkpoint,
        "digest": release.digest, "repository": quoted(&known.repo), "visibility": known.visibility,
        "approvals": known.approved, "approvals_needed": known.needed, "violations": detail["violations"], "by": detail["who"],
        "url": detail["url"], "successor": detail["successor"], "void": detail["n"], "changed": detail["what"],
        "step": detail["step"],
    });
    Ok(Told { project: Some(known.release.project.clone()), text, data: object(data), page, api })
}

async fn known(app: &App, release: Release, happening: &Happening) -> Result<Known, WebError> {
    let target = releases::target(&release);
    let successor = match happening.detail["successor"].as_str().and_then(|id| id.parse::<ReleaseId>().ok()) {
        Some(id) => app.store.release(id).await?.map(|release| quoted(&release.name)),
        None => None,
    };
    let wanted = target.as_ref().map_or(Visibility::Private, |target| target.visibility);
    let visibility = match happening.kind {
        // Before the step that shows it to everybody, the repository is private whatever is wanted.
        EventType::ReleaseStopped if !is_shown(app, release.id).await? => Visibility::Private,
        _ => wanted,
    };
    Ok(Known {
        repo: target.map(|target| target.repo).unwrap_or_default(),
        visibility,
        approved: releases::valid_approvals(app, &release).await?.len(),
        needed: releases::needed(app, &release),
        successor,
        release,
    })
}

async fn is_shown(app: &App, id: ReleaseId) -> Result<bool, WebError> {
    let steps = app.store.steps(id).await?;
    let shown = Step::Visibility.as_str();
    Ok(steps.iter().any(|step| step.name == shown && step.state == StepState::Done))
}

fn sentence(lang: Language, kind: EventType, known: &Known, detail: &Value) -> String {
    let release = quoted(&known.release.name);
    let who = detail["who"].as_str().unwrap_or_default();
    let reason = reason(lang, known, detail);
    let comment = detail["comment"].as_str().map(quoted).unwrap_or_default();
    let visibility = lang.t(&format!("visibility.{}", known.visibility));
    let url = detail["url"].as_str().unwrap_or_default();
    let k = Step::ALL.iter().position(|step| detail["step"] == step.as_str()).map_or(1, |place| place + 1);
    let parts = detail["what"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let mut what = Facts::new(lang);
    for part in parts {
        what = what.with("webhook_text.as_said", Some(lang.t(&format!("webhook_part.{part}"))));
    }
    let (what, successor) = (what.list(), known.successor.as_deref().unwrap_or_default());
    let n = detail["violations"].as_u64().or(detail["n"].as_u64()).unwrap_or_default();
    lang.fill(
        &format!("webhook_text.{}", kind.key()),
        &[
            ("release", &release),
            ("repo", &known.repo),
            ("visibility", &visibility),
            ("approved", &known.approved),
            ("needed", &known.needed),
            ("n", &n),
            ("k", &k),
            ("url", &url),
            ("new", &successor),
            ("what", &what),
            // What people wrote comes last: a placeholder in it stays a text.
            ("who", &who),
            ("reason", &reason),
            ("comment", &comment),
        ],
    )
}

/// Why it was taken back, or why its publication stopped.
fn reason(lang: Language, known: &Known, detail: &Value) -> String {
    let told: Option<Text> = serde_json::from_value(detail["reason"].clone()).ok();
    match (told, &known.release.yank) {
        (Some(text), _) => quoted(text.get(lang)),
        (None, Some(yank)) => quoted(&yank.reason),
        (None, None) => String::new(),
    }
}
