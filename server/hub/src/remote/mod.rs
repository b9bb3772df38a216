//! The calls to the Hub, each in one small function. `hf-hub` makes those whose answers do not matter in detail; the others are
//! ours, because its types drop what a publication must see (the token's role, `lfs.oid`, the status 412).

mod answers;
mod call;
mod served;
mod urls;

use hf_hub::repository::{GatedApprovalMode, HFRepository, RepoTypeModel};
use hf_hub::{HFClient, HFError};
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue, LINK};
use reqwest::{Client, Url};
use sekisho_domain::lineage::Gating;
use serde_json::json;

pub(crate) use answers::{Info, LfsAction, LfsActions, TreeDigest, TreeFile, WhoAmI, XetToken};
pub(crate) use call::{backoff, hub_words, transient_pause, unreachable_because};
pub(crate) use served::{Place, Served};
pub(crate) use urls::without_queries;

use crate::PublishError;
use crate::config::{HubConfig, Patience, checked_endpoint, is_safe};
use answers::{Batch, CardAnswer, Committed, PreuploadAnswer, Refs, TreeEntry, UploadMode};

/// Git LFS's media type.
const LFS_JSON: &str = "application/vnd.git-lfs+json";

/// A Hub, spoken to with one token.
pub(crate) struct Remote {
    /// For addresses that the Hub names; carries no token by itself.
    pub(crate) http: Client,
    pub(crate) patience: Patience,
    hub: HFClient,
    endpoint: Url,
    authorization: HeaderValue,
}

impl Remote {
    pub(crate) fn new(config: &HubConfig) -> Result<Self, PublishError> {
        let endpoint = checked_endpoint(config)?;
        let wrong = |why: &'static str| PublishError::EndpointRefused { endpoint: endpoint.clone(), why };
        let http = call::client().map_err(|_| wrong("no TLS on this machine"))?;
        let hub = HFClient::builder()
            .endpoint(endpoint.as_str())
            .token(config.token.secret())
            .client(http.clone())
            .cache_enabled(false)
            .build()
            .map_err(|_| wrong("it is not an address"))?;
        let mut authorization = HeaderValue::from_str(&format!("Bearer {}", config.token.secret()))
            .map_err(|_| PublishError::TokenRefused { endpoint: endpoint.clone() })?;
        authorization.set_sensitive(true);
        let url = Url::parse(&endpoint).map_err(|_| wrong("it is not an address"))?;
        Ok(Self { http, patience: Patience::default(), hub, endpoint: url, authorization })
    }

    /// The Hub's address, without trailing slash.
    pub(crate) fn endpoint(&self) -> &str {
        self.endpoint.as_str().trim_end_matches('/')
    }

    /// `Authorization` with the token, marked as sensitive.
    pub(crate) fn authorization(&self) -> HeaderMap {
        HeaderMap::from_iter([(AUTHORIZATION, self.authorization.clone())])
    }

    pub(crate) async fn whoami(&self) -> Result<WhoAmI, PublishError> {
        let url = self.url(&["api", "whoami-v2"]);
        self.get("whoami", url).await
    }

    /// Nothing when there is no such repository, or none that this token may see.
    pub(crate) async fn info(&self, repo: &str) -> Result<Option<Info>, PublishError> {
        absent_as_none(self.get("repository", self.model(repo, &[])).await)
    }

    /// The commit a branch, tag or commit id stands for.
    pub(crate) async fn head(&self, repo: &str, revision: &str) -> Result<Option<String>, PublishError> {
        let found: Option<Info> =
            absent_as_none(self.get("revision", self.model(repo, &["revision", revision])).await)?;
        match found {
            Some(Info { sha: Some(sha), .. }) => Ok(Some(sha)),
            Some(_) => {
                Err(PublishError::Malformed { call: "revision", reason: "it names no commit".to_owned() })
            }
            None => Ok(None),
        }
    }

    /// Every file at a revision, all pages.
    pub(crate) async fn tree(&self, repo: &str, revision: &str) -> Result<Vec<TreeFile>, PublishError> {
        let mut files = Vec::new();
        let mut next = Some(self.model(repo, &["tree", revision]));
        if let Some(first) = &mut next {
            first.set_query(Some("recursive=true&expand=false"));
        }
        while let Some(url) = next {
            let answer =
                self.call("tree", |http| http.get(url.clone()).headers(self.authorization())).await?;
            next = match answer.headers().get(LINK).and_then(urls::next_page) {
                Some(address) => Some(self.own_address("the next page", &address)?),
                None => None,
            };
            let page: Vec<TreeEntry> = call::json("tree", answer).await?;
            files.extend(page.into_iter().filter_map(TreeEntry::into_file));
        }
        Ok(files)
    }

    pub(crate) async fn refs(&self, repo: &str) -> Result<Refs, PublishError> {
        self.get("refs", self.model(repo, &["refs"])).await
    }

    /// Whether the Hub takes the card's metadata. A Hub that does not offer the check has no objection.
    pub(crate) async fn validate_card(&self, content: &str) -> Result<(), PublishError> {
        let url = self.url(&["api", "validate-yaml"]);
        let body = json!({ "content": content, "repoType": "model" });
        let answer = self
            .call("validate-yaml", |http| http.post(url.clone()).headers(self.authorization()).json(&body));
        match answer.await {
            Ok(answer) => call::json::<CardAnswer>("validate-yaml", answer).await?.verdict(),
            Err(PublishError::Answer { status: 404 | 405, .. }) => Ok(()),
            Err(PublishError::Answer { status: 400, message, .. }) => {
                Err(PublishError::CardRefused { reason: message })
            }
            Err(error) => Err(error),
        }
    }

    /// How the Hub wants each file: in the commit, or stored first. `samples` are path, size and the first 512 bytes.
    pub(crate) async fn preupload(
        &self,
        repo: &str,
        revision: &str,
        samples: &[serde_json::Value],
    ) -> Result<Vec<UploadMode>, PublishError> {
        let url = self.model(repo, &["preupload", revision]);
        let body = json!({ "files": samples });
        let answer = self
            .call("preupload", |http| http.post(url.clone()).headers(self.authorization()).json(&body))
            .await?;
        Ok(call::json::<PreuploadAnswer>("preupload", answer).await?.files)
    }

    /// How objects, given as (SHA-256 in hex, size), are to be stored.
    pub(crate) async fn lfs_batch(
        &self,
        repo: &str,
        revision: &str,
        objects: &[(String, u64)],
    ) -> Result<Batch, PublishError> {
        let (owner, name) = repo.split_once('/').unwrap_or(("", repo));
        let url = self.url(&[owner, &format!("{name}.git"), "info", "lfs", "objects", "batch"]);
        let objects: Vec<_> = objects.iter().map(|(oid, size)| json!({ "oid": oid, "size": size })).collect();
        let body = json!({
            "operation": "upload",
            "transfers": ["basic", "multipart", "xet"],
            "objects": objects,
            "hash_algo": "sha256",
            "ref": { "name": revision },
        });
        let text = body.to_string();
        let request = |http: &Client| {
            http.post(url.clone())
                .headers(self.authorization())
                .header(ACCEPT, LFS_JSON)
                .header(CONTENT_TYPE, LFS_JSON)
                .body(text.clone())
        };
        let answer = self.call("lfs batch", request).await?;
        call::json("lfs batch", answer).await
    }

    /// A token for the Hub's Xet storage, and the address that renews it.
    pub(crate) async fn xet_token(
        &self,
        repo: &str,
        revision: &str,
    ) -> Result<(XetToken, Url), PublishError> {
        let url = self.model(repo, &["xet-write-token", revision]);
        let token: XetToken = self.get("xet-write-token", url.clone()).await?;
        safe_address("the Xet storage", &token.cas_url)?;
        Ok((token, url))
    }

    /// One attempt, not repeated: a commit is not idempotent, and only its caller can look whether it landed.
    pub(crate) async fn commit(
        &self,
        repo: &str,
        revision: &str,
        ndjson: Vec<u8>,
    ) -> Result<String, PublishError> {
        let request = self
            .http
            .post(self.model(repo, &["commit", revision]))
            .headers(self.authorization())
            .header(CONTENT_TYPE, "application/x-ndjson")
            .body(ndjson);
        let answer = self.once("commit", request).await?;
        Ok(call::json::<Committed>("commit", answer).await?.commit_oid)
    }

    /// Creates the repository as private. One that is there already is left as it is.
    pub(crate) async fn create_private(&self, repo: &str) -> Result<(), PublishError> {
        let created =
            self.hub.create_repository().repo_id(repo).repo_type(RepoTypeModel).private(true).exist_ok(true);
        let created = self.bounded("create", created.send()).await?;
        created.map(drop).map_err(|error| call::from_hf("create", error))
    }

    /// Creates a branch at the head of `main`, unless it is there.
    pub(crate) async fn create_branch(&self, repo: &str, branch: &str) -> Result<(), PublishError> {
        let repository = self.repository(repo);
        match self.bounded("branch", repository.create_branch().branch(branch).send()).await? {
            Ok(()) | Err(HFError::Conflict { .. }) => Ok(()),
            Err(error) => Err(call::from_hf("branch", error)),
        }
    }

    /// Creates a tag, unless one of that name is there; the caller looks where it points.
    pub(crate) async fn create_tag(&self, repo: &str, tag: &str, commit: &str) -> Result<(), PublishError> {
        let repository = self.repository(repo);
        match self.bounded("tag", repository.create_tag().tag(tag).revision(commit).send()).await? {
            Ok(()) | Err(HFError::Conflict { .. }) => Ok(()),
            Err(error) => Err(call::from_hf("tag", error)),
        }
    }

    pub(crate) async fn set_gating(&self, repo: &str, gating: Gating) -> Result<(), PublishError> {
        let mode = match gating {
            Gating::None => GatedApprovalMode::Disabled,
            Gating::Auto => GatedApprovalMode::Auto,
            Gating::Manual => GatedApprovalMode::Manual,
        };
        let repository = self.repository(repo);
        let settings = self.bounded("settings", repository.update_settings().gated(mode).send()).await?;
        settings.map_err(|error| call::from_hf("settings", error))
    }

    pub(crate) async fn set_private(&self, repo: &str, private: bool) -> Result<(), PublishError> {
        let repository = self.repository(repo);
        let settings = self.bounded("settings", repository.update_settings().private(private).send()).await?;
        settings.map_err(|error| call::from_hf("settings", error))
    }

    fn repository(&self, repo: &str) -> HFRepository<RepoTypeModel> {
        let (owner, name) = hf_hub::split_id(repo);
        self.hub.model(owner, name)
    }

    /// An address of the Hub itself: the only kind that the token is sent to.
    pub(crate) fn own_address(&self, what: &'static str, address: &str) -> Result<Url, PublishError> {
        let url = safe_address(what, address)?;
        if url.origin() == self.endpoint.origin() {
            return Ok(url);
        }
        Err(PublishError::UnsafeAddress { what, address: urls::host_of(address) })
    }
}

/// An address that bytes may be sent to.
pub(crate) fn safe_address(what: &'static str, address: &str) -> Result<Url, PublishError> {
    match Url::parse(address) {
        Ok(url) if is_safe(&url) => Ok(url),
        _ => Err(PublishError::UnsafeAddress { what, address: urls::host_of(address) }),
    }
}

/// A repository that is not there, or that this token may not see.
fn absent_as_none<T>(found: Result<T, PublishError>) -> Result<Option<T>, PublishError> {
    match found {
        Ok(found) => Ok(Some(found)),
        Err(PublishError::Answer { status: 404, .. }) => Ok(None),
        Err(error) => Err(error),
    }
}
