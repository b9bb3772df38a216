//! The new folder's weights, written a piece at a time.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use sekisho_weights::{order_in_file, safetensors_header, write_atomic};
use serde_json::json;

use crate::ConvertError;
use crate::plan::{Output, Plan, Rows};

/// Bytes read at a time, unless one row is longer.
const PIECE: u64 = 8 << 20;
/// Most bytes of tensors in one file; a tensor that is larger has a file of its own.
const SHARD: u64 = 5_000_000_000;

/// How far it is, in bytes of tensors: done, all. What it answers says whether to go on.
pub type Progress<'a> = dyn FnMut(u64, u64) -> bool + 'a;

/// Writes the shards and their index; answers the files' names.
pub(crate) fn shards(
    dir: &Path,
    plan: &Plan<'_>,
    progress: &mut Progress<'_>,
) -> Result<Vec<String>, ConvertError> {
    let parts = parts(&plan.outputs);
    let count = parts.len();
    let name = |at: usize| match count {
        1 => "model.safetensors".to_owned(),
        _ => format!("model-{:05}-of-{count:05}.safetensors", at + 1),
    };
    let names: Vec<String> = (0..count).map(name).collect();
    let mut meter = Meter { done: 0, all: plan.outputs.iter().map(Output::bytes).sum(), progress };
    let mut map = BTreeMap::new();
    for (part, name) in parts.iter().zip(&names) {
        shard(dir, name, part, &mut meter)?;
        map.extend(part.iter().map(|output| (output.name.as_str(), name.as_str())));
    }
    if count > 1 {
        let index = json!({ "metadata": { "total_size": meter.all }, "weight_map": map });
        text(dir, "model.safetensors.index.json", &index)?;
    }
    Ok(names)
}

/// Writes a JSON file.
pub(crate) fn text(dir: &Path, name: &str, value: &serde_json::Value) -> Result<(), ConvertError> {
    let path = dir.join(name);
    write_atomic(&path, |file| {
        serde_json::to_writer_pretty(&mut *file, value)?;
        file.write_all(b"\n")
    })
    .map_err(|error| ConvertError::Write { path: path.display().to_string(), error })
}

/// Which tensors share a file: in the model's order, as many as fit.
fn parts<'p, 'a>(outputs: &'p [Output<'a>]) -> Vec<Vec<&'p Output<'a>>> {
    let mut parts: Vec<Vec<&Output<'_>>> = Vec::new();
    let mut room = 0;
    for output in outputs {
        match parts.last_mut() {
            Some(part) if output.bytes() <= room => {
                room -= output.bytes();
                part.push(output);
            }
            _ => {
                room = SHARD.saturating_sub(output.bytes());
                parts.push(vec![output]);
            }
        }
    }
    parts
}

struct Meter<'a, 'b> {
    done: u64,
    all: u64,
    progress: &'a mut Progress<'b>,
}

fn shard(
    dir: &Path,
    name: &str,
    part: &[&Output<'_>],
    meter: &mut Meter<'_, '_>,
) -> Result<(), ConvertError> {
    let path = dir.join(name);
    let failed = |error| ConvertError::Write { path: path.display().to_string(), error };
    let mut outputs = part.to_vec();
    outputs.sort_by(|a, b| order_in_file((a.dtype, &a.name), (b.dtype, &b.name)));
    let shapes: Vec<Vec<usize>> = outputs
        .iter()
        .map(|output| output.shape.iter().map(|size| usize::try_from(*size).unwrap_or(usize::MAX)).collect())
        .collect();
    let layout = outputs.iter().zip(&shapes).map(|(o, shape)| (o.name.as_str(), o.dtype, shape.as_slice()));
    let metadata = BTreeMap::from([("format".to_owned(), "pt".to_owned())]);
    let header = safetensors_header(&metadata, layout).map_err(failed)?;
    // A refusal cannot travel inside the writer's error.
    let mut refused = None;
    let written = write_atomic(&path, |file| {
        file.write_all(&(header.len() as u64).to_le_bytes())?;
        file.write_all(header.as_bytes())?;
        outputs.iter().try_for_each(|output| {
            output
                .stream(&mut |bytes| {
                    file.write_all(bytes).map_err(Stop::Write)?;
                    meter.done += bytes.len() as u64;
                    if (meter.progress)(meter.done, meter.all) {
                        Ok(())
                    } else {
                        Err(ConvertError::Stopped.into())
                    }
                })
                .map_err(|stop| match stop {
                    Stop::Write(error) => error,
                    Stop::Refused(error) => {
                        refused = Some(error);
                        io::ErrorKind::InvalidData.into()
                    }
                })
        })
    });
    match (written, refused) {
        (_, Some(refused)) => Err(refused),
        (Err(error), None) => Err(failed(error)),
        (Ok(()), None) => Ok(()),
    }
}

/// Why bytes no longer flow.
pub(crate) enum Stop {
    /// They cannot be written.
    Write(io::Error),
    /// They cannot be read, or somebody asked to stop.
    Refused(ConvertError),
}

impl From<ConvertError> for Stop {
    fn from(error: ConvertError) -> Self {
        Self::Refused(error)
    }
}

/// Takes bytes as they come.
pub(crate) type Sink<'a> = dyn FnMut(&[u8]) -> Result<(), Stop> + 'a;

impl Output<'_> {
    pub(crate) fn bytes(&self) -> u64 {
        self.shape.iter().product::<u64>() * self.dtype.bytes()
    }

    /// Its bytes, in pieces.
    pub(crate) fn stream(&self, sink: &mut Sink<'_>) -> Result<(), Stop> {
        let mut buffer = Vec::new();
        self.rows.iter().try_for_each(|rows| rows.stream(&mut buffer, sink))
    }
}

impl Rows<'_> {
    fn stream(&self, buffer: &mut Vec<u8>, sink: &mut Sink<'_>) -> Result<(), Stop> {
        let at = usize::from(self.layer.is_some());
        let mut begin = vec![0; self.tensor.shape.len()];
        let mut size = self.tensor.shape.clone();
        if let Some(layer) = self.layer {
            (begin[0], size[0]) = (layer, 1);
        }
        let row = size[at + 1..].iter().product::<u64>() * self.tensor.dtype.bytes();
        let most = (PIECE / row.max(1)).max(1);
        let mut left = self.count;
        begin[at] = self.begin;
        while left > 0 {
            let count = left.min(most);
            size[at] = count;
            buffer.resize(usize::try_from(count * row).unwrap_or(usize::MAX), 0);
            self.tensor.read(&begin, &size, buffer)?;
            sink(buffer)?;
            begin[at] += count;
            left -= count;
        }
        Ok(())
    }
}

/// Whether a tied model's second copy of the embedding is the embedding.
pub(crate) fn is_copy(plan: &Plan<'_>, rows: u64) -> Result<bool, ConvertError> {
    let Some((first, second)) = plan.copy else { return Ok(true) };
    if first.shape.get(1..) != second.shape.get(1..) || second.shape[0] < rows || first.dtype != second.dtype
    {
        return Ok(false);
    }
    let mut size = first.shape.clone();
    let row = size[1..].iter().product::<u64>() * first.dtype.bytes();
    let most = (PIECE / row.max(1)).max(1);
    let mut begin = vec![0; size.len()];
    while begin[0] < rows {
        size[0] = most.min(rows - begin[0]);
        let length = usize::try_from(size[0] * row).unwrap_or(usize::MAX);
        let (mut a, mut b) = (vec![0; length], vec![0; length]);
        first.read(&begin, &size, &mut a)?;
        second.read(&begin, &size, &mut b)?;
        if a != b {
            return Ok(false);
        }
        begin[0] += size[0];
    }
    Ok(true)
}
