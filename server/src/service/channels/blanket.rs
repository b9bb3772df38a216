use std::collections::BTreeSet;

use sekisho_domain::Text;
use sekisho_domain::channel::ChannelState;
use sekisho_domain::release::{ReleaseAction, ReleaseState};
use sekisho_store::{Comment, Release, StoreError};
use serde_json::{Value, json};

use super::{digest, find, is_private, needed, valid_approvals};
use crate::service::{people, releases};
use crate::{App, WebError};

/// Whether a blanket approval carries a release at this moment; else why not. It is looked at before each step of a publication, so a
/// channel that ends stops what is on its way.
///
/// # Errors
/// When the store fails.
pub async fn carries(app: &App, release: &Release) -> Result<Result<(), Text>, WebError> {
    let not = |en: String, ja: String| Ok(Err(Text { en, ja }));
    let Some(id) = release.channel else {
        return not(
            "No channel carries this release.".to_owned(),
            "包括承認の対象ではありません。".to_owned(),
        );
    };
    let channel = find(app, &id.to_string()).await?;
    let reference = releases::find(app, &channel.reference.to_string()).await?;
    let is_out = matches!(reference.state, ReleaseState::Published | ReleaseState::Superseded);
    if channel.state != ChannelState::Active || channel.until <= app.now() {
        let name = &channel.name;
        return not(
            format!("The blanket approval \"{name}\" has ended."),
            format!("包括承認「{name}」は終了しています。"),
        );
    }
    if !is_out || channel.digest != digest(app, &channel, &reference) {
        let name = &reference.name;
        return not(
            format!("\"{name}\", which the blanket approval is modelled on, is not what it was."),
            format!("包括承認の手本とした「{name}」が、承認時と同じ状態ではありません。"),
        );
    }
    let (valid, needed) = (valid_approvals(app, &channel).await?.len(), needed(app, &channel));
    if valid < needed as usize {
        return not(
            format!("{valid} of the {needed} approvals of \"{}\" hold.", channel.name),
            format!("「{}」の有効な承認は{valid}件です（必要数{needed}件）。", channel.name),
        );
    }
    if !is_private(release) {
        return not(
            "Only what goes to a private repository goes out by itself.".to_owned(),
            "自動公開できるのは非公開リポジトリだけです。".to_owned(),
        );
    }
    let new = new_findings(release, &reference);
    if !new.is_empty() {
        let codes = new.into_iter().collect::<Vec<_>>().join(", ");
        return not(
            format!("The policy finds what it did not find in \"{}\" ({codes}).", reference.name),
            format!("手本の「{}」にはなかった違反または警告があります（{codes}）。", reference.name),
        );
    }
    Ok(Ok(()))
}

/// Violations and warnings of a release that the reference did not have, by their codes: the same rule on the same way is the same.
fn new_findings(release: &Release, reference: &Release) -> BTreeSet<String> {
    let known = findings(reference);
    findings(release).difference(&known).map(|(code, _)| code.clone()).collect()
}

fn findings(release: &Release) -> BTreeSet<(String, String)> {
    let decision = release.decision.clone().unwrap_or_default();
    let all = ["violations", "warnings"].into_iter().flat_map(|list| decision[list].as_array().cloned());
    let identity = |finding: &Value| {
        (finding["code"].as_str().unwrap_or_default().to_owned(), finding["derivation"].to_string())
    };
    all.flatten().map(|finding| identity(&finding)).collect()
}

/// Lets a release that a channel made go out, or hands it to people with the reason why it does not go by itself.
///
/// # Errors
/// When the store fails.
pub async fn admit(app: &App, mut release: Release) -> Result<(), WebError> {
    let Some(channel) = release.channel else { return Ok(()) };
    let id = release.id.to_string();
    let why = match carries(app, &release).await? {
        Ok(()) => releases::holds(app, &release).await.err().map(|void| void.text()),
        Err(why) => Some(why),
    };
    release.updated = app.now();
    let Some(why) = why else {
        release.state = release.state.after(ReleaseAction::Admit, true)?;
        let channel = find(app, &channel.to_string()).await?;
        let approved: Vec<String> =
            valid_approvals(app, &channel).await?.into_iter().map(|approval| approval.user_name).collect();
        let detail = json!({ "channel": channel.id, "digest": release.digest, "approved_by": approved });
        let audit = people::system_entry(app, "release.admit", &id, "done", detail);
        if written(app.store.update_release(&release, &audit, None).await)? {
            app.publish.send(release.id);
            app.events.publish(format!("release:{id}"), "state");
        }
        return Ok(());
    };
    let refused = release.decision.as_ref().is_some_and(|decision| decision["verdict"] == "refused");
    if !refused {
        release.state = release.state.after(ReleaseAction::Request, false)?;
    }
    releases::leave_channel(app, &mut release).await?;
    let detail = json!({ "channel": channel, "reason": why.en, "state": release.state });
    let audit = people::system_entry(app, "release.admit", &id, "refused", detail);
    let comment = said(app, &release, &why);
    if written(app.store.update_release(&release, &audit, Some(&comment)).await)? {
        app.events.publish(format!("release:{id}"), "state");
    }
    Ok(())
}

/// What the service itself says at a release, in both languages.
pub(super) fn said(app: &App, release: &Release, text: &Text) -> Comment {
    Comment {
        user: release.author,
        user_name: "Sekisho".to_owned(),
        action: "admit".to_owned(),
        text: format!("{}\n{}", text.ja, text.en),
        at: app.now(),
    }
}

/// Somebody may have been faster; the next look sees what they did.
fn written(result: Result<(), StoreError>) -> Result<bool, WebError> {
    match result {
        Err(StoreError::Stale) => Ok(false),
        other => Ok(other.map(|()| true)?),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::new_findings;
    use crate::web::pages::fixtures;

    #[test]
    fn the_same_rule_on_the_same_way_is_not_new() {
        let judged = |warnings: &[(&str, &str)]| {
            let warning = |(code, way): &(&str, &str)| json!({ "code": code, "derivation": [way] });
            let warnings: Vec<_> = warnings.iter().map(warning).collect();
            let mut release = fixtures::release();
            release.decision = Some(json!({ "verdict": "allowed", "violations": [], "warnings": warnings }));
            release
        };
        let reference = judged(&[("open-claim", "README.md"), ("name-prefix", "llama3.1")]);
        let codes = |warnings| new_findings(&judged(warnings), &reference).into_iter().collect::<Vec<_>>();
        assert!(codes(&[("name-prefix", "llama3.1")]).is_empty());
        assert_eq!(codes(&[("name-prefix", "gemma")]), ["name-prefix"], "another way in");
        assert_eq!(codes(&[("open-claim", "README.md"), ("data-claim", "README.md")]), ["data-claim"]);
    }
}
