//! `--engine`: a server that computes instead of this process.

use std::time::Duration;

use sekisho_evaluator::RemoteOptions;

use crate::commands::worker::duration;

/// The first pause before a question is asked again.
const PAUSE: Duration = Duration::from_millis(500);

#[derive(clap::Args)]
pub(crate) struct EngineArgs {
    /// A completions server that computes instead (vLLM, SGLang, llama.cpp); --model is then the folder of its tokenizer.
    /// SEKISHO_ENGINE_TOKEN is its key
    #[arg(long, value_name = "URL", requires = "engine_model", conflicts_with = "kv_budget")]
    engine: Option<String>,
    /// The model's name on that server
    #[arg(long, value_name = "NAME", requires = "engine")]
    engine_model: Option<String>,
    /// Most requests at once
    #[arg(long, value_name = "N", default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..=4096))]
    engine_concurrency: u16,
    /// How long an answer may take
    #[arg(long, value_name = "TIME", default_value = "10m", value_parser = duration)]
    engine_timeout: Duration,
    /// Precision of the server's weights, for the record
    #[arg(long, value_name = "D", requires = "engine")]
    engine_dtype: Option<String>,
}

impl EngineArgs {
    /// The server to ask, where one is named.
    pub(crate) fn options(&self, max_length: Option<usize>, likelihoods: bool) -> Option<RemoteOptions> {
        let (url, model) = (self.engine.clone()?, self.engine_model.clone()?);
        let token = std::env::var("SEKISHO_ENGINE_TOKEN").ok().filter(|token| !token.is_empty());
        Some(RemoteOptions {
            url,
            model,
            token,
            concurrency: usize::from(self.engine_concurrency),
            timeout: self.engine_timeout,
            pause: PAUSE,
            max_length,
            dtype: self.engine_dtype.clone(),
            likelihoods,
        })
    }
}
