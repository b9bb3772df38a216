use serde::{Deserialize, Serialize};

use super::CheckpointView;
use crate::manifest::FileEntry;
use crate::{RunId, Sha256, Step, Timestamp, Tokens, UploadId};

/// `POST /api/v1/runs/{run}/uploads`. The same step, tokens and files again are answered with the upload that is under way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BeginUpload {
    /// Update number.
    pub step: Step,
    /// Training targets seen in this stage.
    pub tokens: Tokens,
    /// Every file that will be sent, by its plain name.
    pub files: Vec<FileEntry>,
}

/// How far an upload is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct UploadView {
    /// Its id; absent when nothing has to be sent because the checkpoint is there.
    pub id: Option<UploadId>,
    /// The run's id.
    pub run: RunId,
    /// Update number.
    pub step: Step,
    /// Training targets seen in this stage.
    pub tokens: Tokens,
    /// Its files and how far each of them is.
    pub files: Vec<UploadFileView>,
    /// The checkpoint of this step, when it is there already with these files.
    pub checkpoint: Option<CheckpointView>,
    /// When it is removed unless another piece arrives.
    pub expires: Option<Timestamp>,
}

/// How far a file of an upload is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct UploadFileView {
    /// Its name.
    pub path: String,
    /// Bytes that it will have.
    pub size: u64,
    /// SHA-256 that it will have.
    pub sha256: Sha256,
    /// Where the next piece begins: so many bytes are on the server's disk.
    pub offset: u64,
    /// Whether all bytes are there and have that SHA-256.
    pub done: bool,
}
