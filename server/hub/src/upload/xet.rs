//! The Hub's Xet storage, through `hf-xet`: chunks are deduplicated, so a repeated upload sends next to nothing.

use std::collections::HashMap;
use std::path::Path;
use std::time::Duration;

use xet::XetError;
use xet::xet_session::{Sha256Policy, UniqueId, XetConfig, XetSessionBuilder, XetUploadCommit};

use super::{Meter, XetUpload, changed, open};
use crate::remote::{Remote, without_queries};
use crate::{BundleFile, PublishError, Source};

/// Stores the files. `hf-xet` hashes what it reads, and that digest must be the approved one.
pub(super) async fn store(
    remote: &Remote,
    upload: &XetUpload<'_>,
    staging: &Path,
    meter: &mut Meter,
) -> Result<(), PublishError> {
    fs_err::tokio::create_dir_all(staging).await?;
    let commit = begin(remote, upload, staging).await.map_err(failed)?;
    let mut tasks: HashMap<UniqueId, &BundleFile> = HashMap::with_capacity(upload.files.len());
    for &file in &upload.files {
        // `hf-xet` takes a path: that it leads out of the folder is seen here, that it does so a moment later by the digest.
        drop(open(&file.source, 0).await?);
        let queued = match &file.source {
            Source::File(path) => commit.upload_from_path(path.clone(), Sha256Policy::Compute).await,
            Source::Bytes(bytes) => commit.upload_bytes(bytes.to_vec(), Sha256Policy::Compute, None).await,
        };
        tasks.insert(queued.map_err(failed)?.task_id(), file);
    }
    let finished = finish(&commit, meter).await.map_err(failed)?;
    for (task, file) in tasks {
        let stored = finished.uploads.get(&task).map(|stored| &stored.xet_info);
        let same = stored.is_some_and(|stored| {
            stored.sha256 == Some(file.sha256.hex()) && stored.file_size == Some(file.size)
        });
        if !same {
            return Err(changed(file));
        }
        meter.stored(file.size);
    }
    Ok(())
}

/// A session of its own: no telemetry, and its files where the configuration says.
async fn begin(remote: &Remote, upload: &XetUpload<'_>, staging: &Path) -> Result<XetUploadCommit, XetError> {
    let mut config = XetConfig::new();
    config.telemetry.enabled = false;
    let session = XetSessionBuilder::new_with_config(config).with_cache_dir(staging).build()?;
    session
        .new_upload_commit()?
        .with_endpoint(upload.token.cas_url.as_str())
        .with_token_info(upload.token.access_token.as_str(), upload.token.exp)
        .with_token_refresh_url(upload.renewal.as_str(), remote.authorization())
        .build()
        .await
}

/// Waits until everything is stored, and says meanwhile how far it is.
async fn finish(
    commit: &XetUploadCommit,
    meter: &Meter,
) -> Result<xet::xet_session::XetCommitReport, XetError> {
    let mut finished = std::pin::pin!(commit.commit());
    let mut tick = tokio::time::interval(Duration::from_millis(500));
    loop {
        tokio::select! {
            report = &mut finished => return report,
            _ = tick.tick() => meter.at(commit.progress().total_bytes_completed),
        }
    }
}

fn failed(error: XetError) -> PublishError {
    match error {
        XetError::Authentication(message) => {
            PublishError::Answer { call: "xet upload", status: 401, message: without_queries(&message) }
        }
        XetError::Io(message) => PublishError::Io(std::io::Error::other(message)),
        other => {
            PublishError::Unreachable { call: "xet upload", reason: without_queries(&other.to_string()) }
        }
    }
}
