//! More inputs never remove a duty or a violation; their order never matters.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use sekisho_domain::Tokens;
use sekisho_domain::lineage::{Input, InputKind, InputStage, LineageFile};
use sekisho_domain::parse_toml;

use super::{TODAY, base};
use crate::{Code, Decision, Facts, Finding, PolicySet, Registered, evaluate};

const LICENSES: &[&str] = &[
    "apache-2.0",
    "MIT",
    "CC0-1.0",
    "CC-BY-4.0",
    "CC-BY-SA-4.0",
    "CC-BY-NC-4.0",
    "CC-BY-ND-4.0",
    "ODC-By-1.0",
    "LicenseRef-crawl",
    "LicenseRef-mystery",
    "llama2",
    "llama3",
    "llama3.1",
    "gemma",
    "qwen",
    "MIT OR llama3.1",
    "CC-BY-4.0 AND llama2",
];
const LEVELS: &[&str] = &["L1", "L2", "L3", "LX", "LZ", "L9"];
/// Edges through which anything reaches a model.
const LINKS: &[&str] = &["base_model", "merge", "tokenizer", "synthetic", "preference", "reward"];

/// Levels that bar publishing, and the code that says so.
const FORBIDDEN: &[(Option<&str>, Code)] = &[
    (Some("LX"), Code::LevelForbidsTraining),
    (Some("LZ"), Code::LevelForbidsUse),
    (Some("L9"), Code::LevelUnknown),
    (None, Code::LevelUnknown),
];

const PARENTS: &[&str] = &["p.toml", "q.toml", "missing.toml", "lineage.toml"];

fn maybe(values: &'static [&'static str]) -> impl Strategy<Value = Option<String>> {
    proptest::option::weighted(0.8, proptest::sample::select(values).prop_map(str::to_owned))
}

fn input() -> impl Strategy<Value = Input> {
    let kind = proptest::sample::select(InputKind::ALL);
    let stage = proptest::option::of(proptest::sample::select(InputStage::ALL));
    let id = proptest::option::weighted(
        0.9,
        proptest::sample::select(&["a", "b", "c", "d"][..]).prop_map(str::to_owned),
    );
    let lineage = proptest::option::weighted(0.3, proptest::sample::select(PARENTS).prop_map(str::to_owned));
    (
        kind,
        id,
        lineage,
        maybe(LICENSES),
        maybe(LEVELS),
        proptest::option::of(0..10u64),
        maybe(LICENSES),
        stage,
    )
        .prop_map(|(kind, id, lineage, license, level, tokens, generator_license, stage)| Input {
            kind,
            id,
            lineage,
            license,
            level,
            tokens: tokens.map(Tokens),
            generator: generator_license.as_ref().map(|_| "gen/model".to_owned()),
            generator_license,
            stage,
        })
}

/// A registry of some of the ids that inputs have.
fn registry() -> impl Strategy<Value = BTreeMap<String, Registered>> {
    let generator = maybe(&["gen/model", "gen/other"]);
    let known = (maybe(LEVELS), maybe(LICENSES), generator, maybe(LICENSES));
    let known = known.prop_map(|(level, license, generator, generator_license)| Registered {
        level,
        license,
        generator,
        generator_license,
    });
    let id = proptest::sample::select(&["a", "b", "c", "d"][..]).prop_map(str::to_owned);
    proptest::collection::btree_map(id, known, 0..4)
}

/// Every set that comes with Sekisho: house rules must keep the promises too.
fn sets() -> impl Strategy<Value = PolicySet> {
    let sets = PolicySet::builtin_names().map(|name| PolicySet::builtin(name).expect("built in"));
    proptest::sample::select(sets.collect::<Vec<_>>())
}

fn inputs(most: usize) -> impl Strategy<Value = Vec<Input>> {
    proptest::collection::vec(input(), 0..most)
}

const RELEASE: &str = r#"
model.name = "lab-8b"
[[waiver]]
code = "noncommercial-input"
input = "a"
reason = "r"
by = "u"
[release]
repo = "lab/lab-8b"
license = ["apache-2.0", "llama3.1"]
gating = "auto"
"#;

/// A release with these inputs and two parents that may refer to each other and back.
fn facts(own: Vec<Input>, p: Vec<Input>, q: Vec<Input>) -> Facts {
    let file =
        |text: &str, inputs| LineageFile { inputs, ..parse_toml("lineage.toml", text).expect("valid") };
    let mut facts = Facts::of("lineage.toml", file(RELEASE, own));
    facts.announcement =
        Some("A fully open model, open source, open weights, including training data.".to_owned());
    facts.files = Some(Vec::new());
    facts.parents.insert("p.toml".to_owned(), file("model.name = \"P\"", p));
    facts.parents.insert("q.toml".to_owned(), file("model.name = \"Q\"", q));
    facts
}

/// What a decision depends on besides the inputs.
type Around = (PolicySet, Option<BTreeMap<String, Registered>>);

fn around() -> impl Strategy<Value = Around> {
    (sets(), proptest::option::of(registry()))
}

fn decide((set, registry): &Around, own: &[Input], p: &[Input], q: &[Input]) -> Decision {
    let mut facts = facts(own.to_vec(), p.to_vec(), q.to_vec());
    facts.registry.clone_from(registry);
    evaluate(&facts, set, TODAY)
}

/// What must survive: code and sentence; for sentences that count or name a way, the code alone.
fn kept(findings: &[Finding]) -> BTreeSet<(&'static str, String)> {
    let lifted = [Code::OutputsForbidden, Code::LineageMissing, Code::RestrictiveLicense];
    findings
        .iter()
        .filter(|finding| !lifted.contains(&finding.code))
        .map(|finding| {
            let counts = matches!(finding.code, Code::DataClaim | Code::LineageCycle | Code::LicenseConflict);
            (finding.code.as_str(), if counts { String::new() } else { finding.text.en.clone() })
        })
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn an_input_more_removes_nothing(around in around(), own in inputs(5), p in inputs(4), q in inputs(4), more in input(), place in 0..3usize) {
        let before = decide(&around, &own, &p, &q);
        let mut lists = [own, p, q];
        lists[place].push(more);
        let after = decide(&around, &lists[0], &lists[1], &lists[2]);
        prop_assert!(kept(&before.violations).is_subset(&kept(&after.violations)));
        prop_assert!(kept(&before.obligations).is_subset(&kept(&after.obligations)));
    }

    #[test]
    fn the_order_of_inputs_never_matters(around in around(), own in inputs(5), p in inputs(4), q in inputs(4), seed in any::<u64>()) {
        let shuffled = |list: &[Input]| {
            let mut list = list.to_vec();
            let len = list.len().max(1);
            for i in 0..list.len() {
                list.swap(i, (seed as usize).wrapping_mul(i + 7) % len);
            }
            list
        };
        let decision = decide(&around, &own, &p, &q);
        let other = decide(&around, &shuffled(&own), &shuffled(&p), &shuffled(&q));
        prop_assert_eq!(decision.digest, other.digest);
        prop_assert_eq!(decision, other);
    }

    #[test]
    fn forbidden_text_is_found_however_deep(
        edges in proptest::collection::vec((proptest::sample::select(LINKS), proptest::sample::select(InputStage::ALL)), 1..6),
        stage in proptest::sample::select(InputStage::ALL),
        (level, code) in proptest::sample::select(FORBIDDEN),
        beside in inputs(3),
    ) {
        let parse = |text: &str| parse_toml::<LineageFile>("lineage.toml", text).expect("valid");
        let link = |to: usize, (kind, stage): (&str, InputStage)| {
            let input = format!("kind = \"{kind}\", stage = \"{stage}\", lineage = \"{to}.toml\"");
            let mut file = parse(&format!("model.name = \"m{to}\"\ninput = [{{ {input} }}]"));
            file.inputs.extend(beside.iter().filter(|input| input.lineage.is_none()).cloned());
            file
        };
        let mut facts = Facts::of("lineage.toml", link(1, edges[0]));
        for (i, edge) in edges.iter().enumerate().skip(1) {
            facts.parents.insert(format!("{i}.toml"), link(i + 1, *edge));
        }
        let level = level.map_or_else(String::new, |level| format!("level = \"{level}\", "));
        let input = format!("kind = \"corpus\", id = \"x\", {level}license = \"CC0-1.0\", tokens = 1, stage = \"{stage}\"");
        let root = parse(&format!("model.name = \"root\"\ninput = [{{ {input} }}]"));
        facts.parents.insert(format!("{}.toml", edges.len()), root);
        let decision = evaluate(&facts, &base(), TODAY);
        let found = decision.violations.iter().find(|finding| {
            finding.code == code && finding.derivation.iter().any(|line| line.starts_with("corpus \"x\""))
        });
        prop_assert!(found.is_some(), "{:#?}", decision.violations);
        let way = found.and_then(|found| found.derivation.iter().find(|line| line.starts_with("corpus \"x\"")));
        prop_assert_eq!(way.map(|way| way.matches(" → ").count()), Some(edges.len() * 2 + 3), "every edge is named");
    }
}
