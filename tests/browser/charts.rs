use serde_json::json;
use tests::service::Service;
use tests::webdriver::{Browser, Window};

#[test]
fn a_chart_is_read_with_the_arrow_keys() {
    let Some(browser) = Browser::open(Window { language: "ja", ..Window::default() }) else { return };
    let service = Service::start();
    let api = service.api();
    let row =
        |step: u64| json!({ "step": step, "tokens": step * 1_000_000, "loss": 9.0 - step as f64 / 10.0 });
    let rows: Vec<_> = (1..=30).map(row).collect();
    let _ = api.post("/api/v1/runs", &json!({ "name": "v4" })).has(201);
    let _ = api.post("/api/v1/runs/v4/metrics", &json!({ "seq": 0, "rows": rows })).has(200);
    browser.goto(&format!("{}/runs/v4?tab=metrics", service.url()));
    let chart = "#loss .on-wide svg[data-stops]";
    browser.wait_until(
        "the chart to take keys",
        &format!("return document.querySelector('{chart}')?.tabIndex === 0"),
    );
    let _ = browser.evaluate(&format!("document.querySelector('{chart}').focus(); return true"));
    let said = || {
        browser.evaluate("return [...document.querySelectorAll('[role=status].unseen')].map((said) => said.textContent).join('')")
    };
    let place =
        || browser.evaluate(&format!("return document.querySelector('{chart} .cursor').getAttribute('d')"));
    browser.press("\u{e010}");
    let (last, at_last) = (said(), place());
    assert!(
        last.as_str().is_some_and(|said| said.contains("学習トークン数") && said.contains("30")),
        "{last}"
    );
    assert_eq!(browser.text("#loss .cursor-text"), last.as_str().unwrap_or_default(), "shown too");
    browser.press("\u{e012}");
    assert_ne!(said(), last);
    assert_ne!(place(), at_last);
    browser.press("\u{e014}");
    assert_eq!((said(), place()), (last.clone(), at_last), "there and back");
    browser.press("\u{e014}");
    assert_eq!(said(), last, "the end is the end");
    browser.press("\t");
    assert_eq!(browser.count(".cursor-text") + browser.count("svg .cursor"), 0, "gone with the focus");
}
