//! Checkpoints are written while the run goes on: the loop pays for a copy of the values in memory, into buffers that are used again.

use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;

use rayon::prelude::*;
use sekisho_model::backend::Array;
use sekisho_model::train::{Layout, TrainingStep};

use super::State;
use super::save::{Subject, save};
use crate::TrainError;
use crate::folder::RunFolder;

/// Values written as one task.
const CHUNK: usize = 1 << 18;

/// Writes one checkpoint at a time.
pub(crate) struct Writer {
    folder: RunFolder,
    subject: Arc<Subject>,
    spare: Option<Values>,
    running: Option<Running>,
}

/// The three arrays of a checkpoint, laid out as the parameters.
pub(crate) struct Values {
    pub(crate) parameters: Vec<f32>,
    pub(crate) exp_avg: Vec<f32>,
    pub(crate) exp_avg_sq: Vec<f32>,
}

impl Values {
    /// So many zeros, written down: the first touch of new memory is what takes time, and it is done before the first update.
    fn of(length: usize) -> Self {
        let zeros = || {
            let mut zeros = vec![0.0; length];
            zeros.par_chunks_mut(CHUNK).for_each(|zeros| zeros.fill(std::hint::black_box(0.0)));
            zeros
        };
        Self { parameters: zeros(), exp_avg: zeros(), exp_avg_sq: zeros() }
    }
}

struct Running {
    step: u64,
    thread: JoinHandle<(Values, Result<PathBuf, TrainError>)>,
}

impl Writer {
    pub(crate) fn new(folder: RunFolder, subject: Subject) -> Self {
        let spare = Some(Values::of(subject.layout.length));
        Self { folder, subject: Arc::new(subject), spare, running: None }
    }

    /// Copies the values and writes them beside the run, after the files `before` have been flushed. The one before must have been settled.
    ///
    /// # Errors
    /// When no thread starts, or a GPU does not give its values.
    pub(crate) fn begin(
        &mut self,
        state: State,
        before: [std::fs::File; 2],
        program: &dyn TrainingStep,
    ) -> Result<(), TrainError> {
        let mut values = self.spare.take().unwrap_or_else(|| Values::of(program.layout().length));
        program.download(Array::Parameters, &mut values.parameters)?;
        program.download(Array::FirstMoments, &mut values.exp_avg)?;
        program.download(Array::SecondMoments, &mut values.exp_avg_sq)?;
        let (folder, subject, step) = (self.folder.clone(), self.subject.clone(), state.step.0);
        let write = move || {
            // They reach at least as far as the checkpoint does.
            let synced = before.iter().try_for_each(std::fs::File::sync_all);
            let written = synced.map_err(TrainError::from);
            let written = written.and_then(|()| save(&folder, &subject, &values, &state));
            (values, written)
        };
        let thread = std::thread::Builder::new().name("checkpoint".to_owned()).spawn(write)?;
        self.running = Some(Running { step, thread });
        Ok(())
    }

    /// How the values are laid out.
    pub(crate) fn layout(&self) -> &Layout {
        &self.subject.layout
    }

    /// The update whose checkpoint is being written.
    pub(crate) fn step(&self) -> Option<u64> {
        self.running.as_ref().map(|running| running.step)
    }

    /// Whether there is something to settle without waiting.
    pub(crate) fn is_ready(&self) -> bool {
        self.running.as_ref().is_some_and(|running| running.thread.is_finished())
    }

    /// Waits for the checkpoint that is being written and answers its update and folder; none when there is none.
    pub(crate) fn settle(&mut self) -> Result<Option<(u64, PathBuf)>, TrainError> {
        let Some(Running { step, thread }) = self.running.take() else { return Ok(None) };
        let (values, written) = thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        self.spare = Some(values);
        written.map(|path| Some((step, path)))
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        // A run that ends on an error still has the checkpoint that it had begun to write.
        let _ = self.settle();
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::time::Instant;

    use sekisho_model::ops::elementwise::copy;

    use super::Values;

    /// What a checkpoint of 100 MB (8.3 million parameters with both moments, f32) costs the loop: the figure of docs/performance.md.
    #[test]
    #[ignore = "a measurement"]
    fn the_copy_of_100_mb() {
        let source = vec![1.0; 100_000_000 / 12];
        let mut values = Values::of(source.len());
        let mut say = |what: &str| {
            let begun = Instant::now();
            copy(&mut values.parameters, &source);
            copy(&mut values.exp_avg, &source);
            copy(&mut values.exp_avg_sq, &source);
            let milliseconds = begun.elapsed().as_secs_f64() * 1e3;
            let _ = writeln!(std::io::stdout().lock(), "{what}: {milliseconds:.1} ms");
        };
        say("first checkpoint");
        say("later checkpoints");
    }
}
