use std::collections::BTreeSet;

use sekisho_domain::release::{ReleaseAction, ReleaseState};
use sekisho_domain::user::{Role, Scope};
use sekisho_domain::{ReleaseId, Sha256, UserId};
use sekisho_store::{Approval, ApprovalKind, Comment, Release};

use super::{break_glass, judge, leave, permit, valid_approvals, weights};
use crate::service::people;
use crate::{Actor, App, Proof, WebError};

/// Does one action on a release that is still at `version`. Every action leaves an audit entry, a refused approval too.
///
/// # Errors
/// 404; 412 when the release has changed; 403 for who may not; 409 in the wrong state.
pub async fn act(
    app: &App,
    actor: &Actor,
    id: ReleaseId,
    version: u64,
    action: ReleaseAction,
    comment: &str,
) -> Result<Release, WebError> {
    let done = take(app, actor, id, version, action, comment).await;
    people::on_record(app, actor, &name(action), &id.to_string(), done).await
}

async fn take(
    app: &App,
    actor: &Actor,
    id: ReleaseId,
    version: u64,
    action: ReleaseAction,
    comment: &str,
) -> Result<Release, WebError> {
    let release = super::find(app, &id.to_string()).await?;
    if release.version != version {
        return Err(sekisho_store::StoreError::Stale.into());
    }
    permitted(actor, &release, action)?;
    let release = match action {
        ReleaseAction::Freeze => judge::freeze(app, actor, release, comment).await?,
        ReleaseAction::Request => request(app, actor, release, comment).await?,
        ReleaseAction::Approve => approve(app, actor, release, comment).await?,
        ReleaseAction::BreakGlass => break_glass::decide(app, actor, release, comment).await?,
        ReleaseAction::Return | ReleaseAction::Reject if comment.trim().is_empty() => {
            let detail = "Say why: a returned or rejected release carries a comment for its author.";
            return Err(WebError::bad_request("comment-missing", detail));
        }
        ReleaseAction::Return | ReleaseAction::Reject | ReleaseAction::Withdraw => {
            leave::check(app, &release, action).await?;
            step(app, actor, release, action, comment).await?
        }
        ReleaseAction::Publish => publish(app, actor, release, comment).await?,
        ReleaseAction::Yank => {
            let detail = "A yank says how far it goes; use the yank form, `sekisho release yank`, or POST …/yank with \"extent\".";
            return Err(WebError::bad_request("extent-missing", detail));
        }
        ReleaseAction::Check
        | ReleaseAction::Admit
        | ReleaseAction::Rejudge
        | ReleaseAction::Complete
        | ReleaseAction::Edit
        | ReleaseAction::Supersede => {
            let detail = format!("\"{action}\" is not something a person does here.");
            return Err(WebError::bad_request("action", detail));
        }
    };
    app.events.publish(format!("release:{id}"), "state");
    Ok(release)
}

/// Who may comment.
pub const COMMENTERS: [Role; 5] =
    [Role::Contributor, Role::Approver, Role::Publisher, Role::Evaluator, Role::Admin];

/// Adds a comment without touching the release.
///
/// # Errors
/// 403, or when the store fails.
pub async fn comment(app: &App, actor: &Actor, id: ReleaseId, text: &str) -> Result<(), WebError> {
    let release = super::find(app, &id.to_string()).await?;
    let may = actor.require_in(&release.project, &COMMENTERS, Scope::Release);
    people::on_record(app, actor, "release.comment", &id.to_string(), may).await?;
    if text.trim().is_empty() {
        return Err(WebError::bad_request("comment-empty", "The comment is empty."));
    }
    let audit =
        people::entry(app, actor, "release.comment", &id.to_string(), "done", serde_json::Value::Null);
    app.store.add_comment(id, &words(app, actor, "comment", text), &audit).await?;
    app.events.publish(format!("release:{id}"), "state");
    Ok(())
}

fn name(action: ReleaseAction) -> String {
    format!("release.{action}")
}

/// Nobody approves what they proposed, and a stored token approves nothing: neither by itself nor by a link that it made for its own
/// account or for somebody to approve what its account proposed.
///
/// # Errors
/// 403 with the rule.
pub fn may_approve(actor: &Actor, author: UserId, project: &str) -> Result<(), WebError> {
    if matches!(actor.proof, Proof::Token { .. }) {
        let detail = "A stored token never approves, returns or rejects. Sign in in the browser.";
        return Err(WebError::forbidden("token-cannot-approve", detail));
    }
    if actor.user.id == author {
        let detail = "You proposed this yourself; somebody else approves it.";
        return Err(WebError::forbidden("own-release", detail));
    }
    let makers = actor.makers();
    if makers.contains(&author) || makers.contains(&actor.user.id) {
        let detail = "This sign-in came from a link that a stored token of the author, or your own, led to; a stored token never approves. Ask another admin for a link.";
        let ja = "このログインに使ったリンクは、起案者または本人の保存済みトークンから発行されたものです。保存済みトークンによる承認はできません。別の管理者にリンクの発行を依頼してください。";
        return Err(WebError::forbidden("link-cannot-approve", detail).or_ja(ja));
    }
    actor.require_in(project, &[Role::Approver], Scope::Release)
}

/// Who may do what.
pub(super) fn permitted(actor: &Actor, release: &Release, action: ReleaseAction) -> Result<(), WebError> {
    let own = actor.user.id == release.author;
    match action {
        ReleaseAction::Approve => may_approve(actor, release.author, &release.project),
        ReleaseAction::Return | ReleaseAction::Reject => {
            if matches!(actor.proof, Proof::Token { .. }) {
                let detail = "A stored token never approves, returns or rejects. Sign in in the browser.";
                return Err(WebError::forbidden("token-cannot-approve", detail));
            }
            actor.require_in(&release.project, &[Role::Approver], Scope::Release)
        }
        ReleaseAction::Withdraw if !own => Err(WebError::forbidden(
            "not-author",
            "Only the author withdraws a release; an approver returns or rejects it.",
        )),
        ReleaseAction::BreakGlass => break_glass::permitted(actor),
        ReleaseAction::Publish | ReleaseAction::Yank => {
            actor.require_in(&release.project, &[Role::Publisher], Scope::Publish)
        }
        _ => actor.require_in(&release.project, &[Role::Contributor], Scope::Release),
    }
}

async fn request(app: &App, actor: &Actor, release: Release, comment: &str) -> Result<Release, WebError> {
    let verdict = release.decision.as_ref().and_then(|d| d["verdict"].as_str());
    if verdict == Some("refused") {
        let detail = "The policy refuses this release; see its violations. Mend the lineage or the card, and freeze it again.";
        return Err(WebError::forbidden("policy-refused", detail));
    }
    step(app, actor, release, ReleaseAction::Request, comment).await
}

/// Whether the approvals so far and one more person's make as many as are needed. A person counts once.
#[must_use]
pub fn are_enough(so_far: &[Approval], one_more: UserId, needed: u32) -> bool {
    let people: BTreeSet<UserId> = so_far.iter().map(|approval| approval.user).chain([one_more]).collect();
    people.len() >= needed as usize
}

async fn approve(app: &App, actor: &Actor, mut release: Release, comment: &str) -> Result<Release, WebError> {
    let so_far = valid_approvals(app, &release).await?;
    let enough = are_enough(&so_far, actor.user.id, super::needed(app, &release));
    release.state = release.state.after(ReleaseAction::Approve, enough)?;
    release.updated = app.now();
    let approval = approval(app, actor, &release, ApprovalKind::Approval, comment)?;
    let mut audit = audit(app, actor, &release, ReleaseAction::Approve);
    audit.detail["link_made_by"] = link_makers(app, actor).await?;
    app.store.approve(&release, &approval, &audit).await?;
    super::find(app, &release.id.to_string()).await
}

/// What somebody signs: the digest of the release as it is now.
pub(super) fn approval(
    app: &App,
    actor: &Actor,
    release: &Release,
    kind: ApprovalKind,
    comment: &str,
) -> Result<Approval, WebError> {
    let Some(digest) = release.digest else {
        return Err(WebError::internal("a release in review has no digest"));
    };
    let (user, user_name) = (actor.user.id, actor.user.name.clone());
    Ok(Approval { user, user_name, kind, digest, comment: comment.to_owned(), at: app.now() })
}

/// The names of the accounts whose tokens led to an approver's sign-in: empty when the service itself made the link.
///
/// # Errors
/// When the store fails.
pub async fn link_makers(app: &App, actor: &Actor) -> Result<serde_json::Value, WebError> {
    Ok(people::names(app, &actor.makers()).await?.into())
}

async fn publish(app: &App, actor: &Actor, release: Release, comment: &str) -> Result<Release, WebError> {
    has_hub(app)?;
    // The state first: what is not approved at all is told so.
    release.state.after(ReleaseAction::Publish, false)?;
    separate(app, actor, &release).await?;
    if app.publish.holds(release.id) {
        // A second press must not disturb the publication that it asks for.
        return Ok(release);
    }
    permit::holds(app, &release).await?;
    let release = step(app, actor, release, ReleaseAction::Publish, comment).await?;
    app.publish.send(release.id);
    Ok(release)
}

/// There is a Hub to publish to.
///
/// # Errors
/// 409.
pub fn has_hub(app: &App) -> Result<(), WebError> {
    if app.config.hub_token_file.is_some() {
        return Ok(());
    }
    let detail = "No Hub token is configured; nothing was published. Set [hub] token_file in sekisho.toml to a file with a write token.";
    Err(WebError::conflict("hub-token-missing", detail))
}

/// Who approved a release does not let it out as well, where the configuration separates the two.
pub(super) async fn separate(app: &App, actor: &Actor, release: &Release) -> Result<(), WebError> {
    let approved = valid_approvals(app, release).await?;
    if app.config.separate_publisher && approved.iter().any(|approval| approval.user == actor.user.id) {
        let detail = "You approved this release; somebody else publishes it. A lab that does not separate the two sets [review] separate_publisher = false.";
        return Err(WebError::forbidden("own-approval", detail));
    }
    Ok(())
}

/// One transition with its audit entry, and its comment if there is one.
pub(super) async fn step(
    app: &App,
    actor: &Actor,
    mut release: Release,
    action: ReleaseAction,
    comment: &str,
) -> Result<Release, WebError> {
    release.state = release.state.after(action, false)?;
    let mut made = None;
    if release.state == ReleaseState::Draft {
        release.decision = None;
        release.digest = None;
        release.publish_at = None;
        release.channel = None;
        release.generated.clear();
        made = release.prepared.take();
    }
    let release = write(app, actor, release, action, comment).await?;
    if let Some(made) = made {
        weights::discard(app, &made).await?;
    }
    Ok(release)
}

/// Writes a release that has taken its step.
pub(super) async fn write(
    app: &App,
    actor: &Actor,
    mut release: Release,
    action: ReleaseAction,
    comment: &str,
) -> Result<Release, WebError> {
    release.updated = app.now();
    let text = (!comment.trim().is_empty()).then(|| words(app, actor, action.as_str(), comment));
    let audit = audit(app, actor, &release, action);
    app.store.update_release(&release, &audit, text.as_ref()).await?;
    super::find(app, &release.id.to_string()).await
}

pub(super) fn audit(
    app: &App,
    actor: &Actor,
    release: &Release,
    action: ReleaseAction,
) -> sekisho_store::AuditEntry {
    let digest: Option<Sha256> = release.digest;
    // What the actor was allowed by, and what the policy was, as of this moment.
    let roles: Vec<Role> =
        Role::ALL.iter().copied().filter(|role| actor.user.has_in(&release.project, *role)).collect();
    let policy = release.decision.as_ref().map(|decision| {
        let part = |name: &str| decision["policy"][name].as_str().unwrap_or_default().to_owned();
        format!("{} {}", part("name"), part("version"))
    });
    let detail =
        serde_json::json!({ "state": release.state, "digest": digest, "roles": roles, "policy": policy });
    people::entry(app, actor, &name(action), &release.id.to_string(), "done", detail)
}

fn words(app: &App, actor: &Actor, action: &str, text: &str) -> Comment {
    Comment {
        user: actor.user.id,
        user_name: actor.user.name.clone(),
        action: action.to_owned(),
        text: text.to_owned(),
        at: app.now(),
    }
}
