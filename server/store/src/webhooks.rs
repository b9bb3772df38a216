use async_trait::async_trait;
use sekisho_domain::webhook::{EndpointState, EventType, MessageLanguage, MessageState, PayloadFormat};
use sekisho_domain::{EndpointId, MessageId, Timestamp, Tokens};

use crate::{AuditEntry, StoreError};

/// Something that happened, written with the change itself.
#[derive(Clone, Debug, PartialEq)]
pub struct Happening {
    /// Its number; grows.
    pub seq: u64,
    /// What.
    pub kind: EventType,
    /// Id of the run, checkpoint, evaluation, release, subset or endpoint.
    pub subject: String,
    /// What the subject's own row does not say later.
    pub detail: serde_json::Value,
    /// When.
    pub at: Timestamp,
}

/// Where messages go.
#[derive(Clone, Debug, PartialEq)]
pub struct Endpoint {
    /// Its id.
    pub id: EndpointId,
    /// The project whose happenings it is told.
    pub project: String,
    /// What people call it.
    pub name: String,
    /// Address. That of a chat is a secret: who has it may write there.
    pub url: String,
    /// Globs over kinds.
    pub events: Vec<String>,
    /// Languages of its sentences.
    pub language: MessageLanguage,
    /// Shape of its messages.
    pub format: PayloadFormat,
    /// Tokens between two messages of `run.progress`; none are sent without it.
    pub every_tokens: Option<Tokens>,
    /// Whether anything is sent.
    pub state: EndpointState,
    /// Which secret signs; the secret itself is derived from it and kept nowhere.
    pub generation: u32,
    /// When the secret before it was replaced.
    pub rotated: Option<Timestamp>,
    /// Failed attempts in a row.
    pub failures: u32,
    /// Since when every attempt has failed.
    pub failing_since: Option<Timestamp>,
    /// The endpoint asked for no message before this instant.
    pub not_before: Timestamp,
    /// Made at; what happened before is not told.
    pub created: Timestamp,
    /// Last change.
    pub updated: Timestamp,
}

/// A message to one endpoint.
#[derive(Clone, Debug, PartialEq)]
pub struct Message {
    /// The same on every attempt, so that a receiver can drop what it has.
    pub id: MessageId,
    /// To which endpoint.
    pub endpoint: EndpointId,
    /// Number of the happening; none of a ping.
    pub seq: Option<u64>,
    /// What happened.
    pub kind: EventType,
    /// To what.
    pub subject: String,
    /// The body, byte for byte.
    pub body: String,
    /// How far it is.
    pub state: MessageState,
    /// Attempts made in the present schedule.
    pub attempt: u32,
    /// When the next is due.
    pub next_at: Timestamp,
    /// Made at.
    pub created: Timestamp,
    /// Last change.
    pub updated: Timestamp,
}

/// One try to deliver a message.
#[derive(Clone, Debug, PartialEq)]
pub struct Attempt {
    /// When it began.
    pub at: Timestamp,
    /// Status of the answer; none without one.
    pub status: Option<u16>,
    /// How long it took, in milliseconds.
    pub ms: u64,
    /// Why there was no answer, or why nothing was sent.
    pub error: Option<String>,
    /// The answer's beginning.
    pub answer: String,
}

/// What comes of an attempt.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Outcome {
    /// The endpoint took it.
    Delivered,
    /// Another attempt follows at that time; none is left without one.
    Failed {
        /// When.
        next: Option<Timestamp>,
        /// Nothing else goes to the endpoint before this instant.
        not_before: Option<Timestamp>,
    },
    /// The endpoint wants no message any more (410).
    Gone,
}

/// When an endpoint that fails is left alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Circuit {
    /// After so many failed attempts in a row.
    pub failures: u32,
    /// After so many seconds in which every attempt failed.
    pub seconds: i64,
}

/// What happened, where it is told, and how far each message is.
#[async_trait]
pub trait WebhookRepository: Send + Sync {
    /// What no endpoint has its message of yet, oldest first.
    async fn happenings(&self, limit: u32) -> Result<Vec<Happening>, StoreError>;
    /// What of that kind has happened since, newest first.
    async fn happened(
        &self,
        kind: EventType,
        since: Timestamp,
        limit: u32,
    ) -> Result<Vec<Happening>, StoreError>;
    /// Writes the messages of a happening, and what follows from it, and that it is told: all or nothing.
    async fn fan_out(
        &self,
        seq: u64,
        messages: &[Message],
        follows: &[(EventType, String, serde_json::Value)],
        now: Timestamp,
    ) -> Result<(), StoreError>;

    /// Adds an endpoint. [`StoreError::Conflict`] when its project has one with that name.
    async fn add_endpoint(&self, endpoint: &Endpoint, audit: &AuditEntry) -> Result<(), StoreError>;
    /// All, by project and name.
    async fn endpoints(&self) -> Result<Vec<Endpoint>, StoreError>;
    /// One.
    async fn endpoint(&self, id: EndpointId) -> Result<Option<Endpoint>, StoreError>;
    /// Writes what people may change of an endpoint; one that becomes active begins with a clean record.
    async fn update_endpoint(&self, endpoint: &Endpoint, audit: &AuditEntry) -> Result<(), StoreError>;
    /// Removes an endpoint with its messages.
    async fn delete_endpoint(&self, id: EndpointId, audit: &AuditEntry) -> Result<(), StoreError>;

    /// Adds one message: a ping.
    async fn add_message(&self, message: &Message, audit: &AuditEntry) -> Result<(), StoreError>;
    /// Messages of an endpoint, newest first.
    async fn messages(&self, endpoint: EndpointId, limit: u32) -> Result<Vec<Message>, StoreError>;
    /// One message.
    async fn message(&self, id: MessageId) -> Result<Option<Message>, StoreError>;
    /// Its attempts, oldest first.
    async fn attempts(&self, id: MessageId) -> Result<Vec<Attempt>, StoreError>;
    /// How many messages of an endpoint are not delivered and not going to be.
    async fn dead_messages(&self, endpoint: EndpointId) -> Result<u64, StoreError>;

    /// Takes messages that are due, at most so many at a time for one endpoint, under a lease.
    async fn claim_messages(
        &self,
        at_once: u32,
        lease_seconds: i64,
        now: Timestamp,
    ) -> Result<Vec<Message>, StoreError>;
    /// Ends all leases, when the process that held them is gone.
    async fn free_messages(&self, now: Timestamp) -> Result<(), StoreError>;
    /// Writes an attempt and what comes of it, for the message and for its endpoint.
    async fn settle_message(
        &self,
        id: MessageId,
        attempt: &Attempt,
        outcome: Outcome,
        circuit: Circuit,
        now: Timestamp,
    ) -> Result<(), StoreError>;
    /// Lets messages go out again from the beginning of the schedule: one, or all that were given up since. Answers how many.
    async fn resend(
        &self,
        endpoint: EndpointId,
        which: Resend,
        audit: &AuditEntry,
        now: Timestamp,
    ) -> Result<u64, StoreError>;
    /// Forgets what was told before.
    async fn prune_messages(&self, before: Timestamp) -> Result<(), StoreError>;
}

/// Which messages go out again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resend {
    /// This one, also when it was delivered.
    One(MessageId),
    /// Those that were given up since.
    DeadSince(Timestamp),
}
