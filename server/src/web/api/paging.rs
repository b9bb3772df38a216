//! Lists: one shape for all, and a cursor that names the last row instead of counting rows.

use axum::Json;
use axum::extract::{FromRequestParts, OriginalUri};
use axum::http::request::Parts;
use axum::http::{HeaderValue, Uri, header};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::query;
use crate::web::frame::encode;
use crate::{App, WebError};

/// A part of a list.
#[derive(Serialize, ToSchema)]
pub(super) struct Page<T> {
    /// The rows, in the order of the list.
    pub(super) items: Vec<T>,
    /// Where the next part is; null at the end of the list. The header `Link` says the same.
    #[schema(example = "/api/v1/runs?limit=50&after=IjAxa2N2M2oybTh6cTR3Nng5eTBhYmNkZWZnIg")]
    pub(super) next: Option<String>,
}

impl<T> Page<T> {
    /// A list that is short by nature, and whole.
    pub(super) const fn whole(items: Vec<T>) -> Self {
        Self { items, next: None }
    }
}

impl<T: Serialize> IntoResponse for Page<T> {
    fn into_response(self) -> Response {
        let link = self.next.as_ref().map(|next| format!("<{next}>; rel=\"next\""));
        let mut response = Json(self).into_response();
        if let Some(link) = link.and_then(|link| HeaderValue::from_str(&link).ok()) {
            response.headers_mut().insert(header::LINK, link);
        }
        response
    }
}

/// Which part of a list.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "describes what `Paging` reads")]
pub(super) struct PageParams {
    /// Rows at most.
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<u32>,
    /// The cursor of an earlier answer's `next`.
    after: Option<String>,
}

/// What else a list is asked for, and how long its parts may be.
pub(super) trait Filter: DeserializeOwned {
    /// Rows of a part, where nobody says how many.
    const USUAL: u32 = 50;
    /// Rows of the longest part.
    const MOST: u32 = 200;
}

/// Nothing else.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Nothing {}

impl Filter for Nothing {}

/// Which part of a list is asked for. `K` is what the list is sorted by.
pub(super) struct Paging<K, F = Nothing> {
    /// What is asked for besides.
    pub(super) filter: F,
    /// The row that the last part ended with.
    pub(super) after: Option<K>,
    limit: u32,
    uri: Uri,
}

impl<K: Serialize, F: Filter> Paging<K, F> {
    /// Rows to read: one more than are answered, which tells whether there is another part.
    pub(super) const fn take(&self) -> u32 {
        self.limit + 1
    }

    /// The part that was asked for and the address of the next one, of so many rows as [`Self::take`] says.
    pub(super) fn cut<R>(&self, mut rows: Vec<R>, key: impl Fn(&R) -> K) -> (Vec<R>, Option<String>) {
        let goes_on = rows.len() > self.limit as usize;
        rows.truncate(self.limit as usize);
        let last = rows.last().filter(|_| goes_on);
        let next = last.map(|last| self.address(&cursor(&key(last))));
        (rows, next)
    }

    /// The same, each row as the API shows it.
    pub(super) fn page<R, T>(
        &self,
        rows: Vec<R>,
        key: impl Fn(&R) -> K,
        view: impl FnMut(R) -> T,
    ) -> Page<T> {
        let (rows, next) = self.cut(rows, key);
        Page { items: rows.into_iter().map(view).collect(), next }
    }

    /// This request with another cursor.
    fn address(&self, after: &str) -> String {
        let kept = pairs(&self.uri).into_iter().filter(|(name, _)| name != "after");
        let kept: String =
            kept.map(|(name, value)| format!("{}={}&", encode(&name), encode(&value))).collect();
        format!("{}?{kept}after={after}", self.uri.path())
    }
}

impl<K: DeserializeOwned, F: Filter> FromRequestParts<App> for Paging<K, F> {
    type Rejection = WebError;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, WebError> {
        let uri =
            parts.extensions.get::<OriginalUri>().map_or_else(|| parts.uri.clone(), |uri| uri.0.clone());
        Self::of(uri)
    }
}

impl<K: DeserializeOwned, F: Filter> Paging<K, F> {
    fn of(uri: Uri) -> Result<Self, WebError> {
        let (mut limit, mut after, mut rest) = (F::USUAL, None, String::new());
        for (name, value) in pairs(&uri) {
            match name.as_str() {
                "limit" => limit = rows(&value, F::MOST)?,
                "after" => after = Some(key(&value)?),
                _ => rest.push_str(&format!("{}={}&", encode(&name), encode(&value))),
            }
        }
        let rest: Uri = format!("/?{}", rest.trim_end_matches('&')).parse().map_err(WebError::internal)?;
        Ok(Self { filter: query::read(&rest)?, after, limit, uri })
    }
}

fn rows(text: &str, most: u32) -> Result<u32, WebError> {
    text.parse().ok().filter(|rows| (1..=most).contains(rows)).ok_or_else(|| {
        let detail =
            format!("limit is \"{}\"; this list takes a whole number from 1 to {most}.", shown(text));
        WebError::bad_request("limit", detail)
    })
}

fn cursor(key: &impl Serialize) -> String {
    URL_SAFE_NO_PAD.encode(serde_json::to_vec(key).unwrap_or_default())
}

fn key<K: DeserializeOwned>(cursor: &str) -> Result<K, WebError> {
    let read = URL_SAFE_NO_PAD.decode(cursor).ok().and_then(|json| serde_json::from_slice(&json).ok());
    read.ok_or_else(|| {
        let detail = format!(
            "after is \"{}\", which is no cursor of this list; take it from \"next\" of an answer, or leave it out to begin.",
            shown(cursor)
        );
        WebError::bad_request("cursor", detail)
    })
}

/// The beginning of a text, so that an error is not as long as what is wrong.
fn shown(text: &str) -> String {
    text.chars().take(60).collect::<String>().escape_debug().to_string()
}

fn pairs(uri: &Uri) -> Vec<(String, String)> {
    axum::extract::Query::try_from_uri(uri).map(|axum::extract::Query(pairs)| pairs).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(uri: &'static str) -> Result<Paging<(u64, String)>, &'static str> {
        Paging::of(Uri::from_static(uri)).map_err(|error| error.code)
    }

    #[test]
    fn parts_follow_one_another_to_the_end() {
        let all: Vec<(u64, String)> = (0..7).map(|n| (n / 2, format!("関所 {n}"))).collect();
        let mut uri: Uri = "/api/v1/things?limit=3".parse().expect("URI");
        let mut read = Vec::new();
        for part in 0.. {
            let paging: Paging<(u64, String)> = Paging::of(uri).expect("a page");
            let rest = all.iter().filter(|row| paging.after.as_ref().is_none_or(|after| *row > after));
            let rows = rest.take(paging.take() as usize).cloned().collect();
            let page = paging.page(rows, Clone::clone, |row| row);
            read.extend(page.items);
            let Some(next) = page.next else {
                assert_eq!(part, 2, "7 rows are three parts");
                break;
            };
            assert!(next.starts_with("/api/v1/things?limit=3&after="), "{next}");
            uri = next.parse().expect("URI");
        }
        assert_eq!(read, all);
    }

    #[test]
    fn nonsense_is_named() {
        assert_eq!(asked("/x?limit=200").map(|paging| paging.take()), Ok(201));
        assert_eq!(asked("/x").map(|paging| paging.take()), Ok(51));
        for bad in ["/x?limit=0", "/x?limit=201", "/x?limit=-1", "/x?limit=many", "/x?limit="] {
            assert_eq!(asked(bad).err(), Some("limit"), "{bad}");
        }
        for bad in ["/x?after=", "/x?after=1", "/x?after=%00", "/x?after=MQ"] {
            assert_eq!(asked(bad).err(), Some("cursor"), "{bad}");
        }
        assert_eq!(asked("/x?sort=age").err(), Some("query"));
    }
}
