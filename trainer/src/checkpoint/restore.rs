use std::path::Path;

use sekisho_domain::Sha256;
use sekisho_domain::run::remove_changeable;
use sekisho_model::train::Layout;
use sekisho_weights::{Refusal, Safetensors, hash_folder, read_manifest};
use serde_json::Value;

use super::{EXP_AVG, EXP_AVG_SQ, MOMENTS, PARAMETERS, State, TRAINING_STATE};
use crate::TrainError;
use crate::data::DataFile;
use crate::spec::Spec;

/// A run as it was after an update.
pub(crate) struct Restored {
    pub(crate) state: State,
    pub(crate) parameters: Vec<f32>,
    pub(crate) exp_avg: Vec<f32>,
    pub(crate) exp_avg_sq: Vec<f32>,
}

/// Reads a checkpoint back, after checking every file against its manifest.
pub(crate) fn restore(folder: &Path, layout: &Layout) -> Result<Restored, TrainError> {
    let manifest = read_manifest(folder)?;
    let found = hash_folder(folder)?;
    if let Some(file) = manifest.files.iter().find(|file| !found.contains(file)) {
        return Err(TrainError::Damaged { file: folder.join(&file.path), folder: folder.to_owned() });
    }
    let inner = folder.join(TRAINING_STATE);
    let parameters = Safetensors::open(&inner.join(PARAMETERS))?;
    let moments = Safetensors::open(&inner.join(MOMENTS))?;
    Ok(Restored {
        state: State::read(folder)?,
        parameters: flat(&parameters, layout, "")?,
        exp_avg: flat(&moments, layout, EXP_AVG)?,
        exp_avg_sq: flat(&moments, layout, EXP_AVG_SQ)?,
    })
}

fn flat(tensors: &Safetensors, layout: &Layout, prefix: &str) -> Result<Vec<f32>, Refusal> {
    let mut values = Vec::with_capacity(layout.length);
    for tensor in layout.tensors() {
        values.extend(tensors.tensor_f32(&format!("{prefix}{}", tensor.name))?);
    }
    Ok(values)
}

/// Refuses a specification that differs from the recorded one in what changes an update, naming the key and both values.
pub(crate) fn check_spec(recorded: &Spec, given: &Spec) -> Result<(), TrainError> {
    let (recorded, given) = (flatten(recorded), flatten(given));
    let keys = recorded.iter().chain(&given).map(|(key, _)| key);
    let value = |of: &[(String, String)], key: &String| {
        of.iter().find(|(k, _)| k == key).map_or_else(|| "not set".to_owned(), |(_, value)| value.clone())
    };
    for key in keys {
        let (recorded, given) = (value(&recorded, key), value(&given, key));
        if recorded != given {
            return Err(TrainError::Changed { key: key.clone(), recorded, given });
        }
    }
    Ok(())
}

/// Every value that lasts, under its dotted key.
fn flatten(spec: &Spec) -> Vec<(String, String)> {
    fn walk(prefix: &str, value: &Value, out: &mut Vec<(String, String)>) {
        match value {
            Value::Object(map) => {
                map.iter().for_each(|(key, value)| walk(&format!("{prefix}{key}."), value, out));
            }
            Value::Array(items) => {
                items.iter().enumerate().for_each(|(i, value)| walk(&format!("{prefix}{i}."), value, out));
            }
            scalar => out.push((prefix.trim_end_matches('.').to_owned(), scalar.to_string())),
        }
    }
    let mut out = Vec::new();
    let mut lasting = serde_json::json!(spec);
    remove_changeable(&mut lasting);
    walk("", &lasting, &mut out);
    out
}

/// Refuses data or a tokenizer that differ from what the checkpoint was trained on.
pub(crate) fn check_data(
    state: &State,
    files: &[DataFile],
    tokenizer: Option<Sha256>,
) -> Result<(), TrainError> {
    for (recorded, found) in state.files.iter().zip(files) {
        if recorded.sha256 != found.sha256 {
            return Err(TrainError::DataChanged {
                file: found.path.clone(),
                recorded: recorded.sha256,
                found: found.sha256,
            });
        }
    }
    if state.tokenizer != tokenizer {
        let text =
            |digest: Option<Sha256>| digest.map_or_else(|| "none".to_owned(), |digest| digest.to_string());
        return Err(TrainError::TokenizerChanged { recorded: text(state.tokenizer), found: text(tokenizer) });
    }
    Ok(())
}
