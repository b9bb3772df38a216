//! Whether answers are what `docs/openapi.json` says: every request of a test to the API is looked at.

use std::path::Path;
use std::sync::LazyLock;

use reqwest::Url;
use serde_json::Value;

static DOCUMENT: LazyLock<Value> = LazyLock::new(|| {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/openapi.json");
    let text = fs_err::read_to_string(file).expect("the description of the API");
    serde_json::from_str(&text).expect("JSON")
});

/// The description of the API, as it is committed.
#[must_use]
pub fn document() -> &'static Value {
    &DOCUMENT
}

/// What of an exchange is not as described; nothing where the address is none of the API's.
#[must_use]
pub fn fault(
    method: &str,
    url: &Url,
    sent: Option<&[u8]>,
    status: u16,
    kind: &str,
    body: &str,
) -> Option<String> {
    let operation = operation(method, url.path())?;
    let name = &operation["operationId"];
    let Some(answer) = operation["responses"].get(status.to_string()) else {
        return Some(format!("{name} answers {status}, which its description lacks: {body}"));
    };
    let answer = answer["$ref"].as_str().map_or(answer, |reference| at(reference));
    let content = kind.split(';').next().unwrap_or_default();
    let told = match answer["content"].get(content) {
        Some(described) if ["application/json", "application/problem+json"].contains(&content) => {
            let value: Value = serde_json::from_str(body).unwrap_or_default();
            mismatch(&described["schema"], &value, "")
                .map(|why| format!("the answer {status} of {name}: {why} in {body}"))
        }
        None if !body.is_empty() => {
            Some(format!("{name} answers {status} as {content:?}, which its description lacks"))
        }
        _ => None,
    };
    let request = &operation["requestBody"]["content"]["application/json"]["schema"];
    let sent =
        sent.filter(|_| (200..300).contains(&status)).and_then(|sent| serde_json::from_slice(sent).ok());
    told.or_else(|| {
        let why = sent.filter(|_| request.is_object()).and_then(|sent| mismatch(request, &sent, ""));
        why.map(|why| format!("the body that {name} took: {why}"))
    })
}

/// The operation of an address: the one whose path has the fewest parameters, as the router chooses.
fn operation(method: &str, path: &str) -> Option<&'static Value> {
    let paths = document()["paths"].as_object()?;
    let fits = |template: &str| {
        let rest = template.ends_with("/files/{path}");
        let (of, is): (Vec<&str>, Vec<&str>) = (template.split('/').collect(), path.split('/').collect());
        let same = |(of, is): (&&str, &&str)| of == is || of.starts_with('{');
        (of.len() == is.len() || rest && is.len() > of.len()) && of.iter().zip(&is).all(same)
    };
    let found =
        paths.iter().filter(|(template, item)| fits(template) && item.get(method.to_lowercase()).is_some());
    let (_, item) = found.min_by_key(|(template, _)| template.matches('{').count())?;
    item.get(method.to_lowercase())
}

fn at(reference: &str) -> &'static Value {
    document().pointer(reference.trim_start_matches('#')).expect("every reference leads somewhere")
}

/// Why a value is not what a schema says; where, and what.
fn mismatch(schema: &Value, value: &Value, place: &str) -> Option<String> {
    if let Some(reference) = schema["$ref"].as_str() {
        return mismatch(at(reference), value, place);
    }
    for part in schema["allOf"].as_array().into_iter().flatten() {
        if let Some(why) = mismatch(part, value, place) {
            return Some(why);
        }
    }
    for key in ["oneOf", "anyOf"] {
        if let Some(choices) = schema[key].as_array() {
            let whys: Vec<String> = choices.iter().filter_map(|one| mismatch(one, value, place)).collect();
            if whys.len() == choices.len() {
                return Some(whys.join("; "));
            }
        }
    }
    if schema["enum"].as_array().is_some_and(|values| !values.contains(value)) {
        return Some(format!("{place} is {value}, none of {}", schema["enum"]));
    }
    let fits = |name: &Value| match name.as_str() {
        Some("null") => value.is_null(),
        Some("string") => value.is_string(),
        Some("boolean") => value.is_boolean(),
        Some("integer") => value.is_i64() || value.is_u64(),
        Some("number") => value.is_number(),
        Some("array") => value.is_array(),
        Some("object") => value.is_object(),
        _ => false,
    };
    let kinds = match &schema["type"] {
        Value::Array(all) => all.as_slice(),
        Value::Null => &[],
        one => std::slice::from_ref(one),
    };
    if !kinds.is_empty() && !kinds.iter().any(fits) {
        return Some(format!("{place} is {value}, expected {}", schema["type"]));
    }
    inside(schema, value, place)
}

fn inside(schema: &Value, value: &Value, place: &str) -> Option<String> {
    for name in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        if value.is_object() && value.get(name).is_none() {
            return Some(format!("{place}/{name} is missing"));
        }
    }
    for (name, of) in value.as_object().into_iter().flatten() {
        let place = format!("{place}/{name}");
        let described = schema["properties"].get(name).or_else(|| Some(&schema["additionalProperties"]));
        let why = match described? {
            Value::Bool(false) => Some(format!("{place} is not described")),
            described if described.is_object() => mismatch(described, of, &place),
            _ => None,
        };
        if why.is_some() {
            return why;
        }
    }
    let items = value.as_array().into_iter().flatten().enumerate();
    let described = |n: usize| schema["prefixItems"].get(n).unwrap_or(&schema["items"]);
    items
        .filter(|(n, _)| described(*n).is_object())
        .find_map(|(n, item)| mismatch(described(n), item, &format!("{place}/{n}")))
}
