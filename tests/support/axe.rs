//! axe-core, which finds faults of accessibility in a page.

use std::path::PathBuf;

use serde_json::Value;

use crate::webdriver::Browser;

/// The script as `tests/run.sh` has fetched it.
pub struct Axe(String);

impl Axe {
    /// From `SEKISHO_TEST_AXE`, else from where `tests/run.sh` keeps its tools. Nothing, and a line that says so, when it is not there.
    ///
    /// # Panics
    /// When it is missing although `SEKISHO_TOOLS_INSTALLED=1` says that the tools are there.
    #[must_use]
    #[expect(clippy::print_stderr, reason = "a skipped test says so")]
    pub fn find() -> Option<Self> {
        let kept = || {
            let home = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
            let cache = home.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache")))?;
            Some(cache.join("sekisho-tests/npm/node_modules/axe-core/axe.min.js"))
        };
        let file = std::env::var_os("SEKISHO_TEST_AXE").map(PathBuf::from).or_else(kept)?;
        if let Ok(script) = fs_err::read_to_string(&file) {
            return Some(Self(script));
        }
        let installed = std::env::var("SEKISHO_TOOLS_INSTALLED").is_ok_and(|said| said == "1");
        assert!(!installed, "no axe-core at {} although tests/run.sh has installed it", file.display());
        eprintln!("skipped: no axe-core; tests/run.sh installs it");
        None
    }

    /// The faults of the page that are serious or critical, a line each.
    ///
    /// # Panics
    /// When the script does not run.
    #[must_use]
    pub fn faults(&self, browser: &Browser) -> Vec<String> {
        // The driver's scripts are not the page's: the content security policy stays as strict as it is.
        let _ = browser.evaluate(&format!("{}; return true", self.0));
        let found = browser.evaluate_later(
            "const done = arguments[arguments.length - 1];
             axe.run(document, { resultTypes: ['violations'] }).then(
               (found) => done(found.violations.map((one) => [one.id, one.impact, one.nodes.map((node) => node.html + ' ' + node.any.map((any) => any.message).join(' '))])),
               (error) => done(String(error)));",
        );
        let all = found.as_array().unwrap_or_else(|| panic!("axe: {found}"));
        let is_grave =
            |one: &&Value| ["serious", "critical"].contains(&one[1].as_str().unwrap_or("critical"));
        let line = |one: &Value| {
            let nodes = one[2].as_array().map_or(&[] as &[Value], Vec::as_slice);
            let first: Vec<String> = nodes
                .iter()
                .take(3)
                .map(|node| node.as_str().unwrap_or_default().chars().take(300).collect())
                .collect();
            format!("{} ({}×): {}", one[0].as_str().unwrap_or_default(), nodes.len(), first.join(" | "))
        };
        all.iter().filter(is_grave).map(line).collect()
    }
}
