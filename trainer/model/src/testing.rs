//! What tests share: the folders of real data, and numbers that look random but are not.

use std::ops::Range;
use std::path::PathBuf;

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

/// SplitMix64 (Steele, Lea and Flood 2014).
pub(crate) struct Random(pub(crate) u64);

impl Random {
    /// 64 random bits.
    pub(crate) fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number below `end`.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.bits() % end as u64).expect("below a usize")
    }

    /// Values between -1 and 1.
    pub(crate) fn values(&mut self, count: usize) -> Vec<f32> {
        (0..count).map(|_| (self.bits() >> 40) as f32 / (1_u64 << 23) as f32 - 1.0).collect()
    }
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
