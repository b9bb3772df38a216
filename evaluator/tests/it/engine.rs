//! A completions server in this process: our own engine behind the wire format of vLLM, SGLang or llama.cpp, with faults on
//! demand.

use std::collections::BTreeMap;
use std::net::TcpStream;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use sekisho_evaluator::{Engine, Model, RemoteOptions};
use sekisho_model::ops::softmax::log_sum_exp;
use sekisho_model::{DecodeRow, Inference, Place, Tokenizer};
use serde_json::{Value, json};

use crate::http;
use crate::support::load_model;

pub(crate) const NAME: &str = "lab/mini-ja-en";

/// How log-likelihoods are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    /// vLLM: `prompt_logprobs`.
    Ranked,
    /// OpenAI: `echo`, with or without a token generated besides.
    Echo { at_least: u64 },
    /// llama.cpp: `logit_bias`; `echo` is ignored.
    Forced,
    /// Not at all.
    Never,
}

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Trick {
    Status(&'static str),
    Hang,
    Trickle,
    Close,
    OtherModel,
    NoChoice,
    TwoChoices,
    Index,
    NullLogprob,
    NanLogprob,
    FewLogprobs,
    CutPrompt,
    CutAnswer,
    LongAnswer,
    Abort,
    NoUsage,
    NotJson,
    NotACompletion,
}

/// What the server does and saw.
pub(crate) struct State {
    pub(crate) style: Style,
    pub(crate) owned_by: &'static str,
    pub(crate) max_model_len: Option<usize>,
    /// After so many completions this goes wrong, for so many of them.
    pub(crate) trick: Option<(usize, Trick, usize)>,
    /// Prompts as token ids, in the order of arrival.
    pub(crate) asked: Vec<Vec<u32>>,
    pub(crate) keys: Vec<Option<String>>,
    pub(crate) at_once: usize,
    pub(crate) most_at_once: usize,
}

pub(crate) struct Server {
    pub(crate) url: String,
    state: Arc<Mutex<State>>,
}

impl Server {
    pub(crate) fn start(dir: &Path, style: Style) -> Self {
        let Model { engine, tokenizer, .. } = load_model(dir);
        let Engine::Local(inference) = engine else { panic!("a model of ours") };
        let owned_by = match style {
            Style::Ranked => "vllm",
            Style::Echo { .. } => "sglang",
            Style::Forced => "llamacpp",
            Style::Never => "somebody",
        };
        let state = Arc::new(Mutex::new(State {
            style,
            owned_by,
            max_model_len: Some(inference.config().max_position_embeddings),
            trick: None,
            asked: Vec::new(),
            keys: Vec::new(),
            at_once: 0,
            most_at_once: 0,
        }));
        let shared = state.clone();
        let answers = Answers { inference, tokenizer };
        let url = http::listen(move |stream| {
            serve(stream, &shared, &answers);
        });
        Self { url, state }
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no test panics while it holds the lock")
    }

    /// Asks it as the command would, with short patience.
    pub(crate) fn options(&self) -> RemoteOptions {
        RemoteOptions {
            url: self.url.clone(),
            model: NAME.to_owned(),
            token: None,
            concurrency: 4,
            timeout: Duration::from_secs(60),
            pause: Duration::from_millis(1),
            max_length: None,
            dtype: None,
            likelihoods: false,
        }
    }
}

struct Answers {
    inference: Box<dyn Inference>,
    tokenizer: Tokenizer,
}

fn serve(stream: &TcpStream, state: &Mutex<State>, answers: &Answers) -> Option<()> {
    let sent = http::read(stream)?;
    let (style, owned_by, room, trick) = {
        let mut state = state.lock().ok()?;
        state.keys.push(sent.token);
        let completion = sent.path == "/v1/completions";
        state.at_once += 1;
        state.most_at_once = state.most_at_once.max(state.at_once);
        let trick = completion.then(|| turn(&mut state)).flatten();
        (state.style, state.owned_by, state.max_model_len, trick)
    };
    let answer = match sent.path.as_str() {
        "/v1/models" => Ok(json!({"object": "list", "data": [
            {"id": "lab/other", "object": "model", "owned_by": owned_by},
            {"id": NAME, "object": "model", "created": 1, "owned_by": owned_by, "max_model_len": room},
        ]})),
        "/v1/completions" => {
            let request: Value = serde_json::from_slice(&sent.body).expect("JSON");
            let ids = answers.ids(&request["prompt"]);
            state.lock().ok()?.asked.push(ids.clone());
            answers.complete(&request, &ids, style, room)
        }
        "/version" => Ok(json!({"version": "0.99"})),
        _ => Err(("404 Not Found", "no such page".to_owned())),
    };
    state.lock().ok()?.at_once -= 1;
    let (status, answer) = match answer {
        Ok(answer) => ("200 OK", answer),
        Err((status, words)) => (status, json!({"error": {"message": words, "code": 400}})),
    };
    match trick {
        None => http::write(stream, status, answer.to_string().as_bytes()),
        Some(trick) => play(stream, trick, answer),
    }
    Some(())
}

/// What goes wrong with the completion that has just arrived.
fn turn(state: &mut State) -> Option<Trick> {
    let (after, trick, times) = state.trick.as_mut()?;
    if *after > 0 {
        *after -= 1;
        return None;
    }
    *times = times.checked_sub(1)?;
    Some(*trick)
}

fn play(stream: &TcpStream, trick: Trick, mut answer: Value) {
    use std::io::Write as _;
    let ok = |answer: &Value| http::write(stream, "200 OK", answer.to_string().as_bytes());
    let choice = answer["choices"][0].clone();
    match trick {
        Trick::Status(status) => {
            let key = "Bearer s3cret-key is not welcome s3cret-key";
            return http::write(stream, status, json!({"error": {"message": key}}).to_string().as_bytes());
        }
        Trick::Hang => return std::thread::sleep(Duration::from_secs(9)),
        Trick::Trickle => {
            let _ = { stream }.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n");
            for _ in 0..90 {
                let _ = { stream }.write_all(b" ");
                std::thread::sleep(Duration::from_millis(100));
            }
            return;
        }
        Trick::Close => return,
        Trick::NotJson => return http::write(stream, "200 OK", b"<html>Welcome</html>"),
        Trick::NanLogprob => {
            let text = answer.to_string();
            let at = text.find("\"logprob\":").expect("log-probabilities") + "\"logprob\":".len();
            let end = at + text[at..].find([',', '}']).expect("more");
            let text = format!("{}NaN{}", &text[..at], &text[end..]);
            return http::write(stream, "200 OK", text.as_bytes());
        }
        Trick::NotACompletion => return ok(&json!({"object": "chat.completion"})),
        Trick::OtherModel => answer["model"] = json!("lab/other"),
        Trick::NoChoice => answer["choices"] = json!([]),
        Trick::TwoChoices => answer["choices"] = json!([choice, choice]),
        Trick::Index => answer["choices"][0]["index"] = json!(1),
        Trick::NullLogprob => {
            let last =
                answer["choices"][0]["prompt_logprobs"].as_array_mut().and_then(|list| list.last_mut());
            *last.expect("log-probabilities") = Value::Null;
        }
        Trick::FewLogprobs => {
            let list = answer["choices"][0]["prompt_logprobs"].as_array_mut();
            list.expect("log-probabilities").truncate(3);
        }
        Trick::CutPrompt => answer["usage"]["prompt_tokens"] = json!(7),
        Trick::CutAnswer => {
            answer["choices"][0]["finish_reason"] = json!("length");
            answer["usage"]["completion_tokens"] = json!(0);
        }
        Trick::Abort => answer["choices"][0]["finish_reason"] = json!("abort"),
        Trick::LongAnswer => answer["usage"]["completion_tokens"] = json!(10_000),
        Trick::NoUsage => answer["usage"] = Value::Null,
    }
    ok(&answer);
}

impl Answers {
    fn ids(&self, prompt: &Value) -> Vec<u32> {
        match prompt.as_str() {
            Some(text) => self.tokenizer.encode(text, true).expect("encodes"),
            None => serde_json::from_value(prompt.clone()).expect("token ids"),
        }
    }

    fn complete(
        &self,
        request: &Value,
        ids: &[u32],
        style: Style,
        room: Option<usize>,
    ) -> Result<Value, (&'static str, String)> {
        let limit = request["max_tokens"].as_u64().expect("a limit");
        if room.is_some_and(|room| ids.len() + limit as usize > room) {
            return Err(("400 Bad Request", format!("This model takes {room:?} tokens.")));
        }
        if ids.iter().any(|id| *id as usize >= self.inference.config().vocab_size) {
            return Err(("400 Bad Request", "Prompt contains invalid tokens".to_owned()));
        }
        assert_eq!(request["temperature"], 0.0, "greedily");
        let echo = request["echo"] == true;
        match style {
            Style::Echo { at_least } if echo && limit < at_least => {
                return Err(("400 Bad Request", "max_tokens must be at least 1".to_owned()));
            }
            Style::Never if echo => return Err(("400 Bad Request", "echo is not supported".to_owned())),
            _ => {}
        }
        let stop: Vec<&str> =
            request["stop"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let forced = request["logit_bias"].as_object().filter(|_| style == Style::Forced);
        let forced = forced.and_then(|bias| bias.keys().next()?.parse().ok());
        let (written, text, ended) = self.write(ids, limit, &stop, forced);
        let mut choice = json!({"index": 0, "text": text, "logprobs": null,
            "finish_reason": if ended.is_some() { "stop" } else { "length" }});
        match style {
            Style::Ranked => {
                choice["stop_reason"] = json!(ended.flatten());
                if request["prompt_logprobs"].is_u64() {
                    choice["prompt_logprobs"] = self.ranked(ids);
                }
            }
            Style::Echo { .. } if echo => choice["logprobs"] = self.echoed(ids, limit),
            Style::Echo { .. } => choice["matched_stop"] = json!(ended.flatten()),
            Style::Forced if request["logprobs"].is_u64() => choice["logprobs"] = self.sampled(ids, &written),
            Style::Forced | Style::Never => {}
        }
        Ok(json!({"object": "text_completion", "model": request["model"], "choices": [choice],
            "system_fingerprint": "b-test",
            "usage": {"prompt_tokens": ids.len(), "completion_tokens": written.len()}}))
    }

    /// Token ids, their text behind the prompt up to a stop string, and why it ended before the limit.
    fn write(
        &self,
        ids: &[u32],
        limit: u64,
        stop: &[&str],
        forced: Option<u32>,
    ) -> (Vec<u32>, String, Option<Option<String>>) {
        let decode = |ids: &[u32]| self.tokenizer.decode(ids, true).expect("decodes");
        let before = decode(ids).len();
        let prompt = self.inference.extend(None, ids).expect("known tokens");
        let logits = self.inference.logits(&[prompt.hidden.place(ids.len() - 1)]).expect("logits");
        let mut row = DecodeRow::new(prompt.kv, forced.unwrap_or_else(|| likeliest(&logits)), 64);
        let (mut written, mut text, mut ended) = (Vec::new(), String::new(), None);
        while (written.len() as u64) < limit && ended.is_none() {
            written.push(row.token);
            if Some(row.token) == self.tokenizer.eos() {
                ended = Some(None);
                break;
            }
            text = decode(&[ids, &written].concat())[before..].to_owned();
            if let Some((at, stop)) = stop.iter().filter_map(|stop| Some((text.find(stop)?, stop))).min() {
                text.truncate(at);
                ended = Some(Some((*stop).to_owned()));
            }
            let mut rows = [row];
            let logits = self.inference.decode(&mut rows).expect("known tokens");
            [row] = rows;
            row.token = likeliest(&logits);
        }
        (written, text, ended)
    }

    /// For every token but the first: its log-probability, the likeliest token and that one's.
    fn places(&self, ids: &[u32]) -> Vec<(f64, u32, f64)> {
        let hidden = self.inference.extend(None, ids).expect("known tokens").hidden;
        let place = |(place, token): (Place<'_>, &u32)| {
            let logits = self.inference.logits(&[place]).expect("logits");
            let (sum, top) = (log_sum_exp(&logits), likeliest(&logits));
            let value = |token: u32| f64::from(logits[token as usize]) - sum;
            (value(*token), top, value(top))
        };
        hidden.places(0..hidden.rows()).zip(&ids[1..]).map(place).collect()
    }

    fn ranked(&self, ids: &[u32]) -> Value {
        let places = self.places(ids).into_iter().zip(&ids[1..]).map(|((value, top, best), token)| {
            let rank = if top == *token { 1 } else { 2 };
            let mut place = BTreeMap::from([(top.to_string(), json!({"logprob": best, "rank": 1}))]);
            place.insert(token.to_string(), json!({"logprob": value, "rank": rank, "decoded_token": "x"}));
            json!(place)
        });
        std::iter::once(Value::Null).chain(places).collect()
    }

    fn echoed(&self, ids: &[u32], limit: u64) -> Value {
        let places = self.places(ids);
        let besides = std::iter::repeat_n(-0.5, limit as usize);
        let values = places.iter().map(|place| place.0).chain(besides.clone()).map(Value::from);
        let top = |(value, top, best): &(f64, u32, f64)| {
            json!(BTreeMap::from([("own".to_owned(), *value), (format!("token {top}"), *best)]))
        };
        let tops = places.iter().map(top).chain(besides.map(|value| json!({"x": value})));
        json!({
            "token_logprobs": std::iter::once(Value::Null).chain(values).collect::<Value>(),
            "top_logprobs": std::iter::once(Value::Null).chain(tops).collect::<Value>(),
        })
    }

    fn sampled(&self, ids: &[u32], written: &[u32]) -> Value {
        let Some(token) = written.first() else { return Value::Null };
        let (value, top, best) = *self.places(&[ids, &[*token]].concat()).last().expect("one");
        json!({"content": [{"id": token, "logprob": value, "top_logprobs": [{"id": top, "logprob": best}]}]})
    }
}

fn likeliest(logits: &[f32]) -> u32 {
    let best = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    logits.iter().position(|logit| *logit == best).expect("numbers") as u32
}
