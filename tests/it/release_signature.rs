//! Signatures judged by the official library: what it accepts we accept, what it refuses we refuse, and for the same files.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use sekisho_domain::{Entropy, Sha256};
use sekisho_hub::signature::{
    PUBLIC_KEY_FILE, Problem, PublicKey, SIGNATURE_FILE, SigningKey, Verification, sign, verify_folder,
};
use serde_json::{Value, json};
use tests::hub_double::{HubDouble, HubOptions, WRITER};
use tests::official_client::OfficialClient;
use tests::publication::{REPO, Release};
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/oracle/verify_signatures.py");
/// Random mutations, besides one of each kind.
const MUTATIONS: u64 = 260;

/// Bytes from a seed (splitmix64).
struct Random(std::sync::Mutex<u64>);

impl Random {
    fn new(seed: u64) -> Self {
        Self(std::sync::Mutex::new(seed))
    }

    fn next(&self) -> u64 {
        let mut state = self.0.lock().expect("no panic holds it");
        *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = *state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&self, n: usize) -> usize {
        usize::try_from(self.next() % n as u64).expect("small")
    }
}

impl Entropy for Random {
    fn fill(&self, bytes: &mut [u8]) {
        bytes.iter_mut().for_each(|byte| *byte = self.next().to_le_bytes()[0]);
    }
}

/// An interpreter that has the official library; none, and a line that says so, elsewhere.
#[expect(clippy::print_stderr, reason = "a skipped test says so")]
async fn official() -> Option<String> {
    let python = std::env::var("SEKISHO_TEST_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let mut import = Command::new(&python);
    import.args(["-c", "import model_signing"]).stdout(Stdio::null()).stderr(Stdio::null());
    if import.status().await.is_ok_and(|status| status.success()) {
        return Some(python);
    }
    let installed = std::env::var("SEKISHO_TOOLS_INSTALLED").is_ok_and(|said| said == "1");
    assert!(!installed, "{python} has no model_signing although tests/run.sh has installed it");
    eprintln!("skipped: {python} has no model_signing; tests/run.sh installs it");
    None
}

/// The official answers, all from one process.
async fn judged(python: &str, jobs: &[Value]) -> Vec<Option<String>> {
    let mut child = Command::new(python)
        .arg(SCRIPT)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the interpreter runs");
    let mut stdin = child.stdin.take().expect("piped");
    stdin.write_all(json!(jobs).to_string().as_bytes()).await.expect("written");
    drop(stdin);
    let output = child.wait_with_output().await.expect("it ends");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("one answer for each job")
}

const FILES: [&str; 7] = [
    "README.md",
    "config.json",
    "deep/er/空.txt",
    "deep/weights.safetensors",
    "empty.txt",
    "model.safetensors",
    "tokenizer.json",
];

/// Path → bytes; what the seed makes of it.
fn contents(seed: u64) -> Vec<(&'static str, Vec<u8>)> {
    let random = Random::new(seed);
    let bytes = |path: &str| match path {
        "empty.txt" => Vec::new(),
        _ => (0..20 + random.below(3000)).map(|_| random.next().to_le_bytes()[0]).collect(),
    };
    FILES.iter().map(|path| (*path, bytes(path))).collect()
}

/// A signed folder, and the public key beside it.
struct Model {
    place: tempfile::TempDir,
    key: SigningKey,
    files: Vec<(&'static str, Vec<u8>)>,
}

impl Model {
    fn new(seed: u64) -> Self {
        let place = tempfile::tempdir().expect("temp dir");
        let model = Self { place, key: SigningKey::generate(&Random::new(seed)), files: contents(seed) };
        fs_err::write(model.public(), model.key.public().pem()).expect("written");
        model
    }

    fn public(&self) -> PathBuf {
        self.place.path().join("key.pub")
    }

    fn signature(&self, key: &SigningKey) -> String {
        sign(key, "model", self.files.iter().map(|(path, bytes)| (*path, Sha256::of(bytes))))
    }

    /// A fresh copy of the signed folder.
    fn copy(&self, name: &str) -> PathBuf {
        let folder = self.place.path().join(name).join("model");
        for (path, bytes) in &self.files {
            write(&folder.join(path), bytes);
        }
        write(&folder.join(SIGNATURE_FILE), self.signature(&self.key).as_bytes());
        folder
    }

    fn job(&self, folder: &Path) -> Value {
        json!({ "do": "verify", "folder": folder, "signature": folder.join(SIGNATURE_FILE), "key": self.public() })
    }
}

fn write(path: &Path, bytes: &[u8]) {
    fs_err::create_dir_all(path.parent().expect("in a folder")).expect("made");
    fs_err::write(path, bytes).expect("written");
}

fn edit_json(path: &Path, edit: impl FnOnce(&mut Value)) {
    let mut value = serde_json::from_slice(&fs_err::read(path).expect("there")).expect("JSON");
    edit(&mut value);
    fs_err::write(path, value.to_string()).expect("written");
}

/// Base64 of other bytes.
fn edit_base64(value: &mut Value, edit: impl FnOnce(&mut Vec<u8>)) {
    use base64::Engine as _;
    let engine = base64::engine::general_purpose::STANDARD;
    let mut bytes = engine.decode(value.as_str().expect("a text")).expect("Base64");
    edit(&mut bytes);
    *value = engine.encode(bytes).into();
}

/// Something that happens to a folder. Those in the first list leave the model as it was signed.
type Mutation = (&'static str, fn(&Model, &Path, &Random));

const HARMLESS: &[Mutation] = &[
    ("nothing", |_, _, _| {}),
    ("a download's cache", |_, folder, _| write(&folder.join(".cache/huggingface/download/x.lock"), b"x")),
    ("a repository", |_, folder, _| write(&folder.join(".git/HEAD"), b"ref: refs/heads/main\n")),
    ("the Hub's attributes", |_, folder, _| write(&folder.join(".gitattributes"), b"*.bin\n")),
    ("workflows", |_, folder, _| write(&folder.join(".github/workflows/a.yml"), b"on: push\n")),
    ("an ignore file", |_, folder, _| write(&folder.join(".gitignore"), b"x\n")),
    ("an empty folder", |_, folder, _| fs_err::create_dir_all(folder.join("empty")).expect("made")),
    ("the same bytes again", |model, folder, random| {
        let (path, bytes) = &model.files[random.below(FILES.len())];
        write(&folder.join(path), bytes);
    }),
    ("a bundle with other white space", |_, folder, _| edit_json(&folder.join(SIGNATURE_FILE), |_| {})),
];

const HARMFUL: &[Mutation] = &[
    ("a bit", |model, folder, random| {
        let filled: Vec<_> = model.files.iter().filter(|(_, bytes)| !bytes.is_empty()).collect();
        let (path, bytes) = filled[random.below(filled.len())];
        let mut bytes = bytes.clone();
        let at = random.below(bytes.len());
        bytes[at] ^= 1 << random.below(8);
        write(&folder.join(path), &bytes);
    }),
    ("a byte more", |model, folder, random| {
        let (path, bytes) = &model.files[random.below(FILES.len())];
        write(&folder.join(path), &[bytes.as_slice(), b"\n"].concat());
    }),
    ("cut short", |model, folder, random| {
        let filled: Vec<_> = model.files.iter().filter(|(_, bytes)| !bytes.is_empty()).collect();
        let (path, bytes) = filled[random.below(filled.len())];
        write(&folder.join(path), &bytes[..random.below(bytes.len())]);
    }),
    ("removed", |_, folder, random| {
        fs_err::remove_file(folder.join(FILES[random.below(FILES.len())])).expect("removed");
    }),
    ("renamed", |_, folder, random| {
        let path = folder.join(FILES[random.below(FILES.len())]);
        let name = format!("{}-{}", path.file_name().expect("a name").to_string_lossy(), random.below(100));
        fs_err::rename(&path, path.with_file_name(name)).expect("renamed");
    }),
    ("moved into a folder that is left out", |_, folder, random| {
        fs_err::create_dir_all(folder.join(".cache")).expect("made");
        let from = folder.join(FILES[random.below(FILES.len())]);
        fs_err::rename(from, folder.join(".cache/x")).expect("moved");
    }),
    ("swapped", |model, folder, random| {
        let first = random.below(FILES.len());
        let second = (first + 1 + random.below(FILES.len() - 1)) % FILES.len();
        write(&folder.join(FILES[first]), &model.files[second].1);
        write(&folder.join(FILES[second]), &model.files[first].1);
    }),
    ("added", |_, folder, random| write(&folder.join(format!("added-{}.bin", random.below(100))), b"new")),
    ("added below", |_, folder, random| write(&folder.join(format!("deep/{}/x", random.below(9))), b"new")),
    ("a copy", |model, folder, random| {
        write(&folder.join("copy"), &model.files[random.below(FILES.len())].1);
    }),
    ("a cache elsewhere", |_, folder, _| write(&folder.join("deep/.cache/x"), b"x")),
    ("a name like the cache", |_, folder, _| write(&folder.join(".cached"), b"x")),
    ("a link inside", |_, folder, random| link(FILES[random.below(3)], &folder.join("link"))),
    ("a link out", |_, folder, _| link("/etc/hostname", &folder.join("link"))),
    ("a link to nothing", |_, folder, _| link("nowhere", &folder.join("link"))),
    ("a link to a folder", |_, folder, _| link("deep", &folder.join("link"))),
    ("a link in a file's place", |_, folder, random| {
        let path = folder.join(FILES[random.below(2)]);
        fs_err::rename(&path, folder.join(".cache-of-links")).expect("moved");
        link(".cache-of-links", &path);
    }),
    ("another key", |model, folder, random| {
        let signature = model.signature(&SigningKey::generate(random));
        write(&folder.join(SIGNATURE_FILE), signature.as_bytes());
    }),
    ("another key under our name", |model, folder, random| {
        let other = SigningKey::generate(random);
        let signature = model.signature(&other).replace(&other.public().hint(), &model.key.public().hint());
        write(&folder.join(SIGNATURE_FILE), signature.as_bytes());
    }),
    ("a bit of the signature", |_, folder, random| {
        edit_json(&folder.join(SIGNATURE_FILE), |bundle| {
            edit_base64(&mut bundle["dsseEnvelope"]["signatures"][0]["sig"], |bytes| {
                let at = random.below(bytes.len());
                bytes[at] ^= 1 << random.below(8);
            });
        });
    }),
    ("a bit of the list", |_, folder, random| {
        edit_json(&folder.join(SIGNATURE_FILE), |bundle| {
            edit_base64(&mut bundle["dsseEnvelope"]["payload"], |bytes| {
                let at = random.below(bytes.len());
                bytes[at] ^= 1 << random.below(7);
            });
        });
    }),
    ("a list without a file", |_, folder, _| {
        edit_json(&folder.join(SIGNATURE_FILE), |bundle| {
            edit_base64(&mut bundle["dsseEnvelope"]["payload"], |bytes| {
                let mut list: Value = serde_json::from_slice(bytes).expect("JSON");
                list["predicate"]["resources"].as_array_mut().expect("a list").pop();
                *bytes = list.to_string().into_bytes();
            });
        });
    }),
    ("no signature in it", |_, folder, _| {
        edit_json(&folder.join(SIGNATURE_FILE), |bundle| bundle["dsseEnvelope"]["signatures"] = json!([]));
    }),
    ("another kind of bundle", |_, folder, _| {
        edit_json(&folder.join(SIGNATURE_FILE), |bundle| bundle["mediaType"] = json!("application/json"));
    }),
    ("another kind of payload", |_, folder, _| {
        edit_json(&folder.join(SIGNATURE_FILE), |bundle| {
            bundle["dsseEnvelope"]["payloadType"] = json!("text/plain");
        });
    }),
    ("a signature cut short", |_, folder, random| {
        let path = folder.join(SIGNATURE_FILE);
        let bytes = fs_err::read(&path).expect("there");
        write(&path, &bytes[..random.below(bytes.len())]);
    }),
];

fn link(target: &str, at: &Path) {
    fs_err::os::unix::fs::symlink(target, at).expect("linked");
}

/// Whether the official words name everything that ours do. Its verdict ends with the first link or broken signature.
fn named_alike(report: &Verification, words: &str) -> bool {
    // Python shows a text within a text with its quotes escaped.
    let words = words.replace("\\'", "'");
    let listed = |kind: &str, path: &str| words.split(kind).nth(1).is_some_and(|rest| rest.contains(path));
    report.problems.iter().all(|problem| match problem {
        Problem::Changed { path } => words.contains(&format!("Hash mismatch for '{path}'")),
        Problem::Missing { path } => words.contains("symlink") || listed("Missing files", path),
        Problem::Extra { path, .. } => words.contains("symlink") || listed("Extra files", path),
        Problem::Link { .. } => words.contains("symlink"),
        _ => true,
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn our_verdict_is_the_official_one_on_random_mutations() {
    let Some(python) = official().await else { return };
    let model = Model::new(1);
    let random = Random::new(2);
    let mut made = Vec::new();
    for number in 0..MUTATIONS + (HARMLESS.len() + HARMFUL.len()) as u64 {
        let at = usize::try_from(number).expect("small");
        let all: Vec<&Mutation> = HARMLESS.iter().chain(HARMFUL).collect();
        let (name, mutate) = all.get(at).copied().unwrap_or_else(|| all[random.below(all.len())]);
        let folder = model.copy(&number.to_string());
        mutate(&model, &folder, &random);
        made.push((*name, folder));
    }
    let jobs: Vec<Value> = made.iter().map(|(_, folder)| model.job(folder)).collect();
    let official = judged(&python, &jobs).await;
    assert_eq!(official.len(), made.len());
    let mut refused = 0;
    for ((name, folder), official) in made.iter().zip(official) {
        let ours = verify_folder(folder, Some(&model.key.public())).expect("signed");
        assert_eq!(ours.is_good(), official.is_none(), "{name}: {ours:?}, official: {official:?}");
        let harmless = HARMLESS.iter().any(|(harmless, _)| harmless == name);
        assert_eq!(ours.is_good(), harmless, "{name}: {ours:?}");
        if let Some(words) = official {
            refused += 1;
            assert!(named_alike(&ours, &words), "{name}: {ours:?}, official: {words}");
        }
    }
    assert!(refused > 150, "{refused}");
}

/// Single characters of the bundle's text: wherever the official library still says yes, what it read is what was signed.
#[tokio::test(flavor = "multi_thread")]
async fn a_bundle_that_the_official_library_refuses_is_never_accepted() {
    let Some(python) = official().await else { return };
    let model = Model::new(3);
    let random = Random::new(4);
    let folder = model.copy("text");
    let text = fs_err::read(folder.join(SIGNATURE_FILE)).expect("there");
    let mut jobs = Vec::new();
    for number in 0..200 {
        let mut text = text.clone();
        let at = random.below(text.len());
        text[at] = b' ' + u8::try_from(random.below(95)).expect("printable");
        let signature = model.place.path().join(format!("{number}.sig"));
        write(&signature, &text);
        jobs.push(json!({ "do": "verify", "folder": folder, "signature": signature, "key": model.public() }));
    }
    let official = judged(&python, &jobs).await;
    for (job, official) in jobs.iter().zip(official) {
        let signature = Path::new(job["signature"].as_str().expect("a path"));
        fs_err::copy(signature, folder.join(SIGNATURE_FILE)).expect("copied");
        let ours = verify_folder(&folder, Some(&model.key.public())).expect("signed");
        assert!(
            !ours.is_good() || official.is_none(),
            "{}: {ours:?}, official: {official:?}",
            signature.display()
        );
    }
}

/// The other way round: what the official library signs, with keys of both curves.
#[tokio::test(flavor = "multi_thread")]
async fn official_signatures_are_accepted_and_ours_of_both_curves_too() {
    let Some(python) = official().await else { return };
    let model = Model::new(5);
    let p256 = model.place.path().join("p256.pem");
    model.key.write_new(&p256).expect("written");
    let p384 = model.place.path().join("p384.pem");
    write(&p384, include_bytes!("../../server/hub/src/signature/tests/p384.pem"));
    for (name, private) in [("p256", p256), ("p384", p384)] {
        let key = SigningKey::from_pem(&fs_err::read_to_string(&private).expect("there")).expect("a key");
        let public = model.place.path().join(format!("{name}.pub"));
        write(&public, key.public().pem().as_bytes());
        let (theirs, ours) = (model.copy(&format!("{name}-theirs")), model.copy(&format!("{name}-ours")));
        write(&ours.join(SIGNATURE_FILE), model.signature(&key).as_bytes());
        let jobs = [
            json!({ "do": "sign", "folder": theirs, "signature": theirs.join(SIGNATURE_FILE), "key": private }),
            json!({ "do": "verify", "folder": theirs, "signature": theirs.join(SIGNATURE_FILE), "key": public }),
            json!({ "do": "verify", "folder": ours, "signature": ours.join(SIGNATURE_FILE), "key": public }),
        ];
        assert_eq!(judged(&python, &jobs).await, [None, None, None], "{name}");
        let report = verify_folder(&theirs, Some(&key.public())).expect("signed");
        assert!(report.is_good() && report.good == FILES.len(), "{name}: {report:?}");
    }
}

/// A release as it reaches a reader: signed, published, and downloaded by the official client with its cache beside it.
#[tokio::test(flavor = "multi_thread")]
async fn a_download_by_the_official_client_verifies() {
    let (Some(client), Some(python)) = (OfficialClient::find().await, official().await) else { return };
    for xet in [false, true] {
        let hub = HubDouble::start(HubOptions { xet, ..HubOptions::default() }).await;
        let mut release = Release::new();
        let key = SigningKey::generate(&Random::new(6));
        release.bundle.sign(&key);
        release.publish(&hub, WRITER).await.expect("published");

        let place = tempfile::tempdir().expect("temp dir");
        let folder = place.path().join("mini");
        let path = folder.display().to_string();
        let files = client.run(xet, &["fetch", hub.endpoint(), "", REPO, "v1.0", &path]).await;
        let cached = |file: &Value| file.as_str().is_some_and(|file| file.starts_with(".cache/huggingface/"));
        assert!(files.as_array().expect("a list").iter().any(cached), "{files}");

        let public = place.path().join("key.pub");
        write(&public, key.public().pem().as_bytes());
        let report = verify_folder(&folder, Some(&PublicKey::read(&public).expect("a key"))).expect("signed");
        assert!(report.is_good(), "{report:?}");
        assert_eq!(report.listed, release.bundle.files.len() - 1, "all but the signature itself");
        assert!(verify_folder(&folder, None).expect("signed").is_good(), "by the key beside it");
        let job = |folder: &Path| json!({ "do": "verify", "folder": folder, "signature": folder.join(SIGNATURE_FILE), "key": public });
        assert_eq!(judged(&python, &[job(&folder)]).await, [None]);

        let mut weights = fs_err::read(folder.join("model.safetensors")).expect("there");
        weights[1_000_000] ^= 1;
        write(&folder.join("model.safetensors"), &weights);
        fs_err::remove_file(folder.join(PUBLIC_KEY_FILE)).expect("removed");
        let report = verify_folder(&folder, Some(&key.public())).expect("signed");
        let changed = Problem::Changed { path: "model.safetensors".to_owned() };
        assert_eq!(report.problems, [changed, Problem::Missing { path: PUBLIC_KEY_FILE.to_owned() }]);
        assert!(judged(&python, &[job(&folder)]).await[0].is_some());
    }
}

/// A publication that was cut off makes the same signature again: nothing is committed twice.
#[tokio::test(flavor = "multi_thread")]
async fn a_resumed_publication_makes_the_same_signature() {
    let hub = HubDouble::start(HubOptions::default()).await;
    let key = SigningKey::generate(&Random::new(7));
    let mut release = Release::new();
    release.bundle.sign(&key);
    let first = release.publish(&hub, WRITER).await.expect("published");
    release.bundle.sign(&key);
    assert_eq!(release.publish(&hub, WRITER).await.expect("found"), first);
    assert_eq!(hub.commits(REPO, "main").len(), 2);
}
