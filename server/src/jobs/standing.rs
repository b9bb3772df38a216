//! Looks now and then whether the files of checkpoints are still those that were examined.

use std::time::Duration;

use sekisho_domain::checkpoint::CheckpointState;

use crate::service::standing;
use crate::{App, WebError};

/// How often: a look asks the file system for a dozen files of each checkpoint and reads none of them.
const EVERY: Duration = Duration::from_secs(300);

/// Looks every few minutes, for as long as the service runs; first some time after the start, which has enough to do.
pub async fn run(app: App) {
    loop {
        tokio::time::sleep(EVERY).await;
        if let Err(error) = tick(&app).await {
            tracing::error!(%error, "the files of checkpoints could not be looked at");
        }
    }
}

/// One look at every checkpoint; what cannot be looked at does not keep the others waiting.
pub(crate) async fn tick(app: &App) -> Result<(), WebError> {
    for state in [CheckpointState::Verified, CheckpointState::Changed, CheckpointState::Gone] {
        for checkpoint in app.store.checkpoints_in(state).await? {
            let id = checkpoint.id;
            if let Err(error) = standing::look(app, checkpoint).await {
                tracing::error!(checkpoint = %id, %error, "a checkpoint could not be looked at");
            }
        }
    }
    Ok(())
}
