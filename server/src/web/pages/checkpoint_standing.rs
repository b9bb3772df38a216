//! Buttons of a checkpoint whose files have changed: look again, or give it up.

use axum::Form;
use axum::extract::{Path, State};
use axum::response::{IntoResponse as _, Redirect, Response};

use super::parts::Csrf;
use crate::service::{checkpoints, standing};
use crate::{App, Viewer, WebError};

/// `POST /checkpoints/{id}/check`.
pub(crate) async fn check(
    State(app): State<App>,
    viewer: Viewer,
    Path(key): Path<String>,
    Form(fields): Form<Csrf>,
) -> Result<Response, WebError> {
    let actor = viewer.form_actor(&fields.csrf)?;
    let checkpoint = checkpoints::find(&app, &key).await?;
    standing::may_change(&app, actor, &checkpoint).await?;
    let checkpoint = standing::look(&app, checkpoint).await?;
    Ok(Redirect::to(&format!("/checkpoints/{}", checkpoint.id)).into_response())
}

/// `POST /checkpoints/{id}/withdraw`.
pub(crate) async fn withdraw(
    State(app): State<App>,
    viewer: Viewer,
    Path(key): Path<String>,
    Form(fields): Form<Csrf>,
) -> Result<Response, WebError> {
    let actor = viewer.form_actor(&fields.csrf)?;
    let checkpoint = checkpoints::find(&app, &key).await?;
    let checkpoint = standing::withdraw(&app, actor, &checkpoint).await?;
    Ok(Redirect::to(&format!("/checkpoints/{}", checkpoint.id)).into_response())
}
