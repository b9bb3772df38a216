//! Where a run stands, in numbers: the first screen of its page.

use sekisho_domain::run::{EventKind, EventStatus, KeptEvent, MetricRow, RunState};
use sekisho_store::Run;

use super::parts::Readout;
use super::run_load::Facts;
use super::scored::Scored;
use crate::service::plans::{Outlook, seconds_per_step, stands};
use crate::web::format;
use crate::web::frame::Frame;
use crate::web::i18n::Words as _;

/// The stall that goes on, as the service noticed it.
pub(super) fn stall<'e>(run: &Run, events: &'e [KeptEvent]) -> Option<&'e KeptEvent> {
    let is_new =
        |event: &&KeptEvent| event.kind == EventKind::Stalled && event.holds() && event.at > run.updated;
    events.iter().rev().find(is_new).filter(|_| run.state == RunState::Running)
}

/// Events that nobody has looked at.
pub(super) fn open_alerts(events: &[KeptEvent]) -> usize {
    events.iter().filter(|event| event.status == EventStatus::Proposed).count()
}

pub(super) fn alarm(frame: &Frame, facts: &Facts) -> Option<String> {
    stall(&facts.run, &facts.events)?;
    let silent = format::duration(frame.lang, frame.now.seconds_since(facts.run.updated));
    let host = facts.segments.last().map(|segment| segment.host.as_str()).filter(|host| !host.is_empty());
    Some(match host {
        None => frame.lang.fill("run.stalled", &[("duration", &silent), ("step", &facts.run.step)]),
        Some(host) => frame
            .lang
            .fill("run.stalled_on", &[("duration", &silent), ("step", &facts.run.step), ("host", &host)]),
    })
}

pub(super) fn readouts(frame: &Frame, facts: &Facts) -> Vec<Readout> {
    let (lang, run) = (frame.lang, &facts.run);
    let plan = facts.plans.first().map(|planned| &planned.plan);
    let outlook = stands(run, plan, &facts.rows, &facts.segments, &facts.events);
    let last = facts.scored.last().map(|s| &s.checkpoint);
    let received = last.map(|c| (frame.ago(&c.created), lang.fill("run.at_step", &[("step", &c.step)])));
    let mean = facts.scored.iter().rev().find_map(Scored::mean).map(|mean| {
        let interval = mean.interval.map(|(low, high)| format::interval(low, high));
        let tasks = || lang.fill("score.tasks_done", &[("done", &mean.done), ("of", &mean.of)]);
        (format::score(mean.value), interval.unwrap_or_else(tasks))
    });
    let loss = run.loss.map(|loss| (format::loss(loss), loss_change(frame, &facts.rows)));
    let alerts = open_alerts(&facts.events) as u64;
    let mut readouts = vec![
        progress(frame, run),
        Readout::of(lang.t("run.loss"), loss, lang.t("missing.not_reported")),
        speed(frame, &outlook),
        Readout::of(lang.t("run.last_checkpoint"), received, lang.t("missing.no_checkpoint")),
    ];
    readouts.extend(forecast(frame, &outlook));
    readouts.extend([
        Readout::new(lang.t("run.alerts"), format::count(alerts), ""),
        Readout::of(lang.t("run.last_mean"), mean, lang.t("missing.not_evaluated")),
        Readout::new(lang.t("run.step"), run.step.to_string(), ""),
    ]);
    readouts.extend(used(frame, facts, &outlook));
    readouts
}

fn speed(frame: &Frame, outlook: &Outlook) -> Readout {
    let lang = frame.lang;
    let speed =
        outlook.tokens_per_day.map(|tokens| (format::throughput(lang, tokens / 86_400.0), String::new()));
    Readout::of(lang.t("run.speed"), speed, lang.t("missing.few_reports"))
}

/// The forecast, and how it stands against the plan.
fn forecast(frame: &Frame, outlook: &Outlook) -> Option<Readout> {
    let end = outlook.forecast_end?;
    let delay = outlook.delay_days.map_or_else(String::new, |days| delay(frame, days));
    Some(Readout::new(frame.t("run.forecast"), frame.stamp(&end), delay))
}

/// `予定比 +2日`; whole days away from nought.
pub(super) fn delay(frame: &Frame, days: f64) -> String {
    let whole = if days > 0.0 { days.ceil() } else { days.floor() };
    let sign = if whole > 0.0 {
        "+"
    } else if whole < 0.0 {
        "−"
    } else {
        "±"
    };
    frame.fill("run.delay", "days", format!("{sign}{:.0}", whole.abs()))
}

/// GPU-days used, of those planned.
fn used(frame: &Frame, facts: &Facts, outlook: &Outlook) -> Option<Readout> {
    let days = outlook.gpu_days_used.filter(|days| *days > 0.0)?;
    let plan = facts.plans.first().map(|planned| &planned.plan);
    let number =
        |days: f64| if days < 10.0 { format!("{days:.2}") } else { format::count(days.round() as u64) };
    let money = outlook.yen_used.map(|yen| frame.fill("run.yen", "yen", format::count(yen.round() as u64)));
    Some(match plan.and_then(|plan| plan.budget_gpu_days) {
        None => Readout::new(frame.t("run.gpu_days"), number(days), money.unwrap_or_default()),
        Some(budget) => Readout {
            share: Some((days / budget).min(1.0)),
            ..Readout::new(
                frame.t("run.gpu_days"),
                format!("{} / {}", number(days), number(budget)),
                money.unwrap_or_else(|| format::percent(days, budget)),
            )
        },
    })
}

/// `500B / 3.5T（14.3%）`.
fn progress(frame: &Frame, run: &Run) -> Readout {
    let done = run.tokens.short();
    match run.planned_tokens {
        None => Readout::new(frame.t("run.tokens"), done, ""),
        Some(planned) => Readout {
            share: Some(run.tokens.0 as f64 / planned.0.max(1) as f64),
            ..Readout::new(
                frame.t("run.tokens"),
                format!("{done} / {}", planned.short()),
                format::percent(run.tokens.0 as f64, planned.0 as f64),
            )
        },
    }
}

/// How the loss has changed over a day of training; nothing before a day has passed.
fn loss_change(frame: &Frame, rows: &[MetricRow]) -> String {
    let change = || {
        let (last, usual) = (rows.last()?, seconds_per_step(rows)?);
        let age = |row: &MetricRow| last.step.0.saturating_sub(row.step.0) as f64 * usual;
        let day_ago = rows.iter().rev().find(|row| age(row) >= 86_400.0)?;
        Some(last.loss? - day_ago.loss?)
    };
    let change = change().filter(|change| change.is_finite());
    change.map_or_else(String::new, |change| {
        frame.fill("run.loss_change", "change", format::difference(change))
    })
}

#[cfg(test)]
mod tests {
    use sekisho_domain::Language;

    use super::*;
    use crate::web::pages::fixtures;

    #[test]
    fn a_delay_is_in_whole_days() {
        let frame = fixtures::frame(Language::Ja, "/");
        let said = [1.2, -0.3, 0.0].map(|days| delay(&frame, days));
        assert_eq!(said, ["予定比 +2日", "予定比 −1日", "予定比 ±0日"]);
    }

    #[test]
    fn a_stall_is_over_with_the_next_report() {
        let mut facts = fixtures::run_facts(2);
        let frame = fixtures::frame(Language::En, "/");
        assert_eq!(alarm(&frame, &facts), None);
        let mut event = KeptEvent { kind: EventKind::Stalled, ..fixtures::event(59_604, "") };
        event.at = facts.run.updated.plus_seconds(200);
        facts.events.push(event);
        assert!(alarm(&frame, &facts).is_some_and(|said| said.contains("59,604")));
        facts.run.updated = facts.run.updated.plus_seconds(300);
        assert_eq!(alarm(&frame, &facts), None);
    }
}
