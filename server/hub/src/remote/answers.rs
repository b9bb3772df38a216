//! The parts of the Hub's answers that a publication reads.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::PublishError;

/// `GET /api/whoami-v2`.
#[derive(Debug, Deserialize)]
pub(crate) struct WhoAmI {
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) orgs: Vec<Org>,
    #[serde(default)]
    pub(crate) auth: Auth,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Org {
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) role_in_org: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Auth {
    #[serde(default)]
    pub(crate) access_token: Option<AccessToken>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct AccessToken {
    #[serde(default)]
    pub(crate) role: Option<String>,
    /// `{"global": […], "scoped": [{"entity": {"type", "name"}, "permissions": […]}]}`. Read by hand: a token must not be refused
    /// because the Hub says more about it than before.
    #[serde(default)]
    fine_grained: serde_json::Value,
}

impl AccessToken {
    /// Whether a fine-grained token may write to `owner/name`; nothing when the Hub does not say.
    fn may_write(&self, repo: &str) -> Option<bool> {
        let owner = repo.split('/').next().unwrap_or(repo);
        let writes = |list: &serde_json::Value| {
            list.as_array().is_some_and(|list| list.iter().any(|permission| permission == "repo.write"))
        };
        let scoped = self.fine_grained.get("scoped")?.as_array()?;
        let covers = |scope: &&serde_json::Value| {
            let name =
                scope.get("entity").and_then(|entity| entity.get("name")).and_then(|name| name.as_str());
            name.is_some_and(|name| name.eq_ignore_ascii_case(owner) || name.eq_ignore_ascii_case(repo))
        };
        let by_scope = scoped.iter().filter(covers).any(|scope| scope.get("permissions").is_some_and(writes));
        Some(by_scope || self.fine_grained.get("global").is_some_and(writes))
    }
}

impl WhoAmI {
    /// What the Hub calls the kind of the token: `read`, `write` or `fineGrained`.
    pub(crate) fn role(&self) -> Option<&str> {
        self.auth.access_token.as_ref()?.role.as_deref()
    }

    /// Whether this token may write to `owner/name`, as far as the answer says. What it does not say is left to the Hub, which is
    /// asked before any byte is sent.
    pub(crate) fn may_write_to(&self, repo: &str) -> bool {
        let owner = repo.split('/').next().unwrap_or(repo);
        let token = self.auth.access_token.as_ref();
        if self.role() == Some("fineGrained")
            && let Some(may) = token.and_then(|token| token.may_write(repo))
        {
            return may;
        }
        let reads_only = self.role() == Some("read");
        let writes_in = |org: &Org| !matches!(org.role_in_org.as_deref(), Some("read" | "no_access"));
        let own = self.name.eq_ignore_ascii_case(owner);
        let member = self.orgs.iter().any(|org| org.name.eq_ignore_ascii_case(owner) && writes_in(org));
        !reads_only && (own || member)
    }
}

/// `GET /api/models/{id}` and `…/revision/{rev}`.
#[derive(Debug, Deserialize)]
pub(crate) struct Info {
    #[serde(default)]
    pub(crate) sha: Option<String>,
    pub(crate) private: bool,
    #[serde(default)]
    gated: serde_json::Value,
}

impl Info {
    /// `none`, `auto` or `manual`.
    pub(crate) fn gating(&self) -> &str {
        self.gated.as_str().unwrap_or("none")
    }
}

/// One line of `GET …/tree/{rev}`.
#[derive(Debug, Deserialize)]
pub(super) struct TreeEntry {
    #[serde(rename = "type")]
    kind: String,
    path: String,
    oid: String,
    #[serde(default)]
    size: u64,
    #[serde(default)]
    lfs: Option<Lfs>,
}

#[derive(Debug, Deserialize)]
struct Lfs {
    oid: String,
    size: u64,
}

/// A file of the remote tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TreeFile {
    pub(crate) path: String,
    pub(crate) size: u64,
    pub(crate) digest: TreeDigest,
}

/// What a tree says about the bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum TreeDigest {
    /// Stored apart (LFS, Xet): SHA-256 of the bytes, in hex.
    Sha256(String),
    /// In git itself: SHA-1 of the blob, in hex.
    GitBlob(String),
}

impl TreeEntry {
    pub(super) fn into_file(self) -> Option<TreeFile> {
        if self.kind != "file" {
            return None;
        }
        Some(match self.lfs {
            Some(lfs) => TreeFile { path: self.path, size: lfs.size, digest: TreeDigest::Sha256(lfs.oid) },
            None => TreeFile { path: self.path, size: self.size, digest: TreeDigest::GitBlob(self.oid) },
        })
    }
}

/// `GET …/refs`.
#[derive(Debug, Deserialize)]
pub(crate) struct Refs {
    #[serde(default)]
    tags: Vec<Ref>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Ref {
    name: String,
    target_commit: String,
}

impl Refs {
    /// The commit a tag points at.
    pub(crate) fn tag(&self, name: &str) -> Option<&str> {
        self.tags.iter().find(|tag| tag.name == name).map(|tag| tag.target_commit.as_str())
    }
}

/// `POST /api/validate-yaml`.
#[derive(Debug, Deserialize)]
pub(super) struct CardAnswer {
    #[serde(default)]
    errors: Vec<CardError>,
}

#[derive(Debug, Deserialize)]
struct CardError {
    message: String,
}

impl CardAnswer {
    pub(super) fn verdict(self) -> Result<(), PublishError> {
        if self.errors.is_empty() {
            return Ok(());
        }
        let reasons: Vec<_> = self.errors.into_iter().map(|error| error.message).collect();
        Err(PublishError::CardRefused { reason: reasons.join("; ") })
    }
}

/// `POST …/preupload/{rev}`.
#[derive(Debug, Deserialize)]
pub(super) struct PreuploadAnswer {
    pub(super) files: Vec<UploadMode>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct UploadMode {
    pub(crate) path: String,
    upload_mode: String,
    #[serde(default)]
    pub(crate) should_ignore: bool,
}

impl UploadMode {
    /// Stored apart from the commit.
    pub(crate) fn is_lfs(&self) -> bool {
        self.upload_mode == "lfs"
    }
}

/// `POST /{id}.git/info/lfs/objects/batch`.
#[derive(Debug, Deserialize)]
pub(crate) struct Batch {
    /// `basic` when absent, as in the Git LFS specification.
    #[serde(default)]
    transfer: Option<String>,
    pub(crate) objects: Vec<BatchObject>,
}

impl Batch {
    pub(crate) fn is_xet(&self) -> bool {
        self.transfer.as_deref() == Some("xet")
    }
}

#[derive(Debug, Deserialize)]
pub(crate) struct BatchObject {
    pub(crate) oid: String,
    /// Absent when the object is stored already.
    #[serde(default)]
    pub(crate) actions: Option<LfsActions>,
    #[serde(default)]
    pub(crate) error: Option<LfsError>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct LfsActions {
    #[serde(default)]
    pub(crate) upload: Option<LfsAction>,
    #[serde(default)]
    pub(crate) verify: Option<LfsAction>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct LfsAction {
    pub(crate) href: String,
    #[serde(default)]
    pub(crate) header: BTreeMap<String, String>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct LfsError {
    #[serde(default)]
    pub(crate) message: String,
}

/// `GET …/xet-write-token/{rev}`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct XetToken {
    pub(crate) cas_url: String,
    pub(crate) access_token: String,
    pub(crate) exp: u64,
}

/// `POST …/commit/{rev}`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Committed {
    pub(super) commit_oid: String,
}
