//! What is computed of scores and kept beside them, under keys that name what it was computed of: means, comparisons. A page asks for
//! dozens of them, each a small file; those of late are in memory.

use std::sync::Arc;

use quick_cache::Weighter;
use quick_cache::sync::Cache;

use crate::{App, WebError};

/// Bytes that are in memory at most; a mean has a hundred, the comparisons of a row a few thousand.
const MOST: u64 = 32 << 20;

/// Those that were asked for of late, by key.
#[derive(Debug)]
pub struct Computed(Cache<String, Arc<[u8]>, Bytes>);

#[derive(Clone, Debug)]
struct Bytes;

impl Weighter<String, Arc<[u8]>> for Bytes {
    fn weight(&self, key: &String, bytes: &Arc<[u8]>) -> u64 {
        (key.len() + bytes.len()) as u64
    }
}

impl Default for Computed {
    fn default() -> Self {
        const EXPECTED: usize = 10_000;
        Self(Cache::with_weighter(EXPECTED, MOST, Bytes))
    }
}

/// What is kept under a key.
///
/// # Errors
/// When blobs fail.
pub async fn get(app: &App, key: &str) -> Result<Option<Arc<[u8]>>, WebError> {
    if let Some(found) = app.computed.0.get(key) {
        return Ok(Some(found));
    }
    let Some(bytes) = app.blobs.get(key).await? else { return Ok(None) };
    let bytes: Arc<[u8]> = bytes.into();
    app.computed.0.insert(key.to_owned(), Arc::clone(&bytes));
    Ok(Some(bytes))
}

/// Keeps it, over what was there.
///
/// # Errors
/// When blobs fail.
pub async fn put(app: &App, key: &str, bytes: Vec<u8>) -> Result<(), WebError> {
    app.computed.0.insert(key.to_owned(), bytes.as_slice().into());
    Ok(app.blobs.put(key, bytes).await?)
}
