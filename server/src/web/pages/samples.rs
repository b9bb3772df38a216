//! `/evals/{id}/samples`: the items of one task, question by question.

use std::collections::BTreeSet;

use askama::Template;
use axum::extract::{Path, State};
use axum::response::Response;
use sekisho_bench::{Item, Record, TaskDefinition, load};
use sekisho_domain::evaluation::{TaskRun, WorkState};
use sekisho_domain::{Language, Sha256};
use sekisho_store::{Checkpoint, Evaluation, WorkRow};

use super::item::{self, ItemView, NoText, Outcome};
use super::parts::{self, Choice, Pager};
use crate::service::{checkpoints, contamination, corpora, evaluations};
use crate::web::format;
use crate::web::frame::Frame;
use crate::{App, Noun, WebError};

/// Items on a page.
const PAGE: usize = 20;

#[derive(Template)]
#[template(path = "evaluations/samples.html")]
struct SamplesPage {
    frame: Frame,
    how: Vec<String>,
    evaluation_href: String,
    run: String,
    step: String,
    title: String,
    note: String,
    license: Option<String>,
    tasks: Vec<Choice>,
    filters: Vec<Choice>,
    pager: Pager,
    items: Vec<ItemView>,
    /// Why there is no item, and whether a filter is the reason.
    empty: (&'static str, bool),
    /// The task waits for a worker.
    is_waiting: bool,
}

/// Everything that the page is made from.
struct Facts<'a> {
    checkpoint: Checkpoint,
    work: Vec<WorkRow>,
    /// Position in `work` of the task that is shown.
    shown: usize,
    definition: Option<&'a TaskDefinition>,
    /// The metric that decides what counts as right.
    metric: String,
    records: Vec<Record>,
    /// The items with their texts, or why there are none.
    items: Result<Vec<Item>, NoText>,
    /// Those that were found in the training text.
    found: BTreeSet<u64>,
}

/// `GET /evals/{id}/samples?work=…&show=right|partial|wrong&page=2`.
pub(crate) async fn show(
    State(app): State<App>,
    frame: Frame,
    Path(key): Path<String>,
) -> Result<Response, WebError> {
    let evaluation = evaluations::find(&app, &key).await?;
    let checkpoint = checkpoints::find(&app, &evaluation.checkpoint.to_string()).await?;
    if frame.user.is_none() {
        corpora::may_use_checkpoint(&app, &checkpoint).await?;
    }
    let work = app.store.work_of(evaluation.id).await?;
    let wanted = frame.param("work");
    let is_wanted = |row: &WorkRow| {
        wanted == Some(row.work.id.to_string().as_str()) || wanted == Some(row.work.run.task.as_str())
    };
    let shown = work.iter().position(is_wanted).unwrap_or(0);
    let Some(row) = work.get(shown) else {
        return Err(WebError::not_found(Noun::TaskIn, key));
    };
    let definition = app.catalog.find(&row.work.run.profile, &row.work.run.task).ok();
    let standing = contamination::standings(&app, &checkpoint, [row]).await?.remove(&row.work.id);
    let facts = Facts {
        checkpoint,
        found: standing.and_then(Result::ok).map(|looked| looked.found).unwrap_or_default(),
        records: evaluations::records(&app, row.work.id).await?,
        items: texts(&app, &frame, definition, &row.work.run).await?,
        metric: metric(&app, &evaluation, row, definition).await?,
        definition,
        shown,
        work,
    };
    parts::page(&view(frame, &facts))
}

/// The primary metric as the score has it; before the task is finished as its definition says. Without either nothing can be said
/// to be right or wrong.
pub(super) async fn metric(
    app: &App,
    evaluation: &Evaluation,
    row: &WorkRow,
    definition: Option<&TaskDefinition>,
) -> Result<String, WebError> {
    let scores = app.store.scores(evaluation.id).await?;
    let scored = scores.into_iter().find(|score| score.primary && score.work == row.work.id);
    let name = scored.map(|score| score.entry.metric).or_else(|| definition.map(|d| d.primary.to_string()));
    name.ok_or_else(|| WebError::not_found(Noun::Definition, &row.work.run.task))
}

/// The items of the task. Text whose licence forbids handing it on is for members only.
pub(super) async fn texts(
    app: &App,
    frame: &Frame,
    definition: Option<&TaskDefinition>,
    run: &TaskRun,
) -> Result<Result<Vec<Item>, NoText>, WebError> {
    if frame.user.is_none() && !evaluations::is_redistributable(app, run) {
        return Ok(Err(NoText::MembersOnly));
    }
    let Some(definition) = definition else { return Ok(Err(NoText::NoDefinition)) };
    let (app, definition, run) = (app.clone(), definition.clone(), run.clone());
    let read = move || {
        // Each item is shown only if its prompt is the one that was asked: the definition may be another now.
        let bytes = |source: &sekisho_bench::SourceRef| {
            let (path, _) = app.sources.locate(&definition.name(), source)?;
            fs_err::read(path).map_err(|error| error.to_string())
        };
        // Where the definition names no digest, the file in place is the user's choice.
        let accept: Vec<Sha256> =
            app.sources.of_run(&definition, &run).ok()?.iter().map(|source| source.sha256).collect();
        load(&definition, &run, &accept, &bytes).ok().map(|data| data.items)
    };
    let items = tokio::task::spawn_blocking(read).await.map_err(WebError::internal)?;
    Ok(items.ok_or(NoText::NoData))
}

fn view(frame: Frame, facts: &Facts<'_>) -> SamplesPage {
    let lang = frame.lang;
    let row = &facts.work[facts.shown];
    let metric = facts.metric.as_str();
    let filter = Outcome::ALL.into_iter().find(|o| frame.param("show") == Some(o.as_str()));
    let is_shown = |record: &&Record| filter.is_none_or(|filter| Outcome::of(record, metric) == filter);
    let kept: Vec<&Record> = facts.records.iter().filter(is_shown).collect();
    let number = frame.param("page").and_then(|n| n.parse().ok()).unwrap_or(1);
    let pager = Pager::new(&frame, number, PAGE, kept.len());
    let text = |record: &Record| match &facts.items {
        Ok(items) => items.iter().find(|item| item.index == record.item).ok_or(NoText::DataChanged),
        Err(reason) => Err(*reason),
    };
    SamplesPage {
        how: vec![format!("GET /api/v1/evals/{}/records?task={}", row.evaluation, row.work.run.task)],
        evaluation_href: format!("/evals/{}", row.evaluation),
        run: facts.checkpoint.run_name.clone(),
        step: facts.checkpoint.step.to_string(),
        title: facts.definition.map_or_else(|| row.work.run.task.clone(), |d| title(&frame, d)),
        empty: empty_reason(&frame, row, facts.records.is_empty()),
        is_waiting: row.state == WorkState::Waiting,
        note: format!("{} · {metric}", parts::run_note(lang, &row.work.run)),
        license: facts.definition.map(|d| d.license.clone()),
        tasks: task_choices(facts),
        filters: filters(&frame, &facts.records, metric, filter),
        items: kept[pager.from..pager.to]
            .iter()
            .map(|record| ItemView {
                is_contaminated: facts.found.contains(&record.item),
                ..item::view(&frame, record, metric, text(record))
            })
            .collect(),
        pager,
        frame,
    }
}

/// Why a list of items is empty: nothing was answered yet, or nothing fits the filter.
fn empty_reason(frame: &Frame, row: &WorkRow, no_records: bool) -> (&'static str, bool) {
    let of_state = match row.state {
        WorkState::Waiting => "samples.none_waiting",
        WorkState::Running => "samples.none_running",
        WorkState::Failed => "samples.none_failed",
        WorkState::Finished => "samples.none_finished",
    };
    (frame.t(if no_records { of_state } else { "samples.empty" }), !no_records)
}

pub(super) fn title(frame: &Frame, definition: &TaskDefinition) -> String {
    match frame.lang {
        Language::Ja => definition.title_ja.clone(),
        Language::En => definition.title_en.clone(),
    }
}

fn task_choices(facts: &Facts<'_>) -> Vec<Choice> {
    let choice = |(i, row): (usize, &WorkRow)| Choice {
        label: row.work.run.task.clone(),
        href: format!("/evals/{}/samples?work={}", row.evaluation, row.work.id),
        current: i == facts.shown,
    };
    facts.work.iter().enumerate().map(choice).collect()
}

/// The counts, each a filter; the middle one only where the metric gives parts of a score.
fn filters(frame: &Frame, records: &[Record], metric: &str, current: Option<Outcome>) -> Vec<Choice> {
    let count = |outcome: Outcome| records.iter().filter(|r| Outcome::of(r, metric) == outcome).count();
    let all = Choice {
        label: format!("{} {}", frame.t("samples.all"), format::count(records.len() as u64)),
        href: parts::unpaged(frame).with("show", ""),
        current: current.is_none(),
    };
    let each =
        Outcome::ALL.into_iter().filter(|o| *o != Outcome::Partial || count(*o) > 0).map(|outcome| Choice {
            label: format!(
                "{} {}",
                frame.t(&format!("outcome.{}", outcome.as_str())),
                format::count(count(outcome) as u64)
            ),
            href: parts::unpaged(frame).with("show", outcome.as_str()),
            current: current == Some(outcome),
        });
    std::iter::once(all).chain(each).collect()
}

#[cfg(test)]
pub(super) fn samples(frame: &Frame) -> Vec<String> {
    use super::fixtures;
    let catalog = sekisho_bench::Catalog::builtin();
    let scored = fixtures::run_facts(5).scored.pop().expect("a checkpoint");
    let page = |shown: usize, items: Result<Vec<Item>, NoText>, answered: bool| {
        let run = scored.found.work[shown].work.run.clone();
        let facts = Facts {
            checkpoint: scored.checkpoint.clone(),
            work: scored.found.work.to_vec(),
            shown,
            definition: catalog.find(&run.profile, &run.task).ok(),
            metric: scored.found.scores.tasks[shown]
                .as_ref()
                .map(|row| row.entry.metric.clone())
                .expect("scored"),
            records: if answered { fixtures::records(&run) } else { Vec::new() },
            items,
            found: [0].into(),
        };
        view(frame.clone(), &facts).render().expect("renders")
    };
    let choices = page(0, Ok(fixtures::items(&scored.found.work[0].work.run)), true);
    let generated = page(1, Ok(fixtures::items(&scored.found.work[1].work.run)), true);
    assert!(generated.contains("九州") && generated.contains("<dt>"));
    assert_eq!(generated.matches(frame.t("samples.contaminated")).count(), 1, "item 0 alone");
    let no_data = page(1, Err(NoText::NoData), true);
    assert!(no_data.contains("九州"), "the answer comes from the records");
    let closed = page(1, Err(NoText::MembersOnly), true);
    for content in ["九州", "本州", "class=\"answers\""] {
        assert!(!closed.contains(content), "{content} is shown to a visitor");
    }
    let empty = page(0, Err(NoText::NoData), false);
    assert!(empty.contains(frame.t("samples.none_finished")), "and not the filter's sentence");
    let worker = "<code data-copy>sekisho worker";
    assert!(!empty.contains(worker), "no worker has anything to do there");
    vec![choices, generated, no_data, closed, empty]
}
