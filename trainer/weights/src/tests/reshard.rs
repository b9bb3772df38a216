//! Shards and types may change, the model may not.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::Path;

use proptest::prelude::*;

use super::support::{Recipe, checkpoint, config_json, encode, shared, tensors};
use crate::{
    Checkpoint, Dtype, Reshard, ReshardError, Safetensors, TensorData, WeightDtype, inspect, reshard,
    weights_digest, write_safetensors,
};

const AS_IS: Reshard = Reshard { shard_bytes: 5_000_000_000, dtype: None };

/// Every file of a folder.
fn bytes(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = fs_err::read_dir(dir).expect("a folder").map(|entry| entry.expect("an entry"));
    entries
        .map(|entry| {
            let name = entry.file_name().into_string().expect("UTF-8");
            (name, fs_err::read(entry.path()).expect("readable"))
        })
        .collect()
}

#[test]
fn other_shards_are_the_same_weights() {
    let place = tempfile::tempdir().expect("temp dir");
    let mut number = 0;
    for shards in [1, 2, 5] {
        let from = checkpoint(Recipe { shards, ..Recipe::default() });
        fs_err::write(from.path().join("README.md"), "# m\n").expect("written");
        fs_err::write(from.path().join("optimizer.pt"), "no").expect("written");
        let before = inspect(from.path()).expect("good");
        assert_eq!(weights_digest(from.path()).expect("good"), before.weights);
        for shard_bytes in [1, 300, 1000, u64::MAX] {
            number += 1;
            let to = place.path().join(number.to_string());
            let done = reshard(from.path(), &to, Reshard { shard_bytes, dtype: None }).expect("written");
            let after = inspect(&to).expect("good");
            assert_eq!((after.weights, after.digest), (before.weights, before.digest), "{shard_bytes}");
            assert_eq!(done.left_out, ["optimizer.pt"]);
            assert_eq!((done.converted, done.tensors), (0, before.tensors.len()));
            let mut names = bytes(&to).into_keys().filter(|name| name.ends_with(".safetensors"));
            assert!(names.by_ref().eq(done.shards.iter().cloned()), "{:?}", done.shards);
            match shard_bytes {
                1 => assert_eq!(done.shards.len(), before.tensors.len(), "each tensor has its own"),
                u64::MAX => assert_eq!(done.shards, ["model.safetensors"]),
                _ => assert!(done.shards.len() > 1 && done.shards.len() < before.tensors.len()),
            }
            for shard in &done.shards {
                let shard = Safetensors::open(&to.join(shard)).expect("good");
                let sizes: Vec<u64> =
                    shard.names().map(|name| shard.bytes(name).expect("there").len() as u64).collect();
                assert!(sizes.len() == 1 || sizes.iter().sum::<u64>() <= shard_bytes, "{sizes:?}");
                assert_eq!(shard.metadata().get("format").map(String::as_str), Some("pt"));
            }
            assert_eq!(fs_err::read(to.join("README.md")).expect("copied"), b"# m\n");
        }
    }
    // The old sharding leaves no trace.
    let same: Vec<_> = ["4", "8", "12"].iter().map(|name| bytes(&place.path().join(name))).collect();
    assert!(same[0] == same[1] && same[1] == same[2]);
    assert!(fs_err::read_dir(place.path()).expect("there").count() == 12, "no temporary folder is left");
}

#[test]
fn another_type_changes_the_values_by_rounding_and_the_configuration_by_one_word() {
    let place = tempfile::tempdir().expect("temp dir");
    let recipe = Recipe { shards: 2, ..Recipe::default() };
    let from = checkpoint(recipe);
    let text = config_json(recipe).to_string().replacen('{', "{\"torch_dtype\": \"float32\", ", 1);
    fs_err::write(from.path().join("config.json"), &text).expect("written");
    let narrow = place.path().join("bf16");
    let wish = Reshard { shard_bytes: 400, dtype: Some(WeightDtype::Bf16) };
    let done = reshard(from.path(), &narrow, wish).expect("written");
    assert_eq!(done.converted, done.tensors);
    let written = fs_err::read_to_string(narrow.join("config.json")).expect("copied");
    assert_eq!(written, text.replace("\"float32\"", "\"bfloat16\""));
    inspect(&narrow).expect("a good checkpoint");
    let opened = Checkpoint::open(&narrow).expect("good");
    for (name, _, values) in tensors(recipe) {
        assert_eq!(opened.dtype(&name), Some(Dtype::BF16));
        let got = opened.tensor_f32(&name).expect("readable");
        assert_eq!(encode(Dtype::BF16, &got), encode(Dtype::BF16, &values), "{name}");
    }
    // Wide again, nothing more is lost; narrow again, nothing at all.
    let (wide, again) = (place.path().join("f32"), place.path().join("again"));
    reshard(&narrow, &wide, Reshard { dtype: Some(WeightDtype::F32), ..AS_IS }).expect("written");
    reshard(&wide, &again, Reshard { dtype: Some(WeightDtype::Bf16), ..AS_IS }).expect("written");
    assert_eq!(weights_digest(&again).expect("good"), weights_digest(&narrow).expect("good"));
    assert_ne!(weights_digest(&wide).expect("good"), weights_digest(from.path()).expect("good"));
}

#[test]
fn what_cannot_be_written_leaves_nothing() {
    let place = tempfile::tempdir().expect("temp dir");
    let to = place.path().join("new");
    let from = checkpoint(Recipe::default());
    let refused = |from: &Path, wish: Reshard| -> ReshardError {
        let error = reshard(from, &to, wish).expect_err("refused");
        assert!(
            !error.ja().is_empty() && fs_err::read_dir(place.path()).expect("there").count() == 0,
            "{error}"
        );
        error
    };
    assert_eq!(refused(from.path(), Reshard { shard_bytes: 0, dtype: None }).code(), "reshard-size");
    let mut values = tensors(Recipe::default());
    *values[3].2.last_mut().expect("values") = f32::MAX;
    super::support::write_weights(from.path(), Dtype::F32, &values, 1);
    let error = refused(from.path(), Reshard { dtype: Some(WeightDtype::Bf16), ..AS_IS });
    assert_eq!(error.code(), "reshard-overflow");
    assert!(error.to_string().contains(&values[3].0), "{error}");
    fs_err::write(from.path().join("model.safetensors"), b"PK\x03\x04").expect("written");
    assert_eq!(refused(from.path(), AS_IS).code(), "checkpoint-archive");

    let from = checkpoint(Recipe::default());
    fs_err::create_dir(&to).expect("made");
    assert_eq!(reshard(from.path(), &to, AS_IS).expect_err("refused").code(), "reshard-exists");
    assert_eq!(fs_err::read_dir(&to).expect("there").count(), 0);
    fs_err::remove_dir(&to).expect("removed");
    // What a power cut left is in nobody's way.
    fs_err::create_dir_all(place.path().join(".new.partial")).expect("made");
    fs_err::write(place.path().join(".new.partial/x"), "old").expect("written");
    reshard(from.path(), &to, AS_IS).expect("written");
    assert!(!to.join("x").exists());
}

#[test]
fn integers_and_small_floats_stay_as_they_are() {
    let (from, place) = (tempfile::tempdir().expect("temp dir"), tempfile::tempdir().expect("temp dir"));
    let types =
        [Dtype::F64, Dtype::F32, Dtype::F16, Dtype::BF16, Dtype::I64, Dtype::U8, Dtype::Bool, Dtype::F8E4M3];
    let data = types.iter().map(|dtype| TensorData {
        name: format!("t.{dtype}"),
        dtype: *dtype,
        shape: vec![2, 3],
        bytes: Cow::Owned(vec![1; usize::try_from(6 * dtype.bytes()).expect("small")]),
    });
    write_safetensors(&from.path().join("model.safetensors"), &BTreeMap::new(), data).expect("written");
    let to = place.path().join("new");
    let done =
        reshard(from.path(), &to, Reshard { dtype: Some(WeightDtype::Bf16), ..AS_IS }).expect("written");
    assert_eq!((done.tensors, done.converted), (8, 3));
    let new = Safetensors::open(&to.join("model.safetensors")).expect("good");
    let old = Safetensors::open(&from.path().join("model.safetensors")).expect("good");
    for dtype in &types[3..] {
        let name = format!("t.{dtype}");
        assert_eq!((new.dtype(&name), new.bytes(&name)), (Some(*dtype), old.bytes(&name)));
    }
    assert_eq!(new.dtype("t.F64"), Some(Dtype::BF16));
}

/// A tensor many times longer than the piece that is in memory.
#[test]
fn a_long_tensor_is_converted_piece_by_piece() {
    let (from, place) = (tempfile::tempdir().expect("temp dir"), tempfile::tempdir().expect("temp dir"));
    let values: Vec<f32> =
        (0..1_500_001_u32).map(|n| f32::from_bits(n.wrapping_mul(2_654_435_761) >> 2)).collect();
    let data = TensorData {
        name: "t".to_owned(),
        dtype: Dtype::F32,
        shape: vec![values.len()],
        bytes: Cow::Owned(encode(Dtype::F32, &values)),
    };
    write_safetensors(&from.path().join("model.safetensors"), &BTreeMap::new(), [data]).expect("written");
    let to = place.path().join("new");
    reshard(from.path(), &to, Reshard { dtype: Some(WeightDtype::Bf16), ..AS_IS }).expect("written");
    let new = Safetensors::open(&to.join("model.safetensors")).expect("good");
    assert!(new.bytes("t").expect("there") == encode(Dtype::BF16, &values));
}

/// A model that others trained, as it is on the Hub.
#[test]
fn a_real_model_stays_what_it_is() {
    let Some(from) = shared("models/stories260K/hf") else { return };
    let place = tempfile::tempdir().expect("temp dir");
    let to = place.path().join("new");
    reshard(&from, &to, Reshard { shard_bytes: 300_000, dtype: None }).expect("written");
    assert_eq!(weights_digest(&to).expect("good"), weights_digest(&from).expect("good"));
}

proptest! {
    /// The official library reads what is written, and finds the tensors that were there.
    #[test]
    fn any_tensors_survive(
        tensors in proptest::collection::btree_map("[a-z]{1,5}(\\.[a-z0-9]{1,3}){0,2}", (proptest::collection::vec(any::<f32>(), 0..30), 0..4_u8), 1..8),
        shard_bytes in 1..200_u64,
    ) {
        let (from, place) = (tempfile::tempdir().expect("temp dir"), tempfile::tempdir().expect("temp dir"));
        let data = tensors.iter().map(|(name, (values, kind))| {
            let dtype = [Dtype::F32, Dtype::F16, Dtype::BF16, Dtype::U8][usize::from(*kind)];
            let bytes = if dtype == Dtype::U8 { vec![7; values.len()] } else { encode(dtype, values) };
            TensorData { name: name.clone(), dtype, shape: vec![values.len()], bytes: Cow::Owned(bytes) }
        });
        let file = from.path().join("model.safetensors");
        write_safetensors(&file, &BTreeMap::new(), data).expect("written");
        let to = place.path().join("new");
        let done = reshard(from.path(), &to, Reshard { shard_bytes, dtype: None }).expect("written");
        let old = fs_err::read(&file).expect("there");
        let old = safetensors::SafeTensors::deserialize(&old).expect("good");
        let mut seen = 0;
        for shard in &done.shards {
            let bytes = fs_err::read(to.join(shard)).expect("there");
            let new = safetensors::SafeTensors::deserialize(&bytes).expect("accepted by the official library");
            for (name, view) in new.tensors() {
                let was = old.tensor(&name).expect("known");
                prop_assert_eq!((view.dtype(), view.shape(), view.data()), (was.dtype(), was.shape(), was.data()));
                seen += 1;
            }
        }
        prop_assert_eq!(seen, tensors.len());
        prop_assert_eq!(weights_digest(&to).expect("good"), weights_digest(from.path()).expect("good"));
    }
}
