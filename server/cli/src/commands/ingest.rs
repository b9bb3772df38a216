use std::path::{Path, PathBuf};
use std::time::Duration;

use sekisho_domain::checkpoint::CheckpointState;
use sekisho_domain::wire::{AnnounceCheckpoint, CheckpointView, RegisterRun};
use sekisho_domain::{RunId, Step, Tokens};
use sekisho_trainer::ServerAddress;
use sekisho_trainer::report::{ReportError, RunClient, UploadEvent, UploadOptions};

use crate::client::{Client, ServerArgs};
use crate::exit::{ExitStatus, Failed};
use crate::printer::Printer;

/// How long a server that does not answer is waited for.
const PATIENCE: Duration = Duration::from_secs(900);

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Folder with config.json and safetensors
    path: PathBuf,
    /// Name of the run; an unknown one is created
    #[arg(long, value_name = "NAME")]
    run: String,
    /// Project of a run that is created [default: default]
    #[arg(long, value_name = "NAME")]
    project: Option<String>,
    /// Update number
    #[arg(long, value_name = "N")]
    step: u64,
    /// Training tokens seen in this stage
    #[arg(long, value_name = "N")]
    tokens: u64,
    /// Send the bytes instead of the folder's path; what the server has is not sent again
    #[arg(long)]
    copy: bool,
    /// Do not wait until the checkpoint is verified or refused
    #[arg(long)]
    no_wait: bool,
    /// JSON on stdout
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: ServerArgs,
}

pub(crate) fn run(args: &Args, printer: &Printer) -> anyhow::Result<ExitStatus> {
    let folder = fs_err::canonicalize(&args.path).map_err(|error| {
        Failed::user(format!("{error}; give the folder that holds config.json and the safetensors files"))
    })?;
    let address = ServerAddress { url: args.server.server.clone(), token: args.server.credential()? };
    let client = RunClient::new(&address).map_err(Failed::user)?;
    let registration =
        RegisterRun { name: args.run.clone(), project: args.project.clone(), ..RegisterRun::default() };
    let run = client.register(&registration).map_err(Failed::from)?;
    let (step, tokens) = (Step(args.step), Tokens(args.tokens));
    let handed = if args.copy {
        upload(&client, run.id, (step, tokens), &folder, printer)
    } else {
        let path = folder.display().to_string();
        client.announce(run.id, &AnnounceCheckpoint { step, tokens, path, copy: false })
    };
    let checkpoint = handed.map_err(Failed::from)?;
    let checkpoint = if args.no_wait { checkpoint } else { wait(&Client::new(&args.server)?, checkpoint)? };
    if args.json {
        printer.json(&checkpoint)?;
    } else {
        let digest = checkpoint.digest.map_or_else(|| "—".to_owned(), |digest| digest.to_string());
        let row = vec![checkpoint.id.to_string(), checkpoint.state.to_string(), digest];
        printer.table(&["checkpoint", "state", "digest"], &[row])?;
    }
    match (checkpoint.state, checkpoint.refusal) {
        (CheckpointState::Refused, reason) => Err(Failed::user(reason.unwrap_or_default())),
        _ => Ok(ExitStatus::Ok),
    }
}

/// Sends the bytes, and goes on after a lost connection. The same command goes on after it was stopped itself.
fn upload(
    client: &RunClient,
    run: RunId,
    of: (Step, Tokens),
    folder: &Path,
    printer: &Printer,
) -> Result<CheckpointView, ReportError> {
    let bar = printer.bar(0, "{spinner} {msg} {bar:24} {bytes}/{total_bytes}  {bytes_per_sec}  {eta}");
    let mut told = |event: UploadEvent<'_>| match event {
        UploadEvent::Reading(bytes) => {
            bar.set_length(bytes);
            bar.set_message("reading");
        }
        UploadEvent::There(there, total) => {
            bar.set_length(total);
            bar.set_position(there);
            bar.set_message("sending");
        }
        UploadEvent::Lost(error, pause) => {
            printer.say(&format!("{error}; trying again in {:.1} s", pause.as_secs_f64()));
        }
        UploadEvent::Complete => bar.set_message("checking"),
    };
    let sent = client.upload(run, of, folder, UploadOptions { patience: PATIENCE }, &mut told);
    bar.finish_and_clear();
    if sent.as_ref().is_err_and(ReportError::is_temporary) {
        printer.say("What has arrived stays on the server: run the same command again to go on.");
    }
    sent
}

/// Asks until the checkpoint's bytes have been examined.
fn wait(client: &Client, mut checkpoint: CheckpointView) -> anyhow::Result<CheckpointView> {
    while matches!(checkpoint.state, CheckpointState::Received | CheckpointState::Verifying) {
        std::thread::sleep(Duration::from_millis(200));
        checkpoint = client.get(&format!("/checkpoints/{}", checkpoint.id))?;
    }
    Ok(checkpoint)
}
