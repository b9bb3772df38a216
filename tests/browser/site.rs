use std::path::Path;
use std::process::Command;

use tests::webdriver::{Browser, Window};

use crate::site::Lab;

/// What the console of a browser says of a page.
fn console(file: &Path, profile: &Path) -> Vec<String> {
    let profile = format!("--user-data-dir={}", profile.display());
    let flags =
        ["--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr", "--dump-dom", &profile];
    let said = Command::new("chromium")
        .args(flags)
        .arg(format!("file://{}", file.display()))
        .output()
        .expect("chromium runs");
    assert!(String::from_utf8_lossy(&said.stdout).contains("<main"), "{}: nothing was read", file.display());
    let said = String::from_utf8_lossy(&said.stderr);
    said.lines().filter(|line| line.contains("CONSOLE")).map(ToOwned::to_owned).collect()
}

#[test]
fn a_site_opens_from_files_in_both_languages_and_asks_for_nothing() {
    let Some(browser) = Browser::open(Window { language: "ja", ..Window::default() }) else { return };
    let mut lab = Lab::set();
    let out = lab.out("site");
    let _ = lab.export(&out, &[]).exits(0);
    assert_eq!(lab.service.terminate(), Some(0));
    let profile = tempfile::tempdir().expect("a temporary folder");
    for page in ["index.html", "ja/leaderboard.html", "en/runs/mini.html"] {
        assert_eq!(console(&out.join(page), profile.path()), Vec::<String>::new(), "{page}");
    }
    browser.goto(&format!("file://{}", out.join("index.html").display()));
    browser.wait_for_text("h1", "評価結果と学習曲線");
    browser.click("header a[href$='leaderboard.html']");
    browser.wait_for_text("table.board", "mini");
    assert_eq!(browser.count("table.board tbody tr"), 2);
    browser.click("table.board tbody th a");
    browser.wait_for_text("h1", "mini");
    browser.click("nav.tabs a[href*='metrics']");
    browser.wait_for_text("nav.tabs [aria-current]", "学習指標");
    assert_eq!(browser.count("#loss svg .line"), 1, "the curve is seen");
    let colour = browser.style("#loss", "background-color");
    assert_ne!(colour, "rgba(0, 0, 0, 0)", "the style sheet is read");
    browser.click("header a[hreflang='en']");
    browser.wait_for_text("header nav", "Runs");
    assert!(browser.url().contains("/en/runs/mini"), "{}", browser.url());
    browser.click("[data-set-theme='dark']");
    assert_eq!(browser.evaluate("return document.documentElement.dataset.theme"), "dark");
    assert_ne!(browser.style("#loss", "background-color"), colour);
    browser.click("header a[href$='runs.html']");
    browser.wait_for_text("h1", "Runs");
    assert_eq!(
        browser.evaluate("return document.documentElement.dataset.theme"),
        "dark",
        "kept on other pages"
    );
    browser.press("j");
    browser.press("\n");
    browser.wait_until("a run", "return location.pathname.includes('/en/runs/')");
    let asked = browser.evaluate("return performance.getEntriesByType('resource').map((one) => one.name).filter((name) => !name.startsWith('file:'))");
    assert_eq!(asked.as_array().map(Vec::len), Some(0), "{asked}");
}
