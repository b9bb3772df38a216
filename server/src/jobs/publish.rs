mod afterwards;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use sekisho_domain::release::{ReleaseAction, ReleaseState};
use sekisho_domain::{ReleaseId, Sha256, Text};
use sekisho_hub::{Bundle, HubConfig, Journal, JournalError, PublishError, Published, Step, Token};
use sekisho_store::{AuditEntry, HubCommit, PublishStep, Release, StepState};
use tokio::sync::mpsc;

use crate::fault::caught;
use crate::service::{checkpoints, people, releases};
use crate::{App, WebError};

/// Hands releases to the publishing job, and knows which it has.
#[derive(Clone, Debug)]
pub struct Publisher {
    queue: mpsc::UnboundedSender<ReleaseId>,
    /// How many times each was asked for and is not finished.
    held: Arc<Mutex<BTreeMap<ReleaseId, u32>>>,
    /// Bytes that have gone up, of how many, of the one that is on its way.
    progress: Arc<Mutex<Option<(ReleaseId, u64, u64)>>>,
}

/// Where the publishing job takes them from.
pub type Publications = mpsc::UnboundedReceiver<ReleaseId>;

/// The two ends.
#[must_use]
pub fn channel() -> (Publisher, Publications) {
    let (queue, receiver) = mpsc::unbounded_channel();
    (Publisher { queue, held: Arc::default(), progress: Arc::default() }, receiver)
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

    /// Bytes that have gone up and all there are, while a release is on its way.
    #[must_use]
    pub fn progress(&self, release: ReleaseId) -> Option<(u64, u64)> {
        let now = *self.progress.lock().unwrap_or_else(PoisonError::into_inner);
        now.filter(|(id, ..)| *id == release).map(|(_, done, total)| (done, total))
    }

    fn at(&self, progress: Option<(ReleaseId, u64, u64)>) {
        *self.progress.lock().unwrap_or_else(PoisonError::into_inner) = progress;
    }

    fn finished(&self, release: ReleaseId) {
        self.at(None);
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
    match interrupted(&app).await {
        Ok(interrupted) => interrupted.into_iter().for_each(|release| app.publish.send(release)),
        Err(error) => tracing::error!(%error, "interrupted publications could not be looked up"),
    }
    while let Some(id) = publications.recv().await {
        if let Err(error) = guarded(&app, id, publish(&app, id)).await {
            tracing::error!(release = %id, %error, "the publication could not be written down");
        }
        app.publish.finished(id);
        app.events.publish(format!("release:{id}"), "state");
    }
}

/// The releases whose publication ended with the process. One that stopped on an error after somebody last asked for it is not
/// among them.
async fn interrupted(app: &App) -> Result<Vec<ReleaseId>, WebError> {
    let mut interrupted = Vec::new();
    for release in app.store.releases_in(&[ReleaseState::Yanked, ReleaseState::Superseded]).await? {
        if releases::is_pending(app, &release).await? {
            interrupted.push(release.id);
        }
    }
    for release in app.store.releases_in(&[ReleaseState::Publishing]).await? {
        let steps = app.store.steps(release.id).await?;
        let last = steps.iter().max_by_key(|step| step.at);
        if !last.is_some_and(|step| step.is_stop() && step.at >= release.updated) {
            interrupted.push(release.id);
        }
    }
    Ok(interrupted)
}

/// A try that may panic: that one stops with a sentence, and the others go on.
async fn guarded(
    app: &App,
    id: ReleaseId,
    one: impl Future<Output = Result<(), WebError>>,
) -> Result<(), WebError> {
    let words = match caught(one).await {
        Ok(done) => return done,
        Err(words) => words,
    };
    let error = PublishError::Service {
        reason: Text {
            en: format!("a fault of Sekisho ({words}). Report it, and resume after an update."),
            ja: format!("Sekishoの不具合です（{words}）。不具合を報告し、更新後に再開してください。"),
        },
    };
    // The step that had begun; before the first it is that one.
    let steps = app.store.steps(id).await?;
    let begun = steps.iter().find(|step| step.state == StepState::Intended);
    let begun = begun.and_then(|begun| Step::ALL.iter().find(|step| step.as_str() == begun.name));
    write(app, id, *begun.unwrap_or(&Step::Probe), StepState::Failed, &error.text()).await?;
    failed(app, id, "release.publish", "publish-panic", &error).await
}

async fn failed(
    app: &App,
    id: ReleaseId,
    action: &str,
    code: &str,
    error: &PublishError,
) -> Result<(), WebError> {
    let detail = serde_json::json!({ "code": code, "reason": error.to_string() });
    Ok(app.store.append_audit(&entry(app, id, action, "failed", detail)).await?)
}

/// Writes a step, and tells the release's page.
async fn write(
    app: &App,
    release: ReleaseId,
    step: Step,
    state: StepState,
    detail: &Text,
) -> Result<(), WebError> {
    let step = PublishStep { name: step.to_string(), state, detail: detail.clone(), at: app.now() };
    app.store.put_step(release, &step).await?;
    app.events.publish(format!("release:{release}"), "state");
    Ok(())
}

/// One try. Its error is written into the steps and the audit log; what is answered is that this could not be done.
async fn publish(app: &App, id: ReleaseId) -> Result<(), WebError> {
    let release = releases::find(app, &id.to_string()).await?;
    match release.state {
        ReleaseState::Publishing => {}
        ReleaseState::Yanked | ReleaseState::Superseded => return afterwards::carry_out(app, release).await,
        _ => return Ok(()),
    }
    let journal = StoreJournal::new(app, &release);
    let Err(error) = attempt(app, release, &journal).await else { return Ok(()) };
    tracing::warn!(release = %id, %error, "the publication stopped");
    journal.stopped(&error).await?;
    failed(app, id, "release.publish", error.code(), &error).await
}

async fn attempt(app: &App, release: Release, journal: &StoreJournal) -> Result<(), PublishError> {
    let publisher = open_publisher(app)?;
    let bundle = bundle(app, &release).await.map_err(|error| service(&error))?;
    let published = publisher.publish(&bundle, journal, journal.progress()).await?;
    complete(app, &release, &published).await.map_err(|error| service(&error))
}

async fn bundle(app: &App, release: &Release) -> Result<Bundle, WebError> {
    let checkpoint = checkpoints::find(app, &release.checkpoint.to_string()).await?;
    releases::bundle(app, release, &checkpoint).await
}

fn service(error: &WebError) -> PublishError {
    PublishError::Service { reason: error.text() }
}

pub(crate) fn open_publisher(app: &App) -> Result<sekisho_hub::Publisher, PublishError> {
    let file = app.config.hub_token_file.as_ref().ok_or(PublishError::TokenMissing)?;
    sekisho_hub::Publisher::new(&HubConfig {
        endpoint: app.config.hub_endpoint.clone(),
        token: Token::read(file)?,
        allow: app.config.hub_allow.clone(),
        staging: app.config.dir.join("hub"),
    })
}

/// The release may have another version by now, as after a comment; what was approved must be the same.
async fn complete(app: &App, begun: &Release, published: &Published) -> Result<(), WebError> {
    let mut release = unchanged(app, begun.id, begun.digest).await?;
    release.state = release.state.after(ReleaseAction::Complete, true)?;
    release.publish_at = None;
    release.commit = Some(published.commit.clone());
    release.url = Some(published.url.clone());
    release.updated = app.now();
    let detail =
        serde_json::json!({ "commit": published.commit, "url": published.url, "tag": published.tag });
    let mut audit = vec![entry(app, release.id, "release.complete", "done", detail)];
    let mut superseded = releases::superseded_by(app, &release).await?;
    for old in &mut superseded {
        old.state = old.state.after(ReleaseAction::Supersede, true)?;
        old.successor = Some(release.id);
        old.updated = app.now();
        let detail = serde_json::json!({ "successor": release.id });
        audit.push(entry(app, old.id, "release.supersede", "done", detail));
    }
    app.store.complete_release(&release, &superseded, &audit).await?;
    for old in &superseded {
        app.events.publish(format!("release:{}", old.id), "state");
        // Its card names the new one, where that is another repository.
        app.publish.send(old.id);
    }
    Ok(())
}

/// The release as it is now, if it is still being published with this content.
async fn unchanged(app: &App, id: ReleaseId, digest: Option<Sha256>) -> Result<Release, WebError> {
    let release = releases::find(app, &id.to_string()).await?;
    if release.state != ReleaseState::Publishing || release.digest != digest {
        let detail = "This release was changed while it was being published.";
        let ja = "公開処理の途中でリリースが変更されました。";
        return Err(WebError::conflict("permit-void", detail).or_ja(ja));
    }
    Ok(release)
}

fn entry(app: &App, release: ReleaseId, action: &str, result: &str, detail: serde_json::Value) -> AuditEntry {
    people::system_entry(app, action, &release.to_string(), result, detail)
}

/// Writes the steps into the store, and stops a publication whose permit no longer holds.
struct StoreJournal {
    app: App,
    release: ReleaseId,
    digest: Option<Sha256>,
    /// What this publication is to commit, and where.
    commit: Option<HubCommit>,
    /// Nobody has seen it on the Hub yet.
    is_unseen: AtomicBool,
    /// The error is written at its step already.
    told: AtomicBool,
}

impl StoreJournal {
    fn new(app: &App, release: &Release) -> Self {
        let commit = release.digest.zip(releases::place(app, release));
        Self {
            app: app.clone(),
            release: release.id,
            digest: release.digest,
            commit: commit.map(|(digest, place)| HubCommit { digest, place }),
            is_unseen: AtomicBool::new(false),
            told: AtomicBool::new(false),
        }
    }

    async fn put(&self, step: Step, state: StepState, detail: &Text) -> Result<(), WebError> {
        write(&self.app, self.release, step, state, detail).await
    }

    /// From here on the commit may be on the Hub, whatever becomes of this process.
    async fn expect_commit(&self) -> Result<(), WebError> {
        let Some(commit) = &self.commit else { return Ok(()) };
        let is_new = self.app.store.add_hub_commit(self.release, commit).await?;
        let steps = self.app.store.steps(self.release).await?;
        let is_done =
            |step: &PublishStep| step.name == Step::Commit.as_str() && step.state == StepState::Done;
        self.is_unseen.store(is_new || !steps.iter().any(is_done), Ordering::Relaxed);
        Ok(())
    }

    /// The Hub did not take the commit. One that an earlier try has seen there stays known.
    async fn forget_commit(&self) -> Result<(), WebError> {
        match &self.commit {
            Some(commit) if self.is_unseen.load(Ordering::Relaxed) => {
                Ok(self.app.store.drop_hub_commit(self.release, commit).await?)
            }
            _ => Ok(()),
        }
    }

    /// Writes an error at its step.
    async fn tell(&self, step: Step, state: StepState, error: &PublishError) {
        match self.put(step, state, &error.text()).await {
            Ok(()) => self.told.store(true, Ordering::Relaxed),
            Err(error) => {
                tracing::error!(release = %self.release, %error, "a step that stopped could not be written down");
            }
        }
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
        let (app, id) = (self.app.clone(), self.release);
        let topic = format!("release:{id}");
        let told = AtomicU64::new(0);
        Arc::new(move |done, total| {
            app.publish.at(Some((id, done, total)));
            let percent = (done * 100).checked_div(total).unwrap_or(100);
            if told.fetch_max(percent, Ordering::Relaxed) < percent {
                app.events.publish(topic.clone(), "progress");
            }
        })
    }

    /// Still the release that this publication began with, and its permit holds.
    async fn still_permitted(&self) -> Result<(), WebError> {
        let release = unchanged(&self.app, self.release, self.digest).await?;
        releases::holds(&self.app, &release).await
    }
}

#[async_trait]
impl Journal for StoreJournal {
    async fn intended(&self, step: Step) -> Result<(), JournalError> {
        let stop = |error: WebError| JournalError(error.text());
        // By then it is public; a permit that falls at that moment is a matter for a yank.
        if step != Step::Anonymous {
            self.still_permitted().await.map_err(stop)?;
        }
        if step == Step::Commit {
            self.expect_commit().await.map_err(stop)?;
        }
        let nothing = Text { en: String::new(), ja: String::new() };
        self.put(step, StepState::Intended, &nothing).await.map_err(stop)
    }

    async fn done(&self, step: Step, detail: &Text) -> Result<(), JournalError> {
        self.put(step, StepState::Done, detail).await.map_err(|error| JournalError(error.text()))
    }

    async fn failed(&self, step: Step, error: &PublishError) {
        if step == Step::Commit
            && let Err(error) = self.forget_commit().await
        {
            tracing::error!(release = %self.release, %error, "a commit that failed could not be forgotten");
        }
        self.tell(step, StepState::Failed, error).await;
    }

    async fn unknown(&self, step: Step, error: &PublishError) {
        self.tell(step, StepState::Intended, error).await;
    }
}

#[cfg(test)]
pub(super) mod tests;
