//! Writing files so that a reader sees the old content, the new content or nothing, never a part.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use fs_err::File;
use serde_json::{Map, json};

use crate::Dtype;

/// A tensor to be written.
#[derive(Clone, Debug)]
pub struct TensorData<'a> {
    /// Its name.
    pub name: String,
    /// Element type of `bytes`.
    pub dtype: Dtype,
    /// Dimensions, outermost first.
    pub shape: Vec<usize>,
    /// Little-endian, row-major.
    pub bytes: Cow<'a, [u8]>,
}

/// Writes a safetensors file as the official library lays it out: wider types first, then by name, header padded to eight
/// bytes. The same tensors give the same bytes.
///
/// # Errors
/// The system's, naming the path; `InvalidInput` when a tensor's bytes do not fit its shape or a name is there twice.
pub fn write_safetensors<'a>(
    path: &Path,
    metadata: &BTreeMap<String, String>,
    tensors: impl IntoIterator<Item = TensorData<'a>>,
) -> io::Result<()> {
    let mut tensors: Vec<TensorData<'a>> = tensors.into_iter().collect();
    tensors.sort_by(|a, b| in_file((a.dtype, &a.name), (b.dtype, &b.name)));
    for TensorData { name, dtype, shape, bytes } in &tensors {
        let need = shape.iter().product::<usize>() as u64 * dtype.bytes();
        if need != bytes.len() as u64 {
            let text =
                format!("tensor {name}: {} bytes given, {need} needed for {shape:?} {dtype}", bytes.len());
            return Err(invalid(text));
        }
    }
    let header = header(metadata, tensors.iter().map(|t| (t.name.as_str(), t.dtype, t.shape.as_slice())))?;
    write_atomic(path, |file| {
        file.write_all(&(header.len() as u64).to_le_bytes())?;
        file.write_all(header.as_bytes())?;
        tensors.iter().try_for_each(|tensor| file.write_all(&tensor.bytes))
    })
}

fn invalid(text: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, text)
}

/// The order of tensors in a file: wider types first, then by name.
#[must_use]
pub fn in_file(a: (Dtype, &str), b: (Dtype, &str)) -> std::cmp::Ordering {
    b.0.bytes().cmp(&a.0.bytes()).then_with(|| a.1.cmp(b.1))
}

/// The header for tensors that follow it in this order, padded to eight bytes; its length goes before it.
///
/// # Errors
/// `InvalidInput` when a name is there twice.
pub fn header<'a>(
    metadata: &BTreeMap<String, String>,
    tensors: impl IntoIterator<Item = (&'a str, Dtype, &'a [usize])>,
) -> io::Result<String> {
    let mut entries = Map::new();
    if !metadata.is_empty() {
        entries.insert("__metadata__".to_owned(), json!(metadata));
    }
    let mut at = 0;
    for (name, dtype, shape) in tensors {
        let size = shape.iter().product::<usize>() as u64 * dtype.bytes();
        let entry = json!({"dtype": dtype.as_str(), "shape": shape, "data_offsets": [at, at + size]});
        if entries.insert(name.to_owned(), entry).is_some() {
            return Err(invalid(format!("tensor {name} is given twice")));
        }
        at += size;
    }
    let mut text = sekisho_domain::canonical_json(&entries.into());
    text.push_str(&" ".repeat(text.len().next_multiple_of(8) - text.len()));
    Ok(text)
}

/// Writes through a temporary file in the same folder, flushed to the disk before it takes the name.
///
/// # Errors
/// The system's, naming the path. The temporary file is removed.
pub fn write_atomic(path: &Path, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
    let name =
        path.file_name().ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "a file needs a name"))?;
    let temporary = path.with_file_name(format!(".{}.partial", name.to_string_lossy()));
    let result = fill(&temporary, write).and_then(|()| fs_err::rename(&temporary, path));
    if result.is_err() {
        // The first error is the one to report; without a temporary file there is nothing to remove.
        let _ = fs_err::remove_file(&temporary);
        return result;
    }
    sync_folder(path)
}

fn fill(path: &Path, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
    let mut file = BufWriter::with_capacity(1 << 20, File::create(path)?);
    write(&mut file)?;
    file.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()
}

/// Makes the new name itself survive a power cut.
pub(crate) fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()
}
