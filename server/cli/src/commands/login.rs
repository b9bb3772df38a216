use std::time::Duration;

use jiff::tz::TimeZone;
use sekisho_domain::{Clock as _, Timestamp};
use sekisho_server::SystemClock;
use serde::Deserialize;
use serde_json::json;

use crate::client::{Client, DEFAULT_SERVER};
use crate::exit::{ExitStatus, Failed};
use crate::logins::{self, Login};
use crate::printer::{Printer, aligned};

/// Between two looks at whether somebody has confirmed.
const PAUSE: Duration = Duration::from_secs(1);
/// Longest text that the service takes for who asks.
const LONGEST_ORIGIN: usize = 100;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// URL of the service
    #[arg(long, env = "SEKISHO_SERVER", default_value = DEFAULT_SERVER, value_name = "URL")]
    server: String,
    /// Who is signed in, and until when, as JSON on stdout
    #[arg(long)]
    json: bool,
}

/// A request for a sign-in.
#[derive(Deserialize)]
struct Asked {
    secret: String,
    code: String,
    url: String,
    expires: Timestamp,
}

/// How it stands.
#[derive(Deserialize)]
struct Standing {
    state: String,
    user: Option<String>,
    expires: Option<Timestamp>,
}

pub(crate) fn run(args: &Args, printer: &Printer) -> anyhow::Result<ExitStatus> {
    let stranger = Client::with(&args.server, None)?;
    let asked: Asked = stranger.post("/login-requests", &json!({ "origin": origin() }))?;
    printer.say("Open this address in a browser, and confirm when it shows the same code:\n");
    for line in aligned(&[("code", asked.code.clone()), ("address", asked.url.clone())]) {
        printer.say(&format!("    {line}\n"));
    }
    let spinner = printer.spinner("waiting for the browser");
    let confirmed = wait(&Client::with(&args.server, Some(asked.secret.clone()))?, &asked);
    spinner.finish_and_clear();
    let login = confirmed?;
    logins::keep(&args.server, login.clone())?;
    if args.json {
        printer.json(&json!({ "user": login.user, "expires": login.expires }))?;
    } else {
        printer.say(&format!("Signed in as {} until {}.", login.user, here(login.expires)));
    }
    Ok(ExitStatus::Ok)
}

/// Asks until somebody has decided, or the request is too old.
fn wait(client: &Client, asked: &Asked) -> anyhow::Result<Login> {
    loop {
        let Standing { state, user, expires } = client.get("/login-requests")?;
        match (state.as_str(), user, expires) {
            ("confirmed", Some(user), Some(expires)) => {
                return Ok(Login { secret: asked.secret.clone(), user, expires });
            }
            ("waiting", ..) => {}
            // The service says the same of a request that was denied and of one that is too old.
            _ if SystemClock.now() >= asked.expires => {
                let text = format!(
                    "Nobody confirmed the code {} in time. Ask once more with `sekisho login`.",
                    asked.code
                );
                return Err(Failed::with(ExitStatus::TimedOut, text));
            }
            _ => {
                let text = format!(
                    "The sign-in with the code {} was denied in the browser. If that was a mistake, ask once more with `sekisho login`.",
                    asked.code
                );
                return Err(Failed::user(text));
            }
        }
        std::thread::sleep(PAUSE);
    }
}

/// `ueda@login01`, which the confirming person is shown.
fn origin() -> String {
    let name = |key: &str| std::env::var(key).ok().filter(|name| !name.trim().is_empty());
    let user = name("USER").or_else(|| name("LOGNAME"));
    let user = user.unwrap_or_else(|| format!("uid {}", rustix::process::getuid().as_raw()));
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    format!("{user}@{host}").chars().filter(|c| !c.is_control()).take(LONGEST_ORIGIN).collect()
}

/// A time as the clock on the wall here shows it.
fn here(at: Timestamp) -> String {
    at.to_jiff().to_zoned(TimeZone::system()).strftime("%H:%M").to_string()
}
