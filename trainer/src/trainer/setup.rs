use sekisho_domain::run::{Devices, EventKind};
use sekisho_domain::wire::RegisterRun;
use sekisho_domain::{Step, Tokens};
use sekisho_model::Tokenizer;
use sekisho_model::backend::Array;
use sekisho_model::device::{self, Device};
use sekisho_model::train::{self, Layout, MicroBatch};

use super::{Run, Start};
use crate::checkpoint::{self, DecayGroups, Restored, State, Writer};
use crate::data::{Cache, Data, Opening};
use crate::digests::Digests;
use crate::folder::RunFolder;
use crate::log::Log;
use crate::optimizer::{self, AdamW};
use crate::parent::{self, Found, Origin};
use crate::report::{Reporter, RunClient, Subject};
use crate::rollback;
use crate::spec::{Packing, ParentData, ParentState, Spec};
use crate::{Progress, TrainError, TrainOptions, init, lineage};

impl Run {
    /// Opens or creates the folder, reads the data, and takes the first weights or those of the last checkpoint.
    pub(super) fn set_up(
        spec: &Spec,
        options: &TrainOptions,
        progress: &mut dyn Progress,
    ) -> Result<Self, TrainError> {
        let device = device::choose(&options.device)?;
        progress.note(&device.reason);
        let (folder, lock, beginning) = RunFolder::begin(&options.out)?;
        let (spec, last, parent) = agree(spec, &folder, options.resume)?;
        let tokenizer = spec.tokenizer.as_ref().map(|section| Tokenizer::load(&section.path)).transpose()?;
        let mut config = spec.model_config()?;
        config.bos_token_id = config.bos_token_id.or(tokenizer.as_ref().and_then(Tokenizer::bos));
        config.eos_token_id = config.eos_token_id.or(tokenizer.as_ref().and_then(Tokenizer::eos));
        let cache = Cache::at(options.cache.as_deref());
        let mut told = |news: Opening<'_>| match news {
            Opening::Note(text) => progress.note(text),
            Opening::Reading { file, done, total } => progress.reading(file, done, total),
        };
        let mut data = Data::open(&spec, config.vocab_size, tokenizer.as_ref(), &cache, &mut told)?;
        let layout = Layout::new(&config);
        let mut optimizer = AdamW::new(&spec.optimizer, spec.seed, &layout);
        let fresh = first_state(&spec, &layout, &data, tokenizer.as_ref(), device.device);
        let Restored { state, parameters, exp_avg, exp_avg_sq } =
            values(&spec, last, parent.as_ref(), &folder, &layout, &fresh)?;
        optimizer.updates = state.updates;
        data.seek(state.position.clone());
        let micro = MicroBatch { sequences: spec.micro(), length: spec.data.sequence_length };
        let settings = spec.settings();
        let mut program = train::program(device.device, config.clone(), settings, micro, parameters)?;
        program.upload(Array::FirstMoments, exp_avg)?;
        program.upload(Array::SecondMoments, exp_avg_sq)?;
        let subject = checkpoint::Subject { spec: spec.clone(), config, tokenizer, layout };
        let began = state.step;
        let origin = Origin::read(&folder)?;
        let before = origin.as_ref().map_or(Step(0), |origin| origin.before);
        let mut run = Self {
            log: Log::open_at(&folder.log(), state.step.0)?,
            digests: Digests::open_at(&folder.digests(), before, state.step)?,
            events: Log::open(&folder.events())?,
            schedule: spec.learning_rate(),
            spec,
            writer: Writer::new(folder.clone(), subject),
            folder,
            program,
            optimizer,
            data,
            state,
            reporter: None,
            saved: last,
            unsaved: None,
            unwritten: None,
            began,
            start: Start { before, state: fresh },
            _lock: lock,
        };
        run.reporter = run.start_reporter(options, origin.as_ref())?;
        // Only now is there a run: everything that could be wrong with it was looked at.
        run.record()?;
        let (kind, note) = match last {
            None => (EventKind::Started, beginning_of(&run.spec, parent.as_ref())),
            Some(step) => (EventKind::Resumed, format!("from checkpoint {step}")),
        };
        run.event(kind, run.state.step, note, options)?;
        let computes = devices(device.device).to_string();
        run.event(EventKind::Devices, run.state.step, computes, options)?;
        run.report(progress);
        beginning.keep();
        Ok(run)
    }

    /// Writes `spec.toml`, the specification that the run has from now on, and `lineage.toml`.
    fn record(&self) -> Result<(), TrainError> {
        let text =
            toml::to_string(&self.spec).expect("a specification read from TOML can be written as TOML");
        let write = |file: &mut dyn std::io::Write| file.write_all(text.as_bytes());
        sekisho_weights::write_atomic(&self.folder.spec(), write)?;
        lineage::write(&self.folder, &self.spec, &self.state)
    }

    fn start_reporter(
        &self,
        options: &TrainOptions,
        origin: Option<&Origin>,
    ) -> Result<Option<Reporter>, TrainError> {
        let Some(address) = &options.server else { return Ok(None) };
        let spec = &self.spec;
        let mut immutable = serde_json::json!(spec);
        // The planned end is a changeable field of the run, not a part of its specification.
        if let Some(sections) = immutable.as_object_mut() {
            sections.remove("stop");
        }
        // The server knows runs by their names, wherever their folders lie.
        if let Some(origin) = origin {
            immutable["parent"]["run"] = origin.run.clone().into();
        }
        let per_update = (spec.batch.sequences * spec.data.sequence_length) as u64;
        let updates = spec.stop.steps.saturating_sub(self.start.before.0).saturating_mul(per_update);
        let keep = spec.checkpoint.keep.clone();
        let subject = Subject {
            folder: self.folder.clone(),
            register: RegisterRun {
                project: options.project.clone(),
                name: spec.name.clone(),
                spec: Some(immutable),
                planned_tokens: (spec.data.packing == Packing::Contiguous).then_some(Tokens(updates)),
                suite: spec.evaluate.as_ref().map(|evaluate| evaluate.suite.clone()),
                issue: None,
            },
            copy: Box::new(move |step| !checkpoint::is_permanent(step, &keep)),
        };
        Ok(Some(Reporter::start(RunClient::new(address)?, subject)?))
    }
}

/// What computes, as the server is told. The threads are those of the pool that trains.
fn devices(device: Device) -> Devices {
    match device {
        Device::Cpu => {
            let count = rayon::current_num_threads() as u64;
            Devices { count, name: Devices::CPU_THREAD.to_owned() }
        }
        other => Devices { count: 1, name: other.to_string() },
    }
}

/// The specification that the run will have, the checkpoint to go on from, and before the first one that of the parent.
fn agree(
    spec: &Spec,
    folder: &RunFolder,
    resume: bool,
) -> Result<(Spec, Option<u64>, Option<Found>), TrainError> {
    let begun = folder.spec().is_file();
    if begun && !resume {
        return Err(TrainError::Occupied(folder.path().to_owned()));
    }
    let last = folder.checkpoints()?.pop();
    if last.is_some() && !begun {
        return Err(TrainError::NotARun { folder: folder.path().to_owned(), missing: "spec.toml" });
    }
    if begun {
        folder.remove_partial()?;
    }
    let earlier = if begun { Some(Spec::load(&folder.spec())?) } else { None };
    let parent = match (&spec.parent, last) {
        (Some(parent), None) => Some(Found::look(parent, folder.path())?),
        _ => None,
    };
    let inherited = match &parent {
        Some(parent) => parent.inherited(spec.clone()),
        None => spec.clone(),
    };
    let spec = inherited.recorded(earlier.as_ref());
    if let Some(earlier) = &earlier {
        checkpoint::check_spec(earlier, &spec)?;
    }
    if earlier.is_some() || parent.is_some() {
        spec.recheck(&folder.spec())?;
    }
    if let (Some(section), Some(parent)) = (&spec.parent, &parent) {
        parent.check(section, &spec)?;
    }
    Ok((spec, last, parent))
}

/// The values to begin with: those of the last checkpoint, before the first one those of the parent's, else the first weights. What the
/// run left out right after them lies behind its place in the data.
fn values(
    spec: &Spec,
    last: Option<u64>,
    parent: Option<&Found>,
    folder: &RunFolder,
    layout: &Layout,
    fresh: &State,
) -> Result<Restored, TrainError> {
    let mut values = match (last, parent) {
        (Some(step), _) => {
            let restored = checkpoint::restore(&folder.checkpoint(step), layout)?;
            checkpoint::check_data(&restored.state, &fresh.files, fresh.tokenizer)?;
            restored
        }
        (None, Some(parent)) => begin_at(parent, spec, folder, layout, fresh.clone())?,
        (None, None) => Restored {
            state: fresh.clone(),
            parameters: init::parameters(spec, layout)?,
            exp_avg: vec![0.0; layout.length],
            exp_avg_sq: vec![0.0; layout.length],
        },
    };
    let state = &mut values.state;
    let known = rollback::read(folder)?;
    state.rollbacks = rollback::at(state.step, &state.rollbacks, &known);
    if state.rollbacks != known {
        rollback::write(&folder.rollbacks(), &state.rollbacks)?;
    }
    if let Some(position) = rollback::position_after(&state.rollbacks, state.step) {
        state.position = position.clone();
    }
    Ok(values)
}

/// The state of a child before its first update. A start that was cut short before the child had a checkpoint is made again from the
/// same one.
pub(super) fn begin_at(
    parent: &Found,
    spec: &Spec,
    folder: &RunFolder,
    layout: &Layout,
    own: State,
) -> Result<Restored, TrainError> {
    let section = spec.parent.as_ref().expect("a child has a parent");
    let theirs = checkpoint::restore(&parent.folder, layout)?;
    if section.data == ParentData::Continue {
        checkpoint::check_data(&theirs.state, &own.files, own.tokenizer)?;
    }
    let origin = parent.origin(section, &theirs.state, &own.position);
    match Origin::read(folder)? {
        Some(before) if before != origin => {
            return Err(TrainError::ParentChanged { run: before.run, step: before.step });
        }
        Some(_) => {}
        None => origin.write(folder)?,
    }
    let (exp_avg, exp_avg_sq) = match section.state {
        ParentState::Full => (theirs.exp_avg, theirs.exp_avg_sq),
        ParentState::Weights => (vec![0.0; layout.length], vec![0.0; layout.length]),
    };
    let state = parent::first_state(own, section, &theirs.state, &origin);
    Ok(Restored { state, parameters: theirs.parameters, exp_avg, exp_avg_sq })
}

/// What a run begins with, in words.
fn beginning_of(spec: &Spec, parent: Option<&Found>) -> String {
    match (parent, &spec.parent, &spec.init.from) {
        (Some(found), Some(parent), _) => format!("from checkpoint {} of {}", parent.step, found.spec.name),
        (_, _, Some(from)) => format!("from the weights in {}", from.display()),
        _ => "from the first weights".to_owned(),
    }
}

/// The state before the first update.
fn first_state(
    spec: &Spec,
    layout: &Layout,
    data: &Data,
    tokenizer: Option<&Tokenizer>,
    device: Device,
) -> State {
    let mut groups = DecayGroups::default();
    for tensor in layout.tensors() {
        let decayed = optimizer::is_decayed(&spec.optimizer, &tensor.name, tensor.shape.len());
        let group = if decayed { &mut groups.decayed } else { &mut groups.excluded };
        group.push(tensor.name.clone());
    }
    State {
        format: State::FORMAT,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        device: device.to_string(),
        step: Step(0),
        tokens: Tokens(0),
        updates: 0,
        lr: 0.0,
        weight_decay: groups,
        position: data.position().clone(),
        data_digest: State::NO_DATA,
        files: data.files(),
        tokenizer: tokenizer.map(Tokenizer::digest),
        window: crate::stability::Window::default(),
        skipped: Vec::new(),
        spikes: crate::stability::Spikes::default(),
        loss: crate::stability::MeanLoss::default(),
        rollbacks: Vec::new(),
    }
}
