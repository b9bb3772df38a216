use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Value, json};

use super::account::Asking;
use super::refused::{Answer, Refused};
use super::state::{Commit, Repo, State as Remembered};
use super::{Hub, Shared};

/// `/{owner}/{name}` of a path.
#[derive(Deserialize)]
pub(super) struct Id {
    owner: String,
    name: String,
}

/// The same with a revision, branch or tag.
#[derive(Deserialize)]
pub(super) struct At {
    owner: String,
    name: String,
    #[serde(alias = "branch")]
    pub(super) revision: String,
}

impl Id {
    pub(super) fn id(&self) -> String {
        format!("{}/{}", self.owner, self.name)
    }
}

impl At {
    pub(super) fn id(&self) -> String {
        format!("{}/{}", self.owner, self.name)
    }
}

impl Asking {
    /// The repository, when this account may see it.
    pub(super) fn sees<'a>(self, state: &'a Remembered, id: &str) -> Answer<&'a Repo> {
        let repo = state.repos.get(id).filter(|repo| self.may_see(repo));
        repo.ok_or_else(|| Refused::no_repo(self.0.is_none()))
    }

    /// The repository, when this account may write to it.
    pub(super) fn writes<'a>(self, state: &'a mut Remembered, id: &str) -> Answer<&'a mut Repo> {
        self.sees(state, id)?;
        let repo = state.repos.get_mut(id).filter(|repo| self.may_write(repo.owner()));
        repo.ok_or_else(Refused::forbidden)
    }
}

#[derive(Deserialize)]
pub(super) struct Create {
    name: String,
    #[serde(default)]
    organization: Option<String>,
    #[serde(default)]
    private: Option<bool>,
    #[serde(default)]
    visibility: Option<String>,
    #[serde(default, rename = "type")]
    kind: Option<String>,
}

pub(super) async fn create(State(hub): Hub, asking: Asking, Json(body): Json<Create>) -> Answer {
    let account = asking.0.ok_or_else(Refused::bad_token)?;
    if body.kind.is_some_and(|kind| kind != "model") {
        return Err(Refused::bad("the double holds models only"));
    }
    let owner = body.organization.as_deref().unwrap_or(account.name);
    if !asking.may_write(owner) {
        return Err(Refused::forbidden());
    }
    let id = format!("{owner}/{}", body.name);
    let mut state = hub.state();
    let status = if state.repos.contains_key(&id) {
        StatusCode::CONFLICT
    } else {
        let private = wants_private(body.private, body.visibility.as_deref()).unwrap_or(false);
        state.create(&id, private && !hub.options.ignores_private);
        StatusCode::OK
    };
    let url = format!("{}/{id}", hub.endpoint);
    let mut answer = json!({ "url": url, "name": id, "id": id });
    if status == StatusCode::CONFLICT {
        answer["error"] = json!("You already created this model repo");
    }
    Ok((status, Json(answer)).into_response())
}

/// Both spellings: `private` of the Rust client, `visibility` of the Python client.
fn wants_private(private: Option<bool>, visibility: Option<&str>) -> Option<bool> {
    private.or(visibility.map(|visibility| visibility == "private"))
}

#[derive(Deserialize)]
pub(super) struct Delete {
    name: String,
    #[serde(default)]
    organization: Option<String>,
}

pub(super) async fn delete(State(hub): Hub, asking: Asking, Json(body): Json<Delete>) -> Answer<()> {
    let account = asking.0.ok_or_else(Refused::bad_token)?;
    let id = format!("{}/{}", body.organization.as_deref().unwrap_or(account.name), body.name);
    let mut state = hub.state();
    asking.writes(&mut state, &id)?;
    state.repos.remove(&id);
    Ok(())
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Move {
    from_repo: String,
    to_repo: String,
}

pub(super) async fn rename(State(hub): Hub, asking: Asking, Json(body): Json<Move>) -> Answer<()> {
    let mut state = hub.state();
    asking.writes(&mut state, &body.from_repo)?;
    if !asking.may_write(body.to_repo.split('/').next().unwrap_or_default()) {
        return Err(Refused::forbidden());
    }
    if state.repos.contains_key(&body.to_repo) {
        return Err(Refused::new(StatusCode::CONFLICT, "a repository of that name exists"));
    }
    if let Some(mut repo) = state.repos.remove(&body.from_repo) {
        repo.id.clone_from(&body.to_repo);
        state.repos.insert(body.to_repo, repo);
    }
    Ok(())
}

pub(super) async fn info(State(hub): Hub, asking: Asking, Path(path): Path<Id>) -> Answer<Json<Value>> {
    about(&hub, asking, &path.id(), "main")
}

pub(super) async fn info_at(State(hub): Hub, asking: Asking, Path(path): Path<At>) -> Answer<Json<Value>> {
    about(&hub, asking, &path.id(), &path.revision)
}

fn about(hub: &Shared, asking: Asking, id: &str, revision: &str) -> Answer<Json<Value>> {
    let state = hub.state();
    let repo = asking.sees(&state, id)?;
    let commit = repo.find(revision).ok_or_else(|| Refused::no_revision(revision))?;
    let siblings: Vec<_> = commit.tree.keys().map(|path| json!({ "rfilename": path })).collect();
    let gated = repo.gated.as_ref().map_or(json!(false), |mode| json!(mode));
    Ok(Json(json!({
        "_id": id,
        "id": id,
        "modelId": id,
        "author": repo.owner(),
        "sha": commit.oid,
        "private": repo.claims_private.unwrap_or(repo.private),
        "gated": gated,
        "disabled": false,
        "tags": [],
        "downloads": 0,
        "likes": 0,
        "siblings": siblings,
        "lastModified": commit.date,
        "createdAt": "2025-01-01T00:00:00.000Z",
    })))
}

pub(super) async fn refs(State(hub): Hub, asking: Asking, Path(path): Path<Id>) -> Answer<Json<Value>> {
    let state = hub.state();
    let repo = asking.sees(&state, &path.id())?;
    let list = |kind: &str, refs: &std::collections::BTreeMap<String, String>| -> Vec<Value> {
        let one = |(name, oid): (&String, &String)| json!({ "name": name, "ref": format!("refs/{kind}/{name}"), "targetCommit": oid });
        refs.iter().map(one).collect()
    };
    let (branches, tags) = (list("heads", &repo.branches), list("tags", &repo.tags));
    Ok(Json(json!({ "branches": branches, "tags": tags, "converts": [], "pullRequests": [] })))
}

pub(super) async fn commits(State(hub): Hub, asking: Asking, Path(path): Path<At>) -> Answer<Json<Value>> {
    let state = hub.state();
    let repo = asking.sees(&state, &path.id())?;
    let head = repo.find(&path.revision).ok_or_else(|| Refused::no_revision(&path.revision))?;
    let line = |commit: &Commit| {
        json!({
            "id": commit.oid,
            "title": commit.title,
            "message": commit.message,
            "authors": [{ "user": commit.author }],
            "date": commit.date,
        })
    };
    Ok(Json(repo.history(&head.oid).into_iter().map(line).collect()))
}

#[derive(Deserialize)]
pub(super) struct Tag {
    tag: String,
}

pub(super) async fn create_tag(
    State(hub): Hub,
    asking: Asking,
    Path(path): Path<At>,
    Json(body): Json<Tag>,
) -> Answer<()> {
    let mut state = hub.state();
    let repo = asking.writes(&mut state, &path.id())?;
    let commit = repo.find(&path.revision).ok_or_else(|| Refused::no_revision(&path.revision))?;
    let oid = commit.oid.clone();
    if repo.tags.contains_key(&body.tag) {
        return Err(Refused::new(StatusCode::CONFLICT, "Tag reference exists already"));
    }
    repo.tags.insert(body.tag, oid);
    Ok(())
}

pub(super) async fn delete_tag(State(hub): Hub, asking: Asking, Path(path): Path<At>) -> Answer<()> {
    let mut state = hub.state();
    let repo = asking.writes(&mut state, &path.id())?;
    repo.tags.remove(&path.revision).map(drop).ok_or_else(|| Refused::no_revision(&path.revision))
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Branch {
    #[serde(default)]
    starting_point: Option<String>,
}

pub(super) async fn create_branch(
    State(hub): Hub,
    asking: Asking,
    Path(path): Path<At>,
    body: Option<Json<Branch>>,
) -> Answer<()> {
    let mut state = hub.state();
    let repo = asking.writes(&mut state, &path.id())?;
    if repo.branches.contains_key(&path.revision) {
        return Err(Refused::new(StatusCode::CONFLICT, "Reference already exists"));
    }
    let start = body.and_then(|Json(body)| body.starting_point).unwrap_or_else(|| "main".to_owned());
    let commit = repo.find(&start).ok_or_else(|| Refused::no_revision(&start))?;
    let oid = commit.oid.clone();
    repo.branches.insert(path.revision, oid);
    Ok(())
}

pub(super) async fn delete_branch(State(hub): Hub, asking: Asking, Path(path): Path<At>) -> Answer<()> {
    let mut state = hub.state();
    let repo = asking.writes(&mut state, &path.id())?;
    if path.revision == "main" {
        return Err(Refused::bad("the main branch cannot be deleted"));
    }
    repo.branches.remove(&path.revision).map(drop).ok_or_else(|| Refused::no_revision(&path.revision))
}

#[derive(Deserialize)]
pub(super) struct Settings {
    #[serde(default)]
    private: Option<bool>,
    #[serde(default)]
    visibility: Option<String>,
    #[serde(default)]
    gated: Option<Value>,
}

pub(super) async fn settings(
    State(hub): Hub,
    asking: Asking,
    Path(path): Path<Id>,
    Json(body): Json<Settings>,
) -> Answer<Response> {
    let mut state = hub.state();
    let repo = asking.writes(&mut state, &path.id())?;
    if hub.options.ignores_settings {
        return Ok(Json(json!({})).into_response());
    }
    match wants_private(body.private, body.visibility.as_deref()) {
        Some(private) if hub.options.keeps_hidden => repo.claims_private = Some(private),
        Some(private) => repo.private = private,
        None => {}
    }
    match body.gated {
        None => {}
        Some(Value::Bool(false)) => repo.gated = None,
        Some(Value::String(mode)) if mode == "auto" || mode == "manual" => repo.gated = Some(mode),
        Some(other) => return Err(Refused::bad(format!("gated cannot be {other}"))),
    }
    Ok(Json(json!({ "private": repo.private, "gated": repo.gated })).into_response())
}
