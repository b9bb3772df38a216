//! Channels: checkpoints that go out by themselves to a private repository, because several people have approved that beforehand and
//! for a time. The model is a release that took the whole road; what differs from it in any finding waits for people.

mod blanket;
mod review;
mod take;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use sekisho_domain::channel::{ChannelState, ChannelTakes};
use sekisho_domain::lineage::Visibility;
use sekisho_domain::release::ReleaseState;
use sekisho_domain::user::{Role, Scope};
use sekisho_domain::{ChannelId, ReleaseId, Sha256, Timestamp, UserId, canonical_json};
use sekisho_store::{Approval, Channel, Release};
use serde_json::json;

use crate::service::{checkpoints, people, releases};
use crate::{Actor, App, Noun, WebError};

pub use blanket::{admit, carries};
pub use review::{approve, end};
pub use take::{Waits, take, waiting};

/// A blanket approval holds for a year at most.
const LONGEST: i64 = 366 * 24 * 3600;

/// What somebody proposes.
#[derive(Clone, Debug)]
pub struct Proposed {
    /// What people call it.
    pub name: String,
    /// The published release that the others are like.
    pub reference: ReleaseId,
    /// Glob over the names of runs.
    pub runs: String,
    /// Which of their checkpoints.
    pub takes: ChannelTakes,
    /// Branch on the Hub, with `{run}` and `{step}`.
    pub revision: String,
    /// When the blanket approval ends.
    pub until: Timestamp,
}

/// The end of a day in the zone of the service: the last instant of a blanket approval.
///
/// # Errors
/// 422 for a day that no calendar has.
pub fn end_of(day: Date) -> Result<Timestamp, WebError> {
    let next = day.tomorrow().and_then(|next| next.to_zoned(TimeZone::system()));
    let next = next.map_err(|error| WebError::refused("channel-until", format!("{day}: {error}.")))?;
    Ok(Timestamp::from_unix_ms(next.timestamp().as_millisecond()))
}

/// A channel by id.
///
/// # Errors
/// 404.
pub async fn find(app: &App, key: &str) -> Result<Channel, WebError> {
    let id: ChannelId = key.parse().map_err(|_| WebError::not_found(Noun::Channel, key))?;
    let found = app.store.channel(id).await?;
    found.ok_or_else(|| WebError::not_found(Noun::Channel, key))
}

/// Proposes a channel; it takes nothing before enough people have approved it.
///
/// # Errors
/// 403, 404, 409 for a release that is not out, 422 for one that is public and for anything that cannot be used.
pub async fn propose(app: &App, actor: &Actor, proposed: &Proposed) -> Result<Channel, WebError> {
    let reference = releases::find(app, &proposed.reference.to_string()).await?;
    actor.require_in(&reference.project, &[Role::Contributor], Scope::Release)?;
    model(&reference)?;
    check(app, proposed)?;
    let now = app.now();
    let mut channel = Channel {
        id: ChannelId::new(&*app.clock, &*app.entropy),
        project: reference.project.clone(),
        name: proposed.name.trim().to_owned(),
        state: ChannelState::Proposed,
        author: actor.user.id,
        reference: reference.id,
        runs: proposed.runs.trim().to_owned(),
        takes: proposed.takes,
        revision: proposed.revision.trim().to_owned(),
        until: proposed.until,
        digest: Sha256::of(""),
        approvals_needed: app.config.approvals,
        active_since: None,
        version: 1,
        created: now,
        updated: now,
    };
    channel.digest = digest(app, &channel, &reference);
    // Names that no Hub would take are refused now and not at the first checkpoint.
    let checkpoint = checkpoints::find(app, &reference.checkpoint.to_string()).await?;
    take::draft(app, &channel, &reference, &checkpoint).await?;
    let detail = json!({
        "name": channel.name, "reference": reference.id, "runs": channel.runs, "takes": channel.takes,
        "revision": channel.revision, "until": channel.until, "digest": channel.digest,
    });
    let audit = people::entry(app, actor, "channel.propose", &channel.id.to_string(), "done", detail);
    app.store.add_channel(&channel, &audit).await?;
    find(app, &channel.id.to_string()).await
}

/// What people approve: which checkpoints go where until when, like exactly which release.
fn digest(app: &App, channel: &Channel, reference: &Release) -> Sha256 {
    Sha256::of(canonical_json(&json!({
        "project": channel.project,
        "name": channel.name,
        "reference": { "id": reference.id, "digest": reference.digest },
        "runs": channel.runs,
        "takes": channel.takes,
        "revision": channel.revision,
        "until": channel.until,
        "endpoint": app.config.hub_endpoint.trim_end_matches('/'),
    })))
}

/// Only what is out, and private, is a model for others.
fn model(reference: &Release) -> Result<(), WebError> {
    if reference.state != ReleaseState::Published {
        let detail = format!(
            "A channel is modelled on a published release; \"{}\" is {}. Let one release take the whole road first.",
            reference.name, reference.state
        );
        let ja = format!(
            "包括承認の手本にできるのは公開済みのリリースだけです。「{}」はまだ公開されていません。先に1件を通常の手順で公開してください。",
            reference.name
        );
        return Err(WebError::conflict("wrong-state", detail).or_ja(ja));
    }
    if !is_private(reference) {
        let detail = format!(
            "\"{}\" is public. Only what goes to a private repository goes out by itself; each public release is approved by people.",
            reference.name
        );
        let ja = format!(
            "「{}」は一般公開です。自動公開できるのは非公開リポジトリだけです。一般公開するものは1件ずつ承認してください。",
            reference.name
        );
        return Err(WebError::refused("channel-public", detail).or_ja(ja));
    }
    Ok(())
}

fn is_private(release: &Release) -> bool {
    releases::target(release).is_some_and(|section| section.visibility == Visibility::Private)
}

fn check(app: &App, proposed: &Proposed) -> Result<(), WebError> {
    let (name, runs, revision) = (proposed.name.trim(), proposed.runs.trim(), proposed.revision.trim());
    if name.is_empty() || name.chars().count() > 60 || name.chars().any(char::is_control) {
        let detail = "A channel has a name of 1 to 60 visible characters.";
        return Err(WebError::refused("channel-name", detail)
            .or_ja("名前は1〜60文字の表示可能な文字で入力してください。"));
    }
    if runs.is_empty() || runs.chars().count() > 200 || runs.matches('*').count() > 4 {
        let detail =
            "Name the runs by a glob such as \"v4-8b-decay-*\": up to 200 characters, with at most four '*'.";
        let ja = "対象の実験は「v4-8b-decay-*」のような形で指定してください（200文字まで、「*」は4個まで）。";
        return Err(WebError::refused("channel-runs", detail).or_ja(ja));
    }
    let many = runs.contains(['*', '?']);
    let (by_run, by_step) = (revision.contains("{run}"), revision.contains("{step}"));
    if (many && !by_run) || (proposed.takes == ChannelTakes::Every && !by_step) || !(by_run || by_step) {
        let detail = format!(
            "revision = \"{revision}\" would send several checkpoints to one branch. Write {{run}} for the run's name and {{step}} for the step: \"{{run}}\", \"{{run}}-step{{step}}\"."
        );
        let ja = format!(
            "ブランチ名「{revision}」では複数のチェックポイントが同じブランチに公開されます。{{run}}（実験名）と{{step}}（ステップ）を使い、「{{run}}」「{{run}}-step{{step}}」のように指定してください。"
        );
        return Err(WebError::refused("channel-revision", detail).or_ja(ja));
    }
    let now = app.now();
    if proposed.until <= now || proposed.until > now.plus_seconds(LONGEST) {
        let detail = "A blanket approval ends on a day between tomorrow and one year from now.";
        let ja = "包括承認の期限は、明日から1年以内の日付を指定してください。";
        return Err(WebError::refused("channel-until", detail).or_ja(ja));
    }
    Ok(())
}

/// How many approvals a channel needs: as many as when it was proposed, and no fewer than the lab asks for today.
#[must_use]
pub fn needed(app: &App, channel: &Channel) -> u32 {
    channel.approvals_needed.max(app.config.approvals)
}

/// Whether people are asked to approve it: at first, and again when the lab has come to ask for more than there are, or when an
/// approver has left.
#[must_use]
pub fn waits_for_approval(app: &App, channel: &Channel, valid: usize) -> bool {
    match channel.state {
        ChannelState::Proposed => true,
        ChannelState::Active => valid < needed(app, channel) as usize,
        ChannelState::Ended => false,
    }
}

/// The approvals that count: of exactly this channel, by people who are approvers still and did not propose it.
///
/// # Errors
/// When the store fails.
pub async fn valid_approvals(app: &App, channel: &Channel) -> Result<Vec<Approval>, WebError> {
    let mut valid = app.store.channel_approvals(channel.id).await?;
    let mut approvers: Vec<UserId> = Vec::new();
    for approval in &valid {
        let user = app.store.user(approval.user).await?;
        if user.is_some_and(|user| user.has_in(&channel.project, Role::Approver)) {
            approvers.push(approval.user);
        }
    }
    valid.retain(|approval| {
        approval.digest == channel.digest
            && approval.user != channel.author
            && approvers.contains(&approval.user)
    });
    Ok(valid)
}
