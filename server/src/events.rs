use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures::{Stream, StreamExt as _, stream};
use sekisho_domain::Entropy;
use tokio::sync::broadcast;
use tokio_stream::wrappers::BroadcastStream;

use crate::web::api::Query;
use crate::{App, Viewer, WebError};

/// Something changed. A browser that hears of it fetches the part of its page again; the change itself carries no data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// `run:<id>`, `checkpoint:<id>`, `evaluation:<id>`, `release:<id>` or `queue`.
    pub topic: String,
    /// What changed: `metrics`, `event`, `checkpoint`, `score`, `state`, `progress`.
    pub kind: &'static str,
    /// 1, 2, 3 … since this process began.
    pub number: u64,
}

/// Changes that are kept for whoever connects again. A page that was away for longer fetches everything once.
const KEPT: usize = 1024;
/// Changes that a slow reader may be behind.
const BEHIND: usize = 256;

/// Tells the browsers of this process what changed. A change is in memory once, however many listen. A slow reader misses changes and
/// fetches once for all of them.
#[derive(Debug)]
pub struct Events {
    /// Tells ids of this process from those of one before it.
    run: u64,
    sender: broadcast::Sender<Arc<Change>>,
    kept: Mutex<Kept>,
}

/// The last changes, and the number of the very last.
#[derive(Debug, Default)]
struct Kept {
    last: u64,
    changes: VecDeque<Arc<Change>>,
}

/// What somebody who listens from now on has missed, and what comes.
struct Heard {
    missed: Missed,
    coming: broadcast::Receiver<Arc<Change>>,
    last: u64,
}

/// What happened since an id.
#[derive(Debug, PartialEq, Eq)]
enum Missed {
    /// These changes.
    Known(Vec<Arc<Change>>),
    /// Too much, or before this process began.
    Unknown,
}

impl Events {
    /// Nothing has changed yet.
    #[must_use]
    pub fn new(entropy: &dyn Entropy) -> Self {
        let mut run = [0; 8];
        entropy.fill(&mut run);
        Self {
            run: u64::from_le_bytes(run),
            sender: broadcast::channel(BEHIND).0,
            kept: Mutex::new(Kept::default()),
        }
    }

    /// Tells everybody who listens to `topic`.
    pub fn publish(&self, topic: impl Into<String>, kind: &'static str) {
        let mut kept = self.kept();
        kept.last += 1;
        let change = Arc::new(Change { topic: topic.into(), kind, number: kept.last });
        if kept.changes.len() == KEPT {
            kept.changes.pop_front();
        }
        kept.changes.push_back(Arc::clone(&change));
        // Under the lock, so that who begins to listen meets each change once. No listener is no error.
        let _ = self.sender.send(change);
    }

    /// Every change from now on.
    #[must_use]
    pub fn subscribe(&self) -> broadcast::Receiver<Arc<Change>> {
        self.sender.subscribe()
    }

    fn kept(&self) -> std::sync::MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn listen(&self, id: Option<&str>) -> Heard {
        let kept = self.kept();
        let missed = id.map_or_else(|| Missed::Known(Vec::new()), |id| self.since(&kept, id));
        Heard { missed, coming: self.sender.subscribe(), last: kept.last }
    }

    fn since(&self, kept: &Kept, id: &str) -> Missed {
        let number = id.split_once('-').filter(|(run, _)| *run == format!("{:016x}", self.run));
        let number: Option<u64> = number.and_then(|(_, number)| number.parse().ok());
        let first = kept.last - kept.changes.len() as u64;
        match number.filter(|number| (first..=kept.last).contains(number)) {
            Some(number) => {
                let later = kept.changes.iter().filter(|change| change.number > number);
                Missed::Known(later.cloned().collect())
            }
            None => Missed::Unknown,
        }
    }

    fn id(&self, number: u64) -> String {
        format!("{:016x}-{number}", self.run)
    }
}

/// What to listen to.
#[derive(serde::Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct Topics {
    /// Topics, with commas: `run:<id>`, `checkpoint:<id>`, `evaluation:<id>`, `release:<id>`, `queue`.
    #[serde(default)]
    topics: String,
}

/// Where a stream was cut off.
#[derive(serde::Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "describes what `stream` reads")]
pub(crate) struct LastEvent {
    /// The last id received; browsers send it by themselves.
    #[serde(rename = "Last-Event-ID")]
    last_event_id: Option<String>,
}

/// Tells what changes, as server-sent events
///
/// The name of an event is what changed (`metrics`, `event`, `checkpoint`, `score`, `state`, `progress`), its data the topic. Who connects
/// again with the id of the last event gets what was missed; where that is too much, one `state` with `*`: fetch everything once.
#[utoipa::path(
    get,
    path = "/events",
    operation_id = "stream_events",
    tag = "service",
    params(Topics, LastEvent),
    responses((status = 200, description = "Events as they happen.", body = String, content_type = "text/event-stream")),
    security((), ("token" = []), ("session" = [])),
)]
pub(crate) async fn stream(
    State(app): State<App>,
    viewer: Viewer,
    headers: HeaderMap,
    Query(query): Query<Topics>,
) -> Result<Response, WebError> {
    viewer.may_read()?;
    let id = headers.get("last-event-id").and_then(|id| id.to_str().ok());
    let heard = app.events.listen(id);
    let mut response = Sse::new(told(app, query.topics, heard)).keep_alive(beat()).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache, no-transform"));
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    Ok(response)
}

fn beat() -> KeepAlive {
    KeepAlive::new().interval(Duration::from_secs(15))
}

/// What one listener is sent. An id without an event stands where nothing is to be told, so that who is cut off before anything happens
/// misses nothing either.
fn told(app: App, topics: String, heard: Heard) -> impl Stream<Item = Result<Event, Infallible>> {
    let Heard { missed, coming, last } = heard;
    let here = Event::default().id(app.events.id(last));
    let before = match missed {
        Missed::Known(changes) => {
            let own = changes.iter().filter(|change| listens(&topics, &change.topic));
            own.map(|change| event(&app.events, change)).chain([here]).collect()
        }
        Missed::Unknown => vec![here.event("state").data("*")],
    };
    let coming = BroadcastStream::new(coming).filter_map(move |change| {
        let event = match change {
            Ok(change) => listens(&topics, &change.topic).then(|| event(&app.events, &change)),
            // Changes were missed: let the page fetch everything once.
            Err(_) => Some(Event::default().event("state").data("*")),
        };
        std::future::ready(event)
    });
    stream::iter::<Vec<Event>>(before).chain(coming).map(Ok)
}

fn event(events: &Events, change: &Change) -> Event {
    Event::default().id(events.id(change.number)).event(change.kind).data(&change.topic)
}

/// Whether a list of topics holds one. It is looked at for every change and every listener, and copies nothing.
fn listens(topics: &str, topic: &str) -> bool {
    topics.split(',').any(|one| one == topic)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SystemEntropy;

    fn numbers(missed: &Missed) -> Option<Vec<u64>> {
        match missed {
            Missed::Known(changes) => Some(changes.iter().map(|change| change.number).collect()),
            Missed::Unknown => None,
        }
    }

    #[test]
    fn who_connects_again_gets_what_was_missed() {
        let events = Events::new(&SystemEntropy);
        let begin = events.id(0);
        for n in 1..=3 {
            events.publish(format!("run:{n}"), "metrics");
        }
        let mut heard = events.listen(Some(&events.id(1)));
        assert_eq!(numbers(&heard.missed), Some(vec![2, 3]));
        events.publish("queue", "state");
        let next = heard.coming.try_recv().expect("a change");
        assert_eq!((next.topic.as_str(), next.number), ("queue", 4), "what comes follows on what was missed");
        assert_eq!(numbers(&events.listen(Some(&begin)).missed), Some(vec![1, 2, 3, 4]));
        assert_eq!(numbers(&events.listen(Some(&events.id(4))).missed), Some(vec![]));
        assert_eq!(numbers(&events.listen(None).missed), Some(vec![]), "who comes first has missed nothing");
        let other = Events::new(&SystemEntropy);
        for id in [&other.id(1), &events.id(5), "", "1", "x-1"] {
            assert_eq!(events.listen(Some(id)).missed, Missed::Unknown, "{id}");
        }
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let events = Events::new(&SystemEntropy);
        for _ in 0..KEPT + 10 {
            events.publish("queue", "progress");
        }
        assert_eq!(events.kept().changes.len(), KEPT);
        assert_eq!(numbers(&events.listen(Some(&events.id(10))).missed).map(|all| all.len()), Some(KEPT));
        assert_eq!(events.listen(Some(&events.id(9))).missed, Missed::Unknown);
    }

    #[test]
    fn a_topic_is_one_of_the_list() {
        assert!(listens("run:1,queue", "queue") && listens("run:1,queue", "run:1"));
        assert!(!listens("run:1,queue", "run:") && !listens("", "queue"));
    }
}
