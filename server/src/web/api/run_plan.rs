use axum::Json;
use axum::extract::{Path, State};
use jiff::civil::Date;
use sekisho_domain::run::{Plan, Planned};
use serde::{Deserialize, Serialize};

use super::body::JsonBody;
use crate::service::plans::{self, Outlook};
use crate::service::runs;
use crate::{Actor, App, Viewer, WebError};

/// What a run is planned to take, and how it stands against that.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = RunOutlook)]
pub(super) struct PlanView {
    /// The plan that holds.
    plan: Option<Planned>,
    /// How the run stands against it.
    outlook: Outlook,
    /// All plans, newest first.
    history: Vec<Planned>,
}

/// `POST /api/v1/runs/{run}/plan`: the fields given change, the others stay.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = PlanChange)]
pub(super) struct Change {
    /// Last day of training.
    #[serde(default)]
    #[schema(value_type = Option<String>, format = Date)]
    end: Option<Date>,
    /// Accelerators that it trains on.
    #[serde(default)]
    gpus: Option<u32>,
    /// What it may use [GPU-days].
    #[serde(default)]
    budget_gpu_days: Option<f64>,
    /// Price of a GPU-day [JPY].
    #[serde(default)]
    yen_per_gpu_day: Option<f64>,
    /// Why it changes.
    #[serde(default)]
    reason: String,
}

/// Shows what a run is planned to take, and how it stands against that
#[utoipa::path(
    get,
    path = "/runs/{run}/plan",
    operation_id = "show_run_plan",
    tag = "runs",
    responses((status = 200, description = "The answer.", body = PlanView)),
    security((), ("token" = []), ("session" = [])),
)]
pub(super) async fn show(
    State(app): State<App>,
    viewer: Viewer,
    Path(key): Path<String>,
) -> Result<Json<PlanView>, WebError> {
    viewer.may_read()?;
    let run = runs::find(&app, &key).await?;
    let history = app.store.plans(run.id).await?;
    let plan = history.first().cloned();
    let outlook = plans::outlook(&app, &run, plan.as_ref().map(|planned| &planned.plan)).await?;
    Ok(Json(PlanView { plan, outlook, history }))
}

/// Changes the plan of a run
///
/// The fields given change, the others stay.
#[utoipa::path(
    post,
    path = "/runs/{run}/plan",
    operation_id = "change_run_plan",
    tag = "runs",
    request_body = Change,
    responses((status = 200, description = "The answer.", body = Planned)),
    security(("token" = ["ingest"])),
)]
pub(super) async fn change(
    State(app): State<App>,
    actor: Actor,
    Path(key): Path<String>,
    JsonBody(change): JsonBody<Change>,
) -> Result<Json<Planned>, WebError> {
    let Change { end, gpus, budget_gpu_days, yen_per_gpu_day, reason } = change;
    let plan = Plan { end, gpus, budget_gpu_days, yen_per_gpu_day };
    Ok(Json(plans::change(&app, &actor, &key, &plan, &reason).await?))
}
