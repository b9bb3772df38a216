use std::io::{self, Write as _};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use indicatif::{HumanBytes, ProgressBar};
use sekisho_domain::Sha256;
use serde::Deserialize;
use serde_json::json;

use super::{Options, path};
use crate::client::{Client, encode};
use crate::exit::{ExitStatus, Failed};
use crate::partial::{self, Partial};
use crate::printer::Printer;
use crate::signals;
use crate::transfer::{self, Came};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Id of the release
    id: String,
    /// Folder to make; it must not be there yet
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    #[command(flatten)]
    options: Options,
}

/// Everything that is, or would be, published.
#[derive(Deserialize)]
struct Bundle {
    files: Vec<Listed>,
    approved: bool,
}

#[derive(Deserialize)]
struct Listed {
    path: String,
    size: u64,
    sha256: Sha256,
}

pub(super) fn run(args: &Args, printer: &Printer) -> anyhow::Result<ExitStatus> {
    // A slash at the end would put the temporary folder into the one that it becomes.
    let dir: PathBuf = args.out.components().collect();
    partial::must_be_new(&dir)?;
    let client = Client::new(&args.options.server)?;
    let bundle: Bundle = client.get(&format!("{}/bundle", path(&args.id)))?;
    if let Some(file) = bundle.files.iter().find(|file| !is_inside(&file.path)) {
        let text =
            format!("the service lists a file outside of the release: \"{}\"", file.path.escape_debug());
        return Err(Failed::with(ExitStatus::Unexpected, text));
    }
    let stop = Arc::new(AtomicBool::new(false));
    let stopped = signals::set_on_stop(&stop)?;
    let folder = Partial::make(&dir)?;
    let total: u64 = bundle.files.iter().map(|file| file.size).sum();
    let bar = printer.bar(total, transfer::BAR);
    for file in &bundle.files {
        bar.set_message(file.path.clone());
        if !fetch(&client, &args.id, file, folder.path(), &bar, &stop)? {
            bar.finish_and_clear();
            drop(folder);
            printer.say("Stopped; nothing was kept.");
            return Ok(if stopped.by_user() { ExitStatus::Interrupted } else { ExitStatus::Failure });
        }
    }
    bar.finish_and_clear();
    folder.become_whole(&dir).map_err(|error| failed(&error))?;
    tell(&dir, &bundle, total, args, printer)
}

fn tell(
    dir: &Path,
    bundle: &Bundle,
    bytes: u64,
    args: &Args,
    printer: &Printer,
) -> anyhow::Result<ExitStatus> {
    if !bundle.approved {
        printer.say(
            "NOT APPROVED: nobody has allowed this release to leave the lab. Folder and card say so too.",
        );
    }
    let (dir, files) = (dir.display().to_string(), bundle.files.len());
    if args.options.json {
        let approved = bundle.approved;
        printer.json(&json!({ "dir": dir, "files": files, "bytes": bytes, "approved": approved }))?;
    } else {
        printer.data(&dir)?;
        let signed = match bundle.approved {
            true => "`sekisho verify` holds them against their signature",
            false => "they are signed when the release is approved",
        };
        printer.say(&format!("{files} files, {}; {signed}.", HumanBytes(bytes)));
    }
    Ok(ExitStatus::Ok)
}

/// Writes one file and holds it against its digest. False when it was stopped.
fn fetch(
    client: &Client,
    id: &str,
    file: &Listed,
    folder: &Path,
    bar: &ProgressBar,
    stop: &AtomicBool,
) -> anyhow::Result<bool> {
    let segments: Vec<String> = file.path.split('/').map(encode).collect();
    let mut answer = client.stream(&format!("{}/files/{}", path(id), segments.join("/")))?;
    let at = folder.join(&file.path);
    fs_err::create_dir_all(at.parent().unwrap_or(folder)).map_err(|error| failed(&error))?;
    let mut out = fs_err::File::create_new(&at).map_err(|error| failed(&error))?;
    let mut full = None;
    let came = transfer::read(&mut answer, bar, |piece| {
        if stop.load(Ordering::Relaxed) {
            return Ok(false);
        }
        // What the disk says is told apart from what the network does.
        full = out.write_all(piece).err();
        Ok(full.is_none())
    });
    if let Some(error) = full {
        return Err(failed(&error));
    }
    let came =
        came.map_err(|error| Failed::user(format!("{} did not come whole: {error}. Try again.", file.path)))?;
    let Some(Came { size, sha256 }) = came else { return Ok(false) };
    if (size, sha256) != (file.size, file.sha256) {
        let text = format!(
            "{} came with other bytes than were listed ({sha256}, {size} bytes, not {}, {} bytes). Try again; if it stays so, the file has changed on the service's disk.",
            file.path, file.sha256, file.size
        );
        return Err(Failed::user(text));
    }
    out.sync_all().map_err(|error| failed(&error))?;
    Ok(true)
}

fn failed(error: &io::Error) -> anyhow::Error {
    Failed::user(sekisho_domain::disk_sentence(error))
}

/// A path that cannot lead out of the folder.
fn is_inside(path: &str) -> bool {
    let path = Path::new(path);
    path.components().all(|part| matches!(part, Component::Normal(_))) && path.components().next().is_some()
}

#[cfg(test)]
mod tests {
    use super::is_inside;

    #[test]
    fn a_listed_path_stays_in_the_folder() {
        for (path, inside) in [
            ("README.md", true),
            ("sub/model.safetensors", true),
            ("../x", false),
            ("a/../../x", false),
            ("/etc/passwd", false),
            ("", false),
        ] {
            assert_eq!(is_inside(path), inside, "{path}");
        }
    }
}
