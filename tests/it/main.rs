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
mod hub_interrupted;
mod hub_publish;
mod hub_refusals;
mod ingest;
mod kill;
mod lab;
mod pages;
mod permits;
mod proposals;
mod publications;
mod reviews;
mod road;
mod tidy;
