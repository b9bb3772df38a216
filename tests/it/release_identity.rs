//! Who somebody is: passwords, sign-ins of command lines, roles in projects.

use serde_json::json;
use tests::cli;
use tests::database::Database;
use tests::http::{Api, Session, hidden};
use tests::service::text;

use crate::lab::Lab;

const PASSWORD: &str = "東海道五十三次の関所を歩いて越える";

/// Gives somebody a password the way they do it: signed in by a link, on their own page.
fn choose_password(lab: &Lab, name: &str, password: &str) {
    let session = lab.service.session(name);
    let csrf = session.csrf("/settings");
    let set = session.post("/settings/password", &[("csrf", &csrf), ("password", password)]).has(200);
    assert!(set.text.contains("The password is set."), "{}", set.text);
}

#[test]
fn a_password_signs_in_and_wrong_ones_are_counted() {
    let lab = Lab::new("");
    let base = lab.service.url();
    let refused = Session::with_password(base, "ueda", PASSWORD).err().expect("none is set");
    assert_eq!(refused.status, 403);
    let session = lab.service.session("ueda");
    let csrf = session.csrf("/settings");
    let short = session.post("/settings/password", &[("csrf", &csrf), ("password", "short")]).has(400);
    assert!(short.text.contains("at least 15 characters"), "{}", short.text);
    choose_password(&lab, "ueda", PASSWORD);
    assert_eq!(session.get("/settings").status, 401, "a new password ends the other sign-ins");

    let signed_in = Session::with_password(base, "ueda", PASSWORD).unwrap_or_else(|a| panic!("{}", a.text));
    assert!(signed_in.get("/settings").has(200).text.contains("ueda"));
    // Neither which of the two was wrong, nor whether the name exists, is told.
    let wrong = |name| Session::with_password(base, name, "wrong wrong wrong").err().expect("wrong");
    let (known, unknown) = (wrong("ueda"), wrong("nobody"));
    assert_eq!((known.status, unknown.status), (403, 403));
    let notice = |page: &str| page.split("role=\"alert\"").nth(1).map(|rest| rest[..80].to_owned());
    assert_eq!(notice(&known.text), notice(&unknown.text));
    for _ in 0..4 {
        assert_eq!(wrong("ueda").status, 403);
    }
    let locked = Session::with_password(base, "ueda", PASSWORD).err().expect("too many");
    assert_eq!(locked.status, 429, "{}", locked.text);
    let log = lab.service.session("mori").get("/audit?action=user.sign_in&lang=en").has(200).text;
    assert!(log.contains("password-wrong") && log.contains("too-many-tries"), "{log}");
    assert!(!log.contains("wrong wrong wrong") && !log.contains("nobody"), "what was typed is not kept");
}

#[test]
fn of_many_tries_at_once_no_more_are_taken_than_one_after_the_other() {
    let lab = Lab::new("");
    choose_password(&lab, "ueda", PASSWORD);
    let base = lab.service.url();
    let answers: Vec<u16> = std::thread::scope(|scope| {
        let tries: Vec<_> = (0..12)
            .map(|_| scope.spawn(|| Session::with_password(base, "ueda", "wrong wrong wrong").err()))
            .collect();
        tries.into_iter().map(|try_| try_.join().expect("ended").expect("wrong").status).collect()
    });
    let count = |status: u16| answers.iter().filter(|answer| **answer == status).count();
    assert_eq!((count(403), count(429)), (5, 7), "{answers:?}");
    let refused = Database::open(&lab.service.dir()).audit();
    let refused = refused.iter().filter(|entry| entry.action == "user.sign_in" && entry.result == "refused");
    assert_eq!(refused.count(), 6, "five wrong ones, and once that no more are taken");
}

#[test]
fn a_command_line_is_signed_in_by_a_person_and_then_approves() {
    let lab = Lab::new("");
    let id = lab.in_review();
    let logins = lab.folder.path().join("config/logins.json");
    let mut login = lab.service.command(&["login", "--json"]);
    login.env("SEKISHO_LOGINS", &logins).env_remove("SEKISHO_TOKEN");
    login.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
    let child = login.spawn().expect("started");
    let code = tests::wait::until("a request", 20, || Database::open(&lab.service.dir()).login_codes().pop());
    // A stranger sees who asks, and cannot confirm.
    let page = lab.service.visitor().get(&format!("/login/command?code={code}")).has(200).text;
    assert!(page.contains(&code) && hidden(&page, "csrf").is_none(), "{page}");
    let ueda = lab.service.session("ueda");
    let csrf = ueda.csrf(&format!("/login/command?code={code}"));
    let fields = [("csrf", csrf.as_str()), ("code", &code), ("answer", "confirm")];
    let _ = ueda.post("/login/command", &fields).has(200);
    assert_eq!(ueda.post("/login/command", &fields).status, 403, "once");
    let ended = child.wait_with_output().expect("ended");
    assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));

    let mode =
        std::os::unix::fs::PermissionsExt::mode(&fs_err::metadata(&logins).expect("kept").permissions());
    assert_eq!(mode & 0o777, 0o600);
    // Only what was looked at: twelve digits of its digest tell it from anything else.
    let digest = text(&lab.show(&id)["digest"]).to_owned();
    let approve = |digest: &str| {
        let mut approve = lab.service.command(&["release", "approve", &id, "--json", "--digest", digest]);
        cli::run(approve.env("SEKISHO_LOGINS", &logins).env_remove("SEKISHO_TOKEN"))
    };
    approve("0123456789ab").exits(4).says(&["not what you have looked at", &digest]);
    assert_eq!(lab.show(&id)["approvals"], 0);
    let digits = digest.trim_start_matches("sha256:");
    let approved = approve(&digits[..12]).exits(0).json();
    assert_eq!(json!([approved["state"], approved["approvals"]]), json!(["approved", 1]));
    let last = lab.audit(&id).pop().expect("an entry");
    assert_eq!((last.0.as_str(), last.1.as_str()), ("ueda", "login"));

    // The sign-in is no cookie, and ends when it is taken back.
    let secret = fs_err::read_to_string(&logins).expect("kept");
    let secret = secret
        .split("\"secret\"")
        .nth(1)
        .and_then(|rest| rest.split('"').nth(1))
        .expect("a secret")
        .to_owned();
    let api = Api::new(lab.service.url(), Some(&secret));
    let _ = api.get("/api/v1/users").has(200);
    let mut logout = lab.service.command(&["logout"]);
    cli::run(logout.env("SEKISHO_LOGINS", &logins).env_remove("SEKISHO_TOKEN")).exits(0);
    api.get("/api/v1/users").is_problem(401, "login-expired");
}

#[test]
fn a_role_in_one_project_holds_there_alone() {
    let lab = Lab::new("");
    let admin = lab.service.api();
    let _ = admin.post("/api/v1/projects", &json!({ "name": "v4", "title": "LLM-jp-4" })).has(201);
    admin.post("/api/v1/projects", &json!({ "name": "a b" })).is_problem(400, "project-name");
    lab.service.add_user("hayashi", &["evaluator"]);
    let give = |project: &str, roles| {
        let path = format!("/api/v1/projects/{project}/roles");
        admin.post(&path, &json!({ "user": "hayashi", "roles": roles }))
    };
    give("v5", json!(["approver"])).is_problem(404, "not-found");
    give("v4", json!(["admin"])).is_problem(400, "project-role");
    let _ = give("v4", json!(["approver"])).has(200);

    let id = lab.in_review();
    let page = format!("/releases/{id}");
    let approve = || lab.service.session("hayashi").press(&page, &format!("{page}/approve"), "");
    assert_eq!(approve().status, 403, "the release belongs to the project \"default\"");
    let _ = give("default", json!(["approver"])).has(200);
    assert_eq!(approve().status, 303);
    assert_eq!(lab.show(&id)["state"], "approved");
    // What was approved holds as long as the role does.
    let _ = give("default", json!([])).has(200);
    assert_eq!(lab.show(&id)["approvals"], 0);
}

#[test]
fn a_person_makes_and_withdraws_their_own_tokens() {
    let lab = Lab::new("");
    let session = lab.service.session("mori");
    let csrf = session.csrf("/settings");
    let make = |scope: &str| {
        session.post("/settings/tokens", &[("csrf", &csrf), ("label", "CI"), ("scope", scope), ("days", "7")])
    };
    assert_eq!(make("admin").status, 400, "an admin gives that one");
    let page = make("ingest").has(200).text;
    let token =
        page.split("sek_").nth(1).map(|rest| format!("sek_{}", rest.split('<').next().unwrap_or_default()));
    let token = token.expect("shown once");
    let api = Api::new(lab.service.url(), Some(&token));
    let _ = api.get("/api/v1/users").has(200);
    let list = lab.service.api().get("/api/v1/users/mori/tokens").has(200).items();
    let made = list.as_array().expect("a list").iter().find(|t| t["label"] == "CI").expect("listed").clone();
    assert!(made["expires"].is_string(), "{made}");
    let fields = [("csrf", csrf.as_str()), ("id", text(&made["id"]))];
    let _ = session.post("/settings/tokens/revoke", &fields).has(303);
    api.get("/api/v1/users").is_problem(401, "token-unknown");
}

#[test]
fn strangers_cannot_make_the_service_work_hard() {
    let lab = Lab::new("");
    let visitor = lab.service.visitor();
    visitor.post("/api/v1/policies/simulate", &json!({ "set": "base" })).is_problem(401, "sign-in-needed");
    assert_eq!(visitor.form("/policies", &[("set", "base"), ("text", "")], &[]).status, 401);
    let _ = lab.author.post("/api/v1/policies/simulate", &json!({ "set": "base" })).has(200);
    // Anybody may ask to sign in, and a hundred may wait.
    let ask = || visitor.post("/api/v1/login-requests", &json!({ "origin": "x@y" }));
    for _ in 0..100 {
        let _ = ask().has(201);
    }
    ask().is_problem(429, "too-many-requests");
}

/// Who contributes to one project alone, hands over there and nowhere else.
#[test]
fn a_contributor_of_one_project_hands_over_there() {
    let lab = Lab::new("");
    let admin = lab.service.api();
    let _ = admin.post("/api/v1/projects", &json!({ "name": "v4", "title": "LLM-jp-4" })).has(201);
    lab.service.add_user("hayashi", &["viewer"]);
    let roles = json!({ "user": "hayashi", "roles": ["contributor"] });
    let _ = admin.post("/api/v1/projects/v4/roles", &roles).has(200);
    let (hayashi, _) = lab.service.token_of("hayashi", &["read", "ingest", "evaluate"]);
    hayashi.post("/api/v1/runs", &json!({ "name": "x" })).is_problem(403, "role-missing");
    let _ = hayashi.post("/api/v1/runs", &json!({ "name": "v4-8b", "project": "v4" })).has(201);
    let model = lab.folder.path().join("model").display().to_string();
    let step = json!({ "path": model, "step": 10, "tokens": 1000, "copy": false });
    let event = json!({ "kind": "started", "step": 0, "at": "2026-01-01T00:00:00Z" });
    hayashi.post("/api/v1/runs/gate-mini/checkpoints", &step).is_problem(403, "role-missing");
    hayashi.post("/api/v1/runs/gate-mini/events", &event).is_problem(403, "role-missing");
    let checkpoint = hayashi.post("/api/v1/runs/v4-8b/checkpoints", &step).has(202).json();
    assert_eq!(checkpoint["run_name"], "v4-8b");
    let of = |id: &str| format!("/api/v1/checkpoints/{id}/evaluations");
    let suite = json!({ "suite": "llm-jp-eval-dev100" });
    hayashi.post(&of(text(&lab.checkpoint["id"])), &suite).is_problem(403, "role-missing");
    let own = hayashi.post(&of(text(&checkpoint["id"])), &suite);
    assert_ne!(own.status, 403, "{}", own.text);
}
