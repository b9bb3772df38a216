//! `[parent]`: where a child run begins. The checkpoint is read once; what the child needs of it later stands in its own folder.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use sekisho_domain::{Sha256, Step};
use sekisho_weights::write_atomic;
use serde::{Deserialize, Serialize};

use crate::TrainError;
use crate::checkpoint::State;
use crate::data::Position;
use crate::folder::RunFolder;
use crate::spec::{Parent, ParentData, ParentState, Spec};

/// `parent.json` in the child's folder: what it began with.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Origin {
    /// The parent's name.
    pub(crate) run: String,
    /// The update of the parent.
    pub(crate) step: Step,
    /// SHA-256 of the checkpoint's manifest, which has those of its files.
    pub(crate) manifest: Sha256,
    /// The child's first update is the one after this.
    pub(crate) before: Step,
    /// Where in the data it begins.
    pub(crate) position: Position,
    /// Digest over the tokens before.
    pub(crate) data_digest: Sha256,
}

impl Origin {
    /// What a run's folder says; none for a run that has no parent.
    pub(crate) fn read(folder: &RunFolder) -> Result<Option<Self>, TrainError> {
        let path = folder.origin();
        if !path.is_file() {
            return Ok(None);
        }
        let text = fs_err::read_to_string(&path)?;
        let damaged = |_| TrainError::Damaged { file: path.clone(), folder: folder.path().to_owned() };
        serde_json::from_str(&text).map(Some).map_err(damaged)
    }

    pub(crate) fn write(&self, folder: &RunFolder) -> std::io::Result<()> {
        write_atomic(&folder.origin(), |file| {
            serde_json::to_writer_pretty(&mut *file, self)?;
            file.write_all(b"\n")
        })
    }
}

/// The updates of a run at whose checkpoints children began whose folders lie beside it.
pub(crate) fn begun_at(run: &RunFolder) -> BTreeSet<u64> {
    let beside = run.path().parent().and_then(|folder| fs_err::read_dir(folder).ok());
    // A neighbour that cannot be read is none of ours.
    let children = beside.into_iter().flatten().filter_map(|entry| {
        let child = RunFolder::existing(&entry.ok()?.path()).ok()?;
        Origin::read(&child).ok().flatten()
    });
    let is_ours = |origin: &Origin| {
        let manifest = run.checkpoint(origin.step.0).join("manifest.json");
        fs_err::read(manifest).is_ok_and(|bytes| Sha256::of(bytes) == origin.manifest)
    };
    children.filter(is_ours).map(|origin| origin.step.0).collect()
}

/// The parent's checkpoint, found and looked at.
pub(crate) struct Found {
    /// The parent's specification.
    pub(crate) spec: Spec,
    /// Folder of the checkpoint.
    pub(crate) folder: PathBuf,
    manifest: Sha256,
}

impl Found {
    /// Looks for the run in the folder that `[parent]` names, then beside the child's.
    pub(crate) fn look(parent: &Parent, child: &Path) -> Result<Self, TrainError> {
        let places = places(parent, &std::path::absolute(child)?);
        let Some(folder) = places.iter().find(|place| is_run(place)) else {
            return Err(TrainError::ParentMissing { run: parent.run.clone(), places });
        };
        let run = RunFolder::existing(folder)?;
        let have = run.checkpoints()?;
        if !have.contains(&parent.step) {
            return Err(TrainError::ParentStep { run: run.path().to_owned(), step: Step(parent.step), have });
        }
        let folder = run.checkpoint(parent.step);
        let manifest = Sha256::of(fs_err::read(folder.join("manifest.json"))?);
        Ok(Self { spec: Spec::load(&run.spec())?, folder, manifest })
    }

    /// The child's specification with what it takes over unsaid: the order of the parent's data is laid out for so many samples.
    pub(crate) fn inherited(&self, mut spec: Spec) -> Spec {
        if spec.parent.as_ref().is_some_and(|parent| parent.data == ParentData::Continue) {
            spec.data.total_samples = spec.data.total_samples.or_else(|| Some(self.spec.total_samples()));
        }
        spec.look_up_rate(&self.spec);
        spec
    }

    /// Refuses a child whose parameters or data are none of the parent's.
    pub(crate) fn check(&self, parent: &Parent, spec: &Spec) -> Result<(), TrainError> {
        let (theirs, ours) = (self.spec.model_config()?, spec.model_config()?);
        let shape = |c: &sekisho_weights::ModelConfig| {
            [
                ("vocab_size", c.vocab_size),
                ("hidden_size", c.hidden_size),
                ("num_hidden_layers", c.num_hidden_layers),
                ("num_attention_heads", c.num_attention_heads),
                ("num_key_value_heads", c.num_key_value_heads),
                ("head_dim", c.head_dim),
                ("intermediate_size", c.intermediate_size),
                ("tie_word_embeddings", usize::from(c.tie_word_embeddings)),
                ("scaled_embedding", usize::from(c.scaled_embedding)),
            ]
        };
        let differs = |key: &str, theirs: String, ours: String, way: &'static str| {
            TrainError::ParentDiffers { key: key.to_owned(), parent: theirs, child: ours, way }
        };
        for ((key, theirs), (_, ours)) in shape(&theirs).into_iter().zip(shape(&ours)) {
            if theirs != ours {
                let way = "a child has the parameters of its parent: leave the key out";
                return Err(differs(&format!("model.{key}"), theirs.to_string(), ours.to_string(), way));
            }
        }
        if theirs.expected_tensors() != ours.expected_tensors() {
            let way = "a child has the parameters of its parent: leave it and the biases out";
            let kind = |c: &sekisho_weights::ModelConfig| c.family.model_type().to_owned();
            return Err(differs("model.model_type", kind(&theirs), kind(&ours), way));
        }
        if parent.data == ParentData::Continue
            && let Some((key, theirs, ours)) = first_difference(&order_of(&self.spec), &order_of(spec))
        {
            let way =
                "the parent's order of data goes on only under the same keys: set parent.data = \"restart\"";
            return Err(differs(&key, theirs, ours, way));
        }
        Ok(())
    }

    /// What the child begins with, given the parent's state and the beginning of the child's own data.
    pub(crate) fn origin(&self, parent: &Parent, state: &State, beginning: &Position) -> Origin {
        let (position, data_digest) = match parent.data {
            ParentData::Continue => (state.position.clone(), state.data_digest),
            ParentData::Restart => (beginning.clone(), State::NO_DATA),
        };
        Origin {
            run: self.spec.name.clone(),
            step: state.step,
            manifest: self.manifest,
            before: if parent.reset_steps { Step(0) } else { state.step },
            position,
            data_digest,
        }
    }
}

/// Where a parent may be: beside the child's folder, and in the folder that `[parent]` names. A whole path is both.
fn places(parent: &Parent, child: &Path) -> Vec<PathBuf> {
    let beside = child.parent().map(|folder| folder.join(&parent.run));
    beside.into_iter().chain([PathBuf::from(&parent.run)]).collect()
}

fn is_run(place: &Path) -> bool {
    place.join("spec.toml").is_file()
}

/// The parent's folder, whether or not it is still there; `child` is absolute.
pub(crate) fn folder_of(parent: &Parent, child: &Path) -> PathBuf {
    let places = places(parent, child);
    let found = places.iter().find(|place| is_run(place)).or_else(|| places.first());
    let place = found.cloned().unwrap_or_default();
    fs_err::canonicalize(&place).unwrap_or(place)
}

/// The child's first state: its own tokens, and of the parent's what `[parent]` takes over.
pub(crate) fn first_state(own: State, parent: &Parent, theirs: &State, origin: &Origin) -> State {
    let is_full = parent.state == ParentState::Full;
    State {
        step: origin.before,
        updates: if is_full { theirs.updates } else { 0 },
        window: if is_full { theirs.window.clone() } else { own.window },
        spikes: if is_full { theirs.spikes.clone() } else { own.spikes },
        loss: if is_full { theirs.loss } else { own.loss },
        position: origin.position.clone(),
        data_digest: origin.data_digest,
        ..own
    }
}

/// What decides which samples come, by dotted key. Files may have moved; their content is checked by its hash.
fn order_of(spec: &Spec) -> Vec<(String, String)> {
    let data = &spec.data;
    let mut keys = vec![
        ("seed".to_owned(), spec.seed.to_string()),
        ("data.sequence_length".to_owned(), data.sequence_length.to_string()),
        ("data.order".to_owned(), format!("{:?}", data.order)),
        ("data.packing".to_owned(), format!("{:?}", data.packing)),
        ("data.total_samples".to_owned(), spec.total_samples().to_string()),
    ];
    for (number, mix) in data.mix.iter().enumerate() {
        keys.push((format!("data.mix.{number}"), format!("{}: {:?}", mix.name, mix.share())));
    }
    keys
}

fn first_difference(
    theirs: &[(String, String)],
    ours: &[(String, String)],
) -> Option<(String, String, String)> {
    const ABSENT: &str = "not there";
    (0..theirs.len().max(ours.len())).find_map(|i| {
        let of = |list: &[(String, String)]| {
            list.get(i).map_or_else(|| ABSENT.to_owned(), |(_, value)| value.clone())
        };
        let key = theirs.get(i).or_else(|| ours.get(i)).map(|(key, _)| key.clone())?;
        (of(theirs) != of(ours)).then(|| (key, of(theirs), of(ours)))
    })
}
