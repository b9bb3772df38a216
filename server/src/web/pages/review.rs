//! Which actions on a release a person is offered, and why not the others. The service decides again when one is sent.

use sekisho_domain::release::{ReleaseAction, ReleaseState};
use sekisho_domain::user::Role;
use sekisho_store::{Approval, Release, User};

use crate::service::releases::Leave;
use crate::web::i18n::Words as _;

/// A button, or the reason why there is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Offer {
    pub(super) action: ReleaseAction,
    pub(super) label: &'static str,
    /// The next step on the road; the others turn back or end it.
    pub(super) is_forward: bool,
    /// Why it is not offered.
    pub(super) reason: Option<&'static str>,
}

/// The road of a release that goes well.
pub(super) const ROAD: [ReleaseState; 7] = [
    ReleaseState::Draft,
    ReleaseState::Frozen,
    ReleaseState::PolicyChecked,
    ReleaseState::InReview,
    ReleaseState::Approved,
    ReleaseState::Publishing,
    ReleaseState::Published,
];

/// What people do, in the order of the buttons.
const ACTIONS: [ReleaseAction; 7] = [
    ReleaseAction::Freeze,
    ReleaseAction::Request,
    ReleaseAction::Approve,
    ReleaseAction::Publish,
    ReleaseAction::Return,
    ReleaseAction::Reject,
    ReleaseAction::Withdraw,
];

/// What decides, besides the release itself and who looks at it.
#[derive(Clone, Copy)]
pub(super) struct Ground<'f> {
    /// Approvals that count.
    pub(super) valid: &'f [Approval],
    /// How it may leave its place.
    pub(super) leave: Leave,
    /// Who approved does not publish.
    pub(super) separate: bool,
    /// There is no token to publish with.
    pub(super) no_hub: bool,
}

/// The actions that the release's state and its publication allow: forward ones always, with the reason where this person may not;
/// the others only for those who may.
pub(super) fn offers(
    lang: sekisho_domain::Language,
    user: Option<&User>,
    release: &Release,
    ground: &Ground<'_>,
) -> Vec<Offer> {
    let leave = ground.leave;
    ACTIONS
        .into_iter()
        .filter(|action| ReleaseState::sources(*action).contains(&release.state))
        .filter(|action| leave.allows(*action) || (*action == ReleaseAction::Publish && leave != Leave::Back))
        .map(|action| Offer {
            action,
            is_forward: matches!(
                action,
                ReleaseAction::Freeze
                    | ReleaseAction::Request
                    | ReleaseAction::Approve
                    | ReleaseAction::Publish
            ),
            label: lang.t(label(release, action)),
            reason: hindrance(user, release, ground, action).map(|key| lang.t(key)),
        })
        .filter(|offer| offer.is_forward || offer.reason.is_none())
        .collect()
}

/// The catalogue key of what a button says.
fn label(release: &Release, action: ReleaseAction) -> &'static str {
    match action {
        ReleaseAction::Freeze => "release_action.freeze",
        ReleaseAction::Request => "release_action.request",
        ReleaseAction::Approve => "release_action.approve",
        // What has begun already goes on.
        ReleaseAction::Publish if release.state == ReleaseState::Publishing => "release.go_on",
        ReleaseAction::Publish => "release_action.publish",
        ReleaseAction::Return => "release_action.return",
        ReleaseAction::Reject => "release_action.reject",
        _ => "release_action.withdraw",
    }
}

/// The catalogue key of what stands in the way. Roles hold everywhere or in the release's project; an admin has every one but approver.
fn hindrance(
    user: Option<&User>,
    release: &Release,
    ground: &Ground<'_>,
    action: ReleaseAction,
) -> Option<&'static str> {
    let Some(user) = user else { return Some("action.sign_in") };
    let own = user.id == release.author;
    let approved = ground.valid.iter().any(|approval| approval.user == user.id);
    let approver = user.has_in(&release.project, Role::Approver);
    let has = |role| user.has_in(&release.project, role) || user.has(Role::Admin);
    let refused = release.decision.as_ref().is_some_and(|d| d["verdict"] == "refused");
    match action {
        ReleaseAction::Approve if own => Some("action.own_release"),
        ReleaseAction::Approve if approved => Some("action.approved_already"),
        ReleaseAction::Approve | ReleaseAction::Return | ReleaseAction::Reject => {
            (!approver).then_some("action.needs_approver")
        }
        ReleaseAction::Request if refused => Some("action.refused"),
        ReleaseAction::Publish if !has(Role::Publisher) => Some("action.needs_publisher"),
        ReleaseAction::Publish if ground.no_hub => Some("error_detail.hub-token-missing"),
        ReleaseAction::Publish => (ground.separate && approved).then_some("error_detail.own-approval"),
        ReleaseAction::Withdraw if !own => Some("action.not_author"),
        _ => (!has(Role::Contributor)).then_some("action.needs_contributor"),
    }
}

#[cfg(test)]
mod tests {
    use sekisho_domain::Language;

    use super::super::fixtures;
    use super::*;

    fn ground(valid: &[Approval], leave: Leave) -> Ground<'_> {
        Ground { valid, leave, separate: true, no_hub: false }
    }

    fn check(user: Option<&User>, release: &Release, expected: &[(ReleaseAction, Option<&'static str>)]) {
        let found: Vec<_> = offers(Language::En, user, release, &ground(&[], Leave::Freely))
            .into_iter()
            .map(|o| (o.action, o.reason))
            .collect();
        let expected: Vec<_> =
            expected.iter().map(|(a, key)| (*a, key.map(|key| Language::En.t(key)))).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn nobody_is_offered_to_approve_what_they_proposed() {
        let release = fixtures::release();
        let author = fixtures::user("mori", release.author, &[Role::Contributor, Role::Approver]);
        let approver = fixtures::user("ueda", fixtures::id("ueda"), &[Role::Approver]);
        check(
            Some(&author),
            &release,
            &[
                (ReleaseAction::Approve, Some("action.own_release")),
                (ReleaseAction::Return, None),
                (ReleaseAction::Reject, None),
                (ReleaseAction::Withdraw, None),
            ],
        );
        check(
            Some(&approver),
            &release,
            &[(ReleaseAction::Approve, None), (ReleaseAction::Return, None), (ReleaseAction::Reject, None)],
        );
        check(None, &release, &[(ReleaseAction::Approve, Some("action.sign_in"))]);
        let admin = fixtures::user("admin", fixtures::id("admin"), &[Role::Admin]);
        check(Some(&admin), &release, &[(ReleaseAction::Approve, Some("action.needs_approver"))]);
    }

    #[test]
    fn what_is_on_its_way_goes_on_or_back() {
        let mut release = fixtures::release();
        release.state = ReleaseState::Publishing;
        let everybody = [Role::Contributor, Role::Approver, Role::Publisher];
        let author = fixtures::user("mori", release.author, &everybody);
        let offered = |leave: Leave| -> Vec<ReleaseAction> {
            let offers = offers(Language::En, Some(&author), &release, &ground(&[], leave));
            offers.into_iter().map(|offer| offer.action).collect()
        };
        let all = [ReleaseAction::Publish, ReleaseAction::Return, ReleaseAction::Withdraw];
        assert_eq!(offered(Leave::Freely), all);
        assert_eq!(offered(Leave::Back), [ReleaseAction::Return], "its permit is void");
        assert_eq!(offered(Leave::Committed), [ReleaseAction::Publish]);
        assert_eq!(offered(Leave::Running), [ReleaseAction::Publish]);
    }

    #[test]
    fn a_role_counts_in_its_project_alone() {
        let release = fixtures::release();
        let of = |project: &str| {
            let mut user = fixtures::user("ueda", fixtures::id("ueda"), &[]);
            user.projects.insert(project.to_owned(), vec![Role::Approver]);
            user
        };
        let needed = Some("action.needs_approver");
        check(Some(&of("another")), &release, &[(ReleaseAction::Approve, needed)]);
        let offered = [ReleaseAction::Approve, ReleaseAction::Return, ReleaseAction::Reject];
        check(Some(&of(&release.project)), &release, &offered.map(|action| (action, None)));
    }

    #[test]
    fn nobody_is_offered_what_would_be_refused_at_the_last_step() {
        let mut release = fixtures::release();
        release.state = ReleaseState::Approved;
        let publisher = fixtures::user("hayashi", fixtures::id("hayashi"), &[Role::Publisher]);
        let valid: Vec<Approval> =
            fixtures::approvals(&release).into_iter().filter(|a| a.user == publisher.id).collect();
        assert_eq!(valid.len(), 1);
        let reason = |user: &User, ground: &Ground<'_>| {
            let offers = offers(Language::En, Some(user), &release, ground);
            offers.iter().find(|offer| offer.action == ReleaseAction::Publish).and_then(|offer| offer.reason)
        };
        let ground = ground(&valid, Leave::Freely);
        assert_eq!(reason(&publisher, &ground), Some(Language::En.t("error_detail.own-approval")));
        assert_eq!(reason(&publisher, &Ground { separate: false, ..ground }), None);
        assert_eq!(reason(&publisher, &Ground { valid: &[], ..ground }), None);
        let without = Ground { valid: &[], no_hub: true, ..ground };
        assert_eq!(reason(&publisher, &without), Some(Language::En.t("error_detail.hub-token-missing")));
        let stranger = fixtures::user("mori", fixtures::id("mori"), &[Role::Contributor]);
        assert_eq!(reason(&stranger, &without), Some(Language::En.t("action.needs_publisher")));
    }
}
