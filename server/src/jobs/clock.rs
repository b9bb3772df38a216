//! Keeps the clock that servers on one database share. Leases and schedules follow it.

use std::time::Duration;

use sekisho_domain::Clock as _;
use sekisho_store::{Store, StoreError};

use crate::{App, SharedClock, SystemClock};

/// How often the database is asked. Clocks of machines drift by milliseconds meanwhile.
const EVERY: Duration = Duration::from_secs(30);

/// An answer that was longer on its way says too little.
const SLOW_MS: i64 = 1000;

/// A difference that people should hear of: times on pages and in logs are those of the database.
const SKEW_MS: i64 = 2000;

/// Asks every half minute, where the database has a clock of its own.
pub async fn run(app: App, clock: SharedClock) {
    loop {
        tokio::time::sleep(EVERY).await;
        match set(&*app.store, &clock).await {
            Ok(true) => {}
            Ok(false) => return,
            Err(error) => tracing::warn!(%error, "the database could not be asked for the time"),
        }
    }
}

/// Asks once. False where the machine's clock is the database's.
///
/// # Errors
/// When the database does not answer.
pub(crate) async fn set(store: &dyn Store, clock: &SharedClock) -> Result<bool, StoreError> {
    let before = SystemClock.now();
    let Some(said) = store.database_time().await? else { return Ok(false) };
    let after = SystemClock.now();
    if after.unix_ms() - before.unix_ms() <= SLOW_MS {
        warn(clock.set(said, before, after));
    }
    Ok(true)
}

fn warn(ahead_ms: i64) {
    if ahead_ms.abs() > SKEW_MS {
        let (seconds, how) =
            (ahead_ms.abs() as f64 / 1000.0, if ahead_ms > 0 { "behind" } else { "ahead of" });
        tracing::warn!(
            "this machine's clock is {seconds:.1} s {how} the database's, which counts for leases; let NTP set both"
        );
    }
}
