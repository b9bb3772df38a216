//! Tells other systems what happens. Two halves, each of which goes on after a crash where it was: what happened becomes one message for
//! each endpoint that wants to hear of it (`fan_out.rs`), and messages are sent until they are taken or given up (`deliver.rs`).

mod deliver;
mod facts;
mod fan_out;
mod regressions;
mod shape;
mod told;

use std::time::Duration;

use fan_out::Stuck;
use sekisho_domain::{MessageId, Timestamp};
use tokio::task::JoinSet;

use crate::{App, WebError};

pub use shape::ping;

/// How soon something that happened goes out.
const EVERY: Duration = Duration::from_millis(500);
/// Messages and what they tell of are forgotten after so long.
const KEPT_SECONDS: i64 = 90 * 24 * 3600;
/// How often that is looked at.
const PRUNE_SECONDS: f64 = 3600.0;

/// The id that a message has on the wire.
#[must_use]
pub fn wire_id(id: MessageId) -> String {
    format!("msg_{id}")
}

/// Looks often; what came while the service was down is found at the first look.
pub async fn run(app: App) {
    // The folder is locked, so nobody else is sending: leases are those of an earlier process.
    if let Err(error) = app.store.free_messages(app.now()).await {
        tracing::error!(%error, "messages that were on their way could not be taken up");
    }
    let mut sending = JoinSet::new();
    let (mut stuck, mut pruned) = (Stuck::default(), None);
    loop {
        if let Err(error) = tick(&app, &mut stuck, &mut sending, &mut pruned).await {
            tracing::error!(%error, "webhooks could not be looked at");
        }
        tokio::time::sleep(EVERY).await;
        while sending.try_join_next().is_some() {}
    }
}

async fn tick(
    app: &App,
    stuck: &mut Stuck,
    sending: &mut JoinSet<()>,
    pruned: &mut Option<Timestamp>,
) -> Result<(), WebError> {
    // What cannot be told at the moment does not keep back what can be sent.
    let told = fan_out::all(app, stuck).await;
    deliver::due(app, sending).await?;
    told?;
    let now = app.now();
    if pruned.is_none_or(|last| now.seconds_since(last) >= PRUNE_SECONDS) {
        app.store.prune_messages(now.plus_seconds(-KEPT_SECONDS)).await?;
        *pruned = Some(now);
    }
    Ok(())
}

#[cfg(test)]
mod tests;
