use crate::record::Record;
use crate::statistic::{self, Statistic};
use crate::stats::{self, McNemar, Paired};
use crate::task_items::TaskItems;

/// A metric of both sides, over the items that have it on both.
pub(super) struct Compared {
    pub(super) metric: String,
    /// Whether it is the task's primary metric.
    pub(super) primary: bool,
    pub(super) n: usize,
    pub(super) a_score: f64,
    pub(super) b_score: f64,
    pub(super) a: TaskItems,
    pub(super) b: TaskItems,
}

impl Compared {
    /// None where no item has the metric on both sides, or a side has no score.
    pub(super) fn new(
        metric: &str,
        primary: bool,
        clustered: bool,
        a: &[&Record],
        b: &[&Record],
    ) -> Option<Self> {
        let both = |(a, b): &(&&Record, &&Record)| Statistic::has(metric, a) && Statistic::has(metric, b);
        let (a, b): (Vec<&Record>, Vec<&Record>) = a.iter().zip(b).filter(both).unzip();
        let (a, b) = (TaskItems::new(metric, clustered, a), TaskItems::new(metric, clustered, b));
        let (a_score, b_score) = (a.score()?, b.score()?);
        Some(Self { metric: metric.to_owned(), primary, n: a.len(), a_score, b_score, a, b })
    }

    /// The paired bootstrap of B − A.
    pub(super) fn paired(&self) -> Option<Paired> {
        stats::paired(&[self.a.difference(&self.b, 1.0)?])
    }

    /// Items by who answered them right, where items are right or wrong.
    pub(super) fn mcnemar(&self) -> Option<McNemar> {
        let (a, b) = self.a.statistic().means().zip(self.b.statistic().means())?;
        stats::mcnemar(a, b)
    }

    /// The p-value: McNemar's of items that are right or wrong, each for itself, else the bootstrap's.
    pub(super) fn p(&self, paired: &Paired) -> f64 {
        let exact = self.mcnemar().filter(|_| !self.a.is_clustered());
        exact.map_or(paired.p, |table| table.p)
    }
}

/// Whether less of the metric is better; of a metric of another program this is not known, and more is taken for better.
pub(super) fn lower_is_better(metric: &str) -> bool {
    statistic::metric(metric).is_some_and(|metric| !metric.higher_is_better())
}
