//! Releases: proposing, judging, approving, publishing. The state machine is `sekisho_domain::release`; who may do what is here.

mod act;
mod content;
mod draft_card;
mod facts;
mod judge;
mod permit;
mod propose;
mod settings;
mod texts;

use sekisho_domain::ReleaseId;
use sekisho_domain::user::Role;
use sekisho_store::{Approval, Release};

use crate::{App, WebError};

pub use act::{COMMENTERS, act, comment, may_leave};
pub use content::{bundle, model_files};
pub use permit::holds;
pub use propose::{Proposal, edit, propose};
pub use texts::ANNOUNCEMENT;

/// A release by id.
///
/// # Errors
/// 404.
pub async fn find(app: &App, key: &str) -> Result<Release, WebError> {
    let id: ReleaseId = key.parse().map_err(|_| WebError::not_found(format_args!("release \"{key}\"")))?;
    let found = app.store.release(id).await?;
    found.ok_or_else(|| WebError::not_found(format_args!("release \"{key}\"")))
}

/// The approvals that count: of exactly this content, one per person, each by somebody who is an approver still.
///
/// # Errors
/// When the store fails.
pub async fn valid_approvals(app: &App, release: &Release) -> Result<Vec<Approval>, WebError> {
    let mut valid = Vec::new();
    for approval in app.store.valid_approvals(release.id).await? {
        let user = app.store.user(approval.user).await?;
        if user.is_some_and(|user| user.has(Role::Approver)) {
            valid.push(approval);
        }
    }
    Ok(valid)
}

/// Where a release is to go, as its lineage file says.
#[must_use]
pub fn target(release: &Release) -> Option<sekisho_domain::lineage::ReleaseSection> {
    content::lineage(&release.lineage).ok().map(|(_, section)| section)
}
