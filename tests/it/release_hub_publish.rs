//! Publishing to the Hub double: what arrives, through which requests, and what the official client gets back.

use sekisho_domain::lineage::{Gating, Visibility};
use sekisho_hub::{BundleFile, Existing, Step};
use tests::hub_double::{Call, Fault, HubDouble, HubOptions, WRITER};
use tests::official_client::OfficialClient;
use tests::publication::{REPO, Recorder, Release, WEIGHTS, Watched, no_progress};

/// No request may be longer, streamed uploads of large files apart.
const LONGEST_BODY: u64 = 16_000_000;

const BASIC: HubOptions = HubOptions::PLAIN;
const PARTED: HubOptions = HubOptions { part: 1 << 20, page: 2, ..BASIC };
const XET: HubOptions = HubOptions { xet: true, ..BASIC };

#[tokio::test(flavor = "multi_thread")]
async fn a_release_arrives_through_lfs() {
    let hub = arrives(BASIC).await;
    assert_eq!((hub.count(Call::LfsPut), hub.count(Call::LfsVerify)), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_arrives_through_lfs_in_parts() {
    let hub = arrives(PARTED).await;
    assert_eq!((hub.count(Call::LfsPut), hub.count(Call::LfsVerify)), (3, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_arrives_through_xet() {
    let hub = arrives(XET).await;
    assert_eq!(hub.count(Call::LfsPut), 0);
    assert_eq!(hub.telemetry(), Vec::<serde_json::Value>::new());
}

async fn arrives(options: HubOptions) -> HubDouble {
    let hub = HubDouble::start(options).await;
    let release = Release::new();
    let (journal, watched) = (Recorder::default(), Watched::default());
    let publisher = release.publisher(&hub, WRITER);
    let published =
        publisher.publish(&release.bundle, &journal, watched.progress()).await.expect("published");

    assert_eq!(hub.commits(REPO, "main").len(), 2, "the Hub's own and ours");
    assert_eq!(hub.commits(REPO, "main")[0], published.commit);
    assert_eq!(hub.tags(REPO), [("v1.0".to_owned(), published.commit.clone())]);
    assert_eq!(hub.is_private(REPO), Some(false));
    assert_eq!(published.url, format!("{}/{REPO}", hub.endpoint()));
    for file in &release.bundle.files {
        let there = hub.bytes(REPO, "main", &file.path).expect("published");
        assert_eq!(sekisho_domain::Sha256::of(there), file.sha256, "{}", file.path);
    }
    assert_eq!(hub.paths(REPO, "main").len(), release.bundle.files.len() + 1, ".gitattributes");

    let total: u64 = release.bundle.files.iter().map(|file| file.size).sum();
    assert_eq!(watched.seen(), (total, total));
    let steps: Vec<_> =
        Step::ALL.iter().flat_map(|step| [format!("intended {step}"), format!("done {step}")]).collect();
    let lines: Vec<_> =
        journal.lines().iter().map(|line| line.split(':').next().unwrap_or_default().to_owned()).collect();
    assert_eq!(lines, steps);
    for request in hub.log() {
        assert!(request.call == Call::LfsPut || request.body <= LONGEST_BODY, "{request:?}");
        let bare = matches!(request.call, Call::LfsPut | Call::LfsComplete | Call::Download);
        assert!(
            request.token != bare,
            "the token goes to the Hub alone, and to look from outside to nobody: {request:?}"
        );
    }

    if let Some(client) = OfficialClient::find().await {
        for xet in [options.xet, false] {
            let mut files = client.download(xet, hub.endpoint(), "", REPO, "v1.0").await;
            files.remove(".gitattributes");
            assert_eq!(files, release.digests());
        }
    }
    hub
}

/// A shard larger than the bound on requests: it is streamed, whatever the mode, and never becomes part of a commit.
#[tokio::test(flavor = "multi_thread")]
async fn a_large_shard_never_travels_inside_a_request() {
    for options in [BASIC, XET] {
        let hub = HubDouble::start(options).await;
        let mut release = Release::new();
        let shard = vec![7; 20_000_000];
        release.bundle.files.push(BundleFile::memory("model-00002-of-00002.safetensors", shard));
        release.publish(&hub, WRITER).await.expect("published");
        let longest =
            hub.log().into_iter().filter(|request| request.call != Call::LfsPut).map(|request| request.body);
        assert!(longest.max() < Some(LONGEST_BODY));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_finished_publication_is_not_repeated() {
    let hub = HubDouble::start(BASIC).await;
    let release = Release::new();
    let first = release.publish(&hub, WRITER).await.expect("published");
    let (commits, puts) = (hub.count(Call::Commit), hub.count(Call::LfsPut));
    let second = release.publish(&hub, WRITER).await.expect("found as published");
    assert_eq!(first, second);
    assert_eq!((hub.count(Call::Commit), hub.count(Call::LfsPut)), (commits, puts));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_update_sends_what_changed_and_removes_what_went() {
    let hub = HubDouble::start(BASIC).await;
    let mut release = Release::new();
    let first = release.publish(&hub, WRITER).await.expect("published");
    release.bundle.files.retain(|file| file.path != "evals/ja/結果.json");
    release.bundle.files[1] = BundleFile::memory("config.json", *b"{ }");
    release.bundle.tag = Some("v1.1".to_owned());
    let error = release.publish(&hub, WRITER).await.expect_err("an update must be asked for");
    assert_eq!(error.code(), "hub-already-public");

    release.bundle.existing = Existing::Update;
    let second = release.publish(&hub, WRITER).await.expect("published");
    assert_eq!(
        hub.paths(REPO, "main"),
        [".gitattributes", "README.md", "config.json", "empty.txt", "model.safetensors"]
    );
    assert_eq!(hub.count(Call::LfsPut), 1, "the weights were there");
    assert_eq!(hub.tags(REPO), [("v1.0".to_owned(), first.commit), ("v1.1".to_owned(), second.commit)]);
}

/// What goes into a public repository can be seen with the commit: its gate is closed before a byte is sent.
#[tokio::test(flavor = "multi_thread")]
async fn a_gate_is_closed_before_anything_goes_into_a_public_repository() {
    let hub = HubDouble::start(BASIC).await;
    let mut release = Release::new();
    release.publish(&hub, WRITER).await.expect("published");
    let before = hub.log().len();
    release.bundle.files[1] = BundleFile::memory("config.json", *b"{ }");
    release.bundle.tag = None;
    release.bundle.gating = Gating::Manual;
    release.bundle.existing = Existing::Update;
    release.publish(&hub, WRITER).await.expect("published");
    let calls: Vec<Call> = hub.log().into_iter().skip(before).map(|logged| logged.call).collect();
    let first = |call: Call| calls.iter().position(|known| *known == call).expect("called");
    assert!(first(Call::Settings) < first(Call::Preupload), "{calls:?}");
    assert_eq!(hub.gating(REPO), "manual");
}

#[tokio::test(flavor = "multi_thread")]
async fn another_branch_of_our_public_repository_is_new_ground() {
    let hub = HubDouble::start(BASIC).await;
    let mut release = Release::new();
    release.publish(&hub, WRITER).await.expect("published");
    release.bundle.revision = "beta".to_owned();
    release.bundle.tag = None;
    release.bundle.files.remove(2);
    assert_eq!(release.publish(&hub, WRITER).await.expect_err("refused").code(), "hub-already-public");
    release.bundle.existing = Existing::Beside;
    release.publish(&hub, WRITER).await.expect("published");
    assert!(
        !hub.paths(REPO, "beta").contains(&"evals/ja/結果.json".to_owned()),
        "main's files are no part of it"
    );
    assert_eq!(hub.paths(REPO, "main").len(), 6, "main is untouched");
    // What is on the branch now is not ours any more for a bundle that was never published there.
    release.bundle.files[1] = BundleFile::memory("config.json", *b"{ }");
    assert_eq!(release.publish(&hub, WRITER).await.expect_err("refused").code(), "hub-already-public");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revision_of_its_own_gating_and_privacy_are_kept() {
    let hub = HubDouble::start(XET).await;
    let mut release = Release::new();
    release.bundle.revision = "step-000200/beta".to_owned();
    release.bundle.gating = Gating::Manual;
    release.bundle.visibility = Visibility::Private;
    release.bundle.tag = None;
    let published = release.publish(&hub, WRITER).await.expect("published");
    assert_eq!(hub.commits(REPO, "main").len(), 1, "main is untouched");
    assert_eq!(hub.commits(REPO, "step-000200/beta")[0], published.commit);
    assert_eq!((hub.is_private(REPO), hub.gating(REPO).as_str()), (Some(true), "manual"));
    assert!(hub.tags(REPO).is_empty());
    assert!(published.url.ends_with("/lab/mini/tree/step-000200/beta"), "{}", published.url);
}

/// Errors that pass are waited out: a busy Hub, a storage that stumbles, a commit that did not happen.
#[tokio::test(flavor = "multi_thread")]
async fn passing_errors_do_not_stop_a_publication() {
    let hub = HubDouble::start(PARTED).await;
    for (call, status) in [
        (Call::WhoAmI, 503),
        (Call::Info, 429),
        (Call::Preupload, 502),
        (Call::LfsBatch, 500),
        (Call::LfsPut, 503),
        (Call::LfsPut, 408),
        (Call::LfsVerify, 504),
        (Call::Commit, 503),
        (Call::Commit, 429),
        (Call::Tree, 500),
        (Call::Tag, 500),
        (Call::Settings, 503),
    ] {
        hub.inject(call, Fault::Status(status));
    }
    let release = Release::new();
    release.publish(&hub, WRITER).await.expect("published");
    assert_eq!(hub.commits(REPO, "main").len(), 2);
    let weights = hub.bytes(REPO, "main", "model.safetensors").expect("published");
    assert_eq!(weights.len(), WEIGHTS);
}

/// A Hub that did what was asked and answers 500 all the same, as huggingface/datasets#7708 tells of commits.
#[tokio::test(flavor = "multi_thread")]
async fn a_lost_answer_is_found_on_the_hub() {
    for options in [BASIC, XET] {
        let hub = HubDouble::start(options).await;
        for call in [Call::Create, Call::Branch, Call::LfsPut, Call::Commit, Call::Tag, Call::Settings] {
            hub.inject(call, Fault::LostResponse);
        }
        let release = Release::new();
        let journal = Recorder::default();
        let publisher = release.publisher(&hub, WRITER);
        let published = publisher.publish(&release.bundle, &journal, no_progress()).await.expect("published");
        assert_eq!(hub.count(Call::Commit), 1, "not sent again");
        assert_eq!(hub.commits(REPO, "main")[0], published.commit);
        assert_eq!(hub.commits(REPO, "main").len(), 2);
        assert_eq!(hub.tags(REPO).len(), 1);
        let found =
            journal.lines().into_iter().find(|line| line.starts_with("done commit")).expect("recorded");
        assert!(found.contains("found after"), "{found}");
    }
}
