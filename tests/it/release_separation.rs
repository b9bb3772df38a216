//! Separation of duties, break-glass, schedules and versions.

use serde_json::json;
use tests::hub_double::{HubDouble, HubOptions};
use tests::service::text;
use tests::wait::until;

use crate::lab::{Lab, REPO, lineage};

fn hub() -> (tokio::runtime::Runtime, HubDouble) {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let hub = runtime.block_on(HubDouble::start(HubOptions::default()));
    (runtime, hub)
}

#[expect(clippy::disallowed_methods, reason = "the service under test goes by the machine's clock")]
fn in_seconds(seconds: i64) -> String {
    (jiff::Timestamp::now() + jiff::SignedDuration::from_secs(seconds)).to_string()
}

#[test]
fn who_approved_does_not_publish_unless_the_lab_says_so() {
    let (_runtime, hub) = hub();
    let lab = Lab::with_hub(hub.endpoint());
    lab.service.add_user("hayashi", &["approver", "publisher"]);
    let id = lab.approved(&lineage("L1"), &["hayashi"]);
    let (both, _) = lab.service.token_of("hayashi", &["read", "publish"]);
    let body = json!({ "version": lab.show(&id)["version"] });
    both.post(&format!("/api/v1/releases/{id}/publish"), &body).is_problem(403, "own-approval");
    let token = lab.folder.path().join("hub-token");
    let hub_section = format!(
        "[hub]\nendpoint = \"{0}\"\ntoken_file = {token:?}\nallow = [\"{0}\"]\n[review]\nseparate_publisher = false\n",
        hub.endpoint()
    );
    let lab = lab.reconfigured(&hub_section);
    let _ = both.post(&format!("/api/v1/releases/{id}/publish"), &body).has(200);
    until("the release to be out", 60, || (lab.show(&id)["state"] == "published").then_some(()));
}

#[test]
fn one_admin_alone_lets_a_release_out_only_with_a_reason_and_on_record() {
    let (_runtime, hub) = hub();
    let lab = Lab::with_hub(hub.endpoint());
    let id = lab.in_review();
    let page = format!("/releases/{id}");
    let path = format!("/api/v1/releases/{id}/break_glass");
    let body = json!({ "version": lab.show(&id)["version"], "comment": "nobody else is in the lab today" });
    lab.service.api().post(&path, &body).is_problem(403, "token-cannot-approve");
    let ueda = lab.service.session("ueda");
    assert_eq!(
        ueda.press(&page, &format!("{page}/break_glass"), "nobody else is here").status,
        403,
        "no admin"
    );
    lab.service.add_user("boss", &["admin"]);
    let boss = lab.service.session("boss");
    let short = boss.press(&page, &format!("{page}/break_glass"), "now").has(400);
    assert!(short.text.contains("at least 10 characters"), "{}", short.text);
    let _ = boss.press(&page, &format!("{page}/break_glass"), "締切まで1時間、承認者が不在のため").has(303);
    let shown = lab.show(&id);
    assert_eq!(
        json!([shown["state"], shown["approvals"], shown["broken_glass"]]),
        json!(["approved", 0, true])
    );
    let told = lab.service.visitor().get(&format!("{page}?lang=ja")).has(200).text;
    assert!(told.contains("緊急公開：bossさんが単独で公開を認めました"), "{told}");
    lab.release(&["publish", "--wait", &id]).exits(0);
    assert_eq!(hub.is_private(REPO), Some(false));

    // What the policy refuses no glass lets out: it never comes into review.
    let refused = lab.propose("LX");
    lab.release(&["freeze", &refused]).exits(5);
    let pressed = boss.press(
        &format!("/releases/{refused}"),
        &format!("/releases/{refused}/break_glass"),
        "it is urgent today",
    );
    assert_eq!(pressed.status, 409);
}

#[test]
fn break_glass_can_be_switched_off_and_then_never_counts() {
    let lab = Lab::new("[review]\nbreak_glass = false\n");
    let id = lab.in_review();
    lab.service.add_user("boss", &["admin"]);
    let page = format!("/releases/{id}");
    let pressed =
        lab.service.session("boss").press(&page, &format!("{page}/break_glass"), "it is urgent today");
    assert_eq!(pressed.status, 403);
    assert!(!lab.service.session("boss").get(&page).text.contains("break_glass\""), "it is not offered");
}

#[test]
fn an_approved_release_goes_out_at_its_time() {
    let (_runtime, hub) = hub();
    let lab = Lab::with_hub(hub.endpoint());
    let id = lab.approved(&lineage("L1"), &["ueda"]);
    let schedule = |at: &str| {
        let body = json!({ "version": lab.show(&id)["version"], "at": at });
        lab.author.post(&format!("/api/v1/releases/{id}/schedule"), &body)
    };
    schedule("2020-01-01T00:00:00Z").is_problem(400, "publish-at");
    let _ = schedule("2099-01-01T00:00:00Z").has(200);
    let page = lab.service.session("mori").get(&format!("/releases/{id}?lang=ja")).has(200).text;
    assert!(page.contains("に自動で公開します"), "{page}");
    let _ = schedule(&in_seconds(3)).has(200);
    until("the release to be out", 60, || (lab.show(&id)["state"] == "published").then_some(()));
    let publish = lab.audit(&id).into_iter().find(|line| line.2 == "release.publish").expect("an entry");
    assert_eq!(publish.0, "system");

    // A permit that fell meanwhile takes the time back, and nothing leaves.
    let other = lab.approved(&lineage("L1").replace(REPO, "lab/other"), &["ueda"]);
    let body = json!({ "version": lab.show(&other)["version"], "at": in_seconds(2) });
    let _ = lab.author.post(&format!("/api/v1/releases/{other}/schedule"), &body).has(200);
    let roles = json!({ "roles": ["viewer"] });
    let _ = lab.service.api().post("/api/v1/users/ueda/roles", &roles).has(200);
    until("the time to pass", 30, || lab.show(&other)["publish_at"].is_null().then_some(()));
    assert_eq!(lab.show(&other)["state"], "approved");
    assert_eq!(hub.is_private("lab/other"), None);
    assert!(lab.audit(&other).iter().any(|line| line.2 == "release.publish" && line.3 == "refused"));
}

#[test]
fn an_action_names_the_version_that_was_seen() {
    let lab = Lab::new("");
    let id = lab.propose("L1");
    let path = format!("/api/v1/releases/{id}/freeze");
    lab.author.post(&path, &json!({})).is_problem(428, "version-missing");
    lab.author.post_seen(&path, "\"7\"", &json!({})).is_problem(412, "stale");
    lab.author.post_seen(&path, "*", &json!({})).is_problem(400, "if-match");
    let etag = lab.author.get(&format!("/api/v1/releases/{id}")).has(200).headers["etag"].clone();
    let done = lab.author.post_seen(&path, etag.to_str().expect("text"), &json!({})).has(200).json();
    assert_eq!(text(&done["state"]), "policy_checked");
}

#[test]
fn what_is_refused_is_on_record_whatever_was_tried() {
    let lab = Lab::new("[review]\nbreak_glass = false\n");
    let id = lab.in_review();
    let version = lab.show(&id)["version"].clone();
    let (ueda, _) = lab.service.token_of("ueda", &["read", "release", "publish"]);
    let path = |action: &str| format!("/api/v1/releases/{id}/{action}");
    for (action, more) in [
        ("publish", json!({})),
        ("schedule", json!({ "at": "2099-01-01T00:00:00Z" })),
        ("yank", json!({ "extent": "card", "comment": "x" })),
        ("edit", json!({ "lineage": lineage("L1") })),
        ("card", json!({ "sections": {} })),
        ("revise", json!({})),
        ("freeze", json!({})),
    ] {
        let mut body = more;
        body["version"] = version.clone();
        ueda.post(&path(action), &body).is_problem(403, "role-missing");
    }
    lab.service.add_user("kimura", &["viewer"]);
    let (viewer, _) = lab.service.token_of("kimura", &["read", "release"]);
    viewer.post(&path("comment"), &json!({ "comment": "x" })).is_problem(403, "role-missing");
    lab.service.add_user("boss", &["admin"]);
    let page = format!("/releases/{id}");
    let pressed =
        lab.service.session("boss").press(&page, &format!("{page}/break_glass"), "it is urgent today");
    assert_eq!(pressed.status, 403);
    // Neither a mistake nor a page that is not the newest is a refusal.
    lab.author.post(&path("freeze"), &json!({ "version": 1 })).is_problem(412, "stale");

    let refused: Vec<(String, String)> = lab
        .audit(&id)
        .into_iter()
        .filter(|line| line.3 == "refused")
        .map(|(actor, _, action, _)| (actor, action))
        .collect();
    let by_ueda =
        ["publish", "schedule", "yank", "edit", "edit", "revise", "freeze"].map(|action| ("ueda", action));
    let all = by_ueda.into_iter().chain([("kimura", "comment"), ("boss", "break_glass")]);
    let expected: Vec<_> =
        all.map(|(actor, action)| (actor.to_owned(), format!("release.{action}"))).collect();
    assert_eq!(refused, expected);

    let lx = lab.propose("LX");
    lab.release(&["freeze", &lx]).exits(5);
    lab.release(&["request", &lx]).exits(5);
    let last = lab.audit(&lx).pop().expect("an entry");
    assert_eq!((last.2.as_str(), last.3.as_str()), ("release.request", "refused"));
    let loosened = json!({ "level": "L1", "reason": "x", "version": 1 });
    lab.author.post("/api/v1/corpora/text-LX/level", &loosened).is_problem(403, "level-in-person");
    let last = lab.audit("text-LX").pop().expect("an entry");
    assert_eq!((last.0.as_str(), last.2.as_str(), last.3.as_str()), ("mori", "corpus.level", "refused"));
    let signed = lab.audit("boss").pop().expect("an entry");
    assert_eq!(
        (signed.2.as_str(), signed.3.as_str()),
        ("user.sign_in", "done"),
        "a link is on record as a password is"
    );
}
