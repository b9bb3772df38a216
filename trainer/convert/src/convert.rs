use std::path::{Path, PathBuf};

use sekisho_weights::{Checkpoint, Dtype, ModelConfig, NewFolder, write_atomic};

use crate::arguments::Arguments;
use crate::detect::{self, CONFIG, Format};
use crate::file::DataFile;
use crate::names::Scheme;
use crate::plan::{self, Plan};
use crate::report::{self, Report};
use crate::source::Source;
use crate::write::{self, Progress};
use crate::{ConvertError, dcp, legacy};

/// Longest text that is copied beside the weights.
const LONGEST_TEXT: u64 = 256 << 20;
/// What a tokenizer is made of.
const TOKENIZER: [&str; 9] = [
    "tokenizer.json",
    "tokenizer.model",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "merges.txt",
    "chat_template.jinja",
    "generation_config.json",
];

/// What is to be converted, and how.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The checkpoint: the folder of one iteration, or of a Megatron run, whose latest one is meant.
    pub from: PathBuf,
    /// The new folder.
    pub to: PathBuf,
    /// A `config.json` to be copied beside the weights. Megatron's arguments describe the model without one.
    pub config: Option<PathBuf>,
    /// A folder whose tokenizer is copied beside the weights.
    pub tokenizer: Option<PathBuf>,
    /// Rows of the vocabulary before it was padded, where neither the arguments nor the configuration say so.
    pub vocab_size: Option<u64>,
}

/// What a checkpoint says of itself, before it is converted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Origin {
    /// Its format.
    pub format: Format,
    /// Update that it was saved after.
    pub step: Option<u64>,
    /// Tokens trained on: consumed samples × sequence length.
    pub tokens: Option<u64>,
}

/// A checkpoint, opened.
struct Opened {
    format: Format,
    source: Source,
    scheme: Scheme,
    arguments: Option<Arguments>,
}

/// Reads what a complete checkpoint says of itself; its tensors are not looked at.
///
/// # Errors
/// As [`convert`].
pub fn origin(dir: &Path) -> Result<Origin, ConvertError> {
    let (dir, format) = known(dir)?;
    let arguments = match format {
        Format::MegatronLegacy => Some(legacy::arguments(&dir)?),
        Format::MegatronDist => Some(dcp::arguments(&dir)?),
        Format::Dcp | Format::HuggingFace => None,
    };
    let arguments = arguments.as_ref();
    let (step, tokens) = (arguments.and_then(Arguments::iteration), arguments.and_then(Arguments::tokens));
    Ok(Origin { format, step, tokens })
}

/// Writes a checkpoint of Megatron-LM or torch DCP as a Hugging Face folder. The new folder takes its name when all of it is on the
/// disk and its headers fit its configuration; dtypes stay. The same checkpoint gives the same bytes.
///
/// # Errors
/// [`ConvertError`] names the file, the rule and the way on. Nothing is left of the new folder then.
pub fn convert(options: &Options, progress: &mut Progress<'_>) -> Result<Report, ConvertError> {
    let taken = ConvertError::Exists { path: options.to.display().to_string() };
    if fs_err::symlink_metadata(&options.to).is_ok() {
        return Err(taken);
    }
    let opened = open(&options.from)?;
    let (config, text) = configuration(options, &opened)?;
    let plan = plan::plan(&opened.source, opened.scheme, &config)?;
    if !write::is_copy(&plan, config.vocab_size as u64)? {
        let rule = "its output layer is another one than its embedding, and its configuration says that they are tied";
        return Err(ConvertError::content(&opened.source.name, rule));
    }
    let failed = |error| ConvertError::Write { path: options.to.display().to_string(), error };
    let building = NewFolder::begin(&options.to).map_err(failed)?;
    let files = write::shards(building.path(), &plan, progress)?;
    let text = text.unwrap_or_else(|| pretty(&config.to_hf_json(dtype_name(&plan))));
    copy(building.path(), CONFIG, text.as_bytes())?;
    if let Some(tokenizer) = &options.tokenizer {
        copy_tokenizer(tokenizer, building.path())?;
    }
    // What leaves here is what a checkpoint must be to come in elsewhere.
    Checkpoint::open(building.path())?;
    building.finish(&options.to).map_err(failed)?;
    Ok(finished(&opened, &plan, files))
}

fn finished(opened: &Opened, plan: &Plan<'_>, files: Vec<String>) -> Report {
    let arguments = opened.arguments.as_ref();
    Report {
        from: opened.format,
        step: arguments.and_then(Arguments::iteration),
        tokens: arguments.and_then(Arguments::tokens),
        bytes: plan.outputs.iter().map(plan::Output::bytes).sum(),
        padding: plan.padding,
        files,
        tensors: report::written(plan),
        left_out: opened.source.left_out.iter().cloned().collect(),
    }
}

/// The folder itself, without links, and its format.
fn known(dir: &Path) -> Result<(PathBuf, Format), ConvertError> {
    let folder = detect::iteration_folder(dir)?;
    let folder = fs_err::canonicalize(&folder).map_err(|error| ConvertError::read(&folder, error))?;
    let Some(format) = detect::detect(&folder) else {
        let found = match detect::names(&folder).as_slice() {
            [] => "the folder is empty".to_owned(),
            names
                if names
                    .iter()
                    .any(|name| name == ".zmetadata" || name.starts_with("embedding.word_emb")) =>
            {
                "it is in Megatron's zarr format, which its newer versions no longer read either".to_owned()
            }
            names => {
                format!("the folder holds {}", names.iter().take(5).cloned().collect::<Vec<_>>().join(", "))
            }
        };
        return Err(ConvertError::Unknown { path: folder.display().to_string(), found });
    };
    if format != Format::MegatronLegacy && !detect::is_complete(&folder) {
        let missing = match format {
            Format::HuggingFace => "files of its index are not there",
            _ => ".metadata, which is written last, is not there",
        };
        let (path, missing) = (folder.display().to_string(), missing.to_owned());
        return Err(ConvertError::Incomplete { path, missing });
    }
    Ok((folder, format))
}

fn open(dir: &Path) -> Result<Opened, ConvertError> {
    let (dir, format) = known(dir)?;
    match format {
        Format::MegatronLegacy => {
            let (source, arguments) = legacy::open(&dir)?;
            Ok(Opened { format, source, scheme: Scheme::Megatron, arguments: Some(arguments) })
        }
        Format::MegatronDist | Format::Dcp => {
            let arguments = (format == Format::MegatronDist).then(|| dcp::arguments(&dir)).transpose()?;
            let (source, scheme) = dcp::open(&dir)?;
            Ok(Opened { format, source, scheme, arguments })
        }
        Format::HuggingFace => Err(ConvertError::Unknown {
            path: dir.display().to_string(),
            found: "it is a Hugging Face folder already".to_owned(),
        }),
    }
}

/// The model's configuration, and the text of `config.json` where somebody gave one.
fn configuration(options: &Options, opened: &Opened) -> Result<(ModelConfig, Option<String>), ConvertError> {
    if let Some(path) = &options.config {
        let text = fs_err::read_to_string(path).map_err(|error| ConvertError::read(path, error))?;
        let config = ModelConfig::from_json(&path.display().to_string(), &text)
            .map_err(sekisho_weights::Refusal::from)?;
        return Ok((config, Some(text)));
    }
    let Some(arguments) = &opened.arguments else {
        let rule = "it does not say what model it holds. Give the model's config.json with --config";
        return Err(ConvertError::content(&opened.source.name, rule));
    };
    let config = arguments.config(options.vocab_size)?;
    // Read back, so that it keeps every rule that is kept elsewhere.
    let text = pretty(&config.to_hf_json("bfloat16"));
    let config = ModelConfig::from_json("the arguments", &text).map_err(sekisho_weights::Refusal::from)?;
    Ok((config, None))
}

fn pretty(value: &serde_json::Value) -> String {
    format!("{value:#}\n")
}

/// PyTorch's name of the weights' type.
fn dtype_name(plan: &Plan<'_>) -> &'static str {
    match plan.outputs.first().map(|output| output.dtype) {
        Some(Dtype::F32) => "float32",
        Some(Dtype::F16) => "float16",
        _ => "bfloat16",
    }
}

fn copy_tokenizer(from: &Path, to: &Path) -> Result<(), ConvertError> {
    let folder = fs_err::canonicalize(from).map_err(|error| ConvertError::read(from, error))?;
    let here: Vec<&str> = TOKENIZER.into_iter().filter(|name| folder.join(name).is_file()).collect();
    if !here.iter().any(|name| name.starts_with("tokenizer.")) {
        let rule = "there is neither tokenizer.json nor tokenizer.model in it. Name the tokenizer's folder";
        return Err(ConvertError::content(&from.display().to_string(), rule));
    }
    for name in here {
        let file = DataFile::open(&folder, name)?;
        copy(to, name, &file.part(0, file.size(), LONGEST_TEXT)?)?;
    }
    Ok(())
}

fn copy(dir: &Path, name: &str, bytes: &[u8]) -> Result<(), ConvertError> {
    let path = dir.join(name);
    write_atomic(&path, |file| file.write_all(bytes))
        .map_err(|error| ConvertError::Write { path: path.display().to_string(), error })
}
