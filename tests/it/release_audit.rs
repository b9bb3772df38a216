//! The audit log as a program outside sees it: exported, verified, and held against heads kept elsewhere.

use serde_json::{Value, json};
use tests::cli::{self, Ended, run};

use crate::lab::Lab;

fn audit(lab: &Lab, arguments: &[&str]) -> Ended {
    run(&mut lab.service.command(&[&["audit"], arguments].concat()))
}

#[test]
fn an_exported_log_shows_every_kind_of_tampering() {
    let lab = Lab::new("");
    let id = lab.in_review();
    let (log, old) = (lab.folder.path().join("log.ndjson"), lab.folder.path().join("old.json"));
    audit(&lab, &["head", "--out", old.to_str().expect("text")]).exits(0);
    let page = format!("/releases/{id}");
    let _ = lab.service.session("ueda").press(&page, &format!("{page}/approve"), "").has(303);
    let file = log.to_str().expect("text");
    audit(&lab, &["export", "--out", file]).exits(0);
    let head = format!("{file}.head.json");
    audit(&lab, &["verify"]).exits(0);
    audit(&lab, &["verify", "--file", file, "--head", &head]).exits(0);
    let by_old = audit(&lab, &["verify", "--file", file, "--head", old.to_str().expect("text")]).exits(0);
    assert!(!by_old.stderr.contains(&head), "only the head that is named: {}", by_old.stderr);
    let by_beside = audit(&lab, &["verify", "--file", file]).exits(0).stderr;
    assert!(by_beside.contains(&head) && by_beside.contains("agrees with one signed head"), "{by_beside}");
    let far = run(cli::command(["audit", "verify", "--file", file, "--server", "http://127.0.0.1:9"])
        .env("SEKISHO_TOKEN", "x"));
    let far = far.exits(0).stderr;
    assert!(far.contains("is not used") && far.contains("Held against no head"), "{far}");

    let whole = fs_err::read_to_string(&log).expect("exported");
    let lines: Vec<&str> = whole.lines().collect();
    assert!(lines.len() > 8, "{whole}");
    let check = |what: &str, lines: &[String], says: &str| {
        fs_err::write(&log, lines.join("\n") + "\n").expect("written");
        // The head beside the log is taken without being named.
        for arguments in [&["verify", "--file", file, "--head", &head][..], &["verify", "--file", file]] {
            let ended = audit(&lab, arguments).exits(1);
            let told = format!("{}{}", ended.stdout, ended.stderr);
            assert!(told.contains(says), "{what}: {told}");
        }
    };
    let owned = || lines.iter().map(|line| (*line).to_owned()).collect::<Vec<String>>();
    let mut edited = owned();
    edited[3] = edited[3].replacen("\"result\":\"done\"", "\"result\":\"nope\"", 1);
    assert_ne!(edited, owned());
    check("edited", &edited, "entry 4 is not what was written");
    let mut removed = owned();
    removed.remove(2);
    check("removed", &removed, "entry 3 is missing");
    let mut moved = owned();
    moved.swap(4, 5);
    check("moved", &moved, "entry 5 is missing");
    // What a chain alone cannot show: the end is gone.
    let cut = owned()[..lines.len() - 1].to_vec();
    check("cut", &cut, "entries were cut off");
    fs_err::write(&log, cut.join("\n") + "\n").expect("written");

    // A head that nobody signed proves nothing.
    let mut forged: Value =
        serde_json::from_str(&fs_err::read_to_string(&head).expect("a head")).expect("JSON");
    forged["seq"] = json!(lines.len() - 1);
    fs_err::write(&head, forged.to_string()).expect("written");
    audit(&lab, &["verify", "--file", file, "--head", &head]).exits(1);
    audit(&lab, &["verify", "--file", file]).exits(1).says(&["the head was changed"]);
    fs_err::remove_file(&head).expect("removed");
    let alone = audit(&lab, &["verify", "--file", file]).exits(0).stderr;
    assert!(alone.contains("Held against no head"), "{alone}");
}

#[test]
fn strangers_do_not_read_the_log_and_the_page_says_that_the_chain_is_whole() {
    let lab = Lab::new("");
    lab.service.visitor().get("/api/v1/audit").is_problem(401, "sign-in-needed");
    assert_eq!(lab.service.visitor().get("/audit").status, 401);
    let page = lab.service.session("ueda").get("/audit?lang=ja&action=user.").has(200).text;
    assert!(page.contains("連鎖は正常です") && page.contains("user.add"), "{page}");
}
