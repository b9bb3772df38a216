use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;

use tokio::sync::Mutex;

/// Entries; a page has a handful of forms that people ask for again and again, and a board a megabyte.
const MOST: usize = 16;

/// What was read for one request and serves the next, for as long as the store's version of it stands. One request reads at a time, so
/// that a change costs one reading however many wait for it.
#[derive(Debug)]
pub struct Kept<K, V>(Mutex<(u64, HashMap<K, Arc<V>>)>);

impl<K, V> Default for Kept<K, V> {
    fn default() -> Self {
        Self(Mutex::new((0, HashMap::new())))
    }
}

impl<K: Eq + Hash, V> Kept<K, V> {
    /// What is kept under `key` at `version`; otherwise what `read` finds. The version is taken before the reading begins: what changes
    /// meanwhile is read again.
    ///
    /// # Errors
    /// Those of `read`.
    pub async fn get<E>(
        &self,
        version: u64,
        key: K,
        read: impl Future<Output = Result<V, E>>,
    ) -> Result<Arc<V>, E> {
        let mut kept = self.0.lock().await;
        // A request that took its version before another one's must not throw away what is newer.
        if kept.0 < version {
            *kept = (version, HashMap::new());
        }
        if let Some(found) = kept.1.get(&key) {
            return Ok(Arc::clone(found));
        }
        let found = Arc::new(read.await?);
        if kept.1.len() >= MOST {
            kept.1.clear();
        }
        kept.1.insert(key, Arc::clone(&found));
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::{Kept, MOST};

    #[tokio::test]
    async fn a_value_is_read_once_for_each_version() {
        let kept = Kept::default();
        let mut reads = 0;
        for (version, expected) in [(1, 1), (1, 1), (2, 2), (1, 2), (2, 2)] {
            let value = kept.get(version, "key", async {
                reads += 1;
                Ok::<_, Infallible>(version)
            });
            let value = value.await.expect("a value");
            assert_eq!((reads, *value >= version), (expected, true));
        }
        let failed = kept.get(3, "key", async { Err("the store failed") }).await;
        assert_eq!(failed.expect_err("nothing is kept of it"), "the store failed");
        for key in 0..=MOST {
            let kept: &Kept<String, usize> = &Kept::default();
            let value = kept.get(1, key.to_string(), async { Ok::<_, Infallible>(key) }).await;
            assert_eq!(*value.expect("a value"), key);
        }
    }
}
