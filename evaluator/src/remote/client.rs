//! HTTP to a completions server: one address, one model, bounded patience.

use std::io::Read as _;
use std::time::{Duration, Instant};

use reqwest::StatusCode;
use reqwest::blocking::{RequestBuilder, Response};
use serde::de::DeserializeOwned;

use super::RemoteOptions;
use super::error::{Fault, RemoteError};
use super::wire::{Completed, Completion, Models};

/// How long an address may take to accept a connection.
const CONNECT: Duration = Duration::from_secs(10);
/// Tries of one question while nobody answers, or the server is busy or broken.
const TRIES: u32 = 6;
/// Longest pause between two tries; it doubles up to there.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// Longest answer that is read, in bytes: log-probabilities of a million tokens.
const LONGEST_ANSWER: u64 = 256 << 20;
/// How much of it is read at once.
const PART: usize = 1 << 16;
/// How much of a refusal is quoted, in characters.
const QUOTED: usize = 300;

/// Asks one model of one server.
pub(crate) struct Client {
    http: reqwest::blocking::Client,
    pub(crate) url: String,
    pub(crate) model: String,
    token: Option<String>,
    timeout: Duration,
    pause: Duration,
    /// Sent where the engine knows it.
    pub(crate) repetition_penalty: Option<f32>,
}

impl Client {
    pub(crate) fn new(options: &RemoteOptions) -> Result<Self, RemoteError> {
        let address = || RemoteError::Address { url: options.url.clone() };
        let url = reqwest::Url::parse(&options.url).map_err(|_| address())?;
        if !matches!(url.scheme(), "http" | "https") || url.host().is_none() {
            return Err(address());
        }
        if !url.username().is_empty() || url.password().is_some() {
            // The address is shown in sentences; a key is not.
            return Err(RemoteError::Address { url: "http://…@…".to_owned() });
        }
        let url = options.url.trim_end_matches('/');
        let url = url.strip_suffix("/v1").unwrap_or(url).trim_end_matches('/').to_owned();
        let http = reqwest::blocking::Client::builder()
            .connect_timeout(CONNECT)
            .timeout(options.timeout)
            .pool_max_idle_per_host(options.concurrency)
            .build()
            .map_err(|error| RemoteError::Unreadable { url: url.clone(), reason: error.to_string() })?;
        Ok(Self {
            http,
            url,
            model: options.model.clone(),
            token: options.token.clone(),
            timeout: options.timeout,
            pause: options.pause,
            repetition_penalty: None,
        })
    }

    /// What the server has. A server that is not there is told at once: nothing has been asked yet.
    pub(crate) fn models(&self) -> Result<Models, RemoteError> {
        self.patiently(|| self.http.get(self.at("/v1/models")), false)
    }

    /// What vLLM and SGLang say of themselves; others have no such page.
    pub(crate) fn version(&self) -> Option<String> {
        let answer = self.send(self.http.get(self.at("/version"))).ok()?;
        let answer: serde_json::Value = serde_json::from_slice(&answer).ok()?;
        answer["version"].as_str().map(str::to_owned)
    }

    /// One completion. While nobody answers, or the server is busy (429) or broken (5xx), some tries are made.
    pub(crate) fn complete(&self, request: &Completion<'_>) -> Result<Completed, RemoteError> {
        let mut request = request.clone();
        request.model = &self.model;
        request.repetition_penalty = self.repetition_penalty;
        self.patiently(|| self.http.post(self.at("/v1/completions")).json(&request), true)
    }

    /// What this server did, as an error.
    pub(crate) fn fault(&self, fault: Fault) -> RemoteError {
        RemoteError::Fault { url: self.url.clone(), fault }
    }

    fn at(&self, path: &str) -> String {
        format!("{}{path}", self.url)
    }

    /// Sends until an answer comes or patience ends; `known` says that a server was there before, and may come back.
    fn patiently<T: DeserializeOwned>(
        &self,
        request: impl Fn() -> RequestBuilder,
        known: bool,
    ) -> Result<T, RemoteError> {
        let mut pause = self.pause;
        let mut tries = 1;
        loop {
            let error = match self.send(request()) {
                Ok(bytes) => return self.read(&bytes),
                Err(error) => error,
            };
            let passes = match &error {
                RemoteError::Away { .. } => known,
                RemoteError::Refused { status, .. } => *status == 429 || *status >= 500,
                _ => false,
            };
            if tries == TRIES || !passes {
                return Err(error);
            }
            tracing::warn!(%error, "trying again in {pause:?}");
            std::thread::sleep(pause);
            pause = (pause * 2).min(LONGEST_PAUSE);
            tries += 1;
        }
    }

    /// Sends a request; the bytes of a good answer.
    fn send(&self, request: RequestBuilder) -> Result<Vec<u8>, RemoteError> {
        let begun = Instant::now();
        let request = match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        };
        let response = request.send().map_err(|error| self.failed(&error))?;
        let status = response.status();
        if status.is_success() {
            return self.bytes(response, begun);
        }
        if matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) {
            return Err(RemoteError::Key { url: self.url.clone(), status: status.as_u16() });
        }
        let words = self.words(&self.bytes(response, begun).unwrap_or_default());
        Err(RemoteError::Refused { url: self.url.clone(), status: status.as_u16(), words })
    }

    /// The body of an answer. reqwest's timeout is for one read, and a server may send a byte at a time.
    fn bytes(&self, response: Response, begun: Instant) -> Result<Vec<u8>, RemoteError> {
        let mut bytes = Vec::new();
        let mut part = vec![0; PART];
        let mut response = response.take(LONGEST_ANSWER);
        loop {
            match response.read(&mut part) {
                Ok(0) => return Ok(bytes),
                Ok(read) => bytes.extend(&part[..read]),
                Err(error) => {
                    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<reqwest::Error>());
                    return Err(inner.map_or_else(|| self.away(&error), |inner| self.failed(inner)));
                }
            }
            if begun.elapsed() > self.timeout {
                return Err(self.silent());
            }
        }
    }

    fn read<T: DeserializeOwned>(&self, bytes: &[u8]) -> Result<T, RemoteError> {
        serde_json::from_slice(bytes).map_err(|error| {
            // Python writes what is no number so, though JSON has no such words.
            if ["NaN", "Infinity"].iter().any(|word| bytes.windows(word.len()).any(|b| b == word.as_bytes()))
            {
                return self.fault(Fault::NotANumber);
            }
            let reason = match error.classify() {
                serde_json::error::Category::Data => error.to_string(),
                _ => format!("it is not JSON ({error}) and begins \"{}\"", self.words(bytes)),
            };
            RemoteError::Unreadable { url: self.url.clone(), reason }
        })
    }

    /// What a refusal says: the message of an error object, else the beginning of what there is. A server may repeat the key.
    fn words(&self, bytes: &[u8]) -> String {
        let said: Option<serde_json::Value> = serde_json::from_slice(bytes).ok();
        let message = said.as_ref().and_then(|said| {
            [&said["error"]["message"], &said["message"], &said["detail"]]
                .into_iter()
                .find_map(|m| m.as_str())
        });
        let text = message.map_or_else(|| String::from_utf8_lossy(bytes).into_owned(), str::to_owned);
        let text = match &self.token {
            Some(token) if !token.is_empty() => text.replace(token, "…"),
            _ => text,
        };
        let text: String =
            text.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(QUOTED).collect();
        if text.is_empty() { "nothing more".to_owned() } else { text.trim_end_matches('.').to_owned() }
    }

    fn failed(&self, error: &reqwest::Error) -> RemoteError {
        if error.is_timeout() && !error.is_connect() {
            return self.silent();
        }
        self.away(error)
    }

    fn silent(&self) -> RemoteError {
        RemoteError::Silent { url: self.url.clone(), seconds: self.timeout.as_secs() }
    }

    /// An error of the network, with its cause: reqwest's own text names only the address.
    fn away(&self, error: &dyn std::error::Error) -> RemoteError {
        let causes = std::iter::successors(Some(error), |error| error.source());
        let reason = causes.last().unwrap_or(error).to_string();
        RemoteError::Away { url: self.url.clone(), reason }
    }
}
