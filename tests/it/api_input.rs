//! Nonsense over HTTP is refused in the form of everything that is refused, quickly, and what is odd but allowed comes back as it was.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::{Value, json};
use tests::http::Api;
use tests::service::{Service, text};

/// The answer to these bytes. The service may hang up before it has read them all.
fn raw(service: &Service, request: &[u8]) -> String {
    let address = service.url().trim_start_matches("http://");
    let mut connection = TcpStream::connect(address).expect("a connection");
    connection.set_read_timeout(Some(Duration::from_secs(20))).expect("a limit");
    connection.set_write_timeout(Some(Duration::from_secs(20))).expect("a limit");
    let _ = connection.write_all(request);
    let mut answer = Vec::new();
    let mut part = [0; 4096];
    while let Ok(read @ 1..) = connection.read(&mut part) {
        answer.extend_from_slice(&part[..read]);
    }
    String::from_utf8_lossy(&answer).into_owned()
}

fn get(path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").into_bytes()
}

#[test]
fn a_query_of_ten_megabytes_is_refused_at_once() {
    let service = Service::start();
    for path in ["/api/v1/runs?after=", "/runs?q=", "/events?topics="] {
        let answer = raw(&service, &get(&format!("{path}{}", "x".repeat(10 << 20))));
        let status = answer.split(' ').nth(1).unwrap_or_default().to_owned();
        // The service may have hung up while it was being sent; then there is nothing to read.
        assert!(["414", "431", ""].contains(&status.as_str()), "{path}: {status}");
    }
    // What still fits is answered by us.
    let answer = raw(&service, &get(&format!("/api/v1/runs?after={}", "x".repeat(60_000))));
    assert!(
        answer.starts_with("HTTP/1.1 400") && answer.contains("\"code\":\"cursor\""),
        "{}",
        &answer[..300]
    );
    assert!(answer.len() < 2_000, "and not with what was wrong: {}", answer.len());
    let _ = service.visitor().get("/api/v1/runs").has(200);
}

#[test]
fn nonsense_in_a_query_is_named_with_what_is_allowed() {
    let service = Service::start();
    let api = service.api();
    let _ = api.post("/api/v1/runs", &json!({ "name": "r" })).has(201);
    let subsets = "id,corpus,level,license\nweb,lab,L1,CC0-1.0\n";
    let _ = api.post("/api/v1/corpora", &json!({ "text": subsets, "name": "a.csv" })).has(200);
    for (path, code, words) in [
        ("/api/v1/runs?limit=many", "limit", vec!["\"many\"", "1 to 200"]),
        ("/api/v1/runs?limit=1&after=%E9%96%A2", "cursor", vec!["next"]),
        ("/api/v1/runs?state=running", "query", vec!["state"]),
        ("/api/v1/releases?limit=-1", "limit", vec!["1 to 200"]),
        ("/api/v1/corpora?after=1", "cursor", vec!["next"]),
        ("/api/v1/runs/r/events?after=W10", "cursor", vec!["next"]),
        ("/api/v1/runs/r/checkpoints?limit=1e3", "limit", vec!["1 to 200"]),
        ("/api/v1/runs/r/metrics?from=-1", "query", vec!["from"]),
        ("/api/v1/runs/r/metrics?form=1", "query", vec!["form", "from", "to", "points"]),
        ("/api/v1/corpora/web/effects?level=L9", "query", vec!["L9", "L1", "LX", "LZ"]),
        ("/api/v1/corpora/web/effects", "query", vec!["level"]),
        ("/api/v1/compare?ids=r,r&align=loss", "query", vec!["loss", "tokens", "last", "chosen"]),
        ("/api/v1/audit?after=now", "query", vec!["after"]),
    ] {
        let answer = api.get(path);
        answer.is_problem(400, code);
        let detail = answer.json()["detail"].as_str().unwrap_or_default().to_owned();
        for word in words {
            assert!(detail.contains(word), "{path}: {detail}");
        }
    }
}

#[test]
fn odd_bytes_in_an_address_are_no_fault_of_the_service() {
    let service = Service::start();
    for path in [
        "/api/v1/runs/%00",
        "/api/v1/runs/%FF%FE",
        "/api/v1/runs/%",
        "/api/v1/runs/..%2F..%2Fetc",
        "/api/v1/runs?after=%FF",
        "/api/v1/runs?%00=%00",
        "/api/v1/checkpoints/%E2%80%AE",
        "/api/v1/policies/sha256:%00",
        "/api/v1/runs/r/events/%F0%9F%92%A9",
        "/events?topic=%FF,%00",
        "/api/v1//runs",
    ] {
        let answer = raw(&service, &get(path));
        let status: u16 = answer.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_default();
        assert!((400..500).contains(&status), "{path}: {status}");
        assert!(
            answer.contains("application/problem+json") && answer.contains("\"code\":\""),
            "{path}: {answer}"
        );
    }
    let log = service.visitor().get("/healthz").status;
    assert_eq!(log, 204, "it lives");
}

/// Names that try to be something else are data wherever they come back.
#[test]
fn names_of_all_kinds_come_back_as_they_were() {
    let service = Service::start();
    let api = service.api();
    let odd = [
        "<img src=x onerror=alert(1)>",
        "\u{202e}gnp.exe",
        "شبكة عصبية",
        "関所 🛂 {{7*7}}",
        "a'; DROP TABLE runs;--",
        "%00%2e%2e",
        "\"}{\"",
    ];
    for (n, name) in odd.into_iter().enumerate() {
        let note = format!("note {name}");
        let run = format!("odd-{n}");
        let _ = api.post("/api/v1/runs", &json!({ "name": run })).has(201);
        let event = json!({ "kind": "note", "step": 1, "note": note });
        let _ = api.post(&format!("/api/v1/runs/{run}/events"), &event).has(204);
        let events = api.get(&format!("/api/v1/runs/{run}/events")).has(200).items();
        assert_eq!(events[0]["note"], note);
        let page = service.visitor().get(&format!("/runs/{run}?lang=en")).has(200).text;
        assert!(!page.contains("<img src=x"), "{name}");
        project(&api, n, name);
    }
}

/// A project's title may be anything; its name may not, and says why.
fn project(api: &Api, n: usize, title: &str) {
    let made = api.post("/api/v1/projects", &json!({ "name": format!("p{n}"), "title": title }));
    if made.status == 201 {
        assert_eq!(made.json()["title"], title);
    } else {
        made.is_problem(400, "project-name");
    }
    let named = api.post("/api/v1/projects", &json!({ "name": title }));
    let problem: Value = named.json();
    assert_eq!((named.status, text(&problem["code"])), (400, "project-name"), "{title}: {}", named.text);
}
