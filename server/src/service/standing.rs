//! Whether the files of a verified checkpoint are still those that were examined. Size, times and number of each file first, which
//! costs nothing; only what these make suspicious is read again.

use std::collections::HashSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::PoisonError;

use sekisho_domain::checkpoint::CheckpointState;
use sekisho_domain::manifest::{FileEntry, FileStamp};
use sekisho_domain::user::{Role, Scope};
use sekisho_domain::{CheckpointId, Text};
use sekisho_store::{Checkpoint, Verification};
use serde_json::json;

use super::{copies, people, runs};
use crate::{Actor, App, WebError};

/// Checkpoints whose files are read again at this moment, each once.
#[derive(Debug, Default)]
pub struct Looking(std::sync::Mutex<HashSet<CheckpointId>>);

impl Looking {
    /// Whether nobody else reads it already.
    fn begin(&self, id: CheckpointId) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(id)
    }

    fn end(&self, id: CheckpointId) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&id);
    }
}

/// What a look at a folder finds.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Found {
    /// Nothing has changed.
    Same,
    /// Nothing has changed but what the file system says.
    SameBytes(Vec<FileStamp>),
    /// A file is another one.
    Changed(String),
    /// A file is not there.
    Missing(String),
    /// Neither the folder nor any of the files is there.
    Gone,
}

/// Keeps what the file system said of a checkpoint's files when they were read.
///
/// # Errors
/// When the store fails.
pub async fn remember(
    app: &App,
    id: CheckpointId,
    found: &Verification,
    stamps: &[FileStamp],
) -> Result<(), WebError> {
    Ok(app.store.set_stamps(id, &of_files(stamps, &found.files)).await?)
}

fn of_files(stamps: &[FileStamp], files: &[FileEntry]) -> Vec<FileStamp> {
    let is_part = |stamp: &&FileStamp| files.iter().any(|file| file.path == stamp.path);
    stamps.iter().filter(is_part).cloned().collect()
}

/// Whether the file system says of every file what it said when the file was read.
#[must_use]
pub fn is_untouched(app: &App, checkpoint: &Checkpoint) -> bool {
    let Some(found) = &checkpoint.verification else { return false };
    let stamps = sekisho_weights::stamps(&copies::present(app, checkpoint)).unwrap_or_default();
    !checkpoint.stamps.is_empty() && of_files(&stamps, &found.files) == checkpoint.stamps
}

/// Looks at a checkpoint that was verified once, and writes what became of it; answers it as it is then. What is being read already, and
/// what was given up, is answered as it is.
///
/// # Errors
/// When the store fails.
pub async fn look(app: &App, checkpoint: Checkpoint) -> Result<Checkpoint, WebError> {
    // A copy that was given up is removed for good; a folder of somebody else's may come back.
    let may_return = checkpoint.state != CheckpointState::Gone || !checkpoint.owned;
    let Some(found) = checkpoint.verification.clone() else { return Ok(checkpoint) };
    if !checkpoint.state.was_verified() || !may_return || !app.looking.begin(checkpoint.id) {
        return Ok(checkpoint);
    }
    let (folder, stamps) = (copies::present(app, &checkpoint), checkpoint.stamps.clone());
    let compare = move || compare(&folder, &found.files, &stamps);
    let seen = tokio::task::spawn_blocking(compare).await.map_err(WebError::internal);
    let written = match seen {
        Ok(seen) => write(app, &checkpoint, seen).await,
        Err(error) => Err(error),
    };
    app.looking.end(checkpoint.id);
    written?;
    super::checkpoints::find(app, &checkpoint.id.to_string()).await
}

/// Looks in the background, where it is not to be waited for.
pub fn look_later(app: &App, checkpoint: Checkpoint) {
    let app = app.clone();
    tokio::spawn(async move {
        let id = checkpoint.id;
        if let Err(error) = look(&app, checkpoint).await {
            tracing::error!(checkpoint = %id, %error, "a checkpoint could not be looked at");
        }
    });
}

fn compare(folder: &Path, files: &[FileEntry], before: &[FileStamp]) -> Found {
    let stamps = match sekisho_weights::stamps(folder) {
        Ok(stamps) => of_files(&stamps, files),
        Err(error) if is_absent(&error) => return Found::Gone,
        // It cannot be seen at this moment; that is no change.
        Err(_) => return Found::Same,
    };
    if stamps.is_empty() {
        return Found::Gone;
    }
    let missing = files.iter().find(|file| !stamps.iter().any(|stamp| stamp.path == file.path));
    if let Some(file) = missing {
        return Found::Missing(file.path.clone());
    }
    if !before.is_empty() && stamps == before {
        return Found::Same;
    }
    let other = files.iter().find(|file| {
        let stamp = stamps.iter().find(|stamp| stamp.path == file.path);
        let was = before.iter().find(|stamp| stamp.path == file.path);
        let is_untouched = was.is_some() && stamp == was;
        let is_same = || sekisho_weights::hash_file(folder, &file.path).is_ok_and(|now| &now == *file);
        !is_untouched && (stamp.is_none_or(|stamp| stamp.size != file.size) || !is_same())
    });
    other.map_or(Found::SameBytes(stamps), |file| Found::Changed(file.path.clone()))
}

fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

async fn write(app: &App, checkpoint: &Checkpoint, seen: Found) -> Result<(), WebError> {
    let folder = copies::present(app, checkpoint);
    let lost = match seen {
        Found::Same if checkpoint.state == CheckpointState::Verified => return Ok(()),
        Found::Same => return found_again(app, checkpoint, &checkpoint.stamps).await,
        Found::SameBytes(stamps) if checkpoint.state == CheckpointState::Verified => {
            return Ok(app.store.set_stamps(checkpoint.id, &stamps).await?);
        }
        Found::SameBytes(stamps) => return found_again(app, checkpoint, &stamps).await,
        Found::Changed(file) => (CheckpointState::Changed, changed_text(&folder.join(file), false)),
        Found::Missing(file) => (CheckpointState::Changed, changed_text(&folder.join(file), true)),
        Found::Gone => (CheckpointState::Gone, gone_text(&folder)),
    };
    let (state, reason) = lost;
    let is_known = checkpoint.state == state && checkpoint.refusal.as_ref() == Some(&reason);
    if is_known || checkpoint.state == CheckpointState::Gone {
        return Ok(());
    }
    tracing::warn!(
        run = checkpoint.run_name,
        step = checkpoint.step.0,
        reason = reason.en,
        "a checkpoint changed"
    );
    let detail =
        json!({ "run": checkpoint.run_name, "step": checkpoint.step, "state": state, "reason": reason.en });
    let audit = people::system_entry(app, "checkpoint.changed", &checkpoint.id.to_string(), "done", detail);
    app.store.set_lost(checkpoint.id, state, &reason, &audit).await?;
    announce(app, checkpoint);
    Ok(())
}

async fn found_again(app: &App, checkpoint: &Checkpoint, stamps: &[FileStamp]) -> Result<(), WebError> {
    let detail = json!({ "run": checkpoint.run_name, "step": checkpoint.step });
    let audit = people::system_entry(app, "checkpoint.restored", &checkpoint.id.to_string(), "done", detail);
    app.store.set_found(checkpoint.id, stamps, &audit).await?;
    app.ingest.notify_one();
    announce(app, checkpoint);
    Ok(())
}

pub(super) fn announce(app: &App, checkpoint: &Checkpoint) {
    app.events.publish(format!("run:{}", checkpoint.run), "checkpoint");
    app.events.publish(format!("checkpoint:{}", checkpoint.id), "state");
    app.events.publish("queue", "state");
}

fn changed_text(file: &Path, missing: bool) -> Text {
    let file = file.display();
    let (en, ja) = if missing {
        ("is missing", "がありません")
    } else {
        ("changed", "が変更されています")
    };
    Text {
        en: format!(
            "{file} {en} after the checkpoint was examined. It is neither evaluated nor released. Put the bytes back that were examined and have it checked again, or withdraw it; hand other files over under another step."
        ),
        ja: format!(
            "検証後に{file}{ja}。評価と公開の対象から外しています。検証時のファイルに戻して再確認するか、取り下げてください。別の内容は、別のステップとして登録してください。"
        ),
    }
}

fn gone_text(folder: &Path) -> Text {
    let folder = folder.display();
    Text {
        en: format!(
            "The weights are gone ({folder}); scores stay. Hand the same files over again to evaluate or release it."
        ),
        ja: format!(
            "重みは削除済みです（スコアは保持しています）。場所：{folder}。評価または公開するには、同じファイルをもう一度登録してください。"
        ),
    }
}

/// The checkpoint, if its files are still those that were examined: what is asked before anything is made of them.
///
/// # Errors
/// 409 `checkpoint-changed` or `checkpoint-gone` with what became of them.
pub async fn require(app: &App, checkpoint: &Checkpoint) -> Result<(), WebError> {
    let now = look(app, checkpoint.clone()).await?;
    is_usable(&now)?;
    if now.state == CheckpointState::Verified && !is_untouched(app, &now) {
        let detail = format!(
            "The files of checkpoint {} are being read again, or cannot be read, at this moment. Ask again in a while.",
            now.id
        );
        let ja = "チェックポイントのファイルを再確認中か、現在読み取れません。しばらくしてから、もう一度操作してください。";
        return Err(WebError::conflict("checkpoint-unseen", detail).or_ja(ja));
    }
    Ok(())
}

/// The same by what is known already.
///
/// # Errors
/// 409 `checkpoint-changed` or `checkpoint-gone`.
pub fn is_usable(checkpoint: &Checkpoint) -> Result<(), WebError> {
    let code = match checkpoint.state {
        CheckpointState::Changed => "checkpoint-changed",
        CheckpointState::Gone => "checkpoint-gone",
        _ => return Ok(()),
    };
    let reason = checkpoint.refusal.clone().unwrap_or_else(|| gone_text(&PathBuf::from(&checkpoint.path)));
    Err(WebError::conflict(code, reason.en).or_ja(reason.ja))
}

/// Gives the files of a checkpoint up that have changed: scores stay, and other files may not take their place.
///
/// # Errors
/// 403, 409 for one that has not changed.
pub async fn withdraw(app: &App, actor: &Actor, checkpoint: &Checkpoint) -> Result<Checkpoint, WebError> {
    may_change(app, actor, checkpoint).await?;
    if checkpoint.state != CheckpointState::Changed {
        let detail = format!(
            "Checkpoint {} is {}; only one whose files have changed is withdrawn. Weights that are no longer needed are removed with `sekisho checkpoint clean`.",
            checkpoint.id, checkpoint.state
        );
        let ja = "取り下げできるのは、ファイルが変更されたチェックポイントだけです。不要な重みは「整理」から削除してください。";
        return Err(WebError::conflict("checkpoint-unchanged", detail).or_ja(ja));
    }
    let reason = Text {
        en: format!(
            "Withdrawn by {}: its files are others than those that were examined. Scores stay.",
            actor.user.name
        ),
        ja: format!(
            "{}さんが取り下げました（検証後にファイルが変更されたため）。スコアは保持しています。",
            actor.user.name
        ),
    };
    let detail = json!({ "run": checkpoint.run_name, "step": checkpoint.step });
    let audit = people::entry(app, actor, "checkpoint.withdraw", &checkpoint.id.to_string(), "done", detail);
    app.store.give_up(&[checkpoint.id], &reason, &audit).await?;
    announce(app, checkpoint);
    super::checkpoints::find(app, &checkpoint.id.to_string()).await
}

/// Who hands checkpoints of the run over may also decide about them.
///
/// # Errors
/// 403.
pub async fn may_change(app: &App, actor: &Actor, checkpoint: &Checkpoint) -> Result<(), WebError> {
    let run = runs::find(app, &checkpoint.run.to_string()).await?;
    actor.require_in(&run.project, &[Role::Contributor], Scope::Ingest)
}

#[cfg(test)]
mod tests;
