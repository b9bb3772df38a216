use sekisho_domain::evaluation::TaskRun;
use serde::Deserialize;

use crate::catalog::Catalog;
use crate::means::MeanDefinition;
use crate::{Metric, Reported};

/// Columns that are read together on a leaderboard. The scores may come from several evaluations of a checkpoint, and from elsewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Preset {
    /// Its name, in URLs.
    pub name: String,
    /// Name shown to people, English.
    pub title_en: String,
    /// Name shown to people, Japanese.
    pub title_ja: String,
    /// Its columns, in order.
    pub tasks: Vec<TaskRun>,
    /// Those of its columns that this program cannot run.
    pub absent: Vec<AbsentTask>,
    /// A mean of category means that takes the place of the plain mean.
    pub mean: Option<MeanDefinition>,
}

/// A task that others publish scores of and that this program cannot run.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AbsentTask {
    /// Versioned profile; of a harness that is not here its usual name.
    pub profile: String,
    /// The harness's own task id.
    pub task: String,
    /// Name shown to people, English.
    pub title_en: String,
    /// Name shown to people, Japanese.
    pub title_ja: String,
    /// What is published of it.
    pub metric: String,
    /// Why it cannot be run here, for those who read the file.
    pub because: String,
}

/// The file of a preset.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PresetFile {
    name: String,
    title_en: String,
    title_ja: String,
    /// The columns of a suite instead of a list.
    #[serde(default)]
    suite: Option<String>,
    /// A mean of that suite.
    #[serde(default)]
    mean: Option<String>,
    #[serde(default, rename = "task")]
    tasks: Vec<TaskRun>,
    #[serde(default)]
    absent: Vec<AbsentTask>,
}

impl PresetFile {
    /// The preset, or the first rule that its file breaks.
    pub(crate) fn resolve(self, catalog: &Catalog) -> Result<Preset, String> {
        let Self { name, title_en, title_ja, suite, mean, mut tasks, absent } = self;
        let suite = match suite {
            Some(suite) if tasks.is_empty() => {
                Some(catalog.suite(&suite).map_err(|error| error.to_string())?)
            }
            Some(_) => return Err("give a suite or a list of tasks, not both".to_owned()),
            None => None,
        };
        if let Some(suite) = suite {
            tasks.clone_from(&suite.tasks);
        }
        let definition = match (suite, mean) {
            (_, None) => None,
            (Some(suite), Some(wanted)) => {
                let found = suite.means.iter().find(|mean| mean.name == wanted).cloned();
                Some(found.ok_or_else(|| format!("suite \"{}\" has no mean \"{wanted}\"", suite.name))?)
            }
            (None, Some(wanted)) => return Err(format!("mean \"{wanted}\" needs the suite that defines it")),
        };
        for run in &tasks {
            let is_absent = absent.iter().any(|a| (&a.profile, &a.task) == (&run.profile, &run.task));
            match catalog.find(&run.profile, &run.task) {
                Ok(_) if is_absent => return Err(format!("\"{}\" is not absent", run.task)),
                Ok(definition) => {
                    let _ = definition.split_of(run).map_err(|error| error.to_string())?;
                }
                Err(error) if !is_absent => return Err(error.to_string()),
                Err(_) => {}
            }
        }
        if tasks.is_empty() {
            return Err("it has no task".to_owned());
        }
        Ok(Preset { name, title_en, title_ja, tasks, absent, mean: definition })
    }
}

impl Catalog {
    /// What a task's primary score is measured in, and what it is divided by where it enters a mean: that of its definition, or of a
    /// preset that names it as absent. None of a task that neither knows.
    #[must_use]
    pub fn published_metric(&self, profile: &str, task: &str) -> Option<(String, f64)> {
        if let Ok(definition) = self.find(profile, task) {
            return Some((definition.primary.to_string(), definition.primary.metric.scale()));
        }
        let mut absent = self.presets().iter().flat_map(|preset| &preset.absent);
        let found = absent.find(|a| (a.profile.as_str(), a.task.as_str()) == (profile, task))?;
        let ours = Reported::try_from(found.metric.clone()).ok().map(|reported| reported.metric);
        Some((found.metric.clone(), ours.map_or(1.0, Metric::scale)))
    }

    /// Whether two runs of one task ask the same items with the same number of shots: the default number may be written or left out.
    #[must_use]
    pub fn same_run(&self, a: &TaskRun, b: &TaskRun) -> bool {
        let shots = |run: &TaskRun| match self.find(&run.profile, &run.task) {
            Ok(definition) => Some(definition.shots_of(run)),
            Err(_) => run.shots,
        };
        (&a.profile, &a.task, &a.split, a.limit) == (&b.profile, &b.task, &b.split, b.limit)
            && shots(a) == shots(b)
    }
}
