use sekisho_domain::Text;

use crate::journal::{JournalError, Step};

/// Why a publication stopped. Each sentence names the thing, the rule and the way on; none holds a token or a signed address.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// The configured endpoint is not one to speak to.
    #[error(
        "The Hub endpoint {endpoint} is refused: {why}. Nothing was sent. Mend [hub] endpoint or [hub] allow."
    )]
    EndpointRefused {
        /// As configured.
        endpoint: String,
        /// The rule.
        why: &'static str,
    },
    /// No token is configured.
    #[error(
        "No Hub token is configured. Nothing was sent. Set [hub] token_file to a file with a write token."
    )]
    TokenMissing,
    /// The Hub does not know the token (401).
    #[error(
        "The Hub at {endpoint} does not accept the token. Nothing was uploaded. Put a valid token into [hub] token_file."
    )]
    TokenRefused {
        /// The Hub.
        endpoint: String,
    },
    /// The token may not write there (403, a read token, no membership).
    #[error(
        "The Hub token may not write to {repo}. Nothing was uploaded. Set a token with write access to {owner}."
    )]
    Forbidden {
        /// The repository.
        repo: String,
        /// Its owner.
        owner: String,
    },
    /// A name in the bundle breaks a rule.
    #[error("\"{what}\" cannot be published: {rule}. Nothing was sent.")]
    BundleInvalid {
        /// The name.
        what: String,
        /// The rule.
        rule: &'static str,
    },
    /// A local file is not the approved one any more.
    #[error(
        "{path} changed after it was approved: {how}. Nothing was committed. Restore the file, or freeze the release again."
    )]
    FileChanged {
        /// Path in the bundle.
        path: String,
        /// What differs.
        how: String,
    },
    /// A local file cannot be read.
    #[error("{0}")]
    Io(#[from] std::io::Error),
    /// The Hub refuses the card's metadata.
    #[error("The Hub refuses the metadata of README.md: {reason}. Nothing was uploaded. Mend the card.")]
    CardRefused {
        /// The Hub's words.
        reason: String,
    },
    /// The repository was to be made private and is not.
    #[error(
        "{repo} is public on the Hub although it was created as private. Nothing was uploaded. Make it private or delete it, then resume."
    )]
    NotPrivate {
        /// The repository.
        repo: String,
    },
    /// The repository was there before, and public.
    #[error(
        "{repo} already exists and is public. Nothing was uploaded. Choose another name, or publish as an update of it."
    )]
    AlreadyPublic {
        /// The repository.
        repo: String,
    },
    /// The repository holds files that are not of this release.
    #[error(
        "{repo} ({revision}) already holds other files: {files}. Nothing was uploaded. Choose another name, or publish as an update of it."
    )]
    ForeignFiles {
        /// The repository.
        repo: String,
        /// The branch.
        revision: String,
        /// Some of them.
        files: String,
    },
    /// The Hub would leave a file out.
    #[error(
        "The .gitignore of {repo} would leave {path} out. Nothing was committed. Mend it on the Hub, then resume."
    )]
    Ignored {
        /// The repository.
        repo: String,
        /// The file.
        path: String,
    },
    /// Too many bytes would go into the commit itself.
    #[error(
        "The Hub wants {bytes} bytes inside one commit of {repo}; at most {limit} are sent that way. Nothing was committed. Largest: {path}."
    )]
    InlineTooLarge {
        /// The repository.
        repo: String,
        /// What it would be.
        bytes: u64,
        /// Our bound.
        limit: u64,
        /// The largest such file.
        path: String,
    },
    /// The Hub or its storage refused one object.
    #[error("The Hub refuses the bytes of {path}: {reason}. Nothing was committed.")]
    ObjectRefused {
        /// The file.
        path: String,
        /// Its words.
        reason: String,
    },
    /// An answer names an address that bytes or tokens are not sent to.
    #[error(
        "The Hub names {address} as {what}, which is neither https nor on this machine, or is not the Hub itself. Nothing was sent there."
    )]
    UnsafeAddress {
        /// What for.
        what: &'static str,
        /// Scheme and host only.
        address: String,
    },
    /// Somebody else committed meanwhile (412).
    #[error(
        "{repo} ({revision}) got another commit, {head}, after {parent} was read. Nothing was overwritten. Look at it on the Hub, then resume."
    )]
    Overtaken {
        /// The repository.
        repo: String,
        /// The branch.
        revision: String,
        /// The head this publication started from.
        parent: String,
        /// The head now.
        head: String,
    },
    /// The answer to the commit was lost, and the branch could not be read either.
    #[error(
        "Whether {repo} ({revision}) holds the commit is not known: {}. After that the branch could not be read: {}. Resume: the Hub is looked at before anything is sent.",
        bare(&.error.en), bare(&.unread.en)
    )]
    OutcomeUnknown {
        /// The repository.
        repo: String,
        /// The branch.
        revision: String,
        /// What came of the commit.
        error: Text,
        /// What came of reading the branch.
        unread: Text,
    },
    /// What the Hub holds is not what was approved.
    #[error(
        "{repo} at {commit} differs from the release: {differences}. The visibility was not changed. Delete the repository on the Hub and publish again."
    )]
    RemoteDiffers {
        /// The repository.
        repo: String,
        /// The commit.
        commit: String,
        /// Files and what differs.
        differences: String,
    },
    /// The tag exists elsewhere.
    #[error(
        "The tag {tag} of {repo} already points at {have}, not at {want}. Nothing was moved. Choose another tag."
    )]
    TagElsewhere {
        /// The repository.
        repo: String,
        /// The tag.
        tag: String,
        /// Where it points.
        have: String,
        /// Where it should.
        want: String,
    },
    /// A setting did not take effect.
    #[error(
        "The Hub did not take over the {setting} \"{want}\" of {repo}; it says \"{have}\". Set it on the Hub, then resume."
    )]
    SettingIgnored {
        /// The repository.
        repo: String,
        /// `gating` or `visibility`.
        setting: &'static str,
        /// What was asked.
        want: String,
        /// What the Hub says.
        have: String,
    },
    /// Everything is in place, but everybody is turned away.
    #[error(
        "{path} of {repo} cannot be read without a token: the Hub answers {status}, although it calls the repository public. Everything is published. Look at the repository's settings on the Hub, then resume."
    )]
    NotPublic {
        /// The repository.
        repo: String,
        /// The file.
        path: String,
        /// HTTP status.
        status: u16,
    },
    /// Everything is in place, but everybody gets something else.
    #[error(
        "Without a token the Hub serves other bytes as {path} of {repo} than were approved. Make the repository private on the Hub, and find out why before anybody uses it."
    )]
    ServedDiffers {
        /// The repository.
        repo: String,
        /// The file.
        path: String,
    },
    /// What is to be changed is not there.
    #[error(
        "{repo} ({revision}) is not on the Hub, or the token may not see it. Nothing was changed. Look whether it was renamed or deleted there."
    )]
    Absent {
        /// The repository.
        repo: String,
        /// The branch.
        revision: String,
    },
    /// The Hub answered with an error that has no sentence of its own.
    #[error(
        "The Hub answered {status} to \"{call}\": {message}. Resume later, or look at the Hub's status page."
    )]
    Answer {
        /// Which call.
        call: &'static str,
        /// HTTP status.
        status: u16,
        /// The Hub's words.
        message: String,
    },
    /// No answer, or not a whole one.
    #[error("The Hub could not be reached for \"{call}\": {reason}. Check the network, then resume.")]
    Unreachable {
        /// Which call.
        call: &'static str,
        /// Why, without the address.
        reason: String,
    },
    /// An answer that is not of the Hub's protocol.
    #[error("The Hub's answer to \"{call}\" cannot be used: {reason}. Is the endpoint a Hugging Face Hub?")]
    Malformed {
        /// Which call.
        call: &'static str,
        /// What is wrong.
        reason: String,
    },
    /// What is to be published could not be put together, or what was published not be written down.
    #[error("The service could not go on with the publication: {}", .reason.en)]
    Service {
        /// Why.
        reason: Text,
    },
    /// The journal stopped it.
    #[error("Publishing stopped before or after the step \"{step}\": {reason}")]
    Journal {
        /// The step.
        step: Step,
        /// Why.
        reason: JournalError,
    },
}

impl PublishError {
    /// The sentence in both languages.
    #[must_use]
    pub fn text(&self) -> Text {
        Text { en: self.to_string(), ja: self.ja() }
    }

    /// Stable code, kebab-case.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::EndpointRefused { .. } => "hub-endpoint",
            Self::TokenMissing => "hub-token-missing",
            Self::TokenRefused { .. } => "hub-token",
            Self::Forbidden { .. } => "hub-forbidden",
            Self::BundleInvalid { .. } => "hub-bundle",
            Self::FileChanged { .. } => "hub-file-changed",
            Self::Io(_) => "hub-file",
            Self::CardRefused { .. } => "hub-card",
            Self::NotPrivate { .. } => "hub-not-private",
            Self::AlreadyPublic { .. } => "hub-already-public",
            Self::ForeignFiles { .. } => "hub-foreign-files",
            Self::Ignored { .. } => "hub-ignored",
            Self::InlineTooLarge { .. } => "hub-inline",
            Self::ObjectRefused { .. } => "hub-object",
            Self::UnsafeAddress { .. } => "hub-address",
            Self::Overtaken { .. } => "hub-overtaken",
            Self::OutcomeUnknown { .. } => "hub-outcome",
            Self::RemoteDiffers { .. } => "hub-differs",
            Self::TagElsewhere { .. } => "hub-tag",
            Self::SettingIgnored { .. } => "hub-setting",
            Self::NotPublic { .. } => "hub-not-public",
            Self::ServedDiffers { .. } => "hub-served-differs",
            Self::Absent { .. } => "hub-absent",
            Self::Answer { .. } => "hub-answer",
            Self::Unreachable { .. } => "hub-unreachable",
            Self::Malformed { .. } => "hub-malformed",
            Self::Service { .. } => "hub-service",
            Self::Journal { .. } => "hub-journal",
        }
    }
}

/// A sentence inside another one.
pub(crate) fn bare(sentence: &str) -> &str {
    sentence.trim_end_matches(['.', '。'])
}
