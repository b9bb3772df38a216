use tests::webdriver::{Browser, Window};

use super::stage::{RUN, Stage, release_in_review, small};

#[test]
fn a_run_shows_its_curves_and_their_tables() {
    let window = Window { javascript: false, ..Window::default() };
    let Some(browser) = Browser::open(window) else { return };
    let Some(stage) = Stage::set() else { return };
    browser.goto(&format!("{}/runs/{RUN}", stage.service.url()));
    browser.wait_for_text("h1", RUN);
    assert!(browser.count("#live-checkpoints tbody tr") == 4);
    browser.click("nav.tabs a[href$='?tab=curves']");
    browser.wait_for_text("nav.tabs a[aria-current]", "Learning curves");
    assert!(browser.count("#live-curves figure.chart svg") >= 3, "the mean and each task are drawn");
    assert_eq!(browser.count("#live-curves table"), 0, "the twins are folded");
    browser.click("#live-curves figure.chart summary");
    assert!(browser.count("#live-curves table tbody tr") >= 4, "a twin opens");

    // A link does what the script would have done, so no script has run.
    browser.click("a[data-set-theme=dark]");
    browser.wait_for_text("h1", RUN);
    assert!(browser.url().contains("theme=dark"), "{}", browser.url());
    assert_eq!(browser.attribute("html", "data-theme").as_deref(), Some("dark"));
}

#[test]
fn tables_are_sorted_and_items_filtered_by_links() {
    let window = Window { javascript: false, ..Window::default() };
    let Some(browser) = Browser::open(window) else { return };
    let Some(stage) = Stage::set() else { return };
    browser.goto(&format!("{}/leaderboard?all=1", stage.service.url()));
    browser.wait_for_text("h1", "Leaderboard");
    let tokens = || browser.text("table.board tbody tr td:nth-of-type(4)");
    browser.click("table.board thead th a[href*='sort=tokens']");
    browser.wait_for_text("th[aria-sort=descending]", "Trained tokens");
    let most = tokens();
    browser.click("table.board thead th a[href*='sort=tokens'][href*='order=asc']");
    browser.wait_for_text("th[aria-sort=ascending]", "Trained tokens");
    assert_ne!(most, tokens());

    browser.goto(&format!(
        "{}/evals/{}/samples?work=openbookqa",
        stage.service.url(),
        stage.evaluation["id"].as_str().expect("an id")
    ));
    browser.wait_for_text("h1", "OpenBookQA");
    browser.click("a[href*='show=right']");
    browser.wait_for_text(".switch [aria-current]", "Right");
    assert_eq!(browser.count("li.item .pill.wrong"), 0);
    assert_eq!(browser.count("li.item"), browser.count("li.item .pill.right"));
}

#[test]
fn a_release_is_approved() {
    let window = Window { javascript: false, ..Window::default() };
    let Some(browser) = Browser::open(window) else { return };
    let (service, checkpoint, _folder) = small();
    let page = release_in_review(&service, &checkpoint);
    browser.goto(&service.link("ueda"));
    browser.click("form[action='/login'] button");
    browser.wait_for_text("header", "ueda");
    browser.goto(&format!("{}{page}", service.url()));
    browser.click("button[formaction$='/approve']");
    browser.wait_for_text("ol.road [aria-current=step]", "Approved");
    assert_eq!(service.visitor().get(&format!("/api/v1{page}")).has(200).json()["state"], "approved");
}
