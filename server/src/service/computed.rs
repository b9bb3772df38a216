//! What is computed of scores and kept beside them, under keys that name what it was computed of: means, comparisons. A page asks for
//! dozens of them, each a small file; those of late are in memory.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::{App, WebError};

/// Bytes that are in memory at most; a mean has a hundred, the comparisons of a row a few thousand.
const MOST: usize = 32 << 20;

/// Those that were asked for of late.
#[derive(Debug, Default)]
pub struct Computed(Mutex<(usize, HashMap<String, Arc<[u8]>>)>);

impl Computed {
    fn find(&self, key: &str) -> Option<Arc<[u8]>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).1.get(key).cloned()
    }

    fn remember(&self, key: &str, bytes: &[u8]) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.0 + bytes.len() > MOST {
            *kept = (0, HashMap::new());
        }
        kept.0 += bytes.len();
        if let Some(before) = kept.1.insert(key.to_owned(), bytes.into()) {
            kept.0 -= before.len();
        }
    }
}

/// What is kept under a key.
///
/// # Errors
/// When blobs fail.
pub async fn get(app: &App, key: &str) -> Result<Option<Arc<[u8]>>, WebError> {
    if let Some(found) = app.computed.find(key) {
        return Ok(Some(found));
    }
    let Some(bytes) = app.blobs.get(key).await? else { return Ok(None) };
    app.computed.remember(key, &bytes);
    Ok(Some(bytes.into()))
}

/// Keeps it, over what was there.
///
/// # Errors
/// When blobs fail.
pub async fn put(app: &App, key: &str, bytes: Vec<u8>) -> Result<(), WebError> {
    app.computed.remember(key, &bytes);
    Ok(app.blobs.put(key, bytes).await?)
}

#[cfg(test)]
mod tests {
    use super::{Computed, MOST};

    #[test]
    fn what_is_kept_stays_bounded() {
        let computed = Computed::default();
        let half = vec![7; MOST / 2];
        computed.remember("a", &half);
        computed.remember("a", &half);
        computed.remember("b", &half);
        assert!(computed.find("a").is_some() && computed.find("b").is_some(), "one takes its own place");
        computed.remember("c", b"more");
        assert!(computed.find("a").is_none());
        assert_eq!(computed.find("c").as_deref(), Some(&b"more"[..]));
    }
}
