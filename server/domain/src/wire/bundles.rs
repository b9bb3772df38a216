use serde::{Deserialize, Serialize};
use serde_json::json;

use super::WorkItem;
use crate::{Sha256, Timestamp, canonical_json};

/// `POST /api/v1/work/bundles`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MakeBundle {
    /// At most so many work items, those that would be claimed next.
    pub max: u32,
    /// For so many days nobody else answers them.
    pub days: u32,
    /// Pool whose work is taken besides that of no pool.
    #[serde(default)]
    pub pool: String,
}

/// Work for a machine that does not reach the service, leased for a long time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct WorkBundle {
    /// The name under which its items are held.
    pub worker: String,
    /// Version of the service that made it; a worker of another minor version may render or score differently.
    pub version: String,
    /// Until when its items are held.
    pub until: Timestamp,
    /// The items, with what the service knew of them when it made the bundle.
    pub items: Vec<WorkItem>,
}

impl WorkBundle {
    /// The digest over all of it.
    #[must_use]
    pub fn seal(&self) -> Sha256 {
        Sha256::of(canonical_json(&json!(self)))
    }
}

impl WorkItem {
    /// The digest of what decides over its results: model, task, settings and data.
    #[must_use]
    pub fn plan(&self) -> Sha256 {
        let plan = json!({
            "digest": self.digest,
            "run": self.run,
            "bos": self.bos,
            "definition": self.definition,
            "sources": self.sources,
        });
        Sha256::of(canonical_json(&plan))
    }
}
