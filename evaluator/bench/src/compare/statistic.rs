use crate::metric::Metric;
use crate::record::Record;
use crate::statistic::{self, Statistic};
use crate::stats::{self, Paired};

/// A metric of both sides, over the items that have it on both.
pub(super) struct Compared {
    pub(super) metric: String,
    pub(super) n: usize,
    pub(super) a_score: f64,
    pub(super) b_score: f64,
    a: Statistic,
    b: Statistic,
}

impl Compared {
    /// None where no item has the metric on both sides, or a side has no score.
    pub(super) fn new(metric: &str, a: &[&Record], b: &[&Record]) -> Option<Self> {
        let both = |(a, b): &(&&Record, &&Record)| Statistic::has(metric, a) && Statistic::has(metric, b);
        let (a, b): (Vec<&Record>, Vec<&Record>) = a.iter().zip(b).filter(both).unzip();
        let n = a.len();
        let (a, b) = (Statistic::new(metric, &a), Statistic::new(metric, &b));
        let all: Vec<usize> = (0..n).collect();
        let (a_score, b_score) = (a.over(&all)?, b.over(&all)?);
        Some(Self { metric: metric.to_owned(), n, a_score, b_score, a, b })
    }

    /// B − A over the items at these places; none where it is not defined.
    pub(super) fn difference(&self, items: &[usize]) -> Option<f64> {
        Some(self.b.over(items)? - self.a.over(items)?)
    }

    /// The paired bootstrap of B − A.
    pub(super) fn paired(&self) -> Option<Paired> {
        match self.means() {
            Some((a, b)) => stats::paired_bootstrap(a, b),
            None => stats::paired_statistic(self.n, |drawn| self.difference(drawn)),
        }
    }

    /// The items' values where the score is their mean.
    pub(super) fn means(&self) -> Option<(&[f64], &[f64])> {
        self.a.means().zip(self.b.means())
    }

    /// What a value is divided by where it enters a mean over tasks.
    pub(super) fn scale(&self) -> f64 {
        statistic::metric(&self.metric).map_or(1.0, Metric::scale)
    }
}

/// Whether less of the metric is better; of a metric of another program this is not known, and more is taken for better.
pub(super) fn lower_is_better(metric: &str) -> bool {
    statistic::metric(metric).is_some_and(|metric| !metric.higher_is_better())
}
