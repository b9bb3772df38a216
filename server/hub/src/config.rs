use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use reqwest::Url;

use crate::PublishError;

/// `[hub]` of the configuration.
#[derive(Clone, Debug)]
pub struct HubConfig {
    /// Base address of the Hub, for example `https://huggingface.co`.
    pub endpoint: String,
    /// The token to publish with.
    pub token: Token,
    /// Endpoints that an administrator allows. An endpoint that is not among them is never spoken to: a Hub's answers say where
    /// bytes go.
    pub allow: Vec<String>,
    /// Folder where `hf-xet` keeps what is on its way; created when needed.
    pub staging: PathBuf,
}

/// How long the Hub may take before it counts as out of reach. A call that changes nothing twice is repeated after that.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Patience {
    /// From a request to the last byte of its answer. The Hub itself gives a commit 60 seconds.
    pub call: Duration,
    /// How long an upload may stand still, its answer included.
    pub upload: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self { call: Duration::from_secs(120), upload: Duration::from_secs(300) }
    }
}

/// A Hub token. Neither `Debug` nor an error ever shows it.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

impl Token {
    /// From its text; white space around it is dropped.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self(text.trim().to_owned())
    }

    /// From a file that holds nothing else.
    ///
    /// # Errors
    /// When the file cannot be read; the error names it.
    pub fn read(path: &Path) -> std::io::Result<Self> {
        fs_err::read_to_string(path).map(|text| Self::new(&text))
    }

    pub(crate) fn secret(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(***)")
    }
}

/// The endpoint as a checked address without trailing slash.
pub(crate) fn checked_endpoint(config: &HubConfig) -> Result<String, PublishError> {
    let refused =
        |why: &'static str| PublishError::EndpointRefused { endpoint: config.endpoint.clone(), why };
    let url = Url::parse(&config.endpoint).map_err(|_| refused("it is not an address"))?;
    if !is_safe(&url) {
        return Err(refused("it must be https (http only on this machine)"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(refused("it must not hold a user name or password"));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(refused("it must not hold a query"));
    }
    let endpoint = normal(&url);
    let allowed =
        config.allow.iter().filter_map(|text| Url::parse(text).ok()).any(|url| normal(&url) == endpoint);
    if !allowed {
        return Err(refused("it is not in [hub] allow"));
    }
    Ok(endpoint)
}

/// Whether bytes or tokens may be sent there: https, or http without leaving this machine. `local://`, which `hf-xet` would
/// take as a folder to write to, is neither.
pub(crate) fn is_safe(url: &Url) -> bool {
    let loopback = || match url.host_str() {
        Some("localhost") => true,
        Some(host) => {
            let address = host.trim_start_matches('[').trim_end_matches(']').parse::<std::net::IpAddr>();
            address.is_ok_and(|address| address.is_loopback())
        }
        None => false,
    };
    url.scheme() == "https" || (url.scheme() == "http" && loopback())
}

fn normal(url: &Url) -> String {
    url.as_str().trim_end_matches('/').to_owned()
}

#[cfg(test)]
mod tests {
    use super::{HubConfig, Token, checked_endpoint};

    fn check(endpoint: &str, allow: &[&str]) -> Result<String, String> {
        let config = HubConfig {
            endpoint: endpoint.to_owned(),
            token: Token::new("hf_secret"),
            allow: allow.iter().map(|&text| text.to_owned()).collect(),
            staging: "staging".into(),
        };
        checked_endpoint(&config).map_err(|error| error.to_string())
    }

    #[test]
    fn only_allowed_https_or_loopback_endpoints_are_spoken_to() {
        let hub = "https://huggingface.co";
        assert_eq!(check(hub, &["https://huggingface.co/"]).as_deref(), Ok(hub));
        assert_eq!(check("HTTPS://HuggingFace.co/", &[hub]).as_deref(), Ok(hub));
        for loopback in ["http://127.0.0.1:9000", "http://localhost:9000", "http://[::1]:9000"] {
            assert_eq!(check(loopback, &[loopback]).as_deref(), Ok(loopback));
        }
        for (endpoint, why) in [
            ("http://huggingface.co", "must be https"),
            ("local:///tmp/hub", "must be https"),
            ("http://127.0.0.1.example.org", "must be https"),
            ("http://10.0.0.7:9000", "must be https"),
            ("https://user:pass@huggingface.co", "user name or password"),
            ("https://huggingface.co/?next=x", "query"),
            ("https://huggingface.co.example.org", "not in [hub] allow"),
            ("nonsense", "not an address"),
        ] {
            let error =
                check(endpoint, &[hub, "http://huggingface.co", "http://10.0.0.7:9000"]).expect_err(endpoint);
            assert!(error.contains(why), "{endpoint}: {error}");
        }
    }

    #[test]
    fn a_token_is_never_shown() {
        let token = Token::new(" hf_secret\n");
        assert_eq!(token.secret(), "hf_secret");
        assert_eq!(format!("{token:?}"), "Token(***)");
    }
}
