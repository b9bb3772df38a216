//! `/audit`: who did what, and whether the chain is whole.

use askama::Template;
use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse as _, Response};
use jiff::ToSpan as _;
use jiff::civil::Date;
use sekisho_domain::Timestamp;
use sekisho_domain::audit::{AuditEntry, AuditFault, ChainedEntry};
use sekisho_domain::user::Role;
use sekisho_store::{AuditFilter, Release, User};

use super::parts::{self, When};
use crate::service::audit::{self, SignedHead};
use crate::web::format;
use crate::web::frame::Frame;
use crate::web::i18n::Words as _;
use crate::{App, Viewer, WebError};

/// Entries on a page.
const ENTRIES: u32 = 100;

#[derive(Template)]
#[template(path = "audit/audit.html")]
struct AuditPage {
    frame: Frame,
    how: Vec<String>,
    /// One sentence: the chain is whole, or where it breaks.
    chain: String,
    is_broken: bool,
    /// What went out after the break.
    after: Vec<Published>,
    filter: AuditFilter,
    /// First and last day asked for, as typed.
    days: (String, String),
    rows: Vec<EntryRow>,
    csv: String,
    /// The reader may export all of it.
    exports: bool,
    older: Option<String>,
}

struct Published {
    href: String,
    name: String,
    seq: String,
    when: Option<When>,
}

struct EntryRow {
    seq: String,
    /// Nothing in an entry that cannot be read.
    when: Option<When>,
    actor: String,
    by: &'static str,
    action: String,
    object: String,
    href: Option<String>,
    result: &'static str,
    detail: String,
}

/// `GET /audit?actor=…&action=…&object=…&result=…&proof=…&from=…&until=…&below=N`.
pub(crate) async fn show(State(app): State<App>, frame: Frame, viewer: Viewer) -> Result<Response, WebError> {
    viewer.actor()?;
    let (filter, entries) = found(&app, &frame, ENTRIES + 1).await?;
    let verified = audit::verify(&app).await?;
    let after = match &verified {
        Ok(_) => Vec::new(),
        Err(fault) => audit::published_from(&app, fault.first_bad()).await?,
    };
    parts::page(&page(frame, filter, entries, &verified, &after))
}

/// `GET /audit.csv`: the same entries in the same order, page by page.
pub(crate) async fn csv(State(app): State<App>, frame: Frame, viewer: Viewer) -> Result<Response, WebError> {
    viewer.actor()?;
    let (_, entries) = found(&app, &frame, ENTRIES).await?;
    Ok(parts::csv(&COLUMNS, entries.iter().map(fields)))
}

/// `GET /audit.ndjson`: every entry, oldest first, one JSON object a line, with its hash.
pub(crate) async fn ndjson(State(app): State<App>, viewer: Viewer) -> Result<Response, WebError> {
    may_export(&viewer.actor()?.user)?;
    let name = "attachment; filename=\"audit.ndjson\"";
    let kind = [(header::CONTENT_TYPE, "application/x-ndjson"), (header::CONTENT_DISPOSITION, name)];
    Ok((kind, Body::from_stream(audit::lines(app, 0))).into_response())
}

/// `GET /audit/head.json`: where the log ends now, signed.
pub(crate) async fn head(State(app): State<App>, viewer: Viewer) -> Result<Json<SignedHead>, WebError> {
    may_export(&viewer.actor()?.user)?;
    Ok(Json(audit::head(&app).await?))
}

/// Admins, and whoever approves anywhere.
fn exports(user: &User) -> bool {
    let of_project = || user.projects.values().flatten().any(|role| *role == Role::Approver);
    user.has(Role::Admin) || user.has(Role::Approver) || of_project()
}

fn may_export(user: &User) -> Result<(), WebError> {
    if exports(user) {
        return Ok(());
    }
    let detail = format!("{} is neither admin nor approver; they export the audit log.", user.name);
    Err(WebError::forbidden("role-missing", detail))
}

/// The filter of the page's query, and the newest entries that it lets through.
async fn found(app: &App, frame: &Frame, most: u32) -> Result<(AuditFilter, Vec<ChainedEntry>), WebError> {
    let filter = filter(frame);
    let below = frame.param("below").and_then(|below| below.parse().ok());
    let entries = app.store.audit(&filter, below, most).await?;
    Ok((filter, entries))
}

fn filter(frame: &Frame) -> AuditFilter {
    let value =
        |name: &str| frame.param(name).map(str::trim).filter(|v| !v.is_empty()).map(ToOwned::to_owned);
    // Days of the page's zone; the last one belongs to the time asked for.
    let midnight = |name: &str, days: i64| {
        let day: Date = value(name)?.parse().ok()?;
        let day = day.checked_add(days.days()).ok()?;
        let at = day.to_zoned(frame.zone.clone()).ok()?.timestamp().as_millisecond();
        Some(Timestamp::from_unix_ms(at))
    };
    AuditFilter {
        actor: value("actor"),
        action: value("action"),
        object: value("object"),
        result: value("result"),
        by: value("proof"),
        from: midnight("from", 0),
        until: midnight("until", 1),
    }
}

fn page(
    frame: Frame,
    filter: AuditFilter,
    mut entries: Vec<ChainedEntry>,
    verified: &Result<u64, AuditFault>,
    after: &[(u64, Option<Timestamp>, Release)],
) -> AuditPage {
    let has_more = entries.len() > ENTRIES as usize;
    entries.truncate(ENTRIES as usize);
    let last = entries.last().map(|entry| entry.seq);
    let older = last.filter(|_| has_more).map(|last| frame.with("below", &last.to_string()));
    let lang = frame.lang;
    let chain = match verified {
        Ok(entries) => {
            let n = format::count(*entries);
            lang.fill("audit.whole", &[("at", &frame.stamp(&frame.now)), ("n", &n)])
        }
        Err(fault) => lang.fill("audit.broken", &[("fault", &fault.text().get(lang))]),
    };
    let published = |(seq, at, release): &(u64, Option<Timestamp>, Release)| Published {
        href: format!("/releases/{}", release.id),
        name: release.name.clone(),
        seq: format::count(*seq),
        when: at.map(|at| frame.when(at)),
    };
    let mut csv = frame.clone();
    csv.path = "/audit.csv".to_owned();
    let day = |name: &str| frame.param(name).unwrap_or_default().to_owned();
    AuditPage {
        how: ["sekisho audit verify", "sekisho audit export --out audit.ndjson", "GET /api/v1/audit"]
            .map(ToOwned::to_owned)
            .to_vec(),
        is_broken: verified.is_err(),
        after: after.iter().map(published).collect(),
        rows: entries.iter().map(|entry| row(&frame, entry)).collect(),
        csv: csv.with("", ""),
        exports: frame.user.as_ref().is_some_and(exports),
        days: (day("from"), day("until")),
        chain,
        filter,
        older,
        frame,
    }
}

const COLUMNS: [&str; 8] = ["seq", "at", "actor", "by", "action", "object", "result", "detail"];

fn fields(line: &ChainedEntry) -> Vec<String> {
    let text = |name: &str| match &line.entry[name] {
        serde_json::Value::String(text) => text.clone(),
        serde_json::Value::Null => String::new(),
        other => other.to_string(),
    };
    std::iter::once(line.seq.to_string()).chain(COLUMNS[1..].iter().map(|name| text(name))).collect()
}

fn row(frame: &Frame, line: &ChainedEntry) -> EntryRow {
    let read: Option<AuditEntry> = serde_json::from_value(line.entry.clone()).ok();
    let Some(entry) = read else {
        return EntryRow {
            seq: format::count(line.seq),
            when: None,
            actor: String::new(),
            by: "",
            action: frame.t("audit.unreadable").to_owned(),
            object: String::new(),
            href: None,
            result: "failed",
            detail: line.entry.to_string(),
        };
    };
    let noun = entry.action.split('.').next().unwrap_or_default();
    let href = match noun {
        "release" => Some(format!("/releases/{}", entry.object)),
        // An import of several is about none of them alone.
        "corpus" if !entry.object.ends_with(" subsets") => {
            Some(format!("/corpora/{}", crate::web::frame::encode(&entry.object)))
        }
        _ => None,
    };
    EntryRow {
        seq: format::count(line.seq),
        when: Some(frame.when(entry.at)),
        by: proof(frame, &entry.by),
        result: match entry.result.as_str() {
            "done" => "done",
            "refused" => "refused",
            _ => "failed",
        },
        detail: if entry.detail.is_null() { String::new() } else { entry.detail.to_string() },
        actor: entry.actor,
        action: entry.action,
        object: entry.object,
        href,
    }
}

/// How somebody had proved who they are, in words.
fn proof(frame: &Frame, by: &str) -> &'static str {
    let kind = by.split(':').next().unwrap_or(by);
    frame.lang.find(&format!("proof.{kind}")).unwrap_or("")
}

#[cfg(test)]
pub(super) fn samples(frame: &Frame) -> Vec<String> {
    use sekisho_domain::Sha256;

    use super::fixtures;
    let entry = |seq: u64, action: &str, result: &str| ChainedEntry {
        seq,
        hash: Sha256::of("x"),
        entry: serde_json::json!({
            "at": frame.now, "actor": "ueda", "by": "session", "action": action, "object": "01kc", "result": result,
            "detail": { "comment": "<b>" },
        }),
    };
    let entries = vec![entry(3, "release.approve", "done"), entry(2, "corpus.level", "refused")];
    let odd = ChainedEntry { seq: 1, hash: Sha256::of("x"), entry: serde_json::json!("<odd>") };
    let fault = AuditFault::Gap { expected: 1, found: 2 };
    let filter = AuditFilter { actor: Some("<ueda>".to_owned()), ..AuditFilter::default() };
    let after = [(2, Some(frame.now), fixtures::release()), (3, None, fixtures::release())];
    let approver = fixtures::user("ueda", fixtures::id("ueda"), &[Role::Approver]);
    let reader = Frame { user: Some(approver), ..frame.clone() };
    [
        page(reader, AuditFilter::default(), entries, &Ok(3), &[]),
        page(frame.clone(), filter, vec![odd], &Err(fault), &after),
        page(frame.clone(), AuditFilter::default(), Vec::new(), &Ok(0), &[]),
    ]
    .map(|page| page.render().expect("renders"))
    .to_vec()
}

#[cfg(test)]
mod tests {
    use sekisho_domain::{Language, Sha256};

    use super::*;
    use crate::web::pages::fixtures;

    #[test]
    fn days_are_those_of_the_zone_and_the_last_one_belongs_to_them() {
        let mut frame = fixtures::frame(Language::Ja, "/audit");
        let asked = [("from", "2026-11-21"), ("until", "2026-11-21"), ("proof", "token"), ("actor", " ")];
        frame.query = asked.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
        let filter = filter(&frame);
        let (from, until) = (filter.from.expect("from"), filter.until.expect("until"));
        assert_eq!([from, until].map(|at| at.to_string()), ["2026-11-20T15:00:00Z", "2026-11-21T15:00:00Z"]);
        assert_eq!((filter.by.as_deref(), filter.actor), (Some("token"), None));
    }

    #[test]
    fn a_break_is_told_in_the_language_of_the_page() {
        let ja = fixtures::frame(Language::Ja, "/audit");
        let (seq, at) = (7, ja.now);
        let hash = Sha256::of("x");
        let faults = [
            (
                AuditFault::Hash { seq, found: hash, expected: hash },
                "7番の記録が書き込み時の内容と異なります",
                7,
            ),
            (AuditFault::Gap { expected: 3, found: 5 }, "3番の記録がありません（5番が続いています）。", 3),
            (AuditFault::Cut { have: 4, seq, at }, "7番までありましたが、4番で終わっています", 5),
            (AuditFault::Rewritten { seq, at }, "7番の記録が2026-11-21 14:03 +09の署名時と異なります", 7),
        ];
        for (fault, part, first_bad) in faults {
            assert!(fault.text().ja.contains(part), "{}", fault.text().ja);
            assert_eq!(fault.first_bad(), first_bad);
        }
    }

    #[test]
    fn an_import_of_several_subsets_leads_nowhere_and_what_cannot_be_read_has_no_time() {
        let frame = fixtures::frame(Language::En, "/audit");
        let line = |entry: serde_json::Value| ChainedEntry { seq: 1, hash: Sha256::of("x"), entry };
        let import = |object: &str| {
            let entry = serde_json::json!({
                "at": frame.now, "actor": "ikeda", "by": "token:1", "action": "corpus.import", "object": object,
                "result": "done", "detail": null,
            });
            row(&frame, &line(entry)).href
        };
        assert_eq!(import("web-ja").as_deref(), Some("/corpora/web-ja"));
        assert_eq!(import("3 subsets"), None);
        assert!(row(&frame, &line(serde_json::json!("odd"))).when.is_none());
    }

    #[test]
    fn the_log_is_exported_by_who_answers_for_it() {
        let mut user = fixtures::user("mori", fixtures::id("mori"), &[Role::Contributor, Role::Publisher]);
        assert!(!exports(&user) && may_export(&user).is_err());
        user.projects.insert("v4".to_owned(), vec![Role::Approver]);
        assert!(exports(&user));
    }
}
