//! Greedy generation of many rows at once: a row that ends makes room for the next.

use std::sync::Arc;

use sekisho_model::{DecodeRow, Inference, Kv, Tokenizer, TokenizerError};

use crate::EvalError;

/// A finished generation.
pub(crate) struct Generated {
    /// The questions that asked for it.
    pub(crate) questions: Vec<usize>,
    /// Text up to the first stop string.
    pub(crate) output: String,
    /// The stop string that ended it; none when EOS or the limit did.
    pub(crate) stop: Option<String>,
}

/// What a row is asked for. Questions that ask the same are answered by one row.
pub(crate) struct Wish<'a> {
    /// The questions that ask for it.
    pub(crate) questions: Vec<usize>,
    /// Strings that end it.
    pub(crate) stop: &'a [String],
    /// Most tokens.
    pub(crate) limit: u32,
}

/// The rows that are being generated. `rows[i]` belongs to `texts[i]`.
pub(crate) struct Generator<'a> {
    model: &'a dyn Inference,
    tokenizer: &'a Tokenizer,
    ends: Vec<u32>,
    rows: Vec<DecodeRow>,
    texts: Vec<Text<'a>>,
}

struct Text<'a> {
    wish: Wish<'a>,
    ids: Vec<u32>,
}

impl<'a> Generator<'a> {
    pub(crate) fn new(model: &'a dyn Inference, tokenizer: &'a Tokenizer) -> Self {
        let mut ends: Vec<u32> = tokenizer.eos().into_iter().chain(model.config().eos_token_ids()).collect();
        ends.dedup();
        Self { model, tokenizer, ends, rows: Vec::new(), texts: Vec::new() }
    }

    /// Rows on their way.
    pub(crate) fn len(&self) -> usize {
        self.rows.len()
    }

    /// The first question of every row on its way.
    pub(crate) fn owners(&self) -> impl Iterator<Item = usize> {
        self.texts.iter().map(|text| text.wish.questions[0])
    }

    /// Memory of the rows' own keys and values, each made for its limit.
    pub(crate) fn reserved(&self) -> usize {
        self.texts.iter().map(|text| self.model.kv_bytes(text.wish.limit as usize)).sum()
    }

    /// Takes a prompt whose first answered token is `token`. Answers at once when that ends it.
    pub(crate) fn start(
        &mut self,
        wish: Wish<'a>,
        kv: Arc<Kv>,
        token: u32,
    ) -> Result<Option<Generated>, EvalError> {
        let mut text = Text { wish, ids: Vec::new() };
        if text.take(token, &self.ends, self.tokenizer)? {
            return Ok(Some(text.finish(self.tokenizer)?));
        }
        self.rows.push(DecodeRow::new(kv, token, text.wish.limit as usize));
        self.texts.push(text);
        Ok(None)
    }

    /// One token for every row. The inner error is the question whose logits hold no numbers.
    pub(crate) fn step(&mut self) -> Result<Result<Vec<Generated>, usize>, EvalError> {
        let tokens = self.model.decode_likeliest(&mut self.rows)?;
        let mut finished = Vec::new();
        // From the back, so that a removed row moves none that is still to come.
        for i in (0..self.rows.len()).rev() {
            let Some(token) = tokens[i] else {
                return Ok(Err(self.texts[i].wish.questions[0]));
            };
            self.rows[i].token = token;
            if self.texts[i].take(token, &self.ends, self.tokenizer)? {
                self.rows.swap_remove(i);
                finished.push(self.texts.swap_remove(i).finish(self.tokenizer)?);
            }
        }
        Ok(Ok(finished))
    }
}

impl Text<'_> {
    /// Adds a token; says whether the text is complete.
    fn take(&mut self, token: u32, ends: &[u32], tokenizer: &Tokenizer) -> Result<bool, TokenizerError> {
        if ends.contains(&token) {
            return Ok(true);
        }
        self.ids.push(token);
        Ok(self.ids.len() >= self.wish.limit as usize || self.has_stop(tokenizer)?)
    }

    /// Whether a stop string is in the text. A token may complete one that began in an earlier token, or a character of several
    /// tokens, so the whole text is looked at.
    fn has_stop(&self, tokenizer: &Tokenizer) -> Result<bool, TokenizerError> {
        Ok(!self.wish.stop.is_empty() && self.first_stop(&self.decoded(tokenizer)?).is_some())
    }

    fn decoded(&self, tokenizer: &Tokenizer) -> Result<String, TokenizerError> {
        tokenizer.decode(&self.ids, true)
    }

    /// Where the first stop string begins, and which it is.
    fn first_stop(&self, text: &str) -> Option<(usize, &String)> {
        let found = |stop| text.find(String::as_str(stop)).map(|at| (at, stop));
        self.wish.stop.iter().filter_map(found).min_by_key(|(at, _)| *at)
    }

    fn finish(self, tokenizer: &Tokenizer) -> Result<Generated, TokenizerError> {
        let mut output = self.decoded(tokenizer)?;
        let stop = self.first_stop(&output).map(|(at, stop)| (at, stop.clone()));
        if let Some((at, _)) = stop {
            output.truncate(at);
        }
        Ok(Generated { questions: self.wish.questions, output, stop: stop.map(|(_, stop)| stop) })
    }
}
