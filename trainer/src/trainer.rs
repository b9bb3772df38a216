//! The run: set up or restored, then one update after another.

mod back;
mod setup;
mod speed;

use std::sync::atomic::Ordering;
use std::time::Instant;

use sekisho_domain::run::{EventKind, MetricRow, RunEvent};
use sekisho_domain::schedule::LearningRate;
use sekisho_domain::{Step, Tokens};
use sekisho_model::cuda::CudaError;
use sekisho_model::train::{Batch, Measured, Objective, TrainingStep};
use sekisho_weights::FolderLock;

use crate::checkpoint::{self, State, Writer};
use crate::data::{Data, UpdateBatch};
use crate::digests::Digests;
use crate::folder::RunFolder;
use crate::lineage;
use crate::log::Log;
use crate::optimizer::{self, AdamW};
use crate::report::Reporter;
use crate::spec::Spec;
use crate::{Ended, Outcome, Progress, TrainError, TrainOptions};
use speed::Pace;

/// Trains: makes the updates of `[stop]`, or those left after the last checkpoint, and writes log and checkpoints into
/// `options.out`.
///
/// # Errors
/// [`TrainError`] names what is wrong and the way on. The checkpoints written until then are complete.
pub fn train(
    spec: &Spec,
    options: &TrainOptions,
    progress: &mut dyn Progress,
) -> Result<Outcome, TrainError> {
    let threads = options.threads.unwrap_or(0);
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
    let pool = pool.map_err(|error| TrainError::Threads(error.to_string()))?;
    pool.install(|| {
        let mut run = Run::set_up(spec, options, progress)?;
        let outcome = run.train(options, progress);
        run.farewell(&outcome, options, progress)?;
        outcome
    })
}

/// A run in progress.
struct Run {
    spec: Spec,
    folder: RunFolder,
    program: Box<dyn TrainingStep>,
    optimizer: AdamW,
    schedule: LearningRate,
    data: Data,
    state: State,
    log: Log,
    digests: Digests,
    events: Log,
    reporter: Option<Reporter>,
    writer: Writer,
    /// Update of the newest checkpoint, if there is one.
    saved: Option<u64>,
    /// Update whose values were no numbers when they were to be saved.
    unsaved: Option<Step>,
    /// Why a checkpoint could not be written, where the run was about to stop for something else.
    unwritten: Option<TrainError>,
    /// The update that this process went on from, or went back to.
    began: Step,
    /// What the run began with.
    start: Start,
    /// Nobody else writes into the folder.
    _lock: FolderLock,
}

/// What a run begins with, apart from its values.
struct Start {
    /// Its first update is the one after this.
    before: Step,
    /// The state of a run without a parent.
    state: State,
}

impl Run {
    fn train(&mut self, options: &TrainOptions, progress: &mut dyn Progress) -> Result<Outcome, TrainError> {
        let mut pace = Pace::default();
        progress.start(self.state.step, Step(self.spec.stop.steps));
        let ended = loop {
            match self.advance(&mut pace, options, progress) {
                Ok(None) => {}
                Ok(Some(ended)) => break ended,
                Err(error) => self.roll_back(error, options, progress)?,
            }
        };
        Ok(Outcome {
            ended,
            step: self.state.step,
            tokens: self.state.tokens,
            loss: pace.loss,
            spikes: self.state.spikes.score(),
            checkpoint: self.saved.map(|step| self.folder.checkpoint(step)),
        })
    }

    /// One update and what follows it, or the last checkpoint and how the run ends.
    fn advance(
        &mut self,
        pace: &mut Pace,
        options: &TrainOptions,
        progress: &mut dyn Progress,
    ) -> Result<Option<Ended>, TrainError> {
        let total = self.spec.stop.steps;
        let started = Instant::now();
        let batch = if self.state.step.0 >= total {
            Err(Ended::Finished)
        } else if options.stop.load(Ordering::Relaxed) {
            Err(Ended::Stopped)
        } else {
            self.draw(options)?.ok_or(Ended::DataUsedUp)
        };
        let batch = match batch {
            Ok(batch) => batch,
            Err(ended) => {
                self.save(progress)?;
                self.settle(progress)?;
                return Ok(Some(ended));
            }
        };
        let row = self.update(&batch, started, options)?;
        self.log.row(&row)?;
        pace.speed.add(batch.learned(), started.elapsed());
        progress.step(&row, pace.speed.tokens_per_second(), pace.speed.remaining(total - row.step.0));
        pace.loss = row.loss;
        if self.spec.checkpoint.is_due(row.step.0) {
            self.save(progress)?;
        } else if self.writer.is_ready() {
            self.settle(progress)?;
        }
        self.report(progress);
        Ok(None)
    }

    /// The next batch; none when the corpora have fewer samples left.
    fn draw(&mut self, options: &TrainOptions) -> Result<Option<UpdateBatch>, TrainError> {
        let epochs = self.data.epochs();
        let position = self.data.position().clone();
        let Some(batch) = self.data.next_batch(self.spec.batch.sequences)? else {
            self.data.seek(position);
            return Ok(None);
        };
        self.data.read_ahead(self.spec.batch.sequences);
        self.note_epochs(&epochs, options)?;
        Ok(Some(batch))
    }

    /// One update: gradients of all micro-batches, then the step they ask for.
    fn update(
        &mut self,
        batch: &UpdateBatch,
        started: Instant,
        options: &TrainOptions,
    ) -> Result<MetricRow, TrainError> {
        let step = Step(self.state.step.0 + 1);
        let targets = batch.learned();
        if targets == 0 {
            return Err(TrainError::NoTargets { step });
        }
        let weight = self.spec.optimizer.z_loss;
        let objective = Objective { targets, z_loss: weight as f32 };
        let Measured { loss: sums, grad_norm } = self.gradients(batch, &objective)?;
        let ce = sums.ce / targets as f64;
        let z_loss = weight * sums.squared_log_z / targets as f64;
        let loss = ce + z_loss;
        for (what, value) in [("loss", loss), ("gradient norm", grad_norm)] {
            if !value.is_finite() {
                return Err(TrainError::NotFinite { what, step, value, last_good: self.last_good()? });
            }
        }
        self.state.spikes.add(loss, grad_norm);
        self.state.loss.add(loss, self.spec.checkpoint.is_due(self.state.step.0));
        let skipped = self.state.window.skips(&self.spec.stability, loss, grad_norm);
        let lr = if skipped { 0.0 } else { self.schedule.of_update(step.0) };
        let mut more = self.state.spikes.logged(step.0);
        if skipped {
            self.state.skipped.push(step);
            let note = format!("loss {loss:.4}, gradient norm {grad_norm:.4}: update skipped");
            self.event(EventKind::Spike, step, note, options)?;
        } else {
            let constants = self.optimizer.next(lr, grad_norm);
            self.program.update(&constants);
            if self.spec.optimizer.telemetry_every.is_some_and(|every| step.0.is_multiple_of(every)) {
                more.extend(optimizer::telemetry(self.program.as_mut(), &constants)?);
            }
        }
        self.state.step = step;
        self.state.tokens = Tokens(self.state.tokens.0 + targets);
        self.state.lr = lr;
        self.state.data_digest = batch.chained(self.state.data_digest);
        self.digests.append(self.state.data_digest)?;
        Ok(MetricRow {
            step,
            tokens: self.state.tokens,
            loss: Some(loss),
            ce: Some(ce),
            z_loss: Some(z_loss),
            lr: Some(lr),
            grad_norm: Some(grad_norm),
            seconds: Some(started.elapsed().as_secs_f64()),
            more,
        })
    }

    fn gradients(&mut self, batch: &UpdateBatch, objective: &Objective) -> Result<Measured, CudaError> {
        let length = self.spec.data.sequence_length;
        let rows = self.spec.micro() * length;
        self.program.zero_gradients();
        for first in (0..batch.inputs.len()).step_by(rows) {
            let part = first..first + rows;
            let starts: Vec<usize> = batch.contexts[part.clone()]
                .iter()
                .enumerate()
                .map(|(row, from)| row / length * length + from)
                .collect();
            let (inputs, targets) = (&batch.inputs[part.clone()], &batch.targets[part]);
            self.program.accumulate(&Batch { length, inputs, targets, starts: &starts }, objective);
        }
        self.program.measure()
    }

    /// Begins to write a checkpoint of the present update, unless there is one already or nothing to write yet.
    fn save(&mut self, progress: &mut dyn Progress) -> Result<(), TrainError> {
        let step = self.state.step;
        if step == self.began || [self.saved, self.writer.step()].contains(&Some(step.0)) {
            return Ok(());
        }
        self.settle(progress)?;
        self.state.updates = self.optimizer.updates;
        self.state.position = self.data.position().clone();
        let before = [self.log.handle()?, self.digests.handle()?];
        self.writer.begin(self.state.clone(), before, self.program.as_ref())
    }

    /// Waits for the checkpoint that is being written, and removes those that the keep rules do not keep.
    fn settle(&mut self, progress: &mut dyn Progress) -> Result<(), TrainError> {
        let Some((step, path)) = self.writer.settle()? else { return Ok(()) };
        self.saved = Some(step);
        // The place in the data is still that of the checkpoint: it is looked up when one is begun. What cannot be written now is
        // written with the next one, or when the run goes on.
        if let Err(error) = lineage::write(&self.folder, &self.spec, &self.state) {
            progress.note(&error.to_string());
        }
        progress.checkpoint(&path, Step(step));
        let reporter = self.reporter.as_ref();
        self.remove_unkept(|step| reporter.is_none_or(|reporter| reporter.is_settled(step)))
    }

    /// Removes the checkpoints that the rules do not keep. With a server those go that it has verified or refused: it may still be
    /// reading the others.
    fn remove_unkept(&self, may_go: impl Fn(u64) -> bool) -> Result<(), TrainError> {
        let section = &self.spec.checkpoint;
        for step in checkpoint::removable(&checkpoint::held(&self.folder, section)?, &section.keep) {
            if may_go(step) {
                self.folder.remove_checkpoint(step)?;
            }
        }
        Ok(())
    }

    /// Records the corpora that have begun another epoch.
    fn note_epochs(&mut self, before: &[u64], options: &TrainOptions) -> Result<(), TrainError> {
        let now = self.data.epochs();
        for (corpus, (before, now)) in before.iter().zip(&now).enumerate() {
            if now > before && *now > 1 {
                let note = format!("{}: epoch {now} begins", self.data.name(corpus));
                self.event(EventKind::DataStage, Step(self.state.step.0 + 1), note, options)?;
            }
        }
        Ok(())
    }

    fn event(
        &mut self,
        kind: EventKind,
        step: Step,
        note: String,
        options: &TrainOptions,
    ) -> Result<(), TrainError> {
        Ok(self.events.event(&RunEvent { kind, step, note, at: Some(options.clock.now()) })?)
    }

    fn report(&self, progress: &mut dyn Progress) {
        if let Some(reporter) = &self.reporter {
            reporter.wake();
            reporter.notes().iter().for_each(|note| progress.note(note));
        }
    }

    /// Records how it ended and gives the server a moment to hear of it.
    fn farewell(
        mut self,
        outcome: &Result<Outcome, TrainError>,
        options: &TrainOptions,
        progress: &mut dyn Progress,
    ) -> Result<(), TrainError> {
        let (kind, note) = match outcome {
            Ok(Outcome { ended: Ended::Finished, .. }) => {
                (EventKind::Finished, "all updates made".to_owned())
            }
            Ok(Outcome { ended: Ended::DataUsedUp, .. }) => {
                (EventKind::Finished, "the data is used up".to_owned())
            }
            Ok(Outcome { ended: Ended::Stopped, .. }) => (EventKind::Note, "stopped on request".to_owned()),
            Err(error) => (EventKind::Failed, error.to_string()),
        };
        // A run that fails still has the checkpoint that it had begun to write, and tells of it.
        if let Err(error) = self.settle(progress) {
            progress.note(&error.to_string());
        }
        let told = self.event(kind, self.state.step, note, options);
        let mut removed = Ok(());
        if let Some(reporter) = self.reporter.take() {
            let settled = reporter.settled();
            reporter.finish().iter().for_each(|note| progress.note(note));
            removed = self.remove_unkept(|step| settled.contains(step));
        }
        // The run's own error is the one to report.
        if outcome.is_err() { Ok(()) } else { told.and(removed) }
    }

    /// The last checkpoint, with the one that is being written, in a sentence.
    fn last_good(&mut self) -> Result<String, TrainError> {
        // What keeps it from being written is not what the run stops for.
        match self.writer.settle() {
            Ok(Some((step, _))) => self.saved = Some(step),
            Err(TrainError::ValueNotFinite { step, .. }) => self.unsaved = Some(step),
            Err(error) => self.unwritten = Some(error),
            Ok(None) => {}
        }
        Ok(self.folder.last_good()?)
    }
}
