//! Where in a corpus each token lies, without a table of all documents: how many tokens come before every so many-th of them. Made by one
//! pass over an `.idx` and kept under its content, so that no later start makes it again.

use sekisho_domain::Sha256;

/// Documents and tokens of a corpus, and the tokens before every `stride`-th document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Places {
    pub(super) documents: u64,
    pub(super) tokens: u64,
    /// A power of two, so large that the table stays below a megabyte whatever the corpus.
    stride: u64,
    /// `before[k]`: tokens before document `k * stride`.
    before: Vec<u64>,
}

impl Places {
    /// Most entries of the table.
    const ENTRIES: u64 = 1 << 17;
    const LEAST_STRIDE: u64 = 64;
    const DIGEST: usize = 32;

    /// An empty table for so many documents.
    pub(super) fn new(documents: u64) -> Self {
        let stride = documents.div_ceil(Self::ENTRIES).next_power_of_two().max(Self::LEAST_STRIDE);
        Self { documents, tokens: 0, stride, before: Vec::new() }
    }

    /// Notes the length of document `number`; they come in order.
    pub(super) fn add(&mut self, number: u64, length: u32) {
        if number.is_multiple_of(self.stride) {
            self.before.push(self.tokens);
        }
        self.tokens += u64::from(length);
    }

    /// A document at or before the one that holds token `token` of the corpus, and the tokens before it.
    pub(super) fn near(&self, token: u64) -> (u64, u64) {
        let block = self.before.partition_point(|before| *before <= token).saturating_sub(1);
        (block as u64 * self.stride, self.before.get(block).copied().unwrap_or(0))
    }

    /// Little-endian: documents, tokens, stride, the table, and the SHA-256 of all that.
    pub(super) fn encode(&self) -> Vec<u8> {
        let head = [self.documents, self.tokens, self.stride];
        let mut bytes: Vec<u8> = head.iter().chain(&self.before).flat_map(|n| n.to_le_bytes()).collect();
        bytes.extend(Sha256::of(&bytes).as_bytes());
        bytes
    }

    /// None of bytes that [`Places::encode`] has not written.
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let (content, digest) = bytes.split_at_checked(bytes.len().checked_sub(Self::DIGEST)?)?;
        if Sha256::of(content).as_bytes() != digest {
            return None;
        }
        let numbers: Vec<u64> = content.as_chunks().0.iter().map(|b| u64::from_le_bytes(*b)).collect();
        let [documents, tokens, stride, before @ ..] = numbers.as_slice() else { return None };
        Some(Self { documents: *documents, tokens: *tokens, stride: *stride, before: before.to_vec() })
    }
}

#[cfg(test)]
mod tests {
    use super::Places;

    #[test]
    fn every_token_is_near_a_document_before_it() {
        let mut places = Places::new(1000);
        let lengths: Vec<u32> = (0..1000).map(|d| d * 7 % 5).collect();
        lengths.iter().zip(0..).for_each(|(length, number)| places.add(number, *length));
        assert_eq!(places.tokens, lengths.iter().map(|n| u64::from(*n)).sum::<u64>());
        for token in 0..places.tokens {
            let (document, before) = places.near(token);
            let sum: u64 = lengths[..document as usize].iter().map(|n| u64::from(*n)).sum();
            assert_eq!(sum, before);
            assert!(before <= token, "token {token}");
            let beyond: u64 = lengths.iter().take(document as usize + 64).map(|n| u64::from(*n)).sum();
            assert!(token < beyond, "token {token}: not within the stride");
        }
    }

    #[test]
    fn what_is_kept_is_read_back_and_nothing_else() {
        let mut places = Places::new(200);
        (0..200).for_each(|number| places.add(number, 3));
        let mut bytes = places.encode();
        assert_eq!(Places::decode(&bytes), Some(places));
        assert_eq!(Places::decode(&bytes[..bytes.len() - 8]), None);
        bytes[20] ^= 1;
        assert_eq!(Places::decode(&bytes), None);
        assert_eq!(Places::decode(b""), None);
        assert!(Places::new(1 << 40).stride >= (1 << 23), "a megabyte at most");
    }
}
