use std::os::unix::fs::PermissionsExt as _;

use sekisho_domain::{Entropy, Sha256};

use super::{
    IGNORED, KeySource, Problem, PublicKey, SIGNATURE_FILE, SigningKey, envelope, sign, verify_files,
    verify_folder,
};
use crate::{Bundle, BundleFile, Existing};

/// The private key 1 to 32, which is a key like any other.
struct Counter;

impl Entropy for Counter {
    fn fill(&self, bytes: &mut [u8]) {
        bytes.iter_mut().zip(1..).for_each(|(byte, n)| *byte = n);
    }
}

fn key() -> SigningKey {
    SigningKey::generate(&Counter)
}

/// `openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-384`
const P384: &str = include_str!("tests/p384.pem");
/// `openssl ecparam -name prime256v1 -genkey`, with the block that names the curve.
const SEC1: &str = include_str!("tests/sec1.pem");
/// Its public half by `openssl ec -pubout`.
const SEC1_PUBLIC: &str = include_str!("tests/sec1.pub");

fn files() -> Vec<(String, Sha256)> {
    let paths = ["README.md", "config.json", "deep/er/空.txt", "model.safetensors"];
    paths.iter().map(|path| ((*path).to_owned(), Sha256::of(path))).collect()
}

fn signed(key: &SigningKey, files: &[(String, Sha256)]) -> String {
    sign(key, "mini", files.iter().map(|(path, digest)| (path.as_str(), *digest)))
}

#[test]
fn the_same_files_give_the_same_signature_in_any_order() {
    let files = files();
    let mut turned = files.clone();
    turned.reverse();
    assert_eq!(signed(&key(), &files), signed(&key(), &turned));
    assert_ne!(signed(&key(), &files), signed(&SigningKey::from_pem(SEC1).expect("a key"), &files));
}

#[test]
fn a_key_is_read_as_openssl_writes_it_and_never_shown() {
    for pem in [SEC1, P384] {
        let key = SigningKey::from_pem(pem).expect("a key");
        let report = verify_files(&signed(&key, &files()), &files(), &key.public());
        assert!(report.is_good(), "{report:?}");
        assert_eq!((report.listed, report.good, report.hint), (4, 4, key.public().hint()));
        let body: String = pem.lines().filter(|line| !line.contains("-----")).collect();
        assert!(!body.is_empty() && !format!("{key:?}").contains(&body[..16]), "{key:?}");
    }
    let public = SigningKey::from_pem(SEC1).expect("a key").public();
    assert_eq!(public.pem(), SEC1_PUBLIC, "as openssl writes it: the hint is a digest of this text");
    assert_eq!(PublicKey::from_pem(SEC1_PUBLIC), Ok(public));
    for (text, why) in [
        ("", "no PEM"),
        ("-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n", "encrypted"),
        (SEC1_PUBLIC, "no PEM private key"),
        ("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", "broken"),
    ] {
        let error = SigningKey::from_pem(text).map(drop).expect_err("refused");
        assert!(error.contains(why), "{error}");
    }
    assert!(PublicKey::from_pem(SEC1).is_err());
}

#[test]
fn a_key_file_that_others_may_read_is_refused() {
    let folder = tempfile::tempdir().expect("temp dir");
    let path = folder.path().join("key.pem");
    key().write_new(&path).expect("written");
    assert_eq!(SigningKey::read(&path).expect("its owner's alone").public(), key().public());
    assert_eq!(key().write_new(&path).expect_err("never overwritten").code(), "signature-file");
    for mode in [0o640, 0o604, 0o660] {
        fs_err::set_permissions(&path, std::fs::Permissions::from_mode(mode)).expect("set");
        let error = SigningKey::read(&path).expect_err("refused");
        assert_eq!(error.code(), "signature-key-open");
        assert!(error.to_string().contains(&format!("mode {mode:o}")) && error.ja().contains("chmod 600"));
    }
}

#[test]
fn what_the_hub_and_a_download_add_is_not_signed() {
    let mut more = files();
    for path in
        [".gitattributes", ".cache/huggingface/x", ".git/HEAD", "model.sig", ".github/a", ".gitignore"]
    {
        more.push((path.to_owned(), Sha256::of("x")));
    }
    assert_eq!(signed(&key(), &more), signed(&key(), &files()));
    assert!(verify_files(&signed(&key(), &files()), &more, &key().public()).is_good());
    // Only in the root, and only whole names.
    for path in ["deep/.cache/x", ".cached", ".gitattributes2"] {
        let mut more = files();
        more.push((path.to_owned(), Sha256::of("x")));
        assert!(!verify_files(&signed(&key(), &files()), &more, &key().public()).is_good(), "{path}");
    }
    assert!(IGNORED.contains(&SIGNATURE_FILE));
}

#[test]
fn every_kind_of_wrong_is_named() {
    let (key, files) = (key(), files());
    let signature = signed(&key, &files);
    let judged =
        |signature: &str, files: &[(String, Sha256)]| verify_files(signature, files, &key.public()).problems;
    let mut changed = files.clone();
    changed[1].1 = Sha256::of("other");
    assert_eq!(judged(&signature, &changed), [Problem::Changed { path: "config.json".to_owned() }]);
    assert_eq!(judged(&signature, &files[1..]), [Problem::Missing { path: "README.md".to_owned() }]);
    let mut renamed = files.clone();
    renamed[3].0 = "weights.safetensors".to_owned();
    let [Problem::Missing { .. }, Problem::Extra { renamed_from: Some(old), .. }] =
        &judged(&signature, &renamed)[..]
    else {
        panic!("{:?}", judged(&signature, &renamed));
    };
    assert_eq!(old, "model.safetensors");

    let other = SigningKey::from_pem(SEC1).expect("a key");
    let by_other = verify_files(&signed(&other, &files), &files, &key.public());
    assert_eq!(by_other.problems, [Problem::OtherKey { named: other.public().hint() }]);
    // Somebody who puts our hint on a signature of their own.
    let forged = signed(&other, &files).replace(&other.public().hint(), &key.public().hint());
    assert_eq!(judged(&forged, &files), [Problem::Invalid]);
    for broken in ["", "{}", &signature[..signature.len() - 9], &signature.replace("v0.3", "v0.2")] {
        assert!(matches!(judged(broken, &files)[..], [Problem::Malformed { .. }]), "{broken}");
    }
    for problem in judged(&signature, &renamed).iter().chain(&judged("", &files)) {
        let text = problem.text();
        assert!(text.en.ends_with('.') && text.ja.ends_with('。'), "{text:?}");
    }
}

/// A list that the key did sign, but that says two things.
#[test]
fn a_signed_list_must_be_sound() {
    let key = key();
    let with = |edit: &dyn Fn(&mut serde_json::Value)| {
        let payload = envelope::open(&signed(&key, &files())).expect("a bundle").payload;
        let mut statement: serde_json::Value = serde_json::from_slice(&payload).expect("JSON");
        edit(&mut statement);
        let payload = statement.to_string();
        let signature = key.sign(&envelope::to_sign(payload.as_bytes()));
        verify_files(&envelope::text(&key.public().hint(), &payload, &signature), &files(), &key.public())
    };
    assert!(with(&|_| {}).is_good());
    let edits: [(&str, &dyn Fn(&mut serde_json::Value)); 5] = [
        ("subject", &|s| s["subject"][0]["digest"]["sha256"] = "00".into()),
        ("exactly one", &|s| s["subject"] = serde_json::json!([])),
        ("twice", &|s| {
            let first = s["predicate"]["resources"][0]["name"].clone();
            s["predicate"]["resources"][1]["name"] = first;
        }),
        ("shards", &|s| s["predicate"]["serialization"]["method"] = "shards".into()),
        ("kind", &|s| s["predicateType"] = "https://slsa.dev/provenance/v1".into()),
    ];
    for (word, edit) in edits {
        let report = with(edit);
        assert!(
            matches!(&report.problems[..], [Problem::Malformed { reason }] if reason.contains(word)),
            "{word}: {report:?}"
        );
    }
}

#[test]
fn a_folder_is_judged_by_the_key_in_it_and_links_are_refused() {
    let folder = tempfile::tempdir().expect("temp dir");
    let root = folder.path().join("model");
    fs_err::create_dir_all(root.join("deep")).expect("made");
    let mut bundle = Bundle {
        repo: "lab/mini".to_owned(),
        revision: "main".to_owned(),
        files: vec![BundleFile::memory("README.md", *b"hello\n"), BundleFile::memory("deep/a", *b"a")],
        visibility: sekisho_domain::lineage::Visibility::Private,
        gating: sekisho_domain::lineage::Gating::None,
        tag: None,
        message: "m".to_owned(),
        existing: Existing::Refuse,
    };
    assert_eq!(verify_folder(&root, None).expect_err("unsigned").code(), "signature-no-key");
    assert_eq!(
        verify_folder(&root, Some(&key().public())).expect_err("unsigned").code(),
        "signature-missing"
    );
    bundle.sign(&key());
    bundle.sign(&key());
    assert_eq!(bundle.files.len(), 4, "signed once");
    for file in &bundle.files {
        let crate::Source::Bytes(bytes) = &file.source else { panic!("in memory") };
        fs_err::write(root.join(&file.path), bytes).expect("written");
    }
    let report = verify_folder(&root, None).expect("signed");
    assert!(report.is_good(), "{report:?}");
    assert_eq!((report.key, report.listed, report.good), (KeySource::Folder, 3, 3));
    assert!(report.summary().en.contains("The key came with the files"), "{:?}", report.summary());

    fs_err::create_dir_all(root.join(".cache")).expect("made");
    fs_err::os::unix::fs::symlink("/etc/passwd", root.join(".cache/link")).expect("linked");
    assert!(verify_folder(&root, None).expect("signed").is_good(), "the cache is no part of it");
    for (target, leaves) in [("README.md", false), ("/etc/passwd", true), ("nowhere", true), ("..", true)] {
        let link = root.join("link");
        fs_err::os::unix::fs::symlink(target, &link).expect("linked");
        let report = verify_folder(&root, None).expect("signed");
        assert_eq!(report.problems, [Problem::Link { path: "link".to_owned(), leaves }], "{target}");
        fs_err::remove_file(link).expect("removed");
    }
    // A listed file in whose place a link stands is told once.
    fs_err::remove_file(root.join("README.md")).expect("removed");
    fs_err::os::unix::fs::symlink("deep/a", root.join("README.md")).expect("linked");
    let report = verify_folder(&root, None).expect("signed");
    assert_eq!(report.problems, [Problem::Link { path: "README.md".to_owned(), leaves: false }]);
    assert_eq!((report.good, report.listed), (2, 3));
}
