//! Makes the files of a release whose weights go out in other shards or another type than the checkpoint's, and judges it then. What a
//! crash interrupted is found in the state `frozen` and is begun again.

use sekisho_domain::ReleaseId;
use sekisho_domain::release::ReleaseState;
use tokio::sync::mpsc;

use crate::fault::caught;
use crate::service::releases;
use crate::{App, WebError};

/// Hands releases to the preparing job.
#[derive(Clone, Debug)]
pub struct Preparer(mpsc::UnboundedSender<ReleaseId>);

/// Where the preparing job takes them from.
pub type Preparations = mpsc::UnboundedReceiver<ReleaseId>;

/// The two ends.
#[must_use]
pub fn channel() -> (Preparer, Preparations) {
    let (queue, receiver) = mpsc::unbounded_channel();
    (Preparer(queue), receiver)
}

impl Preparer {
    /// Asks for the files of a release.
    pub fn send(&self, release: ReleaseId) {
        // Without a job (it ends with the process) the start of the next process finds the release in `frozen`.
        let _ = self.0.send(release);
    }
}

/// Prepares one release after the other.
pub async fn run(app: App, mut preparations: Preparations) {
    match app.store.releases_in(&[ReleaseState::Frozen]).await {
        Ok(waiting) => waiting.iter().for_each(|release| app.prepare.send(release.id)),
        Err(error) => tracing::error!(%error, "releases to be prepared could not be looked up"),
    }
    while let Some(id) = preparations.recv().await {
        if let Err(error) = guarded(&app, id, prepare(&app, id)).await {
            tracing::error!(release = %id, %error, "the files of a release could not be made");
        }
        // Of what failed, or was edited meanwhile, nothing may stay: the weights of one model can be as large as the disk is free.
        if let Err(error) = releases::clear_prepared(&app).await {
            tracing::error!(%error, "weights that no release refers to could not be removed");
        }
        app.events.publish(format!("release:{id}"), "state");
    }
}

/// A try that may panic: that release is a draft again, with a sentence, and the others go on.
async fn guarded(
    app: &App,
    id: ReleaseId,
    one: impl Future<Output = Result<(), WebError>>,
) -> Result<(), WebError> {
    let words = match caught(one).await {
        Ok(done) => return done,
        Err(words) => words,
    };
    let detail = format!("A fault of Sekisho ({words}). Report it, and freeze again after an update.");
    let ja =
        format!("Sekishoの不具合です（{words}）。不具合を報告し、更新後にもう一度内容を確定してください。");
    let release = releases::find(app, &id.to_string()).await?;
    if release.state != ReleaseState::Frozen {
        return Ok(());
    }
    releases::not_prepared(app, release, &WebError::conflict("prepare-panic", detail).or_ja(ja)).await
}

async fn prepare(app: &App, id: ReleaseId) -> Result<(), WebError> {
    let release = releases::find(app, &id.to_string()).await?;
    if release.state != ReleaseState::Frozen {
        return Ok(());
    }
    releases::prepare(app, release).await
}

#[cfg(test)]
mod tests {
    use sekisho_store::{AuditFilter, StepState};

    use super::*;
    use crate::jobs::publish::tests::app;

    #[tokio::test]
    async fn a_panic_sends_one_release_back_and_is_written_down() {
        let folder = tempfile::tempdir().expect("a folder");
        let (app, release) = app(&folder, ReleaseState::Frozen).await;
        guarded(&app, release.id, async { panic!("no way through") }).await.expect("written down");
        let after = releases::find(&app, &release.id.to_string()).await.expect("there");
        assert_eq!((after.state, &after.prepared), (ReleaseState::Draft, &None));
        let steps = app.store.steps(release.id).await.expect("steps");
        let last = steps.last().expect("a step");
        assert_eq!((last.name.as_str(), last.state), ("prepare", StepState::Failed));
        assert!(last.detail.en.contains("A fault of Sekisho (no way through)"), "{}", last.detail.en);
        assert!(last.detail.ja.contains("不具合"), "{}", last.detail.ja);
        let log = app.store.audit(&AuditFilter::default(), None, 1).await.expect("a log");
        assert_eq!(log[0].entry["detail"]["code"], "prepare-panic");
        // What was edited meanwhile is left as it is.
        guarded(&app, release.id, async { panic!("once more") }).await.expect("nothing to write down");
        let still = releases::find(&app, &release.id.to_string()).await.expect("there");
        assert_eq!(still.version, after.version);
    }

    #[tokio::test]
    async fn what_no_release_refers_to_is_removed_when_a_preparation_ends() {
        let folder = tempfile::tempdir().expect("a folder");
        let (app, release) = app(&folder, ReleaseState::Draft).await;
        let left = app.config.dir.join("releases/half-written");
        fs_err::create_dir_all(&left).expect("made");
        let (preparer, preparations) = channel();
        preparer.send(release.id);
        drop(preparer);
        run(app, preparations).await;
        assert!(!left.exists());
    }
}
