//! Megatron-LM's `--ckpt-format torch`: one archive for each tensor and pipeline rank. `megatron/training/checkpointing.py`,
//! `get_checkpoint_name`, and the partition dimensions of `megatron/core/tensor_parallel/layers.py`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::ConvertError;
use crate::arguments::Arguments;
use crate::detect::{self, RANK_FILE};
use crate::file::DataFile;
use crate::pickle::View;
use crate::source::{Place, Source, Tensor};
use crate::torch::Saved;

/// Most ranks of one checkpoint.
const MOST_RANKS: u64 = 4096;
/// What joins along the second dimension; [`ROWS`] along the first; anything else is the same in every rank.
const COLUMNS: [&str; 2] = ["linear_proj.weight", "linear_fc2.weight"];
const ROWS: [&str; 6] = [
    "word_embeddings.weight",
    "output_layer.weight",
    "linear_qkv.weight",
    "linear_qkv.bias",
    "linear_fc1.weight",
    "linear_fc1.bias",
];

/// A tensor's part in each tensor rank.
type Parts = BTreeMap<String, Vec<(Vec<u64>, Place)>>;

/// The arguments that the first rank has saved.
pub(crate) fn arguments(dir: &Path) -> Result<Arguments, ConvertError> {
    let found = detect::names(dir);
    let name = ["mp_rank_00", "mp_rank_00_000"].into_iter().find(|name| found.iter().any(|f| f == name));
    let Some(name) = name else {
        return Err(ConvertError::content("mp_rank_00", "there is no first rank"));
    };
    let saved = open_rank(dir, name)?;
    Arguments::read(&format!("{name}/{RANK_FILE}"), saved.document.root())
}

/// Opens the folder of one iteration.
pub(crate) fn open(dir: &Path) -> Result<(Source, Arguments), ConvertError> {
    let arguments = arguments(dir)?;
    let (tensor, pipeline) = (arguments.tensor_ranks()?, arguments.pipeline_ranks()?);
    if tensor.checked_mul(pipeline).is_none_or(|ranks| ranks > MOST_RANKS) {
        let rule = format!("it says that there are {tensor} × {pipeline} ranks");
        return Err(ConvertError::content(RANK_FILE, rule));
    }
    let (mut source, mut whole) = (Source { gated_ranks: tensor, ..Source::default() }, Stages::default());
    for rank in 0..pipeline {
        let mut stage: BTreeMap<u64, Parts> = BTreeMap::new();
        for tensor_rank in 0..tensor {
            let name = match pipeline {
                1 => format!("mp_rank_{tensor_rank:02}"),
                _ => format!("mp_rank_{tensor_rank:02}_{rank:03}"),
            };
            let saved = open_rank(dir, &name)?;
            collect(&saved, &name, &mut stage, &mut source.left_out)?;
        }
        for (virtual_rank, parts) in stage {
            whole.0.insert((virtual_rank, rank), parts);
        }
    }
    source.name = dir.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    source.tensors = whole.join(&source.name, tensor)?;
    Ok((source, arguments))
}

fn open_rank(dir: &Path, name: &str) -> Result<Saved, ConvertError> {
    Saved::whole(DataFile::open(dir, &format!("{name}/{RANK_FILE}"))?)
}

/// The tensors of one rank's model, or of its several under interleaved pipelines (`model0`, `model1`, …).
fn collect(
    saved: &Saved,
    rank: &str,
    stage: &mut BTreeMap<u64, Parts>,
    left_out: &mut BTreeSet<String>,
) -> Result<(), ConvertError> {
    let file = format!("{rank}/{RANK_FILE}");
    let root = saved.document.root();
    let wrong = |rule: &str| ConvertError::content(&file, rule);
    let entries = root.entries().ok_or_else(|| wrong("it holds no dictionary"))?;
    let mut found = false;
    for (key, model) in entries {
        let Some(number) = key.text().and_then(|key| key.strip_prefix("model")) else { continue };
        let number = if number.is_empty() { Some(0) } else { number.parse::<u64>().ok() };
        let Some(number) = number.filter(|number| *number < MOST_RANKS) else { continue };
        found = true;
        let parts = stage.entry(number).or_default();
        if model.get("language_model").is_some() {
            let rule = "it was written by Megatron-LM's models before Megatron-Core (`--use-legacy-models`), which are not read here. Convert it with that version's tools/checkpoint/convert.py --saver core";
            return Err(wrong(rule));
        }
        for (name, value) in model.entries().ok_or_else(|| wrong("its model is no dictionary"))? {
            let name = name.text().ok_or_else(|| wrong("a tensor's name is no text"))?;
            add(saved, name, value, parts, left_out)?;
        }
    }
    if found { Ok(()) } else { Err(wrong("it holds no model")) }
}

fn add(
    saved: &Saved,
    name: &str,
    value: View<'_>,
    parts: &mut Parts,
    left_out: &mut BTreeSet<String>,
) -> Result<(), ConvertError> {
    let name = name.strip_prefix("module.").unwrap_or(name);
    match value.tensor() {
        Some(tensor) if !crate::names::is_no_weight(name) => {
            let place = saved.place(name, tensor)?;
            parts.entry(name.to_owned()).or_default().push((tensor.shape.clone(), place));
        }
        _ => {
            left_out.insert(name.to_owned());
        }
    }
    Ok(())
}

/// The models of all pipeline ranks, by virtual rank and rank: the order of their layers.
#[derive(Default)]
struct Stages(BTreeMap<(u64, u64), Parts>);

impl Stages {
    /// Numbers the layers through all stages and joins what the tensor ranks hold.
    fn join(self, source: &str, ranks: u64) -> Result<BTreeMap<String, Tensor>, ConvertError> {
        let (mut tensors, mut before) = (BTreeMap::new(), 0);
        for parts in self.0.into_values() {
            let mut layers = 0;
            for (name, parts) in parts {
                let name = match layer_of(&name) {
                    Some((layer, rest)) => {
                        layers = layers.max(layer + 1);
                        format!("decoder.layers.{}.{rest}", before + layer)
                    }
                    None => name,
                };
                if parts.len() as u64 != ranks {
                    let rule = format!("tensor {name} is in {} of {ranks} tensor ranks", parts.len());
                    return Err(ConvertError::content(source, rule));
                }
                let tensor = join(source, &name, parts)?;
                if tensors.insert(name.clone(), tensor).is_some() {
                    return Err(ConvertError::content(source, format!("tensor {name} is in two stages")));
                }
            }
            before += layers;
        }
        Ok(tensors)
    }
}

fn layer_of(name: &str) -> Option<(u64, &str)> {
    let (layer, rest) = name.strip_prefix("decoder.layers.")?.split_once('.')?;
    Some((layer.parse().ok().filter(|layer| *layer < 1 << 20)?, rest))
}

fn join(source: &str, name: &str, mut parts: Vec<(Vec<u64>, Place)>) -> Result<Tensor, ConvertError> {
    let ends = |list: &[&str]| list.iter().any(|end| name.ends_with(end));
    if ends(&COLUMNS) {
        return Tensor::joined(source, name, 1, parts);
    }
    if ends(&ROWS) {
        return Tensor::joined(source, name, 0, parts);
    }
    let others = parts.split_off(1);
    let first = Tensor::joined(source, name, 0, parts)?;
    let bytes = first.all()?;
    for part in others {
        let other = Tensor::joined(source, name, 0, vec![part])?;
        if other.shape != first.shape || other.all()? != bytes {
            let rule = format!("tensor {name} should be the same in every tensor rank, and it is not");
            return Err(ConvertError::content(source, rule));
        }
    }
    Ok(first)
}
