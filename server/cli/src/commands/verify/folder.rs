use std::path::Path;

use sekisho_domain::Language;
use sekisho_hub::signature::{
    Problem, PublicKey, SIGNATURE_FILE, SignatureError, Verification, verify_folder,
};

use super::RECORD;
use super::report::{Digest, Report, digest_in};
use crate::exit::{ExitStatus, Failed};
use crate::printer::Printer;

/// Holds a folder against its signature, and its weights against its card.
pub(super) fn verify(
    folder: &Path,
    key: Option<&PublicKey>,
    language: Language,
    printer: &Printer,
) -> anyhow::Result<Report> {
    let name = folder.display().to_string();
    if !folder.is_dir() {
        let text = format!("{name} is a file; name the folder of the release");
        return Err(Failed::user(text));
    }
    let (card, record) = (text(folder, "README.md")?, text(folder, RECORD)?);
    let weights = has_weights(folder)?;
    let spinner = printer.spinner("reading the files");
    let found = verify_folder(folder, key).map_err(|error| unsigned(folder).unwrap_or(error));
    let inspected = weights.then(|| sekisho_weights::inspect(folder));
    spinner.finish_and_clear();
    let mut problems = Vec::new();
    let signature = match found {
        Ok(found) => Some(found),
        Err(error @ SignatureError::Unsigned { .. }) if card.is_none() && !weights => {
            let text = format!("{name} holds nothing of a release. {error}");
            return Err(Failed::with(ExitStatus::NotFound, text));
        }
        Err(error) => {
            problems.push(error.to_string());
            None
        }
    };
    let mut digest = Digest { card: card.as_deref().and_then(digest_in), ..Digest::default() };
    match inspected {
        Some(Ok(inspected)) => {
            (digest.computed, digest.weights) = (Some(inspected.digest), Some(inspected.weights));
            problems.extend(digest.fault());
        }
        Some(Err(refusal)) if !says_it_already(signature.as_ref(), &refusal.to_string()) => {
            problems.push(format!("The weights do not pass: {refusal}"));
        }
        None if digest.card.is_some() => problems.push(
            "README.md names a digest, and there are no weights. Download the release again.".to_owned(),
        ),
        Some(Err(_)) | None => {}
    }
    Ok(Report::new(name, (signature, record.as_deref()), digest, problems, language))
}

/// Where there is no signature, a missing key is not what is wrong.
fn unsigned(folder: &Path) -> Option<SignatureError> {
    let path = folder.join(SIGNATURE_FILE);
    (!path.exists()).then(|| SignatureError::Unsigned { path: path.display().to_string() })
}

/// A text of the folder, where there is one.
fn text(folder: &Path, name: &str) -> anyhow::Result<Option<String>> {
    match fs_err::read(folder.join(name)) {
        Ok(bytes) => Ok(Some(String::from_utf8_lossy(&bytes).into_owned())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Failed::user(error)),
    }
}

fn has_weights(folder: &Path) -> anyhow::Result<bool> {
    let entries = fs_err::read_dir(folder).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let entries = entries.map_err(Failed::user)?;
    Ok(entries.iter().any(|entry| entry.path().extension().is_some_and(|e| e == "safetensors")))
}

/// Whether the refusal is of a file that the signature has complained about: one fault is told once.
fn says_it_already(signature: Option<&Verification>, refusal: &str) -> bool {
    let problems = signature.iter().flat_map(|found| &found.problems);
    problems.filter_map(file_of).any(|path| refusal.contains(&path))
}

fn file_of(problem: &Problem) -> Option<String> {
    match problem {
        Problem::Changed { path }
        | Problem::Missing { path }
        | Problem::Extra { path, .. }
        | Problem::Link { path, .. }
        | Problem::Special { path }
        | Problem::Unreadable { path, .. } => Some(path.clone()),
        Problem::Malformed { .. } | Problem::OtherKey { .. } | Problem::Invalid => None,
    }
}
