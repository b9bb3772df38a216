//! The operations by name, on a machine: each is one launch of the kernel of that name.

use super::CudaError;
use super::kernels::{Kernel, MATMUL_TILE, PREFILL_DIMS, PREFILL_ROWS};
use super::machine::{Arg, Dtype, Form, Into, Launch, Machine, Product, Ptr};
use crate::ops::attention::Heads;

/// A machine, and the type in which it keeps weights, activations and the cache.
#[derive(Clone, Copy)]
pub(crate) struct Ops<'a> {
    pub(crate) machine: &'a dyn Machine,
    pub(crate) dtype: Dtype,
}

/// Keys and values of one layer, `[slots, key heads, dim]` each.
#[derive(Clone, Copy)]
pub(crate) struct Cache {
    pub(crate) keys: Ptr,
    pub(crate) values: Ptr,
}

/// Some rows of a batch, and which slots they see: row `r`'s position `p` is in slot `table[starts[r] + p]`.
#[derive(Clone, Copy)]
pub(crate) struct Context {
    pub(crate) rows: usize,
    pub(crate) table: Ptr,
    pub(crate) starts: Ptr,
    pub(crate) positions: Ptr,
}

/// What attention is told besides.
#[derive(Clone, Copy)]
pub(crate) struct Attention {
    pub(crate) heads: Heads,
    /// Positions that are seen, the own included; 0 for all.
    pub(crate) window: usize,
}

/// Operands of [`Ops::rope`].
pub(crate) struct Rope {
    /// `[rows, (queries + 2 · keys) · dim]`.
    pub(crate) qkv: Ptr,
    /// f32, or none.
    pub(crate) bias: Ptr,
    /// f32 `[dim]` each, or none.
    pub(crate) head_norms: [Ptr; 2],
    /// f32 `[positions, dim / 2, 2]`: cosines and sines.
    pub(crate) angles: Ptr,
    /// Where each row's key and value go; below 0: nowhere.
    pub(crate) slots: Ptr,
    /// `[rows, queries · dim]`.
    pub(crate) q: Ptr,
    pub(crate) eps: f32,
}

fn int(value: usize) -> Arg {
    Arg::Int(i32::try_from(value).expect("dimensions and rows stay below 2^31"))
}

fn blocks(value: usize) -> u32 {
    u32::try_from(value).expect("rows stay below 2^32")
}

impl Ops<'_> {
    fn launch(&self, kernel: Kernel, dtype: Dtype, blocks: [u32; 3], args: &[Arg]) -> Result<(), CudaError> {
        if blocks.contains(&0) {
            return Ok(());
        }
        self.machine.launch(&Launch { kernel, dtype, blocks, args })
    }

    /// [`crate::ops::embedding`]: `x [rows, hidden]` of `table [_, hidden]` at `ids`, times `scale`.
    pub(crate) fn embedding(
        &self,
        (table, ids): (Ptr, Ptr),
        x: Ptr,
        [rows, hidden]: [usize; 2],
        scale: f32,
    ) -> Result<(), CudaError> {
        let args = [Arg::Ptr(table), Arg::Ptr(ids), Arg::Ptr(x), int(hidden), Arg::Float(scale)];
        self.launch(Kernel::Embedding, self.dtype, [blocks(rows), 1, 1], &args)
    }

    /// Copies rows of f32: the embedding that has them as its table.
    pub(crate) fn gather(
        &self,
        (from, ids): (Ptr, Ptr),
        to: Ptr,
        [rows, width]: [usize; 2],
    ) -> Result<(), CudaError> {
        Ops { dtype: Dtype::F32, ..*self }.embedding((from, ids), to, [rows, width], 1.0)
    }

    /// [`crate::ops::rms_norm`] of f32 rows, all or those that `chosen` names. `(bad, place)`: the smallest place whose values are
    /// not finite is kept in `bad`.
    pub(crate) fn rms_norm(
        &self,
        (x, chosen): (Ptr, Ptr),
        (weight, eps): (Ptr, f32),
        out: Ptr,
        [rows, width]: [usize; 2],
        (bad, place): (Ptr, usize),
    ) -> Result<(), CudaError> {
        let args = [
            Arg::Ptr(x),
            Arg::Ptr(chosen),
            Arg::Ptr(weight),
            Arg::Ptr(out),
            int(width),
            Arg::Float(eps),
            Arg::Ptr(bad),
            int(place),
        ];
        self.launch(Kernel::RmsNorm, self.dtype, [blocks(rows), 1, 1], &args)
    }

    /// Biases, norms of heads and [`crate::ops::rope`]; keys and values go into the cache.
    pub(crate) fn rope(
        &self,
        rows: usize,
        rope: &Rope,
        cache: Cache,
        positions: Ptr,
        heads: Heads,
    ) -> Result<(), CudaError> {
        let args = [
            Arg::Ptr(rope.qkv),
            Arg::Ptr(rope.bias),
            Arg::Ptr(rope.head_norms[0]),
            Arg::Ptr(rope.head_norms[1]),
            Arg::Ptr(rope.angles),
            Arg::Ptr(positions),
            Arg::Ptr(rope.slots),
            Arg::Ptr(rope.q),
            Arg::Ptr(cache.keys),
            Arg::Ptr(cache.values),
            // The table of slots is the host's.
            Arg::Ptr(Ptr::NULL),
            Arg::Ptr(Ptr::NULL),
            int(heads.queries),
            int(heads.keys),
            int(heads.dim),
            Arg::Float(rope.eps),
        ];
        self.launch(Kernel::Rope, self.dtype, [blocks(rows), 1, 1], &args)
    }

    /// [`crate::ops::attention`] in the plainest way: the reference of the two others, and what computes the shapes that they
    /// do not.
    pub(crate) fn attention_plain(
        &self,
        (q, out): (Ptr, Ptr),
        cache: Cache,
        context: Context,
        attention: Attention,
    ) -> Result<(), CudaError> {
        let head = [Arg::Ptr(q), Arg::Ptr(cache.keys), Arg::Ptr(cache.values)];
        let seen = [Arg::Ptr(context.table), Arg::Ptr(context.starts), Arg::Ptr(context.positions)];
        let args = [&head[..], &seen[..], &[Arg::Ptr(out)], &attention.args()[..]].concat();
        let grid = [blocks(context.rows), blocks(attention.heads.queries), 1];
        self.launch(Kernel::AttentionPlain, self.dtype, grid, &args)
    }

    /// [`crate::ops::attention`] of tiles of consecutive rows ([`super::batch::Tile`]).
    pub(crate) fn attention_prefill(
        &self,
        (tiles, count): (Ptr, usize),
        (q, out): (Ptr, Ptr),
        cache: Cache,
        table: Ptr,
        attention: Attention,
    ) -> Result<(), CudaError> {
        let head = [Arg::Ptr(q), Arg::Ptr(cache.keys), Arg::Ptr(cache.values)];
        let args =
            [&head[..], &[Arg::Ptr(table), Arg::Ptr(tiles), Arg::Ptr(out)], &attention.args()[..]].concat();
        let grid = [blocks(count), blocks(attention.heads.keys), 1];
        self.launch(Kernel::AttentionPrefill, self.dtype, grid, &args)
    }

    /// [`crate::ops::attention`] of single rows, whose keys are read in pieces by blocks of their own and then put together.
    /// `partial` is f32 `[rows, queries, pieces, dim + 2]`.
    pub(crate) fn attention_decode(
        &self,
        (q, out): (Ptr, Ptr),
        cache: Cache,
        context: Context,
        attention: Attention,
        (partial, pieces): (Ptr, usize),
    ) -> Result<(), CudaError> {
        let Heads { queries, keys, dim } = attention.heads;
        let head = [Arg::Ptr(q), Arg::Ptr(cache.keys), Arg::Ptr(cache.values)];
        let seen = [Arg::Ptr(context.table), Arg::Ptr(context.starts), Arg::Ptr(context.positions)];
        let args =
            [&head[..], &seen[..], &[Arg::Ptr(partial)], &attention.args()[..], &[int(pieces)]].concat();
        let grid = [blocks(context.rows), blocks(keys), blocks(pieces)];
        self.launch(Kernel::AttentionDecode, self.dtype, grid, &args)?;
        let args = [
            Arg::Ptr(partial),
            Arg::Ptr(context.positions),
            Arg::Ptr(out),
            int(queries),
            int(dim),
            int(attention.window),
            int(pieces),
        ];
        self.launch(Kernel::AttentionCombine, self.dtype, [blocks(context.rows), blocks(queries), 1], &args)
    }

    /// [`crate::ops::swiglu`] of `gate_up [rows, 2 · inner]`, after a bias where there is one.
    pub(crate) fn swiglu(
        &self,
        (gate_up, bias): (Ptr, Ptr),
        out: Ptr,
        [rows, inner]: [usize; 2],
    ) -> Result<(), CudaError> {
        // A block takes eight values a thread.
        let values = 8 * Kernel::Swiglu.about().threads as usize;
        let args = [Arg::Ptr(gate_up), Arg::Ptr(bias), Arg::Ptr(out), int(inner)];
        self.launch(Kernel::Swiglu, self.dtype, [blocks(rows), blocks(inner.div_ceil(values)), 1], &args)
    }

    /// Adds a bias to every row of f32, where there is one.
    pub(crate) fn add_bias(&self, x: Ptr, bias: Ptr, [rows, width]: [usize; 2]) -> Result<(), CudaError> {
        if bias == Ptr::NULL {
            return Ok(());
        }
        let args = [Arg::Ptr(x), Arg::Ptr(bias), int(width)];
        self.launch(Kernel::AddBias, Dtype::F32, [blocks(rows), 1, 1], &args)
    }

    /// [`crate::ops::matmul`], by whatever the machine has for it.
    pub(crate) fn matmul(
        &self,
        (x, w, out): (Ptr, Ptr, Ptr),
        [m, n, k]: [usize; 3],
        into: Into,
    ) -> Result<(), CudaError> {
        if m == 0 {
            return Ok(());
        }
        self.machine.multiply(&Product { form: Form::Forward, x, w, out, m, n, k, dtype: self.dtype, into })
    }

    /// What is asked of rows of logits ([`crate::Seen`]). `first [rows + 1]` and `wanted` say which are picked; `picked` gets them.
    pub(crate) fn summary(
        &self,
        logits: Ptr,
        [first, wanted]: [Ptr; 2],
        [picked, normaliser, likeliest]: [Ptr; 3],
        [rows, vocabulary]: [usize; 2],
    ) -> Result<(), CudaError> {
        let given = [Arg::Ptr(logits), Arg::Ptr(first), Arg::Ptr(wanted)];
        let made = [Arg::Ptr(picked), Arg::Ptr(normaliser), Arg::Ptr(likeliest), int(vocabulary)];
        self.launch(Kernel::Summary, Dtype::F32, [blocks(rows), 1, 1], &[&given[..], &made[..]].concat())
    }
}

impl Context {
    /// So many of its rows from `first` on.
    pub(crate) fn part(self, first: usize, rows: usize) -> Self {
        let bytes = first * size_of::<i32>();
        let (starts, positions) = (self.starts.plus(bytes), self.positions.plus(bytes));
        Self { rows, starts, positions, ..self }
    }
}

impl Attention {
    /// Whether [`Kernel::AttentionPrefill`] computes it.
    pub(crate) fn has_tiles(&self, dtype: Dtype) -> bool {
        Kernel::AttentionPrefill.about().dtypes.contains(&dtype)
            && PREFILL_DIMS.contains(&self.heads.dim)
            && self.heads.sharing() <= PREFILL_ROWS
    }

    fn args(&self) -> [Arg; 5] {
        let Heads { queries, keys, dim } = self.heads;
        [int(queries), int(keys), int(dim), int(self.window), Arg::Float(1.0 / (dim as f32).sqrt())]
    }
}

/// Runs [`Kernel::Matmul`] or one of its gradients: the product on machines without a library for it.
pub(crate) fn plain_product(machine: &dyn Machine, product: &Product) -> Result<(), CudaError> {
    let Product { form, x, w, out, m, n, k, dtype, into } = *product;
    let kernel = match form {
        Form::Forward => Kernel::Matmul,
        Form::Input => Kernel::MatmulInput,
        Form::Weight => Kernel::MatmulWeight,
    };
    let into = match into {
        Into::Same => 0,
        Into::F32 => 1,
        Into::Added => 2,
    };
    let args = [Arg::Ptr(x), Arg::Ptr(w), Arg::Ptr(out), int(m), int(n), int(k), Arg::Int(into)];
    let grid = [blocks(n.div_ceil(MATMUL_TILE)), blocks(m.div_ceil(MATMUL_TILE)), 1];
    machine.launch(&Launch { kernel, dtype, blocks: grid, args: &args })
}
