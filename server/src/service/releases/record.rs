//! `release.json`: what a release tells of itself to who has nothing but its files. It is made when the content is fixed and stands in
//! the digest, so that it is approved with everything else and is the same whenever the release goes out.

use sekisho_policy::Decision;
use sekisho_store::Release;
use serde_json::json;

use super::{card_extras, content};
use crate::{App, WebError};

/// Its name among the files of a release.
pub(super) const FILE: &str = "release.json";

/// Who signs (whose repository it is), under which rules it was judged, and how many people must have approved it. That as many have
/// is what the permit looks at before anything leaves; how many did in the end is not known yet.
pub(super) async fn text(app: &App, release: &Release, decision: &Decision) -> Result<String, WebError> {
    let (_, section) = content::lineage(&release.lineage)?;
    let signer = section.repo.split_once('/').map_or(section.repo.as_str(), |(owner, _)| owner);
    let channel = match release.channel {
        Some(id) => app.store.channel(id).await?.map(|channel| channel.name),
        None => None,
    };
    let record = json!({
        "release": release.id,
        "name": release.name,
        "signer": signer,
        "policy": decision.policy,
        "approvals_needed": release.approvals_needed,
        "channel": channel,
        "judged": card_extras::day(app.now()),
    });
    Ok(serde_json::to_string_pretty(&record).map_err(WebError::internal)? + "\n")
}
