//! Publications that stop, go on, are taken back, or may not begin: seen through the service.

use std::sync::OnceLock;

use serde_json::{Value, json};
use tests::database::Database;
use tests::hub_double::{Call, Fault, HubDouble, HubOptions};
use tests::service::text;
use tests::wait::until;
use tokio::runtime::Runtime;

use crate::lab::{Lab, REPO, lineage};

fn runtime() -> &'static Runtime {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| Runtime::new().expect("a runtime"))
}

fn hub() -> HubDouble {
    runtime().block_on(HubDouble::start(HubOptions::default()))
}

/// The release when its publication has stopped, and the step and sentence it stopped at.
fn stopped(lab: &Lab, id: &str) -> (Value, String, String) {
    let release = until("the publication to stop", 60, || {
        let release = lab.show(id);
        (release["publishing"] == false).then_some(release)
    });
    let steps = release["steps"].as_array().expect("steps");
    let failed = steps.iter().find(|step| step["state"] == "failed").unwrap_or_else(|| panic!("{release:#}"));
    let (step, reason) = (text(&failed["name"]).to_owned(), text(&failed["detail"]["en"]).to_owned());
    (release, step, reason)
}

#[test]
fn a_publication_that_cannot_begin_says_why_and_can_be_taken_back() {
    let lab = Lab::with_hub("http://127.0.0.1:9");
    let plain = "[hub]\nendpoint = \"http://127.0.0.1:9\"\n";
    let missing = format!("{plain}token_file = \"/nowhere/hub-token\"\n");
    let lab = lab.reconfigured(&missing);
    let id = lab.approved(&lineage("L1"), &["ueda"]);
    let page = format!("/releases/{id}");
    lab.release(&["publish", "--wait", &id])
        .exits(1)
        .says(&["The publication stopped", "/nowhere/hub-token"]);
    let (release, step, reason) = stopped(&lab, &id);
    assert_eq!(json!([release["state"], step]), json!(["publishing", "probe"]));
    assert!(reason.contains("/nowhere/hub-token"), "{reason}");
    let shown = lab.service.visitor().get(&format!("{page}?lang=ja")).has(200).text;
    assert!(shown.contains("ファイルを読み込めません") && shown.contains("接続先とトークン"), "{shown}");
    let told = lab.release(&["show", &id]).exits(0);
    assert!(told.stdout.contains("stopped at probe: "), "{}", told.stdout);
    let last = lab.audit(&id).pop().expect("an entry");
    assert_eq!((last.0.as_str(), last.2.as_str(), last.3.as_str()), ("system", "release.publish", "failed"));

    // An endpoint that is not allowed is another such end.
    let token = lab.folder.path().join("hub-token");
    let elsewhere = format!("{plain}token_file = {token:?}\nallow = [\"https://huggingface.co\"]\n");
    let lab = lab.reconfigured(&elsewhere);
    let (after, _, reason) = stopped(&lab, &id);
    assert!(
        reason.contains("/nowhere/hub-token"),
        "a start does not ask again for what has stopped: {reason}"
    );
    assert_eq!(after["version"], release["version"]);
    // The new failure is told as it comes, and the old one is not told as if it were new.
    let asked = lab.release(&["publish", &id]).exits(0);
    assert!(!asked.stderr.contains("/nowhere/hub-token"), "{}", asked.stderr);
    let (_, step, reason) = stopped(&lab, &id);
    assert!(step == "probe" && reason.contains("it is not in [hub] allow"), "{step}: {reason}");

    // Nothing is on the Hub: it goes back, or ends.
    let ueda = lab.service.session("ueda");
    assert_eq!(ueda.press(&page, &format!("{page}/return"), "the token is missing").status, 303);
    assert_eq!(lab.show(&id)["state"], "draft");
    for action in ["edit", "withdraw"] {
        let id = lab.approved(&lineage("L1"), &["ueda"]);
        let _ = lab.act(&id, "publish").has(200);
        stopped(&lab, &id);
        let body = json!({ "version": lab.show(&id)["version"], "lineage": lineage("L1"), "comment": "" });
        let left = lab.author.post(&format!("/api/v1/releases/{id}/{action}"), &body).has(200).json();
        assert_eq!(left["state"], if action == "edit" { "draft" } else { "withdrawn" });
    }
}

#[test]
fn what_is_committed_on_the_hub_cannot_be_taken_back_here() {
    let hub = hub();
    let lab = Lab::with_hub(hub.endpoint());
    let id = lab.approved(&lineage("L1"), &["ueda"]);
    hub.inject(Call::Settings, Fault::Status(403));
    let _ = lab.act(&id, "publish").has(200);
    let (release, step, _) = stopped(&lab, &id);
    assert_eq!(json!([release["state"], step]), json!(["publishing", "visibility"]));
    lab.act(&id, "withdraw").is_problem(409, "publishing-committed");
    lab.edit(&id, &lineage("L1")).is_problem(409, "publishing-committed");
    let page = lab.service.session("mori").get(&format!("/releases/{id}")).has(200).text;
    assert!(!page.contains("/withdraw\"") && page.contains("/publish\""), "only going on is offered");
    lab.release(&["publish", "--wait", &id]).exits(0);
    assert_eq!(hub.commits(REPO, "main").len(), 2, "the Hub's own and ours");
}

/// The Hub may have the commit, although nobody has seen it there.
#[test]
fn what_may_be_on_the_hub_cannot_be_taken_back_either() {
    let hub = hub();
    let lab = Lab::with_hub(hub.endpoint());
    let id = lab.approved(&lineage("L1"), &["ueda"]);
    hub.inject(Call::Commit, Fault::LostFromSight);
    let ended = lab.release(&["publish", "--wait", &id]).exits(1);
    ended.says(&["The publication stopped (publishing)", "holds the commit is not known"]);
    let release = lab.show(&id);
    let commit = release["steps"].as_array().and_then(|steps| steps.last()).expect("a step");
    assert_eq!(json!([commit["name"], commit["state"]]), json!(["commit", "intended"]));
    let page = lab.service.visitor().get(&format!("/releases/{id}?lang=ja")).has(200).text;
    assert!(page.contains("結果不明") && page.contains("反映されたか確認できません"), "{page}");
    lab.act(&id, "withdraw").is_problem(409, "publishing-committed");
    lab.release(&["publish", "--wait", &id]).exits(0);
    assert_eq!(hub.commits(REPO, "main").len(), 2, "it was there");

    // What the Hub has refused is not there, and may be taken back.
    let refused = lab.approved(&lineage("L1").replace(REPO, "lab/other"), &["ueda"]);
    hub.inject(Call::Commit, Fault::Status(403));
    let _ = lab.act(&refused, "publish").has(200);
    assert_eq!(stopped(&lab, &refused).1, "commit");
    assert_eq!(lab.act(&refused, "withdraw").has(200).json()["state"], "withdrawn");
}

/// Publishes, and waits until the commit is being tried: the Hub is busy, so it takes a while.
fn publish_up_to_the_commit(lab: &Lab, hub: &HubDouble, id: &str) {
    for _ in 0..3 {
        hub.inject(Call::Commit, Fault::Status(503));
    }
    let _ = lab.act(id, "publish").has(200);
    until("the commit", 30, || (hub.count(Call::Commit) > 0).then_some(()));
}

#[test]
fn a_second_press_does_not_disturb_a_publication() {
    let hub = hub();
    let lab = Lab::with_hub(hub.endpoint());
    let id = lab.approved(&lineage("L1"), &["ueda"]);
    publish_up_to_the_commit(&lab, &hub, &id);
    let again = lab.act(&id, "publish").has(200).json();
    assert_eq!(json!([again["state"], again["publishing"]]), json!(["publishing", true]));
    until("the publication", 60, || (lab.show(&id)["state"] == "published").then_some(()));
    let done = lab.audit(&id).into_iter().filter(|line| line.2 == "release.publish").count();
    assert_eq!(done, 1, "asked for once");
}

#[test]
fn a_killed_service_goes_on_publishing() {
    let hub = hub();
    let mut lab = Lab::with_hub(hub.endpoint());
    let id = lab.approved(&lineage("L1"), &["ueda"]);
    // The commit is tried for some seconds.
    publish_up_to_the_commit(&lab, &hub, &id);
    lab.service.kill9();
    assert_eq!(hub.is_private(REPO), Some(true), "killed on the way");
    lab.service.restart();
    let published = until("the publication", 60, || {
        let release = lab.show(&id);
        (release["state"] == "published").then_some(release)
    });
    assert_eq!(hub.commits(REPO, "main")[0], text(&published["commit"]));
    assert_eq!(hub.commits(REPO, "main").len(), 2, "one commit of ours");
    assert_eq!(hub.is_private(REPO), Some(false));
}

#[test]
fn a_permit_is_looked_at_again_before_anything_leaves() {
    let hub = hub();
    let config = |lab: &Lab, endpoint: &str| {
        let token = lab.folder.path().join("hub-token");
        format!("[hub]\nendpoint = \"{endpoint}\"\ntoken_file = {token:?}\n")
    };
    let void = |lab: &Lab, id: &str, says: &str| {
        let answer = lab.act(id, "publish");
        answer.is_problem(409, "permit-void");
        assert!(answer.text.contains(says), "{}", answer.text);
        assert_eq!(lab.show(id)["state"], "approved");
    };
    let lab = Lab::with_hub(hub.endpoint());
    let id = lab.approved(&lineage("L1"), &["ueda"]);
    let admin = lab.service.api();
    let roles = |roles: Value| {
        let _ = admin.post("/api/v1/users/ueda/roles", &json!({ "roles": roles })).has(200);
    };
    roles(json!(["viewer"]));
    void(&lab, &id, "0 of 1 approvals hold");
    roles(json!(["approver"]));

    let database = Database::open(&lab.service.dir());
    database.execute(r#"UPDATE runs SET spec = '{"data":{"mix":[{"name":"web"}]}}'"#);
    void(&lab, &id, "judges this release otherwise today");
    database.execute("UPDATE runs SET spec = NULL");

    let elsewhere = config(&lab, "https://hub.example.org");
    let lab = lab.reconfigured(&elsewhere);
    void(&lab, &id, "is not what was approved");
    let back = config(&lab, hub.endpoint());
    let lab = lab.reconfigured(&back);
    let card = "UPDATE releases SET card_en = card_en || ' '";
    database.execute(card);
    void(&lab, &id, "is not what was approved");
    assert_eq!(hub.log().len(), 0, "the Hub was not even asked");
    database.execute("UPDATE releases SET card_en = substr(card_en, 1, length(card_en) - 1)");
    lab.release(&["publish", "--wait", &id]).exits(0);
}

/// A role that is taken away while the publication is on its way stops it before the next step.
#[test]
fn a_permit_that_falls_on_the_way_stops_the_publication() {
    let hub = hub();
    let lab = Lab::with_hub(hub.endpoint());
    let id = lab.approved(&lineage("L1"), &["ueda"]);
    publish_up_to_the_commit(&lab, &hub, &id);
    let _ = lab.service.api().post("/api/v1/users/ueda/roles", &json!({ "roles": ["viewer"] })).has(200);
    let (_, step, reason) = stopped(&lab, &id);
    assert!(step == "compare" && reason.contains("0 of 1 approvals hold"), "{step}: {reason}");
    assert_eq!(hub.is_private(REPO), Some(true), "it never became public");

    // It cannot go on and not end, but back, and out from there with new approvals.
    lab.act(&id, "publish").is_problem(409, "permit-void");
    lab.act(&id, "withdraw").is_problem(409, "publishing-committed");
    lab.service.add_user("kondo", &["approver"]);
    let (page, kondo) = (format!("/releases/{id}"), lab.service.session("kondo"));
    let shown = kondo.get(&format!("{page}?lang=en")).has(200).text;
    assert!(shown.contains("/return\"") && !shown.contains("/publish\""), "{shown}");
    assert!(shown.contains("void: no longer an approver"), "{shown}");
    assert_eq!(kondo.press(&page, &format!("{page}/return"), "ueda has left").status, 303);
    let _ = lab.edit(&id, &lineage("L1").replace("tokens = 1000", "tokens = 1001")).has(200);
    lab.approve(&id, &["kondo"]);
    let published = lab.release(&["publish", "--wait", "--json", &id]).exits(0).json();
    assert_eq!(hub.commits(REPO, "main").len(), 3, "the Hub's own, and two of ours");
    assert_eq!(hub.commits(REPO, "main")[0], text(&published["commit"]));
    assert_eq!(hub.is_private(REPO), Some(false));
}

/// The permit falls when the tag is placed already: what comes after it needs a tag of its own.
#[test]
fn a_tag_that_is_placed_needs_another_name() {
    let hub = hub();
    let lab = Lab::with_hub(hub.endpoint());
    let id = lab.approved(&lineage("L1"), &["ueda"]);
    hub.inject(Call::Settings, Fault::Status(403));
    let _ = lab.act(&id, "publish").has(200);
    assert_eq!(stopped(&lab, &id).1, "visibility");
    let _ = lab.service.api().post("/api/v1/users/ueda/roles", &json!({ "roles": ["viewer"] })).has(200);
    lab.act(&id, "publish").is_problem(409, "permit-void");
    lab.service.add_user("kondo", &["approver"]);
    let changed = lineage("L1").replace("tokens = 1000", "tokens = 1001");
    assert_eq!(lab.edit(&id, &changed).has(200).json()["state"], "draft");
    lab.approve(&id, &["kondo"]);
    let ended = lab.release(&["publish", "--wait", &id]).exits(1);
    ended.says(&[&format!("The tag release-{id} of {REPO} already points at"), "Choose another tag"]);

    // Nothing of the new content is on the Hub, so it may be edited once more.
    let named = changed.replace("[release]\n", "[release]\ntag = \"v2\"\n");
    assert_eq!(lab.edit(&id, &named).has(200).json()["state"], "draft");
    lab.approve(&id, &["kondo"]);
    let published = lab.release(&["publish", "--wait", "--json", &id]).exits(0).json();
    let tags = hub.tags(REPO);
    assert_eq!(tags.len(), 2, "{tags:?}");
    assert!(tags.contains(&("v2".to_owned(), text(&published["commit"]).to_owned())), "{tags:?}");
}

#[test]
fn one_release_does_not_open_what_another_keeps_closed() {
    let hub = hub();
    let lab = Lab::with_hub(hub.endpoint());
    let with = |more: &str| lineage("L1").replace("[release]\n", &format!("[release]\n{more}"));
    let publish = |lineage: &str| {
        let id = lab.approved(lineage, &["ueda"]);
        lab.release(&["publish", "--wait", &id]).exits(0);
        id
    };
    let first = publish(&with("gating = \"manual\"\ntag = \"v1\"\n"));
    assert_eq!(hub.gating(REPO), "manual");
    let refused = lab.post(&json!({ "lineage": with("revision = \"beta\"\n") }));
    refused.is_problem(422, "repo-settings");
    assert!(refused.text.contains(&first), "{}", refused.text);

    // Another branch of the same public repository is new ground; the branch that is ours is replaced.
    publish(&with("gating = \"manual\"\nrevision = \"beta\"\n"));
    let head = hub.commits(REPO, "main")[0].clone();
    publish(&with("gating = \"manual\"\ntag = \"v2\"\n").replace("tokens = 1000", "tokens = 1001"));
    assert_ne!(hub.commits(REPO, "main")[0], head);
    let tags: Vec<String> =
        hub.tags(REPO).into_iter().map(|(tag, _)| tag).filter(|tag| tag.starts_with('v')).collect();
    assert_eq!(tags, ["v1", "v2"]);

    // A release that was approved before the other went out closed is looked at again.
    let other = "lab/gate-other";
    let open = lab.approved(&lineage("L1").replace(REPO, other), &["ueda"]);
    let closed = with("visibility = \"private\"\nrevision = \"beta\"\n").replace(REPO, other);
    publish(&closed);
    lab.act(&open, "publish").is_problem(422, "repo-settings");
    assert_eq!(hub.is_private(other), Some(true));
}
