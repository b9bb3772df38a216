//! Comparisons of what a service has examined: page, API and command.

use serde_json::{Value, json};
use tests::benchmark::Benchmark;
use tests::checkpoints::Recipe;
use tests::cli;
use tests::service::{Options, Service, text};

/// A service with checkpoints of several runs.
struct Stage {
    service: Service,
    folder: tempfile::TempDir,
}

impl Stage {
    fn set(change: impl FnOnce(&Benchmark)) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let benchmark = Benchmark::write(folder.path(), 24, 40);
        change(&benchmark);
        let options = Options { config: benchmark.config(), local_worker: true, ..Options::default() };
        Self { service: Service::with(options), folder }
    }

    fn examined(&self, run: &str, step: u64, seed: u32) -> (String, String) {
        let model = self.folder.path().join(format!("{run}-{step}"));
        Recipe { seed, ..Recipe::default() }.write(&model);
        let checkpoint = self.service.ingest(&model, run, step, step * 1000);
        let evaluation = self.service.finished_evaluation(&checkpoint, 120);
        (text(&checkpoint["id"]).to_owned(), text(&evaluation["id"]).to_owned())
    }

    fn json(&self, path: &str) -> Value {
        self.service.visitor().get(path).has(200).json()
    }

    fn page(&self, path: &str) -> String {
        self.service.visitor().get(path).has(200).text
    }
}

#[test]
fn runs_are_compared_by_page_api_and_command_alike() {
    let stage = Stage::set(|_| ());
    for (run, seed) in [("one", 1), ("two", 2), ("three", 3)] {
        stage.examined(run, 10, seed);
    }
    let found = stage.json("/api/v1/compare?ids=one,two,three");
    assert_eq!(json!([found["base"], found["align"], found["unknown"]]), json!(["one", "tokens", []]));
    let pairs = found["pairs"].as_array().expect("pairs");
    assert_eq!(pairs.len(), 2);
    let row = &pairs[0]["rows"][0];
    assert_eq!(json!([row["metric"], row["n"], row["primary"]]), json!(["acc", 24, true]));
    for pair in pairs {
        let [p, corrected] = ["p", "p_corrected"].map(|key| pair["rows"][0][key].as_f64().expect("a number"));
        assert!(p <= corrected && corrected <= 1.0, "{pair}");
    }

    // The same from the other side is the same difference with the other sign.
    let back = stage.json("/api/v1/compare?ids=one,two&base=two");
    let value = |pair: &Value| pair["verdict"]["difference"]["value"].as_f64().expect("a number");
    assert!((value(&back["pairs"][0]) + value(&pairs[0])).abs() < 1e-12);

    let page = stage.page("/compare?ids=one,two,three&lang=ja");
    let sentence = text(&pairs[0]["verdict"]["text_ja"]);
    assert!(page.contains(&sentence.replace('<', "&#60;")), "{sentence}");

    let server = stage.service.url();
    let ended =
        cli::run(cli::command(["compare", "one", "two", "--server", server]).env_remove("SEKISHO_SERVER"));
    let ended = ended.exits(0);
    let first = ended.stdout.lines().next().unwrap_or_default();
    assert!(first.contains("one") && first.contains("two") && first.contains("95% CI ["), "{first}");
    let ids = ["compare", "one", "two", "--server", server, "--json"];
    assert_eq!(cli::run(&mut cli::command(ids)).exits(0).json()["pairs"][0]["rows"][0]["n"], 24);
    cli::run(&mut cli::command(["compare", "one", "nobody", "--server", server])).exits(3).says(&["nobody"]);
}

#[test]
fn what_is_not_there_is_named_and_the_others_stay() {
    let stage = Stage::set(|_| ());
    stage.examined("one", 10, 1);
    stage.examined("two", 10, 2);
    let page = stage.page("/compare?ids=one,gone,two&lang=en");
    assert!(
        page.contains("There is no run or checkpoint &#34;gone&#34;") && page.contains("id=\"differences\""),
        "{page}"
    );
    assert_eq!(stage.json("/api/v1/compare?ids=one,gone,two")["unknown"], json!(["gone"]));
    let empty = stage.page("/compare?lang=ja");
    assert!(empty.contains("2〜6件選択してください") && !empty.contains("id=\"differences\""));
    stage.service.visitor().get("/api/v1/compare?ids=gone,lost").is_problem(404, "not-found");
    stage.service.visitor().get("/compare/samples?a=one").has(400);
    stage.service.visitor().get("/compare/nothing.svg?ids=one,two").has(404);
    // A run that nobody has examined is a column without scores.
    stage.service.api().post("/api/v1/runs", &json!({ "name": "fresh" })).has(201);
    let page = stage.page("/compare?ids=one,fresh&lang=ja");
    assert!(page.contains("freshにはまだスコアがないため") && !page.contains("有意差"), "{page}");
}

#[test]
fn a_run_is_compared_at_the_tokens_that_all_have_reached() {
    let stage = Stage::set(|_| ());
    for (run, step, seed) in [("long", 10, 1), ("long", 20, 2), ("long", 30, 3), ("short", 19, 4)] {
        stage.examined(run, step, seed);
    }
    let steps = |align: &str| {
        let found = stage.json(&format!("/api/v1/compare?ids=long,short{align}"));
        json!([found["columns"][0]["step"], found["columns"][1]["step"]])
    };
    assert_eq!([steps(""), steps("&align=last")], [json!([20, 19]), json!([30, 19])]);
    let page = stage.page("/compare?ids=long,short&lang=ja");
    assert!(page.contains("最も近いチェックポイント"), "{page}");
    let figures = stage.page("/compare?ids=long,short&tab=scaling&more=0.001&lang=en");
    assert!(figures.contains("foretold for +0.001B tokens") && figures.contains("short"), "{figures}");
    assert!(figures.contains("1 points are too few to fit (3 are needed)"), "{figures}");
    for (lang, title) in [("ja", "サブタスクスコアの平均"), ("en", "Average of subtask scores")] {
        let svg = stage.page(&format!("/compare/mean.svg?ids=long,short&tab=curves&lang={lang}"));
        assert!(svg.starts_with("<svg xmlns=") && svg.contains(title), "{svg}");
    }
    let csv = stage.page("/compare/mean.csv?ids=long,short&tab=curves&lang=en");
    assert!(csv.starts_with("Run,Trained tokens,Step,Mean,") && csv.lines().count() == 5, "{csv}");
}

#[test]
fn samples_of_two_are_shown_by_the_rules_of_samples_of_one() {
    let stage = Stage::set(Benchmark::forbid_redistribution);
    let (first, evaluation) = stage.examined("mini", 10, 1);
    let (second, _) = stage.examined("mini", 20, 2);
    stage.service.add_user("hayashi", &["evaluator"]);
    // Evaluations and checkpoints name the same.
    for a in [&first, &evaluation] {
        let path = format!("/compare/samples?a={a}&b={second}&lang=en");
        let visitor = stage.page(&path);
        let member = stage.service.session("hayashi").get(&path).has(200).text;
        for content in ["0000:", "gate 0", "class=\"answers\""] {
            assert!(!visitor.contains(content), "a visitor sees {content}");
            assert!(member.contains(content), "a member does not see {content}");
        }
        assert!(visitor.contains("signed-in members only") && visitor.contains("Only A right"));
        assert_eq!(visitor.matches("<li class=\"item\"").count(), 10, "ten of 24 on a page");
    }
    let nonsense =
        stage.page(&format!("/compare/samples?a={first}&b={second}&cell=nonsense&page=99&order=x"));
    assert_eq!(nonsense.matches("<li class=\"item\"").count(), 4, "the last page of all");
}
