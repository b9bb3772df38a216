//! Weights in other shards or another type than the checkpoint's.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use sekisho_domain::Sha256;
use sekisho_domain::lineage::{PublishedDtype, ReleaseSection};
use sekisho_domain::release::ReleaseState;
use sekisho_store::{Checkpoint, Prepared, Release, StoreError, Verification};
use sekisho_weights::{Reshard, WeightDtype};

use super::{card, content};
use crate::jobs::ingest::dtypes;
use crate::service::copies;
use crate::{App, WebError};

/// The smallest shards that are made: a release of thousands of files helps nobody.
const SMALLEST_SHARD: u64 = 1_000_000;

/// What the release asks for; none when the checkpoint's own files go out.
fn wish(section: &ReleaseSection) -> Result<Option<Reshard>, WebError> {
    let shard_bytes = section.shard_size.as_deref().map(bytes).transpose()?;
    let dtype = section.dtype.map(|dtype| match dtype {
        PublishedDtype::Bf16 => WeightDtype::Bf16,
        PublishedDtype::F32 => WeightDtype::F32,
    });
    let asked = shard_bytes.is_some() || dtype.is_some();
    Ok(asked.then_some(Reshard { shard_bytes: shard_bytes.unwrap_or(u64::MAX), dtype }))
}

/// `5GB`, `500MB`; as the Hub counts, 10⁹ and 10⁶.
fn bytes(text: &str) -> Result<u64, WebError> {
    let plain = text.trim().to_ascii_uppercase();
    let (digits, unit) = match (plain.strip_suffix("GB"), plain.strip_suffix("MB")) {
        (Some(digits), _) => (digits, 1_000_000_000),
        (_, Some(digits)) => (digits, 1_000_000),
        _ => ("", 1),
    };
    let value = digits.trim().parse::<u64>().ok().and_then(|n| n.checked_mul(unit));
    value.filter(|value| *value >= SMALLEST_SHARD).ok_or_else(|| {
        let detail = format!("[release] shard_size = \"{text}\" is not a size of at least 1MB; write for example 5GB or 500MB.");
        let ja = format!("[release] shard_size = \"{text}\" は1MB以上の大きさではありません。5GB、500MBのように記載してください。");
        WebError::refused("release-target", detail).or_ja(ja)
    })
}

/// Refuses a wish that cannot be met, while its author can still mend it.
pub(super) fn check(section: &ReleaseSection) -> Result<(), WebError> {
    wish(section).map(drop)
}

/// Whether the weights have to be written anew before the release can be judged.
pub(super) fn to_be_made(release: &Release, checkpoint: &Checkpoint) -> Result<bool, WebError> {
    let (_, section) = content::lineage(&release.lineage)?;
    card::verified(checkpoint)?;
    Ok(release.prepared.is_none() && wish(&section)?.is_some())
}

/// Writes the weights as the release asks for them, and examines what was written like any checkpoint.
///
/// # Errors
/// 422 with what the checkpoint or the wish does not allow, 507 for a full disk; nothing is left then.
pub(super) async fn make(
    app: &App,
    release: &Release,
    checkpoint: &Checkpoint,
) -> Result<Prepared, WebError> {
    let (_, section) = content::lineage(&release.lineage)?;
    let Some(wish) = wish(&section)? else {
        return Err(WebError::internal("a release without a wish has nothing to be made"));
    };
    let found = card::verified(checkpoint)?.clone();
    let (from, to) = (copies::present(app, checkpoint), folder(app, release, &format!("{wish:?}")));
    fs_err::create_dir_all(prepared_dir(app)).map_err(WebError::internal)?;
    let making = tokio::task::spawn_blocking(move || {
        still_verified(&from, &found)?;
        let made = write(&from, &to, wish).and_then(|made| {
            still_verified(&from, &found)?;
            Ok(made)
        });
        if made.is_err() && to.is_dir() {
            fs_err::remove_dir_all(&to).map_err(WebError::internal)?;
        }
        let made = made?;
        if wish.dtype.is_none() && made.digest != found.digest {
            return Err(WebError::internal("the weights are others after they were cut into shards"));
        }
        Ok(made)
    });
    making.await.map_err(WebError::internal)?
}

/// The files are those that were examined. A checkpoint that was handed over by reference lies where others may write, and what is made
/// of it goes out under its scores.
fn still_verified(from: &Path, found: &Verification) -> Result<(), WebError> {
    let now = sekisho_weights::list_files(from)
        .map_err(|refusal| WebError::refused("weights", format!("{refusal}")).or_ja(refusal.ja()))?;
    if now == found.files {
        return Ok(());
    }
    let changed = now.iter().find(|file| !found.files.contains(file)).or(found.files.first());
    Err(not_as_examined(from, changed.map_or("a file", |file| file.path.as_str())))
}

/// A file of a checkpoint is not what was examined: others may write to a folder that was handed over by reference.
pub(super) fn not_as_examined(folder: &Path, name: &str) -> WebError {
    let folder = folder.display();
    let detail = format!("{name} in {folder} is not what was examined. Hand the checkpoint over again.");
    let ja = format!("{folder} の {name} が検証時と異なります。チェックポイントをもう一度登録してください。");
    WebError::conflict("checkpoint-changed", detail).or_ja(ja)
}

/// Removes the weights that were made for a release which is a draft again.
///
/// # Errors
/// When the disk fails.
pub(super) async fn discard(app: &App, made: &Prepared) -> Result<(), WebError> {
    let Some(name) = Path::new(&made.path).file_name() else { return Ok(()) };
    let folder = prepared_dir(app).join(name);
    if folder.is_dir() {
        fs_err::tokio::remove_dir_all(folder).await.map_err(WebError::internal)?;
    }
    Ok(())
}

/// Removes prepared weights that no release refers to: of releases that went back to draft, and what a kill left half-written.
///
/// # Errors
/// When store or disk fail.
pub async fn clear_prepared(app: &App) -> Result<(), StoreError> {
    let dir = prepared_dir(app);
    if !dir.is_dir() {
        return Ok(());
    }
    let releases = app.store.releases_in(ReleaseState::ALL).await?;
    let prepared = releases.iter().filter_map(|release| release.prepared.as_ref());
    let known: HashSet<_> = prepared.filter_map(|made| Path::new(&made.path).file_name()).collect();
    for entry in fs_err::read_dir(dir)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() && !known.contains(entry.file_name().as_os_str()) {
            fs_err::remove_dir_all(entry.path())?;
        }
    }
    Ok(())
}

/// Where prepared weights lie; what no release refers to is removed at the next start.
pub(crate) fn prepared_dir(app: &App) -> PathBuf {
    app.config.dir.join("releases")
}

/// Where the weights of a release lie: by their name, for the data folder may be elsewhere than when they were made.
pub(super) fn place(app: &App, prepared: &Prepared) -> PathBuf {
    let made = Path::new(&prepared.path);
    made.file_name().map_or_else(|| made.to_owned(), |name| prepared_dir(app).join(name))
}

fn folder(app: &App, release: &Release, wish: &str) -> PathBuf {
    let name = Sha256::of(format!("{} {} {wish}", release.id, release.version)).hex();
    prepared_dir(app).join(&name[..32])
}

fn write(from: &Path, to: &Path, wish: Reshard) -> Result<Prepared, WebError> {
    sekisho_weights::reshard(from, to, wish).map_err(|error| refused(&error))?;
    let found = sekisho_weights::inspect(to).map_err(WebError::internal)?;
    let dtype = dtypes(&found);
    let files = found.files.into_iter().filter(|file| content::is_released(&file.path)).collect();
    let path = to.display().to_string();
    Ok(Prepared { path, files, weights: found.weights, digest: found.digest, dtype })
}

fn refused(error: &sekisho_weights::ReshardError) -> WebError {
    if error.is_disk_full() {
        return WebError::disk_full(format!(
            "{error}. Free some space on the server's disk and freeze again."
        ));
    }
    WebError::refused("weights", format!("{error}."))
}

#[cfg(test)]
mod tests {
    use super::bytes;

    #[test]
    fn sizes_are_those_of_the_hub() {
        let read = |text: &str| bytes(text).map_err(|error| error.status.as_u16());
        assert_eq!(read("5GB"), Ok(5_000_000_000));
        assert_eq!(read(" 500 mb "), Ok(500_000_000));
        for bad in ["", "5", "5GiB", "0.5GB", "-1GB", "999KB", "0MB", "99999999999GB"] {
            assert_eq!(read(bad), Err(422), "{bad}");
        }
    }
}
