//! Paired comparison of evaluations on the items that both answered. A comparison reads every record of two evaluations and draws
//! ten thousand times, so it is made once and kept beside the records; finished work never changes.

pub mod scaling;
pub mod selection;
pub mod settings;
pub mod sides;
pub mod specs;
pub mod table;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use quick_cache::sync::Cache;
use sekisho_bench::stats::{holm, tie_groups};
use sekisho_bench::{TaskItems, difference_over_tasks};
use sekisho_domain::Sha256;
use sekisho_store::ScoreRow;
use serde::{Deserialize, Serialize};

use super::{computed, evaluations};
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

/// Per task of which more is better the answers under its primary metric.
type Values = Arc<Vec<TaskItems>>;

/// What a row was compared with, by identity.
type Kept = BTreeMap<String, Option<Comparison>>;

/// The primary scores of a complete evaluation, in suite order.
pub type Primary = Vec<ScoreRow>;

/// Compares two evaluations; none where they did not answer the same items of the same tasks.
///
/// # Errors
/// When store or blobs fail.
pub async fn paired(app: &App, first: &Primary, second: &Primary) -> Result<Option<Comparison>, WebError> {
    Ok(against_first(app, &[first.clone(), second.clone()]).await?.pop().flatten())
}

/// Compares the first of these evaluations with each of the others, in their order; none where two did not answer the same items of
/// the same tasks.
///
/// # Errors
/// When store or blobs fail.
pub async fn against_first(app: &App, rows: &[Primary]) -> Result<Vec<Option<Comparison>>, WebError> {
    if rows.len() < 2 {
        return Ok(Vec::new());
    }
    let mut page = Page::of(app, rows);
    let mut found = page.against_all_below(0).await?;
    Ok((1..rows.len()).map(|row| found.remove(&row).flatten()).collect())
}

/// Which rows a ranking cannot tell apart, and the tests that say so.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Ties {
    /// The number of each row's group, from 0.
    pub groups: Vec<usize>,
    /// The leader of each group against each other row of it, and against the leader of the next group.
    pub tests: Vec<TieTest>,
}

/// The leader of a group against a row below it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TieTest {
    /// The leader.
    pub leader: usize,
    /// The row.
    pub row: usize,
    /// What was found; none where they did not answer the same items.
    pub found: Option<Comparison>,
    /// p after Holm's correction over all rows below the leader.
    pub corrected: Option<f64>,
}

/// The ties of late, by the rows that they are of.
#[derive(Debug)]
pub struct Rankings(Cache<Sha256, Arc<Ties>>);

impl Default for Rankings {
    fn default() -> Self {
        const MOST: usize = 256;
        Self(Cache::new(MOST))
    }
}

/// Groups of rows that a ranking cannot tell apart. `rows` are in the order of their means and all made under the same settings.
///
/// # Errors
/// When store or blobs fail.
pub async fn ties(app: &App, rows: &[Primary]) -> Result<Arc<Ties>, WebError> {
    let page = Page::of(app, rows);
    let key = Sha256::of(page.identities.join("\n"));
    if let Some(known) = app.rankings.0.get(&key) {
        return Ok(known);
    }
    let found = Arc::new(found_ties(page).await?);
    app.rankings.0.insert(key, Arc::clone(&found));
    Ok(found)
}

async fn found_ties(mut page: Page<'_>) -> Result<Ties, WebError> {
    let mut known: HashMap<usize, HashMap<usize, Option<Comparison>>> = HashMap::new();
    loop {
        // The leader of a group is known when the group before it is, so each turn finds one.
        let mut wanted = None;
        let groups = tie_groups(page.rows.len(), |leader, row| match known.get(&leader) {
            Some(found) => found.get(&row).copied().flatten().map(|comparison| comparison.p),
            None => {
                wanted = wanted.or(Some(leader));
                None
            }
        });
        let Some(leader) = wanted else { return Ok(Ties { tests: tests(&groups, &known), groups }) };
        known.insert(leader, page.against_all_below(leader).await?);
    }
}

/// The tests behind the groups, by leader and row.
fn tests(groups: &[usize], known: &HashMap<usize, HashMap<usize, Option<Comparison>>>) -> Vec<TieTest> {
    let mut tests = Vec::new();
    for leader in (0..groups.len()).filter(|row| *row == 0 || groups[row - 1] != groups[*row]) {
        let Some(found) = known.get(&leader) else { continue };
        let of = |row: usize| found.get(&row).copied().flatten();
        let compared: Vec<usize> = (leader + 1..groups.len()).filter(|row| of(*row).is_some()).collect();
        let p: Vec<f64> = compared.iter().filter_map(|row| Some(of(*row)?.p)).collect();
        let corrected: HashMap<usize, f64> = compared.into_iter().zip(holm(&p)).collect();
        let end = (leader + 1..groups.len()).find(|row| groups[*row] != groups[leader]);
        let last = end.map_or(groups.len(), |next| next + 1);
        tests.extend((leader + 1..last).map(|row| TieTest {
            leader,
            row,
            found: of(row),
            corrected: corrected.get(&row).copied(),
        }));
    }
    tests
}

/// Rows that are compared with each other.
struct Page<'a> {
    app: &'a App,
    rows: &'a [Primary],
    /// What each row is kept under.
    identities: Vec<String>,
    /// By row, once they were read.
    values: HashMap<usize, Values>,
}

impl<'a> Page<'a> {
    fn of(app: &'a App, rows: &'a [Primary]) -> Self {
        let identities = rows.iter().map(|row| evaluations::identity(row)).collect();
        Self { app, rows, identities, values: HashMap::new() }
    }

    /// The comparisons of a row with each one after it, from the blob that keeps what that row was compared with, or made now.
    async fn against_all_below(
        &mut self,
        leader: usize,
    ) -> Result<HashMap<usize, Option<Comparison>>, WebError> {
        let key = format!("comparisons/{}.json", self.identities[leader]);
        let mut kept = self.kept(&key).await?;
        if !self.lacks(leader, &kept).is_empty() {
            // One page at a time computes: many visitors of a new board ask for the same, and each draws ten thousand times.
            let _one = self.app.comparing.lock().await;
            kept = self.kept(&key).await?;
            self.complete(leader, &key, &mut kept).await?;
        }
        let below = leader + 1..self.rows.len();
        Ok(below.map(|row| (row, kept.get(&self.identities[row]).copied().flatten())).collect())
    }

    /// What a row was compared with before.
    async fn kept(&self, key: &str) -> Result<Kept, WebError> {
        let kept = computed::get(self.app, key).await?;
        Ok(kept.and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default())
    }

    /// The rows after the leader that it was not compared with.
    fn lacks(&self, leader: usize, kept: &Kept) -> Vec<usize> {
        (leader + 1..self.rows.len()).filter(|row| !kept.contains_key(&self.identities[*row])).collect()
    }

    /// Makes the comparisons that are not kept yet, and keeps them.
    async fn complete(&mut self, leader: usize, key: &str, kept: &mut Kept) -> Result<(), WebError> {
        let mut jobs = Vec::new();
        for row in self.lacks(leader, kept) {
            let (a, b) = (self.values_of(leader).await?, self.values_of(row).await?);
            jobs.push((row, tokio::task::spawn_blocking(move || compare(&a, &b))));
        }
        if jobs.is_empty() {
            return Ok(());
        }
        for (row, job) in jobs {
            kept.insert(self.identities[row].clone(), job.await.map_err(WebError::internal)?);
        }
        computed::put(self.app, key, serde_json::to_vec(kept).map_err(WebError::internal)?).await?;
        Ok(())
    }

    async fn values_of(&mut self, row: usize) -> Result<Values, WebError> {
        if let Some(values) = self.values.get(&row) {
            return Ok(values.clone());
        }
        let mut tasks = Vec::with_capacity(self.rows[row].len());
        for score in &self.rows[row] {
            tasks.push(evaluations::items_of(self.app, score).await?);
        }
        tasks.retain(TaskItems::enters_means);
        let values: Values = Arc::new(tasks);
        self.values.insert(row, values.clone());
        Ok(values)
    }
}

/// None unless both have the same items in every task.
fn compare(a: &Values, b: &Values) -> Option<Comparison> {
    let found = difference_over_tasks(a, b)?;
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
    fn the_tests_shown_are_those_that_made_the_groups() {
        let of = |p: f64| Some(Comparison { difference: -0.1, low: -0.2, high: 0.0, p });
        let known = HashMap::from([
            (0, HashMap::from([(1, of(0.4)), (2, of(0.001)), (3, None)])),
            (2, HashMap::from([(3, of(0.3))])),
        ]);
        let found: Vec<_> =
            tests(&[0, 0, 1, 1], &known).iter().map(|t| (t.leader, t.row, t.corrected)).collect();
        // Two tests below the first leader, one below the second.
        assert_eq!(found, [(0, 1, Some(0.4)), (0, 2, Some(0.002)), (2, 3, Some(0.3))]);
    }
}
