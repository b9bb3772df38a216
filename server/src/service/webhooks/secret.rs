//! Standard Webhooks 1.0.0 (<https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md>): secrets and
//! signatures. A secret is derived from one key of the service, the endpoint and the number of its rotations, so that neither the
//! database nor a copy of it holds any.

use std::fmt;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sekisho_domain::{EndpointId, Entropy, Timestamp};
use sekisho_store::Endpoint;
use sha2::Sha256;

/// How long after a rotation the secret before it signs too.
pub const BOTH_SECONDS: i64 = 24 * 3600;

/// What all secrets are derived from. Its text appears nowhere.
#[derive(Clone)]
pub struct WebhookKey([u8; 32]);

impl fmt::Debug for WebhookKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WebhookKey(…)")
    }
}

impl WebhookKey {
    /// Reads the key of a data folder; the first start makes it, readable by its owner alone.
    ///
    /// # Errors
    /// When the file cannot be read or written, or is none of ours.
    pub fn open(file: &Path, entropy: &dyn Entropy) -> std::io::Result<Self> {
        if !file.exists() {
            let mut key = [0; 32];
            entropy.fill(&mut key);
            crate::serve::write_secret(file, &hex::encode(key))?;
        }
        let text = fs_err::read_to_string(file)?;
        let key = hex::decode(text.trim()).ok().and_then(|bytes| bytes.try_into().ok());
        key.map(Self).ok_or_else(|| {
            let words = format!("{} is no webhook key (64 hexadecimal digits); restore it, or remove it and rotate every webhook's secret", file.display());
            std::io::Error::new(std::io::ErrorKind::InvalidData, words)
        })
    }

    fn secret(&self, endpoint: EndpointId, generation: u32) -> [u8; 32] {
        mac(
            &self.0,
            &[
                b"sekisho webhook secret ",
                endpoint.to_string().as_bytes(),
                b" ",
                generation.to_string().as_bytes(),
            ],
        )
    }

    /// The secret of an endpoint as its receiver gets it, once.
    #[must_use]
    pub fn secret_text(&self, endpoint: &Endpoint) -> String {
        format!("whsec_{}", BASE64.encode(self.secret(endpoint.id, endpoint.generation)))
    }

    /// The value of `webhook-signature`: by the present secret, and for a while after a rotation by the one before it too.
    #[must_use]
    pub fn sign(&self, endpoint: &Endpoint, id: &str, at: Timestamp, body: &str) -> String {
        let mut generations = vec![endpoint.generation];
        let still_both = |rotated: Timestamp| at < rotated.plus_seconds(BOTH_SECONDS);
        if endpoint.generation > 1 && endpoint.rotated.is_some_and(still_both) {
            generations.push(endpoint.generation - 1);
        }
        let one = |generation| signature(&self.secret(endpoint.id, generation), id, seconds(at), body);
        generations.into_iter().map(one).collect::<Vec<_>>().join(" ")
    }
}

/// Unix seconds, as `webhook-timestamp` has them.
#[must_use]
pub const fn seconds(at: Timestamp) -> i64 {
    at.unix_ms().div_euclid(1000)
}

/// `v1,` and the HMAC-SHA256 of `id.timestamp.body` in Base64.
fn signature(secret: &[u8], id: &str, seconds: i64, body: &str) -> String {
    let parts =
        [id.as_bytes(), b".", seconds.to_string().as_bytes(), b".", body.as_bytes()].map(<[u8]>::to_vec);
    let parts: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
    format!("v1,{}", BASE64.encode(mac(secret, &parts)))
}

fn mac(key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    parts.iter().for_each(|part| mac.update(part));
    mac.finalize().into_bytes().into()
}

#[cfg(test)]
mod tests {
    use sekisho_domain::Tokens;
    use sekisho_domain::webhook::{EndpointState, MessageLanguage, PayloadFormat};

    use super::*;

    fn endpoint(generation: u32, rotated: Option<Timestamp>) -> Endpoint {
        let now = Timestamp::from_unix_ms(1_795_000_000_000);
        Endpoint {
            id: "01kc0000000000000000000000".parse().expect("an id"),
            project: "default".to_owned(),
            name: "lab".to_owned(),
            url: "https://example.org/".to_owned(),
            events: vec!["*".to_owned()],
            language: MessageLanguage::Both,
            format: PayloadFormat::Standard,
            every_tokens: Some(Tokens(1)),
            state: EndpointState::Active,
            generation,
            rotated,
            failures: 0,
            failing_since: None,
            not_before: now,
            created: now,
            updated: now,
        }
    }

    #[test]
    fn the_known_answer_of_the_specification() {
        let secret = BASE64.decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").expect("Base64");
        let found =
            signature(&secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, "{\"test\": 2432232314}");
        assert_eq!(found, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn after_a_rotation_both_secrets_sign_for_a_day() {
        let key = WebhookKey([7; 32]);
        let rotated = Timestamp::from_unix_ms(1_795_000_000_000);
        let before = key.sign(&endpoint(1, None), "msg_1", rotated, "{}");
        let of = |hours: i64| {
            key.sign(&endpoint(2, Some(rotated)), "msg_1", rotated.plus_seconds(hours * 3600), "{}")
        };
        assert_eq!(before.split(' ').count(), 1);
        assert_eq!(of(0).split(' ').count(), 2);
        assert!(of(0).ends_with(&before) && !of(0).starts_with(&before), "the new one first");
        assert_eq!((of(23).split(' ').count(), of(24).split(' ').count()), (2, 1));
        assert_ne!(key.secret_text(&endpoint(1, None)), key.secret_text(&endpoint(2, None)));
    }

    #[test]
    fn a_key_is_made_once_and_shows_itself_nowhere() {
        let dir = tempfile::tempdir().expect("folder");
        let file = dir.path().join("webhook-key");
        let made = WebhookKey::open(&file, &crate::SystemEntropy).expect("made");
        assert_eq!(made.0, WebhookKey::open(&file, &crate::SystemEntropy).expect("read").0);
        let mode = std::os::unix::fs::MetadataExt::mode(&std::fs::metadata(&file).expect("a file"));
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(format!("{made:?}"), "WebhookKey(…)");
        fs_err::write(&file, "short").expect("written");
        assert!(
            WebhookKey::open(&file, &crate::SystemEntropy)
                .expect_err("no key")
                .to_string()
                .contains("64 hexadecimal")
        );
    }
}
