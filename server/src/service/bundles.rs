//! Work for machines that do not reach the service: leased for days, and taken back item by item.

use sekisho_domain::LaunchId;
use sekisho_domain::wire::{Claim, MakeBundle, WorkBundle};

use super::work;
use crate::{App, WebError};

/// The largest bundle, and the longest lease.
const ITEMS: u32 = 1000;
const DAYS: u32 = 60;
/// Items of one claim.
const AT_ONCE: u32 = 64;

/// Leases what would be claimed next. The lease and its fence are those of any worker: an item that is not back in time goes to
/// somebody else, and what comes then is refused.
///
/// # Errors
/// 422 for a number out of range, 409 when nothing waits.
pub async fn make(app: &App, asked: &MakeBundle) -> Result<WorkBundle, WebError> {
    if !(1..=ITEMS).contains(&asked.max) || !(1..=DAYS).contains(&asked.days) {
        let detail = format!(
            "A bundle has 1 to {ITEMS} work items for 1 to {DAYS} days; {} for {} was asked.",
            asked.max, asked.days
        );
        return Err(WebError::refused("bundle-size", detail));
    }
    let worker = format!("bundle-{}", LaunchId::new(&*app.clock, &*app.entropy));
    let seconds = i64::from(asked.days) * 86_400;
    let until = app.now().plus_seconds(seconds);
    let mut items = Vec::new();
    loop {
        let left = asked.max.saturating_sub(u32::try_from(items.len()).unwrap_or(u32::MAX));
        if left == 0 {
            break;
        }
        let claim = Claim {
            worker: worker.clone(),
            pool: asked.pool.clone(),
            max: left.min(AT_ONCE),
            ..Claim::default()
        };
        let claimed = work::claim_for(app, &claim, seconds).await?;
        if claimed.items.is_empty() {
            break;
        }
        items.extend(claimed.items);
    }
    if items.is_empty() {
        return Err(WebError::conflict("nothing-waits", "Nothing waits that could be put into a bundle."));
    }
    app.events.publish("queue", "state");
    Ok(WorkBundle { worker, version: env!("CARGO_PKG_VERSION").to_owned(), until, items })
}
