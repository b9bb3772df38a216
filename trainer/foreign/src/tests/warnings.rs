use serde_json::{Value, json};

use crate::megatron::{arguments, specification};
use crate::warnings;
use crate::warnings::unlabelled;

fn codes(spec: &Value, planned: Option<u64>) -> Vec<&'static str> {
    warnings(spec, planned).into_iter().map(|warning| warning.code).collect()
}

/// LLM-jp's v4 8B as its launch script has it.
fn good() -> Value {
    json!({
        "model": {
            "vocab_size": 196_608, "hidden_size": 4096, "num_hidden_layers": 32, "num_attention_heads": 32,
            "num_key_value_heads": 8, "intermediate_size": 14336, "tie_word_embeddings": false,
        },
        "optimizer": { "lr": 3e-4, "eps": 1e-8 },
        "data": { "sequence_length": 4096, "mix": [{ "name": "web", "level": "L2" }] },
        "batch": { "sequences": 512 },
        "stop": { "steps": 1000 },
    })
}

#[test]
fn a_published_run_has_no_warning() {
    assert_eq!(codes(&good(), Some(1000 * 512 * 4096)), [""; 0]);
    assert_eq!(codes(&json!({}), None), [""; 0]);
    assert_eq!(codes(&json!("no object"), Some(1)), [""; 0]);
}

#[test]
fn an_epsilon_of_1e_5_names_1e_8_and_the_172b_in_both_languages() {
    let args = arguments("pasted", "--num-layers 32 --lr 1e-4 --adam-eps 1e-5").expect("arguments");
    let found = warnings(&specification(&args), None);
    assert_eq!(found[0].code, "adam-epsilon");
    for text in [&found[0].text.en, &found[0].text.ja] {
        assert!(text.contains("1e-5") && text.contains("1e-8") && text.contains("LLM-jp-3 172B"), "{text}");
    }
    for flat in [
        json!({ "adam_epsilon": 1e-5 }),
        json!({ "optimizer": { "eps": "1e-5" } }),
        json!({ "adam_eps": 2e-8 }),
    ] {
        assert_eq!(codes(&flat, None), ["adam-epsilon"], "{flat}");
    }
    assert_eq!(codes(&json!({ "optimizer": { "eps": 1e-15 } }), None), [""; 0]);
}

#[test]
fn a_peak_above_every_published_run_of_the_size_is_shown_beside_them() {
    let mut spec = good();
    spec["optimizer"]["lr"] = json!(4e-4);
    let found = warnings(&spec, None);
    assert_eq!(found[0].code, "peak-learning-rate");
    let en = &found[0].text.en;
    assert!(
        en.contains("4e-4 at 8.6B") && en.contains("LLM-jp-4 8B 3e-4") && en.contains("LLM-jp-3 7.2B 2.5e-4"),
        "{en}"
    );
    assert!(!en.contains("172B") && !en.contains("A3.8B"), "{en}");
    // 76B lies beside Llama 2's 70B alone.
    spec["model"]["num_hidden_layers"] = json!(340);
    let ja = &warnings(&spec, None)[0].text.ja;
    assert!(ja.contains("Llama 2 70B 1.5e-4") && !ja.contains("172B") && !ja.contains("32B"), "{ja}");
    // With experts 100B lies between 32B and 291B, and near neither.
    let mut between = spec.clone();
    between["model"]["num_hidden_layers"] = json!(68);
    between["model"]["num_local_experts"] = json!(8);
    between["optimizer"]["lr"] = json!(5e-4);
    let ja = &warnings(&between, None)[0].text.ja;
    assert!(ja.contains("LLM-jp-4 32B-A3.8B 4e-4、LLM-jp-4 291B-A27B 4e-4"), "{ja}");
    // A toy is far below everything that was published.
    spec["model"] = json!({ "hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 128 });
    assert_eq!(codes(&spec, None), [""; 0]);
    // Experts are compared with experts.
    let mut spec = good();
    spec["model"]["num_local_experts"] = json!(8);
    spec["optimizer"]["lr"] = json!(4e-4);
    assert_eq!(codes(&spec, None), [""; 0]);
    spec["optimizer"]["lr"] = json!(5e-4);
    assert_eq!(codes(&spec, None), ["peak-learning-rate"]);
}

#[test]
fn subsets_that_bar_publishing_are_named() {
    let mut spec = good();
    spec["data"]["mix"] = json!([
        { "name": "a", "level": "LX" }, { "name": "b", "level": "LZ" }, { "name": "c", "level": "LX" }, { "name": "d" }, 7
    ]);
    let found = warnings(&spec, None);
    assert_eq!(found.iter().map(|warning| warning.code).collect::<Vec<_>>(), ["level-lx", "level-lz"]);
    assert!(found[0].text.en.starts_with("a, c ") && found[0].text.ja.starts_with("a、c"), "{found:?}");
}

#[test]
fn tokens_that_do_not_add_up_are_said_with_both_numbers() {
    let planned = 1000 * 512 * 4096;
    assert_eq!(codes(&good(), Some(planned + 512 * 4096)), [""; 0], "a step is rounding");
    let found = warnings(&good(), Some(3_500_000_000));
    assert_eq!(found[0].code, "tokens-mismatch");
    for text in [&found[0].text.en, &found[0].text.ja] {
        assert!(text.contains("2,097,152,000") && text.contains("3,500,000,000"), "{text}");
    }
    let mut spec = good();
    spec["data"]["total_samples"] = json!(1000 * 512 * 2);
    assert_eq!(codes(&spec, None), [""; 0], "an index may be laid out for more");
    spec["data"]["total_samples"] = json!(1000);
    assert_eq!(codes(&spec, None), ["tokens-mismatch"]);
    spec["stop"]["steps"] = json!(u64::MAX);
    assert_eq!(codes(&spec, Some(1)), [""; 0], "more than can be counted");
}

#[test]
fn what_a_lineage_will_not_know_is_said_before_the_run() {
    let mut spec = good();
    spec["data"]["mix"][0]["license"] = json!("CC0-1.0");
    assert_eq!(unlabelled(&spec), None);
    assert_eq!(unlabelled(&json!(7)), None);
    spec["data"]["mix"] = json!([{ "name": "a", "level": "L1" }, { "name": "b", "license": "MIT" }]);
    spec["init"] = json!({ "from": "llama" });
    let found = unlabelled(&spec).expect("a warning");
    assert_eq!(found.code, "lineage-unknown");
    assert!(found.text.en.starts_with("no level for b, no license for a, init.from: "), "{found:?}");
    assert!(found.text.ja.starts_with("bのリリースレベル、a、init.fromのライセンスが"), "{found:?}");
}
