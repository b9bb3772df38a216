//! `/audit`: who did what, and whether the chain is whole.

use askama::Template;
use axum::extract::State;
use axum::response::Response;
use sekisho_domain::audit::{AuditEntry, AuditFault, ChainedEntry};
use sekisho_store::AuditFilter;

use super::parts::{self, When};
use crate::service::audit;
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
    filter: AuditFilter,
    rows: Vec<EntryRow>,
    older: Option<String>,
}

struct EntryRow {
    seq: String,
    when: When,
    actor: String,
    by: &'static str,
    action: String,
    object: String,
    href: Option<String>,
    result: &'static str,
    detail: String,
}

/// `GET /audit?actor=…&action=…&object=…&result=…&below=N`.
pub(crate) async fn show(State(app): State<App>, frame: Frame, viewer: Viewer) -> Result<Response, WebError> {
    viewer.actor()?;
    let value =
        |name: &str| frame.param(name).map(str::trim).filter(|v| !v.is_empty()).map(ToOwned::to_owned);
    let filter = AuditFilter {
        actor: value("actor"),
        action: value("action"),
        object: value("object"),
        result: value("result"),
    };
    let below = value("below").and_then(|below| below.parse().ok());
    let entries = app.store.audit(&filter, below, ENTRIES + 1).await?;
    let verified = audit::verify(&app).await?;
    parts::page(&page(frame, filter, entries, &verified))
}

fn page(
    frame: Frame,
    filter: AuditFilter,
    mut entries: Vec<ChainedEntry>,
    verified: &Result<u64, AuditFault>,
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
    AuditPage {
        how: vec!["sekisho audit verify".to_owned(), "GET /api/v1/audit".to_owned()],
        is_broken: verified.is_err(),
        rows: entries.iter().map(|entry| row(&frame, entry)).collect(),
        chain,
        filter,
        older,
        frame,
    }
}

fn row(frame: &Frame, line: &ChainedEntry) -> EntryRow {
    let read: Option<AuditEntry> = serde_json::from_value(line.entry.clone()).ok();
    let Some(entry) = read else {
        return EntryRow {
            seq: format::count(line.seq),
            when: frame.when(frame.now),
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
        "corpus" => Some(format!("/corpora/{}", crate::web::frame::encode(&entry.object))),
        _ => None,
    };
    EntryRow {
        seq: format::count(line.seq),
        when: frame.when(entry.at),
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
    [
        page(frame.clone(), AuditFilter::default(), entries, &Ok(3)),
        page(frame.clone(), filter, vec![odd], &Err(fault)),
        page(frame.clone(), AuditFilter::default(), Vec::new(), &Ok(0)),
    ]
    .map(|page| page.render().expect("renders"))
    .to_vec()
}
