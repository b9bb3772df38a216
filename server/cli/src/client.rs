use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use reqwest::blocking::{RequestBuilder, Response};
use reqwest::header::IF_MATCH;
use sekisho_domain::wire::Problem;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::exit::{ExitStatus, Failed};
use crate::logins;

/// Where a service listens unless told otherwise.
pub(crate) const DEFAULT_SERVER: &str = "http://127.0.0.1:7070";

/// Where the service is and who asks. Flags that every command against a server shares.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct ServerArgs {
    /// URL of the service
    #[arg(long, env = "SEKISHO_SERVER", default_value = DEFAULT_SERVER, value_name = "URL")]
    pub(crate) server: String,
    #[command(flatten)]
    token: TokenArgs,
}

impl ServerArgs {
    /// The token, see [`TokenArgs::read`]: for what goes on longer than a sign-in holds.
    pub(crate) fn token(&self) -> anyhow::Result<Option<String>> {
        self.token.read()
    }

    /// The token, or the secret of `sekisho login` where no token is given.
    pub(crate) fn credential(&self) -> anyhow::Result<Option<String>> {
        prefer(self.token()?, || Ok(logins::current(&self.server)?.map(|login| login.secret)))
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
        self.choose(std::env::var("SEKISHO_TOKEN").ok())
    }

    fn choose(&self, environment: Option<String>) -> anyhow::Result<Option<String>> {
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
        Ok(environment.filter(|token| !token.is_empty()))
    }
}

/// What was given, or what was kept. Who gives a token means that one, whoever is signed in.
fn prefer(
    given: Option<String>,
    kept: impl FnOnce() -> anyhow::Result<Option<String>>,
) -> anyhow::Result<Option<String>> {
    if given.is_some() { Ok(given) } else { kept() }
}

/// Where the API begins.
const API: &str = "/api/v1";

/// Rows in one part of a list.
const AT_ONCE: u32 = 200;

/// A part of a list, and where the next one is.
#[derive(serde::Deserialize)]
pub(crate) struct Part<T> {
    pub(crate) items: Vec<T>,
    next: Option<String>,
}

/// Talks to `/api/v1`.
pub(crate) struct Client {
    http: reqwest::blocking::Client,
    base: String,
    token: Option<String>,
}

impl Client {
    pub(crate) fn new(args: &ServerArgs) -> anyhow::Result<Self> {
        Self::with(&args.server, args.credential()?)
    }

    /// As the person who signed in with `sekisho login`, for what a stored token never does, which is `what`; `page` is where the
    /// browser does it.
    pub(crate) fn signed_in(args: &ServerArgs, what: &str, page: &str) -> anyhow::Result<Self> {
        let Some(login) = logins::current(&args.server)? else {
            let url = args.server.trim_end_matches('/');
            let text = format!(
                "A stored token never {what}. Sign in with `sekisho login`, or do it in the browser at {url}{page}."
            );
            return Err(Failed::with(ExitStatus::Refused, text));
        };
        Self::with(&args.server, Some(login.secret))
    }

    /// For a command that may also do without a service: the token, else the sign-in that is kept for this one.
    pub(crate) fn reading(server: &str, token: &TokenArgs) -> anyhow::Result<Self> {
        let kept = || Ok(logins::current(server)?.map(|login| login.secret));
        Self::with(server, prefer(token.read()?, kept)?)
    }

    /// Under this secret, or as a stranger.
    pub(crate) fn with(server: &str, token: Option<String>) -> anyhow::Result<Self> {
        // A limit to every wait for the next bytes, not to the whole answer.
        let http = reqwest::blocking::Client::builder().timeout(Duration::from_secs(60)).build()?;
        Ok(Self { http, base: format!("{}{API}", server.trim_end_matches('/')), token })
    }

    pub(crate) fn get<T: DeserializeOwned>(&self, path: &str) -> anyhow::Result<T> {
        self.send(self.http.get(self.url(path)))
    }

    /// A list, all parts of it.
    pub(crate) fn list<T: DeserializeOwned>(&self, path: &str) -> anyhow::Result<Vec<T>> {
        let mut part: Part<T> = self.get(&format!("{path}?limit={AT_ONCE}"))?;
        let mut all = std::mem::take(&mut part.items);
        while let Some(next) = part.next {
            part = self.get(next.strip_prefix(API).unwrap_or(&next))?;
            all.append(&mut part.items);
        }
        Ok(all)
    }

    /// GET of an answer that is no JSON, or too large to be held.
    pub(crate) fn stream(&self, path: &str) -> anyhow::Result<Response> {
        self.answer(self.http.get(self.url(path)))
    }

    /// GET of a page, whatever comes of it.
    pub(crate) fn page(&self, path: &str) -> anyhow::Result<Response> {
        let base = self.base.trim_end_matches("/api/v1");
        self.request(self.http.get(format!("{base}{path}")))
    }

    pub(crate) fn post<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> anyhow::Result<T> {
        self.send(self.http.post(self.url(path)).json(body))
    }

    /// POST; nothing is answered.
    pub(crate) fn tell(&self, path: &str, body: &impl Serialize) -> anyhow::Result<()> {
        self.answer(self.http.post(self.url(path)).json(body)).map(drop)
    }

    /// POST on the version that the caller has seen; refused when there is a newer one.
    pub(crate) fn post_seen<T: DeserializeOwned>(
        &self,
        path: &str,
        version: u64,
        body: &impl Serialize,
    ) -> anyhow::Result<T> {
        let request = self.http.post(self.url(path)).header(IF_MATCH, format!("\"{version}\""));
        self.send(request.json(body))
    }

    /// DELETE; nothing is answered.
    pub(crate) fn delete(&self, path: &str) -> anyhow::Result<()> {
        self.answer(self.http.delete(self.url(path))).map(drop)
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    fn send<T: DeserializeOwned>(&self, request: RequestBuilder) -> anyhow::Result<T> {
        self.answer(request)?.json().context("the server's answer cannot be read")
    }

    fn answer(&self, request: RequestBuilder) -> anyhow::Result<Response> {
        refuse(self.request(request)?)
    }

    fn request(&self, request: RequestBuilder) -> anyhow::Result<Response> {
        let request = match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        };
        request.send().map_err(|error| {
            let text = format!("No Sekisho answers at {} ({error}). Start one with `sekisho serve`, or name it with --server or SEKISHO_SERVER.", self.base);
            Failed::with(ExitStatus::Failure, text)
        })
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

/// A text as one segment of a path, or as a value of a query.
pub(crate) fn encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::{TokenArgs, encode, prefer};

    #[test]
    fn a_token_comes_from_the_flag_the_file_the_environment_in_this_order() {
        let root = tempfile::tempdir().expect("a temporary folder");
        let file = root.path().join("token");
        fs_err::write(&file, "from-file\n").expect("written");
        let args = |token: Option<&str>, token_file: Option<PathBuf>| TokenArgs {
            token: token.map(ToOwned::to_owned),
            token_file,
        };
        let environment = || Some("from-environment".to_owned());
        let chosen = |args: TokenArgs, environment| args.choose(environment).expect("readable");
        let flag = chosen(args(Some("from-flag"), Some(file.clone())), environment());
        assert_eq!(flag.as_deref(), Some("from-flag"));
        assert_eq!(chosen(args(None, Some(file)), environment()).as_deref(), Some("from-file"));
        assert_eq!(chosen(args(None, None), environment()).as_deref(), Some("from-environment"));
        assert_eq!(chosen(args(None, None), Some(String::new())), None);
    }

    #[test]
    fn a_sign_in_is_used_where_no_token_is_given() {
        let kept = || Ok(Some("kept".to_owned()));
        assert_eq!(prefer(Some("given".to_owned()), kept).expect("known").as_deref(), Some("given"));
        assert_eq!(prefer(None, kept).expect("known").as_deref(), Some("kept"));
        assert_eq!(prefer(None, || Ok(None)).expect("known"), None);
        let untouched = prefer(Some("given".to_owned()), || anyhow::bail!("nobody asks for it"));
        assert!(untouched.is_ok());
    }

    #[test]
    fn a_name_stays_one_segment() {
        assert_eq!(encode("web-ja_v1.2~"), "web-ja_v1.2~");
        assert_eq!(encode("a/b c?%森"), "a%2Fb%20c%3F%25%E6%A3%AE");
    }
}
