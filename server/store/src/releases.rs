use std::collections::{BTreeMap, HashMap};

use async_trait::async_trait;
use sekisho_domain::manifest::FileEntry;
pub use sekisho_domain::release::StepState;
use sekisho_domain::release::{ReleaseState, Yank};
use sekisho_domain::{ChannelId, CheckpointId, ReleaseId, Sha256, Text, Timestamp, UserId};
use serde::{Deserialize, Serialize};

use crate::{AuditEntry, StoreError};

/// A release in any state.
#[derive(Clone, Debug, PartialEq)]
pub struct Release {
    /// Its id.
    pub id: ReleaseId,
    /// The project that it belongs to: that of the checkpoint's run.
    pub project: String,
    /// The checkpoint to be released.
    pub checkpoint: CheckpointId,
    /// Display name of the model.
    pub name: String,
    /// Where it stands.
    pub state: ReleaseState,
    /// Who proposed it.
    pub author: UserId,
    /// Lineage and release file (TOML), as given.
    pub lineage: String,
    /// Path of that file as the files of its parents see it.
    pub path: String,
    /// The lineage files that it refers to, directly or through others: path → blob key.
    pub parents: BTreeMap<String, String>,
    /// Model card, English (`README.md`).
    pub card_en: String,
    /// Model card, Japanese (`README_ja.md`).
    pub card_ja: String,
    /// Other files, path → blob key (LICENSE, NOTICE …).
    pub files: BTreeMap<String, String>,
    /// Those of `files` that its author gave; the others were added because a licence asks for them.
    pub given: Vec<String>,
    /// What its lineage file names and its author did not have.
    pub missing: Vec<String>,
    /// The policy's decision as JSON, once judged.
    pub decision: Option<serde_json::Value>,
    /// Digest of exactly what is released, once frozen. Approvals are bound to it.
    pub digest: Option<Sha256>,
    /// Approvals needed.
    pub approvals_needed: u32,
    /// Texts of people in the card; they stay when the card is made again.
    pub card_edits: CardEdits,
    /// Files that the service made when the content was fixed: path → blob key.
    pub generated: BTreeMap<String, String>,
    /// The weights as they are released, when they are not the checkpoint's own files.
    pub prepared: Option<Prepared>,
    /// The release that took its place.
    pub successor: Option<ReleaseId>,
    /// How it was taken back.
    pub yank: Option<Yank>,
    /// Not to be published before.
    pub publish_at: Option<Timestamp>,
    /// The channel whose blanket approval carries it; none once a person has taken it over.
    pub channel: Option<ChannelId>,
    /// Commit on the Hub, once published.
    pub commit: Option<String>,
    /// URL on the Hub, once published.
    pub url: Option<String>,
    /// Grows with every change; the ETag.
    pub version: u64,
    /// Proposed at.
    pub created: Timestamp,
    /// Last change.
    pub updated: Timestamp,
}

/// Language (`en`, `ja`) → section of the card → text.
pub type CardEdits = BTreeMap<String, BTreeMap<String, String>>;

/// Weights in other shards or another type than the checkpoint's, made when the content was fixed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Prepared {
    /// Folder in which they lie: its last part is its name in the data folder, wherever that is by now.
    pub path: String,
    /// All files of the model in it.
    pub files: Vec<FileEntry>,
    /// Identity of the weights in it.
    pub weights: Sha256,
    /// Identity of weights and configuration.
    pub digest: Sha256,
    /// Of the weights, e.g. `bfloat16`.
    pub dtype: String,
}

/// What an approval rests on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ApprovalKind {
    /// One of the persons that the release needs.
    Approval,
    /// One person alone, with a reason, where a lab has nobody else: recorded as such.
    BreakGlass,
}

impl ApprovalKind {
    /// The fixed name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Approval => "approval",
            Self::BreakGlass => "break_glass",
        }
    }
}

impl std::str::FromStr for ApprovalKind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        [Self::Approval, Self::BreakGlass]
            .into_iter()
            .find(|kind| kind.as_str() == text)
            .ok_or_else(|| format!("\"{text}\" is none of approval, break_glass"))
    }
}

/// An approval. It counts as long as its digest has been the release's without a break.
#[derive(Clone, Debug, PartialEq)]
pub struct Approval {
    /// Who.
    pub user: UserId,
    /// Their name at the time.
    pub user_name: String,
    /// What it rests on.
    pub kind: ApprovalKind,
    /// What exactly was approved.
    pub digest: Sha256,
    /// Comment.
    pub comment: String,
    /// When.
    pub at: Timestamp,
}

/// A comment, or the reason of a return, rejection or withdrawal.
#[derive(Clone, Debug, PartialEq)]
pub struct Comment {
    /// Who.
    pub user: UserId,
    /// Their name at the time.
    pub user_name: String,
    /// `comment`, `return`, `reject`, `withdraw`, `approve` …
    pub action: String,
    /// Text.
    pub text: String,
    /// When.
    pub at: Timestamp,
}

/// One step of a publication.
#[derive(Clone, Debug, PartialEq)]
pub struct PublishStep {
    /// Name of the step.
    pub name: String,
    /// How far it is.
    pub state: StepState,
    /// What was observed, or the error.
    pub detail: Text,
    /// Last change.
    pub at: Timestamp,
}

impl PublishStep {
    /// Whether the publication stopped here: on an error, or not knowing whether the step took effect.
    #[must_use]
    pub fn is_stop(&self) -> bool {
        match self.state {
            StepState::Failed => true,
            StepState::Intended => !self.detail.en.is_empty(),
            StepState::Done => false,
        }
    }
}

/// A commit of a release on a Hub: one that was seen there, or one that was sent and may have arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HubCommit {
    /// Digest of the content, as it was approved.
    pub digest: Sha256,
    /// Hub, repository and branch.
    pub place: String,
}

/// Releases. Every change names the version it was made from and writes its audit entry in the same transaction.
#[async_trait]
pub trait ReleaseRepository: Send + Sync {
    /// Adds a draft.
    async fn add_release(&self, release: &Release, audit: &AuditEntry) -> Result<(), StoreError>;
    /// By id.
    async fn release(&self, id: ReleaseId) -> Result<Option<Release>, StoreError>;
    /// In review first, then newest.
    async fn releases(&self, limit: u32) -> Result<Vec<Release>, StoreError>;
    /// Every release in one of these states, newest first.
    async fn releases_in(&self, states: &[ReleaseState]) -> Result<Vec<Release>, StoreError>;
    /// Of one checkpoint, newest first.
    async fn releases_of(&self, checkpoint: CheckpointId) -> Result<Vec<Release>, StoreError>;
    /// Releases of several checkpoints, newest first.
    async fn releases_of_all(&self, checkpoints: &[CheckpointId]) -> Result<Vec<Release>, StoreError>;
    /// Writes a changed release if its version is still `release.version`, and raises it by one. [`StoreError::Stale`] otherwise.
    /// Approvals whose digest is not the new one stay as history and never count again, also when a draft that was returned is frozen
    /// unchanged.
    async fn update_release(
        &self,
        release: &Release,
        audit: &AuditEntry,
        comment: Option<&Comment>,
    ) -> Result<(), StoreError>;
    /// Writes that a release is out, and that those it takes the place of are superseded, in one transaction; as
    /// [`Self::update_release`].
    async fn complete_release(
        &self,
        release: &Release,
        superseded: &[Release],
        audit: &[AuditEntry],
    ) -> Result<(), StoreError>;
    /// Adds an approval and writes the release in one transaction, as [`Self::update_release`]. One person counts once per digest:
    /// [`StoreError::Conflict`] on the second time. [`StoreError::Stale`] also when what was approved is not what the release holds.
    async fn approve(
        &self,
        release: &Release,
        approval: &Approval,
        audit: &AuditEntry,
    ) -> Result<(), StoreError>;
    /// All approvals, oldest first, also those that no longer count.
    async fn approvals(&self, id: ReleaseId) -> Result<Vec<Approval>, StoreError>;
    /// The approvals of what each of these releases holds, of both kinds, oldest first; at most one of each person and kind. Releases without one are absent.
    async fn valid_approvals(
        &self,
        ids: &[ReleaseId],
    ) -> Result<HashMap<ReleaseId, Vec<Approval>>, StoreError>;
    /// All comments, oldest first.
    async fn comments(&self, id: ReleaseId) -> Result<Vec<Comment>, StoreError>;
    /// Adds a comment without changing the release, with its audit entry.
    async fn add_comment(
        &self,
        id: ReleaseId,
        comment: &Comment,
        audit: &AuditEntry,
    ) -> Result<(), StoreError>;
    /// Writes a publication step.
    async fn put_step(&self, id: ReleaseId, step: &PublishStep) -> Result<(), StoreError>;
    /// Publication steps in the order they began.
    async fn steps(&self, id: ReleaseId) -> Result<Vec<PublishStep>, StoreError>;
    /// Writes down that a commit is about to be sent; whether that is new.
    async fn add_hub_commit(&self, id: ReleaseId, commit: &HubCommit) -> Result<bool, StoreError>;
    /// Forgets a commit that is known not to have taken effect.
    async fn drop_hub_commit(&self, id: ReleaseId, commit: &HubCommit) -> Result<(), StoreError>;
    /// The commits of a release, of all that its content has been.
    async fn hub_commits(&self, id: ReleaseId) -> Result<Vec<HubCommit>, StoreError>;
}
