//! Makes the files of a release whose weights go out in other shards or another type than the checkpoint's, and judges it then. What a
//! crash interrupted is found in the state `frozen` and is begun again.

use sekisho_domain::ReleaseId;
use sekisho_domain::release::ReleaseState;
use tokio::sync::mpsc;

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
        if let Err(error) = prepare(&app, id).await {
            tracing::error!(release = %id, %error, "the files of a release could not be made");
        }
        app.events.publish(format!("release:{id}"), "state");
    }
}

async fn prepare(app: &App, id: ReleaseId) -> Result<(), WebError> {
    let release = releases::find(app, &id.to_string()).await?;
    if release.state != ReleaseState::Frozen {
        return Ok(());
    }
    releases::prepare(app, release).await
}
