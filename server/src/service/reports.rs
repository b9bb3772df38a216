//! What runs report: metrics exactly once, one process at a time, and what happened.

use sekisho_domain::run::{
    Devices, EventKind, EventStatus, KeptEvent, MOST_NAMES, MetricRow, RunEvent, RunState, Segment,
    is_metric_name,
};
use sekisho_domain::user::{Role, Scope};
use sekisho_domain::wire::{MetricsAccepted, MetricsBatch};
use sekisho_domain::{EventId, Timestamp};
use sekisho_store::{Appended, EventDecision, Run};

use super::runs::find;
use crate::{Actor, App, Noun, WebError};

/// Rows in one metrics batch; a client splits larger ones.
const MAX_ROWS: usize = 10_000;
/// No run makes more updates or sees more tokens: what says so is a mistake, and a curve with it shows nothing else.
const MAX_STEP: u64 = 1_000_000_000;
const MAX_TOKENS: u64 = 1_000_000_000_000_000;
/// How far the clock of a sender may be ahead of ours [s].
const AHEAD: i64 = 300;

/// Takes a batch of metrics exactly once.
///
/// # Errors
/// 400 for too many rows or what cannot be a row; 409 while another process writes the run, and for a number that came before with
/// other rows.
pub async fn metrics(app: &App, run: &Run, batch: &MetricsBatch) -> Result<MetricsAccepted, WebError> {
    check_batch(batch)?;
    let ids = || EventId::new(&*app.clock, &*app.entropy);
    match app.store.append_metrics(run.id, batch, app.now(), &ids).await? {
        Appended::Accepted { proposed } => {
            app.events.publish(format!("run:{}", run.id), if proposed > 0 { "event" } else { "metrics" });
            Ok(MetricsAccepted { accepted: batch.rows.len() as u64, repeated: false })
        }
        Appended::Repeated => Ok(MetricsAccepted { accepted: 0, repeated: true }),
        Appended::Busy(segment) => Err(busy(app, run, &segment)),
        Appended::OtherRows => {
            let MetricsBatch { seq, writer, .. } = batch;
            let detail = format!(
                "Batch {seq} of writer \"{writer}\" was taken before with other rows; nothing was kept. Count seq on with each batch, and let a process that starts again choose another \"writer\"."
            );
            let ja = format!(
                "ライター「{writer}」のバッチ{seq}は、異なる内容で受信済みです。今回の内容は記録していません。seqはバッチごとに1ずつ増やし、プロセスを再起動したときは別の「writer」を指定してください。"
            );
            Err(WebError::conflict("batch-differs", detail).or_ja(ja))
        }
    }
}

/// Somebody else writes this run, and since when.
fn busy(app: &App, run: &Run, segment: &Segment) -> WebError {
    let host = if segment.host.is_empty() { format!("\"{}\"", segment.writer) } else { segment.host.clone() };
    let (name, number) = (&run.name, segment.number);
    let minutes = (segment.patience() / 60.0).ceil();
    let ago = app.now().seconds_since(segment.last_at).max(0.0);
    let since = segment.first_at;
    let detail = format!(
        "{host} has been writing to run {name} since {since} (segment {number}, last report {ago:.0} s ago). If this is another training, register it as a branch. If that process is gone, this one may go on after {minutes:.0} min of silence, or at once by naming it: \"follows\": \"{}\".",
        segment.writer
    );
    let ja = format!(
        "実験 {name} には {host} が {since} から書き込んでいます（区間{number}、最終報告は{ago:.0}秒前）。別の学習であれば分岐として登録してください。そのプロセスが終了している場合は、{minutes:.0}分間報告がなければ続行できます。すぐに続行するには \"follows\": \"{}\" を指定してください。",
        segment.writer
    );
    WebError::conflict("run-busy", detail).or_ja(ja)
}

fn check_batch(batch: &MetricsBatch) -> Result<(), WebError> {
    if batch.rows.len() > MAX_ROWS {
        let detail = format!(
            "The batch has {} rows; at most {MAX_ROWS} are taken at once. Send it in parts.",
            batch.rows.len()
        );
        return Err(WebError::bad_request("batch-size", detail));
    }
    let long = |text: &str| text.len() > 200 || text.chars().any(char::is_control);
    if long(&batch.writer) || long(&batch.host) || long(&batch.follows) {
        let detail = "\"writer\", \"host\" and \"follows\" have at most 200 bytes and no control characters.";
        return Err(WebError::bad_request("batch-writer", detail));
    }
    batch.rows.iter().try_for_each(check_row)
}

fn check_row(row: &MetricRow) -> Result<(), WebError> {
    let (step, tokens) = (row.step.0, row.tokens.0);
    if step > MAX_STEP || tokens > MAX_TOKENS {
        let detail = format!(
            "Step {step} with {tokens} tokens is further than any training goes (at most step {MAX_STEP}, {MAX_TOKENS} tokens); nothing of the batch was kept. Send \"step\" and \"tokens\" as counts from the start of this stage."
        );
        let ja = format!(
            "ステップ{step}（{tokens}トークン）は、学習の範囲を超えています（上限はステップ{MAX_STEP}、{MAX_TOKENS}トークン）。このバッチは記録していません。「step」と「tokens」には、この段階の開始からの数を指定してください。"
        );
        return Err(WebError::refused("metrics-future", detail).or_ja(ja));
    }
    if row.more.len() > MOST_NAMES {
        let detail = format!(
            "Step {step} has {} metrics of its own names; at most {MOST_NAMES} are kept.",
            row.more.len()
        );
        return Err(WebError::bad_request("metric-names", detail));
    }
    if let Some(name) = row.more.keys().find(|name| !is_metric_name(name)) {
        let shown = name.escape_debug();
        let detail = format!(
            "\"{shown}\" (step {step}) cannot name a metric: use 1 to 64 bytes without spaces, commas, quotes and control characters."
        );
        return Err(WebError::bad_request("metric-name", detail));
    }
    Ok(())
}

/// Takes an event; those that say how the run stands also change its state.
///
/// # Errors
/// 400 for an event of kind `devices` whose note does not say what computes, 422 for one of the future.
pub async fn event(app: &App, run: &Run, event: &RunEvent, by: &str) -> Result<(), WebError> {
    if event.kind == EventKind::Devices {
        event.note.parse::<Devices>().map_err(|error| {
            let ja = format!(
                "計算デバイスを「{}」から読み取れません。「64 × NVIDIA H200」「2 × CPU thread」のように、個数、×、名前の順に記載してください。",
                event.note
            );
            WebError::bad_request("run-event", format!("{error}.")).or_ja(ja)
        })?;
    }
    let now = app.now();
    not_of_the_future(event, now)?;
    let id = EventId::new(&*app.clock, &*app.entropy);
    app.store.add_event(run.id, id, event, by, now).await?;
    let state = match event.kind {
        EventKind::Started | EventKind::Resumed => Some(RunState::Running),
        EventKind::Finished => Some(RunState::Finished),
        EventKind::Failed => Some(RunState::Failed),
        _ => None,
    };
    if let Some(state) = state {
        app.store.set_run_state(run.id, state, now).await?;
        // The last checkpoint of a finished run is evaluated whatever its step is.
        app.ingest.notify_one();
    }
    app.events.publish(format!("run:{}", run.id), "event");
    Ok(())
}

fn not_of_the_future(event: &RunEvent, now: Timestamp) -> Result<(), WebError> {
    let at = event.at.unwrap_or(now);
    if at <= now.plus_seconds(AHEAD) && event.step.0 <= MAX_STEP {
        return Ok(());
    }
    let step = event.step.0;
    let detail = format!(
        "The event \"{}\" at step {step} is dated {at}, and it is {now} here: an event is at most {AHEAD} s ahead and at most at step {MAX_STEP}. Set the clock of the sender, or leave \"at\" out.",
        event.kind
    );
    let ja = format!(
        "イベント「{}」（ステップ{step}）の日時は{at}ですが、現在は{now}です。{AHEAD}秒を超えて先の日時や、{MAX_STEP}を超えるステップは受け付けません。送信元の時計を合わせるか、「at」を省略してください。",
        event.kind
    );
    Err(WebError::refused("event-future", detail).or_ja(ja))
}

/// An event of a run.
///
/// # Errors
/// 404.
pub async fn find_event(app: &App, run: &Run, key: &str) -> Result<KeptEvent, WebError> {
    let id: EventId = key.parse().map_err(|_| WebError::not_found(Noun::Event, key))?;
    app.store.event(run.id, id).await?.ok_or_else(|| WebError::not_found(Noun::Event, key))
}

/// Confirms or dismisses an event, or notes what it was.
///
/// # Errors
/// 403, 404, 412 when somebody else did so meanwhile.
pub async fn decide(
    app: &App,
    actor: &Actor,
    (run, event): (&str, &str),
    version: u64,
    status: EventStatus,
    remark: &str,
) -> Result<KeptEvent, WebError> {
    let run = find(app, run).await?;
    actor.require_in(&run.project, &[Role::Contributor, Role::Evaluator], Scope::Ingest)?;
    let event = find_event(app, &run, event).await?;
    if remark.chars().count() > 2000 {
        return Err(WebError::bad_request("event-remark", "A note has at most 2,000 characters."));
    }
    let decision = EventDecision {
        status,
        remark: remark.trim().to_owned(),
        by: actor.user.name.clone(),
        at: app.now(),
    };
    app.store.decide_event(run.id, event.id, version, &decision).await?;
    app.events.publish(format!("run:{}", run.id), "event");
    find_event(app, &run, &event.id.to_string()).await
}
