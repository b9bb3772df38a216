//! Named check 7: a checkpoint whose files are symbolic links is released byte for byte or refused by name; nothing is left out in
//! silence.

use std::collections::BTreeMap;
use std::path::Path;

use fs_err::os::unix::fs::symlink;
use sekisho_domain::Sha256;
use serde_json::json;
use tests::checkpoints::Recipe;
use tests::cli;
use tests::hub_double::{HubDouble, HubOptions};
use tests::official_client::OfficialClient;
use tests::service::{Service, text};

use crate::lab::{Lab, REPO, lineage};

const SHARD: &str = "model-00002-of-00003.safetensors";

/// A checkpoint of three shards.
fn sharded(dir: &Path) {
    Recipe { shards: 3, ..Recipe::default() }.write(dir);
}

/// Moves the second shard to another place and links to it.
fn link_to(dir: &Path, place: &Path) {
    fs_err::create_dir_all(place.parent().expect("in a folder")).expect("a folder");
    fs_err::rename(dir.join(SHARD), place).expect("moved");
    symlink(place, dir.join(SHARD)).expect("linked");
}

/// Path → SHA-256 of the model's files, through the links.
fn digests(dir: &Path) -> BTreeMap<String, String> {
    let files = crate::bad_input::names(dir).into_iter().filter(|name| dir.join(name).is_file());
    files
        .map(|name| (name.clone(), Sha256::of(fs_err::read(dir.join(&name)).expect("there")).hex()))
        .collect()
}

#[test]
fn a_shard_that_is_a_link_inside_the_folder_is_released_byte_for_byte() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let hub = runtime.block_on(HubDouble::start(HubOptions::default()));
    let mut lab = Lab::with_hub(hub.endpoint());
    let dir = lab.folder.path().join("linked");
    sharded(&dir);
    let whole = digests(&dir);
    link_to(&dir, &dir.join("blobs/second"));
    for (copy, repo) in [(false, REPO), (true, "lab/gate-copied")] {
        let mut flags = vec!["ingest", "--json", "--run", "linked", "--tokens", "10", "--step"];
        flags.extend(if copy { ["2", "--copy"].as_slice() } else { &["1"] });
        lab.checkpoint = cli::run(lab.service.command(&flags).arg(&dir)).exits(0).json();
        assert_eq!(lab.checkpoint["state"], "verified");
        let id = lab.approved(&lineage("L1").replace(REPO, repo), &["ueda"]);
        lab.release(&["publish", "--wait", &id]).exits(0);
        for (path, digest) in &whole {
            let there =
                hub.bytes(repo, "main", path).unwrap_or_else(|| panic!("{path} of {repo} is missing"));
            assert_eq!(&Sha256::of(there).hex(), digest, "{path} of {repo}");
        }
        runtime.block_on(async {
            let Some(client) = OfficialClient::find().await else { return };
            let downloaded = client.download(false, hub.endpoint(), "", repo, "main").await;
            for (path, digest) in &whole {
                assert_eq!(downloaded.get(path), Some(digest), "{path} of {repo}");
            }
        });
    }
}

/// After the approval the link leads elsewhere: what was approved is not there any more, and nothing leaves.
#[test]
fn a_link_that_leads_elsewhere_after_the_approval_stops_the_publication() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let hub = runtime.block_on(HubDouble::start(HubOptions::default()));
    let mut lab = Lab::with_hub(hub.endpoint());
    let dir = lab.folder.path().join("linked");
    sharded(&dir);
    link_to(&dir, &dir.join("blobs/second"));
    lab.checkpoint = lab.service.ingest(&dir, "linked", 1, 10);
    let id = lab.approved(&lineage("L1"), &["ueda"]);
    let other = lab.folder.path().join("other");
    let mut bytes = fs_err::read(dir.join(SHARD)).expect("there");
    *bytes.last_mut().expect("bytes") ^= 1;
    fs_err::write(&other, bytes).expect("written");
    fs_err::remove_file(dir.join(SHARD)).expect("removed");
    symlink(&other, dir.join(SHARD)).expect("linked");
    let refused = lab.release(&["publish", "--wait", &id]).exits(4);
    refused.says(&[SHARD, "changed after the checkpoint was examined"]);
    assert_eq!(hub.is_private(REPO), None, "nothing was even made there");
}

#[test]
fn links_that_leave_the_folder_or_lead_nowhere_are_refused_by_name() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let service = Service::start();
    let outside = folder.path().join("outside/second");
    type Spoil<'a> = &'a dyn Fn(&Path);
    let relink = |dir: &Path, target: &Path| {
        fs_err::remove_file(dir.join(SHARD)).expect("removed");
        symlink(target, dir.join(SHARD)).expect("linked");
    };
    let leaving: Spoil = &|dir| link_to(dir, &outside);
    let dangling: Spoil = &|dir| relink(dir, Path::new("nowhere"));
    let looping: Spoil = &|dir| relink(dir, Path::new(SHARD));
    let folder_link: Spoil = &|dir| relink(dir, Path::new("."));
    let climbing: Spoil = &|dir| link_to(dir, &dir.join("../beside/second"));
    for (number, (what, spoil)) in [
        ("outside", leaving),
        ("to nothing", dangling),
        ("a loop", looping),
        ("to a folder", folder_link),
        ("climbing out", climbing),
    ]
    .into_iter()
    .enumerate()
    {
        let dir = folder.path().join(format!("{number}/model"));
        sharded(&dir);
        spoil(&dir);
        for (copy, run) in [(false, "by-path"), (true, "by-upload")] {
            let step = number.to_string();
            let mut flags = vec!["ingest", "--run", run, "--tokens", "10", "--step", &step];
            flags.extend(copy.then_some("--copy"));
            let ended = cli::run(service.command(&flags).arg(&dir)).exits(1);
            ended.says(&[SHARD]);
        }
        let found = service.api().get("/api/v1/runs/by-path/checkpoints").has(200).items();
        let refused = found.as_array().expect("a list").iter().find(|one| one["step"] == json!(number));
        assert_eq!(refused.map(|one| text(&one["state"])), Some("refused"), "{what}");
    }
}
