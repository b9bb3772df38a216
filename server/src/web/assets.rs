//! The files in `static/`, compiled in. Their URLs carry a digest, so browsers keep them for good.

use std::sync::LazyLock;

use axum::extract::Path;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use sekisho_domain::Sha256;

use crate::{Noun, WebError};

struct Asset {
    name: &'static str,
    kind: &'static str,
    bytes: &'static [u8],
    digest: String,
}

static ASSETS: LazyLock<[Asset; 12]> = LazyLock::new(|| {
    [
        asset("app.css", "text/css; charset=utf-8", include_bytes!("../../../static/app.css")),
        asset("app.js", "text/javascript; charset=utf-8", include_bytes!("../../../static/app.js")),
        asset("live.js", "text/javascript; charset=utf-8", include_bytes!("../../../static/live.js")),
        asset("keys.js", "text/javascript; charset=utf-8", include_bytes!("../../../static/keys.js")),
        asset("cursor.js", "text/javascript; charset=utf-8", include_bytes!("../../../static/cursor.js")),
        asset("select.js", "text/javascript; charset=utf-8", include_bytes!("../../../static/select.js")),
        asset("figures.js", "text/javascript; charset=utf-8", include_bytes!("../../../static/figures.js")),
        asset("zoom.js", "text/javascript; charset=utf-8", include_bytes!("../../../static/zoom.js")),
        // uPlot 1.6.32, MIT (static/vendor/uPlot.LICENSE).
        asset(
            "uPlot.iife.min.js",
            "text/javascript; charset=utf-8",
            include_bytes!("../../../static/vendor/uPlot.iife.min.js"),
        ),
        asset(
            "uPlot.min.css",
            "text/css; charset=utf-8",
            include_bytes!("../../../static/vendor/uPlot.min.css"),
        ),
        asset("gate.svg", "image/svg+xml", include_bytes!("../../../static/gate.svg")),
        // People fetch it by hand, as `/static/clients/sekisho.py`, which is no digest.
        asset(
            "sekisho.py",
            "text/x-python; charset=utf-8",
            include_bytes!("../../../static/clients/sekisho.py"),
        ),
    ]
});

fn asset(name: &'static str, kind: &'static str, bytes: &'static [u8]) -> Asset {
    Asset { name, kind, bytes, digest: Sha256::of(bytes).short() }
}

/// The URL of a file: `/static/<digest>/<name>`.
pub(crate) fn url(name: &str) -> String {
    let digest = ASSETS.iter().find(|a| a.name == name).map_or("", |a| &a.digest);
    format!("/static/{digest}/{name}")
}

/// `GET /static/{digest}/{name}`. A page that was loaded before an update asks for a digest that is gone: it gets the present file,
/// not to be kept.
pub(super) async fn serve(
    Path((digest, name)): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<Response, WebError> {
    let Some(asset) = ASSETS.iter().find(|a| a.name == name) else {
        return Err(WebError::not_found(Noun::File, name));
    };
    let etag = format!("\"{}\"", asset.digest);
    let keep = if digest == asset.digest { "public, max-age=31536000, immutable" } else { "no-cache" };
    let same = headers.get(header::IF_NONE_MATCH).is_some_and(|seen| seen.as_bytes() == etag.as_bytes());
    let mut response = if same {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        ([(header::CONTENT_TYPE, asset.kind)], asset.bytes).into_response()
    };
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(keep));
    headers.insert(header::ETAG, HeaderValue::from_str(&etag).map_err(WebError::internal)?);
    Ok(response)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_file_is_kept_for_good_under_its_digest_and_asked_for_once() {
        let parts: Vec<String> = url("app.css").split('/').map(ToOwned::to_owned).collect();
        let (digest, name) = (parts[2].clone(), parts[3].clone());
        let first = serve(Path((digest.clone(), name.clone())), HeaderMap::new()).await.expect("served");
        assert_eq!(first.headers()[header::CACHE_CONTROL], "public, max-age=31536000, immutable");
        let mut seen = HeaderMap::new();
        seen.insert(header::IF_NONE_MATCH, first.headers()[header::ETAG].clone());
        let again = serve(Path((digest, name.clone())), seen).await.expect("served");
        assert_eq!(again.status(), StatusCode::NOT_MODIFIED);
        let old = serve(Path(("0".to_owned(), name)), HeaderMap::new()).await.expect("served");
        assert_eq!(old.headers()[header::CACHE_CONTROL], "no-cache");
        assert!(serve(Path((String::new(), "x".to_owned())), HeaderMap::new()).await.is_err());
    }

    /// Relative luminance of `#rrggbb` (WCAG 2.2).
    fn luminance(colour: &str) -> f64 {
        let channel = |at: usize| {
            let value = u8::from_str_radix(&colour[at..at + 2], 16).expect("hexadecimal");
            let share = f64::from(value) / 255.0;
            if share <= 0.040_45 { share / 12.92 } else { ((share + 0.055) / 1.055).powf(2.4) }
        };
        0.2126 * channel(1) + 0.7152 * channel(3) + 0.0722 * channel(5)
    }

    #[test]
    fn every_colour_of_letters_meets_wcag_aa_on_every_paper_in_both_themes() {
        let css = include_str!("../../../static/app.css");
        let pairs: Vec<(&str, [&str; 2])> = css
            .lines()
            .filter_map(|line| line.trim().strip_prefix("--")?.split_once(": light-dark("))
            .filter_map(|(name, rest)| {
                rest.trim_end_matches(");").split_once(", ").map(|(l, d)| (name, [l, d]))
            })
            .collect();
        let is_paper = |name: &str| name.ends_with("paper") || name == "panel" || name == "sunken";
        let letters = pairs.iter().filter(|(name, _)| !is_paper(name) && *name != "line" && *name != "hair");
        for (name, colours) in letters.clone() {
            for (paper, papers) in pairs.iter().filter(|(name, _)| is_paper(name)) {
                for theme in 0..2 {
                    let (a, b) = (luminance(colours[theme]), luminance(papers[theme]));
                    let contrast = (a.max(b) + 0.05) / (a.min(b) + 0.05);
                    assert!(contrast >= 4.5, "{name} on {paper}, theme {theme}: {contrast:.1}");
                }
            }
        }
        assert!(letters.count() >= 15, "the style sheet is not written as this test reads it");
    }
}
