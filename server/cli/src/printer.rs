use std::borrow::Cow;
use std::io::{IsTerminal as _, Write as _};
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;
use tracing_subscriber::EnvFilter;
use unicode_width::UnicodeWidthStr as _;

use crate::exit::{ExitStatus, Failed};

/// The one place that prints: data on stdout, talk and progress on stderr.
pub(crate) struct Printer {
    bars: MultiProgress,
    /// Without a terminal, or when asked to be quiet, bars are hidden.
    plain: bool,
}

/// Sends the libraries' log to stderr; `RUST_LOG` chooses what.
pub(crate) fn start_log(quiet: bool) {
    let default = if quiet { "error" } else { "warn" };
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(default));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_target(false).init();
}

impl Printer {
    pub(crate) fn new(no_progress: bool) -> Self {
        let plain = no_progress || !std::io::stderr().is_terminal();
        let target = if plain { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() };
        Self { bars: MultiProgress::with_draw_target(target), plain }
    }

    /// Data: one JSON document, pretty-printed.
    pub(crate) fn json(&self, value: &impl Serialize) -> anyhow::Result<()> {
        let text = serde_json::to_string_pretty(value)?;
        self.data(&text)
    }

    /// Data: a line of text, or several. A closed pipe ends the program quietly, as it does for other Unix tools.
    pub(crate) fn data(&self, text: &str) -> anyhow::Result<()> {
        let mut out = std::io::stdout().lock();
        match writeln!(out, "{text}").and_then(|()| out.flush()) {
            Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
            other => Ok(other?),
        }
    }

    /// Talk: a line for the person at the terminal.
    pub(crate) fn say(&self, text: &str) {
        self.bars.suspend(|| {
            // Nobody is left to tell when stderr is closed.
            let _ = writeln!(std::io::stderr(), "{text}");
        });
    }

    /// Whether bars are hidden, so that milestones are said as lines instead.
    pub(crate) fn is_plain(&self) -> bool {
        self.plain
    }

    /// A progress bar; `template` is indicatif's.
    pub(crate) fn bar(&self, total: u64, template: &str) -> ProgressBar {
        let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
        let bar = self.bars.add(ProgressBar::new(total).with_style(style.progress_chars("━╸ ")));
        bar.enable_steady_tick(Duration::from_millis(200));
        bar
    }

    /// Something that takes its time, and nobody knows how long.
    pub(crate) fn spinner(&self, text: impl Into<Cow<'static, str>>) -> ProgressBar {
        let bar = self.bar(0, "{spinner} {msg}  {elapsed}");
        bar.set_message(text);
        bar
    }

    /// Asks the person at the terminal; anything but yes is a no.
    pub(crate) fn confirm(&self, question: &str) -> anyhow::Result<bool> {
        self.bars.suspend(|| {
            let mut out = std::io::stderr();
            write!(out, "{question} [y/N] ").and_then(|()| out.flush())?;
            let mut answer = String::new();
            std::io::stdin().read_line(&mut answer)?;
            Ok(["y", "yes"].contains(&answer.trim().to_ascii_lowercase().as_str()))
        })
    }

    /// Says why a command failed and answers its exit status.
    pub(crate) fn failure(&self, error: &anyhow::Error) -> ExitStatus {
        self.say(&format!("error: {error:#}"));
        error.downcast_ref::<Failed>().map_or(ExitStatus::Unexpected, |failed| failed.status)
    }

    /// Data: what is known of one thing, a fact a line.
    pub(crate) fn facts(&self, facts: &[(&str, String)]) -> anyhow::Result<()> {
        self.data(&aligned(facts).join("\n"))
    }

    /// Data: rows under a header, columns aligned. Full-width characters count as two columns.
    pub(crate) fn table(&self, header: &[&str], rows: &[Vec<String>]) -> anyhow::Result<()> {
        let mut widths: Vec<usize> = header.iter().map(|h| h.width()).collect();
        for row in rows {
            for (w, cell) in widths.iter_mut().zip(row) {
                *w = (*w).max(cell.width());
            }
        }
        let line = |cells: &[String]| {
            let padded: Vec<String> = cells
                .iter()
                .zip(&widths)
                .map(|(cell, w)| format!("{cell}{}", " ".repeat(w - cell.width())))
                .collect();
            padded.join("  ").trim_end().to_owned()
        };
        let head: Vec<String> = header.iter().map(ToString::to_string).collect();
        let mut lines = vec![line(&head)];
        lines.extend(rows.iter().map(|row| line(row)));
        self.data(&lines.join("\n"))
    }
}

/// Names and what they are, in two columns.
pub(crate) fn aligned(facts: &[(&str, String)]) -> Vec<String> {
    let widest = facts.iter().map(|(name, _)| name.width()).max().unwrap_or_default();
    facts.iter().map(|(name, fact)| format!("{name}{}  {fact}", " ".repeat(widest - name.width()))).collect()
}

#[cfg(test)]
mod tests {
    use super::aligned;

    #[test]
    fn columns_are_aligned_by_the_width_of_letters() {
        let facts = [("名前", "a".to_owned()), ("a → b", "b".to_owned()), ("é", "c".to_owned())];
        assert_eq!(aligned(&facts), ["名前   a", "a → b  b", "é      c"]);
    }
}
