//! The decision as a whole: the contract's example, the duties of real licences byte for byte, the invariants.

use std::collections::BTreeMap;

use jiff::civil::{Date, date};
use sekisho_domain::Language;

use crate::{Code, Decision, Facts, Finding, Folder, PolicySet, Regression, Verdict, evaluate};

mod claims;
mod compared;
mod duties;
mod gates;
mod invariants;
mod lineages;
mod mutations;
mod registry;

const TODAY: Date = date(2026, 11, 21);

/// Files in memory.
#[derive(Clone, Default)]
struct Files(BTreeMap<String, Vec<u8>>);

impl Files {
    fn with(mut self, path: &str, text: &str) -> Self {
        self.0.insert(path.to_owned(), text.as_bytes().to_vec());
        self
    }
}

impl Folder for Files {
    fn read(&self, path: &str) -> Result<Option<Vec<u8>>, String> {
        Ok(self.0.get(path).cloned())
    }

    fn list(&self, path: &str) -> Result<Option<Vec<(String, u64)>>, String> {
        let inside = |(file, bytes): (&String, &Vec<u8>)| {
            let name = file.strip_prefix(path)?.strip_prefix('/')?;
            (!name.contains('/')).then(|| (name.to_owned(), bytes.len() as u64))
        };
        let names: Vec<_> = self.0.iter().filter_map(inside).collect();
        Ok((!names.is_empty()).then_some(names))
    }
}

fn base() -> PolicySet {
    PolicySet::builtin("base").expect("built in")
}

fn judge(files: &Files) -> Decision {
    let facts = Facts::gather("/lab/lineage.toml", files).expect("well-formed files");
    evaluate(&facts, &base(), TODAY)
}

fn judge_text(lineage: &str) -> Decision {
    judge(&Files::default().with("/lab/lineage.toml", lineage))
}

fn codes(findings: &[Finding]) -> Vec<&'static str> {
    let mut codes: Vec<_> = findings.iter().map(|finding| finding.code.as_str()).collect();
    codes.dedup();
    codes
}

/// The lineage and release file of the contract, word for word.
const CONTRACT: &str = r#"
[model]
name = "Llama-3.1-Lab-8B"
[[input]]
kind = "base_model"
id = "meta-llama/Llama-3.1-8B"
license = "llama3.1"
stage = "continual"
[[input]]
kind = "corpus"
id = "web-ja"
level = "L3"
license = "LicenseRef-crawl"
tokens = 90000000000
stage = "continual"
[[input]]
kind = "synthetic"
id = "sft-ja"
generator = "google/gemma-2-27b-it"
generator_license = "gemma"
level = "L1"
license = "CC-BY-4.0"
stage = "sft"
[[input]]
kind = "base_model"
lineage = "parent/lineage.toml"
stage = "continual"
[[waiver]]
code = "noncommercial-input"
input = "reviews"
reason = "…"
evidence = "letter.pdf"
by = "…"
until = 2027-03-31
[release]
repo = "lab/Llama-3.1-Lab-8B"
revision = "main"
stage = "final"
license = ["llama3.1"]
visibility = "public"
gating = "none"
files = "release/"
announcement = "announcement.md"
"#;

const PARENT: &str = r#"
model.name = "Parent-8B"
input = [{ kind = "corpus", id = "reviews", level = "L2", license = "CC-BY-NC-4.0", tokens = 1000, stage = "pretrain" }]
"#;

#[test]
fn the_contracts_example_conflicts_with_gemma() {
    let decision =
        judge(&Files::default().with("/lab/lineage.toml", CONTRACT).with("/lab/parent/lineage.toml", PARENT));
    assert_eq!(decision.verdict, Verdict::Refused);
    let conflict = decision
        .violations
        .iter()
        .find(|finding| finding.code == Code::LicenseConflict)
        .expect("Gemma's terms");
    assert_eq!(
        conflict.text.en,
        "Declared licence llama3.1 cannot meet the terms of \"sft-ja\" (gemma). Declare gemma."
    );
    assert_eq!(
        conflict.text.ja,
        "宣言したライセンス llama3.1 では「sft-ja」（gemma）の条件を満たせません。gemma を宣言してください。"
    );
    assert_eq!(
        conflict.derivation,
        ["synthetic \"sft-ja\" → sft → \"Llama-3.1-Lab-8B\" → gemma §3.1, as outputs: declare"]
    );
    let waived =
        decision.warnings.iter().find(|finding| finding.code == Code::NoncommercialInput).expect("waived");
    assert_eq!(
        waived.derivation,
        [
            "corpus \"reviews\" → pretrain → \"Parent-8B\" → continual → \"Llama-3.1-Lab-8B\" → cc-by-nc-4.0, as corpus: noncommercial",
            "waived by … until 2027-03-31: … (letter.pdf)"
        ]
    );
}

#[test]
fn the_json_is_the_contracts() {
    let decision = judge_text(&CONTRACT.replace("files = \"release/\"", ""));
    let json = serde_json::to_value(&decision).expect("serialises");
    let mut keys: Vec<&String> = json.as_object().expect("an object").keys().collect();
    keys.sort();
    assert_eq!(keys, ["digest", "obligations", "policy", "verdict", "violations", "warnings"]);
    assert_eq!(json["verdict"], "refused");
    assert_eq!(json["policy"]["name"], "base");
    assert!(json["policy"]["digest"].as_str().is_some_and(|digest| digest.starts_with("sha256:")));
    for list in ["violations", "warnings", "obligations"] {
        for finding in json[list].as_array().expect("a list") {
            assert!(
                finding["code"].is_string()
                    && finding["text"]["en"].is_string()
                    && finding["text"]["ja"].is_string()
            );
            assert!(finding["derivation"].as_array().is_some_and(|lines| !lines.is_empty()), "{finding}");
        }
    }
    let again: Decision = serde_json::from_value(json).expect("reads back");
    assert_eq!(again, decision);
}

#[test]
fn no_sentence_keeps_a_placeholder() {
    let files = Files::default().with("/lab/lineage.toml", CONTRACT).with("/lab/parent/lineage.toml", PARENT);
    let facts = Facts::gather("/lab/lineage.toml", &files).expect("well formed");
    for text in every_sentence(&evaluate(&facts, &base(), TODAY)) {
        assert!(!text.contains('{') && !text.contains("  "), "{text}");
    }
}

fn every_sentence(decision: &Decision) -> Vec<String> {
    let lists = [&decision.violations, &decision.warnings, &decision.obligations];
    lists
        .into_iter()
        .flatten()
        .flat_map(|finding| [finding.text.en.clone(), finding.text.ja.clone()])
        .collect()
}

#[test]
fn a_decision_reads_as_plain_text_in_both_languages() {
    let lines = judge_text(
        "model.name = \"x\"\ninput = [{ kind = \"corpus\", id = \"z\", level = \"LZ\", license = \"CC0-1.0\" }]\n",
    );
    let en = lines.render(Language::En).join("\n");
    assert!(en.starts_with("Verdict: Refused\nPolicy: base "), "{en}");
    assert!(en.contains("- level-forbids-use: Subset \"z\" is LZ (no use)"), "{en}");
    assert!(lines.render(Language::Ja).join("\n").starts_with("判定: 公開不可\nポリシー: base "));
}

#[test]
fn what_card_and_notice_must_show_follows_from_the_lineage() {
    let files = Files::default().with("/lab/lineage.toml", CONTRACT).with("/lab/parent/lineage.toml", PARENT);
    let facts = Facts::gather("/lab/lineage.toml", &files).expect("well formed");
    let owed = crate::owed(&facts, &base());
    assert_eq!(owed.built_with.iter().collect::<Vec<_>>(), ["Built with Llama"]);
    assert_eq!(owed.notices.len(), 2, "{owed:?}");
    // Gemma's terms and Llama's policy are passed on; what is under CC BY is credited by name.
    let restrictions: Vec<&str> = owed.restrictions.iter().map(|text| text.en.as_str()).collect();
    assert_eq!(restrictions.len(), 2, "{restrictions:?}");
    assert!(
        restrictions.iter().any(|text| text.contains("gemma §3.1, §3.2") && text.contains("GEMMA_TERMS"))
    );
    assert!(restrictions.iter().any(|text| text.contains("acceptable use policy of llama3.1")));
    assert!(owed.credits.iter().any(|(_, license)| license == "CC-BY-4.0"), "{:?}", owed.credits);
}

#[test]
fn what_a_release_names_must_be_there() {
    let release = "release = { repo = \"lab/x\", license = [\"cc0-1.0\"], files = \"out/\", announcement = \"news.md\" }";
    let lineage = format!(
        "model.name = \"x\"\ninput = [{{ kind = \"corpus\", id = \"a\", level = \"L1\", license = \"CC0-1.0\" }}]\n{release}\n"
    );
    let files = Files::default().with("/lab/lineage.toml", &lineage);
    let violations = judge(&files).violations;
    let missing: Vec<&str> = violations
        .iter()
        .filter(|finding| finding.code == Code::FileMissing)
        .map(|finding| finding.text.en.as_str())
        .collect();
    assert_eq!(
        missing,
        [
            "[release] names news.md, which is not there. Add it, or take it out of [release].",
            "[release] names out/, which is not there. Add it, or take it out of [release].",
        ]
    );
    let there = files
        .with("/lab/out/README.md", "---\nlicense: cc0-1.0\n---\n# x\n")
        .with("/lab/news.md", "x is out.\n");
    assert!(judge(&there).allowed(), "{:#?}", judge(&there).violations);
}

#[test]
fn registered_levels_are_the_truth() {
    let lineage = r#"
model.name = "x"
input = [
  { kind = "corpus", id = "a", level = "L1", license = "CC0-1.0", tokens = 1 },
  { kind = "corpus", id = "b", level = "L1", license = "CC0-1.0", tokens = 1 },
  { kind = "corpus", id = "c", level = "L1", license = "CC0-1.0", tokens = 1 },
]
"#;
    let mut facts = Facts::gather("/lab/lineage.toml", &Files::default().with("/lab/lineage.toml", lineage))
        .expect("well formed");
    let registered = |(id, level): (&str, &str)| {
        (id.to_owned(), crate::Registered { level: Some(level.to_owned()), ..crate::Registered::default() })
    };
    facts.registry = Some([("a", "L1"), ("b", "LX")].map(registered).into());
    let decision = evaluate(&facts, &base(), TODAY);
    let texts: Vec<&str> = decision.violations.iter().map(|finding| finding.text.en.as_str()).collect();
    assert_eq!(
        texts,
        [
            "Subset \"b\" is level LX: not for training models to be published (1 tokens used in training).",
            "Subset \"c\" has no release level. Ask the corpus group to register one.",
            "Subset \"b\" is said to be L1, but the registry says LX. Correct the lineage, or ask the corpus group.",
        ]
    );
}

#[test]
fn a_run_is_held_against_the_lineage() {
    let lineage = r#"
model.name = "x"
input = [
  { kind = "corpus", id = "a", level = "L1", license = "CC0-1.0", tokens = 1 },
  { kind = "corpus", id = "b", level = "L1", license = "CC0-1.0", tokens = 1 },
  { kind = "base_model", lineage = "parent.toml", stage = "continual" },
]
"#;
    let parent = "model.name = \"p\"\ninput = [{ kind = \"corpus\", id = \"p\", level = \"L2\", license = \"CC0-1.0\" }]\n";
    let files = Files::default().with("/lab/lineage.toml", lineage).with("/lab/parent.toml", parent);
    let mut facts = Facts::gather("/lab/lineage.toml", &files).expect("well formed");
    let trained = |subset: &str, level: Option<&str>| crate::Trained {
        run: "exp2".to_owned(),
        subset: subset.to_owned(),
        level: level.map(ToOwned::to_owned),
    };
    facts.trained = vec![trained("a", Some("L1")), trained("b", None), trained("p", Some("L2"))];
    assert!(evaluate(&facts, &base(), TODAY).allowed(), "they agree");
    facts.trained = vec![trained("a", Some("LX")), trained("web", Some("L1")), trained("p", Some("L3"))];
    let decision = evaluate(&facts, &base(), TODAY);
    let texts: Vec<&str> = decision.violations.iter().map(|finding| finding.text.en.as_str()).collect();
    assert_eq!(
        texts,
        [
            "Subset \"a\" is said to be L1, but run \"exp2\" was registered with LX. Settle which level holds.",
            "Subset \"p\" is said to be L2, but run \"exp2\" was registered with L3. Settle which level holds.",
            "Run \"exp2\" was trained on \"web\", which the lineage leaves out. A model with unknown inputs cannot be released; add it as an input of this id.",
        ]
    );
    assert_eq!(codes(&decision.violations), ["level-mismatch", "lineage-missing"]);
}

#[test]
fn gates_look_at_scores_and_paired_tests() {
    let text = include_str!("../sets/base.toml").to_owned()
        + "\n[[gate]]\nprofile = \"llm-jp-eval@1.3\"\ntask = \"niilc\"\nat_least = 0.5\n[[gate]]\nprofile = \"p@1\"\ntask = \"t\"\nat_least = 0.1\n";
    let set = PolicySet::from_toml("house.toml", &text).expect("valid");
    let mut facts = Facts::gather("/lab/lineage.toml", &Files::default().with("/lab/lineage.toml", PARENT))
        .expect("well formed");
    facts.scores = vec![
        serde_json::from_value(serde_json::json!({
            "profile": "llm-jp-eval@1.3", "task": "niilc", "split": "test", "metric": "char_f1", "value": 0.41, "stderr": null,
            "low": 0.36, "high": 0.46, "n": 198, "shots": 4, "truncated": 0, "fingerprint": format!("sha256:{}", "0".repeat(64)),
        }))
        .expect("a result entry"),
    ];
    let test =
        |task: &str, delta, p| Regression { current: "lab/v1".to_owned(), task: task.to_owned(), delta, p };
    facts.regressions =
        vec![test("jsquad", -0.02, 0.004), test("niilc", -0.02, 0.2), test("xwinograd_jp", 0.02, 0.001)];
    let decision = evaluate(&facts, &set, TODAY);
    let texts: Vec<&str> =
        decision.violations.iter().map(|finding| finding.text.en.as_str()).skip(1).collect();
    assert_eq!(
        texts,
        [
            "niilc 0.410 is below the gate 0.500 (95% CI [0.360, 0.460], n = 198).",
            "t has no score; the gate is 0.100. Evaluate it first.",
            "jsquad is significantly worse than the published lab/v1 (-0.020, p = 0.004).",
        ]
    );
}

#[test]
fn a_cycle_is_named_by_its_files_wherever_they_lie() {
    let child = "model.name = \"c\"\ninput = [{ kind = \"base_model\", lineage = \"../p/lineage.toml\" }]\n";
    let parent = "model.name = \"p\"\ninput = [{ kind = \"merge\", lineage = \"../lab/lineage.toml\" }]\n";
    let decision = judge(&Files::default().with("/lab/lineage.toml", child).with("/p/lineage.toml", parent));
    assert_eq!(codes(&decision.violations), ["lineage-cycle"]);
    assert_eq!(
        decision.violations[0].text.en,
        "The lineage has a cycle: lineage.toml → ../p/lineage.toml → lineage.toml"
    );
    let alone = judge(&Files::default().with("/lab/lineage.toml", child));
    assert_eq!(codes(&alone.violations), ["lineage-missing"]);
}

#[test]
fn expired_waivers_lift_nothing() {
    let lineage = |until: &str| {
        format!(
            "model.name = \"x\"\ninput = [{{ kind = \"corpus\", id = \"r\", level = \"L2\", license = \"CC-BY-NC-4.0\" }}]\n\
             [[waiver]]\ncode = \"noncommercial-input\"\ninput = \"r\"\nreason = \"ok\"\nby = \"u\"\nuntil = {until}\n"
        )
    };
    assert!(judge_text(&lineage("2026-11-21")).allowed(), "the last day counts");
    for until in ["2026-11-20", "07:32:00"] {
        let decision = judge_text(&lineage(until));
        assert_eq!(codes(&decision.violations), ["noncommercial-input"]);
        assert_eq!(codes(&decision.warnings), ["waiver-void"]);
    }
}

/// Who reads the list decides by it what to ask a lab's waivers for.
#[test]
fn the_documentation_lists_every_code_and_which_of_them_a_waiver_lifts() {
    let page = include_str!("../../../docs/policy.md");
    for code in Code::ALL {
        let row = page.lines().find(|line| line.starts_with(&format!("| `{}` | ", code.as_str())));
        let row = row.unwrap_or_else(|| panic!("{} is not in docs/policy.md", code.as_str()));
        assert_eq!(row.ends_with("| yes |"), code.waivable(), "{row}");
    }
}
