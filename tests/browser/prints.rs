//! Pages go to meetings on paper.

use std::path::Path;

use tests::service::text;
use tests::webdriver::{Browser, Window};

use super::stage::{RUN, Stage};

#[test]
fn pages_are_printed_without_what_is_for_screens() {
    let Some(stage) = Stage::last() else { return };
    let Some(browser) = Browser::open(Window::default()) else { return };
    let artifacts = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/artifacts"));
    let url = stage.service.url();
    let evaluation = format!("/evals/{}", text(&stage.evaluation["id"]));
    // In the dark theme: paper stays white.
    for (name, path, says) in [
        ("leaderboard", "/leaderboard", vec![RUN, "jcommonsenseqa", "openbookqa"]),
        ("run", &format!("/runs/{RUN}"), vec![RUN, "800"]),
        ("evaluation", &evaluation, vec!["jcommonsenseqa", "openbookqa"]),
    ] {
        browser.goto(&format!("{url}{path}?lang=en&theme=dark"));
        assert!(browser.text("header").contains("Sign in"), "on the screen it is there");
        let Some(pages) = browser.printed(&artifacts.join(format!("printed-{name}.pdf"))) else { return };
        let all = pages.concat();
        for words in says {
            assert!(all.contains(words), "{name} lacks {words}:\n{all}");
        }
        for words in ["Sign in", "日本語", "Show as a table", "Search"] {
            assert!(!all.contains(words), "{name} prints {words}:\n{all}");
        }
        assert!((1..=3).contains(&pages.len()), "{name} is {} pages", pages.len());
        assert!(pages.iter().all(|page| !page.trim().is_empty()), "{name} has an empty page");
    }
}
