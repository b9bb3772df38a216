//! From texts to token ids, by the rules of the harnesses.

use sekisho_bench::{BosRule, Encoding, Item, Request, TaskDefinition, Truncation};
use sekisho_domain::evaluation::Bos;
use sekisho_model::Tokenizer;

use crate::EvalError;

/// An item as token ids.
pub(crate) struct EncodedItem {
    /// One sequence per choice, or one prompt to generate from.
    pub(crate) sequences: Vec<Sequence>,
    /// Tokens of each context as the harness counts them, BOS included.
    pub(crate) prompt_tokens: Vec<u64>,
    /// Tokens dropped because sequences were too long, over all sequences.
    pub(crate) truncated: u64,
}

/// What one forward pass sees.
pub(crate) struct Sequence {
    /// Input ids.
    pub(crate) input: Vec<u32>,
    /// Ids to be scored: `targets[i]` follows `input[..input.len() - targets.len() + 1 + i]`. Empty for generation.
    pub(crate) targets: Vec<u32>,
}

/// Encodes the items of one task for one tokenizer and one model.
pub(crate) struct Encoder<'a> {
    pub(crate) tokenizer: &'a Tokenizer,
    pub(crate) definition: &'a TaskDefinition,
    /// The beginning-of-sequence token, where the rule asks for it.
    first: Option<u32>,
    /// `max_position_embeddings`.
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

    pub(crate) fn item(&self, item: &Item) -> Result<EncodedItem, EvalError> {
        match &item.request {
            Request::Choices { .. } => self.choices(&item.request),
            Request::Continuation { .. } | Request::Rolling { .. } => {
                Err(EvalError::NotAsked { task: self.definition.name() })
            }
            Request::Generate { max_new_tokens, .. } => self.generation(item, *max_new_tokens),
        }
    }

    fn choices(&self, request: &Request) -> Result<EncodedItem, EvalError> {
        let mut encoded = EncodedItem { sequences: Vec::new(), prompt_tokens: Vec::new(), truncated: 0 };
        let contexts = request.contexts().len();
        for (choice, (context, continuation)) in request.pairs().into_iter().enumerate() {
            let (context, mut targets) = self.pair(context, continuation)?;
            if choice < contexts {
                encoded.prompt_tokens.push(context.len() as u64);
            }
            // lm-eval: input = (context + continuation)[-(max_length + 1):][:-1]
            let mut input = context;
            input.extend(&targets[..targets.len().saturating_sub(1)]);
            let dropped = input.len().saturating_sub(self.longest);
            encoded.truncated += dropped as u64;
            input.drain(..dropped);
            // A continuation longer than the model's context is scored on its end.
            targets.drain(..targets.len().saturating_sub(input.len()));
            encoded.sequences.push(Sequence { input, targets });
        }
        Ok(encoded)
    }

    /// Cuts a prompt by the task's rule so that the answer fits.
    fn generation(&self, item: &Item, max_new_tokens: u32) -> Result<EncodedItem, EvalError> {
        let prompt = &item.request.contexts()[0];
        let mut input = self.with_first(self.tokenizer.encode(prompt, false)?);
        let prompt_tokens = vec![input.len() as u64];
        let room = self.longest.saturating_sub(max_new_tokens as usize).max(1);
        let mut dropped = 0;
        match self.definition.truncation {
            Truncation::None => {}
            Truncation::Left => {
                dropped = input.len().saturating_sub(room);
                input.drain(..dropped);
            }
            Truncation::DropShots => {
                let whole = input.len();
                let start = item.examples.first().map_or(0, |first| first.start);
                for example in &item.examples {
                    if input.len() <= room {
                        break;
                    }
                    let shorter = format!("{}{}", &prompt[..start], &prompt[example.end..]);
                    input = self.with_first(self.tokenizer.encode(&shorter, false)?);
                }
                dropped = whole.saturating_sub(input.len());
            }
        }
        if input.is_empty() {
            input.push(self.prefix_token()?);
        }
        let sequence = Sequence { input, targets: Vec::new() };
        Ok(EncodedItem { sequences: vec![sequence], prompt_tokens, truncated: dropped as u64 })
    }

    /// Ids of a context and of what is scored after it.
    fn pair(&self, context: &str, continuation: &str) -> Result<(Vec<u32>, Vec<u32>), EvalError> {
        if context.is_empty() {
            return Ok((vec![self.prefix_token()?], self.tokenizer.encode(continuation, false)?));
        }
        match self.definition.encoding {
            Encoding::Separate => {
                let context = self.with_first(self.tokenizer.encode(context, false)?);
                Ok((context, self.tokenizer.encode(continuation, false)?))
            }
            Encoding::Pair => {
                let bare = context.trim_end();
                let whole = format!("{context}{continuation}");
                let mut whole = self.with_first(self.tokenizer.encode(&whole, false)?);
                let context = self.with_first(self.tokenizer.encode(bare, false)?);
                // Where a token straddles the boundary the harness still takes the context as encoded by itself.
                let targets = whole.split_off(context.len().min(whole.len()));
                Ok((context, targets))
            }
        }
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
