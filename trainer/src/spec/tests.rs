use std::path::Path;

use super::Spec;

/// The contract's example, without what this version refuses.
const FULL: &str = r#"
name = "mini-ja-en"
seed = 42
[model]
vocab_size = 8000
hidden_size = 256
num_hidden_layers = 6
num_attention_heads = 8
num_key_value_heads = 4
intermediate_size = 704
rope_theta = 10000.0
rms_norm_eps = 1e-5
tie_word_embeddings = true
max_position_embeddings = 512
scaled_embedding = false
[init]
std = 0.02
[tokenizer]
path = "tokenizer.json"
[data]
sequence_length = 512
order = "megatron"
total_samples = 32000
packing = "contiguous"
document_mask = false
[[data.mix]]
name = "aozora"
path = "corpora/aozora_ja/train.jsonl"
repeat = 2.0
level = "L1"
license = "CC0-1.0"
[batch]
sequences = 32
micro = 8
[optimizer]
lr = 3e-4
min_lr = 0.0
betas = [0.9, 0.95]
eps = 1e-8
weight_decay = 0.1
weight_decay_exclude = ["*norm.weight"]
clip = 1.0
z_loss = 1e-4
[schedule]
kind = "wsd"
warmup_steps = 100
decay_steps = 200
total_steps = 1000
decay_shape = "minus_sqrt"
lr_index = "one_based"
[stability]
on_nan = "stop"
skip_sigma = 6.0
window = 128
[precision]
forward = "f32"
[evaluate]
suite = "llm-jp-eval-dev100"
every = 1000
[stop]
steps = 1000
[checkpoint]
every = 200
keep = ["every:1000", "last:3", "best:1"]
dtype = "bf16"
"#;

fn parse(text: &str) -> Result<Spec, String> {
    Spec::parse("spec.toml", text, Path::new("/somewhere")).map_err(|error| error.to_string())
}

#[test]
fn a_specification_survives_being_written() {
    let spec = parse(FULL).expect("the contract's example").recorded(None);
    let written = toml::to_string(&spec).expect("TOML");
    assert_eq!(parse(&written).expect("our own file"), spec);
    assert_eq!(spec.data.mix[0].path, Path::new("/somewhere/corpora/aozora_ja/train.jsonl"));
    let machine = crate::spec::Machine { gpus: 8, tflops: 400.0, yen_per_gpu_day: Some(1000.0) };
    let summary = spec.check(Some(machine));
    for expected in [
        "6,475,008 parameters",
        "warm-up 100",
        "repeat 2, level L1, CC0-1.0",
        "16,384 tokens",
        "16,384,000 in this stage, 2.5 a parameter",
        "▅▆▇█",
        "every 200 updates, as bfloat16, kept by every:1000, last:3, best:1",
        "8 accelerators at 400 TFLOP/s",
    ] {
        assert!(summary.contains(expected), "{expected} in\n{summary}");
    }
}

/// The rule that was left to its default stands in the record as globs that mean the same.
#[test]
fn the_decay_rule_is_written_down_and_an_older_record_keeps_its_own() {
    use super::decay::Groups;
    let spec =
        parse(&FULL.replace("weight_decay_exclude = [\"*norm.weight\"]\n", "")).expect("a specification");
    let recorded = spec.recorded(None);
    let globs = recorded.optimizer.weight_decay_exclude.clone().expect("written down");
    assert_eq!(
        globs,
        [
            "model.layers.*.input_layernorm.weight",
            "model.layers.*.post_attention_layernorm.weight",
            "model.norm.weight"
        ]
    );
    let config = spec.model_config().expect("a model");
    let groups = Groups::of(&spec.optimizer, &config);
    assert_eq!(Groups::of(&recorded.optimizer, &config), groups);
    assert_eq!(groups.decayed.iter().map(|(_, count)| count).sum::<usize>(), 1 + 6 * 7);
    assert_eq!(recorded.recorded(Some(&recorded)), recorded);
    assert_eq!(spec.recorded(Some(&recorded)), recorded, "said again without it");
    let older = Spec { optimizer: spec.optimizer.clone(), ..recorded };
    assert_eq!(spec.recorded(Some(&older)).optimizer.weight_decay_exclude, None);
    let told = spec.check(None);
    assert!(told.contains("model.layers.*.self_attn.q_proj (6)"), "{told}");
    assert!(told.contains("none on model.layers.*.input_layernorm (6)"), "{told}");
}

#[test]
fn defaults_are_those_of_the_first_start() {
    let short = FULL.replace("total_samples = 32000\n", "").replace("total_steps = 1000\n", "");
    let first = parse(&short).expect("defaults").recorded(None);
    assert_eq!((first.total_steps(), first.total_samples()), (1000, 32000));
    let shorter = short.replace("steps = 1000\n[checkpoint]", "steps = 900\n[checkpoint]");
    let resumed = parse(&shorter).expect("defaults").recorded(Some(&first));
    assert_eq!((resumed.stop.steps, resumed.total_steps(), resumed.total_samples()), (900, 1000, 32000));
}

#[test]
fn broken_rules_are_named_with_the_way_on() {
    for (from, to, expected) in [
        ("lr = 3e-4", "learning_rate = 3e-4", "spec.toml:36:1: unknown field `learning_rate`"),
        ("kind = \"wsd\"", "kind = \"wsdd\"", "did you mean \"wsd\"?"),
        (
            "repeat = 2.0",
            "repeat = 2.0\nweight = 1.0",
            "data.mix gives a corpus both repeat and weight; keep one",
        ),
        ("micro = 8", "micro = 5", "batch.micro is 5; it must divide batch.sequences, 32"),
        ("rope_theta = 10000.0\n", "", "spec.toml [model] lacks \"rope_theta\""),
        (
            "warmup_steps = 100",
            "warmup_steps = 900",
            "schedule.warmup_steps + decay_steps is more than total_steps, 1000",
        ),
        ("decay_steps = 200\n", "", "schedule.decay_steps is missing; kind = \"wsd\" needs it"),
        (
            "steps = 1000\n[checkpoint]",
            "steps = 1001\n[checkpoint]",
            "data.total_samples is 32000, but stop.steps × batch.sequences is 32032",
        ),
        ("sequence_length = 512", "sequence_length = 513", "model.max_position_embeddings is only 512"),
        (
            "[model]",
            "[parent]\nrun = \"a\"\nstep = 0\n[model]",
            "parent.step is 0; a run has its first checkpoint",
        ),
        (
            "[model]",
            "[parent]\nrun = \"a\"\nstep = 1000\n[model]",
            "stop.steps is 1000, where the parent is already",
        ),
        ("[model]", "[parent]\nrun = \"a\"\nstep = 1\nstate = \"all\"\n[model]", "unknown variant `all`"),
        ("\"last:3\"", "\"newest:3\"", "\"newest:3\" is no rule; there are every:N, last:N and best:N"),
        ("\"last:3\"", "\"lats:3\"", "\"lats:3\" is no rule, did you mean last?"),
        ("level = \"L1\"", "level = \"L4\"", "unknown variant `L4`"),
        (
            "every = 1000\n[stop]",
            "every = 300\n[stop]",
            "evaluate.every must be a multiple of checkpoint.every, 200",
        ),
        (
            "warmup_steps = 100",
            "warmup_steps = 100\nwarmup_init = 1.0",
            "schedule.warmup_init must lie between 0 and lr",
        ),
        (
            "warmup_steps = 100",
            "warmup_steps = 100\nwarmup_init = \"parent\"",
            "schedule.warmup_init is \"parent\", and there is no [parent]",
        ),
        ("std = 0.02", "std = 0.02\nlicense = \"MIT\"", "init.id and init.license say what init.from is"),
        ("seed = 42", "seed = 4294967296", "seed is 4294967296; order = \"megatron\" takes seeds below 2^32"),
    ] {
        assert!(FULL.contains(from), "{from}");
        let error = parse(&FULL.replacen(from, to, 1)).expect_err(to);
        assert!(error.contains(expected), "{to}: {error}");
    }
}

#[test]
fn what_is_not_built_is_refused_and_not_ignored() {
    for (from, to, expected) in [
        ("forward = \"f32\"", "forward = \"fp8\"", "precision.forward = \"fp8\" is not supported yet"),
        ("[model]", "[model]\nnum_local_experts = 8", "model.num_local_experts is not supported yet"),
    ] {
        let error = parse(&FULL.replacen(from, to, 1)).expect_err(to);
        assert!(error.contains(expected), "{to}: {error}");
    }
}

#[test]
fn the_model_of_a_checkpoint_may_be_repeated_but_not_contradicted() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let config = parse(FULL).expect("the contract's example").model_config().expect("a model");
    fs_err::write(folder.path().join("config.json"), config.to_hf_json("bfloat16").to_string())
        .expect("config.json");
    let from = FULL.replace("std = 0.02", &format!("from = {:?}", folder.path()));
    assert_eq!(parse(&from).expect("the same model").model_config().expect("a model"), config);
    let (before, after) = from.split_once("[model]").expect("a model");
    let without = format!("{before}{}", &after[after.find("[init]").expect("init")..]);
    assert_eq!(parse(&without).expect("the checkpoint's model").model_config().expect("a model"), config);
    let error =
        parse(&from.replace("num_hidden_layers = 6", "num_hidden_layers = 5")).expect_err("another model");
    assert!(error.contains("[model] says num_hidden_layers = 5"), "{error}");
}
