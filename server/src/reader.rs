//! A data folder that is read without being served: no port, no jobs, no worker.

use std::convert::Infallible;

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::http::{Request, StatusCode, header};
use sekisho_weights::FolderLock;
use tower::ServiceExt as _;

use crate::serve::{open_app, router};
use crate::{Anonymous, Config, ServeError};

/// What a page, or another address, answered.
#[derive(Clone, Debug)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// `Content-Type`; empty without one.
    pub kind: String,
    /// Body.
    pub bytes: Bytes,
}

/// The pages of a data folder, as a stranger who may read sees them. While it is there, no service has the folder.
pub struct Reader {
    router: Router,
    _lock: FolderLock,
}

impl Reader {
    /// Opens the store of a folder that was taken.
    ///
    /// # Errors
    /// [`ServeError`].
    pub async fn open(mut config: Config, lock: FolderLock) -> Result<Self, ServeError> {
        // Who may read the folder's files may read its pages.
        config.anonymous = Some(Anonymous::Viewer);
        let (app, _queues) = open_app(config).await?;
        Ok(Self { router: router(&app), _lock: lock })
    }

    /// GET of a path with its query.
    ///
    /// # Errors
    /// When the address is none, or the body breaks off.
    pub async fn get(&self, address: &str) -> Result<Answer, axum::Error> {
        let request = Request::get(address).body(Body::empty()).map_err(axum::Error::new)?;
        let response =
            self.router.clone().oneshot(request).await.unwrap_or_else(|never: Infallible| match never {});
        let kind = response.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
        let (status, kind): (StatusCode, String) = (response.status(), kind.unwrap_or_default().to_owned());
        let bytes = to_bytes(response.into_body(), usize::MAX).await?;
        Ok(Answer { status: status.as_u16(), kind, bytes })
    }
}
