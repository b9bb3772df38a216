//! `sekisho export site`: files that need no service, and nothing in them that may not be handed on.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tests::benchmark::{Benchmark, PROFILE, TASK};
use tests::checkpoints::Recipe;
use tests::cli::{self, Ended, run};
use tests::process::Process;
use tests::service::{Options, Service};
use tests::wait::until;

/// Runs that descend from an LZ subset: by their own data, by their parent, and beside what may be handed on.
const BARRED: [&str; 3] = ["secret-run", "secret-child", "secret-branch"];

/// A service with two runs that may be handed on and three that may not.
pub(crate) struct Lab {
    pub(crate) service: Service,
    pub(crate) folder: tempfile::TempDir,
}

impl Lab {
    pub(crate) fn set() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let benchmark = Benchmark::write(folder.path(), 12, 40);
        let options = Options { config: benchmark.config(), local_worker: true, ..Options::default() };
        let lab = Self { service: Service::with(options), folder };
        let subsets = "id,corpus,level,license\naozora-ja,lab,L1,CC0-1.0\ntext-LX,lab,LX,CC0-1.0\n";
        let _ =
            lab.service.api().post("/api/v1/corpora", &json!({ "text": subsets, "name": "a.csv" })).has(200);
        let mix = |subset: &str| json!([{ "name": subset, "path": "/srv/lab/corpora/text.jsonl" }]);
        lab.run("mini", &json!({ "name": "mini", "data": { "mix": mix("aozora-ja") } }), 1);
        lab.run("other", &json!({ "name": "other", "data": { "mix": mix("aozora-ja") } }), 2);
        lab.run("secret-run", &json!({ "name": "secret-run", "data": { "mix": mix("text-LX") } }), 3);
        let of = |parent: &str| json!({ "run": parent, "step": 5 });
        lab.run("secret-child", &json!({ "name": "secret-child", "parent": of("secret-run"), "data": { "mix": mix("aozora-ja") } }), 4);
        lab.run(
            "secret-branch",
            &json!({ "name": "secret-branch", "parent": of("mini"), "data": { "mix": mix("text-LX") } }),
            5,
        );
        let level = json!({ "level": "LZ", "reason": "権利者の依頼", "version": 1 });
        let _ = lab.service.api().post("/api/v1/corpora/text-LX/level", &level).has(200);
        lab
    }

    /// A run with a curve and two examined checkpoints.
    fn run(&self, name: &str, spec: &Value, seed: u32) {
        let api = self.service.api();
        let _ = api.post("/api/v1/runs", &json!({ "name": name, "spec": spec })).has(201);
        let row = |step: u64| json!({ "step": step, "tokens": step * 100, "loss": 9.0 - step as f64 / 10.0, "seconds": 0.5 });
        let rows: Vec<Value> = (1..=20).map(row).collect();
        let _ =
            api.post(&format!("/api/v1/runs/{name}/metrics"), &json!({ "seq": 0, "rows": rows })).has(200);
        for step in [10, 20] {
            let model = self.folder.path().join(format!("{name}-{step}"));
            Recipe { seed: seed + step, ..Recipe::default() }.write(&model);
            let checkpoint = self.service.ingest(&model, name, u64::from(step), u64::from(step) * 100);
            let _ = self.service.finished_evaluation(&checkpoint, 120);
        }
    }

    pub(crate) fn out(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn export(&self, out: &Path, more: &[&str]) -> Ended {
        run(self.service.command(&["export", "site", "--out"]).arg(out).args(more))
    }
}

/// Every file below a folder, by its path in it.
fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let (mut open, mut found) = (vec![folder.to_owned()], BTreeMap::new());
    while let Some(dir) = open.pop() {
        for entry in fs_err::read_dir(&dir).expect("a folder").map(|entry| entry.expect("an entry").path()) {
            if entry.is_dir() {
                open.push(entry);
                continue;
            }
            let name = entry.strip_prefix(folder).expect("below").to_str().expect("text").to_owned();
            found.insert(name, fs_err::read(&entry).expect("a file"));
        }
    }
    found
}

fn pages(files: &BTreeMap<String, Vec<u8>>) -> impl Iterator<Item = (&str, &str)> {
    let pages = files.iter().filter(|(name, _)| name.ends_with(".html"));
    pages.map(|(name, bytes)| (name.as_str(), std::str::from_utf8(bytes).expect("text")))
}

/// Every link and every source leads to a file that is there.
fn assert_whole(files: &BTreeMap<String, Vec<u8>>) {
    let mut links = 0;
    for (name, page) in pages(files) {
        for needs_service in
            ["<form", "type=\"module\"", "class=\"how\"", "nonce=", "/static/", "live.js", "site="]
        {
            assert!(!page.contains(needs_service), "{name}: {needs_service}");
        }
        let values = ["href=\"", "src=\""].iter().flat_map(|begin| page.split(begin).skip(1));
        for value in values.filter_map(|rest| rest.split('"').next()) {
            if value.starts_with('#') || value.starts_with("https://") || value.starts_with("data:") {
                continue;
            }
            let file = value.split('#').next().unwrap_or_default();
            let mut at: Vec<&str> = name.split('/').collect();
            at.pop();
            for part in file.split('/') {
                if part == ".." {
                    let _ = at.pop().expect("inside");
                } else {
                    at.push(part);
                }
            }
            assert!(files.contains_key(&at.join("/")), "{name}: {value} leads nowhere");
            links += 1;
        }
    }
    assert!(links > 200, "{links}");
}

#[test]
fn a_site_is_whole_in_two_languages_and_has_nothing_of_what_is_barred() {
    let lab = Lab::set();
    let out = lab.out("site");
    let told = lab.export(&out, &["--json"]).exits(0).json();
    let all = files(&out);
    assert_eq!(told["files"].as_u64(), Some(all.len() as u64), "{told}");
    assert_whole(&all);
    for name in [
        "index.html",
        "en/index.html",
        "ja/runs.html",
        "en/runs/mini.html",
        "ja/leaderboard-preset-ja-4-view-bars.html",
        "data/runs/mini/metrics.csv",
        "assets/app.css",
    ] {
        assert!(all.contains_key(name), "{name} is not among {:?}", all.keys());
    }
    let ja = std::str::from_utf8(&all["ja/runs/mini.html"]).expect("text");
    assert!(ja.contains("<html lang=\"ja\"") && ja.contains("href=\"../../en/runs/mini.html\""), "{ja}");
    assert!(
        ja.contains("時点の内容です") && ja.contains(&format!("Sekisho {}", env!("CARGO_PKG_VERSION"))),
        "{ja}"
    );
    assert!(!ja.contains("分前") && !ja.contains("たった今"), "a copy is read later than it is made");
    assert!(ja.contains("<svg") && !ja.contains("/srv/lab"), "no place on a machine of the lab");
    assert_eq!(pages(&all).filter(|(name, _)| name.contains("checkpoints/")).count(), 2 * 4);
    let csv = std::str::from_utf8(&all["data/leaderboard-suite-gates-only.csv"]).expect("text");
    assert!(csv.contains("mini") && csv.contains("other"), "{csv}");
    let json: Value = serde_json::from_slice(&all["data/leaderboard-suite-gates-only.json"]).expect("JSON");
    assert_eq!(json["items"].as_array().map(Vec::len), Some(2), "{json}");
    for (name, bytes) in &all {
        for barred in BARRED.iter().chain(&["text-LX"]) {
            let found = bytes.windows(barred.len()).any(|part| part == barred.as_bytes());
            assert!(!found && !name.contains(barred), "{barred} is in {name}");
        }
    }
    // What is there is left alone.
    lab.export(&out, &[]).exits(4).says(&["site", "--out"]);
    assert_eq!(files(&out), all);
    // The service itself still shows the lab what it has.
    assert!(lab.service.visitor().get("/runs").has(200).text.contains("secret-run"));
}

#[test]
fn a_site_of_one_run_and_one_preset_has_no_other() {
    let mut lab = Lab::set();
    let out = lab.out("site");
    let preset = format!("{PROFILE}/{TASK}");
    lab.export(&out, &["--run", "nobody"]).exits(3).says(&["nobody"]);
    lab.export(&out, &["--run", "secret-child"]).exits(5).says(&["secret-child", "LZ"]);
    lab.export(&out, &["--preset", &preset]).exits(3).says(&[&preset]);
    assert!(
        !out.exists()
            && fs_err::read_dir(lab.folder.path())
                .expect("a folder")
                .all(|entry| { !entry.expect("an entry").file_name().to_string_lossy().contains("partial") })
    );

    // From the data folder, which has one owner.
    let dir = lab.service.dir();
    let from_folder = |out: &Path| {
        let mut command =
            cli::command(["export", "site", "--run", "mini", "--preset", "ja-4", "--lang", "en", "--dir"]);
        run(command.arg(&dir).arg("--out").arg(out))
    };
    from_folder(&out).exits(4).says(&["--server"]);
    assert_eq!(lab.service.terminate(), Some(0));
    let _ = from_folder(&out).exits(0);
    let all = files(&out);
    assert_whole(&all);
    assert!(all.contains_key("en/leaderboard-preset-ja-4.html") && !all.contains_key("en/leaderboard.html"));
    for (name, bytes) in &all {
        assert!(!String::from_utf8_lossy(bytes).contains("/runs/other") && !name.contains("other"), "{name}");
        assert!(!name.starts_with("ja/"), "{name}");
    }
    let runs = std::str::from_utf8(&all["en/runs.html"]).expect("text");
    assert!(runs.contains(">mini<") && !runs.contains(">other<"), "{runs}");
    run(cli::command(["export", "site", "--dir"]).arg(lab.out("nowhere")).arg("--out").arg(lab.out("x")))
        .exits(3);
}

#[test]
fn a_killed_export_leaves_no_site() {
    let lab = Lab::set();
    let out = lab.out("site");
    let mut export = Process::spawn(lab.service.command(&["export", "site", "--out"]).arg(&out));
    let raw = lab.out("site.partial/.raw");
    until("the first pages", 60, || {
        assert!(export.is_running(), "it was over before it could be killed");
        raw.join("3").exists().then_some(())
    });
    export.kill9();
    assert!(!out.exists());
    lab.export(&out, &[]).exits(4).says(&["site.partial", "Remove it"]);
    fs_err::remove_dir_all(lab.out("site.partial")).expect("removed");
    lab.export(&out, &[]).exits(0);
    assert!(out.join("index.html").exists() && !lab.out("site.partial").exists());
    // Stopped in time it takes away what it has written.
    let again = lab.out("again");
    let mut export = Process::spawn(lab.service.command(&["export", "site", "--out"]).arg(&again));
    until("the first pages", 60, || lab.out("again.partial/.raw/3").exists().then_some(()));
    assert!(!export.terminate().success());
    assert!(!again.exists() && !lab.out("again.partial").exists());
}
