//! Storing the bytes of large files, and the body of the commit that names them.

mod lfs;
mod xet;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use reqwest::Url;
use sekisho_domain::Text;
use serde_json::json;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncSeekExt};

use crate::bundle::open_local;
use crate::intended::{Difference, INLINE_LIMIT};
use crate::remote::{LfsActions, Remote, XetToken};
use crate::{Bundle, BundleFile, Progress, PublishError, Source};

/// What the Hub takes in one preupload or batch request.
const PER_REQUEST: usize = 100;
/// Git LFS and the Hub look at this many first bytes.
const SAMPLE: u64 = 512;

/// How the changed files travel. Making it sends no file, samples apart, so a refusal here leaves nothing behind.
pub(crate) struct Plan<'a> {
    inline: Vec<&'a BundleFile>,
    stored: Vec<&'a BundleFile>,
    deleted: Vec<String>,
    xet: Option<XetUpload<'a>>,
    lfs: Vec<(&'a BundleFile, LfsActions)>,
}

/// Files that go to the Hub's Xet storage.
struct XetUpload<'a> {
    files: Vec<&'a BundleFile>,
    token: XetToken,
    renewal: Url,
}

/// Counts bytes towards the progress that people see.
#[derive(Clone)]
pub(crate) struct Meter {
    report: Progress,
    /// Bytes of files that need no upload, or are stored by now.
    base: u64,
    total: u64,
}

impl Meter {
    pub(crate) fn new(report: Progress, base: u64, total: u64) -> Self {
        (report)(base, total);
        Self { report, base, total }
    }

    /// So many bytes of the present file or group.
    fn at(&self, bytes: u64) {
        (self.report)((self.base + bytes).min(self.total), self.total);
    }

    /// The present file or group is stored.
    fn stored(&mut self, bytes: u64) {
        self.base += bytes;
        self.at(0);
    }
}

impl<'a> Plan<'a> {
    /// Asks the Hub how each changed file is to travel.
    pub(crate) async fn make(
        remote: &Remote,
        bundle: &Bundle,
        difference: Difference<'a>,
    ) -> Result<Self, PublishError> {
        let lfs = lfs_paths(remote, bundle, &difference.changed).await?;
        let (stored, inline): (Vec<_>, Vec<_>) =
            difference.changed.into_iter().partition(|file| lfs.contains(&file.path) && file.size > 0);
        let mut plan = Self { inline, stored, deleted: difference.extra, xet: None, lfs: Vec::new() };
        plan.check_inline(&bundle.repo)?;
        plan.ask_storage(remote, bundle).await?;
        Ok(plan)
    }

    /// Refuses what would make the commit's own body too long. `hf-hub` would hold it in memory several times.
    fn check_inline(&self, repo: &str) -> Result<(), PublishError> {
        let encoded = |file: &&BundleFile| file.size.div_ceil(3) * 4 + file.path.len() as u64 + 100;
        let bytes = self.inline.iter().map(encoded).sum();
        match self.inline.iter().max_by_key(|file| file.size) {
            Some(largest) if bytes > INLINE_LIMIT => Err(PublishError::InlineTooLarge {
                repo: repo.to_owned(),
                bytes,
                limit: INLINE_LIMIT,
                path: largest.path.clone(),
            }),
            _ => Ok(()),
        }
    }

    /// Asks how the stored files are to be stored: through Xet, or object by object.
    async fn ask_storage(&mut self, remote: &Remote, bundle: &Bundle) -> Result<(), PublishError> {
        let by_oid: BTreeMap<String, &BundleFile> =
            self.stored.iter().map(|&file| (file.sha256.hex(), file)).collect();
        let objects: Vec<_> = by_oid.iter().map(|(oid, file)| (oid.clone(), file.size)).collect();
        let mut xet = Vec::new();
        for chunk in objects.chunks(PER_REQUEST) {
            let batch = remote.lfs_batch(&bundle.repo, &bundle.revision, chunk).await?;
            if batch.is_xet() {
                xet.extend(chunk.iter().filter_map(|(oid, _)| by_oid.get(oid)).copied());
                continue;
            }
            for object in batch.objects {
                let Some(&file) = by_oid.get(&object.oid) else { continue };
                if let Some(error) = object.error {
                    return Err(PublishError::ObjectRefused {
                        path: file.path.clone(),
                        reason: error.message,
                    });
                }
                if let Some(actions) = object.actions {
                    self.lfs.push((file, actions));
                }
            }
        }
        if !xet.is_empty() {
            let (token, renewal) = remote.xet_token(&bundle.repo, &bundle.revision).await?;
            self.xet = Some(XetUpload { files: xet, token, renewal });
        }
        Ok(())
    }

    /// Stores the bytes of large files. They stay invisible until a commit names them, and what is stored already is not sent
    /// again, so this may be repeated.
    pub(crate) async fn store(
        &self,
        remote: &Remote,
        staging: &Path,
        mut meter: Meter,
    ) -> Result<(), PublishError> {
        if let Some(upload) = &self.xet {
            xet::store(remote, upload, staging, &mut meter).await?;
        }
        for (file, actions) in &self.lfs {
            lfs::store(remote, file, actions, &meter).await?;
            meter.stored(file.size);
        }
        Ok(())
    }

    /// Bytes that [`Self::store`] has to see to.
    pub(crate) fn bytes_to_store(&self) -> u64 {
        let xet = self.xet.iter().flat_map(|upload| upload.files.iter().copied());
        xet.chain(self.lfs.iter().map(|(file, _)| *file)).map(|file| file.size).sum()
    }

    /// One line for the journal.
    pub(crate) fn summary(&self) -> Text {
        let (through, by) = match (&self.xet, self.lfs.is_empty()) {
            (Some(_), _) => ("Xet", "Xet"),
            (None, false) => ("LFS", "LFS"),
            (None, true) => ("nothing new", "新規なし"),
        };
        let (stored, inline, deleted) = (self.stored.len(), self.inline.len(), self.deleted.len());
        Text {
            en: format!("{stored} files stored apart ({through}), {inline} in the commit, {deleted} removed"),
            ja: format!("個別に保存 {stored}件（{by}）、コミット内 {inline}件、削除 {deleted}件"),
        }
    }

    /// The body of the commit, at most [`INLINE_LIMIT`] bytes of file content in it.
    pub(crate) async fn ndjson(&self, message: &str, parent: &str) -> Result<Vec<u8>, PublishError> {
        let header = json!({ "summary": message, "description": "", "parentCommit": parent });
        let mut lines = vec![json!({ "key": "header", "value": header })];
        for file in &self.inline {
            let bytes = read_all(file).await?;
            let value = json!({ "content": BASE64.encode(bytes), "path": file.path, "encoding": "base64" });
            lines.push(json!({ "key": "file", "value": value }));
        }
        for file in &self.stored {
            let oid = file.sha256.hex();
            let value = json!({ "path": file.path, "algo": "sha256", "oid": oid, "size": file.size });
            lines.push(json!({ "key": "lfsFile", "value": value }));
        }
        for path in &self.deleted {
            lines.push(json!({ "key": "deletedFile", "value": { "path": path } }));
        }
        Ok(lines.iter().flat_map(|line| format!("{line}\n").into_bytes()).collect())
    }
}

/// The paths that the Hub wants stored apart.
async fn lfs_paths(
    remote: &Remote,
    bundle: &Bundle,
    files: &[&BundleFile],
) -> Result<BTreeSet<String>, PublishError> {
    let mut lfs = BTreeSet::new();
    for group in files.chunks(PER_REQUEST) {
        let mut samples = Vec::with_capacity(group.len());
        for file in group {
            let mut sample = Vec::new();
            open(&file.source, 0).await?.take(SAMPLE).read_to_end(&mut sample).await?;
            samples.push(json!({ "path": file.path, "sample": BASE64.encode(sample), "size": file.size }));
        }
        for mode in remote.preupload(&bundle.repo, &bundle.revision, &samples).await? {
            if mode.should_ignore {
                return Err(PublishError::Ignored { repo: bundle.repo.clone(), path: mode.path });
            }
            if mode.is_lfs() {
                lfs.insert(mode.path);
            }
        }
    }
    Ok(lfs)
}

/// The bytes from `offset` on.
async fn open(source: &Source, offset: u64) -> std::io::Result<Box<dyn AsyncRead + Send + Unpin>> {
    Ok(match source {
        Source::File(path) => {
            let path = path.clone();
            let opened = tokio::task::spawn_blocking(move || open_local(&path)).await;
            let mut file = fs_err::tokio::File::from_std(opened.map_err(std::io::Error::other)??);
            file.seek(std::io::SeekFrom::Start(offset)).await?;
            Box::new(file)
        }
        Source::Bytes(bytes) => {
            let mut cursor = std::io::Cursor::new(Arc::clone(bytes));
            cursor.set_position(offset);
            Box::new(cursor)
        }
    })
}

/// A small file as it is now, held against what was approved.
pub(crate) async fn read_all(file: &BundleFile) -> Result<Vec<u8>, PublishError> {
    let mut bytes = Vec::new();
    open(&file.source, 0).await?.take(file.size + 1).read_to_end(&mut bytes).await?;
    if sekisho_domain::Sha256::of(&bytes) == file.sha256 {
        return Ok(bytes);
    }
    Err(changed(file))
}

/// The bytes read while uploading are not the approved ones.
fn changed(file: &BundleFile) -> PublishError {
    PublishError::FileChanged {
        path: file.path.clone(),
        how: "other bytes were read while uploading".to_owned(),
    }
}
