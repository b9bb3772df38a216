use std::any::Any;
use std::panic::AssertUnwindSafe;

use futures::FutureExt as _;

/// What came of something that may panic, or the words of its panic.
pub(crate) async fn caught<T>(one: impl Future<Output = T>) -> Result<T, String> {
    let done = AssertUnwindSafe(one).catch_unwind().await;
    done.map_err(|panic| panic_words(&*panic).to_owned())
}

/// The words of a panic: what a fault of ours says of itself.
pub(crate) fn panic_words(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or(panic.downcast_ref::<&str>().copied()).unwrap_or("without a message")
}
