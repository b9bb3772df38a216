use std::collections::BTreeMap;

use jiff::civil::Date;
use sekisho_domain::release::{ReleaseAction, ReleaseState};
use sekisho_hub::EvalSource;
use sekisho_policy::Decision;
use sekisho_store::{Checkpoint, Release};

use super::{
    act, card, card_extras, content, facts, learning_curve, record, science, settings, texts, weights,
};
use crate::service::{checkpoints, standing};
use crate::{Actor, App, WebError};

/// Fixes the content and lets the policy judge exactly that, in one write; with weights of another shape, once those are made.
pub(super) async fn freeze(
    app: &App,
    actor: &Actor,
    mut release: Release,
    comment: &str,
) -> Result<Release, WebError> {
    let checkpoint = checkpoints::find(app, &release.checkpoint.to_string()).await?;
    begin(app, &mut release, &checkpoint).await?;
    let release = act::write(app, actor, release, ReleaseAction::Freeze, comment).await?;
    if release.state == ReleaseState::Frozen {
        app.prepare.send(release.id);
    }
    Ok(release)
}

/// Fixes the content, or leaves the release `frozen`: weights of another shape take as long as they are large, and the job goes on from
/// there. Nothing is kept yet.
///
/// # Errors
/// 409 in the wrong state, 422 for what cannot be released as it is.
pub async fn begin(app: &App, release: &mut Release, checkpoint: &Checkpoint) -> Result<(), WebError> {
    release.state = release.state.after(ReleaseAction::Freeze, false)?;
    standing::require(app, checkpoint).await?;
    settings::check(app, release).await?;
    if weights::to_be_made(release, checkpoint)? {
        return Ok(());
    }
    fix(app, release, checkpoint).await
}

/// Makes everything that is computed, judges it, and names it by its digest.
pub(super) async fn fix(app: &App, release: &mut Release, checkpoint: &Checkpoint) -> Result<(), WebError> {
    release.state = release.state.after(ReleaseAction::Check, false)?;
    let mut generated = science::files(app, release, checkpoint).await?;
    generated.extend(eval_results(app, checkpoint).await?);
    generated.extend(learning_curve::file(app, checkpoint).await?);
    release.generated = texts::keep(app, generated).await?;
    card::write(app, release, checkpoint).await?;
    let decision = decide(app, release, checkpoint).await?;
    describe(app, release, &decision).await?;
    release.decision = Some(serde_json::to_value(&decision).map_err(WebError::internal)?);
    // The decision is part of what is approved.
    release.digest = Some(content::digest(app, release, checkpoint).await?);
    Ok(())
}

/// What the release tells of itself.
async fn describe(app: &App, release: &mut Release, decision: &Decision) -> Result<(), WebError> {
    let record = BTreeMap::from([(record::FILE.to_owned(), record::text(app, release, decision).await?)]);
    release.generated.extend(texts::keep(app, record).await?);
    Ok(())
}

/// Takes a judged release out of its channel: people decide, and nothing of it says that a blanket approval did. Nothing is kept yet.
///
/// # Errors
/// When the store fails.
pub async fn leave_channel(app: &App, release: &mut Release) -> Result<(), WebError> {
    release.channel = None;
    let decision = release.decision.clone().map(serde_json::from_value::<Decision>);
    let Some(decision) = decision.transpose().map_err(WebError::internal)? else { return Ok(()) };
    let checkpoint = checkpoints::find(app, &release.checkpoint.to_string()).await?;
    describe(app, release, &decision).await?;
    release.digest = Some(content::digest(app, release, &checkpoint).await?);
    Ok(())
}

/// Scores on benchmarks that the Hub keeps leaderboards of.
async fn eval_results(app: &App, checkpoint: &Checkpoint) -> Result<Vec<(String, String)>, WebError> {
    let mut files = Vec::new();
    for evaluation in app.store.evaluations_of(checkpoint.id).await? {
        let scores = app.store.scores(evaluation.id).await?;
        let scores: Vec<_> = scores.into_iter().map(|row| row.entry).collect();
        let source = EvalSource {
            url: None,
            name: "Sekisho".to_owned(),
            date: Some(card_extras::day(evaluation.updated)),
        };
        files.extend(sekisho_hub::eval_results(&scores, &source));
    }
    Ok(files)
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

/// What the rules in force say of facts that no release stands behind.
#[must_use]
pub fn judge_facts(app: &App, facts: &sekisho_policy::Facts) -> Decision {
    sekisho_policy::evaluate(facts, &app.policy, today(app))
}

/// The day in the server's zone: waivers end by the lab's calendar.
#[must_use]
pub fn today(app: &App) -> Date {
    app.now().to_jiff().to_zoned(jiff::tz::TimeZone::system()).date()
}
