use sekisho_domain::channel::ChannelState;
use sekisho_domain::user::{Role, Scope};
use sekisho_store::{Approval, ApprovalKind, Channel, StoreError};
use serde_json::json;

use super::valid_approvals;
use crate::service::{people, releases};
use crate::{Actor, App, WebError};

/// Gives the blanket approval, or one of the several that it needs. The same rules as for a release hold of who may; a refusal is on
/// record too.
///
/// # Errors
/// 403 for who may not, 409 unless it waits for approvals, 412 when it has changed.
pub async fn approve(
    app: &App,
    actor: &Actor,
    key: &str,
    version: u64,
    comment: &str,
) -> Result<Channel, WebError> {
    let mut channel = seen(app, key, version).await?;
    let id = channel.id.to_string();
    let may = releases::may_approve(actor, channel.author, &channel.project);
    people::on_record(app, actor, "channel.approve", &id, may).await?;
    let so_far = valid_approvals(app, &channel).await?;
    if !super::waits_for_approval(app, &channel, so_far.len()) {
        return Err(wrong_state(&channel, "approved"));
    }
    let now = app.now();
    if channel.until <= now {
        let detail = "The day on which this blanket approval would end has passed. Propose it anew.";
        let ja = "この包括承認の期限は過ぎています。もう一度申請してください。";
        return Err(WebError::conflict("channel-expired", detail).or_ja(ja));
    }
    if releases::are_enough(&so_far, actor.user.id, super::needed(app, &channel)) {
        channel.state = ChannelState::Active;
        channel.active_since.get_or_insert(now);
    }
    channel.updated = now;
    let approval = Approval {
        user: actor.user.id,
        user_name: actor.user.name.clone(),
        kind: ApprovalKind::Approval,
        digest: channel.digest,
        comment: comment.to_owned(),
        at: now,
    };
    let detail = json!({
        "state": channel.state, "digest": channel.digest,
        "link_made_by": releases::link_makers(app, actor).await?,
    });
    let audit = people::entry(app, actor, "channel.approve", &id, "done", detail);
    app.store.approve_channel(&channel, &approval, &audit).await?;
    super::find(app, key).await
}

/// Ends a channel: it takes nothing any more, and what is on its way stops before its next step. Its author may, and whoever
/// approves or publishes.
///
/// # Errors
/// 403, 409 when it has ended, 412 when it has changed.
pub async fn end(
    app: &App,
    actor: &Actor,
    key: &str,
    version: u64,
    comment: &str,
) -> Result<Channel, WebError> {
    let mut channel = seen(app, key, version).await?;
    let own = actor.user.id == channel.author;
    let roles = if own { &[Role::Contributor][..] } else { &[Role::Approver, Role::Publisher][..] };
    let may = actor.require_in(&channel.project, roles, Scope::Release);
    people::on_record(app, actor, "channel.end", &channel.id.to_string(), may).await?;
    if channel.state == ChannelState::Ended {
        return Err(wrong_state(&channel, "ended"));
    }
    channel.state = ChannelState::Ended;
    channel.updated = app.now();
    let detail = json!({ "reason": comment });
    let audit = people::entry(app, actor, "channel.end", &channel.id.to_string(), "done", detail);
    app.store.update_channel(&channel, &audit).await?;
    super::find(app, key).await
}

async fn seen(app: &App, key: &str, version: u64) -> Result<Channel, WebError> {
    let channel = super::find(app, key).await?;
    if channel.version == version { Ok(channel) } else { Err(StoreError::Stale.into()) }
}

fn wrong_state(channel: &Channel, done: &str) -> WebError {
    WebError::conflict("wrong-state", format!("The channel is {} and cannot be {done}.", channel.state))
        .or_ja("この操作は現在の状態ではできません。")
}
