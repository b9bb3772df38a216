//! Files as the Hub serves them: with our token, or as everybody sees them.

use reqwest::header::{AUTHORIZATION, LOCATION};
use reqwest::{Method, Url};

use super::{Remote, call, safe_address, transient_pause};
use crate::PublishError;

/// The Hub sends one from a file to its storage, and one from an old name to a new one.
const MOST_REDIRECTS: usize = 5;

/// Which file of which commit.
#[derive(Clone, Copy)]
pub(crate) struct Place<'a> {
    pub(crate) repo: &'a str,
    pub(crate) revision: &'a str,
    pub(crate) path: &'a str,
}

/// What was answered.
pub(crate) struct Served {
    pub(crate) status: u16,
    /// SHA-256 in hex that the Hub names for a file stored apart.
    pub(crate) linked: Option<String>,
    /// The beginning of the body, as far as was asked for.
    pub(crate) bytes: Vec<u8>,
}

impl Served {
    pub(crate) fn is_there(&self) -> bool {
        (200..400).contains(&self.status)
    }
}

impl Remote {
    /// The first `limit` bytes of a file. Redirections are followed to safe addresses; the token goes to the Hub alone.
    pub(crate) async fn served(
        &self,
        place: Place<'_>,
        with_token: bool,
        limit: usize,
    ) -> Result<Served, PublishError> {
        let mut url = self.resolve(place);
        for _ in 0..=MOST_REDIRECTS {
            let answer = self.asked(Method::GET, &url, with_token).await?;
            let Some(next) = location(&answer, &url) else {
                let (status, linked) = (answer.status().as_u16(), linked(&answer));
                let bytes = call::read(answer, limit).await;
                let bytes = bytes.map_err(|error| call::unreachable_because("file", error))?;
                return Ok(Served { status, linked, bytes });
            };
            url = safe_address("the file", next.as_str())?;
        }
        let reason = format!("{} leads round in a circle", place.path);
        Err(PublishError::Malformed { call: "file", reason })
    }

    /// What everybody is told about a file: a redirection says as well as the file itself that it is there.
    pub(crate) async fn announced(&self, place: Place<'_>) -> Result<Served, PublishError> {
        let answer = self.asked(Method::HEAD, &self.resolve(place), false).await?;
        Ok(Served { status: answer.status().as_u16(), linked: linked(&answer), bytes: Vec::new() })
    }

    fn resolve(&self, place: Place<'_>) -> Url {
        let mut segments: Vec<&str> = place.repo.split('/').collect();
        segments.extend(["resolve", place.revision]);
        segments.extend(place.path.split('/'));
        self.url(&segments)
    }

    /// Any answer that is no passing error.
    async fn asked(
        &self,
        method: Method,
        url: &Url,
        with_token: bool,
    ) -> Result<reqwest::Response, PublishError> {
        let mut attempt = 1;
        loop {
            let mut request = self.http.request(method.clone(), url.clone()).timeout(self.patience.call);
            if with_token && url.origin() == self.endpoint.origin() {
                request = request.header(AUTHORIZATION, self.authorization.clone());
            }
            let sent = request.send().await;
            match transient_pause(attempt, &sent) {
                Some(pause) => tokio::time::sleep(pause).await,
                None => return sent.map_err(|error| call::unreachable_because("file", error)),
            }
            attempt += 1;
        }
    }
}

fn location(answer: &reqwest::Response, url: &Url) -> Option<Url> {
    if !answer.status().is_redirection() {
        return None;
    }
    url.join(answer.headers().get(LOCATION)?.to_str().ok()?).ok()
}

fn linked(answer: &reqwest::Response) -> Option<String> {
    let etag = answer.headers().get("x-linked-etag")?.to_str().ok()?;
    Some(etag.trim_start_matches("W/").trim_matches('"').to_owned())
}
