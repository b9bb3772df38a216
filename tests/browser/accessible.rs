use tests::axe::Axe;
use tests::webdriver::{Browser, Window};

use super::pictures::{Pages, open_to_all, signed_in};
use super::stage::{Stage, link_by_command, release_in_review};

/// No page has a fault of accessibility that axe-core calls serious or critical: not in a language, not in a theme, not on a phone.
fn look(width: u32) {
    let Some(axe) = Axe::find() else { return };
    let Some(stage) = Stage::last() else { return };
    let release = release_in_review(&stage.service, &stage.checkpoint);
    let Some(browser) = Browser::open(Window { width, ..Window::default() }) else { return };
    let mut faults = Vec::new();
    let mut visit = |pages: &Pages| {
        for (name, path) in pages {
            for (lang, theme) in [("en", "light"), ("ja", "dark"), ("ja", "light"), ("en", "dark")] {
                let first = if path.contains('?') { '&' } else { '?' };
                browser.goto(&format!("{}{path}{first}lang={lang}&theme={theme}", stage.service.url()));
                // What is folded away is read too.
                let _ = browser.evaluate("for (const one of document.querySelectorAll('main details')) one.open = true; return true");
                faults.extend(
                    axe.faults(&browser).iter().map(|fault| format!("{name} {lang} {theme}: {fault}")),
                );
            }
        }
    };
    visit(&open_to_all(&stage, &release));
    browser.press("?");
    browser.wait_for_text("dialog", "next row");
    let help = axe.faults(&browser);
    assert!(help.is_empty(), "the list of keys: {help:?}");
    browser.goto(&link_by_command(&stage.service, "ueda"));
    browser.click("form[action='/login'] button");
    browser.wait_for_text("header", "ueda");
    visit(&signed_in(&release));
    assert!(faults.is_empty(), "{} faults at {width}:\n{}", faults.len(), faults.join("\n"));
}

#[test]
fn no_page_bars_anybody_on_a_desk() {
    look(1440);
}

#[test]
fn no_page_bars_anybody_on_a_phone() {
    look(390);
}
