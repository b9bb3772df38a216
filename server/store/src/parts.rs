use async_trait::async_trait;
use sekisho_domain::run::{KeptEvent, MetricRow};
use sekisho_domain::{CheckpointId, EndpointId, EventId, MessageId, ReleaseId, RunId, Step, Timestamp};

use crate::{Checkpoint, Message, RegisteredSubset, Release, Run, StoreError};

/// Long lists, read in parts. Each part begins behind the row that the last one ended with, which is sought and not counted to: it costs
/// the same however long the list is, and a row that comes or goes meanwhile moves no other one to another part.
#[async_trait]
pub trait PartRepository: Send + Sync {
    /// Runs, the one registered last first.
    async fn runs_part(&self, after: Option<RunId>, limit: u32) -> Result<Vec<Run>, StoreError>;
    /// Releases, the one drafted last first.
    async fn releases_part(&self, after: Option<ReleaseId>, limit: u32) -> Result<Vec<Release>, StoreError>;
    /// Checkpoints of a run, by step and id.
    async fn checkpoints_part(
        &self,
        run: RunId,
        after: Option<(Step, CheckpointId)>,
        limit: u32,
    ) -> Result<Vec<Checkpoint>, StoreError>;
    /// Events of a run, by step and id, the dismissed ones too.
    async fn events_part(
        &self,
        run: RunId,
        after: Option<(Step, EventId)>,
        limit: u32,
    ) -> Result<Vec<KeptEvent>, StoreError>;
    /// The rows of metrics that are shown, by step, from one update to another, both included.
    async fn metrics_part(
        &self,
        run: RunId,
        first: Step,
        last: Step,
        limit: u32,
    ) -> Result<Vec<MetricRow>, StoreError>;
    /// Subsets, by corpus and id.
    async fn subsets_part(
        &self,
        after: Option<(String, String)>,
        limit: u32,
    ) -> Result<Vec<RegisteredSubset>, StoreError>;
    /// Messages of an endpoint, newest first.
    async fn messages_part(
        &self,
        endpoint: EndpointId,
        after: Option<(Timestamp, MessageId)>,
        limit: u32,
    ) -> Result<Vec<Message>, StoreError>;
}
