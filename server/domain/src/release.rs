//! The life of a release, from a draft to the world.

use serde::{Deserialize, Serialize};

use crate::state::named;
use crate::{StateError, Timestamp};

named! {
    /// The states of a release.
    ReleaseState {
        /// May be edited.
        Draft = "draft",
        /// Content fixed; its digest names it.
        Frozen = "frozen",
        /// The policy has judged exactly this content.
        PolicyChecked = "policy_checked",
        /// Waiting for approvals.
        InReview = "in_review",
        /// Enough people have approved exactly this content.
        Approved = "approved",
        /// On its way to the Hub; may be resumed, and taken back while nothing of it is committed there.
        Publishing = "publishing",
        /// Out.
        Published = "published",
        /// A newer release took its place.
        Superseded = "superseded",
        /// Taken back as far as that is possible.
        Yanked = "yanked",
        /// An approver ended it.
        Rejected = "rejected",
        /// Its author ended it.
        Withdrawn = "withdrawn",
    }
}

named! {
    /// What people and the service do to a release.
    ReleaseAction {
        /// Fix the content.
        Freeze = "freeze",
        /// Let the policy judge it.
        Check = "check",
        /// Ask for approvals. Needs the verdict "allowed".
        Request = "request",
        /// One more approval, or the last that was needed.
        Approve = "approve",
        /// Approve alone and with a reason, where a lab has nobody else; recorded as such.
        BreakGlass = "break_glass",
        /// A channel's blanket approval lets it out.
        Admit = "admit",
        /// What the registry or the policy says has changed: judged again, approvals void.
        Rejudge = "rejudge",
        /// Back to draft, comment kept, approvals void.
        Return = "return",
        /// End it as an approver.
        Reject = "reject",
        /// End it as the author.
        Withdraw = "withdraw",
        /// Start, or resume, publication.
        Publish = "publish",
        /// Publication is complete.
        Complete = "complete",
        /// A newer release is out.
        Supersede = "supersede",
        /// Take it back.
        Yank = "yank",
        /// Any change of what is released: back to draft, approvals void.
        Edit = "edit",
    }
}

named! {
    /// How far a release is taken back. Copies that people have, and licences that cannot be withdrawn, stay in any case.
    YankExtent {
        /// The card says it; the files stay where they are.
        Card = "card",
        /// The card says it, and the Hub asks for permission before a download.
        Gate = "gate",
        /// The card says it, and the repository is private again.
        Hide = "hide",
    }
}

named! {
    /// How far a publication step is.
    StepState {
        /// The intent is written; whether it took effect must be looked up on the Hub.
        Intended = "intended",
        /// Seen done.
        Done = "done",
        /// Stopped on an error.
        Failed = "failed",
    }
}

/// How a published release was taken back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Yank {
    /// Why; stands in the card.
    pub reason: String,
    /// Who decided.
    pub by: String,
    /// When.
    pub at: Timestamp,
    /// How far.
    pub extent: YankExtent,
    /// The Hub shows it.
    pub done: bool,
}

impl ReleaseState {
    /// The states from which `action` is possible.
    #[must_use]
    pub fn sources(action: ReleaseAction) -> &'static [Self] {
        use ReleaseAction as A;
        match action {
            // `frozen` passes within one write; a row found in it was left by an earlier version.
            A::Freeze => &[Self::Draft, Self::Frozen],
            A::Check => &[Self::Frozen],
            A::Request | A::Admit => &[Self::PolicyChecked],
            A::Approve | A::BreakGlass | A::Reject => &[Self::InReview],
            A::Rejudge => &[Self::PolicyChecked, Self::InReview, Self::Approved],
            A::Return => &[Self::PolicyChecked, Self::InReview, Self::Approved, Self::Publishing],
            A::Withdraw | A::Edit => &[
                Self::Draft,
                Self::Frozen,
                Self::PolicyChecked,
                Self::InReview,
                Self::Approved,
                Self::Publishing,
            ],
            A::Publish => &[Self::Approved, Self::Publishing],
            A::Complete => &[Self::Publishing],
            A::Supersede => &[Self::Published],
            A::Yank => &[Self::Published, Self::Superseded],
        }
    }

    /// The state after `action`. `enough` says whether an approval was the last one needed.
    ///
    /// # Errors
    /// [`StateError`] when the action is not possible in this state; nothing changes then.
    pub fn after(self, action: ReleaseAction, enough: bool) -> Result<Self, StateError> {
        use ReleaseAction as A;
        let sources = Self::sources(action);
        if !sources.contains(&self) {
            let allowed: Vec<_> = sources.iter().map(|s| s.as_str()).collect();
            return Err(StateError {
                kind: "release",
                state: self.as_str(),
                action: action.as_str(),
                allowed: allowed.join(", "),
            });
        }
        Ok(match action {
            A::Freeze => Self::Frozen,
            A::Check | A::Rejudge => Self::PolicyChecked,
            A::BreakGlass => Self::Approved,
            A::Approve if enough => Self::Approved,
            A::Request | A::Approve => Self::InReview,
            A::Return | A::Edit => Self::Draft,
            A::Reject => Self::Rejected,
            A::Withdraw => Self::Withdrawn,
            A::Publish | A::Admit => Self::Publishing,
            A::Complete => Self::Published,
            A::Supersede => Self::Superseded,
            A::Yank => Self::Yanked,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{ReleaseAction as A, ReleaseState as S};

    #[test]
    fn nothing_is_published_without_approval() {
        for state in S::ALL {
            let published = state.after(A::Publish, true);
            assert_eq!(published.is_ok(), matches!(state, S::Approved | S::Publishing), "{state}");
        }
    }

    #[test]
    fn a_refused_action_names_state_and_way_on() {
        let error = S::Draft.after(A::Approve, false).expect_err("a draft cannot be approved");
        assert_eq!(
            error.to_string(),
            "approve is not possible while the release is draft; it is possible while it is in_review"
        );
    }
}
