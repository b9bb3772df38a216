use async_trait::async_trait;
use sekisho_domain::Text;

use crate::PublishError;

/// The steps of a publication, in order.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Step {
    /// Endpoint on the allow-list, token good, write right to the owner of the repository.
    Probe,
    /// Every local file hashed again against the bundle, and the card's metadata checked by the Hub.
    Preflight,
    /// Repository there, private, and holding nothing that is not ours.
    Create,
    /// Bytes of large files stored. They are invisible until a commit names them.
    Upload,
    /// One commit on the head seen in [`Step::Create`].
    Commit,
    /// The remote tree at that commit is exactly the bundle.
    Compare,
    /// The tag points at that commit.
    Tag,
    /// Access requests as the bundle says.
    Gating,
    /// Visibility as the bundle says. The last step that changes anything: before it nothing was public.
    Visibility,
    /// Seen as everybody sees it: card and weights asked for without a token, where everybody may.
    Anonymous,
}

impl Step {
    /// Every step, in order.
    pub const ALL: &'static [Self] = &[
        Self::Probe,
        Self::Preflight,
        Self::Create,
        Self::Upload,
        Self::Commit,
        Self::Compare,
        Self::Tag,
        Self::Gating,
        Self::Visibility,
        Self::Anonymous,
    ];

    /// The fixed name, for the database and as catalogue key.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Probe => "probe",
            Self::Preflight => "preflight",
            Self::Create => "create",
            Self::Upload => "upload",
            Self::Commit => "commit",
            Self::Compare => "compare",
            Self::Tag => "tag",
            Self::Gating => "gating",
            Self::Visibility => "visibility",
            Self::Anonymous => "anonymous",
        }
    }
}

impl std::fmt::Display for Step {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why a journal stopped the publication: it could not write, or the step is no longer approved.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.en)]
pub struct JournalError(pub Text);

/// Where the steps are written down, so that people see how far a publication is and a restart knows that it began.
///
/// The journal is a record, not the truth: a resumed publication looks at the Hub again for every step.
#[async_trait]
pub trait Journal: Send + Sync {
    /// The step is about to act. An error stops the publication before anything of this step happened; the server uses that
    /// to check before [`Step::Visibility`] that the approvals still hold.
    async fn intended(&self, step: Step) -> Result<(), JournalError>;

    /// The step's effect was seen on the Hub; `detail` says what was seen, in one line.
    async fn done(&self, step: Step, detail: &Text) -> Result<(), JournalError>;

    /// The step stopped. What was done before it stays; the same publication may be asked for again.
    async fn failed(&self, step: Step, error: &PublishError);

    /// The step stopped, and nobody knows whether it took effect: its intent stands. A resumed publication looks at the Hub.
    async fn unknown(&self, step: Step, error: &PublishError);
}
