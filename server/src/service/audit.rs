//! The audit log: looked at, verified, and exported with a signed head.

use std::convert::Infallible;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use futures::{Stream, stream};
use sekisho_domain::Timestamp;
use sekisho_domain::audit::{AuditFault, AuditHead, ChainedEntry};
use sekisho_store::{AuditFilter, Release};
use serde::Serialize;

use crate::{App, WebError};

/// Entries read at once.
const AT_ONCE: u32 = 1_000;
/// Publications that are looked through behind a break.
const PUBLICATIONS: u32 = 1_000;

/// A head and who vouches for it. Kept elsewhere, it shows a log that was cut or written anew.
#[derive(Clone, Debug, PartialEq, Serialize, utoipa::ToSchema)]
pub struct SignedHead {
    /// Where the log ended.
    #[serde(flatten)]
    pub head: AuditHead,
    /// SHA-256 of the public key's PEM text, in hex.
    pub key: String,
    /// ECDSA over the head's canonical JSON (`at`, `hash`, `seq`), DER in Base64.
    pub signature: String,
}

/// The present head, signed.
///
/// # Errors
/// 409 while the log is empty.
pub async fn head(app: &App) -> Result<SignedHead, WebError> {
    let Some((seq, hash)) = app.store.audit_end().await? else {
        return Err(WebError::conflict("audit-empty", "The audit log is empty; there is no head to sign."));
    };
    let head = AuditHead { seq, hash, at: app.now() };
    let signature = app.signing.sign(head.signed_text().as_bytes());
    Ok(SignedHead { head, key: app.signing.public().hint(), signature: BASE64.encode(signature) })
}

/// Every entry above a number, oldest first, one JSON object a line.
pub fn lines(app: App, after: u64) -> impl Stream<Item = Result<String, Infallible>> + Send + 'static {
    stream::unfold((app, Some(after)), |(app, after)| async move {
        let after = after?;
        let entries = match app.store.audit_after(after, AT_ONCE).await {
            Ok(entries) => entries,
            Err(error) => {
                // The status is out already; a log that ends early does not verify against its head.
                tracing::error!(%error, "the export of the audit log broke off");
                return None;
            }
        };
        let last = entries.last()?.seq;
        let text: String = entries.iter().map(line).collect();
        Some((Ok::<_, Infallible>(text), (app, Some(last))))
    })
}

fn line(entry: &ChainedEntry) -> String {
    serde_json::to_string(entry).map(|text| text + "\n").unwrap_or_default()
}

/// The releases that went out by entries from a number on, oldest first, each with its entry's number and time: what the log says of
/// them cannot be relied on when it breaks there.
///
/// # Errors
/// When the store fails.
pub async fn published_from(app: &App, seq: u64) -> Result<Vec<(u64, Option<Timestamp>, Release)>, WebError> {
    let filter = AuditFilter {
        action: Some("release.complete".to_owned()),
        result: Some("done".to_owned()),
        ..AuditFilter::default()
    };
    let mut published = Vec::new();
    for entry in app.store.audit(&filter, None, PUBLICATIONS).await?.into_iter().rev() {
        let id = entry.entry["object"].as_str().and_then(|id| id.parse().ok());
        if let Some(id) = id.filter(|_| entry.seq >= seq)
            && let Some(release) = app.store.release(id).await?
        {
            let at = entry.entry["at"].as_str().and_then(|at| Timestamp::try_from(at.to_owned()).ok());
            published.push((entry.seq, at, release));
        }
    }
    Ok(published)
}

/// Recomputes the chain: the number of entries, or what does not fit.
///
/// # Errors
/// When the store fails.
pub async fn verify(app: &App) -> Result<Result<u64, AuditFault>, WebError> {
    Ok(app.store.verify_audit(&[]).await?)
}
