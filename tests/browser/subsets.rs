//! 森 changes the level of a subset, and sees beforehand what it would mean.

use serde_json::json;
use tests::hub_double::{HubDouble, HubOptions};
use tests::service::text;
use tests::webdriver::{Browser, Window};

use super::stage::sign_in;
use crate::lab::{Lab, lineage};

#[test]
fn before_a_level_is_changed_every_run_draft_and_published_release_is_shown_with_its_tokens() {
    let Some(browser) = Browser::open(Window { language: "ja", ..Window::default() }) else { return };
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let hub = runtime.block_on(HubDouble::start(HubOptions::default()));
    let lab = Lab::with_hub(hub.endpoint());
    let subset = json!({ "text": "id,corpus,level,license\nweb-l3,lab,L3,CC0-1.0\n", "name": "l3.csv" });
    let _ = lab.author.post("/api/v1/corpora", &subset).has(200);
    let api = lab.service.api();
    let spec = json!({ "name": "v9", "data": { "mix": [{ "name": "web-l3", "level": "L3" }] } });
    let _ = api.post("/api/v1/runs", &json!({ "name": "v9", "spec": spec })).has(201);
    let row = json!({ "seq": 0, "rows": [{ "step": 1, "tokens": 7_000_000_000_u64, "loss": 3.5 }] });
    let _ = api.post("/api/v1/runs/v9/metrics", &row).has(200);
    let of = |name: &str, tokens: &str| {
        lineage("L1")
            .replace("\"aozora-ja\"\nlevel = \"L1\"", "\"web-l3\"\nlevel = \"L3\"")
            .replace("tokens = 1000", &format!("tokens = {tokens}"))
            .replace("gate-mini", name)
    };
    let published = lab.approved(&of("gate-out", "3000000000"), &["ueda"]);
    lab.release(&["publish", "--wait", &published]).exits(0);
    let draft = lab.post(&json!({ "lineage": of("gate-draft", "4000000000") })).has(201).json();
    // What does not descend from it is not shown.
    let _ = lab.post(&json!({ "lineage": lineage("L1") })).has(201);

    sign_in(&browser, &lab.service, "mori");
    browser.goto(&format!("{}/corpora/web-l3", lab.service.url()));
    browser.fill("form.inline-form select[name=level]", "LX");
    browser.click("form[action='/corpora/web-l3'] button");
    browser.wait_for_text("#effects", "LX への変更");
    browser.wait_for_text(".alarm", "実験1件");
    browser.wait_for_text(".alarm", "公開前のリリース1件、公開済みのリリース1件");
    let row = |heading: &str, words: &[&str]| {
        let rows = browser.evaluate(&format!(
            "return [...document.querySelectorAll('#{heading} ~ .scroll tbody tr')].map((row) => row.textContent)"
        ));
        let rows = rows.as_array().expect("rows").clone();
        let found = rows.iter().any(|row| words.iter().all(|word| text(row).contains(word)));
        assert!(found, "{words:?}: {rows:?}");
        rows.len()
    };
    assert_eq!(row("runs", &["v9", "7B"]), 1);
    row("effects", &["gate-out", "公開済み", "3B", "公開可", "公開不可", "公開済みのため取り消されません"]);
    assert_eq!(row("effects", &["gate-draft", "下書き", "4B", "公開不可"]), 2);
    assert_eq!(lab.show(&published)["state"], "published", "nothing was changed");

    browser.fill("#reason", "権利者の依頼により");
    browser.click("form[action='/corpora/web-l3/level'] button");
    browser.wait_for_text("h1", "LX");
    browser.wait_for_text("#history ~ .scroll", "L3 → LX");
    assert_eq!(lab.show(text(&draft["id"]))["state"], "draft");
    let frozen = lab.act(text(&draft["id"]), "freeze").has(200).json();
    assert_eq!(frozen["decision"]["verdict"], "refused");
}
