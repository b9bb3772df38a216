//! The leaderboard as programs get it: presets over several evaluations, pins and base, filters, reported rows by page, API and command.

use serde_json::{Value, json};
use tests::benchmark::{Benchmark, PROFILE, TASK};
use tests::checkpoints::Recipe;
use tests::cli;
use tests::http::hidden;
use tests::service::{Options, Service, text};

const HEAD: &str = "model,source,date,license,profile,task,split,shots,value,scale\n";

struct Stage {
    service: Service,
    folder: tempfile::TempDir,
}

impl Stage {
    fn set() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let benchmark = Benchmark::write(folder.path(), 12, 40);
        // The same task again, its first items alone.
        let suite = format!(
            "name = \"few\"\ntitle_en = \"Few\"\ntitle_ja = \"少数\"\n[[task]]\nprofile = \"{PROFILE}\"\ntask = \"{TASK}\"\nsplit = \"test\"\nlimit = 5\n"
        );
        fs_err::write(benchmark.tasks.join("suites/few.toml"), suite).expect("written");
        let options = Options { config: benchmark.config(), local_worker: true, ..Options::default() };
        Self { service: Service::with(options), folder }
    }

    fn examined(&self, run: &str, step: u64, seed: u32) -> Value {
        let model = self.folder.path().join(format!("{run}-{step}"));
        Recipe { seed, ..Recipe::default() }.write(&model);
        let checkpoint = self.service.ingest(&model, run, step, step * 1000);
        let _ = self.service.finished_evaluation(&checkpoint, 120);
        checkpoint
    }

    fn board(&self, query: &str) -> Value {
        self.service.visitor().get(&format!("/leaderboard.json?{query}")).has(200).json()
    }
}

fn names(board: &Value) -> Vec<&str> {
    board["items"].as_array().expect("rows").iter().map(|row| text(&row["run"])).collect()
}

#[test]
fn a_choice_of_columns_gathers_the_scores_of_all_evaluations() {
    let stage = Stage::set();
    let checkpoint = stage.examined("mini", 10, 1);
    let id = text(&checkpoint["id"]);
    let few = json!({ "suite": "few" });
    let _ = stage.service.api().post(&format!("/api/v1/checkpoints/{id}/evaluations"), &few);
    tests::wait::until("both evaluations", 60, || {
        let all = stage.service.api().get(&format!("/api/v1/checkpoints/{id}/evaluations")).has(200).items();
        let done =
            all.as_array().is_some_and(|all| all.len() == 2 && all.iter().all(|e| e["state"] == "finished"));
        done.then_some(())
    });
    let whole = format!("task={PROFILE}/{TASK}:test");
    let both = stage.board(&format!("preset=own&{whole}&{whole}:5"));
    let row = &both["items"][0];
    assert_eq!(
        [&row["rank"], &row["tasks_done"], &row["tasks"]],
        [&json!(1), &json!(2), &json!(2)],
        "{both}"
    );
    let n: Vec<u64> = (0..2).filter_map(|i| row["scores"][i]["n"].as_u64()).collect();
    assert_eq!(n, [12, 5], "each column has the score of its own evaluation");
    // On the suite's own board the other evaluation has no say.
    let suite = stage.board("suite=few");
    assert_eq!(suite["items"][0]["scores"][0]["n"], 5);
}

#[test]
fn a_base_is_compared_in_pairs_and_pins_stand_above() {
    let stage = Stage::set();
    let first = stage.examined("first", 10, 1);
    let _ = stage.examined("second", 10, 2);
    let _ = stage.examined("second", 5, 3);
    let id = text(&first["id"]);
    let board = stage.board(&format!("suite=gates-only&base={id}&pin={id}"));
    assert_eq!(names(&board)[0], "first");
    assert_eq!([&board["items"][0]["pinned"], &board["items"][1]["pinned"]], [true, false]);
    let second =
        board["items"].as_array().expect("rows").iter().find(|row| row["run"] == "second").expect("a row");
    assert_eq!(second["step"], 10, "the latest of its run");
    let means = [&board["items"][0]["mean"], &second["mean"]].map(|mean| mean.as_f64().expect("a mean"));
    assert!((second["difference"].as_f64().expect("a difference") - (means[1] - means[0])).abs() < 1e-12);
    assert!(second["p"].as_f64().is_some_and(|p| (0.0..=1.0).contains(&p)), "{second}");
    assert_eq!(board["items"][0]["difference"], Value::Null, "not from itself");
    assert_eq!(names(&stage.board("suite=gates-only&all=1")).len(), 3);

    let page = stage.service.visitor().get(&format!(
        "/leaderboard?lang=en&suite=gates-only&base={id}&pin=nobody&size=huge&stage=later&hide=nothing"
    ));
    let page = page.has(200).text;
    for ignored in ["pin=nobody", "size=huge", "stage=later", "hide=nothing"] {
        assert!(page.contains(&format!("{ignored} was not understood")), "{ignored}: {page}");
    }
    let none = stage.service.visitor().get("/leaderboard?lang=en&suite=gates-only&size=large").has(200).text;
    assert!(none.contains("No row fits these filters") && none.contains("class=\"chip\""), "{none}");
    let hundred =
        stage.service.visitor().get("/leaderboard?lang=en&suite=gates-only&scale=100").has(200).text;
    for mean in means {
        assert!(hundred.contains(&format!(">{:.1}<", 100.0 * mean)), "{mean}: {hundred}");
    }
}

#[test]
fn reported_rows_come_by_page_api_and_command_and_are_never_ranked() {
    let stage = Stage::set();
    let _ = stage.examined("mini", 10, 1);
    let service = &stage.service;
    let line = |model: &str, task: &str, value: &str| {
        format!("{model},a board,2026-01-02,CC-BY-4.0,{PROFILE},{task},test,0,{value},1\n")
    };
    let good = format!("{HEAD}{}{}", line("Theirs", TASK, "0.9"), line("Broken", "nothing", "0.5"));

    let visitor = service.visitor().get("/leaderboard/reported?lang=en").has(200).text;
    assert!(visitor.contains("GPT-4 (gpt-4-0613)") && !visitor.contains("<textarea"), "{visitor}");
    service.add_user("hayashi", &["contributor"]);
    let session = service.session("hayashi");
    let page = session.get("/leaderboard/reported?lang=en").has(200).text;
    let csrf = hidden(&page, "csrf").expect("a form");
    let preview = session.post("/leaderboard/reported?lang=en", &[("csrf", &csrf), ("text", &good)]);
    assert_eq!(preview.status, 200);
    assert!(
        preview.text.contains("Theirs") && preview.text.contains("task &#34;nothing&#34;"),
        "{}",
        preview.text
    );
    assert_eq!(names(&stage.board("suite=gates-only")), ["mini"], "a look keeps nothing");
    let saved = session.post("/leaderboard/reported", &[("csrf", &csrf), ("text", &good), ("step", "save")]);
    assert!((300..400).contains(&saved.status) || saved.status == 200, "{}", saved.status);
    let board = stage.board("suite=gates-only");
    let theirs =
        board["items"].as_array().expect("rows").iter().find(|row| row["run"] == "Theirs").expect("a row");
    assert_eq!([&theirs["rank"], &theirs["source"]], [&Value::Null, &json!("a board")]);
    assert_eq!(theirs["scores"][0]["value"], 0.9);
    assert_eq!(names(&stage.board("suite=gates-only&reported=0")), ["mini"]);
    let first =
        board["items"].as_array().expect("rows").iter().find(|row| row["run"] == "mini").expect("a row");
    assert_eq!(first["rank"], 1, "a reported row takes no place");

    let file = stage.folder.path().join("reported.csv");
    fs_err::write(&file, format!("{HEAD}{}", line("By command", TASK, "0.1"))).expect("written");
    let done = cli::run(service.command(&["import", "reported", "--json"]).arg(&file)).exits(0).json();
    assert_eq!(done["models"][0]["model"], "By command");
    fs_err::write(&file, &good).expect("written");
    let refused = cli::run(service.command(&["import", "reported"]).arg(&file)).exits(1);
    assert!(refused.stderr.contains(":3: task \"nothing\""), "{}", refused.stderr);
    let all = service.visitor().get("/api/v1/reported").has(200).items();
    assert_eq!(all.as_array().map(Vec::len), Some(8), "two of ours, six that ship");
    let (reader, _) = service.token_of("hayashi", &["read"]);
    reader.post("/api/v1/reported", &json!({ "text": good })).is_problem(403, "scope-missing");
    service.api().post("/api/v1/reported", &json!({ "text": HEAD })).is_problem(422, "reported");
}
