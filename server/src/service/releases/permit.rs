use sekisho_store::Release;

use super::{broken_glass, content, judge, settings, valid_approvals};
use crate::service::{channels, checkpoints, standing};
use crate::{App, WebError};

/// Looks at the permit again, before a publication begins and before each of its steps: the content and its target are those that
/// were approved, the policy judges them today as it did then, nothing else that is published would be opened by it, and enough of
/// those who approved are approvers still, of this release or of the channel that made it.
///
/// # Errors
/// 409 `permit-void` with what has changed, 422 for the settings of the repository.
pub async fn holds(app: &App, release: &Release) -> Result<(), WebError> {
    let checkpoint = checkpoints::find(app, &release.checkpoint.to_string()).await?;
    if release.digest != Some(content::digest(app, release, &checkpoint).await?) {
        return void(
            "What is to be published, or where to, is not what was approved.",
            "公開する内容または公開先が、承認された内容と異なります。",
        );
    }
    if release.prepared.is_none() {
        standing::require(app, &checkpoint).await?;
    }
    let decision = judge::decide(app, release, &checkpoint).await?;
    let then = release.decision.as_ref().and_then(|decision| decision["digest"].as_str());
    if !decision.allowed() || then != Some(decision.digest.to_string().as_str()) {
        return void(
            "The policy judges this release otherwise today than when it was approved.",
            "現時点のポリシー判定が、承認時の判定と異なります。",
        );
    }
    settings::check(app, release).await?;
    let (valid, needed) = (valid_approvals(app, release).await?.len(), super::needed(app, release));
    if valid < needed as usize && broken_glass(app, release).await?.is_none() {
        if release.channel.is_some() {
            return match channels::carries(app, release).await? {
                Ok(()) => Ok(()),
                Err(why) => void(&why.en, &why.ja),
            };
        }
        return void(
            &format!("{valid} of {needed} approvals hold: those who approved must be approvers still."),
            &format!(
                "有効な承認は{valid}件です（必要数{needed}件）。承認した人が現在も承認者である必要があります。"
            ),
        );
    }
    Ok(())
}

fn void(en: &str, ja: &str) -> Result<(), WebError> {
    let way_on = "Nothing more was published. Return the release, freeze it again and ask for new approvals.";
    let then = "以降の公開は行っていません。差し戻して内容を確定し直し、もう一度承認を依頼してください。";
    Err(WebError::conflict("permit-void", format!("{en} {way_on}")).or_ja(format!("{ja}{then}")))
}
