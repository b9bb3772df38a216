//! `config.json` with another `torch_dtype`, everything else to the letter: parsing and printing it again would change the order
//! of its keys and the spelling of its numbers.

use std::fmt::Write as _;

/// The keys that name a type: the old and the new spelling of `transformers`.
const KEYS: [&str; 2] = ["torch_dtype", "dtype"];
/// Values that are replaced; "auto" and quantised types stay.
const FLOATS: [&str; 4] = ["float32", "float16", "bfloat16", "float64"];

/// Replaces the values of the keys, at any depth: models of several parts name the type in each.
pub(super) fn with_dtype(config: &str, dtype: &str) -> String {
    let mut out = String::with_capacity(config.len() + 8);
    let mut rest = config;
    // The last string that was followed by a colon.
    let mut key = None;
    let mut is_named = false;
    while let Some(start) = rest.find('"') {
        let Some(length) = string_length(&rest[start..]) else { break };
        let text = &rest[start + 1..start + length - 1];
        let after = &rest[start + length..];
        out.push_str(&rest[..start]);
        let is_key = after.trim_start().starts_with(':');
        // Only what stands directly behind the key is its value.
        let is_value = !is_key && rest[..start].trim() == ":";
        if is_value && key.is_some_and(|key| KEYS.contains(&key)) && FLOATS.contains(&text) {
            let _ = write!(out, "\"{dtype}\"");
        } else {
            out.push_str(&rest[start..start + length]);
        }
        is_named |= is_key && KEYS.contains(&text);
        key = is_key.then_some(text);
        rest = after;
    }
    out.push_str(rest);
    if is_named { out } else { added(&out, dtype) }
}

/// A configuration that names no type would be loaded as float32 whatever the file holds.
fn added(config: &str, dtype: &str) -> String {
    match config.rfind('}') {
        Some(end) if config[..end].contains(':') => {
            format!("{},\n  \"{}\": \"{dtype}\"\n{}", config[..end].trim_end(), KEYS[0], &config[end..])
        }
        _ => config.to_owned(),
    }
}

/// Bytes of the JSON string that the text begins with, quotes included.
fn string_length(text: &str) -> Option<usize> {
    let mut escaped = false;
    for (at, byte) in text.bytes().enumerate().skip(1) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return Some(at + 1),
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::with_dtype;

    #[test]
    fn only_the_type_changes() {
        let config = r#"{
  "z": 1e-05, "torch_dtype" : "float32","a": "dtype",
  "name\"torch_dtype": "float32",
  "text_config": {"dtype":"float16", "rope_theta": 10000.0},
  "list": ["torch_dtype", "float32", {"torch_dtype": "auto"}],
  "dtype": null, "quantization": {"bnb_4bit_compute_dtype": "float16"}
}
"#;
        let want = config
            .replace(r#""torch_dtype" : "float32""#, r#""torch_dtype" : "bfloat16""#)
            .replace(r#""dtype":"float16""#, r#""dtype":"bfloat16""#);
        assert_eq!(with_dtype(config, "bfloat16"), want);
        assert_ne!(want, config);
        assert_eq!(with_dtype("{}", "float32"), "{}");
        let silent = "{\n  \"hidden_size\": 64\n}\n";
        let named = "{\n  \"hidden_size\": 64,\n  \"torch_dtype\": \"bfloat16\"\n}\n";
        assert_eq!(
            with_dtype(silent, "bfloat16"),
            named,
            "a type that is not named is float32 to who loads it"
        );
        let auto = "{\"torch_dtype\": \"auto\"}";
        assert_eq!(with_dtype(auto, "bfloat16"), auto);
    }
}
