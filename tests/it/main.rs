//! One integration binary: it links once, and nextest runs each test in a process of its own.

mod bad_input;
#[path = "../browser/mod.rs"]
mod browser;
mod commands;
mod compare;
mod demo;
mod hub_client;
mod hub_interrupted;
mod hub_publish;
mod hub_refusals;
mod kill;
mod permits;
mod road;
mod tidy;
