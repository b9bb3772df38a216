//! What the service does, apart from HTTP: pages, API and jobs all go through here, so a rule lives in one place.

pub mod checkpoints;
pub mod comparisons;
pub mod copies;
pub mod evaluations;
pub mod people;
pub mod releases;
pub mod runs;
pub mod sources;
pub mod work;
