//! One integration binary: it links once, and nextest runs each test in a process of its own.

mod bad_input;
#[path = "../browser/mod.rs"]
mod browser;
mod commands;
mod compare;
mod demo;
mod families;
mod full_disk;
mod hub_client;
mod hub_faults;
mod hub_interrupted;
mod hub_plan;
mod hub_publish;
mod hub_refusals;
mod hub_yank;
mod ingest;
mod kill;
mod lab;
mod pages;
mod permits;
mod proposals;
mod publications;
mod release_audit;
mod release_bytes;
mod release_card;
mod release_corpora;
mod release_export;
mod release_identity;
mod release_review;
mod release_science;
mod release_shapes;
mod release_signature;
mod release_yank;
mod reviews;
mod road;
mod tidy;
