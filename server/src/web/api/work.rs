use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use futures::TryStreamExt as _;
use sekisho_domain::Sha256;
use sekisho_domain::user::{Role, Scope};
use sekisho_domain::wire::{Claim, ClaimedItems, Heartbeat, HeartbeatAnswer, ResultsAccepted, ResultsBatch};

use super::body::JsonBody;
use crate::service::work;
use crate::{Actor, App, Noun, WebError};

/// Claims work items, all of one checkpoint
///
/// For workers. Empty when nothing waits.
#[utoipa::path(
    post,
    path = "/work/claim",
    operation_id = "claim_work",
    tag = "work",
    request_body = Claim,
    responses((status = 200, description = "The answer.", body = ClaimedItems)),
    security(("token" = ["evaluate"])),
)]
pub(super) async fn claim(
    State(app): State<App>,
    actor: Actor,
    JsonBody(request): JsonBody<Claim>,
) -> Result<Json<ClaimedItems>, WebError> {
    actor.require(&[Role::Evaluator], Scope::Evaluate)?;
    Ok(Json(work::claim(&app, &request).await?))
}

/// Keeps the leases of work items
///
/// For workers.
#[utoipa::path(
    post,
    path = "/work/heartbeat",
    operation_id = "report_heartbeat",
    tag = "work",
    request_body = Heartbeat,
    responses((status = 200, description = "The answer.", body = HeartbeatAnswer)),
    security(("token" = ["evaluate"])),
)]
pub(super) async fn heartbeat(
    State(app): State<App>,
    actor: Actor,
    JsonBody(beat): JsonBody<Heartbeat>,
) -> Result<Json<HeartbeatAnswer>, WebError> {
    actor.require(&[Role::Evaluator], Scope::Evaluate)?;
    Ok(Json(work::heartbeat(&app, &beat).await?))
}

/// Hands in records of a work item
///
/// For workers. Results under an old fencing token are refused.
#[utoipa::path(
    post,
    path = "/work/results",
    operation_id = "report_results",
    tag = "work",
    request_body = ResultsBatch,
    responses((status = 200, description = "The answer.", body = ResultsAccepted)),
    security(("token" = ["evaluate"])),
)]
pub(super) async fn results(
    State(app): State<App>,
    actor: Actor,
    JsonBody(batch): JsonBody<ResultsBatch>,
) -> Result<Json<ResultsAccepted>, WebError> {
    actor.require(&[Role::Evaluator], Scope::Evaluate)?;
    Ok(Json(work::results(&app, &batch).await?))
}

/// Downloads a data file that a work item has named
///
/// For workers.
#[utoipa::path(
    get,
    path = "/work/sources/{sha256}",
    operation_id = "download_source",
    tag = "work",
    responses((status = 200, description = "The bytes.", content_type = "application/octet-stream")),
    security(("token" = ["evaluate"])),
)]
pub(super) async fn source(
    State(app): State<App>,
    actor: Actor,
    Path(sha256): Path<String>,
) -> Result<Response, WebError> {
    actor.require(&[Role::Evaluator], Scope::Evaluate)?;
    let digest: Sha256 = sha256.parse().map_err(|_| WebError::not_found(Noun::DataFile, &sha256))?;
    let path = app.sources.by_digest(digest).ok_or_else(|| WebError::not_found(Noun::DataFile, digest))?;
    let file = fs_err::tokio::File::open(path).await.map_err(WebError::internal)?;
    let chunks = futures::stream::try_unfold(file, |mut file| async move {
        let mut buffer = Vec::with_capacity(1 << 16);
        let read = tokio::io::AsyncReadExt::read_buf(&mut file, &mut buffer).await?;
        Ok::<_, std::io::Error>((read > 0).then_some((buffer, file)))
    });
    Ok(([(header::CONTENT_TYPE, "application/octet-stream")], Body::from_stream(chunks.into_stream()))
        .into_response())
}
