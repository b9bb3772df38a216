//! The registry is the truth; the lineage file claims.

use super::{Files, TODAY, base, codes};
use crate::{Code, Decision, Facts, Registered, evaluate};

fn registered(level: &str, license: &str, generator: Option<(&str, &str)>) -> Registered {
    let owned = |text: &str| Some(text.to_owned());
    Registered {
        level: owned(level),
        license: owned(license),
        generator: generator.and_then(|(model, _)| owned(model)),
        generator_license: generator.and_then(|(_, license)| owned(license)),
    }
}

fn judge(inputs: &str, registry: &[(&str, Registered)]) -> Decision {
    let lineage = format!(
        "model.name = \"Llama-x\"\ninput = [{inputs}]\nrelease = {{ repo = \"lab/Llama-x\", license = [\"apache-2.0\"] }}\n"
    );
    let mut facts = Facts::gather("/lab/lineage.toml", &Files::default().with("/lab/lineage.toml", &lineage))
        .expect("well formed");
    facts.registry = Some(registry.iter().map(|(id, known)| ((*id).to_owned(), known.clone())).collect());
    evaluate(&facts, &base(), TODAY)
}

fn texts(decision: &Decision) -> Vec<&str> {
    decision.violations.iter().map(|finding| finding.text.en.as_str()).collect()
}

#[test]
fn two_spellings_of_a_licence_are_one() {
    for claimed in ["CC-BY-4.0", "cc-by-4.0", " CC-BY-4.0 "] {
        let input = format!(
            "{{ kind = \"corpus\", id = \"a\", level = \"L1\", license = \"{claimed}\", tokens = 1 }}"
        );
        let decision = judge(&input, &[("a", registered("L1", "cc-by-4.0", None))]);
        assert!(decision.allowed(), "{claimed}: {:#?}", decision.violations);
    }
}

#[test]
fn what_differs_is_refused_and_the_registry_counts() {
    let input = r#"{ kind = "corpus", id = "a", level = "L1", license = "CC0-1.0", tokens = 1 }"#;
    let decision = judge(input, &[("a", registered("L1", "CC-BY-NC-4.0", None))]);
    assert_eq!(codes(&decision.violations), ["license-contradiction", "noncommercial-input"]);
    assert_eq!(
        texts(&decision)[0],
        "\"a\" is said to be under CC0-1.0, but the registry says CC-BY-NC-4.0. Correct the lineage, or ask the corpus group."
    );
    assert_eq!(
        decision.violations[0].derivation,
        ["corpus \"a\" → corpus → \"Llama-x\" → license CC0-1.0, but CC-BY-NC-4.0 in the registry"]
    );
}

#[test]
fn a_missing_claim_takes_the_word_of_the_registry() {
    let input = r#"{ kind = "synthetic", id = "s", stage = "sft" }"#;
    let gemma = Some(("google/gemma-2-27b-it", "gemma"));
    let decision = judge(input, &[("s", registered("L1", "ODC-By-1.0", gemma))]);
    assert_eq!(
        texts(&decision),
        ["Declared licence apache-2.0 cannot meet the terms of \"s\" (gemma). Declare gemma."]
    );
    let owed: Vec<Code> = decision.obligations.iter().map(|finding| finding.code).collect();
    for code in [Code::Attribution, Code::NoticeMissing, Code::UseRestrictions] {
        assert!(owed.contains(&code), "{code:?} follows from the registry");
    }
    let unknown = judge(input, &[]);
    assert_eq!(codes(&unknown.violations), ["level-unknown", "license-unknown", "lineage-missing"]);
}

#[test]
fn another_generator_than_the_registered_one_is_told_in_its_own_words() {
    let input = r#"{ kind = "synthetic", id = "s", level = "L1", license = "CC0-1.0", generator = "lab/own-8b", generator_license = "apache-2.0", stage = "sft" }"#;
    let llama3 = Some(("meta-llama/Meta-Llama-3-8B", "llama3"));
    let decision = judge(input, &[("s", registered("L1", "CC0-1.0", llama3))]);
    assert_eq!(codes(&decision.violations), ["license-contradiction", "outputs-forbidden"]);
    assert!(texts(&decision).iter().any(|text| text.starts_with(
        "\"s\" is said to be written by lab/own-8b, but the registry says meta-llama/Meta-Llama-3-8B."
    )));
    assert!(texts(&decision).iter().any(|text| text.starts_with(
        "The generator of \"s\" is said to be under apache-2.0, but the registry says llama3."
    )));
    // The claimed licence belongs to another model: it does not become that of the registered one.
    let half = Registered { generator_license: None, ..registered("L1", "CC0-1.0", llama3) };
    let decision = judge(input, &[("s", half)]);
    assert_eq!(codes(&decision.violations), ["license-unknown", "license-contradiction"]);
}

#[test]
fn a_run_is_held_against_the_registry_where_the_lineage_is_silent() {
    let lineage = "model.name = \"x\"\ninput = [{ kind = \"corpus\", id = \"a\", license = \"CC0-1.0\", tokens = 1 }]\n";
    let mut facts = Facts::gather("/lab/lineage.toml", &Files::default().with("/lab/lineage.toml", lineage))
        .expect("well formed");
    facts.registry = Some([("a".to_owned(), registered("L2", "CC0-1.0", None))].into());
    let trained = |level: &str| crate::Trained {
        run: "exp2".to_owned(),
        subset: "a".to_owned(),
        level: Some(level.to_owned()),
    };
    facts.trained = vec![trained("L2")];
    assert!(evaluate(&facts, &base(), TODAY).allowed());
    facts.trained = vec![trained("L1")];
    let decision = evaluate(&facts, &base(), TODAY);
    assert_eq!(
        texts(&decision),
        [
            "Run \"exp2\" was registered with L1 for subset \"a\", but the registry says L2. Settle which level holds."
        ]
    );
}
