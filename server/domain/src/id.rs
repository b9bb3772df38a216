use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use ulid::Ulid;

use crate::{Clock, Entropy};

/// A text that should have been an id.
#[derive(Debug, thiserror::Error)]
#[error("\"{text}\" is not a {kind} id; ids are 26 letters and digits (ULID)")]
pub struct IdError {
    kind: &'static str,
    text: String,
}

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident = $kind:literal),+ $(,)?) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, utoipa::ToSchema)]
        #[schema(value_type = String, pattern = "^[0-9A-Za-z]{26}$", example = "01kcv3j2m8zq4w6x9y0abcdefg")]
        pub struct $name(Ulid);

        impl $name {
            /// Mints an id: 48 bits of time, so ids sort by age, and 80 random bits.
            #[must_use]
            pub fn new(clock: &dyn Clock, entropy: &dyn Entropy) -> Self {
                let mut random = [0; 16];
                entropy.fill(&mut random);
                Self(Ulid::from_parts(clock.now().unix_ms().unsigned_abs(), u128::from_le_bytes(random)))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0.to_string().to_lowercase())
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                let wrong = || IdError { kind: $kind, text: text.to_owned() };
                Ulid::from_string(&text.to_uppercase()).map(Self).map_err(|_| wrong())
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    )+};
}

ids! {
    /// A training run.
    RunId = "run",
    /// Something that happened to a run.
    EventId = "event",
    /// A checkpoint that a run handed over.
    CheckpointId = "checkpoint",
    /// A checkpoint that arrives in pieces.
    UploadId = "upload",
    /// One checkpoint examined on one suite.
    EvaluationId = "evaluation",
    /// A release in any state, from draft to yanked.
    ReleaseId = "release",
    /// A channel of automatic publication.
    ChannelId = "channel",
    /// A person or a machine account.
    UserId = "user",
    /// An API token.
    TokenId = "token",
    /// A task of an evaluation, as the queue hands it to a worker.
    WorkItemId = "work item",
    /// Where messages about what happens are sent.
    EndpointId = "webhook endpoint",
    /// A message to one endpoint; the same on every attempt.
    MessageId = "webhook message",
}
