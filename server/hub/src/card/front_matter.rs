//! The YAML that the Hub reads: <https://huggingface.co/docs/hub/model-cards>, and `model-index` in the form of Papers with
//! Code. Only the English card has it; the Hub reads no other.

use sekisho_domain::lineage::{Gating, InputKind, ReleaseStage};

use super::figures::is_percent;
use super::markdown::is_repository;
use super::verification::is_web;
use super::yaml::{FrontMatter, scalar};
use super::{CardFacts, CardScore};

/// The tag by which the Hub finds all cards of Sekisho.
pub(super) const TAG: &str = "sekisho";

pub(super) fn render(facts: &CardFacts) -> String {
    let mut front = FrontMatter::new();
    let release = facts.lineage.release.as_ref();
    front.list("language", &facts.languages);
    let declared = release.map_or(&[][..], |release| &release.license);
    license(&mut front, declared, &facts.lineage.model.name);
    front.list("base_model", &inputs(facts, |kind| matches!(kind, InputKind::BaseModel | InputKind::Merge)));
    let merged = facts.lineage.inputs.iter().any(|input| input.kind == InputKind::Merge);
    let based = merged || facts.lineage.inputs.iter().any(|input| input.kind == InputKind::BaseModel);
    if based {
        front.value("base_model_relation", if merged { "merge" } else { "finetune" });
    }
    if let Some(successor) = facts.extras.new_version.as_ref().filter(|repo| is_repository(repo)) {
        front.value("new_version", successor);
    }
    let is_data = |kind| matches!(kind, InputKind::Corpus | InputKind::Synthetic | InputKind::Preference);
    front.list("datasets", &datasets(facts, inputs(facts, is_data)));
    front.value("library_name", "transformers");
    front.value("pipeline_tag", "text-generation");
    front.sequence(
        "tags",
        match release.map(|release| release.stage) {
            Some(ReleaseStage::Beta) => &[TAG, "beta"][..],
            Some(ReleaseStage::Failed) => &[TAG, "failed-run"][..],
            _ => &[TAG][..],
        },
    );
    gate(&mut front, release.map_or(Gating::None, |release| release.gating), declared);
    // A value that is no number is none to the Hub either.
    let mut scores = facts.scores.iter().filter(|score| score.entry.value.is_finite()).peekable();
    if scores.peek().is_some() {
        front.lines(["model-index:".to_owned(), format!("- name: {}", scalar(&facts.lineage.model.name))]);
        front.lines(["  results:".to_owned()]);
        front.lines(scores.flat_map(|score| result(facts, score)));
    }
    front.finish()
}

/// The Hub's id for a licence that has none there; the card must then name it and say where its text is.
const OTHER: &str = "other";

/// Declared licences, with name and file where the Hub has no id.
pub(super) fn license(front: &mut FrontMatter, declared: &[String], model: &str) {
    front.list("license", declared);
    if declared.iter().any(|id| id == OTHER) {
        front.value("license_name", &license_name(model));
        front.value("license_link", "LICENSE");
    }
}

/// What the Hub shows before a download. Whether it asks at all is a setting of the repository.
pub(super) fn gate(front: &mut FrontMatter, gating: Gating, declared: &[String]) {
    let heading = match gating {
        Gating::None => return,
        Gating::Auto => "Access is granted on registration",
        Gating::Manual => "Access is granted one by one",
    };
    let quoted = |text: &str| serde_json::Value::from(text).to_string();
    front.lines([format!("extra_gated_heading: {}", quoted(heading))]);
    let told = "The Hub passes your user name and e-mail address on to the publisher.";
    front.lines([format!("extra_gated_description: {}", quoted(told))]);
    if !declared.is_empty() {
        let prompt =
            format!("The model is under these licences: {}. Read them before you ask.", declared.join(", "));
        front.value("extra_gated_prompt", &prompt);
    }
}

/// `lab-8b-license`: the Hub takes lower-case letters, digits, "." and "-".
fn license_name(model: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || c == '.' { c.to_ascii_lowercase() } else { '-' };
    let name: String = model.chars().map(plain).collect();
    let parts: Vec<&str> = name.split('-').filter(|part| !part.is_empty()).chain(["license"]).collect();
    parts.join("-")
}

/// Ids that are repositories on the Hub; other names would be broken links there.
fn inputs(facts: &CardFacts, wanted: impl Fn(InputKind) -> bool) -> Vec<String> {
    let ids =
        facts.lineage.inputs.iter().filter(|input| wanted(input.kind)).filter_map(|input| input.id.clone());
    let mut ids: Vec<String> = ids.filter(|id| is_repository(id)).collect();
    ids.sort();
    ids.dedup();
    ids
}

fn datasets(facts: &CardFacts, named: Vec<String>) -> Vec<String> {
    let subsets = facts.extras.subsets.iter().map(|subset| subset.id.clone());
    let mut ids: Vec<String> = named.into_iter().chain(subsets.filter(|id| is_repository(id))).collect();
    ids.sort();
    ids.dedup();
    ids
}

fn result(facts: &CardFacts, score: &CardScore) -> Vec<String> {
    let entry = &score.entry;
    let digits = if is_percent(&entry.metric) { 2 } else { 4 };
    let revision = facts.extras.data_digests.get(&entry.fingerprint);
    let revision =
        revision.map(|digest| format!(", revision: {}", scalar(&digest.short()))).unwrap_or_default();
    let mut lines = vec![
        "  - task: {type: text-generation}".to_owned(),
        format!(
            "    dataset: {{type: {}, name: {}, split: {}{revision}, args: {{profile: {}, fingerprint: {}}}}}",
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
    ];
    let source = facts.extras.results_url.as_deref().filter(|url| is_web(url));
    lines.extend(source.map(|url| format!("    source: {{name: Sekisho, url: {}}}", scalar(url))));
    lines
}

#[cfg(test)]
mod tests {
    use super::license_name;

    #[test]
    fn a_licence_without_an_id_gets_a_name_that_the_hub_takes() {
        assert_eq!(license_name("Llama-3.1 Lab_8B"), "llama-3.1-lab-8b-license");
        assert_eq!(license_name("関所"), "license");
    }
}
