use std::collections::BTreeMap;

use sekisho_domain::release::{ReleaseAction, ReleaseState};
use sekisho_policy::{Decision, PolicySet, Registered};
use sekisho_store::{Release, StoreError};

use super::{content, facts, judge};
use crate::service::{checkpoints, people};
use crate::{Actor, App, WebError};

/// Judges again what is on its way, after the registry or the rules have changed. Where the decision is another one, the release goes
/// back to "policy-checked" with it, and its approvals are void. What is out is never changed. `actor` is who changed what; nobody when
/// the service started under other rules.
///
/// # Errors
/// When the store fails.
pub async fn rejudge(app: &App, actor: Option<&Actor>) -> Result<(), WebError> {
    let open = ReleaseState::sources(ReleaseAction::Rejudge);
    for release in app.store.releases_in(open).await? {
        let id = release.id;
        match rejudge_one(app, actor, release).await {
            // Somebody acted on it at this moment, and it was judged then or will be again before anything leaves.
            Err(error) if error.code == "stale" => {}
            // One that cannot be judged keeps nothing else waiting; its permit does not hold either.
            Err(error) => tracing::error!(release = %id, %error, "a release could not be judged again"),
            Ok(()) => {}
        }
    }
    Ok(())
}

async fn rejudge_one(app: &App, actor: Option<&Actor>, mut release: Release) -> Result<(), WebError> {
    let checkpoint = checkpoints::find(app, &release.checkpoint.to_string()).await?;
    let decision = judge::decide(app, &release, &checkpoint).await?;
    let before = release.decision.as_ref().and_then(|decision| decision["digest"].as_str());
    let is_same = before == Some(decision.digest.to_string().as_str());
    // Card and bundle repeat what the registry says; who has changed that is somebody, and no start of the service.
    let repeats =
        actor.is_none() || release.digest == Some(content::digest(app, &release, &checkpoint).await?);
    if is_same && repeats {
        return Ok(());
    }
    let void = super::valid_approvals(app, &release).await?.len();
    release.state.after(ReleaseAction::Rejudge, false)?;
    release.state = ReleaseState::Frozen;
    judge::fix(app, &mut release, &checkpoint).await?;
    release.publish_at = None;
    release.updated = app.now();
    let fixed = release.decision.clone().unwrap_or_default();
    let detail = serde_json::json!({
        "state": release.state, "verdict": fixed["verdict"], "policy": fixed["policy"], "void_approvals": void,
    });
    let (action, object) = ("release.rejudge", release.id.to_string());
    let audit = match actor {
        Some(actor) => people::entry(app, actor, action, &object, "done", detail),
        None => people::system_entry(app, action, &object, "done", detail),
    };
    match app.store.update_release(&release, &audit, None).await {
        Err(StoreError::Stale) => Err(StoreError::Stale.into()),
        other => {
            app.events.publish(format!("release:{}", release.id), "state");
            Ok(other?)
        }
    }
}

/// What another policy set says of a release today, by everything that is known of it.
///
/// # Errors
/// When the store fails.
pub async fn under(app: &App, release: &Release, set: &PolicySet) -> Result<Decision, WebError> {
    let checkpoint = checkpoints::find(app, &release.checkpoint.to_string()).await?;
    let facts = facts::of(app, release, &checkpoint).await?;
    Ok(sekisho_policy::evaluate(&facts, set, judge::today(app)))
}

/// Whether the policy would allow a release with another registry.
///
/// # Errors
/// When the store fails.
pub async fn would_be_allowed(
    app: &App,
    release: &Release,
    registry: &BTreeMap<String, Registered>,
) -> Result<bool, WebError> {
    let checkpoint = checkpoints::find(app, &release.checkpoint.to_string()).await?;
    let mut facts = facts::of(app, release, &checkpoint).await?;
    facts.registry = Some(registry.clone());
    Ok(sekisho_policy::evaluate(&facts, &app.policy, judge::today(app)).allowed())
}
