//! What a run was trained on, told again from its specification and its data: no weights, no GPU.

use std::collections::BTreeMap;
use std::path::Path;

use sekisho_domain::{Sha256, Step};
use sekisho_model::Tokenizer;
use serde::Serialize;

use crate::TrainError;
use crate::checkpoint::{self, State};
use crate::data::{Cache, Data, Sample, UpdateBatch};
use crate::digests::Recorded;
use crate::folder::RunFolder;
use crate::parent::Origin;
use crate::rollback::{self, Rollback};
use crate::spec::Spec;

/// The sequences of one update.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ReplayedStep {
    /// The update.
    pub step: Step,
    /// Its sequences, in order.
    pub samples: Vec<ReplayedSample>,
    /// Digest over the tokens of all updates up to this one.
    pub digest: Sha256,
    /// Whether training wrote down the same digest.
    pub checked: bool,
}

/// One sequence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ReplayedSample {
    /// The corpus.
    pub mix: String,
    /// Number of the sample in the corpus' order, from 0.
    pub sample: u64,
    /// Epoch of the corpus, from 1.
    pub epoch: u64,
    /// Where its tokens come from.
    pub documents: Vec<ReplayedDocument>,
    /// Its tokens.
    pub tokens: Vec<u32>,
    /// Its text, where the run has a tokenizer.
    pub text: Option<String>,
}

/// A piece of a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct ReplayedDocument {
    /// Number of the document in its corpus, from 0.
    pub document: usize,
    /// First token.
    pub from: usize,
    /// One past the last token.
    pub to: usize,
}

/// Tells updates `from..=to` of the run in `folder`, and holds each against what training wrote down of it. `cache` is that of
/// [`TrainOptions`](crate::TrainOptions).
///
/// # Errors
/// [`TrainError::Range`], [`TrainError::DataChanged`], [`TrainError::Replay`], or whatever keeps the data from being read.
pub fn replay(
    folder: &Path,
    cache: Option<&Path>,
    from: Step,
    to: Step,
    tell: &mut dyn FnMut(ReplayedStep),
) -> Result<(), TrainError> {
    let folder = RunFolder::existing(folder)?;
    if !folder.spec().is_file() {
        return Err(TrainError::NotARun { folder: folder.path().to_owned(), missing: "spec.toml" });
    }
    let spec = Spec::load(&folder.spec())?;
    let origin = Origin::read(&folder)?;
    let before = origin.as_ref().map_or(Step(0), |origin| origin.before);
    let recorded = Recorded::open(&folder.digests(), before)?;
    let last = recorded.as_ref().map_or(Step(spec.stop.steps), Recorded::last);
    if from <= before || from > to || to > last {
        let first = Step(before.0 + 1);
        return Err(TrainError::Range { folder: folder.path().to_owned(), from, to, first, last });
    }
    let tokenizer = spec.tokenizer.as_ref().map(|section| Tokenizer::load(&section.path)).transpose()?;
    let vocabulary = spec.model_config()?.vocab_size;
    let mut data = Data::open(&spec, vocabulary, tokenizer.as_ref(), &Cache::at(cache), &mut |_| {})?;
    let saved = saved(&folder, &data, tokenizer.as_ref())?;
    let rollbacks = rollback::read(&folder)?;
    let mut place = Place { step: before, digest: State::NO_DATA };
    if let Some(origin) = origin {
        data.seek(origin.position);
        place.digest = origin.data_digest;
    }
    let written = |step: Step| -> Result<Option<Sha256>, TrainError> {
        let known = recorded.as_ref().map(|recorded| recorded.at(step)).transpose()?.flatten();
        Ok(known.or_else(|| saved.get(&step).map(|state| state.data_digest)))
    };
    let order = Order { sequences: spec.batch.sequences as u64, rollbacks: &rollbacks };
    place.come_near(from, &mut data, &saved, &written, &order)?;
    for step in (place.step.0 + 1..=to.0).map(Step) {
        order.turn_at(Step(step.0 - 1), &mut data);
        let Some(batch) = data.next_batch(spec.batch.sequences)? else { break };
        place.digest = batch.chained(place.digest);
        let recorded = written(step)?;
        if let Some(recorded) = recorded.filter(|recorded| *recorded != place.digest) {
            return Err(TrainError::Replay { step, recorded, found: place.digest });
        }
        if step >= from {
            let samples = samples(batch, &data, tokenizer.as_ref())?;
            tell(ReplayedStep { step, samples, digest: place.digest, checked: recorded.is_some() });
        }
    }
    Ok(())
}

/// The states of the checkpoints that are still there, after their data was found to be the same.
fn saved(
    folder: &RunFolder,
    data: &Data,
    tokenizer: Option<&Tokenizer>,
) -> Result<BTreeMap<Step, State>, TrainError> {
    let mut saved = BTreeMap::new();
    for step in folder.checkpoints()? {
        let state = State::read(&folder.checkpoint(step))?;
        checkpoint::check_data(&state, &data.files(), tokenizer.map(Tokenizer::digest))?;
        saved.insert(state.step, state);
    }
    Ok(saved)
}

/// A place between two updates.
struct Place {
    step: Step,
    digest: Sha256,
}

impl Place {
    /// Goes to the update before `from` without reading what lies before it, where the digest there was written down; otherwise to the last
    /// checkpoint before it.
    fn come_near(
        &mut self,
        from: Step,
        data: &mut Data,
        saved: &BTreeMap<Step, State>,
        written: &dyn Fn(Step) -> Result<Option<Sha256>, TrainError>,
        order: &Order<'_>,
    ) -> Result<(), TrainError> {
        if let Some((step, state)) = saved.range(self.step..from).next_back() {
            data.seek(state.position.clone());
            *self = Self { step: *step, digest: state.data_digest };
        }
        let goal = Step(from.0 - 1);
        if goal > self.step
            && let Some(digest) = written(goal)?
        {
            order.skip(self.step, goal, data);
            *self = Self { step: goal, digest };
        }
        Ok(())
    }
}

/// Which samples follow each other: those of the data's order, but for what the run left out where it went back.
struct Order<'a> {
    sequences: u64,
    rollbacks: &'a [Rollback],
}

impl Order<'_> {
    /// Goes to where the data of the update after `step` begins, if that is elsewhere than where the update's own ended.
    fn turn_at(&self, step: Step, data: &mut Data) {
        if let Some(position) = rollback::position_after(self.rollbacks, step) {
            data.seek(position.clone());
        }
    }

    /// Goes over the updates after `from` up to `to`.
    fn skip(&self, from: Step, to: Step, data: &mut Data) {
        let turns = rollback::standing(self.rollbacks).map(|rollback| rollback.after);
        let last = turns.filter(|step| (from..to).contains(step)).max().unwrap_or(from);
        self.turn_at(last, data);
        data.skip((to.0 - last.0) * self.sequences);
    }
}

fn samples(
    batch: UpdateBatch,
    data: &Data,
    tokenizer: Option<&Tokenizer>,
) -> Result<Vec<ReplayedSample>, TrainError> {
    let tell = |sample: Sample| {
        let documents =
            sample.spans.iter().map(|s| ReplayedDocument { document: s.document, from: s.from, to: s.to });
        Ok(ReplayedSample {
            mix: data.name(sample.corpus).to_owned(),
            sample: sample.number,
            epoch: sample.epoch,
            documents: documents.collect(),
            text: tokenizer.map(|tokenizer| tokenizer.decode(&sample.tokens, false)).transpose()?,
            tokens: sample.tokens,
        })
    };
    batch.samples.into_iter().map(tell).collect()
}
