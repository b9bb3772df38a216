use std::fmt;
use std::io::Write as _;
use std::path::Path;

use fs_err::os::unix::fs::OpenOptionsExt as _;
use p256::ecdsa::signature::{Signer as _, Verifier as _};
use p256::elliptic_curve::pkcs8::{DecodePrivateKey as _, DecodePublicKey as _, EncodePrivateKey as _};
use p256::elliptic_curve::pkcs8::{EncodePublicKey as _, LineEnding};
use sekisho_domain::{Entropy, Sha256};

use super::SignatureError;

const SEC1: &str = "-----BEGIN EC PRIVATE KEY-----";
const PKCS8: &str = "-----BEGIN PRIVATE KEY-----";
/// Permission bits of group and others.
const OTHERS: u32 = 0o077;

/// A private key. Neither `Debug` nor an error ever shows it.
#[derive(Clone)]
pub struct SigningKey(Private);

#[derive(Clone)]
enum Private {
    P256(p256::ecdsa::SigningKey),
    P384(p384::ecdsa::SigningKey),
}

/// A key to verify with.
#[derive(Clone, PartialEq)]
pub struct PublicKey(Public);

#[derive(Clone, PartialEq)]
enum Public {
    P256(p256::ecdsa::VerifyingKey),
    P384(p384::ecdsa::VerifyingKey),
}

impl SigningKey {
    /// Reads `[signing] key_file`: PEM, PKCS#8 or SEC1 as `openssl ecparam -genkey` writes it, readable by its owner alone.
    ///
    /// # Errors
    /// The file cannot be read, others may read it, or it holds no such key.
    pub fn read(path: &Path) -> Result<Self, SignatureError> {
        use std::os::unix::fs::PermissionsExt as _;
        let unreadable = |error: std::io::Error| SignatureError::file(path, &error);
        let mode = fs_err::metadata(path).map_err(unreadable)?.permissions().mode() & 0o777;
        let path_text = path.display().to_string();
        if mode & OTHERS != 0 {
            return Err(SignatureError::Open { path: path_text, mode });
        }
        let text = fs_err::read_to_string(path).map_err(unreadable)?;
        Self::from_pem(&text).map_err(|why| SignatureError::Private { path: path_text, why })
    }

    /// From PEM text. The error is the rule that is broken.
    ///
    /// # Errors
    /// No PEM, encrypted, or of another curve.
    pub fn from_pem(text: &str) -> Result<Self, &'static str> {
        if text.contains("ENCRYPTED") {
            return Err("it is encrypted");
        }
        // `openssl ecparam -genkey` puts the name of the curve into a block of its own before the key.
        let start = text.find(SEC1).or_else(|| text.find(PKCS8));
        let text = start.map(|start| text[start..].trim()).ok_or("it holds no PEM private key")?;
        let (p256, p384) = if text.starts_with(SEC1) {
            (p256::SecretKey::from_sec1_pem(text).ok(), p384::SecretKey::from_sec1_pem(text).ok())
        } else {
            (p256::SecretKey::from_pkcs8_pem(text).ok(), p384::SecretKey::from_pkcs8_pem(text).ok())
        };
        match (p256, p384) {
            (Some(key), _) => Ok(Self(Private::P256(key.into()))),
            (None, Some(key)) => Ok(Self(Private::P384(key.into()))),
            (None, None) => Err("it is broken, or of another curve"),
        }
    }

    /// A new P-256 key.
    #[must_use]
    pub fn generate(entropy: &dyn Entropy) -> Self {
        loop {
            let mut bytes = [0; 32];
            entropy.fill(&mut bytes);
            // Zero and numbers beyond the order of the curve are no keys; hardly any draw is one of them.
            if let Ok(key) = p256::ecdsa::SigningKey::from_slice(&bytes) {
                return Self(Private::P256(key));
            }
        }
    }

    /// Writes the key as PKCS#8 into a new file that its owner alone may read.
    ///
    /// # Errors
    /// The file exists, or cannot be written.
    pub fn write_new(&self, path: &Path) -> Result<(), SignatureError> {
        let failed = |error: std::io::Error| SignatureError::file(path, &error);
        let pem = match &self.0 {
            Private::P256(key) => key.to_pkcs8_pem(LineEnding::LF),
            Private::P384(key) => key.to_pkcs8_pem(LineEnding::LF),
        };
        let pem = pem.map_err(|error| failed(std::io::Error::other(error.to_string())))?;
        let mut options = fs_err::OpenOptions::new();
        let mut file = options.write(true).create_new(true).mode(0o600).open(path).map_err(failed)?;
        file.write_all(pem.as_bytes()).and_then(|()| file.sync_all()).map_err(failed)
    }

    /// Its public half.
    #[must_use]
    pub fn public(&self) -> PublicKey {
        PublicKey(match &self.0 {
            Private::P256(key) => Public::P256(*key.verifying_key()),
            Private::P384(key) => Public::P384(*key.verifying_key()),
        })
    }

    /// ECDSA over SHA-256 (P-256) or SHA-384 (P-384), DER. The same message gives the same signature.
    #[must_use]
    pub fn sign(&self, message: &[u8]) -> Vec<u8> {
        match &self.0 {
            Private::P256(key) => {
                let signature: p256::ecdsa::Signature = key.sign(message);
                signature.to_der().as_bytes().to_vec()
            }
            Private::P384(key) => {
                let signature: p384::ecdsa::Signature = key.sign(message);
                signature.to_der().as_bytes().to_vec()
            }
        }
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey(of {})", self.public().hint())
    }
}

impl PublicKey {
    /// Reads a PEM file.
    ///
    /// # Errors
    /// The file cannot be read or holds no such key.
    pub fn read(path: &Path) -> Result<Self, SignatureError> {
        let text = fs_err::read_to_string(path).map_err(|error| SignatureError::file(path, &error))?;
        Self::from_pem(&text).map_err(|why| SignatureError::Public { path: path.display().to_string(), why })
    }

    /// From PEM text (SubjectPublicKeyInfo). The error is the rule that is broken.
    ///
    /// # Errors
    /// No PEM, or of another curve.
    pub fn from_pem(text: &str) -> Result<Self, &'static str> {
        let text = text.trim();
        if !text.starts_with("-----BEGIN PUBLIC KEY-----") {
            return Err("it holds no PEM public key");
        }
        let p256 = p256::ecdsa::VerifyingKey::from_public_key_pem(text).map(Public::P256);
        let key = p256.or_else(|_| p384::ecdsa::VerifyingKey::from_public_key_pem(text).map(Public::P384));
        key.map(Self).map_err(|_| "it is broken, or of another curve")
    }

    /// PEM text with a newline at its end.
    #[must_use]
    pub fn pem(&self) -> String {
        let pem = match &self.0 {
            Public::P256(key) => key.to_public_key_pem(LineEnding::LF),
            Public::P384(key) => key.to_public_key_pem(LineEnding::LF),
        };
        // A point on the curve always has an encoding; without one no hint would ever match.
        pem.unwrap_or_default()
    }

    /// How a signature names its key: SHA-256 of the PEM text, in hex.
    #[must_use]
    pub fn hint(&self) -> String {
        Sha256::of(self.pem()).hex()
    }

    /// Whether a signature, as [`SigningKey::sign`] makes it, is of this message.
    #[must_use]
    pub fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        match &self.0 {
            Public::P256(key) => p256::ecdsa::Signature::from_der(signature)
                .is_ok_and(|signature| key.verify(message, &signature).is_ok()),
            Public::P384(key) => p384::ecdsa::Signature::from_der(signature)
                .is_ok_and(|signature| key.verify(message, &signature).is_ok()),
        }
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({})", self.hint())
    }
}
