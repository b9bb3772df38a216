use sekisho_domain::release::{ReleaseAction, ReleaseState};
use sekisho_domain::{ReleaseId, Timestamp};
use sekisho_store::{Release, StoreError};

use super::{act, permit};
use crate::error_ja::release_state_ja;
use crate::service::people;
use crate::{Actor, App, WebError};

/// Sets the time at which an approved release goes out by itself; none takes it back. The permit is looked at again then.
///
/// # Errors
/// 403, 409 unless it is approved, 412 when it has changed, 400 for a time that has passed.
pub async fn schedule(
    app: &App,
    actor: &Actor,
    id: ReleaseId,
    version: u64,
    at: Option<Timestamp>,
) -> Result<Release, WebError> {
    let done = set_time(app, actor, id, version, at).await;
    people::on_record(app, actor, "release.schedule", &id.to_string(), done).await
}

async fn set_time(
    app: &App,
    actor: &Actor,
    id: ReleaseId,
    version: u64,
    at: Option<Timestamp>,
) -> Result<Release, WebError> {
    let mut release = super::find(app, &id.to_string()).await?;
    act::permitted(actor, &release, ReleaseAction::Publish)?;
    if release.version != version {
        return Err(StoreError::Stale.into());
    }
    if at.is_some_and(|at| at <= app.now()) {
        let detail = "That time has passed. Name a later one, or publish now.";
        return Err(WebError::bad_request("publish-at", detail));
    }
    if release.state != ReleaseState::Approved {
        let detail = format!("Only an approved release is scheduled; this one is {}.", release.state);
        let state = release_state_ja(release.state);
        let ja = format!("公開日時を設定できるのは承認済みのリリースだけです（現在：{state}）。");
        return Err(WebError::conflict("wrong-state", detail).or_ja(ja));
    }
    act::has_hub(app)?;
    act::separate(app, actor, &release).await?;
    release.publish_at = at;
    release.updated = app.now();
    let detail = serde_json::json!({ "at": at });
    let audit = people::entry(app, actor, "release.schedule", &id.to_string(), "done", detail);
    app.store.update_release(&release, &audit, None).await?;
    app.events.publish(format!("release:{id}"), "state");
    super::find(app, &id.to_string()).await
}

/// The releases whose time has come.
///
/// # Errors
/// When the store fails.
pub async fn due(app: &App) -> Result<Vec<Release>, WebError> {
    let now = app.now();
    let approved = app.store.releases_in(&[ReleaseState::Approved]).await?;
    Ok(approved.into_iter().filter(|release| release.publish_at.is_some_and(|at| at <= now)).collect())
}

/// Begins the publication of a release whose time has come, or takes the time back when its permit holds no longer: nobody is there to
/// decide, and it must not be tried again every few seconds.
///
/// # Errors
/// When the store fails.
pub async fn begin_scheduled(app: &App, mut release: Release) -> Result<(), WebError> {
    let id = release.id.to_string();
    release.publish_at = None;
    release.updated = app.now();
    let held = permit::holds(app, &release).await;
    let audit = match &held {
        Ok(()) => {
            release.state = release.state.after(ReleaseAction::Publish, false)?;
            let detail = serde_json::json!({ "scheduled": true, "digest": release.digest });
            people::system_entry(app, "release.publish", &id, "done", detail)
        }
        Err(void) => {
            let detail = serde_json::json!({ "scheduled": true, "code": void.code, "reason": void.detail });
            people::system_entry(app, "release.publish", &id, "refused", detail)
        }
    };
    match app.store.update_release(&release, &audit, None).await {
        // Somebody was faster; the next look sees what they did.
        Err(StoreError::Stale) => return Ok(()),
        other => other?,
    }
    if held.is_ok() {
        app.publish.send(release.id);
    }
    app.events.publish(format!("release:{id}"), "state");
    Ok(())
}
