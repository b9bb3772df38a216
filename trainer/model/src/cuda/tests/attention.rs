//! Attention: the plain kernel against the operation on the CPU, the other two against it as well, and each against itself.

use super::{Bench, EVERY, assert_close, assert_same, int, ptr, rounded};
use crate::cuda::kernels::{DECODE_PIECE, Kernel, PREFILL_ROWS};
use crate::cuda::machine::{Arg, Dtype, Memory};
use crate::ops::attention::Heads;
use crate::ops::{attention, windowed_attention};
use crate::testing::Random;

const HALVES: [Dtype; 2] = [Dtype::Bf16, Dtype::F16];

/// Sequences of one batch, which share the keys and values of what their beginnings have in common.
struct Case {
    heads: Heads,
    /// 0 for none.
    window: usize,
    /// For each sequence, the numbers of its tokens; the same number is the same token with the same past.
    sequences: Vec<Vec<usize>>,
    /// `[tokens, queries · dim]`, `[tokens, key heads · dim]` twice.
    q: Vec<f32>,
    k: Vec<f32>,
    v: Vec<f32>,
}

/// A query of a batch: its sequence and position, or padding.
type Query = Option<(usize, usize)>;

impl Case {
    /// Sequences of the given lengths, of which each begins with as many tokens of the one before as is said.
    fn new(heads: Heads, window: usize, lengths: &[(usize, usize)], dtype: Dtype, seed: u64) -> Self {
        let mut sequences: Vec<Vec<usize>> = Vec::new();
        let mut tokens = 0;
        for (shared, own) in lengths {
            let before = sequences.last().map_or(&[][..], |last| &last[..*shared]);
            sequences.push(before.iter().copied().chain(tokens..tokens + own).collect());
            tokens += own;
        }
        let mut random = Random(seed);
        let mut values = |width: usize| rounded(&random.values(tokens * width * heads.dim), dtype);
        let (q, k, v) = (values(heads.queries), values(heads.keys), values(heads.keys));
        // Scores of some size, so that weights differ.
        let q = rounded(&q.iter().map(|q| 3.0 * q).collect::<Vec<_>>(), dtype);
        Self { heads, window, sequences, q, k, v }
    }

    fn tokens(&self) -> usize {
        self.k.len() / self.heads.keys / self.heads.dim
    }

    fn scale(&self) -> Arg {
        Arg::Float(1.0 / (self.heads.dim as f32).sqrt())
    }

    fn all(&self) -> Vec<Query> {
        let each = self.sequences.iter().enumerate();
        each.flat_map(|(sequence, tokens)| (0..tokens.len()).map(move |position| Some((sequence, position))))
            .collect()
    }

    fn gather(x: &[f32], tokens: &[usize], width: usize) -> Vec<f32> {
        tokens.iter().flat_map(|token| &x[token * width..][..width]).copied().collect()
    }

    /// What the operation on the CPU makes of a sequence, `[tokens, queries · dim]`.
    fn expected(&self, sequence: usize) -> Vec<f32> {
        let (tokens, heads) = (&self.sequences[sequence], self.heads);
        let (wide, narrow) = (heads.queries * heads.dim, heads.keys * heads.dim);
        let q = Self::gather(&self.q, tokens, wide);
        let (k, v) = (Self::gather(&self.k, tokens, narrow), Self::gather(&self.v, tokens, narrow));
        let (mut out, mut lse) = (vec![0.0; q.len()], vec![0.0; tokens.len() * heads.queries]);
        let (qkv, starts) = ((&q[..], &k[..], &v[..]), vec![0; tokens.len()]);
        match self.window {
            0 => attention::forward(qkv, &starts, heads, &mut out, &mut lse),
            window => windowed_attention::forward(qkv, &starts, heads, window, &mut out, &mut lse),
        }
        out
    }

    /// What the CPU makes of some queries.
    fn expected_of(&self, queries: &[Query]) -> Vec<f32> {
        let wide = self.heads.queries * self.heads.dim;
        let all: Vec<Vec<f32>> = (0..self.sequences.len()).map(|sequence| self.expected(sequence)).collect();
        let of = |query: &Query| match query {
            Some((sequence, position)) => all[*sequence][position * wide..][..wide].to_vec(),
            None => vec![0.0; wide],
        };
        queries.iter().flat_map(of).collect()
    }

    /// Positions of a sequence that some of the queries see.
    fn needed(&self, sequence: usize, queries: &[Query]) -> std::ops::Range<usize> {
        let positions = || queries.iter().flatten().filter(|query| query.0 == sequence).map(|query| query.1);
        let end = positions().max().map_or(0, |last| last + 1);
        match self.window {
            0 => 0..end,
            window => (positions().min().unwrap_or(0) + 1).saturating_sub(window)..end,
        }
    }

    /// Keys and values in shuffled slots, more of them than tokens, and the table. In unused slots are no numbers, and what lies in
    /// the table beside `needed` positions of a sequence names such a slot.
    fn cache(&self, bench: &Bench, dtype: Dtype, (seed, queries): (u64, &[Query])) -> Cache {
        let narrow = self.heads.keys * self.heads.dim;
        let slots = self.tokens() + 5;
        let mut free: Vec<usize> = (0..slots).collect();
        let mut random = Random(seed);
        for i in (1..slots).rev() {
            free.swap(i, random.below(i + 1));
        }
        let (mut keys, mut values) = (vec![f32::NAN; slots * narrow], vec![f32::NAN; slots * narrow]);
        for (token, slot) in free.iter().take(self.tokens()).enumerate() {
            keys[slot * narrow..][..narrow].copy_from_slice(&self.k[token * narrow..][..narrow]);
            values[slot * narrow..][..narrow].copy_from_slice(&self.v[token * narrow..][..narrow]);
        }
        let unused = free[self.tokens()] as i32;
        let (mut table, mut starts) = (vec![unused; 3], Vec::new());
        for (sequence, tokens) in self.sequences.iter().enumerate() {
            let needed = self.needed(sequence, queries);
            starts.push(table.len() as i32);
            let slots = tokens.iter().map(|token| free[*token] as i32).enumerate();
            table
                .extend(slots.map(|(position, slot)| if needed.contains(&position) { slot } else { unused }));
            table.push(unused);
        }
        let table = bench.ints(&table);
        let [keys, values] = [keys, values].map(|x| bench.values(&x, dtype));
        Cache { keys, values, table, starts }
    }

    fn queries(&self, bench: &Bench, dtype: Dtype, queries: &[Query]) -> Memory {
        let wide = self.heads.queries * self.heads.dim;
        let of = |query: &Query| match query {
            Some((sequence, position)) => {
                self.q[self.sequences[*sequence][*position] * wide..][..wide].to_vec()
            }
            None => vec![f32::NAN; wide],
        };
        bench.values(&queries.iter().flat_map(of).collect::<Vec<_>>(), dtype)
    }

    fn shape(&self) -> [Arg; 3] {
        [int(self.heads.queries), int(self.heads.keys), int(self.heads.dim)]
    }
}

/// A layer's cache on the bench.
struct Cache {
    keys: Memory,
    values: Memory,
    table: Memory,
    /// Of each sequence.
    starts: Vec<i32>,
}

impl Cache {
    fn lists(&self, bench: &Bench, queries: &[Query]) -> [Memory; 2] {
        let start = |query: &Query| query.map_or(0, |(sequence, _)| self.starts[sequence]);
        let position = |query: &Query| query.map_or(-1, |(_, position)| position as i32);
        [queries.iter().map(start).collect::<Vec<_>>(), queries.iter().map(position).collect()]
            .map(|list| bench.ints(&list))
    }
}

fn plain(bench: &Bench, case: &Case, queries: &[Query], dtype: Dtype, seed: u64) -> Vec<f32> {
    let cache = case.cache(bench, dtype, (seed, queries));
    let [starts, positions] = cache.lists(bench, queries);
    let q = case.queries(bench, dtype, queries);
    let out = bench.blank(queries.len() * case.heads.queries * case.heads.dim, dtype);
    let [heads, keys, dim] = case.shape();
    let args = [
        ptr(&q),
        ptr(&cache.keys),
        ptr(&cache.values),
        ptr(&cache.table),
        ptr(&starts),
        ptr(&positions),
        ptr(&out),
        heads,
        keys,
        dim,
        int(case.window),
        case.scale(),
    ];
    bench.run(Kernel::AttentionPlain, dtype, [queries.len(), case.heads.queries, 1], &args);
    bench.read(&out, dtype)
}

/// `more` pieces than the longest sequence asks for.
fn decode(
    bench: &Bench,
    case: &Case,
    queries: &[Query],
    dtype: Dtype,
    (seed, more): (u64, usize),
) -> Vec<f32> {
    let Heads { queries: heads, keys, dim } = case.heads;
    let cache = case.cache(bench, dtype, (seed, queries));
    let [starts, positions] = cache.lists(bench, queries);
    let q = case.queries(bench, dtype, queries);
    let longest = queries.iter().flatten().map(|(_, position)| position + 1).max().unwrap_or(1);
    let pieces = longest.div_ceil(DECODE_PIECE) + more;
    let partial = bench.blank(queries.len() * heads * pieces * (dim + 2), Dtype::F32);
    let out = bench.blank(queries.len() * heads * dim, dtype);
    let args = [
        ptr(&q),
        ptr(&cache.keys),
        ptr(&cache.values),
        ptr(&cache.table),
        ptr(&starts),
        ptr(&positions),
        ptr(&partial),
        int(heads),
        int(keys),
        int(dim),
        int(case.window),
        case.scale(),
        int(pieces),
    ];
    bench.run(Kernel::AttentionDecode, dtype, [queries.len(), keys, pieces], &args);
    let args =
        [ptr(&partial), ptr(&positions), ptr(&out), int(heads), int(dim), int(case.window), int(pieces)];
    bench.run(Kernel::AttentionCombine, dtype, [queries.len(), heads, 1], &args);
    bench.read(&out, dtype)
}

/// Runs of consecutive queries of a sequence, each of at most as many rows as a tile takes.
fn tiles(case: &Case, queries: &[Query], most: usize) -> Vec<(usize, usize)> {
    let most = most.min(PREFILL_ROWS / case.heads.sharing());
    let follows = |a: &Query, b: &Query| a.zip(*b).is_some_and(|(a, b)| a.0 == b.0 && a.1 + 1 == b.1);
    let mut tiles = Vec::new();
    let mut first = 0;
    for run in queries.chunk_by(follows) {
        for start in (0..run.len()).step_by(most) {
            tiles.push((first + start, most.min(run.len() - start)));
        }
        first += run.len();
    }
    tiles
}

/// `most` rows to a tile.
fn prefill(
    bench: &Bench,
    case: &Case,
    queries: &[Query],
    dtype: Dtype,
    (seed, most): (u64, usize),
) -> Vec<f32> {
    let cache = case.cache(bench, dtype, (seed, queries));
    let q = case.queries(bench, dtype, queries);
    let out = bench.blank(queries.len() * case.heads.queries * case.heads.dim, dtype);
    let tiles = tiles(case, queries, most);
    let list: Vec<i32> = tiles
        .iter()
        .flat_map(|(first, rows)| {
            let (sequence, position) = queries[*first].expect("no padding");
            [*first as i32, *rows as i32, position as i32, cache.starts[sequence]]
        })
        .collect();
    let list = bench.ints(&list);
    let [heads, keys, dim] = case.shape();
    let args = [
        ptr(&q),
        ptr(&cache.keys),
        ptr(&cache.values),
        ptr(&cache.table),
        ptr(&list),
        ptr(&out),
        heads,
        keys,
        dim,
        int(case.window),
        case.scale(),
    ];
    bench.run(Kernel::AttentionPrefill, dtype, [tiles.len(), case.heads.keys, 1], &args);
    bench.read(&out, dtype)
}

fn heads(keys: usize, sharing: usize, dim: usize) -> Heads {
    Heads { queries: keys * sharing, keys, dim }
}

/// A few queries of every sequence, first and last among them, in no order.
fn some(case: &Case, count: usize) -> Vec<Query> {
    let mut random = Random(count as u64);
    let mut queries: Vec<Query> = Vec::new();
    for (sequence, tokens) in case.sequences.iter().enumerate() {
        queries.extend([Some((sequence, tokens.len() - 1)), Some((sequence, 0))]);
        queries.extend((0..count).map(|_| Some((sequence, random.below(tokens.len())))));
        // Where a tile or a piece, or what a window leaves of them, begins and ends.
        let edges = [127, 128, 255, 256, case.window + 255, case.window + 256];
        queries.extend(edges.into_iter().filter(|at| *at < tokens.len()).map(|at| Some((sequence, at))));
    }
    for i in (1..queries.len()).rev() {
        queries.swap(i, random.below(i + 1));
    }
    queries
}

/// Widths of heads, heads, windows and sequences that plain and decoding attention are tried with.
fn cases(dtype: Dtype) -> Vec<Case> {
    [
        (heads(1, 1, 16), 0, &[(0, 1), (1, 3), (2, 140)][..]),
        (heads(2, 2, 64), 0, &[(0, 130), (129, 1), (77, 60)]),
        (heads(2, 3, 80), 7, &[(0, 20), (11, 30)]),
        (heads(1, 4, 128), 0, &[(0, 300), (256, 300)]),
        (heads(1, 8, 256), 129, &[(0, 260), (255, 15)]),
        (heads(1, 5, 18), 300, &[(0, 90), (40, 580)]),
        (heads(1, 22, 33), 0, &[(0, 270)]),
        (heads(1, 16, 64), 100, &[(0, 258)]),
        (heads(3, 1, 200), 256, &[(0, 40), (40, 530)]),
    ]
    .into_iter()
    .enumerate()
    .map(|(i, (heads, window, lengths))| Case::new(heads, window, lengths, dtype, i as u64))
    .collect()
}

fn name(case: &Case) -> String {
    format!("{:?}, window {}", case.heads, case.window)
}

#[test]
fn plain_and_decoding_attention_are_that_of_the_cpu() {
    let Some(bench) = Bench::new() else { return };
    for dtype in EVERY {
        for case in cases(dtype) {
            let mut queries = some(&case, 2);
            queries.insert(1, None);
            let expected = case.expected_of(&queries);
            assert_close(&plain(&bench, &case, &queries, dtype, 1), &expected, dtype, 4e-6, &name(&case));
            let found = decode(&bench, &case, &queries, dtype, (1, 0));
            assert_close(&found, &expected, dtype, 4e-6, &name(&case));
        }
    }
}

#[test]
fn a_query_has_the_same_bits_alone_in_other_slots_and_with_other_pieces() {
    let Some(bench) = Bench::new() else { return };
    for dtype in EVERY {
        for case in cases(dtype) {
            let queries = some(&case, 1);
            let wide = case.heads.queries * case.heads.dim;
            let among = plain(&bench, &case, &queries, dtype, 1);
            let decoded = decode(&bench, &case, &queries, dtype, (1, 0));
            assert_same(&decode(&bench, &case, &queries, dtype, (2, 3)), &decoded, &name(&case));
            for (i, query) in queries.iter().enumerate().take(3) {
                let alone = plain(&bench, &case, &[*query], dtype, 3);
                assert_same(&alone, &among[i * wide..][..wide], &name(&case));
                let alone = decode(&bench, &case, &[*query], dtype, (3, 1));
                assert_same(&alone, &decoded[i * wide..][..wide], &name(&case));
            }
        }
    }
}

/// The same for attention of tiles.
fn tile_cases(dtype: Dtype) -> Vec<Case> {
    [
        (heads(1, 1, 64), 0, &[(0, 1), (1, 150), (65, 3)][..]),
        (heads(2, 2, 96), 0, &[(0, 66), (64, 5)]),
        (heads(1, 3, 128), 50, &[(0, 90), (70, 130)]),
        (heads(1, 4, 128), 0, &[(0, 200), (129, 20)]),
        (heads(2, 8, 64), 9, &[(0, 40), (38, 70)]),
        (heads(1, 16, 64), 64, &[(0, 7), (7, 140)]),
        (heads(1, 7, 96), 1, &[(0, 75)]),
    ]
    .into_iter()
    .enumerate()
    .map(|(i, (heads, window, lengths))| Case::new(heads, window, lengths, dtype, i as u64))
    .collect()
}

/// How far rounding weights to a type may move a mean of values below 1.
fn weights_rounded(dtype: Dtype) -> f32 {
    match dtype {
        Dtype::Bf16 => 1.0 / 400.0,
        _ => 1.0 / 3_200.0,
    }
}

#[test]
fn attention_of_tiles_is_that_of_the_cpu() {
    let Some(bench) = Bench::new() else { return };
    for dtype in HALVES {
        for case in tile_cases(dtype) {
            let queries = case.all();
            let found = prefill(&bench, &case, &queries, dtype, (1, PREFILL_ROWS));
            let expected = case.expected_of(&queries);
            assert_close(&found, &expected, dtype, weights_rounded(dtype), &name(&case));
        }
    }
}

#[test]
fn a_query_of_a_tile_has_the_same_bits_alone_in_other_slots_and_in_other_tiles() {
    let Some(bench) = Bench::new() else { return };
    for dtype in HALVES {
        for case in tile_cases(dtype) {
            let all = case.all();
            let wide = case.heads.queries * case.heads.dim;
            let among = prefill(&bench, &case, &all, dtype, (1, PREFILL_ROWS));
            for most in [3, 10] {
                assert_same(&prefill(&bench, &case, &all, dtype, (most as u64, most)), &among, &name(&case));
            }
            // From the middle of a sequence on, so that a row stands elsewhere in its tile.
            assert_same(
                &prefill(&bench, &case, &all[5..], dtype, (4, PREFILL_ROWS)),
                &among[5 * wide..],
                &name(&case),
            );
            for i in [0, 60, all.len() / 2, all.len() - 1] {
                let alone = prefill(&bench, &case, &all[i..=i], dtype, (5, PREFILL_ROWS));
                assert_same(&alone, &among[i * wide..][..wide], &name(&case));
            }
        }
    }
}
