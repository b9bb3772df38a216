//! What every page has around it: language, theme, who is looking, and the links that change these.

use axum::extract::{FromRequestParts, Query};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Uri, header};
use jiff::tz::TimeZone;
use sekisho_domain::{Language, Timestamp};
use sekisho_store::User;

use super::assets;
use super::i18n::{self, Words as _};
use super::pages::When;
use super::site::Site;
use crate::{App, Viewer, WebError};

/// Light, dark, or as the browser prefers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Theme {
    /// As the browser prefers.
    Auto,
    /// Light.
    Light,
    /// Dark.
    Dark,
}

impl Theme {
    /// All, in the order in which the switch offers them.
    pub(crate) const ALL: [Self; 3] = [Self::Auto, Self::Light, Self::Dark];

    /// For `data-theme`, cookies and URLs.
    pub(crate) const fn code(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Light => "light",
            Self::Dark => "dark",
        }
    }

    fn from_code(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|theme| theme.code() == code)
    }
}

/// The random text that a page's own scripts carry, so that no other script runs.
#[derive(Clone, Debug)]
pub(super) struct Nonce(pub(super) String);

/// The frame of a page.
#[derive(Clone, Debug)]
pub(crate) struct Frame {
    /// Language.
    pub(crate) lang: Language,
    /// Theme.
    pub(crate) theme: Theme,
    /// Nonce of the page's scripts.
    pub(crate) nonce: String,
    /// Who is signed in.
    pub(crate) user: Option<User>,
    /// Token of the session's forms; empty without a session.
    pub(crate) csrf: String,
    /// Path of the page.
    pub(crate) path: String,
    /// Its query.
    pub(crate) query: Vec<(String, String)>,
    /// When it is made.
    pub(crate) now: Timestamp,
    /// Zone of the times on it.
    pub(crate) zone: TimeZone,
    /// Set when the page is made for an export.
    pub(crate) site: Option<Site>,
}

impl Frame {
    /// The frame for a request, whoever sends it.
    pub(super) fn new(app: &App, headers: &HeaderMap, uri: &Uri, viewer: Option<&Viewer>) -> Self {
        let query = pairs(uri);
        let find = |name: &str| query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
        let lang = find("lang")
            .and_then(|code| code.parse().ok())
            .or_else(|| cookie(headers, LANG_COOKIE).and_then(|code| code.parse().ok()));
        let accepted = || headers.get(header::ACCEPT_LANGUAGE)?.to_str().ok().and_then(i18n::accepted);
        let site = find("site").map(Site::of);
        // An export shows what a stranger is shown.
        let viewer = viewer.filter(|_| site.is_none());
        let theme = find("theme")
            .and_then(Theme::from_code)
            .or_else(|| cookie(headers, THEME_COOKIE).and_then(Theme::from_code));
        Self {
            lang: lang.or_else(accepted).unwrap_or(Language::En),
            theme: theme.unwrap_or(Theme::Auto),
            nonce: String::new(),
            user: viewer.and_then(Viewer::user).cloned(),
            csrf: viewer.map_or(String::new(), |v| v.csrf().to_owned()),
            path: own_path(uri),
            now: app.now(),
            zone: TimeZone::system(),
            // What made the page is none of its states.
            query: query.iter().filter(|(name, _)| name != "site").cloned().collect(),
            site,
        }
    }

    /// The text of a key.
    pub(crate) fn t(&self, key: &str) -> &'static str {
        self.lang.t(key)
    }

    /// The text of a key with its one placeholder filled in.
    pub(crate) fn fill(&self, key: &str, name: &str, value: impl std::fmt::Display) -> String {
        self.lang.fill(key, &[(name, &value)])
    }

    /// The text of a section's key: the name of a state, of an action …
    pub(crate) fn word(&self, section: &str, key: impl std::fmt::Display) -> &'static str {
        self.lang.t(&format!("{section}.{key}"))
    }

    /// `(12)`: how many rows a table has, for its caption.
    pub(crate) fn rows(&self, n: usize) -> String {
        self.fill("table.rows", "n", n)
    }

    /// Version of this program.
    pub(crate) fn version(&self) -> &'static str {
        env!("CARGO_PKG_VERSION")
    }

    /// URL of a static file.
    pub(crate) fn asset(&self, name: &str) -> String {
        assets::url(name)
    }

    /// A value of the query, if it is there.
    pub(crate) fn param(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// What stands in the search box: what was searched for.
    pub(crate) fn searched(&self) -> &str {
        if self.path == "/search" { self.param("q").unwrap_or_default() } else { "" }
    }

    /// This page with one value of its query changed; an empty value removes it.
    pub(crate) fn with(&self, name: &str, value: &str) -> String {
        // Language and theme are remembered when they are chosen; a link that carried them would bring them back for ever.
        let passing = ["part", "lang", "theme"];
        let kept = self.query.iter().filter(|(key, _)| key != name && !passing.contains(&key.as_str()));
        let own = [(name.to_owned(), value.to_owned())];
        let all: Vec<String> = kept
            .chain(own.iter().filter(|(_, value)| !value.is_empty()))
            .map(|(key, value)| format!("{}={}", encode(key), encode(value)))
            .collect();
        if all.is_empty() { self.path.clone() } else { format!("{}?{}", self.path, all.join("&")) }
    }

    /// Where to sign in, and come back to this page.
    pub(crate) fn sign_in(&self) -> String {
        let is_sign_in = ["/login", "/login/password"].contains(&self.path.as_str());
        let here = || self.with("", "");
        let next = if is_sign_in { self.param("next").unwrap_or("/").to_owned() } else { here() };
        if next == "/" { "/login".to_owned() } else { format!("/login?next={}", encode(&next)) }
    }

    /// Whether the page lies in that section of the header.
    pub(crate) fn in_section(&self, section: &str) -> bool {
        match section {
            "/" => self.path == "/",
            "/runs" => ["/runs", "/checkpoints", "/evals", "/compare"]
                .iter()
                .any(|begin| self.path.starts_with(begin)),
            "/releases" => ["/releases", "/channels"].iter().any(|begin| self.path.starts_with(begin)),
            other => self.path.starts_with(other),
        }
    }

    /// The sections of the header: address, name, and the letter that leads there after `g`.
    pub(crate) fn sections(&self) -> &'static [(&'static str, &'static str, &'static str)] {
        const ALL: [(&str, &str, &str); 5] = [
            ("/", "nav.overview", "h"),
            ("/runs", "nav.runs", "r"),
            ("/leaderboard", "nav.leaderboard", "l"),
            ("/corpora", "nav.corpora", "c"),
            ("/releases", "nav.releases", "e"),
        ];
        if self.is_frozen() { &ALL[..3] } else { &ALL }
    }

    /// The keys of a page, and the text that says what they do.
    pub(crate) fn keys(&self) -> &'static [(&'static [&'static str], &'static str)] {
        const ALL: [(&[&str], &str); 13] = [
            (&["j", "k"], "keys.rows"),
            (&["Enter"], "keys.open"),
            (&["←", "→"], "keys.chart"),
            (&["?"], "keys.help"),
            (&["g", "h"], "nav.overview"),
            (&["g", "r"], "nav.runs"),
            (&["g", "l"], "nav.leaderboard"),
            (&["g", "c"], "nav.corpora"),
            (&["g", "e"], "nav.releases"),
            (&["g", "q"], "nav.queue"),
            (&["/"], "keys.search"),
            (&["x", "c"], "keys.choose"),
            (&["p"], "keys.pin"),
        ];
        if self.is_frozen() { &ALL[..7] } else { &ALL }
    }

    /// The other languages and where they are.
    pub(crate) fn languages(&self) -> Vec<(&'static str, String, bool)> {
        let link = |lang: Language| (lang.as_str(), self.with("lang", lang.as_str()), lang == self.lang);
        Language::ALL.iter().copied().map(link).collect()
    }

    /// The themes and where they are.
    pub(crate) fn themes(&self) -> Vec<(&'static str, String, bool)> {
        let link = |theme: Theme| (theme.code(), self.with("theme", theme.code()), theme == self.theme);
        Theme::ALL.into_iter().map(link).collect()
    }

    /// A time as `2026-11-21 14:03 JST`.
    pub(crate) fn stamp(&self, at: &Timestamp) -> String {
        super::format::stamp(&self.zone, *at)
    }

    /// A time as pages show it.
    pub(crate) fn when(&self, at: Timestamp) -> When {
        When::new(self, at)
    }

    /// How long ago a time was. An export is read later than it is made: it names the time itself.
    pub(crate) fn ago(&self, at: &Timestamp) -> String {
        if self.is_frozen() {
            return self.stamp(at);
        }
        super::format::ago(self.lang, self.now, *at)
    }
}

/// A frame for somebody who may read.
impl FromRequestParts<App> for Frame {
    type Rejection = WebError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, WebError> {
        let viewer = Viewer::from_request_parts(parts, app).await?;
        viewer.may_read()?;
        Ok(of_parts(parts, app, &viewer))
    }
}

/// A frame for anybody: the sign-in page.
pub(crate) struct OpenFrame(pub(crate) Frame);

impl FromRequestParts<App> for OpenFrame {
    type Rejection = WebError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, WebError> {
        let viewer = Viewer::from_request_parts(parts, app).await?;
        Ok(Self(of_parts(parts, app, &viewer)))
    }
}

fn of_parts(parts: &Parts, app: &App, viewer: &Viewer) -> Frame {
    let nonce = parts.extensions.get::<Nonce>().map_or(String::new(), |n| n.0.clone());
    Frame { nonce, ..Frame::new(app, &parts.headers, &parts.uri, Some(viewer)) }
}

const LANG_COOKIE: &str = "sekisho_lang";
const THEME_COOKIE: &str = "sekisho_theme";

/// `Set-Cookie` values for the choices that a URL makes, so that the next page keeps them.
pub(super) fn remembered(uri: &Uri) -> Vec<String> {
    let query = pairs(uri);
    let find = |name: &str| query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
    let lang =
        find("lang").and_then(|code| code.parse().ok()).map(|lang: Language| (LANG_COOKIE, lang.as_str()));
    let theme = find("theme").and_then(Theme::from_code).map(|theme| (THEME_COOKIE, theme.code()));
    let year = 365 * 24 * 3600;
    let set = |(name, value)| format!("{name}={value}; Path=/; Max-Age={year}; SameSite=Lax");
    lang.into_iter().chain(theme).map(set).collect()
}

/// The path, beginning with one slash: a browser reads a link to `//host` as one to another host, and `\` as a slash.
fn own_path(uri: &Uri) -> String {
    format!("/{}", uri.path().trim_start_matches(['/', '\\']))
}

fn pairs(uri: &Uri) -> Vec<(String, String)> {
    Query::try_from_uri(uri).map(|Query(pairs)| pairs).unwrap_or_default()
}

fn cookie<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    let values = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let pairs = values.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.into_iter().find(|(key, _)| *key == name).map(|(_, value)| value)
}

/// Percent-encoding for one part of a URL.
pub(crate) fn encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::web::pages::fixtures;

    #[test]
    fn a_link_changes_one_value_and_keeps_the_others() {
        let mut frame = fixtures::frame(Language::Ja, "/runs/v4");
        frame.query = vec![("x".to_owned(), "steps".to_owned()), ("part".to_owned(), "live".to_owned())];
        assert_eq!(frame.with("scale", "log & 関"), "/runs/v4?x=steps&scale=log%20%26%20%E9%96%A2");
        assert_eq!(frame.with("x", ""), "/runs/v4");
        frame.query.push(("lang".to_owned(), "ja".to_owned()));
        assert_eq!(
            frame.with("theme", "dark"),
            "/runs/v4?x=steps&theme=dark",
            "a choice does not stick to links"
        );
        assert_eq!(frame.with("lang", "en"), "/runs/v4?x=steps&lang=en");
    }

    #[test]
    fn a_sign_in_comes_back_to_the_page() {
        let mut frame = fixtures::frame(Language::Ja, "/releases/01kc");
        frame.query = vec![("card".to_owned(), "ja".to_owned()), ("lang".to_owned(), "ja".to_owned())];
        assert_eq!(frame.sign_in(), "/login?next=%2Freleases%2F01kc%3Fcard%3Dja");
        assert_eq!(fixtures::frame(Language::Ja, "/").sign_in(), "/login");
        let mut login = fixtures::frame(Language::Ja, "/login");
        login.query = vec![("next".to_owned(), "/audit".to_owned())];
        assert_eq!(login.sign_in(), "/login?next=%2Faudit", "and not to the sign-in itself");
    }

    #[test]
    fn no_path_leads_to_another_host() {
        for path in ["//evil.example/", "///evil.example/", "/\\evil.example/"] {
            let uri = Uri::builder().path_and_query(path).build().expect("URI");
            assert_eq!(own_path(&uri), "/evil.example/", "{path}");
        }
    }

    #[test]
    fn choices_in_the_url_are_remembered_and_nonsense_is_not() {
        let uri: Uri = "/?lang=ja&theme=neon".parse().expect("URI");
        let cookies = remembered(&uri);
        assert_eq!(cookies.len(), 1);
        assert!(cookies[0].starts_with("sekisho_lang=ja; Path=/; "), "{cookies:?}");
    }
}
