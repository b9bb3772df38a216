//! Which texts of real items are looked for.

use sekisho_bench::Catalog;
use sekisho_bench::contamination::{Index, ItemTexts, texts};
use sekisho_domain::evaluation::TaskRun;
use sekisho_domain::wire::ContaminationMethod;

use crate::support::{data, items, read, run};

fn of(profile: &str, task: &str, limit: Option<u64>) -> ItemTexts {
    let catalog = Catalog::builtin();
    let definition = catalog.find(profile, task).expect("built in");
    texts(definition, &TaskRun { limit, ..run(definition, "test") }, &[], &read)
        .expect("real data is well-formed")
}

#[test]
fn the_words_of_the_data_count_and_those_of_the_template_do_not() {
    if data().is_none() {
        return;
    }
    let jcqa = of("llm-jp-eval@1.3", "jcommonsenseqa", None);
    assert_eq!(jcqa.items.len(), 1119);
    assert_eq!(jcqa.sources.len(), 1, "the examples are not looked for");
    assert!(
        jcqa.items.iter().all(|item| item.parts.len() <= 6 && !item.parts.concat().contains("選択肢：0."))
    );
    assert!(jcqa.items[0].parts[0].starts_with("電子機器で使用される"), "{:?}", jcqa.items[0]);

    // "問題： {question}" is made by the definition; the question is the data's.
    let mgsm = of("lm-eval@0.4", "mgsm_native_cot_ja", Some(2));
    assert_eq!(mgsm.items.len(), 2);
    assert!(mgsm.items[0].parts[0].starts_with("ジャネットのアヒルは1日に16個の卵を生みます。"), "{mgsm:?}");
    assert_eq!(mgsm.items[0].parts.len(), 1, "the answer does not count");

    // Sentence and candidate stand side by side, so they are one text.
    let xwinograd = of("lm-eval@0.4", "xwinograd_jp", Some(5));
    for item in &xwinograd.items {
        let [first, second, rest] = &item.parts[..] else { panic!("{item:?}") };
        assert!(first != second && !rest.is_empty(), "{item:?}");
    }
    let choices = of("lm-eval@0.4", "hellaswag", Some(1));
    assert_eq!(choices.items[0].parts.len(), 5, "the context and four endings");
}

#[test]
fn a_limit_takes_the_items_that_an_evaluation_asks() {
    if data().is_none() {
        return;
    }
    let catalog = Catalog::builtin();
    for (profile, task) in
        [("llm-jp-eval@1.3", "niilc"), ("lm-eval@0.4", "xwinograd_jp"), ("jp-harness@1", "mgsm")]
    {
        let definition = catalog.find(profile, task).expect("built in");
        let run = TaskRun { limit: Some(7), shots: Some(0), ..run(definition, "test") };
        let asked: Vec<u64> = items(definition, &run).items.iter().map(|item| item.index).collect();
        let looked_for: Vec<u64> = of(profile, task, Some(7)).items.iter().map(|item| item.item).collect();
        assert_eq!(looked_for, asked, "{profile}/{task}");
    }
}

/// Words that all prompts of a task share make nothing found.
#[test]
fn a_prompt_holds_its_own_item_alone() {
    if data().is_none() {
        return;
    }
    let catalog = Catalog::builtin();
    let definition = catalog.find("llm-jp-eval@1.3", "jcommonsenseqa").expect("built in");
    let jcqa = of("llm-jp-eval@1.3", "jcommonsenseqa", Some(40));
    let parts: Vec<Vec<String>> = jcqa.items.into_iter().map(|item| item.parts).collect();
    let index = Index::new(ContaminationMethod::default(), &parts);
    let run = TaskRun { limit: Some(40), shots: Some(0), ..run(definition, "test") };
    let mut looked_for = 0;
    for item in items(definition, &run).items {
        let place = usize::try_from(item.index).expect("below 40");
        let found: Vec<usize> = index
            .matches(&item.request.contexts()[0], |_| false)
            .into_iter()
            .map(|found| found.item)
            .collect();
        let expected: Vec<usize> = [place].into_iter().filter(|item| index.is_looked_for(*item)).collect();
        assert_eq!(found, expected, "item {place}");
        looked_for += expected.len();
    }
    assert!(looked_for > 20, "{looked_for}");
}
