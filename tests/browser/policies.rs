use tests::webdriver::{Browser, Window};

use super::stage::sign_in;
use crate::lab::{Lab, lineage};

#[test]
fn the_rules_are_read_simulated_on_past_releases_and_tried_on_a_file() {
    let Some(browser) = Browser::open(Window { language: "ja", ..Window::default() }) else { return };
    let lab = Lab::new("");
    let id = lab.in_review();
    let before = lab.show(&id);
    browser.goto(&format!("{}/policies", lab.service.url()));
    browser.wait_for_text("h1", "base");
    browser.wait_for_text("#levels ~ .scroll", "LZ");
    browser.wait_for_text("#licenses ~ .scroll", "llama3.1");
    browser.wait_for_text("#claims ~ .scroll", "フルオープン");

    assert_eq!(browser.count("select[name=set]"), 0, "hundreds of judgements are not for strangers");
    sign_in(&browser, &lab.service, "mori");
    browser.goto(&format!("{}/policies", lab.service.url()));
    browser.fill("select[name=set]", "strict");
    browser.click("form[method=get][action^='/policies#'] button");
    browser.wait_for_text("#simulate ~ .scroll tbody", "gate-mini");
    assert_eq!(browser.count(&format!("#simulate ~ .scroll a[href='/releases/{id}']")), 1);
    assert_eq!(lab.show(&id), before, "a simulation changes nothing");
    browser.fill("#policy-text", "name = 1");
    browser.click("form[method=post][action^='/policies#'] button");
    browser.wait_for_text("[role=alert]", "policy.toml:1");

    for (level, verdict, says) in [("L1", "公開可", "違反 0"), ("LX", "公開不可", "level-forbids-training")]
    {
        browser.fill("#lineage", &lineage(level));
        browser.click("form[action^='/policies/try'] button");
        browser.wait_for_text("#try ~ .stateline", verdict);
        browser.wait_for_text("section:has(> #try)", says);
    }
    let held = browser.evaluate("return document.querySelector('#lineage').value.includes('text-LX')");
    assert_eq!(held, true, "what was typed stays");
}
