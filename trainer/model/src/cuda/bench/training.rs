//! The operations of a training step that read and write memory, or attend, and how fast whole models train.

use std::sync::Arc;
use std::time::Instant;

use sekisho_domain::Sha256;
use sekisho_weights::ModelConfig;

use super::{Bench, Row, Scale};
use crate::backend::{Arena, Array, Extent, Format, Op, Ops as _, Place, Slot, Weight, Width};
use crate::cuda::machine::{Dtype, Machine};
use crate::cuda::train::CudaOps;
use crate::cuda::weights::to_bytes;
use crate::cuda::{CudaError, open};
use crate::device::Device;
use crate::ops::adamw::Constants;
use crate::ops::attention::Heads;
use crate::ops::rope::Rope;
use crate::random::Random;
use crate::train::{self, Batch, Layout, MicroBatch, Objective, Settings};

/// Measures the rows of training on the GPU with this number, in bf16, and tells each as it comes.
///
/// # Errors
/// [`CudaError`].
pub fn bench_training(number: usize, scale: Scale, tell: &mut dyn FnMut(Row)) -> Result<(), CudaError> {
    run(&open(number, false)?, scale, tell)
}

/// The same on any machine.
pub(super) fn run(
    machine: &Arc<dyn Machine>,
    scale: Scale,
    tell: &mut dyn FnMut(Row),
) -> Result<(), CudaError> {
    let bench = Bench { machine: &**machine, scale };
    for row in bench.norms(machine)? {
        tell(row);
    }
    tell(bench.adamw(machine)?);
    tell(bench.cross_entropy(machine)?);
    for row in bench.attention_train(machine)? {
        tell(row);
    }
    Ok(())
}

/// Constants of an ordinary update.
const CONSTANTS: Constants = Constants {
    scale: 1.0,
    beta1: 0.9,
    rest1: 0.1,
    beta2: 0.95,
    rest2: 0.05,
    keep: 0.9999,
    step: 1e-4,
    root: 1.0,
    eps: 1e-8,
    key: 0x0123_4567_89AB_CDEF,
};

/// What an operation is measured on: rows, the shapes of weights behind a table, columns and width of slots behind the stream.
struct Ground<'a> {
    rows: usize,
    hidden: usize,
    weights: &'a [Vec<usize>],
    slots: &'a [(usize, Width)],
}

impl Ground<'_> {
    /// The operations with random values everywhere.
    fn ops(&self, machine: &Arc<dyn Machine>, op: &Op) -> Result<CudaOps, CudaError> {
        let shapes = std::iter::once(vec![1, self.hidden]).chain(self.weights.iter().cloned());
        let layout = Layout::of(shapes.enumerate().map(|(i, shape)| (i.to_string(), shape)).collect());
        let rope = Rope::new(2, 1e4, None);
        let parameters = Random(7).values(layout.length);
        let settings = Settings { format: Format::Bf16, ..Settings::default() };
        let mut ops = CudaOps::new(Arc::clone(machine), &layout, &parameters, rope, settings)?;
        let mut bytes = 0;
        let mut slots = Vec::new();
        for &(columns, width) in std::iter::once(&(self.hidden, Width::Wide)).chain(self.slots) {
            let extent = Extent { values: self.rows * columns, width };
            let place = Place { start: bytes, bytes: extent.values * ops.keeping().size(width), extent };
            bytes += place.bytes.next_multiple_of(256);
            slots.push(place);
        }
        let table = Weight { start: 0, rows: 1, columns: self.hidden };
        ops.reserve(&Arena { bytes, slots }, &[Op::Embedding { table, out: Slot(0) }, *op]);
        let (ids, starts) = (vec![0; self.rows], vec![0; self.rows]);
        let batch = Batch { length: self.rows, inputs: &ids, targets: &ids, starts: &starts };
        ops.load(&batch, &Objective { targets: self.rows as u64, z_loss: 1e-4 });
        // What went wrong until here is told.
        ops.measure()?;
        for slot in 0..=self.slots.len() {
            let tensor = ops.tensor(Slot(slot));
            fill(&**machine, tensor.at, tensor.values, tensor.dtype)?;
        }
        Ok(ops)
    }
}

/// Random values between -1 and 1.
fn fill(
    machine: &dyn Machine,
    at: crate::cuda::machine::Ptr,
    values: usize,
    dtype: Dtype,
) -> Result<(), CudaError> {
    const PIECE: usize = 1 << 22;
    let piece = to_bytes(&Random(9).values(values.min(PIECE)), dtype);
    (0..values).step_by(PIECE).try_for_each(|first| {
        let count = PIECE.min(values - first) * dtype.size();
        machine.write(at.plus(first * dtype.size()), &piece[..count])
    })
}

impl Bench<'_> {
    /// RMSNorm of the stream and its gradients.
    fn norms(&self, machine: &Arc<dyn Machine>) -> Result<[Row; 2], CudaError> {
        let (rows, hidden) = (self.pick(16_384, 8), self.pick(4096, 64));
        let slots = &[(hidden, Width::Narrow), (hidden, Width::Narrow), (hidden, Width::Wide)];
        let ground = Ground { rows, hidden, weights: &[vec![hidden]], slots };
        let (x, eps, weight) = (Slot(0), 1e-5, Weight { start: hidden, rows: 1, columns: hidden });
        let forward = Op::RmsNorm { x, weight, eps, out: Slot(1) };
        let backward = Op::RmsNormBackward { x, weight, eps, dy: Slot(2), dx: Slot(3) };
        let ops = ground.ops(machine, &backward)?;
        let row = |name, op: Op, bytes: usize| {
            let seconds = self.time(&|| ops.try_run(&op))?;
            let (shape, bytes) = (format!("{rows} × {hidden}"), (bytes * rows * hidden) as f64);
            Ok(Row { name, shape, seconds, operations: 0.0, bytes })
        };
        // Read 4 and 2, and the sum that it is added to read and written.
        Ok([row("rms_norm_train", forward, 6)?, row("rms_norm_backward", backward, 14)?])
    }

    /// The update of as many parameters as a layer of some billions has.
    fn adamw(&self, machine: &Arc<dyn Machine>) -> Result<Row, CudaError> {
        let values = self.pick(1 << 28, 1 << 12);
        let ground = Ground { rows: 1, hidden: 8, weights: &[vec![values / 64, 64]], slots: &[] };
        let mut ops = ground.ops(machine, &Op::Zero { x: Slot(0) })?;
        let gradients = Random(5).values(8 + values);
        ops.upload(Array::Gradients, gradients)?;
        let ops = std::cell::RefCell::new(ops);
        let run = || {
            ops.borrow_mut().adamw(8..8 + values, &CONSTANTS);
            Ok(())
        };
        let seconds = self.time(&run)?;
        ops.borrow_mut().measure()?;
        // Four arrays are read, three written, and the copy in bf16.
        let (shape, bytes) = (format!("{values} values"), 30.0 * values as f64);
        Ok(Row { name: "adamw", shape, seconds, operations: 0.0, bytes })
    }

    /// The output layer of no width to speak of: what is left is the loss and its gradient.
    fn cross_entropy(&self, machine: &Arc<dyn Machine>) -> Result<Row, CudaError> {
        let (rows, vocabulary) = (self.pick(2048, 4), self.pick(99_584, 104));
        let hidden = 8;
        let slots = &[(hidden, Width::Narrow), (vocabulary, Width::Wide), (hidden, Width::Narrow)];
        let ground = Ground { rows, hidden, weights: &[vec![vocabulary, hidden]], slots };
        let weight = Weight { start: hidden, rows: vocabulary, columns: hidden };
        let head = Op::Head { x: Slot(1), weight, logits: Slot(2), dx: Slot(3) };
        let ops = ground.ops(machine, &head)?;
        let seconds = self.time(&|| ops.try_run_loss(&head))?;
        // Logits are read twice, and their gradient is written in bf16.
        let (shape, bytes) = (format!("{rows} × {vocabulary}"), (10 * rows * vocabulary) as f64);
        Ok(Row { name: "cross_entropy", shape, seconds, operations: 0.0, bytes })
    }

    /// Causal attention of one sequence and its gradients.
    fn attention_train(&self, machine: &Arc<dyn Machine>) -> Result<[Row; 2], CudaError> {
        let heads = self.heads();
        let (rows, wide) = (self.pick(4096, 70), heads.queries * heads.dim);
        let narrow = (wide, Width::Narrow);
        let lse = (heads.queries, Width::Wide);
        let slots = &[narrow, narrow, narrow, narrow, lse, narrow, narrow, narrow, narrow];
        let ground = Ground { rows, hidden: 8, weights: &[], slots };
        let (qkv, out, lse) = ([1, 2, 3].map(Slot), Slot(4), Slot(5));
        let (dout, dqkv, window) = (Slot(6), [7, 8, 9].map(Slot), None);
        let forward = Op::Attention { qkv, out, lse, heads, window };
        let backward = Op::AttentionBackward { qkv, out, lse, dout, dqkv, heads, window };
        let ops = ground.ops(machine, &backward)?;
        // The forward pass comes first, for the saved sums.
        let row = |name, op: Op, products: f64, arrays: usize| {
            let pairs = (rows * (rows + 1) / 2) as f64;
            let seconds = self.time(&|| ops.try_run(&op))?;
            let Heads { queries, dim, .. } = heads;
            Ok(Row {
                name,
                shape: format!("1 × {rows}, {queries} heads of {dim}"),
                seconds,
                operations: 2.0 * products * pairs * wide as f64,
                bytes: (arrays * rows * wide * 2) as f64,
            })
        };
        Ok([row("attention_train", forward, 2.0, 4)?, row("attention_train_backward", backward, 5.0, 8)?])
    }
}

/// Some updates of a model.
#[derive(Clone, Debug)]
pub struct Trained {
    /// Of each update, its host side included.
    pub seconds: Vec<f64>,
    /// Mean cross-entropy of each update, nats.
    pub losses: Vec<f64>,
    /// Of parameters and moments afterwards, if it was asked for.
    pub digest: Option<Sha256>,
}

/// Trains a model with random weights on random tokens, a micro-batch for each update; the same numbers every time.
///
/// # Errors
/// [`CudaError`].
///
/// # Panics
/// For a configuration that [is not trained](train::is_trained).
pub fn training(
    device: Device,
    config: &ModelConfig,
    settings: Settings,
    micro: MicroBatch,
    (updates, digest): (usize, bool),
) -> Result<Trained, CudaError> {
    let layout = Layout::new(config);
    let mut random = Random(11);
    let mut parameters = random.values(layout.length);
    for tensor in layout.tensors() {
        // As wide as a normal distribution with a deviation of 0.02.
        let is_norm = tensor.name.ends_with("norm.weight");
        let of = |value: f32| if is_norm { 1.0 } else { 0.034_64 * value };
        parameters[tensor.range.clone()].iter_mut().for_each(|value| *value = of(*value));
    }
    let mut program = train::program(device, config.clone(), settings, micro, parameters)?;
    let rows = micro.sequences * micro.length;
    let starts: Vec<usize> = (0..rows).map(|row| row / micro.length * micro.length).collect();
    let constants = vec![CONSTANTS; layout.tensors().len()];
    let mut trained = Trained { seconds: Vec::new(), losses: Vec::new(), digest: None };
    for _ in 0..updates {
        let tokens: Vec<u32> = (0..=rows).map(|_| random.below(config.vocab_size) as u32).collect();
        let (inputs, targets) = (&tokens[..rows], &tokens[1..]);
        let begun = Instant::now();
        program.zero_gradients();
        let batch = Batch { length: micro.length, inputs, targets, starts: &starts };
        program.accumulate(&batch, &Objective { targets: rows as u64, z_loss: 1e-4 });
        let measured = program.measure()?;
        program.update(&constants);
        trained.seconds.push(begun.elapsed().as_secs_f64());
        trained.losses.push(measured.loss.ce / rows as f64);
    }
    if digest {
        let mut digests = String::new();
        let mut values = vec![0.0_f32; layout.length];
        for array in [Array::Parameters, Array::FirstMoments, Array::SecondMoments] {
            program.download(array, &mut values)?;
            digests += &Sha256::of(pulp::bytemuck::cast_slice::<f32, u8>(&values)).hex();
        }
        trained.digest = Some(Sha256::of(digests));
    }
    Ok(trained)
}

#[cfg(test)]
mod tests {
    use super::{Scale, run, training};
    use crate::backend::{Format, Recompute};
    use crate::cuda::tests::machine_running_once;
    use crate::device::Device;
    use crate::train::tests::small;
    use crate::train::{MicroBatch, Settings};

    #[test]
    fn every_row_of_training_runs() {
        let Some(machine) = machine_running_once() else { return };
        let mut names = Vec::new();
        run(&machine, Scale::Tiny, &mut |row| {
            assert!(row.seconds > 0.0 && row.bytes > 0.0, "{row:?}");
            names.push(row.name);
        })
        .unwrap_or_else(|error| panic!("{error}"));
        let expected = [
            "rms_norm_train",
            "rms_norm_backward",
            "adamw",
            "cross_entropy",
            "attention_train",
            "attention_train_backward",
        ];
        assert_eq!(names, expected);
    }

    #[test]
    fn a_model_is_trained_the_same_way_every_time() {
        let micro = MicroBatch { sequences: 2, length: 12 };
        let train = |recompute| {
            let settings = Settings { format: Format::Bf16, recompute, ..Settings::default() };
            training(Device::Cpu, &small(false, false), settings, micro, (3, true))
                .expect("the CPU never fails")
        };
        let (one, two) = (train(Recompute::None), train(Recompute::Layer));
        assert_eq!((one.seconds.len(), &one.losses, one.digest), (3, &two.losses, two.digest));
        assert!(one.digest.is_some() && (one.losses[0] - 67.0_f64.ln()).abs() < 0.5, "{:?}", one.losses);
    }
}
