//! Checkpoints that Megatron-Core and PyTorch wrote (`fixtures/make.py`), held bit for bit against the export made in Python.

use std::path::Path;

use crate::support::{copy, fixture, tensors};
use sekisho_convert::{ConvertError, Format, Options, convert, detect, is_complete, origin, step_of};

fn all() -> impl FnMut(u64, u64) -> bool {
    |_, _| true
}

fn options(from: &str, to: &Path) -> Options {
    Options { from: fixture(from), to: to.to_owned(), ..Options::default() }
}

#[test]
fn every_layout_of_megatron_gives_the_same_tensors() {
    let root = tempfile::tempdir().expect("a folder");
    let expected = tensors(&fixture("hf/model.safetensors"));
    for (name, format) in [
        ("legacy-1-1", Format::MegatronLegacy),
        ("legacy-2-1", Format::MegatronLegacy),
        ("legacy-1-2", Format::MegatronLegacy),
        ("legacy-2-2", Format::MegatronLegacy),
        ("dist-1-1", Format::MegatronDist),
        ("dist-2-1", Format::MegatronDist),
        ("dist-1-2", Format::MegatronDist),
        ("dist-2-2", Format::MegatronDist),
        ("dist-layers", Format::MegatronDist),
    ] {
        let from = format!("{name}/iter_0012000");
        let to = root.path().join(name);
        assert_eq!(detect(&fixture(&from)), Some(format), "{name}");
        let report =
            convert(&options(&from, &to), &mut all()).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(tensors(&to.join("model.safetensors")), expected, "{name}");
        assert_eq!((report.from, report.step), (format, Some(12_000)), "{name}");
        assert_eq!((report.tokens, report.padding), (Some(384_000 * 64), 8), "{name}");
        let inspected = sekisho_weights::inspect(&to).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(inspected.tensors.len(), expected.len(), "{name}");
    }
}

#[test]
fn the_configuration_is_the_one_that_transformers_would_write() {
    let root = tempfile::tempdir().expect("a folder");
    let to = root.path().join("model");
    convert(&options("dist-2-2/iter_0012000", &to), &mut all()).expect("converted");
    let read = |path: &Path| {
        let text = fs_err::read_to_string(path).expect("a configuration");
        sekisho_weights::ModelConfig::from_json("config.json", &text).expect("a Llama")
    };
    let mut expected = read(&fixture("hf/config.json"));
    // Megatron's arguments do not know the tokens' meanings.
    (expected.bos_token_id, expected.eos_token_id) = (None, None);
    assert_eq!(read(&to.join("config.json")), expected);
    let text = fs_err::read_to_string(to.join("config.json")).expect("a configuration");
    assert!(text.contains("\"torch_dtype\": \"bfloat16\""), "{text}");
}

#[test]
fn a_tied_model_has_no_output_layer_and_its_copy_in_the_last_stage_is_the_embedding() {
    let root = tempfile::tempdir().expect("a folder");
    let expected = tensors(&fixture("tied.safetensors"));
    for name in ["dist-tied", "legacy-tied-1-2"] {
        let to = root.path().join(name);
        convert(&options(&format!("{name}/iter_0012000"), &to), &mut all()).expect(name);
        assert_eq!(tensors(&to.join("model.safetensors")), expected, "{name}");
    }
}

#[test]
fn interleaved_pipelines_come_back_into_the_order_of_layers() {
    let root = tempfile::tempdir().expect("a folder");
    let to = root.path().join("model");
    convert(&options("legacy-interleaved", &to), &mut all()).expect("converted");
    assert_eq!(tensors(&to.join("model.safetensors")), tensors(&fixture("interleaved.safetensors")));
}

#[test]
fn dcp_needs_a_configuration_and_keeps_the_type() {
    let root = tempfile::tempdir().expect("a folder");
    let hf = root.path().join("hf");
    let without = convert(&options("dcp-hf/step-12000", &hf), &mut all());
    let told = without.expect_err("it does not say what model it is").to_string();
    assert!(told.contains("--config"), "{told}");
    let config = Some(fixture("hf/config.json"));
    let from = Options { config: config.clone(), ..options("dcp-hf/step-12000", &hf) };
    assert_eq!(convert(&from, &mut all()).expect("converted").from, Format::Dcp);
    let expected = tensors(&fixture("hf/model.safetensors"));
    assert_eq!(tensors(&hf.join("model.safetensors")), expected);

    // torchtitan's names and rotary order, f32, sharded over two ranks beside an optimiser.
    let titan = root.path().join("titan");
    let from = Options { config, ..options("dcp-titan/step-12000", &titan) };
    let report = convert(&from, &mut all()).expect("converted");
    let wide = expected.into_iter().map(|(name, (_, shape, bytes))| {
        let floats = bytes.chunks_exact(2).flat_map(|pair| [0, 0, pair[0], pair[1]]).collect::<Vec<u8>>();
        (name, ("F32".to_owned(), shape, floats))
    });
    assert_eq!(tensors(&titan.join("model.safetensors")), wide.collect());
    let query =
        report.tensors.iter().find(|t| t.name.ends_with("0.self_attn.q_proj.weight")).expect("written");
    assert_eq!(query.from, "layers.0.attention.wq.weight");
    assert!(query.done.iter().any(|done| done.contains("rotary order")), "{query:?}");
    assert_eq!(query.files.len(), 2, "{query:?}");
}

#[test]
fn the_report_says_what_was_done_and_where_each_tensor_came_from() {
    let root = tempfile::tempdir().expect("a folder");
    let to = root.path().join("model");
    let report = convert(&options("legacy-2-2/iter_0012000", &to), &mut all()).expect("converted");
    let tensor = |name: &str| report.tensors.iter().find(|t| t.name == name).expect(name);
    let gate = tensor("model.layers.1.mlp.gate_proj.weight");
    assert_eq!(gate.from, "decoder.layers.1.mlp.linear_fc1.weight");
    assert_eq!(gate.files, ["mp_rank_00_001/model_optim_rng.pt", "mp_rank_01_001/model_optim_rng.pt"]);
    assert_eq!(gate.done, ["joined from 2 parts", "split into gate and up in each of 2 tensor ranks"]);
    assert_eq!(tensor("model.layers.0.self_attn.k_proj.weight").done[1], "split by query group");
    assert_eq!(tensor("lm_head.weight").done[1], "8 rows of padding stripped");
    assert_eq!(tensor("model.norm.weight").done, [""; 0]);
    let counts: usize = report.summary().iter().map(|(_, count)| count).sum();
    assert!(counts >= report.tensors.len());
}

#[test]
fn a_run_of_megatron_leads_to_its_latest_iteration() {
    let root = tempfile::tempdir().expect("a folder");
    let to = root.path().join("model");
    assert!(is_complete(&fixture("legacy-2-1")) && is_complete(&fixture("legacy-2-1/iter_0012000")));
    convert(&options("legacy-2-1", &to), &mut all()).expect("converted");
    let said = origin(&fixture("legacy-2-1")).expect("its arguments");
    assert_eq!((said.step, said.tokens), (Some(12_000), Some(384_000 * 64)));
    assert_eq!(step_of("iter_0012000"), Some(12_000));
}

#[test]
fn what_is_not_finished_is_not_complete() {
    let root = tempfile::tempdir().expect("a folder");
    let legacy = root.path().join("legacy");
    copy(&fixture("legacy-1-1"), &legacy);
    fs_err::write(legacy.join("latest_checkpointed_iteration.txt"), "11999").expect("written");
    assert!(!is_complete(&legacy.join("iter_0012000")));
    fs_err::write(legacy.join("latest_checkpointed_iteration.txt"), "12100\n").expect("written");
    assert!(is_complete(&legacy.join("iter_0012000")));

    let dist = root.path().join("dist");
    copy(&fixture("dist-2-1/iter_0012000"), &dist);
    assert!(is_complete(&dist));
    fs_err::remove_file(dist.join(".metadata")).expect("removed");
    assert!(!is_complete(&dist) && detect(&dist) == Some(Format::MegatronDist));
    let to = root.path().join("model");
    let error = convert(&Options { from: dist, to, ..Options::default() }, &mut all());
    assert!(matches!(error, Err(ConvertError::Incomplete { .. })));
}

#[test]
fn nothing_is_left_under_the_new_name_unless_all_of_it() {
    let root = tempfile::tempdir().expect("a folder");
    let to = root.path().join("model");
    let stopped = convert(&options("dist-1-1/iter_0012000", &to), &mut |done, all| done < all / 2);
    assert!(matches!(stopped, Err(ConvertError::Stopped)));
    assert_eq!(fs_err::read_dir(root.path()).expect("a folder").count(), 0);
    // What a power cut left is in nobody's way.
    fs_err::create_dir_all(root.path().join(".model.partial/old")).expect("a folder");
    convert(&options("dist-1-1/iter_0012000", &to), &mut all()).expect("converted");
    let again = convert(&options("dist-1-1/iter_0012000", &to), &mut all());
    assert!(matches!(again, Err(ConvertError::Exists { .. })));
    assert_eq!(fs_err::read_dir(root.path()).expect("a folder").count(), 1);
}

#[test]
fn a_vocabulary_and_a_tokenizer_can_be_given() {
    let root = tempfile::tempdir().expect("a folder");
    let (to, tokenizer) = (root.path().join("model"), root.path().join("tokenizer"));
    fs_err::create_dir_all(&tokenizer).expect("a folder");
    let wish = |tokenizer: &Path| Options {
        tokenizer: Some(tokenizer.to_owned()),
        vocab_size: Some(100),
        ..options("dist-1-1/iter_0012000", &to)
    };
    let refused = convert(&wish(&tokenizer), &mut all());
    let told = refused.expect_err("there is no tokenizer").to_string();
    assert!(told.contains("tokenizer.model") && !to.exists(), "{told}");
    fs_err::write(tokenizer.join("tokenizer.json"), "{}").expect("written");
    fs_err::write(tokenizer.join("secret.txt"), "x").expect("written");
    let report = convert(&wish(&tokenizer), &mut all()).expect("converted");
    assert_eq!(report.padding, 28);
    let embedding = &tensors(&to.join("model.safetensors"))["model.embed_tokens.weight"];
    assert_eq!(embedding.1, [100, 32]);
    assert!(to.join("tokenizer.json").is_file() && !to.join("secret.txt").exists());
}
