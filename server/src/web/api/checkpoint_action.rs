use axum::Json;
use axum::extract::{Path, State};
use sekisho_domain::wire::CheckpointView;

use crate::service::{checkpoints, standing};
use crate::{Actor, App, Noun, WebError};

/// `POST /api/v1/checkpoints/{id}/check`: looks whether its files are still those that were examined. `…/withdraw`: gives up one whose
/// files have changed.
pub(super) async fn act(
    State(app): State<App>,
    actor: Actor,
    Path((key, action)): Path<(String, String)>,
) -> Result<Json<CheckpointView>, WebError> {
    let checkpoint = checkpoints::find(&app, &key).await?;
    let now = match action.as_str() {
        "check" => {
            standing::may_change(&app, &actor, &checkpoint).await?;
            standing::look(&app, checkpoint).await?
        }
        "withdraw" => standing::withdraw(&app, &actor, &checkpoint).await?,
        _ => return Err(WebError::not_found(Noun::Action, action)),
    };
    Ok(Json(checkpoints::view(&now)))
}
