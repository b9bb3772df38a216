//! What a run is planned to take, and how it stands against that: forecast, delay, accelerators used.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use sekisho_domain::run::{Devices, EventKind, KeptEvent, MetricRow, Plan, Planned, RunState, Segment};
use sekisho_domain::user::{Role, Scope};
use sekisho_domain::{Step, Timestamp};
use sekisho_store::Run;
use serde::Serialize;
use serde_json::json;

use super::{people, runs};
use crate::{Actor, App, WebError};

/// Rows that speed is measured over.
const SPEED_ROWS: u64 = 50;
/// Seconds of a day.
const DAY: f64 = 86_400.0;

/// How a run stands against its plan. What is not known is absent.
#[derive(Clone, Debug, Default, PartialEq, Serialize, utoipa::ToSchema)]
pub struct Outlook {
    /// At the speed of the last reports.
    pub tokens_per_day: Option<f64>,
    /// When it will have seen its planned tokens at that speed.
    pub forecast_end: Option<Timestamp>,
    /// Forecast against the planned end [days]; negative when it is ahead.
    pub delay_days: Option<f64>,
    /// Time that its processes have held accelerators [GPU-days].
    pub gpu_days_used: Option<f64>,
    /// The same in money [JPY].
    pub yen_used: Option<f64>,
}

/// How a run stands, from its last reports, its processes and its events.
///
/// # Errors
/// When the store fails.
pub async fn outlook(app: &App, run: &Run, plan: Option<&Plan>) -> Result<Outlook, WebError> {
    let (segments, events) = (app.store.segments(run.id).await?, app.store.events(run.id).await?);
    Ok(stands(run, plan, &last_rows(app, run).await?, &segments, &events))
}

/// The rows that speed is measured over.
///
/// # Errors
/// When the store fails.
pub async fn last_rows(app: &App, run: &Run) -> Result<Vec<MetricRow>, WebError> {
    let first = Step(run.step.0.saturating_sub(SPEED_ROWS));
    Ok(app.store.metrics_between(run.id, first, run.step).await?)
}

/// The same from what is known already.
#[must_use]
pub fn stands(
    run: &Run,
    plan: Option<&Plan>,
    rows: &[MetricRow],
    segments: &[Segment],
    events: &[KeptEvent],
) -> Outlook {
    let speed = tokens_per_second(rows);
    let goes_on = speed.filter(|_| run.state == RunState::Running);
    let forecast_end = goes_on.zip(run.planned_tokens).map(|(speed, planned)| {
        #[expect(clippy::cast_possible_truncation, reason = "seconds of a forecast")]
        let seconds = (planned.0.saturating_sub(run.tokens.0) as f64 / speed) as i64;
        run.updated.plus_seconds(seconds)
    });
    let planned_end = plan.and_then(|plan| plan.end).and_then(end_of);
    let gpus = plan.and_then(|plan| plan.gpus);
    let gpu_days_used = gpu_days(segments, events, gpus);
    Outlook {
        tokens_per_day: speed.map(|speed| speed * DAY),
        forecast_end,
        delay_days: forecast_end
            .zip(planned_end)
            .map(|(forecast, planned)| forecast.seconds_since(planned) / DAY),
        gpu_days_used,
        yen_used: gpu_days_used
            .zip(plan.and_then(|plan| plan.yen_per_gpu_day))
            .map(|(days, price)| days * price),
    }
}

/// The end of a day in the zone of the service.
#[must_use]
pub fn end_of(day: Date) -> Option<Timestamp> {
    let next = day.tomorrow().ok()?.to_zoned(TimeZone::system()).ok()?;
    Some(Timestamp::from_unix_ms(next.timestamp().as_millisecond()))
}

/// Usual wall time of an update, over the last rows that carry times. A trainer may report only every so many updates, each row with the
/// time of its own update.
#[must_use]
pub fn seconds_per_step(rows: &[MetricRow]) -> Option<f64> {
    let last = &rows[rows.len().saturating_sub(SPEED_ROWS as usize)..];
    let times: Vec<f64> = last.iter().filter_map(|row| row.seconds).filter(|s| *s > 0.0).collect();
    (!times.is_empty()).then(|| times.iter().sum::<f64>() / times.len() as f64)
}

/// Training targets per second over the last rows.
#[must_use]
pub fn tokens_per_second(rows: &[MetricRow]) -> Option<f64> {
    let last = &rows[rows.len().saturating_sub(SPEED_ROWS as usize)..];
    let (first, latest) = (last.first()?, last.last()?);
    let steps = latest.step.0.checked_sub(first.step.0).filter(|steps| *steps > 0)?;
    let tokens = latest.tokens.0.saturating_sub(first.tokens.0);
    Some(tokens as f64 / steps as f64 / seconds_per_step(rows)?).filter(|speed| *speed > 0.0)
}

/// The time between first and last report of every process, times the accelerators that it said it has, or that are planned. None where
/// neither is known of one of them: part of a sum would be a wrong number.
fn gpu_days(segments: &[Segment], events: &[KeptEvent], planned: Option<u32>) -> Option<f64> {
    if segments.is_empty() {
        return None;
    }
    let said = |segment: &Segment| {
        let devices =
            events.iter().filter(|event| event.kind == EventKind::Devices && event.at <= segment.last_at);
        devices.max_by_key(|event| event.at).and_then(|event| event.note.parse::<Devices>().ok())
    };
    let days = |segment: &Segment| {
        let held = segment.last_at.seconds_since(segment.first_at).max(0.0) / DAY;
        match said(segment) {
            Some(devices) if devices.is_cpu() => Some(0.0),
            Some(devices) => Some(held * devices.count as f64),
            None => planned.map(|gpus| held * f64::from(gpus)),
        }
    };
    segments.iter().map(days).sum()
}

/// Changes the plan of a run: what is given changes, the rest stays.
///
/// # Errors
/// 403, 404, 422 for what cannot be planned.
pub async fn change(
    app: &App,
    actor: &Actor,
    key: &str,
    change: &Plan,
    reason: &str,
) -> Result<Planned, WebError> {
    let run = runs::find(app, key).await?;
    actor.require_in(&run.project, &[Role::Contributor], Scope::Ingest)?;
    let before = app.store.plans(run.id).await?.into_iter().next();
    let plan = merged(&before.as_ref().map(|planned| planned.plan.clone()).unwrap_or_default(), change);
    check(&plan, reason)?;
    let planned =
        Planned { plan, reason: reason.trim().to_owned(), by: actor.user.name.clone(), at: app.now() };
    let detail = json!({
        "run": run.name, "before": before.map(|planned| planned.plan), "after": planned.plan, "reason": planned.reason,
    });
    let audit = people::entry(app, actor, "run.plan", &run.id.to_string(), "done", detail);
    app.store.add_plan(run.id, &planned, &audit).await?;
    app.events.publish(format!("run:{}", run.id), "state");
    Ok(planned)
}

fn merged(before: &Plan, change: &Plan) -> Plan {
    Plan {
        end: change.end.or(before.end),
        gpus: change.gpus.or(before.gpus),
        budget_gpu_days: change.budget_gpu_days.or(before.budget_gpu_days),
        yen_per_gpu_day: change.yen_per_gpu_day.or(before.yen_per_gpu_day),
    }
}

fn check(plan: &Plan, reason: &str) -> Result<(), WebError> {
    let positive = |value: Option<f64>| value.is_none_or(|value| value.is_finite() && value > 0.0);
    let refused = |detail: &str, ja: &str| Err(WebError::refused("run-plan", detail).or_ja(ja));
    if *plan == Plan::default() {
        return refused(
            "The plan is empty. Give an end (YYYY-MM-DD), a number of GPUs, a budget in GPU-days or a price.",
            "計画が空です。完了予定（YYYY-MM-DD）、GPU数、予算（GPU日）、単価のいずれかを入力してください。",
        );
    }
    if plan.gpus.is_some_and(|gpus| gpus == 0 || gpus > 1_000_000) {
        return refused("A plan has 1 to 1,000,000 GPUs.", "GPU数は1〜1,000,000の範囲で入力してください。");
    }
    if !positive(plan.budget_gpu_days) || !positive(plan.yen_per_gpu_day) {
        return refused(
            "Budget and price are numbers above zero.",
            "予算と単価には、0より大きい数値を入力してください。",
        );
    }
    if plan.end.is_some_and(|end| !(2000..=2200).contains(&end.year())) {
        return refused(
            "The planned end is a day between 2000 and 2200.",
            "完了予定には、2000年から2200年までの日付を入力してください。",
        );
    }
    if reason.chars().count() > 500 {
        return refused("A reason has at most 500 characters.", "理由は500文字以内で入力してください。");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use sekisho_domain::Tokens;

    use super::*;
    use crate::web::pages::fixtures;

    fn row(step: u64, seconds: f64) -> MetricRow {
        let tokens = Tokens(step * 1000);
        MetricRow { step: Step(step), tokens, seconds: Some(seconds), ..MetricRow::default() }
    }

    fn segment(number: u32, first_day: i64, last_day: i64) -> Segment {
        let day = |days: i64| Timestamp::from_unix_ms(days * 86_400_000);
        Segment {
            number,
            writer: String::new(),
            host: String::new(),
            first_step: Step(1),
            last_step: Step(2),
            first_at: day(first_day),
            last_at: day(last_day),
            batches: 10,
            last_seq: 9,
        }
    }

    #[test]
    fn speed_and_forecast_are_those_of_the_last_rows() {
        let rows: Vec<MetricRow> =
            (1..=100).map(|step| row(step, if step <= 50 { 100.0 } else { 2.0 })).collect();
        assert_eq!(seconds_per_step(&rows), Some(2.0));
        assert_eq!(tokens_per_second(&rows), Some(500.0));
        let sparse: Vec<MetricRow> = (1..=10).map(|i| row(i * 10, 2.0)).collect();
        assert_eq!(tokens_per_second(&sparse), Some(500.0), "a trainer may report every tenth update only");
        assert_eq!((tokens_per_second(&rows[..1]), seconds_per_step(&[])), (None, None));
        let run = Run {
            state: RunState::Running,
            tokens: Tokens(100_000),
            planned_tokens: Some(Tokens(100_000 + 500 * 86_400 * 3)),
            ..fixtures::run()
        };
        let plan = Plan { end: Some("2026-12-31".parse().expect("a day")), ..Plan::default() };
        let outlook = stands(&run, Some(&plan), &rows, &[], &[]);
        assert_eq!(outlook.forecast_end, Some(run.updated.plus_seconds(3 * 86_400)));
        let planned = end_of("2026-12-31".parse().expect("a day")).expect("a time");
        let delay = run.updated.plus_seconds(3 * 86_400).seconds_since(planned) / DAY;
        assert_eq!(outlook.delay_days, Some(delay));
        let finished = Run { state: RunState::Finished, ..run };
        let outlook = stands(&finished, Some(&plan), &rows, &[], &[]);
        assert_eq!(
            (outlook.forecast_end, outlook.tokens_per_day),
            (None, Some(500.0 * DAY)),
            "it has an end already"
        );
    }

    #[test]
    fn gpu_days_are_those_of_every_process_or_none() {
        let devices = |note: &str, day: i64| KeptEvent {
            kind: EventKind::Devices,
            note: note.to_owned(),
            at: Timestamp::from_unix_ms(day * 86_400_000),
            ..fixtures::event(0, "")
        };
        let two = [segment(1, 0, 2), segment(2, 3, 6)];
        assert_eq!(
            gpu_days(&two, &[], Some(64)),
            Some(5.0 * 64.0),
            "what stood still between them is not used"
        );
        assert_eq!(gpu_days(&two, &[], None), None);
        assert_eq!(
            gpu_days(&two, &[devices("8 × H200", 0), devices("16 × H200", 3)], Some(64)),
            Some(16.0 + 48.0)
        );
        assert_eq!(gpu_days(&two, &[devices("16 × H200", 3)], None), None, "of the first nothing is known");
        assert_eq!(gpu_days(&two, &[devices("2 × CPU thread", 0)], Some(64)), Some(0.0));
    }

    #[test]
    fn what_is_given_changes_and_the_rest_stays() {
        let before = Plan { gpus: Some(64), budget_gpu_days: Some(4480.0), ..Plan::default() };
        let after = merged(&before, &Plan { gpus: Some(128), ..Plan::default() });
        assert_eq!(after, Plan { gpus: Some(128), ..before });
        for wrong in [
            Plan::default(),
            Plan { gpus: Some(0), ..Plan::default() },
            Plan { budget_gpu_days: Some(f64::NAN), ..Plan::default() },
            Plan { yen_per_gpu_day: Some(-1.0), ..Plan::default() },
        ] {
            assert!(check(&wrong, "").is_err(), "{wrong:?}");
        }
    }
}
