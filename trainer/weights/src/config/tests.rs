mod families;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{ConfigError, Family, ModelConfig, RopeScaling};

fn minimal() -> Value {
    json!({
        "model_type": "llama", "vocab_size": 11, "hidden_size": 8, "num_hidden_layers": 2, "num_attention_heads": 4,
        "intermediate_size": 6, "max_position_embeddings": 16, "rope_theta": 10000.0, "rms_norm_eps": 1e-5,
    })
}

fn with(edits: &Value) -> Result<ModelConfig, ConfigError> {
    let mut config = minimal();
    for (key, value) in edits.as_object().expect("an object") {
        config[key] = value.clone();
    }
    ModelConfig::from_json("config.json", &config.to_string())
}

#[test]
fn what_transformers_leaves_out_gets_its_defaults() {
    let config = with(&json!({})).expect("valid");
    assert_eq!((config.num_key_value_heads, config.head_dim), (4, 2));
    assert!(!config.tie_word_embeddings && !config.attention_bias && !config.mlp_bias);
    assert_eq!(config.eos_token_ids(), Vec::<u32>::new());
    let several = with(&json!({"eos_token_id": [5, 6, 7]})).expect("valid");
    assert_eq!((several.eos_token_id, several.eos_token_ids()), (Some(5), vec![5, 6, 7]));
}

#[test]
fn rope_theta_is_read_from_either_place_and_never_guessed() {
    let new = |theta: f64| json!({"rope_theta": theta, "rope_type": "default"});
    assert_eq!(with(&json!({"rope_theta": 5e5})).expect("old").rope_theta.to_bits(), 5e5_f64.to_bits());
    let config = with(&json!({"rope_theta": null, "rope_parameters": new(5e5)})).expect("new");
    assert_eq!(config.rope_theta.to_bits(), 5e5_f64.to_bits());
    with(&json!({"rope_parameters": new(1e4)})).expect("both, equal");
    let missing = with(&json!({"rope_theta": null})).expect_err("neither");
    assert!(matches!(missing, ConfigError::Missing { key: "rope_theta", .. }), "{missing}");
    let differs = with(&json!({"rope_parameters": new(5e5)})).expect_err("both, different");
    let text = differs.to_string();
    assert!(text.contains("10000.0") && text.contains("500000.0"), "{text}");
}

#[test]
fn llama3_scaling_is_read_in_both_spellings() {
    let scaling = json!({"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
        "original_max_position_embeddings": 8192});
    let expected = RopeScaling {
        factor: 8.0,
        low_freq_factor: 1.0,
        high_freq_factor: 4.0,
        original_max_position_embeddings: 8192,
    };
    assert_eq!(with(&json!({"rope_scaling": scaling})).expect("old").rope_scaling, Some(expected));
    let mut new = scaling.clone();
    new["rope_theta"] = json!(10000.0);
    assert_eq!(with(&json!({"rope_parameters": new})).expect("new").rope_scaling, Some(expected));
    let mut other = scaling.clone();
    other["factor"] = json!(32.0);
    let error =
        with(&json!({"rope_scaling": scaling, "rope_parameters": other})).expect_err("both, different");
    assert!(matches!(error, ConfigError::Differs { key: "rope_scaling", .. }), "{error}");
    let error = with(&json!({"rope_scaling": {"type": "linear", "factor": 2.0}})).expect_err("not supported");
    assert!(error.to_string().contains("llama3"), "{error}");
}

#[test]
fn what_we_would_compute_wrongly_is_refused_with_the_reason() {
    for (edit, key) in [
        (json!({"model_type": "falcon"}), "model_type"),
        (json!({"architectures": ["LlamaForSequenceClassification"]}), "architectures"),
        (json!({"hidden_act": "gelu"}), "hidden_act"),
        (json!({"quantization_config": {"bits": 4}}), "quantization_config"),
        (json!({"sliding_window": 4096}), "sliding_window"),
        (json!({"partial_rotary_factor": 0.5}), "partial_rotary_factor"),
        (json!({"rms_norm_eps": null}), "rms_norm_eps"),
        (json!({"rms_norm_eps": -1.0}), "rms_norm_eps"),
        (json!({"vocab_size": 0}), "vocab_size"),
        (json!({"vocab_size": "11"}), "vocab_size"),
        (json!({"num_hidden_layers": 10_000_000}), "num_hidden_layers"),
        (json!({"num_attention_heads": 3}), "hidden_size"),
        (json!({"num_key_value_heads": 3}), "num_key_value_heads"),
        (json!({"head_dim": 3}), "head_dim"),
        (json!({"head_dim": 16_777_216}), "head_dim"),
        (json!({"bos_token_id": -1}), "bos_token_id"),
        (json!({"tie_word_embeddings": 1}), "tie_word_embeddings"),
    ] {
        let error = with(&edit).expect_err(key);
        assert!(error.to_string().contains(&format!("\"{key}\"")), "{edit}: {error}");
    }
}

#[test]
fn parameters_of_known_models() {
    let llama2_7b = with(&json!({"vocab_size": 32000, "hidden_size": 4096, "num_hidden_layers": 32,
        "num_attention_heads": 32, "intermediate_size": 11008}));
    assert_eq!(llama2_7b.expect("valid").parameters(), 6_738_415_616);
    let llama31_8b = with(&json!({"vocab_size": 128_256, "hidden_size": 4096, "num_hidden_layers": 32,
        "num_attention_heads": 32, "num_key_value_heads": 8, "intermediate_size": 14336}));
    let config = llama31_8b.expect("valid");
    assert_eq!(config.parameters(), 8_030_261_248);
    assert_eq!(config.embedding_parameters(), 2 * 128_256 * 4096);
}

prop_compose! {
    fn configs()(
        vocab in 1_usize..100_000, heads_per_kv in 1_usize..5, kv in 1_usize..5, half in 1_usize..65, layers in 1_usize..40,
        ffn in 1_usize..20_000, theta in 1.0..1e7_f64, eps in 1e-9..1e-3_f64, flags in any::<(bool, bool, bool, bool)>(),
        eos in proptest::collection::vec(any::<u32>(), 0..3), bos in any::<Option<u32>>(), hidden in 1_usize..9000,
        family in proptest::sample::select(vec![Family::Llama, Family::Mistral, Family::Qwen2, Family::Qwen3]),
        window in proptest::option::of(1_usize..5000),
    ) -> ModelConfig {
        // What each family has by its nature, or cannot have.
        let (llama, candle) = (family == Family::Llama, family == Family::Qwen3);
        let flags = (
            flags.0,
            flags.1 && (llama || candle) || family == Family::Qwen2,
            flags.2 && llama,
            flags.3 && !candle,
        );
        ModelConfig {
            family, window: window.filter(|_| !llama), vocab_size: vocab, hidden_size: hidden, num_hidden_layers: layers, num_attention_heads: kv * heads_per_kv,
            num_key_value_heads: kv, head_dim: half * 2, intermediate_size: ffn, max_position_embeddings: 4096,
            rope_theta: theta,
            rope_scaling: flags.3.then_some(RopeScaling { factor: 8.0, low_freq_factor: 1.0, high_freq_factor: 4.0, original_max_position_embeddings: 8192 }),
            rms_norm_eps: eps, tie_word_embeddings: flags.0, attention_bias: flags.1, mlp_bias: flags.2, bos_token_id: bos,
            eos_token_id: eos.first().copied(), other_eos_token_ids: eos.iter().skip(1).copied().collect(), scaled_embedding: false,
        }
    }
}

proptest! {
    #[test]
    fn what_is_written_is_read_back_bit_for_bit(config in configs()) {
        let text = config.to_hf_json("bfloat16").to_string();
        prop_assert_eq!(ModelConfig::from_json("config.json", &text).expect("our own"), config);
    }

    #[test]
    fn no_text_makes_the_reader_panic(text in "[{}\\[\\]\",:a-z0-9_. -]{0,80}") {
        let _ = ModelConfig::from_json("config.json", &text);
    }
}
