//! The answers that endpoints have in common: what is refused and why, and what has not changed.

use serde_json::{Map, Value, json};

/// Answers that refuse: status, its name, when, and the codes it comes with. More codes may come.
const REFUSALS: [(u16, &str, &str, &[&str]); 13] = [
    (
        400,
        "BadRequest",
        "The request itself is wrong: its body, its query, a header.",
        &[
            "action",
            "batch-size",
            "batch-writer",
            "body",
            "checkpoint-path",
            "cleanup-plan",
            "comment-empty",
            "comment-missing",
            "compare-ids",
            "compare-sides",
            "cursor",
            "event-remark",
            "extent-missing",
            "idempotency-key",
            "idempotency-secret",
            "if-match",
            "limit",
            "lineage",
            "metric-name",
            "metric-names",
            "origin",
            "password",
            "policy",
            "project-name",
            "project-role",
            "publish-at",
            "query",
            "reason-missing",
            "request",
            "run-event",
            "run-name",
            "token",
            "upload",
            "upload-name",
            "upload-offset-missing",
            "user-name",
            "webhook-resend",
        ],
    ),
    (
        401,
        "Unauthorized",
        "Nobody known asks, or under a token that is not valid (any more).",
        &["sign-in-needed", "token-unknown", "login-expired"],
    ),
    (
        403,
        "Forbidden",
        "Who asks may not do this.",
        &[
            "break-glass-off",
            "browser-needed",
            "checkpoint-root",
            "cross-site",
            "csrf",
            "level-forbids-use",
            "level-in-person",
            "link-cannot-approve",
            "login-code",
            "login-link",
            "not-author",
            "own-approval",
            "own-release",
            "password-wrong",
            "policy-refused",
            "pool-unknown",
            "role-missing",
            "scope-missing",
            "token-cannot-approve",
        ],
    ),
    (404, "NotFound", "There is no such thing.", &["not-found"]),
    (
        409,
        "Conflict",
        "Not possible in the present state of things.",
        &[
            "audit-empty",
            "batch-differs",
            "branch-taken",
            "channel-expired",
            "checkpoint-changed",
            "checkpoint-exists",
            "checkpoint-unchanged",
            "checkpoint-unseen",
            "checkpoint-unverified",
            "cleanup-changed",
            "conflict",
            "hub",
            "hub-token-missing",
            "idempotency-running",
            "last-admin",
            "launch-ended",
            "lease-lost",
            "nothing-left",
            "nothing-waits",
            "nothing-shared",
            "permit-void",
            "prepare-panic",
            "publishing-committed",
            "publishing-now",
            "repo-shared",
            "run-busy",
            "run-registered",
            "subset-registered",
            "upload-incomplete",
            "upload-offset",
            "webhook-disabled",
            "webhook-rotated",
            "worker-version",
            "wrong-state",
        ],
    ),
    (412, "PreconditionFailed", "Somebody has changed it since the version that the caller saw.", &["stale"]),
    (413, "ContentTooLarge", "The body is longer than the service takes.", &["too-large"]),
    (
        422,
        "UnprocessableContent",
        "Understood and refused.",
        &[
            "branch-schedule",
            "branch-spec",
            "bundle-plan",
            "bundle-size",
            "card-edit",
            "channel-form",
            "channel-name",
            "channel-public",
            "channel-revision",
            "channel-runs",
            "channel-until",
            "cleanup-rule",
            "configuration",
            "contamination",
            "event-future",
            "idempotency-mismatch",
            "level-mismatch",
            "license-contradiction",
            "lineage",
            "metrics-future",
            "not-done",
            "policy",
            "record",
            "release-file",
            "release-target",
            "repo-of-project",
            "repo-settings",
            "reported",
            "run-issue",
            "run-name",
            "run-plan",
            "split-unknown",
            "subset",
            "task-unknown",
            "upload-hash",
            "upload-size",
            "webhook-events",
            "webhook-every",
            "webhook-name",
            "webhook-resend",
            "webhook-url",
            "weights",
        ],
    ),
    (428, "PreconditionRequired", "The version that the caller saw is not told.", &["version-missing"]),
    (429, "TooManyRequests", "Not so often.", &["too-many-requests", "too-many-tries"]),
    (500, "Internal", "A fault of the service; nothing was changed. Its log has the cause.", &["internal"]),
    (503, "Unavailable", "The database does not answer; the same request is good later.", &["database-away"]),
    (
        507,
        "InsufficientStorage",
        "No room on the server's disk; the same request is good later.",
        &["disk-full"],
    ),
];

/// The shared answers, for `components/responses`.
pub(super) fn shared() -> Map<String, Value> {
    let refusals = REFUSALS.into_iter().map(|(status, name, when, codes)| {
        let codes_in_words: Vec<String> = codes.iter().map(|code| format!("`{code}`")).collect();
        let answer = json!({
            "description": format!("{when} Codes: {}.", codes_in_words.join(", ")),
            "content": { "application/problem+json": { "schema": { "$ref": "#/components/schemas/Problem" } } },
            "x-codes": codes,
            "x-status": status.to_string(),
        });
        (name.to_owned(), answer)
    });
    let same = json!({ "description": "The caller has it already: `If-None-Match` names its ETag.", "x-status": "304" });
    refusals.chain([("NotModified".to_owned(), same)]).collect()
}

/// Adds to an operation what it is answered with besides its own.
pub(super) fn complete(path: &str, method: &str, operation: &mut Value) {
    let has_header = |name: &str| {
        let parameters = operation["parameters"].as_array();
        parameters.is_some_and(|all| all.iter().any(|one| one["name"] == name))
    };
    let (has_query, if_match) = (operation["parameters"].is_array(), has_header("If-Match"));
    let has_body = operation["requestBody"].is_object();
    let open = operation["security"].as_array().is_some_and(|all| all.iter().all(|one| one == &json!({})));
    let writes = method != "get";
    let mut statuses = vec![500];
    let rules = [
        (400, has_query || has_body || method == "post"),
        (401, !open),
        (403, !open),
        (404, path.contains('{') || path.ends_with("/compare")),
        (409, !open),
        (412, if_match),
        (413, has_body),
        (422, !open && (has_body || path.contains("/releases/")) || path.ends_with("/cleanup")),
        (428, if_match),
        (429, open && writes),
        (507, has_body && !open),
    ];
    statuses.extend(rules.into_iter().filter_map(|(status, holds)| holds.then_some(status)));
    if method == "get"
        && operation["responses"]["200"]["content"]["application/json"].is_object()
        && path.starts_with("/api/v1")
    {
        operation["responses"]["304"] = json!({ "$ref": "#/components/responses/NotModified" });
    }
    for (status, name, ..) in REFUSALS {
        let fits = path.starts_with("/api/v1") || ([400, 401, 500].contains(&status) && path != "/healthz");
        if statuses.contains(&status) && fits {
            operation["responses"][status.to_string()] =
                json!({ "$ref": format!("#/components/responses/{name}") });
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::{Path, PathBuf};

    use super::*;

    /// Where an error is made, and its status.
    const MAKERS: [(&str, u16); 5] = [
        ("WebError::bad_request(", 400),
        ("WebError::forbidden(", 403),
        ("WebError::conflict(", 409),
        ("WebError::refused(", 422),
        ("WebError::too_many(", 429),
    ];

    fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs_err::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                sources(&path, found);
            } else if path.extension().is_some_and(|kind| kind == "rs") && !path.ends_with("tests.rs") {
                found.push(path);
            }
        }
    }

    #[test]
    fn every_code_that_is_answered_is_described() {
        let mut files = Vec::new();
        sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut files);
        let mut made = BTreeSet::new();
        for file in files {
            let source = fs_err::read_to_string(&file).expect("a source");
            let source = source.split("#[cfg(test)]").next().unwrap_or_default();
            for (maker, status) in MAKERS {
                for rest in source.split(maker).skip(1) {
                    if let Some(rest) = rest.trim_start().strip_prefix('"') {
                        made.insert((status, rest.split('"').next().unwrap_or_default().to_owned()));
                    }
                }
            }
        }
        assert!(made.len() > 80, "{}", made.len());
        let described = |status: u16, code: &str| {
            REFUSALS.iter().any(|(of, .., codes)| *of == status && codes.contains(&code))
        };
        let missing: Vec<_> = made.iter().filter(|(status, code)| !described(*status, code)).collect();
        assert!(missing.is_empty(), "codes that the description lacks: {missing:?}");
        let by_hand = [
            "request",
            "last-admin",
            "lease-lost",
            "wrong-state",
            "conflict",
            "level-mismatch",
            "license-contradiction",
        ];
        for (status, .., codes) in
            REFUSALS.iter().filter(|(status, ..)| MAKERS.iter().any(|(_, of)| of == status))
        {
            for code in *codes {
                let is_made = made.contains(&(*status, (*code).to_owned())) || by_hand.contains(code);
                assert!(is_made, "nothing answers {status} {code} any more");
            }
        }
    }
}
