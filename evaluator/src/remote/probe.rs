//! What is asked of a server before anything is scored: which model it has, whether it reads our tokens, and how it tells
//! log-likelihoods.

use sekisho_model::Tokenizer;

use super::ask::{Dialect, Job, ask, logarithm, one, sampled};
use super::client::Client;
use super::error::{Fault, RemoteError};
use super::wire::{Completion, ModelEntry, Prompt};
use crate::EvalError;

/// Two languages, digits and marks: another tokenizer hardly cuts all of it into as many tokens.
const TEXT: &str = "関所 was a checkpoint on an old road. 2026年に12,345人が通った、と書いてある。";
/// Tokens that a tokenizer may put around a text: BOS and EOS.
const AROUND: u64 = 2;
/// What another order of sums may change of a log-probability.
const NEAR: f64 = 0.1;

/// What the server says of the model.
///
/// # Errors
/// When it has no such model, with the names of those it has.
pub(crate) fn entry(client: &Client) -> Result<ModelEntry, RemoteError> {
    let models = client.models()?.data;
    let has = models.iter().map(|model| model.id.clone()).collect();
    models.into_iter().find(|model| model.id == client.model).ok_or_else(|| RemoteError::UnknownModel {
        url: client.url.clone(),
        wanted: client.model.clone(),
        has,
    })
}

/// The token ids of the test sentence.
pub(crate) fn ids(tokenizer: &Tokenizer) -> Result<Vec<u32>, EvalError> {
    Ok(tokenizer.encode(TEXT, false)?)
}

/// Checks that the server's own tokenizer cuts a text as ours does, and that it reads exactly the tokens that are sent. Answers
/// the version that the server gives itself, if it does.
pub(crate) fn tokens(client: &Client, ids: &[u32]) -> Result<Option<String>, RemoteError> {
    let request = Completion { prompt: Prompt::Text(TEXT), max_tokens: 1, ..Completion::default() };
    let completed = client.complete(&request)?;
    let theirs = completed.usage.ok_or_else(|| client.fault(Fault::NoUsage))?.prompt_tokens;
    let ours = ids.len() as u64;
    if !(ours..=ours + AROUND).contains(&theirs) {
        return Err(RemoteError::OtherTokenizer { url: client.url.clone(), ours, theirs });
    }
    let request = Completion { prompt: Prompt::Ids(ids), max_tokens: 1, ..Completion::default() };
    match one(client, &request, ids.len()) {
        Ok(_) => Ok(completed.system_fingerprint),
        Err(RemoteError::Refused { url, status: 400 | 422, words }) => {
            Err(RemoteError::NoTokenIds { url, words })
        }
        Err(error) => Err(error),
    }
}

/// The first way in which the server tells the log-likelihoods of given tokens.
///
/// # Errors
/// [`RemoteError::NoLikelihoods`] with what came of each way.
pub(crate) fn dialect(client: &Client, ids: &[u32], vocabulary: u32) -> Result<Dialect, RemoteError> {
    let Some(ranked) = works(client, ids, Dialect::Ranked)? else { return Ok(Dialect::Ranked) };
    let mut echoed = String::new();
    for max_tokens in [0, 1] {
        match works(client, ids, Dialect::Echo { max_tokens })? {
            None => return Ok(Dialect::Echo { max_tokens }),
            Some(reason) => echoed = reason,
        }
    }
    match forces(client, ids) {
        Ok(whole) => Ok(Dialect::Forced { whole, vocabulary }),
        Err(error) => {
            let forced = reason(error)?;
            Err(RemoteError::NoLikelihoods { url: client.url.clone(), ranked, echoed, forced })
        }
    }
}

/// Nothing when every token of the test sentence but the first gets a log-probability; else why not.
fn works(client: &Client, ids: &[u32], dialect: Dialect) -> Result<Option<String>, RemoteError> {
    let job = Job::Likelihood { dialect, tokens: ids.to_vec(), targets: ids.len() - 1, greedy: false };
    match ask(client, &job) {
        Ok(_) => Ok(None),
        Err(error) => reason(error).map(Some),
    }
}

/// A token that can be forced, when a forced token is told with the probability that the model gave it: another one than the
/// model's own first, below that one, which is as likely as when nothing is forced.
fn forces(client: &Client, ids: &[u32]) -> Result<u32, RemoteError> {
    let other = || client.fault(Fault::OtherToken);
    let free = sampled(client, ids, None, 1)?.0.ok_or_else(other)?;
    for id in ids.iter().filter(|id| **id != free.id) {
        let Some(forced) = sampled(client, ids, Some(*id), 1)?.0 else { continue };
        let top = forced.top_logprobs.first().ok_or_else(|| client.fault(Fault::NoLikeliest))?;
        let (first, value) = (logarithm(client, top.logprob)?, logarithm(client, forced.logprob)?);
        let same = top.id == free.id && (first - logarithm(client, free.logprob)?).abs() <= NEAR;
        return if forced.id == *id && same && value <= first { Ok(*id) } else { Err(other()) };
    }
    Err(other())
}

/// Why the server does not do what it was asked, in some words; errors that say nothing about that stay errors.
fn reason(error: RemoteError) -> Result<String, RemoteError> {
    match error {
        RemoteError::Refused { status, words, .. } => Ok(format!("answers {status} ({words})")),
        RemoteError::Unreadable { reason, .. } => Ok(format!("gives no usable answer ({reason})")),
        // Without the way on: the sentence that this becomes a part of has its own.
        RemoteError::Fault { fault, .. } => {
            Ok(fault.to_string().split(';').next().unwrap_or_default().to_owned())
        }
        error => Err(error),
    }
}
