use sekisho_domain::Text;
use sekisho_domain::release::{ReleaseAction, ReleaseState};
use sekisho_store::{AuditEntry, PublishStep, Release, StepState, StoreError};

use super::{judge, weights};
use crate::service::{checkpoints, people};
use crate::{App, WebError};

/// Name of the step in a release's list.
const STEP: &str = "prepare";

/// Makes the weights of a frozen release and lets the policy judge it. What cannot be made sends it back to draft, with the reason at
/// the step.
///
/// # Errors
/// When the store fails.
pub async fn prepare(app: &App, mut release: Release) -> Result<(), WebError> {
    let nothing = Text { en: String::new(), ja: String::new() };
    step(app, &release, StepState::Intended, nothing).await?;
    let checkpoint = checkpoints::find(app, &release.checkpoint.to_string()).await?;
    let made = match weights::make(app, &release, &checkpoint).await {
        Ok(made) => {
            let files = made.files.len();
            release.prepared = Some(made);
            judge::fix(app, &mut release, &checkpoint).await.map(|()| files)
        }
        Err(error) => Err(error),
    };
    let files = match made {
        Ok(files) => files,
        Err(error) => return not_prepared(app, release, &error).await,
    };
    let (en, ja) =
        (format!("{files} files written and examined"), format!("{files}件のファイルを作成し、検証しました"));
    step(app, &release, StepState::Done, Text { en, ja }).await?;
    let detail = serde_json::json!({ "digest": release.digest });
    let audit = people::system_entry(app, "release.prepare", &release.id.to_string(), "done", detail);
    write(app, release, &audit).await
}

/// Sends a frozen release back to draft, with the reason at the step.
///
/// # Errors
/// When the store fails.
pub async fn not_prepared(app: &App, mut release: Release, error: &WebError) -> Result<(), WebError> {
    step(app, &release, StepState::Failed, error.text()).await?;
    (release.prepared, release.channel, release.decision, release.digest) = (None, None, None, None);
    release.generated.clear();
    release.state = ReleaseState::Frozen.after(ReleaseAction::Edit, false)?;
    let detail = serde_json::json!({ "code": error.code, "reason": error.detail });
    let audit = people::system_entry(app, "release.prepare", &release.id.to_string(), "failed", detail);
    write(app, release, &audit).await
}

async fn write(app: &App, mut release: Release, audit: &AuditEntry) -> Result<(), WebError> {
    release.updated = app.now();
    let id = release.id;
    match app.store.update_release(&release, audit, None).await {
        // It was edited or withdrawn meanwhile, and what was made of the old content goes; or somebody commented, and it is made again.
        Err(StoreError::Stale) => {
            if super::find(app, &id.to_string()).await?.state == ReleaseState::Frozen {
                app.prepare.send(id);
            }
            Ok(())
        }
        other => Ok(other?),
    }
}

async fn step(app: &App, release: &Release, state: StepState, detail: Text) -> Result<(), WebError> {
    let step = PublishStep { name: STEP.to_owned(), state, detail, at: app.now() };
    app.store.put_step(release.id, &step).await?;
    app.events.publish(format!("release:{}", release.id), "state");
    Ok(())
}
