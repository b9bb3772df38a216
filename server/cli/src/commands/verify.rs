mod folder;
mod remote;
mod report;

use std::path::{Path, PathBuf};

use sekisho_domain::Language;
use sekisho_hub::signature::PublicKey;

use crate::exit::{ExitStatus, Failed};
use crate::files;
use crate::printer::Printer;

/// What a release tells of itself.
const RECORD: &str = "release.json";

/// Where models are, unless told otherwise.
const HUB: &str = "https://huggingface.co";

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Folder of a downloaded or exported release, or owner/name on a Hub
    #[arg(value_name = "PATH|REPO")]
    what: String,
    /// The signer's public key [default: the one beside the files]
    #[arg(long, value_name = "PUB.pem")]
    key: Option<PathBuf>,
    /// The result as JSON on stdout
    #[arg(long)]
    json: bool,
    /// The Hub, for owner/name
    #[arg(long, env = "HF_ENDPOINT", hide_env_values = true, default_value = HUB, value_name = "URL")]
    endpoint: String,
    /// Branch, tag or commit, for owner/name
    #[arg(long, default_value = "main", value_name = "REV")]
    revision: String,
    /// Language of what is said of the signature
    #[arg(long, value_name = "ja|en", default_value = "en", hide_default_value = true)]
    lang: Language,
}

pub(crate) fn run(args: &Args, printer: &Printer) -> anyhow::Result<ExitStatus> {
    let key: Option<PublicKey> = args.key.as_deref().map(files::public_key).transpose()?;
    let path = Path::new(&args.what);
    let report = if path.exists() {
        folder::verify(path, key.as_ref(), args.lang, printer)?
    } else if is_repository(&args.what) {
        remote::verify(args, key.as_ref(), printer)?
    } else {
        let text = format!("there is no folder {}; on a Hub, a repository is named owner/name", args.what);
        return Err(Failed::with(ExitStatus::NotFound, text));
    };
    report.tell(args.json, printer)
}

/// `owner/name`.
fn is_repository(text: &str) -> bool {
    let is_name = |part: &str| {
        part.starts_with(|c: char| c.is_ascii_alphanumeric())
            && part.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c))
    };
    text.split_once('/').is_some_and(|(owner, name)| is_name(owner) && is_name(name))
}

#[cfg(test)]
mod tests {
    use super::is_repository;

    #[test]
    fn a_repository_is_told_from_a_path() {
        for (text, is) in [
            ("lab/gate-mini", true),
            ("llm-jp/llm-jp-3-1.8b", true),
            ("./lab", false),
            ("lab", false),
            ("/srv/model", false),
            ("lab/", false),
            ("lab/a/b", false),
            ("../lab", false),
        ] {
            assert_eq!(is_repository(text), is, "{text}");
        }
    }
}
