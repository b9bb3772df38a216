//! `/events`: what changes is told, and who was away gets what they missed.

use std::io::{BufRead as _, BufReader};

use reqwest::blocking::{Client, Response};
use serde_json::json;
use tests::service::{Service, text};

/// One event of a stream.
#[derive(Debug, Default, PartialEq, Eq)]
struct Event {
    id: String,
    name: String,
    data: String,
}

struct Stream(BufReader<Response>);

impl Stream {
    fn open(service: &Service, topics: &str, last: Option<&str>) -> Self {
        let client = Client::builder().timeout(None).build().expect("a client");
        let request = client.get(format!("{}/events?topics={topics}", service.url()));
        let request = match last {
            Some(id) => request.header("last-event-id", id),
            None => request,
        };
        let response = request.send().expect("an answer");
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        assert_eq!(response.headers()["cache-control"], "no-cache, no-transform");
        Self(BufReader::new(response))
    }

    /// The next one, waiting for it.
    fn next(&mut self) -> Event {
        let mut event = Event::default();
        loop {
            let mut line = String::new();
            self.0.read_line(&mut line).expect("a line");
            match line.trim_end().split_once(": ") {
                Some(("id", id)) => id.clone_into(&mut event.id),
                Some(("event", name)) => name.clone_into(&mut event.name),
                Some(("data", data)) => data.clone_into(&mut event.data),
                Some(_) => {}
                None if event == Event::default() => {}
                None => return event,
            }
        }
    }
}

#[test]
fn who_connects_again_hears_what_was_missed() {
    let mut service = Service::start();
    let api = service.api();
    let run = api.post("/api/v1/runs", &json!({ "name": "r" })).has(201).json();
    let other = api.post("/api/v1/runs", &json!({ "name": "other" })).has(201).json();
    let (topic, other) = (format!("run:{}", text(&run["id"])), format!("run:{}", text(&other["id"])));
    let report = |name: &str, seq: u64| {
        let body = json!({ "seq": seq, "rows": [{ "step": seq + 1, "tokens": 1, "loss": 1.0 }] });
        let _ = api.post(&format!("/api/v1/runs/{name}/metrics"), &body).has(200);
    };
    let mut stream = Stream::open(&service, &format!("{topic},queue"), None);
    let begin = stream.next();
    assert_eq!((begin.name.as_str(), begin.data.as_str()), ("", ""), "an id alone: nothing has happened");
    report("r", 0);
    report("other", 0);
    let heard = stream.next();
    assert_eq!((heard.name.as_str(), &heard.data), ("metrics", &topic));
    drop(stream);

    report("r", 1);
    report("other", 1);
    let mut again = Stream::open(&service, &topic, Some(&heard.id));
    let missed = again.next();
    assert_eq!((missed.name.as_str(), &missed.data), ("metrics", &topic), "what happened meanwhile");
    assert_ne!(missed.id, heard.id);
    let here = again.next();
    assert_eq!(
        (here.name.as_str(), here.data.as_str()),
        ("", ""),
        "and no more of it: the other run is no topic"
    );
    report("r", 2);
    assert_eq!(again.next().data, topic, "then what comes");
    let all = format!("{topic},{other}");
    let mut both = Stream::open(&service, &all, Some(&begin.id));
    let told: Vec<String> = (0..5).map(|_| both.next().data).collect();
    assert_eq!(told.iter().filter(|data| **data == other).count(), 2, "{told:?}");
    assert_eq!(told.iter().filter(|data| **data == topic).count(), 3, "{told:?}");

    service.kill9();
    service.restart();
    for unknown in [missed.id.as_str(), "nonsense"] {
        let event = Stream::open(&service, &topic, Some(unknown)).next();
        assert_eq!((event.name.as_str(), event.data.as_str()), ("state", "*"), "fetch everything once");
        assert!(!event.id.is_empty() && event.id != unknown);
    }
}
