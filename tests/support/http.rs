//! The service as programs and browsers without a screen see it.

use reqwest::blocking::multipart::Form;
use reqwest::blocking::{Client, RequestBuilder, Response};
use reqwest::header::{CONTENT_TYPE, COOKIE, HeaderMap, SET_COOKIE};
use reqwest::redirect::Policy;
use serde_json::Value;

use crate::described;

/// Requests to one service, with a token or without. Redirects are answers.
#[derive(Clone)]
pub struct Api {
    http: Client,
    base: String,
    token: Option<String>,
}

/// What was answered.
#[derive(Debug)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// Headers.
    pub headers: HeaderMap,
    /// Body.
    pub text: String,
}

impl Api {
    /// For a service at this address.
    ///
    /// # Panics
    /// When the system has no TLS library.
    #[must_use]
    pub fn new(base: &str, token: Option<&str>) -> Self {
        let http = Client::builder().redirect(Policy::none()).build().expect("an HTTP client");
        Self { http, base: base.to_owned(), token: token.map(ToOwned::to_owned) }
    }

    /// GET of a path.
    #[must_use]
    pub fn get(&self, path: &str) -> Answer {
        self.send(self.http.get(self.url(path)))
    }

    /// A form of somebody without a session.
    #[must_use]
    pub fn form(&self, path: &str, fields: &[(&str, &str)], headers: &[(&str, &str)]) -> Answer {
        post_form(self, path, "", fields, headers)
    }

    /// DELETE of a path.
    #[must_use]
    pub fn delete(&self, path: &str) -> Answer {
        self.send(self.http.delete(self.url(path)))
    }

    /// POST of JSON for the version that the caller has seen.
    #[must_use]
    pub fn post_seen(&self, path: &str, etag: &str, body: &Value) -> Answer {
        self.send(self.http.post(self.url(path)).header("if-match", etag).json(body))
    }

    /// PATCH with a piece of a file that begins at a byte.
    #[must_use]
    pub fn patch(&self, path: &str, offset: u64, bytes: &[u8]) -> Answer {
        self.send(self.http.patch(self.url(path)).header("upload-offset", offset).body(bytes.to_vec()))
    }

    /// PATCH without a word on where it begins.
    #[must_use]
    pub fn patch_blindly(&self, path: &str, bytes: &[u8]) -> Answer {
        self.send(self.http.patch(self.url(path)).body(bytes.to_vec()))
    }

    /// POST of a form with texts and files.
    #[must_use]
    pub fn post_form(&self, path: &str, form: Form) -> Answer {
        self.send(self.http.post(self.url(path)).multipart(form))
    }

    /// POST of JSON.
    #[must_use]
    pub fn post(&self, path: &str, body: &Value) -> Answer {
        self.send(self.http.post(self.url(path)).json(body))
    }

    /// GET of a path with further headers.
    #[must_use]
    pub fn get_with(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        self.send(with(self.http.get(self.url(path)), headers))
    }

    /// POST of JSON with further headers.
    #[must_use]
    pub fn post_with(&self, path: &str, body: &Value, headers: &[(&str, &str)]) -> Answer {
        self.send(with(self.http.post(self.url(path)).json(body), headers))
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    fn send(&self, request: RequestBuilder) -> Answer {
        let request = match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        };
        let request = request.build().expect("a request");
        let (method, url) = (request.method().to_string(), request.url().clone());
        let sent = request.body().and_then(|body| body.as_bytes()).map(<[u8]>::to_vec);
        let answer = Answer::of(self.http.execute(request).expect("the service answers"));
        let kind = answer.headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        let fault = described::fault(&method, &url, sent.as_deref(), answer.status, kind, &answer.text);
        assert_eq!(fault, None, "{method} {url} is not what docs/openapi.json says");
        answer
    }
}

fn with(request: RequestBuilder, headers: &[(&str, &str)]) -> RequestBuilder {
    headers.iter().fold(request, |request, (name, value)| request.header(*name, *value))
}

impl Answer {
    fn of(response: Response) -> Self {
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Self { status, headers, text: response.text().expect("a body") }
    }

    /// The same, if this is its status.
    ///
    /// # Panics
    /// When it is another.
    pub fn has(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", self.text);
        self
    }

    /// The body as JSON.
    ///
    /// # Panics
    /// When it is none.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }

    /// The rows of a list that is answered whole.
    ///
    /// # Panics
    /// When it is no list, or only a part of one.
    #[must_use]
    pub fn items(&self) -> Value {
        let mut page = self.json();
        assert!(page["items"].is_array() && page["next"].is_null(), "a whole list: {}", self.text);
        page["items"].take()
    }

    /// An error as the contract has it: `application/problem+json` with this status and this code.
    ///
    /// # Panics
    /// When it is something else.
    pub fn is_problem(&self, status: u16, code: &str) {
        let problem = self.json();
        assert_eq!((self.status, problem["code"].as_str()), (status, Some(code)), "{}", self.text);
        assert_eq!(self.headers[CONTENT_TYPE], "application/problem+json");
        assert_eq!(problem["status"], status);
    }
}

/// A signed-in person.
pub struct Session {
    api: Api,
    cookie: String,
}

impl Session {
    /// Opens a one-time link: its page first, then the button on it.
    ///
    /// # Panics
    /// When the link does not sign in.
    #[must_use]
    pub fn sign_in(base: &str, link: &str) -> Self {
        let api = Api::new(base, None);
        let path = link.strip_prefix(base).expect("the link leads to this service");
        let page = api.get(path).has(200).text;
        let code = hidden(&page, "code").expect("the page has the button's code");
        let answer = post_form(&api, "/login", "", &[("code", &code)], &[]).has(303);
        let cookie = answer.headers[SET_COOKIE].to_str().expect("a cookie");
        assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Lax"), "{cookie}");
        let cookie = cookie.split(';').next().unwrap_or_default().to_owned();
        Self { api, cookie }
    }

    /// Signs in by name and password.
    ///
    /// # Errors
    /// The answer that refuses.
    pub fn with_password(base: &str, name: &str, password: &str) -> Result<Self, Answer> {
        let api = Api::new(base, None);
        let fields = [("name", name), ("password", password), ("next", "/settings")];
        let answer = api.form("/login/password", &fields, &[]);
        if answer.status != 303 {
            return Err(answer);
        }
        assert_eq!(answer.headers["location"], "/settings");
        let cookie = answer.headers[SET_COOKIE].to_str().expect("a cookie");
        Ok(Self { cookie: cookie.split(';').next().unwrap_or_default().to_owned(), api })
    }

    /// A page.
    #[must_use]
    pub fn get(&self, path: &str) -> Answer {
        let request = self.api.http.get(self.api.url(path)).header(COOKIE, &self.cookie);
        self.api.send(request)
    }

    /// A form with exactly these fields.
    #[must_use]
    pub fn post(&self, path: &str, fields: &[(&str, &str)]) -> Answer {
        self.post_with(path, fields, &[])
    }

    /// The same with headers that a browser adds.
    #[must_use]
    pub fn post_with(&self, path: &str, fields: &[(&str, &str)], headers: &[(&str, &str)]) -> Answer {
        post_form(&self.api, path, &self.cookie, fields, headers)
    }

    /// The session's token, as a page has it.
    ///
    /// # Panics
    /// When the page has no form.
    #[must_use]
    pub fn csrf(&self, page: &str) -> String {
        hidden(&self.get(page).has(200).text, "csrf").expect("a form")
    }

    /// Presses a button of a page: the hidden fields of its first form that has a version, and a comment.
    ///
    /// # Panics
    /// When the page has no such form.
    #[must_use]
    pub fn press(&self, page: &str, action: &str, comment: &str) -> Answer {
        let text = self.get(page).has(200).text;
        let form = text
            .split("<form")
            .find(|form| hidden(form, "version").is_some())
            .expect("a form with a version");
        let field = |name| hidden(form, name).unwrap_or_default();
        let (csrf, version) = (field("csrf"), field("version"));
        self.post(action, &[("csrf", &csrf), ("version", &version), ("comment", comment)])
    }
}

fn post_form(
    api: &Api,
    path: &str,
    cookie: &str,
    fields: &[(&str, &str)],
    headers: &[(&str, &str)],
) -> Answer {
    let pairs: Vec<String> = fields.iter().map(|(name, value)| format!("{name}={}", encode(value))).collect();
    let request = api.http.post(api.url(path)).header(CONTENT_TYPE, "application/x-www-form-urlencoded");
    let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
    api.send(request.header(COOKIE, cookie).body(pairs.join("&")))
}

/// The value of a hidden field.
#[must_use]
pub fn hidden(page: &str, name: &str) -> Option<String> {
    let (_, rest) = page.split_once(&format!("type=\"hidden\" name=\"{name}\" value=\""))?;
    rest.split_once('"').map(|(value, _)| value.to_owned())
}

fn encode(text: &str) -> String {
    let byte = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' => char::from(byte).to_string(),
        other => format!("%{other:02X}"),
    };
    text.bytes().map(byte).collect()
}
