//! Reviews over HTTP: who may approve by which sign-in, how many it takes, and the other ways a review can end.

use serde_json::{Value, json};
use tests::cli;
use tests::http::{Api, Session};
use tests::service::text;

use crate::lab::{Lab, lineage};

const LAB_OF_TWO: &str = "[review]\napprovals = 2\n";

/// A link of an account, made with a token of another.
fn link(maker: &Api, name: &str) -> String {
    let answer = maker.post(&format!("/api/v1/users/{name}/login-link"), &json!({})).has(200).json();
    text(&answer["url"]).to_owned()
}

fn approve(lab: &Lab, session: &Session, id: &str) -> (u16, String) {
    let page = format!("/releases/{id}");
    let answer = session.press(&page, &format!("{page}/approve"), "");
    assert!(answer.status == 303 || lab.show(id)["approvals"] == 0, "{}", answer.text);
    (answer.status, answer.text)
}

#[test]
fn a_stored_token_ends_in_no_approval_by_any_link() {
    let lab = Lab::new("");
    lab.service.add_user("boss", &["admin", "contributor"]);
    lab.service.add_user("deputy", &["admin"]);
    let (boss, _) = lab.service.token_of("boss", &["read", "release", "admin"]);

    // What the admin proposes, a link of the admin's token does not approve …
    let body = json!({ "checkpoint": lab.checkpoint["id"], "lineage": lineage("L1") });
    let mut release = boss.post("/api/v1/releases", &body).has(201).json();
    let id = text(&release["id"]).to_owned();
    for action in ["freeze", "request"] {
        let body = json!({ "version": release["version"] });
        release = boss.post(&format!("/api/v1/releases/{id}/{action}"), &body).has(200).json();
    }
    let session = Session::sign_in(lab.service.url(), &link(&boss, "ueda"));
    let (status, page) = approve(&lab, &session, &id);
    assert_eq!(status, 403);
    assert!(page.contains("a stored token never approves"), "{page}");
    // … nor one of a token that the admin's token made for somebody else.
    let answer = boss
        .post("/api/v1/users/deputy/tokens", &json!({ "label": "x", "scopes": ["admin"] }))
        .has(201)
        .json();
    let deputy = Api::new(lab.service.url(), Some(text(&answer["token"])));
    let session = Session::sign_in(lab.service.url(), &link(&deputy, "ueda"));
    assert_eq!(approve(&lab, &session, &id).0, 403);
    // Another admin's link does, and the log says whose it was.
    let (status, page) = approve(&lab, &lab.service.session("ueda"), &id);
    assert_eq!(status, 303, "{page}");
    let database = tests::database::Database::open(&lab.service.dir());
    let approval = database.audit().into_iter().rev().find(|entry| entry.action == "release.approve");
    let approval = approval.expect("audited");
    assert_eq!(approval.detail["link_made_by"], json!(["admin"]));
}

#[test]
fn a_link_that_an_approver_makes_for_herself_approves_nothing() {
    let lab = Lab::new("");
    lab.service.add_user("kondo", &["approver", "admin"]);
    let (own, _) = lab.service.token_of("kondo", &["read", "admin"]);
    let id = lab.in_review();
    let session = Session::sign_in(lab.service.url(), &link(&own, "kondo"));
    assert_eq!(approve(&lab, &session, &id).0, 403);
    assert_eq!(approve(&lab, &lab.service.session("kondo"), &id).0, 303);
}

#[test]
fn it_takes_as_many_people_as_the_lab_asks_for_and_they_must_be_approvers_still() {
    let lab = Lab::new(LAB_OF_TWO);
    lab.service.add_user("hayashi", &["approver"]);
    lab.service.add_user("endo", &["approver"]);
    let id = lab.in_review();
    let ueda = lab.service.session("ueda");
    assert_eq!(approve(&lab, &ueda, &id).0, 303);
    let state = |shown: &Value| json!([shown["state"], shown["approvals"]]);
    assert_eq!(state(&lab.show(&id)), json!(["in_review", 1]));
    let page = format!("/releases/{id}");
    assert_eq!(ueda.press(&page, &format!("{page}/approve"), "").status, 409, "one person counts once");

    // Who is no approver any more does not count any more.
    cli::run(&mut lab.service.command(&["user", "roles", "ueda", "viewer"])).exits(0);
    assert_eq!(state(&lab.show(&id)), json!(["in_review", 0]));
    assert_eq!(approve(&lab, &lab.service.session("hayashi"), &id).0, 303);
    assert_eq!(state(&lab.show(&id)), json!(["in_review", 1]));
    assert_eq!(approve(&lab, &lab.service.session("endo"), &id).0, 303);
    assert_eq!(state(&lab.show(&id)), json!(["approved", 2]));
}

#[test]
fn a_review_is_returned_commented_rejected_and_withdrawn() {
    let lab = Lab::new("");
    let id = lab.in_review();
    let page = format!("/releases/{id}");
    let (ueda, mori) = (lab.service.session("ueda"), lab.service.session("mori"));
    assert_eq!(ueda.press(&page, &format!("{page}/return"), " ").status, 400, "it says why");
    assert_eq!(ueda.press(&page, &format!("{page}/return"), "NOTICEが要ります").status, 303);
    let shown = lab.show(&id);
    assert_eq!(json!([shown["state"], shown["digest"]]), json!(["draft", null]));
    lab.release(&["comment", "--message", "追加しました", &id]).exits(0);
    lab.service.add_user("guest", &["viewer"]);
    let guest = lab.service.session("guest");
    assert!(!guest.get(&page).has(200).text.contains("name=\"comment\""), "a viewer is offered no box");
    let comments = ueda.get(&page).has(200).text;
    assert!(comments.contains("NOTICEが要ります") && comments.contains("追加しました"));
    let admin = lab.service.api();
    let body = json!({ "version": 1, "comment": "from the admin" });
    let _ = admin.post(&format!("/api/v1{page}/comment"), &body).has(200);

    let _ = lab.act(&id, "freeze").has(200);
    let _ = lab.act(&id, "request").has(200);
    assert_eq!(ueda.press(&page, &format!("{page}/reject"), "別の版を出します").status, 303);
    assert_eq!(lab.show(&id)["state"], "rejected");
    assert_eq!(mori.press(&page, &format!("{page}/withdraw"), "").status, 409, "it has ended");

    // Withdrawing is the author's; it succeeds also after the policy refused.
    let id = lab.propose("LX");
    lab.release(&["freeze", &id]).exits(5);
    let body = json!({ "version": lab.show(&id)["version"], "comment": "" });
    admin.post(&format!("/api/v1/releases/{id}/withdraw"), &body).is_problem(403, "not-author");
    lab.release(&["comment", "--message", "LXでした", &id]).exits(0);
    lab.release(&["withdraw", &id]).exits(0);
    assert_eq!(lab.release(&["show", "--json", &id]).exits(5).json()["state"], "withdrawn");
    let told: Vec<String> =
        lab.audit(&id).into_iter().map(|(_, _, action, result)| format!("{action} {result}")).collect();
    let expected = ["propose done", "freeze done", "withdraw refused", "comment done", "withdraw done"];
    assert_eq!(told, expected.map(|line| format!("release.{line}")));
}

#[test]
fn forms_are_taken_from_our_own_pages_alone() {
    let lab = Lab::new("");
    let id = lab.in_review();
    let ueda = lab.service.session("ueda");
    let (page, version) = (format!("/releases/{id}"), lab.show(&id)["version"].to_string());
    let csrf = ueda.csrf(&page);
    let approve = format!("{page}/approve");
    let fields = [("csrf", csrf.as_str()), ("version", &version), ("comment", "")];
    let elsewhere: [&[(&str, &str)]; 3] = [
        &[("sec-fetch-site", "cross-site")],
        &[("origin", "https://evil.example")],
        &[("sec-fetch-site", "same-site"), ("origin", lab.service.url())],
    ];
    for headers in elsewhere {
        let refused = ueda.post_with(&format!("{approve}?lang=en"), &fields, headers).has(403);
        assert!(refused.text.contains("set [server] public_url in sekisho.toml"), "{}", refused.text);
        let link = lab.service.link("ueda");
        let code = link.split("code=").nth(1).expect("a code");
        let signed = lab.service.visitor().form("/login", &[("code", code)], headers);
        assert_eq!((signed.status, signed.headers.get("set-cookie")), (403, None), "{headers:?}");
        // The link is not used up by it.
        let _ = Session::sign_in(lab.service.url(), &link);
    }
    assert_eq!(lab.show(&id)["state"], "in_review");
    // A proxy that rewrites `Host`: the browser knows that the page is ours.
    let behind = [("sec-fetch-site", "same-origin"), ("origin", "https://gate.example")];
    let comment = [("csrf", csrf.as_str()), ("version", &version), ("comment", "from behind a proxy")];
    assert_eq!(ueda.post_with(&format!("{page}/comment"), &comment, &behind).status, 303);

    let propose = format!("/checkpoints/{}/propose", text(&lab.checkpoint["id"]));
    let mori = lab.service.session("mori");
    let own = mori.csrf(&page);
    for (session, path, fields) in [
        (&mori, propose.clone(), vec![("csrf", "csrf_x"), ("lineage", "x")]),
        (&mori, format!("{page}/edit"), vec![("csrf", "csrf_x"), ("version", "1"), ("lineage", "x")]),
        (&ueda, format!("{page}/comment"), vec![("csrf", own.as_str()), ("version", "1"), ("comment", "x")]),
        (&ueda, "/logout".to_owned(), vec![("csrf", "csrf_x")]),
    ] {
        assert_eq!(session.post(&path, &fields).status, 403, "{path}");
    }
    for (path, fields, status) in [
        (propose.as_str(), vec![("lineage", "x")], 422),
        (&approve, vec![("version", "1")], 403),
        ("/logout", vec![], 422),
    ] {
        assert_eq!(ueda.post(path, &fields).status, status, "{path} without the token");
    }
    assert_eq!(ueda.get(&page).has(200).text.matches("action=\"/logout\"").count(), 1, "still signed in");

    let own = [("sec-fetch-site", "same-origin"), ("origin", lab.service.url())];
    assert_eq!(ueda.post_with(&approve, &fields, &own).status, 303);
    assert_eq!(lab.show(&id)["state"], "approved");
}

#[test]
fn roles_and_tokens_are_managed_by_command_and_audited() {
    let lab = Lab::new("");
    let run = |arguments: &[&str]| cli::run(&mut lab.service.command(arguments));
    let shown = run(&["user", "roles", "ueda", "approver", "evaluator"]).exits(0).stdout;
    assert!(shown.contains("evaluator, approver"), "{shown}");
    run(&["user", "roles", "nobody", "viewer"]).exits(3).says(&["There is no account \"nobody\""]);
    run(&["user", "roles", "admin", "viewer"]).exits(4).says(&["admin is the only admin"]);
    assert_eq!(run(&["user", "roles", "ueda", "king"]).code, Some(2));

    let (token, _) = lab.service.token_of("ueda", &["read", "release"]);
    let list = run(&["token", "list", "ueda"]).exits(0).stdout;
    assert!(list.contains("read, release") && !list.contains("sek_"), "{list}");
    let id = list.lines().last().and_then(|line| line.split_whitespace().last()).expect("a row").to_owned();
    let machine = run(&["token", "list", "ueda", "--json"]).exits(0).json();
    assert_eq!(json!([machine[0]["id"], machine[0]["scopes"]]), json!([id, ["read", "release"]]));
    let users = run(&["user", "list", "--json"]).exits(0).json();
    assert!(users.as_array().is_some_and(|all| all.iter().any(|user| user["name"] == "ueda")), "{users}");
    let _ = token.get("/api/v1/users").has(200);
    run(&["token", "revoke", "mori", &id]).exits(3).says(&["There is no token"]);
    run(&["token", "revoke", "ueda", &id]).exits(0);
    token.get("/api/v1/users").is_problem(401, "token-unknown");
    run(&["token", "revoke", "ueda", &id]).exits(3);
    let stranger = lab.author.post("/api/v1/users/ueda/roles", &json!({ "roles": ["admin"] }));
    stranger.is_problem(403, "scope-missing");
    lab.author.delete(&format!("/api/v1/users/ueda/tokens/{id}")).is_problem(403, "scope-missing");

    let database = tests::database::Database::open(&lab.service.dir());
    let audit = database.audit();
    let last = |action: &str| audit.iter().rev().find(|entry| entry.action == action).expect("audited");
    assert_eq!(
        last("user.roles").detail,
        json!({ "before": ["approver"], "roles": ["evaluator", "approver"] })
    );
    assert_eq!(last("token.revoke").detail["id"], id.as_str());
    assert_eq!(last("token.revoke").object, "ueda");
}
