//! In which order the samples of one corpus come, and which pieces of which documents make up a sample.

use super::DataError;
use super::indexed::Indexed;
use super::megatron::Listed;
use super::permutation::Permutation;
use crate::spec::{Order, Packing};

/// A piece of a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    /// Number of the document in its corpus.
    pub(crate) document: usize,
    /// First token.
    pub(crate) from: usize,
    /// One past the last token.
    pub(crate) to: usize,
}

impl Span {
    /// The piece that token `token` of all these pieces lies in.
    pub(super) fn holding(spans: &[Self], token: usize) -> Self {
        let mut end = 0;
        let found = spans.iter().find(|span| {
            end += span.to - span.from;
            token < end
        });
        *found.expect("the token is one of theirs")
    }
}

/// What the order of a corpus is made from.
pub(super) struct OrderSettings {
    pub(super) order: Order,
    pub(super) packing: Packing,
    /// Targets of a sample, T; a sample has one token more.
    pub(super) length: usize,
    pub(super) seed: u64,
    /// Number of the corpus in the specification.
    pub(super) corpus: usize,
    /// Samples that Megatron's index is laid out for.
    pub(super) samples: u64,
}

/// The samples of a corpus, in order.
pub(super) struct SampleOrder {
    packing: Packing,
    length: usize,
    stream: Stream,
    /// Samples that see every document about once.
    pub(super) per_epoch: u64,
}

/// From the number of a sample to its documents.
enum Stream {
    /// Documents as they lie in the file, and samples permuted anew in each epoch or not at all: computed, so that an order of any length
    /// costs nothing to make and nothing to keep.
    File { permuted: bool, seed: u64, corpus: u64 },
    /// Listed for all epochs.
    Listed(Listed),
}

/// Why there is no order.
pub(super) enum OrderError {
    /// The corpus cannot be read.
    Data(DataError),
    /// So many documents or samples have no numbers.
    TooMany(u64),
}

impl From<DataError> for OrderError {
    fn from(error: DataError) -> Self {
        Self::Data(error)
    }
}

impl SampleOrder {
    /// None when the corpus is too short for a single sample.
    pub(super) fn new(settings: &OrderSettings, corpus: &Indexed) -> Result<Option<Self>, OrderError> {
        let per_epoch = match settings.packing {
            Packing::Contiguous => corpus.tokens().saturating_sub(1) / settings.length as u64,
            Packing::PerDocument => corpus.documents(),
        };
        if per_epoch == 0 {
            return Ok(None);
        }
        let stream = match settings.order {
            Order::Megatron => Stream::Listed(Listed::new(settings, corpus, per_epoch)?),
            order => Stream::File {
                permuted: order == Order::Permutation,
                seed: settings.seed,
                corpus: settings.corpus as u64,
            },
        };
        Ok(Some(Self { packing: settings.packing, length: settings.length, stream, per_epoch }))
    }

    /// Samples there are; as many as one likes where epochs repeat.
    pub(super) fn available(&self) -> u64 {
        match &self.stream {
            Stream::File { .. } => u64::MAX,
            Stream::Listed(listed) => listed.available(),
        }
    }

    /// The pieces of sample `k` of the corpus that the order was made for. Together they have T+1 tokens, fewer only where documents are not
    /// packed.
    pub(super) fn spans(&self, k: u64, corpus: &Indexed) -> Result<Vec<Span>, DataError> {
        let (permuted, seed, number) = match &self.stream {
            Stream::Listed(listed) => return Ok(listed.spans(k, self.length + 1)),
            Stream::File { permuted, seed, corpus } => (*permuted, *seed, *corpus),
        };
        let (epoch, at) = (k / self.per_epoch, k % self.per_epoch);
        let at = if permuted { Permutation::new(self.per_epoch, seed, number, epoch).at(at) } else { at };
        match self.packing {
            Packing::Contiguous => corpus.cut(at * self.length as u64, self.length + 1),
            Packing::PerDocument => {
                let to = corpus.length(at)?.min(self.length + 1);
                Ok(vec![Span { document: at as usize, from: 0, to }])
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{OrderError, OrderSettings, SampleOrder, Span};
    use crate::data::indexed::Indexed;
    use crate::data::writer::in_memory;
    use crate::spec::{Order, Packing};

    const LENGTHS: [usize; 5] = [7, 1, 12, 4, 9];

    fn corpus() -> Indexed {
        in_memory(&LENGTHS.map(|n| vec![1; n]))
    }

    fn try_order(settings: &OrderSettings) -> Option<SampleOrder> {
        SampleOrder::new(settings, &corpus()).ok().expect("few")
    }

    fn order(order: Order, packing: Packing, samples: u64) -> Made {
        let settings = OrderSettings { order, packing, length: 4, seed: 1234, corpus: 0, samples };
        Made { order: try_order(&settings).expect("samples"), corpus: corpus() }
    }

    struct Made {
        order: SampleOrder,
        corpus: Indexed,
    }

    impl Made {
        fn spans(&self, k: u64) -> Vec<Span> {
            self.order.spans(k, &self.corpus).expect("a sample")
        }
    }

    fn tokens(spans: &[Span]) -> Vec<(usize, usize)> {
        spans.iter().flat_map(|s| (s.from..s.to).map(|t| (s.document, t))).collect()
    }

    #[test]
    fn contiguous_samples_overlap_by_one_token() {
        let order = order(Order::Sequential, Packing::Contiguous, 0);
        assert_eq!(order.order.per_epoch, 8);
        let stream: Vec<(usize, usize)> =
            LENGTHS.iter().enumerate().flat_map(|(d, n)| (0..*n).map(move |t| (d, t))).collect();
        for k in 0..8_u64 {
            let start = k as usize * 4;
            assert_eq!(tokens(&order.spans(k)), stream[start..start + 5], "sample {k}");
        }
        assert_eq!(order.spans(8), order.spans(0), "the second epoch begins");
    }

    #[test]
    fn tokens_are_found_in_a_long_corpus_with_empty_documents() {
        // Document d holds the numbers of its tokens in the whole corpus.
        let mut next = 0;
        let documents: Vec<Vec<u32>> = (0..1000_u32)
            .map(|d| {
                let begin = next;
                next += if d % 5 == 0 { 0 } else { d * 7919 % 23 };
                (begin..next).collect()
            })
            .collect();
        let corpus = in_memory(&documents);
        for order in [Order::Sequential, Order::Permutation] {
            let settings = OrderSettings {
                order,
                packing: Packing::Contiguous,
                length: 40,
                seed: 7,
                corpus: 0,
                samples: 0,
            };
            let order = SampleOrder::new(&settings, &corpus).ok().expect("few").expect("samples");
            let mut begins: Vec<u32> = (0..order.per_epoch)
                .map(|k| {
                    let mut tokens = Vec::new();
                    corpus.read(&order.spans(k, &corpus).expect("pieces"), &mut tokens).expect("tokens");
                    assert_eq!(tokens, (tokens[0]..tokens[0] + 41).collect::<Vec<u32>>(), "sample {k}");
                    tokens[0]
                })
                .collect();
            begins.sort_unstable();
            assert!(begins.into_iter().eq((0..order.per_epoch as u32).map(|k| 40 * k)));
        }
    }

    #[test]
    fn megatrons_order_to_the_token() {
        // First tokens and a checksum over all, from a transcription of Megatron-LM's index functions on NumPy 2.4: one epoch, three with
        // the last one apart, three shuffled together.
        let one: [(usize, usize); 8] = [(4, 8), (2, 7), (2, 11), (0, 3), (2, 3), (4, 4), (4, 0), (1, 0)];
        let apart = [(4, 4), (3, 3), (2, 8), (2, 0), (2, 4), (0, 2), (2, 8), (2, 4)];
        let together = [(4, 8), (4, 7), (2, 0), (1, 0), (2, 4), (4, 3), (2, 4), (2, 11)];
        let goldens =
            [(6, 8, one, 423_826_858), (20, 24, apart, 507_439_886), (23, 24, together, 462_923_574)];
        for (samples, available, first, checksum) in goldens {
            let order = order(Order::Megatron, Packing::Contiguous, samples);
            assert_eq!(order.order.available(), available);
            let samples: Vec<_> = (0..available).map(|k| tokens(&order.spans(k))).collect();
            let begins: Vec<_> = samples.iter().map(|s| s[0]).take(first.len()).collect();
            assert_eq!(begins, first);
            let flat = samples.iter().flatten().map(|(document, token)| (document * 100 + token) as u64);
            assert_eq!(flat.fold(0, |sum, value| (sum * 31 + value) % 1_000_000_007), checksum);
        }
    }

    #[test]
    fn what_megatrons_order_cannot_number_is_refused() {
        let settings = OrderSettings {
            order: Order::Megatron,
            packing: Packing::Contiguous,
            length: 4,
            seed: 0,
            corpus: 0,
            samples: 1 << 33,
        };
        let refused = SampleOrder::new(&settings, &corpus()).err();
        assert!(matches!(refused, Some(OrderError::TooMany(count)) if count >= 1 << 33));
    }

    #[test]
    fn a_permuted_epoch_has_every_sample_once() {
        let permuted = order(Order::Permutation, Packing::Contiguous, 0);
        let sequential = order(Order::Sequential, Packing::Contiguous, 0);
        let sorted = |from: &Made, epoch: u64| {
            let mut samples: Vec<_> = (0..8).map(|k| tokens(&from.spans(epoch * 8 + k))).collect();
            samples.sort();
            samples
        };
        assert_eq!(sorted(&permuted, 0), sorted(&sequential, 0));
        assert_eq!(sorted(&permuted, 3), sorted(&sequential, 0));
    }

    #[test]
    fn documents_are_cut_or_left_short_when_not_packed() {
        let order = order(Order::Sequential, Packing::PerDocument, 0);
        let spans: Vec<_> = (0..5).flat_map(|k| order.spans(k)).map(|s| (s.document, s.from, s.to)).collect();
        assert_eq!(spans, [(0, 0, 5), (1, 0, 1), (2, 0, 5), (3, 0, 4), (4, 0, 5)]);
    }

    #[test]
    fn a_corpus_shorter_than_a_sample_has_none() {
        let settings = OrderSettings {
            order: Order::Megatron,
            packing: Packing::Contiguous,
            length: 40,
            seed: 0,
            corpus: 0,
            samples: 10,
        };
        assert!(try_order(&settings).is_none());
    }
}
