use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use reqwest::blocking::{RequestBuilder, Response};
use sekisho_domain::wire::Problem;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::exit::{ExitStatus, Failed};

/// Where the service is and who asks. Flags that every command against a server shares.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct ServerArgs {
    /// URL of the service
    #[arg(long, env = "SEKISHO_SERVER", default_value = "http://127.0.0.1:7070", value_name = "URL")]
    pub(crate) server: String,
    #[command(flatten)]
    token: TokenArgs,
}

impl ServerArgs {
    /// The token, see [`TokenArgs::read`].
    pub(crate) fn token(&self) -> anyhow::Result<Option<String>> {
        self.token.read()
    }
}

/// Who asks.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct TokenArgs {
    /// File with an API token
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// API token (shows in `ps`; prefer SEKISHO_TOKEN or --token-file)
    #[arg(long, value_name = "TOKEN")]
    token: Option<String>,
}

impl TokenArgs {
    /// The token: `--token` (with a warning), `--token-file`, then `SEKISHO_TOKEN`.
    pub(crate) fn read(&self) -> anyhow::Result<Option<String>> {
        if let Some(token) = &self.token {
            tracing::warn!("--token shows in the list of processes; prefer SEKISHO_TOKEN or --token-file");
            return Ok(Some(token.clone()));
        }
        if let Some(file) = &self.token_file {
            let text = fs_err::read_to_string(file).map_err(|error| {
                Failed::user(format!(
                    "{error}; name a file that this account may read with --token-file, or set SEKISHO_TOKEN"
                ))
            })?;
            return Ok(Some(text.trim().to_owned()));
        }
        Ok(std::env::var("SEKISHO_TOKEN").ok().filter(|token| !token.is_empty()))
    }
}

/// Talks to `/api/v1`.
pub(crate) struct Client {
    http: reqwest::blocking::Client,
    base: String,
    token: Option<String>,
}

impl Client {
    pub(crate) fn new(args: &ServerArgs) -> anyhow::Result<Self> {
        let http = reqwest::blocking::Client::builder().timeout(Duration::from_secs(60)).build()?;
        let base = format!("{}/api/v1", args.server.trim_end_matches('/'));
        Ok(Self { http, base, token: args.token()? })
    }

    pub(crate) fn get<T: DeserializeOwned>(&self, path: &str) -> anyhow::Result<T> {
        self.send(self.http.get(format!("{}{path}", self.base)))
    }

    pub(crate) fn post<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> anyhow::Result<T> {
        self.send(self.http.post(format!("{}{path}", self.base)).json(body))
    }

    /// DELETE; nothing is answered.
    pub(crate) fn delete(&self, path: &str) -> anyhow::Result<()> {
        self.answer(self.http.delete(format!("{}{path}", self.base))).map(drop)
    }

    fn send<T: DeserializeOwned>(&self, request: RequestBuilder) -> anyhow::Result<T> {
        self.answer(request)?.json().context("the server's answer cannot be read")
    }

    fn answer(&self, request: RequestBuilder) -> anyhow::Result<Response> {
        let request = match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        };
        let response = request.send().map_err(|error| {
            let text = format!("No Sekisho answers at {} ({error}). Start one with `sekisho serve`, or name it with --server or SEKISHO_SERVER.", self.base);
            Failed::with(ExitStatus::Failure, text)
        })?;
        refuse(response)
    }
}

fn refuse(response: Response) -> anyhow::Result<Response> {
    let status = response.status();
    if status.is_success() {
        return Ok(response);
    }
    let text = response.text().unwrap_or_default();
    match serde_json::from_str::<Problem>(&text) {
        Ok(problem) => Err(Failed::from(problem).into()),
        Err(_) => Err(Failed::with(ExitStatus::Unexpected, format!("the server answered {status}: {text}"))),
    }
}
