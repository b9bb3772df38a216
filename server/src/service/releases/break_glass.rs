//! One person alone lets a release out, because a lab has nobody else or an hour matters. It needs a reason, a sign-in in person and
//! the policy's consent, and it is recorded as what it is.

use sekisho_domain::release::ReleaseAction;
use sekisho_domain::user::{Role, Scope};
use sekisho_store::{ApprovalKind, Release};

use super::act;
use crate::{Actor, App, Proof, WebError};

pub(super) fn permitted(actor: &Actor) -> Result<(), WebError> {
    if matches!(actor.proof, Proof::Token { .. }) {
        let detail =
            "A stored token never breaks the glass. Sign in in the browser, or with `sekisho login`.";
        return Err(WebError::forbidden("token-cannot-approve", detail));
    }
    if actor.makers().contains(&actor.user.id) {
        let detail = "This sign-in came from a link that your own stored token made; a stored token never approves. Sign in with your password, or ask another admin for a link.";
        let ja = "このログインに使ったリンクは、本人の保存済みトークンから発行されたものです。保存済みトークンによる承認はできません。パスワードでログインするか、別の管理者にリンクの発行を依頼してください。";
        return Err(WebError::forbidden("link-cannot-approve", detail).or_ja(ja));
    }
    actor.require(&[Role::Admin], Scope::Admin)
}

pub(super) async fn decide(
    app: &App,
    actor: &Actor,
    mut release: Release,
    reason: &str,
) -> Result<Release, WebError> {
    if !app.config.break_glass {
        let detail = "Break-glass is switched off here ([review] break_glass = false).";
        return Err(WebError::forbidden("break-glass-off", detail));
    }
    if reason.trim().chars().count() < 10 {
        let detail = "Say why this release goes out without the approvals it needs, in at least 10 characters; the reason stays with it.";
        let ja = "必要な承認なしで公開する理由を10文字以上で入力してください。理由は記録に残ります。";
        return Err(WebError::bad_request("comment-missing", detail).or_ja(ja));
    }
    release.state = release.state.after(ReleaseAction::BreakGlass, true)?;
    release.updated = app.now();
    let approval = act::approval(app, actor, &release, ApprovalKind::BreakGlass, reason)?;
    let mut audit = act::audit(app, actor, &release, ReleaseAction::BreakGlass);
    audit.detail["reason"] = reason.into();
    audit.detail["own_release"] = (actor.user.id == release.author).into();
    audit.detail["link_made_by"] = act::link_makers(app, actor).await?;
    app.store.approve(&release, &approval, &audit).await?;
    super::find(app, &release.id.to_string()).await
}
