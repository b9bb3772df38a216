//! What the publisher refuses, when, and in which words. Nothing is uploaded, nothing becomes public.

use sekisho_hub::{BundleFile, HubConfig, PublishError, Publisher, Token};
use tests::hub_double::{Call, Fault, HubDouble, HubOptions, OUTSIDER, READER, WRITER};
use tests::publication::{REPO, Release, config};

async fn refused(hub: &HubDouble, release: &Release, token: &str) -> PublishError {
    let error = release.publish(hub, token).await.expect_err("refused");
    for secret in [WRITER, READER, OUTSIDER, "signature"] {
        assert!(!error.to_string().contains(secret) && !error.ja().contains(secret), "{error}");
        assert!(!format!("{error:?}").contains(secret), "{error:?}");
    }
    error
}

/// No byte of a file has left this machine, not even the samples of the preupload.
fn nothing_sent(hub: &HubDouble) {
    for call in [Call::Preupload, Call::LfsPut, Call::XetToken, Call::Commit, Call::Settings] {
        assert_eq!(hub.count(call), 0, "{call:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_without_write_right_is_refused_before_anything_is_made() {
    let hub = HubDouble::start(HubOptions::default()).await;
    let release = Release::new();
    for token in [READER, OUTSIDER] {
        let error = refused(&hub, &release, token).await;
        assert_eq!(error.code(), "hub-forbidden");
        assert_eq!(
            error.to_string(),
            "The Hub token may not write to lab/mini. Nothing was uploaded. Set a token with write access to lab."
        );
        assert_eq!(
            error.ja(),
            "Hubのトークンに lab/mini への書き込み権限がありません。アップロードは開始していません。lab のwrite権限を持つトークンを設定してください。"
        );
    }
    let error = refused(&hub, &release, "hf_unknown").await;
    assert_eq!(error.code(), "hub-token");
    assert_eq!(hub.is_private(REPO), None, "not created");
    nothing_sent(&hub);
}

/// 401 and 403 at any call before the first byte are the same two sentences.
#[tokio::test(flavor = "multi_thread")]
async fn a_right_that_is_denied_later_is_said_in_the_same_words() {
    for (call, status, code) in [
        (Call::WhoAmI, 401, "hub-token"),
        (Call::Create, 403, "hub-forbidden"),
        (Call::Info, 403, "hub-forbidden"),
        (Call::Preupload, 403, "hub-forbidden"),
        (Call::LfsBatch, 401, "hub-token"),
        (Call::LfsPut, 403, "hub-object"),
        (Call::LfsVerify, 422, "hub-object"),
        (Call::Commit, 403, "hub-answer"),
        (Call::Settings, 403, "hub-answer"),
    ] {
        let hub = HubDouble::start(HubOptions::default()).await;
        hub.inject(call, Fault::Status(status));
        let error = refused(&hub, &Release::new(), WRITER).await;
        assert_eq!(error.code(), code, "{call:?} {status}: {error}");
        assert_ne!(hub.is_private(REPO), Some(false), "{call:?}: never public");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_must_be_allowed() {
    let elsewhere = HubConfig {
        allow: vec!["https://huggingface.co".to_owned()],
        ..config("http://127.0.0.1:9", WRITER, std::path::Path::new("unused"))
    };
    let error = Publisher::new(&elsewhere).err().expect("refused");
    assert_eq!(error.code(), "hub-endpoint");
    let unusable = HubConfig {
        token: Token::new("hf\nx"),
        ..config("http://127.0.0.1:9", WRITER, std::path::Path::new("unused"))
    };
    assert_eq!(Publisher::new(&unusable).err().expect("refused").code(), "hub-token");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_public_repository_is_not_written_to() {
    let hub = HubDouble::start(HubOptions::default()).await;
    hub.add_repo(REPO, false, None);
    let error = refused(&hub, &Release::new(), WRITER).await;
    assert_eq!(error.code(), "hub-already-public");
    nothing_sent(&hub);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hub_that_ignores_private_gets_no_byte() {
    for xet in [false, true] {
        let hub = HubDouble::start(HubOptions { xet, ignores_private: true, ..HubOptions::default() }).await;
        let error = refused(&hub, &Release::new(), WRITER).await;
        assert_eq!(error.code(), "hub-not-private");
        nothing_sent(&hub);
        assert_eq!(hub.stored_objects(), 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn files_of_somebody_else_are_left_alone() {
    let hub = HubDouble::start(HubOptions::default()).await;
    hub.add_repo(REPO, true, Some(("notes.md", b"mine\n")));
    let error = refused(&hub, &Release::new(), WRITER).await;
    assert_eq!(error.code(), "hub-foreign-files");
    assert!(error.to_string().contains("notes.md"), "{error}");
    nothing_sent(&hub);
}

/// The race that a parent commit is for: somebody commits between the look at the head and the commit.
#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_commit_stops_the_publication() {
    for (xet, call) in [(false, Call::Commit), (true, Call::Commit), (false, Call::Preupload)] {
        let hub = HubDouble::start(HubOptions { xet, ..HubOptions::default() }).await;
        hub.inject(call, Fault::ForeignCommit(REPO.to_owned()));
        let release = Release::new();
        let error = refused(&hub, &release, WRITER).await;
        assert_eq!(error.code(), "hub-overtaken");
        let head = hub.commits(REPO, "main").remove(0);
        assert!(error.to_string().contains(&head), "{error}");
        assert_eq!(hub.paths(REPO, "main"), [".gitattributes", "foreign.txt"], "nothing was overwritten");
        assert_eq!(hub.is_private(REPO), Some(true));
        assert_eq!(
            refused(&hub, &release, WRITER).await.code(),
            "hub-foreign-files",
            "and a person must decide"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_corrupted_object_is_caught_before_the_world_sees_it() {
    for path in ["model.safetensors", "config.json"] {
        for xet in [false, true] {
            let hub = HubDouble::start(HubOptions { xet, ..HubOptions::default() }).await;
            hub.inject(Call::Commit, Fault::Corrupt(REPO.to_owned(), path.to_owned()));
            let error = refused(&hub, &Release::new(), WRITER).await;
            assert_eq!(error.code(), "hub-differs");
            assert!(error.to_string().contains(path), "{error}");
            assert_eq!(hub.is_private(REPO), Some(true));
            assert!(hub.tags(REPO).is_empty());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn files_that_are_not_the_approved_ones_stay_here() {
    let hub = HubDouble::start(HubOptions::default()).await;
    let release = Release::new();
    let mut weights = fs_err::read(release.weights()).expect("written before");
    weights[1_234_567] ^= 1;
    fs_err::write(release.weights(), weights).expect("written");
    let error = refused(&hub, &release, WRITER).await;
    assert_eq!(error.code(), "hub-file-changed");
    assert!(error.to_string().contains("model.safetensors"), "{error}");
    assert_eq!(hub.is_private(REPO), None, "not created");
    nothing_sent(&hub);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_card_that_the_hub_cannot_read_is_refused_first() {
    let hub = HubDouble::start(HubOptions::default()).await;
    let mut release = Release::new();
    release.bundle.files[0] = BundleFile::memory("README.md", *b"---\nlicense: mit\n");
    let error = refused(&hub, &release, WRITER).await;
    assert_eq!(error.code(), "hub-card");
    assert!(error.to_string().contains("the metadata does not end"), "{error}");
    nothing_sent(&hub);
}

/// `hf-xet` would take `local://` as a folder of this machine to write to.
#[tokio::test(flavor = "multi_thread")]
async fn an_unsafe_storage_address_is_not_followed() {
    for storage in ["local:///tmp/sekisho-must-not-appear", "http://storage.example.org/x?signature=secret"] {
        let hub =
            HubDouble::start(HubOptions { xet: true, false_storage: Some(storage), ..HubOptions::default() })
                .await;
        let error = refused(&hub, &Release::new(), WRITER).await;
        assert_eq!(error.code(), "hub-address");
        assert_eq!(hub.count(Call::Commit), 0);
    }
    assert!(!std::path::Path::new("/tmp/sekisho-must-not-appear").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn too_many_bytes_for_one_commit_are_refused() {
    let hub = HubDouble::start(HubOptions::default()).await;
    let mut release = Release::new();
    for name in ["tokenizer.json", "vocabulary.json"] {
        release.bundle.files.push(BundleFile::memory(name, vec![b' '; 7_000_000]));
    }
    let error = refused(&hub, &release, WRITER).await;
    assert_eq!(error.code(), "hub-inline");
    assert_eq!((hub.count(Call::LfsPut), hub.count(Call::Commit)), (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tag_is_never_moved() {
    let hub = HubDouble::start(HubOptions::default()).await;
    let mut release = Release::new();
    let first = release.publish(&hub, WRITER).await.expect("published");
    release.bundle.existing = sekisho_hub::Existing::Update;
    release.bundle.files[1] = BundleFile::memory("config.json", *b"{ }");
    let error = refused(&hub, &release, WRITER).await;
    assert_eq!(error.code(), "hub-tag");
    assert_eq!(hub.commits(REPO, "main").len(), 2, "found before anything was committed");
    assert_eq!(hub.tags(REPO), [("v1.0".to_owned(), first.commit)]);
}
