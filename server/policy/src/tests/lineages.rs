//! Whole lineages: a model of the Swallow kind, outputs of Llama, text that no model may descend from.

use super::{Files, codes, judge, judge_text};
use crate::{Code, Decision, Owed};

const SWALLOW: &str = r#"
model.name = "Llama-3.1-Lab-8B-Instruct"
input = [
  { kind = "base_model", lineage = "base.toml", stage = "sft" },
  { kind = "corpus", id = "prompts", level = "L2", license = "LicenseRef-agreement", tokens = 5, stage = "sft" },
  # GEMMA
]
release = { repo = "lab/Llama-3.1-Lab-8B-Instruct", license = ["llama3.1"] }
"#;

const BASE: &str = r#"
model.name = "Llama-3.1-Lab-8B"
input = [
  { kind = "base_model", id = "meta-llama/Llama-3.1-8B", license = "llama3.1", stage = "continual" },
  { kind = "corpus", id = "web-ja", level = "L3", license = "LicenseRef-crawl", tokens = 90000000000, stage = "continual" },
]
"#;

const GEMMA: &str = r#"{ kind = "synthetic", id = "sft-ja", generator = "google/gemma-2-27b-it", generator_license = "gemma", level = "L1", license = "CC-BY-4.0", tokens = 5, stage = "sft" },"#;

fn swallow(gemma: bool, declared: &str) -> (Decision, Owed) {
    let lineage =
        SWALLOW.replace("# GEMMA", if gemma { GEMMA } else { "" }).replace("[\"llama3.1\"]", declared);
    let files = Files::default().with("/lab/lineage.toml", &lineage).with("/lab/base.toml", BASE);
    let facts = crate::Facts::gather("/lab/lineage.toml", &files).expect("well formed");
    (judge(&files), crate::owed(&facts, &super::base()))
}

/// The files and names that a decision asks for, as its obligations say.
fn asked(decision: &Decision, code: Code) -> Vec<&str> {
    let of = decision.obligations.iter().filter(|finding| finding.code == code);
    of.map(|finding| finding.text.en.as_str()).collect()
}

#[test]
fn with_gemmas_outputs_both_licences_hold_and_without_only_llamas() {
    let (with, owed) = swallow(true, "[\"llama3.1\", \"gemma\"]");
    assert!(with.allowed(), "{:#?}", with.violations);
    assert_eq!(owed.notices.len(), 2);
    assert_eq!(
        asked(&with, Code::LicenseFileMissing),
        [
            "Include the full text of gemma (GEMMA_TERMS_OF_USE.md).",
            "Include the full text of llama3.1 (LICENSE).",
        ]
    );
    assert_eq!(
        asked(&with, Code::NamePrefix),
        ["The model name must begin with \"Llama\" (llama3.1 §1.b.i)."]
    );
    assert_eq!(asked(&with, Code::UseRestrictions).len(), 1);
    let (refused, _) = swallow(true, "[\"llama3.1\"]");
    assert_eq!(codes(&refused.violations), ["license-conflict"]);
    assert_eq!(
        refused.violations[0].derivation,
        ["synthetic \"sft-ja\" → sft → \"Llama-3.1-Lab-8B-Instruct\" → gemma §3.1, as outputs: declare"]
    );

    let (without, owed) = swallow(false, "[\"llama3.1\"]");
    assert!(without.allowed(), "{:#?}", without.violations);
    assert_eq!(owed.notices.iter().map(|line| &line[..9]).collect::<Vec<_>>(), ["Llama 3.1"]);
    assert_eq!(asked(&without, Code::LicenseFileMissing), ["Include the full text of llama3.1 (LICENSE)."]);
    assert_eq!(asked(&without, Code::UseRestrictions), [""; 0]);
}

/// A model from scratch that was tuned on a Llama's outputs.
fn tuned_on(license: &str, name: &str) -> Decision {
    judge_text(&format!(
        "model.name = \"{name}\"\ninput = [\n  {{ kind = \"corpus\", id = \"web-ja\", level = \"L3\", license = \"LicenseRef-crawl\", tokens = 5, stage = \"pretrain\" }},\n  \
         {{ kind = \"synthetic\", id = \"s\", generator = \"meta-llama/x\", generator_license = \"{license}\", level = \"L1\", license = \"CC0-1.0\", tokens = 5, stage = \"sft\" }},\n]\n\
         release = {{ repo = \"lab/{name}\", license = [\"apache-2.0\"] }}\n"
    ))
}

#[test]
fn outputs_of_llama_2_and_3_are_barred_from_scratch_and_later_ones_bring_a_name() {
    for license in ["llama2", "llama3", "tongyi-qianwen"] {
        for name in ["lab-1b", "Llama-3-lab"] {
            let decision = tuned_on(license, name);
            assert_eq!(codes(&decision.violations), ["outputs-forbidden"], "{license}, whatever the name");
            assert!(decision.violations[0].derivation[0].starts_with("synthetic \"s\" → sft → "));
        }
    }
    for license in ["llama3.1", "llama3.2", "llama3.3", "llama4"] {
        assert_eq!(codes(&tuned_on(license, "lab-1b").violations), ["name-prefix"], "{license}");
        let named = tuned_on(license, "Llama-lab-1b");
        assert!(named.allowed(), "{license}: {:#?}", named.violations);
        assert!(named.obligations.iter().any(|owed| owed.code == Code::BuiltWithMissing), "{license}");
        assert!(
            !named.obligations.iter().any(|owed| owed.code == Code::LicenseConflict),
            "its licence need not be declared"
        );
    }
    let qwen = tuned_on("qwen", "lab-1b");
    assert!(qwen.allowed() && qwen.obligations.iter().any(|owed| owed.text.en.contains("Built with Qwen")));
}

#[test]
fn text_without_use_is_found_three_generations_back_on_every_way() {
    let link = |name: &str, kind: &str, stage: &str, to: &str| {
        format!(
            "model.name = \"{name}\"\ninput = [{{ kind = \"{kind}\", lineage = \"{to}\", stage = \"{stage}\" }}]\n"
        )
    };
    for (first, second, third) in [
        (("base_model", "continual"), ("base_model", "continual"), ("base_model", "continual")),
        (("base_model", "continual"), ("merge", "merge"), ("base_model", "init")),
        (("base_model", "sft"), ("base_model", "continual"), ("tokenizer", "tokenizer")),
        (("base_model", "upcycle"), ("base_model", "midtrain"), ("base_model", "train")),
        (("synthetic", "synthetic"), ("reward", "reward"), ("base_model", "preference")),
    ] {
        for (level, code) in [
            (" level = \"LZ\",", "level-forbids-use"),
            (" level = \"LX\",", "level-forbids-training"),
            ("", "level-unknown"),
            (" level = \"L0\",", "level-unknown"),
        ] {
            let oldest = format!(
                "model.name = \"d\"\ninput = [{{ kind = \"corpus\", id = \"x\",{level} license = \"CC0-1.0\", tokens = 1, stage = \"pretrain\" }}]\n"
            );
            let files = Files::default()
                .with("/lab/lineage.toml", &link("a", first.0, first.1, "b.toml"))
                .with("/lab/b.toml", &link("b", second.0, second.1, "c.toml"))
                .with("/lab/c.toml", &link("c", third.0, third.1, "d.toml"))
                .with("/lab/d.toml", &oldest);
            let decision = judge(&files);
            let way = |stage: &str| if stage == "train" { "pretrain" } else { stage }.to_owned();
            let expected = format!(
                "corpus \"x\" → pretrain → \"d\" → {} → \"c\" → {} → \"b\" → {} → \"a\" → level ",
                way(third.1),
                second.1,
                first.1
            );
            let found = decision.violations.iter().find(|finding| {
                finding.code.as_str() == code
                    && finding.derivation.iter().any(|line| line.starts_with(&expected))
            });
            assert!(found.is_some(), "{expected}: {:#?}", decision.violations);
        }
    }
}
