use async_trait::async_trait;
use sekisho_domain::{Sha256, Timestamp, UserId};

use crate::StoreError;

/// A request under a key that its sender chose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyedRequest {
    /// Who sent it; keys of different accounts have nothing to do with each other.
    pub user: UserId,
    /// The key.
    pub key: String,
    /// Of everything that makes the request another one.
    pub digest: Sha256,
}

/// What a request was answered with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptAnswer {
    /// HTTP status.
    pub status: u16,
    /// Type of the body; empty without one.
    pub content_type: String,
    /// The body.
    pub body: Vec<u8>,
}

/// How a key stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyStanding {
    /// It is new, and noted as being carried out from now on.
    New,
    /// Another request has it.
    Other,
    /// The same request is being carried out.
    Running,
    /// The same request was answered.
    Answered(KeptAnswer),
}

/// Requests that are carried out once however often they are sent.
#[async_trait]
pub trait KeyedRepository: Send + Sync {
    /// How the key stands, after forgetting those that were first sent before a time. Of two at once, one gets [`KeyStanding::New`].
    async fn begin_keyed(
        &self,
        request: &KeyedRequest,
        forget_before: Timestamp,
        now: Timestamp,
    ) -> Result<KeyStanding, StoreError>;
    /// Keeps the answer.
    async fn keep_answer(&self, request: &KeyedRequest, answer: &KeptAnswer) -> Result<(), StoreError>;
    /// Lets the key be used again.
    async fn drop_keyed(&self, request: &KeyedRequest) -> Result<(), StoreError>;
    /// The same for all that are being carried out, when the process that did is gone.
    async fn free_keyed(&self) -> Result<(), StoreError>;
}
