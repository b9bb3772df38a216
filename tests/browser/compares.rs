use serde_json::Value;
use tests::benchmark::{Benchmark, TASK};
use tests::checkpoints::Recipe;
use tests::service::{Options, Service, text};
use tests::webdriver::{Browser, Window};

/// A service with two checkpoints of one run that answer some questions otherwise, and both examined.
fn two_checkpoints() -> (Service, [String; 2], tempfile::TempDir) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let benchmark = Benchmark::write(folder.path(), 30, 40);
    let options = Options { config: benchmark.config(), local_worker: true, ..Options::default() };
    let service = Service::with(options);
    let ids = [1, 2].map(|seed: u32| {
        let model = folder.path().join(format!("step-{seed}"));
        Recipe { seed, ..Recipe::default() }.write(&model);
        let checkpoint = service.ingest(&model, "mini", u64::from(seed) * 10, u64::from(seed) * 1000);
        let _ = service.finished_evaluation(&checkpoint, 120);
        text(&checkpoint["id"]).to_owned()
    });
    (service, ids, folder)
}

/// Acceptance 15: difference, interval, p, and whether it is significant, in both languages.
#[test]
fn a_checkpoint_and_its_predecessor_in_one_sentence() {
    let Some(browser) = Browser::open(Window::default()) else { return };
    let (service, [a, b], _folder) = two_checkpoints();
    browser.goto(&format!("{}/compare?ids={a},{b}", service.url()));
    browser.wait_for_text("h1", "Compare");
    let sentence = browser.text("#sentences .sentence");
    let is_significant =
        sentence.starts_with("B is better than A by +") || sentence.starts_with("A is better than B by +");
    assert!(
        is_significant || sentence.starts_with("no significant difference between A and B ("),
        "{sentence}"
    );
    for part in ["95% CI [", "p = ", "acc"] {
        assert!(sentence.contains(part), "{part}: {sentence}");
    }
    assert_eq!(browser.count("#sentences .sentence"), 1);
    browser.wait_for_text("#differences caption", "Holm");

    browser.click("a[hreflang=ja]");
    browser.wait_for_text("h1", "比較");
    let sentence = browser.text("#sentences .sentence");
    assert!(sentence.contains("95%CI [") && sentence.contains("p = "), "{sentence}");
    assert_eq!(sentence.contains("補正後"), is_significant, "{sentence}");
    assert_eq!(sentence.contains("有意差なし"), !is_significant, "{sentence}");
    browser.wait_for_text("#columns", "基準");
}

/// Acceptance 13: a filter shows exactly as many items as its cell of the table says.
#[test]
fn only_a_right_shows_as_many_items_as_its_cell_says() {
    let Some(browser) = Browser::open(Window { language: "ja", ..Window::default() }) else { return };
    let (service, [a, b], _folder) = two_checkpoints();
    browser.goto(&format!("{}/compare?ids={a},{b}", service.url()));
    browser.click("#differences a[href^='/compare/samples']");
    browser.wait_for_text("h1", "関所");
    let api = service.visitor().get(&format!("/api/v1/compare?ids={a},{b}")).has(200).json();
    let table = &api["pairs"][0]["rows"][0]["mcnemar"];
    for (cell, word) in
        [("only_a", "Aのみ正解"), ("only_b", "Bのみ正解"), ("both", "両方正解"), ("neither", "両方不正解")]
    {
        let said = table[cell].as_u64().expect("a number");
        browser.click(&format!("#cells a[href*='cell={cell}']"));
        browser.wait_for_text("#cells [aria-current]", &format!("{word} {said}"));
        assert!(browser.url().contains(&format!("cell={cell}")), "{}", browser.url());
        assert_eq!(shown(&browser), said, "{cell}");
    }
    // Their scores are those of the cell, and a line end is seen.
    browser.click("#cells a[href*='cell=only_a']");
    let outcomes = browser.evaluate(
        "return [...document.querySelectorAll('li.item')].map((item) => [...item.querySelectorAll('.side .pill')].map((p) => p.className))",
    );
    for item in outcomes.as_array().expect("a list") {
        assert_eq!(item, &serde_json::json!(["pill right", "pill wrong"]), "{outcomes}");
    }
    assert!(browser.url().contains(&format!("task={TASK}")), "{}", browser.url());

    // j and k walk through the items.
    browser.click("#cells a:first-child");
    browser.wait_until("all items", "return document.querySelectorAll('li.item').length === 10");
    let focused = || browser.evaluate("return document.activeElement.closest('.item')?.id");
    let first = browser.attribute("li.item", "id").expect("an id");
    browser.press("j");
    assert_eq!(focused(), Value::from(first.clone()));
    browser.press("j");
    assert_ne!(focused(), Value::from(first.clone()));
    browser.press("k");
    assert_eq!(focused(), Value::from(first));
}

/// How many items are on this page and those after it.
fn shown(browser: &Browser) -> u64 {
    let mut items = 0;
    loop {
        let here = browser.evaluate("return document.querySelectorAll('li.item').length");
        items += here.as_u64().expect("a number");
        let next = browser.evaluate("return document.querySelector('.pager a[rel=next]')?.href ?? ''");
        match next.as_str().filter(|next| !next.is_empty()) {
            Some(next) => browser.goto(next),
            None => return items,
        }
    }
}
