//! Files that the user named.

use std::ffi::OsString;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use sekisho_hub::signature::{PublicKey, SignatureError};

use crate::exit::{ExitStatus, Failed};

/// The text of a file.
pub(crate) fn read(file: &Path) -> anyhow::Result<String> {
    fs_err::read_to_string(file).map_err(|error| match error.kind() {
        ErrorKind::NotFound => {
            Failed::with(ExitStatus::NotFound, format!("there is no file {}", file.display()))
        }
        _ => Failed::user(error),
    })
}

/// A public key as PEM.
pub(crate) fn public_key(file: &Path) -> anyhow::Result<PublicKey> {
    key_from_pem(&read(file)?, &file.display().to_string())
}

/// The same from a text; `source` is where it came from.
pub(crate) fn key_from_pem(text: &str, source: &str) -> anyhow::Result<PublicKey> {
    PublicKey::from_pem(text)
        .map_err(|why| Failed::user(SignatureError::Public { path: source.to_owned(), why }))
}

/// A path with something after its name, which need not be UTF-8.
pub(crate) fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    PathBuf::from(name)
}
