//! The audit log: looked at, verified, and exported with a signed head.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use sekisho_domain::audit::{AuditFault, AuditHead};
use serde::Serialize;

use crate::{App, WebError};

/// A head and who vouches for it. Kept elsewhere, it shows a log that was cut or written anew.
#[derive(Clone, Debug, PartialEq, Serialize)]
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

/// Recomputes the chain: the number of entries, or what does not fit.
///
/// # Errors
/// When the store fails.
pub async fn verify(app: &App) -> Result<Result<u64, AuditFault>, WebError> {
    Ok(app.store.verify_audit(&[]).await?)
}
