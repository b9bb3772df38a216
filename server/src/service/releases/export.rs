//! The release as files: exactly what would be committed to the Hub, for whoever wants it in a folder.

use sekisho_domain::lineage::Level;
use sekisho_domain::manifest::FileEntry;
use sekisho_domain::release::ReleaseState;
use sekisho_domain::user::Scope;
use sekisho_hub::{Bundle, BundleFile, Source};
use sekisho_store::{Checkpoint, Release};
use std::path::Path;
use std::sync::Arc;

use super::{COMMENTERS, content, facts, record, weights};
use crate::service::{checkpoints, corpora, people};
use crate::{Actor, App, Noun, WebError};

/// Stands in the folder of what nobody has approved.
const MARK: &str = "NOT_APPROVED.txt";

/// A release ready to be written to a folder.
#[derive(Clone, Debug)]
pub struct Export {
    /// Its files.
    pub files: Vec<FileEntry>,
    /// Whether exactly this was approved.
    pub approved: bool,
    bundle: Bundle,
    /// The weights lie where whoever handed the checkpoint over may still write.
    foreign: bool,
}

/// The bytes of one file of an export.
#[derive(Debug)]
pub enum Piece {
    /// In memory.
    Bytes(Arc<[u8]>),
    /// In a file that was opened as what the manifest lists; so many of its bytes.
    File(fs_err::File, u64),
}

/// Whether somebody may have a release's files: who works in its project. A stranger to it sees its page, not its weights.
///
/// # Errors
/// 403.
pub fn may_export(actor: &Actor, release: &Release) -> Result<(), WebError> {
    actor.require_in(&release.project, &COMMENTERS, Scope::Read)
}

/// Writes down that somebody takes a release's files.
///
/// # Errors
/// When the store fails.
pub async fn note_export(
    app: &App,
    actor: &Actor,
    release: &Release,
    export: &Export,
) -> Result<(), WebError> {
    let detail = serde_json::json!({ "state": release.state, "approved": export.approved, "files": export.files.len() });
    let audit = people::entry(app, actor, "release.export", &release.id.to_string(), "done", detail);
    Ok(app.store.append_audit(&audit).await?)
}

/// Gathers the files of a release. One that was not approved says so in its folder and in its cards, and is not signed.
///
/// # Errors
/// 403 for what descends from an LZ subset, or when a text is missing from the blob store.
pub async fn export(app: &App, release: &Release) -> Result<Export, WebError> {
    use ReleaseState as S;
    let approved = matches!(release.state, S::Approved | S::Publishing | S::Published | S::Superseded);
    let checkpoint = checkpoints::find(app, &release.checkpoint.to_string()).await?;
    may_be_used(app, release, &checkpoint).await?;
    let mut bundle = content::bundle(app, release, &checkpoint).await?;
    if !approved {
        bundle = marked(bundle, release);
    }
    let entry =
        |file: &BundleFile| FileEntry { path: file.path.clone(), size: file.size, sha256: file.sha256 };
    let foreign = !checkpoint.owned && release.prepared.is_none();
    Ok(Export { files: bundle.files.iter().map(entry).collect(), approved, bundle, foreign })
}

/// Neither its run nor its lineage file leads to a subset that nobody may use.
async fn may_be_used(app: &App, release: &Release, checkpoint: &Checkpoint) -> Result<(), WebError> {
    corpora::may_use_checkpoint(app, checkpoint).await?;
    let (facts, registered) = (facts::of_lineage(app, release).await?, corpora::lz(app).await?);
    let mut inputs =
        std::iter::once(&facts.lineage).chain(facts.parents.values()).flat_map(|file| &file.inputs);
    let barred = inputs.find(|input| {
        input.level.as_deref() == Some(Level::LZ.as_str())
            || input.id.as_ref().is_some_and(|id| registered.contains(id))
    });
    let Some(input) = barred else { return Ok(()) };
    let (name, subset) = (&release.name, input.id.as_deref().unwrap_or("?"));
    Err(corpora::forbidden(&format!("Release \"{name}\""), &format!("リリース「{name}」"), subset))
}

fn marked(mut bundle: Bundle, release: &Release) -> Bundle {
    use sekisho_hub::signature::{PUBLIC_KEY_FILE, SIGNATURE_FILE};
    // What says that it was signed, by whom and after how many approvals, is said of no draft.
    let replaced = ["README.md", "README_ja.md", SIGNATURE_FILE, PUBLIC_KEY_FILE, record::FILE];
    bundle.files.retain(|file| !replaced.contains(&file.path.as_str()));
    let card =
        |path: &str, text: &str| BundleFile::memory(path, sekisho_hub::card::not_approved(text).into_bytes());
    let mark = format!(
        "NOT APPROVED\nThis folder was exported from release {} while it was {}. Nobody has approved it; do not hand it on.\n未承認：リリース {} の状態は{}です。承認されていないため、配布しないでください。\n",
        release.id, release.state, release.id, release.state
    );
    bundle.files.push(card("README.md", &release.card_en));
    bundle.files.push(card("README_ja.md", &release.card_ja));
    bundle.files.push(BundleFile::memory(MARK, mark.into_bytes()));
    bundle
}

impl Export {
    /// The bytes of a file. One that is not what was examined, by kind, place or size, is refused before its first byte.
    ///
    /// # Errors
    /// 404; 409 `checkpoint-changed`.
    pub async fn open(&self, path: &str) -> Result<Piece, WebError> {
        let file = self.bundle.files.iter().find(|file| file.path == path);
        let file = file.ok_or_else(|| WebError::not_found(Noun::File, path))?;
        let (at, size, foreign) = match &file.source {
            Source::Bytes(bytes) => return Ok(Piece::Bytes(Arc::clone(bytes))),
            Source::File(at) => (at.clone(), file.size, self.foreign),
        };
        let opened = tokio::task::spawn_blocking(move || open(&at, size, foreign)).await;
        Ok(Piece::File(opened.map_err(WebError::internal)??, size))
    }
}

fn open(at: &Path, size: u64, foreign: bool) -> Result<fs_err::File, WebError> {
    let folder = at.parent().unwrap_or(at);
    let name = at.file_name().unwrap_or_default().to_string_lossy();
    let changed = || weights::not_as_examined(folder, &name);
    // Our own folders may be reached through a link that whoever runs the service has made. A folder of somebody else's was free of
    // links when it was announced.
    let real = if foreign { Ok(folder.to_owned()) } else { fs_err::canonicalize(folder) };
    let opened = sekisho_weights::open_file(&real.map_err(WebError::internal)?, &name);
    let file = opened.map_err(|refusal| {
        tracing::warn!(%refusal, "a file of a release cannot be opened");
        changed()
    })?;
    let now = file.metadata().map_err(WebError::internal)?.len();
    if now == size { Ok(file) } else { Err(changed()) }
}
