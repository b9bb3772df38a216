use std::path::{Path, PathBuf};

use sekisho_model::train::{Batch, CpuProgram, Layout, Objective, TrainingStep};
use sekisho_weights::{Checkpoint, ModelConfig, inspect};
use serde_json::{Value, json};

use super::{EMBEDDING, HEAD, SurgeryError, expand, fold, soup};
use crate::tests::Bench;

/// Two checkpoints of one run, in f32.
fn two(bench: &Bench) -> [PathBuf; 2] {
    bench.train("run", &[("every = 4", "every = 4\ndtype = \"f32\"")]).expect("a run");
    [8, 12].map(|step| bench.path(&format!("run/step-{step:06}")))
}

fn values(folder: &Path, tensor: &str) -> Vec<f32> {
    Checkpoint::open(folder).expect("a checkpoint").tensor_f32(tensor).expect(tensor)
}

/// Mean cross-entropy on a fixed sequence.
fn loss(config: &ModelConfig, folder: &Path) -> f64 {
    let parameters =
        Layout::new(config).tensors().iter().flat_map(|tensor| values(folder, &tensor.name)).collect();
    let tokens: Vec<u32> = (0..9).map(|i| i * 7 % 32).collect();
    let batch = Batch { length: 8, inputs: &tokens[..8], targets: &tokens[1..], starts: &[0; 8] };
    let objective = Objective { targets: 8, z_loss: 0.0 };
    let mut program = CpuProgram::new(config.clone(), parameters);
    program.accumulate(&batch, &objective);
    program.measure().expect("the CPU never fails").loss.ce / 8.0
}

#[test]
fn a_soup_is_the_mean_of_its_models() {
    let bench = Bench::new();
    let models = two(&bench);
    let to = bench.path("soup");
    let made = soup(&models, &[0.25, 0.75], &to).expect("a soup");
    assert_eq!((made.of.len(), made.of[1].share), (2, 0.75));
    let names: Vec<String> =
        Checkpoint::open(&to).expect("a checkpoint").names().map(ToOwned::to_owned).collect();
    for name in &names {
        let [a, b] = models.each_ref().map(|folder| values(folder, name));
        let mean = |(a, b): (&f32, &f32)| (0.25 * f64::from(*a) + 0.75 * f64::from(*b)) as f32;
        assert_eq!(values(&to, name), a.iter().zip(&b).map(mean).collect::<Vec<_>>(), "{name}");
    }
    inspect(&to).expect("the service takes it");
    let alone = bench.path("alone");
    soup(&[models[0].clone(), models[0].clone()], &[], &alone).expect("a soup of one model");
    assert_eq!(values(&alone, &names[0]), values(&models[0], &names[0]), "the mean of equals is exact");
}

#[test]
fn what_has_no_mean_is_refused_and_leaves_nothing() {
    let bench = Bench::new();
    let models = two(&bench);
    bench
        .train(
            "other",
            &[
                ("num_hidden_layers = 2", "num_hidden_layers = 1"),
                ("every = 4", "every = 12\ndtype = \"f32\""),
            ],
        )
        .expect("another model");
    let other = bench.path("other/step-000012");
    let to = bench.path("soup");
    let refused = |models: &[PathBuf], shares: &[f64]| {
        let error = soup(models, shares, &to).expect_err("refused").to_string();
        assert!(!to.exists(), "{error}");
        error
    };
    let error = refused(&[models[0].clone(), other], &[]);
    assert!(
        error.contains("is another model than") && error.contains("num_hidden_layers of config.json differs"),
        "{error}"
    );
    assert!(refused(&models[..1], &[]).contains("give two or more"));
    assert!(refused(&models, &[0.5, 0.6]).contains("add up to 1.1; a mean needs 1"));
    assert!(refused(&models, &[1.0]).contains("give one for each"));
    let weights = models[1].join("model.safetensors");
    let mut bytes = fs_err::read(&weights).expect("weights");
    let last = bytes.len() - 4;
    bytes[last..].copy_from_slice(&f32::NAN.to_le_bytes());
    fs_err::write(&weights, bytes).expect("spoilt");
    assert!(refused(&models, &[]).contains("NaN"));
    fs_err::create_dir(&to).expect("a folder");
    let error = soup(&models, &[], &to).expect_err("taken");
    assert!(matches!(error, SurgeryError::Weights { .. } | SurgeryError::Exists(_)), "{error}");
}

#[test]
fn a_folded_factor_computes_the_same_without_it() {
    let bench = Bench::new();
    let [model, _] = two(&bench);
    let to = bench.path("folded");
    let done = fold(&model, None, &to).expect("folded");
    assert_eq!((done.factor, done.exact, done.untied), (4.0, true, true), "the root of 16");
    let checkpoint = Checkpoint::open(&to).expect("a checkpoint");
    assert!(!checkpoint.config().tie_word_embeddings);
    assert_eq!(values(&to, HEAD), values(&model, EMBEDDING));
    let scaled = ModelConfig {
        scaled_embedding: true,
        ..Checkpoint::open(&model).expect("a checkpoint").config().clone()
    };
    let (with, without) = (loss(&scaled, &model), loss(checkpoint.config(), &to));
    assert!((with - without).abs() < 1e-6, "{with} and {without}");
    let rounded = fold(&model, Some(3.3), &bench.path("rounded")).expect("folded");
    assert!(!rounded.exact && rounded.largest_error > 0.0 && rounded.largest_error < 1e-7, "{rounded:?}");
}

/// A tokenizer of single letters that writes a space before every text, and longer pieces behind them.
fn tokenizer(folder: &Path, more: &[&str]) -> PathBuf {
    let letters = ["<unk>", "<s>", "</s>", "\u{2581}", "a", "b", "日", "本", "語"];
    let vocabulary: serde_json::Map<String, Value> =
        letters.iter().chain(more).enumerate().map(|(id, piece)| ((*piece).to_owned(), json!(id))).collect();
    let metaspace =
        json!({ "type": "Metaspace", "replacement": "\u{2581}", "prepend_scheme": "always", "split": true });
    let file = json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": [], "normalizer": null,
        "pre_tokenizer": metaspace, "post_processor": null, "decoder": metaspace,
        "model": { "type": "BPE", "dropout": null, "unk_token": "<unk>", "continuing_subword_prefix": null,
            "end_of_word_suffix": null, "fuse_unk": false, "byte_fallback": false, "ignore_merges": false,
            "vocab": vocabulary, "merges": [] },
    });
    fs_err::create_dir_all(folder).expect("a folder");
    fs_err::write(folder.join("tokenizer.json"), file.to_string()).expect("written");
    folder.to_owned()
}

#[test]
fn a_new_token_has_the_mean_of_its_old_pieces() {
    let bench = Bench::new();
    let [model, _] = two(&bench);
    tokenizer(&model, &[]);
    let new = tokenizer(&bench.path("new"), &["日本", "\u{2581}日本語", "b語", "Z"]);
    let to = bench.path("larger");
    let done = expand(&model, &new, 8, &to).expect("expanded");
    // 32 rows were there for 9 tokens; 13 tokens need no more.
    assert_eq!((done.kept, done.added, done.without_pieces, done.padding), (9, 4, 0, 32 - 13));
    let (old, table) = (values(&model, EMBEDDING), values(&to, EMBEDDING));
    let row = |table: &[f32], id: usize| table[id * 16..(id + 1) * 16].to_vec();
    assert_eq!(table[..9 * 16], old[..9 * 16], "old tokens keep their rows");
    let mean = |ids: &[usize]| -> Vec<f32> {
        let sum = |column: usize| ids.iter().map(|id| f64::from(row(&old, *id)[column])).sum::<f64>();
        (0..16).map(|column| (sum(column) / ids.len() as f64) as f32).collect()
    };
    assert_eq!(row(&table, 9), mean(&[6, 7]), "日本");
    assert_eq!(row(&table, 10), mean(&[3, 6, 7, 8]), "a space, then 日本語");
    assert_eq!(row(&table, 11), mean(&[5, 8]), "b語");
    assert_eq!(row(&table, 31), mean(&(0..9).collect::<Vec<_>>()), "a row for no token");
    let checkpoint = Checkpoint::open(&to).expect("a checkpoint");
    assert_eq!(checkpoint.config().vocab_size, 32);
    inspect(&to).expect("the service takes it");
    assert_eq!(
        fs_err::read(to.join("tokenizer.json")).expect("there"),
        fs_err::read(new.join("tokenizer.json")).expect("there")
    );
    let name = "model.layers.1.mlp.down_proj.weight";
    assert_eq!(values(&to, name), values(&model, name));
}

#[test]
fn a_tokenizer_that_moves_a_token_is_refused() {
    let bench = Bench::new();
    let [model, _] = two(&bench);
    tokenizer(&model, &["日本"]);
    let to = bench.path("larger");
    let other = tokenizer(&bench.path("other"), &["本語", "日本"]);
    let error = expand(&model, &other, 1, &to).expect_err("moved").to_string();
    assert!(
        error.starts_with("token 9 is \"日本\" in the old tokenizer and \"本語\" in the new one"),
        "{error}"
    );
    let same = tokenizer(&bench.path("same"), &["日本"]);
    let error = expand(&model, &same, 1, &to).expect_err("nothing new").to_string();
    assert!(error.contains("there is nothing to add"), "{error}");
    assert!(!to.exists());
}
