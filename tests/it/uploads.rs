//! Checkpoints that arrive in pieces: nothing that has arrived is lost or sent again, and nothing else is taken for it.

use std::io::Write as _;
use std::net::TcpStream;
use std::path::Path;
use std::process::Stdio;

use reqwest::blocking::multipart::{Form, Part};
use sekisho_domain::Sha256;
use serde_json::{Value, json};
use tests::checkpoints::Recipe;
use tests::cli;
use tests::database::Database;
use tests::http::Api;
use tests::process::Process;
use tests::service::{Service, text};
use tests::wait::until;

use crate::bad_input::names;

const WEIGHTS: &str = "model.safetensors";

/// Every file of a folder as an upload names it.
fn list(folder: &Path) -> Value {
    let entry = |name: &String| {
        let bytes = fs_err::read(folder.join(name)).expect("read");
        json!({ "path": name, "size": bytes.len(), "sha256": Sha256::of(&bytes) })
    };
    names(folder).iter().map(entry).collect()
}

fn begin(api: &Api, run: &str, step: u64, folder: &Path) -> Value {
    let body = json!({ "step": step, "tokens": 10, "files": list(folder) });
    api.post(&format!("/api/v1/runs/{run}/uploads"), &body).has(201).json()
}

fn of_file<'a>(upload: &'a Value, name: &str) -> &'a Value {
    let files = upload["files"].as_array().expect("files").iter();
    files.into_iter().find(|file| file["path"] == name).expect("the file")
}

fn offset(upload: &Value, name: &str) -> u64 {
    of_file(upload, name)["offset"].as_u64().expect("an offset")
}

fn path(run: &str, upload: &Value) -> String {
    format!("/api/v1/runs/{run}/uploads/{}", text(&upload["id"]))
}

/// What an upload lacks.
fn send_rest(api: &Api, run: &str, upload: &Value, folder: &Path) {
    for file in upload["files"].as_array().expect("files") {
        let (name, at) = (text(&file["path"]), offset(upload, text(&file["path"])));
        let bytes = fs_err::read(folder.join(name)).expect("read");
        let rest = &bytes[usize::try_from(at).expect("small")..];
        if !rest.is_empty() {
            let _ = api.patch(&format!("{}/files/{name}", path(run, upload)), at, rest).has(200);
        }
    }
}

fn verdict(api: &Api, checkpoint: &Value) -> Value {
    let path = format!("/api/v1/checkpoints/{}", text(&checkpoint["id"]));
    until("the verdict", 60, || {
        let now = api.get(&path).has(200).json();
        ["verified", "refused"].contains(&text(&now["state"])).then_some(now)
    })
}

fn service() -> Service {
    let service = Service::start();
    let _ = service.api().post("/api/v1/runs", &json!({ "name": "r" })).has(201);
    service
}

/// About 10 MB.
fn model(folder: &Path) {
    Recipe { hidden: 256, layers: 3, ..Recipe::default() }.write(folder);
}

#[test]
fn a_kill_in_the_middle_of_a_piece_costs_that_piece() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    model(folder.path());
    let mut service = service();
    let api = service.api();
    let upload = begin(&api, "r", 1, folder.path());
    let file = format!("{}/files/{WEIGHTS}", path("r", &upload));
    let bytes = fs_err::read(folder.path().join(WEIGHTS)).expect("read");
    assert_eq!(api.patch(&file, 0, &bytes[..3_000_000]).has(200).headers["upload-offset"], "3000000");

    // Half of a piece, and no more.
    let address = service.url().trim_start_matches("http://").to_owned();
    let mut line = TcpStream::connect(&address).expect("connected");
    let head = format!(
        "PATCH {file} HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {}\r\nupload-offset: 3000000\r\ncontent-length: 4000000\r\n\r\n",
        service.token()
    );
    line.write_all(head.as_bytes()).expect("sent");
    line.write_all(&bytes[3_000_000..5_000_000]).expect("sent");
    service.kill9();
    // What a kill leaves that comes between the piece and its row.
    let kept = service.dir().join("uploads").join(text(&upload["id"])).join(WEIGHTS);
    let mut half = fs_err::OpenOptions::new().append(true).open(&kept).expect("there");
    half.write_all(&[7; 20_000_000]).expect("written");
    service.restart();

    let now = api.get(&path("r", &upload)).has(200).json();
    assert_eq!(offset(&now, WEIGHTS), 3_000_000, "what was answered counts, and nothing else");
    // The command finds the upload by its step and files, and sends the rest.
    let mut command =
        service.command(&["ingest", "--json", "--copy", "--run", "r", "--step", "1", "--tokens", "10"]);
    let checkpoint = cli::run(command.arg(folder.path())).exits(0).json();
    assert_eq!(checkpoint["state"], "verified");
    let [place] = names(&service.dir().join("checkpoints")).try_into().expect("one copy");
    let place = service.dir().join("checkpoints").join(place);
    for name in names(folder.path()) {
        let sent = fs_err::read(folder.path().join(&name)).expect("read");
        assert!(fs_err::read(place.join(&name)).expect("kept") == sent, "{name} is what was sent");
    }
    assert_eq!(names(&service.dir().join("uploads")), [""; 0]);
    assert_eq!(api.get("/api/v1/runs/r/uploads").has(200).json(), json!({ "items": [], "next": null }));
}

#[test]
fn a_piece_comes_in_its_turn_and_is_what_was_announced() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    model(folder.path());
    let service = service();
    let api = service.api();
    let upload = begin(&api, "r", 1, folder.path());
    assert_eq!(begin(&api, "r", 1, folder.path())["id"], upload["id"], "the same one");
    let own = path("r", &upload);
    let file = format!("{own}/files/{WEIGHTS}");
    let bytes = fs_err::read(folder.path().join(WEIGHTS)).expect("read");
    let _ = api.patch(&file, 0, &bytes[..1000]).has(200);
    // Another client that has not seen it, and one that leaves a gap.
    for stale in [0, 2000] {
        let answer = api.patch(&file, stale, &bytes[..1000]);
        assert_eq!(answer.json()["offset"], 1000, "{}", answer.text);
        answer.is_problem(409, "upload-offset");
    }
    api.patch(&file, 1000, &[0; 12_000_000]).is_problem(422, "upload-size");
    api.patch_blindly(&file, &bytes[..10]).is_problem(400, "upload-offset-missing");
    api.patch(&format!("{own}/files/other.safetensors"), 0, b"x").is_problem(404, "not-found");
    let early = api.post(&format!("{own}/complete"), &json!({}));
    assert!(text(&early.json()["detail"]).contains("is not complete"), "{}", early.text);
    early.is_problem(409, "upload-incomplete");

    // Bytes that are not those of the list.
    let mut lie = bytes.clone();
    lie[5_000_000] ^= 1;
    let answer = api.patch(&file, 1000, &lie[1000..]);
    assert!(
        text(&answer.json()["detail"]).contains("do not have the SHA-256 that was announced"),
        "{}",
        answer.text
    );
    answer.is_problem(422, "upload-hash");
    let now = api.get(&own).has(200).json();
    assert_eq!(offset(&now, WEIGHTS), 0, "it begins again");
    send_rest(&api, "r", &now, folder.path());
    let done = api.get(&file).has(200).json();
    assert_eq!((&done["done"], &done["offset"]), (&json!(true), &json!(bytes.len())));
    api.patch(&file, 0, &lie[..10]).is_problem(409, "upload-offset");
    let checkpoint = api.post(&format!("{own}/complete"), &json!({})).has(202).json();
    assert_eq!(verdict(&api, &checkpoint)["state"], "verified");
    // An answer that was lost: what is done is answered again, from the step.
    let body = json!({ "step": 1, "tokens": 10, "files": list(folder.path()) });
    let again = api.post("/api/v1/runs/r/uploads", &body).has(200).json();
    assert_eq!((&again["id"], &again["checkpoint"]["id"]), (&Value::Null, &checkpoint["id"]));
}

#[test]
fn a_list_of_files_that_cannot_be_is_refused_and_strangers_send_nothing() {
    let service = service();
    let api = service.api();
    let digest = Sha256::of("x");
    let file = |name: &str| json!({ "path": name, "size": 1, "sha256": digest });
    for (files, code) in [
        (json!([]), "upload"),
        (json!([file("a"), file("a")]), "upload"),
        (json!([file("../a")]), "upload-name"),
        (json!([file(".a")]), "upload-name"),
        (json!([{ "path": "a", "size": u64::MAX, "sha256": digest }]), "upload"),
    ] {
        let body = json!({ "step": 1, "tokens": 1, "files": files });
        api.post("/api/v1/runs/r/uploads", &body).is_problem(400, code);
    }
    let body = json!({ "step": 1, "tokens": 1, "files": [file("config.json")] });
    service.visitor().post("/api/v1/runs/r/uploads", &body).is_problem(401, "sign-in-needed");
    service.add_user("guest", &["viewer"]);
    let (guest, _) = service.token_of("guest", &["read", "ingest"]);
    guest.post("/api/v1/runs/r/uploads", &body).is_problem(403, "role-missing");
    let upload = api.post("/api/v1/runs/r/uploads", &body).has(201).json();
    guest
        .patch(&format!("{}/files/config.json", path("r", &upload)), 0, b"x")
        .is_problem(403, "role-missing");
    let _ = api.delete(&path("r", &upload)).has(204);
    assert_eq!(api.get(&path("r", &upload)).status, 404);
}

#[test]
fn what_the_project_holds_is_not_sent_again() {
    let root = tempfile::tempdir().expect("a temporary folder");
    let folder = root.path().join("model");
    model(&folder);
    let service = service();
    let api = service.api();
    let first = begin(&api, "r", 1, &folder);
    assert_eq!(offset(&first, WEIGHTS), 0);
    send_rest(&api, "r", &first, &folder);
    // A file of an upload that is under way counts as soon as it is whole.
    let beside = begin(&api, "r", 7, &folder);
    assert_eq!(of_file(&beside, WEIGHTS)["offset"], of_file(&beside, WEIGHTS)["size"]);
    let checkpoint = api.post(&format!("{}/complete", path("r", &first)), &json!({})).has(202).json();
    assert_eq!(verdict(&api, &checkpoint)["state"], "verified");

    let second = begin(&api, "r", 2, &folder);
    for file in second["files"].as_array().expect("files") {
        assert_eq!(file["offset"], file["size"], "{file}");
    }
    let again = api.post(&format!("{}/complete", path("r", &second)), &json!({})).has(202).json();
    assert_eq!(verdict(&api, &again)["state"], "verified");
    assert_eq!(names(&service.dir().join("checkpoints")).len(), 1, "kept once");

    // Who names a digest in another project gets nothing for it.
    let _ = api.post("/api/v1/projects", &json!({ "name": "elsewhere", "title": "Elsewhere" })).has(201);
    let _ = api.post("/api/v1/runs", &json!({ "name": "s", "project": "elsewhere" })).has(201);
    let other = begin(&api, "s", 1, &folder);
    assert!(other["files"].as_array().expect("files").iter().all(|file| file["offset"] == 0), "{other}");

    // What has rotted is found before it becomes a checkpoint, and has to be sent.
    let [kept] = names(&service.dir().join("checkpoints")).try_into().expect("one copy");
    let kept = service.dir().join("checkpoints").join(kept).join(WEIGHTS);
    let mut bytes = fs_err::read(&kept).expect("read");
    bytes[5_000_000] ^= 1;
    fs_err::write(&kept, &bytes).expect("written");
    let third = begin(&api, "r", 3, &folder);
    assert_eq!(of_file(&third, WEIGHTS)["offset"], of_file(&third, WEIGHTS)["size"]);
    let complete = format!("{}/complete", path("r", &third));
    let answer = api.post(&complete, &json!({}));
    assert_eq!(answer.json()["offset"], 0, "{}", answer.text);
    answer.is_problem(409, "upload-incomplete");
    assert!(fs_err::read(&kept).expect("still there") == bytes, "the store's own file is not touched");
    send_rest(&api, "r", &api.get(&path("r", &third)).has(200).json(), &folder);
    assert!(fs_err::read(&kept).expect("still there") == bytes, "and not written to");
    let _ = api.post(&complete, &json!({})).has(202);
}

#[test]
fn an_upload_that_nobody_goes_on_with_is_removed() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    model(folder.path());
    let mut service = service();
    let upload = begin(&service.api(), "r", 1, folder.path());
    let file = format!("{}/files/config.json", path("r", &upload));
    let _ = service
        .api()
        .patch(&file, 0, &fs_err::read(folder.path().join("config.json")).expect("read"))
        .has(200);
    let uploads = service.dir().join("uploads");
    fs_err::create_dir_all(uploads.join("of-nobody")).expect("a folder");
    service.kill9();
    service.restart();
    assert_eq!(names(&uploads), [text(&upload["id"])], "a start keeps what somebody may go on with");
    // A week without the week.
    Database::open(&service.dir()).execute("UPDATE uploads SET updated = 1");
    service.kill9();
    service.restart();
    until("the end of the upload", 20, || names(&uploads).is_empty().then_some(()));
    assert_eq!(service.api().get(&path("r", &upload)).status, 404);
}

#[test]
fn the_command_goes_on_after_its_own_end_and_the_services() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    // About 150 MB: twenty pieces.
    Recipe { hidden: 512, layers: 12, ..Recipe::default() }.write(folder.path());
    let mut service = service();
    let api = service.api();
    let command = |service: &Service| {
        let mut command =
            service.command(&["ingest", "--json", "--copy", "--run", "r", "--step", "1", "--tokens", "10"]);
        command.arg(folder.path()).stderr(Stdio::null()).stdout(Stdio::null());
        command
    };
    let more_than = |least: u64| {
        until("some pieces", 60, || {
            let upload = api.get("/api/v1/runs/r/uploads").has(200).json()["items"].get(0)?.clone();
            let there = offset(&upload, WEIGHTS);
            (there > least).then_some((text(&upload["id"]).to_owned(), there))
        })
    };
    let mut first = Process::spawn(&mut command(&service));
    let (id, there) = more_than(0);
    assert!(first.is_running(), "the upload was over before it could be killed");
    first.kill9();

    let mut second = Process::spawn(&mut command(&service));
    let (same, further) = more_than(there + (16 << 20));
    assert_eq!(same, id, "it is the same upload");
    assert!(second.is_running(), "the upload was over before the service could be killed");
    service.kill9();
    service.restart();
    let now = api.get(&format!("/api/v1/runs/r/uploads/{id}")).has(200).json();
    assert!(offset(&now, WEIGHTS) >= further, "what was accepted is there");
    assert!(second.wait().success(), "the command waited and went on");
    let all = api.get("/api/v1/runs/r/checkpoints").has(200).items();
    assert_eq!((all.as_array().map(Vec::len), &all[0]["state"]), (Some(1), &json!("verified")));
}

#[test]
fn an_upload_in_one_request_is_taken_as_ever() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    Recipe::default().write(folder.path());
    let service = service();
    let mut form = Form::new().text("step", "4").text("tokens", "40");
    for name in names(folder.path()) {
        let bytes = fs_err::read(folder.path().join(&name)).expect("read");
        form = form.part("file", Part::bytes(bytes).file_name(name));
    }
    let checkpoint = service.api().post_form("/api/v1/runs/r/checkpoints", form).has(202).json();
    assert_eq!(verdict(&service.api(), &checkpoint)["state"], "verified");
    assert_eq!(names(&service.dir().join("staging")), [""; 0]);
}
