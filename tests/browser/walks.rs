use tests::webdriver::{Browser, Window};

use super::stage::{RUN, Stage};

#[test]
fn from_the_leaderboard_to_a_sample_in_both_languages_and_themes() {
    let Some(browser) = Browser::open(Window::default()) else { return };
    let Some(stage) = Stage::set() else { return };
    let url = stage.service.url();
    browser.goto(&format!("{url}/leaderboard"));
    assert_eq!(browser.attribute("html", "lang").as_deref(), Some("en"), "as the browser prefers");
    assert_eq!(browser.text("h1"), "Leaderboard");

    browser.click("a[hreflang=ja]");
    browser.wait_for_text("h1", "リーダーボード");
    assert_eq!(browser.attribute("html", "lang").as_deref(), Some("ja"));
    let light = browser.style("body", "background-color");
    browser.click("a[data-set-theme=dark]");
    let dark = browser.style("body", "background-color");
    assert_ne!(light, dark);

    browser.click("table.board th[scope=row] a");
    browser.wait_for_text("h1", RUN);
    assert!(browser.url().ends_with(&format!("/runs/{RUN}")), "{}", browser.url());
    assert_eq!(browser.attribute("html", "lang").as_deref(), Some("ja"), "the language is remembered");
    assert_eq!(browser.attribute("html", "data-theme").as_deref(), Some("dark"), "the theme is remembered");
    assert_eq!(browser.style("body", "background-color"), dark);
    assert_eq!(browser.count("#live-curves figure.chart svg"), 1, "the mean is drawn");
    browser.wait_for_text("#mean", "サブタスクスコアの平均");
    browser.wait_for_text("#mean", "学習トークン数 [M]（対数）");
    assert_eq!(browser.count("#mean .drawing.on-wide .bar"), 4, "an interval at each checkpoint");
    let summary = browser.text("#mean figcaption p");
    assert!(summary.contains("有意差なし、p = ") || summary.contains("有意差あり、p "), "{summary}");
    browser.click("nav.tabs a[href$='?tab=metrics']");
    browser.wait_for_text("#loss", "学習損失");
    let figures = browser.evaluate("return document.querySelectorAll('#live-curves figure').length");
    let twins =
        browser.evaluate("return document.querySelectorAll('#live-curves figure details table').length");
    assert!(figures == twins && figures.as_u64() >= Some(3), "{figures} figures, {twins} tables");

    browser.click("nav.tabs a[href$='?tab=checkpoints']");
    browser.click("#live-checkpoints a[href^='/evals/']");
    browser.wait_for_text("h1", "monitor");
    browser.wait_for_text("th", "JCommonsenseQA（常識推論）");
    browser.click("th a[href*='/samples']");
    browser.wait_for_text("h1", "JCommonsenseQA（常識推論）");
    assert_eq!(browser.count("li.item"), 6);
    browser.wait_for_text("li.item pre.prompt", "質問：");

    browser.click("a[hreflang=en]");
    browser.wait_for_text("h1", "JCommonsenseQA");
    assert_eq!(browser.attribute("html", "lang").as_deref(), Some("en"));
    assert!(
        browser.url().contains("/samples?work="),
        "the same place in the other language: {}",
        browser.url()
    );
    browser.click("a[data-set-theme=light]");
    assert_eq!(browser.style("body", "background-color"), light);
    // Wrong answers alone: every state is in the address.
    browser.click("a[href*='show=wrong']");
    let wrong = browser.count("li.item");
    assert!(
        browser.url().contains("show=wrong") && wrong == browser.count("li.item .pill.wrong"),
        "{}",
        browser.url()
    );
}
