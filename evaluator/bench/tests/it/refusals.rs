//! Bad definitions, bad data and bad answers are refused with a sentence that names the place and the rule.

use sekisho_bench::{
    Answer, Gold, SourceRef, Split, TaskDefinition, TaskError, dataset_json, fingerprint, load,
};
use sekisho_domain::Sha256;
use sekisho_domain::evaluation::Bos;

use crate::support::run;

/// A task of a user, with the digest of `bytes`.
fn definition(reader: &str, rest: &str, bytes: &str) -> String {
    format!(
        r#"profile = "demo@1"
task = "qa"
version = 1
title_en = "QA"
title_ja = "質問応答"
language = "ja"
license = "CC0-1.0"
redistributable = true
citation = "made for this test"
primary = "exact_match"
metrics = ["exact_match", "char_f1"]
stderr = "none"
bos = "off"
encoding = "pair"
splits = "files"
source = [{{ id = "demo", file = "qa", sha256 = "{}", role = "test" }}]
reader = {reader}
{rest}
"#,
        Sha256::of(bytes).hex()
    )
}

const GENERATE: &str = r#"prompt = { input = "{question}" }
request = { kind = "generate", answer = "{answer}", stop = ["\n"], max_new_tokens = 8 }"#;

const JSONL: &str = r#"{ format = "jsonl" }"#;

fn parse(text: &str) -> Result<TaskDefinition, TaskError> {
    TaskDefinition::from_toml("qa.toml", text)
}

/// Loads `bytes` as the test split of a generation task.
fn read(reader: &str, bytes: &str) -> Result<usize, String> {
    let definition = parse(&definition(reader, GENERATE, bytes)).expect("a valid definition");
    let data = load(&definition, &run(&definition, "test"), &[], &|_| Ok(bytes.as_bytes().to_vec()));
    data.map(|data| data.items.len()).map_err(|error| error.to_string())
}

#[test]
fn malformed_data_is_named_with_file_and_line() {
    let xml = r#"{ format = "xml", record = "q", fields = { question = "t", answer = "a" }, join = "," }"#;
    let good = "{\"question\": \"一\", \"answer\": \"1\"}\n";
    assert_eq!(read(JSONL, &good.repeat(2)), Ok(2));
    for (reader, bytes, sentence) in [
        (
            JSONL,
            format!("{good}{{\"question\": "),
            "demo/qa, line 2: not a JSON object (EOF while parsing a value",
        ),
        (JSONL, format!("{good}\n"), "demo/qa, line 2: not a JSON object"),
        (JSONL, format!("{good}[1]\n"), "demo/qa, line 2: not a JSON object"),
        (
            JSONL,
            good.replace("answer", "anser"),
            "demo/qa, line 1: field \"answer\" is missing; did the definition mean \"anser\"?",
        ),
        (JSONL, good.replace("\"1\"", "[1]"), "demo/qa, line 1: field \"answer\" is a list, not a text"),
        (r#"{ format = "json" }"#, "[\n{},\n".to_owned(), "demo/qa, line 3: not JSON"),
        (r#"{ format = "json" }"#, "[{}]".to_owned(), "demo/qa, record 1: field \"question\" is missing"),
        (xml, "<r>\n<q><t>一</t></r>".to_owned(), "demo/qa, line 2: not well-formed XML"),
        (xml, "<r>\n<q><t>一</t></q></r>".to_owned(), "demo/qa, line 2: field \"answer\" is missing"),
        (xml, "<r/>".to_owned(), "demo/qa, line 1: there is no <q> element in it"),
        (
            r#"{ format = "xwino", language = "jp" }"#,
            "jp\tx\n".to_owned(),
            "demo/qa, line 1: 2 columns where XWINO has 7",
        ),
        (CSV, "一,1\n二\n".to_owned(), "demo/qa, line 2: 1 values where there are 2 columns"),
        (
            r#"{ format = "tsv" }"#,
            "question\tanswer\n一\t1\t2\n".to_owned(),
            "demo/qa, line 2: 3 values where there are 2 columns",
        ),
        (
            r#"{ format = "tsv" }"#,
            "question\n一\n".to_owned(),
            "demo/qa, line 2: field \"answer\" is missing",
        ),
        (r#"{ format = "squad" }"#, "{\"data\": [{}]}".to_owned(), "demo/qa, line 1: not the JSON of SQuAD"),
        (
            r#"{ format = "json", at = "a.b" }"#,
            "{\"a\": []}".to_owned(),
            "demo/qa, a.b: there is no array of objects here",
        ),
        (
            r#"{ format = "xwino", language = "jp" }"#,
            "en\tx\n".to_owned(),
            "demo/qa, line 1: no row has the language \"jp\"",
        ),
    ] {
        let error = read(reader, &bytes).expect_err(sentence);
        assert!(error.starts_with(sentence), "{error}\nexpected: {sentence}");
    }
}

const CSV: &str = r#"{ format = "csv", columns = ["question", "answer"] }"#;

#[test]
fn tables_are_read_with_and_without_header_and_mark() {
    for (reader, bytes) in [
        (CSV, "\u{feff}\"一, \"\"二\"\"\n\",1\n三,2\n"),
        (r#"{ format = "csv" }"#, "question,answer\n一,1\n二,2\n"),
        (r#"{ format = "tsv" }"#, "\u{feff}question\tanswer\n\"一\t1\n二\"\t2\n"),
        (
            r#"{ format = "json", at = "a.0" }"#,
            r#"{"a": [[{"question": "一", "answer": 1}, {"question": "二", "answer": 2}]]}"#,
        ),
        (
            r#"{ format = "xml", record = "q", fields = { question = "t/s", answer = "@a" }, join = "" }"#,
            "<!DOCTYPE r SYSTEM \"r.dtd\"><r><q a='1'><t><s>一</s></t><u><s>x</s></u></q><q a='2'><t><s>二</s></t></q></r>",
        ),
    ] {
        assert_eq!(read(reader, bytes), Ok(2), "{reader}");
    }
}

/// Source and translation of a sentence lie in two files.
#[test]
fn files_that_are_read_side_by_side_match_line_by_line() {
    let (source, target) = ("一\n二\n", "1\n2\n");
    let text = definition(r#"{ format = "lines", field = "question" }"#, GENERATE, source).replace(
        "role = \"test\" }]",
        &format!(
            "role = \"test\" }}, {{ id = \"demo\", file = \"answers\", sha256 = \"{}\", role = \"test\", reader = {{ format = \"lines\", field = \"answer\" }} }}]",
            Sha256::of(target).hex()
        ),
    );
    let definition = parse(&text).expect("a valid definition");
    let run = run(&definition, "test");
    let with = |target: &'static str| {
        let read = move |source: &SourceRef| {
            Ok(if source.file == "answers" { target } else { "一\n二\n" }.as_bytes().to_vec())
        };
        load(&definition, &run, &[Sha256::of(target)], &read).map_err(|error| error.to_string())
    };
    assert_eq!(with(target).expect("they match").items[1].gold, Gold::Text("2".to_owned()));
    assert_eq!(
        with("1\n"),
        Err("demo/answers, line 1: the file ends here, the one beside it after line 2; files that are read side by side must \
             match line by line"
            .to_owned())
    );
    let twice = text.replace("field = \"answer\" } }]", "field = \"question\" } }]");
    let error = parse(&twice).expect_err("one field twice").to_string();
    assert!(error.contains("two files of the role \"test\" give the field \"question\""), "{error}");
}

#[test]
fn bytes_that_are_not_utf8_are_named_with_their_line() {
    let definition = parse(&definition(JSONL, GENERATE, "")).expect("a valid definition");
    let bytes = b"{}\n\xff".to_vec();
    let accept = [Sha256::of(&bytes)];
    let error =
        load(&definition, &run(&definition, "test"), &accept, &|_| Ok(bytes.clone())).expect_err("not UTF-8");
    assert_eq!(error.to_string(), "demo/qa, line 2: these bytes are not UTF-8");
}

#[test]
fn other_bytes_are_refused_with_both_digests_unless_accepted() {
    let (mine, theirs) =
        ("{\"question\": \"一\", \"answer\": \"1\"}", "{\"question\": \"一\", \"answer\": \"2\"}");
    let definition = parse(&definition(JSONL, GENERATE, mine)).expect("a valid definition");
    let run = run(&definition, "test");
    let read = |_: &_| Ok(theirs.as_bytes().to_vec());
    let error = load(&definition, &run, &[], &read).expect_err("other bytes").to_string();
    for part in
        ["demo@1/qa", "demo/qa", &Sha256::of(mine).to_string(), &format!("--accept {}", Sha256::of(theirs))]
    {
        assert!(error.contains(part), "{error}");
    }
    let data = load(&definition, &run, &[Sha256::of(theirs)], &read).expect("accepted by digest");
    // What was scored on other data is another score.
    let with = |sources| fingerprint(&definition, &run, sources, Bos::Auto);
    assert_ne!(with(&data.sources), with(&[]));
}

#[test]
fn a_file_that_cannot_be_delivered_is_named_with_its_task() {
    let definition = parse(&definition(JSONL, GENERATE, "")).expect("a valid definition");
    let error = load(&definition, &run(&definition, "test"), &[], &|_| Err("no such file".to_owned()))
        .expect_err("no file");
    assert_eq!(error.to_string(), "demo@1/qa needs demo/qa: no such file");
}

#[test]
fn splits_and_shots_that_are_not_there_are_refused() {
    let definition = parse(&definition(JSONL, GENERATE, "")).expect("a valid definition");
    let load = |run: &_| {
        load(&definition, run, &[], &|_| Ok(Vec::new())).map(|_| ()).map_err(|error| error.to_string())
    };
    assert_eq!(load(&run(&definition, "dev")), Err("demo@1/qa has no split \"dev\"; it has test".to_owned()));
    let mut shots = run(&definition, "test");
    shots.shots = Some(2);
    let sentence =
        "demo@1/qa cannot be run with 2 shots: its definition names no examples; run it with 0 shots";
    assert_eq!(load(&shots), Err(sentence.to_owned()));
    let error =
        dataset_json(&definition, Split::Test, &[], &|_| Ok(Vec::new())).expect_err("not llm-jp-eval's");
    assert!(error.to_string().contains("no test file in llm-jp-eval's format"), "{error}");
}

#[test]
fn more_shots_than_there_are_others_are_refused() {
    let rest = format!(
        "shots = {{ default = 1, from = \"test\" }}\n{}",
        GENERATE.replace("{ input", "{ shot = \"{input}{output}\", input")
    );
    let bytes = "{\"question\": \"一\", \"answer\": \"1\"}\n".repeat(2);
    let definition = parse(&definition(JSONL, &rest, &bytes)).expect("a valid definition");
    let mut run = run(&definition, "test");
    load(&definition, &run, &[], &|_| Ok(bytes.clone().into_bytes())).expect("the other item is the example");
    run.shots = Some(2);
    let error =
        load(&definition, &run, &[], &|_| Ok(bytes.clone().into_bytes())).expect_err("too many").to_string();
    assert_eq!(
        error,
        "demo@1/qa cannot be run with 2 shots: there are examples for 1 at most; ask for no more"
    );
}

/// Each change of a good definition is refused with the sentence.
fn refused(changes: &[(&str, &str, &str)]) {
    let good = definition(JSONL, GENERATE, "");
    parse(&good).expect("a valid definition");
    for (from, to, sentence) in changes {
        assert!(good.contains(from), "{from}");
        let error = parse(&good.replacen(from, to, 1)).expect_err(sentence).to_string();
        assert!(error.starts_with(sentence), "{error}\nexpected: {sentence}");
    }
}

#[test]
fn parts_of_a_definition_that_contradict_each_other_are_refused() {
    refused(&[
        ("demo@1", "demo", "qa.toml: profile \"demo\" has no version"),
        ("max_new_tokens", "max_tokens", "qa.toml"),
        ("{question}", "{question", "qa.toml:18:20: a single \"{\" in"),
        (
            "input = \"",
            "query = \"{question}\", input = \"",
            "qa.toml: prompt.query knows {input}, not {question}",
        ),
        ("[\"\\n\"]", "[\"\"]", "qa.toml: an empty stop string would stop before the first token"),
        (
            "input = \"{question}\"",
            "input = [\"{question}\", \"a\"]",
            "qa.toml: prompt.input with several templates needs",
        ),
    ]);
}

#[test]
fn sources_that_contradict_the_split_rule_are_refused() {
    refused(&[
        (
            "\nsource",
            "\nsubtask = \"a\"\ncluster = \"b\"\nsource",
            "qa.toml: a task has sub-tasks or clusters, not both",
        ),
        ("stderr = \"none\"", "stderr = \"pooled\"", "qa.toml: stderr = \"pooled\" needs subtask"),
        (
            "role = \"test\"",
            "role = \"all\"",
            "qa.toml: demo/qa has the role \"all\"; splits = \"files\" knows train and dev and test",
        ),
        (
            "splits = \"files\"",
            "splits = \"llm-jp-eval-pool\"",
            "qa.toml: demo/qa has the role \"test\"; splits = \"llm-jp-eval-pool\" knows all",
        ),
        ("source = [", "source = []\n# [", "qa.toml: there is no source"),
    ]);
}

#[test]
fn metrics_and_filters_that_do_not_fit_are_refused() {
    refused(&[
        (
            "primary = \"exact_match\"",
            "primary = \"acc\"",
            "qa.toml: the primary metric acc is not among metrics",
        ),
        (
            "\"char_f1\"]",
            "\"acc_norm\"]",
            "qa.toml: metric acc_norm cannot judge a request of kind \"generate\"",
        ),
        ("\"char_f1\"]", "\"char_f2\"]", "qa.toml:11:27: unknown variant `char_f2`"),
        (
            "char_f1\"]",
            "char_f1\"]\nfilter = [{ steps = [\"strip\"] }, { name = \"b\" }]",
            "qa.toml: several filters need names",
        ),
        (
            "\"char_f1\"]",
            "\"bleu\"]\nfilter = [{ name = \"a\" }, { name = \"b\" }]",
            "qa.toml: metric bleu is made of all answers at once",
        ),
        (
            "\"char_f1\"]",
            "\"char_f1\"]\nfilter = [{ name = \"a\" }, { name = \"b\" }]",
            "qa.toml: the primary metric exact_match is not among metrics; reported are exact_match,a and char_f1,a and",
        ),
        (
            "\"char_f1\"]",
            "\"char_f1\"]\nnormalize = [{ delete = \"(\" }]",
            "qa.toml:12:14: \"(\" is no regular expression of this program: unclosed group",
        ),
        ("\"char_f1\"]", "\"char_f1\"]\nnormalize = [\"stripe\"]", "qa.toml:12:14: unknown variant `stripe`"),
        (
            "request = { kind = \"generate\"",
            "request = { kind = \"rolling\" }\n# {",
            "qa.toml: metric exact_match cannot judge a request of kind \"rolling\"",
        ),
    ]);
}

#[test]
fn examples_that_cannot_be_had_are_refused() {
    const LITERAL: &str = "[{ input = \"一\", output = \"1\" }]";
    let shots = "shots = { default = 2, from = \"train\" }\nprompt";
    refused(&[
        (
            "prompt",
            "shots = { default = 2 }\nprompt",
            "qa.toml: shots.default needs shots.from or shots.literal",
        ),
        ("prompt", shots, "qa.toml: shots.from is \"train\", but no source gives that split"),
        (
            "prompt",
            "shots = { default = 2, from = \"test\" }\nprompt",
            "qa.toml: shots.from needs prompt.shot",
        ),
        (
            "prompt",
            &format!("shots = {{ literal = {LITERAL}, from = \"test\" }}\nprompt"),
            "qa.toml: shots.from and shots.literal exclude each other",
        ),
        (
            "prompt",
            &format!("shots = {{ default = 2, literal = {LITERAL} }}\nprompt"),
            "qa.toml: shots.default is 2, but shots.literal has 1",
        ),
        (
            "prompt",
            &format!("shots = {{ literal = {LITERAL} }}\nprompt"),
            "qa.toml: shots.literal needs prompt.shot",
        ),
        ("prompt", "shots = { per = \"x\" }\nprompt", "qa.toml: shots.per needs shots.from"),
    ]);
}

#[test]
fn a_misspelt_key_is_answered_with_the_nearest_one() {
    let error = parse(&definition(JSONL, GENERATE, "").replace("citation", "citaton"))
        .expect_err("misspelt")
        .to_string();
    assert!(error.ends_with("did you mean \"citation\"?"), "{error}");
}

#[test]
fn answers_of_the_wrong_kind_or_length_are_refused() {
    let rest = r#"prompt = { input = "{q}" }
request = { kind = "choices", choices = "c", delimiter = " ", gold = "g" }"#;
    let bytes = "{\"q\": \"一\", \"c\": [\"a\", \"b\"], \"g\": 1}";
    let text = definition(JSONL, rest, bytes)
        .replace("exact_match\", \"char_f1", "acc")
        .replace("\"exact_match\"", "\"acc\"");
    let definition = parse(&text).expect("a valid definition");
    let data = load(&definition, &run(&definition, "test"), &[], &|_| Ok(bytes.as_bytes().to_vec()))
        .expect("valid data");
    let score = |answer| {
        sekisho_bench::score(&definition, &data.items[0], &answer).map_err(|error| error.to_string())
    };
    let choices =
        |loglikelihoods| Answer::Choices { loglikelihoods, choice_tokens: vec![1, 1], greedy: None };
    assert_eq!(
        score(choices(vec![-2.0, -1.0])).expect("well-formed").score["acc"].to_bits(),
        1.0_f64.to_bits()
    );
    // The first of equals wins, as NumPy's argmax.
    assert_eq!(score(choices(vec![-1.0, -1.0])).expect("well-formed").prediction, 0);
    for (answer, sentence) in [
        (choices(vec![-1.0]), "item 0 of demo@1/qa: the answer has not one log-likelihood per choice"),
        (choices(vec![-1.0, f64::NAN]), "item 0 of demo@1/qa: a log-likelihood is not a finite number"),
        (
            Answer::Text { output: "b".to_owned(), stop: None },
            "item 0 of demo@1/qa: log-likelihoods were asked for",
        ),
    ] {
        let error = score(answer).expect_err(sentence);
        assert!(error.starts_with(sentence), "{error}");
    }
    // A right choice outside the list and a choice without text are the data's fault.
    for (from, to, sentence) in [
        ("\"g\": 1", "\"g\": 2", "demo/qa, line 1: field \"g\" is 2; with 2 choices it must be 0 to 1"),
        ("\"b\"", "\"\"", "demo/qa, line 1: choice 1 is empty; a choice needs text"),
    ] {
        let bad = bytes.replace(from, to);
        let accept = [Sha256::of(&bad)];
        let data = load(&definition, &run(&definition, "test"), &accept, &|_| Ok(bad.clone().into_bytes()));
        assert_eq!(data.expect_err(sentence).to_string(), sentence);
    }
}
