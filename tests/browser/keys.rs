use serde_json::json;
use tests::service::Service;
use tests::webdriver::{Browser, Window};

use super::stage::small;

#[test]
fn keys_reach_the_search_box_and_what_can_be_copied() {
    let Some(browser) = Browser::open(Window { language: "ja", ..Window::default() }) else { return };
    let (service, checkpoint, _folder) = small();
    browser.goto(&format!("{}/runs/small", service.url()));
    browser.wait_for_text("h1", "small");
    browser.press("/");
    assert_eq!(browser.evaluate("return document.activeElement.id"), "search");
    assert_eq!(browser.evaluate("return document.activeElement.value"), "", "the key itself is not typed");
    browser.press("iter_0000010\n");
    browser.wait_for_text("h1", "ステップ10");
    let id = checkpoint["id"].as_str().expect("an id");
    assert!(browser.url().ends_with(&format!("/checkpoints/{id}")), "{}", browser.url());

    let copies = browser.evaluate(
        "const codes = document.querySelectorAll('code[data-copy]').length;
         const buttons = [...document.querySelectorAll('button.copy')];
         return [codes, buttons.length, buttons.every((b) => b.tabIndex === 0 && b.getAttribute('aria-label').startsWith('コピー'))]",
    );
    assert!(copies[0].as_u64() > Some(3) && copies[0] == copies[1] && copies[2] == true, "{copies}");
    let _ = browser.evaluate("document.querySelector('.how button.copy').focus(); return true");
    browser.press("\n");
    browser.wait_for_text("[role=status]", "コピーしました");
}

#[test]
fn a_list_is_walked_chosen_from_and_compared_with_keys_alone() {
    let Some(browser) = Browser::open(Window::default()) else { return };
    let service = Service::start();
    for name in ["one", "two", "three"] {
        let _ = service.api().post("/api/v1/runs", &json!({ "name": name })).has(201);
    }
    browser.goto(&format!("{}/runs", service.url()));
    browser.wait_for_text("h1", "Runs");
    let focused = || browser.evaluate("return document.activeElement.textContent.trim()");
    let rows = browser.evaluate(
        "return [...document.querySelectorAll('tbody th a')].map((link) => link.textContent.trim())",
    );
    browser.press("j");
    assert_eq!(focused(), rows[0], "the first that is on the screen");
    assert_eq!(browser.evaluate("return document.activeElement.matches(':focus-visible')"), true);
    browser.press("c");
    assert!(browser.url().ends_with("/runs"), "one is not enough to compare");
    browser.press("x");
    browser.press("jj");
    assert_eq!(focused(), rows[2]);
    browser.press("j");
    assert_eq!(focused(), rows[2], "the last is the last");
    browser.press("x");
    browser.press("k");
    assert_eq!(focused(), rows[1]);
    browser.press("x");
    browser.press("x");
    let chosen = browser.evaluate(
        "return [...document.querySelectorAll('input[data-compare-id]')].map((box) => box.checked)",
    );
    assert_eq!(chosen, json!([true, false, true]), "taken back by the same key");
    assert!(browser.text("[data-compare-go]").contains('2'));
    browser.press("c");
    browser.wait_until("the comparison", "return location.pathname === '/compare'");
    for row in [0, 2] {
        assert!(browser.url().contains(rows[row].as_str().expect("a name")), "{}", browser.url());
    }
    // Back to the list by two keys, and into a run by Enter.
    browser.press("gr");
    browser.wait_for_text("h1", "Runs");
    browser.press("j\n");
    browser.wait_for_text("h1", rows[0].as_str().expect("a name"));
    for (keys, path) in
        [("gl", "/leaderboard"), ("gc", "/corpora"), ("ge", "/releases"), ("gq", "/queue"), ("gh", "/")]
    {
        browser.press(keys);
        browser.wait_until(
            path,
            &format!("return location.pathname === '{path}' && document.readyState === 'complete'"),
        );
    }
    // Nothing happens while somebody writes.
    browser.press("/");
    browser.press("jgr?");
    assert_eq!(browser.evaluate("return document.activeElement.value"), "jgr?");
    assert_eq!(
        browser.evaluate("return [location.pathname, document.getElementById('keys').open]"),
        json!(["/", false])
    );
}

#[test]
fn the_keys_are_listed_by_a_key_by_a_link_and_without_scripts() {
    let Some(browser) = Browser::open(Window { language: "ja", ..Window::default() }) else { return };
    let (service, ..) = small();
    browser.goto(&format!("{}/runs", service.url()));
    browser.wait_for_text("h1", "実験");
    browser.press("?");
    browser.wait_for_text("dialog", "比較対象に追加");
    browser.press("\u{e00c}");
    assert_eq!(browser.count("dialog"), 0, "Escape closes it");
    browser.click("footer a[href='#keys']");
    browser.wait_for_text("dialog", "次の行・前の行へ移動");
    browser.click("dialog a");
    assert_eq!(browser.count("dialog"), 0);
    let Some(plain) = Browser::open(Window { javascript: false, ..Window::default() }) else { return };
    plain.goto(&format!("{}/runs#keys", service.url()));
    plain.wait_for_text("dialog", "next row, row before");
    plain.click("dialog a");
    assert_eq!(plain.count("dialog"), 0);
    // Boxes and button choose without scripts too.
    plain.goto(&format!("{}/runs", service.url()));
    plain.click("input[data-compare-id]");
    plain.click("[data-compare-go]");
    plain.wait_for_text("h1", "Compare");
    assert!(plain.url().contains("/compare?id=small"), "{}", plain.url());
}
