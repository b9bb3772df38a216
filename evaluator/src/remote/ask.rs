//! One question to a completions server, and what may be believed of its answer.

use std::collections::BTreeMap;

use super::client::Client;
use super::error::{Fault, RemoteError};
use super::wire::{Choice, Completion, Prompt, Ranked, Sampled, Usage};
use crate::questions::Target;

/// Added to the logit of a token that is to be written whatever the model thinks.
const CERTAIN: f32 = 1000.0;
/// So many of the likeliest tokens hold most tokens that are looked for; the whole vocabulary is megabytes.
const SOME: u32 = 256;
/// vLLM writes the logarithm of 0 so, because JSON has no infinity.
const NOTHING: f64 = -9999.0;
/// Reasons for an end that is none of the answer's own.
const BROKEN_OFF: [&str; 3] = ["abort", "error", "content_filter"];
/// What rounding may leave of a logarithm of 1.
const ROUNDING: f64 = 1e-3;

/// How a server tells the log-likelihoods of given tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// vLLM's `prompt_logprobs`: by token id, with ranks.
    Ranked,
    /// OpenAI's `echo` with `logprobs`; some servers must generate a token besides.
    Echo { max_tokens: u32 },
    /// llama.cpp: each token is forced by `logit_bias`, and its log-probability is the one before the bias. One request a token.
    /// llama.cpp is silent about a token that ends within a character; then `whole` is forced, which does not, and the token is
    /// looked for among the others at that place.
    Forced { whole: u32, vocabulary: u32 },
}

impl Dialect {
    /// As reports name it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Ranked => "prompt_logprobs",
            Self::Echo { .. } => "echo",
            Self::Forced { .. } => "logit_bias",
        }
    }
}

/// What is asked in one go.
pub(crate) enum Job {
    /// The log-probabilities of the last `targets` tokens; with `greedy`, also whether they are the likeliest.
    Likelihood { dialect: Dialect, tokens: Vec<u32>, targets: usize, greedy: bool },
    /// At most `limit` tokens up to the first stop string, greedily.
    Text { tokens: Vec<u32>, stop: Vec<String>, limit: u32 },
}

/// An answer, and what it took.
pub(crate) struct Reply {
    pub(crate) answer: Answered,
    /// Prompt tokens that the server says it had to read; all of them when it does not say.
    pub(crate) prefilled: u64,
    /// Tokens of the text.
    pub(crate) generated: u64,
}

pub(crate) enum Answered {
    Targets(Vec<Target>),
    Text { output: String, stop: Option<String> },
}

/// Asks, and checks that the answer is one to what was asked.
pub(crate) fn ask(client: &Client, job: &Job) -> Result<Reply, RemoteError> {
    match job {
        Job::Text { tokens, stop, limit } => text(client, tokens, stop, *limit),
        Job::Likelihood { dialect, tokens, targets, greedy } => {
            let first = tokens.len() - targets;
            let (targets, prefilled) = match dialect {
                Dialect::Ranked => ranked(client, tokens, first)?,
                Dialect::Echo { max_tokens } => echoed(client, tokens, first, *max_tokens, *greedy)?,
                Dialect::Forced { whole, vocabulary } => {
                    forced(client, tokens, first, (*whole, *vocabulary))?
                }
            };
            Ok(Reply { answer: Answered::Targets(targets), prefilled, generated: 0 })
        }
    }
}

/// The one choice of a completion of `sent` tokens by the model that was asked.
pub(crate) fn one(
    client: &Client,
    request: &Completion<'_>,
    sent: usize,
) -> Result<(Choice, Usage), RemoteError> {
    let mut completed = client.complete(request)?;
    if let Some(have) = completed.model.filter(|model| *model != client.model) {
        return Err(client.fault(Fault::OtherModel { wanted: client.model.clone(), have }));
    }
    let count = completed.choices.len();
    let Some(choice) = completed.choices.pop().filter(|_| count == 1) else {
        return Err(client.fault(Fault::Choices(count)));
    };
    if choice.index != 0 {
        return Err(client.fault(Fault::Index(choice.index)));
    }
    if let Some(reason) = choice.finish_reason.as_ref().filter(|reason| BROKEN_OFF.contains(&reason.as_str()))
    {
        return Err(client.fault(Fault::BrokenOff(reason.clone())));
    }
    let usage = completed.usage.ok_or_else(|| client.fault(Fault::NoUsage))?;
    let sent = sent as u64;
    if usage.prompt_tokens != sent {
        return Err(client.fault(Fault::OtherPrompt { sent, read: usage.prompt_tokens }));
    }
    Ok((choice, usage))
}

fn text(client: &Client, tokens: &[u32], stop: &[String], limit: u32) -> Result<Reply, RemoteError> {
    let request =
        Completion { prompt: Prompt::Ids(tokens), max_tokens: limit, stop, ..Completion::default() };
    let (choice, usage) = one(client, &request, tokens.len())?;
    let (have, wanted) = (usage.completion_tokens.unwrap_or(u64::from(limit)), u64::from(limit));
    if have > wanted {
        return Err(client.fault(Fault::LongAnswer { have, wanted }));
    }
    if have < wanted && choice.finish_reason.as_deref() == Some("length") {
        return Err(client.fault(Fault::CutAnswer { have, wanted }));
    }
    let prefilled = prefilled(&usage);
    let (output, stop) = up_to_stop(choice, stop);
    Ok(Reply { answer: Answered::Text { output, stop }, prefilled, generated: have })
}

/// The text before the first stop string, and that string: from the text where the server leaves it there, else by its word.
/// A server that says neither may have met the end-of-text token as well.
fn up_to_stop(choice: Choice, stop: &[String]) -> (String, Option<String>) {
    let found = stop.iter().filter_map(|stop| choice.text.find(stop.as_str()).map(|at| (at, stop)));
    let mut output = choice.text.clone();
    if let Some((at, stop)) = found.min_by_key(|(at, _)| *at) {
        output.truncate(at);
        return (output, Some(stop.clone()));
    }
    let said = [choice.stop_reason, choice.matched_stop];
    let said = said.iter().flatten().find_map(|said| said.as_str().map(str::to_owned));
    (output, said.filter(|said| stop.contains(said)))
}

fn ranked(client: &Client, tokens: &[u32], first: usize) -> Result<(Vec<Target>, u64), RemoteError> {
    let request = Completion {
        prompt: Prompt::Ids(tokens),
        max_tokens: 1,
        prompt_logprobs: Some(1),
        ..Completion::default()
    };
    let (choice, usage) = one(client, &request, tokens.len())?;
    let places = choice.prompt_logprobs.unwrap_or_default();
    if places.len() != tokens.len() {
        return Err(client.fault(Fault::OtherCount { wanted: tokens.len(), have: places.len() }));
    }
    let targets = places.iter().zip(tokens).skip(first).map(|(place, token)| {
        let place = place.as_ref().ok_or_else(|| client.fault(Fault::NotANumber))?;
        let own = place.get(&token.to_string()).ok_or_else(|| client.fault(Fault::OtherToken))?;
        Ok(Target { value: logarithm(client, own.logprob)?, likeliest: is_first(own, place) })
    });
    Ok((targets.collect::<Result<_, RemoteError>>()?, prefilled(&usage)))
}

fn is_first(own: &Ranked, place: &BTreeMap<String, Ranked>) -> bool {
    match own.rank {
        Some(rank) => rank == 1,
        None => place.values().all(|other| other.logprob <= own.logprob),
    }
}

fn echoed(
    client: &Client,
    tokens: &[u32],
    first: usize,
    max_tokens: u32,
    greedy: bool,
) -> Result<(Vec<Target>, u64), RemoteError> {
    let request = Completion {
        prompt: Prompt::Ids(tokens),
        max_tokens,
        echo: Some(true),
        logprobs: Some(1),
        ..Completion::default()
    };
    let (choice, usage) = one(client, &request, tokens.len())?;
    let (values, tops) = choice.logprobs.map_or_else(Default::default, |logprobs| {
        (logprobs.token_logprobs.unwrap_or_default(), logprobs.top_logprobs.unwrap_or_default())
    });
    // The tokens that were generated besides stand behind the prompt's.
    if !(tokens.len()..=tokens.len() + max_tokens as usize).contains(&values.len()) {
        return Err(client.fault(Fault::OtherCount { wanted: tokens.len(), have: values.len() }));
    }
    let targets = (first..tokens.len()).map(|place| {
        let value = logarithm(client, values[place])?;
        let likeliest = match tops.get(place).and_then(Option::as_ref).filter(|top| !top.is_empty()) {
            Some(top) => top.values().flatten().all(|other| *other <= value),
            None if greedy => return Err(client.fault(Fault::NoLikeliest)),
            None => false,
        };
        Ok(Target { value, likeliest })
    });
    Ok((targets.collect::<Result<_, RemoteError>>()?, prefilled(&usage)))
}

fn forced(
    client: &Client,
    tokens: &[u32],
    first: usize,
    (whole, vocabulary): (u32, u32),
) -> Result<(Vec<Target>, u64), RemoteError> {
    let mut targets = Vec::new();
    let mut prefilled = 0;
    for place in first..tokens.len() {
        let (prompt, token) = (&tokens[..place], tokens[place]);
        let mut found = None;
        for (force, most) in [(token, 1), (whole, SOME), (whole, vocabulary)] {
            let (sampled, read) = sampled(client, prompt, Some(force), most)?;
            prefilled += read;
            found = sampled.and_then(|sampled| probability(&sampled, token));
            if found.is_some() {
                break;
            }
        }
        let (value, likeliest) = found.ok_or_else(|| client.fault(Fault::OtherToken))?;
        targets.push(Target { value: logarithm(client, value)?, likeliest });
    }
    Ok((targets, prefilled))
}

/// The log-probability of a token, and whether it is the likeliest, where an answer tells of it.
fn probability(sampled: &Sampled, token: u32) -> Option<(Option<f64>, bool)> {
    let likeliest = sampled.top_logprobs.first()?.id == token;
    let told = std::iter::once((sampled.id, sampled.logprob))
        .chain(sampled.top_logprobs.iter().map(|top| (top.id, top.logprob)));
    told.filter(|(id, _)| *id == token).map(|(_, value)| (value, likeliest)).next()
}

/// The one token that llama.cpp writes after a prompt, with the `most` likeliest there, and the prompt tokens that it read;
/// `token` is written where one is given. No token when it ends within a character.
pub(crate) fn sampled(
    client: &Client,
    prompt: &[u32],
    token: Option<u32>,
    most: u32,
) -> Result<(Option<Sampled>, u64), RemoteError> {
    let request = Completion {
        prompt: Prompt::Ids(prompt),
        max_tokens: 1,
        logprobs: Some(most),
        logit_bias: token.map(|token| BTreeMap::from([(token.to_string(), CERTAIN)])),
        ..Completion::default()
    };
    let (choice, usage) = one(client, &request, prompt.len())?;
    let content = choice.logprobs.and_then(|logprobs| logprobs.content).unwrap_or_default();
    Ok((content.into_iter().next(), prefilled(&usage)))
}

/// A log-probability that can be one.
pub(crate) fn logarithm(client: &Client, value: Option<f64>) -> Result<f64, RemoteError> {
    let fine = value.filter(|value| value.is_finite() && *value > NOTHING && *value <= ROUNDING);
    fine.ok_or_else(|| client.fault(Fault::NotANumber))
}

fn prefilled(usage: &Usage) -> u64 {
    let cached = usage.prompt_tokens_details.as_ref().and_then(|details| details.cached_tokens);
    usage.prompt_tokens.saturating_sub(cached.unwrap_or(0))
}
