//! The audit log: entries chained by their hashes, so that a changed, removed, moved or added entry is found; and heads, which show a
//! log that was cut at its end.

use serde::{Deserialize, Serialize};

use crate::{Sha256, Text, Timestamp, canonical_json};

/// One line of the audit log: who did what to what, and how they had proved who they are.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct AuditEntry {
    /// When.
    pub at: Timestamp,
    /// Account name, or `system`.
    pub actor: String,
    /// `session`, `login`, `token:<id>` or `system`.
    pub by: String,
    /// What was done, e.g. `release.approve`.
    pub action: String,
    /// To what, e.g. a release id.
    pub object: String,
    /// `done`, `refused`, or `failed` for what the service itself could not do.
    pub result: String,
    /// Details.
    pub detail: serde_json::Value,
}

/// An entry in its place.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ChainedEntry {
    /// 1, 2, 3 … without a gap.
    pub seq: u64,
    /// Over the hash before and this entry.
    pub hash: Sha256,
    /// The entry. Kept as it was read: what an entry of another version holds is hashed too.
    pub entry: serde_json::Value,
}

/// Where a log ended at some time. Kept elsewhere, it shows that nothing was cut off since.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct AuditHead {
    /// Number of the last entry.
    pub seq: u64,
    /// Its hash.
    pub hash: Sha256,
    /// When the head was taken.
    pub at: Timestamp,
}

impl AuditHead {
    /// What is signed.
    #[must_use]
    pub fn signed_text(&self) -> String {
        canonical_json(&serde_json::json!({ "at": self.at, "hash": self.hash, "seq": self.seq }))
    }
}

/// What stands before the first entry.
pub const BEGINNING: Sha256 = Sha256::from_bytes([0; 32]);

/// The hash of an entry's canonical JSON over the hash before it.
#[must_use]
pub fn chained(previous: Sha256, entry: &str) -> Sha256 {
    Sha256::of([previous.as_bytes(), entry.as_bytes()].concat())
}

/// Reads a log from its beginning and says where it breaks.
#[derive(Clone, Debug)]
pub struct AuditVerifier {
    seq: u64,
    hash: Sha256,
    heads: Vec<AuditHead>,
}

/// Why a log is not what was written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AuditFault {
    /// Changed, or another before it was.
    #[error("entry {seq} is not what was written: its hash is {found}, the entries up to it give {expected}")]
    Hash {
        /// Its number.
        seq: u64,
        /// In the log.
        found: Sha256,
        /// As computed.
        expected: Sha256,
    },
    /// Removed, moved or added.
    #[error("entry {expected} is missing; {found} stands in its place")]
    Gap {
        /// The number that comes next.
        expected: u64,
        /// The number that is there.
        found: u64,
    },
    /// The log is shorter than when a head was taken.
    #[error(
        "the log ends at entry {have}, but had {seq} when a head was taken at {at}; entries were cut off"
    )]
    Cut {
        /// Entries there are.
        have: u64,
        /// Entries there were.
        seq: u64,
        /// When.
        at: Timestamp,
    },
    /// The log was written anew.
    #[error("entry {seq} is another one than when a head was taken at {at}; the log was written anew")]
    Rewritten {
        /// Its number.
        seq: u64,
        /// When.
        at: Timestamp,
    },
}

impl AuditFault {
    /// The number of the first entry that cannot be relied on.
    #[must_use]
    pub const fn first_bad(&self) -> u64 {
        match self {
            Self::Hash { seq, .. } | Self::Rewritten { seq, .. } => *seq,
            Self::Gap { expected, .. } => *expected,
            Self::Cut { have, .. } => *have + 1,
        }
    }

    /// The sentence in both languages.
    #[must_use]
    pub fn text(&self) -> Text {
        let ja = match self {
            Self::Hash { seq, found, expected } => {
                format!(
                    "{seq}番の記録が書き込み時の内容と異なります（記録されたハッシュ {found}、再計算 {expected}）。"
                )
            }
            Self::Gap { expected, found } => {
                format!("{expected}番の記録がありません（{found}番が続いています）。")
            }
            Self::Cut { have, seq, at } => format!(
                "{at}の署名時には{seq}番までありましたが、{have}番で終わっています。末尾が削除されています。"
            ),
            Self::Rewritten { seq, at } => {
                format!("{seq}番の記録が{at}の署名時と異なります。ログが書き直されています。")
            }
        };
        Text { en: self.to_string(), ja }
    }
}

impl AuditVerifier {
    /// A verifier that also holds the log against heads taken before.
    #[must_use]
    pub fn new(heads: Vec<AuditHead>) -> Self {
        Self { seq: 0, hash: BEGINNING, heads }
    }

    /// The next entry.
    ///
    /// # Errors
    /// [`AuditFault`] when it does not follow from those before it.
    pub fn next(&mut self, entry: &ChainedEntry) -> Result<(), AuditFault> {
        if entry.seq != self.seq + 1 {
            return Err(AuditFault::Gap { expected: self.seq + 1, found: entry.seq });
        }
        let expected = chained(self.hash, &canonical_json(&entry.entry));
        if entry.hash != expected {
            return Err(AuditFault::Hash { seq: entry.seq, found: entry.hash, expected });
        }
        (self.seq, self.hash) = (entry.seq, entry.hash);
        match self.heads.iter().find(|head| head.seq == self.seq && head.hash != self.hash) {
            Some(head) => Err(AuditFault::Rewritten { seq: head.seq, at: head.at }),
            None => Ok(()),
        }
    }

    /// The end of the log: the number of entries and the last hash.
    ///
    /// # Errors
    /// [`AuditFault::Cut`] when a head was further.
    pub fn end(self) -> Result<(u64, Sha256), AuditFault> {
        match self.heads.iter().find(|head| head.seq > self.seq) {
            Some(head) => Err(AuditFault::Cut { have: self.seq, seq: head.seq, at: head.at }),
            None => Ok((self.seq, self.hash)),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn log(entries: u64) -> Vec<ChainedEntry> {
        let mut hash = BEGINNING;
        let line = |seq| {
            let entry = json!({ "action": "release.approve", "z": 0.1, "n": seq });
            hash = chained(hash, &canonical_json(&entry));
            ChainedEntry { seq, hash, entry }
        };
        (1..=entries).map(line).collect()
    }

    fn verify(log: &[ChainedEntry], heads: &[AuditHead]) -> Result<(u64, Sha256), AuditFault> {
        let mut verifier = AuditVerifier::new(heads.to_vec());
        log.iter().try_for_each(|entry| verifier.next(entry))?;
        verifier.end()
    }

    fn head(log: &[ChainedEntry]) -> AuditHead {
        let last = log.last().expect("an entry");
        AuditHead { seq: last.seq, hash: last.hash, at: Timestamp::from_unix_ms(0) }
    }

    #[test]
    fn every_edit_removal_move_and_addition_is_found() {
        let whole = log(6);
        let heads = [head(&whole[..3]), head(&whole)];
        assert_eq!(verify(&whole, &heads).map(|(n, _)| n), Ok(6));
        for at in 0..whole.len() {
            let mut edited = whole.clone();
            edited[at].entry["n"] = json!(99);
            assert!(matches!(verify(&edited, &[]), Err(AuditFault::Hash { .. })), "edited {at}");
            let mut rehashed = whole.clone();
            rehashed[at].hash = Sha256::of("x");
            assert!(matches!(verify(&rehashed, &[]), Err(AuditFault::Hash { .. })), "hash {at}");
            let mut added = whole.clone();
            added.insert(at, whole[at].clone());
            assert!(verify(&added, &heads).is_err(), "added {at}");
            let mut removed = whole.clone();
            removed.remove(at);
            assert!(verify(&removed, &heads).is_err(), "removed {at}");
            if at > 0 {
                let mut moved = whole.clone();
                moved.swap(at - 1, at);
                assert!(verify(&moved, &[]).is_err(), "moved {at}");
            }
        }
        // A chain alone does not show that its end is gone, or that all of it was written anew; a head kept elsewhere does.
        assert!(verify(&whole[..5], &[]).is_ok());
        assert!(matches!(verify(&whole[..5], &heads), Err(AuditFault::Cut { have: 5, seq: 6, .. })));
        let mut anew = log(2);
        let entry = json!({ "action": "another" });
        anew.push(ChainedEntry { seq: 3, hash: chained(anew[1].hash, &canonical_json(&entry)), entry });
        assert!(verify(&anew, &[]).is_ok());
        assert!(matches!(verify(&anew, &heads[..1]), Err(AuditFault::Rewritten { seq: 3, .. })));
    }
}
