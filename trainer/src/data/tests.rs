use std::path::Path;

use sekisho_model::train::IGNORED;

use super::{Cache, Data, DataError, Position};
use crate::spec::Spec;

/// A Megatron dataset of 16-bit ids, written here byte by byte from the format's description.
fn write_indexed(prefix: &Path, documents: &[Vec<u16>]) {
    let mut idx = b"MMIDIDX\0\0".to_vec();
    idx.extend(1_u64.to_le_bytes());
    idx.push(8);
    idx.extend((documents.len() as u64).to_le_bytes());
    idx.extend((documents.len() as u64 + 1).to_le_bytes());
    documents.iter().for_each(|d| idx.extend((d.len() as i32).to_le_bytes()));
    let mut begin = 0_i64;
    for document in documents {
        idx.extend(begin.to_le_bytes());
        begin += 2 * document.len() as i64;
    }
    (0..=documents.len() as i64).for_each(|d| idx.extend(d.to_le_bytes()));
    let bin: Vec<u8> = documents.iter().flatten().flat_map(|id| id.to_le_bytes()).collect();
    fs_err::write(prefix.with_extension("idx"), idx).expect("an index");
    fs_err::write(prefix.with_extension("bin"), bin).expect("tokens");
}

pub(super) fn spec(folder: &Path, data: &str, mixes: &str) -> Spec {
    let text = format!(
        "name = \"data\"\n[model]\nvocab_size = 100\nhidden_size = 8\nnum_hidden_layers = 1\nnum_attention_heads = 1
intermediate_size = 8\nrope_theta = 1e4\nrms_norm_eps = 1e-5\n[data]\nsequence_length = 4\n{data}\n{mixes}
[batch]\nsequences = 2\n[optimizer]\nlr = 1e-3\n[schedule]\nkind = \"constant\"\n[stop]\nsteps = 4\n"
    );
    Spec::parse("spec.toml", &text, folder).expect("a valid specification")
}

/// Without a cache.
fn open(spec: &Spec, tokenizer: Option<&sekisho_model::Tokenizer>) -> Result<Data, DataError> {
    Data::open(spec, 100, tokenizer, &Cache::at(None), &mut |_| {})
}

#[test]
fn an_indexed_dataset_is_taken_as_it_is() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    write_indexed(&folder.path().join("a"), &[vec![1, 2, 3], vec![4, 5, 6, 7, 8, 9], vec![10]]);
    let spec = spec(
        folder.path(),
        "order = \"sequential\"",
        "[[data.mix]]\nname = \"a\"\npath = \"a\"\nrepeat = 1.0",
    );
    let mut data = open(&spec, None).expect("data");
    assert_eq!(data.files().len(), 2);
    let batch = data.next_batch(2).expect("tokens").expect("two samples");
    assert_eq!(batch.inputs, [1, 2, 3, 4, 5, 6, 7, 8]);
    assert_eq!(batch.targets, [2, 3, 4, 5, 6, 7, 8, 9]);
    assert_eq!(batch.contexts, [0; 8]);
    assert!(data.next_batch(2).expect("tokens").is_none(), "one epoch was asked for");
}

#[test]
fn unpacked_documents_are_padded_and_masks_begin_at_documents() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    write_indexed(&folder.path().join("a"), &[vec![1, 2, 3], vec![4, 5, 6, 7, 8, 9], vec![10]]);
    let mixes = "[[data.mix]]\nname = \"a\"\npath = \"a\"";
    let unpacked = spec(folder.path(), "order = \"sequential\"\npacking = \"per_document\"", mixes);
    let mut data = open(&unpacked, None).expect("data");
    let batch = data.next_batch(3).expect("tokens").expect("samples");
    assert_eq!(batch.inputs, [1, 2, 0, 0, 4, 5, 6, 7, 0, 0, 0, 0]);
    assert_eq!(batch.targets[..8], [2, 3, IGNORED, IGNORED, 5, 6, 7, 8]);
    assert_eq!(batch.learned(), 6);
    let masked = spec(folder.path(), "order = \"sequential\"\ndocument_mask = true", mixes);
    let mut data = open(&masked, None).expect("data");
    let batch = data.next_batch(2).expect("tokens").expect("samples");
    assert_eq!(batch.contexts, [0, 0, 0, 3, 0, 0, 0, 0]);
}

#[test]
fn a_place_in_the_data_can_be_gone_back_to() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for (name, first) in [("a", 0), ("b", 50)] {
        let documents: Vec<Vec<u16>> =
            (0..6).map(|d| (0..7).map(|t| first + (7 * d + t) % 50).collect()).collect();
        write_indexed(&folder.path().join(name), &documents);
    }
    let mixes = "[[data.mix]]\nname = \"a\"\npath = \"a\"\nweight = 3.0\n[[data.mix]]\nname = \"b\"\npath = \"b\"\nweight = 1.0";
    for order in ["megatron", "permutation"] {
        let spec = spec(folder.path(), &format!("order = \"{order}\"\ntotal_samples = 40"), mixes);
        let mut data = open(&spec, None).expect("data");
        let mut seen = Vec::new();
        let mut middle = Position { taken: Vec::new() };
        for update in 0..20 {
            if update == 7 {
                middle = data.position().clone();
            }
            seen.push(data.next_batch(2).expect("tokens").expect("samples").inputs);
        }
        let of_b = seen.iter().flat_map(|inputs| inputs.chunks(4)).filter(|sample| sample[0] >= 50).count();
        assert_eq!(of_b, 10, "{order}: a quarter of 40 samples");
        // What is read ahead belongs to the place that is left.
        data.read_ahead(2);
        data.seek(middle);
        for expected in &seen[7..] {
            assert_eq!(&data.next_batch(2).expect("tokens").expect("samples").inputs, expected, "{order}");
            data.read_ahead(2);
        }
    }
}

#[test]
fn unusable_data_is_refused_in_words() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    write_indexed(&folder.path().join("short"), &[vec![1, 2, 3]]);
    write_indexed(&folder.path().join("high"), &[vec![1, 2, 3, 100, 5, 6, 7, 8, 9]]);
    write_indexed(&folder.path().join("cut"), &[vec![1, 2, 3, 4, 5, 6, 7, 8, 9]]);
    fs_err::write(folder.path().join("cut.bin"), [0; 10]).expect("a file");
    fs_err::write(folder.path().join("broken.idx"), b"MMIDIDX\0\0\x01").expect("a file");
    fs_err::write(folder.path().join("broken.bin"), b"").expect("a file");
    fs_err::write(folder.path().join("text.jsonl"), "{\"text\": \"a\"}\n").expect("a file");
    for (path, expected) in [
        ("missing", "is not a corpus; give a .jsonl or .jsonl.zst file"),
        ("short", "corpus x has 3 tokens, fewer than one sequence needs (5)"),
        ("high", "corpus x, document 0: token 100 is outside the model's vocabulary of 100"),
        ("broken", "is not a Megatron indexed dataset: it does not begin with MMIDIDX"),
        ("cut", "is not a Megatron indexed dataset: sequence 0 ends beyond"),
        ("text.jsonl", "is text, but the specification has no [tokenizer]"),
    ] {
        let mixes = format!("[[data.mix]]\nname = \"x\"\npath = \"{path}\"");
        let spec = spec(folder.path(), "order = \"sequential\"", &mixes);
        let read = |mut data: Data| data.next_batch(2).map(|_| ());
        let error: DataError = open(&spec, None).and_then(read).expect_err(path);
        assert!(error.to_string().contains(expected), "{path}: {error}");
    }
}

/// A tokenizer of three letters; with an end of text where `ends`.
pub(super) fn tokenizer(folder: &Path, ends: bool) -> sekisho_model::Tokenizer {
    let file = serde_json::json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": [], "normalizer": null, "pre_tokenizer": null,
        "post_processor": null, "decoder": null,
        "model": { "type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": null, "end_of_word_suffix": null,
            "fuse_unk": false, "byte_fallback": false, "ignore_merges": false, "vocab": { "</s>": 0, "a": 1, "b": 2, "あ": 3 }, "merges": [] },
    });
    let folder = folder.join(if ends { "ends" } else { "endless" });
    fs_err::create_dir_all(&folder).expect("a folder");
    fs_err::write(folder.join("tokenizer.json"), file.to_string()).expect("written");
    if ends {
        fs_err::write(folder.join("tokenizer_config.json"), "{\"eos_token\": \"</s>\"}").expect("written");
    }
    sekisho_model::Tokenizer::load(&folder).expect("a tokenizer")
}

#[test]
fn text_that_cannot_be_trained_on_is_named_by_its_line() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let spec =
        spec(folder.path(), "order = \"sequential\"", "[[data.mix]]\nname = \"a\"\npath = \"a.jsonl\"");
    let (ends, endless) = (tokenizer(folder.path(), true), tokenizer(folder.path(), false));
    let good = "{\"text\": \"abあabab\"}\n";
    for (bad, says) in [
        (b"{\"text\": \"\"}\n".as_slice(), "a.jsonl:2: its \"text\" is empty"),
        (b"{\"text\": \"\xff\xfe\"}\n", "a.jsonl:2: it is not UTF-8 from its byte 11 on"),
        (b"{\"text\": 7}\n", "a.jsonl:2: invalid type"),
        (b"[]\n", "a.jsonl:2: "),
    ] {
        fs_err::write(folder.path().join("a.jsonl"), [good.as_bytes(), bad].concat()).expect("written");
        let error = open(&spec, Some(&ends)).err().expect(says).to_string();
        assert!(error.contains(says) && error.contains("every line must be a JSON object"), "{error}");
    }
    fs_err::write(folder.path().join("a.jsonl"), format!("\n{good}\n")).expect("written");
    open(&spec, Some(&ends)).map(|_| ()).expect("blank lines are none");
    let error = open(&spec, Some(&endless)).err().expect("no end").to_string();
    assert!(error.contains("the tokenizer names no EOS token, which ends every document"), "{error}");
}
