//! The real data beside the checkout.

use std::path::{Path, PathBuf};

use serde_json::Value;

/// The data pack (`SEKISHO_TEST_DATA`, relative to the workspace; `../shared/data` by default), or none and a line that says so.
///
/// # Panics
/// When it is missing and `SEKISHO_REQUIRE_DATA=1` says that it must be there.
#[must_use]
pub fn data() -> Option<PathBuf> {
    let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    let folder = root.join(std::env::var_os("SEKISHO_TEST_DATA").unwrap_or_else(|| "../shared/data".into()));
    found(&folder)
}

/// What other tools found with real checkpoints, beside the data pack; or none and a line that says so.
///
/// # Panics
/// As [`data`].
#[must_use]
pub fn oracle() -> Option<PathBuf> {
    found(&data()?.join("../oracle"))
}

/// A file of JSON lines.
///
/// # Panics
/// When it is not there, or not JSON.
#[must_use]
pub fn json_lines(file: &Path) -> Vec<Value> {
    let text = fs_err::read_to_string(file).expect("a file of JSON lines");
    text.lines().map(|line| serde_json::from_str(line).expect("a line is JSON")).collect()
}

#[expect(clippy::print_stderr, reason = "a skipped test says so")]
fn found(folder: &Path) -> Option<PathBuf> {
    if let Ok(folder) = fs_err::canonicalize(folder) {
        return Some(folder);
    }
    let required = std::env::var_os("SEKISHO_REQUIRE_DATA").is_some_and(|value| value == "1");
    assert!(!required, "no test data at {}, and SEKISHO_REQUIRE_DATA=1", folder.display());
    eprintln!("skipped: no test data at {}", folder.display());
    None
}
