//! The steps of a publication, or of a yank, followed until their end.

use std::time::Duration;

use indicatif::ProgressBar;
use serde_json::Value;

use crate::client::Client;
use crate::exit::{ExitStatus, Failed};
use crate::fields::words;
use crate::printer::Printer;
use crate::transfer;

/// Between two looks.
const PAUSE: Duration = Duration::from_millis(300);

/// What is waited for.
pub(super) struct Goal {
    /// Names it in the sentence that says it stopped.
    pub(super) what: &'static str,
    /// Whether it is reached.
    pub(super) reached: fn(&Value) -> bool,
    /// Steps that were done before it was asked for.
    pub(super) before: Vec<Value>,
}

/// Tells each step as it is done, until the goal is reached or it has stopped.
pub(super) fn follow(client: &Client, id: &str, goal: &Goal, printer: &Printer) -> anyhow::Result<Value> {
    let (path, mut bar) = (super::path(id), Bar { printer, bar: None });
    let mut told = Vec::new();
    loop {
        let release: Value = client.get(&path)?;
        let steps = release["steps"].as_array().cloned().unwrap_or_default();
        for step in steps.iter().filter(|step| step["state"] == "done" && !goal.before.contains(step)) {
            if !told.contains(&step["name"]) {
                told.push(step["name"].clone());
                printer.say(&format!("{}: {}", words(step, "/name"), words(step, "/detail/en")));
            }
        }
        bar.show(&release["progress"]);
        if (goal.reached)(&release) {
            return Ok(release);
        }
        if release["publishing"] != true {
            let stop = steps.iter().find(|step| is_stop(step));
            let reason = stop.map_or("nothing of it is going on any more", |step| words(step, "/detail/en"));
            let text = format!("The {} stopped ({}): {reason}", goal.what, words(&release, "/state"));
            return Err(Failed::with(ExitStatus::Failure, text));
        }
        std::thread::sleep(PAUSE);
    }
}

/// Whether a publication stopped at this step: on an error, or not knowing whether it took effect.
pub(super) fn is_stop(step: &Value) -> bool {
    step["state"] == "failed" || (step["state"] == "intended" && !words(step, "/detail/en").is_empty())
}

/// Bytes on their way to the Hub.
struct Bar<'a> {
    printer: &'a Printer,
    bar: Option<ProgressBar>,
}

impl Bar<'_> {
    /// `{"done", "total"}`, or null while nothing is sent.
    fn show(&mut self, progress: &Value) {
        let count = |key: &str| progress[key].as_u64();
        let (Some(done), Some(total)) = (count("done"), count("total")) else {
            self.clear();
            return;
        };
        let bar = self.bar.get_or_insert_with(|| {
            let bar = self.printer.bar(total, transfer::BAR);
            bar.set_message("to the Hub");
            // What an earlier try has sent says nothing about how fast this one is.
            bar.set_position(done);
            bar.reset_eta();
            bar
        });
        bar.set_length(total);
        bar.set_position(done);
    }

    fn clear(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }
}

impl Drop for Bar<'_> {
    fn drop(&mut self) {
        self.clear();
    }
}
