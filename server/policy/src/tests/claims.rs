//! What an announcement may say of a release.

use sekisho_domain::Language;

use super::{Files, base, codes, judge};
use crate::{Facts, Weight, check_announcement};

const OPEN: &str = r#"
model.name = "lab-8b"
input = [
  { kind = "corpus", id = "wiki-ja", level = "L1", license = "CC-BY-4.0", tokens = 1000, stage = "pretrain" },
  { kind = "corpus", id = "web-ja", level = "L3", license = "LicenseRef-crawl", tokens = 9000, stage = "pretrain" },
]
release = { repo = "lab/lab-8b", license = ["apache-2.0"], announcement = "a.md" }
"#;

const RESTRICTED: &str = r#"
model.name = "lab-172b"
input = [
  { kind = "corpus", id = "wiki-ja", level = "L1", license = "CC-BY-4.0", tokens = 1000, stage = "pretrain" },
  { kind = "corpus", id = "web-ja", level = "L3", license = "LicenseRef-crawl", tokens = 9000, stage = "pretrain" },
]
release = { repo = "lab/lab-172b", license = ["other"], gating = "manual", announcement = "a.md" }
"#;

/// Violations and warnings of an announcement.
fn check(lineage: &str, announcement: &str, violations: &[&str], warnings: &[&str]) {
    let decision =
        judge(&Files::default().with("/lab/lineage.toml", lineage).with("/lab/a.md", announcement));
    assert_eq!(codes(&decision.violations), violations, "{announcement}: {:#?}", decision.violations);
    assert_eq!(codes(&decision.warnings), warnings, "{announcement}: {:#?}", decision.warnings);
}

#[test]
fn a_restrictive_gated_model_is_not_open() {
    for text in [
        "世界最大のフルオープンモデル",
        "「世界最大のフルオープンモデル」を公開しました。",
        "世界最大の完全オープンな大規模言語モデル",
        "完全に\nオープンな日本語LLM",
        "ﾌﾙｵｰﾌﾟﾝなLLM",
        "オープンソースの大規模言語モデルです。",
        "オープン・ソースのLLM",
        "オープンウェイトで公開します",
        "オープンなモデル",
        "The world's largest fully open model",
        "an ｏｐｅｎ－ｓｏｕｒｃｅ LLM",
        "an open\nsource LLM",
        "We release **open** weights.",
        "Our open models are strong.",
        "Not a toy, but a fully open model.",
        "This is not only an open-source model.",
        "性能で劣るものではなく、フルオープンです。",
    ] {
        check(RESTRICTED, text, &["open-claim"], &[]);
    }
}

#[test]
fn training_data_that_stays_inside_is_not_out() {
    for text in [
        "学習データを含めて公開するモデル",
        "学習データもすべて公開しています。",
        "a model released including training data",
        "The training data is publicly released.",
    ] {
        check(OPEN, text, &["data-claim"], &[]);
    }
    check(OPEN, "世界最大のフルオープンモデル。学習データも公開。", &["open-claim", "data-claim"], &[]);
    check(OPEN, "学習データの一部を公開しています。", &[], &["data-claim"]);
    check(OPEN, "学習データは非公開です。", &[], &["data-claim"]);
}

#[test]
fn an_apache_model_with_known_data_may_be_called_open() {
    for text in [
        "オープンソースの大規模言語モデルを公開しました。",
        "オープンソースライセンス（Apache License 2.0）で公開します。",
        "オープンウェイトのモデルです。",
        "An open-source LLM under an open source licence, with open weights.",
    ] {
        check(OPEN, text, &[], &[]);
    }
}

#[test]
fn negations_and_others_work_only_warn() {
    for text in [
        "このモデルはオープンソースではありません。",
        "フルオープンモデルではなく、申請制のモデルです。",
        "オープンソースとは異なります。",
        "This model is not open source.",
        "It isn't a fully open model.",
        "We trained it with an open-source framework.",
        "オープンソースのライブラリを使用しました。",
    ] {
        check(RESTRICTED, text, &[], &["open-claim"]);
    }
}

#[test]
fn ordinary_words_are_left_alone() {
    for text in [
        "OpenBookQA and an open-ended question; open the file.",
        "Results on the Open LLM Leaderboard",
        "オープンドメイン質問応答で評価した。",
        "公開しました。",
        "学習データの詳細は論文を参照してください。",
    ] {
        check(RESTRICTED, text, &[], &[]);
    }
}

#[test]
fn a_model_with_an_unknown_base_is_not_open_source() {
    let lineage = r#"
model.name = "lab-8b"
input = [{ kind = "base_model", id = "x/base", license = "apache-2.0", stage = "continual" }]
release = { repo = "lab/lab-8b", license = ["apache-2.0"], announcement = "a.md" }
"#;
    check(lineage, "An open-source model.", &["open-claim"], &[]);
    check(lineage, "An open-weight model.", &[], &[]);
}

#[test]
fn cards_are_read_too_but_not_their_code() {
    let lineage = RESTRICTED
        .replace("announcement = \"a.md\"", "files = \"r\"")
        .replace("[\"other\"]", "[\"cc-by-4.0\"]");
    let card = |body: &str| {
        Files::default()
            .with("/lab/lineage.toml", &lineage)
            .with("/lab/r/README.md", "---\nlicense: cc-by-4.0\n---\n# x\n")
            .with("/lab/r/README_ja.md", body)
    };
    let decision = judge(&card("# x\n\nオープンソースのLLMです。\n"));
    let texts: Vec<&str> = decision.violations.iter().map(|finding| finding.text.ja.as_str()).collect();
    assert_eq!(
        texts,
        [
            "モデルカード（README_ja.md）に「オープンソース」とありますが、このリリースは利用申請制（個別承認）のため使用できません。使用できる表現：「申請制で重みを提供」",
            "モデルカード（README_ja.md）に「オープンソース」とありますが、このリリースはOSI未承認のライセンス（cc-by-4.0）のため使用できません。使用できる表現：「申請制で重みを提供」",
        ]
    );
    assert_eq!(
        codes(&judge(&card("# x\n\n```\nopen source\n```\n<!-- open source -->\n")).violations),
        [""; 0]
    );
}

/// Half-width forms of the katakana in the sentences below.
const HALF_WIDTH: [(&str, &str); 6] = [
    ("フルオープン", "ﾌﾙｵｰﾌﾟﾝ"),
    ("オープン", "ｵｰﾌﾟﾝ"),
    ("ソース", "ｿｰｽ"),
    ("モデル", "ﾓﾃﾞﾙ"),
    ("ウェイト", "ｳｪｲﾄ"),
    ("データ", "ﾃﾞｰﾀ"),
];

/// A sentence as people, editors and converters write it.
fn spellings(text: &str) -> Vec<String> {
    let wide = |letter: char| match letter {
        '!'..='~' => char::from_u32(letter as u32 + 0xfee0).unwrap_or(letter),
        ' ' => '\u{3000}',
        letter => letter,
    };
    let half = HALF_WIDTH.iter().fold(text.to_owned(), |text, (full, half)| text.replace(full, half));
    // The voiced marks as letters of their own, as macOS writes names.
    let decomposed = unicode_normalization::UnicodeNormalization::nfd(text).collect();
    let broken = if text.is_ascii() {
        text.replace(' ', "\n")
    } else {
        text.replace("オープン", "オー\nプン")
    };
    let marked = text.replace("オープン", "**オープン**").replace("open", "*open*");
    vec![
        text.to_owned(),
        text.chars().map(wide).collect(),
        half,
        decomposed,
        broken,
        marked,
        text.to_uppercase(),
    ]
}

/// What the lineages above owe.
const CREDIT: &str = "- wiki-ja: CC-BY-4.0";

/// The sentence in the announcement, in the description and in either card.
fn everywhere(lineage: &str, text: &str) -> Vec<crate::Decision> {
    let license = if lineage.contains("\"other\"") { "other" } else { "apache-2.0" };
    let card = |file: &str, body: &str| {
        let lineage = lineage.replace("announcement = \"a.md\"", "files = \"r\"");
        let front = format!("---\nlicense: {license}\n---\n");
        let files = Files::default().with("/lab/lineage.toml", &lineage);
        let files = files.with("/lab/r/LICENSE", crate::license_text("apache-2.0").expect("carried"));
        files
            .with("/lab/r/README.md", &format!("{front}# x\n\n{CREDIT}\n"))
            .with(&format!("/lab/r/{file}"), &format!("{front}# x\n\n{CREDIT}\n\n{body}\n"))
    };
    let described = lineage.replace(
        "announcement = \"a.md\"",
        &format!("description = {}", toml::Value::String(text.to_owned())),
    );
    vec![
        judge(&Files::default().with("/lab/lineage.toml", lineage).with("/lab/a.md", text)),
        judge(&Files::default().with("/lab/lineage.toml", &described)),
        judge(&card("README.md", text)),
        judge(&card("README_ja.md", text)),
    ]
}

#[test]
fn the_announcement_of_the_172b_is_refused_in_every_spelling_and_place() {
    for text in [
        "パラメータ数約1,720億、学習データも含めた世界最大のフルオープンな大規模言語モデルを公開",
        "世界最大級のオープンソースの大規模言語モデルです。",
        "オープンウェイトで公開します。",
        "the world's largest fully open large language model",
        "A new open source LLM of 172B parameters",
        "We publish an open weight model",
    ] {
        for spelling in spellings(text) {
            for (place, decision) in everywhere(RESTRICTED, &spelling).iter().enumerate() {
                assert!(codes(&decision.violations).contains(&"open-claim"), "{place}: {spelling:?}");
            }
        }
    }
}

#[test]
fn an_apache_model_with_data_information_passes_in_every_spelling_and_place() {
    for text in [
        "オープンソースの大規模言語モデルを公開しました。",
        "オープンウェイトのモデルです。学習データの一覧はモデルカードに記載しています。",
        "An open source model under an open source license",
    ] {
        for spelling in spellings(text) {
            for (place, decision) in everywhere(OPEN, &spelling).iter().enumerate() {
                assert!(decision.allowed(), "{place}: {spelling:?}: {:#?}", decision.violations);
                assert_eq!(codes(&decision.warnings), [""; 0], "{place}: {spelling:?}");
            }
        }
    }
}

#[test]
fn negated_sentences_only_warn_in_every_spelling_and_place() {
    for text in ["このモデルはフルオープンではありません。", "This is not an open source model"]
    {
        for spelling in spellings(text) {
            for (place, decision) in everywhere(RESTRICTED, &spelling).iter().enumerate() {
                assert!(!codes(&decision.violations).contains(&"open-claim"), "{place}: {spelling:?}");
                assert!(codes(&decision.warnings).contains(&"open-claim"), "{place}: {spelling:?}");
            }
        }
    }
}

#[test]
fn a_restriction_beside_an_open_licence_is_a_contradiction() {
    for text in [
        "This model is for non-commercial use.",
        "For research and development only.",
        "research-purposes only",
        "本モデルの利用は研究開発目的に限ります。",
        "商用利用不可",
        "商用利用はできません。",
    ] {
        for (place, decision) in everywhere(OPEN, text).iter().enumerate() {
            assert_eq!(codes(&decision.warnings), ["card-contradiction"], "{place}: {text}");
            assert!(decision.allowed(), "{text}");
        }
        check(RESTRICTED, text, &[], &[]);
    }
    for text in [
        "商用利用も可能です。",
        "商用利用ができます。",
        "商用利用を認めています。",
        "商用・非商用を問わず利用できます。",
        "for research and for products",
        "Commercial and non-commercial use is permitted.",
        "研究開発に利用できます。",
    ] {
        check(OPEN, text, &[], &[]);
    }
}

#[test]
fn a_text_is_checked_phrase_by_phrase_as_the_announcement_would_be() {
    let files = Files::default().with("/lab/lineage.toml", RESTRICTED);
    let facts = Facts::gather("/lab/lineage.toml", &files).expect("facts");
    let set = base();
    let text = "学習データもすべて公開しています。\n世界最大の**フルオープン**モデルです。オープンソースではありません。";
    let claims = check_announcement(&facts, &set, text);
    let shown: Vec<(&str, &str, Weight)> = claims
        .iter()
        .map(|claim| (claim.phrase.as_str(), claim.finding.code.as_str(), claim.weight))
        .collect();
    assert_eq!(
        shown.first().map(|(_, code, weight)| (*code, *weight)),
        Some(("data-claim", Weight::Violation))
    );
    assert!(shown.contains(&("フルオープン", "open-claim", Weight::Violation)), "{shown:?}");
    assert!(shown.contains(&("オープンソース", "open-claim", Weight::Warning)), "{shown:?}");
    for claim in &claims {
        let told = |lang| claim.finding.text.get(lang).contains(&claim.phrase);
        assert!(Language::ALL.iter().all(|lang| told(*lang)), "{claim:?}");
    }
    // The same texts in an announcement refuse by the same codes.
    let announced = judge(&files.with("/lab/a.md", text));
    assert!(["data-claim", "open-claim"].iter().all(|code| codes(&announced.violations).contains(code)));
    assert_eq!(check_announcement(&facts, &set, "申請制で重みを提供します。"), []);
}
