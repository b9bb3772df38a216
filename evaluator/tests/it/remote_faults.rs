//! Servers that are away, lie, hang or break: one sentence each, whole records, and the same command goes on.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use sekisho_bench::{Record, TaskDefinition};
use sekisho_domain::evaluation::{Bos, TaskRun};
use sekisho_evaluator::{EvalError, Model, Prompts, RemoteOptions, Report, Request, Settings, evaluate};

use crate::engine::{NAME, Server, Style, Trick};
use crate::remote::{remote, tokenizer_of};
use crate::support::{asked, load_model, oracle, read, stories};

/// What is asked before the first question where log-likelihoods are: two test sentences and one way to tell.
const PROBES: usize = 3;
const CHOICES: &str = "lm-eval/openbookqa/test";
const TEXTS: &str = "llm-jp-eval@1.3/niilc/dev";

fn run(model: &Model, task: &str, out: &Path) -> Result<Report, EvalError> {
    let tasks: Vec<(TaskDefinition, TaskRun)> =
        vec![asked(task, 8, Some(0))].into_iter().map(|asked| (asked.definition, asked.run)).collect();
    let request = Request {
        tasks: &tasks,
        read: &read,
        accept: &[],
        bos: Bos::Auto,
        settings: Settings::default(),
        threads: Some(2),
        out: Some(out),
        stop: Arc::new(AtomicBool::new(false)),
    };
    evaluate(model, &request, &mut Prompts::new(), &mut ())
}

fn records(out: &Path) -> Vec<Record> {
    let text = fs_err::read_to_string(out).expect("there");
    let mut records: Vec<Record> =
        text.lines().map(|line| serde_json::from_str(line).expect("a whole record")).collect();
    records.sort_by_key(|record| record.item);
    records
}

/// A server with room for prompts that llm-jp-eval does not cut.
fn roomy(dir: &Path) -> Server {
    let server = Server::start(dir, Style::Ranked);
    server.state().max_model_len = Some(2048);
    server
}

/// A fault in the middle: the sentence, what is kept, and that the same command ends with the records of a run without fault.
fn fails(dir: &Path, task: &str, trick: Trick, words: &[&str]) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let server = roomy(dir);
    let mut options = RemoteOptions { token: Some("s3cret-key".to_owned()), ..server.options() };
    options.likelihoods = task == CHOICES;
    let whole = folder.path().join("whole.jsonl");
    let report = run(&remote(dir, &options), task, &whole).expect("a good server");
    let slow = matches!(trick, Trick::Hang | Trick::Trickle);
    let timeout = if slow { Duration::from_secs(3) } else { options.timeout };
    let model = remote(dir, &RemoteOptions { timeout, ..options.clone() });
    server.state().trick = Some((if task == CHOICES { 20 } else { 4 }, trick, usize::MAX));
    let out = folder.path().join("out.jsonl");
    let begun = Instant::now();
    let error = run(&model, task, &out).expect_err("a fault").to_string();
    assert!(begun.elapsed() < Duration::from_secs(20), "{trick:?} took {:?}", begun.elapsed());
    eprintln!("{trick:?}: {error}");
    for words in [&[server.url.as_str()], words].concat() {
        assert!(error.contains(words), "{trick:?}: {words:?} is not in: {error}");
    }
    assert!(!error.contains("s3cret"), "{error}");
    let kept = records(&out);
    assert!((1..8).contains(&kept.len()), "{trick:?}: {} records are kept", kept.len());
    let all = records(&whole);
    assert!(kept.iter().all(|record| all.contains(record)), "{trick:?}: no half answers");
    // Mended, and moved: the answers are the model's and not the address's.
    let elsewhere = roomy(dir);
    let model = remote(dir, &RemoteOptions { url: elsewhere.url.clone(), ..options });
    let again = run(&model, task, &out).expect("a good server");
    assert_eq!(records(&out), all, "{trick:?}");
    assert_eq!(again.results[0].value, report.results[0].value);
    let asked = elsewhere.state().asked.len();
    assert!(asked < server.state().asked.len(), "what is answered is not asked again");
}

#[test]
fn a_server_that_breaks_in_the_middle_is_named_and_the_run_goes_on() {
    let Some(dir) = stories() else { return };
    let unavailable = Trick::Status("503 Service Unavailable");
    for (task, trick, words) in [
        (CHOICES, unavailable, vec!["answers 503", "--out"]),
        (CHOICES, Trick::Status("429 Too Many Requests"), vec!["answers 429"]),
        (CHOICES, Trick::Status("400 Bad Request"), vec!["answers 400", "not welcome"]),
        (CHOICES, Trick::Status("401 Unauthorized"), vec!["SEKISHO_ENGINE_TOKEN"]),
        (CHOICES, Trick::Close, vec!["no server answers", "goes on from there"]),
        (CHOICES, Trick::OtherModel, vec!["lab/other", NAME, "--engine-model"]),
        (CHOICES, Trick::NoChoice, vec!["0 answers to one prompt"]),
        (CHOICES, Trick::TwoChoices, vec!["2 answers to one prompt"]),
        (CHOICES, Trick::Index, vec!["numbers the one answer 1"]),
        (CHOICES, Trick::NullLogprob, vec!["missing, not finite"]),
        (CHOICES, Trick::NanLogprob, vec!["missing, not finite"]),
        (CHOICES, Trick::FewLogprobs, vec!["log-probabilities of 3 tokens"]),
        (CHOICES, Trick::CutPrompt, vec!["read 7 tokens where"]),
        (CHOICES, Trick::NoUsage, vec!["usage.prompt_tokens"]),
        (CHOICES, Trick::NotJson, vec!["not JSON", "<html>"]),
        (TEXTS, Trick::CutAnswer, vec!["ended an answer after 0 of"]),
        (TEXTS, Trick::LongAnswer, vec!["ignores max_tokens"]),
        (TEXTS, Trick::Abort, vec!["finish_reason \"abort\""]),
        (TEXTS, Trick::NotACompletion, vec!["missing field `choices`"]),
        (TEXTS, Trick::Close, vec!["no server answers"]),
    ] {
        fails(&dir, task, trick, &words);
    }
}

#[test]
fn a_server_that_hangs_or_trickles_is_left_after_the_timeout() {
    let Some(dir) = stories() else { return };
    fails(&dir, CHOICES, Trick::Hang, &["no answer within 3 s", "--engine-timeout"]);
    fails(&dir, TEXTS, Trick::Trickle, &["no answer within 3 s", "--engine-timeout"]);
}

#[test]
fn a_server_that_is_busy_for_a_while_costs_time_and_no_record() {
    let Some(dir) = stories() else { return };
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (whole, out) = (folder.path().join("whole.jsonl"), folder.path().join("out.jsonl"));
    let server = Server::start(&dir, Style::Ranked);
    run(&remote(&dir, &server.options()), CHOICES, &whole).expect("a good server");
    for trick in
        [Trick::Status("503 Service Unavailable"), Trick::Status("429 Too Many Requests"), Trick::Close]
    {
        let options = RemoteOptions { concurrency: 1, ..server.options() };
        let model = remote(&dir, &options);
        server.state().trick = Some((PROBES + 9, trick, 5));
        run(&model, CHOICES, &out).expect("five of six tries fail");
        assert_eq!(records(&out), records(&whole), "{trick:?}");
        fs_err::remove_file(&out).expect("there");
    }
}

#[test]
fn a_server_that_cannot_serve_is_refused_before_anything_is_asked() {
    let Some(dir) = stories() else { return };
    let server = Server::start(&dir, Style::Never);
    let refused = |options: &RemoteOptions, words: &[&str]| {
        let tokenizer = tokenizer_of(&dir);
        let error = Model::remote(tokenizer.path(), options).err().expect("refused").to_string();
        eprintln!("{error}");
        for words in words {
            assert!(error.contains(words), "{words:?} is not in: {error}");
        }
    };
    let options = server.options();
    let with_url = |url: &str| RemoteOptions { url: url.to_owned(), ..options.clone() };
    refused(&with_url("gpu07:8000"), &["gpu07:8000", "http://HOST:PORT"]);
    refused(&with_url("http://me:s3cret@gpu07:8000"), &["no address", "SEKISHO_ENGINE_TOKEN"]);
    refused(&with_url("http://127.0.0.1:9"), &["no server answers at http://127.0.0.1:9", "refused"]);
    refused(
        &RemoteOptions { model: "lab/llm-172b".to_owned(), ..options.clone() },
        &[&server.url, "no model \"lab/llm-172b\"", "\"lab/other\"", NAME, "--engine-model"],
    );
    refused(
        &RemoteOptions { likelihoods: true, ..options.clone() },
        &[&server.url, "prompt_logprobs", "echo is not supported", "vLLM"],
    );
    refused(
        &RemoteOptions { max_length: Some(4096), ..options.clone() },
        &[&server.url, "takes 512 tokens", "--max-length is 4096"],
    );
    server.state().max_model_len = None;
    refused(&options, &[&server.url, "max_model_len", "--max-length"]);
    let with_length = RemoteOptions { max_length: Some(256), ..options.clone() };
    assert!(Model::remote(&dir, &with_length).is_ok());
    for (trick, words) in [
        (Trick::CutPrompt, "read 7 tokens"),
        (Trick::NoUsage, "usage.prompt_tokens"),
        (Trick::Status("422 Unprocessable Entity"), "does not take a prompt as token ids"),
        (Trick::OtherModel, "lab/other"),
    ] {
        // The first sentence is sent as a text, the second as token ids.
        server.state().trick = Some((1, trick, usize::MAX));
        refused(&with_length, &[&server.url, words]);
    }
}

#[test]
fn another_tokenizer_than_the_servers_is_noticed() {
    let (Some(dir), Some(other)) = (oracle(), stories()) else { return };
    for (served, given) in [(&dir, &other), (&other, &dir)] {
        let server = Server::start(served, Style::Ranked);
        let tokenizer = tokenizer_of(given);
        let error = Model::remote(tokenizer.path(), &server.options()).err().expect("refused").to_string();
        for words in [server.url.as_str(), "cuts a test sentence into", "--model"] {
            assert!(error.contains(words), "{error}");
        }
    }
}

#[test]
fn the_key_is_sent_and_a_trailing_v1_is_no_other_server() {
    let Some(dir) = stories() else { return };
    let server = Server::start(&dir, Style::Ranked);
    let url = format!("{}/v1/", server.url);
    let options = RemoteOptions { url, token: Some("s3cret-key".to_owned()), ..server.options() };
    let model = remote(&dir, &options);
    let keys = std::mem::take(&mut server.state().keys);
    assert!(!keys.is_empty() && keys.iter().all(|key| key.as_deref() == Some("Bearer s3cret-key")));
    assert_eq!(
        model.digest,
        remote(&dir, &server.options()).digest,
        "the address is no part of the identity"
    );
    assert_ne!(model.digest, load_model(&dir).digest);
}

#[test]
fn an_item_longer_than_the_servers_context_is_named_before_anything_is_asked() {
    let Some(dir) = stories() else { return };
    let server = Server::start(&dir, Style::Ranked);
    server.state().max_model_len = Some(150);
    let model = remote(&dir, &server.options());
    let folder = tempfile::tempdir().expect("a temporary folder");
    let before = server.state().asked.len();
    let error = run(&model, TEXTS, &folder.path().join("out.jsonl")).expect_err("too long").to_string();
    assert!(error.contains("item ") && error.contains("takes 150 tokens"), "{error}");
    assert_eq!(server.state().asked.len(), before);
}
