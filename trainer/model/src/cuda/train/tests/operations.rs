//! Each operation of a list against the CPU's of the same name, on contents that look random.

use std::sync::Arc;

use crate::backend::{Arena, Array, CpuOps, Extent, Format, Op, Ops, Place, Slot, Weight, Width};
use crate::cuda::machine::{Dtype, Machine};
use crate::cuda::tests::machine;
use crate::cuda::train::CudaOps;
use crate::ops::adamw::Constants;
use crate::ops::attention::Heads;
use crate::ops::bf16;
use crate::ops::rope::Rope;
use crate::testing::{Random, bits};
use crate::train::{Batch, IGNORED, Layout, Objective, Settings};

const BOTH: [Format; 2] = [Format::F32, Format::Bf16];
const WIDE: Width = Width::Wide;
const NARROW: Width = Width::Narrow;

/// Both backends with the same parameters, gradients and slots.
struct Pair {
    format: Format,
    machine: Arc<dyn Machine>,
    cpu: CpuOps,
    cuda: CudaOps,
    extents: Vec<Extent>,
}

/// The shape of a batch, and of the slots beside the stream, which is the first.
struct Case<'a> {
    rows: usize,
    length: usize,
    /// Of the parameters; the first is a table.
    tensors: &'a [&'a [usize]],
    /// Columns and width of further slots.
    slots: &'a [(usize, Width)],
}

impl Pair {
    /// With an operation for which memory is reserved too. None where there is no twin.
    fn new(format: Format, case: &Case<'_>, op: &Op) -> Option<Self> {
        Self::with_moments((format, Format::F32), case, op)
    }

    /// With moments in a format of their own.
    fn with_moments((format, moments): (Format, Format), case: &Case<'_>, op: &Op) -> Option<Self> {
        let machine = machine()?;
        let shapes = case.tensors.iter().enumerate();
        let layout = Layout::of(shapes.map(|(i, shape)| (i.to_string(), shape.to_vec())).collect());
        let mut random = Random(layout.length as u64 + case.rows as u64);
        let parameters = random.values(layout.length);
        let gradients = random.values(layout.length);
        let [vocabulary, hidden] = *case.tensors[0] else { panic!("a table") };
        let stream = (hidden, WIDE);
        let extents: Vec<Extent> = std::iter::once(&stream)
            .chain(case.slots)
            .map(|(columns, width)| Extent { values: case.rows * columns, width: *width })
            .collect();
        let table = Weight { start: 0, rows: vocabulary, columns: hidden };
        let list = [Op::Embedding { table, out: Slot(0) }, *op];
        let rope = || Rope::new(case.dim(), 1e4, None);
        let mut cpu = CpuOps::new(parameters.clone(), rope(), format).with_moments(moments);
        let settings = Settings { format, moments, ..Settings::default() };
        let mut cuda =
            CudaOps::new(Arc::clone(&machine), &layout, &parameters, rope(), settings).expect("memory");
        cpu.reserve(&arena(&extents, 4), &list);
        cuda.reserve(&arena(&extents, cuda.keeping().narrow), &list);
        cpu.upload(Array::Gradients, gradients.clone()).expect("uploaded");
        cuda.upload(Array::Gradients, gradients).expect("uploaded");
        let mut pair = Self { format, machine, cpu, cuda, extents };
        for slot in 0..pair.extents.len() {
            let values = random.values(pair.extents[slot].values);
            pair.set(slot, &values);
        }
        pair.load(case, &mut random, vocabulary);
        Some(pair)
    }

    fn load(&mut self, case: &Case<'_>, random: &mut Random, vocabulary: usize) {
        // Some tokens come often, most never.
        let mut id = || (random.below(vocabulary) * random.below(vocabulary) / vocabulary) as u32;
        let inputs: Vec<u32> = (0..case.rows).map(|_| id()).collect();
        let targets: Vec<u32> = (0..case.rows).map(|row| if row % 5 == 2 { IGNORED } else { id() }).collect();
        let starts: Vec<usize> = (0..case.rows)
            .map(|row| {
                let sequence = row / case.length * case.length;
                // A document begins in the middle of each.
                if row - sequence > case.length / 3 { sequence + case.length / 3 + 1 } else { sequence }
            })
            .collect();
        let batch = Batch { length: case.length, inputs: &inputs, targets: &targets, starts: &starts };
        let objective = Objective { targets: 1 + case.rows as u64 / 2, z_loss: 1e-2 };
        self.cpu.load(&batch, &objective);
        self.cuda.load(&batch, &objective);
    }

    /// Gives both the same contents, which a narrow slot can keep.
    fn set(&mut self, slot: usize, values: &[f32]) {
        let narrow = self.extents[slot].width == NARROW && self.format == Format::Bf16;
        let values = if narrow { bf16::rounded(values) } else { values.to_vec() };
        self.cpu.arena.get([Slot(slot)])[0].copy_from_slice(&values);
        let tensor = self.cuda.tensor(Slot(slot));
        self.machine
            .write(tensor.at, &crate::cuda::weights::to_bytes(&values, tensor.dtype))
            .expect("written");
    }

    fn get(&self, slot: usize) -> Vec<f32> {
        let tensor = self.cuda.tensor(Slot(slot));
        let mut bytes = vec![0; tensor.values * tensor.dtype.size()];
        self.machine.read(tensor.at, &mut bytes).expect("read");
        match tensor.dtype {
            Dtype::F32 => bytes.as_chunks().0.iter().map(|b| f32::from_ne_bytes(*b)).collect(),
            _ => bytes.as_chunks().0.iter().map(|b| half::bf16::from_ne_bytes(*b).to_f32()).collect(),
        }
    }

    fn run(&mut self, op: &Op) {
        self.cpu.run(op);
        self.cuda.run(op);
        self.cuda.sound().unwrap_or_else(|error| panic!("{op:?}: {error}"));
    }

    /// Asserts that a slot is the CPU's but for its rounding, within `slack`.
    fn slot_is_close(&mut self, slot: usize, slack: f32, case: &str) {
        let found = self.get(slot);
        let narrow = self.extents[slot].width == NARROW && self.format == Format::Bf16;
        let unit = if narrow { 1.0 / 256.0 } else { f32::EPSILON };
        let expected = self.cpu.arena.get([Slot(slot)])[0].to_vec();
        close(&found, &expected, (unit, slack), &format!("{case}, slot {slot}, {:?}", self.format));
    }

    fn gradients_are_close(&self, slack: f32, case: &str) {
        let (found, expected) = (self.array(Array::Gradients), &self.cpu.gradients);
        close(&found, expected, (f32::EPSILON, slack), &format!("{case}, gradients, {:?}", self.format));
    }

    fn array(&self, array: Array) -> Vec<f32> {
        let mut values = vec![0.0; self.cpu.gradients.len()];
        self.cuda.download(array, &mut values).expect("downloaded");
        values
    }
}

impl Case<'_> {
    /// Of a head, whose width the second slot's columns tell in these tests.
    fn dim(&self) -> usize {
        self.slots.first().map_or(2, |(columns, _)| if columns % 2 == 0 { *columns } else { 2 })
    }
}

fn close(found: &[f32], expected: &[f32], (unit, slack): (f32, f32), case: &str) {
    assert_eq!(found.len(), expected.len(), "{case}");
    for (i, (found, expected)) in found.iter().zip(expected).enumerate() {
        let allowed = unit * expected.abs() + slack;
        assert!((found - expected).abs() <= allowed, "{case}: value {i} is {found}, not {expected}");
    }
}

/// One place after another.
fn arena(extents: &[Extent], narrow: usize) -> Arena {
    let mut bytes = 0;
    let place = |extent: &Extent| {
        let start = bytes;
        let own = extent.values * if extent.width == WIDE { 4 } else { narrow };
        bytes += own.next_multiple_of(256);
        Place { start, bytes: own, extent: *extent }
    };
    let slots = extents.iter().map(place).collect();
    Arena { bytes, slots }
}

fn weight(start: usize, rows: usize, columns: usize) -> Weight {
    Weight { start, rows, columns }
}

#[test]
fn tokens_are_looked_up_and_their_gradients_added_in_order() {
    for (rows, vocabulary, hidden) in [(1, 3, 1), (7, 5, 16), (300, 7, 40), (150, 90, 33), (70, 1, 8)] {
        let table = weight(0, vocabulary, hidden);
        let case =
            Case { rows, length: rows, tensors: &[&[vocabulary, hidden], &[3]], slots: &[(hidden, WIDE)] };
        let backward = Op::EmbeddingBackward { dout: Slot(1), table };
        for format in BOTH {
            let Some(mut pair) = Pair::new(format, &case, &backward) else { return };
            pair.run(&Op::Embedding { table, out: Slot(0) });
            let expected = bits(pair.cpu.arena.get([Slot(0)])[0]);
            assert_eq!(bits(&pair.get(0)), expected, "{rows} rows");
            pair.run(&backward);
            pair.gradients_are_close(2e-5, &format!("{rows} rows of {vocabulary}"));
        }
    }
}

#[test]
fn norms_of_the_stream_and_of_heads_and_their_gradients() {
    // Rows that blocks share, some of them none; wider than a warp, than a head, than shared memory.
    for (rows, hidden) in [(1, 1), (3, 40), (20, 128), (9, 260), (33, 2_056), (2, 8_200)] {
        let case = Case {
            rows,
            length: rows,
            tensors: &[&[2, hidden], &[5], &[hidden]],
            slots: &[(hidden, NARROW), (hidden, NARROW), (hidden, WIDE)],
        };
        let weight = weight(2 * hidden + 5, 1, hidden);
        let (x, out) = (Slot(0), Slot(1));
        let backward = Op::RmsNormBackward { x, weight, eps: 1e-5, dy: Slot(2), dx: Slot(3) };
        for format in BOTH {
            let Some(mut pair) = Pair::new(format, &case, &backward) else { return };
            pair.run(&Op::RmsNorm { x, weight, eps: 1e-5, out });
            pair.slot_is_close(1, 2e-6, &format!("width {hidden}"));
            pair.run(&backward);
            pair.slot_is_close(3, 1e-5, &format!("width {hidden}"));
            pair.gradients_are_close(1e-5, &format!("width {hidden}"));
        }
    }
    // Heads: rows of rows, in one type all along.
    for (rows, heads, dim) in [(1, 1, 2), (5, 3, 8), (40, 4, 64), (7, 2, 96), (30, 2, 256)] {
        let width = heads * dim;
        let slots = &[(width, NARROW), (width, NARROW), (width, NARROW), (width, NARROW)];
        let case = Case { rows, length: rows, tensors: &[&[2, 8], &[dim]], slots };
        let weight = weight(16, 1, dim);
        let (x, dx) = (Slot(1), Slot(4));
        let backward = Op::RmsNormBackward { x, weight, eps: 1e-5, dy: Slot(3), dx };
        for format in BOTH {
            let Some(mut pair) = Pair::new(format, &case, &backward) else { return };
            let said = format!("{heads} heads of {dim}");
            pair.run(&Op::RmsNorm { x, weight, eps: 1e-5, out: Slot(2) });
            pair.slot_is_close(2, 2e-6, &said);
            pair.run(&Op::Zero { x: dx });
            assert!(pair.get(4).iter().all(|value| value.to_bits() == 0));
            pair.run(&backward);
            pair.slot_is_close(4, 1e-5, &said);
            pair.gradients_are_close(1e-5, &said);
        }
    }
}

#[test]
fn biases_sums_factors_and_gates() {
    for (rows, width) in [(1, 1), (3, 13), (17, 64), (40, 300), (2_100, 8)] {
        let slots = &[(width, NARROW), (width, NARROW), (width, NARROW), (width, NARROW), (width, NARROW)];
        let case = Case { rows, length: rows, tensors: &[&[2, width], &[width]], slots };
        let bias = weight(2 * width, 1, width);
        let backward = Op::BiasBackward { dy: Slot(1), bias };
        let of_stream = Op::BiasBackward { dy: Slot(0), bias };
        for format in BOTH {
            let Some(mut pair) = Pair::new(format, &case, &backward) else { return };
            let said = format!("{rows} x {width}");
            for op in [backward, of_stream] {
                pair.run(&op);
                pair.gradients_are_close(2e-5 * (rows as f32).sqrt(), &said);
            }
            let [gate, up, dout, dgate, dup] = [1, 2, 3, 4, 5].map(Slot);
            pair.run(&Op::SwigluBackward { gate, up, dout, dgate, dup });
            pair.slot_is_close(4, 1e-6, &said);
            pair.slot_is_close(5, 1e-6, &said);
            pair.run(&Op::Swiglu { gate, up, out: dout });
            pair.slot_is_close(3, 0.0, &said);
            pair.run(&Op::Add { into: up, from: gate });
            pair.slot_is_close(2, 1e-6 + if format == Format::Bf16 { 1e-2 } else { 0.0 }, &said);
            pair.run(&Op::Multiply { x: Slot(0), factor: 3.3 });
            pair.slot_is_close(0, 0.0, &said);
            // The CPU does not round its slots, so what is rounded comes last.
            for x in [0, 1] {
                pair.run(&Op::Bias { x: Slot(x), bias });
                pair.slot_is_close(x, 0.0, &said);
            }
        }
    }
}

#[test]
fn pairs_are_turned_and_turned_back() {
    for (rows, length, dim) in [(1, 1, 2), (12, 4, 6), (30, 10, 64), (8, 8, 128)] {
        let case = Case {
            rows,
            length,
            tensors: &[&[2, 8]],
            slots: &[(dim, NARROW), (3 * dim, NARROW), (dim, NARROW)],
        };
        for format in BOTH {
            let ops = [
                (2, Op::Rope { x: Slot(2), heads: 3 }),
                (1, Op::RopeBackward { x: Slot(1), heads: 1 }),
                (3, Op::Rope { x: Slot(3), heads: 1 }),
            ];
            let Some(mut pair) = Pair::new(format, &case, &ops[0].1) else { return };
            for (slot, op) in ops {
                pair.run(&op);
                pair.slot_is_close(slot, 2e-7, &format!("{rows} rows, heads of {dim}"));
            }
        }
    }
}

#[test]
fn attention_within_contexts_and_its_gradients() {
    for (queries, keys, dim, window) in [(2, 2, 8, None), (6, 2, 16, None), (4, 1, 64, Some(5))] {
        let heads = Heads { queries, keys, dim };
        let (wide, few) = (queries * dim, keys * dim);
        let (rows, length) = (42, 21);
        let slots = &[
            (wide, NARROW),
            (few, NARROW),
            (few, NARROW),
            (wide, NARROW),
            (queries, WIDE),
            (wide, NARROW),
            (wide, NARROW),
            (few, NARROW),
            (few, NARROW),
        ];
        let case = Case { rows, length, tensors: &[&[2, 8]], slots };
        let qkv = [1, 2, 3].map(Slot);
        let (out, lse, dout, dqkv) = (Slot(4), Slot(5), Slot(6), [7, 8, 9].map(Slot));
        let backward = Op::AttentionBackward { qkv, out, lse, dout, dqkv, heads, window };
        for format in BOTH {
            let Some(mut pair) = Pair::new(format, &case, &backward) else { return };
            pair.run(&Op::Attention { qkv, out, lse, heads, window });
            let said = format!("{heads:?}, {window:?}");
            // Tensor cores take weights that were rounded.
            let slack = if format == Format::Bf16 { 4e-3 } else { 1e-5 };
            pair.slot_is_close(4, slack, &said);
            pair.slot_is_close(5, 1e-5, &said);
            pair.run(&backward);
            let slack = if format == Format::Bf16 { 3e-2 } else { 2e-5 };
            (7..10).for_each(|slot| pair.slot_is_close(slot, slack, &said));
        }
    }
}

#[test]
fn linear_layers_and_their_gradients() {
    for (rows, inputs, outputs) in [(1, 8, 8), (20, 24, 16), (65, 72, 130), (9, 7, 5)] {
        let slots = &[(inputs, NARROW), (outputs, NARROW), (inputs, NARROW), (outputs, WIDE)];
        let case = Case { rows, length: rows, tensors: &[&[3, 1], &[outputs, inputs]], slots };
        let weight = weight(3, outputs, inputs);
        let [x, dy, dx, wide] = [1, 2, 3, 4].map(Slot);
        let of_stream = Op::MatmulBackwardWeight { dy: wide, x, weight };
        for format in BOTH {
            let Some(mut pair) = Pair::new(format, &case, &of_stream) else { return };
            let said = format!("{rows} x {inputs} x {outputs}");
            for op in [of_stream, Op::MatmulBackwardWeight { dy, x, weight }] {
                pair.run(&op);
                pair.gradients_are_close(1e-4, &said);
            }
            for op in
                [Op::MatmulBackwardInput { dy: wide, weight, dx }, Op::MatmulBackwardInput { dy, weight, dx }]
            {
                pair.run(&op);
                pair.slot_is_close(3, 1e-4, &said);
            }
            for (slot, out) in [(4, wide), (2, dy)] {
                pair.run(&Op::Matmul { x, weight, out });
                pair.slot_is_close(slot, 1e-4, &said);
            }
        }
    }
}

#[test]
fn losses_and_the_gradients_of_the_output_layer_however_rows_are_cut() {
    for (rows, hidden, vocabulary) in [(1_usize, 8, 16), (13, 16, 48), (21, 9, 131), (7, 8, 3_001)] {
        for most in [1, 4, rows] {
            let most = most.min(rows);
            // Logits of so many rows; in these tests a slot has a value for each row.
            let columns = (most * vocabulary).div_ceil(rows);
            let slots = &[(hidden, NARROW), (columns, WIDE), (hidden, NARROW)];
            let case =
                Case { rows, length: rows, tensors: &[&[vocabulary, 1], &[vocabulary, hidden]], slots };
            let weight = weight(vocabulary, vocabulary, hidden);
            let head = Op::Head { x: Slot(1), weight, logits: Slot(2), dx: Slot(3) };
            for format in BOTH {
                let Some(mut pair) = Pair::new(format, &case, &head) else { return };
                pair.run(&head);
                pair.run(&head);
                let said = format!("{rows} x {hidden} x {vocabulary} by {most}");
                pair.slot_is_close(3, 1e-3, &said);
                pair.gradients_are_close(2e-3, &said);
                let (found, expected) = (pair.cuda.measure(), pair.cpu.measure());
                let (found, expected) = (found.expect("measured"), expected.expect("measured"));
                assert_eq!(found.loss.targets, expected.loss.targets, "{said}");
                for (found, expected) in [
                    (found.loss.ce, expected.loss.ce),
                    (found.loss.squared_log_z, expected.loss.squared_log_z),
                    (found.grad_norm, expected.grad_norm),
                ] {
                    assert!((found - expected).abs() <= 1e-4 * expected, "{said}: {found}, {expected}");
                }
            }
        }
    }
}

#[test]
fn updates_have_the_bits_of_the_cpu_and_moments_its_statistics() {
    let constants = Constants {
        scale: 0.7,
        beta1: 0.9,
        rest1: 0.1,
        beta2: 0.95,
        rest2: 0.05,
        keep: 0.999,
        step: 1e-2,
        root: 0.3,
        eps: 1e-3,
        key: 0x0123_4567_89AB_CDEF,
    };
    let tensors: &[&[usize]] = &[&[3, 7], &[1], &[70, 301]];
    let case = Case { rows: 2, length: 2, tensors, slots: &[] };
    for formats in BOTH.map(|moments| BOTH.map(|format| (format, moments))).concat() {
        let Some(mut pair) = Pair::with_moments(formats, &case, &Op::Zero { x: Slot(0) }) else { return };
        let parts = [0..21, 21..22, 22..22 + 70 * 301];
        for _ in 0..3 {
            for part in parts.clone() {
                pair.cpu.adamw(part.clone(), &constants);
                pair.cuda.adamw(part, &constants);
            }
        }
        for array in [Array::Parameters, Array::FirstMoments, Array::SecondMoments] {
            let mut expected = vec![0.0; pair.cpu.gradients.len()];
            pair.cpu.download(array, &mut expected).expect("downloaded");
            assert_eq!(bits(&pair.array(array)), bits(&expected), "{array:?}");
        }
        let parts = parts.map(|part| (part, constants));
        let (found, expected) = (pair.cuda.moment_statistics(&parts), pair.cpu.moment_statistics(&parts));
        for (found, expected) in found.expect("read").iter().zip(expected.expect("read")) {
            assert_eq!((found.values, found.below_eps), (expected.values, expected.below_eps));
            for (found, expected) in [
                (found.exp_avg, expected.exp_avg),
                (found.exp_avg_sq, expected.exp_avg_sq),
                (found.parameters, expected.parameters),
                (found.update, expected.update),
            ] {
                assert!((found - expected).abs() <= 1e-12 * expected, "{found}, {expected}");
            }
        }
    }
}
