//! What must pass, and what must not depend on how it is stored.

use std::borrow::Cow;
use std::collections::BTreeMap;

use proptest::prelude::*;
use sekisho_domain::manifest::CheckpointManifest;
use sekisho_domain::{Sha256, Step, Tokens};
use serde_json::json;

use super::support::{Recipe, checkpoint, edit_json, encode, shard, tensors, write_json, write_weights};
use crate::folder::Folder;
use crate::{
    Checkpoint, Dtype, Safetensors, TensorData, hash_folder, inspect, read_manifest, shards, write_atomic,
    write_manifest, write_safetensors,
};

fn recipes() -> impl Iterator<Item = Recipe> {
    [Dtype::F32, Dtype::F16, Dtype::BF16].into_iter().flat_map(|dtype| {
        [(true, false), (false, false), (true, true), (false, true)].into_iter().flat_map(
            move |(tied, bias)| [1, 2, 5].into_iter().map(move |shards| Recipe { dtype, tied, bias, shards }),
        )
    })
}

#[test]
fn no_false_alarm_on_any_good_checkpoint() {
    let mut seen = 0;
    for recipe in recipes() {
        let dir = checkpoint(recipe);
        let inspected = inspect(dir.path()).unwrap_or_else(|refusal| panic!("{recipe:?}: {refusal}"));
        assert_eq!(inspected.notes, Vec::<String>::new(), "{recipe:?}");
        assert_eq!(inspected.left_out, Vec::<String>::new(), "{recipe:?}");
        let elements: usize = tensors(recipe).iter().map(|(_, _, values)| values.len()).sum();
        assert_eq!(inspected.parameters, elements as u64, "{recipe:?}");
        seen += 1;
    }
    assert_eq!(seen, 36);
}

#[test]
fn values_come_back_as_they_were_stored() {
    for recipe in recipes() {
        let dir = checkpoint(recipe);
        let opened = Checkpoint::open(dir.path()).expect("good");
        for (name, shape, values) in tensors(recipe) {
            assert_eq!(opened.shape(&name), Some(shape.as_slice()), "{name}");
            assert_eq!(opened.dtype(&name), Some(recipe.dtype), "{name}");
            let got = opened.tensor_f32(&name).expect("readable");
            assert_eq!(encode(recipe.dtype, &got), encode(recipe.dtype, &values), "{name} {recipe:?}");
        }
    }
}

#[test]
fn the_digests_do_not_depend_on_sharding_and_do_depend_on_every_bit() {
    let recipe = Recipe::default();
    let one = inspect(checkpoint(recipe).path()).expect("good");
    for shards in [2, 3, 20] {
        let other = inspect(checkpoint(Recipe { shards, ..recipe }).path()).expect("good");
        assert_eq!((other.weights, other.digest), (one.weights, one.digest), "{shards} shards");
        assert_ne!(other.manifest, one.manifest, "the list of files does differ");
    }
    let dir = checkpoint(recipe);
    let mut changed = tensors(recipe);
    let last = changed.last_mut().and_then(|(_, _, values)| values.last_mut()).expect("not empty");
    *last = f32::from_bits(last.to_bits() ^ 1);
    write_weights(dir.path(), recipe.dtype, &changed, 1);
    let other = inspect(dir.path()).expect("good");
    assert_ne!(other.weights, one.weights);
    let dir = checkpoint(recipe);
    edit_json(dir.path(), "config.json", |config| config["rope_theta"] = json!(500_000.0));
    let other = inspect(dir.path()).expect("good");
    assert_eq!(other.weights, one.weights);
    assert_ne!(other.digest, one.digest, "the configuration is part of a checkpoint's identity");
    let dir = checkpoint(recipe);
    let config = one.config.to_hf_json("float32");
    write_json(dir.path(), "config.json", &config);
    assert_eq!(
        inspect(dir.path()).expect("good").digest,
        one.digest,
        "the spelling of the configuration is not"
    );
}

#[test]
fn moments_are_those_of_the_values() {
    let inspected = inspect(checkpoint(Recipe { dtype: Dtype::F32, shards: 2, ..Recipe::default() }).path())
        .expect("good");
    for (name, _, values) in tensors(Recipe::default()) {
        let n = f64::from(u32::try_from(values.len()).expect("small"));
        let mean = values.iter().map(|x| f64::from(*x)).sum::<f64>() / n;
        let variance = values.iter().map(|x| (f64::from(*x) - mean).powi(2)).sum::<f64>() / n;
        let got = inspected.tensors.iter().find(|t| t.name == name).expect("listed").moments;
        assert!(
            (got.mean - mean).abs() < 1e-12 && (got.std - variance.sqrt()).abs() < 1e-9,
            "{name}: {got:?}"
        );
        assert_eq!(
            got.min.to_bits(),
            values.iter().copied().fold(f32::INFINITY, f32::min).to_bits(),
            "{name}"
        );
        assert_eq!(
            got.max.to_bits(),
            values.iter().copied().fold(f32::NEG_INFINITY, f32::max).to_bits(),
            "{name}"
        );
    }
}

/// Sizes on both sides of a part and of a window; values that are not finite here and there.
#[test]
fn one_thread_and_many_find_the_same() {
    let folder = tempfile::tempdir().expect("a folder");
    let lengths = [1, 0, 37, (1 << 19) - 1, (1 << 19) + 5, 3, 5 << 20, 1 << 19, 7];
    let types = [Dtype::BF16, Dtype::F32, Dtype::F16, Dtype::F64, Dtype::I8];
    let mut state = 1_u64;
    let mut tensors: Vec<TensorData<'_>> = Vec::new();
    for (i, length) in lengths.into_iter().enumerate() {
        let dtype = types[i % types.len()];
        let mut bytes = vec![0; length * usize::try_from(dtype.bytes()).expect("small")];
        bytes.fill_with(|| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            state.to_be_bytes()[0]
        });
        tensors.push(TensorData {
            name: format!("t{i}"),
            dtype,
            shape: vec![length],
            bytes: Cow::Owned(bytes),
        });
    }
    let path = folder.path().join("model.safetensors");
    write_safetensors(&path, &BTreeMap::new(), tensors.iter().cloned()).expect("written");
    let opened = Folder::open(folder.path()).expect("a folder of weights");
    let (file, many) = shards::read(&opened.shards[0]).expect("read");
    let (plain_file, plain) = shards::read_plainly(&opened.shards[0]).expect("read");
    assert_eq!((&file, format!("{many:?}")), (&plain_file, format!("{plain:?}")));
    assert_eq!(file.sha256, Sha256::of(fs_err::read(&path).expect("read")));
    assert!(many.iter().any(|tensor| tensor.moments.not_finite > 0), "some are not finite");
    for tensor in &tensors {
        let found = many.iter().find(|found| found.name == tensor.name).expect("found");
        assert_eq!(found.sha256, Sha256::of(&tensor.bytes), "{}", tensor.name);
    }
}

#[test]
fn what_exporters_leave_behind_is_told_and_not_refused() {
    let recipe = Recipe::default();
    let dir = checkpoint(recipe);
    let mut extra = tensors(recipe);
    let embedding = extra[0].2.clone();
    extra.push(("lm_head.weight".to_owned(), vec![11, 8], embedding));
    extra.push(("model.layers.0.self_attn.rotary_emb.inv_freq".to_owned(), vec![1], vec![1.0]));
    extra.push(("empty".to_owned(), vec![0, 4], Vec::new()));
    write_weights(dir.path(), recipe.dtype, &extra, 1);
    fs_err::write(dir.path().join("optimizer.pt"), b"PK\x03\x04").expect("written");
    fs_err::create_dir(dir.path().join("training_state")).expect("made");
    let inspected = inspect(dir.path()).expect("good");
    assert_eq!(inspected.notes.len(), 3, "{:?}", inspected.notes);
    assert_eq!(inspected.left_out, ["optimizer.pt", "training_state/"]);
    assert!(inspected.files.iter().all(|file| file.path != "optimizer.pt"));
}

#[test]
fn a_link_inside_the_folder_is_followed() {
    let dir = checkpoint(Recipe::default());
    let (name, real) = (dir.path().join("model.safetensors"), dir.path().join("blob"));
    fs_err::rename(&name, real).expect("moved");
    fs_err::os::unix::fs::symlink("blob", &name).expect("linked");
    let digest = inspect(dir.path()).expect("good").digest;
    assert_eq!(digest, inspect(checkpoint(Recipe::default()).path()).expect("good").digest);
}

#[test]
fn a_manifest_names_every_file_and_finds_a_changed_one() {
    let dir = checkpoint(Recipe { shards: 2, ..Recipe::default() });
    fs_err::create_dir(dir.path().join("training_state")).expect("made");
    fs_err::write(dir.path().join("training_state/moments.bin"), b"m").expect("written");
    let files = hash_folder(dir.path()).expect("readable");
    let paths: Vec<&str> = files.iter().map(|f| f.path.as_str()).collect();
    let index = "model.safetensors.index.json";
    assert_eq!(paths, ["config.json", &shard(1, 2), &shard(2, 2), index, "training_state/moments.bin"]);
    let manifest = CheckpointManifest { run: "r".to_owned(), step: Step(3), tokens: Tokens(9), files };
    write_manifest(dir.path(), &manifest).expect("written");
    assert_eq!(read_manifest(dir.path()).expect("there"), manifest);
    inspect(dir.path()).expect("as listed");
    edit_json(dir.path(), "config.json", |config| config["rms_norm_eps"] = json!(1e-6));
    assert_eq!(inspect(dir.path()).expect_err("changed").code(), "checkpoint-manifest");
    fs_err::remove_file(dir.path().join("training_state/moments.bin")).expect("removed");
    edit_json(dir.path(), "config.json", |config| config["rms_norm_eps"] = json!(1e-5));
    assert_eq!(inspect(dir.path()).expect_err("incomplete").code(), "checkpoint-file-missing");
}

#[test]
fn a_write_that_fails_leaves_the_old_file_and_no_other() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let path = dir.path().join("a.json");
    write_atomic(&path, |file| file.write_all(b"old")).expect("written");
    let error = write_atomic(&path, |file| {
        file.write_all(b"new, but")?;
        Err(std::io::Error::other("disk full"))
    });
    assert_eq!(error.expect_err("failed").to_string(), "disk full");
    assert_eq!(fs_err::read_to_string(&path).expect("there"), "old");
    assert_eq!(fs_err::read_dir(dir.path()).expect("there").count(), 1);
}

proptest! {
    /// The official library is the judge of what we write, and we of what it writes.
    #[test]
    fn the_official_library_and_ours_read_each_other(
        tensors in proptest::collection::btree_map("[a-z]{1,6}(\\.[a-z]{1,6}){0,2}", proptest::collection::vec(any::<f32>(), 0..40), 0..6)
    ) {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let path = dir.path().join("t.safetensors");
        let data = |(name, values): (&String, &Vec<f32>)| TensorData {
            name: name.clone(),
            dtype: if values.len() % 2 == 0 { Dtype::F32 } else { Dtype::BF16 },
            shape: vec![values.len()],
            bytes: Cow::Owned(encode(if values.len() % 2 == 0 { Dtype::F32 } else { Dtype::BF16 }, values)),
        };
        write_safetensors(&path, &BTreeMap::new(), tensors.iter().map(data)).expect("written");
        let bytes = fs_err::read(&path).expect("there");
        let theirs = safetensors::SafeTensors::deserialize(&bytes).expect("accepted by the official library");
        let ours = Safetensors::open(&path).expect("accepted by us");
        prop_assert_eq!(theirs.len(), tensors.len());
        for name in tensors.keys() {
            let view = theirs.tensor(name).expect("there");
            prop_assert_eq!(view.data(), ours.bytes(name).expect("there"));
            prop_assert_eq!(Some(view.shape()), ours.shape(name));
        }
        let again = safetensors::serialize(theirs.iter(), None).expect("serialised");
        prop_assert_eq!(again.len(), bytes.len());
        fs_err::write(&path, &again).expect("written");
        let names: Vec<String> = Safetensors::open(&path).expect("accepted by us").names().map(str::to_owned).collect();
        prop_assert_eq!(names, tensors.keys().cloned().collect::<Vec<_>>());
    }
}
