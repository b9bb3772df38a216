use axum::Json;
use axum::extract::{FromRequest as _, Path, Request, State};
use sekisho_domain::wire::{CleanUp, CleanedUp, CleanupRule, CleanupView};
use serde::Deserialize;

use super::body::JsonBody;
use super::query::Query;
use crate::service::{cleanup, runs};
use crate::{Actor, App, Viewer, WebError};

/// A rule in a query: the run's own where it says nothing.
#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct RuleQuery {
    /// Those at multiples of so many steps are kept.
    every: Option<u64>,
    /// The last so many.
    last: Option<u64>,
    /// The so many with the highest mean.
    best: Option<u64>,
}

impl RuleQuery {
    /// What was asked for; `None` for the run's own.
    pub(crate) fn rule(&self) -> Option<CleanupRule> {
        let any = self.every.or(self.last).or(self.best);
        let n = |value: Option<u64>| value.unwrap_or_default();
        any.map(|_| CleanupRule { every: n(self.every), last: n(self.last), best: n(self.best) })
    }
}

/// Shows which checkpoints a clean-up would remove, and why the others are kept
///
/// Nothing is changed.
#[utoipa::path(
    get,
    path = "/runs/{run}/cleanup",
    operation_id = "show_cleanup",
    tag = "checkpoints",
    params(RuleQuery),
    responses((status = 200, description = "The answer.", body = CleanupView)),
    security((), ("token" = []), ("session" = [])),
)]
pub(super) async fn show(
    State(app): State<App>,
    viewer: Viewer,
    Path(key): Path<String>,
    Query(query): Query<RuleQuery>,
) -> Result<Json<CleanupView>, WebError> {
    viewer.may_read()?;
    let (_, plan) = cleanup::asked(&app, &key, query.rule()).await?;
    Ok(Json(plan))
}

/// Removes the server's own copies of what was looked at
#[utoipa::path(
    post,
    path = "/runs/{run}/cleanup",
    operation_id = "clean_up_run",
    tag = "checkpoints",
    request_body = CleanUp,
    responses((status = 200, description = "The answer.", body = CleanedUp)),
    security(("token" = ["ingest"])),
)]
pub(super) async fn clean(
    State(app): State<App>,
    actor: Actor,
    Path(key): Path<String>,
    request: Request,
) -> Result<Json<CleanedUp>, WebError> {
    let run = runs::find(&app, &key).await?;
    let JsonBody(asked) = JsonBody::<CleanUp>::from_request(request, &app).await?;
    let rule = asked.rule.unwrap_or_else(|| cleanup::rule_of(&run));
    Ok(Json(cleanup::clean(&app, &actor, &run, rule, asked.plan).await?))
}
