//! The kernels, run by their twin, against the operations on the CPU: the same numbers to what rounding explains, and the same bits
//! for a row alone, elsewhere in a batch, and among others. With `SEKISHO_TEST_GPU=N` the same tests run on that GPU.

mod attention;
mod attention_train;
mod matmul;
mod norm;
mod rope;
mod small;
mod summary;
mod twin;

use std::sync::Arc;

use super::kernels::Kernel;
use super::machine::{Arg, Dtype, Launch, Machine, Memory, Ptr};
use super::twin::Twin;

const EVERY: [Dtype; 3] = [Dtype::F32, Dtype::Bf16, Dtype::F16];

/// The GPU that `SEKISHO_TEST_GPU` names, else a twin; `None` where there is none.
pub(super) fn machine() -> Option<Arc<dyn Machine>> {
    let Ok(number) = std::env::var("SEKISHO_TEST_GPU") else { return Some(Arc::new(Twin::new()?)) };
    let number = number.parse().expect("SEKISHO_TEST_GPU is the number of a GPU");
    Some(super::open(number, false).unwrap_or_else(|error| panic!("{error}")))
}

/// [`machine`] for whole programs, which are not about the order of threads: a twin runs every launch once.
pub(super) fn machine_running_once() -> Option<Arc<dyn Machine>> {
    if std::env::var_os("SEKISHO_TEST_GPU").is_some() {
        return machine();
    }
    Some(Arc::new(Twin::new()?.running_once()))
}

/// A machine to put operands on; `None` where there is none.
pub(super) struct Bench<M: Machine + ?Sized = dyn Machine> {
    pub(super) machine: Arc<M>,
}

impl Bench {
    pub(super) fn new() -> Option<Self> {
        Some(Self { machine: machine()? })
    }
}

impl Bench<Twin> {
    /// Also where there is a GPU: for what is about the twin.
    fn on_twin() -> Option<Self> {
        Some(Self { machine: Arc::new(Twin::new()?) })
    }
}

impl<M: Machine + ?Sized> Bench<M> {
    /// Values, rounded to a type.
    pub(super) fn values(&self, values: &[f32], dtype: Dtype) -> Memory {
        self.bytes(&values.iter().flat_map(|value| bytes(*value, dtype)).collect::<Vec<u8>>())
    }

    fn ints(&self, values: &[i32]) -> Memory {
        self.bytes(&values.iter().flat_map(|value| value.to_ne_bytes()).collect::<Vec<u8>>())
    }

    fn bytes(&self, bytes: &[u8]) -> Memory {
        let memory = self.machine.reserve(bytes.len()).expect("memory");
        self.machine.write(memory.start(), bytes).expect("a copy");
        memory
    }

    /// Memory for so many values, none of them a number yet.
    fn blank(&self, count: usize, dtype: Dtype) -> Memory {
        self.bytes(&vec![0xFF; count * dtype.size()])
    }

    fn read_bytes(&self, memory: &Memory) -> Vec<u8> {
        let mut bytes = vec![0; memory.bytes()];
        self.machine.read(memory.start(), &mut bytes).expect("a copy");
        bytes
    }

    pub(super) fn read(&self, memory: &Memory, dtype: Dtype) -> Vec<f32> {
        self.read_bytes(memory).chunks_exact(dtype.size()).map(|bytes| value(bytes, dtype)).collect()
    }

    fn read_ints(&self, memory: &Memory) -> Vec<i32> {
        self.read_bytes(memory).as_chunks().0.iter().map(|bytes| i32::from_ne_bytes(*bytes)).collect()
    }

    fn run(&self, kernel: Kernel, dtype: Dtype, blocks: [usize; 3], args: &[Arg]) {
        let blocks = blocks.map(|count| count as u32);
        self.machine.launch(&Launch { kernel, dtype, blocks, args }).expect("a launch");
    }
}

fn bytes(value: f32, dtype: Dtype) -> Vec<u8> {
    match dtype {
        Dtype::F32 => value.to_ne_bytes().to_vec(),
        Dtype::Bf16 => half::bf16::from_f32(value).to_ne_bytes().to_vec(),
        Dtype::F16 => half::f16::from_f32(value).to_ne_bytes().to_vec(),
    }
}

fn value(bytes: &[u8], dtype: Dtype) -> f32 {
    match dtype {
        Dtype::F32 => f32::from_ne_bytes(bytes.try_into().expect("4 bytes")),
        Dtype::Bf16 => half::bf16::from_ne_bytes(bytes.try_into().expect("2 bytes")).to_f32(),
        Dtype::F16 => half::f16::from_ne_bytes(bytes.try_into().expect("2 bytes")).to_f32(),
    }
}

/// The values as a type keeps them.
pub(super) fn rounded(values: &[f32], dtype: Dtype) -> Vec<f32> {
    values.iter().map(|v| value(&bytes(*v, dtype), dtype)).collect()
}

fn ptr(memory: &Memory) -> Arg {
    Arg::Ptr(memory.start())
}

fn int(value: usize) -> Arg {
    Arg::Int(value as i32)
}

const NULL: Arg = Arg::Ptr(Ptr::NULL);

/// Asserts that values of a type are those expected: but for being rounded to it, within `slack`.
pub(super) fn assert_close(found: &[f32], expected: &[f32], dtype: Dtype, slack: f32, case: &str) {
    let unit = match dtype {
        Dtype::F32 => f32::EPSILON / 2.0,
        Dtype::Bf16 => 1.0 / 256.0,
        Dtype::F16 => 1.0 / 2048.0,
    };
    assert_eq!(found.len(), expected.len(), "{case}");
    for (i, (found, expected)) in found.iter().zip(expected).enumerate() {
        let allowed = unit * expected.abs() + slack;
        assert!(
            (found - expected).abs() <= allowed,
            "{case}, {dtype:?}: value {i} is {found}, not {expected}"
        );
    }
}

/// Asserts that two have the same bits.
pub(super) fn assert_same(found: &[f32], expected: &[f32], case: &str) {
    let differ = found.iter().zip(expected).position(|(a, b)| a.to_bits() != b.to_bits());
    assert_eq!(found.len(), expected.len(), "{case}");
    if let Some(i) = differ {
        panic!("{case}: value {i} is {} and {}", found[i], expected[i]);
    }
}
