//! Named checks 8 to 11: `sekisho policy check` on folders with the real licence texts, sentence by sentence. What each rule does in
//! detail is tested beside the rules (`server/policy`).

use std::collections::BTreeSet;
use std::path::PathBuf;

use serde_json::Value;
use tests::cli;
use tests::data;
use tests::service::text;

const LLAMA: &str = "Llama 3.1 is licensed under the Llama 3.1 Community License, Copyright © Meta Platforms, Inc. All Rights Reserved.";
const GEMMA: &str =
    "Gemma is provided under and subject to the Gemma Terms of Use found at ai.google.dev/gemma/terms";
/// Synthetic text by Gemma 2, as Swallow's instruction models are tuned on.
const BY_GEMMA: &str = r#"
[[input]]
kind = "synthetic"
id = "sft-ja"
generator = "google/gemma-2-27b-it"
generator_license = "gemma"
level = "L1"
license = "CC-BY-4.0"
tokens = 5
stage = "sft"
"#;

/// A lineage file and what lies beside it.
struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a temporary folder"))
    }

    fn write(&self, name: &str, text: &str) {
        let file = self.0.path().join(name);
        fs_err::create_dir_all(file.parent().expect("below the folder")).expect("a folder");
        fs_err::write(file, text).expect("written");
    }

    fn read(&self, name: &str) -> String {
        fs_err::read_to_string(self.0.path().join(name)).expect("written before")
    }

    fn remove(&self, name: &str) {
        fs_err::remove_file(self.0.path().join(name)).expect("written before");
    }

    /// The decision; the exit code says the same.
    fn check(&self) -> Decision {
        let file = self.0.path().join("lineage.toml").display().to_string();
        let ended = cli::run(&mut cli::command(["policy", "check", "--json", &file]));
        let decision = ended.json();
        let allowed = decision["verdict"] == "allowed";
        assert_eq!(ended.code, Some(if allowed { 0 } else { 5 }), "{decision:#}");
        Decision(decision)
    }

    /// The decision while this file holds this text instead.
    fn with(&self, name: &str, text: &str) -> Decision {
        let before = self.read(name);
        self.write(name, text);
        let decision = self.check();
        self.write(name, &before);
        decision
    }

    /// The decision on the file with one thing replaced.
    fn changed(&self, name: &str, from: &str, to: &str) -> Decision {
        let before = self.read(name);
        let after = before.replacen(from, to, 1);
        assert_ne!(before, after, "{from} is in {name}");
        self.with(name, &after)
    }
}

/// As it is printed.
struct Decision(Value);

impl Decision {
    fn allowed(&self) -> bool {
        self.0["verdict"] == "allowed"
    }

    fn findings(&self, list: &str) -> &[Value] {
        self.0[list].as_array().expect("a list")
    }

    fn codes(&self, list: &str) -> BTreeSet<&str> {
        self.findings(list).iter().map(|finding| text(&finding["code"])).collect()
    }

    /// The sentences of one code.
    fn says(&self, list: &str, code: &str) -> Vec<&str> {
        let of = self.findings(list).iter().filter(|finding| finding["code"] == code);
        of.map(|finding| text(&finding["text"]["en"])).collect()
    }

    /// Every way in that a list's findings name.
    fn ways(&self, list: &str) -> Vec<&str> {
        let ways = self.findings(list).iter().filter_map(|finding| finding["derivation"].as_array());
        ways.flatten().map(text).collect()
    }
}

/// Texts of licences, byte for byte where they can be had.
fn licenses() -> Option<PathBuf> {
    Some(data::data()?.join("licenses"))
}

/// Llama 3.1 continued on Japanese text, with every duty met; tuned on Gemma's outputs or not.
fn swallow(texts: &std::path::Path, gemma: bool) -> Folder {
    let folder = Folder::new();
    let declared = if gemma { "\"llama3.1\", \"gemma\"" } else { "\"llama3.1\"" };
    let tuned = if gemma { BY_GEMMA } else { "" };
    folder.write(
        "lineage.toml",
        &format!(
            "[model]\nname = \"Llama-3.1-Lab-8B\"\n\
             [[input]]\nkind = \"base_model\"\nid = \"meta-llama/Llama-3.1-8B\"\nlicense = \"llama3.1\"\nstage = \"continual\"\n\
             [[input]]\nkind = \"corpus\"\nid = \"web-ja\"\nlevel = \"L3\"\nlicense = \"LicenseRef-crawl\"\ntokens = 90000000000\nstage = \"continual\"\n\
             {tuned}\
             [release]\nrepo = \"lab/Llama-3.1-Lab-8B\"\nlicense = [{declared}]\nfiles = \"release/\"\n"
        ),
    );
    let copy = |from: &str, to: &str| {
        folder.write(to, &fs_err::read_to_string(texts.join(from)).expect("a licence text"));
    };
    copy("llama3.1/LICENSE", "release/LICENSE");
    copy("llama3.1/USE_POLICY.md", "release/USE_POLICY.md");
    let declared = declared.replace('"', "");
    folder.write(
        "release/README.md",
        &format!("---\nlicense: [{declared}]\n---\n# Llama-3.1-Lab-8B\n\nBuilt with Llama\n"),
    );
    if gemma {
        copy("gemma/GEMMA_TERMS_OF_USE.2026-04-01.transcribed.md", "release/GEMMA_TERMS_OF_USE.md");
        folder.write("release/NOTICE", &format!("{LLAMA}\n{GEMMA}\n"));
    } else {
        folder.write("release/NOTICE", &format!("{LLAMA}\n"));
    }
    folder
}

#[test]
fn a_swallow_with_gemmas_outputs_owes_both_licences_and_without_only_llamas() {
    let Some(texts) = licenses() else { return };
    let folder = swallow(&texts, true);
    let with = folder.check();
    assert!(with.allowed(), "{:#}", with.0);
    let texts_owed = with.says("obligations", "license-file-missing");
    assert!(texts_owed.iter().any(|owed| owed.contains("llama3.1 (LICENSE)")), "{texts_owed:?}");
    assert!(texts_owed.iter().any(|owed| owed.contains("gemma (GEMMA_TERMS_OF_USE.md)")), "{texts_owed:?}");
    let notices = with.says("obligations", "notice-missing");
    for notice in [LLAMA, GEMMA] {
        assert!(notices.iter().any(|owed| owed.contains(notice)), "{notices:?}");
    }
    assert!(with.says("obligations", "name-prefix")[0].contains("begin with \"Llama\""), "{:#}", with.0);
    let way = "synthetic \"sft-ja\" → sft → \"Llama-3.1-Lab-8B\" → gemma";
    assert!(with.ways("obligations").iter().any(|line| line.starts_with(way)), "the edge is named");

    // Declared without Gemma it is refused, and the edge that brings Gemma is named.
    let refused = folder.changed("lineage.toml", "[\"llama3.1\", \"gemma\"]", "[\"llama3.1\"]");
    assert!(refused.codes("violations").contains("license-conflict"), "{:#}", refused.0);
    assert!(refused.ways("violations").iter().any(|line| line.starts_with(way)), "{:#}", refused.0);

    let without = swallow(&texts, false).check();
    assert!(without.allowed(), "{:#}", without.0);
    assert_eq!(without.says("obligations", "license-file-missing").len(), 1, "{:#}", without.0);
    assert!(!without.0["obligations"].to_string().contains("gemma"), "{:#}", without.0);
}

#[test]
fn a_model_from_scratch_may_learn_from_llama_3_1_under_its_name_and_never_from_llama_3() {
    let folder = Folder::new();
    let lineage = |license: &str, name: &str| {
        format!(
            "[model]\nname = \"{name}\"\n\
             [[input]]\nkind = \"corpus\"\nid = \"web-ja\"\nlevel = \"L3\"\nlicense = \"LicenseRef-crawl\"\ntokens = 9\nstage = \"pretrain\"\n\
             [[input]]\nkind = \"synthetic\"\nid = \"sft\"\ngenerator = \"meta-llama/x\"\ngenerator_license = \"{license}\"\nlevel = \"L1\"\nlicense = \"CC0-1.0\"\ntokens = 5\nstage = \"sft\"\n\
             [release]\nrepo = \"lab/{name}\"\nlicense = [\"apache-2.0\"]\n"
        )
    };
    let judged = |license: &str, name: &str| {
        folder.write("lineage.toml", &lineage(license, name));
        folder.check()
    };
    for name in ["lab-1b", "Llama-3-Lab-1b"] {
        let barred = judged("llama3", name);
        assert_eq!(barred.codes("violations"), BTreeSet::from(["outputs-forbidden"]), "{name}");
        assert!(barred.ways("violations")[0].starts_with("synthetic \"sft\" → sft → "), "{:#}", barred.0);
    }
    assert_eq!(judged("llama3.1", "lab-1b").codes("violations"), BTreeSet::from(["name-prefix"]));
    let named = judged("llama3.1", "Llama-Lab-1b");
    assert!(named.allowed() && named.codes("obligations").contains("built-with-missing"), "{:#}", named.0);
}

/// Every character of both notice lines in another form, and every other broken duty: each has its own code, and none passes.
#[test]
fn every_change_of_a_duty_is_caught_under_its_own_code() {
    let Some(texts) = licenses() else { return };
    let folder = swallow(&texts, true);
    assert!(folder.check().allowed());
    let (mut caught, mut all) = (0, 0);
    let mut expect = |what: &str, decision: &Decision, code: &str| {
        all += 1;
        let found = decision.codes("violations").contains(code);
        caught += usize::from(found);
        assert!(found, "{what}: {:?} lacks {code}", decision.codes("violations"));
    };
    let notice = folder.read("release/NOTICE");
    for (at, letter) in notice.char_indices().filter(|(_, letter)| *letter != '\n') {
        let other = match letter {
            '©' => "(c)".to_owned(),
            letter if letter.is_lowercase() => letter.to_uppercase().collect(),
            letter if letter.is_uppercase() => letter.to_lowercase().collect(),
            _ => "_".to_owned(),
        };
        let changed = format!("{}{other}{}", &notice[..at], &notice[at + letter.len_utf8()..]);
        expect(&changed, &folder.with("release/NOTICE", &changed), "notice-missing");
    }
    let half = |name: &str| {
        let whole = folder.read(name);
        whole.chars().take(whole.chars().count() / 2).collect::<String>()
    };
    for (file, from, to, code) in [
        ("lineage.toml", "name = \"Llama-3.1-Lab-8B\"", "name = \"llama-3.1-Lab-8B\"", "name-prefix"),
        ("lineage.toml", "name = \"Llama-3.1-Lab-8B\"", "name = \"Lab-Llama-3.1-8B\"", "name-prefix"),
        ("lineage.toml", "repo = \"lab/Llama-3.1-Lab-8B\"", "repo = \"lab/llama-3.1-Lab-8B\"", "name-prefix"),
        ("lineage.toml", "repo = \"lab/Llama-3.1-Lab-8B\"", "repo = \"lab/Lab-Llama-3.1-8B\"", "name-prefix"),
        ("release/README.md", "# Llama", "# llama", "name-prefix"),
        ("release/README.md", "# Llama-3.1-Lab-8B", "# Lab-Llama-3.1-8B", "name-prefix"),
        ("release/README.md", "Built with Llama", "", "built-with-missing"),
        ("release/README.md", "Built with Llama", "built with Llama", "built-with-missing"),
        ("release/README.md", "[llama3.1, gemma]", "[llama3.1]", "card-license-mismatch"),
    ] {
        expect(&format!("{file}: {to}"), &folder.changed(file, from, to), code);
    }
    for (file, code) in [
        ("release/LICENSE", "license-file-missing"),
        ("release/GEMMA_TERMS_OF_USE.md", "license-file-missing"),
        ("release/USE_POLICY.md", "use-policy-missing"),
    ] {
        expect(file, &folder.with(file, &half(file)), code);
        let whole = folder.read(file);
        folder.remove(file);
        let gone = folder.check();
        folder.write(file, &whole);
        expect(file, &gone, code);
    }
    assert!(all > 200, "{all} mutations were made");
    assert_eq!(caught, all, "the mutation score is 100 %");
}

/// A model of the lab, its licence and gate, and what is announced of it.
fn announced(license: &str, gating: &str, says: &str) -> Decision {
    let folder = Folder::new();
    folder.write(
        "lineage.toml",
        &format!(
            "[model]\nname = \"lab-172b\"\n\
             [[input]]\nkind = \"corpus\"\nid = \"wiki-ja\"\nlevel = \"L1\"\nlicense = \"CC-BY-4.0\"\ntokens = 1000\nstage = \"pretrain\"\n\
             [[input]]\nkind = \"corpus\"\nid = \"web-ja\"\nlevel = \"L3\"\nlicense = \"LicenseRef-crawl\"\ntokens = 9000\nstage = \"pretrain\"\n\
             [release]\nrepo = \"lab/lab-172b\"\nlicense = [\"{license}\"]\ngating = \"{gating}\"\nannouncement = \"news.md\"\n"
        ),
    );
    folder.write("news.md", says);
    folder.check()
}

#[test]
fn a_gated_restricted_model_is_not_called_open_and_an_apache_model_with_data_information_is() {
    for says in [
        "パラメータ数約1,720億、学習データも含めた世界最大のフルオープンな大規模言語モデルを公開",
        "世界最大のﾌﾙｵｰﾌﾟﾝな大規模言語モデルを公開",
        "世界最大のフルオー\nプンな大規模言語モデルを公開",
        // The voiced marks as letters of their own, as NFD writes them.
        "世界最大のフルオーフ\u{309a}ンな大規模言語モデルを公開",
        "the world's largest fully open large language model",
        "the world's largest ｆｕｌｌｙ　ｏｐｅｎ large language model",
        "the world's largest fully\nopen large language model",
    ] {
        let refused = announced("other", "manual", says);
        assert!(refused.codes("violations").contains("open-claim"), "{says:?}: {:#}", refused.0);
    }
    for says in [
        "オープンソースの大規模言語モデルを公開しました。学習データの一覧はモデルカードに記載しています。",
        "An open source model under the Apache License 2.0; its training data is described in the card.",
    ] {
        let passed = announced("apache-2.0", "none", says);
        assert!(passed.allowed(), "{says}: {:#}", passed.0);
        assert!(!passed.codes("warnings").contains("open-claim"), "{says}: {:#}", passed.0);
    }
    for says in ["このモデルはフルオープンではありません。", "This is not an open source model."]
    {
        let warned = announced("other", "manual", says);
        assert!(!warned.codes("violations").contains("open-claim"), "{says}: {:#}", warned.0);
        assert!(warned.codes("warnings").contains("open-claim"), "{says}: {:#}", warned.0);
    }
}

#[test]
fn one_forbidden_token_is_found_three_generations_back_on_every_way() {
    for (kind, stage) in [("base_model", "continual"), ("merge", "merge"), ("tokenizer", "tokenizer")] {
        for (level, code) in [
            ("level = \"LZ\"\n", "level-forbids-use"),
            ("level = \"LX\"\n", "level-forbids-training"),
            ("level = \"L9\"\n", "level-unknown"),
            ("", "level-unknown"),
        ] {
            let folder = Folder::new();
            let link = |name: &str, kind: &str, stage: &str, to: &str| {
                format!(
                    "[model]\nname = \"{name}\"\n[[input]]\nkind = \"{kind}\"\nlineage = \"{to}.toml\"\nstage = \"{stage}\"\n"
                )
            };
            let release = "[release]\nrepo = \"lab/a\"\nlicense = [\"apache-2.0\"]\n";
            folder.write("lineage.toml", &(link("a", "base_model", "continual", "b") + release));
            folder.write("b.toml", &link("b", kind, stage, "c"));
            folder.write("c.toml", &link("c", "base_model", "continual", "d"));
            folder.write(
                "d.toml",
                &format!("[model]\nname = \"d\"\n[[input]]\nkind = \"corpus\"\nid = \"x\"\n{level}license = \"CC0-1.0\"\ntokens = 1\nstage = \"pretrain\"\n"),
            );
            let refused = folder.check();
            assert!(refused.codes("violations").contains(code), "{kind} {level}: {:#}", refused.0);
            let way = format!(
                "corpus \"x\" → pretrain → \"d\" → continual → \"c\" → {stage} → \"b\" → continual → \"a\""
            );
            assert!(refused.ways("violations").iter().any(|line| line.starts_with(&way)), "{:#}", refused.0);
        }
    }
}

/// Inputs with duties of every kind.
const INPUTS: [&str; 6] = [
    "kind = \"base_model\"\nid = \"meta-llama/Llama-3.1-8B\"\nlicense = \"llama3.1\"\nstage = \"continual\"\n",
    "kind = \"corpus\"\nid = \"web-ja\"\nlevel = \"L3\"\nlicense = \"LicenseRef-crawl\"\ntokens = 9\nstage = \"continual\"\n",
    "kind = \"synthetic\"\nid = \"sft-ja\"\ngenerator = \"google/gemma-2-27b-it\"\ngenerator_license = \"gemma\"\nlevel = \"L1\"\nlicense = \"CC-BY-4.0\"\ntokens = 5\nstage = \"sft\"\n",
    "kind = \"corpus\"\nid = \"shared\"\nlevel = \"L1\"\nlicense = \"CC-BY-SA-4.0\"\ntokens = 7\nstage = \"continual\"\n",
    "kind = \"corpus\"\nid = \"forbidden\"\nlevel = \"LX\"\nlicense = \"CC0-1.0\"\ntokens = 1\nstage = \"continual\"\n",
    "kind = \"reward\"\nid = \"Qwen/judge\"\nlicense = \"qwen\"\nstage = \"preference\"\n",
];

/// Adding an input never removes a duty or an objection, and the order of inputs never changes the digest of the decision.
#[test]
fn inputs_only_add_and_their_order_never_matters() {
    let folder = Folder::new();
    let judged = |inputs: &[&str]| {
        let inputs: String = inputs.iter().map(|input| format!("[[input]]\n{input}")).collect();
        folder.write(
            "lineage.toml",
            &format!(
                "[model]\nname = \"Llama-Lab\"\n{inputs}[release]\nrepo = \"lab/Llama-Lab\"\nlicense = [\"llama3.1\"]\n"
            ),
        );
        folder.check()
    };
    let sentences = |decision: &Decision, list: &str| -> BTreeSet<(String, String)> {
        let all = decision.findings(list).iter();
        all.map(|found| (text(&found["code"]).to_owned(), text(&found["text"]["en"]).to_owned())).collect()
    };
    for first in 0..INPUTS.len() {
        let mut before = judged(&INPUTS[first..=first]);
        for more in 1..INPUTS.len() {
            let inputs: Vec<&str> = (0..=more).map(|i| INPUTS[(first + i) % INPUTS.len()]).collect();
            let after = judged(&inputs);
            for list in ["violations", "obligations"] {
                let (fewer, all) = (sentences(&before, list), sentences(&after, list));
                assert!(fewer.is_subset(&all), "{:?} is gone with {}", fewer.difference(&all), inputs[more]);
            }
            let mut turned = inputs.clone();
            turned.reverse();
            assert_eq!(judged(&turned).0["digest"], after.0["digest"], "{inputs:#?}");
            before = after;
        }
    }
}
