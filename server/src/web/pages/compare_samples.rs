//! `/compare/samples`: what two checkpoints answered to the same questions, side by side.

use std::collections::BTreeSet;

use askama::Template;
use axum::extract::State;
use axum::response::Response;
use sekisho_bench::compare::{Cell, Judged, Pair, Pairs, pair_items};
use sekisho_bench::stats::McNemar;
use sekisho_bench::{Item, TaskDefinition};
use sekisho_domain::evaluation::WorkState;
use sekisho_store::{Checkpoint, Evaluation, WorkRow};

use super::item::{self, ItemView, NoText};
use super::parts::{self, Choice, Pager};
use super::samples;
use crate::service::comparisons::settings::{Settings, differing};
use crate::service::comparisons::sides::{self, Side, TaskOfBoth};
use crate::service::{contamination, corpora};
use crate::web::format;
use crate::web::frame::{Frame, encode};
use crate::web::i18n::Words as _;
use crate::{App, WebError};

/// Items on a page: each is two answers.
const PAGE: usize = 10;

#[derive(Template)]
#[template(path = "compare/samples.html")]
struct SamplesPage {
    frame: Frame,
    how: Vec<String>,
    sides: [SideHead; 2],
    /// This page with A and B changed round.
    swapped: String,
    compare_href: String,
    title: String,
    note: String,
    license: Option<String>,
    tasks: Vec<Choice>,
    /// How A and B are told apart.
    judged: &'static str,
    /// Whether items are judged one by one, so that an answer is right or wrong by itself.
    has_outcomes: bool,
    verdict: String,
    test: &'static str,
    filters: Vec<Choice>,
    orders: Vec<Choice>,
    notices: Vec<String>,
    pager: Pager,
    items: Vec<PairView>,
    empty: (&'static str, bool),
}

/// Which checkpoint a letter stands for.
struct SideHead {
    letter: &'static str,
    name: String,
    href: String,
}

/// An item with both answers.
struct PairView {
    cell: &'static str,
    gap: Option<String>,
    a: ItemView,
    b: ItemView,
    /// Gold, the same of both.
    gold: Option<String>,
    choices: Vec<ChoicePair>,
}

/// A choice with what both think of it.
struct ChoicePair {
    text: String,
    pair: Option<(String, String)>,
    is_gold: bool,
    /// Log-likelihood of A and B, and whether the side chooses it.
    sides: [(String, bool); 2],
}

impl PairView {
    fn sides(&self) -> [(&'static str, &ItemView); 2] {
        [("A", &self.a), ("B", &self.b)]
    }
}

/// Everything that the page is made from.
struct Facts<'a> {
    checkpoints: [Checkpoint; 2],
    evaluations: [Evaluation; 2],
    rows: [WorkRow; 2],
    tasks: Vec<TaskOfBoth>,
    /// Position in `tasks` of the one that is shown.
    shown: usize,
    definition: Option<&'a TaskDefinition>,
    metric: String,
    pairs: Option<Pairs<'a>>,
    no_records: bool,
    items: Result<Vec<Item>, NoText>,
    /// Items found in the training text of A and of B.
    found: [BTreeSet<u64>; 2],
}

/// `GET /compare/samples?a=…&b=…&task=…&cell=only_a&order=gap&page=2`; `a` and `b` are evaluations or checkpoints.
pub(crate) async fn show(State(app): State<App>, frame: Frame) -> Result<Response, WebError> {
    let (Some(a), Some(b)) = (frame.param("a"), frame.param("b")) else { return Err(two_needed()) };
    let (a, b) = (sides::side(&app, a).await?, sides::side(&app, b).await?);
    if frame.user.is_none() {
        for side in [&a, &b] {
            corpora::may_use_checkpoint(&app, &side.checkpoint).await?;
        }
    }
    let tasks = sides::tasks_of_both(&a, &b);
    let wanted = frame.param("task").unwrap_or_default();
    let run_of = |task: &TaskOfBoth| &a.work[task.places[0]].1.work.run;
    let by_code = tasks.iter().position(|task| task.code == wanted);
    let shown = by_code.or_else(|| tasks.iter().position(|task| run_of(task).task == wanted)).unwrap_or(0);
    let Some(task) = tasks.get(shown) else { return Err(nothing_shared(&a, &b)) };
    let [ours, theirs] = [&a.work[task.places[0]], &b.work[task.places[1]]];
    let run = &ours.1.work.run;
    let definition = app.catalog.find(&run.profile, &run.task).ok();
    let metric = samples::metric(&app, &ours.0, &ours.1, definition).await?;
    let records = sides::records(&app, [&ours.1, &theirs.1]).await?;
    let clustered = definition.is_some_and(|definition| definition.cluster.is_some());
    let mut found = [BTreeSet::new(), BTreeSet::new()];
    for ((side, row), found) in [(&a, &ours.1), (&b, &theirs.1)].into_iter().zip(&mut found) {
        let standing = contamination::standings(&app, &side.checkpoint, [row]).await?.remove(&row.work.id);
        *found = standing.and_then(Result::ok).map(|looked| looked.found).unwrap_or_default();
    }
    let facts = Facts {
        items: samples::texts(&app, &frame, definition, run).await?,
        evaluations: [ours.0.clone(), theirs.0.clone()],
        rows: [ours.1.clone(), theirs.1.clone()],
        pairs: pair_items(&metric, clustered, &records[0], &records[1]),
        no_records: records.iter().any(Vec::is_empty),
        checkpoints: [a.checkpoint.clone(), b.checkpoint.clone()],
        definition,
        metric,
        found,
        shown,
        tasks,
    };
    parts::page(&view(frame, &facts))
}

fn two_needed() -> WebError {
    let detail = "Samples are compared of two sides. Name both in the address: /compare/samples?a=ID&b=ID, each the id of an evaluation or of a checkpoint.";
    let ja = "事例の比較には2つの対象が必要です。/compare/samples?a=ID&b=ID の形で、評価またはチェックポイントのIDを2つ指定してください。";
    WebError::bad_request("compare-sides", detail).or_ja(ja)
}

fn nothing_shared(a: &Side, b: &Side) -> WebError {
    let name = |side: &Side| format!("{} {}", side.checkpoint.run_name, side.checkpoint.step);
    let (a, b) = (name(a), name(b));
    let detail = format!(
        "{a} and {b} were asked no task of the same profile and split. Evaluate both on the same suite: sekisho checkpoint evaluate ID --suite SUITE."
    );
    let ja = format!(
        "{a}と{b}には、プロファイルと分割が同じ評価タスクがありません。同じ評価セットで評価してください：sekisho checkpoint evaluate ID --suite SUITE"
    );
    WebError::conflict("nothing-shared", detail).or_ja(ja)
}

fn view(frame: Frame, facts: &Facts<'_>) -> SamplesPage {
    let cells = facts.pairs.as_ref().map_or(Judged::RightOrWrong, |pairs| pairs.judged).cells();
    let cell = cells.iter().copied().find(|cell| frame.param("cell") == Some(cell.as_str()));
    let by_gap = frame.param("order") == Some("gap");
    let mut kept: Vec<&Pair<'_>> = facts.pairs.iter().flat_map(|pairs| &pairs.items).collect();
    kept.retain(|pair| cell.is_none_or(|cell| pair.cell == cell));
    if by_gap {
        let gap = |pair: &Pair<'_>| pair.gap.unwrap_or(f64::NEG_INFINITY);
        kept.sort_by(|a, b| gap(b).total_cmp(&gap(a)));
    }
    let number = frame.param("page").and_then(|n| n.parse().ok()).unwrap_or(1);
    let pager = Pager::new(&frame, number, PAGE, kept.len());
    let [a, b] = &facts.checkpoints;
    let run = &facts.rows[0].work.run;
    SamplesPage {
        how: vec![
            format!("GET /api/v1/compare?ids={},{}", a.id, b.id),
            format!("GET /api/v1/evals/{}/records?task={}", facts.evaluations[0].id, run.task),
        ],
        sides: heads(facts),
        swapped: swapped(&frame),
        compare_href: format!("/compare?ids={},{}", a.id, b.id),
        title: facts.definition.map_or_else(|| run.task.clone(), |d| samples::title(&frame, d)),
        note: format!("{} · {}", parts::run_note(frame.lang, run), facts.metric),
        license: facts.definition.map(|definition| definition.license.clone()),
        tasks: task_choices(&frame, facts),
        judged: judged(&frame, facts),
        has_outcomes: kept.iter().any(|pair| pair.a.score.contains_key(&facts.metric)),
        verdict: facts
            .pairs
            .as_ref()
            .map_or_else(String::new, |p| p.verdict.said("A", "B").get(frame.lang).to_owned()),
        test: facts.pairs.as_ref().map_or("", |pairs| test(&frame, pairs)),
        filters: filters(&frame, facts, cells, cell),
        orders: orders(&frame, facts, by_gap),
        notices: notices(&frame, facts),
        empty: empty_reason(&frame, facts),
        items: kept[pager.from..pager.to].iter().map(|pair| pair_view(&frame, facts, pair)).collect(),
        pager,
        frame,
    }
}

fn heads(facts: &Facts<'_>) -> [SideHead; 2] {
    let head = |letter: &'static str, side: usize| SideHead {
        letter,
        name: format!("{} {}", facts.checkpoints[side].run_name, facts.checkpoints[side].step),
        href: format!("/evals/{}", facts.evaluations[side].id),
    };
    [head("A", 0), head("B", 1)]
}

/// The cells of A and B change places too.
fn swapped(frame: &Frame) -> String {
    let mut other = parts::unpaged(frame);
    for (name, value) in &mut other.query {
        let turned = match (name.as_str(), value.as_str()) {
            ("a", _) => frame.param("b"),
            ("b", _) => frame.param("a"),
            ("cell", "only_a") => Some("only_b"),
            ("cell", "only_b") => Some("only_a"),
            ("cell", "a_higher") => Some("b_higher"),
            ("cell", "b_higher") => Some("a_higher"),
            _ => None,
        };
        if let Some(turned) = turned {
            turned.clone_into(value);
        }
    }
    other.with("", "")
}

fn task_choices(frame: &Frame, facts: &Facts<'_>) -> Vec<Choice> {
    let sides = ["a", "b"].map(|name| format!("{name}={}", encode(frame.param(name).unwrap_or_default())));
    let choice = |(i, task): (usize, &TaskOfBoth)| Choice {
        label: task.code.clone(),
        href: format!("/compare/samples?{}&task={}", sides.join("&"), encode(&task.code)),
        current: i == facts.shown,
    };
    facts.tasks.iter().enumerate().map(choice).collect()
}

/// In words, how A and B are told apart.
fn judged(frame: &Frame, facts: &Facts<'_>) -> &'static str {
    let Some(pairs) = &facts.pairs else { return "" };
    let metric = facts.metric.split(',').next().unwrap_or_default();
    match (pairs.judged, metric) {
        (Judged::RightOrWrong, _) => frame.t("pairs.right_or_wrong"),
        (_, "bleu" | "bleu_intl" | "bleu_char" | "chrf" | "chrf++") => frame.t("pairs.of_item_alone"),
        (_, "pearson" | "spearman") => frame.t("pairs.nearer"),
        (_, "perplexity" | "word_perplexity" | "byte_perplexity" | "bits_per_byte") => frame.t("pairs.less"),
        _ => frame.t("pairs.more_or_less"),
    }
}

/// Which paired test was made.
fn test(frame: &Frame, pairs: &Pairs<'_>) -> &'static str {
    match pairs.row.mcnemar {
        Some(McNemar { p, .. }) if (p - pairs.row.p).abs() < f64::EPSILON => frame.t("pairs.by_mcnemar"),
        _ => frame.t("pairs.by_bootstrap"),
    }
}

/// The counts of the table, each a filter.
fn filters(frame: &Frame, facts: &Facts<'_>, cells: &[Cell], current: Option<Cell>) -> Vec<Choice> {
    let Some(pairs) = &facts.pairs else { return Vec::new() };
    let choice = |label: &str, number: usize, value: &str, current: bool| Choice {
        label: format!("{label} {}", format::count(number as u64)),
        href: parts::unpaged(frame).with("cell", value),
        current,
    };
    let all = choice(frame.t("samples.all"), pairs.items.len(), "", current.is_none());
    let each = cells.iter().map(|cell| {
        choice(
            frame.word("pair_cell", cell.as_str()),
            pairs.count(*cell),
            cell.as_str(),
            current == Some(*cell),
        )
    });
    std::iter::once(all).chain(each).collect()
}

fn orders(frame: &Frame, facts: &Facts<'_>, by_gap: bool) -> Vec<Choice> {
    let has_gaps = facts.pairs.iter().flat_map(|pairs| &pairs.items).any(|pair| pair.gap.is_some());
    if !has_gaps {
        return Vec::new();
    }
    let choice = |key: &str, value: &str, current: bool| Choice {
        label: frame.t(key).to_owned(),
        href: parts::unpaged(frame).with("order", value),
        current,
    };
    vec![choice("pairs.by_item", "", !by_gap), choice("pairs.by_gap", "gap", by_gap)]
}

/// What does not enter the comparison, and which settings differ.
fn notices(frame: &Frame, facts: &Facts<'_>) -> Vec<String> {
    let mut notices = Vec::new();
    let settings = |side: usize| Settings {
        run: &facts.rows[side].work.run,
        shots: facts.rows[side].work.run.shots.unwrap_or_default(),
        metric: &facts.metric,
        environment: &facts.evaluations[side].environment,
    };
    let parts = differing(settings(0), settings(1));
    let known = parts.iter().filter(|part| part.as_str() != "definition");
    let words: Vec<&str> = known.map(|part| frame.word("setting", part.as_str())).collect();
    if !words.is_empty() {
        notices.push(frame.fill("pairs.settings_differ", "settings", words.join(frame.t("common.comma"))));
    }
    let Some(counts) = facts.pairs.as_ref().map(|pairs| pairs.counts) else { return notices };
    if counts.only_a + counts.only_b + counts.other_prompt > 0 {
        let values: [(&str, &dyn std::fmt::Display); 3] =
            [("a", &counts.only_a), ("b", &counts.only_b), ("other", &counts.other_prompt)];
        notices.push(frame.lang.fill("pairs.left_out", &values));
    }
    notices
}

fn empty_reason(frame: &Frame, facts: &Facts<'_>) -> (&'static str, bool) {
    if facts.pairs.is_some() {
        return (frame.t("samples.empty"), true);
    }
    let states = facts.rows.each_ref().map(|row| row.state);
    let key = match (facts.no_records, states) {
        (true, states) if states.contains(&WorkState::Failed) => "pairs.none_failed",
        (true, _) => "pairs.none_yet",
        (false, _) => "pairs.none_shared",
    };
    (frame.t(key), false)
}

fn pair_view(frame: &Frame, facts: &Facts<'_>, pair: &Pair<'_>) -> PairView {
    let text = match &facts.items {
        Ok(items) => items.iter().find(|item| item.index == pair.a.item).ok_or(NoText::DataChanged),
        Err(reason) => Err(*reason),
    };
    let side = |record, found: &BTreeSet<u64>| ItemView {
        is_contaminated: found.contains(&pair.a.item),
        ..item::view(frame, record, &facts.metric, text)
    };
    let (a, b) = (side(pair.a, &facts.found[0]), side(pair.b, &facts.found[1]));
    PairView {
        cell: pair.cell.as_str(),
        gap: pair.gap.map(|gap| format!("{gap:.3}")),
        gold: a.answer.as_ref().map(|answer| answer.gold.clone()),
        choices: choices(&a, &b),
        a,
        b,
    }
}

fn choices(a: &ItemView, b: &ItemView) -> Vec<ChoicePair> {
    let (Some(a), Some(b)) = (&a.answer, &b.answer) else { return Vec::new() };
    let pair = |(a, b): (&item::ChoiceRow, &item::ChoiceRow)| ChoicePair {
        text: a.text.clone(),
        pair: a.pair.clone(),
        is_gold: a.is_gold,
        sides: [a, b].map(|side| (side.loglikelihood.clone(), side.is_chosen)),
    };
    a.choices.iter().zip(&b.choices).map(pair).collect()
}

#[cfg(test)]
pub(super) fn samples(frame: &Frame) -> Vec<String> {
    use sekisho_bench::{Answer, Record};

    use super::fixtures;
    let catalog = sekisho_bench::Catalog::builtin();
    let scored: Vec<_> = fixtures::run_facts(5).scored.into_iter().skip(3).collect();
    let page =
        |task: usize, frame: &Frame, items: Result<Vec<Item>, NoText>, change: &dyn Fn(&mut Vec<Record>)| {
            let run = scored[0].found.work[task].work.run.clone();
            let metric = scored[1].found.scores.tasks[task].as_ref().expect("scored").entry.metric.clone();
            let (ours, mut theirs) = (fixtures::records(&run), fixtures::records(&run));
            change(&mut theirs);
            let places = TaskOfBoth { places: [task, task], code: run.task.clone() };
            let facts = Facts {
                checkpoints: [0, 1].map(|i: usize| scored[i].checkpoint.clone()),
                evaluations: [0, 1].map(|i: usize| scored[i].evaluation.clone().expect("evaluated")),
                rows: [0, 1].map(|i: usize| scored[i].found.work[task].clone()),
                tasks: vec![places],
                shown: 0,
                definition: catalog.find(&run.profile, &run.task).ok(),
                pairs: pair_items(&metric, false, &ours, &theirs),
                metric,
                no_records: theirs.is_empty(),
                items,
                found: [[0].into(), BTreeSet::new()],
            };
            view(frame.clone(), &facts).render().expect("renders")
        };
    let worse = |records: &mut Vec<Record>| {
        for record in records {
            for value in record.score.values_mut() {
                *value = if *value < 1.0 { 1.0 } else { 0.0 };
            }
            if let Answer::Text { output, .. } = &mut record.answer {
                *output = "<b>\u{202e}九州\n".to_owned();
            }
        }
    };
    let run = |task: usize| scored[0].found.work[task].work.run.clone();
    let parts = page(0, frame, Ok(fixtures::items(&run(0))), &worse);
    assert!(parts.contains(frame.t("pairs.more_or_less")) && parts.contains("cell=b_higher"), "{parts}");
    let generated = page(1, frame, Ok(fixtures::items(&run(1))), &worse);
    assert!(generated.contains("&#60;b&#62;\\u{202e}九州⏎"), "{generated}");
    let closed = page(1, frame, Err(NoText::MembersOnly), &worse);
    for content in ["九州", "本州", "class=\"answers\""] {
        assert!(!closed.contains(content), "{content} is shown to a visitor");
    }
    let none = page(1, frame, Err(NoText::NoData), &Vec::clear);
    assert!(none.contains(frame.t("pairs.none_yet")));
    vec![parts, generated, closed, none]
}

#[cfg(test)]
mod tests {
    use sekisho_domain::Language;

    use super::*;
    use crate::web::pages::fixtures;

    #[test]
    fn sides_change_places_with_their_cells() {
        let mut frame = fixtures::frame(Language::Ja, "/compare/samples");
        let query = [("a", "1"), ("b", "2"), ("task", "niilc"), ("cell", "only_a"), ("page", "3")];
        frame.query = query.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
        assert_eq!(swapped(&frame), "/compare/samples?a=2&b=1&task=niilc&cell=only_b");
    }
}
