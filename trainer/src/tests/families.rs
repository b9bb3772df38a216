//! Whole runs under every switch of the model and of the arithmetic.

use std::path::Path;

use sekisho_model::train::{Batch, CpuProgram, Layout, Objective, TrainingStep};
use sekisho_weights::{Checkpoint, inspect};

use super::{Bench, assert_same, log};
use crate::Spec;

/// `[model]`'s switches, the class that transformers loads, and the longest sequence that inference takes.
const FAMILIES: [(&str, &str, usize); 4] = [
    ("attention_bias = true\nmlp_bias = true", "LlamaForCausalLM", 8),
    ("model_type = \"qwen2\"", "Qwen2ForCausalLM", 8),
    ("model_type = \"qwen3\"\nhead_dim = 8", "Qwen3ForCausalLM", 8),
    ("model_type = \"mistral\"\nsliding_window = 5", "MistralForCausalLM", 5),
];

/// Mean cross-entropy of `length` tokens by the training step and by what loads checkpoints.
fn losses(folder: &Path, length: usize) -> [f64; 2] {
    let tokens: Vec<u32> = (0..=length as u32).map(|i| i * 7 % 32).collect();
    let (inputs, targets) = (&tokens[..length], &tokens[1..]);
    let checkpoint = Checkpoint::open(folder).expect("a checkpoint");
    let tensor = |name: &str| checkpoint.tensor_f32(name).expect("a tensor");
    let layout = Layout::new(checkpoint.config());
    let parameters = layout.tensors().iter().flat_map(|t| tensor(&t.name)).collect();
    let mut program = CpuProgram::new(checkpoint.config().clone(), parameters);
    let batch = Batch { length, inputs, targets, starts: &vec![0; length] };
    program.accumulate(&batch, &Objective { targets: length as u64, z_loss: 0.0 });
    let model = sekisho_model::load(folder, &sekisho_model::Compute::cpu()).expect("a model");
    let hidden = model.extend(None, inputs).expect("ids of its vocabulary").hidden;
    let places: Vec<_> = hidden.places(0..length).collect();
    let logits = model.logits(&places).expect("logits");
    let log_p = logits.chunks_exact(32).zip(targets).map(|(logits, target)| {
        f64::from(logits[*target as usize]) - sekisho_model::ops::softmax::log_sum_exp(logits)
    });
    [
        program.measure().expect("the CPU never fails").loss.ce / length as f64,
        -log_p.sum::<f64>() / length as f64,
    ]
}

#[test]
fn every_family_is_trained_resumed_exported_and_trained_from() {
    for (keys, class, longest) in FAMILIES {
        let bench = Bench::new();
        let model = format!("[model]\n{keys}");
        let changes = [("[model]", model.as_str()), ("every = 4", "every = 4\ndtype = \"f32\"")];
        bench.train("straight", &changes).expect(class);
        let short = [changes[0], changes[1], ("steps = 12\n[checkpoint]", "steps = 5\n[checkpoint]")];
        bench.train("parted", &short).expect(class);
        bench.resume("parted", &changes).expect(class);
        assert_same(&bench.path("straight"), &bench.path("parted"), "step-000012");
        let rows = log(&bench.path("straight"));
        assert!(rows[11].loss < rows[0].loss, "{class}: {:?} to {:?}", rows[0].loss, rows[11].loss);

        let folder = bench.path("straight/step-000012");
        inspect(&folder).expect("the service takes it");
        let text = fs_err::read_to_string(folder.join("config.json")).expect("config.json");
        let config: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!(config["architectures"], serde_json::json!([class]));
        let [ours, theirs] = losses(&folder, longest);
        assert!((ours - theirs).abs() < 1e-4 * ours, "{class}: {ours} and {theirs}");

        let from = format!("[init]\nfrom = {folder:?}\n[data]");
        let text = super::SPEC.replace("[data]", &from);
        let (before, after) = text.split_once("[model]").expect("a model");
        let text = format!("{before}{}", &after[after.find("[init]").expect("[init]")..]);
        let spec = Spec::parse("spec.toml", &text, bench.folder.path()).expect("the checkpoint's model");
        crate::train(&spec, &bench.options("from"), &mut ()).expect(class);
        let first = log(&bench.path("from"))[0].loss.expect("a loss");
        assert!(first < rows[0].loss.expect("a loss"), "{class}: begins where the other ended");
    }
}

#[test]
fn bf16_runs_are_resumed_to_the_bit_whatever_is_computed_again() {
    let bench = Bench::new();
    let precision =
        |recompute| format!("[precision]\nforward = \"bf16\"\nrecompute = \"{recompute}\"\n[stop]");
    let texts = ["none", "layer"].map(precision);
    let [none, layer] = texts.each_ref().map(String::as_str);
    bench.train("straight", &[("[stop]", none)]).expect("a run");
    let short = "steps = 12\n[checkpoint]";
    bench.train("parted", &[("[stop]", none), (short, "steps = 5\n[checkpoint]")]).expect("five updates");
    bench.resume("parted", &[("[stop]", layer)]).expect("the other seven");
    assert_same(&bench.path("straight"), &bench.path("parted"), "step-000012");
    bench.train("f32", &[]).expect("a run");
    assert!(log(&bench.path("f32")) != log(&bench.path("straight")), "rounding shows");
}

#[test]
fn telemetry_says_what_the_moments_look_like() {
    let bench = Bench::new();
    let every = ("z_loss = 1e-4", "z_loss = 1e-4\ntelemetry_every = 3");
    bench.train("run", &[every, ("skip_sigma = 0.5\n", "")]).expect("a run");
    let rows = log(&bench.path("run"));
    assert!(rows.iter().all(|row| row.more.contains_key("parameter_norm") == row.step.0.is_multiple_of(3)));
    let more = &rows[2].more;
    assert!(more.len() < 30, "one for each kind of tensor: {more:?}");
    for name in ["sqrt_v_below_eps", "sqrt_v_below_eps/q_proj", "sqrt_v_below_eps/embed_tokens"] {
        assert!((0.0..=1.0).contains(&more[name]), "{name} {}", more[name]);
    }
    assert!(more["parameter_norm"] > more["update_norm"] && more["update_norm"] > 0.0, "{more:?}");
    // With an ε above every gradient, all of it is below.
    let large = ("z_loss = 1e-4", "z_loss = 1e-4\ntelemetry_every = 3\neps = 1e3");
    bench.train("large", &[large, ("skip_sigma = 0.5\n", "")]).expect("a run");
    let share = log(&bench.path("large"))[2].more["sqrt_v_below_eps"];
    assert!((share - 1.0).abs() < 1e-12, "{share}");
}

#[test]
fn switches_that_a_family_has_not_are_refused() {
    let bench = Bench::new();
    for (keys, expected) in [
        (
            "model_type = \"qwen2\"\nattention_bias = false",
            "sets attention_bias, which for a qwen2 is always true",
        ),
        ("model_type = \"mistral\"\nmlp_bias = true", "sets mlp_bias, which for a mistral is always false"),
        (
            "model_type = \"qwen2\"\nsliding_window = 4",
            "sets sliding_window, which a qwen2 does not have here",
        ),
        ("model_type = \"phi\"", "lacks"),
        ("model_type = \"falcon\"", "model_type"),
    ] {
        let text = super::SPEC.replace("[model]", &format!("[model]\n{keys}"));
        let error = Spec::parse("spec.toml", &text, bench.folder.path()).expect_err(keys).to_string();
        assert!(error.contains(expected), "{keys}: {error}");
    }
}
