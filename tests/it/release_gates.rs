//! The gate on contamination, by reports that a service was sent: none, clean ones, dirty ones, and those of a run's ancestors.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tests::benchmark::{Benchmark, PROFILE, TASK};
use tests::cli::{self, Ended};
use tests::data::json_lines;
use tests::process::Process;
use tests::service::text;

use crate::lab::{Lab, lineage};

/// Items of the benchmark: few enough that no two share thirteen words in a row.
const ITEMS: u64 = 8;
/// At most one of them.
const POLICY: &str = "extends = \"base\"\nname = \"gated\"\nversion = \"1\"\n[gates]\ncontamination = 0.15\n";

/// A lab under a gate, with a worker.
struct Gated {
    lab: Lab,
    benchmark: Benchmark,
    folder: tempfile::TempDir,
    _worker: Process,
}

impl Gated {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let benchmark = Benchmark::write(folder.path(), ITEMS, 160);
        let policy = folder.path().join("policy.toml");
        fs_err::write(&policy, POLICY).expect("written");
        let lab = Lab::new(&format!("{}[policy]\nset = {policy:?}\n", benchmark.config()));
        let worker = lab.service.worker();
        let _ = lab.service.finished_evaluation(&lab.checkpoint, 60);
        Self { lab, benchmark, folder, _worker: worker }
    }

    /// Training text with these items in it.
    fn text(&self, items: &[usize]) -> PathBuf {
        let all = json_lines(&self.benchmark.data.join(TASK).join("items.jsonl"));
        let mut lines = json!({ "text": "Nothing that anybody asks." }).to_string() + "\n";
        for item in items {
            let body = format!("Before.\n{}\nAfter.", text(&all[*item]["query"]).to_uppercase());
            lines.push_str(&(json!({ "text": body }).to_string() + "\n"));
        }
        let file = self.folder.path().join("text.jsonl");
        fs_err::write(&file, lines).expect("written");
        file
    }

    /// `sekisho contamination` on a text with these items, sent as the report on a run.
    fn report(&self, run: &str, items: &[usize]) -> Ended {
        let text = self.text(items);
        let mut command = self.lab.service.command(&["contamination", "--profile", PROFILE, "--task", TASK]);
        command.args(["--run", run, "--json", "--server", self.lab.service.url()]);
        command.arg("--data").arg(&self.benchmark.data).arg("--tasks").arg(&self.benchmark.tasks).arg(text);
        cli::run(&mut command).exits(0)
    }

    /// What the policy says of a release now: the verdict, and the sentences of its violations.
    fn judged(&self, id: &str) -> (String, Vec<String>) {
        let decision = self.lab.show(id)["decision"].clone();
        let violations = decision["violations"].as_array().expect("a list");
        let told = violations.iter().map(|found| {
            assert_eq!(found["code"], "gate-contamination", "{found}");
            text(&found["text"]["en"]).to_owned()
        });
        (text(&decision["verdict"]).to_owned(), told.collect())
    }

    /// Drafted and frozen; answers its id.
    fn frozen(&self) -> String {
        self.frozen_of(&lineage("L1"))
    }

    /// The same of this lineage file.
    fn frozen_of(&self, lineage: &str) -> String {
        let draft = self.lab.post(&json!({ "lineage": lineage })).has(201).json();
        let id = text(&draft["id"]).to_owned();
        let _ = self.lab.act(&id, "freeze").has(200);
        id
    }
}

fn allowed() -> (String, Vec<String>) {
    ("allowed".to_owned(), Vec::new())
}

#[test]
fn a_release_waits_for_a_report_and_falls_with_a_dirty_one() {
    let gated = Gated::new();
    let lab = &gated.lab;
    let id = gated.frozen();
    let (verdict, told) = gated.judged(&id);
    assert_eq!((verdict.as_str(), told.len()), ("refused", 1), "{told:?}");
    assert!(told[0].contains("run \"gate-mini\" has no report on test@1/gates, test"), "{told:?}");
    assert!(told[0].contains("The limit is 15%."), "{told:?}");

    // One of eight is within the limit, and the release is judged again by itself.
    let sent = gated.report("gate-mini", &[5]).json();
    assert_eq!(json!([sent["tasks"][0]["found"], sent["tasks"][0]["looked_for"]]), json!([[5], 8]));
    assert_eq!(gated.judged(&id), allowed());
    let _ = lab.act(&id, "request").has(200);
    let page = format!("/releases/{id}");
    let _ = lab.service.session("ueda").press(&page, &format!("{page}/approve"), "").has(303);
    assert_eq!(lab.show(&id)["state"], "approved");

    let _ = gated.report("gate-mini", &[1, 4, 6]);
    let (verdict, told) = gated.judged(&id);
    assert_eq!(verdict, "refused");
    assert!(told[0].starts_with("3 of 8 items of gates (37.5%) were found"), "{told:?}");
    let after = lab.show(&id);
    assert_eq!(json!([after["state"], after["approvals"]]), json!(["policy_checked", 0]));
    assert!(lab.audit(&id).iter().any(|line| line.2 == "release.rejudge"), "{:?}", lab.audit(&id));

    // The newest report is the one that is kept.
    let kept = lab.service.visitor().get("/api/v1/runs/gate-mini/contamination").has(200).items();
    assert_eq!(kept.as_array().map(Vec::len), Some(1), "{kept}");
    assert_eq!(kept[0]["task"]["found"], json!([1, 4, 6]));
    assert_eq!(
        json!([kept[0]["subsets"][0]["name"], kept[0]["subsets"][0]["documents"]]),
        json!(["text", 4])
    );

    shown(&gated, &id);
    let _ = gated.report("gate-mini", &[]);
    assert_eq!(gated.judged(&id), allowed());
}

/// Card and pages tell the numbers; the score without the items is that of the others.
fn shown(gated: &Gated, id: &str) {
    let lab = &gated.lab;
    let evaluation = lab.service.evaluation(&lab.checkpoint).expect("evaluated");
    let records = lab.service.records(&evaluation, TASK);
    let others: Vec<f64> = records
        .iter()
        .filter(|record| ![1, 4, 6].contains(&record["item"].as_u64().expect("a number")))
        .map(|record| record["score"]["acc"].as_f64().expect("a score"))
        .collect();
    let mean = |values: &[f64]| format!("{:.3}", values.iter().sum::<f64>() / values.len() as f64);
    let all: Vec<f64> = records.iter().map(|r| r["score"]["acc"].as_f64().expect("a score")).collect();
    let _ = lab.edit(id, &lineage("L1").replace("tokens = 1000", "tokens = 1001")).has(200);
    let _ = lab.act(id, "freeze").has(200);
    let card = lab.service.visitor().get(&format!("/api/v1/releases/{id}/card?lang=en")).has(200).json();
    let row = format!("| Gates | 3 | 8 | {} | {} |", mean(&all), mean(&others));
    let card = text(&card["text"]);
    assert!(card.contains("### Contamination") && card.contains(&row), "no {row} in\n{card}");

    let page = format!("/evals/{}", text(&evaluation["id"]));
    let visitor = lab.service.visitor();
    for (lang, head, mark) in
        [("ja", "汚染", "学習データに同じ内容あり"), ("en", "Contaminated", "in the training text")]
    {
        let table = visitor.get(&format!("{page}?lang={lang}")).has(200).text;
        assert!(table.contains(head) && table.contains("3 / 8"), "{table}");
        let samples = visitor.get(&format!("{page}/samples?lang={lang}")).has(200).text;
        assert_eq!(samples.matches(mark).count(), 3, "{samples}");
    }
}

#[test]
fn what_a_run_descends_from_must_have_been_looked_through_too() {
    let mut gated = Gated::new();
    let register = |lab: &Lab, name: &str, spec: Value| {
        let _ = lab.service.api().post("/api/v1/runs", &json!({ "name": name, "spec": spec })).has(201);
    };
    register(&gated.lab, "child", json!({ "name": "child", "parent": { "run": "base", "step": 10 } }));
    let model = gated.lab.folder.path().join("model");
    gated.lab.checkpoint = gated.lab.service.ingest(&model, "child", 20, 2000);
    let _ = gated.lab.service.finished_evaluation(&gated.lab.checkpoint, 60);
    let _ = gated.report("child", &[]);
    // The lineage names what the parent was trained on, too.
    let subset = json!({ "text": "id,corpus,level,license\ntext,lab,L1,CC0-1.0\n", "name": "text.csv" });
    let _ = gated.lab.author.post("/api/v1/corpora", &subset).has(200);
    let input = "[[input]]\nkind = \"corpus\"\nid = \"text\"\nlevel = \"L1\"\nlicense = \"CC0-1.0\"\nstage = \"pretrain\"\n";
    let id = gated.frozen_of(&lineage("L1").replace("[release]\n", &format!("{input}[release]\n")));
    let (_, told) = gated.judged(&id);
    assert!(told[0].contains("run \"child\" descends from \"base\", which is not known here"), "{told:?}");

    register(&gated.lab, "base", json!({ "name": "base", "data": { "mix": [{ "name": "text" }] } }));
    let _ = gated.report("child", &[0]);
    let (verdict, told) = gated.judged(&id);
    assert_eq!((verdict.as_str(), told.len()), ("refused", 1), "{told:?}");
    assert!(told[0].contains("run \"base\" has no report on test@1/gates, test"), "{told:?}");

    let _ = gated.report("base", &[0]);
    assert_eq!(gated.judged(&id), allowed(), "the same item in both is one item");
    let page = gated.lab.service.visitor();
    let evaluation = gated.lab.service.evaluation(&gated.lab.checkpoint).expect("evaluated");
    let table = page.get(&format!("/evals/{}?lang=en", text(&evaluation["id"]))).has(200).text;
    assert!(table.contains("1 / 8"), "{table}");
    let _ = gated.report("base", &[7]);
    let (_, told) = gated.judged(&id);
    assert!(told[0].starts_with("2 of 8 items of gates (25%)"), "one of each text: {told:?}");
}

/// A report of the API as it is sent.
fn body(gated: &Gated) -> Value {
    let file = gated.benchmark.data.join(TASK).join("items.jsonl");
    let digest = sekisho_domain::Sha256::of(fs_err::read(&file).expect("the data file"));
    json!({
        "method": { "words": 13, "least_words": 8, "characters": 20, "least_characters": 10 },
        "subsets": [{ "name": "text", "documents": 3 }],
        "tasks": [{
            "profile": PROFILE, "task": TASK, "split": "test",
            "sources": [{ "source": TASK, "file": "items.jsonl", "sha256": digest }],
            "items": ITEMS, "looked_for": ITEMS, "too_short": [], "found": [2], "found_in": { "text": 1 },
        }],
    })
}

#[test]
fn a_report_that_cannot_be_true_is_not_taken() {
    let gated = Gated::new();
    let api = gated.lab.service.api();
    let path = "/api/v1/runs/gate-mini/contamination";
    let good = body(&gated);
    let changed = |pointer: &str, value: Value| {
        let mut body = good.clone();
        *body.pointer_mut(pointer).unwrap_or_else(|| panic!("no {pointer}")) = value;
        body
    };
    api.post("/api/v1/runs/nothing/contamination", &good).is_problem(404, "not-found");
    api.get("/api/v1/runs/nothing/contamination").is_problem(404, "not-found");
    for (pointer, value, code, words) in [
        ("/tasks/0/task", json!("gate"), "task-unknown", "did you mean \\\"gates\\\"?"),
        ("/tasks/0/split", json!("dev"), "split-unknown", "has no split"),
        ("/tasks/0/found", json!([8]), "contamination", "there is no item 8"),
        ("/tasks/0/looked_for", json!(7), "contamination", "were looked for and not 7"),
        ("/tasks/0/too_short", json!([2]), "contamination", "too short and found"),
        ("/tasks/0/found_in", json!({ "other": 1 }), "contamination", "subset \\\"other\\\""),
        ("/tasks/0/found_in", json!({ "text": 2 }), "contamination", "no more than the 1 items"),
        ("/method/words", json!(50), "contamination", "finds less"),
        ("/method/least_words", json!(14), "contamination", "contradict each other"),
        ("/subsets", json!([]), "contamination", "at least one task and one subset"),
        ("/tasks", json!([good["tasks"][0], good["tasks"][0]]), "contamination", "is there twice"),
    ] {
        let answer = api.post(path, &changed(pointer, value));
        assert!(answer.text.contains(words), "{pointer}: {}", answer.text);
        answer.is_problem(422, code);
    }
    // More items than the split has, as the server's own data tells.
    let mut more = changed("/tasks/0/items", json!(9));
    more["tasks"][0]["looked_for"] = json!(9);
    let answer = api.post(path, &more);
    assert!(
        answer.text.contains("test@1/gates, test has 8 items here, and 9 in the report"),
        "{}",
        answer.text
    );
    answer.is_problem(422, "contamination");
    api.post(path, &changed("/method", json!({}))).is_problem(400, "body");

    // A subset that the run was trained on and the report leaves out.
    let spec = json!({ "name": "mixed", "data": { "mix": [{ "name": "text" }, { "name": "aozora-ja" }] } });
    let _ = api.post("/api/v1/runs", &json!({ "name": "mixed", "spec": spec })).has(201);
    let answer = api.post("/api/v1/runs/mixed/contamination", &good);
    assert!(answer.text.contains("trained on subset \\\"aozora-ja\\\""), "{}", answer.text);
    answer.is_problem(422, "contamination");

    // Who may: contributors, with a token that may hand over what a run reports.
    gated.lab.service.add_user("nagai", &["viewer"]);
    let (viewer, _) = gated.lab.service.token_of("nagai", &["read", "ingest"]);
    viewer.post(path, &good).is_problem(403, "role-missing");
    let (narrow, _) = gated.lab.service.token_of("mori", &["read", "release"]);
    narrow.post(path, &good).is_problem(403, "scope-missing");
    assert_eq!(viewer.get(path).has(200).items(), json!([]), "nothing of all that was kept");
    let _ = gated.lab.author.post(path, &good).has(200);

    // Other data of the same task is kept beside it and does not count.
    let id = gated.frozen();
    assert_eq!(gated.judged(&id), allowed());
    let mut other = changed("/tasks/0/sources/0/sha256", json!(sekisho_domain::Sha256::of("other")));
    other["tasks"][0]["found"] = json!([1, 2, 3]);
    other["tasks"][0]["found_in"] = json!({ "text": 3 });
    assert_eq!(api.post(path, &other).has(200).items().as_array().map(Vec::len), Some(2));
    assert_eq!(gated.judged(&id), allowed());
    let audit = audited(&gated.lab.service.dir());
    assert_eq!(audit, 2, "each report that was taken is in the audit log");
}

fn audited(dir: &Path) -> usize {
    let entries = tests::database::Database::open(dir).audit();
    entries.iter().filter(|entry| entry.action == "run.contamination").count()
}
