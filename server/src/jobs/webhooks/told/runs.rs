//! Of runs, their checkpoints and evaluations.

use sekisho_domain::evaluation::WorkState;
use sekisho_domain::webhook::EventType;
use sekisho_domain::{Language, Text, Tokens};
use sekisho_store::{Checkpoint, Evaluation, Happening, Run};
use serde_json::{Value, json};

use super::super::facts::{Facts, both, quoted};
use super::super::regressions;
use super::{Told, links, object};
use crate::service::comparisons::{self, Comparison};
use crate::service::{checkpoints, corpora, evaluations, found, plans, runs};
use crate::web::format;
use crate::web::i18n::Words as _;
use crate::{App, WebError};

/// A difference below this is called significant, as on every page.
const ALPHA: f64 = 0.05;

/// Of a run itself. What descends from a subset that nothing may be handed on of is told of without its numbers.
pub(super) async fn run(app: &App, happening: &Happening) -> Result<Told, WebError> {
    let run = runs::find(app, &happening.subject).await?;
    let barred = corpora::may_use(app, run.clone()).await.is_err();
    let detail = &planned(app, &run, happening).await?;
    let text = both(|lang| sentence(lang, happening.kind, &run, detail, barred));
    let page = match detail["event"].as_str() {
        Some(event) => format!("/runs/{}/events/{event}", run.name),
        None => format!("/runs/{}", run.name),
    };
    let (page, api) = links(app, &page, &format!("/runs/{}", run.name));
    let loss = (!barred).then(|| detail["loss"].clone());
    let tokens = detail["to"].as_u64().map(Tokens).or((!run_began(happening.kind)).then_some(run.tokens));
    let data = json!({
        "run": run.id, "name": run.name, "step": detail["step"], "tokens": tokens, "planned_tokens": run.planned_tokens,
        "loss": loss, "minutes": detail["minutes"], "host": detail["host"], "days": detail["days"],
        "down_seconds": detail["down"], "planned_end": detail["planned_end"], "forecast": detail["forecast"],
    });
    Ok(Told { project: Some(run.project), text, data: object(data), page, api })
}

/// The detail with what the plan says at this moment.
async fn planned(app: &App, run: &Run, happening: &Happening) -> Result<Value, WebError> {
    let mut detail = happening.detail.clone();
    let plan = app.store.plans(run.id).await?.into_iter().next().map(|planned| planned.plan);
    match happening.kind {
        EventType::RunStarted => detail["planned_end"] = json!(plan.and_then(|plan| plan.end)),
        EventType::RunProgress => {
            let outlook = plans::outlook(app, run, plan.as_ref()).await?;
            let day =
                |at: sekisho_domain::Timestamp| at.to_jiff().to_zoned(jiff::tz::TimeZone::system()).date();
            detail["forecast"] = json!(outlook.forecast_end.map(day));
        }
        EventType::RunFinished => {
            detail["gpu_days"] = json!(plans::outlook(app, run, plan.as_ref()).await?.gpu_days_used);
        }
        _ => {}
    }
    Ok(detail)
}

const fn run_began(kind: EventType) -> bool {
    matches!(kind, EventType::RunStarted)
}

fn sentence(lang: Language, kind: EventType, run: &Run, detail: &Value, barred: bool) -> String {
    let step = detail["step"].as_u64().map(format::count);
    let note = detail["note"].as_str().map(quoted).filter(|note| !note.is_empty());
    let said = |name: &str| detail[name].as_str().map(quoted);
    let number = |name: &str| detail[name].as_f64().filter(|_| !barred);
    let facts = Facts::new(lang);
    let facts = match kind {
        EventType::RunStarted => facts
            .with("webhook_text.tokens", run.planned_tokens.map(Tokens::short))
            .with("webhook_text.planned_end", said("planned_end"))
            .in_brackets(),
        EventType::RunProgress => facts
            .with("webhook_text.loss", number("loss").map(|loss| format!("{loss:.2}")))
            .with("webhook_text.forecast", said("forecast"))
            .list(),
        EventType::RunStalled => facts
            .with("webhook_text.last_step", step.clone())
            .with("webhook_text.as_said", said("host"))
            .in_brackets(),
        EventType::RunSpike => spike(facts, detail, note.filter(|_| !barred)),
        EventType::RunResumed => facts
            .with("webhook_text.down", detail["down"].as_f64().map(|down| format::duration(lang, down)))
            .in_brackets(),
        EventType::RunFailed => facts.with("webhook_text.as_said", note).in_brackets(),
        EventType::RunFinished => facts
            .with("webhook_text.tokens", (run.tokens > Tokens(0)).then(|| run.tokens.short()))
            .with("webhook_text.gpu_days", detail["gpu_days"].as_f64().map(|days| format!("{days:.0}")))
            .in_brackets(),
        _ => String::new(),
    };
    let done = done(lang, run, detail);
    let (step, minutes, days) = (step.unwrap_or_default(), &detail["minutes"], &detail["days"]);
    lang.fill(
        &format!("webhook_text.{}", kind.key()),
        &[
            ("run", &run.name),
            ("step", &step),
            ("minutes", minutes),
            ("days", days),
            ("done", &done),
            ("facts", &facts),
        ],
    )
}

/// `（1.93 → 4.10、7.2σ）` where a detector says so, else what the trainer said.
fn spike(facts: Facts, detail: &Value, note: Option<String>) -> String {
    let number = |name: &str| detail[name].as_f64();
    let change = number("from").zip(number("to")).map(|(from, to)| format!("{from:.2} → {to:.2}"));
    let note = note.filter(|_| change.is_none());
    facts
        .with("webhook_text.as_said", change)
        .with("webhook_text.sigma", number("sigma").map(|sigma| format!("{sigma:.1}")))
        .with("webhook_text.as_said", note)
        .in_brackets()
}

/// `500B/3.5Tトークン（14.3%）`.
fn done(lang: Language, run: &Run, detail: &Value) -> String {
    let done = Tokens(detail["to"].as_u64().unwrap_or(run.tokens.0));
    #[expect(clippy::cast_precision_loss, reason = "one digit behind the point is printed")]
    let percent = |planned: Tokens| format::percent(done.0 as f64, planned.0 as f64);
    match run.planned_tokens {
        Some(planned) => lang.fill(
            "webhook_text.done_of",
            &[("done", &done.short()), ("planned", &planned.short()), ("percent", &percent(planned))],
        ),
        None => lang.fill("webhook_text.tokens", &[("n", &done.short())]),
    }
}

/// Of a checkpoint: that it is good, or why it is not.
pub(super) async fn checkpoint(app: &App, happening: &Happening) -> Result<Told, WebError> {
    let checkpoint = checkpoints::find(app, &happening.subject).await?;
    let run = runs::find(app, &checkpoint.run.to_string()).await?;
    let step = checkpoint.step.to_string();
    let refusal = checkpoint.refusal.as_ref();
    let text = both(|lang| {
        let reason = refusal.map(|refusal| quoted(refusal.get(lang))).unwrap_or_default();
        lang.fill(
            &format!("webhook_text.{}", happening.kind.key()),
            &[("run", &run.name), ("step", &step), ("reason", &reason)],
        )
    });
    let (page, api) = own(app, "/checkpoints", "/checkpoints", &checkpoint.id);
    let digest = checkpoint.verification.as_ref().map(|found| found.digest);
    let data = json!({
        "run": run.id, "name": run.name, "checkpoint": checkpoint.id, "step": checkpoint.step, "tokens": checkpoint.tokens,
        "digest": digest, "reason": refusal.map(short),
    });
    Ok(Told { project: Some(run.project), text, data: object(data), page, api })
}

fn short(text: &Text) -> Text {
    Text { en: quoted(&text.en), ja: quoted(&text.ja) }
}

fn own(app: &App, page: &str, api: &str, id: &impl ToString) -> (String, String) {
    let id = id.to_string();
    links(app, &format!("{page}/{id}"), &format!("{api}/{id}"))
}

/// Of an evaluation, with its mean and what that is against the one before.
pub(super) async fn evaluation(app: &App, happening: &Happening) -> Result<Told, WebError> {
    let evaluation = evaluations::find(app, &happening.subject).await?;
    let checkpoint = checkpoints::find(app, &evaluation.checkpoint.to_string()).await?;
    let run = runs::find(app, &checkpoint.run.to_string()).await?;
    let barred = corpora::may_use(app, run.clone()).await.is_err();
    let (text, mut data) = match happening.kind {
        EventType::EvaluationFinished => {
            let means = if barred { Means::default() } else { means(app, &checkpoint, &evaluation).await? };
            (
                both(|lang| finished(lang, &run, &checkpoint, &means)),
                json!({ "mean": means.mean, "change": means.change }),
            )
        }
        EventType::EvaluationFailed => failed(app, &run, &evaluation).await?,
        // It consists of numbers.
        _ if barred => {
            corpora::may_use(app, run.clone()).await.map(|()| (both(|_| String::new()), json!({})))?
        }
        _ => (both(|lang| regressed(lang, &run, &happening.detail)), happening.detail.clone()),
    };
    data["run"] = json!(run.id);
    data["name"] = json!(run.name);
    data["checkpoint"] = json!(checkpoint.id);
    data["step"] = json!(checkpoint.step);
    data["evaluation"] = json!(evaluation.id);
    data["suite"] = json!(evaluation.suite);
    let (page, api) = own(app, "/evals", "/evals", &evaluation.id);
    Ok(Told { project: Some(run.project), text, data: object(data), page, api })
}

/// The mean of an evaluation, and its difference to the one before.
#[derive(Default)]
struct Means {
    mean: Option<sekisho_domain::score::Interval>,
    change: Option<Comparison>,
}

async fn means(app: &App, checkpoint: &Checkpoint, evaluation: &Evaluation) -> Result<Means, WebError> {
    let found = found::of(app, evaluation).await?;
    let (mean, Some(own)) = (found.scores.mean, found.complete()) else { return Ok(Means::default()) };
    let mut change = None;
    if let Some(before) = regressions::before(app, checkpoint, evaluation).await?
        && let Some(earlier) = found::of(app, &before).await?.complete()
        && earlier.iter().map(|row| row.entry.fingerprint).eq(own.iter().map(|row| row.entry.fingerprint))
    {
        change = comparisons::paired(app, &earlier, &own).await?;
    }
    Ok(Means { mean, change })
}

fn finished(lang: Language, run: &Run, checkpoint: &Checkpoint, means: &Means) -> String {
    let mean = means
        .mean
        .map(|mean| format!("{} {}", format::score(mean.value), format::interval(mean.low, mean.high)));
    let change = means.change.map(|change| {
        let significant =
            if change.p < ALPHA { "webhook_text.significant" } else { "webhook_text.not_significant" };
        let verdict = lang.t(significant);
        lang.fill(
            "webhook_text.change",
            &[("change", &format::difference(change.difference)), ("verdict", &verdict)],
        )
    });
    let facts = Facts::new(lang).with("webhook_text.mean", mean).with("webhook_text.as_said", change).list();
    lang.fill(
        "webhook_text.evaluation_finished",
        &[("run", &run.name), ("step", &checkpoint.step), ("facts", &facts)],
    )
    .trim_end()
    .to_owned()
}

async fn failed(app: &App, run: &Run, evaluation: &Evaluation) -> Result<(Text, Value), WebError> {
    let work = app.store.work_of(evaluation.id).await?;
    let item = work.into_iter().find(|item| item.state == WorkState::Failed);
    let task = item.as_ref().map_or_else(|| evaluation.suite.clone(), |item| item.work.run.task.clone());
    let reason = item.as_ref().and_then(|item| item.error.as_deref()).map(quoted);
    let tries = item.as_ref().map(|item| item.attempt);
    let text = both(|lang| {
        let facts = Facts::new(lang)
            .with("webhook_text.as_said", reason.clone())
            .with("webhook_text.tries", tries)
            .in_brackets();
        lang.fill("webhook_text.evaluation_failed", &[("run", &run.name), ("task", &task), ("facts", &facts)])
    });
    Ok((text, json!({ "task": task, "reason": reason, "tries": tries })))
}

fn regressed(lang: Language, run: &Run, detail: &Value) -> String {
    let score = |name: &str| format::score(detail[name].as_f64().unwrap_or_default());
    let p = format::p_value(detail["p"].as_f64().unwrap_or(1.0));
    let task = detail["task"].as_str().unwrap_or_default();
    lang.fill(
        "webhook_text.evaluation_regressed",
        &[("run", &run.name), ("task", &task), ("from", &score("from")), ("to", &score("to")), ("p", &p)],
    )
}
