//! A small Gemma, which candle computes: sharing and batches move the last digits and nothing else.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use sekisho_bench::Answer;
use sekisho_evaluator::{Settings, environment};
use sekisho_weights::{Dtype, ModelConfig, TensorData, to_f32_bytes, write_safetensors};
use serde_json::json;

use crate::support::{How, alone, answers, asked, load_model, stories};

/// Writes it with arbitrary weights and the tokenizer of the data pack's tiny model.
fn write(dir: &Path, tokenizer: &Path) {
    let config = json!({
        "model_type": "gemma", "architectures": ["GemmaForCausalLM"], "hidden_act": "gelu_pytorch_tanh",
        "vocab_size": 512, "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2,
        "num_attention_heads": 4, "num_key_value_heads": 1, "head_dim": 16, "max_position_embeddings": 1024,
        "rope_theta": 10000.0, "rms_norm_eps": 1e-6, "bos_token_id": 1, "eos_token_id": 2,
    });
    fs_err::write(dir.join("config.json"), config.to_string()).expect("written");
    for file in ["tokenizer.json", "tokenizer_config.json"] {
        fs_err::copy(tokenizer.join(file), dir.join(file)).expect("a copy");
    }
    let config = ModelConfig::from_json("config.json", &config.to_string()).expect("a good configuration");
    let mut state = 1_u32;
    let mut value = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        f32::from(u16::try_from(state >> 20).expect("twelve bits")) / 4096.0 - 0.5
    };
    let tensors = config.expected_tensors().into_iter().map(|(name, shape)| {
        let values: Vec<f32> = (0..shape.iter().product()).map(|_| value()).collect();
        TensorData { name, dtype: Dtype::F32, shape, bytes: Cow::Owned(to_f32_bytes(&values)) }
    });
    write_safetensors(&dir.join("model.safetensors"), &BTreeMap::new(), tensors).expect("written");
}

/// Equal but for the last digits of log-likelihoods.
fn close(one: &Answer, other: &Answer) -> bool {
    match (one, other) {
        (Answer::Choices { loglikelihoods: one, .. }, Answer::Choices { loglikelihoods: other, .. }) => {
            let pairs = one.iter().zip(other);
            one.len() == other.len() && pairs.into_iter().all(|(a, b)| (a - b).abs() <= 1e-4 * b.abs())
        }
        _ => one == other,
    }
}

#[test]
fn sharing_moves_no_score_of_a_gemma() {
    let Some(tokenizer) = stories() else { return };
    let folder = tempfile::tempdir().expect("a folder");
    write(folder.path(), &tokenizer);
    let model = load_model(folder.path());
    // The embedding counts once.
    let layer = 2 * 32 + (64 + 16 + 16) * 32 + 32 * 64 + 3 * 32 * 64;
    assert_eq!(model.parameters, Some(512 * 32 + 2 * layer + 32));
    let none = BTreeSet::new();
    for (name, items, shots) in
        [("lm-eval/openbookqa/test", 12, None), ("llm-jp-eval@1.3/niilc/dev", 3, Some(0))]
    {
        let asked = asked(name, items, shots);
        let (shared, spent) = answers(&model, &asked, How::default(), &none).expect("answered");
        let (apart, whole) = answers(&model, &asked, alone(), &none).expect("answered");
        assert!(spent.tokens.prefilled < whole.tokens.prefilled, "{name}: sharing saves work");
        assert_eq!(shared.len(), items, "{name}");
        for (item, record) in &shared {
            let other = &apart[item];
            assert!(close(&record.answer, &other.answer), "{name} {item}: {record:?}, alone {other:?}");
            assert_eq!(record.prompt_sha256, other.prompt_sha256, "{name} {item}");
        }
    }
    let said = environment(&model, &BTreeSet::from([true]), 2, Settings::default());
    assert_eq!((&said["engine"], &said["invariant"]), (&json!("candle"), &json!(false)));
    assert_eq!(said["max_length"], 1024);
    let ours = environment(&load_model(&tokenizer), &BTreeSet::from([true]), 2, Settings::default());
    assert_eq!((&ours["engine"], ours.contains_key("invariant")), (&json!("sekisho"), false));
}
