//! What has happened that the reader of the first page should look at, although nothing asks them to act: approvals of theirs that are void,
//! and subsets that have another release level.

use std::collections::BTreeSet;

use sekisho_domain::release::ReleaseState;
use sekisho_domain::user::Role;
use sekisho_domain::webhook::EventType;
use sekisho_store::{Happening, Release, User};
use serde_json::Value;

use super::overview::Waiting;
use crate::web::frame::{Frame, encode};
use crate::web::i18n::Words as _;
use crate::{App, WebError};

/// How long it stays on the page.
const SECONDS: i64 = 7 * 24 * 3600;
/// How many things are looked through.
const READ: u32 = 100;

/// What waits for this reader for such a reason, newest first.
pub(super) async fn waits(
    app: &App,
    frame: &Frame,
    user: &User,
    releases: &[Release],
) -> Result<Vec<Waiting>, WebError> {
    let since = frame.now.plus_seconds(-SECONDS);
    let voided = app.store.happened(EventType::ReleaseApprovalVoided, since, READ).await?;
    let mut waiting = void(frame, user, releases, &voided);
    if approves(user) {
        let levels = app.store.happened(EventType::CorpusLevelChanged, since, READ).await?;
        waiting.extend(changed(frame, &levels));
    }
    Ok(waiting)
}

/// Whether somebody approves releases, of some project at least.
fn approves(user: &User) -> bool {
    user.has(Role::Approver) || user.projects.values().any(|roles| roles.contains(&Role::Approver))
}

/// The releases of which an approval of this person is void, each once, while they are not out and not ended.
fn void(frame: &Frame, user: &User, releases: &[Release], happenings: &[Happening]) -> Vec<Waiting> {
    let id = user.id.to_string();
    let mut seen = BTreeSet::new();
    let own = |happening: &&Happening| {
        happening.detail["approvers"].as_array().is_some_and(|all| all.iter().any(|one| *one == id.as_str()))
    };
    let mut waiting = Vec::new();
    for happening in happenings.iter().filter(own) {
        let release = releases.iter().find(|release| release.id.to_string() == happening.subject);
        let Some(release) = release.filter(|release| is_open(release)) else { continue };
        if !seen.insert(release.id) {
            continue;
        }
        let parts = happening.detail["what"].as_array().into_iter().flatten().filter_map(Value::as_str);
        let parts: Vec<&str> = parts.map(|part| frame.word("webhook_part", part)).collect();
        waiting.push(Waiting {
            href: format!("/releases/{}", release.id),
            what: release.name.clone(),
            why: frame.fill("overview.void", "what", parts.join(frame.t("common.comma"))),
            when: frame.when(happening.at),
        });
    }
    waiting
}

const fn is_open(release: &Release) -> bool {
    matches!(
        release.state,
        ReleaseState::Draft
            | ReleaseState::Frozen
            | ReleaseState::PolicyChecked
            | ReleaseState::InReview
            | ReleaseState::Approved
            | ReleaseState::Publishing
    )
}

/// The subsets that have another level, each once with its newest change.
fn changed(frame: &Frame, happenings: &[Happening]) -> Vec<Waiting> {
    let mut seen = BTreeSet::new();
    let newest = happenings.iter().filter(|happening| seen.insert(happening.subject.as_str()));
    let waiting = |happening: &Happening| {
        let level = |name: &str| {
            happening.detail[name].as_str().unwrap_or_else(|| frame.t("corpora.no_level")).to_owned()
        };
        Waiting {
            href: format!("/corpora/{}", encode(&happening.subject)),
            what: happening.subject.clone(),
            why: frame.lang.fill("overview.level", &[("from", &level("from")), ("to", &level("to"))]),
            when: frame.when(happening.at),
        }
    };
    newest.map(waiting).collect()
}

#[cfg(test)]
mod tests {
    use sekisho_domain::Language;
    use serde_json::json;

    use super::super::fixtures;
    use super::*;

    fn happening(kind: EventType, subject: &str, detail: Value) -> Happening {
        Happening { seq: 1, kind, subject: subject.to_owned(), detail, at: fixtures::now() }
    }

    #[test]
    fn a_void_approval_waits_for_whose_it_was_while_the_release_is_open() {
        let frame = fixtures::frame(Language::Ja, "/");
        let user = fixtures::user("ueda", fixtures::id("ueda"), &[Role::Approver]);
        let release = fixtures::release();
        let of = |approver: &str, what: Value| {
            let detail =
                json!({ "approvers": [fixtures::id::<sekisho_domain::UserId>(approver)], "what": what });
            happening(EventType::ReleaseApprovalVoided, &release.id.to_string(), detail)
        };
        let all = [
            of("ueda", json!(["card", "files"])),
            of("ueda", json!(["lineage"])),
            of("mori", json!(["card"])),
        ];
        let found = void(&frame, &user, std::slice::from_ref(&release), &all);
        assert_eq!(found.len(), 1, "once, however often it happened");
        assert_eq!(
            found[0].why,
            "内容が変更されたため、あなたの承認は無効になりました（変更：モデルカード、同梱ファイル）"
        );
        let out = Release { state: ReleaseState::Published, ..release.clone() };
        assert!(void(&frame, &user, &[out], &all).is_empty());
        let other = fixtures::user("ikeda", fixtures::id("ikeda"), &[Role::Approver]);
        assert!(void(&frame, &other, &[release], &all).is_empty());
    }

    #[test]
    fn a_change_of_level_waits_for_approvers_alone() {
        let frame = fixtures::frame(Language::En, "/");
        let change = |from: Value, to: &str| {
            happening(EventType::CorpusLevelChanged, "web ja", json!({ "from": from, "to": to }))
        };
        let found = changed(&frame, &[change(json!("L3"), "LX"), change(Value::Null, "L3")]);
        assert_eq!(found.len(), 1, "the newest change of a subset");
        assert_eq!(
            (found[0].href.as_str(), found[0].why.as_str()),
            ("/corpora/web%20ja", "release level L3 → LX; look at what it reaches")
        );
        let mut user = fixtures::user("mori", fixtures::id("mori"), &[Role::Contributor]);
        assert!(!approves(&user));
        user.projects.insert("v4".to_owned(), vec![Role::Approver]);
        assert!(approves(&user));
    }
}
