//! Megatron-LM's order of samples (`GPTDataset._build_document_sample_shuffle_indices`), which is a list: all epochs' documents shuffled
//! together, apart from the last epoch where less than 80 % of it is used; then the samples, likewise in two parts.

use super::indexed::Indexed;
use super::order::{OrderError, OrderSettings, Span};
use super::random_state::RandomState;
use crate::spec::Packing;

/// Places between two entries of [`Listed::before`].
const STRIDE: usize = 16;

/// Documents and samples of all epochs: four bytes each, four a document for its length, and half a byte an entry to find tokens by.
pub(super) struct Listed {
    packing: Packing,
    /// Targets of a sample.
    length: u64,
    documents: Vec<u32>,
    /// By document of the corpus.
    lengths: Vec<u32>,
    /// Tokens before every [`STRIDE`]-th of `documents`.
    before: Vec<u64>,
    /// The samples; empty where documents are not packed and the list of documents is that of samples.
    samples: Vec<u32>,
}

impl Listed {
    /// Lays out at least `settings.samples`.
    pub(super) fn new(
        settings: &OrderSettings,
        corpus: &Indexed,
        per_epoch: u64,
    ) -> Result<Self, OrderError> {
        let (length, tokens) = (settings.length as u64, corpus.tokens());
        let samples_of = |epochs: u64| match settings.packing {
            Packing::Contiguous => epochs.saturating_mul(tokens).saturating_sub(1) / length,
            Packing::PerDocument => epochs.saturating_mul(per_epoch),
        };
        // No epoch has more samples than `per_epoch + 1`, so that fewer epochs need not be tried.
        let least = (settings.samples / (per_epoch + 1)).max(1);
        let epochs =
            (least..).find(|epochs| samples_of(*epochs) >= settings.samples).expect("an epoch has samples");
        let most = samples_of(epochs).max(epochs.saturating_mul(corpus.documents()));
        if most > u64::from(u32::MAX) {
            return Err(OrderError::TooMany(most));
        }
        let before_last = samples_of(epochs - 1);
        let last_apart = epochs > 1 && settings.samples - before_last < per_epoch * 4 / 5;
        let mut random = RandomState::new(settings.seed as u32);
        let parts = if last_apart { vec![epochs - 1, 1] } else { vec![epochs] };
        let mut documents = Vec::with_capacity((epochs * corpus.documents()) as usize);
        for epochs in parts {
            let begin = documents.len();
            (0..epochs).for_each(|_| documents.extend(0..corpus.documents() as u32));
            random.shuffle(&mut documents[begin..]);
        }
        let samples = match settings.packing {
            Packing::PerDocument => Vec::new(),
            Packing::Contiguous => {
                let all = samples_of(epochs);
                let mut samples: Vec<u32> = (0..all as u32).collect();
                let (first, last) = samples.split_at_mut(if last_apart { before_last } else { all } as usize);
                random.shuffle(first);
                random.shuffle(last);
                samples
            }
        };
        let lengths = corpus.lengths()?;
        let before = sums(&documents, &lengths);
        Ok(Self { packing: settings.packing, length, documents, lengths, before, samples })
    }

    /// Samples there are.
    pub(super) fn available(&self) -> u64 {
        match self.packing {
            Packing::Contiguous => self.samples.len() as u64,
            Packing::PerDocument => self.documents.len() as u64,
        }
    }

    /// The pieces of sample `k`, of `count` tokens at most.
    pub(super) fn spans(&self, k: u64, count: usize) -> Vec<Span> {
        let k = usize::try_from(k).expect("below `available`");
        match self.packing {
            Packing::Contiguous => self.cut(u64::from(self.samples[k]) * self.length, count),
            Packing::PerDocument => {
                let document = self.documents[k] as usize;
                vec![Span { document, from: 0, to: (self.lengths[document] as usize).min(count) }]
            }
        }
    }

    /// The pieces under tokens `start..start + count`.
    fn cut(&self, start: u64, count: usize) -> Vec<Span> {
        let end = start + count as u64;
        let block = self.before.partition_point(|before| *before <= start).saturating_sub(1);
        let mut begin = self.before[block];
        let mut spans = Vec::new();
        for document in &self.documents[block * STRIDE..] {
            if begin >= end {
                break;
            }
            let next = begin + u64::from(self.lengths[*document as usize]);
            if start.max(begin) < end.min(next) {
                spans.push(Span {
                    document: *document as usize,
                    from: (start.max(begin) - begin) as usize,
                    to: (end.min(next) - begin) as usize,
                });
            }
            begin = next;
        }
        spans
    }
}

/// Tokens before every [`STRIDE`]-th document of the list.
fn sums(documents: &[u32], lengths: &[u32]) -> Vec<u64> {
    let mut tokens = 0;
    let blocks = documents.chunks(STRIDE).map(|block| {
        let before = tokens;
        tokens += block.iter().map(|document| u64::from(lengths[*document as usize])).sum::<u64>();
        before
    });
    blocks.collect()
}

#[cfg(test)]
mod tests {
    use super::{Listed, OrderSettings, Packing};
    use crate::data::writer::in_memory;
    use crate::spec::Order;

    #[test]
    fn tokens_are_found_among_all_epochs() {
        let documents: Vec<Vec<u32>> =
            (0..300).map(|d| vec![d; if d % 5 == 0 { 0 } else { d as usize * 31 % 17 }]).collect();
        let corpus = in_memory(&documents);
        let per_epoch = (corpus.tokens() - 1) / 10;
        let settings = OrderSettings {
            order: Order::Megatron,
            packing: Packing::Contiguous,
            length: 10,
            seed: 3,
            corpus: 0,
            samples: 2 * per_epoch + 5,
        };
        let listed = Listed::new(&settings, &corpus, per_epoch).ok().expect("few");
        let stream: Vec<(usize, usize)> = listed
            .documents
            .iter()
            .flat_map(|d| (0..documents[*d as usize].len()).map(|token| (*d as usize, token)))
            .collect();
        assert!(listed.available() >= settings.samples);
        for k in 0..listed.available() {
            let spans = listed.spans(k, 11);
            let tokens: Vec<_> =
                spans.iter().flat_map(|s| (s.from..s.to).map(|token| (s.document, token))).collect();
            let start = listed.samples[k as usize] as usize * 10;
            assert_eq!(tokens, stream[start..start + 11], "sample {k}");
        }
    }
}
