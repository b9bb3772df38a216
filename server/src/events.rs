use std::convert::Infallible;
use std::time::Duration;

use axum::extract::{Query, State};
use axum::http::{HeaderValue, header};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures::StreamExt as _;
use tokio::sync::broadcast;
use tokio_stream::wrappers::BroadcastStream;

use crate::{App, Viewer, WebError};

/// Something changed. A browser that hears of it fetches the part of its page again; the change itself carries no data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// `run:<id>`, `checkpoint:<id>`, `evaluation:<id>`, `release:<id>` or `queue`.
    pub topic: String,
    /// What changed: `metrics`, `event`, `checkpoint`, `score`, `state`, `progress`.
    pub kind: &'static str,
}

/// Tells the browsers of this process what changed. A slow reader misses changes and fetches once for all of them.
#[derive(Clone, Debug)]
pub struct Events(broadcast::Sender<Change>);

impl Default for Events {
    fn default() -> Self {
        Self(broadcast::channel(256).0)
    }
}

impl Events {
    /// Tells everybody who listens to `topic`.
    pub fn publish(&self, topic: impl Into<String>, kind: &'static str) {
        // No listener is no error.
        let _ = self.0.send(Change { topic: topic.into(), kind });
    }

    /// Every change from now on.
    #[must_use]
    pub fn subscribe(&self) -> broadcast::Receiver<Change> {
        self.0.subscribe()
    }
}

#[derive(serde::Deserialize)]
pub(crate) struct Topics {
    /// Comma-separated topics.
    #[serde(default)]
    topics: String,
}

/// `GET /events?topics=run:…,queue`: server-sent events; the event name is the kind, the data the topic.
pub(crate) async fn stream(
    State(app): State<App>,
    viewer: Viewer,
    Query(query): Query<Topics>,
) -> Result<Response, WebError> {
    viewer.may_read()?;
    let topics: Vec<String> = query.topics.split(',').map(ToOwned::to_owned).collect();
    let changes = BroadcastStream::new(app.events.subscribe()).filter_map(move |change| {
        let event = match change {
            Ok(change) if topics.contains(&change.topic) => {
                Some(Event::default().event(change.kind).data(change.topic))
            }
            Ok(_) => None,
            // Changes were missed: let the page fetch everything once.
            Err(_) => Some(Event::default().event("state").data("*")),
        };
        std::future::ready(event.map(Ok::<_, Infallible>))
    });
    let beat = KeepAlive::new().interval(Duration::from_secs(15));
    let mut response = Sse::new(changes).keep_alive(beat).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache, no-transform"));
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    Ok(response)
}
