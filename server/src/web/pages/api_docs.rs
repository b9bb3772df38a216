//! `/api/docs`: the description of the API for people, drawn from the same document that programs read.

use std::collections::BTreeSet;

use askama::Template;
use axum::extract::State;
use axum::response::Response;
use serde_json::Value;

use super::api_schema::{Field, Piece, fields, kind, names, referred, sample, text};
use super::parts;
use crate::web::api;
use crate::web::frame::Frame;
use crate::{App, WebError};

#[derive(Template)]
#[template(path = "api/docs.html")]
struct DocsPage {
    frame: Frame,
    how: Vec<String>,
    asked: String,
    /// Endpoints that are shown.
    total: usize,
    /// Whether all is unfolded: what is found is few.
    is_open: bool,
    /// Address of this service.
    base: String,
    groups: Vec<Group>,
    refusals: Vec<Refusal>,
    schemas: Vec<SchemaView>,
}

struct Group {
    tag: String,
    operations: Vec<Operation>,
}

struct Operation {
    id: String,
    method: String,
    path: String,
    summary: String,
    description: String,
    /// Who may call it.
    needs: String,
    parameters: Vec<Field>,
    bodies: Vec<Body>,
    answers: Vec<Answer>,
    /// Status and name of what it shares with others.
    refusals: Vec<(String, String)>,
    curl: String,
    /// Schemas that it names.
    names: BTreeSet<String>,
}

struct Body {
    content_type: String,
    kind: Vec<Piece>,
    /// Of a body whose schema has no name.
    fields: Vec<Field>,
}

struct Answer {
    status: String,
    kind: Vec<Piece>,
    content_type: String,
    description: String,
}

struct Refusal {
    status: String,
    name: String,
    when: String,
    codes: Vec<String>,
}

struct SchemaView {
    name: String,
    description: String,
    kind: Vec<Piece>,
    fields: Vec<Field>,
}

/// Unfolded up to so many endpoints.
const FEW: usize = 6;

/// `GET /api/docs?q=…`.
pub(crate) async fn show(State(app): State<App>, frame: Frame) -> Result<Response, WebError> {
    let base = app.config.public_url.clone();
    parts::page(&page(frame, &base, api::document()))
}

fn page(frame: Frame, base: &str, api: &Value) -> DocsPage {
    let asked = frame.param("q").unwrap_or_default().trim().to_owned();
    let words: Vec<String> = asked.split_whitespace().map(str::to_lowercase).collect();
    let fits = |text: &str| words.iter().all(|word| text.to_lowercase().contains(word.as_str()));
    let mut groups: Vec<Group> = Vec::new();
    for tag in api["tags"].as_array().into_iter().flatten() {
        let tag = text(&tag["name"]);
        let mut operations = operations(&frame, base, api, &tag);
        operations.retain(|one| fits(&one.searched()));
        if !operations.is_empty() {
            groups.push(Group { tag, operations });
        }
    }
    let mut schemas = schemas(api);
    let mut named: BTreeSet<String> =
        groups.iter().flat_map(|group| &group.operations).flat_map(|one| one.names.clone()).collect();
    let found = |schema: &SchemaView| fits(&format!("{} {}", schema.name, schema.description));
    named.extend(schemas.iter().filter(|schema| found(schema)).map(|schema| schema.name.clone()));
    if !named.is_empty() {
        named.insert("Problem".to_owned());
    }
    let named = with_parts(api, named);
    schemas.retain(|schema| named.contains(&schema.name));
    let total = groups.iter().map(|group| group.operations.len()).sum();
    DocsPage {
        how: vec![format!("curl {base}/api/openapi.json"), "GET /api/openapi.json".to_owned()],
        is_open: !asked.is_empty() && total <= FEW,
        refusals: refusals(api),
        base: base.to_owned(),
        total,
        asked,
        groups,
        schemas,
        frame,
    }
}

fn operations(frame: &Frame, base: &str, api: &Value, tag: &str) -> Vec<Operation> {
    let mut found = Vec::new();
    for (path, item) in api["paths"].as_object().into_iter().flatten() {
        for (method, of) in item.as_object().into_iter().flatten() {
            if of["tags"][0] == tag {
                found.push(operation(frame, base, api, (&method.to_uppercase(), path), of));
            }
        }
    }
    found
}

fn operation(frame: &Frame, base: &str, api: &Value, (method, path): (&str, &str), of: &Value) -> Operation {
    let (mut answers, mut refusals) = (Vec::new(), Vec::new());
    for (status, answer) in of["responses"].as_object().into_iter().flatten() {
        match answer["$ref"].as_str().and_then(|reference| reference.rsplit('/').next()) {
            Some(name) => refusals.push((status.clone(), name.to_owned())),
            None => answers.push(one_answer(status, answer)),
        }
    }
    Operation {
        id: text(&of["operationId"]),
        summary: text(&of["summary"]),
        description: text(&of["description"]),
        needs: needs(frame, &of["security"]),
        parameters: parameters(of),
        bodies: contents(&of["requestBody"]).map(body).collect(),
        curl: curl(base, api, (method, path), of),
        method: method.to_owned(),
        path: path.to_owned(),
        names: names(of),
        answers,
        refusals,
    }
}

/// Schemas with those that they are made of.
fn with_parts(api: &Value, mut wanted: BTreeSet<String>) -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    while let Some(name) = wanted.pop_first() {
        let parts = names(&api["components"]["schemas"][&name]);
        wanted.extend(parts.into_iter().filter(|part| !all.contains(part)));
        all.insert(name);
    }
    all
}

impl Operation {
    /// What a search looks at.
    fn searched(&self) -> String {
        [&self.id, &self.method, &self.path, &self.summary, &self.description].map(String::as_str).join(" ")
    }
}

fn contents(of: &Value) -> impl Iterator<Item = (&String, &Value)> {
    of["content"].as_object().into_iter().flatten()
}

fn body((content_type, content): (&String, &Value)) -> Body {
    let schema = &content["schema"];
    let own = referred(schema).is_none();
    Body {
        content_type: content_type.clone(),
        kind: kind(schema),
        fields: if own { fields(schema) } else { Vec::new() },
    }
}

fn one_answer(status: &str, answer: &Value) -> Answer {
    let content = contents(answer).next();
    let described = content.filter(|(_, content)| content["schema"].is_object());
    Answer {
        status: status.to_owned(),
        kind: described.map_or_else(Vec::new, |(_, content)| kind(&content["schema"])),
        content_type: content.map_or_else(String::new, |(content_type, _)| content_type.clone()),
        description: text(&answer["description"]),
    }
}

/// What must be told first.
fn parameters(of: &Value) -> Vec<Field> {
    let mut all: Vec<Field> = of["parameters"].as_array().into_iter().flatten().map(parameter).collect();
    all.sort_by_key(|field| !field.is_required);
    all
}

fn parameter(of: &Value) -> Field {
    let schema = &of["schema"];
    let mut notes = vec![text(&of["description"])];
    let (least, most) = (&schema["minimum"], &schema["maximum"]);
    if most.is_number() {
        notes.push(format!("{least}–{most}; {} when absent.", schema["default"]));
    }
    Field {
        name: text(&of["name"]),
        kind: kind(schema),
        is_required: of["required"] == true,
        place: text(&of["in"]),
        note: notes.join(" ").trim().to_owned(),
    }
}

/// Who may call an endpoint.
fn needs(frame: &Frame, security: &Value) -> String {
    let all: Vec<&Value> = security.as_array().into_iter().flatten().collect();
    let is_open = all.iter().any(|one| one.as_object().is_some_and(serde_json::Map::is_empty));
    let token = all.iter().find_map(|one| one.get("token"));
    match (is_open, token) {
        (true, None) | (false, None) => frame.t("api_docs.for_anybody").to_owned(),
        (true, Some(_)) => frame.t("api_docs.for_readers").to_owned(),
        (false, Some(scopes)) => match scopes[0].as_str() {
            Some(scope) => frame.fill("api_docs.for_scope", "scope", scope),
            None => frame.t("api_docs.for_token").to_owned(),
        },
    }
}

/// A command that calls the endpoint, with a body that has what is required.
fn curl(base: &str, api: &Value, (method, path): (&str, &str), of: &Value) -> String {
    let mut line = "curl".to_owned();
    if method != "GET" {
        line.push_str(&format!(" -X {method}"));
    }
    let path = path.replace('{', "$").replace('}', "");
    let required = of["parameters"].as_array().into_iter().flatten();
    let query: Vec<String> = required
        .filter(|one| one["in"] == "query" && one["required"] == true)
        .map(|one| format!("{0}=${0}", text(&one["name"])))
        .collect();
    let query = if query.is_empty() { String::new() } else { format!("?{}", query.join("&")) };
    line.push_str(&format!(" \"{base}{path}{query}\""));
    if of["security"].as_array().is_some_and(|all| all.iter().any(|one| one.get("token").is_some())) {
        line.push_str(" \\\n  -H \"Authorization: Bearer $SEKISHO_TOKEN\"");
    }
    if of["parameters"].as_array().into_iter().flatten().any(|one| one["name"] == "If-Match") {
        line.push_str(" \\\n  -H \"If-Match: $ETAG\"");
    }
    if let Some(content) = of["requestBody"]["content"].get("application/json") {
        let body = sample(api, &content["schema"], 0).to_string().replace('\'', "'\\''");
        line.push_str(&format!(" \\\n  -H \"Content-Type: application/json\" \\\n  -d '{body}'"));
    }
    line
}

fn refusals(api: &Value) -> Vec<Refusal> {
    let all = api["components"]["responses"].as_object().into_iter().flatten();
    let mut refusals: Vec<Refusal> = all
        .map(|(name, answer)| Refusal {
            status: text(&answer["x-status"]),
            when: text(&answer["description"]).split(" Codes: ").next().unwrap_or_default().to_owned(),
            codes: answer["x-codes"].as_array().into_iter().flatten().map(text).collect(),
            name: name.clone(),
        })
        .collect();
    refusals.sort_by(|a, b| a.status.cmp(&b.status));
    refusals
}

fn schemas(api: &Value) -> Vec<SchemaView> {
    let all = api["components"]["schemas"].as_object().into_iter().flatten();
    all.map(|(name, schema)| SchemaView {
        description: text(&schema["description"]),
        kind: kind(schema),
        fields: fields(schema),
        name: name.clone(),
    })
    .collect()
}

#[cfg(test)]
pub(super) fn samples(frame: &Frame) -> Vec<String> {
    let asking = |asked: &str| {
        let mut frame = frame.clone();
        frame.path = "/api/docs".to_owned();
        frame.query = vec![("q".to_owned(), asked.to_owned())];
        page(frame, "http://127.0.0.1:7070", api::document()).render().expect("renders")
    };
    let (all, few, none) = (asking(""), asking("list_runs"), asking("<script>"));
    assert!(
        all.contains("id=\"create_run\"") && all.contains("id=\"schema-Run\""),
        "every endpoint has an anchor"
    );
    assert!(
        few.contains("<details open>") && !few.contains("id=\"create_run\""),
        "what is found is unfolded"
    );
    assert!(none.contains("&#60;script&#62;"), "what was asked is text");
    for page in [&all, &few] {
        for link in page.split("href=\"#").skip(1).filter_map(|rest| rest.split('"').next()) {
            assert!(page.contains(&format!("id=\"{link}\"")), "#{link} leads nowhere");
        }
    }
    vec![all, few, none]
}
