mod export;
mod verify;

use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use sekisho_domain::audit::{AuditHead, ChainedEntry};
use sekisho_hub::signature::PublicKey;
use serde::{Deserialize, Serialize};

use crate::client::{Client, ServerArgs};
use crate::exit::{ExitStatus, Failed};
use crate::files;
use crate::printer::Printer;

#[derive(clap::Subcommand)]
pub(crate) enum Command {
    /// Recompute the chain of the log, here, and hold it against signed heads
    Verify(verify::Args),
    /// Write the whole log to a file, and its signed head beside it
    Export(export::Args),
    /// Where the log ends now, signed: kept elsewhere, it shows that nothing was cut off since
    Head {
        /// Write it to a file
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
        #[command(flatten)]
        server: ServerArgs,
    },
}

pub(crate) fn run(command: &Command, printer: &Printer) -> anyhow::Result<ExitStatus> {
    match command {
        Command::Verify(args) => verify::run(args, printer),
        Command::Export(args) => export::run(args, printer),
        Command::Head { out, server } => {
            let head: SignedHead = Client::new(server)?.get(HEAD)?;
            match out {
                Some(file) => {
                    head.write(file)?;
                    printer.say(&format!("The head of entry {} is in {}.", head.head.seq, file.display()));
                }
                None => printer.json(&head)?,
            }
            Ok(ExitStatus::Ok)
        }
    }
}

/// Every entry, one JSON object a line.
const LOG: &str = "/audit?after=0";
const HEAD: &str = "/audit/head";

/// Where an exported log has its head: `X.head.json` beside `X`.
fn head_of(log: &Path) -> PathBuf {
    files::with_suffix(log, ".head.json")
}

/// A head and who vouches for it.
#[derive(Clone, Serialize, Deserialize)]
struct SignedHead {
    #[serde(flatten)]
    head: AuditHead,
    /// SHA-256 of the public key's PEM text, in hex.
    key: String,
    /// Over the head's canonical JSON: DER in Base64.
    signature: String,
}

impl SignedHead {
    fn read(file: &Path) -> anyhow::Result<Self> {
        serde_json::from_str(&files::read(file)?).map_err(|error| {
            let text = format!(
                "{} is no head of an audit log ({error}). `sekisho audit head` writes one.",
                file.display()
            );
            Failed::user(text)
        })
    }

    fn write(&self, file: &Path) -> anyhow::Result<()> {
        let text = serde_json::to_string_pretty(self)? + "\n";
        let written = sekisho_weights::write_atomic(file, |out| out.write_all(text.as_bytes()));
        written.map_err(|error| Failed::user(sekisho_domain::disk_sentence(&error)))
    }

    /// Why this key did not sign it, if it did not.
    fn fault(&self, key: &PublicKey) -> Option<String> {
        let seq = self.head.seq;
        if self.key != key.hint() {
            let (named, given) = (&self.key, key.hint());
            return Some(format!(
                "The head of entry {seq} is signed by another key, {named}; the given one is {given}."
            ));
        }
        let signature = BASE64.decode(&self.signature).unwrap_or_default();
        let good = key.verifies(self.head.signed_text().as_bytes(), &signature);
        (!good)
            .then(|| format!("The signature of the head of entry {seq} is not valid: the head was changed."))
    }
}

/// A line of the log.
fn entry(line: &str, number: u64) -> Result<ChainedEntry, String> {
    serde_json::from_str(line).map_err(|error| format!("line {number} is no entry of an audit log: {error}"))
}

#[cfg(test)]
mod tests {
    use sekisho_domain::{Sha256, Timestamp};
    use sekisho_hub::signature::SigningKey;
    use sekisho_server::SystemEntropy;

    use super::*;

    #[test]
    fn a_head_is_its_signers_as_it_was_signed() {
        let (key, other) = (SigningKey::generate(&SystemEntropy), SigningKey::generate(&SystemEntropy));
        let head = AuditHead { seq: 7, hash: Sha256::of("x"), at: Timestamp::from_unix_ms(0) };
        let signature = BASE64.encode(key.sign(head.signed_text().as_bytes()));
        let signed = SignedHead { head, key: key.public().hint(), signature };
        let text = serde_json::to_string(&signed).expect("JSON");
        let read: SignedHead = serde_json::from_str(&text).expect("what was written is read");
        assert_eq!(read.fault(&key.public()), None);
        assert!(read.fault(&other.public()).is_some_and(|fault| fault.contains("another key")));
        let mut changed = read;
        changed.head.seq = 6;
        assert!(changed.fault(&key.public()).is_some_and(|fault| fault.contains("not valid")));
    }
}
