//! The running example of the pages' tests: run `v4-8b-exp2` and a few rows beside it.

use std::collections::BTreeMap;

use jiff::tz::TimeZone;
use sekisho_bench::{Answer, Gold, Item, Record, Request};
use sekisho_domain::audit::ChainedEntry;
use sekisho_domain::checkpoint::CheckpointState;
use sekisho_domain::corpus::Subset;
use sekisho_domain::evaluation::{TaskRun, WorkState};
use sekisho_domain::lineage::{InputKind, Level, Waiver};
use sekisho_domain::manifest::FileEntry;
use sekisho_domain::release::ReleaseState;
use sekisho_domain::run::{EventKind, MetricRow, RunEvent, RunState};
use sekisho_domain::score::{Interval, ResultEntry, TokenCounts};
use sekisho_domain::user::Role;
use sekisho_domain::{Language, Sha256, Step, Text, Timestamp, Tokens, UserId};
use sekisho_hub::card::Section;
use sekisho_policy::{LineageGraph, LineageNode, Standing};
use sekisho_store::{
    Approval, ApprovalKind, Checkpoint, CheckpointSummary, Comment, Evaluation, NewWork, PublishStep,
    QueueHealth, RegisteredSubset, Release, Run, ScoreRow, StepState, User, Verification, WorkRow,
};

use super::queue::Counts;
use super::run::Facts;
use super::runs::About;
use super::scored::Scored;
use crate::service::comparisons::Comparison;
use crate::service::evaluations::SuiteScores;
use crate::service::releases::{AgainstPublished, TaskDifference};
use crate::web::frame::{Frame, Theme};

/// 2026-11-21 14:03 in Tokyo.
const NOW: i64 = 1_795_237_380_000;
/// Tokens of a step: 1,024 sequences of 8,192.
const STEP: u64 = 8_388_608;

pub(crate) fn frame(lang: Language, path: &str) -> Frame {
    Frame {
        lang,
        theme: Theme::Auto,
        nonce: "n0nce".to_owned(),
        user: None,
        csrf: String::new(),
        path: path.to_owned(),
        query: Vec::new(),
        now: now(),
        zone: TimeZone::fixed(jiff::tz::offset(9)),
    }
}

pub(crate) fn now() -> Timestamp {
    Timestamp::from_unix_ms(NOW)
}

/// An id made from a name, the same every time.
pub(crate) fn id<T: std::str::FromStr>(name: &str) -> T
where
    T::Err: std::fmt::Debug,
{
    // Ids are base 32 without I, L, O and U; hexadecimal digits are a part of that.
    format!("0{}", &Sha256::of(name).hex()[..25]).parse().expect("an id")
}

pub(crate) fn user(name: &str, id: UserId, roles: &[Role]) -> User {
    User { id, name: name.to_owned(), roles: roles.to_vec(), projects: BTreeMap::new(), created: now() }
}

fn task(profile: &str, name: &str) -> TaskRun {
    TaskRun {
        profile: profile.to_owned(),
        task: name.to_owned(),
        split: "dev".to_owned(),
        limit: Some(100),
        shots: Some(4),
    }
}

fn suite() -> [TaskRun; 3] {
    ["jcommonsenseqa", "niilc", "jemhopqa"].map(|name| task("llm-jp-eval@1.3", name))
}

pub(super) fn checkpoint(run: &str, step: u64, state: CheckpointState) -> Checkpoint {
    let name = format!("{run} {step}");
    let file = |path: &str, size| FileEntry { path: path.to_owned(), size, sha256: Sha256::of(path) };
    let verification = Verification {
        digest: Sha256::of(&name),
        weights: Sha256::of(format!("{name} weights")),
        tokenizer: Some(Sha256::of("tokenizer")),
        parameters: 8_030_261_248,
        embedding_parameters: 1_050_673_152,
        tensors: 291,
        dtype: "BF16".to_owned(),
        vocab_size: 128_256,
        files: vec![
            file("config.json", 654),
            file("model-00001-of-00004.safetensors", 4_976_698_672),
            file("tokenizer.json", 9_085_657),
        ],
        largest: Some(("model.layers.31.mlp.down_proj.weight".to_owned(), 3.4375)),
        config: serde_json::json!({ "hidden_size": 4096, "num_hidden_layers": 32 }),
    };
    Checkpoint {
        id: id(&name),
        run: id(run),
        run_name: run.to_owned(),
        step: Step(step),
        tokens: Tokens(step * STEP),
        state,
        refusal: None,
        path: format!("/data/checkpoints/{run}/iter_{step:07}"),
        owned: false,
        place: None,
        verification: (state == CheckpointState::Verified).then_some(verification),
        created: now().plus_seconds(-7200),
        updated: now().plus_seconds(-7000),
    }
}

pub(crate) fn refused_checkpoint() -> Checkpoint {
    let en = "Tensor model.norm.weight holds 1 NaN or Inf values. It will be neither evaluated nor released. The last good checkpoint is step 59,000.";
    let ja = "テンソル model.norm.weight にNaNまたはInfが1個あります。このチェックポイントは評価・公開の対象外です。直前の正常なチェックポイントはステップ59,000です。";
    Checkpoint {
        refusal: Some(Text { en: en.to_owned(), ja: ja.to_owned() }),
        ..checkpoint("v4-8b-exp2", 60_000, CheckpointState::Refused)
    }
}

/// A checkpoint with these scores in suite order; a missing one is still running.
fn scored(run: &str, step: u64, values: &[Option<f64>], settings: &str) -> Scored {
    let checkpoint = checkpoint(run, step, CheckpointState::Verified);
    let done = values.iter().all(Option::is_some);
    let evaluation = Evaluation {
        id: id(&format!("{run} {step} evaluation")),
        checkpoint: checkpoint.id,
        suite: "llm-jp-eval-dev100".to_owned(),
        state: if done { WorkState::Finished } else { WorkState::Running },
        environment: [("device", "cuda:0"), ("dtype", "bf16"), ("engine", "sekisho 0.1.0")]
            .map(|(k, v)| (k.to_owned(), v.to_owned()))
            .into(),
        created: now().plus_seconds(-6000),
        updated: now().plus_seconds(-3000),
    };
    let work: Vec<WorkRow> = suite()
        .iter()
        .zip(values)
        .enumerate()
        .map(|(i, (task, value))| work_row(&evaluation, i, task, *value))
        .collect();
    let tasks: Vec<Option<ScoreRow>> =
        work.iter().zip(values).map(|(row, value)| value.map(|v| score_row(row, v, settings))).collect();
    let mean = values.iter().copied().sum::<Option<f64>>().map(|sum| {
        let value = sum / values.len() as f64;
        Interval { value, low: value - 0.04, high: value + 0.04 }
    });
    Scored { checkpoint, evaluation: Some(evaluation), work, scores: SuiteScores { tasks, mean } }
}

fn work_row(evaluation: &Evaluation, position: usize, task: &TaskRun, value: Option<f64>) -> WorkRow {
    WorkRow {
        work: NewWork {
            id: id(&format!("{} {position}", evaluation.id)),
            run: task.clone(),
            digest: Sha256::of("digest"),
            position: position as u32,
            priority: 10,
            pool: String::new(),
        },
        evaluation: evaluation.id,
        checkpoint: evaluation.checkpoint,
        state: if value.is_some() { WorkState::Finished } else { WorkState::Running },
        attempt: if value.is_some() { 1 } else { 2 },
        fence: 1,
        worker: Some("gpu-07:4711".to_owned()),
        lease_until: None,
        finished: if value.is_some() { 100 } else { 41 },
        total: Some(100),
        seconds: 84.0,
        tokens: TokenCounts { prompt: 180_000, prefilled: 41_000, generated: 900 },
        error: value.is_none().then(|| "the worker was killed; the lease ran out".to_owned()),
        updated: evaluation.updated,
    }
}

fn score_row(row: &WorkRow, value: f64, settings: &str) -> ScoreRow {
    let run = &row.work.run;
    let metric = if run.task == "jcommonsenseqa" { "exact_match" } else { "char_f1" };
    ScoreRow {
        evaluation: row.evaluation,
        checkpoint: row.checkpoint,
        work: row.work.id,
        primary: true,
        entry: ResultEntry {
            profile: run.profile.clone(),
            task: run.task.clone(),
            split: run.split.clone(),
            metric: metric.to_owned(),
            value,
            stderr: None,
            low: value - 0.06,
            high: value + 0.06,
            n: 100,
            shots: 4,
            truncated: 0,
            fingerprint: Sha256::of(format!("{} {settings}", run.task)),
            seconds: 84.0,
            tokens: row.tokens,
        },
    }
}

/// A running run with so many evaluated checkpoints, the last one only half, and one that was refused.
pub(super) fn run_facts(checkpoints: u64) -> Facts {
    let steps = 59_604;
    let row = |i: u64| {
        let progress = i as f64 / 600.0;
        MetricRow {
            step: Step(i * 100),
            tokens: Tokens(i * 100 * STEP),
            loss: Some(1.8 + 9.0 / (1.0 + progress * 60.0) + 0.03 * (i as f64).sin()),
            ce: None,
            z_loss: None,
            lr: Some(3e-4 * (i as f64 / 20.0).min(1.0)),
            grad_norm: Some(0.3 + 0.05 * (i as f64 * 1.7).cos()),
            seconds: Some(14.5),
        }
    };
    let event = |kind, step, note: &str| RunEvent {
        kind,
        step: Step(step),
        note: note.to_owned(),
        at: Some(now().plus_seconds(-90_000)),
    };
    let run = Run {
        project: "default".to_owned(),
        id: id("v4-8b-exp2"),
        name: "v4-8b-exp2".to_owned(),
        state: if checkpoints > 0 { RunState::Running } else { RunState::Registered },
        spec: Some(serde_json::json!({
            "name": "v4-8b-exp2", "optimizer": { "eps": 1e-8 },
            "data": { "mix": [{ "name": "web-ja", "level": "L3" }, { "name": "new <ja>" }] },
        })),
        spec_digest: Some(Sha256::of("spec")),
        planned_tokens: Some(Tokens(417_233 * STEP)),
        suite: Some("llm-jp-eval-dev100".to_owned()),
        step: Step(steps),
        tokens: Tokens(steps * STEP),
        loss: Some(1.832),
        created: now().plus_seconds(-864_000),
        updated: now().plus_seconds(-40),
    };
    let score = |i: u64| {
        let grown = 0.12 + 0.07 * (i as f64);
        let last = if i == checkpoints && checkpoints > 2 { None } else { Some(grown) };
        scored("v4-8b-exp2", i * 10_000, &[Some(grown + 0.1), Some(grown - 0.05), last], "usual")
    };
    let mut found: Vec<Scored> = (1..=checkpoints).map(score).collect();
    if let Some(last) = found.last_mut() {
        *last = scored("v4-8b-exp2", checkpoints * 10_000, &[Some(0.55), Some(0.41), Some(0.44)], "usual");
    }
    Facts {
        rows: (1..=596).map(row).collect(),
        events: vec![
            event(EventKind::Started, 0, ""),
            event(EventKind::Spike, 12_300, "1.95 → 4.2, 7.1σ"),
            event(EventKind::Resumed, 31_000, "node failure, down 1 h 42 min"),
        ],
        suite: "llm-jp-eval-dev100".to_owned(),
        change: Some(Comparison { difference: 0.006, low: -0.01, high: 0.022, p: 0.21 }),
        run,
        scored: found,
    }
}

/// What a list says of that run: twenty minutes ago a checkpoint came that has no scores yet.
pub(super) fn about(facts: &Facts) -> About {
    About {
        losses: facts.rows.iter().step_by(10).filter_map(|row| row.loss).collect(),
        checkpoints: Some(CheckpointSummary {
            number: 6,
            last_step: Step(59_000),
            last_received: now().plus_seconds(-1200),
        }),
        newest_scored: facts.scored.last().cloned(),
    }
}

/// A queue in which so much has been waiting for ten minutes.
pub(super) fn counts(waiting: u64, running: u64, failed: u64) -> Counts {
    let health = QueueHealth {
        ready: waiting,
        ready_since: (waiting > 0).then(|| now().plus_seconds(-600)),
        held: running,
        last_lease: (running > 0).then(|| now().plus_seconds(45)),
    };
    Counts { waiting, running, failed, health }
}

/// Columns of the board.
pub(super) fn board_tasks() -> Vec<TaskRun> {
    suite()[..2].to_vec()
}

/// Rows of a board: ranked, tied, under other settings, and half done.
pub(super) fn board_rows() -> Vec<Scored> {
    let pair = |name: &str, first: Option<f64>, second: f64, settings: &str| {
        let mut row = scored(name, 1000, &[Some(second), first], settings);
        row.checkpoint.run_name = name.to_owned();
        row
    };
    let mut other_limit = pair("other-limit", Some(0.5), 0.4, "limit");
    for row in &mut other_limit.work {
        row.work.run.limit = None;
    }
    vec![
        other_limit,
        pair("half", None, 0.9, "usual"),
        pair("last", Some(0.2), 0.2, "usual"),
        pair("good", Some(0.5), 0.4, "usual"),
        pair("other-settings", Some(0.93), 0.93, "other"),
        pair("best", Some(0.6), 0.5, "usual"),
        pair("tied", Some(0.5), 0.4, "usual"),
    ]
}

/// Answers to three items of a task.
pub(super) fn records(run: &TaskRun) -> Vec<Record> {
    items(run).into_iter().map(|item| record(run, &item)).collect()
}

fn record(run: &TaskRun, item: &Item) -> Record {
    let right = item.index == 0;
    let (answer, prediction, gold) = match &item.gold {
        Gold::Choice { index, texts } => (
            Answer::Choices {
                loglikelihoods: texts.iter().map(|t| -(t.chars().count() as f64)).collect(),
                choice_tokens: vec![1; texts.len()],
                greedy: None,
            },
            serde_json::json!(if right { *index } else { index + 1 }),
            serde_json::json!(index),
        ),
        Gold::Length { .. } => unreachable!("no page shows a rolling text"),
        Gold::Text(gold) => (
            Answer::Text { output: format!("{gold}\n\n<b>質問"), stop: Some("\n\n".to_owned()) },
            serde_json::json!(if right { gold.as_str() } else { "九州" }),
            serde_json::json!(gold),
        ),
    };
    let metric = if run.task == "jcommonsenseqa" { "exact_match" } else { "char_f1" };
    Record {
        profile: run.profile.clone(),
        task: run.task.clone(),
        split: run.split.clone(),
        item: item.index,
        group: None,
        words: None,
        bytes: None,
        prompt_sha256: item.request.sha256(),
        prompt_tokens: vec![212].into(),
        truncated: 0,
        answer,
        prediction,
        gold,
        score: BTreeMap::from([(metric.to_owned(), [1.0, 0.5, 0.0][item.index as usize])]),
    }
}

pub(super) fn items(run: &TaskRun) -> Vec<Item> {
    let shots = "### 指示\n質問と回答の選択肢を入力として受け取り、選択肢から回答を選択してください。\n\n### 入力:\n質問:主に子ども向けのもので、イラストのついた物語が書かれているものはどれか？\n選択肢:0.世界,1.写真集,2.絵本,3.論文,4.図鑑\n\n### 応答:\n2\n\n".repeat(3);
    let prompt = format!(
        "{shots}### 入力:\n質問:電子機器で使用される最も主要な電子回路基板の事をなんと言う？\n選択肢:0.掲示板,1.パソコン,2.マザーボード,3.ハードディスク,4.まな板\n\n### 応答:\n"
    );
    (0..3)
        .map(|index| Item {
            index,
            group: None,
            examples: Vec::new(),
            request: if run.task == "jcommonsenseqa" {
                Request::Choices {
                    contexts: vec![prompt.clone()],
                    continuations: ["0", "1", "2", "3", "4"].map(str::to_owned).to_vec(),
                }
            } else {
                Request::Generate {
                    prompt: "質問:本州の西にある島は？\n回答:".to_owned(),
                    stop: vec!["\n\n".to_owned()],
                    max_new_tokens: 15,
                }
            },
            gold: if run.task == "jcommonsenseqa" {
                Gold::Choice {
                    index: 2,
                    texts: ["掲示板", "パソコン", "マザーボード", "ハードディスク", "まな板"]
                        .map(str::to_owned)
                        .to_vec(),
                }
            } else {
                Gold::Text("九州".to_owned())
            },
        })
        .collect()
}

const LINEAGE: &str = r#"
[model]
name = "Llama-3.1-Lab-8B"
[[input]]
kind = "base_model"
id = "meta-llama/Llama-3.1-8B"
license = "llama3.1"
stage = "continual"
[release]
repo = "lab/Llama-3.1-Lab-8B"
license = ["llama3.1"]
gating = "manual"
"#;

fn decision(verdict: &str, violations: &serde_json::Value) -> serde_json::Value {
    let digest = Sha256::of("policy").to_string();
    let finding = |code: &str, en: &str, ja: &str| {
        serde_json::json!([{ "code": code, "text": { "en": en, "ja": ja },
            "derivation": ["meta-llama/Llama-3.1-8B (llama3.1) → continual → Llama-3.1-Lab-8B", "llama3.1 §1.b.i"] }])
    };
    serde_json::json!({
        "verdict": verdict, "digest": digest,
        "policy": { "name": "base", "version": "2026-11", "digest": digest },
        "violations": violations,
        "warnings": finding("user-limit", "llama3.1 ends at 700 million monthly users.", "llama3.1は月間利用者7億人を超える事業者には許諾されません。"),
        "obligations": finding("built-with-missing", "The card shows \"Built with Llama\".", "モデルカードに「Built with Llama」の表示が必要です（llama3.1 §1.b.i）。"),
    })
}

/// One with everything, and one that nobody has settled yet.
pub(super) fn subsets() -> Vec<RegisteredSubset> {
    let registered = |subset: Subset| RegisteredSubset {
        subset,
        version: 2,
        created: now().plus_seconds(-900_000),
        updated: now().plus_seconds(-9000),
    };
    let whole = Subset {
        id: "web-ja".to_owned(),
        corpus: "llm-jp-corpus-v3".to_owned(),
        language: Some("ja".to_owned()),
        tokens: Some(Tokens(90_000_000_000)),
        tokenizer: Some("llm-jp-tokenizer-v3".to_owned()),
        level: Some(Level::L3),
        license: Some("LicenseRef-crawl".to_owned()),
        evidence: Some("letter <1>.pdf".to_owned()),
        evidence_sha256: Some(Sha256::of("letter")),
        generator: Some("google/gemma-2-27b-it".to_owned()),
        generator_license: Some("gemma".to_owned()),
    };
    let bare = Subset {
        id: "new <ja>".to_owned(),
        language: None,
        tokens: None,
        tokenizer: None,
        level: None,
        license: None,
        evidence: None,
        evidence_sha256: None,
        generator: None,
        generator_license: None,
        ..whole.clone()
    };
    vec![registered(whole), registered(bare)]
}

/// In review, with one of two approvals.
pub(crate) fn release() -> Release {
    Release {
        id: id("release"),
        project: "default".to_owned(),
        checkpoint: id("v4-8b-exp2 50000"),
        name: "Llama-3.1-Lab-8B".to_owned(),
        state: ReleaseState::InReview,
        author: id("mori"),
        lineage: LINEAGE.to_owned(),
        card_en: "---\nlicense: llama3.1\n---\n# Llama-3.1-Lab-8B\n\nBuilt with Llama. [日本語](README_ja.md)\n\n| Task | Score |\n|---|---|\n| NIILC | 0.412 |\n".to_owned(),
        card_ja: "# Llama-3.1-Lab-8B\n\nBuilt with Llama。日本語と英語を中心に学習した言語モデルです。\n".to_owned(),
        path: "lineage.toml".to_owned(),
        parents: BTreeMap::new(),
        files: BTreeMap::new(),
        given: Vec::new(),
        missing: Vec::new(),
        card_edits: BTreeMap::new(),
        generated: BTreeMap::new(),
        prepared: None,
        successor: None,
        yank: None,
        publish_at: None,
        channel: None,
        decision: Some(decision("allowed", &serde_json::json!([]))),
        digest: Some(Sha256::of("content")),
        approvals_needed: 2,
        commit: None,
        url: None,
        version: 7,
        created: now().plus_seconds(-9000),
        updated: now().plus_seconds(-900),
    }
}

pub(super) fn refused_release() -> Release {
    let violations = serde_json::json!([{ "code": "name-prefix",
        "text": { "en": "The model name must begin with \"Llama\" (llama3.1 §1.b.i). It is v4-8b.", "ja": "モデル名は「Llama」で始める必要があります（llama3.1 §1.b.i）。現在の名称：v4-8b" },
        "derivation": ["meta-llama/Llama-3.1-8B (llama3.1) → continual → v4-8b"] }]);
    Release {
        id: id("refused release"),
        name: "v4-8b".to_owned(),
        state: ReleaseState::PolicyChecked,
        decision: Some(decision("refused", &violations)),
        ..release()
    }
}

/// One that counts, and one of an earlier content.
pub(super) fn approvals(release: &Release) -> Vec<Approval> {
    let approval = |name: &str, digest: Sha256, comment: &str| Approval {
        user: id(name),
        user_name: name.to_owned(),
        kind: ApprovalKind::Approval,
        digest,
        comment: comment.to_owned(),
        at: now().plus_seconds(-1800),
    };
    let current = release.digest.map(|digest| approval("hayashi", digest, "評価を確認しました。"));
    std::iter::once(approval("ueda", Sha256::of("earlier"), "")).chain(current).collect()
}

pub(super) fn comments() -> Vec<Comment> {
    vec![Comment {
        user: id("ueda"),
        user_name: "ueda".to_owned(),
        action: "return".to_owned(),
        text: "NOTICEを追加してください。\n<script>".to_owned(),
        at: now().plus_seconds(-2400),
    }]
}

pub(super) fn steps() -> Vec<PublishStep> {
    let step = |name: &str, state, detail: &str| PublishStep {
        name: name.to_owned(),
        state,
        detail: Text { en: detail.to_owned(), ja: format!("{detail}（日本語）") },
        at: now(),
    };
    vec![
        step("create", StepState::Done, "lab/Llama-3.1-Lab-8B, private"),
        step("upload", StepState::Failed, "the Hub answered 503"),
    ]
}

/// Everything that the page of a release is made from.
pub(super) fn release_facts(release: Release) -> super::release_view::Facts {
    let model = run_facts(5).scored.pop().expect("a checkpoint");
    let approvals = approvals(&release);
    super::release_view::Facts {
        author: "mori".to_owned(),
        target: crate::service::releases::target(&release),
        scores: model.scores.tasks.iter().flatten().cloned().collect(),
        files: crate::service::releases::model_files(&model.checkpoint),
        texts: ["LICENSE", crate::service::releases::ANNOUNCEMENT]
            .map(|path| (path.to_owned(), "…".to_owned()))
            .into(),
        parents: BTreeMap::new(),
        leave: crate::service::releases::Leave::Freely,
        of_content: approvals.iter().filter(|a| Some(a.digest) == release.digest).cloned().collect(),
        valid: approvals.iter().filter(|a| Some(a.digest) == release.digest).cloned().collect(),
        approvals,
        comments: comments(),
        steps: steps(),
        more: more(&release),
        model,
        release,
    }
}

/// A base model, a barred subset and one that nobody knows.
pub(super) fn lineage_graph() -> LineageGraph {
    let node = |name: &str, kind, level: Option<&str>, standing| LineageNode {
        name: name.to_owned(),
        kind,
        level: level.map(ToOwned::to_owned),
        license: Some("llama3.1".to_owned()),
        generator: None,
        standing,
    };
    let mut graph = LineageGraph::of(node("Llama-3.1-Lab-8B", None, None, Standing::Clear));
    let base = node("meta-llama/Llama-3.1-8B", Some(InputKind::BaseModel), None, Standing::Clear);
    let parent = graph.add(base, 0, "continual");
    graph.add(node("web-ja", Some(InputKind::Corpus), Some("LX"), Standing::Barred), 0, "continual");
    graph.add(node("新聞 <ja>", Some(InputKind::Corpus), None, Standing::Unknown), parent, "pretrain");
    graph
}

/// Everything that can stand beside content and approvals.
fn more(release: &Release) -> super::release_more::MoreFacts {
    let task = |delta: f64, p| TaskDifference {
        profile: "llm-jp-eval@1.3".to_owned(),
        task: "niilc".to_owned(),
        metric: "char_f1".to_owned(),
        fingerprint: Sha256::of("settings"),
        theirs: 0.4,
        theirs_low: 0.38,
        theirs_high: 0.42,
        ours: 0.4 + delta,
        delta,
        low: delta - 0.02,
        high: delta + 0.02,
        p,
    };
    let current = Release { id: id("published"), name: "v3-8b".to_owned(), ..release.clone() };
    let entry = serde_json::json!({
        "at": now(), "actor": "ueda", "by": "session", "action": "release.approve", "object": "01kc", "result": "done",
        "detail": {},
    });
    let glass =
        approvals(release).pop().map(|approval| Approval { kind: ApprovalKind::BreakGlass, ..approval });
    super::release_more::MoreFacts {
        against: Some(AgainstPublished {
            current,
            tasks: vec![task(0.02, 0.001), task(-0.05, 0.0001), task(0.0, 0.9)],
        }),
        history: vec![ChainedEntry { seq: 1, hash: Sha256::of("x"), entry }],
        waivers: vec![Waiver {
            code: "noncommercial-input".to_owned(),
            input: Some("reviews".to_owned()),
            reason: "asked <them>".to_owned(),
            evidence: None,
            by: "ueda".to_owned(),
            until: None,
        }],
        lineage: Some(lineage_graph()),
        sections: vec![(Section::Intro, "紹介 <b>".to_owned()), (Section::Usage, String::new())],
        broken_glass: glass,
        channel: Some(("01kc".to_owned(), "減衰ブランチ".to_owned())),
        successor: Some(("01kc".to_owned(), "v5-8b".to_owned())),
        progress: Some((1 << 30, 3 << 30)),
        may_break_glass: true,
    }
}
