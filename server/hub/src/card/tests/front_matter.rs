use sekisho_domain::Language::{En, Ja};
use sekisho_domain::Sha256;
use sekisho_domain::lineage::{Gating, ReleaseStage};
use serde_json::{Value, json};

use super::{card, facts, full};
use crate::card::CardFacts;

fn yaml(facts: &CardFacts) -> Value {
    let card = card(facts, En);
    let front =
        card.strip_prefix("---\n").and_then(|rest| rest.split_once("\n---\n\n")).expect("front matter").0;
    serde_saphyr::from_str(front).expect(front)
}

#[test]
fn the_front_matter_is_the_hubs() {
    let card = card(&facts(), En);
    let front = card.split_once("\n---\n\n").expect("front matter").0;
    assert_eq!(
        front.lines().take(11).collect::<Vec<_>>(),
        [
            "---",
            "language: [ja, en]",
            "license: [llama3.1, gemma]",
            "base_model: meta-llama/Llama-3.1-8B",
            "base_model_relation: finetune",
            "datasets: lab/sft-ja",
            "library_name: transformers",
            "pipeline_tag: text-generation",
            "tags: [sekisho]",
            "model-index:",
            "- name: Llama-3.1-Lab-8B",
        ]
    );
    assert!(
        front.contains("    metrics: [{type: char_f1, value: 0.4123, name: \"4-shot char_f1, n = 198\"}]"),
        "{front}"
    );
    assert!(
        super::card(&facts(), Ja)
            .starts_with("[English](README.md)\n\n# Llama-3.1-Lab-8B - Built with Llama\n")
    );
}

#[test]
fn a_yaml_parser_reads_what_the_hub_expects() {
    let read = yaml(&full());
    assert_eq!(read["license"], json!(["llama3.1", "gemma"]));
    assert_eq!(read["model-index"][0]["name"], "Llama-3.1-Lab-8B");
    let results = read["model-index"][0]["results"].as_array().expect("results");
    assert_eq!(results.len(), 3);
    assert_eq!(
        results[0],
        json!({
            "task": {"type": "text-generation"},
            "dataset": {"type": "niilc", "name": "NIILC", "split": "test", "revision": Sha256::of("niilc data").short(),
                "args": {"profile": "llm-jp-eval@1.3", "fingerprint": Sha256::of("niilc").to_string()}},
            "metrics": [{"type": "char_f1", "value": 0.4123, "name": "4-shot char_f1, n = 198"}],
            "source": {"name": "Sekisho", "url": "https://sekisho.example.org/releases/01J"},
        })
    );
    assert_eq!(results[1]["dataset"].get("revision"), None);
}

#[test]
fn a_licence_that_the_hub_does_not_know_is_named_and_linked() {
    let mut other = facts();
    other.lineage.release.as_mut().expect("a release").license = vec!["other".to_owned()];
    let card = card(&other, En);
    let named = "license: other\nlicense_name: llama-3.1-lab-8b-license\nlicense_link: LICENSE\n";
    assert!(card.contains(named), "{card}");
}

#[test]
fn gating_stage_and_successor_are_in_the_front_matter() {
    let mut facts = facts();
    assert_eq!(yaml(&facts).get("extra_gated_heading"), None);
    for (gating, stage, heading, tag) in [
        (Gating::Auto, ReleaseStage::Beta, "Access is granted on registration", "beta"),
        (Gating::Manual, ReleaseStage::Failed, "Access is granted one by one", "failed-run"),
    ] {
        let release = facts.lineage.release.as_mut().expect("a release");
        (release.gating, release.stage) = (gating, stage);
        facts.extras.new_version = Some("lab/next".to_owned());
        let read = yaml(&facts);
        assert_eq!(read["extra_gated_heading"], heading);
        assert!(read["extra_gated_prompt"].as_str().is_some_and(|text| text.contains("llama3.1, gemma")));
        assert!(read["extra_gated_description"].is_string());
        assert_eq!(read["tags"], json!(["sekisho", tag]));
        assert_eq!(read["new_version"], "lab/next");
    }
}
