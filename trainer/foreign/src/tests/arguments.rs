use serde_json::json;

use super::{fixture, log};
use crate::megatron::{arguments, specification};

fn of(text: &str) -> serde_json::Value {
    specification(&arguments("pasted", text).expect("arguments"))
}

#[test]
fn a_launch_script_becomes_a_specification() {
    let text = String::from_utf8(fixture("launch.sh")).expect("UTF-8");
    let args = arguments("launch.sh", &text).expect("arguments");
    let spec = specification(&args);
    assert_eq!(
        spec["model"],
        json!({
            "num_hidden_layers": 32, "hidden_size": 4096, "intermediate_size": 14336, "num_attention_heads": 32,
            "num_key_value_heads": 8, "max_position_embeddings": 8192, "rms_norm_eps": 1e-5, "rope_theta": 500_000,
            "tie_word_embeddings": false,
        })
    );
    assert_eq!(
        spec["data"],
        json!({
            "sequence_length": 8192, "order": "megatron",
            "mix": [
                { "name": "ja_wiki", "path": "/data/ja_wiki_text_document", "weight": 2_563_804_308.0 },
                { "name": "en_stack", "path": "/data/en_stack_text_document", "weight": 1e9 },
            ],
        })
    );
    assert_eq!(
        spec["optimizer"],
        json!({ "lr": 3e-4, "min_lr": "${MIN_LR}", "eps": 1e-5, "betas": [0.9, 0.95], "weight_decay": 0.1, "clip": 1.0 })
    );
    assert_eq!(
        spec["schedule"],
        json!({ "kind": "cosine", "total_steps": 417_233, "warmup_steps": 4172, "lr_index": "megatron" })
    );
    assert_eq!(spec["batch"], json!({ "sequences": 1024, "micro": 1 }));
    assert_eq!((&spec["precision"]["forward"], &spec["stop"]["steps"]), (&json!("bf16"), &json!(417_233)));
    assert_eq!(spec["tokenizer"]["path"], "tokenizer/llm-jp.model");
    assert_eq!(
        (&spec["other"]["wandb_project"], &spec["other"]["use_distributed_optimizer"]),
        (&json!("v4 8b"), &json!(true))
    );
    assert_eq!(args.notes, ["--min-lr is ${MIN_LR}, which this text does not set; its value is not known"]);
}

#[test]
fn the_dump_of_a_log_becomes_the_same() {
    let (reader, _) = log("megatron.log", None);
    let spec = reader.setup().spec.clone().expect("a dump");
    assert_eq!(
        spec["schedule"],
        json!({
            "kind": "wsd", "total_steps": 417_233, "warmup_steps": 2000, "decay_steps": 100_000, "decay_shape": "minus_sqrt",
            "lr_index": "megatron",
        })
    );
    assert_eq!(spec["optimizer"]["eps"], 1e-5);
    assert_eq!(
        spec["data"]["mix"][1],
        json!({ "name": "en_web", "path": "data/en_web_text_document", "weight": 0.6 })
    );
    assert_eq!((&spec["model"]["vocab_size"], &spec["model"]["head_dim"]), (&json!(99_584), &json!(128)));
    assert!(
        spec["model"].get("num_experts_per_tok").is_none(),
        "without experts the number of them means nothing"
    );
    assert_eq!(spec["other"]["moe_router_topk"], 2);
    assert!(spec["other"].get("decoupled_lr").is_none(), "None is nothing");
}

#[test]
fn a_pasted_line_is_enough() {
    let spec = of("--adam-eps 1e-5 --lr 3e-4 \\\n  --train-samples 1000 --global-batch-size 10");
    assert_eq!((&spec["optimizer"]["eps"], &spec["stop"]["steps"]), (&json!(1e-5), &json!(100)));
    assert_eq!(spec["schedule"]["kind"], "linear", "Megatron-LM's default");
    assert_eq!(of("--lr 1e-4")["optimizer"]["eps"], 1e-8, "Megatron-LM's default");
    let spec = of(
        "--data-path a/one_text_document b/two --num-layers 2 --hidden-size 8 --swiglu --num-experts 8 --moe-router-topk 2",
    );
    assert_eq!(
        spec["data"]["mix"],
        json!([{ "name": "one", "path": "a/one_text_document" }, { "name": "two", "path": "b/two" }])
    );
    assert_eq!(
        (&spec["model"]["num_local_experts"], &spec["model"]["num_experts_per_tok"]),
        (&json!(8), &json!(2))
    );
    assert!(spec.get("optimizer").is_none() && spec.get("schedule").is_none());
    assert_eq!(
        of("--num-layers 2 --lr $LR --lr-decay-style inverse-square-root")["other"]["lr_decay_style"],
        "inverse-square-root"
    );
}

#[test]
fn what_holds_no_arguments_is_refused_with_the_way_on() {
    for (text, place, says) in [
        ("", "", "no argument of Megatron-LM"),
        ("just words -and-dashes", "", "paste the launch command"),
        ("--lr 1e-4 --wandb-project \"never closed\n--seed 1", ", line", "quotation mark"),
    ] {
        let error = arguments("pasted", text).expect_err(text).to_string();
        assert!(error.starts_with(&format!("pasted{place}")) && error.contains(says), "{error}");
    }
}

#[test]
fn what_a_dump_says_beside_what_counts_does_not_hide_it() {
    let common =
        "--num-layers 32 --hidden-size 4096 --num-attention-heads 32 --global-batch-size 1024 --lr 3e-4";
    let spec = of(&format!(
        "{common} --lr-decay-style WSD --train-samples 10240000 --lr-warmup-iters 0 --lr-warmup-samples 2048000 --lr-wsd-decay-samples 1024000 --lr-wsd-decay-style 1-sqrt"
    ));
    assert_eq!(
        (
            &spec["schedule"]["warmup_steps"],
            &spec["schedule"]["decay_steps"],
            &spec["schedule"]["decay_shape"]
        ),
        (&json!(2000), &json!(1000), &json!("minus_sqrt"))
    );
    assert_eq!(spec["model"]["num_key_value_heads"], 32);
    let grouped = of(&format!("{common} --group-query-attention"));
    assert_eq!(grouped["model"]["num_key_value_heads"], 1, "Megatron-LM's default");
    let eight = of(&format!("{common} --group-query-attention --num-query-groups 8"));
    assert_eq!(eight["model"]["num_key_value_heads"], 8);
}
