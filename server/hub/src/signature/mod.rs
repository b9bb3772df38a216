//! Signatures in the form of OpenSSF Model Signing 1.0 (`model.sig`): who signed exactly these files.
//!
//! The bundle is a Sigstore bundle v0.3 with a public key, around a DSSE envelope, around an in-toto Statement v1 whose predicate
//! lists every file: <https://github.com/sigstore/model-transparency>, <https://github.com/secure-systems-lab/dsse>,
//! <https://github.com/in-toto/attestation/blob/main/spec/v1/statement.md>. The official `model_signing verify key` is its judge
//! (`tests/it/release_signature.rs`).
//!
//! Nothing is read again to sign: the digests are those that were approved. The nonces are deterministic (RFC 6979), so a
//! publication that was cut off makes the same bytes again.

mod envelope;
mod error;
mod folder;
mod key;
mod report;
mod statement;
mod verify;

use sekisho_domain::Sha256;

pub use error::SignatureError;
pub use key::{PublicKey, SigningKey};
pub use report::{KeySource, Problem, Verification};
pub use verify::{verify_files, verify_folder};

use crate::{Bundle, BundleFile};

/// Where the signature lies, in the folder's root. It cannot cover itself.
pub const SIGNATURE_FILE: &str = "model.sig";
/// The signer's public key, for readers who have no other source of it. It is covered by the signature.
pub const PUBLIC_KEY_FILE: &str = "sekisho.pub";

/// What is no part of a signed model: what a Hub, git and a download put into the folder, and the signature itself. A
/// `local_dir` download makes `.cache`.
pub const IGNORED: [&str; 6] = [".cache", ".git", ".gitattributes", ".github", ".gitignore", SIGNATURE_FILE];

/// The text of `model.sig` for these files, given as (path, digest). `name` is informative: the model's.
#[must_use]
pub fn sign<'a>(key: &SigningKey, name: &str, files: impl IntoIterator<Item = (&'a str, Sha256)>) -> String {
    let mut files: Vec<(&str, Sha256)> =
        files.into_iter().filter(|(path, _)| !statement::is_ignored(path, &IGNORED)).collect();
    files.sort_unstable();
    let payload = statement::text(name, &files);
    envelope::text(&key.public().hint(), &payload, &key.sign(&envelope::to_sign(payload.as_bytes())))
}

impl Bundle {
    /// Adds [`SIGNATURE_FILE`] and [`PUBLIC_KEY_FILE`] over the files of the bundle as they are now; earlier ones are replaced.
    /// The last thing before a publication: what is added after it is not signed.
    pub fn sign(&mut self, key: &SigningKey) {
        self.files.retain(|file| file.path != SIGNATURE_FILE && file.path != PUBLIC_KEY_FILE);
        self.files.push(BundleFile::memory(PUBLIC_KEY_FILE, key.public().pem().as_bytes()));
        let name = self.repo.split_once('/').map_or(self.repo.as_str(), |(_, name)| name);
        let files = self.files.iter().map(|file| (file.path.as_str(), file.sha256));
        let signature = sign(key, name, files);
        self.files.push(BundleFile::memory(SIGNATURE_FILE, signature.into_bytes()));
    }
}

#[cfg(test)]
mod tests;
