use sekisho_domain::release::{ReleaseAction, ReleaseState};
use sekisho_store::Release;

use super::permit;
use crate::{App, WebError};

/// How a release may leave its place on the road, apart from going on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Leave {
    /// In every way that its state allows: nothing of what was approved is on the Hub.
    Freely,
    /// Back to draft alone. Its commit is on the Hub, or may be, so it cannot end here; and its permit is void, so it cannot go
    /// on either.
    Back,
    /// Not while it is being published.
    Running,
    /// Not any more: its commit is on the Hub, or may be, and the publication can go on.
    Committed,
}

impl Leave {
    /// Whether this action is one of these ways.
    #[must_use]
    pub fn allows(self, action: ReleaseAction) -> bool {
        match self {
            Self::Freely => true,
            Self::Back => matches!(action, ReleaseAction::Return | ReleaseAction::Edit),
            Self::Running | Self::Committed => false,
        }
    }
}

/// How a release may leave its place at this moment.
///
/// # Errors
/// When the store fails, or the permit cannot be looked at.
pub async fn leave(app: &App, release: &Release) -> Result<Leave, WebError> {
    if release.state != ReleaseState::Publishing {
        return Ok(Leave::Freely);
    }
    if app.publish.holds(release.id) {
        return Ok(Leave::Running);
    }
    let commits = app.store.hub_commits(release.id).await?;
    if !commits.iter().any(|commit| Some(commit.digest) == release.digest) {
        return Ok(Leave::Freely);
    }
    match permit::holds(app, release).await {
        Err(void) if void.status.is_client_error() => Ok(Leave::Back),
        held => held.map(|()| Leave::Committed),
    }
}

/// Refuses an action by which a release would leave its place when it may not.
///
/// # Errors
/// 409 while a publication runs, or when its commit is on the Hub or may be.
pub(super) async fn check(app: &App, release: &Release, action: ReleaseAction) -> Result<(), WebError> {
    match leave(app, release).await? {
        way if way.allows(action) => Ok(()),
        Leave::Running => {
            let detail = "This release is being published at this moment. Wait until it stops or is out.";
            let ja = "現在、公開処理の途中です。停止または完了するまでお待ちください。";
            Err(WebError::conflict("publishing-now", detail).or_ja(ja))
        }
        Leave::Back => {
            let detail = "The commit of this release is on the Hub already, or may be, and its permit is void. Return it to draft, or edit it.";
            let ja = "このリリースのコミットがHubにあるか、ある可能性があり、承認も無効になっています。差し戻すか、内容を編集してください。";
            Err(WebError::conflict("publishing-committed", detail).or_ja(ja))
        }
        Leave::Freely | Leave::Committed => {
            let detail =
                "The commit of this release is on the Hub already, or may be. Resume the publication.";
            let ja = "このリリースのコミットがHubにあるか、ある可能性があります。公開を再開してください。";
            Err(WebError::conflict("publishing-committed", detail).or_ja(ja))
        }
    }
}
