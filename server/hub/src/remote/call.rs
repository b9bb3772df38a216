use std::time::Duration;

use hf_hub::HFError;
use reqwest::header::{HeaderMap, RETRY_AFTER};
use reqwest::redirect::Policy;
use reqwest::{Client, RequestBuilder, Response, Url};
use serde::de::DeserializeOwned;

use super::Remote;
use crate::PublishError;

/// How often a call that changes nothing is made before its error counts.
const ATTEMPTS: u32 = 4;
/// No answer of the Hub's JSON is longer: a page of a tree has a thousand lines.
const LONGEST_ANSWER: usize = 64 << 20;
/// Of an error only the first sentences are read.
const LONGEST_ERROR: usize = 64 << 10;
/// A longer wish of the Hub is left to a later resumption.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// Redirects stay off: a token must not follow them, and a renamed repository should be named anew, not written to by accident.
pub(super) fn client() -> reqwest::Result<Client> {
    Client::builder()
        .user_agent(concat!("sekisho/", env!("CARGO_PKG_VERSION")))
        .redirect(Policy::none())
        .connect_timeout(Duration::from_secs(10))
        .build()
}

impl Remote {
    pub(super) async fn get<T: DeserializeOwned>(
        &self,
        call: &'static str,
        url: Url,
    ) -> Result<T, PublishError> {
        let answer = self.call(call, |http| http.get(url.clone()).headers(self.authorization())).await?;
        json(call, answer).await
    }

    /// A call that may be repeated: it is, after errors that pass.
    pub(crate) async fn call(
        &self,
        call: &'static str,
        request: impl Fn(&Client) -> RequestBuilder,
    ) -> Result<Response, PublishError> {
        let mut attempt = 1;
        loop {
            let sent = request(&self.http).timeout(self.patience.call).send().await;
            match transient_pause(attempt, &sent) {
                Some(pause) => tokio::time::sleep(pause).await,
                None => return checked(call, sent).await,
            }
            attempt += 1;
        }
    }

    /// One attempt.
    pub(super) async fn once(
        &self,
        call: &'static str,
        request: RequestBuilder,
    ) -> Result<Response, PublishError> {
        checked(call, request.timeout(self.patience.call).send().await).await
    }

    /// A call through `hf-hub`, which knows no time-out and repeats by itself.
    pub(super) async fn bounded<T>(
        &self,
        call: &'static str,
        sent: impl Future<Output = Result<T, HFError>>,
    ) -> Result<Result<T, HFError>, PublishError> {
        tokio::time::timeout(self.patience.call, sent).await.map_err(|_| PublishError::Unreachable {
            call,
            reason: format!("no answer within {:?}", self.patience.call),
        })
    }
}

/// How long to wait before the next attempt, when there should be one.
pub(crate) fn transient_pause(attempt: u32, sent: &reqwest::Result<Response>) -> Option<Duration> {
    let backoff = backoff(attempt)?;
    let pause = match sent {
        Ok(answer) if matches!(answer.status().as_u16(), 408 | 429 | 500 | 502 | 503 | 504) => {
            retry_after(answer.headers()).unwrap_or(backoff)
        }
        Ok(_) => return None,
        Err(error) if error.is_builder() => return None,
        Err(_) => backoff,
    };
    (pause <= LONGEST_PAUSE).then_some(pause)
}

/// The pause after this attempt, when another may follow.
pub(crate) fn backoff(attempt: u32) -> Option<Duration> {
    (attempt < ATTEMPTS).then(|| Duration::from_millis(250) * 2u32.pow(attempt - 1))
}

fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds))
}

async fn checked(call: &'static str, sent: reqwest::Result<Response>) -> Result<Response, PublishError> {
    let answer = sent.map_err(|error| unreachable_because(call, error))?;
    if answer.status().is_success() {
        return Ok(answer);
    }
    let status = answer.status();
    if status.is_redirection() {
        let message = "it points elsewhere; was the repository renamed?".to_owned();
        return Err(PublishError::Answer { call, status: status.as_u16(), message });
    }
    let absent = answer.headers().get("x-error-code").is_some_and(|code| code == "RepoNotFound");
    let status = if absent { 404 } else { status.as_u16() };
    Err(PublishError::Answer { call, status, message: hub_words(answer).await })
}

/// What the Hub says about an error: its header, the `error` of its JSON, or the start of its text.
pub(crate) async fn hub_words(answer: Response) -> String {
    if let Some(words) = answer.headers().get("x-error-message").and_then(|words| words.to_str().ok()) {
        return words.to_owned();
    }
    let text = read(answer, LONGEST_ERROR).await.unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let parsed = serde_json::from_str::<serde_json::Value>(&text).ok();
    let field = |name: &str| parsed.as_ref()?.get(name)?.as_str().map(str::to_owned);
    let first_error = || {
        let message = parsed.as_ref()?.get("errors")?.get(0)?.get("message")?;
        message.as_str().map(str::to_owned)
    };
    let words = field("error").or_else(|| field("message")).or_else(first_error);
    words.unwrap_or_else(|| text.chars().take(200).collect())
}

/// A transport error without its address, which may be a signed one.
pub(crate) fn unreachable_because(call: &'static str, error: reqwest::Error) -> PublishError {
    let error = error.without_url();
    let mut reason = error.to_string();
    let mut source = std::error::Error::source(&error);
    while let Some(cause) = source {
        reason = format!("{reason}: {cause}");
        source = cause.source();
    }
    PublishError::Unreachable { call, reason }
}

pub(super) async fn json<T: DeserializeOwned>(
    call: &'static str,
    answer: Response,
) -> Result<T, PublishError> {
    let bytes = read(answer, LONGEST_ANSWER).await.map_err(|error| unreachable_because(call, error))?;
    if bytes.len() == LONGEST_ANSWER {
        let reason = format!("it is longer than {} MiB", LONGEST_ANSWER >> 20);
        return Err(PublishError::Malformed { call, reason });
    }
    serde_json::from_slice(&bytes)
        .map_err(|error| PublishError::Malformed { call, reason: error.to_string() })
}

/// The body, or its beginning when it is longer than the limit: what is cut short does not parse.
pub(super) async fn read(mut answer: Response, limit: usize) -> reqwest::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    while let Some(chunk) = answer.chunk().await? {
        let room = limit - bytes.len();
        bytes.extend_from_slice(&chunk[..chunk.len().min(room)]);
        if bytes.len() == limit {
            break;
        }
    }
    Ok(bytes)
}

/// The same errors for the calls that `hf-hub` makes.
pub(super) fn from_hf(call: &'static str, error: HFError) -> PublishError {
    match error {
        HFError::Http { context }
        | HFError::AuthRequired { context }
        | HFError::Forbidden { context }
        | HFError::Conflict { context }
        | HFError::RateLimited { context, .. }
        | HFError::RepoNotFound { context: Some(context), .. } => PublishError::Answer {
            call,
            status: context.status.as_u16(),
            message: context.server_message.unwrap_or_else(|| context.body.chars().take(200).collect()),
        },
        HFError::Request { source, .. } => unreachable_because(call, source),
        other => PublishError::Malformed { call, reason: other.to_string() },
    }
}
