//! What happens on the Hub to a release that is out: it is taken back, or another one takes its place.

use async_trait::async_trait;
use sekisho_domain::{ReleaseId, Text};
use sekisho_hub::{Journal, JournalError, PublishError, Revised, Step};
use sekisho_store::{Release, StepState, StoreError};

use super::{entry, failed, open_publisher, service, write};
use crate::service::releases;
use crate::{App, WebError};

/// Carries out what was decided. Asked again after an error, it goes on from where the Hub is.
pub(super) async fn carry_out(app: &App, release: Release) -> Result<(), WebError> {
    let journal = StepJournal { app: app.clone(), release: release.id };
    let done = match &release.yank {
        Some(_) => yank(app, &release, &journal).await.map(Some),
        None => name_successor(app, &release, &journal).await,
    };
    match done {
        Ok(Some(revised)) => complete(app, release, &revised).await,
        Ok(None) => Ok(()),
        Err(error) => {
            tracing::warn!(release = %release.id, %error, "a change on the Hub stopped");
            let action = if release.yank.is_some() { "release.yanked" } else { "release.card" };
            failed(app, release.id, action, error.code(), &error).await
        }
    }
}

async fn yank(app: &App, release: &Release, journal: &dyn Journal) -> Result<Revised, PublishError> {
    let tombstone = releases::tombstone(app, release).await.map_err(|error| service(&error))?;
    open_publisher(app)?.yank(&tombstone, journal).await
}

async fn name_successor(
    app: &App,
    release: &Release,
    journal: &dyn Journal,
) -> Result<Option<Revised>, PublishError> {
    let card = releases::superseded_card(app, release).await.map_err(|error| service(&error))?;
    match card {
        Some(card) => open_publisher(app)?.revise(&card, journal).await.map(Some),
        None => Ok(None),
    }
}

async fn complete(app: &App, mut release: Release, revised: &Revised) -> Result<(), WebError> {
    let detail = serde_json::json!({ "commit": revised.commit, "url": revised.url });
    let action = if release.yank.is_some() { "release.yanked" } else { "release.card" };
    if let Some(yank) = &mut release.yank {
        yank.done = true;
    }
    release.updated = app.now();
    let audit = entry(app, release.id, action, "done", detail);
    match app.store.update_release(&release, &audit, None).await {
        // Somebody commented meanwhile; the next start looks at the Hub again and writes it down.
        Err(StoreError::Stale) => Ok(()),
        other => Ok(other?),
    }
}

/// Writes the steps over those of the publication: what the Hub shows last is what people look for.
struct StepJournal {
    app: App,
    release: ReleaseId,
}

impl StepJournal {
    async fn put(&self, step: Step, state: StepState, detail: &Text) -> Result<(), JournalError> {
        let put = write(&self.app, self.release, step, state, detail).await;
        put.map_err(|error| JournalError(error.text()))
    }

    async fn tell(&self, step: Step, state: StepState, error: &PublishError) {
        if let Err(error) = self.put(step, state, &error.text()).await {
            tracing::error!(release = %self.release, ?error, "a step that stopped could not be written down");
        }
    }
}

#[async_trait]
impl Journal for StepJournal {
    async fn intended(&self, step: Step) -> Result<(), JournalError> {
        self.put(step, StepState::Intended, &Text { en: String::new(), ja: String::new() }).await
    }

    async fn done(&self, step: Step, detail: &Text) -> Result<(), JournalError> {
        self.put(step, StepState::Done, detail).await
    }

    async fn failed(&self, step: Step, error: &PublishError) {
        self.tell(step, StepState::Failed, error).await;
    }

    async fn unknown(&self, step: Step, error: &PublishError) {
        self.tell(step, StepState::Intended, error).await;
    }
}
