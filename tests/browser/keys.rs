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
