//! A service for one worker: the wire format by hand, over a plain socket, so that the worker's own client is not its judge.

use std::collections::{BTreeMap, VecDeque};
use std::net::TcpStream;
use std::sync::{Arc, Mutex, MutexGuard};

use sekisho_domain::wire::{
    Claim, ClaimedItems, Heartbeat, HeartbeatAnswer, NextCheckpoint, ResultsBatch, WorkItem,
};
use serde_json::{Value, json};

use crate::http;

/// What the service does and saw.
#[derive(Default)]
pub(crate) struct State {
    /// Handed out one by one.
    pub(crate) queue: VecDeque<WorkItem>,
    /// Said with the next claim.
    pub(crate) next: Option<NextCheckpoint>,
    /// Data files by digest.
    pub(crate) sources: BTreeMap<String, Vec<u8>>,
    /// So many of the next requests for results find nobody.
    pub(crate) away: u32,
    /// The lease of the item passes on when so many batches have arrived.
    pub(crate) lost_after: Option<usize>,
    /// Every heartbeat finds its items lost.
    pub(crate) lost: bool,
    /// Every claim is refused.
    pub(crate) unauthorised: bool,
    pub(crate) claims: Vec<Claim>,
    pub(crate) batches: Vec<ResultsBatch>,
    pub(crate) heartbeats: usize,
    pub(crate) fetched: usize,
    pub(crate) tokens: Vec<Option<String>>,
    /// Called after each batch.
    pub(crate) on_batch: Option<Box<dyn Fn(&ResultsBatch) + Send>>,
}

pub(crate) struct Service {
    pub(crate) url: String,
    state: Arc<Mutex<State>>,
}

impl Service {
    pub(crate) fn start(state: State) -> Self {
        let state = Arc::new(Mutex::new(state));
        let shared = state.clone();
        let url = http::listen(move |stream| {
            serve(stream, &shared);
        });
        Self { url, state }
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no test panics while it holds the lock")
    }
}

fn serve(stream: &TcpStream, state: &Mutex<State>) -> Option<()> {
    let sent = http::read(stream)?;
    let (status, answer) = {
        let mut state = state.lock().ok()?;
        state.tokens.push(sent.token);
        respond(&sent.path, &sent.body, &mut state)?
    };
    http::write(stream, status, &answer);
    Some(())
}

/// Nothing is said when the service is "away": the connection just ends.
fn respond(path: &str, body: &[u8], state: &mut State) -> Option<(&'static str, Vec<u8>)> {
    let ok = |value: Value| Some(("200 OK", value.to_string().into_bytes()));
    let problem = |status: &'static str, code: &str| {
        let number: u16 = status[..3].parse().expect("a status");
        let value =
            json!({"title": status, "status": number, "detail": format!("refused: {code}"), "code": code});
        Some((status, value.to_string().into_bytes()))
    };
    match path.strip_prefix("/api/v1/work/")? {
        "claim" if state.unauthorised => problem("401 Unauthorized", "unauthorised"),
        "claim" => {
            state.claims.push(serde_json::from_slice(body).expect("a claim"));
            let items = state.queue.pop_front().into_iter().collect();
            ok(json!(ClaimedItems { items, next: state.next.take() }))
        }
        "heartbeat" => {
            let beat: Heartbeat = serde_json::from_slice(body).expect("a heartbeat");
            state.heartbeats += 1;
            let held = beat.items.iter().map(|item| item.id);
            ok(json!(HeartbeatAnswer { lost: held.filter(|_| state.lost).collect() }))
        }
        "results" if state.away > 0 => {
            state.away -= 1;
            if state.away.is_multiple_of(2) { None } else { problem("503 Service Unavailable", "starting") }
        }
        "results" if state.lost_after.is_some_and(|most| state.batches.len() >= most) => {
            problem("409 Conflict", "lease-lost")
        }
        "results" => {
            let batch: ResultsBatch = serde_json::from_slice(body).expect("a batch");
            if let Some(hook) = &state.on_batch {
                hook(&batch);
            }
            let accepted = batch.records.len();
            state.batches.push(batch);
            ok(json!({"accepted": accepted, "finished": 0}))
        }
        source => {
            state.fetched += 1;
            match state.sources.get(source.strip_prefix("sources/")?) {
                Some(bytes) => Some(("200 OK", bytes.clone())),
                None => problem("404 Not Found", "not-found"),
            }
        }
    }
}
