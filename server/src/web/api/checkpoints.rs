use std::path::Path as FsPath;

use axum::Json;
use axum::extract::multipart::Field;
use axum::extract::{FromRequest as _, Multipart, Path, Request, State};
use axum::http::{StatusCode, header};
use sekisho_domain::user::{Role, Scope};
use sekisho_domain::wire::{AnnounceCheckpoint, CheckpointView};
use sekisho_domain::{CheckpointId, Step, Tokens};
use tokio::io::AsyncWriteExt as _;

use super::body::JsonBody;
use super::paging::{Page, PageParams, Paging};
use crate::service::{checkpoints, copies, runs, uploads};
use crate::{Actor, App, Viewer, WebError};

/// An upload, for the description of the API. Step and tokens come before the files.
#[derive(utoipa::ToSchema)]
#[expect(dead_code, reason = "describes what `receive` reads")]
struct UploadedCheckpoint {
    /// Update number.
    step: Step,
    /// Training targets seen in this stage.
    tokens: Tokens,
    /// The files, each with its name.
    #[schema(value_type = Vec<String>, format = Binary)]
    file: Vec<Vec<u8>>,
}

/// Lists the checkpoints of a run by step
#[utoipa::path(
    get,
    path = "/runs/{run}/checkpoints",
    operation_id = "list_checkpoints",
    tag = "checkpoints",
    params(PageParams),
    responses((status = 200, description = "The answer.", body = Page<CheckpointView>)),
    security((), ("token" = []), ("session" = [])),
)]
pub(super) async fn list(
    State(app): State<App>,
    viewer: Viewer,
    Path(key): Path<String>,
    paging: Paging<(Step, CheckpointId)>,
) -> Result<Page<CheckpointView>, WebError> {
    viewer.may_read()?;
    let run = runs::find(&app, &key).await?;
    let found = app.store.checkpoints_part(run.id, paging.after, paging.take()).await?;
    Ok(paging.page(found, |row| (row.step, row.id), |row| checkpoints::view(&row)))
}

/// Hands a checkpoint over
///
/// By path (JSON), or as an upload (`multipart/form-data`: `step`, `tokens`, then the files). The bytes are examined next; the checkpoint
/// says what came of it.
#[utoipa::path(
    post,
    path = "/runs/{run}/checkpoints",
    operation_id = "create_checkpoint",
    tag = "checkpoints",
    request_body(content(
        (AnnounceCheckpoint = "application/json"),
        (UploadedCheckpoint = "multipart/form-data"),
    )),
    responses((status = 202, description = "Taken in; the work goes on.", body = CheckpointView)),
    security(("token" = ["ingest"])),
)]
pub(super) async fn hand_over(
    State(app): State<App>,
    actor: Actor,
    Path(key): Path<String>,
    request: Request,
) -> Result<(StatusCode, Json<CheckpointView>), WebError> {
    let run = runs::find(&app, &key).await?;
    actor.require_in(&run.project, &[Role::Contributor], Scope::Ingest)?;
    let kind = request.headers().get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
    let checkpoint = if kind.starts_with("multipart/form-data") {
        let mut form = Multipart::from_request(request, &app)
            .await
            .map_err(|error| WebError::bad_request("upload", error.body_text()))?;
        let folder = app.staging_dir().join(CheckpointId::new(&*app.clock, &*app.entropy).to_string());
        let received = match receive(&mut form, &folder).await {
            Ok((step, tokens)) => checkpoints::add(&app, &run, step, tokens, &folder, true).await,
            Err(error) => Err(error),
        };
        if !received.as_ref().is_ok_and(|kept| FsPath::new(&kept.path) == folder) {
            // Nothing is left of it but the answer; a folder that cannot be removed goes at the next start.
            let _ = copies::discard(&app, &folder).await;
            read_to_end(&mut form).await;
        }
        received?
    } else {
        let JsonBody(announcement) = JsonBody::<AnnounceCheckpoint>::from_request(request, &app).await?;
        checkpoints::announce(&app, &run, &announcement).await?
    };
    Ok((StatusCode::ACCEPTED, Json(checkpoints::view(&checkpoint))))
}

/// Writes the uploaded files below `folder`. Step and tokens come first, so that a wrong form fails before gigabytes have been sent.
async fn receive(form: &mut Multipart, folder: &FsPath) -> Result<(Step, Tokens), WebError> {
    let (mut step, mut tokens, mut files) = (None, None, 0_u32);
    fs_err::tokio::create_dir_all(folder).await.map_err(disk)?;
    while let Some(field) =
        form.next_field().await.map_err(|e| WebError::bad_request("upload", e.body_text()))?
    {
        match field.name() {
            Some("step") => step = Some(Step(number(field).await?)),
            Some("tokens") => tokens = Some(Tokens(number(field).await?)),
            _ if step.is_none() || tokens.is_none() => {
                return Err(WebError::bad_request(
                    "upload",
                    "The upload's fields step and tokens must come before the files.",
                ));
            }
            _ => {
                store_file(field, folder).await?;
                files += 1;
            }
        }
    }
    fs_err::tokio::File::open(folder).await.map_err(disk)?.sync_all().await.map_err(disk)?;
    match (step, tokens, files) {
        (Some(step), Some(tokens), 1..) => Ok((step, tokens)),
        _ => Err(WebError::bad_request(
            "upload",
            "The upload needs the fields step and tokens and at least one file.",
        )),
    }
}

/// Reads what is still coming: a client that is cut off in the middle of its upload never sees the answer.
async fn read_to_end(form: &mut Multipart) {
    while let Ok(Some(mut field)) = form.next_field().await {
        while let Ok(Some(_)) = field.chunk().await {}
    }
}

async fn number(field: Field<'_>) -> Result<u64, WebError> {
    let name = field.name().unwrap_or_default().to_owned();
    let text = field.text().await.map_err(|e| WebError::bad_request("upload", e.body_text()))?;
    text.trim().parse().map_err(|_| {
        WebError::bad_request(
            "upload",
            format!("The upload's field {name} is \"{text}\"; expected a whole number."),
        )
    })
}

async fn store_file(mut field: Field<'_>, folder: &FsPath) -> Result<(), WebError> {
    let name = field.file_name().unwrap_or_default().to_owned();
    let path = folder.join(uploads::plain_name(&name)?);
    let mut file = fs_err::tokio::File::create_new(&path).await.map_err(disk)?;
    while let Some(bytes) = field.chunk().await.map_err(|e| WebError::bad_request("upload", e.body_text()))? {
        file.write_all(&bytes).await.map_err(disk)?;
    }
    file.flush().await.map_err(disk)?;
    file.sync_all().await.map_err(disk)
}

fn disk(error: std::io::Error) -> WebError {
    if sekisho_domain::is_disk_full(&error) {
        return WebError::disk_full(format!(
            "Not enough space for the upload ({error}). The partial files were removed. Free some space and send it again."
        ));
    }
    WebError::internal(error)
}
