//! A receiver of webhooks in this process, on a bare socket: it answers as it is told to, also in ways that no web framework would.

use std::collections::{BTreeMap, VecDeque};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::Value;

use crate::wait::until;

/// How an attempt is answered.
#[derive(Clone, Debug)]
pub enum Reply {
    /// With this status, these header lines and this body.
    Status(u16, Vec<String>, String),
    /// Not at all.
    Hang,
    /// A byte of the head each 100 ms, without end.
    Trickle,
    /// 200, and a body without end.
    Endless,
}

impl Reply {
    /// A status without anything else.
    #[must_use]
    pub fn status(status: u16) -> Self {
        Self::Status(status, Vec::new(), String::new())
    }

    /// A status with one header line.
    #[must_use]
    pub fn with(status: u16, header: &str) -> Self {
        Self::Status(status, vec![header.to_owned()], String::new())
    }
}

/// A request as it came.
#[derive(Clone, Debug)]
pub struct Received {
    /// Path with query.
    pub path: String,
    /// Headers, names in lower case.
    pub headers: BTreeMap<String, String>,
    /// Body.
    pub body: String,
}

impl Received {
    /// The body as JSON.
    ///
    /// # Panics
    /// When it is none.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).expect("a message is JSON")
    }

    /// Id of the message.
    ///
    /// # Panics
    /// When there is none.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.headers["webhook-id"]
    }
}

#[derive(Default)]
struct State {
    received: Vec<Received>,
    replies: VecDeque<Reply>,
}

/// The receiver. Its thread ends with the process.
pub struct Receiver {
    port: u16,
    state: Arc<Mutex<State>>,
}

impl Receiver {
    /// Starts one that answers 204 unless told otherwise.
    ///
    /// # Panics
    /// When there is no free port.
    #[must_use]
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        let state = Arc::new(Mutex::new(State::default()));
        let shared = Arc::clone(&state);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let state = Arc::clone(&shared);
                std::thread::spawn(move || serve(stream, &state));
            }
        });
        Self { port, state }
    }

    /// Its address for `[webhooks] allow`.
    #[must_use]
    pub fn host(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Its URL.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}/hook", self.host())
    }

    /// Answers the next attempts like this, then 204 again.
    pub fn reply(&self, replies: impl IntoIterator<Item = Reply>) {
        self.lock().replies.extend(replies);
    }

    /// What came so far.
    #[must_use]
    pub fn received(&self) -> Vec<Received> {
        self.lock().received.clone()
    }

    /// Waits for so many attempts.
    ///
    /// # Panics
    /// When they do not come within 60 seconds.
    #[must_use]
    pub fn wait_for(&self, number: usize) -> Vec<Received> {
        until("the messages", 60, || {
            let received = self.received();
            (received.len() >= number).then_some(received)
        })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One request of one connection. A peer that goes away is no matter.
fn serve(mut stream: TcpStream, state: &Mutex<State>) {
    let Some(received) = read(&stream) else { return };
    let reply = {
        let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
        state.received.push(received);
        state.replies.pop_front().unwrap_or_else(|| Reply::status(204))
    };
    match reply {
        Reply::Status(status, headers, body) => {
            let lines: String = headers.iter().map(|line| format!("{line}\r\n")).collect();
            let length = body.len();
            let head = format!(
                "HTTP/1.1 {status} Told\r\n{lines}content-length: {length}\r\nconnection: close\r\n\r\n"
            );
            let _ = stream.write_all(format!("{head}{body}").as_bytes());
        }
        Reply::Hang => std::thread::sleep(Duration::from_secs(600)),
        Reply::Trickle => {
            for byte in b"HTTP/1.1 200 OK\r\nx: ".iter().chain(std::iter::repeat(&b'x')) {
                if stream.write_all(&[*byte]).is_err() {
                    return;
                }
                std::thread::sleep(Duration::from_millis(100));
            }
        }
        Reply::Endless => {
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\n\r\n");
            while stream.write_all(&[b'x'; 65_536]).is_ok() {}
        }
    }
}

fn read(stream: &TcpStream) -> Option<Received> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let path = line.split(' ').nth(1)?.to_owned();
    let mut headers = BTreeMap::new();
    loop {
        line.clear();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        headers.insert(name.to_lowercase(), value.trim().to_owned());
    }
    let length = headers.get("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(Received { path, headers, body: String::from_utf8(body).ok()? })
}
