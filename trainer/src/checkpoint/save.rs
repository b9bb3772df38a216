use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use sekisho_domain::manifest::CheckpointManifest;
use sekisho_domain::{Step, is_disk_full};
use sekisho_model::Tokenizer;
use sekisho_model::train::Layout;
use sekisho_weights::{
    Dtype, ModelConfig, TensorData, hash_folder, to_f32_bytes, write_manifest, write_safetensors,
};
use serde_json::json;

use super::writer::Values;
use super::{EXP_AVG, EXP_AVG_SQ, MOMENTS, PARAMETERS, STATE, State, TRAINING_STATE, export};
use crate::TrainError;
use crate::folder::RunFolder;
use crate::spec::Spec;

/// What all checkpoints of a run are made with.
pub(crate) struct Subject {
    pub(crate) spec: Spec,
    /// With the tokenizer's BOS and EOS.
    pub(crate) config: ModelConfig,
    pub(crate) tokenizer: Option<Tokenizer>,
    pub(crate) layout: Layout,
}

/// Writes a checkpoint beside its name, flushes it to the disk, and gives it the name. On any error the older checkpoints
/// are as they were and nothing of this one stays.
pub(super) fn save(
    folder: &RunFolder,
    subject: &Subject,
    values: &Values,
    state: &State,
) -> Result<PathBuf, TrainError> {
    check_finite(folder, subject, values, state)?;
    let target = folder.checkpoint(state.step.0);
    let partial = partial(&target);
    let written = write(&partial, subject, values, state).and_then(|()| {
        sync_folder(&partial)?;
        if target.exists() {
            fs_err::remove_dir_all(&target)?;
        }
        fs_err::rename(&partial, &target)?;
        sync_folder(folder.path())
    });
    written.map(|()| target).map_err(|error| {
        let full = is_disk_full(&error).then(|| disk_full(folder, subject, state.step));
        // The first error is the one to report.
        let _ = fs_err::remove_dir_all(&partial);
        full.unwrap_or_else(|| error.into())
    })
}

/// `step-000200` while it is written: a name that nobody takes for a checkpoint.
fn partial(target: &Path) -> PathBuf {
    let name = target.file_name().unwrap_or_default().to_string_lossy();
    target.with_file_name(format!(".{name}.partial"))
}

/// An update may overflow a parameter that its gradient did not show: such values are never saved as good.
fn check_finite(
    folder: &RunFolder,
    subject: &Subject,
    values: &Values,
    state: &State,
) -> Result<(), TrainError> {
    let arrays = [("", &values.parameters), (EXP_AVG, &values.exp_avg), (EXP_AVG_SQ, &values.exp_avg_sq)];
    for (prefix, array) in arrays {
        if let Some(place) = array.iter().position(|value| !value.is_finite()) {
            let of = subject.layout.tensors().iter().find(|tensor| tensor.range.contains(&place));
            let tensor = format!("{prefix}{}", of.map_or("", |tensor| tensor.name.as_str()));
            let last_good = folder.last_good()?;
            return Err(TrainError::ValueNotFinite { tensor, step: state.step, last_good });
        }
    }
    Ok(())
}

fn write(folder: &Path, subject: &Subject, values: &Values, state: &State) -> io::Result<()> {
    let Subject { spec, config, tokenizer, layout } = subject;
    let inner = folder.join(TRAINING_STATE);
    if folder.exists() {
        fs_err::remove_dir_all(folder)?;
    }
    fs_err::create_dir_all(&inner)?;
    export::write_model(folder, config, layout, &values.parameters, spec.checkpoint.dtype)?;
    if let (Some(tokenizer), Some(section)) = (tokenizer, &spec.tokenizer) {
        export::write_tokenizer(folder, &section.path, tokenizer)?;
    }
    let none = BTreeMap::new();
    write_safetensors(&inner.join(PARAMETERS), &none, tensors(layout, "", &values.parameters))?;
    let moments =
        tensors(layout, EXP_AVG, &values.exp_avg).chain(tensors(layout, EXP_AVG_SQ, &values.exp_avg_sq));
    write_safetensors(&inner.join(MOMENTS), &none, moments)?;
    export::write_json(&inner.join(STATE), &json!(state))?;
    sync_folder(&inner)?;
    let files = hash_folder(folder).map_err(io::Error::other)?;
    for file in &files {
        // Copied files have not been flushed; for the others this is cheap.
        fs_err::File::open(folder.join(&file.path))?.sync_all()?;
    }
    let manifest =
        CheckpointManifest { run: spec.name.clone(), step: state.step, tokens: state.tokens, files };
    write_manifest(folder, &manifest)
}

fn tensors<'a>(
    layout: &'a Layout,
    prefix: &'a str,
    values: &'a [f32],
) -> impl Iterator<Item = TensorData<'static>> + 'a {
    layout.tensors().iter().map(move |tensor| TensorData {
        name: format!("{prefix}{}", tensor.name),
        dtype: Dtype::F32,
        shape: tensor.shape.clone(),
        bytes: Cow::Owned(to_f32_bytes(&values[tensor.range.clone()])),
    })
}

fn sync_folder(folder: &Path) -> io::Result<()> {
    fs_err::File::open(folder)?.sync_all()
}

fn disk_full(folder: &RunFolder, subject: &Subject, step: Step) -> TrainError {
    const MEGA: f64 = 1e6;
    let values = subject.layout.length as f64;
    // Parameters and two moments in 32 bits, and the exported weights.
    let need = values * (12.0 + subject.spec.checkpoint.dtype.bytes() as f64);
    let free = rustix::fs::statvfs(folder.path()).map_or(0.0, |fs| fs.f_bavail as f64 * fs.f_frsize as f64);
    TrainError::DiskFull { step, folder: folder.path().to_owned(), need: need / MEGA, free: free / MEGA }
}
