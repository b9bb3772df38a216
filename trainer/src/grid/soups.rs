//! The mean of the seeds of each mixture, in `<mixture>-soup`, with what it was made of and its lineage.

use std::path::{Path, PathBuf};

use sekisho_weights::{weights_digest, write_atomic};
use serde::Serialize;

use super::{GridError, Row};
use crate::lineage;
use crate::surgery::{Soup, SurgeryError, soup};

/// What the mean was made of, beside its weights.
const RECORD: &str = "soup.json";

/// A mean of the seeds of a mixture.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SoupRow {
    /// The mixture.
    pub mixture: Option<String>,
    /// Its folder.
    pub folder: PathBuf,
    /// What it was made of.
    pub soup: Soup,
}

/// Makes that of the seeds of one mixture, unless it is there. One seed has no mean.
pub(super) fn of(dir: &Path, seeds: &[Row]) -> Result<Option<SoupRow>, GridError> {
    let [first, others @ ..] = seeds else { return Ok(None) };
    if others.is_empty() {
        return Ok(None);
    }
    let mixture = first.mixture.clone();
    let name = mixture.as_ref().map_or_else(|| "soup".to_owned(), |mixture| format!("{mixture}-soup"));
    if let Some(other) = others.iter().find(|row| row.step != first.step) {
        return Err(GridError::Uneven {
            mixture: name,
            a: first.seed,
            at_a: first.step.0,
            b: other.seed,
            at_b: other.step.0,
        });
    }
    let folder = dir.join(&name);
    let models: Vec<PathBuf> = seeds.iter().map(|row| row.checkpoint.clone()).collect();
    let soup = match found(&folder, &models)? {
        Some(soup) => soup,
        None => make(&folder, &name, &models)?,
    };
    Ok(Some(SoupRow { mixture, folder, soup }))
}

fn failed(folder: &Path) -> impl Fn(SurgeryError) -> GridError {
    move |error| GridError::Soup { folder: folder.to_owned(), error }
}

/// The mean that is there, if it is that of these models.
fn found(folder: &Path, models: &[PathBuf]) -> Result<Option<Soup>, GridError> {
    if fs_err::symlink_metadata(folder).is_err() {
        return Ok(None);
    }
    let record = fs_err::read(folder.join(RECORD)).ok();
    let soup: Option<Soup> = record.and_then(|text| serde_json::from_slice(&text).ok());
    let digest = |folder: &Path| weights_digest(folder).ok();
    let same = |soup: &Soup| {
        let now = models.iter().map(|model| digest(model));
        digest(folder) == Some(soup.weights) && soup.of.iter().map(|one| Some(one.weights)).eq(now)
    };
    soup.filter(same).map(Some).ok_or_else(|| GridError::OtherSoup(folder.to_owned()))
}

/// The folder has its name when all of it is there.
fn make(folder: &Path, name: &str, models: &[PathBuf]) -> Result<Soup, GridError> {
    let building = folder.with_file_name(format!(".{name}.building"));
    if building.exists() {
        // What a kill left.
        fs_err::remove_dir_all(&building)?;
    }
    let made = soup(models, &[], &building).map_err(failed(folder))?;
    write_atomic(&building.join(RECORD), |file| {
        serde_json::to_writer_pretty(&mut *file, &made)?;
        file.write_all(b"\n")
    })?;
    let runs: Vec<PathBuf> =
        models.iter().filter_map(|model| model.parent()).map(Path::to_path_buf).collect();
    lineage::write_merged(&building.join(lineage::FILE), name, &runs)?;
    fs_err::rename(&building, folder)?;
    fs_err::File::open(folder.parent().unwrap_or(folder))?.sync_all()?;
    Ok(made)
}
