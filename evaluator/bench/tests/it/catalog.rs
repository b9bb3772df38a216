//! What is built in, and how it is found.

use sekisho_bench::{Catalog, NamedMean, TaskDefinition, TaskError, means};
use sekisho_domain::evaluation::TaskRun;

#[test]
fn definitions_and_suites_of_the_build_are_valid() {
    let catalog = Catalog::builtin();
    assert_eq!(
        catalog.profiles(),
        ["jp-harness@1", "llm-jp-eval@1.1", "llm-jp-eval@1.3", "llm-jp-eval@1.4", "lm-eval@0.4"]
    );
    for definition in catalog.iter() {
        let found = catalog.find(&definition.profile, &definition.task).expect("every definition is found");
        assert_eq!(found, definition);
        assert_eq!(TaskDefinition::from_toml("again.toml", definition.toml()).as_ref(), Ok(definition));
    }
    let suite = catalog.suite("llm-jp-eval-dev100").expect("built in");
    let tasks: Vec<&str> = suite.tasks.iter().map(|run| run.task.as_str()).collect();
    assert_eq!(tasks, ["jcommonsenseqa", "jemhopqa", "niilc"]);
    assert!(suite.tasks.iter().all(|run| run.split == "dev" && run.limit == Some(100)));
}

#[test]
fn a_bare_profile_is_its_newest_version() {
    let mut catalog = Catalog::builtin();
    let text = catalog.find("lm-eval", "openbookqa").expect("built in").toml().to_owned();
    for version in ["0.10", "0.9"] {
        let text = text.replace("lm-eval@0.4", &format!("lm-eval@{version}"));
        catalog.add("copy.toml", &text).expect("another version is another profile");
    }
    assert_eq!(catalog.profile("lm-eval"), Ok("lm-eval@0.10"));
    assert_eq!(
        catalog.find("lm-eval@0.4", "openbookqa").map(|found| found.profile.as_str()),
        Ok("lm-eval@0.4")
    );
}

#[test]
fn an_unknown_name_is_answered_with_the_nearest_one() {
    let catalog = Catalog::builtin();
    let sentence = |result: Result<(), TaskError>| result.expect_err("unknown").to_string();
    for (result, expected) in [
        (
            catalog.find("llm-jp-evel", "niilc").map(|_| ()),
            "there is no profile \"llm-jp-evel\", did you mean \"llm-jp-eval\"?; \
             known: jp-harness@1, llm-jp-eval@1.1, llm-jp-eval@1.3, llm-jp-eval@1.4, lm-eval@0.4",
        ),
        (
            catalog.find("jp-harness", "wmt20-en-jp").map(|_| ()),
            "there is no task \"wmt20-en-jp\" in jp-harness@1, did you mean \"wmt20-en-ja\"?; \
             known: mgsm, wmt20-en-ja, wmt20-ja-en",
        ),
        (
            catalog.suite("nightly").map(|_| ()),
            "there is no suite \"nightly\"; known: llm-jp-eval-1.1, llm-jp-eval-1.3, llm-jp-eval-dev100",
        ),
    ] {
        assert_eq!(sentence(result), expected);
    }
}

#[test]
fn a_task_or_suite_is_defined_once_and_a_suite_names_known_tasks() {
    let mut catalog = Catalog::builtin();
    let text = catalog.find("lm-eval", "openbookqa").expect("built in").toml().to_owned();
    let error = catalog.add("mine.toml", &text).expect_err("twice").to_string();
    assert_eq!(
        error,
        "mine.toml: lm-eval@0.4/openbookqa is defined already; give the task or the profile another name"
    );

    let suite = "name = \"mine\"\ntitle_en = \"Mine\"\ntitle_ja = \"私のもの\"\n[[task]]\nprofile = \"lm-eval\"\ntask = \"openbookqa\"\nsplit = \"test\"\n";
    catalog.add_suite("suite.toml", suite).expect("a suite of known tasks");
    assert_eq!(catalog.suite("mine").expect("added").tasks[0].profile, "lm-eval@0.4");
    catalog.add_suite("suite.toml", suite).expect_err("twice");
    let other = suite.replace("mine", "other").replace("openbookqa", "openbok");
    catalog.add_suite("suite.toml", &other).expect_err("unknown task");
    let other = suite.replace("mine", "other").replace("test", "dev");
    let error = catalog.add_suite("suite.toml", &other).expect_err("unknown split").to_string();
    assert_eq!(error, "lm-eval@0.4/openbookqa has no split \"dev\"; it has test");
}

/// AVR and AVG as llm-jp-eval makes them, and what they are called while something is missing.
#[test]
fn means_are_made_of_categories_and_say_what_is_missing() {
    let catalog = Catalog::builtin();
    let suite = catalog.suite("llm-jp-eval-1.1").expect("built in");
    let value = |run: &TaskRun| Some(if run.task == "jnli" { 0.5 } else { 0.25 });
    let labels = |means: &[NamedMean]| means.iter().map(NamedMean::label).collect::<Vec<_>>();
    let all = means(suite, &value);
    assert_eq!(labels(&all), ["NLI", "QA", "RC", "MC", "AVR"]);
    assert_eq!(all[0].value, Some(0.3));
    assert_eq!(all[4].value, Some((0.3 + 0.25 * 3.0) / 4.0));
    // A category with a hole is shown with what it has, and enters no mean of categories.
    let without = means(suite, &|run| value(run).filter(|_| run.task != "jnli"));
    assert_eq!(labels(&without), ["NLI (4/5)", "QA", "RC", "MC", "AVR (3/4)"]);
    assert_eq!((without[0].value, without[4].value), (Some(0.25), Some(0.25)));
    assert!(!without[4].is_complete());
    let none = means(suite, &|_| None);
    assert_eq!((none[4].value, none[4].label()), (None, "AVR (0/4)".to_owned()));

    let suite = catalog.suite("llm-jp-eval-1.3").expect("built in");
    let all = means(suite, &|_| Some(1.0));
    let label = all.last().map(NamedMean::label);
    assert_eq!(label.as_deref(), Some("AVG (6/9)"), "three categories are not here");
}

#[test]
fn a_mean_of_tasks_that_a_suite_does_not_run_is_refused() {
    let suite = |category: &str| {
        format!(
            "name = \"mine\"\ntitle_en = \"Mine\"\ntitle_ja = \"私のもの\"\n[[task]]\nprofile = \"lm-eval\"\ntask = \"piqa\"\nsplit = \"test\"\n\
             [[mean]]\nname = \"M\"\ncategory = [{category}]\n"
        )
    };
    let add = |category: &str| Catalog::builtin().add_suite("suite.toml", &suite(category));
    add("{ name = \"C\", tasks = [\"piqa\"], absent = [\"other\"] }").expect("sound");
    for (category, sentence) in [
        ("{ name = \"C\", tasks = [\"pica\"] }", "the suite runs \"pica\" 0 times"),
        ("{ name = \"C\", absent = [\"piqa\"] }", "\"piqa\" is not absent, the suite runs it"),
        ("{ name = \"C\" }", "has no task"),
    ] {
        let error = add(category).expect_err(sentence).to_string();
        assert!(
            error.starts_with("suite.toml: category \"C\" of mean \"M\"") && error.contains(sentence),
            "{error}"
        );
    }
}

#[test]
fn the_example_in_the_documentation_is_a_valid_definition() {
    let page = include_str!("../../../../docs/evaluation.md");
    let example =
        page.split("```toml\n").nth(1).and_then(|rest| rest.split("```").next()).expect("an example");
    let text = example.replace("\"…\"", &format!("\"{}\"", "0".repeat(64)));
    let definition = TaskDefinition::from_toml("docs/evaluation.md", &text).expect("a valid definition");
    assert_eq!(definition.name(), "mylab@1/arithmetic");
}

#[test]
fn presets_of_the_build_name_what_is_absent() {
    let catalog = Catalog::builtin();
    let names: Vec<&str> = catalog.presets().iter().map(|preset| preset.name.as_str()).collect();
    assert_eq!(
        names,
        ["ja-4", "swallow-paper-8", "swallow-ja", "swallow-en", "llm-jp-eval-categories", "early"]
    );
    let sizes: Vec<(usize, usize)> =
        catalog.presets().iter().map(|preset| (preset.tasks.len(), preset.absent.len())).collect();
    assert_eq!(sizes, [(4, 0), (8, 1), (10, 2), (10, 5), (13, 0), (3, 0)]);
    let categories =
        catalog.presets()[4].mean.as_ref().map(|mean| (mean.name.as_str(), mean.categories.len()));
    assert_eq!(categories, Some(("AVG", 9)));
    assert_eq!(catalog.published_metric("jp-harness@1", "wmt20-en-ja").map(|(_, scale)| scale), Some(100.0));
    assert_eq!(catalog.published_metric("jp-harness@1", "xlsum_ja"), Some(("rouge2".to_owned(), 1.0)));
    assert_eq!(catalog.published_metric("jp-harness@1", "nothing"), None);
}

#[test]
fn a_run_is_the_same_with_its_default_number_of_shots_written_or_not() {
    let catalog = Catalog::builtin();
    let run = |shots, limit| TaskRun {
        profile: "llm-jp-eval@1.3".to_owned(),
        task: "niilc".to_owned(),
        split: "test".to_owned(),
        limit,
        shots,
    };
    assert!(catalog.same_run(&run(None, None), &run(Some(4), None)));
    assert!(!catalog.same_run(&run(None, None), &run(Some(3), None)));
    assert!(!catalog.same_run(&run(None, None), &run(None, Some(100))));
}

#[test]
fn a_preset_is_refused_by_the_rule_it_breaks() {
    let mut catalog = Catalog::builtin();
    let head = "name = \"x\"\ntitle_en = \"X\"\ntitle_ja = \"X\"\n";
    let task = |profile: &str, task: &str, split: &str| {
        format!("[[task]]\nprofile = \"{profile}\"\ntask = \"{task}\"\nsplit = \"{split}\"\n")
    };
    let niilc = task("llm-jp-eval@1.3", "niilc", "test");
    let absent = "[[absent]]\nprofile = \"llm-jp-eval@1.3\"\ntask = \"niilc\"\ntitle_en = \"\"\ntitle_ja = \"\"\nmetric = \"x\"\nbecause = \"\"\n";
    for (body, says) in [
        (String::new(), "it has no task"),
        (format!("suite = \"llm-jp-eval-1.1\"\n{niilc}"), "not both"),
        ("suite = \"llm-jp-eval-1.1\"\nmean = \"AVG\"\n".to_owned(), "has no mean \"AVG\""),
        (format!("mean = \"AVG\"\n{niilc}"), "needs the suite"),
        (format!("{niilc}{absent}"), "is not absent"),
        (task("llm-jp-eval@1.3", "nilc", "test"), "did you mean \"niilc\"?"),
        (task("llm-jp-eval@1.3", "niilc", "validation"), "validation"),
    ] {
        let error = catalog.add_preset("x.toml", &format!("{head}{body}")).expect_err(says).to_string();
        assert!(error.contains(says), "{error}");
    }
    catalog.add_preset("x.toml", &format!("{head}{niilc}")).expect("a preset");
    let error = catalog.add_preset("x.toml", &format!("{head}{niilc}")).expect_err("twice").to_string();
    assert!(error.contains("defined already"), "{error}");
}
