//! Webhooks: what is told to other systems, where, and how far each message is.

use crate::state::named;

named! {
    /// What happens that others can be told, with the name it has in messages and filters.
    EventType {
        /// A run's first report.
        RunStarted = "run.started",
        /// Another so many tokens are trained; each endpoint says how many.
        RunProgress = "run.progress",
        /// No report for long.
        RunStalled = "run.stalled",
        /// A loss spike, by the trainer or a detector.
        RunSpike = "run.spike",
        /// Training went on after a stop.
        RunResumed = "run.resumed",
        /// The end is expected later than planned.
        RunBehind = "run.behind",
        /// Training stopped on an error.
        RunFailed = "run.failed",
        /// Training finished as specified.
        RunFinished = "run.finished",
        /// A checkpoint was examined and found good.
        CheckpointReady = "checkpoint.ready",
        /// A checkpoint cannot be taken.
        CheckpointRefused = "checkpoint.refused",
        /// The files of a verified checkpoint are others by now, or gone.
        CheckpointChanged = "checkpoint.changed",
        /// Every task of an evaluation has its scores.
        EvaluationFinished = "evaluation.finished",
        /// A task of an evaluation was given up.
        EvaluationFailed = "evaluation.failed",
        /// A task fell significantly since the checkpoint before.
        EvaluationRegressed = "evaluation.regressed",
        /// The release level of a subset is another one.
        CorpusLevelChanged = "corpus.level_changed",
        /// A draft is there.
        ReleaseProposed = "release.proposed",
        /// The policy refuses what was frozen.
        ReleaseRefused = "release.refused",
        /// Approvals are asked for.
        ReleaseReviewRequested = "release.review_requested",
        /// The last approval that was needed.
        ReleaseApproved = "release.approved",
        /// Back to its author, with a comment.
        ReleaseReturned = "release.returned",
        /// An approver ended it.
        ReleaseRejected = "release.rejected",
        /// Approvals of a content that is another one by now.
        ReleaseApprovalVoided = "release.approval_voided",
        /// The publication stopped on an error.
        ReleaseStopped = "release.stopped",
        /// It is out.
        ReleasePublished = "release.published",
        /// It was taken back.
        ReleaseYanked = "release.yanked",
        /// Another release took its place.
        ReleaseSuperseded = "release.superseded",
        /// An endpoint failed for so long that nothing is sent to it any more.
        EndpointDisabled = "endpoint.disabled",
        /// Sent by hand, to see whether an endpoint answers.
        WebhookPing = "webhook.ping",
    }
}

named! {
    /// Whether anything is sent to an endpoint.
    EndpointState {
        /// Messages go out.
        Active = "active",
        /// Messages wait until somebody lets them go on.
        Paused = "paused",
        /// It failed for too long or answered 410: messages are kept and not sent.
        Disabled = "disabled",
    }
}

named! {
    /// The shape of a message's body.
    PayloadFormat {
        /// Standard Webhooks: `type`, `timestamp`, `data`.
        Standard = "standard",
        /// What Slack's incoming webhooks take.
        Slack = "slack",
        /// What Discord's webhooks take.
        Discord = "discord",
    }
}

named! {
    /// The languages of a message's sentences.
    MessageLanguage {
        /// Japanese.
        Ja = "ja",
        /// English.
        En = "en",
        /// Japanese, then English.
        Both = "both",
    }
}

named! {
    /// How far a message is.
    MessageState {
        /// Its next attempt has a time.
        Waiting = "waiting",
        /// An attempt is under way.
        Sending = "sending",
        /// The endpoint took it.
        Delivered = "delivered",
        /// No attempt is left; somebody may send it again.
        Dead = "dead",
    }
}

impl EventType {
    /// Its name in catalogues: `run_started`.
    #[must_use]
    pub fn key(self) -> String {
        self.as_str().replace('.', "_")
    }
}
