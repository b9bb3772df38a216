use sekisho_domain::run::{Devices, EventKind};
use sekisho_domain::wire::RegisterRun;
use sekisho_domain::{Step, Tokens};
use sekisho_model::Tokenizer;
use sekisho_model::device::{self, Device};
use sekisho_model::train::{self, Layout};

use super::Run;
use crate::checkpoint::{self, DecayGroups, Restored, State};
use crate::data::Data;
use crate::folder::RunFolder;
use crate::log::Log;
use crate::optimizer::{self, AdamW};
use crate::report::{Reporter, RunClient, Subject};
use crate::spec::{Packing, Spec};
use crate::{Progress, TrainError, TrainOptions, init};

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
        let (spec, last) = agree(spec, &folder, options.resume)?;
        let tokenizer = spec.tokenizer.as_ref().map(|section| Tokenizer::load(&section.path)).transpose()?;
        let mut config = spec.model_config()?;
        config.bos_token_id = config.bos_token_id.or(tokenizer.as_ref().and_then(Tokenizer::bos));
        config.eos_token_id = config.eos_token_id.or(tokenizer.as_ref().and_then(Tokenizer::eos));
        let mut data = Data::open(&spec, config.vocab_size, tokenizer.as_ref())?;
        let layout = Layout::new(&config);
        let mut optimizer = AdamW::new(&spec.optimizer, &layout);
        let (state, parameters) = match last {
            None => (
                first_state(&spec, &layout, &data, tokenizer.as_ref(), device.device),
                init::parameters(&spec, &layout)?,
            ),
            Some(step) => {
                let Restored { state, parameters, exp_avg, exp_avg_sq } =
                    checkpoint::restore(&folder.checkpoint(step), &layout)?;
                checkpoint::check_data(&state, &data.files(), tokenizer.as_ref().map(Tokenizer::digest))?;
                data.seek(state.position.clone());
                (optimizer.exp_avg, optimizer.exp_avg_sq, optimizer.updates) =
                    (exp_avg, exp_avg_sq, state.updates);
                (state, parameters)
            }
        };
        let program = train::program(device.device, config.clone(), parameters);
        let mut run = Self {
            log: Log::open_at(&folder.log(), state.step.0)?,
            events: Log::open(&folder.events())?,
            schedule: spec.learning_rate(),
            spec,
            config,
            tokenizer,
            folder,
            program,
            optimizer,
            data,
            state,
            reporter: None,
            saved: last,
            _lock: lock,
        };
        run.reporter = run.start_reporter(options)?;
        // Only now is there a run: everything that could be wrong with it was looked at.
        run.record()?;
        let (kind, note) = match last {
            None => (EventKind::Started, "from the first weights".to_owned()),
            Some(step) => (EventKind::Resumed, format!("from checkpoint {step}")),
        };
        run.event(kind, run.state.step, note, options)?;
        let computes = devices(device.device).to_string();
        run.event(EventKind::Devices, run.state.step, computes, options)?;
        run.report(progress);
        beginning.keep();
        Ok(run)
    }

    /// Writes `spec.toml`, the specification that the run has from now on.
    fn record(&self) -> Result<(), TrainError> {
        let text =
            toml::to_string(&self.spec).expect("a specification read from TOML can be written as TOML");
        let write = |file: &mut dyn std::io::Write| file.write_all(text.as_bytes());
        Ok(sekisho_weights::write_atomic(&self.folder.spec(), write)?)
    }

    fn start_reporter(&self, options: &TrainOptions) -> Result<Option<Reporter>, TrainError> {
        let Some(address) = &options.server else { return Ok(None) };
        let spec = &self.spec;
        let mut immutable = serde_json::json!(spec);
        // The planned end is a changeable field of the run, not a part of its specification.
        if let Some(sections) = immutable.as_object_mut() {
            sections.remove("stop");
        }
        let updates = spec.stop.steps * (spec.batch.sequences * spec.data.sequence_length) as u64;
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

/// The specification that the run will have, and the checkpoint to go on from.
fn agree(spec: &Spec, folder: &RunFolder, resume: bool) -> Result<(Spec, Option<u64>), TrainError> {
    let begun = folder.spec().is_file();
    if begun && !resume {
        return Err(TrainError::Occupied(folder.path().to_owned()));
    }
    folder.remove_partial()?;
    let last = folder.checkpoints()?.pop();
    if last.is_some() && !begun {
        return Err(TrainError::NotARun { folder: folder.path().to_owned(), missing: "spec.toml" });
    }
    let earlier = if begun { Some(Spec::load(&folder.spec())?) } else { None };
    let spec = spec.recorded(earlier.as_ref());
    if let Some(earlier) = &earlier {
        checkpoint::check_spec(earlier, &spec)?;
        spec.recheck(&folder.spec())?;
    }
    Ok((spec, last))
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
    }
}
