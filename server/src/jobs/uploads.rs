//! Removes uploads that nobody goes on with.

use std::time::Duration;

use crate::App;
use crate::service::uploads;

/// How exact the time is after which one is removed.
const EVERY: Duration = Duration::from_secs(600);

/// Looks every few minutes, for as long as the service runs.
pub async fn run(app: App) {
    loop {
        if let Err(error) = uploads::expire(&app).await {
            tracing::error!(%error, "abandoned uploads could not be removed");
        }
        tokio::time::sleep(EVERY).await;
    }
}
