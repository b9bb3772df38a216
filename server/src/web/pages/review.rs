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

/// The actions that the release's state and its publication allow: forward ones always, with the reason where this person may not;
/// the others only for those who may.
pub(super) fn offers(
    lang: sekisho_domain::Language,
    user: Option<&User>,
    release: &Release,
    valid: &[Approval],
    leave: Leave,
) -> Vec<Offer> {
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
            reason: hindrance(user, release, valid, action).map(|key| lang.t(key)),
        })
        .filter(|offer| offer.is_forward || offer.reason.is_none())
        .collect()
}

/// The catalogue key of what stands in the way.
fn hindrance(
    user: Option<&User>,
    release: &Release,
    valid: &[Approval],
    action: ReleaseAction,
) -> Option<&'static str> {
    let Some(user) = user else { return Some("action.sign_in") };
    let own = user.id == release.author;
    let admin = user.has(Role::Admin);
    let refused = release.decision.as_ref().is_some_and(|d| d["verdict"] == "refused");
    match action {
        ReleaseAction::Approve if own => Some("action.own_release"),
        ReleaseAction::Approve if valid.iter().any(|a| a.user == user.id) => Some("action.approved_already"),
        ReleaseAction::Approve | ReleaseAction::Return | ReleaseAction::Reject => {
            (!user.has(Role::Approver)).then_some("action.needs_approver")
        }
        ReleaseAction::Request if refused => Some("action.refused"),
        ReleaseAction::Publish => (!user.has(Role::Publisher) && !admin).then_some("action.needs_publisher"),
        ReleaseAction::Withdraw => (!own).then_some("action.not_author"),
        _ => (!user.has(Role::Contributor) && !admin).then_some("action.needs_contributor"),
    }
}

#[cfg(test)]
mod tests {
    use sekisho_domain::Language;

    use super::super::fixtures;
    use super::*;

    fn check(user: Option<&User>, release: &Release, expected: &[(ReleaseAction, Option<&'static str>)]) {
        let found: Vec<_> = offers(Language::En, user, release, &[], Leave::Freely)
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
            let offers = offers(Language::En, Some(&author), &release, &[], leave);
            offers.into_iter().map(|offer| offer.action).collect()
        };
        let all = [ReleaseAction::Publish, ReleaseAction::Return, ReleaseAction::Withdraw];
        assert_eq!(offered(Leave::Freely), all);
        assert_eq!(offered(Leave::Back), [ReleaseAction::Return], "its permit is void");
        assert_eq!(offered(Leave::Committed), [ReleaseAction::Publish]);
        assert_eq!(offered(Leave::Running), [ReleaseAction::Publish]);
    }
}
