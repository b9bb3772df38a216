//! What somebody approves is what they have looked at: its digest says so.

use std::io::IsTerminal as _;

use serde_json::Value;

use crate::exit::{ExitStatus, Failed};
use crate::printer::{Printer, aligned};

/// The first digits of a SHA-256 that tell one content from another.
const SHORTEST: usize = 12;

#[derive(clap::Args)]
pub(crate) struct Seen {
    /// Digest of what you have looked at, or its first 12 digits or more: refused when it has changed since
    #[arg(long, value_name = "DIGEST", value_parser = digits)]
    digest: Option<String>,
}

fn digits(text: &str) -> Result<String, String> {
    let digits = plain(&text.trim().to_ascii_lowercase()).to_owned();
    let fits = (SHORTEST..=64).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_hexdigit());
    if fits { Ok(digits) } else { Err(format!("write {SHORTEST} to 64 hexadecimal digits of it")) }
}

/// Without the name of the algorithm that stands before a digest.
fn plain(digest: &str) -> &str {
    digest.strip_prefix("sha256:").unwrap_or(digest)
}

impl Seen {
    /// Sees to it that the content with the digest `now` is what is meant. Without a digest, the person at the terminal is shown
    /// `facts` and asked; where there is no terminal, [`Self::tell`] says afterwards what it was.
    ///
    /// # Errors
    /// Exit 4 when it is another content, exit 1 after a no.
    pub(crate) fn agree(
        &self,
        now: &Value,
        facts: &[(&str, String)],
        printer: &Printer,
    ) -> anyhow::Result<()> {
        let now = now.as_str().unwrap_or_default();
        match &self.digest {
            Some(seen) if plain(now).starts_with(seen.as_str()) => Ok(()),
            Some(seen) => {
                let now = if now.is_empty() { "it has no digest, as its content is not fixed" } else { now };
                let text = format!(
                    "What is there now is not what you have looked at ({seen}…): {now}. Nothing was approved. Look at it again, and name its digest."
                );
                Err(Failed::with(ExitStatus::Conflict, text))
            }
            None if std::io::stdin().is_terminal() && std::io::stderr().is_terminal() => {
                aligned(facts).iter().for_each(|line| printer.say(line));
                if printer.confirm("Approve exactly this?")? {
                    return Ok(());
                }
                Err(Failed::user("Nothing was approved."))
            }
            None => Ok(()),
        }
    }

    /// Says what was approved where nobody had named it.
    pub(crate) fn tell(&self, approved: &Value, printer: &Printer) {
        if let Some(digest) = approved.as_str().filter(|_| self.digest.is_none()) {
            printer.say(&format!("Approved was {digest}. `--digest` approves nothing else."));
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{Seen, digits};
    use crate::exit::{ExitStatus, Failed};
    use crate::printer::Printer;

    #[test]
    fn a_digest_is_named_by_twelve_digits_or_more() {
        assert_eq!(digits(" 0123456789AB ").as_deref(), Ok("0123456789ab"));
        for bad in ["", "0123456789a", "0123456789ax", &"0".repeat(65)] {
            assert!(digits(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn another_content_than_the_one_that_was_seen_is_refused() {
        let (printer, digest) = (Printer::new(true), format!("0123456789ab{}", "0".repeat(52)));
        let agree = |seen: &str, now: Value| {
            Seen { digest: Some(seen.to_owned()) }.agree(&now, &[], &printer).map_err(|error| {
                (error.downcast_ref::<Failed>().map(|failed| failed.status), error.to_string())
            })
        };
        assert_eq!(agree("0123456789ab", json!(digest)), Ok(()));
        assert_eq!(agree(&digest, json!(digest)), Ok(()));
        let (status, told) = agree("0123456789ac", json!(digest)).expect_err("another");
        assert_eq!(status, Some(ExitStatus::Conflict));
        assert!(told.contains(&digest) && told.contains("0123456789ac…"), "{told}");
        assert!(agree("0123456789ab", Value::Null).is_err(), "a draft has no digest");
    }
}
