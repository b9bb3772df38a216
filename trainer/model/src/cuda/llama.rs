//! [`Inference`] of the Llama family on a machine.

mod decode;
mod extend;
mod look;
#[cfg(test)]
mod tests;

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sekisho_weights::{Checkpoint, ModelConfig};

use super::angles::Angles;
use super::arena::{self, Arena};
use super::batch::{At, Batch, Part, Upload};
use super::error::GIB;
use super::kernels::DECODE_PIECE;
use super::lanes::{Lane, Lanes};
use super::machine::{Dtype, Machine, Memory, Ptr};
use super::ops::{Cache, Context, Ops};
use super::pages::{PAGE, Pool, Slots};
use super::program::{Pass, Program, slot_bytes};
use super::weights::{self, Weights};
use super::{CudaError, Rows};
use crate::ModelError;
use crate::inference::{Ask, AtOnce, Hidden, Inference, Kept, Place, Seen};
use crate::kv::{DecodeRow, Edge, Extended, Grown, Kv, Meter};
use crate::llama::{bound, check_lengths, check_tokens, pieces};
use crate::ops::rope::Rope;
use decode::{Answer, Wanted};

/// Rows that are computed together, most of them first; the memory decides.
const ROWS: [usize; 6] = [8192, 4096, 2048, 1024, 512, 256];
/// Rows whose logits are held at once; also the most rows that generate together.
const LOOKS: usize = 256;
/// Memory that is left for tables and hidden states, in bytes.
const MARGIN: usize = 256 << 20;
/// Most memory for keys and values unless somebody says otherwise, in bytes.
const KV_BYTES: usize = 32 << 30;
/// Most memory for what pieces of keys leave behind, in bytes.
const PARTIAL_BYTES: usize = 128 << 20;

/// What may be chosen.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// Of weights, activations and cache; that of the checkpoint when absent, bf16 where that is none of the three.
    pub dtype: Option<Dtype>,
    /// Memory for keys and values, in bytes; two fifths of what is free, at most 32 GiB, when absent.
    pub kv_bytes: Option<usize>,
    /// Whether the last bits may depend on batches.
    pub fast: bool,
}

/// A Llama, Mistral, Qwen 2 or Qwen 3 on a machine.
pub(crate) struct CudaLlama {
    machine: Arc<dyn Machine>,
    program: Program,
    pool: Arc<Pool>,
    meter: Meter,
    fast: bool,
    state: Mutex<State>,
}

/// What a pass works with; one at a time.
struct State {
    arena: Arena,
    angles: Angles,
    lanes: Lanes,
    /// Of the rows that generate, at one address: a captured pass reads it there.
    step: Memory,
    /// Partial sums of attention.
    partial: Memory,
}

/// Arrays of [`State::step`], each of [`LOOKS`] numbers and one: ids, positions, slots, starts, firsts; then the likeliest
/// tokens, and the normalisers in f64.
#[derive(Clone, Copy)]
struct Step {
    start: Ptr,
}

impl Step {
    /// Bytes of an array of 32-bit numbers.
    const ARRAY: usize = (4 * (LOOKS + 1)).next_multiple_of(256);
    /// Bytes of all.
    const BYTES: usize = 8 * Self::ARRAY;

    const fn array(self, number: usize) -> Ptr {
        self.start.plus(number * Self::ARRAY)
    }

    const fn firsts(self) -> Ptr {
        self.array(4)
    }

    const fn likeliest(self) -> Ptr {
        self.array(5)
    }

    /// Takes the place of two.
    const fn normalisers(self) -> Ptr {
        self.array(6)
    }
}

impl CudaLlama {
    /// Loads a checkpoint onto a machine.
    ///
    /// # Errors
    /// A tensor that cannot be read, and [`CudaError`].
    pub(crate) fn load(
        checkpoint: &Checkpoint,
        machine: Arc<dyn Machine>,
        options: Options,
    ) -> Result<Self, ModelError> {
        let config = checkpoint.config().clone();
        if !config.family.is_own() {
            return Err(ModelError::OtherEngine { model_type: config.family.model_type() });
        }
        let dtype = options.dtype.unwrap_or_else(|| dtype_of(checkpoint));
        let room = Room::plan(&config, dtype, &options, &*machine)?;
        let weights = Weights::load(checkpoint, &*machine, dtype)?;
        let arena = Arena::new(&config, &*machine, dtype, room.rows, LOOKS)?;
        let state = State {
            arena,
            angles: Angles::new(Rope::new(config.head_dim, config.rope_theta, config.rope_scaling.as_ref())),
            lanes: Lanes::default(),
            step: machine.reserve(Step::BYTES)?,
            partial: machine.reserve(256)?,
        };
        let program = Program::new(config, dtype, weights, room.pages * PAGE, &*machine)?;
        Ok(Self {
            program,
            pool: Pool::new(room.pages),
            meter: Meter::default(),
            fast: options.fast,
            state: Mutex::new(state),
            machine,
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn slot_bytes(&self) -> usize {
        slot_bytes(&self.program.config, self.program.dtype)
    }

    /// No room for so many more tokens.
    fn full(&self, tokens: usize) -> CudaError {
        CudaError::OutOfMemory {
            device: self.machine.name(),
            what: "keys and values",
            needed: (tokens * self.slot_bytes()) as f64 / GIB,
            free: (self.pool.free() * PAGE * self.slot_bytes()) as f64 / GIB,
        }
    }

    /// Reads answers back, and whether a value on the way to them was not finite.
    fn read_back(&self, arena: &Arena, reads: &mut [(Ptr, &mut [u8])]) -> Result<(), CudaError> {
        for (from, bytes) in reads.iter_mut() {
            self.machine.read(*from, bytes)?;
        }
        let mut bad = [0; 4];
        self.machine.read(arena.bad, &mut bad)?;
        match i32::from_le_bytes(bad) {
            i32::MAX => Ok(()),
            place => {
                self.machine.write(arena.bad, &i32::MAX.to_le_bytes())?;
                let place = self.program.place(usize::try_from(place).unwrap_or_default());
                Err(CudaError::NotFinite { place })
            }
        }
    }
}

/// Rows and pages that there is memory for.
struct Room {
    rows: usize,
    pages: usize,
}

impl Room {
    fn plan(
        config: &ModelConfig,
        dtype: Dtype,
        options: &Options,
        machine: &dyn Machine,
    ) -> Result<Self, CudaError> {
        let free = machine.free_bytes()?;
        let weights = weights::bytes(config, dtype);
        let left = free.saturating_sub(weights + MARGIN);
        let arena = |rows: usize| arena::bytes(config, dtype, rows, LOOKS);
        let rows = ROWS.into_iter().find(|rows| arena(*rows) <= left / 4).unwrap_or(ROWS[ROWS.len() - 1]);
        let page = PAGE * slot_bytes(config, dtype);
        let left = left.saturating_sub(arena(rows));
        let kv = options.kv_bytes.unwrap_or_else(|| (left / 5 * 2).min(KV_BYTES));
        let pages = kv.div_ceil(page);
        if pages == 0 || pages * page > left {
            return Err(CudaError::OutOfMemory {
                device: machine.name(),
                what: "weights, activations, and keys and values",
                needed: (weights + MARGIN + arena(rows) + pages.max(1) * page) as f64 / GIB,
                free: free as f64 / GIB,
            });
        }
        Ok(Self { rows, pages })
    }
}

/// The type in which a checkpoint's weights are.
pub(super) fn dtype_of(checkpoint: &Checkpoint) -> Dtype {
    match checkpoint.dtype("model.embed_tokens.weight") {
        Some(sekisho_weights::Dtype::F32) => Dtype::F32,
        Some(sekisho_weights::Dtype::F16) => Dtype::F16,
        _ => Dtype::Bf16,
    }
}

impl Inference for CudaLlama {
    fn config(&self) -> &ModelConfig {
        &self.program.config
    }

    fn device(&self) -> String {
        self.machine.name()
    }

    fn dtype(&self) -> &'static str {
        self.program.dtype.as_str()
    }

    fn is_invariant(&self) -> bool {
        !self.fast
    }

    fn at_once(&self) -> AtOnce {
        AtOnce { tokens: self.state().arena.rows, rows: LOOKS }
    }

    fn kv_budget(&self) -> usize {
        self.pool.pages() * PAGE * self.slot_bytes()
    }

    fn kv_most(&self) -> usize {
        self.kv_budget()
    }

    fn extend_all(&self, edges: &[Edge<'_>]) -> Result<Vec<Extended>, ModelError> {
        let config = &self.program.config;
        check_tokens(config, edges.iter().flat_map(|edge| edge.tokens.iter().copied()))?;
        check_lengths(config, bound(config), edges.iter().map(Edge::end))?;
        Ok(self.extend_checked(edges)?)
    }

    fn kv_bytes(&self, tokens: usize) -> usize {
        tokens.next_multiple_of(PAGE) * self.slot_bytes()
    }

    fn kv_live(&self) -> usize {
        self.meter.bytes()
    }

    fn logits(&self, places: &[Place<'_>]) -> Result<Vec<f32>, ModelError> {
        Ok(self.logits_at(places)?)
    }

    fn look(&self, asks: &[Ask<'_>]) -> Result<Vec<Seen>, ModelError> {
        Ok(self.seen_at(asks)?)
    }

    fn decode(&self, rows: &mut [DecodeRow]) -> Result<Vec<f32>, ModelError> {
        Ok(self.decode_all(rows, Wanted::Logits)?.logits)
    }

    fn decode_likeliest(&self, rows: &mut [DecodeRow]) -> Result<Vec<Option<u32>>, ModelError> {
        let tokens = self.decode_all(rows, Wanted::Likeliest)?.likeliest;
        Ok(tokens.into_iter().map(|token| u32::try_from(token).ok()).collect())
    }
}

impl CudaLlama {
    fn decode_all(&self, rows: &mut [DecodeRow], wanted: Wanted) -> Result<Answer, ModelError> {
        let config = &self.program.config;
        check_tokens(config, rows.iter().map(|row| row.token))?;
        check_lengths(config, bound(config), rows.iter().map(|row| row.len() + 1))?;
        Ok(self.decode_checked(rows, wanted)?)
    }
}
