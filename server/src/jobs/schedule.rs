//! Lets scheduled releases out when their time has come.

use std::time::Duration;

use crate::service::releases;
use crate::{App, WebError};

/// How exact a schedule is.
const EVERY: Duration = Duration::from_secs(2);

/// Looks every few seconds. A time that passed while the service was down is due when it starts.
pub async fn run(app: App) {
    loop {
        if let Err(error) = tick(&app).await {
            tracing::error!(%error, "scheduled releases could not be looked up");
        }
        tokio::time::sleep(EVERY).await;
    }
}

async fn tick(app: &App) -> Result<(), WebError> {
    for release in releases::due(app).await? {
        releases::begin_scheduled(app, release).await?;
    }
    Ok(())
}
