use axum::Json;
use axum::extract::State;
use sekisho_domain::user::{Role, Scope};
use sekisho_domain::wire::{MakeBundle, WorkBundle};

use super::body::JsonBody;
use crate::service::bundles;
use crate::{Actor, App, WebError};

/// Leases work for a machine that does not reach the service
///
/// Results come back by `report_results`, each item under its fence and with the digest of its plan.
#[utoipa::path(
    post,
    path = "/work/bundles",
    operation_id = "create_bundle",
    tag = "work",
    request_body = MakeBundle,
    responses((status = 200, description = "The answer.", body = WorkBundle)),
    security(("token" = ["evaluate"])),
)]
pub(super) async fn make(
    State(app): State<App>,
    actor: Actor,
    JsonBody(asked): JsonBody<MakeBundle>,
) -> Result<Json<WorkBundle>, WebError> {
    actor.require(&[Role::Evaluator], Scope::Evaluate)?;
    Ok(Json(bundles::make(&app, &asked).await?))
}
