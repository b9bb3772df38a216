//! What was done with a release, as the audit log has it.

use sekisho_domain::Sha256;
use sekisho_domain::audit::{AuditEntry, ChainedEntry};
use sekisho_store::Comment;
use serde::Deserialize as _;

use super::parts::{Cell, When};
use crate::web::frame::Frame;
use crate::web::i18n::Words as _;

/// An entry and the comment that came with it are written in one go, each with its own look at the clock.
const TOGETHER_SECONDS: f64 = 5.0;

pub(super) struct HistoryRow {
    pub(super) when: When,
    pub(super) who: String,
    /// At that time.
    pub(super) roles: Cell,
    pub(super) by: &'static str,
    pub(super) action: String,
    pub(super) result: &'static str,
    /// The first digits, and all.
    pub(super) digest: Option<(String, String)>,
    pub(super) policy: Cell,
    pub(super) comment: String,
}

pub(super) fn rows(frame: &Frame, history: &[ChainedEntry], comments: &[Comment]) -> Vec<HistoryRow> {
    let read = history.iter().filter_map(|line| AuditEntry::deserialize(&line.entry).ok());
    read.map(|entry| row(frame, entry, comments)).collect()
}

fn row(frame: &Frame, entry: AuditEntry, comments: &[Comment]) -> HistoryRow {
    let verb = entry.action.rsplit('.').next().unwrap_or_default();
    let proof = entry.by.split(':').next().unwrap_or_default();
    let detail = &entry.detail;
    let digest = detail["digest"].as_str().and_then(|text| text.parse::<Sha256>().ok());
    let roles = detail["roles"].as_array().map(|roles| {
        let words = roles.iter().filter_map(|role| role.as_str());
        let words = words.map(|role| frame.lang.find(&format!("role.{role}")).unwrap_or("?"));
        words.collect::<Vec<_>>().join(frame.t("common.comma"))
    });
    let said = comments.iter().find(|comment| {
        let apart = comment.at.seconds_since(entry.at).abs();
        comment.action == verb && comment.user_name == entry.actor && apart < TOGETHER_SECONDS
    });
    let reason = || detail["reason"].as_str().unwrap_or_default().to_owned();
    HistoryRow {
        when: frame.when(entry.at),
        by: frame.lang.find(&format!("proof.{proof}")).unwrap_or(""),
        action: frame
            .lang
            .find(&format!("release_action.{verb}"))
            .map_or_else(|| entry.action.clone(), ToOwned::to_owned),
        result: match entry.result.as_str() {
            "done" => "done",
            "refused" => "refused",
            _ => "failed",
        },
        roles: Cell::of(roles.filter(|roles| !roles.is_empty()), frame.t("missing.not_recorded")),
        digest: digest.map(|digest| (digest.hex().chars().take(12).collect(), digest.hex())),
        policy: Cell::of(detail["policy"].as_str(), frame.t("missing.not_recorded")),
        comment: said.map_or_else(reason, |comment| comment.text.clone()),
        who: entry.actor,
    }
}

#[cfg(test)]
mod tests {
    use sekisho_domain::Language;

    use super::*;
    use crate::web::pages::fixtures;

    #[test]
    fn an_entry_says_in_which_role_over_what_content_and_with_which_words() {
        let frame = fixtures::frame(Language::Ja, "/");
        let digest = Sha256::of("content");
        let entry = |action: &str, seconds: i64| ChainedEntry {
            seq: 1,
            hash: Sha256::of("x"),
            entry: serde_json::json!({
                "at": frame.now.plus_seconds(seconds), "actor": "ueda", "by": "session", "action": action,
                "object": "01kc", "result": "done",
                "detail": { "digest": digest, "roles": ["approver"], "policy": "base 2026-11" },
            }),
        };
        let comments = fixtures::comments();
        let with = rows(&frame, &[entry("release.return", -2400), entry("release.return", 0)], &comments);
        assert_eq!(with[0].comment, comments[0].text, "of the same moment");
        assert_eq!(with[1].comment, "", "of another");
        assert_eq!(
            (with[0].action.as_str(), with[0].roles.value.as_str()),
            ("差し戻し", "承認者（approver）")
        );
        assert_eq!(with[0].digest.as_ref().map(|(short, _)| short.as_str()), Some(&digest.hex()[..12]));
        assert_eq!(with[0].policy.value, "base 2026-11");
        for (action, word) in [
            ("propose", "起案"),
            ("prepare", "重みの書き出し"),
            ("complete", "公開完了"),
            ("card", "カードの更新"),
            ("yanked", "公開停止の反映"),
        ] {
            assert_eq!(rows(&frame, &[entry(&format!("release.{action}"), 0)], &[])[0].action, word);
        }
    }
}
