//! What a run is trained on: each subset with its tokens so far, how often it has been seen, and the level that the registry has for it.

use sekisho_domain::lineage::Level;
use sekisho_domain::run::MetricRow;
use sekisho_store::{Run, SubsetChange};

use super::parts::Cell;
use super::run_load::Facts;
use crate::service::corpora::{self, Claim, Portion};
use crate::web::format;
use crate::web::frame::{Frame, encode};
use crate::web::i18n::Words as _;
use crate::{App, WebError};

/// A subset of the mix.
pub(super) struct Subset {
    pub(super) claim: Claim,
    /// Of the tokens so far.
    pub(super) so_far: Option<Portion>,
    /// Of the planned ones.
    pub(super) planned: Option<Portion>,
    /// What the registry says: level and licence; none where it is not registered.
    pub(super) registered: Option<(Option<Level>, Option<String>)>,
    /// The level at the run's registration, where it is another one by now.
    pub(super) before: Option<Level>,
}

/// The subsets of a run's own mix.
pub(super) async fn load(app: &App, run: &Run) -> Result<Vec<Subset>, WebError> {
    let Some(spec) = &run.spec else { return Ok(Vec::new()) };
    let registry = app.store.subsets().await?;
    let sizes = corpora::sizes(&registry);
    let so_far = corpora::portions(spec, run.tokens, &sizes);
    let planned = corpora::portions(spec, corpora::total(run), &sizes);
    let mut subsets = Vec::new();
    for claim in corpora::claims(spec) {
        let of =
            |portions: &[Portion]| portions.iter().find(|portion| portion.subset == claim.subset).cloned();
        let there = registry.iter().find(|found| found.subset.id == claim.subset).map(|found| &found.subset);
        let changes = match there {
            Some(_) => app.store.subset_changes(&claim.subset).await?,
            None => Vec::new(),
        };
        let now = there.and_then(|subset| subset.level);
        subsets.push(Subset {
            so_far: of(&so_far),
            planned: of(&planned),
            registered: there.map(|subset| (subset.level, subset.license.clone())),
            before: level_at(&changes, run).filter(|before| Some(*before) != now),
            claim,
        });
    }
    Ok(subsets)
}

/// The level that held when the run was registered.
fn level_at(changes: &[SubsetChange], run: &Run) -> Option<Level> {
    changes.iter().rev().find(|change| change.at <= run.created).and_then(|change| change.level)
}

/// A row of the table.
pub(super) struct DataRow {
    pub(super) name: String,
    pub(super) href: Option<String>,
    /// `12.5B / 40B`.
    pub(super) tokens: Cell,
    pub(super) share: Cell,
    /// `0.4 / 1.2`.
    pub(super) repeats: Cell,
    pub(super) level: Cell,
    /// `L1 → L3`, where it has changed since the run was registered.
    pub(super) changed: Option<String>,
    pub(super) license: Cell,
    /// The last loss that the trainer reported for it.
    pub(super) loss: Cell,
}

pub(super) fn rows(frame: &Frame, facts: &Facts) -> Vec<DataRow> {
    facts.data.iter().map(|subset| row(frame, subset, &facts.rows)).collect()
}

fn row(frame: &Frame, subset: &Subset, rows: &[MetricRow]) -> DataRow {
    let of = |value: fn(&Portion) -> Option<String>| {
        let so_far = subset.so_far.as_ref().and_then(value);
        let planned = subset.planned.as_ref().and_then(value);
        match (so_far, planned) {
            (Some(now), Some(all)) => Some(format!("{now} / {all}")),
            (None, Some(all)) => Some(format!("0 / {all}")),
            (now, None) => now,
        }
    };
    let unknown = frame.t("run_data.unknown");
    let name = &subset.claim.subset;
    let (level, license) = subset.registered.clone().unwrap_or_default();
    let metric = format!("loss/{name}");
    let loss = rows.iter().rev().find_map(|row| row.get(&metric));
    let now = level.map_or("none", |level| level.as_str());
    DataRow {
        href: subset.registered.is_some().then(|| format!("/corpora/{}", encode(name))),
        tokens: Cell::of(of(|portion| Some(portion.tokens?.short())), unknown),
        share: Cell::of(
            subset.planned.as_ref().and_then(|portion| Some(format::percent(portion.share?, 1.0))),
            unknown,
        ),
        repeats: Cell::of(
            of(|portion| Some(format!("{:.2}", portion.repeats?))),
            frame.t("run_data.no_size"),
        ),
        level: Cell::of(
            level.map(|level| level.to_string()),
            frame.t(if subset.registered.is_some() { "corpora.no_level" } else { "run_data.not_registered" }),
        ),
        changed: subset
            .before
            .map(|before| frame.lang.fill("run_data.changed", &[("from", &before), ("to", &now)])),
        license: Cell::of(license.or_else(|| subset.claim.license.clone()), frame.t("corpora.no_license")),
        loss: Cell::of(loss.filter(|loss| loss.is_finite()).map(format::loss), frame.t("run_data.no_loss")),
        name: name.clone(),
    }
}
