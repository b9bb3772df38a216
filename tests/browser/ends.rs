//! The ends of a release: taken back from the Hub, and let out by one admin alone.

use tests::hub_double::{HubDouble, HubOptions};
use tests::wait::until;
use tests::webdriver::{Browser, Window};

use super::stage::sign_in;
use crate::lab::{Lab, REPO, lineage};

fn japanese() -> Option<Browser> {
    Browser::open(Window { language: "ja", ..Window::default() })
}

#[test]
fn a_release_is_taken_back_with_a_reason_and_without_a_false_promise() {
    let Some(browser) = japanese() else { return };
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let hub = runtime.block_on(HubDouble::start(HubOptions::default()));
    let lab = Lab::with_hub(hub.endpoint());
    let id = lab.approved(&lineage("L1"), &["ueda"]);
    lab.release(&["publish", "--wait", &id]).exits(0);
    let page = format!("{}/releases/{id}", lab.service.url());
    sign_in(&browser, &lab.service, "ueda");
    browser.goto(&page);
    browser.wait_for_text("ol.road [aria-current=step]", "公開済み");
    assert_eq!(
        browser.evaluate("return document.querySelectorAll(\"form[action$='/yank']\").length"),
        0,
        "not hers"
    );
    browser.click("form[action='/logout'] button");
    browser.wait_until("the sign-out", "return document.querySelector(\"form[action='/logout']\") === null");

    sign_in(&browser, &lab.service, "mori");
    browser.goto(&page);
    browser.click("details:has(form[action$='/yank']) > summary");
    browser.wait_for_text("form[action$='/yank'] .alarm", "すでに取得された複製");
    browser.click("input[name=extent][value=hide]");
    browser.type_into("#yank-reason", "権利者の依頼により");
    browser.click("form[action$='/yank'] button");
    browser.wait_for_text("ol.road [aria-current=step]", "公開停止");
    browser.wait_for_text(".refusal", "moriさんが公開を停止しました");
    browser.wait_for_text(".refusal", "権利者の依頼により");
    until("the Hub to show it", 60, || (hub.is_private(REPO) == Some(true)).then_some(()));
    until("the service to know", 60, || (lab.show(&id)["yank"]["done"] == true).then_some(()));
    browser.goto(&page);
    browser.wait_for_text(".refusal", "権利者の依頼により");
    assert!(!browser.text(".refusal").contains("反映は完了していません"));
    browser.wait_for_text("#history ~ .scroll tbody tr", "公開停止");
}

#[test]
fn one_admin_alone_breaks_the_glass_with_a_reason_that_everybody_reads() {
    let Some(browser) = japanese() else { return };
    let lab = Lab::new("[review]\napprovals = 2\n");
    let id = lab.in_review();
    lab.service.add_user("boss", &["admin"]);
    let page = format!("{}/releases/{id}", lab.service.url());
    sign_in(&browser, &lab.service, "ueda");
    browser.goto(&page);
    browser.wait_for_text("ol.road [aria-current=step]", "承認待ち");
    assert_eq!(
        browser.evaluate("return document.querySelectorAll(\"form[action$='/break_glass']\").length"),
        0
    );
    browser.click("form[action='/logout'] button");
    browser.wait_until("the sign-out", "return document.querySelector(\"form[action='/logout']\") === null");

    sign_in(&browser, &lab.service, "boss");
    browser.goto(&page);
    browser.click("details:has(form[action$='/break_glass']) > summary");
    browser.wait_for_text("form[action$='/break_glass'] .alarm", "管理者1人の責任で公開を認めます");
    browser.type_into("#glass-reason", "急ぎ");
    browser.click("form[action$='/break_glass'] button");
    let short = browser.evaluate("return document.querySelector('#glass-reason').validity.tooShort");
    assert_eq!(short, true, "a reason has ten characters at least");
    browser.wait_for_text("ol.road [aria-current=step]", "承認待ち");
    browser.fill("#glass-reason", "締切まで1時間、承認者が不在のため");
    browser.click("form[action$='/break_glass'] button");
    browser.wait_for_text("ol.road [aria-current=step]", "承認済み");
    browser.click("form[action='/logout'] button");
    browser.wait_until("the sign-out", "return document.querySelector(\"form[action='/logout']\") === null");
    browser.goto(&page);
    browser.wait_for_text(
        ".alarm",
        "緊急公開：bossさんが単独で公開を認めました。理由：締切まで1時間、承認者が不在のため",
    );
    browser.wait_for_text("#history ~ .scroll tbody tr", "緊急公開");
    assert!(browser.text(".verdict .readouts").contains("0 / 2"), "an approval it is not");
}
