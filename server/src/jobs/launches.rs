//! Starts workers where work waits, and follows those that were started.

use std::path::PathBuf;
use std::time::Duration;

use crate::launch::Common;
use crate::service::launches::{self, Launchers};
use crate::{App, WebError};

/// Between two looks.
const EVERY: Duration = Duration::from_secs(2);

/// Looks every few seconds, where the configuration names launchers. `program` is what workers on this machine are started from.
pub async fn run(app: App, program: Option<PathBuf>) {
    let Some(program) = program.filter(|_| !app.config.launchers.is_empty()) else { return };
    let launchers = loop {
        match open(&app, program.clone()).await {
            Ok(launchers) => break launchers,
            Err(error) => tracing::error!(%error, "the launchers could not be opened"),
        }
        tokio::time::sleep(EVERY).await;
    };
    loop {
        if let Err(error) = launches::pass(&app, &launchers).await {
            tracing::error!(%error, "workers could not be looked after");
        }
        tokio::time::sleep(EVERY).await;
    }
}

async fn open(app: &App, program: PathBuf) -> Result<Launchers, WebError> {
    let token_file = launches::token_file(app).await?;
    let token_file = std::path::absolute(token_file).map_err(WebError::internal)?;
    let common = Common { program, server: app.config.public_url.clone(), token_file };
    Ok(Launchers::open(&app.config.launchers, &common))
}
