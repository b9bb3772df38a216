//! One integration binary: it links once, and nextest runs each test in a process of its own.

mod bad_input;
#[path = "../browser/mod.rs"]
mod browser;
mod commands;
mod compare;
mod demo;
mod families;
mod full_disk;
mod ingest;
mod kill;
mod lab;
mod pages;
mod release_audit;
mod release_bytes;
mod release_card;
mod release_corpora;
mod release_export;
mod release_hub_client;
mod release_hub_faults;
mod release_hub_interrupted;
mod release_hub_plan;
mod release_hub_publish;
mod release_hub_refusals;
mod release_hub_yank;
mod release_identity;
mod release_permits;
mod release_proposals;
mod release_publications;
mod release_reviews;
mod release_science;
mod release_separation;
mod release_shapes;
mod release_signature;
mod release_yank;
mod road;
mod tidy;
