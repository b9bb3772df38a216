//! The release as files: exactly what would be committed to the Hub, for whoever wants it in a folder.

use sekisho_domain::manifest::FileEntry;
use sekisho_domain::release::ReleaseState;
use sekisho_hub::{Bundle, Source};
use sekisho_store::Release;

use super::content;
use crate::service::checkpoints;
use crate::{App, Noun, WebError};

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
}

/// Gathers the files of a release. One that was not approved says so in its folder and in its cards, and is not signed.
///
/// # Errors
/// When a text is missing from the blob store.
pub async fn export(app: &App, release: &Release) -> Result<Export, WebError> {
    use ReleaseState as S;
    let approved = matches!(release.state, S::Approved | S::Publishing | S::Published | S::Superseded);
    let checkpoint = checkpoints::find(app, &release.checkpoint.to_string()).await?;
    let mut bundle = content::bundle(app, release, &checkpoint).await?;
    if !approved {
        bundle = marked(bundle, release);
    }
    let entry = |file: &sekisho_hub::BundleFile| FileEntry {
        path: file.path.clone(),
        size: file.size,
        sha256: file.sha256,
    };
    Ok(Export { files: bundle.files.iter().map(entry).collect(), approved, bundle })
}

fn marked(mut bundle: Bundle, release: &Release) -> Bundle {
    use sekisho_hub::BundleFile;
    use sekisho_hub::signature::{PUBLIC_KEY_FILE, SIGNATURE_FILE};
    let replaced = ["README.md", "README_ja.md", SIGNATURE_FILE, PUBLIC_KEY_FILE];
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
    /// Where the bytes of a file are.
    ///
    /// # Errors
    /// 404.
    pub fn source(&self, path: &str) -> Result<&Source, WebError> {
        let file = self.bundle.files.iter().find(|file| file.path == path);
        file.map(|file| &file.source).ok_or_else(|| WebError::not_found(Noun::File, path))
    }
}
