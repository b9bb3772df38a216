use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{AUTHORIZATION, RETRY_AFTER};
use axum::http::{Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures::StreamExt as _;

use super::Shared;
use super::refused::Refused;

/// How often the publisher asks for something that it only reads.
const ATTEMPTS: usize = 4;

/// Kinds of requests.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Call {
    WhoAmI,
    Create,
    ValidateCard,
    Info,
    Tree,
    Preupload,
    LfsBatch,
    /// Bytes of an LFS object or of a part of one: the only streamed requests.
    LfsPut,
    /// The list of a multipart upload's parts.
    LfsComplete,
    LfsVerify,
    XetToken,
    Commit,
    Refs,
    Tag,
    Branch,
    Settings,
    Download,
    Other,
}

impl Call {
    fn of(method: &Method, path: &str) -> Self {
        let parts: Vec<_> = path.trim_start_matches('/').split('/').collect();
        match parts.as_slice() {
            ["api", "whoami-v2"] => Self::WhoAmI,
            ["api", "repos", "create"] => Self::Create,
            ["api", "validate-yaml"] => Self::ValidateCard,
            ["api", "models", _, _] | ["api", "models", _, _, "revision", _] => Self::Info,
            ["api", "models", _, _, "tree", ..] => Self::Tree,
            ["api", "models", _, _, "preupload", _] => Self::Preupload,
            ["api", "models", _, _, "commit", _] => Self::Commit,
            ["api", "models", _, _, "refs"] => Self::Refs,
            ["api", "models", _, _, "tag", _] => Self::Tag,
            ["api", "models", _, _, "branch", _] => Self::Branch,
            ["api", "models", _, _, "settings"] => Self::Settings,
            ["api", "models", _, _, "xet-read-token" | "xet-write-token", _] => Self::XetToken,
            ["storage", ..] if method == Method::PUT => Self::LfsPut,
            ["storage", _, "complete"] => Self::LfsComplete,
            [.., "objects", "batch"] => Self::LfsBatch,
            [.., "objects", "verify"] => Self::LfsVerify,
            [_, _, "resolve", ..] => Self::Download,
            _ => Self::Other,
        }
    }
}

/// What goes wrong with one request.
#[derive(Clone, Debug)]
pub enum Fault {
    /// Answered with this status; nothing happens.
    Status(u16),
    /// Everything happens, and the answer is 500 all the same.
    LostResponse,
    /// Everything happens, the answer is 500 all the same, and so is that to the next look at a branch, however often it is asked.
    LostFromSight,
    /// Somebody else commits a file to `main` of this repository just before.
    ForeignCommit(String),
    /// One byte of this file of this repository changes right after.
    Corrupt(String, String),
    /// Nothing goes wrong with this one: a fault behind it is meant for the next.
    Nothing,
    /// Nothing happens, and no answer ever comes.
    Hang,
    /// Everything happens, and no answer ever comes.
    Silence,
    /// Nothing happens, and the answer comes a byte at a time without an end.
    Trickle,
    /// Nothing happens, and the answer is white space without an end, as fast as it goes.
    Flood,
    /// Everything happens, and the connection breaks in the middle of the answer.
    Cut,
    /// Refused with 429, and to be asked again only after so many seconds.
    Busy(u32),
}

/// A request on record.
#[derive(Clone, Debug)]
pub struct Logged {
    pub call: Call,
    pub method: String,
    pub path: String,
    pub status: u16,
    /// Bytes of the request's body.
    pub body: u64,
    /// Whether a token came with it.
    pub token: bool,
}

#[derive(Default)]
pub(super) struct Faults {
    queue: Mutex<Vec<(Call, Fault)>>,
    log: Mutex<Vec<Logged>>,
    /// Requests that will get no answer.
    held: AtomicUsize,
}

impl Faults {
    pub(super) fn inject(&self, call: Call, fault: Fault) {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner).push((call, fault));
    }

    pub(super) fn heal(&self) {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    pub(super) fn log(&self) -> Vec<Logged> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn held(&self) -> usize {
        self.held.load(Ordering::SeqCst)
    }

    pub(super) fn forget(&self) {
        self.heal();
        self.log.lock().unwrap_or_else(PoisonError::into_inner).clear();
        self.held.store(0, Ordering::SeqCst);
    }

    /// Keeps a request waiting until whoever sent it is gone.
    async fn hold(&self) -> Response {
        self.held.fetch_add(1, Ordering::SeqCst);
        std::future::pending().await
    }

    fn next(&self, call: Call) -> Option<Fault> {
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        let at = queue.iter().position(|(of, _)| *of == call)?;
        Some(queue.remove(at).1)
    }
}

/// Puts every request on record and lets the next fault of its kind happen.
pub(super) async fn record(State(shared): State<Arc<Shared>>, request: Request, next: Next) -> Response {
    let call = Call::of(request.method(), request.uri().path());
    let size = Arc::new(AtomicU64::new(0));
    let mut logged = Logged {
        call,
        method: request.method().to_string(),
        path: request.uri().path().to_owned(),
        status: 0,
        body: 0,
        token: request.headers().contains_key(AUTHORIZATION),
    };
    let counted = Arc::clone(&size);
    let request = request.map(|body| {
        Body::from_stream(body.into_data_stream().inspect(move |chunk| {
            let bytes = chunk.as_ref().map_or(0, Bytes::len);
            counted.fetch_add(bytes as u64, Ordering::Relaxed);
        }))
    });
    let answer = act(&shared, call, request, next).await;
    logged.status = answer.status().as_u16();
    logged.body = size.load(Ordering::Relaxed);
    shared.faults.log.lock().unwrap_or_else(PoisonError::into_inner).push(logged);
    answer
}

async fn act(shared: &Shared, call: Call, request: Request, next: Next) -> Response {
    match shared.faults.next(call) {
        None | Some(Fault::Nothing) => next.run(request).await,
        Some(Fault::Status(status)) => {
            let mut body = request.into_body().into_data_stream();
            while body.next().await.is_some() {}
            let status = StatusCode::from_u16(status).expect("a status");
            let mut answer = Refused::new(status, format!("injected {status}")).into_response();
            answer.headers_mut().insert(RETRY_AFTER, 0.into());
            answer
        }
        Some(Fault::LostResponse) => {
            next.run(request).await;
            Refused::new(StatusCode::INTERNAL_SERVER_ERROR, "Internal Error - We're working hard to fix this")
                .into_response()
        }
        Some(Fault::LostFromSight) => {
            (0..ATTEMPTS).for_each(|_| shared.faults.inject(Call::Info, Fault::Status(500)));
            next.run(request).await;
            Refused::new(StatusCode::INTERNAL_SERVER_ERROR, "Internal Error - We're working hard to fix this")
                .into_response()
        }
        Some(Fault::ForeignCommit(repo)) => {
            shared.state().put_file(&repo, "foreign.txt", Bytes::from_static(b"from somebody else\n"));
            next.run(request).await
        }
        Some(Fault::Corrupt(repo, path)) => {
            let answer = next.run(request).await;
            shared.state().corrupt(&repo, &path);
            answer
        }
        Some(Fault::Hang) => shared.faults.hold().await,
        Some(Fault::Silence) => {
            next.run(request).await;
            shared.faults.hold().await
        }
        Some(Fault::Trickle) => endless(Duration::from_millis(20), 1),
        Some(Fault::Flood) => endless(Duration::ZERO, 1 << 20),
        Some(Fault::Cut) => {
            next.run(request).await;
            let pieces = [Ok(Bytes::from_static(b"{")), Err(std::io::Error::other("the line broke"))];
            Response::new(Body::from_stream(futures::stream::iter(pieces)))
        }
        Some(Fault::Busy(seconds)) => {
            let mut answer = Refused::new(StatusCode::TOO_MANY_REQUESTS, "too many requests").into_response();
            answer.headers_mut().insert(RETRY_AFTER, seconds.into());
            answer
        }
    }
}

/// White space, which JSON may begin with.
fn endless(pause: Duration, size: usize) -> Response {
    let piece = Bytes::from(vec![b' '; size]);
    let pieces = futures::stream::repeat(piece).then(move |piece| async move {
        tokio::time::sleep(pause).await;
        Ok::<_, std::io::Error>(piece)
    });
    Response::new(Body::from_stream(pieces))
}
