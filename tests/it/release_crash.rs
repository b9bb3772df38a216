//! Named check 1: the real service is killed while the Hub holds one of its calls, before the call has had its effect and after, at
//! every step of a publication, of a yank, and while weights are prepared. Started again it finishes by itself: one commit, one
//! tag, the approved bytes, and nothing public before the step that makes it so.

use std::path::Path;
use std::sync::OnceLock;

use sekisho_hub::Step;
use serde_json::{Value, json};
use tests::checkpoints::Recipe;
use tests::hub_double::{Call, Fault, HubDouble, HubOptions};
use tests::publication::Moment;
use tests::service::text;
use tests::wait::until;
use tokio::runtime::Runtime;

use crate::lab::{Lab, REPO, lineage};

/// Seconds until a service that was killed must be done.
const PATIENCE: u64 = 60;

/// A call of a publication at which the service is killed.
#[derive(Clone, Copy, Debug)]
struct Cell {
    /// The step that it belongs to.
    step: Step,
    call: Call,
    /// Calls of this kind before it.
    before: usize,
}

const fn cell(step: Step, call: Call, before: usize) -> Cell {
    Cell { step, call, before }
}

/// What a publication asks of any Hub.
const CELLS: &[Cell] = &[
    cell(Step::Probe, Call::WhoAmI, 0),
    cell(Step::Preflight, Call::ValidateCard, 0),
    cell(Step::Create, Call::Info, 0),
    cell(Step::Create, Call::Create, 0),
    cell(Step::Create, Call::Tree, 0),
    cell(Step::Upload, Call::Preupload, 0),
    cell(Step::Upload, Call::LfsBatch, 0),
    cell(Step::Commit, Call::Commit, 0),
    cell(Step::Compare, Call::Tree, 1),
    cell(Step::Tag, Call::Tag, 0),
    cell(Step::Gating, Call::Settings, 0),
    cell(Step::Visibility, Call::Settings, 0),
    cell(Step::Anonymous, Call::Download, 0),
];
/// And of one that stores large files through LFS.
const LFS_CELLS: &[Cell] = &[cell(Step::Upload, Call::LfsPut, 0), cell(Step::Upload, Call::LfsVerify, 0)];
/// Or through Xet, whose storage is no part of the double.
const XET_CELLS: &[Cell] = &[cell(Step::Upload, Call::XetToken, 0)];

fn runtime() -> &'static Runtime {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| Runtime::new().expect("a runtime"))
}

fn stage(options: HubOptions) -> (HubDouble, Lab) {
    let hub = runtime().block_on(HubDouble::start(options));
    let lab = Lab::with_hub(hub.endpoint());
    (hub, lab)
}

/// Lets the Hub hold this call before or after its effect.
fn hold(hub: &HubDouble, call: Call, before: usize, moment: Moment) {
    (0..before).for_each(|_| hub.inject(call, Fault::Nothing));
    hub.inject(call, if moment == Moment::Before { Fault::Hang } else { Fault::Silence });
}

/// Waits until the Hub holds the call, and kills the service there.
fn kill_at_the_call(lab: &mut Lab, hub: &HubDouble, at: &str) {
    until(&format!("the Hub to hold the call ({at})"), PATIENCE, || (hub.held() > 0).then_some(()));
    assert_eq!(hub.held(), 1, "{at}");
    lab.service.kill9();
    hub.heal();
}

fn publications_survive(options: HubOptions, own: &[Cell]) {
    let (hub, mut lab) = stage(options);
    let cells = CELLS.iter().chain(own);
    for (number, cell) in cells.flat_map(|cell| [(cell, Moment::Before), (cell, Moment::After)]).enumerate() {
        let (cell, moment) = cell;
        publication_survives(&mut lab, &hub, *cell, moment, &format!("lab/gate-{number}"));
    }
}

fn publication_survives(lab: &mut Lab, hub: &HubDouble, cell: Cell, moment: Moment, repo: &str) {
    let at = format!("{moment:?} {cell:?}");
    hub.forget();
    let gated = cell.step == Step::Gating;
    let section = if gated { "[release]\ngating = \"manual\"\n" } else { "[release]\n" };
    let id = lab.approved(&lineage("L1").replace(REPO, repo).replace("[release]\n", section), &["ueda"]);
    hold(hub, cell.call, cell.before, moment);
    let _ = lab.act(&id, "publish").has(200);
    kill_at_the_call(lab, hub, &at);
    let opened = cell.step == Step::Anonymous || (cell.step == Step::Visibility && moment == Moment::After);
    assert_eq!(hub.is_private(repo) == Some(false), opened, "{at}: public by the step that makes it so");

    lab.service.restart();
    let published = until(&format!("the publication ({at})"), PATIENCE, || {
        let release = lab.show(&id);
        (release["state"] == "published").then_some(release)
    });
    let commit = text(&published["commit"]).to_owned();
    let commits = hub.commits(repo, "main");
    assert_eq!((commits.len(), &commits[0]), (2, &commit), "{at}: the Hub's own commit and one of ours");
    assert_eq!(hub.tags(repo), [(format!("release-{id}"), commit)], "{at}: one tag");
    assert_eq!(hub.is_private(repo), Some(false), "{at}");
    assert_eq!(hub.gating(repo), if gated { "manual" } else { "none" }, "{at}");
    let told = lab.audit(&id).into_iter().filter(|line| line.2 == "release.complete").count();
    assert_eq!(told, 1, "{at}: completed once");
    same_bytes(lab, hub, &id, repo, &at);
}

/// The repository holds what the service exports as the approved release, and nothing else.
fn same_bytes(lab: &Lab, hub: &HubDouble, id: &str, repo: &str, at: &str) {
    let out = lab.folder.path().join(id);
    lab.release(&["export", id, "--out", out.to_str().expect("text")]).exits(0);
    let mut there = hub.paths(repo, "main");
    there.retain(|path| path != ".gitattributes");
    assert_eq!(there, crate::bad_input::names(&out), "{at}");
    for path in there {
        let approved = fs_err::read(out.join(&path)).expect("exported");
        assert!(hub.bytes(repo, "main", &path).is_some_and(|bytes| bytes == approved), "{at}: {path}");
    }
}

#[test]
fn a_publication_through_lfs_survives_a_kill_at_every_call() {
    publications_survive(HubOptions::default(), LFS_CELLS);
}

#[test]
fn a_publication_through_xet_survives_a_kill_at_every_call() {
    publications_survive(HubOptions { xet: true, ..HubOptions::default() }, XET_CELLS);
}

/// The same for what is taken back: the decision stands, and the Hub shows it in the end, once.
#[test]
fn a_yank_survives_a_kill_at_every_call() {
    let (hub, mut lab) = stage(HubOptions::default());
    let calls = [
        ("hide", Call::WhoAmI, 0),
        ("hide", Call::ValidateCard, 0),
        ("hide", Call::Preupload, 0),
        ("hide", Call::Commit, 0),
        ("hide", Call::Tree, 1),
        ("hide", Call::Settings, 0),
        ("gate", Call::Settings, 0),
    ];
    let cells = calls.into_iter().flat_map(|call| [(call, Moment::Before), (call, Moment::After)]);
    for (number, ((extent, call, before), moment)) in cells.enumerate() {
        let (at, repo) = (format!("{extent}, {moment:?} {call:?}"), format!("lab/gate-{number}"));
        hub.forget();
        let id = lab.approved(&lineage("L1").replace(REPO, &repo), &["ueda"]);
        lab.release(&["publish", "--wait", &id]).exits(0);
        let (weights, tags) = (hub.bytes(&repo, "main", "model.safetensors"), hub.tags(&repo));

        hold(&hub, call, before, moment);
        let body =
            json!({ "version": lab.show(&id)["version"], "extent": extent, "comment": "権利者の依頼により" });
        let _ = lab.author.post(&format!("/api/v1/releases/{id}/yank"), &body).has(200);
        kill_at_the_call(&mut lab, &hub, &at);
        lab.service.restart();
        let yanked = until(&format!("the yank ({at})"), PATIENCE, || {
            let release = lab.show(&id);
            (release["yank"]["done"] == true).then_some(release)
        });
        assert_eq!(yanked["state"], "yanked", "{at}");
        assert_eq!(hub.commits(&repo, "main").len(), 3, "{at}: one commit more");
        assert_eq!(hub.tags(&repo), tags, "{at}: a tag never moves");
        assert_eq!(hub.bytes(&repo, "main", "model.safetensors"), weights, "{at}");
        let card = hub.bytes(&repo, "main", "README_ja.md").expect("a card");
        assert!(String::from_utf8_lossy(&card).contains("権利者の依頼により"), "{at}");
        let access = (hub.is_private(&repo), hub.gating(&repo));
        let meant = if extent == "hide" { (Some(true), "none") } else { (Some(false), "manual") };
        assert_eq!((access.0, access.1.as_str()), meant, "{at}");
        let told = lab.audit(&id).into_iter().filter(|line| line.2 == "release.yanked").count();
        assert_eq!(told, 1, "{at}: carried out once");
    }
}

/// Weights large enough that a service can be caught while it writes them.
const LARGE: Recipe = Recipe { hidden: 384, layers: 4, seed: 5, shards: 1 };

/// How far the preparation is, as its folder shows.
type Seen = (&'static str, fn(&Path) -> bool);

const PREPARING: [Seen; 4] = [
    ("asked for", |_| true),
    ("a folder made", |prepared| folder(prepared).is_some()),
    ("a shard begun", |prepared| named(prepared, ".partial")),
    ("a shard written", |prepared| named(prepared, ".safetensors")),
];

/// The folder of the one release that is being prepared.
fn folder(prepared: &Path) -> Option<std::path::PathBuf> {
    fs_err::read_dir(prepared).ok()?.find_map(|entry| Some(entry.ok()?.path()))
}

fn named(prepared: &Path, end: &str) -> bool {
    folder(prepared).is_some_and(|dir| crate::bad_input::names(&dir).iter().any(|name| name.ends_with(end)))
}

/// A service that is killed while it writes weights of another type in other shards begins them again, and they are the same.
#[test]
fn prepared_weights_survive_a_kill_at_every_moment() {
    let mut lab = Lab::new("");
    let model = lab.folder.path().join("large");
    LARGE.write(&model);
    lab.checkpoint = lab.service.ingest(&model, "gate-large", 10, 1000);
    let asked = lineage("L1").replace("[release]\n", "[release]\ndtype = \"bf16\"\nshard_size = \"2MB\"\n");
    let draft = |lab: &Lab| {
        let draft = lab.post(&json!({ "lineage": asked })).has(201).json();
        text(&draft["id"]).to_owned()
    };
    let judged = |lab: &Lab, id: &str| -> Value {
        until("the release to be judged", PATIENCE, || {
            let shown = lab.show(id);
            (shown["state"] != "frozen").then_some(shown)
        })
    };
    let weights = |lab: &Lab, id: &str| {
        let out = lab.folder.path().join(id);
        lab.release(&["export", id, "--out", out.to_str().expect("text")]).exits(0);
        let names = crate::bad_input::names(&out).into_iter().filter(|name| name.contains("safetensors"));
        names.map(|name| (name.clone(), fs_err::read(out.join(name)).expect("exported"))).collect::<Vec<_>>()
    };
    let whole = draft(&lab);
    let _ = lab.act(&whole, "freeze").has(200);
    assert_eq!(judged(&lab, &whole)["state"], "policy_checked");
    let expected = weights(&lab, &whole);
    assert!(expected.len() > 3, "several shards and their index");
    // Nothing but the one release that is killed lies there.
    let _ = lab.edit(&whole, &asked).has(200);

    let prepared = lab.service.dir().join("releases");
    for (moment, is_there) in PREPARING {
        lab.service.kill9();
        lab.service.restart();
        assert_eq!(folder(&prepared), None, "{moment}");
        let id = draft(&lab);
        let _ = lab.act(&id, "freeze").has(200);
        until(moment, PATIENCE, || (is_there(&prepared) || lab.show(&id)["state"] != "frozen").then_some(()));
        lab.service.kill9();
        lab.service.restart();
        assert_eq!(judged(&lab, &id)["state"], "policy_checked", "{moment}");
        assert_eq!(weights(&lab, &id), expected, "{moment}");
        let left = fs_err::read_dir(&prepared).expect("a folder").count();
        assert_eq!(left, 1, "{moment}: nothing half-written is left");
        let done = lab.audit(&id).into_iter().filter(|line| line.2 == "release.prepare").count();
        assert_eq!(done, 1, "{moment}: prepared once");
        let _ = lab.edit(&id, &asked).has(200);
    }
}
