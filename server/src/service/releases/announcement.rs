use sekisho_policy::Claim;
use sekisho_store::Release;

use super::facts;
use crate::service::corpora;
use crate::{App, WebError};

/// What a text claims that the release is not, were it the release's announcement. Nothing is kept.
///
/// # Errors
/// When the release's lineage cannot be read.
pub async fn check_announcement(app: &App, release: &Release, text: &str) -> Result<Vec<Claim>, WebError> {
    let mut facts = facts::of_lineage(app, release).await?;
    facts.registry = Some(corpora::registry(app).await?);
    Ok(sekisho_policy::check_announcement(&facts, &app.policy, text))
}
