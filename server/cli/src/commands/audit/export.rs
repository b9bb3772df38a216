use std::io::{self, BufRead as _, BufReader, Read, Write};
use std::path::PathBuf;

use sekisho_domain::audit::{AuditHead, AuditVerifier};

use super::{HEAD, LOG, SignedHead, entry, head_of};
use crate::client::{Client, ServerArgs};
use crate::exit::{ExitStatus, Failed};
use crate::printer::Printer;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// File to write; the head goes into FILE.head.json
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    #[command(flatten)]
    server: ServerArgs,
}

/// The log up to the head that was taken first, so that the two fit, whatever is written meanwhile.
pub(super) fn run(args: &Args, printer: &Printer) -> anyhow::Result<ExitStatus> {
    let client = Client::new(&args.server)?;
    let head: SignedHead = client.get(HEAD)?;
    let log = client.stream(LOG)?;
    let spinner = printer.spinner("reading the log");
    let written = sekisho_weights::write_atomic(&args.out, |out| copy(log, &head.head, out));
    spinner.finish_and_clear();
    written.map_err(|error| {
        let text = sekisho_domain::disk_sentence(&error);
        Failed::user(format!("The log was not exported: {text}"))
    })?;
    let beside = head_of(&args.out);
    head.write(&beside)?;
    let (seq, log, head) = (head.head.seq, args.out.display(), beside.display());
    printer.say(&format!(
        "{seq} entries are in {log}, their signed head in {head}. Keep the head elsewhere too."
    ));
    Ok(ExitStatus::Ok)
}

/// Verifies each line on its way: a log that does not fit its head is not handed on.
fn copy(log: impl Read, head: &AuditHead, out: &mut dyn Write) -> io::Result<()> {
    let mut verifier = AuditVerifier::new(vec![head.clone()]);
    for (number, line) in (1..=head.seq).zip(BufReader::new(log).lines()) {
        let line = line?;
        let entry = entry(&line, number).map_err(io::Error::other)?;
        verifier.next(&entry).map_err(io::Error::other)?;
        writeln!(out, "{line}")?;
    }
    verifier.end().map(drop).map_err(io::Error::other)
}
