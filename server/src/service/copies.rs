//! The store's own copies of checkpoints: `staging/` and `uploads/` for what is on its way, `checkpoints/<digest of the list of files>`
//! for what is kept. The same files lie there once.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

use fs_err::File;
use sekisho_domain::Sha256;
use sekisho_domain::manifest::FileEntry;
use sekisho_store::{Checkpoint, StoreError};
use sekisho_weights::Inspected;
use sha2::Digest as _;

use crate::App;

/// Bytes copied at a time.
const CHUNK: usize = 1 << 20;

/// Where the files of a checkpoint lie. What the store holds itself is found by its name in the data folder, which may have been moved
/// or be reached by another path since the row was written. After a kill in the middle of a move the files of a checkpoint that is still
/// to be examined may be in their final place already.
#[must_use]
pub fn present(app: &App, checkpoint: &Checkpoint) -> PathBuf {
    let announced = PathBuf::from(&checkpoint.path);
    if !checkpoint.owned {
        return announced;
    }
    let named = |dir: PathBuf, path: &Path| path.file_name().map(|name| dir.join(name));
    // A verified copy has its place as its path.
    let kept = checkpoint.verification.as_ref().map(|_| announced.clone());
    let place = checkpoint.place.as_ref().map(PathBuf::from).or(kept);
    let place = place.and_then(|place| named(app.checkpoints_dir(), &place));
    let dir = if is_upload(&announced) { app.uploads_dir() } else { app.staging_dir() };
    let staged = || named(dir, &announced).filter(|folder| folder.is_dir());
    place.filter(|folder| folder.is_dir()).or_else(staged).unwrap_or(announced)
}

/// Whether a path lies among the uploads that are on their way.
#[must_use]
pub fn is_staged(app: &App, path: &Path) -> bool {
    path.starts_with(app.staging_dir()) || path.starts_with(app.uploads_dir())
}

/// Whether an announced path is that of an upload that came in pieces.
fn is_upload(announced: &Path) -> bool {
    announced.parent().and_then(Path::file_name).is_some_and(|dir| dir == "uploads")
}

/// Removes a staged upload; any other path is left alone.
///
/// # Errors
/// The system's, naming the path.
pub async fn discard(app: &App, path: &Path) -> io::Result<()> {
    if is_staged(app, path) && path.is_dir() {
        fs_err::tokio::remove_dir_all(path).await?;
    }
    Ok(())
}

/// The names of the folders of checkpoints that are still to be examined.
///
/// # Errors
/// When the store fails.
pub async fn waiting(app: &App) -> Result<BTreeSet<OsString>, StoreError> {
    use sekisho_domain::checkpoint::CheckpointState::{Received, Verifying};
    let mut waiting = BTreeSet::new();
    for state in [Received, Verifying] {
        let rows = app.store.checkpoints_in(state).await?;
        // By name: the data folder may be reached by another path than when they were accepted.
        waiting.extend(rows.iter().filter_map(|row| Some(present(app, row).file_name()?.to_owned())));
    }
    Ok(waiting)
}

/// Removes what a kill left of uploads. Those that were accepted and are still to be examined stay.
///
/// # Errors
/// When store or disk fail.
pub async fn clear_staging(app: &App) -> Result<(), StoreError> {
    let waiting = waiting(app).await?;
    let dir = app.staging_dir();
    fs_err::create_dir_all(&dir)?;
    for entry in fs_err::read_dir(&dir)? {
        let path = entry?.path();
        match path.file_name().is_some_and(|name| waiting.contains(name)) {
            true => {}
            false if path.is_dir() => fs_err::remove_dir_all(path)?,
            false => fs_err::remove_file(path)?,
        }
    }
    Ok(())
}

/// The name of the folder in which the store keeps its own copy of a checkpoint.
#[must_use]
pub fn kept_name(checkpoint: &Checkpoint) -> Option<String> {
    let path = checkpoint.place.as_deref().unwrap_or(&checkpoint.path);
    let name = Path::new(path).file_name()?.to_str()?.to_owned();
    checkpoint.owned.then_some(name)
}

/// Removes the store's own copies of checkpoints that were given up, apart from those that others are made of too. Asked under
/// [`crate::state::Inner::keeping`].
///
/// # Errors
/// When store or disk fail.
pub async fn remove_given_up(app: &App, given_up: &[Checkpoint]) -> Result<(), StoreError> {
    let names: BTreeSet<String> = given_up.iter().filter_map(kept_name).collect();
    for name in names {
        let folder = app.checkpoints_dir().join(&name);
        if folder.is_dir() && app.store.checkpoints_in_folder(&name).await?.is_empty() {
            fs_err::tokio::remove_dir_all(folder).await?;
        }
    }
    Ok(())
}

/// The same at the start: what a kill left between the decision and the last file.
///
/// # Errors
/// When store or disk fail.
pub async fn clear_given_up(app: &App) -> Result<(), StoreError> {
    let gone = app.store.checkpoints_in(sekisho_domain::checkpoint::CheckpointState::Gone).await?;
    remove_given_up(app, &gone).await
}

/// Moves an upload, or copies a folder, to its place among the store's own copies, and answers that place. What is there is
/// complete and on the disk: it appears under its name by a rename.
///
/// # Errors
/// When store or disk fail, or a file is no longer what was examined. Nothing half-copied stays.
pub async fn keep(
    app: &App,
    checkpoint: &Checkpoint,
    path: &Path,
    found: &Inspected,
) -> Result<PathBuf, StoreError> {
    let place = app.checkpoints_dir().join(found.manifest.hex());
    app.store.set_place(checkpoint.id, &place.display().to_string(), app.now()).await?;
    if !place.is_dir() {
        let half = app.staging_dir().join(format!("{}.half", checkpoint.id));
        let (from, to, files) = (path.to_owned(), place.clone(), found.files.clone());
        let staged = is_staged(app, path);
        let moved = move || if staged { settle(&from, &to, &files) } else { copy(&from, &half, &to, &files) };
        tokio::task::spawn_blocking(moved).await.map_err(io::Error::other)??;
    }
    if path != place {
        discard(app, path).await?;
    }
    Ok(place)
}

/// Moves a staged folder to its place, without what is not part of the checkpoint.
fn settle(from: &Path, place: &Path, files: &[FileEntry]) -> io::Result<()> {
    for entry in fs_err::read_dir(from)? {
        let entry = entry?;
        let name = entry.file_name();
        if entry.file_type()?.is_dir() {
            fs_err::remove_dir_all(entry.path())?;
        } else if !files.iter().any(|file| name == file.path.as_str()) {
            fs_err::remove_file(entry.path())?;
        }
    }
    take_place(from, place)
}

/// Copies the files of a checkpoint to `half` and moves that to its place.
fn copy(from: &Path, half: &Path, place: &Path, files: &[FileEntry]) -> io::Result<()> {
    if half.is_dir() {
        fs_err::remove_dir_all(half)?;
    }
    fs_err::create_dir_all(half)?;
    let copied = files
        .iter()
        .try_for_each(|file| copy_file(&from.join(&file.path), &half.join(&file.path), file.sha256))
        .and_then(|()| take_place(half, place));
    if copied.is_err() {
        // The first error is the one to report; the next start removes what is left.
        let _ = fs_err::remove_dir_all(half);
    }
    copied
}

/// Copies a file onto the disk. What is written is what was examined, or an error.
fn copy_file(from: &Path, to: &Path, sha256: Sha256) -> io::Result<()> {
    use std::io::{Read as _, Write as _};
    let (mut source, mut target) = (File::open(from)?, File::create_new(to)?);
    let mut hasher = sha2::Sha256::new();
    let mut buffer = vec![0; CHUNK];
    loop {
        let read = source.read(&mut buffer)?;
        if read == 0 {
            break;
        }
        hasher.update(&buffer[..read]);
        target.write_all(&buffer[..read])?;
    }
    target.sync_all()?;
    if Sha256::from_bytes(hasher.finalize().into()) == sha256 {
        return Ok(());
    }
    Err(changed(from))
}

/// What was to be kept is not what was examined.
#[derive(Debug, thiserror::Error)]
#[error("{} changed after it was examined", .0.display())]
struct Changed(PathBuf);

pub(crate) fn changed(file: &Path) -> io::Error {
    io::Error::other(Changed(file.to_owned()))
}

/// Whether a file could not be kept because it is no longer what was examined.
#[must_use]
pub fn is_changed(error: &io::Error) -> bool {
    error.get_ref().is_some_and(<dyn std::error::Error + Send + Sync>::is::<Changed>)
}

/// The new name and what it holds survive a power cut.
fn take_place(whole: &Path, place: &Path) -> io::Result<()> {
    let parent = place.parent().unwrap_or(Path::new("/"));
    fs_err::create_dir_all(parent)?;
    File::open(whole)?.sync_all()?;
    match fs_err::rename(whole, place) {
        // Somebody was faster with the same content.
        Err(_) if place.is_dir() => fs_err::remove_dir_all(whole),
        renamed => renamed,
    }?;
    File::open(parent)?.sync_all()
}

#[cfg(test)]
mod tests {
    use sekisho_domain::wire::RegisterRun;
    use sekisho_domain::{Step, Tokens};

    use super::*;
    use crate::service::{checkpoints, runs};

    fn entry(path: &str, bytes: &str) -> FileEntry {
        FileEntry { path: path.to_owned(), size: bytes.len() as u64, sha256: Sha256::of(bytes) }
    }

    #[test]
    fn a_copy_is_what_was_examined_or_nothing() {
        let folder = tempfile::tempdir().expect("a folder");
        let at = |name: &str| folder.path().join(name);
        fs_err::create_dir(at("from")).expect("a folder");
        fs_err::write(at("from/a"), "one").expect("written");
        fs_err::write(at("from/b"), "two").expect("written");
        let changed = [entry("a", "one"), entry("b", "three")];
        let error = copy(&at("from"), &at("half"), &at("kept/x"), &changed).expect_err("changed");
        assert!(error.to_string().ends_with("b changed after it was examined"), "{error}");
        assert!(!at("half").exists() && !at("kept/x").exists());
        let files = [entry("b", "two")];
        copy(&at("from"), &at("half"), &at("kept/x"), &files).expect("copied");
        assert!(at("kept/x/b").is_file() && !at("kept/x/a").exists() && !at("half").exists());
    }

    /// The folder that `--dir` names may be the same by another path at the next start.
    #[tokio::test]
    async fn an_accepted_upload_stays_when_the_data_folder_has_another_path() {
        let folder = tempfile::tempdir().expect("a folder");
        let at = |name: &str| folder.path().join(name);
        fs_err::create_dir(at("data")).expect("a folder");
        std::os::unix::fs::symlink(at("data"), at("link")).expect("a link");
        let open = async |dir: PathBuf| {
            let config = crate::Config::defaults(&dir).expect("a configuration");
            crate::serve::open_app(config).await.expect("an application").0
        };
        let app = open(at("data")).await;
        for name in ["accepted", "cut-off"] {
            fs_err::create_dir_all(app.staging_dir().join(name)).expect("a folder");
        }
        let request = RegisterRun { name: "r".to_owned(), ..RegisterRun::default() };
        let (run, _) = runs::register(&app, &request, "mori").await.expect("a run");
        let upload = app.staging_dir().join("accepted");
        let added = checkpoints::add(&app, &run, Step(1), Tokens(1), &upload, true).await.expect("added");

        let again = open(at("link")).await;
        clear_staging(&again).await.expect("cleared");
        assert!(upload.is_dir() && !app.staging_dir().join("cut-off").exists());
        assert!(is_staged(&again, &present(&again, &added)), "it is moved, not copied");
    }

    #[tokio::test]
    async fn a_kept_copy_is_found_in_the_folder_that_holds_the_data_now() {
        let folder = tempfile::tempdir().expect("a folder");
        let config = crate::Config::defaults(folder.path()).expect("a configuration");
        let app = crate::serve::open_app(config).await.expect("an application").0;
        let path = |name: &str| format!("/elsewhere/checkpoints/{name}");
        let row = |owned: bool, place: Option<String>| Checkpoint {
            owned,
            place,
            path: path("abc"),
            ..crate::web::pages::fixtures::verified_checkpoint()
        };
        let announced = PathBuf::from(path("abc"));
        assert_eq!(present(&app, &row(true, None)), announced, "where it was, when it is nowhere");
        fs_err::create_dir_all(app.checkpoints_dir().join("abc")).expect("a folder");
        let kept = app.checkpoints_dir().join("abc");
        assert_eq!(present(&app, &row(true, Some(path("abc")))), kept);
        assert_eq!(present(&app, &row(true, None)), kept, "of a time when no place was noted");
        assert_eq!(present(&app, &row(false, None)), announced, "a folder of others stays where it is");
        let waiting = Checkpoint { verification: None, ..row(true, None) };
        assert_eq!(present(&app, &waiting), announced, "not examined yet: it lies where it was announced");
    }

    #[test]
    fn an_upload_leaves_behind_what_is_not_part_of_the_checkpoint() {
        let folder = tempfile::tempdir().expect("a folder");
        let at = |name: &str| folder.path().join(name);
        fs_err::create_dir_all(at("staged/sub")).expect("a folder");
        for name in ["a", "train.py", "sub/a"] {
            fs_err::write(at("staged").join(name), "one").expect("written");
        }
        settle(&at("staged"), &at("kept/x"), &[entry("a", "one")]).expect("moved");
        assert_eq!(fs_err::read_dir(at("kept/x")).expect("kept").count(), 1);
        assert!(at("kept/x/a").is_file() && !at("staged").exists());
    }
}
