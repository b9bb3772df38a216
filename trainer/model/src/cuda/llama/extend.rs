//! Edges of a trie: new keys and values behind those that are there.

use super::*;

/// An edge while it is computed.
struct Growing<'a> {
    edge: &'a Edge<'a>,
    own: Slots,
    /// The slots of all positions up to its end.
    slots: Vec<i32>,
    /// Position of its first token.
    start: usize,
}

impl CudaLlama {
    /// Computes edges whose tokens were checked.
    pub(super) fn extend_checked(&self, edges: &[Edge<'_>]) -> Result<Vec<Extended>, CudaError> {
        let growing = edges.iter().map(|edge| self.begin(edge)).collect::<Result<Vec<_>, _>>()?;
        let width = self.program.config.hidden_size * size_of::<f32>();
        let reads: Vec<usize> =
            edges.iter().map(|edge| edge.tokens.len().saturating_sub(edge.read)).collect();
        let hidden = Arc::new(self.machine.reserve(reads.iter().sum::<usize>().max(1) * width)?);
        let mut state = self.state();
        let mut to = hidden.start();
        for pieces in pieces(edges, state.arena.rows) {
            let parts: Vec<Part<'_>> = pieces
                .iter()
                .map(|(number, part)| {
                    let Growing { edge, slots, start, .. } = &growing[*number];
                    Part {
                        tokens: &edge.tokens[part.clone()],
                        position: start + part.start,
                        slots: &slots[..start + part.end],
                        read: edge.read.saturating_sub(part.start),
                    }
                })
                .collect();
            let batch = Batch::new(&parts, self.program.attention.heads.sharing());
            self.extend_batch(&mut state, &batch, to)?;
            to = to.plus(batch.reads * width);
        }
        drop(state);
        let mut first = 0;
        let finish = |(growing, reads): (Growing<'_>, usize)| {
            let bytes = growing.own.pages() * PAGE * self.slot_bytes();
            let kv = Kv::of_slots(growing.edge.prefix.cloned(), growing.own, bytes, self.meter.clone());
            let rows = Rows::new(Arc::clone(&hidden), first, reads);
            first += reads;
            Extended { kv: Arc::new(kv), hidden: Hidden(Kept::Device(rows)) }
        };
        Ok(growing.into_iter().zip(reads).map(finish).collect())
    }

    fn begin<'a>(&self, edge: &'a Edge<'a>) -> Result<Growing<'a>, CudaError> {
        let mut own = Slots::none(Arc::clone(&self.pool));
        if !own.grow(edge.tokens.len()) {
            return Err(self.full(edge.tokens.len()));
        }
        let mut slots = edge.prefix.map(|kv| kv.slots()).unwrap_or_default();
        let start = slots.len();
        slots.extend(own.all());
        Ok(Growing { edge, own, slots, start })
    }

    /// Computes a batch and copies the rows that are read to `to`.
    fn extend_batch(&self, state: &mut State, batch: &Batch, to: Ptr) -> Result<(), CudaError> {
        let machine = &*self.machine;
        let bytes = batch.upload.bytes();
        let uploaded = machine.reserve(bytes.len())?;
        machine.write(uploaded.start(), &bytes)?;
        let at = |array: At| uploaded.start().plus(array.0 * size_of::<i32>());
        let arrays = batch.at;
        let (starts, positions) = (at(arrays.starts), at(arrays.positions));
        let context = Context { rows: batch.rows, table: at(arrays.table), starts, positions };
        let pass = Pass {
            ids: at(arrays.ids),
            slots: at(arrays.slots),
            angles: state.angles.of(batch.positions, machine)?,
            context,
        };
        let arena = &state.arena;
        let tiles = (at(arrays.tiles), batch.tiles);
        let attend = |ops: &Ops<'_>, cache: Cache| {
            let (attention, q_out) = (self.program.attention, (arena.q, arena.mixed));
            if attention.has_tiles(self.program.dtype) {
                ops.attention_prefill(tiles, q_out, cache, context.table, attention)
            } else {
                ops.attention_plain(q_out, cache, context, attention)
            }
        };
        self.program.forward(machine, arena, &pass, &attend)?;
        let ops = Ops { machine, dtype: self.program.dtype };
        ops.gather((arena.x, at(arrays.read)), to, [batch.reads, self.program.config.hidden_size])
    }
}
