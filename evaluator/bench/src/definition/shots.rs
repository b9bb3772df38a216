use serde::{Deserialize, Serialize};

use super::source::Split;

/// Examples in the prompt: from a split, or written out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shots {
    /// How many unless the run says otherwise.
    #[serde(default)]
    pub default: u32,
    /// The split whose records are the examples; an item is never its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Split>,
    /// Which records of the split, for which item.
    #[serde(default)]
    pub sampler: Sampler,
    /// Whether one more is drawn when `from` is the split that is asked, so that an item that draws itself still has as many.
    #[serde(default = "yes")]
    pub spare: bool,
    /// Only examples that have the item's own value in this field.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub per: Option<String>,
    /// The examples themselves, of which the first are taken.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub literal: Vec<Example>,
}

impl Default for Shots {
    fn default() -> Self {
        Self { default: 0, from: None, sampler: Sampler::First, spare: true, per: None, literal: Vec::new() }
    }
}

impl Shots {
    /// The same with 0 examples by default: what counts when a run says how many.
    #[must_use]
    pub fn without_default(&self) -> Self {
        Self { default: 0, ..self.clone() }
    }
}

fn yes() -> bool {
    true
}

/// Which records become examples.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Sampler {
    /// The first of the split, the same for every item.
    #[default]
    First,
    /// lm-eval: for one item after the other, `sample` of one `Random(1234)`.
    LmEval,
    /// JP harness: `Random(42)` shuffles the items, then for one item after the other draws from the same stream.
    JpHarness,
}

/// An example that is written out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Example {
    /// Stands for `{input}`.
    pub input: String,
    /// Stands for `{output}`.
    pub output: String,
}
