//! What programs rely on: the description, lists in parts, requests that are carried out once, answers that have not changed.

use std::collections::BTreeSet;

use sekisho_domain::Sha256;
use serde_json::{Value, json};
use tests::cli;
use tests::described::document;
use tests::http::Api;
use tests::service::{Options, Service, text};

use super::lab::{Lab, lineage};

/// Every operation: its method, its path, and what is said of it.
fn operations() -> Vec<(String, String, &'static Value)> {
    let paths = document()["paths"].as_object().expect("paths").iter();
    let of = |(path, item): (&String, &'static Value)| {
        let all = item.as_object().expect("operations").iter();
        all.map(|(method, operation)| (method.clone(), path.clone(), operation)).collect::<Vec<_>>()
    };
    paths.flat_map(of).collect()
}

#[test]
fn the_description_is_served_to_whoever_may_read() {
    let service = Service::start();
    let served = service.visitor().get("/api/openapi.json").has(200);
    assert_eq!(&served.json(), document(), "as it is committed");
    assert_eq!(served.json()["openapi"], "3.1.0");
    let page = service.visitor().get("/api/docs?lang=ja").has(200).text;
    assert!(page.contains("id=\"create_run\"") && page.contains("リクエストボディ"));
    let strict = Service::with(Options {
        config: "[server]\nanonymous = \"none\"\n".to_owned(),
        ..Options::default()
    });
    strict.visitor().get("/api/openapi.json").is_problem(401, "sign-in-needed");
    let _ = strict.api().get("/api/openapi.json").has(200);
    let page = strict.visitor().get("/api/docs").has(401).text;
    assert!(page.starts_with("<!doctype html>"), "a person is shown where to sign in");
}

/// Without a token exactly those answer 401 that are described as needing one.
#[test]
fn who_may_call_what_is_as_described() {
    let service = Service::start();
    let visitor = service.visitor();
    for (method, path, operation) in operations() {
        if path == "/events" {
            continue;
        }
        let open = operation["security"].as_array().expect("security").contains(&json!({}));
        let name = text(&operation["operationId"]);
        let address: Vec<&str> =
            path.split('/').map(|part| if part.starts_with('{') { "x" } else { part }).collect();
        let query = if name == "show_corpus_effects" { "?level=LX" } else { "" };
        let address = format!("{}{query}", address.join("/"));
        let answer = match method.as_str() {
            "get" => visitor.get(&address),
            "delete" => visitor.delete(&address),
            "patch" => visitor.patch(&address, 0, b""),
            _ => visitor.post(&address, &json!({})),
        };
        let refused = answer.status == 401 && !text_of(&answer.text, "code").is_empty();
        assert_eq!(refused, !open, "{name}: {} {}", answer.status, answer.text);
        assert_ne!(answer.status, 405, "{name}");
        assert!(!answer.text.contains("There is no page"), "{name} is where the description says");
    }
}

fn text_of(body: &str, key: &str) -> String {
    let value: Value = serde_json::from_str(body).unwrap_or_default();
    value[key].as_str().unwrap_or_default().to_owned()
}

/// Every GET that answers JSON is asked, of a lab in which there is something to answer; what it says is held against its description.
#[test]
fn every_reading_endpoint_answers_what_its_description_says() {
    let lab = Lab::new("");
    let api = lab.service.api();
    let draft = lab.post(&json!({ "lineage": lineage("L1") })).has(201).json();
    let (release, checkpoint) = (text(&draft["id"]), text(&lab.checkpoint["id"]));
    let _ = lab.act(release, "freeze").has(200);
    let rows = json!([{ "step": 1, "tokens": 5, "loss": 3.5, "mine": 1 }, { "step": 2, "tokens": 9, "loss": "NaN" }]);
    let _ = api.post("/api/v1/runs/gate-mini/metrics", &json!({ "seq": 0, "rows": rows })).has(200);
    let event = json!({ "kind": "note", "step": 1, "note": "<b>日本語</b>" });
    let _ = api.post("/api/v1/runs/gate-mini/events", &event).has(204);
    let plan = json!({ "gpus": 8, "end": "2027-01-31", "reason": "more" });
    let _ = api.post("/api/v1/runs/gate-mini/plan", &plan).has(200);
    let webhook = json!({ "name": "w", "url": "https://receiver.example/" });
    let webhook = api.post("/api/v1/webhooks", &webhook).has(201).json();
    let webhook = text(&webhook["id"]);
    let ping = api.post(&format!("/api/v1/webhooks/{webhook}/ping"), &json!({})).has(200).json();
    let suite = json!({ "suite": "llm-jp-eval-dev100" });
    let evaluation =
        api.post(&format!("/api/v1/checkpoints/{checkpoint}/evaluations"), &suite).has(202).json();
    let file = json!({ "path": "model.safetensors", "size": 3, "sha256": Sha256::of("abc").to_string() });
    let upload = json!({ "step": 900, "tokens": 9000, "files": [file] });
    let upload = api.post("/api/v1/runs/gate-mini/uploads", &upload).has(201).json();
    let policies = lab.service.visitor().get("/api/v1/policies").has(200).items();
    let id = |path: &str| -> String {
        let of = path.split('/').nth(3).unwrap_or_default();
        let value = match of {
            "releases" => release,
            "checkpoints" => checkpoint,
            "webhooks" => webhook,
            "evals" => text(&evaluation["id"]),
            "runs" => text(&upload["id"]),
            _ => "",
        };
        path.replace("{id}", value)
            .replace("{run}", "gate-mini")
            .replace("{subset}", "reviews-L3")
            .replace("{name}", "mori")
            .replace("{message}", text(&ping["id"]))
            .replace("{digest}", text(&policies[0]["digest"]))
            .replace("{path}", "model.safetensors")
    };
    // Files of an export and data of a benchmark are bytes, a channel needs a published model, a command's sign-in its own secret, a
    // launch a launcher, and a plan a Hub: other tests ask for those, and are held against the description as well.
    let elsewhere = [
        "show_channel",
        "show_launch",
        "show_launch_papers",
        "show_login_request",
        "show_publication_plan",
        "download_release_file",
        "download_source",
    ];
    let mut asked = BTreeSet::new();
    for (method, path, operation) in operations() {
        let name = text(&operation["operationId"]);
        if method != "get" || elsewhere.contains(&name) || path == "/events" {
            continue;
        }
        let query = match name {
            "show_comparison" => "?ids=gate-mini,".to_owned() + checkpoint,
            "show_corpus_effects" => "?level=LX".to_owned(),
            _ => String::new(),
        };
        let answer = lab.author.get(&format!("{}{query}", id(&path)));
        let admin = api.get(&format!("{}{query}", id(&path)));
        let is_good = |status: u16| [200, 204].contains(&status);
        assert!(is_good(answer.status) || is_good(admin.status), "{name}: {} {}", admin.status, admin.text);
        asked.insert(name);
    }
    assert!(asked.len() > 35, "{}", asked.len());
}

#[test]
fn lists_are_read_in_parts_to_the_end() {
    let service = Service::start();
    let api = service.api();
    for n in 0..7 {
        let _ = api.post("/api/v1/runs", &json!({ "name": format!("run-{n}") })).has(201);
    }
    let mut next = Some("/api/v1/runs?limit=3".to_owned());
    let (mut names, mut parts) = (Vec::new(), 0);
    while let Some(path) = next {
        let answer = api.get(&path).has(200);
        let page = answer.json();
        names.extend(page["items"].as_array().expect("rows").iter().map(|run| text(&run["name"]).to_owned()));
        next = page["next"].as_str().map(ToOwned::to_owned);
        let link = answer.headers.get("link").map(|link| link.to_str().expect("text").to_owned());
        assert_eq!(
            link,
            next.as_ref().map(|next| format!("<{next}>; rel=\"next\"")),
            "the header says the same"
        );
        parts += 1;
        // A run that comes meanwhile is no part of what is still to be read.
        let _ = api.post("/api/v1/runs", &json!({ "name": format!("later-{parts}") })).has(201);
    }
    let expected: Vec<String> = (0..7).rev().map(|n| format!("run-{n}")).collect();
    assert_eq!((names, parts), (expected, 3));

    let rows: Vec<Value> = (1..=25).map(|n| json!({ "step": n * 10, "tokens": n, "loss": 1.0 })).collect();
    let _ = api.post("/api/v1/runs/run-1/metrics", &json!({ "seq": 0, "rows": rows })).has(200);
    let first = api.get("/api/v1/runs/run-1/metrics?from=15&to=200&limit=10").has(200).json();
    let rest = api.get(text(&first["next"])).has(200).json();
    let steps = |page: &Value| -> Vec<u64> {
        page["items"].as_array().expect("rows").iter().filter_map(|row| row["step"].as_u64()).collect()
    };
    assert_eq!([steps(&first), steps(&rest)].concat(), (2..=20).map(|n| n * 10).collect::<Vec<u64>>());
    assert_eq!(rest["next"], Value::Null, "what lies beyond `to` is not asked for");
    for (path, code) in [
        ("/api/v1/runs?limit=0", "limit"),
        ("/api/v1/runs?limit=201", "limit"),
        ("/api/v1/runs?after=x", "cursor"),
        ("/api/v1/runs?sort=name", "query"),
        ("/api/v1/runs/run-1/metrics?limit=100001", "limit"),
    ] {
        api.get(path).is_problem(400, code);
    }
}

#[test]
fn the_command_line_reads_a_list_to_its_end() {
    let service = Service::start();
    let api = service.api();
    for n in 0..201 {
        let _ = api.post("/api/v1/runs", &json!({ "name": format!("r{n}") })).has(201);
    }
    let listed = cli::run(&mut service.command(&["run", "list", "--json"])).exits(0).json();
    let names: BTreeSet<&str> =
        listed.as_array().expect("a list").iter().map(|run| text(&run["name"])).collect();
    assert_eq!(names.len(), 201);
}

fn create(api: &Api, key: &str, name: &str) -> tests::http::Answer {
    api.post_with("/api/v1/projects", &json!({ "name": name }), &[("idempotency-key", key)])
}

#[test]
fn a_request_under_a_key_is_carried_out_once() {
    let mut service = Service::start();
    let api = service.api();
    let first = create(&api, "k-1", "one").has(201);
    let again = create(&api, "k-1", "one").has(201);
    assert_eq!(again.text, first.text);
    assert_eq!(again.headers["idempotency-replayed"], "true");
    assert!(!first.headers.contains_key("idempotency-replayed"));
    create(&api, "k-1", "two").is_problem(422, "idempotency-mismatch");
    let other = api.post_with("/api/v1/runs", &json!({ "name": "one" }), &[("idempotency-key", "k-1")]);
    other.is_problem(422, "idempotency-mismatch");
    create(&api, "k-2", "one").is_problem(409, "conflict");
    // What failed was not done: its key goes with what is sent next.
    let _ = create(&api, "k-2", "two").has(201);
    let names = |api: &Api| api.get("/api/v1/projects").has(200).items().as_array().map(Vec::len);
    assert_eq!(names(&api), Some(3), "`default` and these two");

    service.add_user("mori", &["admin"]);
    let (mori, _) = service.token_of("mori", &["admin"]);
    create(&mori, "k-1", "three").has(201);
    service.kill9();
    service.restart();
    assert_eq!(create(&service.api(), "k-1", "one").has(201).text, first.text, "a restart forgets nothing");
    for bad in ["", "a b", &"x".repeat(201)] {
        create(&service.api(), bad, "four").is_problem(400, "idempotency-key");
    }
    create(&service.visitor(), "k-1", "one").is_problem(401, "sign-in-needed");
}

#[test]
fn many_at_once_under_one_key_do_one_thing() {
    let service = Service::start();
    let api = service.api();
    let answers: Vec<u16> = std::thread::scope(|scope| {
        let ask = || scope.spawn(|| create(&service.api(), "k", "one"));
        let all: Vec<_> = (0..8).map(|_| ask()).collect();
        all.into_iter().map(|thread| thread.join().expect("an answer").status).collect()
    });
    assert!(
        answers.contains(&201) && answers.iter().all(|status| [201, 409].contains(status)),
        "{answers:?}"
    );
    assert_eq!(create(&api, "k", "one").has(201).headers["idempotency-replayed"], "true");
    assert_eq!(api.get("/api/v1/projects").has(200).items().as_array().map(Vec::len), Some(2));
}

#[test]
fn an_answer_with_a_secret_is_never_kept() {
    let service = Service::start();
    let api = service.api();
    let key = [("idempotency-key", "k")];
    let webhook = json!({ "name": "w", "url": "https://receiver.example/" });
    let token = json!({ "label": "t", "scopes": ["read"] });
    for (path, body) in [
        ("/api/v1/webhooks", &webhook),
        ("/api/v1/users/admin/tokens", &token),
        ("/api/v1/users/admin/login-link", &json!({})),
        ("/api/v1/login-requests", &json!({ "origin": "me@here" })),
    ] {
        api.post_with(path, body, &key).is_problem(400, "idempotency-secret");
    }
    assert_eq!(api.get("/api/v1/webhooks").has(200).items(), json!([]), "nothing was made");
    // Every other answer that is kept is looked at for what only a secret has.
    let _ = api.post_with("/api/v1/users", &json!({ "name": "ueda", "roles": [] }), &key).has(201);
    let kept = fs_err::read(service.dir().join("sekisho.db")).unwrap_or_default();
    let log = fs_err::read(service.dir().join("sekisho.db-wal")).unwrap_or_default();
    let all = String::from_utf8_lossy(&[kept, log].concat()).into_owned();
    assert!(all.contains("ueda"), "the database is looked at");
    assert!(!all.contains(service.token()), "no token lies there in clear");
}

#[test]
fn who_has_an_answer_is_not_sent_it_again() {
    let lab = Lab::new("");
    let api = lab.service.api();
    let draft = lab.post(&json!({ "lineage": lineage("L1") })).has(201).json();
    let release = format!("/api/v1/releases/{}", text(&draft["id"]));
    for path in ["/api/v1/runs/gate-mini", &release, "/api/v1/corpora/reviews", "/api/v1/runs"] {
        let answer = api.get(path).has(200);
        let tag = answer.headers["etag"].to_str().expect("text").to_owned();
        assert!(tag.starts_with("W/\""), "{tag}");
        let same = api.get_with(path, &[("if-none-match", &tag)]).has(304);
        assert_eq!(same.text, "");
        assert_eq!(same.headers["etag"], tag.as_str());
        let list = format!("\"other\", {tag}");
        let _ = api.get_with(path, &[("if-none-match", &list)]).has(304);
        let _ = api.get_with(path, &[("if-none-match", "W/\"other\"")]).has(200);
    }
    let tag = |path: &str| api.get(path).has(200).headers["etag"].to_str().expect("text").to_owned();
    let (run, of_release) = (tag("/api/v1/runs/gate-mini"), tag(&release));
    let rows = json!({ "seq": 0, "rows": [{ "step": 11, "tokens": 2000, "loss": 1.0 }] });
    let _ = api.post("/api/v1/runs/gate-mini/metrics", &rows).has(200);
    let _ = api.get_with("/api/v1/runs/gate-mini", &[("if-none-match", &run)]).has(200);
    // The tag names the version too, for who changes the release.
    let _ = lab.author.post_seen(&format!("{release}/freeze"), &of_release, &json!({})).has(200);
    lab.author.post_seen(&format!("{release}/request"), &of_release, &json!({})).is_problem(412, "stale");
}
