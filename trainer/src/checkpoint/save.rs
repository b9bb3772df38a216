use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use sekisho_domain::is_disk_full;
use sekisho_domain::manifest::CheckpointManifest;
use sekisho_model::Tokenizer;
use sekisho_model::train::Layout;
use sekisho_weights::{
    Dtype, ModelConfig, TensorData, hash_folder, to_f32_bytes, write_manifest, write_safetensors,
};
use serde_json::json;

use super::{EXP_AVG, EXP_AVG_SQ, MOMENTS, PARAMETERS, STATE, State, TRAINING_STATE, export};
use crate::TrainError;
use crate::folder::RunFolder;
use crate::optimizer::AdamW;
use crate::spec::Spec;

/// What a checkpoint holds.
pub(crate) struct Snapshot<'a> {
    pub(crate) spec: &'a Spec,
    /// With the tokenizer's BOS and EOS.
    pub(crate) config: &'a ModelConfig,
    pub(crate) tokenizer: Option<&'a Tokenizer>,
    pub(crate) layout: &'a Layout,
    pub(crate) parameters: &'a [f32],
    pub(crate) optimizer: &'a AdamW,
    pub(crate) state: &'a State,
}

/// Writes a checkpoint beside its name, flushes it to the disk, and gives it the name. On any error the older checkpoints
/// are as they were and nothing of this one stays.
pub(crate) fn save(folder: &RunFolder, snapshot: &Snapshot<'_>) -> Result<PathBuf, TrainError> {
    let target = folder.checkpoint(snapshot.state.step.0);
    let partial = partial(&target);
    let written = write(&partial, snapshot).and_then(|()| {
        sync_folder(&partial)?;
        if target.exists() {
            fs_err::remove_dir_all(&target)?;
        }
        fs_err::rename(&partial, &target)?;
        sync_folder(folder.path())
    });
    written.map(|()| target).map_err(|error| {
        let full = is_disk_full(&error).then(|| disk_full(folder, snapshot));
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

fn write(folder: &Path, snapshot: &Snapshot<'_>) -> io::Result<()> {
    let Snapshot { spec, config, layout, parameters, state, .. } = snapshot;
    let inner = folder.join(TRAINING_STATE);
    if folder.exists() {
        fs_err::remove_dir_all(folder)?;
    }
    fs_err::create_dir_all(&inner)?;
    export::write_model(folder, config, layout, parameters, spec.checkpoint.dtype)?;
    if let (Some(tokenizer), Some(section)) = (snapshot.tokenizer, &spec.tokenizer) {
        export::write_tokenizer(folder, &section.path, tokenizer)?;
    }
    let none = BTreeMap::new();
    write_safetensors(&inner.join(PARAMETERS), &none, tensors(layout, "", parameters))?;
    let moments = tensors(layout, EXP_AVG, &snapshot.optimizer.exp_avg).chain(tensors(
        layout,
        EXP_AVG_SQ,
        &snapshot.optimizer.exp_avg_sq,
    ));
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

fn disk_full(folder: &RunFolder, snapshot: &Snapshot<'_>) -> TrainError {
    const MEGA: f64 = 1e6;
    let values = snapshot.layout.length as f64;
    // Parameters and two moments in 32 bits, and the exported weights.
    let need = values * (12.0 + snapshot.spec.checkpoint.dtype.bytes() as f64);
    let free = rustix::fs::statvfs(folder.path()).map_or(0.0, |fs| fs.f_bavail as f64 * fs.f_frsize as f64);
    TrainError::DiskFull {
        step: snapshot.state.step,
        folder: folder.path().to_owned(),
        need: need / MEGA,
        free: free / MEGA,
    }
}
