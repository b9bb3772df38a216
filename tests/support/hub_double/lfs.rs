use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE, ETAG};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use bytes::{Bytes, BytesMut};
use futures::StreamExt as _;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use sha2::Digest as _;

use super::account::Asking;
use super::refused::{Answer, Refused};
use super::state::Object;
use super::{Hub, Shared};

const LFS_JSON: &str = "application/vnd.git-lfs+json";

/// `/{owner}/{name}.git/…`.
#[derive(Deserialize)]
pub(super) struct GitPath {
    owner: String,
    name: String,
}

impl GitPath {
    fn id(&self) -> Answer<String> {
        let name = self.name.strip_suffix(".git").ok_or_else(Refused::no_entry)?;
        Ok(format!("{}/{name}", self.owner))
    }
}

#[derive(Deserialize)]
struct Batch {
    operation: String,
    #[serde(default)]
    transfers: Vec<String>,
    objects: Vec<Pointer>,
    #[serde(default)]
    hash_algo: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct Pointer {
    oid: String,
    size: u64,
}

pub(super) async fn batch(
    State(hub): Hub,
    asking: Asking,
    Path(path): Path<GitPath>,
    headers: HeaderMap,
    body: Bytes,
) -> Answer {
    if headers.get(CONTENT_TYPE).is_none_or(|kind| !kind.as_bytes().starts_with(LFS_JSON.as_bytes())) {
        return Err(Refused::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, format!("expected {LFS_JSON}")));
    }
    let body: Batch = serde_json::from_slice(&body).map_err(|error| Refused::bad(error.to_string()))?;
    if body.operation != "upload" || body.hash_algo.is_some_and(|algo| algo != "sha256") {
        return Err(Refused::bad("only uploads by sha256"));
    }
    let id = path.id()?;
    asking.writes(&mut hub.state(), &id)?;
    let offers = |transfer: &str| body.transfers.iter().any(|offered| offered == transfer);
    let parted = |pointer: &Pointer| offers("multipart") && pointer.size > hub.options.part;
    let transfer = if hub.options.xet && offers("xet") {
        "xet"
    } else if body.objects.iter().any(parted) {
        "multipart"
    } else {
        "basic"
    };
    let objects: Vec<_> =
        body.objects.iter().map(|pointer| object(&hub, &id, pointer, transfer, parted(pointer))).collect();
    let answer = Json(json!({ "transfer": transfer, "objects": objects }));
    Ok(([(CONTENT_TYPE, LFS_JSON)], answer).into_response())
}

fn object(hub: &Shared, id: &str, pointer: &Pointer, transfer: &str, parted: bool) -> Value {
    let Pointer { oid, size } = pointer;
    let mut answer = json!({ "oid": oid, "size": size, "authenticated": true });
    if oid.len() != 64 {
        answer["error"] = json!({ "code": 422, "message": "the oid is no SHA-256" });
        return answer;
    }
    if hub.state().objects.contains_key(oid) || transfer == "xet" {
        return answer;
    }
    let storage = format!("{}/storage/{oid}", hub.endpoint);
    let upload = if parted {
        let mut header = Map::from_iter([("chunk_size".to_owned(), json!(hub.options.part.to_string()))]);
        for number in 1..=size.div_ceil(hub.options.part) {
            header
                .insert(format!("{number:05}"), json!(format!("{storage}/parts/{number}?signature=secret")));
        }
        json!({ "href": format!("{storage}/complete?signature=secret"), "header": header })
    } else {
        json!({ "href": format!("{storage}?signature=secret") })
    };
    let verify = json!({ "href": format!("{}/{id}.git/info/lfs/objects/verify", hub.endpoint) });
    answer["actions"] = json!({ "upload": upload, "verify": verify });
    answer
}

/// Presigned addresses take no other credentials, as S3.
fn presigned(headers: &HeaderMap) -> Answer<()> {
    if headers.contains_key(AUTHORIZATION) {
        return Err(Refused::bad("Only one auth mechanism allowed"));
    }
    Ok(())
}

pub(super) async fn put(
    State(hub): Hub,
    Path(oid): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Answer<()> {
    presigned(&headers)?;
    if !headers.contains_key("content-length") {
        return Err(Refused::new(
            StatusCode::LENGTH_REQUIRED,
            "You must provide the Content-Length HTTP header.",
        ));
    }
    let object = received(&hub, body).await?;
    hub.state().objects.insert(oid, object);
    Ok(())
}

/// Takes an object in, piece by piece.
async fn received(hub: &Shared, body: Body) -> Answer<Object> {
    let (mut hasher, mut size, mut kept) = (sha2::Sha256::new(), 0, BytesMut::new());
    let mut body = body.into_data_stream();
    while let Some(piece) = body.next().await {
        let piece = piece.map_err(|error| Refused::bad(error.to_string()))?;
        hasher.update(&piece);
        size += piece.len() as u64;
        if !hub.options.keeps_nothing {
            kept.extend_from_slice(&piece);
        }
    }
    let sha256 = hex::encode(hasher.finalize());
    Ok(Object { bytes: kept.freeze(), sha256, size, xet_hash: None })
}

pub(super) async fn put_part(
    State(hub): Hub,
    Path((oid, number)): Path<(String, u32)>,
    headers: HeaderMap,
    body: Bytes,
) -> Answer<Response> {
    presigned(&headers)?;
    let etag = etag(&body);
    hub.state().parts.insert((oid, number), body);
    Ok([(ETAG, etag)].into_response())
}

fn etag(part: &Bytes) -> String {
    format!("\"{}\"", hex::encode(&sha2::Sha256::digest(part)[..16]))
}

#[derive(Deserialize)]
pub(super) struct Complete {
    oid: String,
    parts: Vec<Part>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Part {
    part_number: u32,
    etag: String,
}

pub(super) async fn complete(
    State(hub): Hub,
    Path(oid): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Answer<()> {
    presigned(&headers)?;
    let body: Complete = serde_json::from_slice(&body).map_err(|error| Refused::bad(error.to_string()))?;
    if body.oid != oid || body.parts.is_empty() {
        return Err(Refused::bad("another object, or no parts"));
    }
    let mut state = hub.state();
    let mut whole = BytesMut::new();
    for (part, number) in body.parts.iter().zip(1..) {
        let bytes = state.parts.get(&(oid.clone(), number)).filter(|bytes| etag(bytes) == part.etag);
        let bytes = bytes.filter(|_| part.part_number == number);
        whole.extend_from_slice(bytes.ok_or_else(|| Refused::bad(format!("InvalidPart {number}")))?);
    }
    state.parts.retain(|(of, _), _| *of != oid);
    state.objects.insert(oid, Object::of(whole.freeze(), None));
    Ok(())
}

pub(super) async fn verify(
    State(hub): Hub,
    asking: Asking,
    Path(path): Path<GitPath>,
    body: Bytes,
) -> Answer<()> {
    let pointer: Pointer = serde_json::from_slice(&body).map_err(|error| Refused::bad(error.to_string()))?;
    asking.writes(&mut hub.state(), &path.id()?)?;
    holds(&hub, &pointer.oid, pointer.size)
}

/// The object is there, and is what its name says.
pub(super) fn holds(hub: &Arc<Shared>, oid: &str, size: u64) -> Answer<()> {
    let state = hub.state();
    let object =
        state.objects.get(oid).ok_or_else(|| Refused::bad(format!("LFS object {oid} was not uploaded")))?;
    if object.size != size || object.sha256 != oid {
        return Err(Refused::bad(format!("LFS object {oid} is not what its name says")));
    }
    Ok(())
}
