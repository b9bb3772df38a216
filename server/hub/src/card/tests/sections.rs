use sekisho_domain::Language::{En, Ja};
use sekisho_domain::lineage::{Gating, ReleaseStage, Visibility};
use serde_json::json;

use super::{card, facts, full, text};
use crate::card::{
    CardComponent, CardComponentKind, CardComponentState, CardCredit, CardEdits, CardExtras, CardFacts,
    Section, missing,
};

fn headings(card: &str) -> String {
    let headings: Vec<&str> = card.lines().filter_map(|line| line.strip_prefix("## ")).collect();
    headings.join(", ")
}

#[test]
fn sections_come_in_order_in_both_languages() {
    for (language, few, all) in [
        (
            En,
            "Usage, Model details, Training data, Training, Evaluation, Risks and limitations, What is available, License, Verification",
            "Models, Releases, Usage, Model details, Training data, Training, Evaluation, Risks and limitations, What is available, License, Verification, Citation, Contact, Card authors",
        ),
        (
            Ja,
            "使い方, モデルの詳細, 学習データ, 学習, 評価, リスクと制限事項, 公開の範囲, ライセンス, 検証方法",
            "モデル一覧, リリース履歴, 使い方, モデルの詳細, 学習データ, 学習, 評価, リスクと制限事項, 公開の範囲, ライセンス, 検証方法, 引用, 問い合わせ先, 作成者",
        ),
    ] {
        assert_eq!(headings(&card(&facts(), language)), few);
        assert_eq!(headings(&card(&full(), language)), all);
    }
}

#[test]
fn the_command_repeats_the_score() {
    for language in [En, Ja] {
        let card = card(&facts(), language);
        let command = "sekisho eval --model Llama-3.1-Lab-8B --profile llm-jp-eval@1.3 --task niilc,jemhopqa,openbookqa --data DATA --split test --shots 4\n";
        assert!(card.contains(command), "{card}");
    }
}

#[test]
fn what_is_not_known_is_left_out() {
    let bare = CardFacts {
        scores: Vec::new(),
        mean: None,
        spec: None,
        built_with: Vec::new(),
        notices: Vec::new(),
        config: json!({}),
        ..facts()
    };
    let card = card(&bare, En);
    for absent in [
        "model-index",
        "## Evaluation",
        "Peak learning rate",
        "Layers",
        "Built with",
        "Architecture",
        "| 0 |",
        "Citation",
        "Contact",
        "### Tokenizer",
        "Learning curve",
        "model.sig",
        "| Compute |",
    ] {
        assert!(!card.contains(absent), "{absent}\n{card}");
    }
}

#[test]
fn the_family_is_a_table_and_a_history() {
    let card = card(&full(), Ja);
    let models = "| [Llama-3.1-Lab-1B](https://huggingface.co/lab/Llama-3.1-Lab-1B) | 1,235,814,400 | 91,234,567,890 | 正式版 | 公開済み |\n\
        | [Llama-3.1-Lab-8B](https://huggingface.co/lab/Llama-3.1-Lab-8B) | 8,030,261,248 | 91,234,567,890 | 正式版 | このリリース |\n\n";
    assert!(card.contains(models), "{card}");
    let history = "| — | [Llama-3.1-Lab-8B](https://huggingface.co/lab/Llama-3.1-Lab-8B) | `main` | 正式版 | このリリース |\n\
        | 2026年11月2日 | [Llama-3.1-Lab-1B](https://huggingface.co/lab/Llama-3.1-Lab-1B) | `main` | 正式版 | 公開済み |\n\
        | 2026年10月1日 | [Llama-3.1-Lab-8B](https://huggingface.co/lab/Llama-3.1-Lab-8B/tree/beta) | `beta` | ベータ版 | 後継版あり |\n";
    assert!(card.contains(history), "{card}");
    assert!(!card.contains("70B"), "a draft is nobody's business\n{card}");
}

#[test]
fn the_base_and_the_previous_release_stand_beside() {
    let card = card(&full(), Ja);
    for expected in [
        "| NIILC（日本語名） | llm-jp-eval@1.3 | 4 | char_f1 | test | 198 | 0.412 | [0.392, 0.432] | 0.347 [0.327, 0.367] | +0.065（p < 0.001） | 0.347 [0.327, 0.367] | +0.065（p < 0.001） |",
        "| 0.316（報告値） | — | 0.316 [0.296, 0.336] | +0.006（p = 0.21、有意差なし） |",
        "`release`の平均は0.411 [0.390, 0.430] で、前回公開した[Llama-3.1-Lab-8B-v0](https://huggingface.co/lab/Llama-3.1-Lab-8B-v0)の0.401を有意に上回りました（+0.010、対応のある検定、p < 0.001）。有意に上回ったタスク：NIILC（日本語名）。有意に下回ったタスク：JEMHopQA（日本語名）。有意差のないタスク：OpenBookQA（日本語名）。p値は",
    ] {
        assert!(card.contains(expected), "{expected}\n{card}");
    }
    assert!(!card.contains("0.999"), "other settings are not compared\n{card}");
    let mut same = full();
    let mean = same.extras.previous.as_mut().and_then(|other| other.mean.as_mut()).expect("a mean");
    (mean.1.significant, mean.1.p) = (false, 0.21);
    let card = super::card(&same, Ja);
    assert!(card.contains("の0.401とは有意差がありません（+0.010、対応のある検定、p = 0.21）。"), "{card}");
}

#[test]
fn waivers_are_stated_without_names_and_grounds() {
    for (language, row) in [(En, "2027-03-31"), (Ja, "2027年3月31日")] {
        let card = card(&facts(), language);
        assert!(card.contains(&format!("| `noncommercial-input` | web-ja | {row} |")), "{card}");
        for secret in ["Secret", "ueda", "letter.pdf"] {
            assert!(!card.contains(secret), "{card}");
        }
    }
}

#[test]
fn nothing_is_called_public_that_is_not() {
    let row =
        |facts: &CardFacts, row: &str| assert!(card(facts, Ja).contains(row), "{row}\n{}", card(facts, Ja));
    let mut facts = full();
    row(&facts, "| 重み | 公開（オープンウェイト） | — | — |");
    row(&facts, "| コード | 公開 | `https://github.com/lab/code` | — |");
    row(
        &facts,
        "| 学習データ | 一部公開 | `bundle/data/` | 再頒布可：2サブセット、7,469,135,780トークン、再頒布不可：2サブセット、83,765,432,110トークン |",
    );
    row(&facts, "| データ順序 | 非公開 | — | L3の文書名を含むため。 |");
    let release = facts.lineage.release.as_mut().expect("a release");
    release.gating = Gating::Manual;
    row(&facts, "| 評価記録 | 申請制 | `bundle/records/` |");
    facts.lineage.release.as_mut().expect("a release").visibility = Visibility::Private;
    row(&facts, "| 重み | 非公開 | — | — |");
    row(&facts, "| 評価記録 | 非公開 |");
    row(&facts, "| コード | 公開 |");
    assert!(!card(&facts, Ja).contains("オープン") && !card(&facts, En).contains("open weights"));
}

#[test]
fn all_of_the_text_is_public_only_when_all_is_l1() {
    let mut facts = full();
    for subset in &mut facts.extras.subsets {
        subset.level = Some("L1".to_owned());
    }
    facts.extras.components = vec![CardComponent {
        kind: CardComponentKind::TrainingData,
        state: CardComponentState::Open,
        reason: None,
        path: None,
    }];
    assert!(
        card(&facts, Ja).contains("| 学習データ | 公開 | — | 再頒布可：4サブセット"),
        "{}",
        card(&facts, Ja)
    );
}

#[test]
fn the_signature_has_the_official_command() {
    let card = card(&full(), En);
    let command = "model_signing verify key Llama-3.1-Lab-8B --signature Llama-3.1-Lab-8B/model.sig --public_key KEY.pem --ignore-paths Llama-3.1-Lab-8B/.cache\n";
    assert!(card.contains(command) && card.contains("`SHA256:4f1d`"), "{card}");
}

#[test]
fn a_failed_run_is_said_to_be_one_and_needs_its_story() {
    let mut facts = facts();
    facts.lineage.release.as_mut().expect("a release").stage = ReleaseStage::Failed;
    let mut edits = CardEdits::default();
    for (language, sentence) in [(En, "not meant for use"), (Ja, "利用を目的としたモデルではありません")]
    {
        assert!(card(&facts, language).contains(sentence));
        assert_eq!(missing(&facts, &edits, language), [Section::FailureStory]);
    }
    edits.ja.insert(Section::FailureStory, "εが大きすぎました。".to_owned());
    assert_eq!(missing(&facts, &edits, Ja), []);
    assert_eq!(missing(&facts, &edits, En), [Section::FailureStory]);
    let card = super::render(&facts, &edits, Ja);
    assert!(
        card.contains("## 失敗の経緯\n\n失敗した学習の")
            && card.contains("ありません。\n\nεが大きすぎました。\n\n## ")
    );
    assert_eq!(missing(&super::facts(), &CardEdits::default(), En), []);
}

#[test]
fn a_beta_and_a_successor_stand_under_the_title() {
    let mut facts = facts();
    facts.lineage.release.as_mut().expect("a release").stage = ReleaseStage::Beta;
    facts.extras.new_version = Some("lab/next".to_owned());
    let begin = "[English](README.md)\n\n# Llama-3.1-Lab-8B - Built with Llama\n\n> 後継版：[lab/next](https://huggingface.co/lab/next)\n\n> ベータ版です。\n\n";
    assert!(card(&facts, Ja).starts_with(begin), "{}", card(&facts, Ja));
    let en = card(&facts, En);
    assert_eq!(crate::card::superseded(&en, "lab/next", En), en);
}

#[test]
fn no_citation_without_authors() {
    let mut facts = full();
    let text = card(&facts, En);
    let bibtex = "```bibtex\n@misc{llama-3-1-lab-8b,\n  title = {{Llama-3.1-Lab-8B}},\n  author = {Hayashi and Mori},\n  year = {2026},\n  doi = {10.57967/hf/1234},\n  howpublished = {\\url{https://huggingface.co/lab/Llama-3.1-Lab-8B}},\n}\n```";
    assert!(
        text.contains(bibtex)
            && text.contains("[llm@lab.example.org](mailto:llm@lab.example.org)")
            && text.contains("- Hayashi\n- Mori\n"),
        "{text}"
    );
    facts.extras = CardExtras { authors: Vec::new(), ..facts.extras };
    assert!(!card(&facts, En).contains("bibtex"));
}

#[test]
fn restrictions_are_passed_on() {
    let mut facts = facts();
    facts.extras.restrictions = vec![text("Not for surveillance.", "監視に使用しないこと。")];
    assert!(card(&facts, En).contains(
        "passed on. They hold for this model and for models made from it:\n\n- Not for surveillance.\n"
    ));
    assert!(card(&facts, Ja).contains("\n- 監視に使用しないこと。\n"));
}

#[test]
fn what_the_models_before_were_trained_on_is_credited_once() {
    let mut facts = facts();
    let credit =
        |name: &str, license: &str| CardCredit { name: name.to_owned(), license: license.to_owned() };
    facts.extras.credits = vec![credit("news_ja", "CC-BY-4.0"), credit("wiki-ja", "cc-by-sa-4.0")];
    for language in [En, Ja] {
        let card = card(&facts, language);
        assert!(
            card.contains("\n- news_ja: CC-BY-4.0\n") && card.contains("\n- wiki-ja: CC-BY-SA-4.0\n"),
            "{card}"
        );
        assert!(!card.contains("- wiki-ja: cc-by-sa-4.0"), "one licence in two spellings\n{card}");
    }
}

#[test]
fn the_description_stands_under_the_title_of_both_cards() {
    let mut facts = facts();
    let release = facts.lineage.release.as_mut().expect("a release");
    release.description = Some("# 日本語に強い8Bモデル\n<b>".to_owned());
    for language in [En, Ja] {
        let card = card(&facts, language);
        assert!(card.contains(" - Built with Llama\n\n\\# 日本語に強い8Bモデル &lt;b>\n\n"), "{card}");
    }
    facts.lineage.release.as_mut().expect("a release").description = Some("  ".to_owned());
    let card = card(&facts, En);
    assert!(card.contains(" - Built with Llama\n\nLlama-3.1-Lab-8B is a language model"), "{card}");
}
