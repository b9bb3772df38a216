use sekisho_domain::evaluation::TaskRun;

use crate::data::{Gold, Item, Request};
use crate::definition::{Choices, Input, RequestRule, TaskDefinition};
use crate::error::TaskError;
use crate::python_text::words;
use crate::reader::Row;
use crate::shots::Examples;
use crate::splits::Files;
use crate::template::Template;

/// One record with the definition's templates filled in.
pub(crate) struct Question {
    /// `{input}`: one, or one per choice.
    pub(crate) inputs: Vec<String>,
    /// Delimiter and choice, or the continuation; empty for the other requests.
    continuations: Vec<String>,
    /// `{output}` when the record is an example: the right continuation or the answer as it stands in the data.
    pub(crate) output: String,
    gold: Gold,
}

impl Question {
    pub(crate) fn new(definition: &TaskDefinition, row: &Row) -> Result<Self, TaskError> {
        let inputs = match &definition.prompt.input {
            Input::One(template) => vec![row.fill(template)?],
            Input::PerChoice(templates) => row.fill_all(templates)?,
        };
        match &definition.request {
            RequestRule::Generate { answer, .. } => {
                let output = row.fill(answer)?;
                let gold = Gold::Text(crate::step::apply(&definition.normalize, &output));
                Ok(Self { inputs, continuations: Vec::new(), output, gold })
            }
            RequestRule::Continuation { continuation } => {
                let output = row.fill(continuation)?;
                if output.is_empty() {
                    return Err(row.error("the continuation is empty; it needs text".to_owned()));
                }
                let gold = Gold::Text(output.clone());
                Ok(Self { inputs, continuations: vec![output.clone()], output, gold })
            }
            RequestRule::Rolling => {
                let text = &inputs[0];
                if text.is_empty() {
                    return Err(row.error("the text is empty; there is nothing to score".to_owned()));
                }
                let gold = Gold::Length { words: words(text), bytes: text.len() as u64 };
                Ok(Self { inputs, continuations: Vec::new(), output: String::new(), gold })
            }
            RequestRule::Choices { choices, delimiter, gold } => {
                let texts = match choices {
                    Choices::Field(field) => row.list(field)?,
                    Choices::Each(templates) => row.fill_all(templates)?,
                };
                let shared = inputs.len() > 1;
                let index = row.index(gold, if shared { inputs.len() } else { texts.len() })?;
                let continuations: Vec<String> =
                    texts.iter().map(|text| format!("{delimiter}{text}")).collect();
                // acc_norm divides by the length of a choice; a shared continuation may be the delimiter alone.
                let asked = if shared { &continuations } else { &texts };
                if let Some(empty) = asked.iter().position(String::is_empty) {
                    return Err(row.error(format!("choice {empty} is empty; a choice needs text")));
                }
                let output = continuations[if shared { 0 } else { index }].clone();
                let texts = if shared { inputs.clone() } else { texts };
                Ok(Self { inputs, continuations, output, gold: Gold::Choice { index, texts } })
            }
        }
    }

    /// `{input}` when the record is an example: the context of the right choice.
    pub(crate) fn example_input(&self) -> &str {
        let right = match &self.gold {
            Gold::Choice { index, .. } if self.inputs.len() > 1 => *index,
            Gold::Choice { .. } | Gold::Text(_) | Gold::Length { .. } => 0,
        };
        &self.inputs[right]
    }
}

/// Puts preamble, examples and question together.
pub(crate) struct Renderer<'a> {
    definition: &'a TaskDefinition,
    examples: Examples<'a>,
}

impl<'a> Renderer<'a> {
    pub(crate) fn new(
        definition: &'a TaskDefinition,
        run: &TaskRun,
        files: &'a Files,
    ) -> Result<Self, TaskError> {
        Ok(Self { definition, examples: Examples::new(definition, run, files)? })
    }

    /// The order in which the harness asks `n` items.
    pub(crate) fn order(&mut self, n: usize) -> Vec<usize> {
        self.examples.order(n)
    }

    /// The next item, which stands at this place of the split.
    pub(crate) fn item(&mut self, index: usize, row: &Row) -> Result<Item, TaskError> {
        let prompt = &self.definition.prompt;
        let mut question = Question::new(self.definition, row)?;
        let mut before = prompt.preamble.render(|name| match name {
            "instruction" => Ok(prompt.instruction.clone()),
            field => row.text(field),
        })?;
        let mut starts = Vec::new();
        for example in self.examples.of(row)? {
            if !starts.is_empty() {
                before.push_str(&prompt.between);
            }
            starts.push(before.len());
            before.push_str(&example);
        }
        let ends = starts.iter().skip(1).copied().chain([before.len()]);
        let examples = starts.iter().copied().zip(ends).map(|(start, end)| start..end).collect();
        let context = |input: &String| before.clone() + &fill(&prompt.query, &[("input", input)]);
        let mut contexts: Vec<String> = question.inputs.iter().map(context).collect();
        let request = match &self.definition.request {
            RequestRule::Choices { .. } => {
                Request::Choices { contexts, continuations: question.continuations }
            }
            RequestRule::Continuation { .. } => Request::Continuation {
                context: contexts.swap_remove(0),
                continuation: question.continuations.swap_remove(0),
            },
            RequestRule::Rolling => Request::Rolling { text: question.inputs.swap_remove(0) },
            RequestRule::Generate { stop, max_new_tokens, .. } => Request::Generate {
                prompt: contexts.swap_remove(0),
                stop: stop.clone(),
                max_new_tokens: *max_new_tokens,
            },
        };
        let group = self.definition.subtask.as_ref().or(self.definition.cluster.as_ref());
        let group = group.map(|field| row.text(field)).transpose()?;
        Ok(Item { index: index as u64, group, request, gold: question.gold, examples })
    }
}

/// Fills a template whose placeholders were checked when the definition was read.
pub(crate) fn fill(template: &Template, values: &[(&str, &str)]) -> String {
    let value =
        |name: &str| values.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
    template.render(|name| value(name).ok_or(())).expect("the definition allows only these placeholders here")
}
