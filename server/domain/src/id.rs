use std::fmt;
use std::str::FromStr;
use std::sync::{Mutex, PoisonError};

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

/// The id that this process minted last.
static LAST: Mutex<Ulid> = Mutex::new(Ulid::nil());

/// Mints an id above every one that this process minted in the same millisecond: lists are sorted by id, and what was made first
/// comes first there (ULID specification, "Monotonicity").
fn mint(clock: &dyn Clock, entropy: &dyn Entropy) -> Ulid {
    let mut random = [0; 16];
    entropy.fill(&mut random);
    let fresh = Ulid::from_parts(clock.now().unix_ms().unsigned_abs(), u128::from_le_bytes(random));
    let mut last = LAST.lock().unwrap_or_else(PoisonError::into_inner);
    let follows = last.timestamp_ms() == fresh.timestamp_ms() && fresh <= *last;
    *last = if follows { last.increment().unwrap_or(fresh) } else { fresh };
    *last
}

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident = $kind:literal),+ $(,)?) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, utoipa::ToSchema)]
        #[schema(value_type = String, pattern = "^[0-9A-Za-z]{26}$", example = "01kcv3j2m8zq4w6x9y0abcdefg")]
        pub struct $name(Ulid);

        impl $name {
            /// Mints an id: 48 bits of time and 80 random bits, so that the ids of one process sort in the order of their minting.
            #[must_use]
            pub fn new(clock: &dyn Clock, entropy: &dyn Entropy) -> Self {
                Self(mint(clock, entropy))
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
    /// Workers that were asked of a launcher together.
    LaunchId = "launch",
    /// Where messages about what happens are sent.
    EndpointId = "webhook endpoint",
    /// A message to one endpoint; the same on every attempt.
    MessageId = "webhook message",
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Timestamp;

    struct Still;

    impl Clock for Still {
        fn now(&self) -> Timestamp {
            Timestamp::from_unix_ms(1_764_547_200_000)
        }
    }

    /// Every draw is below the one before it.
    struct Falling(Mutex<u8>);

    impl Entropy for Falling {
        fn fill(&self, bytes: &mut [u8]) {
            let mut left = self.0.lock().expect("no panic");
            *left -= 1;
            bytes.fill(*left);
        }
    }

    #[test]
    fn ids_of_one_millisecond_sort_as_they_were_minted() {
        let entropy = Falling(Mutex::new(200));
        let minted: Vec<String> = (0..100).map(|_| RunId::new(&Still, &entropy).to_string()).collect();
        assert!(minted.is_sorted_by(|a, b| a < b), "{minted:?}");
    }
}
