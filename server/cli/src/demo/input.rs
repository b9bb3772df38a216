//! Writes the demo's input into its folder: corpus, tokenizer, benchmarks, run specification.

use std::fmt::Write as _;
use std::path::Path;

use tokenizers::Tokenizer;

use super::corpus::{Subset, World};
use super::{items, tokenizer};
use crate::printer::Printer;

/// Name of the run.
pub(crate) const NAME: &str = "demo-ja-en";
/// The suite.
pub(crate) const SUITE: &str = "demo";
/// Updates of the run.
pub(crate) const STEPS: u64 = 720;
/// Checkpoints of the run.
pub(crate) const CHECKPOINTS: u64 = STEPS / EVERY;
const EVERY: u64 = 120;

/// Benchmark data below the demo's folder.
pub(crate) const DATA: &str = "input/data";
/// Task definitions.
pub(crate) const TASKS: &str = "input/tasks";
/// The run specification.
pub(crate) const SPEC: &str = "input/spec.toml";
/// What the release is made from.
const LINEAGE: &str = "input/lineage.toml";
/// What the registry of corpora says.
const CORPORA: &str = "input/corpora.toml";
/// Sequences of an update, and targets of a sequence.
const SEQUENCES: u64 = 8;
const SEQUENCE_LENGTH: u64 = 96;
/// The run's own folder.
pub(crate) const RUN: &str = "run";

/// Writes everything that is not there yet. The specification comes last: with it the input is complete.
pub(crate) fn write(dir: &Path, printer: &Printer) -> anyhow::Result<()> {
    if dir.join(SPEC).is_file() {
        return Ok(());
    }
    let world = World::new();
    let corpus = world.corpus();
    for subset in &corpus {
        let text = |document: &String| format!("{}\n", serde_json::json!({ "text": document }));
        put(
            dir,
            &format!("input/corpus/{}.jsonl", subset.name),
            &subset.documents.iter().map(text).collect::<String>(),
        )?;
    }
    let documents: Vec<String> = corpus.iter().flat_map(|subset| subset.documents.iter().cloned()).collect();
    let tokenizer = tokenizer::train(&documents)?;
    put(dir, "input/tokenizer/tokenizer.json", &json(&tokenizer)?)?;
    put(dir, "input/tokenizer/tokenizer_config.json", tokenizer::CONFIG)?;
    for benchmark in items::benchmarks(&world) {
        put(dir, &format!("{DATA}/demo/{}", benchmark.file), &benchmark.data)?;
        put(dir, &format!("{TASKS}/{}.toml", benchmark.task), &benchmark.definition())?;
    }
    put(dir, &format!("{TASKS}/suites/demo.toml"), items::SUITE)?;
    put(dir, CORPORA, &corpora_of(&corpus))?;
    put(dir, LINEAGE, &lineage_of(&corpus))?;
    put(dir, SPEC, &spec(&corpus))?;
    printer.say(&format!(
        "  made a corpus of {} documents in {} subsets and four benchmarks",
        documents.len(),
        corpus.len()
    ));
    Ok(())
}

fn json(tokenizer: &Tokenizer) -> anyhow::Result<String> {
    tokenizer
        .to_string(true)
        .map_err(|error| anyhow::anyhow!("the demo's tokenizer could not be written: {error}"))
}

/// Writes all of a file or nothing.
fn put(dir: &Path, name: &str, text: &str) -> anyhow::Result<()> {
    let path = dir.join(name);
    if let Some(parent) = path.parent() {
        fs_err::create_dir_all(parent)?;
    }
    Ok(sekisho_weights::write_atomic(&path, |file| file.write_all(text.as_bytes()))?)
}

/// The run specification: a Llama of not quite a million parameters. Small updates, many of them, and initial weights that are
/// not too small (1/√hidden is 0.09) let it learn in so few tokens.
fn spec(corpus: &[Subset]) -> String {
    let mut spec = format!(
        r#"# Made by `sekisho demo`. `sekisho train --check` shows it resolved.
name = "{NAME}"
seed = 42

[model]
vocab_size = {vocabulary}
hidden_size = 128
num_hidden_layers = 4
num_attention_heads = 4
num_key_value_heads = 2
intermediate_size = 352
rope_theta = 10000.0
rms_norm_eps = 1e-5
tie_word_embeddings = true
max_position_embeddings = 256

[init]
std = 0.08

[tokenizer]
path = "tokenizer/tokenizer.json"

[data]
sequence_length = {SEQUENCE_LENGTH}
order = "megatron"
packing = "contiguous"
"#,
        vocabulary = tokenizer::VOCABULARY,
    );
    for Subset { name, level, license, percent, .. } in corpus {
        let _ = write!(
            spec,
            "\n[[data.mix]]\nname = \"{name}\"\npath = \"corpus/{name}.jsonl\"\nweight = {percent}.0\nlevel = \"{level}\"\nlicense = \"{license}\"\n"
        );
    }
    let _ = write!(
        spec,
        r#"
[batch]
sequences = {SEQUENCES}

[optimizer]
lr = 1.5e-3
min_lr = 0.0
weight_decay = 0.1
z_loss = 1e-4

[schedule]
kind = "wsd"
warmup_steps = 30
decay_steps = 200
decay_shape = "minus_sqrt"

[evaluate]
suite = "{SUITE}"

[stop]
steps = {STEPS}

[checkpoint]
every = {EVERY}
"#
    );
    spec
}

/// The lineage file of the release that the demo proposes.
pub(crate) fn lineage(dir: &Path) -> anyhow::Result<String> {
    Ok(fs_err::read_to_string(dir.join(LINEAGE))?)
}

/// The subsets that the demo registers.
pub(crate) fn corpora(dir: &Path) -> anyhow::Result<String> {
    let file = dir.join(CORPORA);
    // A folder of an earlier version has none.
    if file.is_file() { Ok(fs_err::read_to_string(file)?) } else { Ok(corpora_of(&World::new().corpus())) }
}

/// Each subset as the registry has it.
fn corpora_of(corpus: &[Subset]) -> String {
    let subset = |Subset { name, level, license, .. }: &Subset| {
        let language = if name.ends_with("-en") { "en" } else { "ja" };
        format!(
            "[[subset]]\nid = \"{name}\"\ncorpus = \"sekisho-demo\"\nlanguage = \"{language}\"\nlevel = \"{level}\"\nlicense = \"{license}\"\nevidence = \"made by the demo\"\n"
        )
    };
    corpus.iter().map(subset).collect::<Vec<_>>().join("\n")
}

/// Each subset with its level, its licence and the targets that the run takes from it.
fn lineage_of(corpus: &[Subset]) -> String {
    let targets = STEPS * SEQUENCES * SEQUENCE_LENGTH;
    let mut text = "[model]\nname = \"Sekisho-Demo-1M\"\n".to_owned();
    for Subset { name, level, license, percent, .. } in corpus {
        let tokens = targets * percent / 100;
        let _ = write!(
            text,
            r#"
[[input]]
kind = "corpus"
id = "{name}"
level = "{level}"
license = "{license}"
tokens = {tokens}
stage = "pretrain"
"#
        );
    }
    text + r#"
[release]
repo = "sekisho-demo/Sekisho-Demo-1M"
license = ["apache-2.0"]
visibility = "public"
bundle = ["specification", "logs", "data", "evaluation", "code"]
"#
}

#[cfg(test)]
mod tests {
    use sekisho_domain::parse_toml;

    use super::super::corpus::World;
    use super::{lineage_of, spec};

    #[test]
    fn the_specification_is_one_and_the_policy_allows_the_lineage() {
        let corpus = World::new().corpus();
        sekisho_trainer::Spec::parse("spec.toml", &spec(&corpus), std::path::Path::new("/demo"))
            .expect("a specification");
        assert_eq!(corpus.iter().map(|subset| subset.percent).sum::<u64>(), 100);
        let lineage = lineage_of(&corpus);
        let facts = sekisho_policy::Facts::of(
            "lineage.toml",
            parse_toml("lineage.toml", &lineage).expect("a lineage file"),
        );
        let set = sekisho_policy::PolicySet::builtin("base").expect("built in");
        let decision = sekisho_policy::evaluate(&facts, &set, jiff::civil::date(2026, 11, 21));
        assert!(decision.allowed(), "{:#?}", decision.violations);
        assert_eq!(decision.warnings.len(), 1, "share-alike of the dialogues: {:#?}", decision.warnings);
        assert_eq!(
            decision.obligations.len(),
            3,
            "two to credit, one licence text: {:#?}",
            decision.obligations
        );
    }
}
