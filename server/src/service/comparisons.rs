//! Paired comparison of evaluations on the items that both answered. A comparison reads every record of two evaluations and draws
//! ten thousand times, so it is made once and kept beside the records; finished work never changes.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use sekisho_bench::stats::{paired_mean_of_tasks, tie_groups};
use sekisho_domain::Sha256;
use sekisho_store::ScoreRow;
use serde::{Deserialize, Serialize};

use crate::{App, WebError};

/// What a paired bootstrap of the mean over tasks found.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// Difference of the means, the second minus the first, with its 95 % interval.
    pub difference: f64,
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
    /// Two-sided p-value of no difference.
    pub p: f64,
}

/// Per task the items with their primary values, in the order of the items.
type Values = Arc<Vec<Vec<(u64, f64)>>>;

/// The primary scores of a complete evaluation, in suite order.
pub type Primary = Vec<ScoreRow>;

/// Compares two evaluations; none where they did not answer the same items of the same tasks.
///
/// # Errors
/// When store or blobs fail.
pub async fn paired(app: &App, first: &Primary, second: &Primary) -> Result<Option<Comparison>, WebError> {
    let mut page = Page { app, rows: &[first.clone(), second.clone()], values: HashMap::new() };
    Ok(page.against_all_below(0).await?.remove(&1).flatten())
}

/// Groups of rows that a ranking cannot tell apart, the number of each row's group from 0. `rows` are in the order of their means
/// and all made under the same settings.
///
/// # Errors
/// When store or blobs fail.
pub async fn ties(app: &App, rows: &[Primary]) -> Result<Vec<usize>, WebError> {
    let mut page = Page { app, rows, values: HashMap::new() };
    let mut known: HashMap<usize, HashMap<usize, Option<Comparison>>> = HashMap::new();
    loop {
        // The leader of a group is known when the group before it is, so each turn finds one.
        let mut wanted = None;
        let groups = tie_groups(rows.len(), |leader, row| match known.get(&leader) {
            Some(found) => found.get(&row).copied().flatten().map(|comparison| comparison.p),
            None => {
                wanted = wanted.or(Some(leader));
                None
            }
        });
        let Some(leader) = wanted else { return Ok(groups) };
        known.insert(leader, page.against_all_below(leader).await?);
    }
}

/// Rows that are compared with each other.
struct Page<'a> {
    app: &'a App,
    rows: &'a [Primary],
    /// By row, once they were read.
    values: HashMap<usize, Values>,
}

impl Page<'_> {
    /// The comparisons of a row with each one after it, from the blob that keeps what that row was compared with, or made now.
    async fn against_all_below(
        &mut self,
        leader: usize,
    ) -> Result<HashMap<usize, Option<Comparison>>, WebError> {
        let key = format!("comparisons/{}.json", self.identity(leader));
        let kept = self.app.blobs.get(&key).await?;
        let mut kept: BTreeMap<String, Option<Comparison>> =
            kept.and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default();
        let mut jobs = Vec::new();
        for row in leader + 1..self.rows.len() {
            if !kept.contains_key(&self.identity(row)) {
                let (a, b) = (self.values_of(leader).await?, self.values_of(row).await?);
                jobs.push((row, tokio::task::spawn_blocking(move || compare(&a, &b))));
            }
        }
        let is_new = !jobs.is_empty();
        for (row, job) in jobs {
            kept.insert(self.identity(row), job.await.map_err(WebError::internal)?);
        }
        if is_new {
            self.app.blobs.put(&key, serde_json::to_vec(&kept).map_err(WebError::internal)?).await?;
        }
        let below = leader + 1..self.rows.len();
        Ok(below.map(|row| (row, kept.get(&self.identity(row)).copied().flatten())).collect())
    }

    /// Names the answers of a row: its work items and the metrics that were read of them.
    fn identity(&self, row: usize) -> String {
        let parts: Vec<String> =
            self.rows[row].iter().map(|score| format!("{} {}", score.work, score.entry.metric)).collect();
        Sha256::of(parts.join("\n")).hex()
    }

    async fn values_of(&mut self, row: usize) -> Result<Values, WebError> {
        if let Some(values) = self.values.get(&row) {
            return Ok(values.clone());
        }
        let mut tasks = Vec::with_capacity(self.rows[row].len());
        for score in &self.rows[row] {
            let records = super::evaluations::records(self.app, score.work).await?;
            let value = |r: &sekisho_bench::Record| Some((r.item, *r.score.get(&score.entry.metric)?));
            tasks.push(records.iter().filter_map(value).collect());
        }
        let values: Values = Arc::new(tasks);
        self.values.insert(row, values.clone());
        Ok(values)
    }
}

/// None unless both have the same items in every task.
fn compare(a: &Values, b: &Values) -> Option<Comparison> {
    if a.len() != b.len() {
        return None;
    }
    let task = |(a, b): (&Vec<(u64, f64)>, &Vec<(u64, f64)>)| {
        let same = a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.0 == b.0);
        let values = |task: &[(u64, f64)]| task.iter().map(|(_, value)| *value).collect::<Vec<f64>>();
        same.then(|| (values(a), values(b)))
    };
    let tasks: Vec<_> = a.iter().zip(b.iter()).map(task).collect::<Option<_>>()?;
    let found = paired_mean_of_tasks(&tasks)?;
    Some(Comparison {
        difference: found.difference.value,
        low: found.difference.low,
        high: found.difference.high,
        p: found.p,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_same_items_are_compared() {
        let values = |offset: u64, right: usize| -> Values {
            let value = |i: usize| (offset + i as u64, f64::from(u8::from(i < right)));
            Arc::new(vec![(0..100).map(value).collect()])
        };
        let found = compare(&values(0, 20), &values(0, 60)).expect("the same items");
        assert!((found.difference - 0.4).abs() < 1e-9 && found.p < 0.01 && found.low > 0.0, "{found:?}");
        assert_eq!(compare(&values(0, 20), &values(1, 60)), None);
        assert_eq!(compare(&values(0, 20), &Arc::new(Vec::new())), None);
    }
}
