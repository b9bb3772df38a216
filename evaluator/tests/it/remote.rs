//! Records that a server's answers make are those of the same weights in this process.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use sekisho_bench::{Answer, Record};
use sekisho_evaluator::{Model, RemoteOptions, Settings};

use crate::engine::{Server, Style};
use crate::support::{How, alone, answers, asked, load_model, oracle, stories};

const STYLES: [Style; 4] =
    [Style::Ranked, Style::Echo { at_least: 0 }, Style::Echo { at_least: 1 }, Style::Forced];

/// A folder with the tokenizer alone: what there is of a model too big for this machine.
pub(crate) fn tokenizer_of(dir: &Path) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for file in ["tokenizer.json", "tokenizer_config.json", "config.json"] {
        fs_err::copy(dir.join(file), folder.path().join(file)).expect("copied");
    }
    folder
}

pub(crate) fn remote(dir: &Path, options: &RemoteOptions) -> Model {
    Model::remote(tokenizer_of(dir).path(), options).expect("a good server")
}

/// Equal in everything but the last digits of log-likelihoods, and `stop` where a server does not say it.
pub(crate) fn same(ours: &BTreeMap<u64, Record>, theirs: &BTreeMap<u64, Record>, says_stop: bool) -> f64 {
    assert_eq!(ours.keys().collect::<Vec<_>>(), theirs.keys().collect::<Vec<_>>());
    let mut largest = 0.0_f64;
    for (local, mut other) in ours.values().zip(theirs.values().cloned()) {
        match (&local.answer, &mut other.answer) {
            (Answer::Choices { loglikelihoods, .. }, Answer::Choices { loglikelihoods: others, .. }) => {
                assert_eq!(loglikelihoods.len(), others.len());
                for (ours, theirs) in loglikelihoods.iter().zip(others.iter_mut()) {
                    largest = largest.max((ours - *theirs).abs() / ours.abs().max(1.0));
                    *theirs = *ours;
                }
            }
            (Answer::Text { stop, .. }, Answer::Text { stop: theirs, .. }) if !says_stop => {
                theirs.clone_from(stop);
            }
            _ => {}
        }
        // What follows from log-likelihoods as they are (perplexity) follows from their last digits too.
        for (metric, value) in &mut other.score {
            let ours = local.score[metric];
            if (*value - ours).abs() <= 1e-3 * ours.abs().max(1.0) {
                *value = ours;
            }
        }
        assert_eq!(local, &other);
    }
    largest
}

fn compare(dir: &Path, style: Style, tasks: &[(&str, usize, Settings)]) {
    let server = Server::start(dir, style);
    server.state().max_model_len = Some(2048);
    let (local, remote) = (load_model(dir), remote(dir, &server.options()));
    for (name, limit, settings) in tasks {
        let asked = asked(name, *limit, None);
        let how = How { settings: *settings, ..How::default() };
        let (ours, our_spent) = answers(&local, &asked, how, &BTreeSet::new()).expect("answered");
        let (theirs, spent) = answers(&remote, &asked, how, &BTreeSet::new()).expect("answered");
        let largest = same(&ours, &theirs, !matches!(style, Style::Forced));
        assert!(largest < 1e-5, "{name} by {style:?}: {largest:.1e}");
        assert_eq!(spent.tokens.prompt, our_spent.tokens.prompt, "{name} by {style:?}");
        assert_eq!(spent.bos, our_spent.bos);
        eprintln!("{name} by {style:?}: {} items, largest difference {largest:.1e}", ours.len());
    }
}

#[test]
fn records_through_a_server_are_the_local_ones() {
    let Some(dir) = oracle() else { return };
    let windows = Settings { max_length: Some(256), ..Settings::default() };
    for style in STYLES {
        let mut tasks = vec![
            ("llm-jp-eval@1.3/niilc/dev", 4, Settings::default()),
            ("lm-eval/openbookqa/test", 6, Settings::default()),
            ("oracle/o_lambada/test", 5, Settings::default()),
        ];
        if style != Style::Forced {
            tasks.push(("oracle/o_wikitext2/test", 1, windows));
        }
        compare(&dir, style, &tasks);
    }
}

/// A tokenizer of the kind of Llama 2 loses the space that an answer begins with; the server's text has it.
#[test]
fn an_answer_is_decoded_as_the_harness_does() {
    let Some(dir) = stories() else { return };
    compare(&dir, Style::Ranked, &[("llm-jp-eval@1.3/niilc/dev", 10, Settings::default())]);
    compare(&dir, Style::Echo { at_least: 0 }, &[("oracle/o_winogrande/test", 10, Settings::default())]);
}

/// The profile cuts to what the server has room for: its context without the two tokens that a log-likelihood needs besides.
#[test]
fn long_prompts_are_cut_by_the_profiles_rule() {
    let Some(dir) = oracle() else { return };
    let server = Server::start(&dir, Style::Ranked);
    server.state().max_model_len = Some(194);
    let asked = asked("oracle/o_jcommonsenseqa/test", 3, Some(3));
    let remote = remote(&dir, &server.options());
    let (theirs, _) = answers(&remote, &asked, How::default(), &BTreeSet::new()).expect("answered");
    let settings = Settings { max_length: Some(192), ..Settings::default() };
    let how = How { settings, ..How::default() };
    let (ours, _) = answers(&load_model(&dir), &asked, how, &BTreeSet::new()).expect("answered");
    same(&ours, &theirs, true);
    assert!(ours.values().all(|record| record.truncated > 0), "three shots are longer than that");
}

#[test]
fn requests_come_in_the_order_of_the_trie_and_not_too_many_at_once() {
    let Some(dir) = stories() else { return };
    let server = Server::start(&dir, Style::Ranked);
    let asked = asked("lm-eval/openbookqa/test", 12, None);
    let one = remote(&dir, &RemoteOptions { concurrency: 1, ..server.options() });
    server.state().asked.clear();
    answers(&one, &asked, How::default(), &BTreeSet::new()).expect("answered");
    assert_eq!(server.state().most_at_once, 1);
    let prompts = std::mem::take(&mut server.state().asked);
    let saved = |prompts: &[Vec<u32>]| -> usize {
        let shared = |pair: &[Vec<u32>]| pair[0].iter().zip(&pair[1]).take_while(|(a, b)| a == b).count();
        prompts.windows(2).map(shared).sum()
    };
    let mut sorted = prompts[3..].to_vec();
    sorted.sort();
    assert_eq!(saved(&prompts[3..]), saved(&sorted), "no order shares more with the prompt before");
    let many = remote(&dir, &RemoteOptions { concurrency: 3, ..server.options() });
    answers(&many, &asked, alone(), &BTreeSet::new()).expect("answered");
    assert!(server.state().most_at_once <= 3, "{}", server.state().most_at_once);
}

#[test]
fn the_environment_says_who_computed() {
    let Some(dir) = stories() else { return };
    for (style, engine, version, likelihoods) in [
        (Style::Ranked, "vllm", "0.99", "prompt_logprobs"),
        (Style::Echo { at_least: 1 }, "sglang", "0.99", "echo"),
        (Style::Forced, "llama.cpp", "b-test", "logit_bias"),
    ] {
        let server = Server::start(&dir, style);
        let options = RemoteOptions { likelihoods: true, dtype: Some("bf16".to_owned()), ..server.options() };
        let model = remote(&dir, &options);
        let environment = sekisho_evaluator::environment(&model, &BTreeSet::new(), 2, Settings::default());
        for (key, value) in [
            ("engine", engine),
            ("engine_version", version),
            ("likelihoods", likelihoods),
            ("model", crate::engine::NAME),
            ("dtype", "bf16"),
        ] {
            assert_eq!(environment[key], value, "{key} of {style:?}");
        }
        assert_eq!((&environment["invariant"], &environment["max_length"]), (&false.into(), &512.into()));
        assert_eq!(model.parameters, None);
    }
}
