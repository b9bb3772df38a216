//! `/webhooks/{id}`: one endpoint, what was sent to it, and what it answered.

use askama::Template;
use axum::Form;
use axum::extract::{Path, State};
use axum::response::{IntoResponse as _, Redirect, Response};
use jiff::civil::DateTime;
use sekisho_domain::Timestamp;
use sekisho_domain::webhook::EndpointState;
use sekisho_store::{Attempt, Endpoint, Message, Resend};
use serde::Deserialize;

use super::parts::{Cell, When};
use super::webhooks::{self, SettingsForm};
use super::{error, parts};
use crate::jobs::webhooks::wire_id;
use crate::service::webhooks as service;
use crate::web::format;
use crate::web::frame::Frame;
use crate::{App, Noun, Viewer, WebError};

/// Messages on the page, newest first.
const MESSAGES: u32 = 100;

#[derive(Template)]
#[template(path = "webhooks/webhook.html")]
struct WebhookPage {
    frame: Frame,
    how: Vec<String>,
    path: String,
    name: String,
    state: &'static str,
    facts: Vec<(&'static str, Cell)>,
    alarm: Option<String>,
    notice: Option<String>,
    done: Option<String>,
    secret: Option<String>,
    rows: Vec<MessageRow>,
    cut: Option<String>,
    may_keep: bool,
    is_active: bool,
    form: SettingsForm,
    since: String,
}

struct MessageRow {
    id: String,
    when: When,
    kind: &'static str,
    state: &'static str,
    attempts: u32,
    next: Option<String>,
    body: String,
    tries: Vec<TryRow>,
    last: Cell,
    ms: Cell,
}

struct TryRow {
    when: String,
    status: String,
    ms: String,
    answer: Cell,
}

/// What the buttons send.
#[derive(Deserialize)]
pub(crate) struct Act {
    csrf: String,
    #[serde(default)]
    message: String,
    #[serde(default)]
    since: String,
}

/// `GET /webhooks/{id}`.
pub(crate) async fn show(
    State(app): State<App>,
    viewer: Viewer,
    frame: Frame,
    Path(key): Path<String>,
) -> Result<Response, WebError> {
    viewer.reader()?;
    let endpoint = service::find(&app, &key).await?;
    let done = match frame.param("done") {
        Some("ping") => Some(frame.t("webhooks.done_ping").to_owned()),
        Some("change") => Some(frame.t("webhooks.done_change").to_owned()),
        Some(number) => number.parse::<u64>().ok().map(|n| frame.fill("webhooks.done_resend", "n", n)),
        None => None,
    };
    let page = load(&app, frame, &endpoint, None).await?;
    parts::page(&WebhookPage { done, ..page })
}

/// The page of an endpoint with a secret that was just made.
pub(super) async fn fresh(
    app: &App,
    frame: Frame,
    endpoint: &Endpoint,
    secret: String,
) -> Result<Response, WebError> {
    let frame = Frame { path: format!("/webhooks/{}", endpoint.id), query: Vec::new(), ..frame };
    let page = load(app, frame, endpoint, None).await?;
    parts::page(&WebhookPage { secret: Some(secret), ..page })
}

/// `POST /webhooks/{id}`.
pub(crate) async fn change(
    State(app): State<App>,
    viewer: Viewer,
    frame: Frame,
    Path(key): Path<String>,
    Form(form): Form<SettingsForm>,
) -> Result<Response, WebError> {
    let actor = viewer.form_actor(&form.csrf)?;
    let endpoint = service::find(&app, &key).await?;
    let done = match form.settings(Some(&endpoint)) {
        Ok(settings) => service::change(&app, actor, &endpoint, &settings).await,
        Err(error) => Err(error),
    };
    match done {
        Ok(endpoint) => Ok(Redirect::to(&format!("/webhooks/{}?done=change", endpoint.id)).into_response()),
        Err(refused) => {
            let page = refusal(&app, frame, &endpoint, &refused).await?;
            Ok((refused.status, parts::page(&WebhookPage { form, ..page })?).into_response())
        }
    }
}

/// `POST /webhooks/{id}/{action}`: ping, pause, resume, rotate, delete, resend, resend-dead.
pub(crate) async fn act(
    State(app): State<App>,
    viewer: Viewer,
    frame: Frame,
    Path((key, action)): Path<(String, String)>,
    Form(form): Form<Act>,
) -> Result<Response, WebError> {
    let actor = viewer.form_actor(&form.csrf)?;
    let endpoint = service::find(&app, &key).await?;
    let here = format!("/webhooks/{}", endpoint.id);
    let done = match action.as_str() {
        "ping" => service::ping(&app, actor, &endpoint).await.map(|_| format!("{here}?done=ping")),
        "pause" => service::set_state(&app, actor, &endpoint, EndpointState::Paused).await.map(|_| here),
        "resume" => service::set_state(&app, actor, &endpoint, EndpointState::Active).await.map(|_| here),
        "delete" => service::delete(&app, actor, &endpoint).await.map(|()| "/webhooks".to_owned()),
        "rotate" => match service::rotate(&app, actor, &endpoint).await {
            Ok((endpoint, secret)) => return fresh(&app, frame, &endpoint, secret).await,
            Err(error) => Err(error),
        },
        "resend" => resend(&app, actor, &endpoint, &form).await.map(|n| format!("{here}?done={n}")),
        other => return Err(WebError::not_found(Noun::Action, other)),
    };
    match done {
        Ok(to) => Ok(Redirect::to(&to).into_response()),
        Err(refused) => {
            let page = refusal(&app, frame, &endpoint, &refused).await?;
            Ok((refused.status, parts::page(&page)?).into_response())
        }
    }
}

async fn resend(app: &App, actor: &crate::Actor, endpoint: &Endpoint, form: &Act) -> Result<u64, WebError> {
    let which = if form.message.is_empty() {
        Resend::DeadSince(since(&form.since)?)
    } else {
        Resend::One(service::find_message(app, endpoint, &form.message).await?.id)
    };
    service::resend(app, actor, endpoint, which).await
}

/// The time that a `datetime-local` field holds, in the zone of the service.
fn since(text: &str) -> Result<Timestamp, WebError> {
    let zoned = text.parse::<DateTime>().and_then(|local| local.to_zoned(jiff::tz::TimeZone::system()));
    let zoned = zoned.map_err(|_| {
        let ja = format!("「{text}」は日時として読み取れません。");
        WebError::refused("webhook-resend", format!("\"{text}\" is no date with a time.")).or_ja(ja)
    })?;
    Ok(Timestamp::from_unix_ms(zoned.timestamp().as_millisecond()))
}

async fn refusal(
    app: &App,
    frame: Frame,
    endpoint: &Endpoint,
    error: &WebError,
) -> Result<WebhookPage, WebError> {
    let notice = error::told(frame.lang, error);
    let frame = Frame { path: format!("/webhooks/{}", endpoint.id), query: Vec::new(), ..frame };
    load(app, frame, endpoint, Some(notice)).await
}

async fn load(
    app: &App,
    frame: Frame,
    endpoint: &Endpoint,
    notice: Option<String>,
) -> Result<WebhookPage, WebError> {
    let mut messages = app.store.messages(endpoint.id, MESSAGES + 1).await?;
    let cut = parts::cut(&frame, &mut messages, MESSAGES);
    let mut rows = Vec::with_capacity(messages.len());
    for message in &messages {
        rows.push(row(&frame, message, &app.store.attempts(message.id).await?));
    }
    let undelivered = app.store.dead_messages(endpoint.id).await?;
    Ok(WebhookPage { cut, ..page(frame, endpoint, undelivered, rows, notice) })
}

fn page(
    frame: Frame,
    endpoint: &Endpoint,
    undelivered: u64,
    rows: Vec<MessageRow>,
    notice: Option<String>,
) -> WebhookPage {
    let waits = endpoint.not_before > frame.now && endpoint.state == EndpointState::Active;
    let alarm = match endpoint.state {
        EndpointState::Disabled => Some(frame.t("webhooks.disabled").to_owned()),
        _ if waits => Some(frame.fill("webhooks.busy", "at", frame.stamp(&endpoint.not_before))),
        _ => None,
    };
    let day = frame.now.plus_seconds(-7 * 86_400).to_jiff().to_zoned(frame.zone.clone());
    WebhookPage {
        how: vec![
            format!("sekisho webhook show {}", endpoint.id),
            format!("GET /api/v1/webhooks/{}/deliveries", endpoint.id),
        ],
        path: format!("/webhooks/{}", endpoint.id),
        name: endpoint.name.clone(),
        state: endpoint.state.as_str(),
        facts: facts(&frame, endpoint, undelivered),
        alarm,
        notice,
        done: None,
        secret: None,
        rows,
        cut: None,
        may_keep: frame.user.as_ref().is_some_and(|user| webhooks::keeps(user, &endpoint.project)),
        is_active: endpoint.state == EndpointState::Active,
        form: SettingsForm::of(endpoint),
        since: day.strftime("%Y-%m-%dT%H:%M").to_string(),
        frame,
    }
}

fn facts(frame: &Frame, endpoint: &Endpoint, undelivered: u64) -> Vec<(&'static str, Cell)> {
    let ends = endpoint.rotated.map(|rotated| rotated.plus_seconds(service::BOTH_SECONDS));
    let both = ends
        .filter(|end| *end > frame.now)
        .map(|end| frame.fill("webhooks.rotated", "at", frame.stamp(&end)));
    let signature = both.or(endpoint.rotated.map(|at| frame.stamp(&at)));
    vec![
        (frame.t("webhooks.project"), Cell::from(endpoint.project.clone())),
        (frame.t("webhooks.url"), Cell::from(service::shown_url(endpoint))),
        (frame.t("webhooks.events"), Cell::from(endpoint.events.join(", "))),
        (frame.t("webhooks.format"), Cell::from(frame.word("webhook_format", endpoint.format).to_owned())),
        (
            frame.t("webhooks.language"),
            Cell::from(frame.word("webhook_language", endpoint.language).to_owned()),
        ),
        (frame.t("webhooks.every"), webhooks::every(frame, endpoint)),
        (frame.t("webhooks.failures"), Cell::from(format::count(u64::from(endpoint.failures)))),
        (frame.t("webhooks.undelivered"), Cell::from(format::count(undelivered))),
        (frame.t("webhooks.signature"), Cell::of(signature, frame.t("webhooks.never_rotated"))),
    ]
}

fn row(frame: &Frame, message: &Message, attempts: &[Attempt]) -> MessageRow {
    let last = attempts.last();
    let nothing = frame.t("webhooks.nothing_tried");
    let waits =
        message.next_at > frame.now && message.state == sekisho_domain::webhook::MessageState::Waiting;
    MessageRow {
        id: wire_id(message.id),
        when: frame.when(message.created),
        kind: message.kind.as_str(),
        state: message.state.as_str(),
        attempts: u32::try_from(attempts.len()).unwrap_or(u32::MAX),
        next: waits.then(|| frame.fill("webhooks.next", "at", frame.stamp(&message.next_at))),
        body: message.body.clone(),
        tries: attempts.iter().map(|attempt| tried(frame, attempt)).collect(),
        last: Cell::of(last.map(|attempt| status(frame, attempt)), nothing),
        ms: Cell::of(last.map(|attempt| format!("{} ms", format::count(attempt.ms))), nothing),
    }
}

fn status(frame: &Frame, attempt: &Attempt) -> String {
    attempt.status.map_or_else(|| frame.t("webhooks.no_answer").to_owned(), |status| status.to_string())
}

fn tried(frame: &Frame, attempt: &Attempt) -> TryRow {
    let said = attempt.error.clone().or((!attempt.answer.is_empty()).then(|| attempt.answer.clone()));
    TryRow {
        when: frame.stamp(&attempt.at),
        status: status(frame, attempt),
        ms: format!("{} ms", format::count(attempt.ms)),
        answer: Cell::of(said, frame.t("webhooks.empty_answer")),
    }
}

#[cfg(test)]
pub(super) fn samples(frame: &Frame) -> Vec<String> {
    tests::samples(frame)
}

#[cfg(test)]
pub(super) mod tests {
    use sekisho_domain::Tokens;
    use sekisho_domain::user::Role;
    use sekisho_domain::webhook::{EventType, MessageLanguage, MessageState, PayloadFormat};

    use super::super::fixtures;
    use super::*;

    pub(crate) fn endpoint() -> Endpoint {
        Endpoint {
            id: fixtures::id("webhook"),
            project: "default".to_owned(),
            name: "学習チャンネル <#v4>".to_owned(),
            url: "https://hooks.slack.com/services/T000/B000/canary-secret".to_owned(),
            events: vec!["run.*".to_owned(), "checkpoint.refused".to_owned()],
            language: MessageLanguage::Ja,
            format: PayloadFormat::Slack,
            every_tokens: Some(Tokens(100_000_000_000)),
            state: EndpointState::Disabled,
            generation: 2,
            rotated: Some(fixtures::now()),
            failures: 100,
            failing_since: Some(fixtures::now()),
            not_before: fixtures::now(),
            created: fixtures::now(),
            updated: fixtures::now(),
        }
    }

    fn message(state: MessageState) -> Message {
        Message {
            id: fixtures::id("message"),
            endpoint: fixtures::id("webhook"),
            seq: Some(7),
            kind: EventType::CheckpointRefused,
            subject: "01kc".to_owned(),
            body: "{\"text\":\"【要対応】<b>\"}".to_owned(),
            state,
            attempt: 1,
            next_at: fixtures::now().plus_seconds(300),
            created: fixtures::now(),
            updated: fixtures::now(),
        }
    }

    fn attempt(status: Option<u16>, answer: &str) -> Attempt {
        let error = status.is_none().then(|| "no answer in time".to_owned());
        Attempt { at: fixtures::now(), status, ms: 20_000, error, answer: answer.to_owned() }
    }

    pub(super) fn samples(frame: &Frame) -> Vec<String> {
        let keeper = fixtures::user("mori", fixtures::id("mori"), &[Role::Contributor]);
        let signed_in = Frame { user: Some(keeper), csrf: "csrf_x".to_owned(), ..frame.clone() };
        let tries = [attempt(None, ""), attempt(Some(500), "<html>no</html>"), attempt(Some(200), "")];
        let rows = vec![
            row(frame, &message(MessageState::Waiting), &tries),
            row(frame, &message(MessageState::Dead), &[]),
        ];
        let full = WebhookPage {
            secret: Some("whsec_x".to_owned()),
            done: Some("ok".to_owned()),
            ..page(signed_in, &endpoint(), 12, rows, Some("no < yes".to_owned()))
        };
        let busy = Endpoint {
            state: EndpointState::Active,
            not_before: fixtures::now().plus_seconds(60),
            every_tokens: None,
            rotated: None,
            ..endpoint()
        };
        let quiet = page(frame.clone(), &busy, 0, Vec::new(), None);
        let pages = [full, quiet].map(|page| page.render().expect("renders")).to_vec();
        assert!(
            pages
                .iter()
                .all(|page| !page.contains("canary") && page.contains("https://hooks.slack.com/…cret"))
        );
        pages
    }
}
