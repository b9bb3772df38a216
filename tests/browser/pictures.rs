use std::path::Path;

use tests::service::text;
use tests::webdriver::{Browser, Window};

use super::stage::{RUN, Stage, release_in_review};

/// Pictures of every page for people to look at, on a desk and on a phone. No page is wider than its window.
#[test]
fn every_page_fits_the_desk_and_the_phone() {
    let Some(stage) = Stage::set() else { return };
    let release = release_in_review(&stage.service, &stage.checkpoint);
    let pages = [
        ("overview", "/".to_owned()),
        ("runs", "/runs".to_owned()),
        ("run", format!("/runs/{RUN}")),
        ("leaderboard", "/leaderboard".to_owned()),
        ("checkpoint", format!("/checkpoints/{}", text(&stage.checkpoint["id"]))),
        ("evaluation", format!("/evals/{}", text(&stage.evaluation["id"]))),
        ("samples", format!("/evals/{}/samples", text(&stage.evaluation["id"]))),
        ("releases", "/releases".to_owned()),
        ("release", release),
        ("queue", "/queue".to_owned()),
        ("search", "/search?q=tower".to_owned()),
        ("error", "/nowhere".to_owned()),
    ];
    let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/artifacts"));
    let mut too_wide = Vec::new();
    for width in [1440, 390] {
        let Some(browser) = Browser::open(Window { width, ..Window::default() }) else { return };
        for (name, path) in &pages {
            for (lang, theme) in [("en", "light"), ("ja", "dark"), ("ja", "light"), ("en", "dark")] {
                let first = if path.contains('?') { '&' } else { '?' };
                browser.goto(&format!("{}{path}{first}lang={lang}&theme={theme}", stage.service.url()));
                browser.picture(&folder.join(format!("{name}-{width}-{lang}-{theme}.png")));
                let sizes = browser.evaluate("return [document.documentElement.scrollWidth, innerWidth]");
                if sizes[0].as_u64() > Some(u64::from(width)) {
                    too_wide.push(format!("{name} {lang} {theme}: {sizes}"));
                }
            }
        }
    }
    assert!(too_wide.is_empty(), "wider than the window:\n{}", too_wide.join("\n"));
}
