//! How fast a machine runs the operations, beside what it can reach at most: copies and one large product, in the same run.

mod model;
mod training;

use std::time::Instant;

pub use model::{loading, throughput};
pub use training::{Trained, bench_training, training};

use super::CudaError;
use super::batch::{At, Batch, Part};
use super::machine::{Dtype, Into, Machine, Memory, Ptr};
use super::ops::{Attention, Cache, Context, Ops};
use super::weights::to_bytes;
use crate::ops::attention::Heads;
use crate::random::Random;

/// A measured operation.
#[derive(Clone, Debug)]
pub struct Row {
    /// The operation.
    pub name: &'static str,
    /// Its dimensions.
    pub shape: String,
    /// Of one run, the median of several.
    pub seconds: f64,
    /// Multiplications and additions of one run.
    pub operations: f64,
    /// Bytes that one run must read and write.
    pub bytes: f64,
}

impl Row {
    /// 10¹² operations a second.
    #[must_use]
    pub fn teraflops(&self) -> f64 {
        self.operations / self.seconds / 1e12
    }

    /// 10¹² bytes a second.
    #[must_use]
    pub fn terabytes(&self) -> f64 {
        self.bytes / self.seconds / 1e12
    }
}

/// How large the problems are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scale {
    /// As models have them: gigabytes.
    Full,
    /// A few milliseconds on a CPU: to see that it runs.
    Tiny,
}

/// Timed runs of each row; the median counts.
const RUNS: usize = 9;

/// A machine that is measured.
struct Bench<'a> {
    machine: &'a dyn Machine,
    scale: Scale,
}

/// Measures all rows, in bf16, and tells each as it comes.
///
/// # Errors
/// [`CudaError`].
pub(crate) fn run(machine: &dyn Machine, scale: Scale, tell: &mut dyn FnMut(Row)) -> Result<(), CudaError> {
    let bench = Bench { machine, scale };
    tell(bench.copy()?);
    for size in bench.products() {
        tell(bench.product(size)?);
    }
    tell(bench.rms_norm()?);
    tell(bench.swiglu()?);
    tell(bench.prefill()?);
    tell(bench.decode()?);
    tell(bench.summary()?);
    Ok(())
}

impl Bench<'_> {
    fn ops(&self) -> Ops<'_> {
        Ops { machine: self.machine, dtype: Dtype::Bf16 }
    }

    fn pick(&self, full: usize, tiny: usize) -> usize {
        if self.scale == Scale::Full { full } else { tiny }
    }

    /// Memory with random values between -1 and 1: on zeros a GPU is faster than on data.
    fn random(&self, values: usize, dtype: Dtype) -> Result<Memory, CudaError> {
        const PIECE: usize = 1 << 22;
        let memory = self.machine.reserve(values * dtype.size())?;
        let piece = to_bytes(&Random(7).values(values.min(PIECE)), dtype);
        for first in (0..values).step_by(PIECE) {
            let count = PIECE.min(values - first) * dtype.size();
            self.machine.write(memory.start().plus(first * dtype.size()), &piece[..count])?;
        }
        Ok(memory)
    }

    fn numbers(&self, values: impl Iterator<Item = i32>) -> Result<Memory, CudaError> {
        let bytes: Vec<u8> = values.flat_map(i32::to_le_bytes).collect();
        let memory = self.machine.reserve(bytes.len())?;
        self.machine.write(memory.start(), &bytes)?;
        Ok(memory)
    }

    /// The median time of a run; each is repeated until it takes a while.
    fn time(&self, run: &dyn Fn() -> Result<(), CudaError>) -> Result<f64, CudaError> {
        let mark = self.machine.reserve(4)?;
        self.machine.write(mark.start(), &[0; 4])?;
        let wait = || self.machine.read(mark.start(), &mut [0; 4]);
        let seconds = |times: usize| {
            let begun = Instant::now();
            (0..times).try_for_each(|_| run())?;
            wait()?;
            Ok::<f64, CudaError>(begun.elapsed().as_secs_f64())
        };
        run()?;
        wait()?;
        let once = seconds(1)?.max(1e-6);
        let times =
            if self.scale == Scale::Full { (0.02 / once).ceil().clamp(1.0, 2000.0) as usize } else { 1 };
        let mut all = (0..RUNS).map(|_| seconds(times)).collect::<Result<Vec<f64>, _>>()?;
        all.sort_by(f64::total_cmp);
        Ok(all[RUNS / 2] / times as f64)
    }

    /// Rows of f32 gathered one after another: what the memory can do.
    fn copy(&self) -> Result<Row, CudaError> {
        let (rows, width) = (self.pick(1 << 17, 16), self.pick(8192, 64));
        let from = self.random(rows * width, Dtype::F32)?;
        let to = self.machine.reserve(from.bytes())?;
        let ids = self.numbers((0..rows).map(|row| row as i32))?;
        let run = || self.ops().gather((from.start(), ids.start()), to.start(), [rows, width]);
        let shape = format!("{rows} × {width} f32");
        let bytes = 2.0 * from.bytes() as f64;
        Ok(Row { name: "copy", shape, seconds: self.time(&run)?, operations: 0.0, bytes })
    }

    /// The largest, then those of a layer of LLM-jp-3 1.8B over 8,192 rows and over 256.
    fn products(&self) -> Vec<[usize; 3]> {
        if self.scale == Scale::Tiny {
            return vec![[64, 64, 64]];
        }
        let of = |rows| [[rows, 6144, 2048], [rows, 2048, 2048], [rows, 14_336, 2048], [rows, 2048, 7168]];
        [vec![[8192, 8192, 8192]], of(8192).to_vec(), of(256).to_vec(), vec![[256, 99_584, 2048]]].concat()
    }

    fn product(&self, [m, n, k]: [usize; 3]) -> Result<Row, CudaError> {
        let (x, w) = (self.random(m * k, Dtype::Bf16)?, self.random(n * k, Dtype::Bf16)?);
        let out = self.machine.reserve(m * n * 2)?;
        let run = || self.ops().matmul((x.start(), w.start(), out.start()), [m, n, k], Into::Same);
        Ok(Row {
            name: "matmul",
            shape: format!("{m} × {n} × {k}"),
            seconds: self.time(&run)?,
            operations: 2.0 * m as f64 * n as f64 * k as f64,
            bytes: 2.0 * (m * k + n * k + m * n) as f64,
        })
    }

    fn rms_norm(&self) -> Result<Row, CudaError> {
        let (rows, width) = (self.pick(16_384, 8), self.pick(4096, 64));
        let (x, weight) = (self.random(rows * width, Dtype::F32)?, self.random(width, Dtype::F32)?);
        let out = self.machine.reserve(rows * width * 2)?;
        let bad = self.numbers(std::iter::once(i32::MAX))?;
        let run = || {
            let (x, weight) = ((x.start(), Ptr::NULL), (weight.start(), 1e-5));
            self.ops().rms_norm(x, weight, out.start(), [rows, width], (bad.start(), 0))
        };
        let (shape, bytes) = (format!("{rows} × {width}"), (6 * rows * width) as f64);
        Ok(Row { name: "rms_norm", shape, seconds: self.time(&run)?, operations: 0.0, bytes })
    }

    fn swiglu(&self) -> Result<Row, CudaError> {
        let (rows, inner) = (self.pick(16_384, 8), self.pick(7168, 64));
        let gate_up = self.random(2 * rows * inner, Dtype::Bf16)?;
        let out = self.machine.reserve(rows * inner * 2)?;
        let run = || self.ops().swiglu((gate_up.start(), Ptr::NULL), out.start(), [rows, inner]);
        let (shape, bytes) = (format!("{rows} × {inner}"), (6 * rows * inner) as f64);
        Ok(Row { name: "swiglu", shape, seconds: self.time(&run)?, operations: 0.0, bytes })
    }

    fn heads(&self) -> Heads {
        let heads = self.pick(16, 2);
        Heads { queries: heads, keys: heads, dim: self.pick(128, 64) }
    }

    fn cache(&self, slots: usize) -> Result<(Memory, Memory), CudaError> {
        let values = slots * self.heads().keys * self.heads().dim;
        Ok((self.random(values, Dtype::Bf16)?, self.random(values, Dtype::Bf16)?))
    }

    /// Causal attention of whole sequences.
    fn prefill(&self) -> Result<Row, CudaError> {
        let (heads, sequences, length) = (self.heads(), self.pick(4, 1), self.pick(4096, 70));
        let rows = sequences * length;
        let (keys, values) = self.cache(rows)?;
        let q = self.random(rows * heads.queries * heads.dim, Dtype::Bf16)?;
        let out = self.machine.reserve(q.bytes())?;
        let slots: Vec<i32> = (0..rows as i32).collect();
        let tokens = vec![0; length];
        let parts: Vec<Part<'_>> = slots
            .chunks_exact(length)
            .map(|slots| Part { tokens: &tokens, position: 0, slots, read: length })
            .collect();
        let batch = Batch::new(&parts, heads.sharing());
        let told = self.numbers(batch.upload.words.iter().copied())?;
        let at = |array: At| told.start().plus(4 * array.0);
        let cache = Cache { keys: keys.start(), values: values.start() };
        let run = || {
            let tiles = (at(batch.at.tiles), batch.tiles);
            let attention = Attention { heads, window: 0 };
            self.ops().attention_prefill(
                tiles,
                (q.start(), out.start()),
                cache,
                at(batch.at.table),
                attention,
            )
        };
        let pairs = sequences as f64 * (length * (length + 1) / 2) as f64;
        Ok(Row {
            name: "attention_prefill",
            shape: format!("{sequences} × {length}, {} heads of {}", heads.queries, heads.dim),
            seconds: self.time(&run)?,
            operations: 4.0 * pairs * (heads.queries * heads.dim) as f64,
            bytes: 4.0 * q.bytes() as f64,
        })
    }

    /// A token of every row, behind long contexts.
    fn decode(&self) -> Result<Row, CudaError> {
        let (heads, rows, length) = (self.heads(), self.pick(256, 3), self.pick(2048, 300));
        let (keys, values) = self.cache(rows * length)?;
        let q = self.random(rows * heads.queries * heads.dim, Dtype::Bf16)?;
        let out = self.machine.reserve(q.bytes())?;
        let table = self.numbers(0..(rows * length) as i32)?;
        let starts = self.numbers((0..rows).map(|row| (row * length) as i32))?;
        let positions = self.numbers(std::iter::repeat_n(length as i32 - 1, rows))?;
        let pieces = length.div_ceil(super::kernels::DECODE_PIECE);
        let partial = self.machine.reserve(rows * heads.queries * pieces * (heads.dim + 2) * 4)?;
        let (starts, positions) = (starts.start(), positions.start());
        let context = Context { rows, table: table.start(), starts, positions };
        let cache = Cache { keys: keys.start(), values: values.start() };
        let run = || {
            let attention = Attention { heads, window: 0 };
            let q_out = (q.start(), out.start());
            self.ops().attention_decode(q_out, cache, context, attention, (partial.start(), pieces))
        };
        Ok(Row {
            name: "attention_decode",
            shape: format!("{rows} rows behind {length}, {} heads of {}", heads.queries, heads.dim),
            seconds: self.time(&run)?,
            operations: 4.0 * (rows * length * heads.queries * heads.dim) as f64,
            bytes: 2.0 * keys.bytes() as f64,
        })
    }

    fn summary(&self) -> Result<Row, CudaError> {
        let (rows, vocabulary) = (self.pick(256, 3), self.pick(99_584, 100));
        let logits = self.random(rows * vocabulary, Dtype::F32)?;
        let firsts = self.numbers(std::iter::repeat_n(0, rows + 1))?;
        let normalisers = self.machine.reserve(rows * 8)?;
        let likeliest = self.machine.reserve(rows * 4)?;
        let run = || {
            let made = [Ptr::NULL, normalisers.start(), likeliest.start()];
            self.ops().summary(logits.start(), [firsts.start(), Ptr::NULL], made, [rows, vocabulary])
        };
        let (shape, bytes) = (format!("{rows} × {vocabulary}"), logits.bytes() as f64);
        Ok(Row { name: "summary", shape, seconds: self.time(&run)?, operations: 0.0, bytes })
    }
}

#[cfg(test)]
mod tests {
    use super::{Scale, run};
    use crate::cuda::twin::Twin;

    #[test]
    fn every_row_runs() {
        let Some(twin) = Twin::new() else { return };
        let mut names = Vec::new();
        run(&twin.running_once(), Scale::Tiny, &mut |row| {
            assert!(row.seconds > 0.0 && row.bytes > 0.0, "{row:?}");
            names.push(row.name);
        })
        .unwrap_or_else(|error| panic!("{error}"));
        let expected =
            ["copy", "matmul", "rms_norm", "swiglu", "attention_prefill", "attention_decode", "summary"];
        assert_eq!(names, expected);
    }
}
