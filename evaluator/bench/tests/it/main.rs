//! The crate against real data and the results of the real harnesses.

mod aggregate;
mod catalog;
mod compare;
mod contamination;
mod identity;
mod import;
mod jp_harness;
mod llm_jp_eval;
mod lm_eval;
mod refusals;
mod support;
mod task_items;
mod translation;
