//! What happened becomes one message for each endpoint that wants to hear of it.

use sekisho_domain::webhook::{EndpointState, EventType, MessageState};
use sekisho_domain::{MessageId, fits_glob};
use sekisho_store::{Endpoint, Happening, Message};
use serde_json::Value;

use super::{regressions, shape, told};
use crate::{App, WebError};

/// Happenings that are told in one write.
const BATCH: u32 = 50;

/// Looks at one happening that cannot be told before it is left out: half an hour, in which a disk may be mended.
const PATIENCE: u32 = 3600;

/// What could not be told the last time, and how often that was tried.
#[derive(Default)]
pub(super) struct Stuck {
    seq: u64,
    tries: u32,
}

impl Stuck {
    /// Counts a failure; answers whether the happening is left out, so that one does not silence all others for ever.
    fn gives_up(&mut self, seq: u64) -> bool {
        self.tries = if self.seq == seq { self.tries + 1 } else { 1 };
        self.seq = seq;
        self.tries >= PATIENCE
    }
}

/// Tells everything that no endpoint was told of yet.
pub(super) async fn all(app: &App, stuck: &mut Stuck) -> Result<(), WebError> {
    while batch(app, stuck).await? {}
    Ok(())
}

/// Tells some of it: messages, what follows from it, and the place up to which all is told are one write, so that a crash before it
/// changes nothing and one after it loses nothing. Answers whether there may be more.
async fn batch(app: &App, stuck: &mut Stuck) -> Result<bool, WebError> {
    let happenings = app.store.happenings(BATCH).await?;
    let endpoints = app.store.endpoints().await?;
    let (mut messages, mut follows, mut last, mut failure) = (Vec::new(), Vec::new(), None, None);
    for happening in &happenings {
        match one(app, &endpoints, happening).await {
            Ok((told, following)) => {
                messages.extend(told);
                follows.extend(following);
            }
            Err(error) if stuck.gives_up(happening.seq) => {
                tracing::error!(seq = happening.seq, kind = %happening.kind, %error, "it cannot be told and is left out");
            }
            Err(error) => {
                failure = Some(error);
                break;
            }
        }
        last = Some(happening.seq);
    }
    if let Some(last) = last {
        app.store.fan_out(last, &messages, &follows, app.now()).await?;
    }
    match failure {
        Some(error) => Err(error),
        None => Ok(happenings.len() == BATCH as usize || !follows.is_empty()),
    }
}

/// What follows from a happening: kind, subject and detail.
type Follows = Vec<(EventType, String, Value)>;

async fn one(
    app: &App,
    endpoints: &[Endpoint],
    happening: &Happening,
) -> Result<(Vec<Message>, Follows), WebError> {
    let messages = messages_of(app, endpoints, happening).await?;
    Ok((messages, what_follows(app, endpoints, happening).await?))
}

async fn messages_of(
    app: &App,
    endpoints: &[Endpoint],
    happening: &Happening,
) -> Result<Vec<Message>, WebError> {
    let asked: Vec<&Endpoint> = endpoints.iter().filter(|endpoint| wants(endpoint, happening)).collect();
    if asked.is_empty() {
        return Ok(Vec::new());
    }
    let Some(told) = told::of(app, happening).await? else { return Ok(Vec::new()) };
    let now = app.now();
    let message = |endpoint: &&Endpoint| Message {
        id: MessageId::new(&*app.clock, &*app.entropy),
        endpoint: endpoint.id,
        seq: Some(happening.seq),
        kind: happening.kind,
        subject: happening.subject.clone(),
        body: shape::body(endpoint, happening.kind, happening.at, &told),
        // What an endpoint that was left alone would have been told is kept for people to send again.
        state: if endpoint.state == EndpointState::Disabled {
            MessageState::Dead
        } else {
            MessageState::Waiting
        },
        attempt: 0,
        next_at: now,
        created: now,
        updated: now,
    };
    let of_project =
        |endpoint: &&&Endpoint| told.project.as_ref().is_none_or(|project| *project == endpoint.project);
    Ok(asked.iter().filter(of_project).map(message).collect())
}

/// Whether an endpoint listens to such a thing, as far as the happening itself tells; projects are looked at later.
fn wants(endpoint: &Endpoint, happening: &Happening) -> bool {
    listens(endpoint, happening.kind)
        && happening.at >= endpoint.created
        // Nobody is told by themselves that they cannot be reached.
        && !(happening.kind == EventType::EndpointDisabled && happening.subject == endpoint.id.to_string())
        && (happening.kind != EventType::RunProgress || passes(endpoint, &happening.detail))
}

fn listens(endpoint: &Endpoint, kind: EventType) -> bool {
    endpoint.events.iter().any(|glob| fits_glob(glob, kind.as_str()))
}

/// Whether the tokens of a report passed a multiple of what this endpoint counts by.
fn passes(endpoint: &Endpoint, detail: &Value) -> bool {
    let (from, to) = (detail["from"].as_u64(), detail["to"].as_u64());
    let each = endpoint.every_tokens.map(|tokens| tokens.0).filter(|each| *each > 0);
    each.zip(from.zip(to)).is_some_and(|(each, (from, to))| from / each < to / each)
}

/// Significant falls since the checkpoint before, where somebody listens to them: they need every answer of two evaluations.
async fn what_follows(app: &App, endpoints: &[Endpoint], happening: &Happening) -> Result<Follows, WebError> {
    let kind = EventType::EvaluationRegressed;
    if happening.kind != EventType::EvaluationFinished || !endpoints.iter().any(|one| listens(one, kind)) {
        return Ok(Vec::new());
    }
    let found = regressions::of(app, &happening.subject).await?;
    Ok(found.into_iter().map(|detail| (kind, happening.subject.clone(), detail)).collect())
}
