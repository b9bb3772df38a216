use axum::Json;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use sekisho_domain::corpus::Subset;
use sekisho_domain::lineage::Level;
use sekisho_domain::release::ReleaseState;
use sekisho_domain::run::RunState;
use sekisho_domain::{ReleaseId, RunId, Timestamp};
use sekisho_store::{RegisteredSubset, SubsetChange};
use serde::{Deserialize, Serialize};

use super::body::{IfMatch, JsonBody, if_match};
use super::paging::{Page, PageParams, Paging};
use super::query::Query;
use crate::service::corpora::{self, Effects, Format, Imported};
use crate::service::runs;
use crate::{Actor, App, Viewer, WebError};

/// A subset as the API shows it.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = RegisteredSubset)]
pub(super) struct SubsetView {
    #[serde(flatten)]
    subset: Subset,
    version: u64,
    created: Timestamp,
    updated: Timestamp,
}

impl SubsetView {
    fn of(found: RegisteredSubset) -> Self {
        let RegisteredSubset { subset, version, created, updated } = found;
        Self { subset, version, created, updated }
    }
}

/// One line of its history.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = SubsetChange)]
pub(super) struct ChangeView {
    at: Timestamp,
    who: String,
    /// The level before; null at the registration, and where there was none.
    before: Option<Level>,
    level: Option<Level>,
    reason: String,
}

impl ChangeView {
    fn of(change: SubsetChange) -> Self {
        let before = change.before.and_then(|before| before.level);
        Self { at: change.at, who: change.user_name, before, level: change.level, reason: change.reason }
    }
}

/// A subset with its history.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = SubsetWithHistory)]
pub(super) struct WholeView {
    #[serde(flatten)]
    subset: SubsetView,
    history: Vec<ChangeView>,
}

/// Lists the registered subsets by corpus and id
#[utoipa::path(
    get,
    path = "/corpora",
    operation_id = "list_corpora",
    tag = "corpora",
    params(PageParams),
    responses((status = 200, description = "The answer.", body = Page<SubsetView>)),
    security((), ("token" = []), ("session" = [])),
)]
pub(super) async fn list(
    State(app): State<App>,
    viewer: Viewer,
    paging: Paging<(String, String)>,
) -> Result<Page<SubsetView>, WebError> {
    viewer.may_read()?;
    let found = app.store.subsets_part(paging.after.clone(), paging.take()).await?;
    let key = |row: &RegisteredSubset| (row.subset.corpus.clone(), row.subset.id.clone());
    Ok(paging.page(found, key, SubsetView::of))
}

/// Shows a subset with its history
///
/// Its version is in the ETag.
#[utoipa::path(
    get,
    path = "/corpora/{subset}",
    operation_id = "show_corpus",
    tag = "corpora",
    responses((status = 200, description = "The answer.", body = WholeView)),
    security((), ("token" = []), ("session" = [])),
)]
pub(super) async fn show(
    State(app): State<App>,
    viewer: Viewer,
    Path(id): Path<String>,
) -> Result<Response, WebError> {
    viewer.may_read()?;
    let found = corpora::find(&app, &id).await?;
    let history = app.store.subset_changes(&id).await?.into_iter().map(ChangeView::of).collect();
    let tag = format!("\"{}\"", found.version);
    let view = WholeView { subset: SubsetView::of(found), history };
    Ok(([(header::ETAG, tag)], Json(view)).into_response())
}

/// `POST /api/v1/corpora`: subsets as `text` in TOML or CSV, as a list, or as the trainer's record of a run.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewSubsets)]
pub(super) struct Import {
    /// The subsets.
    #[serde(default)]
    subsets: Vec<Subset>,
    /// A file's text.
    #[serde(default)]
    text: Option<String>,
    /// Its name, for errors; `.csv` is CSV, anything else TOML.
    #[serde(default)]
    name: Option<String>,
    /// The run whose specification claims the subsets.
    #[serde(default)]
    run: Option<String>,
    /// Takes what differs in anything but the level.
    #[serde(default)]
    update: bool,
}

/// Registers subsets
///
/// As `text` in TOML or CSV, as a list, or as the record of a run.
#[utoipa::path(
    post,
    path = "/corpora",
    operation_id = "import_corpora",
    tag = "corpora",
    request_body = Import,
    responses((status = 200, description = "The answer.", body = Imported)),
    security(("token" = ["release"])),
)]
pub(super) async fn import(
    State(app): State<App>,
    actor: Actor,
    JsonBody(request): JsonBody<Import>,
) -> Result<Json<Imported>, WebError> {
    let mut subsets = request.subsets;
    if let Some(text) = &request.text {
        let name = request.name.as_deref().unwrap_or("corpora.toml");
        let is_csv = name.to_ascii_lowercase().ends_with(".csv");
        subsets.extend(corpora::read(if is_csv { Format::Csv } else { Format::Toml }, name, text)?);
    }
    if let Some(run) = &request.run {
        let run = runs::find(&app, run).await?;
        subsets.extend(corpora::of_run(&app, &run).await?);
    }
    Ok(Json(corpora::import(&app, &actor, &subsets, request.update).await?))
}

/// `POST /api/v1/corpora/{subset}/level`.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ChangeLevel {
    level: Level,
    reason: String,
    /// The version the caller has seen, when it is not in `If-Match`.
    #[serde(default)]
    version: Option<u64>,
}

/// Changes the release level of a subset
///
/// What is on its way is judged again. Loosening takes a person. Needs the version seen.
#[utoipa::path(
    post,
    path = "/corpora/{subset}/level",
    operation_id = "change_corpus_level",
    tag = "corpora",
    request_body = ChangeLevel,
    params(IfMatch),
    responses((status = 200, description = "The answer.", body = SubsetView)),
    security(("token" = ["release"])),
)]
pub(super) async fn change_level(
    State(app): State<App>,
    actor: Actor,
    headers: HeaderMap,
    Path(id): Path<String>,
    JsonBody(request): JsonBody<ChangeLevel>,
) -> Result<Json<SubsetView>, WebError> {
    let version = if_match(&headers, request.version)?;
    let found = corpora::change_level(&app, &actor, &id, version, request.level, &request.reason).await?;
    Ok(Json(SubsetView::of(found)))
}

/// What a change would mean.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = LevelEffects)]
pub(super) struct EffectsView {
    runs: Vec<RunView>,
    checkpoints: usize,
    open: Vec<ReleaseView>,
    published: Vec<ReleaseView>,
}

#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = AffectedRun)]
struct RunView {
    id: RunId,
    name: String,
    state: RunState,
    /// The run in whose own mix the subset is, when it is not this one.
    through: Option<String>,
    claimed: Option<String>,
    tokens: Option<u64>,
    repeats: Option<f64>,
}

#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = AffectedRelease)]
struct ReleaseView {
    id: ReleaseId,
    name: String,
    state: ReleaseState,
    /// Of the subset in its lineage; `null` where that does not say.
    tokens: Option<u64>,
    allowed_now: bool,
    allowed_then: bool,
}

/// To what.
#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    /// The level that it would have.
    #[param(inline)]
    level: Level,
}

/// Says what a change of level would mean
///
/// Changes nothing.
#[utoipa::path(
    get,
    path = "/corpora/{subset}/effects",
    operation_id = "show_corpus_effects",
    tag = "corpora",
    params(Wanted),
    responses((status = 200, description = "The answer.", body = EffectsView)),
    security((), ("token" = []), ("session" = [])),
)]
pub(super) async fn effects(
    State(app): State<App>,
    viewer: Viewer,
    Path(id): Path<String>,
    Query(wanted): Query<Wanted>,
) -> Result<Json<EffectsView>, WebError> {
    viewer.may_read()?;
    let found = corpora::find(&app, &id).await?;
    let Effects { runs, checkpoints, open, published } = corpora::effects(&app, &found, wanted.level).await?;
    let run = |used: corpora::RunUse| RunView {
        id: used.run.id,
        name: used.run.name,
        state: used.run.state,
        through: used.through,
        claimed: used.claimed,
        tokens: used.tokens.map(|tokens| tokens.0),
        repeats: used.repeats,
    };
    let release = |effect: corpora::ReleaseEffect| ReleaseView {
        id: effect.release.id,
        name: effect.release.name,
        state: effect.release.state,
        tokens: effect.tokens.map(|tokens| tokens.0),
        allowed_now: effect.allowed_now,
        allowed_then: effect.allowed_then,
    };
    Ok(Json(EffectsView {
        runs: runs.into_iter().map(run).collect(),
        checkpoints,
        open: open.into_iter().map(release).collect(),
        published: published.into_iter().map(release).collect(),
    }))
}
