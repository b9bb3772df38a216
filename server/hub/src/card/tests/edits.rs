use std::collections::BTreeMap;

use sekisho_domain::Language::{En, Ja};

use super::{facts, full, render};
use crate::card::{CardEditError, CardEdits, LARGEST_EDIT, Section, check_edit, defaults};

fn edits(section: Section, text: &str) -> CardEdits {
    let texts = BTreeMap::from([(section, text.to_owned())]);
    CardEdits { en: texts.clone(), ja: texts }
}

#[test]
fn what_people_wrote_outlives_every_regeneration() {
    let edits = CardEdits {
        en: Section::editable().map(|section| (section, format!("Words for {section}."))).collect(),
        ja: Section::editable().map(|section| (section, format!("{section}の文章。"))).collect(),
    };
    assert_eq!(edits.check(), Ok(()));
    let kept: CardEdits = serde_json::from_str(&serde_json::to_string(&edits).expect("JSON")).expect("edits");
    assert_eq!(kept, edits);
    for facts in [facts(), full()] {
        for (language, texts) in [(En, &edits.en), (Ja, &edits.ja)] {
            let card = render(&facts, &edits, language);
            for (section, text) in texts.iter().filter(|(section, _)| **section != Section::FailureStory) {
                assert!(card.contains(&format!("\n\n{text}\n")), "{section}\n{card}");
            }
        }
    }
}

#[test]
fn a_text_replaces_the_default_or_stands_below_what_is_computed() {
    let plain = render(&facts(), &CardEdits::default(), En);
    let intro = render(&facts(), &edits(Section::Intro, "Our words.\r\n\r\nMore.  \n"), En);
    assert_eq!(defaults(&facts(), En)[&Section::Intro].lines().count(), 1);
    assert_eq!(intro, plain.replace(&defaults(&facts(), En)[&Section::Intro], "Our words.\n\nMore."));
    let limits = render(&facts(), &edits(Section::Limitations, "Our limits."), Ja);
    assert!(limits.contains("## リスクと制限事項\n\nOur limits.\n\n評価の入力のうち9件は"), "{limits}");
    let usage = render(&facts(), &edits(Section::Usage, "Mind the cache."), En);
    assert!(usage.contains("come on top.\n\nMind the cache.\n\n## Model details\n"), "{usage}");
    let tokenizer = render(&facts(), &edits(Section::Tokenizer, "Ours."), Ja);
    assert!(tokenizer.contains("\n\n### トークナイザー\n\nOurs.\n\n## 学習データ\n"), "{tokenizer}");
    assert_eq!(render(&facts(), &edits(Section::Intro, " \n\n"), En), plain);
}

#[test]
fn defaults_are_what_the_card_says() {
    for language in [En, Ja] {
        let card = render(&full(), &CardEdits::default(), language);
        let defaults = defaults(&full(), language);
        assert!(defaults.keys().all(|section| !section.is_computed()));
        assert!(!defaults.contains_key(&Section::FailureStory) && defaults[&Section::Usage].is_empty());
        for text in defaults.values() {
            assert!(card.contains(text.as_str()), "{text}\n{card}");
        }
        for section in
            [Section::Intro, Section::Limitations, Section::Citation, Section::Contact, Section::Authors]
        {
            assert_eq!(check_edit(section, &defaults[&section]), Ok(()), "a default can be saved as it is");
        }
    }
}

#[test]
fn computed_sections_take_no_text() {
    for section in Section::ALL.iter().filter(|section| section.is_computed()) {
        let error = check_edit(*section, "x").expect_err("computed");
        assert_eq!(error, CardEditError::Computed(*section));
        let edits = edits(*section, "Our own score is 0.99.");
        assert!(!render(&full(), &edits, En).contains("0.99."));
        assert_eq!(edits.check().expect_err("computed").1, *section);
    }
    let error = CardEditError::Computed(Section::Evaluation);
    assert!(
        error.to_string().contains("\"Evaluation\" is computed") && error.to_string().contains("Citation")
    );
    assert!(error.text().ja.contains("「評価」") && error.text().ja.contains("引用"));
}

#[test]
fn a_text_that_would_change_the_structure_is_refused_by_line() {
    use CardEditError as E;
    for (text, error) in [
        ("a\n# b", E::Heading(2)),
        ("## b", E::Heading(1)),
        ("   ##\tb", E::Heading(1)),
        ("> # b", E::Heading(1)),
        ("- 1. # b", E::Heading(1)),
        ("#", E::Heading(1)),
        ("---\nlicense: mit\n---", E::Rule(1)),
        ("a\n===", E::Rule(2)),
        ("a\n-", E::Rule(2)),
        ("> a\n> ---", E::Rule(2)),
        ("<script>x</script>", E::Html(1)),
        ("a <b>c</b>", E::Html(1)),
        ("</div>", E::Html(1)),
        ("<https://e.org onclick=x>", E::Html(1)),
        ("<https://e.org> <b>", E::Html(1)),
        ("<!-- x", E::Html(1)),
        ("`a\n` <b> `", E::Html(2)),
        ("\\` <b> `", E::Html(1)),
        ("`` <b> `", E::Html(1)),
        ("[a](JavaScript:x)", E::Link(1)),
        ("[a](&#106;avascript:x)", E::Link(1)),
        ("[a]: java\tscript:x", E::Link(1)),
        ("a\u{1}b", E::Hidden(1)),
        ("ok\na\u{202e}b", E::Hidden(2)),
        ("a\rb", E::Hidden(1)),
        ("```\nx", E::CodeBlock(1)),
        ("```\nx\n````\ny\n```", E::CodeBlock(5)),
        ("- a\n  ```\nb\n# c\n  ```", E::CodeBlock(2)),
        ("~~~\n```", E::CodeBlock(1)),
    ] {
        assert_eq!(check_edit(Section::Training, text), Err(error), "{text:?}");
        assert_eq!(
            render(&facts(), &edits(Section::Training, text), En),
            render(&facts(), &CardEdits::default(), En)
        );
    }
    let long = "あ".repeat(LARGEST_EDIT + 1);
    assert_eq!(check_edit(Section::Intro, &long), Err(E::TooLong(LARGEST_EDIT + 1)));
    assert_eq!(check_edit(Section::Intro, &long[..LARGEST_EDIT * 3]), Ok(()));
}

#[test]
fn plain_markdown_is_allowed() {
    for text in [
        "",
        "### A heading\n\n- a\n- b\n\n1. c\n\n***\n\n| a | b |\n|---|---|\n| 1 | 2 |",
        "Tokens `<s>` and `</s>`; 3 < 4, a<5.",
        "```python\n# a comment\nprint(\"<b>\")\n```",
        "~~~~\n```\n## x\n~~~\n~~~~",
        "[a](https://e.org) ![b](c.svg) #tag #1 <https://e.org/a> <mailto:a@e.org>",
        "日本語の文章です。\r\n\r\n- 項目",
    ] {
        assert_eq!(check_edit(Section::Training, text), Ok(()), "{text:?}");
    }
}

#[test]
fn a_text_in_one_language_only_is_found() {
    let mut edits = edits(Section::Intro, "x");
    edits.en.insert(Section::Contact, "y".to_owned());
    edits.ja.insert(Section::Authors, " ".to_owned());
    assert_eq!(edits.one_sided(), [Section::Contact]);
    assert!(serde_json::from_str::<CardEdits>(r#"{"fr":{}}"#).is_err());
    assert!(serde_json::from_str::<CardEdits>(r#"{"en":{"licence":"x"}}"#).is_err());
}
