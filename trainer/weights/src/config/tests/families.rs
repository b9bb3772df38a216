//! Configurations of published models, as their folders write them, and what of them is refused.

use serde_json::{Value, json};

use super::super::{ConfigError, Family, ModelConfig};

fn read(config: &Value) -> Result<ModelConfig, ConfigError> {
    ModelConfig::from_json("config.json", &config.to_string())
}

/// Sizes in the order vocabulary, width, feed-forward, layers, heads, key heads, width of a head.
fn config(model_type: &str, class: &str, sizes: [usize; 7], more: &Value) -> Value {
    let [vocab, hidden, ffn, layers, heads, keys, head] = sizes;
    let mut config = json!({
        "model_type": model_type, "architectures": [class], "vocab_size": vocab, "hidden_size": hidden,
        "intermediate_size": ffn, "num_hidden_layers": layers, "num_attention_heads": heads,
        "num_key_value_heads": keys, "max_position_embeddings": 8192, "rope_theta": 10000.0, "rms_norm_eps": 1e-6,
    });
    if head > 0 {
        config["head_dim"] = json!(head);
    }
    for (key, value) in more.as_object().expect("an object") {
        config[key] = value.clone();
    }
    config
}

fn gemma() -> Value {
    let act = json!({"hidden_act": "gelu_pytorch_tanh", "attention_bias": false});
    config("gemma", "GemmaForCausalLM", [256_000, 2048, 16_384, 18, 8, 1, 256], &act)
}

fn gemma2() -> Value {
    let more = json!({"hidden_act": "gelu_pytorch_tanh", "hidden_activation": "gelu_pytorch_tanh",
        "attn_logit_softcapping": 50.0, "final_logit_softcapping": 30.0, "query_pre_attn_scalar": 256,
        "sliding_window": 4096});
    config("gemma2", "Gemma2ForCausalLM", [256_000, 2304, 9216, 26, 8, 4, 256], &more)
}

fn gemma3() -> Value {
    let more = json!({"hidden_activation": "gelu_pytorch_tanh", "attn_logit_softcapping": null,
        "final_logit_softcapping": null, "query_pre_attn_scalar": 256, "sliding_window": 512,
        "sliding_window_pattern": 6, "rope_local_base_freq": 10000, "rope_theta": 1_000_000, "rope_scaling": null});
    config("gemma3_text", "Gemma3ForCausalLM", [262_144, 1152, 6912, 26, 4, 1, 256], &more)
}

fn phi() -> Value {
    let more = json!({"hidden_act": "gelu_new", "layer_norm_eps": 1e-5, "partial_rotary_factor": 0.4,
        "qk_layernorm": false, "tie_word_embeddings": false, "rms_norm_eps": null});
    config("phi", "PhiForCausalLM", [51_200, 2560, 10_240, 32, 32, 32, 0], &more)
}

fn phi3() -> Value {
    let more =
        json!({"hidden_act": "silu", "sliding_window": 2047, "rope_scaling": null, "attention_bias": false});
    config("phi3", "Phi3ForCausalLM", [32_064, 3072, 8192, 32, 32, 32, 0], &more)
}

fn qwen2() -> Value {
    let more = json!({"hidden_act": "silu", "tie_word_embeddings": true, "use_sliding_window": false,
        "sliding_window": 32_768, "max_window_layers": 21});
    config("qwen2", "Qwen2ForCausalLM", [151_936, 896, 4864, 24, 14, 2, 0], &more)
}

fn qwen3() -> Value {
    let more = json!({"hidden_act": "silu", "tie_word_embeddings": true, "use_sliding_window": false,
        "sliding_window": null, "attention_bias": false});
    config("qwen3", "Qwen3ForCausalLM", [151_936, 1024, 3072, 28, 16, 8, 128], &more)
}

fn mistral() -> Value {
    let more = json!({"hidden_act": "silu", "sliding_window": 4096});
    config("mistral", "MistralForCausalLM", [32_000, 4096, 14_336, 32, 32, 8, 0], &more)
}

#[test]
fn parameters_of_published_models() {
    for (config, parameters, longest) in [
        (gemma(), 2_506_172_416, 8192),
        (gemma2(), 2_614_341_888, 4096),
        (gemma3(), 999_885_952, 512),
        (phi(), 2_779_683_840, 8192),
        (phi3(), 3_821_079_552, 2047),
        (qwen2(), 494_032_768, 8192),
        (qwen3(), 596_049_920, 8192),
        (mistral(), 7_241_732_096, 8192),
    ] {
        let read = read(&config).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!((read.parameters(), read.longest()), (parameters, longest), "{}", config["model_type"]);
        assert_eq!(json!(read)["model_type"], config["model_type"]);
        assert_eq!(read.canonical()["model_type"], config["model_type"]);
    }
}

#[test]
fn both_dialects_are_the_same_configuration() {
    let rope = |theta: f64| json!({"rope_type": "default", "rope_theta": theta});
    let mut new = gemma3();
    let types: Vec<&str> =
        (1..=26).map(|i| if i % 6 == 0 { "full_attention" } else { "sliding_attention" }).collect();
    for (key, value) in [
        ("rope_parameters", json!({"full_attention": rope(1e6), "sliding_attention": rope(1e4)})),
        ("layer_types", json!(types)),
        ("rope_theta", Value::Null),
        ("rope_local_base_freq", Value::Null),
        ("sliding_window_pattern", Value::Null),
        ("_sliding_window_pattern", json!(6)),
    ] {
        new[key] = value;
    }
    let (old, new) = (read(&gemma3()).expect("old"), read(&new).expect("new"));
    assert_eq!(old, new);
    assert!(matches!(old.family, Family::Gemma3 { sliding_window_pattern: 6, .. }), "{old:?}");
    let mut new = phi();
    new["rope_parameters"] = json!({"rope_type": "default", "rope_theta": 1e4, "partial_rotary_factor": 0.4});
    new["partial_rotary_factor"] = Value::Null;
    assert_eq!(read(&phi()).expect("old"), read(&new).expect("new"));
}

#[test]
fn what_candle_would_ignore_is_refused_by_name() {
    let scaled = json!({"rope_type": "linear", "factor": 8.0});
    let llama3 = json!({"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
        "original_max_position_embeddings": 8192});
    let longrope = json!({"type": "longrope", "short_factor": [1.0], "long_factor": [1.0]});
    let irregular: Vec<&str> = [&["full_attention"; 2][..], &["sliding_attention"; 24]].concat();
    for (mut config, key, value) in [
        (gemma(), "hidden_act", json!("gelu")),
        (gemma(), "tie_word_embeddings", json!(false)),
        (gemma(), "use_bidirectional_attention", json!(true)),
        (gemma(), "rope_scaling", llama3),
        (gemma2(), "query_pre_attn_scalar", json!(144)),
        (gemma2(), "architectures", json!(["Gemma2ForSequenceClassification"])),
        (gemma3(), "model_type", json!("gemma3")),
        (gemma3(), "layer_types", json!(irregular)),
        (gemma3(), "rope_scaling", scaled),
        (phi(), "qk_layernorm", json!(true)),
        (phi(), "partial_rotary_factor", json!(0.01)),
        (phi3(), "rope_scaling", longrope),
        (phi3(), "head_dim", json!(64)),
        (qwen3(), "partial_rotary_factor", json!(0.5)),
        (qwen2(), "quantization_config", json!({"bits": 4})),
        (mistral(), "model_type", json!("falcon")),
    ] {
        config[key] = value;
        let error = read(&config).expect_err(key).to_string();
        assert!(error.contains(&format!("\"{key}\"")), "{}: {error}", config["model_type"]);
    }
}

#[test]
fn what_transformers_would_fill_in_is_asked_for() {
    for (mut config, key) in [
        (mistral(), "sliding_window"),
        (mistral(), "num_key_value_heads"),
        (gemma(), "head_dim"),
        (gemma2(), "attn_logit_softcapping"),
        (gemma2(), "sliding_window"),
        (gemma3(), "rope_local_base_freq"),
        (qwen3(), "head_dim"),
        (phi(), "partial_rotary_factor"),
        (phi(), "layer_norm_eps"),
    ] {
        config.as_object_mut().expect("an object").remove(key);
        let error = read(&config).expect_err(key).to_string();
        assert!(error.contains(&format!("lacks \"{key}\"")), "{error}");
    }
}

#[test]
fn a_window_bounds_a_qwen_only_where_it_is_used() {
    let mut config = qwen2();
    config["sliding_window"] = json!(1024);
    assert_eq!(read(&config).expect("unused").longest(), 8192);
    config["use_sliding_window"] = json!(true);
    assert_eq!(read(&config).expect("used").longest(), 1024);
    let unknown = read(&json!({"model_type": "falcon"})).expect_err("unknown").to_string();
    assert!(unknown.contains("gemma3_text") && unknown.contains("--engine URL"), "{unknown}");
}
