//! `/search`: from an id, the beginning of a digest, a name or a step to the page that it means.

use std::ops::RangeInclusive;

use askama::Template;
use axum::extract::State;
use axum::response::{IntoResponse as _, Redirect, Response};
use sekisho_domain::{CheckpointId, EvaluationId, ReleaseId, RunId, Timestamp};
use sekisho_store::{Checkpoint, Release, Run};

use super::parts::{self, When};
use crate::web::frame::Frame;
use crate::web::i18n::Words as _;
use crate::{App, WebError};

/// Things of one kind on the page.
const EACH: u32 = 20;
/// Releases that are looked through.
const RELEASES: u32 = 200;
/// Fewer hexadecimal digits are a word as well.
const DIGITS: usize = 6;

#[derive(Template)]
#[template(path = "search/search.html")]
struct SearchPage {
    frame: Frame,
    how: Vec<String>,
    asked: String,
    found: Vec<Found>,
}

struct Found {
    href: String,
    kind: &'static str,
    what: String,
    note: String,
    when: When,
}

/// `GET /search?q=…`. What is found alone is shown at once.
pub(crate) async fn show(State(app): State<App>, frame: Frame) -> Result<Response, WebError> {
    let asked = frame.param("q").unwrap_or_default().trim().to_owned();
    let found = if asked.is_empty() { Vec::new() } else { find(&app, &frame, &asked).await? };
    if let [only] = found.as_slice() {
        return Ok(Redirect::to(&only.href).into_response());
    }
    parts::page(&page(frame, asked, found))
}

fn page(frame: Frame, asked: String, found: Vec<Found>) -> SearchPage {
    let how = ["sekisho run list", "sekisho checkpoint list RUN", "GET /search?q=…"];
    SearchPage { how: how.map(ToOwned::to_owned).to_vec(), frame, asked, found }
}

async fn find(app: &App, frame: &Frame, asked: &str) -> Result<Vec<Found>, WebError> {
    let by_id = by_id(app, frame, asked).await?;
    if !by_id.is_empty() {
        return Ok(by_id);
    }
    let mut found: Vec<Found> =
        app.store.runs_like(asked, EACH).await?.into_iter().map(|run| of_run(frame, &run)).collect();
    let name = asked.to_lowercase();
    let releases = app.store.releases(RELEASES).await?;
    let named = releases.iter().filter(|release| release.name.to_lowercase().contains(&name));
    found.extend(named.map(|release| of_release(frame, release)));
    let mut checkpoints: Vec<Checkpoint> = Vec::new();
    if let Some(prefix) = digest_prefix(asked) {
        checkpoints.extend(app.store.checkpoints_by_digest_prefix(&prefix, EACH).await?);
    }
    if let Some(steps) = steps(asked) {
        checkpoints.extend(app.store.checkpoints_at(steps, EACH).await?);
    }
    checkpoints.dedup_by_key(|checkpoint| checkpoint.id);
    found.extend(checkpoints.iter().map(|checkpoint| of_checkpoint(frame, checkpoint)));
    Ok(found)
}

async fn by_id(app: &App, frame: &Frame, asked: &str) -> Result<Vec<Found>, WebError> {
    let asked = asked.to_lowercase();
    let mut found = Vec::new();
    if let Ok(id) = asked.parse::<RunId>() {
        found.extend(app.store.run(id).await?.map(|run| of_run(frame, &run)));
    }
    if let Ok(id) = asked.parse::<CheckpointId>() {
        found.extend(app.store.checkpoint(id).await?.map(|checkpoint| of_checkpoint(frame, &checkpoint)));
    }
    if let Ok(id) = asked.parse::<EvaluationId>() {
        let evaluation = app.store.evaluation(id).await?;
        found.extend(evaluation.map(|evaluation| Found {
            href: format!("/evals/{}", evaluation.id),
            kind: frame.t("nav.evaluation"),
            what: evaluation.suite.clone(),
            note: String::new(),
            when: frame.when(evaluation.updated),
        }));
    }
    if let Ok(id) = asked.parse::<ReleaseId>() {
        found.extend(app.store.release(id).await?.map(|release| of_release(frame, &release)));
    }
    Ok(found)
}

fn of_run(frame: &Frame, run: &Run) -> Found {
    let state = frame.word("run_state", run.state);
    named(frame, format!("/runs/{}", run.name), frame.t("runs.run"), (&run.name, state), run.updated)
}

/// Something that has a name and a state.
fn named(frame: &Frame, href: String, kind: &'static str, what: (&str, &str), at: Timestamp) -> Found {
    let (name, state) = what;
    Found { href, kind, what: name.to_owned(), note: state.to_owned(), when: frame.when(at) }
}

fn of_checkpoint(frame: &Frame, checkpoint: &Checkpoint) -> Found {
    let step = frame.lang.fill("run.at_step", &[("step", &checkpoint.step)]);
    Found {
        href: format!("/checkpoints/{}", checkpoint.id),
        kind: frame.t("nav.checkpoint"),
        what: format!("{} · {step}", checkpoint.run_name),
        note: checkpoint.verification.as_ref().map_or_else(String::new, |found| found.digest.short()),
        when: frame.when(checkpoint.created),
    }
}

fn of_release(frame: &Frame, release: &Release) -> Found {
    let state = frame.word("release_state", release.state);
    let href = format!("/releases/{}", release.id);
    named(frame, href, frame.t("nav.releases"), (&release.name, state), release.updated)
}

/// `sha256:3fa9…`, `3fa9c1…`.
fn digest_prefix(asked: &str) -> Option<String> {
    let digits = asked.to_lowercase();
    let digits = digits.strip_prefix("sha256:").unwrap_or(&digits);
    let fits = (DIGITS..=64).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_hexdigit());
    fits.then(|| digits.to_owned())
}

/// `242000`, `242,000`, `iter_0242000`, `step-000200`; `242k` is every step that would be written so.
fn steps(asked: &str) -> Option<RangeInclusive<u64>> {
    let text = asked.to_lowercase().replace(',', "");
    let number = text.rsplit(['_', '-']).next().unwrap_or(&text);
    let is_prefixed = number.len() < text.len();
    if is_prefixed
        && !["iter", "step", "checkpoint", "global_step"].iter().any(|begin| text.starts_with(begin))
    {
        return None;
    }
    let (digits, unit) = match number.strip_suffix('k') {
        Some(digits) => (digits, 1_000),
        None => (number, 1),
    };
    let first = digits.parse::<u64>().ok()?.checked_mul(unit)?;
    (first <= i64::MAX as u64 / 2).then(|| first..=first + unit - 1)
}

#[cfg(test)]
pub(super) fn samples(frame: &Frame) -> Vec<String> {
    use super::fixtures;
    let found = || {
        vec![
            of_run(frame, &fixtures::run_facts(5).run),
            of_checkpoint(frame, &fixtures::refused_checkpoint()),
            of_release(frame, &fixtures::release()),
        ]
    };
    [page(frame.clone(), "v4".to_owned(), found()), page(frame.clone(), "<v5>".to_owned(), Vec::new())]
        .map(|page| page.render().expect("renders"))
        .to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_read_as_people_and_trainers_write_them() {
        for asked in ["242000", "242,000", "iter_0242000", "step-242000", "global_step_242000"] {
            assert_eq!(steps(asked), Some(242_000..=242_000), "{asked}");
        }
        assert_eq!(steps("242k"), Some(242_000..=242_999));
        assert_eq!(steps("iter_242k"), Some(242_000..=242_999));
        for asked in ["v4-8", "k", "", "18446744073709551615", "-5"] {
            assert_eq!(steps(asked), None, "{asked}");
        }
    }

    #[test]
    fn a_digest_may_be_cut_short() {
        assert_eq!(digest_prefix("SHA256:3FA9c1").as_deref(), Some("3fa9c1"));
        assert_eq!((digest_prefix("3fa9"), digest_prefix("v4-8b-exp2")), (None, None));
    }
}
