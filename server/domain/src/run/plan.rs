use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use crate::Timestamp;

/// What a run is planned to take. It may change at any time, and its history is kept: it is no part of the specification.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = RunPlan)]
pub struct Plan {
    /// Last day of training.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<Date>,
    /// Accelerators that it trains on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gpus: Option<u32>,
    /// What it may use [GPU-days].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget_gpu_days: Option<f64>,
    /// Price of a GPU-day [JPY].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub yen_per_gpu_day: Option<f64>,
}

/// A plan with who made it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = PlannedRun)]
pub struct Planned {
    /// What is planned.
    #[serde(flatten)]
    pub plan: Plan,
    /// Why it changed.
    pub reason: String,
    /// Who changed it.
    pub by: String,
    /// When.
    pub at: Timestamp,
}
