use sekisho_hub::Plan;
use sekisho_store::Release;

use super::content;
use crate::jobs::publish;
use crate::service::checkpoints;
use crate::{App, WebError};

/// What a publication would do now, without doing it.
///
/// # Errors
/// 409 with the Hub's answer, when it cannot be asked.
pub async fn plan(app: &App, release: &Release) -> Result<Plan, WebError> {
    super::act::has_hub(app)?;
    let checkpoint = checkpoints::find(app, &release.checkpoint.to_string()).await?;
    let bundle = content::bundle(app, release, &checkpoint).await?;
    let publisher = publish::open_publisher(app).map_err(|error| told(&error))?;
    publisher.plan(&bundle).await.map_err(|error| told(&error))
}

fn told(error: &sekisho_hub::PublishError) -> WebError {
    WebError::conflict("hub", error.to_string()).or_ja(error.ja())
}
