use sekisho_domain::Text;
use sekisho_domain::release::{ReleaseAction, ReleaseState};
use sekisho_store::{PublishStep, Release, StepState, StoreError};

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
    let (id, detail) = (release.id.to_string(), serde_json::json!({ "digest": release.digest }));
    let audit = match &made {
        Ok(files) => {
            let (en, ja) = (
                format!("{files} files written and examined"),
                format!("{files}件のファイルを作成し、検証しました"),
            );
            step(app, &release, StepState::Done, Text { en, ja }).await?;
            people::system_entry(app, "release.prepare", &id, "done", detail)
        }
        Err(error) => {
            step(app, &release, StepState::Failed, error.text()).await?;
            release.prepared = None;
            release.channel = None;
            release.state = ReleaseState::Frozen.after(ReleaseAction::Edit, false)?;
            let detail = serde_json::json!({ "code": error.code, "reason": error.detail });
            people::system_entry(app, "release.prepare", &id, "failed", detail)
        }
    };
    release.updated = app.now();
    match app.store.update_release(&release, &audit, None).await {
        // It was edited or withdrawn meanwhile; what was made is cleared away at the next start.
        Err(StoreError::Stale) => Ok(()),
        other => Ok(other?),
    }
}

async fn step(app: &App, release: &Release, state: StepState, detail: Text) -> Result<(), WebError> {
    let step = PublishStep { name: STEP.to_owned(), state, detail, at: app.now() };
    app.store.put_step(release.id, &step).await?;
    app.events.publish(format!("release:{}", release.id), "state");
    Ok(())
}
