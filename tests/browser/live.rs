use serde_json::json;
use tests::benchmark::Benchmark;
use tests::checkpoints::Recipe;
use tests::service::{Options, Service};
use tests::webdriver::{Browser, Window};

#[test]
fn a_runs_page_follows_the_run_without_being_loaded_again() {
    let Some(browser) = Browser::open(Window::default()) else { return };
    let service = Service::start();
    let api = service.api();
    api.post("/api/v1/runs", &json!({ "name": "v4", "planned_tokens": 1_000_000 })).has(201);
    let report = |seq: u64, step: u64| {
        let row = |step: u64| json!({ "step": step, "tokens": step * 512, "loss": 9.0 - step as f64 / 1000.0, "seconds": 0.5 });
        let rows: Vec<_> = (step - 9..=step).map(row).collect();
        api.post("/api/v1/runs/v4/metrics", &json!({ "seq": seq, "rows": rows })).has(200);
    };
    report(0, 1000);
    browser.goto(&format!("{}/runs/v4", service.url()));
    browser.wait_for_text("#live-state", "1,000");
    let _ = browser.evaluate("window.loadedOnce = true; return true");
    report(1, 1234);
    browser.wait_for_text("#live-state", "1,234");
    browser.wait_for_text("#live-state", "7.766");
    assert_eq!(browser.evaluate("return window.loadedOnce === true"), true, "the page was not loaded again");
}

#[test]
fn a_score_arrives_on_an_open_page_while_something_on_it_has_the_focus() {
    let Some(browser) = Browser::open(Window::default()) else { return };
    let folder = tempfile::tempdir().expect("a temporary folder");
    let benchmark = Benchmark::write(folder.path(), 8, 40);
    let config = benchmark.config();
    let service = Service::with(Options { config, local_worker: true, ..Options::default() });
    let model = |step: u32| {
        let model = folder.path().join(format!("step-{step}"));
        Recipe { seed: step, ..Recipe::default() }.write(&model);
        model
    };
    let first = service.ingest(&model(1), "mini", 1, 1000);
    let _ = service.finished_evaluation(&first, 120);
    browser.goto(&format!("{}/runs/mini", service.url()));
    browser.wait_for_text("#live-checkpoints", "acc, 0-shot, n = 8");
    // The focus is on a part that will change, the table of a figure is open, and a table is scrolled.
    let _ = browser.evaluate(
        "window.loadedOnce = true;
         document.querySelector('#mean details').open = true;
         document.querySelector('#live-checkpoints tbody th a').focus();
         return true",
    );
    let href = browser.evaluate("return document.activeElement.getAttribute('href')");
    assert!(href.as_str().is_some_and(|href| href.starts_with("/checkpoints/")), "{href}");

    let second = service.ingest(&model(2), "mini", 2, 2000);
    // Its row waits: nothing moves under the eye, and what has been there keeps its place.
    browser.wait_for_text(".new-rows", "Show 1 new");
    assert_eq!(browser.count("#live-checkpoints tbody tr"), 1);
    let said = browser.evaluate("return [...document.querySelectorAll('[role=status].unseen')].map((said) => said.textContent).join('')");
    assert!(said.as_str().is_some_and(|said| said.contains("Show 1 new")), "{said}");
    let _ = service.finished_evaluation(&second, 120);
    browser.wait_until(
        "the second score",
        "return document.querySelectorAll('#live-checkpoints tbody .score').length >= 4
             && document.querySelectorAll('#mean .drawing.on-wide .mark').length === 2",
    );
    assert_eq!(browser.evaluate("return window.loadedOnce === true"), true, "the page was not loaded again");
    assert_eq!(
        browser.evaluate("return document.activeElement.getAttribute('href')"),
        href,
        "the focus stays"
    );
    assert_eq!(browser.evaluate("return document.querySelector('#mean details').open"), true);
    assert_eq!(browser.evaluate("return document.querySelector('#loss details')?.open ?? false"), false);
    assert_eq!(browser.count("#live-checkpoints tbody tr"), 1, "it still waits, with its score");
    browser.click(".new-rows");
    assert_eq!(browser.count("#live-checkpoints tbody tr"), 2);
    assert_eq!(browser.count(".new-rows"), 0);
    let newest = format!("/checkpoints/{}", second["id"].as_str().expect("an id"));
    assert_eq!(browser.evaluate("return document.activeElement.getAttribute('href')"), newest.as_str());
    // A third waits again, and the second does not go back.
    let third = service.ingest(&model(3), "mini", 3, 3000);
    browser.wait_for_text(".new-rows", "Show 1 new");
    assert_eq!(browser.count("#live-checkpoints tbody tr"), 2);
    let _ = (first, third);
}

/// A browser keeps pages that were left for the way back, and opens six connections to a service: a page that is out of sight must not
/// hold one, or the seventh page waits for a minute.
#[test]
fn pages_that_were_left_hold_no_connection() {
    let Some(browser) = Browser::open(Window::default()) else { return };
    let service = Service::start();
    let _ = service.api().post("/api/v1/runs", &json!({ "name": "v4" })).has(201);
    for tab in ["curves", "metrics", "checkpoints", "events", "settings", "data", "log", "overview"] {
        browser.goto(&format!("{}/runs/v4?tab={tab}", service.url()));
        browser.wait_until(
            "the stream of the page",
            "return performance.getEntriesByType('navigation')[0].loadEventEnd > 0 && document.getElementById('live') !== null",
        );
        // The stream is asked for when the page is there; a fetch behind it says that it has its connection.
        let answered = browser.evaluate_later(
            "const done = arguments[arguments.length - 1]; const late = setTimeout(() => done('late'), 20000);
             fetch('/healthz').then((answer) => { clearTimeout(late); done(answer.ok); });",
        );
        assert_eq!(answered, true, "{tab}");
    }
}
