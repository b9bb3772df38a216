//! Webhooks: where it is told what happens, who sets that up, and what was sent. What happens is told by `jobs/webhooks`.

mod secret;

use sekisho_domain::user::{Role, Scope};
use sekisho_domain::webhook::{EndpointState, EventType, MessageLanguage, MessageState, PayloadFormat};
use sekisho_domain::{EndpointId, MessageId, Timestamp, Tokens, fits_glob};
use sekisho_store::{AuditEntry, Endpoint, Message, Resend};
use serde_json::{Value, json};

use super::{people, projects};
use crate::egress::Target;
use crate::jobs::webhooks::ping as ping_body;
use crate::{Actor, App, Noun, WebError};

pub use secret::{BOTH_SECONDS, WebhookKey, seconds};

/// Who sets webhooks up in a project.
pub const KEEPERS: [Role; 1] = [Role::Contributor];

/// What somebody sets up.
#[derive(Clone, Debug)]
pub struct Settings {
    /// What people call it; unique in its project.
    pub name: String,
    /// Where its messages go.
    pub url: String,
    /// Globs over the names of events.
    pub events: Vec<String>,
    /// Languages of the sentences.
    pub language: MessageLanguage,
    /// Shape of the messages.
    pub format: PayloadFormat,
    /// Tokens between two messages of `run.progress`.
    pub every_tokens: Option<Tokens>,
}

impl Settings {
    /// Those of an endpoint.
    #[must_use]
    pub fn of(endpoint: &Endpoint) -> Self {
        Self {
            name: endpoint.name.clone(),
            url: endpoint.url.clone(),
            events: endpoint.events.clone(),
            language: endpoint.language,
            format: endpoint.format,
            every_tokens: endpoint.every_tokens,
        }
    }
}

/// An endpoint by id.
///
/// # Errors
/// 404.
pub async fn find(app: &App, key: &str) -> Result<Endpoint, WebError> {
    let missing = || WebError::not_found(Noun::Webhook, key);
    let id: EndpointId = key.parse().map_err(|_| missing())?;
    app.store.endpoint(id).await?.ok_or_else(missing)
}

/// A message of an endpoint by id, as the database or the wire has it.
///
/// # Errors
/// 404.
pub async fn find_message(app: &App, endpoint: &Endpoint, key: &str) -> Result<Message, WebError> {
    let missing = || WebError::not_found(Noun::Message, key);
    let id: MessageId = key.strip_prefix("msg_").unwrap_or(key).parse().map_err(|_| missing())?;
    let found = app.store.message(id).await?.filter(|message| message.endpoint == endpoint.id);
    found.ok_or_else(missing)
}

/// The address as pages and logs show it: that of a chat is a secret, for who has it may write there.
#[must_use]
pub fn shown_url(endpoint: &Endpoint) -> String {
    let Ok(url) = reqwest::Url::parse(&endpoint.url) else { return "…".to_owned() };
    let origin = url.origin().ascii_serialization();
    if endpoint.format == PayloadFormat::Standard && url.query().is_none() {
        return url.to_string();
    }
    let path = url.path();
    let end: String = path.chars().skip(path.chars().count().saturating_sub(4)).collect();
    format!("{origin}/…{}", end.trim_start_matches('/'))
}

/// Adds an endpoint. Answers it with its secret, which nobody is told again.
///
/// # Errors
/// 403, 404 for a project that is not there, 409 for a name that is taken, 422 for what cannot be used.
pub async fn add(
    app: &App,
    actor: &Actor,
    project: Option<&str>,
    settings: &Settings,
) -> Result<(Endpoint, String), WebError> {
    let project = projects::of_request(app, project).await?;
    actor.require_in(&project, &KEEPERS, Scope::Release)?;
    let now = app.now();
    let mut endpoint = Endpoint {
        id: EndpointId::new(&*app.clock, &*app.entropy),
        project,
        name: String::new(),
        url: String::new(),
        events: Vec::new(),
        language: settings.language,
        format: settings.format,
        every_tokens: None,
        state: EndpointState::Active,
        generation: 1,
        rotated: None,
        failures: 0,
        failing_since: None,
        not_before: Timestamp::from_unix_ms(0),
        created: now,
        updated: now,
    };
    take(app, &mut endpoint, settings)?;
    app.store.add_endpoint(&endpoint, &entry(app, actor, "add", &endpoint, described(&endpoint))).await?;
    let secret = app.webhook_key.secret_text(&endpoint);
    Ok((endpoint, secret))
}

/// Changes what an endpoint is told, where, and how.
///
/// # Errors
/// As [`add`].
pub async fn change(
    app: &App,
    actor: &Actor,
    endpoint: &Endpoint,
    settings: &Settings,
) -> Result<Endpoint, WebError> {
    may_keep(actor, endpoint)?;
    let mut changed = endpoint.clone();
    take(app, &mut changed, settings)?;
    let detail = json!({ "before": described(endpoint), "after": described(&changed) });
    write(app, actor, "change", changed, detail).await
}

/// Lets messages wait, or go out again; an endpoint that was left alone begins with a clean record.
///
/// # Errors
/// 403.
pub async fn set_state(
    app: &App,
    actor: &Actor,
    endpoint: &Endpoint,
    state: EndpointState,
) -> Result<Endpoint, WebError> {
    may_keep(actor, endpoint)?;
    let action = if state == EndpointState::Active { "resume" } else { "pause" };
    let detail = json!({ "name": endpoint.name, "before": endpoint.state });
    write(app, actor, action, Endpoint { state, ..endpoint.clone() }, detail).await
}

/// Replaces the secret; for a day both sign. Answers the new one.
///
/// # Errors
/// 403; 409 while two secrets are in use already.
pub async fn rotate(app: &App, actor: &Actor, endpoint: &Endpoint) -> Result<(Endpoint, String), WebError> {
    may_keep(actor, endpoint)?;
    let now = app.now();
    if endpoint.rotated.is_some_and(|rotated| now < rotated.plus_seconds(BOTH_SECONDS)) {
        let detail = "The secret was changed within the last day, and the one before it still signs. Wait until that day is over, or delete the webhook and add it anew.";
        let ja = "シークレットは1日以内に変更済みで、以前のものもまだ有効です。1日経過してから変更するか、Webhookを削除して登録し直してください。";
        return Err(WebError::conflict("webhook-rotated", detail).or_ja(ja));
    }
    let rotated = Endpoint { generation: endpoint.generation + 1, rotated: Some(now), ..endpoint.clone() };
    let rotated = write(app, actor, "rotate", rotated, json!({ "name": endpoint.name })).await?;
    let secret = app.webhook_key.secret_text(&rotated);
    Ok((rotated, secret))
}

/// Removes an endpoint and everything that was sent to it.
///
/// # Errors
/// 403.
pub async fn delete(app: &App, actor: &Actor, endpoint: &Endpoint) -> Result<(), WebError> {
    may_keep(actor, endpoint)?;
    let audit = entry(app, actor, "delete", endpoint, described(endpoint));
    Ok(app.store.delete_endpoint(endpoint.id, &audit).await?)
}

/// Sends a test message, once, whatever the state of the endpoint.
///
/// # Errors
/// 403.
pub async fn ping(app: &App, actor: &Actor, endpoint: &Endpoint) -> Result<Message, WebError> {
    may_keep(actor, endpoint)?;
    let now = app.now();
    let message = Message {
        id: MessageId::new(&*app.clock, &*app.entropy),
        endpoint: endpoint.id,
        seq: None,
        kind: EventType::WebhookPing,
        subject: endpoint.id.to_string(),
        body: ping_body(app, endpoint),
        state: MessageState::Waiting,
        attempt: 0,
        next_at: now,
        created: now,
        updated: now,
    };
    let audit = entry(app, actor, "ping", endpoint, json!({ "message": message.id }));
    app.store.add_message(&message, &audit).await?;
    Ok(message)
}

/// Sends messages again, with the ids that they have. Answers how many.
///
/// # Errors
/// 403; 409 while nothing is sent to the endpoint.
pub async fn resend(app: &App, actor: &Actor, endpoint: &Endpoint, which: Resend) -> Result<u64, WebError> {
    may_keep(actor, endpoint)?;
    if endpoint.state == EndpointState::Disabled {
        let detail = format!(
            "Nothing is sent to webhook \"{}\" at present. Resume it first: `sekisho webhook resume {}`.",
            endpoint.name, endpoint.id
        );
        let ja = format!(
            "Webhook「{}」への配信は停止しています。先に再開してください：`sekisho webhook resume {}`",
            endpoint.name, endpoint.id
        );
        return Err(WebError::conflict("webhook-disabled", detail).or_ja(ja));
    }
    let detail = match which {
        Resend::One(id) => json!({ "message": id }),
        Resend::DeadSince(since) => json!({ "since": since }),
    };
    let audit = entry(app, actor, "resend", endpoint, detail);
    Ok(app.store.resend(endpoint.id, which, &audit, app.now()).await?)
}

/// Whether somebody may set an endpoint up.
///
/// # Errors
/// 403.
pub fn may_keep(actor: &Actor, endpoint: &Endpoint) -> Result<(), WebError> {
    actor.require_in(&endpoint.project, &KEEPERS, Scope::Release)
}

async fn write(
    app: &App,
    actor: &Actor,
    action: &str,
    mut endpoint: Endpoint,
    detail: Value,
) -> Result<Endpoint, WebError> {
    endpoint.updated = app.now();
    app.store.update_endpoint(&endpoint, &entry(app, actor, action, &endpoint, detail)).await?;
    find(app, &endpoint.id.to_string()).await
}

fn entry(app: &App, actor: &Actor, action: &str, endpoint: &Endpoint, detail: Value) -> AuditEntry {
    people::entry(app, actor, &format!("webhook.{action}"), &endpoint.id.to_string(), "done", detail)
}

/// For the audit log, which everybody with an account may read.
fn described(endpoint: &Endpoint) -> Value {
    json!({
        "project": endpoint.project, "name": endpoint.name, "url": shown_url(endpoint), "events": endpoint.events,
        "language": endpoint.language, "format": endpoint.format, "every_tokens": endpoint.every_tokens,
    })
}

/// Checks settings and takes them over.
fn take(app: &App, endpoint: &mut Endpoint, settings: &Settings) -> Result<(), WebError> {
    let name = settings.name.trim();
    if name.is_empty() || name.chars().count() > 60 || name.chars().any(char::is_control) {
        let detail = "A webhook has a name of 1 to 60 visible characters.";
        return Err(WebError::refused("webhook-name", detail)
            .or_ja("名前は1〜60文字の表示可能な文字で入力してください。"));
    }
    let url = settings.url.trim();
    if url.len() > 2000 {
        let ja = "URLは2,000バイト以内で指定してください。";
        return Err(WebError::refused("webhook-url", "A webhook's URL has at most 2,000 bytes.").or_ja(ja));
    }
    Target::parse(url, &app.config.webhooks.allow).map_err(|error| {
        let text = error.text();
        WebError::refused("webhook-url", format!("Nothing is sent to this URL: {}.", text.en))
            .or_ja(format!("このURLには送信できません。{}。", text.ja))
    })?;
    let events: Vec<String> =
        settings.events.iter().map(|glob| glob.trim().to_owned()).filter(|glob| !glob.is_empty()).collect();
    events_fit(&events)?;
    if settings.every_tokens.is_some_and(|tokens| tokens.0 == 0 || i64::try_from(tokens.0).is_err()) {
        let detail = "every_tokens is a number of tokens from 1 on, for example 10000000000.";
        return Err(WebError::refused("webhook-every", detail)
            .or_ja("every_tokensには1以上のトークン数を指定してください（例：10000000000）。"));
    }
    (endpoint.name, endpoint.url, endpoint.events) = (name.to_owned(), url.to_owned(), events);
    (endpoint.language, endpoint.format, endpoint.every_tokens) =
        (settings.language, settings.format, settings.every_tokens);
    Ok(())
}

/// A glob that fits no event would be silent for ever.
fn events_fit(events: &[String]) -> Result<(), WebError> {
    let few = !events.is_empty() && events.len() <= 40;
    let fits = |glob: &&String| {
        glob.len() <= 60
            && glob.matches('*').count() <= 4
            && EventType::ALL.iter().any(|kind| fits_glob(glob, kind.as_str()))
    };
    let Some(wrong) = events.iter().find(|glob| !fits(glob)) else {
        if few {
            return Ok(());
        }
        let detail = "Name 1 to 40 events, as in release.*; the list is on /webhooks/events.";
        return Err(WebError::refused("webhook-events", detail).or_ja(
            "出来事は release.* のように1〜40個指定してください。一覧は /webhooks/events にあります。",
        ));
    };
    let wrong: String = wrong.chars().take(60).collect();
    let detail = format!(
        "No event fits \"{wrong}\". Their names are on /webhooks/events, for example run.failed or release.*."
    );
    let ja = format!(
        "「{wrong}」に当てはまる出来事はありません。名前の一覧は /webhooks/events にあります（例：run.failed、release.*）。"
    );
    Err(WebError::refused("webhook-events", detail).or_ja(ja))
}
