//! What the service does, apart from HTTP: pages, API and jobs all go through here, so a rule lives in one place.

pub mod audit;
pub mod channels;
pub mod checkpoints;
pub mod cleanup;
pub mod comparisons;
pub mod compute;
pub mod contamination;
pub mod copies;
pub mod corpora;
pub mod evaluations;
pub mod lineage;
pub mod logins;
pub mod passwords;
pub mod people;
pub mod plans;
pub mod policies;
pub mod projects;
pub mod releases;
pub mod reported;
pub mod reports;
pub mod runs;
pub mod sources;
pub mod standing;
pub mod uploads;
pub mod webhooks;
pub mod work;
