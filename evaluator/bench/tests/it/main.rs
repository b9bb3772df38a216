//! The crate against real data and the results of the real harnesses.

mod catalog;
mod identity;
mod llm_jp_eval;
mod lm_eval;
mod refusals;
mod support;
mod translation;
