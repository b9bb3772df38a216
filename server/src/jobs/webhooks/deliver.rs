//! Sends messages that are due. The schedule is that of Standard Webhooks; an endpoint that answers 410 or fails for too long is left
//! alone, one that asks for a pause gets it.

use std::time::Duration;

use reqwest::header::{CONTENT_TYPE, HeaderMap, RETRY_AFTER};
use reqwest::{Response, StatusCode};
use sekisho_domain::Timestamp;
use sekisho_domain::webhook::EventType;
use sekisho_store::{Attempt, Circuit, Endpoint, Message, Outcome};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::wire_id;
use crate::egress::Target;
use crate::service::webhooks::seconds;
use crate::{App, WebError};

/// Messages on their way to one endpoint at a time.
const AT_ONCE: u32 = 2;
/// Beyond the time-out of an attempt, until its message is taken up by another one.
const LEASE_MARGIN: i64 = 30;
/// Seconds in which every attempt has failed before an endpoint is left alone: five days.
const FAILING_SECONDS: i64 = 5 * 24 * 3600;
/// Pause of an endpoint that is too busy and does not say for how long.
const BUSY_SECONDS: i64 = 30;
/// The longest pause that an endpoint gets by asking.
const LONGEST_PAUSE: i64 = 24 * 3600;
/// What is kept of an answer, and what is read of it at most.
const KEPT: usize = 4096;
const READ: usize = 64 << 10;
/// How long the rest of an answer is waited for whose status is known.
const REST: Duration = Duration::from_secs(3);

/// Takes what is due and sends it in the background.
pub(super) async fn due(app: &App, sending: &mut JoinSet<()>) -> Result<(), WebError> {
    let timeout = app.config.webhooks.timeout.cast_signed();
    let claimed = app.store.claim_messages(AT_ONCE, timeout + LEASE_MARGIN, app.now()).await?;
    for message in claimed {
        let app = app.clone();
        sending.spawn(async move {
            let id = message.id;
            if let Err(error) = send(&app, message).await {
                tracing::error!(message = %id, %error, "an attempt could not be written down; the message is sent again");
            }
        });
    }
    Ok(())
}

async fn send(app: &App, message: Message) -> Result<(), WebError> {
    let Some(endpoint) = app.store.endpoint(message.endpoint).await? else { return Ok(()) };
    let at = app.now();
    let began = Instant::now();
    let answered = post(app, &endpoint, &message, at).await;
    let ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
    let now = app.now();
    let (attempt, outcome) = match answered {
        Ok((status, headers, answer)) => {
            let outcome = judge(app, &message, status, retry_after(&headers, now), now);
            (Attempt { at, status: Some(status.as_u16()), ms, error: None, answer }, outcome)
        }
        Err(error) => {
            let outcome = failed(app, &message, None, now);
            (Attempt { at, status: None, ms, error: Some(error), answer: String::new() }, outcome)
        }
    };
    let circuit = Circuit { failures: app.config.webhooks.failures, seconds: FAILING_SECONDS };
    app.store.settle_message(message.id, &attempt, outcome, circuit, now).await?;
    Ok(())
}

/// One request. An error is told without the address, which may be a secret.
async fn post(
    app: &App,
    endpoint: &Endpoint,
    message: &Message,
    at: Timestamp,
) -> Result<(StatusCode, HeaderMap, String), String> {
    let timeout = Duration::from_secs(app.config.webhooks.timeout);
    let target =
        Target::parse(&endpoint.url, &app.config.webhooks.allow).map_err(|error| error.to_string())?;
    let client = target.client(timeout).await.map_err(|error| error.to_string())?;
    let id = wire_id(message.id);
    let request = client
        .post(target.url().clone())
        .header(CONTENT_TYPE, "application/json")
        .header("webhook-id", &id)
        .header("webhook-timestamp", seconds(at))
        .header("webhook-signature", app.webhook_key.sign(endpoint, &id, at, &message.body))
        .body(message.body.clone());
    let answer = request.send().await.map_err(words)?;
    let (status, headers) = (answer.status(), answer.headers().clone());
    Ok((status, headers, beginning(answer).await))
}

fn words(error: reqwest::Error) -> String {
    let error = error.without_url();
    if error.is_timeout() {
        return "no answer in time".to_owned();
    }
    let mut words = error.to_string();
    let mut source = std::error::Error::source(&error);
    while let Some(cause) = source {
        words = format!("{words}: {cause}");
        source = cause.source();
    }
    words
}

/// The beginning of an answer. Its status has decided by then, so what does not come is not waited for.
async fn beginning(mut answer: Response) -> String {
    let mut bytes = Vec::new();
    let read = async {
        let mut seen = 0;
        while let Ok(Some(chunk)) = answer.chunk().await {
            seen += chunk.len();
            bytes.extend_from_slice(&chunk[..chunk.len().min(KEPT - bytes.len())]);
            if seen >= READ || bytes.len() == KEPT {
                break;
            }
        }
    };
    let _ = tokio::time::timeout(REST, read).await;
    String::from_utf8_lossy(&bytes).replace('\0', "\u{fffd}")
}

fn judge(app: &App, message: &Message, status: StatusCode, pause: Option<i64>, now: Timestamp) -> Outcome {
    if status.is_success() {
        return Outcome::Delivered;
    }
    match status.as_u16() {
        410 => Outcome::Gone,
        429 | 502 | 504 => failed(app, message, Some(pause.unwrap_or(BUSY_SECONDS)), now),
        _ => failed(app, message, pause, now),
    }
}

/// The next attempt by the schedule, and not before the endpoint wants it. A ping is sent once: who sent it looks at what came of it.
fn failed(app: &App, message: &Message, pause: Option<i64>, now: Timestamp) -> Outcome {
    let schedule = &app.config.webhooks.schedule;
    let made = message.attempt as usize + 1;
    let delay = schedule.get(made).filter(|_| message.kind != EventType::WebhookPing);
    let not_before = pause.map(|pause| now.plus_seconds(pause.clamp(0, LONGEST_PAUSE)));
    let next = delay.map(|delay| now.plus_seconds(delay.cast_signed()));
    Outcome::Failed { next: next.map(|next| next.max(not_before.unwrap_or(next))), not_before }
}

/// Seconds that an endpoint asks to be left alone: a number, or a date (RFC 9110, section 10.2.3).
fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<i64> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse::<u32>() {
        return Some(i64::from(seconds));
    }
    let date = jiff::fmt::rfc2822::parse(text).ok()?;
    Some(seconds(Timestamp::from_unix_ms(date.timestamp().as_millisecond())) - seconds(now))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_is_a_number_or_a_date() {
        let now = Timestamp::from_unix_ms(1_795_000_000_000);
        let of = |text: &'static str| {
            retry_after(&HeaderMap::from_iter([(RETRY_AFTER, text.parse().expect("a header"))]), now)
        };
        assert_eq!(of("120"), Some(120));
        assert_eq!(
            of("Wed, 18 Nov 2026 10:27:20 GMT"),
            Some(seconds("2026-11-18T10:27:20Z".to_owned().try_into().expect("a time")) - seconds(now))
        );
        assert_eq!(of("soon"), None);
        assert_eq!(of("-5"), None);
        assert_eq!(retry_after(&HeaderMap::new(), now), None);
    }
}
