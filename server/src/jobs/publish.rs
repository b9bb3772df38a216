use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use sekisho_domain::release::{ReleaseAction, ReleaseState};
use sekisho_domain::{ReleaseId, Sha256, Text};
use sekisho_hub::{Bundle, HubConfig, Journal, JournalError, PublishError, Published, Step, Token};
use sekisho_store::{AuditEntry, PublishStep, Release, StepState};
use tokio::sync::mpsc;

use crate::service::{checkpoints, releases};
use crate::{App, WebError};

/// Hands releases to the publishing job, and knows which it has.
#[derive(Clone, Debug)]
pub struct Publisher {
    queue: mpsc::UnboundedSender<ReleaseId>,
    /// How many times each was asked for and is not finished.
    held: Arc<Mutex<BTreeMap<ReleaseId, u32>>>,
}

/// Where the publishing job takes them from.
pub type Publications = mpsc::UnboundedReceiver<ReleaseId>;

/// The two ends.
#[must_use]
pub fn channel() -> (Publisher, Publications) {
    let (queue, receiver) = mpsc::unbounded_channel();
    (Publisher { queue, held: Arc::default() }, receiver)
}

impl Publisher {
    /// Asks for a publication, or for one that stopped to go on.
    pub fn send(&self, release: ReleaseId) {
        *self.held().entry(release).or_default() += 1;
        // Without a job (it ends with the process) the start of the next process finds the release in `publishing`.
        let _ = self.queue.send(release);
    }

    /// Whether the job has the release, or will take it.
    #[must_use]
    pub fn holds(&self, release: ReleaseId) -> bool {
        self.held().contains_key(&release)
    }

    fn finished(&self, release: ReleaseId) {
        let mut held = self.held();
        if let Some(left) = held.get_mut(&release).map(|times| times.saturating_sub(1)) {
            if left == 0 {
                held.remove(&release);
            } else {
                held.insert(release, left);
            }
        }
    }

    fn held(&self) -> MutexGuard<'_, BTreeMap<ReleaseId, u32>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Publishes one release after the other. What a crash interrupted is found in the state `publishing` and goes on;
/// what stopped on an error waits until a person asks again.
pub async fn run(app: App, mut publications: Publications) {
    match app.store.releases_in(&[ReleaseState::Publishing]).await {
        Ok(interrupted) => interrupted.iter().for_each(|release| app.publish.send(release.id)),
        Err(error) => tracing::error!(%error, "interrupted publications could not be looked up"),
    }
    while let Some(id) = publications.recv().await {
        if let Err(error) = publish(&app, id).await {
            tracing::error!(release = %id, %error, "the publication could not be written down");
        }
        app.publish.finished(id);
        app.events.publish(format!("release:{id}"), "state");
    }
}

/// One try. Its error is written into the steps and the audit log; what is answered is that this could not be done.
async fn publish(app: &App, id: ReleaseId) -> Result<(), WebError> {
    let release = releases::find(app, &id.to_string()).await?;
    if release.state != ReleaseState::Publishing {
        return Ok(());
    }
    let journal = StoreJournal::new(app, &release);
    let Err(error) = attempt(app, release, &journal).await else { return Ok(()) };
    tracing::warn!(release = %id, %error, "the publication stopped");
    journal.stopped(&error).await?;
    let detail = serde_json::json!({ "code": error.code(), "reason": error.to_string() });
    Ok(app.store.append_audit(&entry(app, id, "release.publish", "failed", detail)).await?)
}

async fn attempt(app: &App, release: Release, journal: &StoreJournal) -> Result<(), PublishError> {
    let publisher = open_publisher(app)?;
    let bundle = bundle(app, &release).await.map_err(|error| service(&error))?;
    let published = publisher.publish(&bundle, journal, journal.progress()).await?;
    complete(app, release, &published).await.map_err(|error| service(&error))
}

async fn bundle(app: &App, release: &Release) -> Result<Bundle, WebError> {
    let checkpoint = checkpoints::find(app, &release.checkpoint.to_string()).await?;
    releases::bundle(app, release, &checkpoint).await
}

fn service(error: &WebError) -> PublishError {
    PublishError::Service { reason: error.text() }
}

fn open_publisher(app: &App) -> Result<sekisho_hub::Publisher, PublishError> {
    let file = app.config.hub_token_file.as_ref().ok_or(PublishError::TokenMissing)?;
    sekisho_hub::Publisher::new(&HubConfig {
        endpoint: app.config.hub_endpoint.clone(),
        token: Token::read(file)?,
        allow: app.config.hub_allow.clone(),
        staging: app.config.dir.join("hub"),
    })
}

async fn complete(app: &App, mut release: Release, published: &Published) -> Result<(), WebError> {
    release.state = release.state.after(ReleaseAction::Complete, true)?;
    release.commit = Some(published.commit.clone());
    release.url = Some(published.url.clone());
    release.updated = app.now();
    let detail =
        serde_json::json!({ "commit": published.commit, "url": published.url, "tag": published.tag });
    let audit = entry(app, release.id, "release.complete", "done", detail);
    app.store.update_release(&release, &audit, None).await?;
    Ok(())
}

/// An audit entry of the service itself.
fn entry(app: &App, release: ReleaseId, action: &str, result: &str, detail: serde_json::Value) -> AuditEntry {
    AuditEntry {
        at: app.now(),
        actor: "system".to_owned(),
        by: "system".to_owned(),
        action: action.to_owned(),
        object: release.to_string(),
        result: result.to_owned(),
        detail,
    }
}

/// Writes the steps into the store, and stops a publication whose permit no longer holds.
struct StoreJournal {
    app: App,
    release: ReleaseId,
    digest: Option<Sha256>,
    /// The error is written at its step already.
    told: AtomicBool,
}

impl StoreJournal {
    fn new(app: &App, release: &Release) -> Self {
        let told = AtomicBool::new(false);
        Self { app: app.clone(), release: release.id, digest: release.digest, told }
    }

    async fn put(&self, step: Step, state: StepState, detail: &Text) -> Result<(), WebError> {
        let step = PublishStep { name: step.to_string(), state, detail: detail.clone(), at: self.app.now() };
        self.app.store.put_step(self.release, &step).await?;
        self.app.events.publish(format!("release:{}", self.release), "state");
        Ok(())
    }

    /// Sees to it that the error stands at a step: at the one that was refused, or at the first when none had begun.
    async fn stopped(&self, error: &PublishError) -> Result<(), WebError> {
        let step = match error {
            PublishError::Journal { step, .. } => *step,
            _ => Step::Probe,
        };
        if self.told.load(Ordering::Relaxed) {
            return Ok(());
        }
        self.put(step, StepState::Failed, &error.text()).await
    }

    /// Tells the release's page when another hundredth has gone up.
    fn progress(&self) -> sekisho_hub::Progress {
        let (app, topic) = (self.app.clone(), format!("release:{}", self.release));
        let told = AtomicU64::new(0);
        Arc::new(move |done, total| {
            let percent = (done * 100).checked_div(total).unwrap_or(100);
            if told.fetch_max(percent, Ordering::Relaxed) < percent {
                app.events.publish(topic.clone(), "progress");
            }
        })
    }

    /// Still the release that this publication began with, and its permit holds.
    async fn still_permitted(&self) -> Result<(), WebError> {
        let release = releases::find(&self.app, &self.release.to_string()).await?;
        if release.state != ReleaseState::Publishing || release.digest != self.digest {
            let detail = "This release was changed while it was being published.";
            let ja = "公開処理の途中でリリースが変更されました。";
            return Err(WebError::conflict("permit-void", detail).or_ja(ja));
        }
        releases::holds(&self.app, &release).await
    }
}

#[async_trait]
impl Journal for StoreJournal {
    async fn intended(&self, step: Step) -> Result<(), JournalError> {
        let stop = |error: WebError| JournalError(error.text());
        self.still_permitted().await.map_err(stop)?;
        let nothing = Text { en: String::new(), ja: String::new() };
        self.put(step, StepState::Intended, &nothing).await.map_err(stop)
    }

    async fn done(&self, step: Step, detail: &Text) -> Result<(), JournalError> {
        self.put(step, StepState::Done, detail).await.map_err(|error| JournalError(error.text()))
    }

    async fn failed(&self, step: Step, error: &PublishError) {
        match self.put(step, StepState::Failed, &error.text()).await {
            Ok(()) => self.told.store(true, Ordering::Relaxed),
            Err(error) => {
                tracing::error!(release = %self.release, %error, "a failed step could not be written down");
            }
        }
    }
}
