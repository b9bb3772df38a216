use std::time::Duration;

use reqwest::blocking::{Client, RequestBuilder};
use sekisho_domain::run::RunEvent;
use sekisho_domain::wire::{
    AnnounceCheckpoint, CheckpointView, MetricsAccepted, MetricsBatch, Problem, RegisterRun, RunView,
};
use sekisho_domain::{CheckpointId, RunId};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::ServerAddress;

/// A request that the server did not carry out.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// Nobody answered, or not in full.
    #[error("the server at {url} cannot be reached: {reason}; check the address and that it runs")]
    Unreachable {
        /// Base address.
        url: String,
        /// What the network says.
        reason: String,
    },
    /// The server said no.
    #[error("the server refused: {problem}")]
    Refused {
        /// Its answer.
        problem: Box<Problem>,
    },
    /// A file to be uploaded cannot be read.
    #[error("{}", sekisho_domain::disk_sentence(.0))]
    File(#[from] std::io::Error),
}

impl ReportError {
    /// Whether trying again later may help: nobody answered, or the server is overloaded or broken for now.
    #[must_use]
    pub fn is_temporary(&self) -> bool {
        match self {
            Self::Unreachable { .. } => true,
            Self::Refused { problem } => problem.status >= 500 || matches!(problem.status, 408 | 425 | 429),
            Self::File(_) => false,
        }
    }

    /// The HTTP status, where the server answered.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Refused { problem } => Some(problem.status),
            Self::Unreachable { .. } | Self::File(_) => None,
        }
    }
}

/// The calls of `/api/v1/runs`, blocking.
#[derive(Clone, Debug)]
pub struct RunClient {
    pub(super) http: Client,
    address: ServerAddress,
}

impl RunClient {
    /// A client for a server; no connection is made yet.
    ///
    /// # Errors
    /// [`ReportError::Unreachable`] when the system offers no TLS.
    pub fn new(address: &ServerAddress) -> Result<Self, ReportError> {
        let url = address.url.trim_end_matches('/').to_owned();
        let http = Client::builder()
            .connect_timeout(Duration::from_secs(5))
            .timeout(Duration::from_secs(30))
            .build()
            .map_err(|error| unreachable(&url, &error))?;
        Ok(Self { http, address: ServerAddress { url, token: address.token.clone() } })
    }

    /// Registers a run, or finds the one of this name and specification.
    ///
    /// # Errors
    /// [`ReportError`].
    pub fn register(&self, run: &RegisterRun) -> Result<RunView, ReportError> {
        self.post("runs", run)
    }

    /// Sends metrics.
    ///
    /// # Errors
    /// [`ReportError`].
    pub fn metrics(&self, run: RunId, batch: &MetricsBatch) -> Result<MetricsAccepted, ReportError> {
        self.post(&format!("runs/{run}/metrics"), batch)
    }

    /// Sends an event.
    ///
    /// # Errors
    /// [`ReportError`].
    pub fn event(&self, run: RunId, event: &RunEvent) -> Result<(), ReportError> {
        let request = self.http.post(self.url(&format!("runs/{run}/events"))).json(event);
        self.send(request).map(|_| ())
    }

    /// Hands a checkpoint over by its path.
    ///
    /// # Errors
    /// [`ReportError`].
    pub fn announce(
        &self,
        run: RunId,
        checkpoint: &AnnounceCheckpoint,
    ) -> Result<CheckpointView, ReportError> {
        self.post(&format!("runs/{run}/checkpoints"), checkpoint)
    }

    /// A checkpoint as it stands.
    ///
    /// # Errors
    /// [`ReportError`].
    pub fn checkpoint(&self, id: CheckpointId) -> Result<CheckpointView, ReportError> {
        self.answer(self.http.get(self.url(&format!("checkpoints/{id}"))))
    }

    pub(super) fn url(&self, path: &str) -> String {
        format!("{}/api/v1/{path}", self.address.url)
    }

    pub(super) fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T, ReportError> {
        self.answer(self.http.post(self.url(path)).json(body))
    }

    pub(super) fn answer<T: DeserializeOwned>(&self, request: RequestBuilder) -> Result<T, ReportError> {
        let body = self.send(request)?;
        serde_json::from_slice(&body).map_err(|error| unreachable(&self.address.url, &error))
    }

    fn send(&self, request: RequestBuilder) -> Result<Vec<u8>, ReportError> {
        let request = match &self.address.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        };
        let unreachable = |error: reqwest::Error| unreachable(&self.address.url, &error.without_url());
        let response = request.send().map_err(unreachable)?;
        let status = response.status();
        let body = response.bytes().map_err(unreachable)?;
        if status.is_success() {
            return Ok(body.into());
        }
        let problem = serde_json::from_slice(&body).unwrap_or_else(|_| Problem {
            kind: "about:blank".to_owned(),
            title: status.to_string(),
            status: status.as_u16(),
            detail: String::new(),
            code: String::new(),
            instance: None,
            offset: None,
        });
        Err(ReportError::Refused { problem: Box::new(problem) })
    }
}

/// The error and what caused it: the last cause is the one that says "connection refused".
fn unreachable(url: &str, error: &dyn std::error::Error) -> ReportError {
    let mut reason = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        reason = format!("{reason}: {error}");
        cause = error.source();
    }
    ReportError::Unreachable { url: url.to_owned(), reason }
}
