//! Named check 13: hostile checkpoints handed to the service. Each is refused for what is wrong with it and cannot be proposed; no
//! good one is refused. What the examination looks at in detail is tested beside it (`trainer/weights`).

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use sekisho_weights::{Dtype, Safetensors, TensorData, to_bf16_bytes, write_safetensors};
use serde_json::{Value, json};
use tests::checkpoints::{Recipe, hostile};
use tests::http::Api;
use tests::service::{Service, text};
use tests::wait::until;

use crate::lab::lineage;

const MODEL: &str = "model.safetensors";
const INDEX: &str = "model.safetensors.index.json";
const PLAIN: fn(&Path) = |dir| Recipe::default().write(dir);
const SHARDED: fn(&Path) = |dir| Recipe { shards: 3, ..Recipe::default() }.write(dir);

/// What is wrong, what the refusal says of it, and how it is made.
type Case = (&'static str, Vec<&'static str>, Box<dyn Fn(&Path)>);

/// A header with data behind it, without any check.
fn raw(header: &str, data: usize) -> Vec<u8> {
    [&(header.len() as u64).to_le_bytes(), header.as_bytes(), &vec![0; data]].concat()
}

/// `"name": {…}` of an F32 tensor.
fn tensor(name: &str, shape: &str, range: &str) -> String {
    format!(r#""{name}":{{"dtype":"F32","shape":{shape},"data_offsets":{range}}}"#)
}

fn case(what: &'static str, says: &[&'static str], bytes: Vec<u8>) -> Case {
    let write = move |dir: &Path| {
        PLAIN(dir);
        fs_err::write(dir.join(MODEL), &bytes).expect("written");
    };
    (what, says.to_vec(), Box::new(write))
}

/// Headers that lie, as the format's own library takes or refuses them.
fn headers() -> Vec<Case> {
    let a = tensor("a", "[2]", "[0,8]");
    let with = |more: &str| format!("{{{a},{more}}}");
    let other_type = tensor("a", "[4]", "[0,8]").replace("F32", "BF16");
    let length = |length: u64| [&length.to_le_bytes(), b"{}".as_slice()].concat();
    vec![
        case("a header of 2^62 bytes", &["announces a header of 4611686018427387904 bytes"], length(1 << 62)),
        case("a header of 2 GB", &["announces a header of 2147483648 bytes"], length(1 << 31)),
        case("overlapping", &["tensors a and b share bytes"], raw(&with(&tensor("b", "[2]", "[4,12]")), 12)),
        case("a hole", &["belong to no tensor"], raw(&with(&tensor("b", "[1]", "[12,16]")), 16)),
        case("trailing bytes", &["8 bytes follow the last tensor"], raw(&format!("{{{a}}}"), 16)),
        case("size and shape", &["tensor b occupies"], raw(&with(&tensor("b", "[3]", "[8,16]")), 16)),
        case(
            "shape overflow",
            &["tensor b"],
            raw(&with(&tensor("b", "[4294967296,4294967296]", "[8,16]")), 16),
        ),
        case("a key twice, other range", &["\"a\"", "twice"], raw(&with(&tensor("a", "[2]", "[8,16]")), 16)),
        case("a key twice, other type", &["\"a\"", "twice"], raw(&with(&other_type), 8)),
        case(
            "metadata twice",
            &["\"x\"", "__metadata__"],
            raw(&format!(r#"{{"__metadata__":{{"x":"1","x":"2"}},{a}}}"#), 8),
        ),
        case(
            "a field twice",
            &["\"dtype\"", "twice"],
            raw(&format!("{{{}}}", a.replace("\"dtype\"", "\"dtype\":\"F32\",\"dtype\"")), 8),
        ),
        case(
            "an unknown field",
            &["\"strides\""],
            raw(&format!("{{{}}}", a.replace("\"dtype\"", "\"strides\":[1],\"dtype\"")), 8),
        ),
        case(
            "a name that climbs",
            &["../../etc/x"],
            raw(&format!("{{{}}}", tensor("../../etc/x", "[2]", "[0,8]")), 8),
        ),
        case("an absolute name", &["/etc/x"], raw(&format!("{{{}}}", tensor("/etc/x", "[2]", "[0,8]")), 8)),
        case(
            "a control character",
            &["tensor name"],
            raw(&format!("{{{}}}", tensor("a\\u001b[31m", "[2]", "[0,8]")), 8),
        ),
    ]
}

/// Code and archives under the name of weights.
fn disguises() -> Vec<Case> {
    let torch = [b"PK\x03\x04".as_slice(), &[0; 26], b"archive/data.pkl"].concat();
    let tar = [&[0; 257], b"ustar".as_slice(), &[0; 300]].concat();
    vec![
        case("a pickle", &["is a pickle"], b"\x80\x02}q\x00X\x01\x00\x00\x00aK\x01s.".to_vec()),
        case("an old pickle", &["is a pickle"], b"cposix\nsystem\n(S'id'\ntR.".to_vec()),
        case("torch.save", &["is a pickle"], torch),
        case("a ZIP polyglot", &["archive"], b"PK\x03\x04\x14\x00\x00\x00\x08\x00model.safetensors".to_vec()),
        case("7z", &["archive"], b"7z\xbc\xaf\x27\x1c\x00\x04aaaaaaaaaaa".to_vec()),
        case("tar", &["archive"], tar),
    ]
}

fn indexed(what: &'static str, says: &[&'static str], edit: impl Fn(&mut Value) + 'static) -> Case {
    let write = move |dir: &Path| {
        SHARDED(dir);
        let file = dir.join(INDEX);
        let text = fs_err::read_to_string(&file).expect("there");
        let mut index: Value = serde_json::from_str(&text).expect("JSON");
        edit(&mut index);
        fs_err::write(file, index.to_string()).expect("written");
    };
    (what, says.to_vec(), Box::new(write))
}

/// Indexes that lie.
fn indexes() -> Vec<Case> {
    let to =
        |path: &'static str| move |index: &mut Value| index["weight_map"]["model.norm.weight"] = json!(path);
    vec![
        indexed("a path out", &["../../x.safetensors", "plain name"], to("../../x.safetensors")),
        indexed("an absolute path", &["/tmp/x.safetensors", "plain name"], to("/tmp/x.safetensors")),
        indexed("a pickle's name", &["x.bin", "plain name"], to("x.bin")),
        indexed("a tensor that is not there", &["ghost", "does not hold it"], |index| {
            index["weight_map"]["ghost"] = json!("model-00001-of-00003.safetensors");
        }),
        indexed("another total", &["total_size"], |index| index["metadata"]["total_size"] = json!(7)),
        indexed("an unlisted tensor", &["model.norm.weight", "not listed"], |index| {
            index["weight_map"].as_object_mut().expect("a map").remove("model.norm.weight");
        }),
    ]
}

fn announce(api: &Api, dir: &Path, step: usize) -> String {
    let body = json!({ "step": step, "tokens": step + 1, "path": dir });
    text(&api.post("/api/v1/runs/corpus/checkpoints", &body).has(202).json()["id"]).to_owned()
}

fn settled(api: &Api, id: &str) -> Value {
    until("the examination", 60, || {
        let found = api.get(&format!("/api/v1/checkpoints/{id}")).has(200).json();
        ["verified", "refused"].contains(&text(&found["state"])).then_some(found)
    })
}

#[test]
fn every_hostile_checkpoint_is_refused_for_what_it_is_and_never_proposed() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let service = Service::start();
    service.add_user("mori", &["contributor"]);
    let (author, _) = service.token_of("mori", &["read", "release"]);
    let api = service.api();
    let _ = api.post("/api/v1/runs", &json!({ "name": "corpus" })).has(201);
    let known = hostile().into_iter().map(|one| -> Case {
        let (name, says) = (one.name, one.says.to_vec());
        (name, says, Box::new(move |dir: &Path| one.write(dir)))
    });
    let cases: Vec<Case> = known.chain(headers()).chain(disguises()).chain(indexes()).collect();
    assert!(cases.len() > 30);
    let announced: Vec<_> = cases
        .iter()
        .enumerate()
        .map(|(number, (.., write))| {
            let dir = folder.path().join(number.to_string());
            write(&dir);
            announce(&api, &dir, number)
        })
        .collect();
    for ((what, says, _), id) in cases.iter().zip(announced) {
        let found = settled(&api, &id);
        assert_eq!(found["state"], "refused", "{what}");
        let refusal = text(&found["refusal"]);
        for words in says {
            assert!(refusal.contains(words), "{what}: \"{refusal}\" does not say \"{words}\"");
        }
        let body = json!({ "checkpoint": id, "lineage": lineage("L1") });
        let proposed = author.post("/api/v1/releases", &body);
        assert!((400..500).contains(&proposed.status), "{what}: {}", proposed.text);
    }
    assert_eq!(author.get("/api/v1/releases").has(200).items(), json!([]), "nothing was proposed");
}

/// Writes the weights of a folder in another type, with an empty tensor or without.
fn rewrite(dir: &Path, dtype: Dtype, empty: bool) {
    let path = dir.join(MODEL);
    let read = Safetensors::open(&path).expect("good");
    let mut tensors: Vec<TensorData<'static>> = read
        .names()
        .map(|name| {
            let values = read.tensor_f32(name).expect("good");
            let bytes = match dtype {
                Dtype::BF16 => to_bf16_bytes(&values),
                Dtype::F16 => values.iter().flat_map(|x| half::f16::from_f32(*x).to_le_bytes()).collect(),
                _ => read.bytes(name).expect("good"),
            };
            let shape = read.shape(name).expect("there").to_vec();
            TensorData { name: name.to_owned(), dtype, shape, bytes: Cow::Owned(bytes) }
        })
        .collect();
    if empty {
        let (name, bytes) = ("nothing".to_owned(), Cow::Borrowed([].as_slice()));
        tensors.push(TensorData { name, dtype, shape: vec![0, 4], bytes });
    }
    drop(read);
    write_safetensors(&path, &BTreeMap::new(), tensors).expect("written");
}

#[test]
fn no_good_checkpoint_is_refused() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let service = Service::start();
    let api = service.api();
    let _ = api.post("/api/v1/runs", &json!({ "name": "corpus" })).has(201);
    let mut announced = Vec::new();
    let mut good = |write: &dyn Fn(&Path)| {
        let number = announced.len();
        let dir = folder.path().join(number.to_string());
        write(&dir);
        announced.push(announce(&api, &dir, number));
    };
    for seed in [1, 2, 3] {
        let recipe = Recipe { seed, ..Recipe::default() };
        for dtype in [Dtype::F32, Dtype::BF16, Dtype::F16] {
            for empty in [false, true] {
                good(&|dir| {
                    recipe.write(dir);
                    rewrite(dir, dtype, empty);
                });
            }
        }
        good(&|dir| Recipe { shards: 2, ..recipe }.write(dir));
        good(&|dir| Recipe { shards: 4, layers: 1, ..recipe }.write(dir));
        good(&|dir| recipe.write_gemma(dir));
    }
    assert!(announced.len() >= 20);
    for id in &announced {
        let found = settled(&api, id);
        assert_eq!(found["state"], "verified", "{found:#}");
    }
}

/// Somebody writes while the service reads.
#[test]
fn a_checkpoint_that_changes_while_it_is_read_is_refused() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let service = Service::start();
    let api = service.api();
    let _ = api.post("/api/v1/runs", &json!({ "name": "corpus" })).has(201);
    let dir = folder.path().join("model");
    Recipe { hidden: 512, layers: 6, ..Recipe::default() }.write(&dir);
    let (path, end) = (dir.join(MODEL), AtomicBool::new(false));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            use std::os::unix::fs::FileExt as _;
            let file = fs_err::OpenOptions::new().read(true).write(true).open(&path).expect("there");
            let (file, mut last) = (file.file(), [0]);
            let at = file.metadata().expect("there").len() - 4;
            file.read_exact_at(&mut last, at).expect("read");
            while !end.load(Ordering::Relaxed) {
                // The lowest bits of the last number: it stays one.
                last[0] ^= 1;
                file.write_all_at(&last, at).expect("written");
                std::thread::sleep(std::time::Duration::from_millis(1));
            }
        });
        let found = settled(&api, &announce(&api, &dir, 1));
        end.store(true, Ordering::Relaxed);
        assert_eq!(found["state"], "refused");
        assert!(text(&found["refusal"]).contains("changed while it was being read"), "{found:#}");
    });
}
