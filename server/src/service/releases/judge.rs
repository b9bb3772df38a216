use jiff::civil::Date;
use sekisho_domain::release::ReleaseAction;
use sekisho_policy::Decision;
use sekisho_store::{Checkpoint, Release};

use super::{act, content, facts, settings};
use crate::service::checkpoints;
use crate::{Actor, App, WebError};

/// Fixes the content and lets the policy judge exactly that, in one write: a release is never found frozen and not judged.
pub(super) async fn freeze(
    app: &App,
    actor: &Actor,
    mut release: Release,
    comment: &str,
) -> Result<Release, WebError> {
    let frozen = release.state.after(ReleaseAction::Freeze, false)?;
    release.state = frozen.after(ReleaseAction::Check, false)?;
    let checkpoint = checkpoints::find(app, &release.checkpoint.to_string()).await?;
    settings::check(app, &release).await?;
    let decision = decide(app, &release, &checkpoint).await?;
    release.decision = Some(serde_json::to_value(&decision).map_err(WebError::internal)?);
    // The decision is part of what is approved.
    release.digest = Some(content::digest(app, &release, &checkpoint)?);
    act::write(app, actor, release, ReleaseAction::Freeze, comment).await
}

/// The policy's decision as of today.
pub(super) async fn decide(
    app: &App,
    release: &Release,
    checkpoint: &Checkpoint,
) -> Result<Decision, WebError> {
    let facts = facts::of(app, release, checkpoint).await?;
    Ok(sekisho_policy::evaluate(&facts, &app.policy, today(app)))
}

/// The day in the server's zone: waivers end by the lab's calendar.
pub(super) fn today(app: &App) -> Date {
    app.now().to_jiff().to_zoned(jiff::tz::TimeZone::system()).date()
}
