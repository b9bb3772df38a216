//! Tiny models of every family against the logits of transformers, which `tests/oracle/families.py` has written down. Their
//! weights are no files: both sides make them from the tensors' names.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use sekisho_weights::{Checkpoint, Dtype, ModelConfig, TensorData, inspect, to_f32_bytes, write_safetensors};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::testing::{Random, all_logits, bits};
use crate::{Compute, DecodeRow, Edge, Inference, Kv, Llama, ModelError, load, reference};

/// What ours and candle's programs compute.
const OWN: [&str; 3] = ["mistral", "qwen2", "qwen3"];
const CANDLE: [&str; 6] = ["gemma", "gemma2", "gemma3", "gemma3-keys", "phi", "phi3"];

/// A model of a family, and what transformers says of it.
struct Golden {
    family: &'static str,
    folder: TempDir,
    model: Box<dyn Inference>,
    tokens: Vec<u32>,
    logits: Vec<Vec<f32>>,
    parameters: u64,
}

impl Golden {
    fn of(family: &'static str) -> Self {
        Self::with(family, &json!({})).unwrap_or_else(|error| panic!("{family}: {error}"))
    }

    /// With other values in its configuration.
    fn with(family: &'static str, edits: &Value) -> Result<Self, ModelError> {
        let fixture =
            PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/families")).join(family);
        let json = |name: &str| -> Value {
            serde_json::from_slice(&fs_err::read(fixture.join(name)).expect("a fixture")).expect("JSON")
        };
        let (mut config, golden) = (json("config.json"), json("logits.json"));
        for (key, value) in edits.as_object().expect("an object") {
            config[key] = value.clone();
        }
        let folder = tempfile::tempdir().expect("a folder");
        fs_err::write(folder.path().join("config.json"), config.to_string()).expect("written");
        let read = ModelConfig::from_json("config.json", &config.to_string());
        write_weights(&folder, family, &read.map_err(|error| ModelError::Checkpoint(error.into()))?);
        let model = load(folder.path(), &Compute::cpu())?;
        let read = |key: &str| golden[key].clone();
        Ok(Self {
            family,
            model,
            folder,
            tokens: serde_json::from_value(read("tokens")).expect("tokens"),
            logits: serde_json::from_value(read("logits")).expect("logits"),
            parameters: serde_json::from_value(read("parameters")).expect("a number"),
        })
    }

    /// Logits of tokens below a prefix, all of them read in one go, and the new edge.
    fn read(&self, prefix: Option<&Arc<Kv>>, tokens: &[u32]) -> (Arc<Kv>, Vec<f32>) {
        let extended =
            self.model.extend(prefix, tokens).unwrap_or_else(|error| panic!("{}: {error}", self.family));
        assert_eq!(extended.hidden.rows(), tokens.len());
        let logits = all_logits(&*self.model, &extended.hidden);
        (extended.kv, logits)
    }

    /// That these are the logits from a position on.
    fn expect(&self, logits: &[f32], position: usize, what: &str) {
        let width = self.model.config().vocab_size;
        for (i, (found, expected)) in logits.chunks_exact(width).zip(&self.logits[position..]).enumerate() {
            let size = expected.iter().fold(0.0_f32, |size, value| size.max(value.abs()));
            let far = found.iter().zip(expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(
                far / size < 1e-4,
                "{} {what}, position {}: off by {}",
                self.family,
                position + i,
                far / size
            );
        }
    }
}

/// The weights that `families.py` makes for the same names.
fn write_weights(folder: &TempDir, family: &str, config: &ModelConfig) {
    let tensors = config.expected_tensors().into_iter().map(|(name, shape)| {
        let seed = name.bytes().fold(0xCBF2_9CE4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3)
        });
        let mut values = Random(seed).values(shape.iter().product());
        let scale = if name.ends_with(".bias") { 0.125 } else { 0.25 };
        let norm = name.contains("norm") && name.ends_with(".weight") && !family.starts_with("gemma");
        values.iter_mut().for_each(|value| *value = *value * scale + f32::from(u8::from(norm)));
        TensorData { name, dtype: Dtype::F32, shape, bytes: Cow::Owned(to_f32_bytes(&values)) }
    });
    let format = BTreeMap::from([("format".to_owned(), "pt".to_owned())]);
    write_safetensors(&folder.path().join("model.safetensors"), &format, tensors).expect("written");
}

fn each(run: impl Fn(&Golden)) {
    OWN.into_iter().chain(CANDLE).for_each(|family| run(&Golden::of(family)));
}

#[test]
fn transformers_logits_are_met_at_every_position() {
    each(|golden| {
        golden.expect(&golden.read(None, &golden.tokens).1, 0, "token by token");
        for read in 0..golden.tokens.len() {
            // Everything before it in one call.
            let edge = Edge { prefix: None, tokens: &golden.tokens[..=read], read };
            let extended = golden.model.extend_all(&[edge]).expect("tokens of the vocabulary");
            assert_eq!(extended[0].hidden.rows(), 1);
            golden.expect(&all_logits(&*golden.model, &extended[0].hidden), read, "in one call");
        }
    });
}

#[test]
fn each_family_says_who_computes_it() {
    each(|golden| {
        let own = OWN.contains(&golden.family);
        assert_eq!(golden.model.engine(), if own { "sekisho" } else { "candle" });
        assert_eq!(golden.model.is_invariant(), own);
        let refused = Llama::load(golden.folder.path()).map(drop);
        assert_eq!(refused.is_ok(), own, "{}", golden.family);
        if !own {
            assert!(matches!(refused, Err(ModelError::OtherEngine { .. })));
        }
    });
}

#[test]
fn a_checkpoint_of_each_family_passes_examination_with_its_parameters() {
    each(|golden| {
        let found = inspect(golden.folder.path()).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(found.parameters, golden.parameters, "{}", golden.family);
        let told = found.notes.iter().any(|note| note.contains("\"sliding_window\" is 16"));
        assert_eq!(
            told,
            found.config.window.is_some() && golden.family != "mistral",
            "{}: {:?}",
            golden.family,
            found.notes
        );
    });
}

#[test]
fn a_prefix_and_the_rest_are_the_whole() {
    each(|golden| {
        for cut in [1, 7, 15] {
            let (kv, _) = golden.read(None, &golden.tokens[..cut]);
            assert_eq!(kv.len(), cut);
            golden.expect(&golden.read(Some(&kv), &golden.tokens[cut..]).1, cut, "below a prefix");
            for read in cut..golden.tokens.len() {
                let edge = Edge { prefix: Some(&kv), tokens: &golden.tokens[cut..=read], read: read - cut };
                let extended = golden.model.extend_all(&[edge]).expect("tokens of the vocabulary");
                let logits = all_logits(&*golden.model, &extended[0].hidden);
                golden.expect(&logits, read, "below a prefix in one call");
            }
        }
        // Behind a short edge candle's keys and values are not kept, and behind two of them neither.
        let (kv, _) = golden.read(None, &golden.tokens[..8]);
        let (kv, logits) = golden.read(Some(&kv), &golden.tokens[8..9]);
        golden.expect(&logits, 8, "a short edge");
        let (kv, _) = golden.read(Some(&kv), &golden.tokens[9..10]);
        golden.expect(&golden.read(Some(&kv), &golden.tokens[10..]).1, 10, "below short edges");
        let (kv, _) = golden.read(None, &golden.tokens[..3]);
        let empty = golden.model.extend(Some(&kv), &[]).expect("no tokens");
        assert_eq!((empty.kv.len(), empty.hidden.rows()), (3, 0));
        golden.expect(&golden.read(Some(&empty.kv), &golden.tokens[3..]).1, 3, "below an empty edge");
    });
}

/// Longer than a call may be.
#[test]
fn a_long_sequence_is_the_same_however_it_is_cut() {
    for family in ["gemma", "phi", "phi3"] {
        let longer = json!({"max_position_embeddings": 700, "sliding_window": null});
        let golden = Golden::with(family, &longer).unwrap_or_else(|error| panic!("{error}"));
        let mut random = Random(7);
        let tokens: Vec<u32> = (0..650).map(|_| u32::try_from(random.below(96)).expect("an id")).collect();
        let whole = golden.model.extend_all(&[Edge { prefix: None, tokens: &tokens, read: 649 }]);
        let whole = whole.unwrap_or_else(|error| panic!("{error}")).swap_remove(0).hidden;
        let (kv, _) = golden.read(None, &tokens[..1]);
        let rest = golden.model.extend_all(&[Edge { prefix: Some(&kv), tokens: &tokens[1..], read: 648 }]);
        let rest = rest.unwrap_or_else(|error| panic!("{error}")).swap_remove(0).hidden;
        let (whole, rest) = (whole.values(), rest.values());
        let far = whole.iter().zip(rest).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(whole.len() == 96 && far < 1e-4, "{family}: off by {far}");
    }
}

#[test]
fn decoding_is_extending() {
    each(|golden| {
        let (kv, _) = golden.read(None, &golden.tokens[..4]);
        // A neighbour that goes another way, in turns with it.
        let mut rows = [DecodeRow::new(kv.clone(), golden.tokens[4], 8), DecodeRow::new(kv, 50, 8)];
        let width = golden.model.config().vocab_size;
        for position in 4..golden.tokens.len() {
            rows[0].token = golden.tokens[position];
            let logits = golden.model.decode(&mut rows).expect("tokens of the vocabulary");
            assert_eq!((logits.len(), rows[0].tail.len()), (2 * width, position - 3));
            golden.expect(&logits[..width], position, "decoded");
        }
    });
}

#[test]
fn the_children_of_a_snapshot_do_not_change_it() {
    each(|golden| {
        let (kv, _) = golden.read(None, &golden.tokens[..6]);
        let first = golden.read(Some(&kv), &golden.tokens[6..]).1;
        let child = golden.read(Some(&kv), &[50, 51, 52]).0;
        let below = golden.read(Some(&child), &[53]).1;
        let again = golden.read(Some(&kv), &golden.tokens[6..]).1;
        assert_eq!(bits(&first), bits(&again), "{}", golden.family);
        golden.expect(&again, 6, "from a snapshot used before");
        assert_eq!(bits(&below), bits(&golden.read(Some(&child), &[53]).1), "{}: a sibling", golden.family);
    });
}

#[test]
fn living_snapshots_are_metered() {
    each(|golden| {
        assert_eq!(golden.model.kv_live(), 0);
        let (kv, _) = golden.read(None, &golden.tokens[..14]);
        let (short, _) = golden.read(Some(&kv), &golden.tokens[14..]);
        let expected = match golden.family {
            "gemma3" | "gemma3-keys" => 0,
            family if OWN.contains(&family) => golden.model.kv_bytes(14) + golden.model.kv_bytes(2),
            _ => golden.model.kv_bytes(14),
        };
        assert_eq!(golden.model.kv_live(), expected, "{}", golden.family);
        drop(kv);
        assert_eq!(golden.model.kv_live(), expected, "{}: still in use", golden.family);
        drop(short);
        assert_eq!(golden.model.kv_live(), 0);
    });
}

/// The plain program has a window too; transformers' goldens are no longer than one.
#[test]
fn a_window_is_seen_and_nothing_before_it() {
    let golden = Golden::of("mistral");
    let mut random = Random(8);
    let tokens: Vec<u32> = (0..70).map(|_| u32::try_from(random.below(96)).expect("an id")).collect();
    let checkpoint = Checkpoint::open(golden.folder.path()).expect("a checkpoint");
    let expected: Vec<f32> = reference::logits(&checkpoint, &tokens)
        .expect("tensors")
        .concat()
        .iter()
        .map(|x| *x as f32)
        .collect();
    let whole = golden.read(None, &tokens).1;
    let far = whole.iter().zip(&expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(far < 1e-4, "off by {far}");
    let mut shifted = tokens.clone();
    shifted[0] += 1;
    let other = golden.read(None, &shifted).1;
    assert_ne!(bits(&whole[..96]), bits(&other[..96]));
    // In edges and token by token it is the same to the bit.
    let (mut kv, mut pieces) = (None, Vec::new());
    for edge in [&tokens[..5], &tokens[5..40], &tokens[40..41], &tokens[41..]] {
        let (next, logits) = golden.read(kv.as_ref(), edge);
        pieces.extend(logits);
        kv = Some(next);
    }
    assert_eq!(bits(&pieces), bits(&whole));
    let mut rows = [DecodeRow::new(golden.read(None, &tokens[..20]).0, 0, 8)];
    for position in 20..70 {
        rows[0].token = tokens[position];
        let logits = golden.model.decode(&mut rows).expect("tokens of the vocabulary");
        assert_eq!(bits(&logits), bits(&whole[position * 96..][..96]), "decoded at {position}");
    }
}

#[test]
fn a_sequence_beyond_the_window_of_some_layers_is_refused() {
    for family in ["gemma2", "gemma3", "phi3"] {
        let golden = Golden::of(family);
        assert_eq!(golden.model.config().longest(), 16);
        let refused = golden.model.extend(None, &[&golden.tokens[..], &[1]].concat()).map(drop);
        let text = refused.expect_err("17 tokens").to_string();
        assert!(text.contains("17 tokens") && text.contains("--max-length 16"), "{text}");
        let (kv, _) = golden.read(None, &golden.tokens);
        let mut rows = [DecodeRow::new(kv, 1, 8)];
        assert!(matches!(
            golden.model.decode(&mut rows),
            Err(ModelError::TooLong { have: 17, most: 16, .. })
        ));
        assert!(rows[0].tail.is_empty());
    }
}

#[test]
fn what_would_be_computed_wrongly_is_refused() {
    let types = json!(["full_attention", "sliding_attention"]);
    for (family, edits) in [
        ("gemma2", json!({"query_pre_attn_scalar": 8})),
        ("gemma3", json!({"layer_types": types})),
        ("phi", json!({"qk_layernorm": true})),
        ("phi3", json!({"rope_parameters": {"rope_type": "longrope", "rope_theta": 500.0}})),
        ("qwen3", json!({"model_type": "qwen3_moe"})),
    ] {
        let error = Golden::with(family, &edits).map(drop).expect_err(family).to_string();
        assert!(matches!(error.as_str(), text if text.contains("config.json: \"")), "{family}: {error}");
    }
}

#[test]
fn an_id_outside_the_vocabulary_is_refused() {
    each(|golden| {
        let refused = golden.model.extend(None, &[1, 96]).map(drop);
        assert!(matches!(refused, Err(ModelError::TokenOutsideVocabulary { id: 96, vocabulary: 96 })));
    });
}
