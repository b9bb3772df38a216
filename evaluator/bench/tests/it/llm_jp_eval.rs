//! `llm-jp-eval@1.3` against the published data hashes and the results of llm-jp-eval 1.3.0.

use std::collections::{BTreeMap, BTreeSet};

use sekisho_bench::python_random::PythonRandom;
use sekisho_bench::{
    Answer, Catalog, Gold, Item, Record, Request, Role, SourceRef, Split, TaskDefinition, aggregate, char_f1,
    dataset_json, load, stats,
};
use sekisho_domain::Sha256;
use sekisho_domain::evaluation::{Bos, TaskRun};
use serde_json::Value;

use crate::support::{assert_close, data, goldens, items, prompt_samples, read, run, scores};

const PROFILE: &str = "llm-jp-eval@1.3";

/// Dev: published by LLM-jp (`llm-jp/scripts`, `llm-jp-eval-v1.3.1/resources/sha256sums.csv`). Train and test: a run of the
/// official processors.
const DATASETS: [(&str, Split, usize, &str); 20] = [
    (
        "jcommonsenseqa",
        Split::Train,
        8045,
        "797423fb2273c6f518b8ed0c01ba5a1bcbb181bc2e6ff3278603a67854629a58",
    ),
    ("jcommonsenseqa", Split::Dev, 894, "ac30df014eee8d24d62a5e1fbd4ed1e3b5d76bffb836ffb4c9fa59e72a056591"),
    ("jcommonsenseqa", Split::Test, 1119, "d288ac864afa6d45eb5ba982efd00c5c96cfb632a79f56c4079db3c84536cb86"),
    ("jemhopqa", Split::Train, 953, "d6981685a42de3d29f356679d0c18de67c8a48c4038f3ab1ca0419d0b00e7bfe"),
    ("jemhopqa", Split::Dev, 106, "7364e2e5381f1355f53109c73f8f506616b6690d686e96bba681585976f13399"),
    ("jemhopqa", Split::Test, 120, "4b26f5c8be542ad3c9f492aa892e71f80d5a3e5a582d277b744b34308daa0ea5"),
    ("niilc", Split::Train, 715, "585d861fbb71d2aef229c9a06e19cde43c487f5adc1a4d3396a11e508bb2bb50"),
    ("niilc", Split::Dev, 80, "ff0cf49012ad6416b0828cbcf16882cafc68c30483e4ef51863641d23fe1befc"),
    ("niilc", Split::Test, 198, "55822ccb4aa0871b2ebf30732dc1711c3bf8d7f1d98dcc407d2f9abac7a713a1"),
    ("janli", Split::Train, 12312, "0f0cca26058683be88a7f1e3e4b3d5f8019fbc729b6aaa808ae71fb07b1e9ea9"),
    ("janli", Split::Dev, 1368, "9d6694bebbe78c5c02b4fd5da8af930c03cb65d7766042cfe5cad9031a9ce6ef"),
    ("janli", Split::Test, 720, "4e3ecfcb32d49d0a2e16d9dd8ee63b4d110b32b0e7d6e3a1b6ef7342ae2be4cc"),
    ("jsick", Split::Train, 4500, "ff5fb7ec580b40cb8bfacff5c965ed027c2de27fb10246ce9ed8c0610ba73128"),
    ("jsick", Split::Dev, 500, "bd4291ab4b325654ec8e1b9f2f4d69f6508b7d071d4da41b7cafc9eeb297f33e"),
    ("jsick", Split::Test, 4927, "df85cc093a72e0c4f0937c97aeb352600e0c00fa8c4920cc0107bee2cd43e4c6"),
    ("mawps", Split::Train, 16, "05d1743d315c5437a8257e6fb2bbd709e19a2119f6f891c7c73507631f27b53e"),
    ("mawps", Split::Dev, 500, "b9c26eb7e2daa3ed53b5f174651bec44ed74f45799e81bb12f448046d4e04052"),
    ("mawps", Split::Test, 500, "d6fc078bb24b84015a742ac0a44eaae99fd011e81e77bf059cb73cd790588ac9"),
    ("jsts", Split::Test, 1457, "d48cf1ded555c28cd204d8e184a5585496367866a197d9772a2da6398a436d52"),
    ("jamp", Split::Test, 348, "f36f97a7660c23c03d4a87549993c9930df6b701525bb9b5851500b6683ffd37"),
];

#[test]
fn data_sets_are_built_byte_for_byte() {
    if data().is_none() {
        return;
    }
    let catalog = Catalog::builtin();
    for (task, split, n, sha256) in DATASETS {
        let definition = catalog.find(PROFILE, task).expect("built in");
        let text = dataset_json(definition, split, &[], &read).expect("real data is well-formed");
        assert_eq!(Sha256::of(&text).hex(), sha256, "{split}/{task}");
        let mut run = run(definition, split.as_str());
        run.shots = Some(0);
        assert_eq!(items(definition, &run).items.len(), n, "{split}/{task}");
    }
}

/// The tasks whose public files are not all at hand say which one is missing and where it is had.
#[test]
fn what_is_incomplete_names_the_file_that_is_missing() {
    if data().is_none() {
        return;
    }
    let catalog = Catalog::builtin();
    for (task, file) in [
        ("jsquad", "jglue/jsquad-v1.1/train-v1.1.json (https://raw.githubusercontent.com/yahoojapan/JGLUE/"),
        ("jnli", "jglue/jnli-v1.1/train-v1.1.json (https://raw.githubusercontent.com/yahoojapan/JGLUE/"),
        ("jsts", "jglue/jsts-v1.1/train-v1.1.json (https://raw.githubusercontent.com/yahoojapan/JGLUE/"),
        ("jamp", "jamp/train_all.tsv (https://raw.githubusercontent.com/tomo-ut/temporalNLI_dataset/"),
        ("jsem", "jsem/AuxiliaryVerb.xml (https://raw.githubusercontent.com/DaisukeBekki/JSeM/"),
    ] {
        let definition = catalog.find(PROFILE, task).expect("built in");
        let error = dataset_json(definition, Split::Dev, &[], &read).expect_err(task).to_string();
        assert!(error.starts_with(&format!("{PROFILE}/{task} needs {file}")), "{error}");
    }
}

/// A train file whose digest is not known is read once it is accepted by name; here the head of the real one.
#[test]
fn a_train_file_of_the_user_is_taken_when_accepted() {
    if data().is_none() {
        return;
    }
    let catalog = Catalog::builtin();
    for (task, head, n) in [
        ("jsts", "jglue/jsts-v1.3/train-v1.3.head1000.json", 1_000),
        ("jamp", "jamp/train_all.head1000.tsv", 1_000),
    ] {
        let definition = catalog.find(PROFILE, task).expect("built in");
        let head = fs_err::read(data().expect("there").join("bench").join(head)).expect("the head is there");
        let mine =
            |source: &SourceRef| if source.role == Role::Train { Ok(head.clone()) } else { read(source) };
        let run = run(definition, "dev");
        let error = load(definition, &run, &[], &mine).expect_err("not accepted").to_string();
        let digest = Sha256::of(&head);
        assert!(
            error.contains("does not know the digest") && error.contains(&format!("--accept {digest}")),
            "{error}"
        );
        let loaded = load(definition, &run, &[digest], &mine).expect("accepted");
        assert_eq!(loaded.items.len(), n / 10, "{task}");
        assert!(loaded.items.iter().all(|item| item.examples.len() == 4));
    }
}

/// Dev and test need the order of all 53 files, of which 31 are not established; the digests are not claimed.
#[test]
fn jmmlu_is_split_file_by_file() {
    if data().is_none() {
        return;
    }
    let definition = Catalog::builtin().find(PROFILE, "jmmlu").expect("built in").clone();
    let count = |split: &str| {
        let mut run = run(&definition, split);
        run.shots = Some(0);
        items(&definition, &run).items.len()
    };
    assert_eq!((count("train"), count("dev"), count("test")), (32, 3_524, 3_541));
}

/// What is established of JMMLU's order: two of the five published shots are questions of the first 22 files. Where the
/// stream puts them among the questions for dev, and that one place in the stream shuffles just these two to the first and
/// the fourth position, shows that these files come first and in this order.
#[test]
fn the_first_22_files_of_jmmlu_stand_where_the_published_shots_need_them() {
    if data().is_none() {
        return;
    }
    let text = Catalog::builtin().find(PROFILE, "jmmlu").expect("built in").toml().to_owned();
    let text = text.replace("role = \"all\"", "role = \"test\"").replace("llm-jp-eval-by-file", "files");
    let text = text
        .replace("stderr = ", "subtask = \"subject\"\nstderr = ")
        .replace("from = \"train\"", "from = \"test\"");
    let definition = TaskDefinition::from_toml("jmmlu.toml", &text).expect("a valid definition");
    let mut run = run(&definition, "test");
    run.shots = Some(0);
    let all = items(&definition, &run).items;
    let mut random = PythonRandom::new(42);
    let mut dev: Vec<&str> = Vec::new();
    for file in all.chunk_by(|a, b| a.group == b.group).take(22) {
        let mut questions: Vec<&str> = file.iter().map(|item| item.request.contexts()[0].as_str()).collect();
        random.shuffle(&mut questions);
        questions.truncate(questions.len() / 2);
        dev.extend(questions);
    }
    let place =
        |words: &str| dev.iter().position(|question| question.contains(words)).expect("in the first half");
    let (first, fourth) = (place("欧州連合（EU）は次のどの組織に"), place("ヒュームは私たちの知覚を"));
    let matches = |words: &usize| {
        let mut random = PythonRandom::new(42);
        (0..*words).for_each(|_| _ = random.next_u32());
        let mut order: Vec<usize> = (0..3_540).collect();
        random.shuffle(&mut order);
        order[0] == first && order[3] == fourth
    };
    assert_eq!((10_200..10_500).filter(matches).collect::<Vec<_>>(), [10_341, 10_342]);
}

/// Questions of one passage share a group, which the interval draws as a whole.
#[test]
fn jsquad_questions_know_their_passage() {
    if data().is_none() {
        return;
    }
    let catalog = Catalog::builtin();
    let definition = catalog.find("llm-jp-eval@1.1", "jsquad").expect("built in");
    let data = items(definition, &run(definition, "test"));
    assert_eq!(data.items.len(), 4_442);
    let passages: BTreeSet<_> = data.items.iter().map(|item| item.group.clone()).collect();
    assert_eq!(passages.len(), 1_145);
}

/// The goldens of JSQuAD were made with the literal shots of 1.1 in the template of 1.3.
#[test]
fn jsquad_with_literal_shots_is_asked_and_scored_as_by_the_harness() {
    if data().is_none() {
        return;
    }
    let catalog = Catalog::builtin();
    let literal = catalog.find("llm-jp-eval@1.1", "jsquad").expect("built in").toml();
    let literal =
        &literal[literal.find("[shots]").expect("shots")..literal.find("[prompt]").expect("a prompt")];
    let text = catalog.find(PROFILE, "jsquad").expect("built in").toml();
    let text = text.replace("[shots]\ndefault = 4\nfrom = \"train\"\n\n", literal);
    let definition = TaskDefinition::from_toml("jsquad.toml", &text).expect("a valid definition");
    let run = run(&definition, "test");
    let data = items(&definition, &run);
    let rows: Vec<Value> = goldens("llmjp_v13.jsonl")
        .into_iter()
        .filter(|row| text_of(row, "id").starts_with("jsquad/test/"))
        .collect();
    assert_eq!(rows.len(), 200, "with and without BOS");
    for row in rows {
        let index: usize =
            text_of(&row, "id").rsplit('/').next().and_then(|i| i.parse().ok()).expect("an index");
        check(&definition, &run, &data.items[index], &row);
    }
}

/// The template and literal shots of release 1.1, put together by hand.
#[test]
fn release_1_1_is_asked_with_its_literal_shots() {
    if data().is_none() {
        return;
    }
    let catalog = Catalog::builtin();
    let definition = catalog.find("llm-jp-eval@1.1", "jemhopqa").expect("built in");
    let mut run = run(definition, "test");
    run.shots = Some(2);
    let item = items(definition, &run).items.swap_remove(0);
    let expected = "以下はタスクを説明する指示と、追加の背景情報を提供する入力の組み合わせです。要求を適切に満たす回答を書いてください。\n\
        ### 指示\n質問を入力とし、回答を出力してください。回答の他には何も含めないことを厳守してください。\n\n\
        ### 入力：\n質問：『仮面ライダー電王』と『あまちゃん』、放送回数が多いのはどちらでしょう？\n### 回答：\nあまちゃん\n\n\
        ### 入力：\n質問：清原果耶と森田成一で活動開始が早かったのはどちらですか？\n### 回答：\n森田成一\n\n\
        ### 入力：\n質問：『ダンガンロンパ 希望の学園と絶望の高校生』と『ファイナルファンタジーXIII』、発売日が早いのはどちらでしょう？\n### 回答：\n";
    assert_eq!(item.request.contexts(), [expected]);
    assert_eq!(definition.answers("ファイナル\n### 入力"), ["ファイナル"]);
    assert_eq!(definition.answers(" ＹＥＳ\n"), [" YES"], "not stripped");
    run.shots = Some(5);
    let error = load(definition, &run, &[], &read).expect_err("four are written out").to_string();
    assert_eq!(
        error,
        "llm-jp-eval@1.1/jemhopqa cannot be run with 5 shots: there are examples for 4 at most; ask for no more"
    );
}

/// The data sets of 1.4.1 have the digests of those of 1.3.1: nothing but the name and the comment may differ.
#[test]
fn release_1_4_asks_what_release_1_3_asks() {
    let catalog = Catalog::builtin();
    let tasks: Vec<_> = catalog.iter().filter(|definition| definition.profile == "llm-jp-eval@1.4").collect();
    assert_eq!(tasks.len(), 11);
    let settings = |text: &str| {
        let lines = text.lines().filter(|line| !line.starts_with('#') && !line.starts_with("profile"));
        lines.map(str::to_owned).collect::<Vec<_>>()
    };
    for task in tasks {
        let older = catalog.find(PROFILE, &task.task).expect("built in");
        assert_eq!(settings(task.toml()), settings(older.toml()), "{}", task.task);
    }
}

/// JSTS: what is no number is −2, and correlations come with intervals.
#[test]
fn jsts_correlates_numbers() {
    if data().is_none() {
        return;
    }
    let catalog = Catalog::builtin();
    let definition = catalog.find(PROFILE, "jsts").expect("built in");
    for (output, number) in
        [("約２．５点\n\n", "2.5"), ("4", "4"), ("わからない", "-2.0"), ("1.2.3", "-2.0"), ("", "-2.0")]
    {
        assert_eq!(definition.answers(output), [number], "{output}");
    }
    let mut run = run(definition, "test");
    (run.shots, run.limit) = (Some(0), Some(50));
    let data = items(definition, &run);
    let records = |output: &dyn Fn(&str) -> String| -> Vec<Record> {
        let record = |item: &Item| {
            let Gold::Text(gold) = &item.gold else { panic!("a text") };
            let answer = Answer::Text { output: output(gold), stop: None };
            Record::new(definition, &run, item, answer, vec![1], 0).expect("a text")
        };
        data.items.iter().map(record).collect()
    };
    let score = |records: &[Record]| {
        let results = aggregate(definition, &run, &data.sources, Bos::Auto, records);
        results.into_iter().map(|(entry, _)| (entry.metric, entry.value, entry.n)).collect::<Vec<_>>()
    };
    let perfect = score(&records(&|gold| format!("{gold}です")));
    let names: Vec<&str> = perfect.iter().map(|(name, ..)| name.as_str()).collect();
    assert_eq!(names, ["pearson", "spearman"]);
    assert!(perfect.iter().all(|(_, value, n)| (value - 1.0).abs() < 1e-12 && *n == 50), "{perfect:?}");
    // Without any spread a correlation is not defined, and llm-jp-eval writes 0.
    let flat = score(&records(&|_| "3".to_owned()));
    assert!(flat.iter().all(|(_, value, _)| *value == 0.0), "{flat:?}");
}

/// The goldens of the tasks that are built in: `task/split/index` → rows with and without BOS.
fn golden_rows() -> Vec<(String, String, usize, Value)> {
    let catalog = Catalog::builtin();
    let rows = goldens("llmjp_v13.jsonl").into_iter().filter_map(|row| {
        let id = row["id"].as_str().expect("an id").to_owned();
        let [task, split, index] = id.split('/').collect::<Vec<_>>()[..] else {
            panic!("{id} is no task/split/index");
        };
        (catalog.find(PROFILE, task).is_ok() && task != "jsquad")
            .then(|| (task.to_owned(), split.to_owned(), index.parse().expect("an index"), row))
    });
    rows.collect()
}

fn text_of<'r>(row: &'r Value, key: &str) -> &'r str {
    row[key].as_str().expect("a text")
}

/// Compares prompt, prediction and scores of one item with its golden.
fn check(definition: &TaskDefinition, run: &TaskRun, item: &Item, row: &Value) {
    let id = &row["id"];
    let Request::Generate { max_new_tokens, .. } = &item.request else { panic!("{id} generates") };
    assert_eq!(Some(u64::from(*max_new_tokens)), row["max_new_tokens"].as_u64(), "{id}");
    let record = |output: &str, stop: Option<String>| {
        let answer = Answer::Text { output: output.to_owned(), stop };
        Record::new(definition, run, item, answer, vec![1], 0).expect("an answer of the right kind")
    };
    let whole = record(text_of(row, "text"), None);
    assert_eq!(serde_json::to_value(&whole.prompt_sha256).expect("JSON"), row["prompt_sha256"], "{id}");
    assert_eq!(whole.prediction, row["pred"], "{id}");
    assert_eq!(whole.gold, row["gold"], "{id}");
    let exact = u64::from(whole.prediction == whole.gold);
    assert_eq!(Some(exact), row["exact"].as_u64(), "{id}");
    let (pred, gold) = (text_of(row, "pred"), text_of(row, "gold"));
    assert_eq!(Some(char_f1(pred, gold)), row["char_f1"].as_f64(), "{id}");
    // An engine stops at the first stop string; the score must not notice.
    let stopped = text_of(row, "text").split("\n\n").next().expect("at least one piece");
    let early = record(stopped, Some("\n\n".to_owned()));
    assert_eq!((early.prediction, early.score), (whole.prediction, whole.score), "{id}");
}

#[test]
fn prompts_answers_and_scores_are_the_harnesss_own() {
    if data().is_none() {
        return;
    }
    let catalog = Catalog::builtin();
    let mut loaded = BTreeMap::new();
    let rows = golden_rows();
    assert_eq!(rows.len(), 1160, "three tasks, two splits, with and without BOS");
    for (task, split, index, row) in rows {
        let definition = catalog.find(PROFILE, &task).expect("built in");
        let run = run(definition, &split);
        let data = loaded.entry((task, split)).or_insert_with(|| items(definition, &run));
        check(definition, &run, &data.items[index], &row);
    }
}

/// The full prompts of the first two items of every task.
#[test]
fn prompts_are_the_harnesss_own_letter_by_letter() {
    if data().is_none() {
        return;
    }
    let catalog = Catalog::builtin();
    let mut compared = 0;
    for row in prompt_samples() {
        let [task, split, index] = text_of(&row, "id").split('/').collect::<Vec<_>>()[..] else {
            panic!("an id")
        };
        if text_of(&row, "profile") != "llm-jp-eval@1.3.0" || task == "jsquad" {
            continue;
        }
        let definition = catalog.find(PROFILE, task).expect("built in");
        let data = items(definition, &run(definition, split));
        let item = &data.items[index.parse::<usize>().expect("an index")];
        assert_eq!(item.request.contexts(), [text_of(&row, "prompt")]);
        compared += 1;
    }
    assert_eq!(compared, 12);
}

#[test]
fn aggregates_are_the_harnesss_own() {
    if data().is_none() {
        return;
    }
    let catalog = Catalog::builtin();
    let mut groups: BTreeMap<(String, String, bool), Vec<(usize, Value)>> = BTreeMap::new();
    for (task, split, index, row) in golden_rows() {
        let bos = row["add_special_tokens"].as_bool().expect("a truth value");
        groups.entry((task, split, bos)).or_default().push((index, row));
    }
    let scores = scores("llmjp_v13.scores.json");
    assert_eq!(groups.len(), 12);
    for ((task, split, bos), rows) in groups {
        let definition = catalog.find(PROFILE, &task).expect("built in");
        let mut run = run(definition, &split);
        run.limit = Some(100);
        let data = items(definition, &run);
        let record = |(index, row): &(usize, Value)| {
            let answer = Answer::Text { output: text_of(row, "text").to_owned(), stop: None };
            Record::new(definition, &run, &data.items[*index], answer, vec![1], 0)
                .expect("an answer of the right kind")
        };
        // Neither the order of arrival nor a repeated delivery matters.
        let mut records: Vec<Record> = rows.iter().rev().map(record).collect();
        records.push(records[0].clone());
        let results = aggregate(definition, &run, &data.sources, Bos::Auto, &records);
        let [(result, true)] = &results[..] else {
            panic!("{task} has one metric, which is primary");
        };
        let golden = &scores["scores"][format!("{task}/{split}/{}", if bos { "bos" } else { "nobos" })];
        assert_close(result.value, &golden["score"], &task);
        assert_eq!(golden["metric"], result.metric);
        assert_eq!(golden["n"], result.n);
        assert!(result.low <= result.value && result.value <= result.high, "{result:?}");
        assert_eq!((result.stderr, result.shots), (None, 4), "llm-jp-eval reports no standard error");
        let values: Vec<f64> = records[1..].iter().map(|record| record.score[&result.metric]).collect();
        assert_close(stats::standard_error(&values).expect("many values"), &golden["stderr"], &task);
    }
}
