//! From texts to token ids, by the rules of the harnesses.

use rayon::prelude::*;
use sekisho_bench::{BosRule, Encoding, Item, Request, TaskDefinition, Truncation, python_rstrip};
use sekisho_domain::evaluation::Bos;
use sekisho_model::Tokenizer;
use serde::{Deserialize, Serialize};

use crate::EvalError;

/// An item as token ids.
#[derive(Serialize, Deserialize)]
pub(crate) struct EncodedItem {
    /// One sequence per choice, or one prompt to generate from.
    pub(crate) sequences: Vec<Sequence>,
    /// Tokens of each context as the harness counts them, BOS included.
    pub(crate) prompt_tokens: Vec<u64>,
    /// Tokens dropped because sequences were too long, over all sequences.
    pub(crate) truncated: u64,
}

/// What one forward pass sees.
#[derive(Serialize, Deserialize)]
pub(crate) struct Sequence {
    /// Input ids.
    pub(crate) input: Vec<u32>,
    /// Ids to be scored: `targets[i]` follows `input[..input.len() - targets.len() + 1 + i]`. Empty for generation.
    pub(crate) targets: Vec<u32>,
}

/// Encodes the items of one task for one tokenizer and one model.
pub(crate) struct Encoder<'a> {
    tokenizer: &'a Tokenizer,
    definition: &'a TaskDefinition,
    /// The beginning-of-sequence token, where the rule asks for it.
    first: Option<u32>,
    /// Most tokens of a sequence.
    longest: usize,
}

impl<'a> Encoder<'a> {
    /// Resolves the BOS rule. `tokenizer` as a rule means what the tokenizer puts in front by itself; what it may put behind a
    /// text (EOS) is never part of a prompt.
    pub(crate) fn new(
        tokenizer: &'a Tokenizer,
        definition: &'a TaskDefinition,
        bos: Bos,
        longest: usize,
    ) -> Result<Self, EvalError> {
        let wanted = match definition.bos_rule(bos) {
            BosRule::On => true,
            BosRule::Off => false,
            BosRule::Tokenizer => tokenizer.adds_bos(),
        };
        let first = tokenizer.bos().filter(|_| wanted);
        if wanted && first.is_none() {
            return Err(EvalError::NoPrefixToken { task: definition.name() });
        }
        Ok(Self { tokenizer, definition, first, longest })
    }

    /// Whether prompts start with BOS.
    pub(crate) fn bos(&self) -> bool {
        self.first.is_some()
    }

    /// All items, on all threads.
    pub(crate) fn items(&self, items: &[Item]) -> Result<Vec<EncodedItem>, EvalError> {
        items.par_iter().map(|item| self.item(item)).collect()
    }

    fn item(&self, item: &Item) -> Result<EncodedItem, EvalError> {
        match &item.request {
            Request::Choices { .. } | Request::Continuation { .. } => self.choices(&item.request),
            Request::Rolling { text } => self.rolling(text),
            Request::Generate { max_new_tokens, .. } => self.generation(item, *max_new_tokens),
        }
    }

    fn choices(&self, request: &Request) -> Result<EncodedItem, EvalError> {
        let contexts: Vec<Vec<u32>> =
            request.contexts().iter().map(|context| self.context(context)).collect::<Result<_, _>>()?;
        let mut encoded = EncodedItem {
            sequences: Vec::new(),
            prompt_tokens: contexts.iter().map(|context| context.len() as u64).collect(),
            truncated: 0,
        };
        for (choice, (text, continuation)) in request.pairs().into_iter().enumerate() {
            let context = &contexts[choice.min(contexts.len() - 1)];
            let targets = self.continuation(context, text, continuation)?;
            let (sequence, dropped) = self.fitting(context.clone(), targets);
            encoded.truncated += dropped;
            encoded.sequences.push(sequence);
        }
        Ok(encoded)
    }

    /// lm-eval: input = (context + continuation)[-(max_length + 1):][:-1]. Also answers the number of tokens dropped.
    fn fitting(&self, mut input: Vec<u32>, mut targets: Vec<u32>) -> (Sequence, u64) {
        input.extend(&targets[..targets.len().saturating_sub(1)]);
        let dropped = input.len().saturating_sub(self.longest);
        input.drain(..dropped);
        // A continuation longer than the model's context is scored on its end.
        targets.drain(..targets.len().saturating_sub(input.len()));
        (Sequence { input, targets }, dropped as u64)
    }

    /// A text in windows of the model's length that share no target; the first begins with the prefix token, the last is filled
    /// up with tokens of the one before (lm-eval's `get_rolling_token_windows` and `make_disjoint_window`).
    fn rolling(&self, text: &str) -> Result<EncodedItem, EvalError> {
        let prefix = self.prefix_token()?;
        let ids = self.with_first(self.tokenizer.encode(text, false)?);
        let mut sequences = Vec::new();
        let mut start = 0;
        while start < ids.len() {
            let end = ids.len().min(start + self.longest);
            let targets = ids[start..end].to_vec();
            let before = (self.longest + 1 - targets.len()).min(start + 1);
            let context = std::iter::once(prefix).chain(ids[..end - 1].iter().copied());
            let input = context.skip(start + 1 - before).take(before + targets.len() - 1).collect();
            sequences.push(Sequence { input, targets });
            start = end;
        }
        Ok(EncodedItem { sequences, prompt_tokens: vec![ids.len() as u64], truncated: 0 })
    }

    /// Cuts a prompt by the task's rule so that the answer fits.
    fn generation(&self, item: &Item, max_new_tokens: u32) -> Result<EncodedItem, EvalError> {
        let prompt = &item.request.contexts()[0];
        let mut input = self.with_first(self.tokenizer.encode(prompt, false)?);
        let whole = input.len();
        let room = self.longest.saturating_sub(max_new_tokens as usize).max(1);
        match self.definition.truncation {
            Truncation::None => {}
            Truncation::Left => drop(input.drain(..whole.saturating_sub(room))),
            Truncation::DropShots => {
                let start = item.examples.first().map_or(0, |first| first.start);
                let mut shorter = item.examples.iter();
                while input.len() > room
                    && let Some(example) = shorter.next()
                {
                    let prompt = format!("{}{}", &prompt[..start], &prompt[example.end..]);
                    input = self.with_first(self.tokenizer.encode(&prompt, false)?);
                }
            }
        }
        let truncated = (whole - input.len()) as u64;
        if input.is_empty() {
            input.push(self.prefix_token()?);
        }
        let sequence = Sequence { input, targets: Vec::new() };
        Ok(EncodedItem { sequences: vec![sequence], prompt_tokens: vec![whole as u64], truncated })
    }

    /// Ids of a context as the harness encodes it by itself; white space at its end belongs to the continuation
    /// ([`Encoding::Pair`]).
    fn context(&self, context: &str) -> Result<Vec<u32>, EvalError> {
        if context.is_empty() {
            return Ok(vec![self.prefix_token()?]);
        }
        let bare = if self.definition.encoding == Encoding::Pair { python_rstrip(context) } else { context };
        let ids = self.with_first(self.tokenizer.encode(bare, false)?);
        // Nothing but white space and no BOS: something must stand before the first target.
        Ok(if ids.is_empty() { vec![self.prefix_token()?] } else { ids })
    }

    /// Ids of what is scored after a context, which has these ids by itself.
    fn continuation(&self, ids: &[u32], context: &str, continuation: &str) -> Result<Vec<u32>, EvalError> {
        if context.is_empty() || self.definition.encoding == Encoding::Separate {
            return Ok(self.tokenizer.encode(continuation, false)?);
        }
        let mut whole = self.with_first(self.tokenizer.encode(&format!("{context}{continuation}"), false)?);
        // Where a token straddles the boundary the harness still takes the context as encoded by itself.
        Ok(whole.split_off(ids.len().min(whole.len())))
    }

    fn with_first(&self, ids: Vec<u32>) -> Vec<u32> {
        self.first.into_iter().chain(ids).collect()
    }

    /// lm-eval's `prefix_token_id`: BOS, else EOS.
    fn prefix_token(&self) -> Result<u32, EvalError> {
        let prefix = self.tokenizer.bos().or_else(|| self.tokenizer.eos());
        prefix.ok_or_else(|| EvalError::NoPrefixToken { task: self.definition.name() })
    }
}
