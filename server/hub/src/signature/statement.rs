//! The in-toto statement inside the envelope: one subject, and a predicate that lists every file.

use std::collections::BTreeMap;

use sekisho_domain::Sha256;
use serde::{Deserialize, Serialize};
use sha2::Digest as _;

const STATEMENT: &str = "https://in-toto.io/Statement/v1";
const PREDICATE: &str = "https://model_signing/signature/v1.0";

#[derive(Serialize, Deserialize)]
struct Statement {
    #[serde(rename = "_type")]
    kind: String,
    subject: Vec<Subject>,
    #[serde(rename = "predicateType")]
    predicate_type: String,
    predicate: Predicate,
}

#[derive(Serialize, Deserialize)]
struct Subject {
    name: String,
    digest: SubjectDigest,
}

#[derive(Serialize, Deserialize)]
struct SubjectDigest {
    sha256: String,
}

#[derive(Serialize, Deserialize)]
struct Predicate {
    resources: Vec<Resource>,
    serialization: Serialization,
}

#[derive(Serialize, Deserialize)]
struct Resource {
    algorithm: String,
    digest: String,
    name: String,
}

#[derive(Serialize, Deserialize)]
struct Serialization {
    allow_symlinks: bool,
    hash_type: String,
    #[serde(default)]
    ignore_paths: Vec<String>,
    method: String,
}

/// What a statement says, once it was found to be one.
pub(super) struct Signed {
    /// Path → digest.
    pub(super) files: BTreeMap<String, Sha256>,
    /// Paths, relative to the folder, that are no part of the model.
    pub(super) ignored: Vec<String>,
    /// Whether links were followed when it was signed.
    pub(super) links: bool,
}

/// The statement over these files, sorted by path.
pub(super) fn text(name: &str, files: &[(&str, Sha256)]) -> String {
    let mut root = sha2::Sha256::new();
    files.iter().for_each(|(_, digest)| root.update(digest.as_bytes()));
    let resource = |(name, digest): &(&str, Sha256)| Resource {
        algorithm: "sha256".to_owned(),
        digest: digest.hex(),
        name: (*name).to_owned(),
    };
    let statement = Statement {
        kind: STATEMENT.to_owned(),
        subject: vec![Subject {
            name: name.to_owned(),
            digest: SubjectDigest { sha256: hex::encode(root.finalize()) },
        }],
        predicate_type: PREDICATE.to_owned(),
        predicate: Predicate {
            resources: files.iter().map(resource).collect(),
            serialization: Serialization {
                allow_symlinks: false,
                hash_type: "sha256".to_owned(),
                ignore_paths: super::IGNORED.map(str::to_owned).to_vec(),
                method: "files".to_owned(),
            },
        },
    };
    // Structures of strings always have a JSON text.
    serde_json::to_string(&statement).unwrap_or_default()
}

/// Reads a statement as the official library does. The error is the rule that is broken.
pub(super) fn read(payload: &[u8]) -> Result<Signed, String> {
    let statement: Statement =
        serde_json::from_slice(payload).map_err(|error| format!("the statement is incomplete ({error})"))?;
    if statement.kind != STATEMENT || statement.predicate_type != PREDICATE {
        return Err(format!("it is no statement of the kind {PREDICATE}"));
    }
    let [subject] = &statement.subject[..] else {
        return Err("it must name exactly one model".to_owned());
    };
    let Predicate { resources, serialization } = statement.predicate;
    if serialization.method != "files" || serialization.hash_type != "sha256" {
        let (method, hash) = (serialization.method, serialization.hash_type);
        return Err(format!("only whole files by SHA-256 are read here, not \"{method}\" by \"{hash}\""));
    }
    let mut root = sha2::Sha256::new();
    let mut files = BTreeMap::new();
    for Resource { algorithm, digest, name } in resources {
        let digest: Sha256 = digest.parse().map_err(|_| format!("the digest of {name} is no SHA-256"))?;
        if algorithm != "sha256" {
            return Err(format!("the digest of {name} is no SHA-256"));
        }
        root.update(digest.as_bytes());
        if files.insert(normal(&name), digest).is_some() {
            return Err(format!("{name} is listed twice"));
        }
    }
    if hex::encode(root.finalize()) != subject.digest.sha256 {
        return Err("its list of files does not add up to its subject".to_owned());
    }
    let mut ignored: Vec<String> = serialization.ignore_paths.iter().map(|path| normal(path)).collect();
    // The official library leaves these out whatever a signature says.
    ignored.extend([".git", ".gitattributes", ".github", ".gitignore"].map(str::to_owned));
    ignored.sort();
    ignored.dedup();
    Ok(Signed { files, ignored, links: serialization.allow_symlinks })
}

/// A path without "." and empty parts, as `pathlib` reads it.
fn normal(path: &str) -> String {
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
    parts.join("/")
}

/// Whether a path is one of the ignored ones or lies below one.
pub(super) fn is_ignored(path: &str, ignored: &[impl AsRef<str>]) -> bool {
    ignored.iter().any(|ignored| {
        let rest = path.strip_prefix(ignored.as_ref());
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    })
}
