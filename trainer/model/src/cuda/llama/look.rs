//! What is read off hidden states: logits, or what is asked of them.

use super::*;

impl CudaLlama {
    /// Logits `[places, vocabulary]`.
    pub(super) fn logits_at(&self, places: &[Place<'_>]) -> Result<Vec<f32>, CudaError> {
        let state = self.state();
        let vocabulary = self.program.config.vocab_size;
        let mut all = Vec::with_capacity(places.len() * vocabulary);
        for places in places.chunks(LOOKS) {
            self.compute_logits(&state.arena, places)?;
            let mut bytes = vec![0; places.len() * vocabulary * 4];
            self.read_back(&state.arena, &mut [(state.arena.logits, &mut bytes)])?;
            all.extend(bytes.as_chunks().0.iter().map(|word| f32::from_le_bytes(*word)));
        }
        Ok(all)
    }

    /// What is asked of the logits at some places.
    pub(super) fn seen_at(&self, asks: &[Ask<'_>]) -> Result<Vec<Seen>, CudaError> {
        let state = self.state();
        let mut all = Vec::with_capacity(asks.len());
        for asks in asks.chunks(LOOKS) {
            let places: Vec<Place<'_>> = asks.iter().map(|ask| ask.place).collect();
            self.compute_logits(&state.arena, &places)?;
            all.extend(self.summarise(&state, asks)?);
        }
        Ok(all)
    }

    /// Logits of at most [`LOOKS`] places, left in the arena.
    fn compute_logits(&self, arena: &Arena, places: &[Place<'_>]) -> Result<(), CudaError> {
        let machine = &*self.machine;
        let rows: Vec<(&Rows, usize)> = places
            .iter()
            .map(|place| match &place.hidden.0 {
                Kept::Device(rows) => (rows, place.row),
                Kept::Host { .. } => unreachable!("hidden states of another program"),
            })
            .collect();
        let mut done = 0;
        // Neighbours are mostly of one array, and are normalised by one launch.
        for run in rows.chunk_by(|a, b| a.0.same_array(b.0)) {
            let mut chosen = Upload::default();
            chosen.push(run.iter().map(|(rows, row)| rows.index(*row)));
            let uploaded = machine.reserve(4 * run.len())?;
            machine.write(uploaded.start(), &chosen.bytes())?;
            let x = (run[0].0.array(), uploaded.start());
            self.program.finish(machine, arena, x, done..done + run.len())?;
            done += run.len();
        }
        self.program.logits(machine, arena, done)
    }

    /// Answers of the logits that are in the arena.
    fn summarise(&self, state: &State, asks: &[Ask<'_>]) -> Result<Vec<Seen>, CudaError> {
        let machine = &*self.machine;
        let mut upload = Upload::default();
        let ends = asks.iter().scan(0, |end, ask| {
            *end += ask.tokens.len();
            Some(*end)
        });
        let ends: Vec<usize> = std::iter::once(0).chain(ends).collect();
        let wanted = ends[asks.len()];
        let number = |end: &usize| i32::try_from(*end).expect("a batch asks for fewer than 2^31 tokens");
        let firsts = upload.push(ends.iter().map(number));
        let tokens = upload.push(asks.iter().flat_map(|ask| ask.tokens).map(|token| token.cast_signed()));
        let picked = upload.push(std::iter::repeat_n(0, wanted));
        let bytes = upload.bytes();
        let uploaded = machine.reserve(bytes.len())?;
        machine.write(uploaded.start(), &bytes)?;
        let at = |array: At| uploaded.start().plus(array.0 * size_of::<i32>());
        let step = Step { start: state.step.start() };
        let made = [at(picked), step.normalisers(), step.likeliest()];
        let ops = Ops { machine, dtype: self.program.dtype };
        let shape = [asks.len(), self.program.config.vocab_size];
        ops.summary(state.arena.logits, [at(firsts), at(tokens)], made, shape)?;

        let mut values = vec![0; wanted * 4];
        let (mut normalisers, mut likeliest) = (vec![0; asks.len() * 8], vec![0; asks.len() * 4]);
        self.read_back(
            &state.arena,
            &mut [(made[0], &mut values), (made[1], &mut normalisers), (made[2], &mut likeliest)],
        )?;
        let values: Vec<f32> = values.as_chunks().0.iter().map(|word| f32::from_le_bytes(*word)).collect();
        let normalisers = normalisers.as_chunks().0.iter().map(|word| f64::from_le_bytes(*word));
        let likeliest = likeliest.as_chunks().0.iter().map(|word| i32::from_le_bytes(*word));
        let answers = normalisers.zip(likeliest).zip(ends.windows(2));
        Ok(asks.iter().zip(answers).map(|(ask, answer)| seen(ask, &values, answer)).collect())
    }
}

/// The answer to one ask, of those to all of them.
fn seen(ask: &Ask<'_>, values: &[f32], ((normaliser, likeliest), ends): ((f64, i32), &[usize])) -> Seen {
    let token = u32::try_from(likeliest).ok();
    Seen {
        logits: values[ends[0]..ends[1]].to_vec(),
        normaliser: if ask.normaliser { normaliser } else { 0.0 },
        likeliest: token.filter(|_| ask.likeliest),
        finite: token.is_some(),
    }
}
