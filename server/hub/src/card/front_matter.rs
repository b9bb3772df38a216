//! The YAML that the Hub reads: <https://huggingface.co/docs/hub/model-cards>, and `model-index` in the form of Papers with
//! Code. Only the English card has it; the Hub reads no other.

use sekisho_domain::lineage::{Gating, InputKind};

use super::figures::is_percent;
use super::{CardFacts, CardScore};

pub(super) fn render(facts: &CardFacts) -> String {
    let mut lines = vec!["---".to_owned()];
    let release = facts.lineage.release.as_ref();
    let mut list = |key: &str, items: &[String]| match items {
        [] => {}
        [one] => lines.push(format!("{key}: {}", scalar(one))),
        many => lines.push(format!(
            "{key}: [{}]",
            many.iter().map(|item| scalar(item)).collect::<Vec<_>>().join(", ")
        )),
    };
    list("language", &facts.languages);
    list("license", release.map_or(&[], |release| &release.license));
    if release.is_some_and(|release| release.license.iter().any(|id| id == OTHER)) {
        list("license_name", &[license_name(&facts.lineage.model.name)]);
        list("license_link", &["LICENSE".to_owned()]);
    }
    list("base_model", &inputs(facts, |kind| matches!(kind, InputKind::BaseModel | InputKind::Merge)));
    let merged = facts.lineage.inputs.iter().any(|input| input.kind == InputKind::Merge);
    let based = merged || facts.lineage.inputs.iter().any(|input| input.kind == InputKind::BaseModel);
    if based {
        list("base_model_relation", &[if merged { "merge" } else { "finetune" }.to_owned()]);
    }
    list(
        "datasets",
        &inputs(facts, |kind| {
            matches!(kind, InputKind::Corpus | InputKind::Synthetic | InputKind::Preference)
        }),
    );
    lines.push("library_name: transformers".to_owned());
    lines.push("pipeline_tag: text-generation".to_owned());
    if release.is_some_and(|release| release.gating == Gating::Manual) {
        lines.push("extra_gated_heading: \"Access is granted one by one\"".to_owned());
    }
    if !facts.scores.is_empty() {
        lines.push("model-index:".to_owned());
        lines.push(format!("- name: {}", scalar(&facts.lineage.model.name)));
        lines.push("  results:".to_owned());
        lines.extend(facts.scores.iter().flat_map(result));
    }
    lines.push("---\n\n".to_owned());
    lines.join("\n")
}

/// The Hub's id for a licence that has none there; the card must then name it and say where its text is.
const OTHER: &str = "other";

/// `lab-8b-license`: the Hub takes lower-case letters, digits, "." and "-".
fn license_name(model: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || c == '.' { c.to_ascii_lowercase() } else { '-' };
    let name: String = model.chars().map(plain).collect();
    let parts: Vec<&str> = name.split('-').filter(|part| !part.is_empty()).chain(["license"]).collect();
    parts.join("-")
}

/// Ids that are repositories on the Hub; other names would be broken links there.
fn inputs(facts: &CardFacts, wanted: fn(InputKind) -> bool) -> Vec<String> {
    let ids =
        facts.lineage.inputs.iter().filter(|input| wanted(input.kind)).filter_map(|input| input.id.clone());
    let mut ids: Vec<String> = ids.filter(|id| id.split('/').count() == 2).collect();
    ids.sort();
    ids.dedup();
    ids
}

fn result(score: &CardScore) -> [String; 3] {
    let entry = &score.entry;
    let digits = if is_percent(entry) { 2 } else { 4 };
    [
        "  - task: {type: text-generation}".to_owned(),
        format!(
            "    dataset: {{type: {}, name: {}, split: {}, args: {{profile: {}, fingerprint: {}}}}}",
            scalar(&entry.task),
            scalar(&score.title_en),
            scalar(&entry.split),
            scalar(&entry.profile),
            scalar(&entry.fingerprint.to_string()),
        ),
        format!(
            "    metrics: [{{type: {}, value: {:.digits$}, name: {}}}]",
            scalar(&entry.metric),
            entry.value,
            scalar(&format!("{}-shot {}, n = {}", entry.shots, entry.metric, entry.n)),
        ),
    ]
}

/// A YAML scalar: plain where that is safe in flow style, else quoted. JSON strings are YAML strings.
fn scalar(text: &str) -> String {
    let plain = text.starts_with(|first: char| first.is_ascii_alphabetic())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '/'))
        && !["true", "false", "null", "yes", "no", "on", "off", "y", "n"]
            .contains(&text.to_lowercase().as_str());
    if plain { text.to_owned() } else { serde_json::Value::from(text).to_string() }
}

#[cfg(test)]
mod tests {
    use super::{license_name, scalar};

    #[test]
    fn a_licence_without_an_id_gets_a_name_that_the_hub_takes() {
        assert_eq!(license_name("Llama-3.1 Lab_8B"), "llama-3.1-lab-8b-license");
        assert_eq!(license_name("関所"), "license");
    }

    #[test]
    fn scalars_that_yaml_would_read_otherwise_are_quoted() {
        for (text, yaml) in [
            ("apache-2.0", "apache-2.0"),
            ("no", "\"no\""),
            ("1e3", "\"1e3\""),
            ("llm-jp-eval@1.3", "\"llm-jp-eval@1.3\""),
            ("a: b", "\"a: b\""),
            ("a\"b", "\"a\\\"b\""),
            ("", "\"\""),
        ] {
            assert_eq!(scalar(text), yaml);
        }
    }
}
