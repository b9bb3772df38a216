use serde::{Deserialize, Serialize};

use crate::template::Template;

/// How a record becomes a prompt: `preamble`, the examples with `between` between them, then `query`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Prompt {
    /// What stands for `{instruction}` in the preamble.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub instruction: String,
    /// Before everything; knows `{instruction}` and the fields of the record that is asked.
    #[serde(default)]
    pub preamble: Template,
    /// One example; knows `{input}` and `{output}`. Needed when there are shots.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shot: Option<Template>,
    /// Between two examples.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub between: String,
    /// The question itself; knows `{input}`.
    #[serde(default = "only_input")]
    pub query: Template,
    /// `{input}` made of the fields of a record: one template, or one per choice.
    pub input: Input,
}

impl Prompt {
    /// Whether nothing stands around `{input}`.
    pub(crate) fn is_only_input(&self) -> bool {
        self.preamble == Template::default() && self.query == only_input()
    }
}

fn only_input() -> Template {
    Template::try_from("{input}".to_owned()).expect("a literal with one placeholder")
}

/// The templates of `{input}`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged, try_from = "Texts")]
pub enum Input {
    /// The same for all choices.
    One(Template),
    /// A context for each choice; the continuation is shared (lm-eval's multiple-input form).
    PerChoice(Vec<Template>),
}

/// What is asked of the model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase", deny_unknown_fields)]
pub enum RequestRule {
    /// The log-likelihood of each choice after its context.
    Choices {
        /// The texts of the choices; a single one when every choice has its own context.
        choices: Choices,
        /// Between context and choice.
        delimiter: String,
        /// Field with the index of the right choice, from 0.
        gold: String,
    },
    /// The log-likelihood of one text after its context, and whether it is what the model would write.
    Continuation {
        /// The text, delimiter included; `{output}` of a shot.
        continuation: Template,
    },
    /// The log-likelihood of a whole text, window by window. `prompt.input` is that text.
    Rolling,
    /// Text, greedily.
    Generate {
        /// The gold text, and `{output}` of a shot.
        answer: Template,
        /// Generation ends when one of these is in the text.
        stop: Vec<String>,
        /// Generation ends after so many tokens.
        max_new_tokens: u32,
    },
}

/// The kinds of request, which metrics are fit for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestKind {
    /// [`RequestRule::Choices`].
    Choices,
    /// [`RequestRule::Continuation`].
    Continuation,
    /// [`RequestRule::Rolling`].
    Rolling,
    /// [`RequestRule::Generate`].
    Generate,
}

impl RequestRule {
    /// Its kind.
    #[must_use]
    pub const fn kind(&self) -> RequestKind {
        match self {
            Self::Choices { .. } => RequestKind::Choices,
            Self::Continuation { .. } => RequestKind::Continuation,
            Self::Rolling => RequestKind::Rolling,
            Self::Generate { .. } => RequestKind::Generate,
        }
    }
}

impl RequestKind {
    /// The name used in definitions.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Choices => "choices",
            Self::Continuation => "continuation",
            Self::Rolling => "rolling",
            Self::Generate => "generate",
        }
    }
}

/// The texts of the choices.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged, try_from = "Texts")]
pub enum Choices {
    /// A field that holds a list of texts.
    Field(String),
    /// One template per choice.
    Each(Vec<Template>),
}

/// A text or a list of texts, before they are templates: so that a broken template is reported in its own words.
#[derive(Deserialize)]
#[serde(untagged, expecting = "expected a text or a list of texts")]
enum Texts {
    One(String),
    Many(Vec<String>),
}

impl TryFrom<Texts> for Input {
    type Error = String;

    fn try_from(texts: Texts) -> Result<Self, String> {
        match texts {
            Texts::One(text) => text.try_into().map(Self::One),
            Texts::Many(texts) => templates(texts).map(Self::PerChoice),
        }
    }
}

impl TryFrom<Texts> for Choices {
    type Error = String;

    fn try_from(texts: Texts) -> Result<Self, String> {
        match texts {
            Texts::One(field) => Ok(Self::Field(field)),
            Texts::Many(texts) => templates(texts).map(Self::Each),
        }
    }
}

fn templates(texts: Vec<String>) -> Result<Vec<Template>, String> {
    texts.into_iter().map(Template::try_from).collect()
}

/// One way to read the answer out of a generated text.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Filter {
    /// Its name, when there are several: a score is then reported as `metric,name`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What is done to the text, in this order.
    #[serde(default)]
    pub steps: Vec<crate::step::Step>,
}
