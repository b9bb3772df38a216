use super::{Group, Heads, KeyValues, Saved, Segment, attend, backward, forward};
use crate::ops::lanes;
use crate::testing::{Random, bits, on_threads};

const SHAPES: [Heads; 5] = [
    Heads { queries: 8, keys: 4, dim: 32 },
    Heads { queries: 4, keys: 4, dim: 8 },
    Heads { queries: 7, keys: 1, dim: 24 },
    Heads { queries: 16, keys: 2, dim: 64 },
    Heads { queries: 3, keys: 1, dim: 100 },
];

struct Example {
    heads: Heads,
    rows: usize,
    q: Vec<f32>,
    k: Vec<f32>,
    v: Vec<f32>,
}

impl Example {
    fn new(heads: Heads, rows: usize) -> Self {
        let mut random = Random(12);
        let width = heads.keys * heads.dim;
        let q = random.values(rows * heads.queries * heads.dim);
        Self { heads, rows, q, k: random.values(rows * width), v: random.values(rows * width) }
    }

    fn whole(&self, starts: &[usize]) -> (Vec<f32>, Vec<f32>) {
        let (mut out, mut lse) =
            (vec![f32::NAN; self.q.len()], vec![f32::NAN; self.rows * self.heads.queries]);
        forward((&self.q, &self.k, &self.v), starts, self.heads, &mut out, &mut lse);
        (out, lse)
    }

    /// The same rows computed in groups of `step` rows against a context stored in segments of `cut` positions.
    fn in_pieces(&self, step: usize, cut: usize) -> Vec<f32> {
        let (wide, narrow) = (self.heads.queries * self.heads.dim, self.heads.keys * self.heads.dim);
        let stored: Vec<KeyValues> = self
            .k
            .chunks(cut * narrow)
            .zip(self.v.chunks(cut * narrow))
            .map(|(k, v)| {
                let mut stored = KeyValues::new(self.heads);
                // One position at a time and all at once are the same.
                let (first_k, k) = k.split_at(narrow);
                let (first_v, v) = v.split_at(narrow);
                stored.append(first_k, first_v);
                stored.append(k, v);
                stored
            })
            .collect();
        let segments: Vec<Segment<'_>> = stored.iter().map(KeyValues::segment).collect();
        let mut out = vec![f32::NAN; self.q.len()];
        for (i, (q, out)) in self.q.chunks(step * wide).zip(out.chunks_mut(step * wide)).enumerate() {
            let group =
                Group { rows: q.len() / wide, segments: &segments, visible: i * step + 1, window: None };
            attend(q, &[group], self.heads, out, None);
        }
        out
    }
}

#[test]
fn attention_is_the_weighted_mean_it_is_defined_as() {
    for heads in SHAPES {
        let example = Example::new(heads, 70);
        // Two documents, the second from row 40 on.
        let starts: Vec<usize> = (0..70).map(|row| if row < 40 { 0 } else { 40 }).collect();
        let (out, lse) = example.whole(&starts);
        for row in 0..70 {
            for head in 0..heads.queries {
                let at = |x: &[f32], row: usize, heads: usize, head: usize, i: usize, dim: usize| {
                    f64::from(x[(row * heads + head) * dim + i])
                };
                let key = head / heads.sharing();
                let scores: Vec<f64> = (starts[row]..=row)
                    .map(|p| {
                        (0..heads.dim)
                            .map(|i| {
                                at(&example.q, row, heads.queries, head, i, heads.dim)
                                    * at(&example.k, p, heads.keys, key, i, heads.dim)
                            })
                            .sum::<f64>()
                            / (heads.dim as f64).sqrt()
                    })
                    .collect();
                let total: f64 = scores.iter().map(|s| s.exp()).sum();
                assert!((f64::from(lse[row * heads.queries + head]) - total.ln()).abs() < 1e-5);
                for i in 0..heads.dim {
                    let expected: f64 = (starts[row]..=row)
                        .zip(&scores)
                        .map(|(p, s)| s.exp() / total * at(&example.v, p, heads.keys, key, i, heads.dim))
                        .sum();
                    let found = at(&out, row, heads.queries, head, i, heads.dim);
                    assert!(
                        (found - expected).abs() < 1e-5,
                        "{heads:?} row {row} head {head}: {found} {expected}"
                    );
                }
            }
        }
    }
}

#[test]
fn pieces_and_threads_never_change_a_bit() {
    for heads in SHAPES {
        let example = Example::new(heads, 61);
        let whole = bits(&example.whole(&[0; 61]).0);
        for (step, cut) in [(1, 61), (61, 1), (7, 16), (20, 17), (61, 33)] {
            for threads in [1, 2] {
                let pieces = on_threads(threads, || example.in_pieces(step, cut));
                assert!(
                    bits(&pieces) == whole,
                    "{heads:?}: {step} rows, segments of {cut}, {threads} threads"
                );
            }
        }
    }
}

#[test]
fn a_broken_later_token_does_not_reach_earlier_ones() {
    let heads = SHAPES[0];
    let mut example = Example::new(heads, 30);
    let sound = example.whole(&[0; 30]).0;
    let narrow = heads.keys * heads.dim;
    example.k[20 * narrow..21 * narrow].fill(f32::NAN);
    example.v[20 * narrow..21 * narrow].fill(f32::INFINITY);
    let broken = example.whole(&[0; 30]).0;
    let wide = heads.queries * heads.dim;
    assert_eq!(bits(&sound[..20 * wide]), bits(&broken[..20 * wide]));
    assert!(broken[20 * wide..].iter().all(|x| !x.is_finite()));
}

/// Gradients in queries, keys and values as they are written down: every value one chain over positions or queries.
fn plain_backward(saved: &Saved<'_>, dout: &[f32]) -> [Vec<f32>; 3] {
    let Heads { queries, keys, dim } = saved.heads;
    let (q, k, v) = saved.qkv;
    let mut gradients = [vec![0.0_f32; q.len()], vec![0.0_f32; k.len()], vec![0.0_f32; v.len()]];
    let chain = |a: &[f32], b: &[f32]| a.iter().zip(b).fold(0.0_f32, |sum, (a, b)| a.mul_add(*b, sum));
    let scale = 1.0 / (dim as f32).sqrt();
    for head in 0..queries {
        let key = head / saved.heads.sharing();
        for (row, &start) in saved.starts.iter().enumerate() {
            let query = (row * queries + head) * dim;
            let query = query..query + dim;
            let along = lanes::dot(&dout[query.clone()], &saved.out[query.clone()]);
            for position in start..=row {
                let key = (position * keys + key) * dim;
                let p = chain(&q[query.clone()], &k[key..key + dim]);
                let p = lanes::exp(p * scale - saved.lse[row * queries + head]);
                let ds = p * (chain(&dout[query.clone()], &v[key..key + dim]) - along) * scale;
                for i in 0..dim {
                    let [dq, dk, dv] = &mut gradients;
                    dq[query.start + i] = ds.mul_add(k[key + i], dq[query.start + i]);
                    dk[key + i] = ds.mul_add(q[query.start + i], dk[key + i]);
                    dv[key + i] = p.mul_add(dout[query.start + i], dv[key + i]);
                }
            }
        }
    }
    gradients
}

#[test]
fn blocks_and_threads_never_change_a_bit_of_the_gradients() {
    for heads in SHAPES {
        let rows = 133;
        let example = Example::new(heads, rows);
        // A document shorter than a panel, one that ends within one, one longer than two blocks of queries.
        let starts: Vec<usize> =
            (0..rows).map(|row| [0, 5, 30][usize::from(row >= 5) + usize::from(row >= 30)]).collect();
        let (out, lse) = example.whole(&starts);
        let qkv = (&example.q[..], &example.k[..], &example.v[..]);
        let saved = Saved { qkv, starts: &starts, heads, out: &out, lse: &lse };
        let dout = Random(13).values(out.len());
        let expected = plain_backward(&saved, &dout).map(|gradient| bits(&gradient));
        for threads in [1, 2] {
            let found = on_threads(threads, || {
                let nan = |like: &[f32]| vec![f32::NAN; like.len()];
                let (mut dq, mut dk, mut dv) = (nan(&example.q), nan(&example.k), nan(&example.v));
                backward(&saved, &dout, (&mut dq, &mut dk, &mut dv));
                [dq, dk, dv].map(|gradient| bits(&gradient))
            });
            assert!(found == expected, "{heads:?} on {threads} threads");
        }
    }
}
