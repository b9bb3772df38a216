use std::collections::BTreeMap;
use std::path::Path;

use sekisho_domain::Sha256;

use super::folder::{self, Found};
use super::report::{KeySource, Problem, Verification};
use super::statement::{self, Signed};
use super::{PUBLIC_KEY_FILE, PublicKey, SIGNATURE_FILE, SignatureError, envelope};

/// A bundle is a list of digests; the longest of 100,000 files stays below this.
const LONGEST_SIGNATURE: u64 = 64 << 20;

/// Holds a folder against the `model.sig` in it: by this key, or by the one in the folder.
///
/// The answer is that of the official `model_signing verify key`, with one difference: what a signature leaves out (`.cache`,
/// `.git`) is not looked at at all, while the official tool refuses links even there.
///
/// # Errors
/// There is no signature, or no key to judge it by. Everything else is in the answer.
pub fn verify_folder(folder: &Path, key: Option<&PublicKey>) -> Result<Verification, SignatureError> {
    let (source, key) = match key {
        Some(key) => (KeySource::Given, key.clone()),
        None => {
            let path = folder.join(PUBLIC_KEY_FILE);
            if !path.exists() {
                return Err(SignatureError::NoKey { path: path.display().to_string() });
            }
            (KeySource::Folder, PublicKey::read(&path)?)
        }
    };
    let path = folder.join(SIGNATURE_FILE);
    let size = match fs_err::symlink_metadata(&path) {
        Ok(metadata) => metadata.len(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(SignatureError::Unsigned { path: path.display().to_string() });
        }
        Err(error) => return Err(SignatureError::file(&path, &error)),
    };
    let text = if size > LONGEST_SIGNATURE {
        String::new()
    } else {
        let bytes = fs_err::read(&path).map_err(|error| SignatureError::file(&path, &error))?;
        String::from_utf8_lossy(&bytes).into_owned()
    };
    Ok(match judge(&text, &key) {
        Ok(signed) => compare(&key, source, &signed, folder::read(folder, &signed)),
        Err(problem) => unsound(&key, source, problem),
    })
}

/// The same for files whose digests are known, given as (path, SHA-256): nothing is read.
#[must_use]
pub fn verify_files(signature: &str, files: &[(String, Sha256)], key: &PublicKey) -> Verification {
    let source = KeySource::Given;
    match judge(signature, key) {
        Ok(signed) => {
            let files = files.iter().filter(|(path, _)| !statement::is_ignored(path, &signed.ignored));
            let found = Found { files: files.cloned().collect(), problems: Vec::new() };
            compare(key, source, &signed, found)
        }
        Err(problem) => unsound(key, source, problem),
    }
}

/// What the key signed. Nothing of a statement is believed before its signature is.
fn judge(text: &str, key: &PublicKey) -> Result<Signed, Problem> {
    let malformed = |reason| Problem::Malformed { reason };
    let bundle = envelope::open(text).map_err(malformed)?;
    if let Some(named) = bundle.hint.filter(|named| *named != key.hint()) {
        return Err(Problem::OtherKey { named });
    }
    if !key.verifies(&envelope::to_sign(&bundle.payload), &bundle.signature) {
        return Err(Problem::Invalid);
    }
    statement::read(&bundle.payload).map_err(malformed)
}

fn unsound(key: &PublicKey, source: KeySource, problem: Problem) -> Verification {
    Verification {
        key: source,
        hint: key.hint(),
        listed: 0,
        good: 0,
        ignored: Vec::new(),
        problems: vec![problem],
    }
}

fn compare(key: &PublicKey, source: KeySource, signed: &Signed, found: Found) -> Verification {
    let mut missing: BTreeMap<&str, Sha256> =
        signed.files.iter().map(|(path, digest)| (path.as_str(), *digest)).collect();
    let mut problems = found.problems;
    // What stands there as a link or cannot be read is told once.
    for problem in &problems {
        if let Problem::Link { path, .. } | Problem::Special { path } | Problem::Unreadable { path, .. } =
            problem
        {
            missing.remove(path.as_str());
        }
    }
    let mut good = 0;
    let mut extra = Vec::new();
    for (path, digest) in found.files {
        match missing.remove(path.as_str()) {
            Some(want) if want == digest => good += 1,
            Some(_) => problems.push(Problem::Changed { path }),
            None => extra.push((path, digest)),
        }
    }
    for (path, digest) in extra {
        let renamed_from =
            missing.iter().find(|(_, want)| **want == digest).map(|(path, _)| (*path).to_owned());
        problems.push(Problem::Extra { path, renamed_from });
    }
    problems.extend(missing.into_keys().map(|path| Problem::Missing { path: path.to_owned() }));
    problems.sort();
    Verification {
        key: source,
        hint: key.hint(),
        listed: signed.files.len(),
        good,
        ignored: signed.ignored.clone(),
        problems,
    }
}
