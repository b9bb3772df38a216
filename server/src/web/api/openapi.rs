//! The description of the API: gathered from the endpoints themselves, completed with what holds for all of them.

mod answers;

use std::sync::LazyLock;

use axum::Json;
use sekisho_domain::audit::ChainedEntry;
use sekisho_domain::wire::Problem;
use serde_json::{Map, Value, json};
use utoipa::OpenApi as _;
use utoipa_axum::router::OpenApiRouter;

use super::idempotency;
use crate::{App, Viewer, WebError};

/// What the endpoints are about, in the order in which people meet it.
const TAGS: [(&str, &str); 10] = [
    ("runs", "Training runs: their metrics, events, processes and plans"),
    ("checkpoints", "Checkpoints that runs hand over"),
    ("evaluations", "Evaluations, their records, comparisons, and scores of others"),
    ("releases", "Releases on their way to the Hub"),
    ("channels", "Publication that goes on by itself, under an approval for a time"),
    ("corpora", "The registry of corpora and their release levels"),
    ("policies", "The rules that releases are judged by"),
    ("accounts", "Accounts, projects, tokens and sign-ins"),
    ("webhooks", "What other systems are told"),
    ("audit", "The audit log and the key that signs"),
];
const LAST_TAGS: [(&str, &str); 2] =
    [("work", "The queue, as workers see it"), ("service", "The service itself")];

/// What no endpoint names by itself.
#[derive(utoipa::OpenApi)]
#[openapi(info(title = "Sekisho", version = "1", description = ABOUT), components(schemas(Problem, ChainedEntry)))]
struct Whole;

static DOCUMENT: LazyLock<Value> = LazyLock::new(|| {
    let v1 = with_keys(super::keyed()).merge(super::secret());
    let all = OpenApiRouter::default().nest("/api/v1", v1).merge(super::beside());
    let mut api = Whole::openapi();
    api.merge(all.into_openapi());
    finished(serde_json::to_value(api).unwrap_or_default())
});

const ABOUT: &str = "Everything that the pages do, for programs. Errors are `application/problem+json` with a stable `code`; lists are \
                     read in parts that `next` names; a POST under an `Idempotency-Key` is carried out once; additive changes only.";

/// The description, OpenAPI 3.1.
pub(crate) fn document() -> &'static Value {
    &DOCUMENT
}

/// Describes the API, OpenAPI 3.1
#[utoipa::path(
    get,
    path = "/api/openapi.json",
    operation_id = "show_openapi",
    tag = "service",
    responses((status = 200, description = "This document.", body = Value)),
    security((), ("token" = []), ("session" = [])),
)]
pub(super) async fn show(viewer: Viewer) -> Result<Json<&'static Value>, WebError> {
    viewer.may_read()?;
    Ok(Json(document()))
}

/// The header that makes a POST one that is carried out once.
fn with_keys(mut router: OpenApiRouter<App>) -> OpenApiRouter<App> {
    use utoipa::openapi::path::{ParameterBuilder, ParameterIn};
    use utoipa::openapi::{ObjectBuilder, Type};
    let text = ObjectBuilder::new().schema_type(Type::String).min_length(Some(1)).max_length(Some(200));
    let key = ParameterBuilder::new()
        .name("Idempotency-Key")
        .parameter_in(ParameterIn::Header)
        .description(Some(
            "The same key with the same request within 24 hours is answered as the first time, and carried out once.",
        ))
        .schema(Some(text))
        .build();
    debug_assert!(key.name.eq_ignore_ascii_case(idempotency::KEY));
    for item in router.get_openapi_mut().paths.paths.values_mut() {
        if let Some(post) = &mut item.post {
            post.parameters.get_or_insert_default().push(key.clone().into());
        }
    }
    router
}

/// The document with what holds for all endpoints.
fn finished(mut api: Value) -> Value {
    let tags = TAGS.into_iter().chain(LAST_TAGS);
    api["tags"] =
        tags.map(|(name, description)| json!({ "name": name, "description": description })).collect();
    api["components"]["securitySchemes"] = json!({
        "token": { "type": "http", "scheme": "bearer", "description": "An API token (`sekisho token add`), or the secret of `sekisho login`. The names beside it are scopes that the token needs." },
        "session": { "type": "apiKey", "in": "cookie", "name": "sekisho", "description": "The session of a browser; reads only." },
    });
    if let Some(paths) = api["paths"].as_object_mut() {
        *paths = std::mem::take(paths).into_iter().map(|(path, item)| (plain(&path), item)).collect();
        for (path, item) in paths.iter_mut() {
            for (method, operation) in item.as_object_mut().into_iter().flatten() {
                answers::complete(path, method, operation);
            }
        }
    }
    let shared = answers::shared();
    api["components"]["responses"] = Value::Object(shared);
    open_parts(&mut api);
    refer(&mut api);
    api
}

/// The rows of a list are written out by their schema's derive; here they are the schema itself.
fn refer(api: &mut Value) {
    let Some(schemas) = api["components"]["schemas"].as_object_mut() else { return };
    let known: Vec<String> = schemas.keys().cloned().collect();
    for name in known
        .iter()
        .filter_map(|name| name.strip_prefix("Page_"))
        .filter(|name| known.iter().any(|one| one == name))
    {
        schemas[&format!("Page_{name}")]["properties"]["items"]["items"] =
            json!({ "$ref": format!("#/components/schemas/{name}") });
    }
}

/// `{*path}` of the router is `{path}` here.
fn plain(path: &str) -> String {
    path.replace("{*", "{")
}

/// An object that is a part of another one cannot refuse what the other parts say, and one that may be absent is then no part at all.
fn open_parts(api: &mut Value) {
    for schema in api["components"]["schemas"].as_object_mut().into_iter().flat_map(Map::values_mut) {
        for part in schema.get_mut("allOf").and_then(Value::as_array_mut).into_iter().flatten() {
            if part["oneOf"][1]["type"] == "null" {
                *part = json!({ "anyOf": [part["oneOf"][0], { "type": "object" }] });
            }
        }
    }
    let mut parts = Vec::new();
    gather_parts(api, &mut parts);
    for name in parts {
        if let Some(schema) = api["components"]["schemas"].get_mut(&name).and_then(Value::as_object_mut) {
            schema.remove("additionalProperties");
        }
    }
}

fn gather_parts(value: &Value, parts: &mut Vec<String>) {
    let of = |all: &Map<String, Value>, parts: &mut Vec<String>| {
        let all_of = all.get("allOf").and_then(Value::as_array).into_iter().flatten();
        let names = all_of.filter_map(|part| part["$ref"].as_str()?.strip_prefix("#/components/schemas/"));
        parts.extend(names.map(ToOwned::to_owned));
    };
    match value {
        Value::Object(all) => {
            of(all, parts);
            all.values().for_each(|value| gather_parts(value, parts));
        }
        Value::Array(all) => all.iter().for_each(|value| gather_parts(value, parts)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_description_is_the_one_that_is_committed() {
        let file = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/openapi.json");
        let now = format!("{}\n", serde_json::to_string_pretty(document()).expect("JSON"));
        if std::env::var("INSTA_UPDATE").as_deref() == Ok("always") {
            fs_err::write(&file, &now).expect("written");
        }
        let committed = fs_err::read_to_string(&file).expect("docs/openapi.json");
        let differs = committed.lines().zip(now.lines()).position(|(was, is)| was != is);
        assert!(
            committed == now,
            "docs/openapi.json is another one from line {differs:?} on; INSTA_UPDATE=always writes it. A field or an endpoint that was \
             there must stay."
        );
    }

    #[test]
    fn every_route_is_added_with_its_description() {
        let source = include_str!("mod.rs");
        for plain in [".route(", ".route_service(", ".nest_service(", ".fallback("] {
            assert!(!source.contains(plain), "{plain} adds a route that no description has");
        }
    }

    #[test]
    fn operations_have_names_of_their_own_and_say_what_they_do() {
        let mut ids = BTreeSet::new();
        let tags: BTreeSet<&str> = TAGS.iter().chain(&LAST_TAGS).map(|(name, _)| *name).collect();
        for (path, item) in document()["paths"].as_object().expect("paths") {
            for (method, operation) in item.as_object().expect("operations") {
                let name = operation["operationId"].as_str().expect("an id");
                assert!(ids.insert(name.to_owned()), "{name} is there twice");
                let mut words = name.split('_');
                assert!(words.next().is_some() && words.next().is_some(), "{name} is no verb and noun");
                assert!(
                    operation["summary"].as_str().is_some_and(|words| words.len() > 5),
                    "{method} {path}"
                );
                let of = operation["tags"].as_array().expect("tags");
                assert!(
                    of.iter().all(|tag| tags.contains(tag.as_str().unwrap_or_default())),
                    "{path}: {of:?}"
                );
            }
        }
        assert!(ids.len() > 80, "{}", ids.len());
    }

    #[test]
    fn every_reference_leads_somewhere() {
        fn references<'d>(value: &'d Value, found: &mut BTreeSet<&'d str>) {
            match value {
                Value::Object(all) => {
                    found.extend(all.get("$ref").and_then(Value::as_str));
                    all.values().for_each(|value| references(value, found));
                }
                Value::Array(all) => all.iter().for_each(|value| references(value, found)),
                _ => {}
            }
        }
        let mut found = BTreeSet::new();
        references(document(), &mut found);
        assert!(found.len() > 50);
        for reference in found {
            let pointer = reference.trim_start_matches('#');
            assert!(document().pointer(pointer).is_some(), "{reference}");
        }
    }
}
