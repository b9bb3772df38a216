use serde_json::json;
use tests::webdriver::{Browser, Window};

use super::stage::{link_by_command, release_in_review, small};

const APPROVE: &str = "button[formaction$='/approve'], form[action$='/approve'] button";

#[test]
fn an_approver_signs_in_by_a_link_and_approves() {
    let Some(browser) = Browser::open(Window { language: "ja", ..Window::default() }) else { return };
    let (service, checkpoint, _folder) = small();
    let page = release_in_review(&service, &checkpoint);
    let show = || service.visitor().get(&format!("/api/v1{page}")).has(200).json();

    browser.goto(&format!("{}{page}", service.url()));
    assert_eq!(browser.text("h1"), "gate-mini");
    assert_eq!(browser.count(APPROVE), 0, "a stranger is offered nothing");

    browser.goto(&link_by_command(&service, "mori"));
    browser.click("form[action='/login'] button");
    browser.wait_for_text("header", "mori");
    browser.goto(&format!("{}{page}", service.url()));
    browser.wait_for_text("h1", "gate-mini");
    assert_eq!(browser.count(APPROVE), 0, "nor is the author");
    browser.click("form[action='/logout'] button");
    browser.wait_until("the sign-out", "return document.querySelector(\"form[action='/logout']\") === null");

    browser.goto(&link_by_command(&service, "ueda"));
    browser.wait_for_text("main", "ueda");
    browser.click("form[action='/login'] button");
    browser.wait_for_text("header", "ueda");
    browser.click(&format!("a[href='{page}']"));
    browser.wait_for_text("h1", "gate-mini");
    browser.wait_for_text(".verdict", "公開可");
    browser.type_into("textarea[name=comment]", "確認しました。");
    browser.click(APPROVE);
    browser.wait_for_text("ol.road [aria-current=step]", "承認済み");
    browser.wait_for_text("ul.comments, #approvals ~ .scroll", "確認しました。");
    let release = show();
    assert_eq!(json!([release["state"], release["approvals"]]), json!(["approved", 1]));
}
