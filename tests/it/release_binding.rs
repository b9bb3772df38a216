//! Named check 12: an approval is of exactly what was approved, by somebody else, who is an approver still. Two accounts or two tokens
//! of one person are tested in `release_reviews`, the permit on the way to the Hub in `release_publications`.

use serde_json::{Value, json};
use tests::http::Session;
use tests::service::text;

use crate::lab::{Lab, lineage};

/// Two of three approvers.
const TWO: &str = "[review]\napprovals = 2\n";

fn two_of_three() -> Lab {
    let lab = Lab::new(TWO);
    lab.service.add_user("hayashi", &["approver"]);
    lab.service.add_user("endo", &["approver"]);
    lab
}

fn approve(session: &Session, id: &str) -> u16 {
    let page = format!("/releases/{id}");
    session.press(&page, &format!("{page}/approve"), "").status
}

fn state(lab: &Lab, id: &str) -> Value {
    let shown = lab.show(id);
    json!([shown["state"], shown["approvals"]])
}

/// A card's section by the author.
fn contact(lab: &Lab, id: &str, address: &str) {
    let body = json!({ "version": lab.show(id)["version"], "sections": { "ja": { "contact": address } } });
    let _ = lab.author.post(&format!("/api/v1/releases/{id}/card"), &body).has(200);
}

#[test]
fn two_of_three_approvals_are_void_after_any_change_and_do_not_come_back() {
    let lab = two_of_three();
    let (ueda, hayashi) = (lab.service.session("ueda"), lab.service.session("hayashi"));
    let draft = lab.post(&json!({ "lineage": lineage("L1") })).has(201).json();
    let id = text(&draft["id"]).to_owned();
    contact(&lab, &id, "lab@example.ac.jp");
    let review = || {
        let _ = lab.act(&id, "freeze").has(200);
        let _ = lab.act(&id, "request").has(200);
    };
    let one_byte = || contact(&lab, &id, "lab@example.ac.jq");
    let back = || contact(&lab, &id, "lab@example.ac.jp");
    let license = || {
        let other = lineage("L1").replace("[\"apache-2.0\"]", "[\"mit\"]");
        let _ = lab.edit(&id, &other).has(200);
        let _ = lab.edit(&id, &lineage("L1")).has(200);
    };
    let visibility = || {
        let hidden = lineage("L1").replace("[release]\n", "[release]\nvisibility = \"private\"\n");
        let _ = lab.edit(&id, &hidden).has(200);
    };
    let mut digests = Vec::new();
    let changes: [(&str, &dyn Fn()); 4] = [
        ("one byte of the card", &one_byte),
        ("the byte back", &back),
        ("a licence field, and back", &license),
        ("the visibility", &visibility),
    ];
    for (what, change) in changes {
        review();
        assert_eq!(state(&lab, &id), json!(["in_review", 0]), "before {what}");
        digests.push(text(&lab.show(&id)["digest"]).to_owned());
        assert_eq!((approve(&ueda, &id), approve(&hayashi, &id)), (303, 303), "{what}");
        assert_eq!(state(&lab, &id), json!(["approved", 2]), "{what}");
        change();
        assert_eq!(state(&lab, &id), json!(["draft", 0]), "{what}");
        let published = lab.act(&id, "publish");
        assert_eq!(published.status, 409, "{what}: {}", published.text);
    }
    review();
    assert_eq!(state(&lab, &id), json!(["in_review", 0]), "nothing came back");
    digests.push(text(&lab.show(&id)["digest"]).to_owned());
    assert_ne!(digests[0], digests[1], "one byte of the card is another content");
    assert_eq!(
        digests[0], digests[2],
        "the byte back is the same content, and its approvals are void all the same"
    );
    assert_ne!(digests[3], digests[4], "the visibility is part of what is approved");
}

/// The same rules under another version are other rules.
#[test]
fn another_version_of_the_policy_voids_the_approvals() {
    let lab = two_of_three();
    let base = sekisho_policy::PolicySet::builtin("base").expect("built in");
    let version = format!("version = \"{}\"", base.version());
    let newer = base.text().replacen(&version, "version = \"2099-01\"", 1);
    assert_ne!(newer, base.text(), "{version}");
    let file = lab.write("newer.toml", &newer);
    let (approved, waiting) = (lab.in_review(), lab.in_review());
    let (ueda, hayashi) = (lab.service.session("ueda"), lab.service.session("hayashi"));
    assert_eq!((approve(&ueda, &approved), approve(&hayashi, &approved)), (303, 303));
    assert_eq!(approve(&ueda, &waiting), 303);
    let lab = lab.reconfigured(&format!("{TWO}[policy]\nset = {file:?}\n"));
    for id in [&approved, &waiting] {
        assert_eq!(state(&lab, id), json!(["policy_checked", 0]));
        assert_eq!(lab.show(id)["decision"]["policy"]["version"], "2099-01");
    }
    // Asked for again it takes two new approvals.
    let _ = lab.act(&approved, "request").has(200);
    let (ueda, hayashi) = (lab.service.session("ueda"), lab.service.session("hayashi"));
    assert_eq!(approve(&ueda, &approved), 303);
    assert_eq!(state(&lab, &approved), json!(["in_review", 1]));
    assert_eq!(approve(&hayashi, &approved), 303);
    assert_eq!(state(&lab, &approved), json!(["approved", 2]));
}

#[test]
fn the_author_and_who_lost_the_role_do_not_count() {
    let lab = two_of_three();
    let id = lab.in_review();
    // The author is an approver of other people's releases.
    assert_eq!(approve(&lab.service.session("mori"), &id), 403);
    let ueda = lab.service.session("ueda");
    assert_eq!(approve(&ueda, &id), 303);
    let (page, csrf) = (format!("/releases/{id}"), ueda.csrf(&format!("/releases/{id}")));
    let roles = |roles: Value| {
        let _ = lab.service.api().post("/api/v1/users/ueda/roles", &json!({ "roles": roles })).has(200);
    };
    roles(json!(["viewer"]));
    assert_eq!(state(&lab, &id), json!(["in_review", 0]));
    let version = lab.show(&id)["version"].to_string();
    let fields = [("csrf", csrf.as_str()), ("version", &version), ("comment", "")];
    let again = ueda.post(&format!("{page}/approve"), &fields).status;
    assert_eq!(again, 403, "nor with the sign-in and the form that she has");
    assert_eq!(approve(&lab.service.session("hayashi"), &id), 303);
    assert_eq!(state(&lab, &id), json!(["in_review", 1]), "one is missing still");
}

/// Presses of the same moment: each sees the release before the other's.
fn at_once(lab: &Lab, id: &str, names: &[&str]) -> Vec<u16> {
    let page = format!("/releases/{id}");
    let version = lab.show(id)["version"].to_string();
    let ready: Vec<(Session, String)> = names
        .iter()
        .map(|name| {
            let session = lab.service.session(name);
            let csrf = session.csrf(&page);
            (session, csrf)
        })
        .collect();
    let press = |(session, csrf): &(Session, String)| {
        let fields = [("csrf", csrf.as_str()), ("version", &version), ("comment", "")];
        session.post(&format!("{page}/approve"), &fields).status
    };
    std::thread::scope(|scope| {
        let all: Vec<_> = ready.iter().map(|one| scope.spawn(|| press(one))).collect();
        all.into_iter().map(|one| one.join().expect("answered")).collect()
    })
}

#[test]
fn last_approvals_of_the_same_moment_count_one_by_one() {
    let lab = two_of_three();
    for _ in 0..4 {
        // One person twice is one approval.
        let id = lab.in_review();
        let answers = at_once(&lab, &id, &["ueda", "ueda", "ueda"]);
        assert_eq!(answers.iter().filter(|status| **status == 303).count(), 1, "{answers:?}");
        assert_eq!(state(&lab, &id), json!(["in_review", 1]), "{answers:?}");
        // Three people at once: who was overtaken looks again before approving.
        let id = lab.in_review();
        let answers = at_once(&lab, &id, &["ueda", "hayashi", "endo"]);
        assert!(answers.iter().all(|status| [303, 412].contains(status)), "{answers:?}");
        let counted = answers.iter().filter(|status| **status == 303).count();
        let expected = if counted < 2 { "in_review" } else { "approved" };
        assert_eq!(state(&lab, &id), json!([expected, counted]), "{answers:?}");
        let approvals =
            lab.audit(&id).into_iter().filter(|line| line.2 == "release.approve" && line.3 == "done");
        assert_eq!(approvals.count(), counted, "{answers:?}");
    }
}
