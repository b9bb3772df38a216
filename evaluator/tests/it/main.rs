//! The evaluator on real models: agreement with the official harnesses, equality bit for bit, and the worker's loop.

#![expect(clippy::print_stderr, reason = "a test says what it measured, and when it is skipped")]

mod agreement;
mod engine;
mod families;
mod http;
mod invariance;
mod llama_cpp;
mod refusals;
mod remote;
mod remote_faults;
mod resume;
mod service;
mod support;
mod worker;
