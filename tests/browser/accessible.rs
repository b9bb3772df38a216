use tests::axe::Axe;
use tests::webdriver::{Browser, Window};

use super::pictures::{Pages, open_to_all, signed_in};
use super::stage::{Stage, link_by_command, release_in_review};

/// No page has a fault of accessibility that axe-core calls serious or critical. A fault of a language or of a theme is one at every
/// width, so that two of the four pairs are seen on a desk and the other two on a phone.
fn look(width: u32, pairs: [(&str, &str); 2], pages: fn(&Stage, &str) -> Pages, signs_in: bool) {
    let Some(axe) = Axe::find() else { return };
    let Some(stage) = Stage::last() else { return };
    let release = release_in_review(&stage.service, &stage.checkpoint);
    let Some(browser) = Browser::open(Window { width, ..Window::default() }) else { return };
    if signs_in {
        browser.goto(&link_by_command(&stage.service, "ueda"));
        browser.click("form[action='/login'] button");
        browser.wait_for_text("header", "ueda");
    }
    let mut faults = Vec::new();
    for (name, path) in pages(&stage, &release) {
        for (lang, theme) in pairs {
            let first = if path.contains('?') { '&' } else { '?' };
            browser.goto(&format!("{}{path}{first}lang={lang}&theme={theme}", stage.service.url()));
            // What is folded away is read too; the hundred alike of the API's description are not.
            let open = "for (const one of document.querySelectorAll('main details:not(.api *)')) one.open = true; return true";
            let _ = browser.evaluate(open);
            faults.extend(axe.faults(&browser).iter().map(|fault| format!("{name} {lang} {theme}: {fault}")));
        }
    }
    browser.press("?");
    browser.wait_for_text("dialog", if pairs[1].0 == "ja" { "次の行" } else { "next row" });
    faults.extend(axe.faults(&browser).iter().map(|fault| format!("the list of keys: {fault}")));
    assert!(faults.is_empty(), "{} faults at {width}:\n{}", faults.len(), faults.join("\n"));
}

const DESK: [(&str, &str); 2] = [("en", "light"), ("ja", "dark")];
const PHONE: [(&str, &str); 2] = [("ja", "light"), ("en", "dark")];

#[test]
fn no_open_page_bars_anybody_on_a_desk() {
    look(1440, DESK, open_to_all, false);
}

#[test]
fn no_open_page_bars_anybody_on_a_phone() {
    look(390, PHONE, open_to_all, false);
}

#[test]
fn no_page_of_a_member_bars_anybody_on_a_desk() {
    look(1440, DESK, |_, release| signed_in(release), true);
}

#[test]
fn no_page_of_a_member_bars_anybody_on_a_phone() {
    look(390, PHONE, |_, release| signed_in(release), true);
}
