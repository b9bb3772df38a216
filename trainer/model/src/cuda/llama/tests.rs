//! The whole program on the kernels' twin, or on the GPU that `SEKISHO_TEST_GPU` names, held against the program on the CPU.

use std::path::Path;
use std::sync::Arc;

use sekisho_weights::{Checkpoint, TensorData, to_f32_bytes, write_safetensors};

use super::{CudaLlama, Options};
use crate::cuda::machine::Machine;
use crate::cuda::tests::machine;
use crate::cuda::twin::Twin;
use crate::cuda::{Dtype, Scale, throughput};
use crate::testing::{Random, all_logits, bits, data, oracle};
use crate::{Ask, DecodeRow, Edge, Hidden, Inference, Kv, Llama, ModelError};

/// The model of a folder on a machine. A twin runs each kernel once here: the order of threads is the kernels' own tests' matter.
fn on_twin(dir: &Path, dtype: Dtype) -> Option<CudaLlama> {
    let options = Options { dtype: Some(dtype), kv_bytes: Some(8 << 20), fast: false };
    let twin: Arc<dyn Machine> = match std::env::var_os("SEKISHO_TEST_GPU") {
        Some(_) => machine()?,
        None => Arc::new(Twin::new()?.running_once()),
    };
    let checkpoint = Checkpoint::open(dir).expect("a checkpoint");
    Some(CudaLlama::load(&checkpoint, twin, options).unwrap_or_else(|error| panic!("{error}")))
}

fn tokens(model: &dyn Inference, seed: u64, count: usize) -> Vec<u32> {
    let mut random = Random(seed);
    (0..count).map(|_| u32::try_from(random.below(model.config().vocab_size)).expect("an id")).collect()
}

/// The largest distance, in parts of the largest value.
fn distance(found: &[f32], expected: &[f32]) -> f32 {
    assert_eq!(found.len(), expected.len());
    let far = found.iter().zip(expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    far / expected.iter().fold(0.0_f32, |most, value| most.max(value.abs()))
}

/// Logits of a sequence that is read in edges of these lengths, each in a batch with strangers.
fn in_edges(model: &CudaLlama, tokens: &[u32], lengths: &[usize]) -> (Option<Arc<Kv>>, Vec<f32>) {
    let (mut kv, mut logits, mut rest): (Option<Arc<Kv>>, _, _) = (None, Vec::new(), tokens);
    for (i, &length) in lengths.iter().enumerate() {
        let (edge, after) = rest.split_at(length);
        let stranger = [3, 1, 4, 1, 5];
        let own = Edge { prefix: kv.as_ref(), tokens: edge, read: 0 };
        let other = Edge { prefix: None, tokens: &stranger[..1 + i % 5], read: 1 };
        let mut all = model.extend_all(&[other, own]).unwrap_or_else(|error| panic!("{error}"));
        let extended = all.swap_remove(1);
        logits.extend(all_logits(model, &extended.hidden));
        (kv, rest) = (Some(extended.kv), after);
    }
    (kv, logits)
}

#[test]
fn stories_is_computed_as_on_the_cpu() {
    let Some(dir) = data("models/stories260K/hf") else { return };
    let cpu = Llama::load(&dir).expect("a model");
    let sequence = tokens(&cpu, 1, 90);
    let expected = all_logits(&cpu, &cpu.extend(None, &sequence).expect("known tokens").hidden);
    for (dtype, bound) in [(Dtype::F32, 1e-5), (Dtype::Bf16, 3e-2), (Dtype::F16, 4e-3)] {
        let Some(twin) = on_twin(&dir, dtype) else { return };
        let (_, found) = in_edges(&twin, &sequence, &[90]);
        let far = distance(&found, &expected);
        assert!(far < bound, "{}: off by {far:e}", dtype.as_str());
    }
}

#[test]
fn edges_and_batches_never_change_a_bit() {
    let Some(dir) = data("models/stories260K/hf") else { return };
    for dtype in [Dtype::F32, Dtype::Bf16] {
        let Some(twin) = on_twin(&dir, dtype) else { return };
        let sequence = tokens(&twin, 2, 80);
        let whole = bits(&in_edges(&twin, &sequence, &[80]).1);
        for lengths in [&[1, 40, 2, 37][..], &[64, 16], &[17, 17, 17, 17, 12]] {
            let found = bits(&in_edges(&twin, &sequence, lengths).1);
            assert!(found == whole, "{} in edges of {lengths:?}", dtype.as_str());
        }
    }
}

#[test]
fn rows_generate_alone_as_together_and_as_on_the_cpu() {
    let Some(dir) = data("models/stories260K/hf") else { return };
    let (cpu, Some(twin)) = (Llama::load(&dir).expect("a model"), on_twin(&dir, Dtype::F32)) else {
        return;
    };
    let prompts: Vec<Vec<u32>> = (0..5).map(|i| tokens(&cpu, 20 + i, 3 + 11 * i as usize)).collect();
    let row = |model: &dyn Inference, prompt: &[u32]| {
        DecodeRow::new(model.extend(None, prompt).expect("known tokens").kv, 7, 3)
    };
    let start = |model: &dyn Inference| prompts.iter().map(|prompt| row(model, prompt)).collect::<Vec<_>>();
    let (mut ours, mut together, mut alone) = (start(&cpu), start(&twin), start(&twin));
    let vocabulary = cpu.config().vocab_size;
    // Beyond the limit that was told, where a lane must grow.
    for step in 0..22 {
        let expected = cpu.decode(&mut ours).expect("known tokens");
        let found = twin.decode(&mut together).expect("known tokens");
        assert!(distance(&found, &expected) < 1e-5, "step {step}");
        for (i, alone) in alone.iter_mut().enumerate() {
            let single = twin.decode(std::slice::from_mut(alone)).expect("known tokens");
            assert!(bits(&single) == bits(&found[i * vocabulary..][..vocabulary]), "row {i}, step {step}");
        }
        for (i, logits) in found.chunks_exact(vocabulary).enumerate() {
            let token = crate::likeliest(logits).expect("numbers");
            (ours[i].token, together[i].token, alone[i].token) = (token, token, token);
        }
        if step == 10 {
            let gone = together.remove(1);
            drop((gone, ours.remove(1), alone.remove(1)));
            assert_eq!(together[0].tail.len(), 11);
        }
    }
    let likeliest = twin.decode_likeliest(&mut together).expect("known tokens");
    let expected: Vec<Option<u32>> =
        cpu.decode(&mut ours).expect("known tokens").chunks_exact(vocabulary).map(crate::likeliest).collect();
    assert_eq!(likeliest, expected);
    drop((together, alone));
    assert_eq!((twin.pool.free(), twin.kv_live()), (twin.pool.pages(), 0), "all pages came back");
}

#[test]
fn what_is_asked_of_logits_is_answered_as_on_the_cpu() {
    let Some(dir) = data("models/stories260K/hf") else { return };
    let (cpu, Some(twin)) = (Llama::load(&dir).expect("a model"), on_twin(&dir, Dtype::F32)) else {
        return;
    };
    let sequence = tokens(&cpu, 3, 40);
    let read = |model: &dyn Inference| -> Vec<Hidden> {
        let edges = [
            Edge { prefix: None, tokens: &sequence, read: 30 },
            Edge { prefix: None, tokens: &sequence[5..9], read: 0 },
        ];
        let extended = model.extend_all(&edges).expect("known tokens");
        extended.into_iter().map(|extended| extended.hidden).collect()
    };
    let asked = |model: &dyn Inference, hidden: &[Hidden]| {
        let wanted = [vec![1, 2, 3], vec![], vec![511], vec![0, 0]];
        let places = [(0, 9), (1, 0), (0, 0), (1, 3)];
        let asks: Vec<Ask<'_>> = places
            .iter()
            .zip(&wanted)
            .map(|((array, row), tokens)| Ask {
                place: hidden[*array].place(*row),
                tokens,
                normaliser: !tokens.is_empty(),
                likeliest: *array == 1,
            })
            .collect();
        model.look(&asks).unwrap_or_else(|error| panic!("{error}"))
    };
    let (expected, found) = (asked(&cpu, &read(&cpu)), asked(&twin, &read(&twin)));
    for (found, expected) in found.iter().zip(&expected) {
        assert_eq!((found.likeliest, found.finite), (expected.likeliest, expected.finite));
        assert!((found.normaliser - expected.normaliser).abs() < 1e-4, "{found:?}, {expected:?}");
        assert_eq!(found.logits.len(), expected.logits.len());
        for (found, expected) in found.logits.iter().zip(&expected.logits) {
            assert!((found - expected).abs() < 1e-3, "{found} instead of {expected}");
        }
    }
    assert!(twin.look(&[]).expect("nothing").is_empty());
}

/// The oracle's checkpoint, whose heads are those that the tiles of attention are made for.
#[test]
fn the_oracle_is_met_in_bf16() {
    let Some(dir) = oracle("mini-ja-en/step-0800") else { return };
    let cpu = Llama::load(&dir).expect("a model");
    let sequence = tokens(&cpu, 4, 70);
    let expected = all_logits(&cpu, &cpu.extend(None, &sequence).expect("known tokens").hidden);
    let Some(twin) = on_twin(&dir, Dtype::Bf16) else { return };
    let (_, found) = in_edges(&twin, &sequence, &[9, 61]);
    let far = distance(&found, &expected);
    assert!(far < 3e-2, "off by {far:e}");
}

#[test]
fn a_cache_that_is_full_says_so_and_loses_nothing() {
    let Some(dir) = data("models/stories260K/hf") else { return };
    let Some(twin) = Twin::new() else { return };
    let checkpoint = Checkpoint::open(&dir).expect("a checkpoint");
    let options = Options { dtype: None, kv_bytes: Some(1), fast: true };
    let model = CudaLlama::load(&checkpoint, Arc::new(twin.running_once()), options).expect("loaded");
    assert_eq!(
        (model.pool.pages(), model.kv_most(), model.kv_bytes(1)),
        (1, model.kv_budget(), model.kv_budget())
    );
    assert!(!model.is_invariant());
    let refused = model.extend(None, &[1; 17]).map(drop).expect_err("no room for 17 tokens").to_string();
    assert!(refused.contains("keys and values") && refused.contains("GiB free"), "{refused}");
    let kv = model.extend(None, &[1; 16]).expect("room for 16").kv;
    let mut rows = [DecodeRow::new(kv, 1, 4)];
    assert!(matches!(model.decode(&mut rows), Err(ModelError::Cuda(_))));
    assert!(rows[0].tail.is_empty());
    drop(rows);
    assert_eq!(model.pool.free(), 1);
}

#[test]
fn a_machine_without_room_for_the_weights_is_refused() {
    let Some(dir) = data("models/stories260K/hf") else { return };
    let Some(twin) = Twin::new() else { return };
    let checkpoint = Checkpoint::open(&dir).expect("a checkpoint");
    let small = Arc::new(twin.with_memory(200 << 20));
    let refused = CudaLlama::load(&checkpoint, small, Options::default()).map(drop).expect_err("too small");
    let text = refused.to_string();
    assert!(text.contains("0.2 GiB free") && text.contains("--kv-budget"), "{text}");
}

#[test]
fn a_value_that_is_no_number_names_its_place() {
    let Some(dir) = data("models/stories260K/hf") else { return };
    let checkpoint = Checkpoint::open(&dir).expect("a checkpoint");
    let folder = tempfile::tempdir().expect("a folder");
    fs_err::copy(dir.join("config.json"), folder.path().join("config.json")).expect("a copy");
    let broken = "model.layers.2.mlp.down_proj.weight";
    let tensors = checkpoint.config().expected_tensors().into_iter().map(|(name, shape)| {
        let mut values = checkpoint.tensor_f32(&name).expect("a tensor");
        if name == broken {
            values[5] = f32::INFINITY;
        }
        TensorData { name, dtype: sekisho_weights::Dtype::F32, shape, bytes: to_f32_bytes(&values).into() }
    });
    let format = [("format".to_owned(), "pt".to_owned())].into();
    write_safetensors(&folder.path().join("model.safetensors"), &format, tensors).expect("written");
    let Some(twin) = on_twin(folder.path(), Dtype::F32) else { return };
    let extended = twin.extend(None, &[1, 2, 3]).expect("computed");
    for _ in 0..2 {
        let text = twin.logits(&[extended.hidden.place(1)]).expect_err("no numbers").to_string();
        assert!(text.contains("feed-forward part of layer 2 (model.layers.2.mlp)"), "{text}");
        // It is told again by what is computed again.
        drop(twin.extend(None, &[1, 2, 3]).expect("computed"));
    }
}

#[test]
fn a_model_is_measured() {
    let Some(dir) = data("models/stories260K/hf") else { return };
    let Some(twin) = on_twin(&dir, Dtype::Bf16) else { return };
    let rows = throughput(&twin, Scale::Tiny).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(rows.each_ref().map(|row| row.name), ["prefill", "decode"]);
    assert!(rows.iter().all(|row| row.seconds > 0.0 && row.operations > 1e6 && row.bytes > 1e5), "{rows:?}");
    assert_eq!(twin.kv_live(), 0, "nothing is left in the cache");
}
