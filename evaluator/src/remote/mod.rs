//! A model that a completions server answers for: vLLM, SGLang, llama.cpp, or anything else that speaks `/v1/completions` and
//! takes prompts as token ids.
//!
//! Prompts, questions and records are those of the local engine; only the numbers come from elsewhere. Nothing of an answer is
//! believed that can be checked: the model's name, how many tokens were read, how many log-probabilities there are.

mod ask;
mod client;
mod error;
mod probe;
mod walk;
mod wire;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use sekisho_bench::RequestKind;
use sekisho_domain::{Sha256, canonical_json};
use sekisho_model::Tokenizer;
use serde_json::{Value, json};

use crate::EvalError;
use ask::Dialect;
use client::Client;
pub use error::{Fault, RemoteError};
pub(crate) use walk::RemoteWalk;
use wire::ModelEntry;

/// Which server is asked, and how.
#[derive(Clone)]
pub struct RemoteOptions {
    /// Its address, with or without `/v1`.
    pub url: String,
    /// The name of the model there.
    pub model: String,
    /// The key, sent as a bearer token and shown nowhere.
    pub token: Option<String>,
    /// Most requests at once.
    pub concurrency: usize,
    /// How long an answer may take.
    pub timeout: Duration,
    /// The first pause before a question is asked again; later ones are longer.
    pub pause: Duration,
    /// Most tokens of a sequence, where the server does not say or where fewer are wanted.
    pub max_length: Option<usize>,
    /// The precision of its weights, where somebody knows it.
    pub dtype: Option<String>,
    /// Whether log-likelihoods will be asked for, so that a server without them is refused before anything is answered.
    pub likelihoods: bool,
}

/// A server that was found to have the model and to read our tokens.
pub struct Remote {
    client: Arc<Client>,
    engine: &'static str,
    version: Option<String>,
    entry: ModelEntry,
    /// Most tokens of prompt and answer, as the server says.
    room: Option<usize>,
    /// Most tokens of a sequence unless a run says otherwise.
    context: usize,
    concurrency: usize,
    dtype: Option<String>,
    drops_space: bool,
    dialect: Option<Dialect>,
}

impl Remote {
    /// Looks at the server and asks it a test sentence.
    pub(crate) fn connect(options: &RemoteOptions, tokenizer: &Tokenizer) -> Result<Self, EvalError> {
        let mut client = Client::new(options)?;
        let entry = probe::entry(&client)?;
        let engine = match entry.owned_by.as_deref() {
            Some("vllm") => "vllm",
            Some("sglang") => "sglang",
            Some("llamacpp") => "llama.cpp",
            _ => "openai-completions",
        };
        let takes_folders = matches!(engine, "vllm" | "sglang");
        client.repetition_penalty = takes_folders.then_some(1.0);
        let n_ctx = || entry.meta.as_ref().and_then(|meta| meta["n_ctx"].as_u64());
        let room = entry.max_model_len.or_else(|| n_ctx().map(|tokens| tokens as usize));
        let context = context(&client, room, options.max_length)?;
        let ids = probe::ids(tokenizer)?;
        let fingerprint = probe::tokens(&client, &ids)?;
        let version = takes_folders.then(|| client.version()).flatten().or(fingerprint);
        let mut remote = Self {
            client: Arc::new(client),
            engine,
            version,
            entry,
            room,
            context,
            concurrency: options.concurrency.max(1),
            dtype: options.dtype.clone(),
            drops_space: drops_space(tokenizer)?,
            dialect: None,
        };
        if options.likelihoods {
            remote.dialect = Some(remote.dialect(tokenizer)?);
        }
        Ok(remote)
    }

    /// What the records of this model depend on, as far as the server tells: not its address, so that a model goes on
    /// elsewhere.
    pub(crate) fn identity(&self) -> Sha256 {
        Sha256::of(canonical_json(&json!({ "engine": self.engine, "model": self.entry })))
    }

    /// Parameters, where the server says.
    pub(crate) fn parameters(&self) -> Option<u64> {
        self.entry.meta.as_ref()?["n_params"].as_u64()
    }

    /// Most tokens of a sequence's input. A log-likelihood needs room for the last token too, and for one that is generated
    /// besides.
    pub(crate) fn longest(&self, max_length: Option<usize>, kind: RequestKind) -> usize {
        let wanted = max_length.unwrap_or(self.context);
        let besides = if kind == RequestKind::Generate { 0 } else { 2 };
        self.room.map_or(wanted, |room| wanted.min(room.saturating_sub(besides)).max(1))
    }

    /// Its part of a score's environment.
    pub(crate) fn environment(&self) -> BTreeMap<&'static str, Value> {
        BTreeMap::from([
            ("engine", Value::from(self.engine)),
            ("engine_version", Value::from(self.version.as_deref().unwrap_or("unknown"))),
            ("model", Value::from(self.entry.id.as_str())),
            ("device", Value::from("unknown")),
            ("dtype", Value::from(self.dtype.as_deref().unwrap_or("unknown"))),
            ("likelihoods", Value::from(self.dialect.map(Dialect::name))),
            ("concurrency", Value::from(self.concurrency)),
            ("invariant", Value::from(false)),
        ])
    }

    /// How the server tells log-likelihoods; looked for when nobody asked before.
    fn dialect(&self, tokenizer: &Tokenizer) -> Result<Dialect, EvalError> {
        match self.dialect {
            Some(dialect) => Ok(dialect),
            None => {
                let n_vocab = self.entry.meta.as_ref().and_then(|meta| meta["n_vocab"].as_u64());
                let vocabulary = n_vocab.unwrap_or(tokenizer.vocab_size() as u64) as u32;
                Ok(probe::dialect(&self.client, &probe::ids(tokenizer)?, vocabulary)?)
            }
        }
    }
}

/// In a line for people: who answers, and how.
impl std::fmt::Display for Remote {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { client, engine, context, .. } = self;
        let version = self.version.as_deref().map(|version| format!(" {version}")).unwrap_or_default();
        write!(f, "{} at {} ({engine}{version}), {context} tokens of context", client.model, client.url)?;
        match self.dialect {
            Some(dialect) => write!(f, ", log-likelihoods by {}", dialect.name()),
            None => Ok(()),
        }
    }
}

fn context(client: &Client, room: Option<usize>, wanted: Option<usize>) -> Result<usize, RemoteError> {
    let url = || client.url.clone();
    match (room, wanted) {
        (Some(have), Some(wanted)) if wanted > have => {
            Err(RemoteError::ShortContext { url: url(), have, wanted })
        }
        (_, Some(wanted)) => Ok(wanted),
        (Some(have), None) => Ok(have),
        (None, None) => Err(RemoteError::NoContext { url: url() }),
    }
}

/// Whether an answer that is decoded by itself loses the space it begins with, as with the tokenizers of Llama 2. The harnesses
/// decode it so; a server decodes it behind its prompt, where the space stays.
fn drops_space(tokenizer: &Tokenizer) -> Result<bool, EvalError> {
    let (one, two) = (tokenizer.encode("a", false)?, tokenizer.encode("a a", false)?);
    let second = two.get(one.len()..).unwrap_or_default();
    Ok(tokenizer.decode(second, true)? == "a")
}
