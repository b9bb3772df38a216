use serde_json::Value;

/// Parts of a specification that may change while its run goes on, whole sections and single keys: they change no update. Files may have moved; what is
/// in them is held against its hash.
const CHANGEABLE: [&str; 7] = [
    "stop",
    "checkpoint",
    "evaluate",
    "tokenizer.path",
    "precision.recompute",
    "optimizer.telemetry_every",
    "stability.max_rollbacks",
];

/// Removes from a specification what may change while its run goes on.
pub fn remove_changeable(spec: &mut Value) {
    for key in CHANGEABLE {
        let (section, key) = key.rsplit_once('.').map_or((None, key), |(section, key)| (Some(section), key));
        let section = match section {
            Some(section) => spec.get_mut(section),
            None => Some(&mut *spec),
        };
        section.and_then(Value::as_object_mut).map(|section| section.remove(key));
    }
    for mix in spec.pointer_mut("/data/mix").and_then(Value::as_array_mut).into_iter().flatten() {
        mix.as_object_mut().map(|mix| mix.remove("path"));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::remove_changeable;

    #[test]
    fn sections_keys_and_places_of_files_go_and_the_rest_stays() {
        let mut spec = json!({
            "name": "a", "stop": { "steps": 9 }, "precision": { "forward": "f32", "recompute": "none" },
            "data": { "mix": [{ "name": "m", "path": "/a.jsonl" }] },
        });
        remove_changeable(&mut spec);
        let left =
            json!({ "name": "a", "precision": { "forward": "f32" }, "data": { "mix": [{ "name": "m" }] } });
        assert_eq!(spec, left);
        let mut flat = json!("flat");
        remove_changeable(&mut flat);
        assert_eq!(flat, json!("flat"));
    }
}
