//! The ends of a publication: another release takes its place, or it is taken back.

use serde_json::json;
use tests::hub_double::{Call, Fault, HubDouble, HubOptions};
use tests::service::text;
use tests::wait::until;

use crate::lab::{Lab, REPO, lineage};

fn hub() -> (tokio::runtime::Runtime, HubDouble) {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let hub = runtime.block_on(HubDouble::start(HubOptions::default()));
    (runtime, hub)
}

fn card(hub: &HubDouble, repo: &str, path: &str) -> String {
    let bytes = hub.bytes(repo, "main", path).unwrap_or_else(|| panic!("{path} of {repo}"));
    String::from_utf8(bytes.to_vec()).expect("text")
}

#[test]
fn a_newer_release_takes_the_place_of_the_one_that_is_out() {
    let (_runtime, hub) = hub();
    let lab = Lab::with_hub(hub.endpoint());
    let first = lab.approved(&lineage("L1"), &["ueda"]);
    lab.release(&["publish", "--wait", &first]).exits(0);
    // A card is mended by a revision: the same weights, new approvals.
    let revised = lab.release(&["revise", "--json", &first]).exits(0).json();
    let second = text(&revised["id"]).to_owned();
    let edit =
        json!({ "version": revised["version"], "sections": { "ja": { "contact": "lab@example.ac.jp" } } });
    let _ = lab.author.post(&format!("/api/v1/releases/{second}/card"), &edit).has(200);
    lab.approve(&second, &["ueda"]);
    let sent = hub.count(Call::LfsPut);
    lab.release(&["publish", "--wait", &second]).exits(0);
    assert_eq!(hub.count(Call::LfsPut), sent, "the weights are there already");
    assert!(card(&hub, REPO, "README_ja.md").contains("lab@example.ac.jp"));
    let old = lab.show(&first);
    assert_eq!(json!([old["state"], old["successor"]]), json!(["superseded", second]));
    let page = lab.service.visitor().get(&format!("/releases/{first}?lang=ja")).has(200).text;
    assert!(page.contains("後継版：") && page.contains(&second), "{page}");

    // In another repository it is named, and the old card says where to go.
    let elsewhere = lineage("L1")
        .replace(REPO, "lab/gate-next")
        .replace("[release]\n", &format!("[release]\nsupersedes = \"{second}\"\n"));
    let third = lab.approved(&elsewhere, &["ueda"]);
    lab.release(&["publish", "--wait", &third]).exits(0);
    assert_eq!(lab.show(&second)["successor"], json!(third));
    until("the old card to name the new one", 60, || {
        card(&hub, REPO, "README.md").contains("new_version: lab/gate-next").then_some(())
    });
}

#[test]
fn a_release_is_taken_back_with_an_honest_card() {
    let (_runtime, hub) = hub();
    let mut lab = Lab::with_hub(hub.endpoint());
    let id = lab.approved(&lineage("L1"), &["ueda"]);
    let early = json!({ "version": lab.show(&id)["version"], "extent": "hide", "comment": "x" });
    let path = format!("/api/v1/releases/{id}/yank");
    lab.author.post(&path, &early).is_problem(409, "wrong-state");
    lab.release(&["publish", "--wait", &id]).exits(0);
    let version = lab.show(&id)["version"].clone();
    lab.author
        .post(&path, &json!({ "version": version, "extent": "hide" }))
        .is_problem(400, "comment-missing");
    lab.author.post(&path, &json!({ "version": version, "comment": "x" })).is_problem(400, "extent-missing");

    // The Hub is away: the decision stands, and is carried out later, also by another process.
    hub.inject(Call::Commit, Fault::Status(403));
    let body = json!({ "version": version, "extent": "hide", "comment": "学習データの権利者の依頼により" });
    let _ = lab.author.post(&path, &body).has(200);
    until("the yank to stop", 60, || {
        let shown = lab.show(&id);
        (shown["publishing"] == false).then_some(())
    });
    assert_eq!(json!([lab.show(&id)["state"], lab.show(&id)["yank"]["done"]]), json!(["yanked", false]));
    assert_eq!(hub.is_private(REPO), Some(false));
    let page = lab.service.visitor().get(&format!("/releases/{id}?lang=ja")).has(200).text;
    assert!(page.contains("Hubへの反映は完了していません"), "{page}");
    lab.service.kill9();
    lab.service.restart();
    until("the yank to be carried out", 60, || (lab.show(&id)["yank"]["done"] == true).then_some(()));
    assert_eq!(hub.is_private(REPO), Some(true));
    for (file, says) in [("README.md", "rights under"), ("README_ja.md", "既に取得された複製")] {
        let shown = card(&hub, REPO, file);
        assert!(shown.contains("権利者の依頼"), "{file}: {shown}");
        assert!(shown.contains(says) || file == "README.md", "{file}: {shown}");
    }
    assert!(hub.bytes(REPO, "main", "model.safetensors").is_some(), "history is not rewritten");
    assert_eq!(hub.tags(REPO).len(), 1, "a tag never moves");
    let last = lab.audit(&id).pop().expect("an entry");
    assert_eq!((last.2.as_str(), last.3.as_str()), ("release.yanked", "done"));
    lab.author
        .post(&path, &json!({ "version": lab.show(&id)["version"], "extent": "card", "comment": "x" }))
        .is_problem(409, "wrong-state");
}
