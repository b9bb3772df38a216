//! `lineage.toml` in a run's folder: what its weights are made from, for the policy and for releases. Written when the run begins and
//! again at each checkpoint, with the tokens of each subset until then.

use std::path::{Component, Path, PathBuf};

use sekisho_domain::Tokens;
use sekisho_domain::lineage::{Input, InputKind, InputStage, ModelSection};
use sekisho_weights::write_atomic;
use serde::{Deserialize, Serialize};

use crate::TrainError;
use crate::checkpoint::State;
use crate::folder::RunFolder;
use crate::parent::{self, Origin};
use crate::spec::{Packing, Parent, ParentData, ParentState, Spec};

/// Name of the file, in a run's folder or beside weights.
pub(crate) const FILE: &str = "lineage.toml";

const HEAD: &str = "# Written in training, and anew at each checkpoint: complete a copy of it. What is not said here is not known.\n\n";

/// The file without what only people add.
#[derive(Serialize)]
struct Written {
    model: ModelSection,
    input: Vec<Input>,
}

/// Writes the lineage of a run as of `state`.
pub(crate) fn write(folder: &RunFolder, spec: &Spec, state: &State) -> Result<(), TrainError> {
    let before = Origin::read(folder)?.map_or_else(Vec::new, |origin| origin.position.taken);
    let base = linked(&folder.lineage(), spec).or_else(|| base(folder.path(), spec));
    let mut inputs: Vec<Input> = base.into_iter().collect();
    for (number, mix) in spec.data.mix.iter().enumerate() {
        let of = |taken: &[u64]| taken.get(number).copied().unwrap_or(0);
        let left_out: u64 = state.rollbacks.iter().map(|rollback| of(&rollback.left_out)).sum();
        let samples = of(&state.position.taken).saturating_sub(of(&before) + left_out);
        // A padded sequence has fewer targets than it is long, and nobody counted them for each subset.
        let counted = (spec.data.packing == Packing::Contiguous && samples > 0)
            .then(|| Tokens(samples * spec.data.sequence_length as u64));
        inputs.push(Input {
            id: Some(mix.name.clone()),
            level: mix.level.map(|level| level.to_string()),
            license: mix.license.clone(),
            tokens: counted,
            stage: Some(stage(spec)),
            ..input(InputKind::Corpus)
        });
    }
    Ok(put(&folder.lineage(), &spec.name, inputs)?)
}

/// The link to the file of `init.from` that an earlier start found: what the run began at stays what it is when that file has gone.
fn linked(file: &Path, spec: &Spec) -> Option<Input> {
    #[derive(Deserialize)]
    struct Before {
        input: Vec<Input>,
    }
    spec.init.from.as_ref()?;
    let before: Before = toml::from_str(&fs_err::read_to_string(file).ok()?).ok()?;
    before.input.into_iter().find(|input| input.kind == InputKind::BaseModel && input.lineage.is_some())
}

/// Writes, for weights made of others, the file `building/lineage.toml` as it will lie in `to`. Where none of the others has one there
/// is nothing to link, and none is written.
pub(crate) fn write_made_of(building: &Path, to: &Path, models: &[&Path]) -> std::io::Result<()> {
    let files: Vec<Option<PathBuf>> = models.iter().map(|model| of_weights(model)).collect();
    if files.iter().all(Option::is_none) {
        return Ok(());
    }
    let to = std::path::absolute(to)?;
    let beside = to.parent().map_or_else(|| Ok(to.clone()), fs_err::canonicalize)?.join(name_of(&to));
    let (kind, stage) = match models {
        [_] => (InputKind::BaseModel, InputStage::Init),
        _ => (InputKind::Merge, InputStage::Merge),
    };
    let input = |(model, file): (&&Path, Option<PathBuf>)| match file {
        Some(file) => Input { lineage: Some(relative(&beside, &file)), stage: Some(stage), ..input(kind) },
        None => Input { id: Some(name_of(model)), stage: Some(stage), ..input(kind) },
    };
    put(&building.join(FILE), &name_of(&to), models.iter().zip(files).map(input).collect())
}

fn name_of(folder: &Path) -> String {
    folder.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// The lineage file in a folder of weights or, for a checkpoint of a run, in the run's.
fn of_weights(folder: &Path) -> Option<PathBuf> {
    let folder = fs_err::canonicalize(folder).unwrap_or_else(|_| folder.to_owned());
    let found = [Some(&*folder), folder.parent()].into_iter().flatten().map(|place| place.join(FILE));
    found.into_iter().find(|file| file.is_file())
}

/// Writes the lineage of a mean of models, each of which has its own file in its run's folder.
pub(crate) fn write_merged(file: &Path, name: &str, runs: &[PathBuf]) -> std::io::Result<()> {
    let beside = file.parent().unwrap_or(Path::new("/"));
    let merged = |run: &PathBuf| Input {
        lineage: Some(relative(beside, &run.join(FILE))),
        stage: Some(InputStage::Merge),
        ..input(InputKind::Merge)
    };
    put(file, name, runs.iter().map(merged).collect())
}

fn put(file: &Path, name: &str, input: Vec<Input>) -> std::io::Result<()> {
    let written = Written { model: ModelSection { name: name.to_owned() }, input };
    let text = toml::to_string(&written).expect("names and numbers can be written as TOML");
    write_atomic(file, |file| file.write_all(format!("{HEAD}{text}").as_bytes()))
}

const fn input(kind: InputKind) -> Input {
    Input {
        kind,
        id: None,
        lineage: None,
        license: None,
        level: None,
        tokens: None,
        generator: None,
        generator_license: None,
        stage: None,
    }
}

/// The stage whose text the corpora are: a branch that goes on in its parent's data is part of the parent's pre-training.
fn stage(spec: &Spec) -> InputStage {
    match &spec.parent {
        Some(Parent { state: ParentState::Weights, .. }) => InputStage::Continual,
        Some(Parent { data: ParentData::Restart, .. }) => InputStage::Midtrain,
        None if spec.init.from.is_some() => InputStage::Continual,
        Some(_) | None => InputStage::Pretrain,
    }
}

/// The weights that the run begins at: its parent's, or those of `init.from`, by their lineage file where they have one.
fn base(folder: &Path, spec: &Spec) -> Option<Input> {
    let begun = |lineage: &Path| Input {
        lineage: Some(relative(folder, lineage)),
        stage: Some(InputStage::Init),
        ..input(InputKind::BaseModel)
    };
    if let Some(section) = &spec.parent {
        return Some(begun(&parent::folder_of(section, folder).join(FILE)));
    }
    let from = spec.init.from.as_ref()?;
    if let Some(lineage) = of_weights(from) {
        return Some(begun(&lineage));
    }
    Some(Input {
        id: spec.init.id.clone().or_else(|| Some(name_of(from))),
        license: spec.init.license.clone(),
        stage: Some(InputStage::Init),
        ..input(InputKind::BaseModel)
    })
}

/// The way from a folder to a file, both absolute: such a link survives when both are moved together.
fn relative(folder: &Path, file: &Path) -> String {
    let parts = |path: &Path| path.components().map(|part| part.as_os_str().to_owned()).collect::<Vec<_>>();
    let (from, to) = (parts(folder), parts(file));
    let shared = from.iter().zip(&to).take_while(|(a, b)| a == b).count();
    let up = from[shared..].iter().map(|_| Component::ParentDir.as_os_str().to_owned());
    up.chain(to[shared..].iter().cloned()).collect::<PathBuf>().display().to_string()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::relative;

    #[test]
    fn a_link_leads_from_folder_to_file() {
        for (folder, file, link) in [
            ("/a/child", "/a/parent/lineage.toml", "../parent/lineage.toml"),
            ("/a", "/a/b/lineage.toml", "b/lineage.toml"),
            ("/a/b", "/c/lineage.toml", "../../c/lineage.toml"),
        ] {
            assert_eq!(relative(Path::new(folder), Path::new(file)), link);
        }
    }
}
