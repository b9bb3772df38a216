use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use sekisho_domain::audit::{AuditFault, AuditVerifier};
use sekisho_domain::{Language, Sha256};
use sekisho_hub::signature::PublicKey;
use serde_json::json;

use super::{HEAD, LOG, SignedHead, entry, head_of};
use crate::client::{Client, ServerArgs};
use crate::exit::{ExitStatus, Failed};
use crate::files;
use crate::printer::Printer;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// An exported log [default: the log of the service]
    #[arg(long, value_name = "LOG.ndjson")]
    file: Option<PathBuf>,
    /// A head taken before, as `audit head` wrote it; may be given several times [default: LOG.ndjson.head.json where it exists]
    #[arg(long, value_name = "HEAD.json")]
    head: Vec<PathBuf>,
    /// Public key that signed the heads [default: what the service says is its key]
    #[arg(long, value_name = "PUB.pem")]
    key: Option<PathBuf>,
    /// The result as JSON on stdout
    #[arg(long)]
    json: bool,
    /// Language of what is wrong
    #[arg(long, value_name = "ja|en", default_value = "en", hide_default_value = true)]
    lang: Language,
    #[command(flatten)]
    server: ServerArgs,
}

/// What was found: entries read, the last hash, and what is wrong.
struct Found {
    entries: u64,
    hash: Option<Sha256>,
    fault: Option<String>,
}

pub(super) fn run(args: &Args, printer: &Printer) -> anyhow::Result<ExitStatus> {
    let beside = head_beside(args);
    let named = args.head.iter().chain(&beside);
    let mut heads = named.map(|file| SignedHead::read(file)).collect::<anyhow::Result<Vec<_>>>()?;
    if args.file.is_none() {
        // Taken first: a log that breaks off on its way here is shorter than its own head.
        heads.extend(own_head(&Client::new(&args.server)?)?);
    }
    let key = match (&beside, heads.is_empty()) {
        (_, true) => None,
        (Some(beside), false) => key_for(beside, args, printer)?,
        (None, false) => Some(key(args, printer)?),
    };
    if key.is_none() {
        // What nobody has signed proves nothing.
        heads.clear();
    }
    let forged = key.as_ref().and_then(|key| heads.iter().find_map(|head| head.fault(key)));
    let found = match forged {
        Some(fault) => Found { entries: 0, hash: None, fault: Some(fault) },
        None => {
            let verifier = AuditVerifier::new(heads.iter().map(|head| head.head.clone()).collect());
            let spinner = printer.spinner("reading the log");
            let found = walk(log(args)?, verifier, args.lang);
            spinner.finish_and_clear();
            found
        }
    };
    tell(&found, heads.len(), args, printer)
}

/// The head that `audit export` wrote beside the log, where no other is named.
fn head_beside(args: &Args) -> Option<PathBuf> {
    let log = args.file.as_ref().filter(|_| args.head.is_empty())?;
    Some(head_of(log)).filter(|head| head.is_file())
}

/// The head of the service's own log; none while that is empty.
fn own_head(client: &Client) -> anyhow::Result<Option<SignedHead>> {
    match client.get(HEAD) {
        Ok(head) => Ok(Some(head)),
        Err(error) => {
            let empty =
                error.downcast_ref::<Failed>().is_some_and(|failed| failed.status == ExitStatus::Conflict);
            if empty { Ok(None) } else { Err(error) }
        }
    }
}

/// The key for a head that nobody named. Where no key can be had, the chain is still worth a look: the head is left out, and said to be.
fn key_for(beside: &Path, args: &Args, printer: &Printer) -> anyhow::Result<Option<PublicKey>> {
    let (head, found) = (beside.display(), key(args, printer));
    match found {
        Err(error) if args.key.is_none() => {
            printer.say(&format!(
                "{head} is not used: there is no key to check it with ({error:#}). Give one with --key."
            ));
            Ok(None)
        }
        found => {
            let key = found?;
            printer.say(&format!("The head is {head}, which lies beside the log."));
            Ok(Some(key))
        }
    }
}

fn key(args: &Args, printer: &Printer) -> anyhow::Result<PublicKey> {
    if let Some(file) = &args.key {
        return files::public_key(file);
    }
    let client = Client::new(&args.server)?;
    let text = client.stream("/signing-key")?.text()?;
    if args.file.is_some() || !args.head.is_empty() {
        printer.say("The key is what the service says now; with --key, the heads are held against one kept elsewhere.");
    }
    files::key_from_pem(&text, "the answer of the service")
}

fn log(args: &Args) -> anyhow::Result<Box<dyn BufRead>> {
    match &args.file {
        None => Ok(Box::new(BufReader::new(Client::new(&args.server)?.stream(LOG)?))),
        Some(file) => {
            let opened = fs_err::File::open(file).map_err(|error| match error.kind() {
                std::io::ErrorKind::NotFound => {
                    Failed::with(ExitStatus::NotFound, format!("there is no file {}", file.display()))
                }
                _ => Failed::user(error),
            })?;
            Ok(Box::new(BufReader::new(opened)))
        }
    }
}

/// Reads to the end, or to the first thing that is wrong.
fn walk(log: impl BufRead, mut verifier: AuditVerifier, language: Language) -> Found {
    let told = |fault: AuditFault| fault.text().get(language).to_owned();
    let mut last = Found { entries: 0, hash: None, fault: None };
    for (number, line) in (1..).zip(log.lines()) {
        let next = line
            .map_err(|error| format!("the log breaks off before line {number}: {error}"))
            .and_then(|line| entry(&line, number));
        let fault = match next {
            Ok(entry) => {
                let fault = verifier.next(&entry).err();
                if fault.is_none() {
                    (last.entries, last.hash) = (entry.seq, Some(entry.hash));
                }
                fault.map(told)
            }
            Err(fault) => Some(fault),
        };
        if fault.is_some() {
            return Found { fault, ..last };
        }
    }
    let fault = verifier.end().err().map(told);
    Found { fault, ..last }
}

fn tell(found: &Found, heads: usize, args: &Args, printer: &Printer) -> anyhow::Result<ExitStatus> {
    let Found { entries, hash, fault } = found;
    if args.json {
        printer.json(&json!({ "entries": entries, "hash": hash, "heads": heads, "fault": fault }))?;
    }
    if let Some(fault) = fault {
        return Err(Failed::user(format!("The audit log is not what was written: {fault}")));
    }
    if !args.json {
        let end = hash.map_or_else(|| "it is empty".to_owned(), |hash| format!("ends with {hash}"));
        printer.data(&format!("{entries} entries, chain whole, {end}"))?;
        printer.say(&match heads {
            0 => "Held against no head: that nothing was cut off at its end is not shown. Give one with --head.".to_owned(),
            1 => "It agrees with one signed head.".to_owned(),
            n => format!("It agrees with {n} signed heads."),
        });
    }
    Ok(ExitStatus::Ok)
}

#[cfg(test)]
mod tests {
    use sekisho_domain::audit::{AuditHead, BEGINNING, chained};
    use sekisho_domain::{Timestamp, canonical_json};

    use super::*;

    fn log(entries: u64) -> (String, Sha256) {
        let (mut text, mut hash) = (String::new(), BEGINNING);
        for seq in 1..=entries {
            let entry = json!({ "action": "release.approve", "n": seq });
            hash = chained(hash, &canonical_json(&entry));
            text += &format!("{}\n", json!({ "seq": seq, "hash": hash, "entry": entry }));
        }
        (text, hash)
    }

    #[test]
    fn a_log_is_walked_to_its_end_or_to_the_first_fault() {
        let (text, hash) = log(5);
        let whole = walk(text.as_bytes(), AuditVerifier::new(Vec::new()), Language::En);
        assert_eq!((whole.entries, whole.hash, whole.fault), (5, Some(hash), None));
        let head = AuditHead { seq: 5, hash, at: Timestamp::from_unix_ms(0) };
        let (short, _) = log(4);
        let cut = walk(short.as_bytes(), AuditVerifier::new(vec![head]), Language::Ja);
        assert!(cut.fault.is_some_and(|fault| fault.contains("末尾が削除されています")));
        let edited = text.replace("\"n\":3", "\"n\":4");
        let edited = walk(edited.as_bytes(), AuditVerifier::new(Vec::new()), Language::En);
        assert_eq!(edited.entries, 2);
        assert!(edited.fault.is_some_and(|fault| fault.contains("entry 3 is not what was written")));
        let torn = walk(&text.as_bytes()[..text.len() - 9], AuditVerifier::new(Vec::new()), Language::En);
        assert!(torn.fault.is_some_and(|fault| fault.contains("line 5 is no entry")));
        let none = walk(&b""[..], AuditVerifier::new(Vec::new()), Language::En);
        assert_eq!((none.entries, none.hash, none.fault), (0, None, None));
    }
}
