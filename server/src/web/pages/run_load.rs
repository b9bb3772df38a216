//! What a run's page is made from: only what the part of it that is asked for shows.

use sekisho_domain::Step;
use sekisho_domain::reported::ReportedModel;
use sekisho_domain::run::{KeptEvent, MetricRow, Planned, Segment};
use sekisho_foreign::Warning;
use sekisho_store::{Checkpoint, Run};

use super::run::Tab;
use super::run_data::{self, Subset};
use super::scored::Scored;
use crate::service::cleanup::{self, Reasons};
use crate::service::comparisons::{self, Comparison, Primary};
use crate::service::lineage::{self, Fork};
use crate::service::{evaluations, plans, registrations, reported, runs};
use crate::web::frame::Frame;
use crate::{App, WebError};

/// Updates before the last one whose rows say how fast the run goes.
const RECENT: u64 = 1000;

/// Everything that the page is made from.
pub(super) struct Facts {
    pub(super) run: Run,
    /// The suite whose scores are shown.
    pub(super) suite: String,
    /// How the newest complete mean differs from the one before it, where both may be compared.
    pub(super) change: Option<Comparison>,
    pub(super) rows: Vec<MetricRow>,
    /// Whether `rows` are the last ones, and some of a day before, and not all.
    pub(super) is_partial: bool,
    pub(super) events: Vec<KeptEvent>,
    pub(super) segments: Vec<Segment>,
    /// Newest first.
    pub(super) plans: Vec<Planned>,
    /// The run that it goes on from, with the rows up to there.
    pub(super) fork: Option<(Fork, Vec<MetricRow>)>,
    /// Runs that go on from it.
    pub(super) branches: Vec<Run>,
    /// By step.
    pub(super) scored: Vec<Scored>,
    /// Why the checkpoints are kept, where that is shown.
    pub(super) kept: Option<Reasons>,
    /// What others published.
    pub(super) reported: Vec<ReportedModel>,
    /// What to look at in its specification.
    pub(super) warnings: Vec<Warning>,
    /// The run that its settings are held against.
    pub(super) other: Option<Run>,
    /// The subsets that it is trained on.
    pub(super) data: Vec<Subset>,
}

impl Facts {
    /// What every part shows.
    async fn of(app: &App, run: Run) -> Result<Self, WebError> {
        Ok(Self {
            suite: evaluations::suite_of(app, &run).to_owned(),
            events: app.store.events(run.id).await?,
            segments: app.store.segments(run.id).await?,
            change: None,
            rows: Vec::new(),
            is_partial: true,
            plans: Vec::new(),
            fork: None,
            branches: Vec::new(),
            scored: Vec::new(),
            kept: None,
            reported: Vec::new(),
            warnings: Vec::new(),
            other: None,
            data: Vec::new(),
            run,
        })
    }

    /// The scores of its checkpoints.
    async fn with_scores(mut self, app: &App) -> Result<Self, WebError> {
        let mut checkpoints = app.store.checkpoints_of_run(self.run.id).await?;
        checkpoints.sort_by_key(|c| c.step);
        self.scored = Scored::load_all(app, checkpoints, &self.suite).await?;
        self.change = match last_two(&self.scored) {
            Some((before, last)) => comparisons::paired(app, &before, &last).await?,
            None => None,
        };
        Ok(self)
    }

    /// All of its rows, and those of the run that it left.
    async fn with_rows(mut self, app: &App) -> Result<Self, WebError> {
        self.rows = app.store.metrics(self.run.id).await?;
        self.is_partial = false;
        if let Some((fork, rows)) = &mut self.fork {
            *rows = app.store.metrics_between(fork.parent.id, Step(0), fork.step).await?;
        }
        Ok(self)
    }

    /// The run that it left.
    async fn with_fork(mut self, app: &App) -> Result<Self, WebError> {
        self.fork = lineage::fork(app, &self.run).await?.map(|fork| (fork, Vec::new()));
        Ok(self)
    }

    /// The last rows, and some of a day before.
    async fn with_last_rows(mut self, app: &App) -> Result<Self, WebError> {
        let last = self.run.step.0;
        self.rows = rows_until(app, &self.run, last).await?;
        if let Some(usual) = plans::seconds_per_step(&self.rows).filter(|usual| *usual > 0.0) {
            let day = (86_400.0 / usual).ceil() as u64;
            if day > RECENT && day < last {
                let mut older = rows_until(app, &self.run, last - day).await?;
                older.append(&mut self.rows);
                self.rows = older;
            }
        }
        Ok(self)
    }
}

async fn rows_until(app: &App, run: &Run, last: u64) -> Result<Vec<MetricRow>, WebError> {
    let first = Step(last.saturating_sub(RECENT));
    Ok(app.store.metrics_between(run.id, first, Step(last)).await?)
}

/// What a part of the page shows. `with=RUN` holds the settings against another run than the parent.
pub(super) async fn load(app: &App, frame: &Frame, run: Run, tab: Tab) -> Result<Facts, WebError> {
    let mut facts = Facts::of(app, run).await?;
    match tab {
        Tab::Overview => {
            facts = facts.with_scores(app).await?.with_last_rows(app).await?.with_fork(app).await?;
            facts.plans = app.store.plans(facts.run.id).await?;
            facts.branches = frame.named(app, app.store.branches_of(&facts.run).await?).await?;
            facts.reported = reported::all(app).await?;
        }
        Tab::Curves => {
            facts = facts.with_scores(app).await?.with_fork(app).await?;
            // Scores lie where their checkpoints are; rows say where an event and an hour lie.
            let needs_rows = frame.param("x") == Some("hours") || facts.events.iter().any(KeptEvent::holds);
            facts = if needs_rows { facts.with_rows(app).await? } else { facts.with_last_rows(app).await? };
            facts.reported = reported::all(app).await?;
        }
        Tab::Metrics => facts = facts.with_fork(app).await?.with_rows(app).await?,
        Tab::Checkpoints => {
            facts = facts.with_scores(app).await?;
            let all: Vec<Checkpoint> = facts.scored.iter().map(|scored| scored.checkpoint.clone()).collect();
            facts.kept = Some(cleanup::reasons(app, &facts.run, &all).await?);
        }
        Tab::Events => {}
        Tab::Settings => {
            facts.warnings =
                registrations::warnings_of(app, facts.run.spec.as_ref(), facts.run.planned_tokens).await?;
            facts.other = match frame.param("with").map(str::trim).filter(|name| !name.is_empty()) {
                Some(name) => Some(frame.shown(app, runs::find(app, name).await?).await?),
                None => match &facts.run.spec {
                    Some(spec) => runs::parent_of(app, spec).await?,
                    None => None,
                },
            };
        }
        Tab::Data => {
            facts = facts.with_last_rows(app).await?;
            facts.data = run_data::load(app, &facts.run).await?;
        }
        Tab::Log => facts = facts.with_last_rows(app).await?,
    }
    Ok(facts)
}

/// The primary scores of the two newest complete evaluations, if they were made under the same settings.
fn last_two(scored: &[Scored]) -> Option<(Primary, Primary)> {
    let mut complete = scored.iter().rev().filter_map(|s| Some((s, s.primary()?)));
    let ((last, last_scores), (before, before_scores)) = (complete.next()?, complete.next()?);
    (last.settings() == before.settings()).then_some((before_scores, last_scores))
}
