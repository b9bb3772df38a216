use std::path::Path;

use tests::service::text;
use tests::webdriver::{Browser, Window};

use super::stage::{RUN, Stage, link_by_command, release_in_review};

/// Pictures of every page for people to look at. No page is wider than its window.
fn fits(width: u32) {
    let Some(stage) = Stage::set() else { return };
    let release = release_in_review(&stage.service, &stage.checkpoint);
    let Some(browser) = Browser::open(Window { width, ..Window::default() }) else { return };
    let mut too_wide = look(&stage, &browser, width, &open_to_all(&stage, &release));
    browser.goto(&link_by_command(&stage.service, "ueda"));
    browser.click("form[action='/login'] button");
    browser.wait_for_text("header", "ueda");
    too_wide.extend(look(&stage, &browser, width, &signed_in(&release)));
    assert!(too_wide.is_empty(), "wider than the window:\n{}", too_wide.join("\n"));
}

#[test]
fn every_page_fits_the_desk() {
    fits(1440);
}

#[test]
fn every_page_fits_the_phone() {
    fits(390);
}

pub(super) type Pages = Vec<(&'static str, String)>;

pub(super) fn open_to_all(stage: &Stage, release: &str) -> Pages {
    let evaluation = text(&stage.evaluation["id"]);
    let two = format!("ids={RUN},{}", text(&stage.checkpoint["id"]));
    vec![
        ("overview", "/".to_owned()),
        ("schedule", "/?tab=schedule".to_owned()),
        ("runs", "/runs".to_owned()),
        ("run", format!("/runs/{RUN}")),
        ("run-curves", format!("/runs/{RUN}?tab=curves")),
        ("run-metrics", format!("/runs/{RUN}?tab=metrics")),
        ("run-settings", format!("/runs/{RUN}?tab=settings")),
        ("run-new", "/runs/new".to_owned()),
        ("branch", format!("/checkpoints/{}/branch", text(&stage.checkpoint["id"]))),
        ("cleanup", format!("/runs/{RUN}/cleanup?every=1000&last=1&best=0")),
        ("leaderboard", "/leaderboard".to_owned()),
        ("leaderboard-preset", "/leaderboard?preset=ja-4".to_owned()),
        ("leaderboard-bars", "/leaderboard?preset=ja-4&view=bars".to_owned()),
        ("leaderboard-radar", "/leaderboard?preset=ja-4&view=radar".to_owned()),
        ("leaderboard-scatter", "/leaderboard?preset=ja-4&view=scatter".to_owned()),
        ("reported", "/leaderboard/reported".to_owned()),
        ("checkpoint", format!("/checkpoints/{}", text(&stage.checkpoint["id"]))),
        ("evaluation", format!("/evals/{evaluation}")),
        ("samples", format!("/evals/{evaluation}/samples")),
        ("compare", format!("/compare?{two}")),
        ("compare-curves", format!("/compare?{two}&tab=curves")),
        ("compare-scaling", format!("/compare?{two}&tab=scaling&more=0.003")),
        ("compare-samples", format!("/compare/samples?a={evaluation}&b={evaluation}")),
        ("releases", "/releases".to_owned()),
        ("release", release.to_owned()),
        ("channels", "/channels".to_owned()),
        ("corpora", "/corpora".to_owned()),
        ("mixes", "/corpora?tab=mix".to_owned()),
        ("corpus", "/corpora/aozora-ja".to_owned()),
        ("policies", "/policies".to_owned()),
        ("queue", "/queue".to_owned()),
        ("search", "/search?q=tower".to_owned()),
        ("login", "/login".to_owned()),
        ("error", "/nowhere".to_owned()),
    ]
}

pub(super) fn signed_in(release: &str) -> Pages {
    vec![
        ("approver-release", release.to_owned()),
        ("approver-corpora", "/corpora".to_owned()),
        ("approver-corpus", "/corpora/aozora-ja?level=L3".to_owned()),
        ("audit", "/audit".to_owned()),
        ("settings", "/settings".to_owned()),
    ]
}

/// Takes the pictures; answers the pages that are wider than the window.
fn look(stage: &Stage, browser: &Browser, width: u32, pages: &Pages) -> Vec<String> {
    let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/artifacts"));
    let mut too_wide = Vec::new();
    for (name, path) in pages {
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
    too_wide
}
