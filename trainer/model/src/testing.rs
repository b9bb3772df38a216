//! What tests share: the folders of real data, and numbers that look random but are not.

use std::ops::Range;
use std::path::PathBuf;

pub(crate) use crate::random::Random;
use crate::{Hidden, Inference};

/// A folder or file of the data pack; `None`, said on stderr, where the pack is missing.
///
/// # Panics
/// Where it is missing and `SEKISHO_REQUIRE_DATA=1` says that it must be there.
pub(crate) fn data(path: &str) -> Option<PathBuf> {
    let root = std::env::var_os("SEKISHO_TEST_DATA").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data")),
        PathBuf::from,
    );
    let path = root.join(path);
    if path.exists() {
        return Some(path);
    }
    let required = std::env::var_os("SEKISHO_REQUIRE_DATA").is_some_and(|value| value == "1");
    assert!(!required, "no test data at {}, and SEKISHO_REQUIRE_DATA=1", path.display());
    eprintln!("skipped: no test data at {}", path.display());
    None
}

/// A folder or file of the oracle, which lies beside the data pack.
pub(crate) fn oracle(path: &str) -> Option<PathBuf> {
    data(&format!("../oracle/{path}"))
}

/// Runs on a pool of so many threads.
pub(crate) fn on_threads<R: Send>(count: usize, run: impl FnOnce() -> R + Send) -> R {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(count).build().expect("a pool of threads");
    pool.install(run)
}

/// The bits of floats: equality that tells -0 from 0 and knows NaN.
pub(crate) fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|value| value.to_bits()).collect()
}

/// Logits at some of these hidden states.
pub(crate) fn logits(model: &dyn Inference, hidden: &Hidden, rows: Range<usize>) -> Vec<f32> {
    model.logits(&hidden.places(rows).collect::<Vec<_>>()).unwrap_or_else(|error| panic!("{error}"))
}

/// Logits at all of them.
pub(crate) fn all_logits(model: &dyn Inference, hidden: &Hidden) -> Vec<f32> {
    logits(model, hidden, 0..hidden.rows())
}
