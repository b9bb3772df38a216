use axum::extract::{Path, State};
use sekisho_domain::wire::{ContaminationReport, KeptContamination};

use super::body::JsonBody;
use super::paging::Page;
use crate::service::contamination;
use crate::{Actor, App, Viewer, WebError};

/// Lists what was found of benchmarks in the training text of a run
///
/// By profile, task and split.
#[utoipa::path(
    get,
    path = "/runs/{run}/contamination",
    operation_id = "list_contamination",
    tag = "runs",
    responses((status = 200, description = "The answer.", body = Page<KeptContamination>)),
    security((), ("token" = []), ("session" = [])),
)]
pub(super) async fn list(
    State(app): State<App>,
    viewer: Viewer,
    Path(key): Path<String>,
) -> Result<Page<KeptContamination>, WebError> {
    viewer.may_read()?;
    Ok(Page::whole(contamination::of_run(&app, &key).await?))
}

/// Reports what was found of benchmarks in the training text of a run
///
/// Takes the place of an older report on the same task, split and data; answers all reports on the run.
#[utoipa::path(
    post,
    path = "/runs/{run}/contamination",
    operation_id = "report_contamination",
    tag = "runs",
    request_body = ContaminationReport,
    responses((status = 200, description = "The answer.", body = Page<KeptContamination>)),
    security(("token" = ["ingest"])),
)]
pub(super) async fn send(
    State(app): State<App>,
    actor: Actor,
    Path(key): Path<String>,
    JsonBody(report): JsonBody<ContaminationReport>,
) -> Result<Page<KeptContamination>, WebError> {
    Ok(Page::whole(contamination::accept(&app, &actor, &key, report).await?))
}
