//! Contamination: which items of a benchmark stand in a text.
//!
//! Texts become sequences of units ([`units`]): the form in which width, case, punctuation, white space and line breaks make no
//! difference. An item is found in a document when so many units in a row of it stand there as they are: 13 words, as in GPT-3
//! (Brown et al. 2020, appendix C) and in the decontamination of lm-evaluation-harness; of Japanese 20 characters, which is what 13
//! English words say and beyond the length of stock phrases (`docs/evaluation.md` has the measurement). An item with fewer units is
//! looked for whole; one that has not even the least number is *too short*, and not looked for.
//!
//! What counts is the item's own text in the data ([`texts`]), never the words of the task's template, which all items share.

mod index;
mod items;
mod units;

pub use index::{Index, Match};
pub use items::{ItemText, ItemTexts, texts};

#[cfg(test)]
mod tests;
