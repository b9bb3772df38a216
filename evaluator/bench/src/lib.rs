//! Benchmarks: what is asked, how an answer is scored, and what a score means statistically.
//!
//! A *task definition* is a TOML text ([`TaskDefinition`]) with orthogonal parts: where the data comes from and how it is
//! read, how a prompt is built, what is asked of the model, what counts as the answer, and which metrics judge it.
//! [`load`] turns a definition and the bytes of its data files into [`Item`]s; an engine answers each [`Request`] with an
//! [`Answer`]; [`Record::new`] scores it; [`aggregate`] makes scores with intervals out of records.
//!
//! Architecture invariant: bytes in, values out. No files, no clock, no environment, no tensors. The only source of
//! randomness is [`python_random`] with a seed that the caller or the profile names.

mod aggregate;
mod answer;
mod catalog;
mod char_f1;
mod check;
mod data;
mod dataset;
mod definition;
mod error;
mod means;
mod metric;
mod ngram;
mod preset;
mod prompt;
mod python_text;
mod reader;
mod record;
mod score;
mod shots;
mod splits;
mod statistic;
mod step;
mod task_items;
mod template;

pub mod bleu;
pub mod chrf;
pub mod compare;
pub mod contamination;
pub mod correlation;
pub mod import;
pub mod python_random;
pub mod stats;

pub use aggregate::{aggregate, fingerprint};
pub use catalog::{Catalog, Suite};
pub use char_f1::char_f1;
pub use data::{Gold, Item, Request, TaskData, load};
pub use dataset::dataset_json;
pub use definition::{
    BosRule, Choices, Derive, Encoding, Example, Filter, Input, Prompt, RequestKind, RequestRule, Role,
    Sampler, Shots, SourceRef, Split, SplitRule, StandardError, TaskDefinition, Truncation,
};
pub use error::TaskError;
pub use means::{Category, MeanDefinition, NamedMean, means};
pub use metric::{Metric, Reported};
pub use preset::{AbsentTask, Preset};
pub use python_text::python_rstrip;
pub use reader::Reader;
pub use record::{PerContext, Record};
pub use score::{Answer, Scored, score};
pub use step::{Pattern, Step};
pub use task_items::{TaskItems, difference_over_tasks, mean_over_tasks, scaling_over_tasks, share_of_mean};
pub use template::Template;
