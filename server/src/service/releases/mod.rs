//! Releases: proposing, judging, approving, publishing. The state machine is `sekisho_domain::release`; who may do what is here.

mod act;
mod against;
mod alike;
mod ancestors;
mod announcement;
mod base;
mod break_glass;
mod card;
mod card_extras;
mod card_sources;
mod contaminated;
mod content;
mod export;
mod facts;
mod judge;
mod learning_curve;
mod leave;
mod permit;
mod plan;
mod prepare;
mod propose;
mod record;
mod rejudge;
mod revise;
mod schedule;
mod science;
mod settings;
mod texts;
mod weights;
mod yank;

use std::collections::HashMap;

use sekisho_domain::lineage::Waiver;
use sekisho_domain::user::Role;
use sekisho_domain::{ReleaseId, UserId};
use sekisho_policy::LineageGraph;
use sekisho_store::{Approval, ApprovalKind, Release, User};

use crate::{App, Noun, WebError};

pub use act::{COMMENTERS, act, are_enough, comment, has_hub, link_makers, may_approve};
pub use against::{AgainstPublished, TaskDifference, against_published};
pub use alike::alike;
pub use ancestors::{ancestors, models_out_of, out_of, tokens_of};
pub use announcement::check_announcement;
pub use card::{edit_card, editable};
pub use content::{bundle, model_files, place, released_files};
pub use export::{Export, Piece, export, may_export, note_export};
pub use facts::texts;
pub use judge::{begin, judge_facts, leave_channel, today};
pub use leave::{Leave, leave};
pub use permit::holds;
pub use plan::plan;
pub use prepare::{not_prepared, prepare};
pub use propose::{Proposal, edit, propose};
pub use rejudge::{rejudge, under, would_be_allowed};
pub use revise::revise;
pub use schedule::{begin_scheduled, due, schedule};
pub(crate) use science::without_places;
pub use settings::superseded_by;
pub use texts::ANNOUNCEMENT;
pub use weights::clear_prepared;
pub use yank::{is_pending, resume, superseded_card, tombstone, yank};

/// A release by id.
///
/// # Errors
/// 404.
pub async fn find(app: &App, key: &str) -> Result<Release, WebError> {
    let id: ReleaseId = key.parse().map_err(|_| WebError::not_found(Noun::Release, key))?;
    let found = app.store.release(id).await?;
    found.ok_or_else(|| WebError::not_found(Noun::Release, key))
}

/// How many approvals a release needs: as many as when it was proposed, and no fewer than the lab asks for today.
#[must_use]
pub fn needed(app: &App, release: &Release) -> u32 {
    release.approvals_needed.max(app.config.approvals)
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
    let users: HashMap<UserId, User> =
        app.store.users().await?.into_iter().map(|user| (user.id, user)).collect();
    for release in releases {
        let is_approver =
            |user: &UserId| users.get(user).is_some_and(|user| user.has_in(&release.project, Role::Approver));
        if let Some(approvals) = valid.get_mut(&release.id) {
            approvals
                .retain(|approval| approval.kind == ApprovalKind::Approval && is_approver(&approval.user));
        }
    }
    Ok(valid)
}

/// The decision of one person alone that lets exactly this content out, if there is one: while break-glass is allowed at all, and by
/// somebody who is an admin still.
///
/// # Errors
/// When the store fails.
pub async fn broken_glass(app: &App, release: &Release) -> Result<Option<Approval>, WebError> {
    if !app.config.break_glass {
        return Ok(None);
    }
    let of_content = app.store.valid_approvals(&[release.id]).await?.remove(&release.id).unwrap_or_default();
    for approval in of_content.into_iter().filter(|approval| approval.kind == ApprovalKind::BreakGlass) {
        if app.store.user(approval.user).await?.is_some_and(|user| user.has(Role::Admin)) {
            return Ok(Some(approval));
        }
    }
    Ok(None)
}

/// The decisions of the lab that its lineage file records.
#[must_use]
pub fn waivers(release: &Release) -> Vec<Waiver> {
    content::lineage(&release.lineage).map(|(file, _)| file.waivers).unwrap_or_default()
}

/// The lineage as a picture's nodes and edges.
///
/// # Errors
/// When the store fails.
pub async fn lineage_graph(app: &App, release: &Release) -> Result<LineageGraph, WebError> {
    let mut facts = facts::of_lineage(app, release).await?;
    facts.registry = Some(crate::service::corpora::registry(app).await?);
    Ok(sekisho_policy::graph(&facts, &app.policy))
}

/// Where a release is to go, as its lineage file says.
#[must_use]
pub fn target(release: &Release) -> Option<sekisho_domain::lineage::ReleaseSection> {
    content::lineage(&release.lineage).ok().map(|(_, section)| section)
}
