//! 林 looks at an evaluation: what a score is of, and what became of one whose worker was killed.

use tests::data::oracle;
use tests::database::Database;
use tests::service::{Options, Service, evaluating, text};
use tests::webdriver::{Browser, Window};

use crate::kill::Stage;

/// The whole of one task's test split.
const SUITE: &str = r#"
name = "jemhopqa-test"
title_en = "JEMHopQA, test"
title_ja = "JEMHopQA（テスト）"
task = [{ profile = "llm-jp-eval@1.3", task = "jemhopqa", split = "test" }]
"#;

#[test]
fn a_score_stands_beside_its_n_its_interval_and_the_harness_own_error() {
    let (Some(model), Some(browser)) = (oracle(), Browser::open(Window::default())) else { return };
    let folder = tempfile::tempdir().expect("a temporary folder");
    fs_err::create_dir(folder.path().join("suites")).expect("a folder");
    fs_err::write(folder.path().join("suites/one.toml"), SUITE).expect("written");
    let config = evaluating("jemhopqa-test", folder.path());
    let service = Service::with(Options { config, local_worker: true, ..Options::default() });
    let checkpoint = service.ingest(&model.join("mini-ja-en/step-0800"), "v4", 800, 3_276_800);
    let evaluation = service.finished_evaluation(&checkpoint, 300);

    browser.goto(&format!("{}/evals/{}?lang=ja", service.url(), text(&evaluation["id"])));
    let texts = |part: &str| {
        let found = browser.evaluate(&format!(
            "const table = document.querySelector('main table'); return [...table.querySelectorAll('{part}')].map((cell) => cell.textContent.trim())"
        ));
        found.as_array().expect("cells").iter().map(|cell| text(cell).to_owned()).collect::<Vec<_>>()
    };
    let (heads, cells) = (texts("thead th"), texts("tbody tr:first-child > *"));
    let under = |head: &str| cells[heads.iter().position(|name| name == head).expect("a column")].clone();
    assert_eq!(under("n"), "120", "{cells:?}");
    assert!(under("95%信頼区間").starts_with('['), "{heads:?} {cells:?}");
    let stderr = under("標準誤差（ハーネス）");
    assert!(!stderr.contains('['), "the harness's own error is a column of its own: {stderr}");
}

#[test]
fn a_killed_worker_is_a_second_try_with_its_cause_and_the_same_scores() {
    let Some(browser) = Browser::open(Window::default()) else { return };
    let stage = Stage::new();
    let page = format!("{}/evals/{}?lang=ja", stage.service.url(), text(&stage.evaluation()["id"]));
    let mut first = stage.service.worker();
    stage.in_the_middle();
    first.kill9();
    browser.goto(&page);
    let answered = |browser: &Browser| -> u64 {
        let shown = browser.text("main table tbody");
        let number =
            shown.split(" / ").next().and_then(|part| part.split_whitespace().last().map(ToOwned::to_owned));
        number.and_then(|number| number.replace(',', "").parse().ok()).expect("answered / all")
    };
    let before = answered(&browser);
    assert!(before > 0);
    // A minute of silence, without the minute.
    Database::open(&stage.service.dir())
        .execute("UPDATE work_items SET lease_until = 1 WHERE state = 'running'");
    let _second = stage.service.worker();
    stage.assert_as_undisturbed();

    browser.goto(&page);
    let tries = browser.text("#tries");
    assert!(tries.contains("ワーカーからの応答が途絶えました"), "{tries}");
    let items = browser.evaluate(
        "return [...document.querySelectorAll('#tries tbody tr')].map((row) => row.children[3].textContent.trim())",
    );
    let items: Vec<String> =
        items.as_array().expect("rows").iter().map(|cell| text(cell).to_owned()).collect();
    assert_eq!(items.len(), 2, "{items:?}");
    let (until, from) = (items[0].split('–').next_back(), items[1].split('–').next());
    let number = |text: Option<&str>| {
        text.and_then(|text| text.replace(',', "").parse::<u64>().ok()).expect("a number")
    };
    assert_eq!(number(until) + 1, number(from), "the second goes on where the first was: {items:?}");
    assert!(number(until) >= before);
}
