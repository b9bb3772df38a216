//! What crosses the wire: `/v1/models` and `/v1/completions` as OpenAI defined them, with what vLLM, SGLang and llama.cpp add.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// `GET /v1/models`.
#[derive(Deserialize)]
pub(crate) struct Models {
    pub(crate) data: Vec<ModelEntry>,
}

/// What a server says of one model. What changes from start to start (`created`, `permission`) is left out.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct ModelEntry {
    pub(crate) id: String,
    /// `vllm`, `sglang`, `llamacpp`, or anything.
    #[serde(default)]
    pub(crate) owned_by: Option<String>,
    /// The model's folder or repository (vLLM, SGLang).
    #[serde(default)]
    pub(crate) root: Option<String>,
    /// Most tokens of prompt and answer together (vLLM, SGLang).
    #[serde(default)]
    pub(crate) max_model_len: Option<usize>,
    /// llama.cpp's words on the file: `n_ctx`, `n_params`, …
    #[serde(default)]
    pub(crate) meta: Option<Value>,
}

/// `POST /v1/completions`.
#[derive(Clone, Default, Serialize)]
pub(crate) struct Completion<'a> {
    pub(crate) model: &'a str,
    pub(crate) prompt: Prompt<'a>,
    pub(crate) max_tokens: u32,
    /// 0: greedily.
    pub(crate) temperature: f32,
    /// A folder's `generation_config.json` may ask for another one, and vLLM and SGLang take it from there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) repetition_penalty: Option<f32>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    pub(crate) stop: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) echo: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) logprobs: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) prompt_logprobs: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) logit_bias: Option<BTreeMap<String, f32>>,
}

/// A prompt as token ids, or as the text that a server tokenises itself.
#[derive(Clone, Serialize)]
#[serde(untagged)]
pub(crate) enum Prompt<'a> {
    Ids(&'a [u32]),
    Text(&'a str),
}

impl Default for Prompt<'_> {
    fn default() -> Self {
        Self::Ids(&[])
    }
}

/// The answer to a [`Completion`].
#[derive(Deserialize)]
pub(crate) struct Completed {
    #[serde(default)]
    pub(crate) model: Option<String>,
    pub(crate) choices: Vec<Choice>,
    #[serde(default)]
    pub(crate) usage: Option<Usage>,
    /// Some servers' version.
    #[serde(default)]
    pub(crate) system_fingerprint: Option<String>,
}

#[derive(Deserialize)]
pub(crate) struct Choice {
    #[serde(default)]
    pub(crate) index: u64,
    #[serde(default)]
    pub(crate) text: String,
    #[serde(default)]
    pub(crate) finish_reason: Option<String>,
    /// vLLM: the stop string or token that ended the answer.
    #[serde(default)]
    pub(crate) stop_reason: Option<Value>,
    /// SGLang: the same.
    #[serde(default)]
    pub(crate) matched_stop: Option<Value>,
    #[serde(default)]
    pub(crate) logprobs: Option<Logprobs>,
    /// vLLM: for every prompt token but the first, tokens by id; the prompt's own is always among them.
    #[serde(default)]
    pub(crate) prompt_logprobs: Option<Vec<Option<BTreeMap<String, Ranked>>>>,
}

#[derive(Deserialize)]
pub(crate) struct Ranked {
    pub(crate) logprob: Option<f64>,
    /// 1 for the likeliest token.
    #[serde(default)]
    pub(crate) rank: Option<u64>,
}

#[derive(Deserialize)]
pub(crate) struct Logprobs {
    /// OpenAI's: of every token of the text, which begins with the prompt under `echo`.
    #[serde(default)]
    pub(crate) token_logprobs: Option<Vec<Option<f64>>>,
    /// OpenAI's: the likeliest tokens at each place, by text.
    #[serde(default)]
    pub(crate) top_logprobs: Option<Vec<Option<BTreeMap<String, Option<f64>>>>>,
    /// llama.cpp's: of every generated token.
    #[serde(default)]
    pub(crate) content: Option<Vec<Sampled>>,
}

/// A generated token of llama.cpp: it, and those that were likelier or likely.
#[derive(Deserialize)]
pub(crate) struct Sampled {
    pub(crate) id: u32,
    pub(crate) logprob: Option<f64>,
    #[serde(default)]
    pub(crate) top_logprobs: Vec<Sampled>,
}

#[derive(Deserialize)]
pub(crate) struct Usage {
    pub(crate) prompt_tokens: u64,
    #[serde(default)]
    pub(crate) completion_tokens: Option<u64>,
    #[serde(default)]
    pub(crate) prompt_tokens_details: Option<PromptDetails>,
}

#[derive(Deserialize)]
pub(crate) struct PromptDetails {
    /// Prompt tokens that the server's prefix cache saved.
    #[serde(default)]
    pub(crate) cached_tokens: Option<u64>,
}
