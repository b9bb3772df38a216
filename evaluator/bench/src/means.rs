use sekisho_domain::evaluation::TaskRun;
use serde::Deserialize;

use crate::catalog::Suite;
use crate::stats::mean;

/// A mean of category means that a harness reports under a name of its own, e.g. `AVR`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MeanDefinition {
    /// The harness's name for it.
    pub name: String,
    /// What it is the unweighted mean of.
    #[serde(rename = "category")]
    pub categories: Vec<Category>,
}

/// Tasks whose unweighted mean is a category's value.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Category {
    /// The harness's name for it.
    pub name: String,
    /// Its tasks that the suite runs.
    #[serde(default)]
    pub tasks: Vec<String>,
    /// Its tasks that the suite cannot run, because this program does not have them.
    #[serde(default)]
    pub absent: Vec<String>,
}

/// A category or a mean of categories over the scores there are.
#[derive(Clone, Debug, PartialEq)]
pub struct NamedMean {
    /// The harness's name.
    pub name: String,
    /// The mean of what is there, 0–1; none of nothing. A mean of categories takes only those that are complete.
    pub value: Option<f64>,
    /// Tasks, or complete categories, that are there.
    pub done: usize,
    /// Tasks, or categories, that belong to it.
    pub of: usize,
}

impl NamedMean {
    /// Whether nothing is missing: only then it may be put beside a published value, or be ranked.
    #[must_use]
    pub const fn is_complete(&self) -> bool {
        self.done == self.of
    }

    /// The name as it is shown: that of the harness when nothing is missing, else with what is there: `AVG (6/9)`.
    #[must_use]
    pub fn label(&self) -> String {
        if self.is_complete() {
            self.name.clone()
        } else {
            format!("{} ({}/{})", self.name, self.done, self.of)
        }
    }
}

/// The named means of a suite, each after its categories. `value` gives the primary score of a run, divided by
/// [`Metric::scale`](crate::Metric::scale), or none where there is none yet.
pub fn means(suite: &Suite, value: &dyn Fn(&TaskRun) -> Option<f64>) -> Vec<NamedMean> {
    let of = |definition: &MeanDefinition| {
        let (mut all, mean) = definition.over(&suite.tasks, value);
        all.push(mean);
        all
    };
    suite.means.iter().flat_map(of).collect()
}

fn category_mean(
    tasks: &[TaskRun],
    category: &Category,
    value: &dyn Fn(&TaskRun) -> Option<f64>,
) -> NamedMean {
    let of_task = |task: &String| value(tasks.iter().find(|run| run.task == *task)?);
    let there: Vec<f64> = category.tasks.iter().filter_map(of_task).collect();
    NamedMean {
        name: category.name.clone(),
        value: mean(&there),
        done: there.len(),
        of: category.tasks.len() + category.absent.len(),
    }
}

impl MeanDefinition {
    /// The categories over these tasks, and their mean. `value` as for [`means`].
    pub fn over(
        &self,
        tasks: &[TaskRun],
        value: &dyn Fn(&TaskRun) -> Option<f64>,
    ) -> (Vec<NamedMean>, NamedMean) {
        let categories: Vec<NamedMean> =
            self.categories.iter().map(|category| category_mean(tasks, category, value)).collect();
        let complete: Vec<f64> =
            categories.iter().filter(|c| c.is_complete()).filter_map(|c| c.value).collect();
        let mean = NamedMean {
            name: self.name.clone(),
            value: mean(&complete),
            done: complete.len(),
            of: categories.len(),
        };
        (categories, mean)
    }

    /// The first rule that the mean breaks in its suite, as a sentence.
    pub(crate) fn contradiction(&self, suite: &Suite) -> Option<String> {
        let runs = |task: &str| suite.tasks.iter().filter(|run| run.task == task).count();
        for category in &self.categories {
            let place = format!("category \"{}\" of mean \"{}\"", category.name, self.name);
            if category.tasks.is_empty() && category.absent.is_empty() {
                return Some(format!("{place} has no task"));
            }
            if let Some(task) = category.tasks.iter().find(|task| runs(task) != 1) {
                return Some(format!(
                    "{place}: the suite runs \"{task}\" {} times; a category is made of tasks that run once, others stand under absent",
                    runs(task)
                ));
            }
            if let Some(task) = category.absent.iter().find(|task| runs(task) > 0) {
                return Some(format!("{place}: \"{task}\" is not absent, the suite runs it"));
            }
        }
        None
    }
}
