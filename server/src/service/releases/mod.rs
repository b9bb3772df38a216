//! Releases: proposing, judging, approving, publishing. The state machine is `sekisho_domain::release`; who may do what is here.

mod act;
mod content;
mod draft_card;
mod facts;
mod judge;
mod leave;
mod permit;
mod propose;
mod settings;
mod texts;

use std::collections::{BTreeSet, HashMap};

use sekisho_domain::user::Role;
use sekisho_domain::{ReleaseId, UserId};
use sekisho_store::{Approval, Release};

use crate::{App, Noun, WebError};

pub use act::{COMMENTERS, act, comment};
pub use content::{bundle, model_files, place};
pub use leave::{Leave, leave};
pub use permit::holds;
pub use propose::{Proposal, edit, propose};
pub use texts::ANNOUNCEMENT;

/// A release by id.
///
/// # Errors
/// 404.
pub async fn find(app: &App, key: &str) -> Result<Release, WebError> {
    let id: ReleaseId = key.parse().map_err(|_| WebError::not_found(Noun::Release, key))?;
    let found = app.store.release(id).await?;
    found.ok_or_else(|| WebError::not_found(Noun::Release, key))
}

/// The approvals that count: of exactly this content, one per person, each by somebody who is an approver still.
///
/// # Errors
/// When the store fails.
pub async fn valid_approvals(app: &App, release: &Release) -> Result<Vec<Approval>, WebError> {
    let mut valid = valid_approvals_of(app, std::slice::from_ref(release)).await?;
    Ok(valid.remove(&release.id).unwrap_or_default())
}

/// The same of several releases, in a fixed number of queries; releases without an approval that counts may be absent.
///
/// # Errors
/// When the store fails.
pub async fn valid_approvals_of(
    app: &App,
    releases: &[Release],
) -> Result<HashMap<ReleaseId, Vec<Approval>>, WebError> {
    let ids: Vec<ReleaseId> = releases.iter().map(|release| release.id).collect();
    let mut valid = app.store.valid_approvals(&ids).await?;
    let users = app.store.users().await?.into_iter();
    let approvers: BTreeSet<UserId> =
        users.filter(|user| user.has(Role::Approver)).map(|user| user.id).collect();
    for approvals in valid.values_mut() {
        approvals.retain(|approval| approvers.contains(&approval.user));
    }
    Ok(valid)
}

/// Where a release is to go, as its lineage file says.
#[must_use]
pub fn target(release: &Release) -> Option<sekisho_domain::lineage::ReleaseSection> {
    content::lineage(&release.lineage).ok().map(|(_, section)| section)
}
