//! Pages as `sekisho export site` takes them (`?site=*`, or `?site=RUN,RUN` for some runs only): without what needs a service or a
//! reader, and without what may not be handed on. Whoever may read a page may read it so too: there is less on it.

use std::collections::BTreeSet;

use sekisho_domain::RunId;
use sekisho_store::Run;

use super::frame::Frame;
use crate::service::releases::without_places;
use crate::service::{corpora, runs};
use crate::{App, Noun, WebError};

/// The value of `site` that stands for every run that may be handed on.
const ALL: &str = "*";

/// What an export asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Site {
    /// The runs that it is about; all when there are none.
    only: Vec<String>,
}

impl Site {
    /// From the value of `site`.
    pub(super) fn of(value: &str) -> Self {
        let names = value.split(',').filter(|name| !name.is_empty() && *name != ALL);
        Self { only: names.map(ToOwned::to_owned).collect() }
    }

    fn takes(&self, run: &Run) -> bool {
        self.only.is_empty() || self.only.contains(&run.name)
    }
}

impl Frame {
    /// Whether the page is made for an export.
    pub(crate) const fn is_frozen(&self) -> bool {
        self.site.is_some()
    }

    /// The runs that an export has nothing of: those that it is not about. For readers that is none.
    pub(crate) async fn aside(&self, app: &App) -> Result<BTreeSet<RunId>, WebError> {
        let Some(site) = self.site.as_ref().filter(|site| !site.only.is_empty()) else {
            return Ok(BTreeSet::new());
        };
        let mut wanted = BTreeSet::new();
        for name in &site.only {
            wanted.insert(runs::find(app, name).await?.id);
        }
        let all = app.store.runs(u32::MAX).await?;
        Ok(all.into_iter().map(|run| run.id).filter(|id| !wanted.contains(id)).collect())
    }

    /// Of these runs those that the page may name: all of them for readers; in an export those that it is about, and none that descends
    /// from an LZ subset.
    pub(crate) async fn named(&self, app: &App, mut all: Vec<Run>) -> Result<Vec<Run>, WebError> {
        if let Some(site) = &self.site {
            let barred = corpora::barred_runs(app).await?;
            all.retain(|run| site.takes(run) && !barred.contains_key(&run.id));
        }
        Ok(all)
    }

    /// The run of a page: as it is for readers; in an export without the places of its files, and refused where it may not be in one.
    ///
    /// # Errors
    /// 404 for a run that the export is not about, 403 `level-forbids-use`.
    pub(crate) async fn shown(&self, app: &App, mut run: Run) -> Result<Run, WebError> {
        let Some(site) = &self.site else { return Ok(run) };
        if !site.takes(&run) {
            return Err(WebError::not_found(Noun::Run, &run.name));
        }
        corpora::may_use(app, run.clone()).await?;
        if let Some(spec) = &mut run.spec {
            without_places(spec);
        }
        Ok(run)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::web::pages::fixtures;

    #[test]
    fn an_export_is_about_every_run_or_about_those_that_it_names() {
        let run = fixtures::run();
        for (value, takes) in [("*", true), ("", true), (run.name.as_str(), true), ("other", false)] {
            assert_eq!(Site::of(value).takes(&run), takes, "{value}");
        }
        assert!(Site::of(&format!("other,{}", run.name)).takes(&run));
    }
}
