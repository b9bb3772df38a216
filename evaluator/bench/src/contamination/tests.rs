use proptest::prelude::*;
use sekisho_domain::wire::ContaminationMethod;
use unicode_normalization::UnicodeNormalization as _;

use super::units::{Units, windows};
use super::{Index, Match};

fn cut(text: &str) -> Vec<String> {
    let units = Units::of(text);
    (0..units.len()).map(|unit| units.shown(unit..unit + 1)).collect()
}

fn index(method: ContaminationMethod, items: &[&[&str]]) -> Index {
    let owned: Vec<Vec<String>> =
        items.iter().map(|parts| parts.iter().map(|part| (*part).to_owned()).collect()).collect();
    Index::new(method, &owned)
}

fn found(index: &Index, document: &str) -> Vec<usize> {
    index.matches(document, |_| false).into_iter().map(|found| found.item).collect()
}

#[test]
fn a_unit_is_a_word_or_a_japanese_character() {
    for (text, expected) in [
        ("", &[][..]),
        ("The  cat's well-known\nhat.", &["the", "cats", "well", "known", "hat"]),
        ("ＮＨＫで１９８８年。", &["nhk", "で", "1988", "年"]),
        ("ﾃﾞｰﾀ・々〇", &["デ", "ー", "タ", "々", "〇"]),
        ("か\u{3099}soft\u{ad}hyphen\u{200b}s", &["が", "softhyphens"]),
        ("한국어 문장", &["한국어", "문장"]),
        ("१२ हिन्दी", &["१२", "हिन्दी"]),
        ("— … ！", &[]),
    ] {
        // Hangul and marks are taken apart and put together again by NFKC.
        let expected: Vec<String> = expected.iter().map(|unit| unit.nfkc().collect()).collect();
        assert_eq!(cut(text), expected, "{text:?}");
    }
}

#[test]
fn passages_are_shown_as_they_are_read() {
    let units = Units::of("1988年にNHK World へ");
    assert_eq!(units.shown(0..units.len()), "1988 年に nhk world へ");
}

#[test]
fn the_form_of_a_text_makes_no_difference() {
    let question = "「古事記」が編纂されたのは、西暦で言うと何年のことでしょうか？（1988年版）";
    let index = index(ContaminationMethod::default(), &[&[question]]);
    for document in [
        question.to_owned(),
        format!("前の文。{question}後の文。"),
        question.replace('、', "\n").replace("1988", "１９８８"),
        question.chars().flat_map(|c| [c, '\u{3000}']).collect(),
    ] {
        let matches = index.matches(&document, |_| false);
        // With a space after every digit, the year is four words; what stands before it is long enough.
        assert_eq!(matches.len(), 1, "{document}");
        assert!(matches[0].passage.starts_with("古事記が編纂された"), "{}", matches[0].passage);
    }
    assert_eq!(found(&index, "「古事記」が編纂されたのは、西暦で"), [0; 0], "a part of it that is too short");
    assert!(index.matches(question, |item| item == 0).is_empty(), "what is known is not found again");
}

#[test]
fn thirteen_words_are_enough_and_twelve_are_not() {
    let words: Vec<String> = (0..20).map(|n| format!("w{n}")).collect();
    let index = index(ContaminationMethod::default(), &[&[&words.join(" ")]]);
    assert_eq!(found(&index, &words[5..18].join(", ")), [0]);
    assert_eq!(found(&index, &words[5..17].join(" ")), [0; 0]);
    // The same letters, cut into other words.
    let glued = words[5..18].join(" ").replacen("w9 w10", "w9w1 0", 1);
    assert_eq!(found(&index, &glued), [0; 0]);
}

#[test]
fn short_items_are_looked_for_whole_and_the_shortest_not_at_all() {
    let eight = "who wrote the play about the dane prince";
    let index = index(
        ContaminationMethod::default(),
        &[&[eight], &["who wrote hamlet"], &["ロックで使う楽器は？", "ギター"], &["楽器は？"], &[]],
    );
    let looked: Vec<bool> = (0..index.len()).map(|item| index.is_looked_for(item)).collect();
    assert_eq!(looked, [true, false, false, false, false], "9 characters are one too few");
    assert_eq!(found(&index, &format!("Quiz: {eight}? Who wrote Hamlet?")), [0]);
    assert_eq!(found(&index, &eight.replace("prince", "king")), [0; 0], "not all of it");
    assert!(!index.is_looked_for(99));
}

/// One with a part that is long enough is looked for there alone; nothing is looked for across two parts.
#[test]
fn parts_stand_for_themselves() {
    let long = "a b c d e f g h i j k l m n";
    let index = index(ContaminationMethod::default(), &[&["one two three four five six seven eight", long]]);
    assert_eq!(found(&index, "One, two, three, four, five, six, seven, eight."), [0; 0]);
    assert_eq!(found(&index, "b c d e f g h i j k l m n"), [0]);
    let halves = self::index(
        ContaminationMethod::default(),
        &[&["a b c d e f g", "h i j k l m n"], &["x a b c d e f g h i j k l m n"]],
    );
    assert_eq!(found(&halves, "a b c d e f g h i j k l m n"), [1]);
}

#[test]
fn an_item_is_found_once_with_its_passage() {
    let method = ContaminationMethod { words: 3, least_words: 2, characters: 3, least_characters: 2 };
    let index = index(method, &[&["a b c d"], &["b c d e", "東京都庁"]]);
    assert_eq!(
        index.matches("x a b c d e 東京都庁 a b c d", |_| false),
        [Match { item: 0, passage: "a b c".to_owned() }, Match { item: 1, passage: "b c d".to_owned() },]
    );
    assert_eq!(index.matches("東京都知事", |_| false), [Match { item: 1, passage: "東京都".to_owned() }]);
}

/// The same by the definition alone, without hashes: every window of every text.
fn reference(method: ContaminationMethod, items: &[Vec<String>], document: &str) -> Vec<usize> {
    let is_character = |unit: &String| unit.starts_with(|c: char| "ぁあ亜々ー".contains(c));
    let lengths = |units: &[String]| {
        let characters = units.iter().filter(|unit| is_character(unit)).count() * 2 > units.len();
        let (n, least) = if characters {
            (method.characters, method.least_characters)
        } else {
            (method.words, method.least_words)
        };
        (n as usize, least as usize)
    };
    let document = cut(document);
    let stands = |wanted: &[String]| document.windows(wanted.len()).any(|window| window == wanted);
    let is_found = |parts: &Vec<String>| {
        let parts: Vec<Vec<String>> = parts.iter().map(|part| cut(part)).collect();
        let long: Vec<&Vec<String>> = parts.iter().filter(|units| units.len() >= lengths(units).0).collect();
        if long.is_empty() {
            let whole = parts.iter().filter(|units| units.len() >= lengths(units).1);
            return whole.max_by_key(|units| units.concat().len()).is_some_and(|units| stands(units));
        }
        long.iter().any(|units| units.windows(lengths(units).0).any(stands))
    };
    items.iter().enumerate().filter(|(_, parts)| is_found(parts)).map(|(item, _)| item).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    /// Few letters, so that runs repeat; spaces, full width, punctuation and line breaks among them.
    #[test]
    fn the_index_finds_what_the_definition_says(
        items in prop::collection::vec(prop::collection::vec("[ab ａＢあ亜ー、\n]{0,16}", 0..3), 0..5),
        document in "[ab ａＢあ亜ー、\n]{0,60}",
        (words, least_words) in (1u32..6).prop_flat_map(|n| (Just(n), 1..=n)),
        (characters, least_characters) in (1u32..6).prop_flat_map(|n| (Just(n), 1..=n)),
    ) {
        let method = ContaminationMethod { words, least_words, characters, least_characters };
        let index = Index::new(method, &items);
        prop_assert_eq!(found(&index, &document), reference(method, &items, &document));
    }

    /// The rolling hash of a window depends on its units alone.
    #[test]
    fn a_window_has_one_hash(units in prop::collection::vec(0u64..3, 0..40), length in 1usize..8) {
        let rolled: Vec<(usize, u64)> = windows(&units, length).collect();
        let alone = |(at, window): (usize, &[u64])| (at, windows(window, length).next().expect("one").1);
        let direct: Vec<(usize, u64)> = units.windows(length).enumerate().map(alone).collect();
        prop_assert_eq!(rolled, direct);
    }

    #[test]
    fn a_text_is_found_in_itself(text in "[a-c 一-丅]{0,80}", before in "[a-c 一-丅]{0,9}") {
        let index = Index::new(ContaminationMethod::default(), &[vec![text.clone()]]);
        let document = format!("{before}\n{text}。");
        prop_assert_eq!(!found(&index, &document).is_empty(), index.is_looked_for(0));
    }
}
