//! Licence duties byte for byte, on the real texts.

use std::path::PathBuf;

use super::{Files, codes, judge};

/// The licence texts that lie beside the checkout; nothing when they are not there.
pub(super) fn licenses() -> Option<PathBuf> {
    let root = std::env::var("SEKISHO_TEST_DATA").map_or_else(
        |_| PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data")),
        PathBuf::from,
    );
    let folder = root.join("licenses");
    let there = folder.is_dir();
    if !there {
        eprintln!("skipped: no test data at {}", folder.display());
    }
    there.then_some(folder)
}

fn read(folder: &std::path::Path, file: &str) -> String {
    String::from_utf8(fs_err::read(folder.join(file)).expect("a licence text")).expect("UTF-8")
}

const LLAMA_NOTICE: &str = "Llama 3.1 is licensed under the Llama 3.1 Community License, Copyright © Meta Platforms, Inc. All Rights Reserved.";
const GEMMA_NOTICE: &str =
    "Gemma is provided under and subject to the Gemma Terms of Use found at ai.google.dev/gemma/terms";

/// A release of the Swallow kind: Llama 3.1 continued, tuned on Gemma's outputs, every duty met.
fn swallow(folder: &std::path::Path) -> Files {
    let lineage = r#"
model.name = "Llama-3.1-Lab-8B"
input = [
  { kind = "base_model", id = "meta-llama/Llama-3.1-8B", license = "llama3.1", stage = "continual" },
  { kind = "corpus", id = "web-ja", level = "L3", license = "LicenseRef-crawl", tokens = 90000000000, stage = "continual" },
  { kind = "synthetic", id = "sft-ja", generator = "google/gemma-2-27b-it", generator_license = "gemma", level = "L1", license = "CC-BY-4.0", stage = "sft" },
]
release = { repo = "lab/Llama-3.1-Lab-8B", license = ["llama3.1", "gemma"], files = "release" }
"#;
    let card = "---\nlicense: [llama3.1, gemma]\n---\n# Llama-3.1-Lab-8B - Built with Llama\n";
    Files::default()
        .with("/lab/lineage.toml", lineage)
        .with("/lab/release/README.md", card)
        .with("/lab/release/NOTICE", &format!("{LLAMA_NOTICE}\n{GEMMA_NOTICE}\n"))
        .with("/lab/release/LICENSE", &read(folder, "llama3.1/LICENSE"))
        .with("/lab/release/USE_POLICY.md", &read(folder, "llama3.1/USE_POLICY.md"))
        .with(
            "/lab/release/GEMMA_TERMS_OF_USE.md",
            &read(folder, "gemma/GEMMA_TERMS_OF_USE.2026-04-01.transcribed.md"),
        )
}

fn change(files: &Files, path: &str, from: &str, to: &str) -> Files {
    let text = String::from_utf8(files.0[path].clone()).expect("UTF-8");
    let changed = text.replacen(from, to, 1);
    assert_ne!(text, changed, "{from} is in {path}");
    files.clone().with(path, &changed)
}

#[test]
fn a_release_that_meets_every_duty_is_allowed() {
    let Some(folder) = licenses() else { return };
    let decision = judge(&swallow(&folder));
    assert_eq!(codes(&decision.violations), [""; 0], "{:#?}", decision.violations);
    assert!(decision.obligations.iter().any(|owed| owed.text.en.contains(GEMMA_NOTICE)));
}

#[test]
fn an_obligation_is_included_as_long_as_its_own_text_is() {
    let Some(folder) = licenses() else { return };
    let texts = ["license-file-missing", "notice-missing", "use-policy-missing"];
    let lacking = |files: &Files| -> Vec<String> {
        let decision = judge(files);
        let owed = decision.obligations.iter().filter(|owed| texts.contains(&owed.code.as_str()));
        owed.filter(|owed| !decision.includes(owed)).map(|owed| owed.text.en.clone()).collect()
    };
    let good = swallow(&folder);
    assert_eq!(lacking(&good), [""; 0]);
    let broken = lacking(&change(&good, "/lab/release/LICENSE", "California", "Kalifornia"));
    assert!(broken.len() == 1 && broken[0].contains("llama3.1"), "Gemma's terms are there: {broken:?}");
}

#[test]
fn each_broken_duty_has_its_own_code() {
    let Some(folder) = licenses() else { return };
    let good = swallow(&folder);
    let notice = "/lab/release/NOTICE";
    let card = "/lab/release/README.md";
    for (path, from, to, code) in [
        (notice, "©", "(c)", "notice-missing"),
        (notice, "Gemma is", "gemma is", "notice-missing"),
        (notice, "Reserved.\n", "Reserved. \n", "notice-missing"),
        (notice, "terms\n", "terms.\n", "notice-missing"),
        (card, "# Llama-3.1-Lab-8B - ", "# llama-3.1-Lab-8B - ", "name-prefix"),
        (card, "# Llama-3.1-Lab-8B - ", "# Lab-Llama-3.1-8B - ", "name-prefix"),
        (card, "Built with Llama", "Built With Llama", "built-with-missing"),
        (card, "[llama3.1, gemma]", "llama3.1", "card-license-mismatch"),
        ("/lab/release/LICENSE", "California", "Kalifornia", "license-file-missing"),
        ("/lab/release/GEMMA_TERMS_OF_USE.md", "Distribution", "distribution", "license-file-missing"),
        ("/lab/release/USE_POLICY.md", "Violence", "Silence", "use-policy-missing"),
        ("/lab/lineage.toml", "lab/Llama-3.1-Lab-8B", "lab/swallow-llama-3.1", "name-prefix"),
        ("/lab/lineage.toml", "model.name = \"Llama-3.1", "model.name = \"Lab-3.1", "name-prefix"),
        ("/lab/lineage.toml", "[\"llama3.1\", \"gemma\"]", "[\"apache-2.0\"]", "license-conflict"),
    ] {
        let decision = judge(&change(&good, path, from, to));
        assert!(
            codes(&decision.violations).contains(&code),
            "{path}: {from} → {to}: {:?}",
            codes(&decision.violations)
        );
    }
}

#[test]
fn a_card_that_credits_nobody_is_told() {
    let lineage = r#"
model.name = "lab-1b"
input = [
  { kind = "corpus", id = "wiki_ja", level = "L1", license = "CC-BY-SA-4.0", stage = "pretrain" },
  { kind = "corpus", id = "dolma", level = "L1", license = "ODC-By-1.0", stage = "pretrain" },
]
release = { repo = "lab/lab-1b", license = ["cc-by-sa-4.0"], files = "release" }
"#;
    let sentence =
        "Contains information from dolma which is made available under the ODC Attribution License.";
    let found = |files: &[(&str, &str)]| {
        let base = Files::default().with("/lab/lineage.toml", lineage);
        let add = |all: Files, (name, text): &(&str, &str)| all.with(&format!("/lab/release/{name}"), text);
        let decision = judge(&files.iter().fold(base, add));
        let of = |list: &[crate::Finding]| list.iter().filter(|f| f.code == crate::Code::Attribution).count();
        (of(&decision.violations), of(&decision.warnings), of(&decision.obligations))
    };
    let card = |body: &str| format!("---\nlicense: cc-by-sa-4.0\ntags: [wiki_ja]\n---\n# lab-1b\n\n{body}\n");
    assert_eq!(found(&[("README.md", &card(""))]), (0, 2, 2), "the front matter is no credit");
    assert_eq!(found(&[("README.md", &card("```\nwiki_ja\n```"))]), (0, 2, 2), "nor is code");
    // As the card writes them: mark-up is no part of a name.
    let whole = format!("- wiki\\_ja: CC-BY-SA-4.0\n\n> {sentence}");
    assert_eq!(found(&[("README.md", &card(&whole))]), (0, 0, 2));
    assert_eq!(found(&[("README.md", &card(&sentence.replace("ODC", "odc")))]), (0, 2, 2), "byte for byte");
    let elsewhere =
        [("README.md", card("")), ("NOTICE", sentence.to_owned()), ("Attribution.md", "wiki_ja".to_owned())];
    let elsewhere: Vec<(&str, &str)> = elsewhere.iter().map(|(name, text)| (*name, text.as_str())).collect();
    assert_eq!(found(&elsewhere), (0, 0, 2));
    // Where there is no card yet, the service writes it.
    assert_eq!(found(&[("NOTICE", "Copyright")]), (0, 0, 2));
}

#[test]
fn every_text_that_one_generator_wrote_is_credited() {
    let lineage = r#"
model.name = "lab-1b"
input = [
  { kind = "synthetic", id = "sft-ja", lineage = "gen.toml", stage = "sft" },
  { kind = "synthetic", id = "sft-en", lineage = "gen.toml", stage = "sft" },
]
"#;
    let generator = r#"
model.name = "gen"
input = [{ kind = "corpus", id = "wiki_ja", level = "L1", license = "CC-BY-SA-4.0", stage = "pretrain" }]
"#;
    let files = Files::default().with("/lab/lineage.toml", lineage).with("/lab/gen.toml", generator);
    let decision = judge(&files);
    for name in ["sft-ja", "sft-en"] {
        let credits = |f: &crate::Finding| f.code == crate::Code::Attribution && f.text.en.contains(name);
        assert!(decision.obligations.iter().any(credits), "{name}: {:#?}", decision.obligations);
    }
}

#[test]
fn a_cut_licence_is_no_licence() {
    let Some(folder) = licenses() else { return };
    let good = swallow(&folder);
    let whole = String::from_utf8(good.0["/lab/release/LICENSE"].clone()).expect("UTF-8");
    let cut: String = whole.chars().take(whole.chars().count() / 2).collect();
    assert_eq!(
        codes(&judge(&good.clone().with("/lab/release/LICENSE", &cut)).violations),
        ["license-file-missing"]
    );
    // White space, a copyright line above and another licence below do no harm.
    let moved = format!("Copyright 2026 Lab\n\n{}\n\nAppendix\n", whole.replace('\n', "\r\n  "));
    assert_eq!(codes(&judge(&good.with("/lab/release/LICENSE", &moved)).violations), [""; 0]);
}

#[test]
fn every_text_at_hand_is_recognised() {
    let Some(folder) = licenses() else { return };
    for (id, file) in [
        ("apache-2.0", "apache-2.0/LICENSE"),
        ("apache-2.0", "apache-2.0/Apache-2.0.spdx.txt"),
        ("mit", "mit/LICENSE"),
        ("openmdw-1.0", "openmdw-1.1/LICENSE.openmdw-1.0"),
        ("openmdw-1.1", "openmdw-1.1/LICENSE.OpenMDW-1.1"),
        ("llama2", "llama2/LICENSE"),
        ("llama2", "llama2/LICENSE.meta-llama-llama"),
        ("llama3", "llama3/LICENSE"),
        ("llama3", "llama3/LICENSE.meta-llama-llama3"),
        ("llama3.2", "llama3.2/LICENSE"),
        ("llama3.3", "llama3.3/LICENSE"),
        ("llama4", "llama4/LICENSE"),
        ("gemma", "gemma/gemma-tou-2024-04-01.LICENSE"),
        ("gemma", "gemma/gemma-tou-2025-03-24.LICENSE"),
        ("tongyi-qianwen", "tongyi-qianwen/Tongyi Qianwen LICENSE AGREEMENT"),
        ("qwen", "tongyi-qianwen/qwen-2024.LICENSE"),
    ] {
        let lineage = format!(
            "model.name = \"x\"\ninput = [{{ kind = \"corpus\", id = \"a\", level = \"L1\", license = \"CC0-1.0\" }}]\n\
             release = {{ repo = \"lab/x\", license = [\"{id}\"], files = \"release\" }}\n"
        );
        let release = Files::default()
            .with("/lab/lineage.toml", &lineage)
            .with("/lab/release/README.md", &format!("---\nlicense: {id}\n---\n# x\n"));
        assert_eq!(codes(&judge(&release).violations), ["license-file-missing"], "{id} without text");
        let with_text = release.with("/lab/release/LICENSE", &read(&folder, file));
        assert_eq!(codes(&judge(&with_text).violations), [""; 0], "{id} with {file}");
    }
}
