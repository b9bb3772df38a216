//! The Hub double judged by the official client: a life of a repository, in both storage modes. The same life lived through our
//! publisher, with the same things seen.

use sekisho_domain::lineage::{Gating, Visibility};
use sekisho_hub::{Bundle, BundleFile, CardRevision, Existing, PublishError};
use serde_json::{Value, json};
use tests::hub_double::{Call, Fault, HubDouble, HubOptions, WRITER};
use tests::official_client::OfficialClient;
use tests::publication::{Recorder, Release, no_progress};

#[tokio::test(flavor = "multi_thread")]
async fn the_official_client_lives_with_the_double_through_lfs() {
    life(HubOptions { part: 1 << 20, page: 2, ..HubOptions::default() }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_official_client_lives_with_the_double_through_xet() {
    life(HubOptions { xet: true, ..HubOptions::default() }).await;
}

async fn life(options: HubOptions) {
    let Some(client) = OfficialClient::find().await else { return };
    let hub = HubDouble::start(options).await;
    let mut seen = client.run(options.xet, &["scenario", hub.endpoint(), WRITER, "lab/m"]).await;
    seen["client"].take();
    let expected = json!({
        "client": null,
        "whoami": "sekisho-bot",
        "url": format!("{}/lab/m", hub.endpoint()),
        "create_again": 409,
        "private": true,
        "anonymous": 401,
        "stranger": 401,
        "upload_again_moves": false,
        "stale_parent": 412,
        "broken_card": "refused",
        "tag_again": 409,
        "branch_again": 409,
        "branches": ["main", "release/next"],
        "tags": { "v1": true },
        "commits": ["weights", "Upload README.md with huggingface_hub", "initial commit"],
        "tree": [
            ".gitattributes", "README.md", "config.json", "deep", "deep/er", "deep/er/空.txt", "model.safetensors"
        ],
        "lfs": true,
        "xet": options.xet,
        "paths_info": 3_000_017,
        "download_equal": true,
        "missing_file": 404,
        "missing_revision": 404,
        "settings": [false, "manual"],
        "gated_download": 401,
        "after_deletion": [".gitattributes", "README.md", "model.safetensors"],
        "moved": true,
        "deleted": true,
    });
    assert_eq!(seen, expected);
    let parts = if options.xet { 0 } else { 3 };
    assert_eq!(hub.count(Call::LfsPut), parts, "{:?}", hub.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn our_publisher_lives_the_same_life_through_lfs() {
    our_life(HubOptions { part: 1 << 20, page: 2, ..HubOptions::default() }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn our_publisher_lives_the_same_life_through_xet() {
    our_life(HubOptions { xet: true, ..HubOptions::default() }).await;
}

/// The scenario of `tests/oracle/hub_client.py` as far as a publisher has a word for it, and what it sees at each point. Where the
/// client sees a status, the publisher has a sentence.
async fn our_life(options: HubOptions) {
    let hub = HubDouble::start(options).await;
    let mut release = Release::new();
    release.bundle.repo = "lab/m".to_owned();
    release.bundle.visibility = Visibility::Private;
    release.bundle.tag = Some("v1".to_owned());
    let publisher = release.publisher(&hub, WRITER);
    let publish =
        async |bundle: &Bundle| publisher.publish(bundle, &Recorder::default(), no_progress()).await;
    let code = |error: PublishError| error.code();
    let mut seen = json!({});

    // Create, upload, commit, tag.
    let first = publish(&release.bundle).await.expect("published");
    seen["private"] = json!(hub.is_private("lab/m"));
    seen["tags"] = json!(hub.tags("lab/m") == [("v1".to_owned(), first.commit.clone())]);
    // The tag was looked up before it was made and after.
    seen["refs"] = json!(hub.count(Call::Refs) >= 2);
    let commits = hub.commits("lab/m", "main").len();
    publish(&release.bundle).await.expect("as it is");
    seen["upload_again_moves"] = json!(hub.commits("lab/m", "main").len() != commits);
    seen["lfs_puts"] = json!(hub.count(Call::LfsPut));

    // A parent that is stale, a card that is broken, a tag that is there.
    let mut update = release.bundle.clone();
    update.existing = Existing::Update;
    update.tag = None;
    update.files[1] = BundleFile::memory("config.json", *b"{ }");
    hub.inject(Call::Commit, Fault::ForeignCommit("lab/m".to_owned()));
    seen["stale_parent"] = json!(publish(&update).await.map_err(code).expect_err("412"));
    seen["statuses"] =
        json!(hub.log().iter().any(|logged| logged.call == Call::Commit && logged.status == 412));
    let second = publish(&update).await.expect("over what was looked at");
    let mut broken = update.clone();
    broken.files[0] = BundleFile::memory("README.md", *b"---\nlicense: x\n");
    seen["broken_card"] = json!(publish(&broken).await.map_err(code).expect_err("refused"));
    update.tag = Some("v1".to_owned());
    seen["tag_again"] = json!(publish(&update).await.map_err(code).expect_err("409"));

    // A branch beside, and the refs.
    let mut next = release.bundle.clone();
    next.revision = "release/next".to_owned();
    next.existing = Existing::Beside;
    next.tag = None;
    next.files.push(BundleFile::memory("next.txt", *b"next"));
    publish(&next).await.expect("published");
    seen["branches"] = json!([
        hub.commits("lab/m", "main")[0] == second.commit,
        hub.paths("lab/m", "release/next").contains(&"next.txt".to_owned())
    ]);
    seen["tree"] = json!(hub.paths("lab/m", "main"));

    // Settings, and the card once more.
    update.tag = None;
    update.gating = Gating::Manual;
    update.visibility = Visibility::Public;
    publish(&update).await.expect("settled");
    seen["settings"] = json!([hub.is_private("lab/m"), hub.gating("lab/m")]);
    let card = CardRevision {
        repo: "lab/m".to_owned(),
        revision: "main".to_owned(),
        message: "card".to_owned(),
        files: vec![BundleFile::memory("README.md", *b"---\nlicense: mit\n---\n")],
    };
    publisher.revise(&card, &Recorder::default()).await.expect("revised");
    seen["card"] = json!(publisher.read_text("lab/m", "main", "README.md").await.expect("read"));
    downloads(options, &hub, &release).await;

    assert_eq!(seen, expected_of_ours(options));
}

fn expected_of_ours(options: HubOptions) -> Value {
    json!({
        "private": true,
        "tags": true,
        "refs": true,
        "upload_again_moves": false,
        "lfs_puts": if options.xet { 0 } else { 3 },
        "stale_parent": "hub-overtaken",
        "statuses": true,
        "broken_card": "hub-card",
        "tag_again": "hub-tag",
        "branches": [true, true],
        "tree": [".gitattributes", "README.md", "config.json", "empty.txt", "evals/ja/結果.json", "model.safetensors"],
        "settings": [false, "manual"],
        "card": "---\nlicense: mit\n---\n",
    })
}

/// The official client gets what was tagged, byte for byte, whatever came after.
async fn downloads(options: HubOptions, hub: &HubDouble, release: &Release) {
    let Some(client) = OfficialClient::find().await else { return };
    let mut files = client.download(options.xet, hub.endpoint(), WRITER, "lab/m", "v1").await;
    files.remove(".gitattributes");
    assert_eq!(files, release.digests());
}
