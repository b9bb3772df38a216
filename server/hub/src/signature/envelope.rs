//! The Sigstore bundle and the DSSE envelope in it, read as strictly as the official library does: no field may be unknown.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::{Deserialize, Serialize};

const BUNDLE: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";
const PAYLOAD: &str = "application/vnd.in-toto+json";

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct SigstoreBundle {
    media_type: String,
    verification_material: Material,
    dsse_envelope: Dsse,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Material {
    public_key: KeyHint,
    #[serde(default)]
    tlog_entries: Vec<serde_json::Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    timestamp_verification_data: Option<serde_json::Value>,
}

/// Old signers wrote the last two, which nobody reads.
#[derive(Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct KeyHint {
    #[serde(default)]
    hint: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    raw_bytes: Option<serde_json::Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    key_details: Option<serde_json::Value>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Dsse {
    payload: String,
    payload_type: String,
    signatures: Vec<DsseSignature>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct DsseSignature {
    sig: String,
    keyid: String,
}

/// A bundle as far as it can be read without a key.
pub(super) struct Opened {
    /// The key that it names; old signers named none.
    pub(super) hint: Option<String>,
    pub(super) payload: Vec<u8>,
    pub(super) signature: Vec<u8>,
}

/// DSSE's pre-authentication encoding: what is signed.
pub(super) fn to_sign(payload: &[u8]) -> Vec<u8> {
    let mut message = format!("DSSEv1 {} {PAYLOAD} {} ", PAYLOAD.len(), payload.len()).into_bytes();
    message.extend_from_slice(payload);
    message
}

/// The text of `model.sig`.
pub(super) fn text(hint: &str, payload: &str, signature: &[u8]) -> String {
    let bundle = SigstoreBundle {
        media_type: BUNDLE.to_owned(),
        verification_material: Material {
            public_key: KeyHint { hint: Some(hint.to_owned()), ..KeyHint::default() },
            tlog_entries: Vec::new(),
            timestamp_verification_data: None,
        },
        dsse_envelope: Dsse {
            payload: BASE64.encode(payload),
            payload_type: PAYLOAD.to_owned(),
            signatures: vec![DsseSignature { sig: BASE64.encode(signature), keyid: String::new() }],
        },
    };
    // Structures of strings always have a JSON text.
    serde_json::to_string(&bundle).unwrap_or_default()
}

/// The error is the rule that is broken.
pub(super) fn open(text: &str) -> Result<Opened, String> {
    let bundle: SigstoreBundle =
        serde_json::from_str(text).map_err(|error| format!("it is no Sigstore bundle ({error})"))?;
    if bundle.media_type != BUNDLE {
        return Err(format!("it is of the kind \"{}\", not \"{BUNDLE}\"", bundle.media_type));
    }
    let Dsse { payload, payload_type, signatures } = bundle.dsse_envelope;
    if payload_type != PAYLOAD {
        return Err(format!("it signs something of the kind \"{payload_type}\", not \"{PAYLOAD}\""));
    }
    let signature = signatures.into_iter().next().ok_or("it holds no signature")?;
    let bytes = |text: String| BASE64.decode(text).map_err(|_| "it holds something that is no Base64");
    let hint = bundle.verification_material.public_key.hint.filter(|hint| !hint.is_empty());
    Ok(Opened { hint, payload: bytes(payload)?, signature: bytes(signature.sig)? })
}
