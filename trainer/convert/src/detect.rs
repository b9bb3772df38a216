//! Which format a folder has, and whether the trainer has finished it.

use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::ConvertError;

pub(crate) const LATEST: &str = "latest_checkpointed_iteration.txt";
pub(crate) const RANK_FILE: &str = "model_optim_rng.pt";
pub(crate) const METADATA: &str = ".metadata";
pub(crate) const COMMON: &str = "common.pt";
pub(crate) const CONFIG: &str = "config.json";
const INDEX: &str = "model.safetensors.index.json";
const SINGLE: &str = "model.safetensors";

/// A format of checkpoints.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Format {
    /// Megatron-LM's `--ckpt-format torch`: `mp_rank_XX[_YYY]/model_optim_rng.pt`.
    MegatronLegacy,
    /// Megatron-LM's `--ckpt-format torch_dist`: a torch DCP with `common.pt`.
    MegatronDist,
    /// `torch.distributed.checkpoint`: `.metadata` and `__r_n.distcp`.
    Dcp,
    /// `config.json` and safetensors.
    HuggingFace,
}

impl std::fmt::Display for Format {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::MegatronLegacy => "Megatron-LM (torch)",
            Self::MegatronDist => "Megatron-LM (torch_dist)",
            Self::Dcp => "torch DCP",
            Self::HuggingFace => "Hugging Face",
        })
    }
}

/// The format of a checkpoint's folder, by the files in it; it need not be complete. Of a Megatron folder of many iterations, that of
/// its latest one.
#[must_use]
pub fn detect(dir: &Path) -> Option<Format> {
    let dir = iteration_folder(dir).ok()?;
    let has = |name: &str| dir.join(name).is_file();
    if dir.join("mp_rank_00").is_dir() || dir.join("mp_rank_00_000").is_dir() {
        return Some(Format::MegatronLegacy);
    }
    if has(METADATA) || names(&dir).iter().any(|name| name.ends_with(".distcp")) {
        return Some(if has(COMMON) { Format::MegatronDist } else { Format::Dcp });
    }
    (has(CONFIG) && names(&dir).iter().any(|name| name.ends_with(".safetensors")))
        .then_some(Format::HuggingFace)
}

/// Whether the trainer has written all of a checkpoint, by the file that it writes last: Megatron's legacy layout is complete once
/// `latest_checkpointed_iteration.txt` has reached it, a DCP with its `.metadata`. Hugging Face's has no last file: every file of the
/// index is there, and whether they grow is for two looks to tell.
#[must_use]
pub fn is_complete(dir: &Path) -> bool {
    let Ok(folder) = iteration_folder(dir) else { return false };
    match detect(&folder) {
        Some(Format::MegatronLegacy) => is_announced(&folder),
        Some(Format::MegatronDist | Format::Dcp) => folder.join(METADATA).is_file(),
        Some(Format::HuggingFace) => has_all_shards(&folder),
        None => false,
    }
}

/// What the folder of a Megatron run leads to: its latest iteration. Any other folder is itself.
pub(crate) fn iteration_folder(dir: &Path) -> Result<PathBuf, ConvertError> {
    let latest = dir.join(LATEST);
    if !latest.is_file() {
        return Ok(dir.to_owned());
    }
    let text = fs_err::read_to_string(&latest).map_err(|error| ConvertError::read(&latest, error))?;
    match text.trim() {
        "release" => Ok(dir.join("release")),
        number => match number.parse::<u64>() {
            Ok(number) => Ok(dir.join(format!("iter_{number:07}"))),
            Err(_) => Err(ConvertError::content(LATEST, "it does not hold the number of an iteration")),
        },
    }
}

/// The number at the end of a folder's name: `iter_0012000`, `step-12000`, `checkpoint-12000`, `global_step12000`.
#[must_use]
pub fn step_of(name: &str) -> Option<u64> {
    let stem = name.trim_end_matches(|c: char| c.is_ascii_digit());
    let known = ["iter", "iteration", "step", "checkpoint", "global_step"];
    let word = stem.trim_end_matches(['_', '-']).to_ascii_lowercase();
    known.contains(&word.as_str()).then(|| name[stem.len()..].parse().ok())?
}

fn is_announced(folder: &Path) -> bool {
    let name = folder.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let latest = folder.parent().and_then(|parent| fs_err::read_to_string(parent.join(LATEST)).ok());
    let Some(latest) = latest else { return false };
    match (latest.trim().parse::<u64>(), step_of(&name)) {
        (Ok(latest), Some(step)) => latest >= step,
        _ => latest.trim() == name,
    }
}

fn has_all_shards(folder: &Path) -> bool {
    if folder.join(SINGLE).is_file() {
        return true;
    }
    let index = fs_err::read(folder.join(INDEX)).ok();
    let index = index.and_then(|bytes| serde_json::from_slice::<serde_json::Value>(&bytes).ok());
    let map = index.as_ref().and_then(|index| index.get("weight_map")?.as_object());
    map.is_some_and(|map| {
        let here = |name: &serde_json::Value| name.as_str().is_some_and(|name| folder.join(name).is_file());
        !map.is_empty() && map.values().all(here)
    })
}

pub(crate) fn names(dir: &Path) -> Vec<String> {
    let entries = fs_err::read_dir(dir).into_iter().flatten().filter_map(Result::ok);
    let mut names: Vec<String> =
        entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

#[cfg(test)]
mod tests {
    use super::step_of;

    #[test]
    fn a_step_stands_behind_a_word_that_means_one() {
        for (name, step) in [
            ("iter_0012000", Some(12_000)),
            ("step-12000", Some(12_000)),
            ("checkpoint-7", Some(7)),
            ("global_step30", Some(30)),
            ("7b-chat-2", None),
            ("step-", None),
            ("12000", None),
            ("step-99999999999999999999999", None),
        ] {
            assert_eq!(step_of(name), step, "{name}");
        }
    }
}
