use std::time::{SystemTime, UNIX_EPOCH};

use axum::Json;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Value, json};
use xet_client::cas_client::simulation::{LocalTestServer, LocalTestServerBuilder};

use super::account::Asking;
use super::refused::{Answer, Refused};
use super::repos::At;
use super::state::Object;
use super::{Hub, Shared};

/// `xet-client`'s own simulation of the Xet storage, over HTTP.
pub(super) struct Storage(LocalTestServer);

/// One line of `/simulation/file_entries`; a hash is four 64-bit numbers there.
#[derive(Deserialize)]
struct FileEntry {
    file_hash: [u64; 4],
}

impl Storage {
    pub(super) async fn start() -> Self {
        Self(LocalTestServerBuilder::new().start().await)
    }

    pub(super) fn telemetry(&self) -> Vec<Value> {
        self.0.telemetry_docs()
    }

    async fn fetch(&self, path: &str) -> Bytes {
        let answer = reqwest::get(format!("{}/simulation/{path}", self.0.http_endpoint())).await;
        let answer = answer.and_then(reqwest::Response::error_for_status).expect("the simulation answers");
        answer.bytes().await.expect("the simulation answers in full")
    }
}

impl Shared {
    /// Takes over what was stored in the Xet storage meanwhile, under the SHA-256 of its bytes: a commit may name it only
    /// when the bytes are really there.
    pub(super) async fn collect_xet(&self) {
        let Some(storage) = &self.xet else { return };
        let entries: Vec<FileEntry> = serde_json::from_slice(&storage.fetch("file_entries").await)
            .expect("the simulation lists its files");
        for FileEntry { file_hash: [a, b, c, d] } in entries {
            let hash = format!("{a:016x}{b:016x}{c:016x}{d:016x}");
            if self.state().objects.values().any(|object| object.xet_hash.as_ref() == Some(&hash)) {
                continue;
            }
            let bytes = storage.fetch(&format!("files/{hash}/data")).await;
            let object = Object::of(bytes, Some(hash));
            self.state().objects.insert(object.sha256.clone(), object);
        }
    }
}

pub(super) async fn read_token(State(hub): Hub, asking: Asking, Path(at): Path<At>) -> Answer {
    {
        let state = hub.state();
        let repo = asking.sees(&state, &at.id())?;
        if !asking.may_download(repo) {
            return Err(Refused::gated(asking.0.is_none()));
        }
    }
    token(&hub, "read")
}

pub(super) async fn write_token(State(hub): Hub, asking: Asking, Path(at): Path<At>) -> Answer {
    asking.writes(&mut hub.state(), &at.id())?;
    token(&hub, "write")
}

#[expect(clippy::disallowed_methods, reason = "hf-xet compares the expiry with the machine's clock")]
fn token(hub: &Shared, scope: &str) -> Answer<Response> {
    let storage = hub.xet.as_ref().ok_or_else(Refused::no_entry)?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs();
    let url = hub.options.false_storage.unwrap_or(storage.0.http_endpoint());
    let (token, expires) = (format!("xet-{scope}"), now + 3600);
    let headers = [
        ("x-xet-cas-url", url.to_owned()),
        ("x-xet-access-token", token.clone()),
        ("x-xet-token-expiration", expires.to_string()),
    ];
    let body = Json(json!({ "casUrl": url, "accessToken": token, "exp": expires }));
    Ok((headers, body).into_response())
}
