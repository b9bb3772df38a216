use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sekisho_domain::manifest::FileEntry;
use sekisho_domain::run::MetricRow;
use sekisho_domain::wire::BeginUpload;
use sekisho_domain::{Sha256, Step, Tokens};
use serde_json::{Value, json};

use super::{Bench, log};
use crate::report::{RunClient, UploadOptions};
use crate::{Progress, ServerAddress, TrainOptions, train};

/// What a server was told: path and body of every request that it answered well.
type Told = Arc<Mutex<Vec<(String, Vec<u8>)>>>;

const RUN: &str = "01arz3ndektsv4rrffq69g5fav";
const UPLOAD: &str = "01arz3ndektsv4rrffq69g5fb0";

/// What became of every checkpoint, as far as a server says.
static STATE: Mutex<&str> = Mutex::new("received");

/// A server that accepts everything, or answers `refuse` (status and problem) to paths that end in its first part.
fn serve(listener: TcpListener, refuse: Option<(&'static str, u16)>) -> Told {
    let told = Told::default();
    let seen = told.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (stream, seen) = (stream.expect("a connection"), seen.clone());
            std::thread::spawn(move || converse(stream, &seen, refuse));
        }
    });
    told
}

fn converse(stream: TcpStream, told: &Told, refuse: Option<(&'static str, u16)>) {
    let mut writer = stream.try_clone().expect("a connection");
    let mut reader = BufReader::new(stream);
    loop {
        let (mut request, mut length) = (String::new(), 0);
        if reader.read_line(&mut request).unwrap_or(0) == 0 {
            return;
        }
        loop {
            let mut header = String::new();
            reader.read_line(&mut header).expect("a header");
            let header = header.trim().to_lowercase();
            if let Some(value) = header.strip_prefix("content-length:") {
                length = value.trim().parse().expect("a length");
            }
            if header.is_empty() {
                break;
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).expect("a body");
        let path = request.split(' ').nth(1).expect("a path").to_owned();
        let (status, answer) = match refuse.filter(|(end, _)| path.ends_with(end)) {
            Some((_, status)) => {
                (status, json!({"title": "no", "status": status, "detail": "not like this"}))
            }
            None => (200, answer(&path, &body)),
        };
        if status == 200 {
            told.lock().expect("the list").push((path, body));
        }
        let answer = answer.to_string();
        write!(writer, "HTTP/1.1 {status} X\r\ncontent-length: {}\r\n\r\n{answer}", answer.len())
            .expect("an answer");
    }
}

fn answer(path: &str, body: &[u8]) -> Value {
    let time = "2026-01-01T00:00:00Z";
    if path.ends_with("/runs") {
        json!({"id": RUN, "name": "tiny", "state": "running", "step": 0, "tokens": 0, "planned_tokens": null, "suite": null,
            "created": time})
    } else if path.ends_with("/metrics") {
        json!({"accepted": 1, "repeated": false})
    } else if path.ends_with("/uploads") {
        let asked: BeginUpload = serde_json::from_slice(body).expect("a list of files");
        let file = |file: &FileEntry| json!({"path": file.path, "size": file.size, "sha256": file.sha256, "offset": 0, "done": false});
        let files: Vec<Value> = asked.files.iter().map(file).collect();
        json!({"id": UPLOAD, "run": RUN, "step": asked.step, "tokens": asked.tokens, "files": files, "checkpoint": null, "expires": null})
    } else if path.contains("/files/") {
        let size = body.len();
        json!({"path": path.rsplit('/').next(), "size": size, "sha256": Sha256::of(body), "offset": size, "done": true})
    } else {
        json!({"id": RUN, "run": RUN, "run_name": "tiny", "step": 1, "tokens": 1, "state": *STATE.lock().expect("a state"), "refusal": null,
            "digest": null, "weights": null, "parameters": null, "created": time})
    }
}

fn options(bench: &Bench, port: u16) -> TrainOptions {
    let url = format!("http://127.0.0.1:{port}/");
    TrainOptions { server: Some(ServerAddress { url, token: Some("t".to_owned()) }), ..bench.options("run") }
}

fn listener() -> (TcpListener, u16) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    (listener, port)
}

/// Bodies sent to paths with this end.
fn sent(told: &Told, end: &str) -> Vec<Value> {
    let told = told.lock().expect("the list");
    let of_path = told.iter().filter(|(path, _)| path.ends_with(end));
    of_path.map(|(_, body)| serde_json::from_slice(body).expect("JSON")).collect()
}

fn assert_told_everything(bench: &Bench, told: &Told) {
    let rows: Vec<MetricRow> = sent(told, "/metrics")
        .iter()
        .flat_map(|batch| batch["rows"].as_array().expect("rows").clone())
        .map(|row| MetricRow { seconds: None, ..serde_json::from_value(row).expect("a row") })
        .collect();
    assert_eq!(rows, log(&bench.path("run")));
    let seqs: Vec<u64> =
        sent(told, "/metrics").iter().map(|batch| batch["seq"].as_u64().expect("a number")).collect();
    assert!(seqs.iter().copied().eq(0..seqs.len() as u64), "{seqs:?}");
    let checkpoints: Vec<u64> =
        sent(told, "/checkpoints").iter().map(|c| c["step"].as_u64().expect("a step")).collect();
    assert_eq!(checkpoints, [4, 8, 12]);
    for checkpoint in sent(told, "/checkpoints") {
        let path = Path::new(checkpoint["path"].as_str().expect("a path")).join("manifest.json");
        assert!(path.is_absolute() && path.is_file(), "{}", path.display());
    }
}

#[test]
fn a_server_is_told_everything() {
    let bench = Bench::new();
    let (listener, port) = listener();
    let told = serve(listener, None);
    let options = TrainOptions { project: Some("v4".to_owned()), ..options(&bench, port) };
    train(&bench.spec(&[]), &options, &mut ()).expect("a run");
    assert_told_everything(&bench, &told);
    let [run] = sent(&told, "/runs").try_into().expect("one registration");
    assert_eq!((run["name"].as_str(), run["planned_tokens"].as_u64()), (Some("tiny"), Some(12 * 32)));
    assert_eq!(run["project"], "v4");
    assert!(run["spec"].get("stop").is_none() && run["spec"]["optimizer"]["lr"] == 0.01);
    let events = sent(&told, "/events");
    let kinds: Vec<&str> = events.iter().map(|event| event["kind"].as_str().expect("a kind")).collect();
    assert_eq!((kinds.first(), kinds.last()), (Some(&"started"), Some(&"finished")));
    assert!(kinds.contains(&"data_stage"), "{kinds:?}");
    let computes = events.iter().find(|event| event["kind"] == "devices").expect("what computes");
    assert_eq!((computes["step"].as_u64(), computes["note"].as_str()), (Some(0), Some("2 × CPU thread")));
}

/// Starts the server after an update.
struct Late(Option<(u64, u16)>, Option<Told>, Vec<String>);

impl Progress for Late {
    fn start(&mut self, _done: Step, _total: Step) {}

    fn step(&mut self, row: &MetricRow, _tokens_per_second: f64, _remaining: Duration) {
        if let Some((_, port)) = self.0.take_if(|(step, _)| row.step.0 >= *step) {
            self.1 = Some(serve(TcpListener::bind(("127.0.0.1", port)).expect("the port"), None));
        }
    }

    fn checkpoint(&mut self, _path: &Path, _step: Step) {}

    fn note(&mut self, text: &str) {
        self.2.push(text.to_owned());
    }
}

#[test]
fn a_server_that_is_down_stops_nothing_and_is_told_later() {
    let bench = Bench::new();
    let (listener, port) = listener();
    drop(listener);
    let mut late = Late(Some((6, port)), None, Vec::new());
    train(&bench.spec(&[]), &options(&bench, port), &mut late).expect("a run");
    assert_told_everything(&bench, &late.1.expect("a server"));
    assert!(
        late.2.iter().any(|note| note.contains("cannot be reached") && note.contains("Training goes on")),
        "{:?}",
        late.2
    );

    // Not there at all in one session: told in the next.
    let bench = Bench::new();
    let (listener, port) = self::listener();
    drop(listener);
    bench.train("run", &[("steps = 12\n[checkpoint]", "steps = 6\n[checkpoint]")]).expect("a run");
    fs_err::remove_dir_all(bench.path("run/step-000006")).expect("as if it had been killed");
    let told = serve(TcpListener::bind(("127.0.0.1", port)).expect("the port"), None);
    train(&bench.spec(&[]), &TrainOptions { resume: true, ..options(&bench, port) }, &mut ())
        .expect("the rest");
    assert_told_everything(&bench, &told);
}

/// Waits, after an update, until the server knows of it.
struct Patient(u64, Told);

impl Progress for Patient {
    fn start(&mut self, _done: Step, _total: Step) {}

    fn step(&mut self, row: &MetricRow, _tokens_per_second: f64, _remaining: Duration) {
        let wanted = format!("\"step\":{},", self.0);
        let is_told =
            || sent(&self.1, "/metrics").iter().any(|batch| batch["rows"].to_string().contains(&wanted));
        let mut patience = 1000;
        while row.step.0 == self.0 && !is_told() && patience > 0 {
            std::thread::sleep(Duration::from_millis(20));
            patience -= 1;
        }
    }

    fn checkpoint(&mut self, _path: &Path, _step: Step) {}

    fn note(&mut self, _text: &str) {}
}

#[test]
fn what_comes_after_a_return_is_told_as_after_a_restart() {
    let bench = Bench::new();
    bench.poison(&[6], 20);
    let (listener, port) = listener();
    let told = serve(listener, None);
    let mut patient = Patient(5, told.clone());
    train(&bench.spec(&super::rollbacks::POISONED), &options(&bench, port), &mut patient).expect("a run");
    let batches: Vec<Value> = sent(&told, "/metrics");
    let batches: Vec<&Value> = batches.iter().filter(|b| b["rows"] != json!([])).collect();
    let place = batches.iter().rposition(|batch| batch["rows"][0]["step"] == json!(5));
    let (before, after) = batches.split_at(place.expect("a batch that begins anew at update 5"));
    let numbers = |key: &str| batches.iter().map(|batch| batch[key].clone()).collect::<Vec<_>>();
    assert!(numbers("writer").iter().all(|writer| *writer == batches[0]["writer"]), "it is one process");
    assert!(numbers("seq").is_sorted_by(|a, b| a.as_u64() < b.as_u64()), "{:?}", numbers("seq"));
    let rows = |batches: &[&Value]| -> Vec<MetricRow> {
        let rows = batches.iter().flat_map(|batch| batch["rows"].as_array().expect("rows").clone());
        rows.map(|row| MetricRow { seconds: None, ..serde_json::from_value(row).expect("a row") }).collect()
    };
    let log = log(&bench.path("run"));
    assert_eq!(rows(after), log[4..], "every row since");
    assert_eq!(rows(before)[..4], log[..4]);
    let events = sent(&told, "/events");
    assert!(events.iter().any(|event| event["kind"] == "rollback" && event["step"] == 4), "{events:?}");
}

#[test]
fn a_server_that_refuses_the_run_is_heard_before_training() {
    let bench = Bench::new();
    let (listener, port) = listener();
    let told = serve(listener, Some(("/runs", 409)));
    let error = train(&bench.spec(&[]), &options(&bench, port), &mut ()).expect_err("refused");
    assert_eq!(error.to_string(), "the server refused: not like this");
    assert!(told.lock().expect("the list").is_empty());
    assert!(!bench.path("run").exists(), "nothing was begun");
}

#[test]
fn a_refused_checkpoint_does_not_silence_the_run() {
    let bench = Bench::new();
    let (listener, port) = listener();
    let told = serve(listener, Some(("/checkpoints", 422)));
    let mut listening = Late(None, None, Vec::new());
    train(&bench.spec(&[]), &options(&bench, port), &mut listening).expect("a run");
    assert_eq!(
        listening.2.iter().filter(|note| note.ends_with("the server refused: not like this.")).count(),
        3
    );
    let events = sent(&told, "/events");
    assert_eq!(events.last().expect("events")["kind"], "finished");
}

#[test]
fn what_the_server_has_not_read_is_kept() {
    let keep = [("every = 4", "every = 4\nkeep = [\"last:1\"]")];
    // nextest runs each test in a process of its own, so that the state is this test's alone.
    for (state, left) in [("received", &[4, 8, 12][..]), ("verified", &[12]), ("refused", &[12])] {
        *STATE.lock().expect("a state") = state;
        let bench = Bench::new();
        let (listener, port) = listener();
        let told = serve(listener, None);
        train(&bench.spec(&keep), &options(&bench, port), &mut ()).expect("a run");
        let copies = sent(&told, "/checkpoints");
        assert_eq!(copies.iter().map(|c| c["copy"].as_bool()).collect::<Vec<_>>(), [Some(true); 3]);
        let step = |step: &u64| bench.path(&format!("run/step-{step:06}")).is_dir();
        let kept: Vec<u64> = [4, 8, 12].into_iter().filter(step).collect();
        assert_eq!(kept, left, "{state}");
    }
}

#[test]
fn an_upload_carries_the_files_that_others_load() {
    let bench = Bench::new();
    bench.train("run", &[]).expect("a run");
    let (listener, port) = listener();
    let told = serve(listener, None);
    let client = RunClient::new(&options(&bench, port).server.expect("a server")).expect("a client");
    let folder = bench.path("run/step-000012");
    fs_err::write(folder.join(".cache"), "hidden").expect("written");
    let link =
        |target: &Path, name: &str| std::os::unix::fs::symlink(target, folder.join(name)).expect("a link");
    link(Path::new("config.json"), "generation_config.json");
    let run = RUN.parse().expect("an id");
    let upload =
        || client.upload(run, (Step(12), Tokens(384)), &folder, UploadOptions::default(), &mut |_| {});
    upload().expect("an upload");
    link(&bench.path("made-up.bin"), "LICENSE");
    let outside = upload().expect_err("a link that leads out");
    assert!(
        outside.to_string().contains("LICENSE is a link that does not lead to a file inside"),
        "{outside}"
    );
    let told = told.lock().expect("the list");
    let (path, body) = &told[0];
    assert_eq!(path, &format!("/api/v1/runs/{RUN}/uploads"));
    let asked: BeginUpload = serde_json::from_slice(body).expect("a list of files");
    assert_eq!((asked.step, asked.tokens), (Step(12), Tokens(384)));
    let sent = |name: &str| {
        let address = format!("/api/v1/runs/{RUN}/uploads/{UPLOAD}/files/{name}");
        told.iter()
            .filter(|(path, _)| *path == address)
            .flat_map(|(_, body)| body.clone())
            .collect::<Vec<u8>>()
    };
    for file in &asked.files {
        let bytes = fs_err::read(folder.join(&file.path)).expect("a file");
        assert_eq!((file.size, file.sha256), (bytes.len() as u64, Sha256::of(&bytes)), "{}", file.path);
        assert!(sent(&file.path) == bytes, "{} is sent as it is", file.path);
    }
    for name in ["config.json", "generation_config.json", "model.safetensors"] {
        assert!(asked.files.iter().any(|file| file.path == name), "{name}");
    }
    let last = &told.last().expect("a request").0;
    assert_eq!(
        last,
        &format!("/api/v1/runs/{RUN}/uploads/{UPLOAD}/complete"),
        "nothing of the second is sent"
    );
    let text: Vec<&str> = asked.files.iter().map(|file| file.path.as_str()).collect();
    let text = text.join(" ");
    assert!(!text.contains("moments"), "the training state stays behind");
    assert!(!text.contains(".cache"), "hidden files stay behind");
}
