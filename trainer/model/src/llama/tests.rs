use std::path::Path;
use std::sync::Arc;

use sekisho_weights::{Checkpoint, Safetensors};
use serde_json::Value;

use crate::ops::softmax::log_sum_exp;
use crate::testing::{Random, all_logits, bits, data, logits, on_threads, oracle};
use crate::{DecodeRow, Hidden, Inference, Kv, Llama, ModelError, reference};

fn load(dir: &Path) -> Llama {
    Llama::load(dir).unwrap_or_else(|error| panic!("{}: {error}", dir.display()))
}

/// Tokens anywhere in the vocabulary.
fn tokens(model: &Llama, seed: u64, count: usize) -> Vec<u32> {
    let mut random = Random(seed);
    let vocabulary = model.config().vocab_size;
    (0..count).map(|_| u32::try_from(random.below(vocabulary)).expect("an id")).collect()
}

/// Hidden states of a sequence that is extended in edges of these lengths.
fn in_edges(model: &Llama, tokens: &[u32], lengths: &[usize]) -> (Arc<Kv>, Hidden) {
    let (mut kv, mut hidden, mut rest) = (None, Vec::new(), tokens);
    for &length in lengths {
        let (edge, after) = rest.split_at(length);
        let extended = model.extend(kv.as_ref(), edge).expect("ids are in the vocabulary");
        hidden.extend(extended.hidden.values());
        (kv, rest) = (Some(extended.kv), after);
    }
    assert!(rest.is_empty(), "the edges cover the sequence");
    (kv.expect("at least one edge"), Hidden::host(model.config().hidden_size, hidden))
}

fn argmax(row: &[f32]) -> u32 {
    let best = (0..row.len()).max_by(|a, b| row[*a].total_cmp(&row[*b])).expect("a vocabulary");
    u32::try_from(best).expect("an id")
}

#[test]
fn stories_reproduces_its_reference() {
    let (Some(dir), Some(file)) = (data("models/stories260K/hf"), data("models/stories260K/reference.json"))
    else {
        return;
    };
    let model = load(&dir);
    let reference: Value = serde_json::from_slice(&fs_err::read(file).expect("a file")).expect("JSON");
    let ids =
        |value: &Value| -> Vec<u32> { serde_json::from_value(value.clone()).expect("a list of token ids") };
    for case in reference["logprobs"].as_array().expect("cases") {
        let tokens = ids(&case["ids"]);
        let expected: Vec<f64> = serde_json::from_value(case["token_logprobs"].clone()).expect("numbers");
        let hidden = model.extend(None, &tokens).expect("ids are in the vocabulary").hidden;
        let logits = all_logits(&model, &hidden);
        let rows = logits.chunks_exact(model.config().vocab_size);
        for (k, (row, expected)) in rows.zip(&expected).enumerate() {
            let found = f64::from(row[tokens[k + 1] as usize]) - log_sum_exp(row);
            assert!((found - expected).abs() < 1e-4, "token {k}: {found} instead of {expected}");
        }
    }
    let greedy = &reference["greedy"];
    let (prompt, expected) = (ids(&greedy["prompt_ids"]), ids(&greedy["ids"]));
    let (kv, hidden) = in_edges(&model, &prompt, &[prompt.len()]);
    let first = argmax(&logits(&model, &hidden, prompt.len() - 1..prompt.len()));
    let mut row = [DecodeRow::new(kv, first, 4)];
    let mut found = [prompt, vec![row[0].token]].concat();
    while found.len() < expected.len() {
        row[0].token = argmax(&model.decode(&mut row).expect("ids are in the vocabulary"));
        found.push(row[0].token);
    }
    assert_eq!(found, expected);
}

#[test]
fn pytorch_logits_of_a_fresh_model_are_met() {
    let Some(dir) = oracle("trainer/tiny-a") else { return };
    // The golden lies under its own name beside the configuration; a checkpoint's is model.safetensors.
    let folder = tempfile::tempdir().expect("a folder");
    fs_err::copy(dir.join("config.json"), folder.path().join("config.json")).expect("a copy");
    fs_err::copy(dir.join("init.safetensors"), folder.path().join("model.safetensors")).expect("a copy");
    let model = load(folder.path());
    let tokens = Safetensors::open(&dir.join("tokens.safetensors")).expect("goldens");
    let tokens: Vec<u32> = tokens
        .bytes("tokens")
        .expect("tokens")
        .as_chunks()
        .0
        .iter()
        .copied()
        .map(u32::from_le_bytes)
        .collect();
    let expected = Safetensors::open(&dir.join("logits.safetensors")).expect("goldens");
    let expected = expected.tensor_f32("logits").expect("logits");
    let mut found = Vec::new();
    for sequence in tokens.chunks_exact(65).take(4) {
        found.extend(all_logits(
            &model,
            &model.extend(None, &sequence[..64]).expect("ids are in the vocabulary").hidden,
        ));
    }
    assert_eq!(found.len(), expected.len());
    let distance: f64 = found.iter().zip(&expected).map(|(a, b)| f64::from(a - b).powi(2)).sum();
    let size: f64 = expected.iter().map(|b| f64::from(*b).powi(2)).sum();
    assert!((distance / size).sqrt() < 2e-5, "relative distance {:e}", (distance / size).sqrt());
}

#[test]
fn the_plain_program_says_the_same() {
    let Some(dir) = oracle("mini-ja-en/step-0800") else { return };
    let checkpoint = Checkpoint::open(&dir).expect("a checkpoint");
    let model = Llama::from_checkpoint(&checkpoint).expect("a model");
    let tokens = tokens(&model, 1, 40);
    let expected = reference::logits(&checkpoint, &tokens).expect("readable tensors");
    let logits = all_logits(&model, &model.extend(None, &tokens).expect("ids are in the vocabulary").hidden);
    for (row, expected) in logits.chunks_exact(model.config().vocab_size).zip(&expected) {
        for target in [0, 1, 77, 7_999] {
            let found = f64::from(row[target as usize]) - log_sum_exp(row);
            let expected = reference::log_probability(expected, target);
            assert!((found - expected).abs() < 1e-4, "{found} instead of {expected}");
        }
    }
}

#[test]
fn edges_batches_and_threads_never_change_a_bit() {
    let Some(dir) = oracle("mini-ja-en/step-0800") else { return };
    let model = load(&dir);
    // Longer than the block of rows in which a long edge is computed.
    let sequence = tokens(&model, 2, 600);
    let (_, whole) = in_edges(&model, &sequence, &[600]);
    let whole = bits(whole.values());
    assert!(bits(in_edges(&model, &sequence, &[1; 600]).1.values()) == whole, "token by token");
    let mut random = Random(3);
    for _ in 0..4 {
        let (mut lengths, mut rest) = (Vec::new(), sequence.len());
        while rest > 0 {
            lengths.push(1 + random.below(rest.min(100)));
            rest -= lengths[lengths.len() - 1];
        }
        assert!(bits(in_edges(&model, &sequence, &lengths).1.values()) == whole, "in edges of {lengths:?}");
    }
    for threads in [1, 2, 3] {
        let hidden = on_threads(threads, || in_edges(&model, &sequence, &[600]).1);
        assert!(bits(hidden.values()) == whole, "on {threads} threads");
    }
    let together = all_logits(&model, &in_edges(&model, &sequence, &[600]).1);
    let vocabulary = model.config().vocab_size;
    for row in [0, 1, 299, 599] {
        let alone = in_edges(&model, &sequence[..=row], &[row + 1]).1;
        let alone = logits(&model, &alone, row..row + 1);
        assert!(bits(&alone) == bits(&together[row * vocabulary..][..vocabulary]), "logits of row {row}");
    }
}

#[test]
fn a_row_decodes_alone_as_in_a_batch() {
    let Some(dir) = oracle("mini-ja-en/step-0800") else { return };
    let model = load(&dir);
    let vocabulary = model.config().vocab_size;
    let shared = in_edges(&model, &tokens(&model, 4, 50), &[50]).0;
    let prompts: Vec<Vec<u32>> = (0..7).map(|i| tokens(&model, 10 + i, 3 + 9 * i as usize)).collect();
    let start = |prompt: &[u32]| {
        let extended =
            model.extend(Some(&shared), &prompt[..prompt.len() - 1]).expect("ids are in the vocabulary");
        DecodeRow::new(extended.kv, prompt[prompt.len() - 1], 8)
    };
    let mut batch: Vec<DecodeRow> = prompts.iter().map(|prompt| start(prompt)).collect();
    let mut alone: Vec<DecodeRow> = prompts.iter().map(|prompt| start(prompt)).collect();
    for step in 0..20 {
        let threads = 1 + step % 2;
        let together = on_threads(threads, || model.decode(&mut batch)).expect("ids are in the vocabulary");
        for (i, row) in alone.iter_mut().enumerate() {
            let single = model.decode(std::slice::from_mut(row)).expect("ids are in the vocabulary");
            assert!(bits(&single) == bits(&together[i * vocabulary..][..vocabulary]), "row {i}, step {step}");
            row.token = argmax(&single);
            batch[i].token = row.token;
        }
    }
    // What was generated, read as a prompt, ends in the same hidden state.
    let mut row = start(&prompts[6]);
    let mut read = prompts[6].clone();
    let mut generated = Vec::new();
    for _ in 0..20 {
        generated = model.decode(std::slice::from_mut(&mut row)).expect("ids are in the vocabulary");
        row.token = argmax(&generated);
        read.push(row.token);
    }
    read.pop();
    let hidden = model.extend(Some(&shared), &read).expect("ids are in the vocabulary").hidden;
    let last = logits(&model, &hidden, hidden.rows() - 1..hidden.rows());
    assert!(bits(&last) == bits(&generated), "generated and read");
}

#[test]
fn an_id_outside_the_vocabulary_is_refused_and_changes_nothing() {
    let Some(dir) = data("models/stories260K/hf") else { return };
    let model = load(&dir);
    let refused = model.extend(None, &[1, 512]).map(drop);
    assert!(matches!(refused, Err(ModelError::TokenOutsideVocabulary { id: 512, vocabulary: 512 })));
    let kv = model.extend(None, &[1]).expect("1 has one").kv;
    let mut rows = [DecodeRow::new(Arc::clone(&kv), 5, 1), DecodeRow::new(kv, u32::MAX, 1)];
    let refused = model.decode(&mut rows).expect_err("there is no such id");
    assert_eq!(
        refused.to_string(),
        "token id 4294967295 is outside the model's vocabulary of 512. Use the tokenizer that was trained with this checkpoint."
    );
    assert!(rows.iter().all(|row| row.tail.is_empty()));
}

#[test]
fn nothing_added_is_an_empty_edge() {
    let Some(dir) = data("models/stories260K/hf") else { return };
    let model = load(&dir);
    let kv = model.extend(None, &[1, 2, 3]).expect("ids are in the vocabulary").kv;
    let extended = model.extend(Some(&kv), &[]).expect("no ids");
    assert_eq!((extended.kv.len(), extended.hidden.rows()), (3, 0));
    let whole = model.extend(None, &[1, 2, 3, 4]).expect("ids are in the vocabulary").hidden;
    let after = model.extend(Some(&extended.kv), &[4]).expect("ids are in the vocabulary").hidden;
    assert_eq!(bits(after.values()), bits(&whole.values()[3 * 64..]));
    assert!(model.decode(&mut []).expect("no rows").is_empty());
}

#[test]
fn a_folder_without_weights_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let refused = Llama::load(folder.path()).err().expect("there is nothing to load");
    assert!(matches!(refused, ModelError::Checkpoint(_)), "{refused}");
}
