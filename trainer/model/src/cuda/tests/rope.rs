//! From the product with the weights of attention to queries, and keys and values in the cache.

use super::{Bench, EVERY, NULL, assert_close, assert_same, int, ptr, rounded};
use crate::cuda::kernels::Kernel;
use crate::cuda::machine::{Arg, Dtype};
use crate::ops;
use crate::ops::rope::Rope;
use crate::testing::Random;

/// What a layer has besides the product.
struct Layer {
    queries: usize,
    key_heads: usize,
    dim: usize,
    bias: Option<Vec<f32>>,
    /// Of queries and of keys.
    norms: Option<[Vec<f32>; 2]>,
}

/// Rows of a batch: where each is, which slot its key gets, where its sequence begins in the table.
#[derive(Clone)]
struct Rows {
    positions: Vec<i32>,
    slots: Vec<i32>,
    starts: Vec<i32>,
}

/// What the kernel leaves: queries, keys, values, the table.
struct Left {
    q: Vec<f32>,
    keys: Vec<f32>,
    values: Vec<f32>,
    table: Vec<i32>,
}

const SLOTS: usize = 13;
const POSITIONS: usize = 40;

impl Layer {
    fn width(&self) -> usize {
        (self.queries + 2 * self.key_heads) * self.dim
    }

    fn run(&self, bench: &Bench, qkv: &[f32], rows: &Rows, dtype: Dtype) -> Left {
        let (count, dim) = (rows.positions.len(), self.dim);
        let angles = Rope::new(dim, 10_000.0, None).table(0..POSITIONS);
        let angles: Vec<f32> =
            angles.cos.iter().zip(&angles.sin).flat_map(|(cos, sin)| [*cos, *sin]).collect();
        let optional = |values: Option<&Vec<f32>>| values.map(|values| bench.values(values, Dtype::F32));
        let bias = optional(self.bias.as_ref());
        let [q_norm, k_norm] = [0, 1].map(|i| optional(self.norms.as_ref().map(|norms| &norms[i])));
        let (qkv, angles) = (bench.values(qkv, dtype), bench.values(&angles, Dtype::F32));
        let [positions, slots, starts] =
            [&rows.positions, &rows.slots, &rows.starts].map(|list| bench.ints(list));
        let q = bench.blank(count * self.queries * dim, dtype);
        let [keys, values] = [0, 1].map(|_| bench.blank(SLOTS * self.key_heads * dim, dtype));
        let table = bench.blank(2 * POSITIONS, Dtype::F32);
        let or_null = |memory: &Option<_>| memory.as_ref().map_or(NULL, ptr);
        let args = [
            ptr(&qkv),
            or_null(&bias),
            or_null(&q_norm),
            or_null(&k_norm),
            ptr(&angles),
            ptr(&positions),
            ptr(&slots),
            ptr(&q),
            ptr(&keys),
            ptr(&values),
            ptr(&table),
            ptr(&starts),
            int(self.queries),
            int(self.key_heads),
            int(dim),
            Arg::Float(1e-5),
        ];
        bench.run(Kernel::Rope, dtype, [count, 1, 1], &args);
        let read = |memory| bench.read(memory, dtype);
        Left { q: read(&q), keys: read(&keys), values: read(&values), table: bench.read_ints(&table) }
    }

    /// Queries, keys and values of a row by the operations.
    fn expected(&self, qkv: &[f32], position: i32) -> [Vec<f32>; 3] {
        let mut qkv = qkv.to_vec();
        if let Some(bias) = &self.bias {
            ops::bias::forward(&mut qkv, bias);
        }
        let (q, kv) = qkv.split_at(self.queries * self.dim);
        let (k, v) = kv.split_at(self.key_heads * self.dim);
        let table = Rope::new(self.dim, 10_000.0, None).table([position as usize]);
        let turned = |x: &[f32], heads: usize, norm: usize| {
            let mut out = x.to_vec();
            if let Some(norms) = &self.norms {
                ops::rms_norm::forward(x, &norms[norm], 1e-5, &mut out);
            }
            ops::rope::forward(&mut out, heads, &table);
            out
        };
        [turned(q, self.queries, 0), turned(k, self.key_heads, 1), v.to_vec()]
    }
}

fn layers() -> Vec<Layer> {
    let shapes = [(1, 1, 16), (4, 2, 64), (6, 2, 18), (3, 3, 128), (8, 1, 256), (9, 1, 80), (2, 1, 2)];
    let layer = |(i, (queries, key_heads, dim)): (usize, _)| {
        let mut random = Random(i as u64);
        let bias = (i % 2 == 1).then(|| random.values((queries + 2 * key_heads) * dim));
        let norms = (i % 3 != 0).then(|| [random.values(dim), random.values(dim)]);
        Layer { queries, key_heads, dim, bias, norms }
    };
    shapes.into_iter().enumerate().map(layer).collect()
}

#[test]
fn queries_keys_and_values_are_those_of_the_operations() {
    let Some(bench) = Bench::new() else { return };
    let rows =
        Rows { positions: vec![0, 39, 7, 8, 2], slots: vec![3, 0, 12, 5, -7], starts: vec![0, 40, 0, 0, 40] };
    for dtype in EVERY {
        for layer in layers() {
            let count = rows.slots.len();
            let qkv = rounded(&Random(9).values(count * layer.width()), dtype);
            let left = layer.run(&bench, &qkv, &rows, dtype);
            let mut table = vec![-1; 2 * POSITIONS];
            let case = format!("{} of {} heads of {}", layer.key_heads, layer.queries, layer.dim);
            let (wide, narrow) = (layer.queries * layer.dim, layer.key_heads * layer.dim);
            let mut keys = vec![f32::NAN; left.keys.len()];
            let mut values = keys.clone();
            for (i, qkv) in qkv.chunks_exact(layer.width()).enumerate() {
                let slot = rows.slots[i];
                let position = if slot < 0 { 0 } else { rows.positions[i] };
                let [q, k, v] = layer.expected(qkv, position);
                assert_close(&left.q[i * wide..][..wide], &q, dtype, 4e-6, &case);
                if slot >= 0 {
                    let at = slot as usize * narrow;
                    assert_close(&left.keys[at..][..narrow], &k, dtype, 4e-6, &case);
                    assert_same(&left.values[at..][..narrow], &rounded(&v, dtype), &case);
                    keys[at..][..narrow].copy_from_slice(&left.keys[at..][..narrow]);
                    values[at..][..narrow].copy_from_slice(&left.values[at..][..narrow]);
                    table[(rows.starts[i] + position) as usize] = slot;
                }
            }
            // Nothing else was touched: not the other slots, not the rest of the table.
            assert!(keys.iter().zip(&left.keys).all(|(a, b)| a.is_nan() == b.is_nan()), "{case}");
            assert!(values.iter().zip(&left.values).all(|(a, b)| a.is_nan() == b.is_nan()), "{case}");
            assert_eq!(left.table, table, "{case}");
        }
    }
}

#[test]
fn without_norms_the_rotation_is_that_of_the_cpu_bit_for_bit() {
    let Some(bench) = Bench::new() else { return };
    let layer = Layer { queries: 3, key_heads: 1, dim: 48, bias: None, norms: None };
    let rows = Rows { positions: vec![17], slots: vec![1], starts: vec![0] };
    let qkv = Random(2).values(layer.width());
    let left = layer.run(&bench, &qkv, &rows, Dtype::F32);
    let [q, k, v] = layer.expected(&qkv, 17);
    assert_same(&left.q, &q, "queries");
    assert_same(&left.keys[48..96], &k, "keys");
    assert_same(&left.values[48..96], &v, "values");
}

#[test]
fn a_row_has_the_same_bits_alone_and_in_another_place() {
    let Some(bench) = Bench::new() else { return };
    let all = Rows { positions: vec![3, 20, 21], slots: vec![0, 1, 2], starts: vec![0; 3] };
    let alone = Rows { positions: vec![21], slots: vec![7], starts: vec![40] };
    for dtype in EVERY {
        for layer in layers() {
            let qkv = Random(4).values(3 * layer.width());
            let among = layer.run(&bench, &qkv, &all, dtype);
            let single = layer.run(&bench, &qkv[2 * layer.width()..], &alone, dtype);
            let (wide, narrow) = (layer.queries * layer.dim, layer.key_heads * layer.dim);
            assert_same(&among.q[2 * wide..], &single.q, "queries");
            assert_same(&among.keys[2 * narrow..3 * narrow], &single.keys[7 * narrow..8 * narrow], "keys");
            assert_same(
                &among.values[2 * narrow..3 * narrow],
                &single.values[7 * narrow..8 * narrow],
                "values",
            );
        }
    }
}
