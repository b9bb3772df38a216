use std::sync::Arc;

use axum::Json;
use axum::extract::FromRequestParts;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use serde_json::{Value, json};

use super::Shared;
use super::refused::{Answer, Refused};
use super::state::Repo;

/// Token of `sekisho-bot`, who may write in the organisation `lab`.
pub const WRITER: &str = "hf_double_writer";
/// A token of the same account that may only read.
pub const READER: &str = "hf_double_reader";
/// Token of somebody who is not in `lab`.
pub const OUTSIDER: &str = "hf_double_outsider";

/// A fine-grained token of the same account that may write in `lab`.
pub const FINE_WRITER: &str = "hf_double_fine_writer";
/// One that may read there.
pub const FINE_READER: &str = "hf_double_fine_reader";
/// One that may write to another repository of `lab` alone.
pub const FINE_ELSEWHERE: &str = "hf_double_fine_elsewhere";

/// Who asks; nobody without a token.
#[derive(Clone, Copy)]
pub(super) struct Asking(pub(super) Option<&'static Account>);

pub(super) struct Account {
    token: &'static str,
    pub(super) name: &'static str,
    /// `read`, `write` or `fineGrained`.
    role: &'static str,
    /// Entities and what a fine-grained token may do there.
    scopes: &'static [(&'static str, &'static str)],
    /// Organisations and the role there.
    orgs: &'static [(&'static str, &'static str)],
}

const BOT: Account =
    Account { token: "", name: "sekisho-bot", role: "fineGrained", scopes: &[], orgs: &[("lab", "write")] };

const ACCOUNTS: &[Account] = &[
    Account { token: WRITER, role: "write", scopes: &[], ..BOT },
    Account { token: READER, role: "read", scopes: &[], ..BOT },
    Account { token: FINE_WRITER, scopes: &[("lab", "repo.write")], ..BOT },
    Account { token: FINE_READER, scopes: &[("lab", "repo.content.read")], ..BOT },
    Account { token: FINE_ELSEWHERE, scopes: &[("lab/other", "repo.write")], ..BOT },
    Account {
        token: OUTSIDER,
        name: "outsider",
        role: "write",
        scopes: &[],
        orgs: &[("elsewhere", "admin")],
    },
];

impl FromRequestParts<Arc<Shared>> for Asking {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, _: &Arc<Shared>) -> Result<Self, Refused> {
        let Some(header) = parts.headers.get(AUTHORIZATION) else { return Ok(Self(None)) };
        let token = header.to_str().ok().and_then(|text| text.strip_prefix("Bearer "));
        let account = ACCOUNTS.iter().find(|account| Some(account.token) == token);
        account.map(|account| Self(Some(account))).ok_or_else(Refused::bad_token)
    }
}

impl Asking {
    fn belongs_to(self, owner: &str) -> Option<&'static str> {
        let account = self.0?;
        if account.name == owner {
            return Some("admin");
        }
        account.orgs.iter().find(|(org, _)| *org == owner).map(|(_, role)| *role)
    }

    /// Whether the repository may be seen.
    pub(super) fn may_see(self, repo: &Repo) -> bool {
        !repo.private || self.belongs_to(repo.owner()).is_some()
    }

    /// Whether files may be downloaded.
    pub(super) fn may_download(self, repo: &Repo) -> bool {
        self.may_see(repo) && (repo.gated.is_none() || self.belongs_to(repo.owner()).is_some())
    }

    /// Whether anything may be written below this owner.
    pub(super) fn may_write(self, owner: &str) -> bool {
        let writes = |account: &Account| match account.role {
            "fineGrained" => account.scopes.contains(&(owner, "repo.write")),
            role => role == "write",
        };
        self.0.is_some_and(writes) && self.belongs_to(owner).is_some_and(|role| role != "read")
    }
}

pub(super) async fn whoami(Asking(account): Asking) -> Answer<Json<Value>> {
    let account = account.ok_or_else(Refused::bad_token)?;
    let org = |(name, role): &(&str, &str)| json!({ "type": "org", "id": name, "name": name, "fullname": name, "roleInOrg": role, "isEnterprise": false });
    let orgs: Vec<_> = account.orgs.iter().map(org).collect();
    let mut token =
        json!({ "displayName": "test", "role": account.role, "createdAt": "2025-01-01T00:00:00.000Z" });
    if account.role == "fineGrained" {
        let scope = |(name, permission): &(&str, &str)| {
            let kind = if name.contains('/') { "model" } else { "org" };
            json!({ "entity": { "_id": name, "type": kind, "name": name }, "permissions": [permission] })
        };
        let scoped: Vec<_> = account.scopes.iter().map(scope).collect();
        token["fineGrained"] =
            json!({ "canReadGatedRepos": false, "global": ["discussion.write"], "scoped": scoped });
    }
    Ok(Json(json!({
        "type": "user",
        "id": account.name,
        "name": account.name,
        "fullname": account.name,
        "email": format!("{}@example.org", account.name),
        "orgs": orgs,
        "auth": { "type": "access_token", "accessToken": token },
    })))
}
