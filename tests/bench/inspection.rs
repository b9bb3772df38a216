//! Measurements: they take minutes and an idle machine, say their numbers, and are run by hand.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use sekisho_weights::{Dtype, ModelConfig, TensorData, inspect, inspect_plainly, write_safetensors};
use serde_json::json;

/// A Llama of about a billion parameters in bfloat16: 2 GB.
fn write(folder: &Path) -> u64 {
    let config = json!({
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_act": "silu", "vocab_size": 32_000,
        "hidden_size": 2048, "num_hidden_layers": 18, "num_attention_heads": 16, "num_key_value_heads": 16,
        "intermediate_size": 5504, "max_position_embeddings": 4096, "rope_theta": 10000.0, "rms_norm_eps": 1e-5,
        "tie_word_embeddings": true,
    })
    .to_string();
    fs_err::write(folder.join("config.json"), &config).expect("written");
    let mut state = 1_u64;
    let tensors = ModelConfig::from_json("config.json", &config).expect("good").expected_tensors();
    let tensors = tensors.into_iter().map(move |(name, shape)| {
        let mut bytes = vec![0; shape.iter().product::<usize>() * 2];
        for value in bytes.as_chunks_mut::<2>().0 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let [low, high, ..] = state.to_be_bytes();
            // Of about the size that weights have: an exponent from 2^-9 to 2^-2.
            *value = [low, 0x3a | high & 0x83];
        }
        TensorData { name, dtype: Dtype::BF16, shape, bytes: Cow::Owned(bytes) }
    });
    let path = folder.join("model.safetensors");
    let format = BTreeMap::from([("format".to_owned(), "pt".to_owned())]);
    write_safetensors(&path, &format, tensors).expect("written");
    fs_err::metadata(path).expect("there").len()
}

/// Processor time of this process and of the children that have ended [s]: fields 14 to 17 of `/proc/self/stat`, in hundredths.
fn processor_time() -> f64 {
    let text = fs_err::read_to_string("/proc/self/stat").expect("Linux says it");
    let (_, rest) = text.rsplit_once(") ").expect("PID (NAME) STATE …");
    let ticks = rest.split(' ').skip(11).take(4).map(|field| field.parse::<u32>().expect("a number"));
    f64::from(ticks.sum::<u32>()) / 100.0
}

/// The best of some attempts.
struct Speed {
    /// Gigabytes a second.
    wall: f64,
    /// Seconds of processors for a gigabyte: what a machine that others use too tells best.
    processor: f64,
}

fn speed(bytes: u64, mut once: impl FnMut()) -> Speed {
    #[expect(clippy::cast_precision_loss, reason = "three digits are said")]
    let gigabytes = bytes as f64 / 1e9;
    let mut best = Speed { wall: 0.0, processor: f64::INFINITY };
    for _ in 0..5 {
        let (begun, spent) = (Instant::now(), processor_time());
        once();
        best.wall = best.wall.max(gigabytes / begun.elapsed().as_secs_f64());
        best.processor = best.processor.min((processor_time() - spent) / gigabytes);
    }
    best
}

/// `cargo nextest run --release --run-ignored only -E 'test(examining_a_checkpoint_beside_openssl)' --no-capture`
#[test]
#[ignore = "a measurement: 2 GB are hashed fifteen times"]
fn examining_a_checkpoint_beside_openssl() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let bytes = write(folder.path());
    let file = folder.path().join("model.safetensors");
    let openssl = speed(bytes, || {
        let mut command = Command::new("openssl");
        let ended = command.args(["dgst", "-sha256"]).arg(&file).output().expect("openssl is installed");
        assert!(ended.status.success(), "{ended:?}");
    });
    let say = |what: &str, speed: &Speed, threads: f64| {
        eprintln!(
            "{what}: {:.2} GB/s, {:.2} of openssl; {:.2} s of processors a GB, so {:.2} of openssl on an idle machine",
            speed.wall,
            speed.wall / openssl.wall,
            speed.processor,
            openssl.processor / (speed.processor / threads)
        );
    };
    say("openssl dgst -sha256", &openssl, 1.0);
    say(
        "examined one part after the other",
        &speed(bytes, || {
            inspect_plainly(folder.path()).expect("good");
        }),
        1.0,
    );
    say(
        "examined on two processors",
        &speed(bytes, || {
            inspect(folder.path()).expect("good");
        }),
        2.0,
    );
}
