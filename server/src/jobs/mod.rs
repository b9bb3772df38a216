//! What goes on behind the requests. Each job is idempotent: after a crash it finds its work again in the store.

pub mod behind;
pub mod channels;
pub mod clock;
pub mod ingest;
pub mod launches;
pub mod prepare;
pub mod publish;
pub mod schedule;
pub mod stalls;
pub mod standing;
pub mod uploads;
pub mod webhooks;
