use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderName, header};
use sekisho_domain::wire::UploadFileView;

use super::uploads::run_of;
use crate::service::uploads;
use crate::{Actor, App, WebError};

/// Longest piece; it is held in memory until all of it has come.
pub(super) const LONGEST: usize = 64 << 20;

/// Where a piece begins; one of the two.
#[derive(utoipa::IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "describes what `offset` reads")]
struct PieceHeaders {
    /// The number of bytes before it.
    #[param(rename = "Upload-Offset")]
    upload_offset: Option<u64>,
    /// `bytes FIRST-LAST/ALL`.
    #[param(rename = "Content-Range")]
    content_range: Option<String>,
}

const OFFSET: HeaderName = HeaderName::from_static("upload-offset");
const LENGTH: HeaderName = HeaderName::from_static("upload-length");

type Answer = ([(HeaderName, String); 2], Json<UploadFileView>);

fn answer(file: UploadFileView) -> Answer {
    ([(OFFSET, file.offset.to_string()), (LENGTH, file.size.to_string())], Json(file))
}

/// Shows where the next piece of a file begins, in `Upload-Offset` too
#[utoipa::path(
    get,
    path = "/runs/{run}/uploads/{id}/files/{path}",
    operation_id = "show_upload_file",
    tag = "checkpoints",
    responses((status = 200, description = "The answer.", body = UploadFileView)),
    security(("token" = ["ingest"])),
)]
pub(super) async fn show(
    State(app): State<App>,
    actor: Actor,
    Path((key, id, path)): Path<(String, String, String)>,
) -> Result<Answer, WebError> {
    let run = run_of(&app, &actor, &key).await?;
    let upload = uploads::find(&app, &run, &id).await?;
    Ok(answer(uploads::file_view(uploads::file(&upload, &path)?)))
}

/// Sends the next bytes of a file, which are on the disk when it answers
///
/// Where they begin is in `Upload-Offset`, or in `Content-Range`.
#[utoipa::path(
    patch,
    path = "/runs/{run}/uploads/{id}/files/{path}",
    operation_id = "append_upload_file",
    tag = "checkpoints",
    params(PieceHeaders),
    request_body(content = Vec<u8>, content_type = "application/octet-stream"),
    responses((status = 200, description = "The answer.", body = UploadFileView)),
    security(("token" = ["ingest"])),
)]
pub(super) async fn append(
    State(app): State<App>,
    actor: Actor,
    Path((key, id, path)): Path<(String, String, String)>,
    headers: HeaderMap,
    bytes: Bytes,
) -> Result<Answer, WebError> {
    let run = run_of(&app, &actor, &key).await?;
    let offset = offset(&headers, bytes.len() as u64)?;
    Ok(answer(uploads::append(&app, &run, (&id, &path), offset, bytes).await?))
}

fn offset(headers: &HeaderMap, length: u64) -> Result<u64, WebError> {
    let text = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    let plain = text(OFFSET).map(|value| value.trim().parse().ok());
    let range = || text(header::CONTENT_RANGE).map(|value| first_byte(value, length));
    plain.or_else(range).flatten().ok_or_else(|| {
        let detail = "Say where the piece begins: Upload-Offset: 8388608, or Content-Range: bytes 8388608-16777215/20000000.";
        WebError::bad_request("upload-offset-missing", detail)
    })
}

/// The first byte of `bytes 8388608-16777215/20000000`, if the range is as long as the body.
fn first_byte(value: &str, length: u64) -> Option<u64> {
    let (range, _) = value.trim().strip_prefix("bytes ")?.split_once('/')?;
    let (first, last) = range.split_once('-')?;
    let (first, last): (u64, u64) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
    (last.checked_sub(first)?.checked_add(1)? == length).then_some(first)
}

#[cfg(test)]
mod tests {
    use super::{HeaderMap, OFFSET, header, offset};

    #[test]
    fn where_a_piece_begins_is_said_in_one_header_or_the_other() {
        let of = |name: header::HeaderName, value: &'static str| {
            offset(&HeaderMap::from_iter([(name, header::HeaderValue::from_static(value))]), 100).ok()
        };
        assert_eq!(of(OFFSET, "8388608"), Some(8_388_608));
        assert_eq!(of(header::CONTENT_RANGE, "bytes 200-299/1000"), Some(200));
        for wrong in ["bytes 200-300/1000", "bytes 299-200/1000", "bytes */1000", "items 200-299/1000"] {
            assert_eq!(of(header::CONTENT_RANGE, wrong), None, "{wrong}");
        }
        assert_eq!(of(OFFSET, "-1"), None);
        assert!(offset(&HeaderMap::new(), 0).is_err());
    }
}
