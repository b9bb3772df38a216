//! `[schedule]` of a run specification, and the learning rate by Megatron-LM's formulas (`megatron/core/optimizer_param_scheduler.py`).

use serde::{Deserialize, Serialize};

/// `[schedule]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Schedule {
    /// Shape of the whole.
    pub kind: ScheduleKind,
    /// Updates of linear warm-up.
    #[serde(default)]
    pub warmup_steps: u64,
    /// The learning rate at which the warm-up begins.
    #[serde(default, skip_serializing_if = "WarmupInit::is_zero")]
    pub warmup_init: WarmupInit,
    /// Length of the decay at the end; `wsd` only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decay_steps: Option<u64>,
    /// Where the schedule ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total_steps: Option<u64>,
    /// Shape of the decay; `wsd` only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decay_shape: Option<DecayShape>,
    /// Which value update k takes.
    #[serde(default)]
    pub lr_index: LrIndex,
}

/// Where the warm-up begins: a learning rate (Megatron-LM's `--lr-warmup-init`), 0 unless said, or `"parent"` for the one that a
/// child's parent had reached.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged, expecting = "`warmup_init` is a learning rate, or \"parent\"")]
pub enum WarmupInit {
    /// A learning rate.
    Rate(f64),
    /// The parent's, to be looked up.
    #[serde(with = "parent")]
    Parent,
}

impl Default for WarmupInit {
    fn default() -> Self {
        Self::Rate(0.0)
    }
}

impl WarmupInit {
    /// The learning rate; none while it is still the parent's to tell.
    #[must_use]
    pub const fn rate(self) -> Option<f64> {
        match self {
            Self::Rate(rate) => Some(rate),
            Self::Parent => None,
        }
    }

    fn is_zero(&self) -> bool {
        *self == Self::default()
    }
}

/// The word `parent`.
mod parent {
    use serde::{Deserialize as _, Deserializer, Serializer, de};

    const WORD: &str = "parent";

    pub(super) fn serialize<S: Serializer>(serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(WORD)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<(), D::Error> {
        let word = String::deserialize(deserializer)?;
        if word == WORD { Ok(()) } else { Err(de::Error::custom("no such place")) }
    }
}

/// Shape of a schedule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ScheduleKind {
    /// Warm-up, stable, decay.
    Wsd,
    /// Half a cosine from the end of the warm-up to the end.
    Cosine,
    /// A line from the end of the warm-up to the end.
    Linear,
    /// No decay.
    Constant,
}

/// Shape of the decay of [`ScheduleKind::Wsd`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DecayShape {
    /// `1 - x`.
    Linear,
    /// `(cos πx + 1) / 2`.
    Cosine,
    /// `2 · 0.5^x - 1`.
    Exponential,
    /// `1 - √x`.
    #[default]
    MinusSqrt,
}

/// Which value of the schedule update k takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LrIndex {
    /// `lr(k)`.
    #[default]
    OneBased,
    /// `lr(k-1)`, as Megatron-LM, whose first update has the learning rate 0.
    Megatron,
}

/// The learning rate as a function of the update.
#[derive(Clone, Debug)]
pub struct LearningRate {
    max: f64,
    min: f64,
    init: f64,
    warmup: u64,
    total: u64,
    kind: ScheduleKind,
    decay: u64,
    shape: DecayShape,
    index: LrIndex,
}

impl LearningRate {
    /// From `max` after the warm-up to `min` at the end, the update `total`.
    #[must_use]
    pub fn new(schedule: &Schedule, max: f64, min: f64, total: u64) -> Self {
        Self {
            max,
            min,
            init: schedule.warmup_init.rate().unwrap_or(0.0),
            warmup: schedule.warmup_steps,
            total,
            kind: schedule.kind,
            decay: schedule.decay_steps.unwrap_or(0),
            shape: schedule.decay_shape.unwrap_or_default(),
            index: schedule.lr_index,
        }
    }

    /// The learning rate that update `k`, from 1 on, takes.
    #[must_use]
    pub fn of_update(&self, k: u64) -> f64 {
        match self.index {
            LrIndex::OneBased => self.at(k),
            LrIndex::Megatron => self.at(k.saturating_sub(1)),
        }
    }

    /// The schedule's value at counter `n`.
    fn at(&self, n: u64) -> f64 {
        if self.warmup > 0 && n <= self.warmup {
            return self.init + (self.max - self.init) * n as f64 / self.warmup as f64;
        }
        if self.kind == ScheduleKind::Constant {
            return self.max;
        }
        if n > self.total {
            return self.min;
        }
        let (start, shape) = match self.kind {
            ScheduleKind::Wsd => (self.total.saturating_sub(self.decay), self.shape),
            ScheduleKind::Cosine => (self.warmup, DecayShape::Cosine),
            ScheduleKind::Linear | ScheduleKind::Constant => (self.warmup, DecayShape::Linear),
        };
        if n <= start {
            return self.max;
        }
        let x = (n - start) as f64 / (self.total - start) as f64;
        self.min + coefficient(shape, x) * (self.max - self.min)
    }
}

/// How much of the range is left after the part `x` of the decay.
fn coefficient(shape: DecayShape, x: f64) -> f64 {
    match shape {
        DecayShape::Linear => 1.0 - x,
        DecayShape::Cosine => 0.5 * ((std::f64::consts::PI * x).cos() + 1.0),
        DecayShape::Exponential => 2.0 * 0.5_f64.powf(x) - 1.0,
        DecayShape::MinusSqrt => 1.0 - x.sqrt(),
    }
}

#[cfg(test)]
mod tests {
    use super::{DecayShape, LearningRate, LrIndex, Schedule, ScheduleKind, WarmupInit};

    /// LLM-jp's 8B decay branch at 1.9M updates.
    const BRANCH: LearningRate = LearningRate {
        max: 3e-4,
        min: 0.0,
        init: 0.0,
        warmup: 2000,
        total: 2_000_000,
        kind: ScheduleKind::Wsd,
        decay: 100_000,
        shape: DecayShape::MinusSqrt,
        index: LrIndex::OneBased,
    };

    fn check(lr: &LearningRate, expected: &[(u64, f64)]) {
        for (n, value) in expected {
            let got = lr.at(*n);
            assert!(
                (got - value).abs() <= 1e-10 * value.abs().max(1e-12),
                "lr({n}) = {got:e}, not {value:e}"
            );
        }
    }

    #[test]
    fn warm_up_stable_decay_as_megatron_computes_it() {
        check(
            &BRANCH,
            &[
                (1, 1.5e-7),
                (1000, 1.5e-4),
                (2000, 3e-4),
                (1_900_001, 2.990_513_167_0e-4),
                (1_910_000, 2.051_316_701_9e-4),
                (1_925_000, 1.5e-4),
                (1_950_000, 8.786_796_564_4e-5),
                (1_975_000, 4.019_237_886_5e-5),
                (1_999_999, 1.500_003_75e-9),
                (2_000_000, 0.0),
                (2_000_001, 0.0),
            ],
        );
        let linear = LearningRate { min: 3e-5, shape: DecayShape::Linear, ..BRANCH };
        check(&linear, &[(1_950_000, 1.65e-4)]);
        let cosine = LearningRate { shape: DecayShape::Cosine, ..BRANCH };
        check(&cosine, &[(1_950_000, 1.5e-4)]);
        let exponential = LearningRate { shape: DecayShape::Exponential, ..BRANCH };
        check(&exponential, &[(1_950_000, 3e-4 * (2.0 * 0.5_f64.sqrt() - 1.0)), (2_000_000, 0.0)]);
    }

    #[test]
    fn cosine_linear_and_constant() {
        let cosine = LearningRate {
            max: 2e-4,
            min: 2e-5,
            total: 492_120,
            kind: ScheduleKind::Cosine,
            decay: 0,
            ..BRANCH
        };
        check(
            &cosine,
            &[
                (100_000, 1.828_196_666_7e-4),
                (247_060, 1.1e-4),
                (400_000, 3.523_912_237_0e-5),
                (492_120, 2e-5),
                (500_000, 2e-5),
            ],
        );
        let linear = LearningRate { kind: ScheduleKind::Linear, ..cosine.clone() };
        check(&linear, &[(2000, 2e-4), (247_060, 1.1e-4), (492_120, 2e-5)]);
        let constant = LearningRate { kind: ScheduleKind::Constant, ..cosine };
        check(&constant, &[(1000, 1e-4), (900_000, 2e-4)]);
    }

    /// Megatron-LM's `init_lr + (max_lr - init_lr) · n / warm-up`.
    #[test]
    fn a_warm_up_begins_where_it_is_told() {
        let again = LearningRate { init: 3e-5, ..BRANCH };
        check(&again, &[(0, 3e-5), (1000, 1.65e-4), (2000, 3e-4), (1_950_000, 8.786_796_564_4e-5)]);
        assert_eq!(again.of_update(1).to_bits(), again.at(1).to_bits());
        let megatron = LearningRate { index: LrIndex::Megatron, ..again.clone() };
        assert_eq!(megatron.of_update(1).to_bits(), 3e-5_f64.to_bits());
        assert_eq!(megatron.of_update(1001).to_bits(), again.of_update(1000).to_bits());
    }

    #[test]
    fn where_it_begins_is_a_rate_or_the_parents() {
        let read = |value: &str| {
            let text = format!("kind = \"constant\"\nwarmup_steps = 10\nwarmup_init = {value}\n");
            crate::parse_toml::<Schedule>("spec.toml", &text).map_err(|error| error.to_string())
        };
        for (value, expected) in [("3e-5", WarmupInit::Rate(3e-5)), ("\"parent\"", WarmupInit::Parent)] {
            let schedule = read(value).expect("a schedule");
            assert_eq!(schedule.warmup_init, expected);
            let again = toml::to_string(&schedule).expect("TOML");
            assert_eq!(toml::from_str::<Schedule>(&again).expect("the same"), schedule, "{again}");
        }
        let none = read("0").expect("a whole number is a rate too");
        assert!(!toml::to_string(&none).expect("TOML").contains("warmup_init"), "0 goes without saying");
        let error = read("\"parents\"").expect_err("neither");
        assert!(error.contains("`warmup_init` is a learning rate, or \"parent\""), "{error}");
    }

    #[test]
    fn megatrons_first_update_has_no_learning_rate() {
        let megatron = LearningRate { index: LrIndex::Megatron, ..BRANCH };
        assert_eq!(megatron.of_update(1).to_bits(), 0.0_f64.to_bits());
        assert_eq!(megatron.of_update(2001).to_bits(), BRANCH.of_update(2000).to_bits());
    }
}
