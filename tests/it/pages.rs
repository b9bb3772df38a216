//! The pages as anybody gets them, without a screen: who sees what, how errors look, and what leads where.

use reqwest::header::{ALLOW, CONTENT_SECURITY_POLICY, CONTENT_TYPE, LOCATION};
use serde_json::{Value, json};
use tests::benchmark::Benchmark;
use tests::checkpoints::Recipe;
use tests::http::{Answer, hidden};
use tests::service::{Options, Service, text};

/// Fields of a record that hold a benchmark's content, or give it away.
const CONTENT: [&str; 6] = ["output", "stop", "prediction", "gold", "loglikelihoods", "choice_tokens"];

/// A service whose worker evaluates with a benchmark of our own.
struct Stage {
    service: Service,
    folder: tempfile::TempDir,
}

impl Stage {
    fn set(closed: bool) -> Self {
        Self::with(|benchmark| {
            if closed {
                benchmark.forbid_redistribution();
            }
        })
    }

    fn with(change: impl FnOnce(&Benchmark)) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let benchmark = Benchmark::write(folder.path(), 12, 40);
        change(&benchmark);
        let options = Options { config: benchmark.config(), local_worker: true, ..Options::default() };
        Self { service: Service::with(options), folder }
    }

    /// A checkpoint that differs from others by its seed, and its finished evaluation.
    fn examined(&self, run: &str, step: u64, seed: u32) -> (Value, Value) {
        let model = self.folder.path().join(format!("{run}-{step}"));
        Recipe { seed, ..Recipe::default() }.write(&model);
        let checkpoint = self.service.ingest(&model, run, step, step * 1000);
        let evaluation = self.service.finished_evaluation(&checkpoint, 120);
        (checkpoint, evaluation)
    }
}

#[test]
fn content_that_may_not_be_handed_on_is_for_members() {
    let stage = Stage::set(true);
    let (_, evaluation) = stage.examined("mini", 10, 1);
    let service = &stage.service;
    let records = format!("/api/v1/evals/{}/records", text(&evaluation["id"]));
    let lines = |answer: Answer| -> Vec<Value> {
        answer.has(200).text.lines().map(|line| serde_json::from_str(line).expect("a record")).collect()
    };
    let (visitors, members) = (lines(service.visitor().get(&records)), lines(service.api().get(&records)));
    assert_eq!((visitors.len(), members.len()), (12, 12));
    for (visitors, members) in visitors.iter().zip(&members) {
        for content in CONTENT {
            assert!(visitors.get(content).is_none(), "{content}: {visitors}");
        }
        assert!(members["gold"].is_number() && members["loglikelihoods"].is_array(), "{members}");
        for kept in ["item", "prompt_sha256", "score"] {
            assert_eq!(visitors[kept], members[kept], "ids, digests and scores");
        }
    }

    let page = format!("/evals/{}/samples", text(&evaluation["id"]));
    service.add_user("hayashi", &["evaluator"]);
    let digest = text(&visitors[0]["prompt_sha256"]);
    let visitor = service.visitor().get(&format!("{page}?lang=en")).has(200).text;
    let member = service.session("hayashi").get(&format!("{page}?lang=en")).has(200).text;
    for content in ["0000:", "gate 0", "class=\"answers\""] {
        assert!(!visitor.contains(content), "a visitor sees {content}");
        assert!(member.contains(content), "a member does not see {content}");
    }
    assert!(visitor.contains("signed-in members only") && visitor.contains(digest));
    assert_eq!(visitor.matches("<li class=\"item\"").count(), 12, "numbers and scores are for all");

    let open = Stage::set(false);
    let (_, evaluation) = open.examined("mini", 10, 1);
    let path = format!("/api/v1/evals/{}/records", text(&evaluation["id"]));
    assert!(lines(open.service.visitor().get(&path))[0]["gold"].is_number(), "what may be handed on is");
}

#[test]
fn the_questions_of_a_file_without_a_digest_are_shown() {
    let stage = Stage::with(Benchmark::without_digest);
    let (_, evaluation) = stage.examined("mini", 10, 1);
    let page = format!("/evals/{}/samples?lang=en", text(&evaluation["id"]));
    let shown = stage.service.visitor().get(&page).has(200).text;
    assert!(shown.contains("0000:") && !shown.contains("files are not on this server"), "{shown}");
}

#[test]
fn rows_that_tests_cannot_tell_apart_share_a_rank() {
    let stage = Stage::set(false);
    // The same weights under two names answer alike.
    for run in ["first", "second"] {
        stage.examined(run, 10, 1);
    }
    let board = stage.service.visitor().get("/leaderboard.json").has(200).json();
    let ranks: Vec<Value> = board["items"]
        .as_array()
        .expect("rows")
        .iter()
        .map(|row| json!([row["rank"], row["rank_to"]]))
        .collect();
    assert_eq!(ranks, [json!([1, 2]), json!([1, 2])]);
    let page = stage.service.visitor().get("/leaderboard?lang=ja").has(200).text;
    assert!(page.contains("<td class=\"n rank\">1–2</td>"), "{page}");
    assert!(page.contains("acc, 0-shot, n = 12"), "n stands in the column's head");
    let again = stage.service.visitor().get("/leaderboard?sort=mean&order=asc").has(200).text;
    assert!(again.contains("aria-sort=\"ascending\"") && again.contains("1–2"));
}

#[test]
fn every_error_has_the_frame_of_a_page_or_the_form_of_a_problem() {
    let service = Service::start();
    let visitor = service.visitor();
    let framed = |answer: Answer, status: u16, words: &str| {
        let answer = answer.has(status);
        assert!(answer.text.contains("<header class=\"top\""), "{}", answer.text);
        assert!(answer.text.contains(words), "no \"{words}\": {}", answer.text);
        answer
    };
    framed(visitor.get("/runs/nowhere?lang=ja"), 404, "実験「nowhere」は見つかりません。");
    framed(visitor.get("/runs/nowhere?lang=en"), 404, "There is no run &#34;nowhere&#34;.");
    framed(visitor.get("/nothing?lang=ja"), 404, "画面「/nothing」は見つかりません。");
    let refused = framed(visitor.get("/logout?lang=ja"), 405, "/logout では GET を使えません");
    assert_eq!(refused.headers[ALLOW], "POST");
    framed(visitor.post("/login?lang=en", &json!({})), 415, "Bad request");
    let refused = framed(visitor.get("/checkpoints/x/propose?lang=en"), 405, "does not take GET.");
    assert_eq!(refused.headers[ALLOW], "POST");

    visitor.post("/api/v1/evals/x", &json!({})).is_problem(405, "method-not-allowed");
    service.api().post("/api/v1/runs", &json!({ "name": 7 })).is_problem(400, "body");
    visitor.get("/api/v1/runs/nowhere").is_problem(404, "not-found");

    let evil = visitor.get("//evil.example/?lang=ja").has(404).text;
    assert!(!evil.contains("href=\"//"), "a link leads to another host: {evil}");
}

#[test]
fn a_page_with_a_refused_proposal_leads_to_pages() {
    let stage = Stage::set(false);
    let (checkpoint, _) = stage.examined("mini", 10, 1);
    stage.service.add_user("mori", &["contributor"]);
    let session = stage.service.session("mori");
    let path = format!("/checkpoints/{}", text(&checkpoint["id"]));
    let page = session.get(&format!("{path}?lang=ja")).has(200).text;
    let csrf = hidden(&page, "csrf").expect("a form");
    let refused = session.post(&format!("{path}/propose"), &[("csrf", &csrf), ("lineage", "[model\nx")]);
    assert!((400..500).contains(&refused.status), "{}", refused.status);
    assert!(refused.text.contains("[model\nx"), "what was typed is kept");
    assert!(!refused.text.contains("/propose?"), "a language link leads to an address that cannot be opened");
    assert!(refused.text.contains(&format!("href=\"{path}?lang=ja\"")), "{}", refused.text);
}

#[test]
fn scripts_carry_the_nonce_of_their_own_answer_and_nothing_else_runs() {
    let stage = Stage::set(false);
    let (checkpoint, evaluation) = stage.examined("mini", 10, 1);
    let (checkpoint, evaluation) = (text(&checkpoint["id"]), text(&evaluation["id"]));
    let mut nonces = std::collections::BTreeSet::new();
    let pages = [
        "/".to_owned(),
        "/runs".to_owned(),
        "/runs/mini".to_owned(),
        "/leaderboard".to_owned(),
        format!("/checkpoints/{checkpoint}"),
        format!("/evals/{evaluation}"),
        format!("/evals/{evaluation}/samples"),
        "/releases".to_owned(),
        "/queue".to_owned(),
        "/search?q=zzz".to_owned(),
        "/login".to_owned(),
        "/nowhere".to_owned(),
    ];
    for path in pages.iter().chain(&pages) {
        let answer = stage.service.visitor().get(path);
        let policy = answer.headers[CONTENT_SECURITY_POLICY].to_str().expect("text");
        let nonce = policy.split("script-src 'nonce-").nth(1).and_then(|rest| rest.split('\'').next());
        let nonce = nonce.unwrap_or_else(|| panic!("{path}: {policy}"));
        assert!(nonce.len() >= 32 && nonces.insert(nonce.to_owned()), "{path}: {nonce} again");
        assert!(policy.starts_with("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
        let scripts: Vec<&str> = answer.text.split("<script").skip(1).collect();
        assert!(!scripts.is_empty(), "{path} has no script");
        for script in scripts {
            assert!(script.contains(&format!("nonce=\"{nonce}\"")), "{path}: <script{script}");
        }
        let how = answer.text.split("<p class=\"how\">").nth(1).and_then(|rest| rest.split("</p>").next());
        let is_plain = path == "/login" || path == "/nowhere";
        assert!(is_plain || how.is_some_and(|how| how.contains("<code")), "{path} names no command or API");
    }
}

#[test]
fn the_search_box_knows_ids_digests_names_and_steps() {
    let stage = Stage::set(false);
    let (checkpoint, evaluation) = stage.examined("mini-ja", 242_000, 1);
    let page = format!("/checkpoints/{}", text(&checkpoint["id"]));
    let digest = text(&checkpoint["digest"]);
    let prefix = &digest["sha256:".len()..][..8];
    let leads = |asked: &str| {
        let answer = stage.service.visitor().get(&format!("/search?q={asked}")).has(303);
        answer.headers[LOCATION].to_str().expect("a path").to_owned()
    };
    for asked in ["242k", "iter_0242000", "242000", prefix, text(&checkpoint["id"])] {
        assert_eq!(leads(asked), page, "{asked}");
    }
    assert_eq!(leads("MINI"), "/runs/mini-ja");
    assert_eq!(leads(text(&evaluation["id"])), format!("/evals/{}", text(&evaluation["id"])));
    let nothing = stage.service.visitor().get("/search?q=%3Cb%3E&lang=ja").has(200);
    assert_eq!(nothing.headers[CONTENT_TYPE], "text/html; charset=utf-8");
    assert!(nothing.text.contains("&#60;b&#62;") && nothing.text.contains("一致するものはありません"));
}

/// The loop that the README shows, as it stands there.
#[test]
fn the_readmes_loop_reports_from_python() {
    let service = Service::start();
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
    let shown = |file: &str| -> String {
        let text = fs_err::read_to_string(format!("{root}/{file}")).expect("the README");
        let block = text.split("```python\n").nth(1).and_then(|rest| rest.split("```").next());
        block.expect("a block of Python").to_owned()
    };
    assert_eq!(shown("README.md"), shown("README.ja.md"));
    let rows = "def train():\n    for step in range(1, 4): yield {\"step\": step, \"tokens\": step * 512, \"loss\": 9.0 / step}\n";
    let program = rows.to_owned() + &shown("README.md").replace("http://127.0.0.1:7070", service.url());
    let mut python = std::process::Command::new("python3");
    let output =
        python.arg("-c").arg(program).env("SEKISHO_TOKEN", service.token()).output().expect("python3");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let rows = service.visitor().get("/api/v1/runs/v4-8b/metrics").has(200).items();
    assert_eq!(json!([rows[2]["step"], rows[2]["loss"]]), json!([3, 3.0]));
    let run = service.visitor().get("/api/v1/runs/v4-8b").has(200).json();
    assert_eq!(json!([run["state"], run["planned_tokens"]]), json!(["running", 3_500_000_000_000_u64]));
}
