use std::io::Read as _;
use std::time::Duration;

use anyhow::Context as _;
use indicatif::ProgressBar;
use reqwest::StatusCode;
use reqwest::blocking::{Client, Response};
use reqwest::header::LINK;
use sekisho_domain::Sha256;
use sekisho_hub::signature::{
    KeySource, PUBLIC_KEY_FILE, PublicKey, SIGNATURE_FILE, Verification, verify_files,
};
use serde::Deserialize;
use serde_json::Value;

use super::report::{Digest, Report, digest_in};
use super::{Args, RECORD};
use crate::client::encode;
use crate::exit::{ExitStatus, Failed};
use crate::fields::words;
use crate::files;
use crate::printer::Printer;
use crate::transfer::{self, Came};

/// What is read, and not only hashed.
const KEPT: [&str; 4] = ["README.md", SIGNATURE_FILE, PUBLIC_KEY_FILE, RECORD];
/// Longest of them.
const LONGEST: u64 = 64 << 20;

/// A repository on a Hub at one commit.
struct Repository {
    http: Client,
    endpoint: String,
    token: Option<String>,
    repo: String,
    revision: String,
}

/// A line of the list of files.
#[derive(Deserialize)]
struct Entry {
    #[serde(rename = "type")]
    kind: String,
    path: String,
    #[serde(default)]
    size: u64,
    #[serde(default)]
    lfs: Option<Stored>,
}

/// A file that is stored apart.
#[derive(Deserialize)]
struct Stored {
    size: u64,
}

/// What came of the files.
#[derive(Default)]
struct Files {
    digests: Vec<(String, Sha256)>,
    card: Option<String>,
    signature: Option<String>,
    key: Option<String>,
    record: Option<String>,
}

/// Streams every file and keeps none.
pub(super) fn verify(args: &Args, key: Option<&PublicKey>, printer: &Printer) -> anyhow::Result<Report> {
    let repository = Repository::open(args)?;
    let entries = repository.list()?;
    let total: u64 = entries.iter().map(Entry::bytes).sum();
    let bar = printer.bar(total, transfer::BAR);
    let mut files = Files::default();
    for entry in &entries {
        bar.set_message(entry.path.clone());
        repository.read(entry, &bar, &mut files)?;
    }
    bar.finish_and_clear();
    let of = format!("{}@{}", repository.repo, repository.revision);
    let mut problems = Vec::new();
    let signature = judge(&files, key, &of, &mut problems)?;
    let digest = Digest { card: files.card.as_deref().and_then(digest_in), ..Digest::default() };
    Ok(Report::new(of, (signature, files.record.as_deref()), digest, problems, args.lang))
}

fn judge(
    files: &Files,
    key: Option<&PublicKey>,
    of: &str,
    problems: &mut Vec<String>,
) -> anyhow::Result<Option<Verification>> {
    let Some(signature) = &files.signature else {
        problems.push(format!(
            "There is no {SIGNATURE_FILE} in {of}, so nothing says who published these files."
        ));
        return Ok(None);
    };
    let (source, key) = match (key, &files.key) {
        (Some(key), _) => (KeySource::Given, key.clone()),
        (None, Some(pem)) => {
            (KeySource::Folder, files::key_from_pem(pem, &format!("{PUBLIC_KEY_FILE} of {of}"))?)
        }
        (None, None) => {
            problems.push(format!(
                "There is no {PUBLIC_KEY_FILE} in {of}, and no key was given. Give the signer's public key with --key."
            ));
            return Ok(None);
        }
    };
    Ok(Some(Verification { key: source, ..verify_files(signature, &files.digests, &key) }))
}

impl Entry {
    fn bytes(&self) -> u64 {
        self.lfs.as_ref().map_or(self.size, |stored| stored.size)
    }
}

impl Repository {
    /// At the commit where the revision is now: what is pushed meanwhile is not mixed in.
    fn open(args: &Args) -> anyhow::Result<Self> {
        // A limit to every wait for the next bytes, not to the whole file.
        let http = Client::builder().timeout(Duration::from_secs(60)).build()?;
        let token = std::env::var("HF_TOKEN").ok().map(|token| token.trim().to_owned());
        let mut repository = Self {
            http,
            endpoint: args.endpoint.trim_end_matches('/').to_owned(),
            token: token.filter(|token| !token.is_empty()),
            repo: args.what.clone(),
            revision: args.revision.clone(),
        };
        let url = format!("{}/revision/{}", repository.api(), encode(&args.revision));
        let info: Value = repository.get(&url)?.json().context("the Hub's answer cannot be read")?;
        let commit = words(&info, "/sha");
        if !commit.is_empty() {
            commit.clone_into(&mut repository.revision);
        }
        Ok(repository)
    }

    fn api(&self) -> String {
        format!("{}/api/models/{}", self.endpoint, self.repo)
    }

    fn list(&self) -> anyhow::Result<Vec<Entry>> {
        let mut entries = Vec::new();
        let first = format!("{}/tree/{}?recursive=true", self.api(), encode(&self.revision));
        let mut next = Some(first);
        while let Some(url) = next {
            let answer = self.get(&url)?;
            next = answer.headers().get(LINK).and_then(|link| link.to_str().ok()).and_then(next_page);
            let page: Vec<Entry> = answer.json().context("the Hub's list of files cannot be read")?;
            entries.extend(page.into_iter().filter(|entry| entry.kind == "file"));
        }
        Ok(entries)
    }

    fn read(&self, entry: &Entry, bar: &ProgressBar, files: &mut Files) -> anyhow::Result<()> {
        let path: Vec<String> = entry.path.split('/').map(encode).collect();
        let (endpoint, repo, revision) = (&self.endpoint, &self.repo, encode(&self.revision));
        let answer = self.get(&format!("{endpoint}/{repo}/resolve/{revision}/{}", path.join("/")))?;
        let broken =
            |what: String| Failed::user(format!("{} did not come whole: {what}. Try again.", entry.path));
        let mut kept = Vec::new();
        let keeps = KEPT.contains(&entry.path.as_str()) && entry.bytes() <= LONGEST;
        // One that is longer than announced must not fill the memory.
        let mut body = answer.take(entry.bytes().saturating_add(1));
        let came = transfer::read(&mut body, bar, |piece| {
            if keeps {
                kept.extend_from_slice(piece);
            }
            Ok(true)
        });
        let Some(Came { size, sha256 }) = came.map_err(|error| broken(error.to_string()))? else {
            return Err(broken("it was stopped".to_owned()));
        };
        if size != entry.bytes() {
            return Err(broken(format!("the Hub announced {} bytes", entry.bytes())));
        }
        files.digests.push((entry.path.clone(), sha256));
        let text = Some(String::from_utf8_lossy(&kept).into_owned()).filter(|_| keeps);
        match entry.path.as_str() {
            "README.md" => files.card = text,
            SIGNATURE_FILE => files.signature = text,
            PUBLIC_KEY_FILE => files.key = text,
            RECORD => files.record = text,
            _ => {}
        }
        Ok(())
    }

    /// The token goes to the endpoint alone; the client takes it off where an answer leads elsewhere.
    fn get(&self, url: &str) -> anyhow::Result<Response> {
        if !url.starts_with(&format!("{}/", self.endpoint)) {
            let text = format!(
                "{} leads to another address for its list of files; that is not followed.",
                self.endpoint
            );
            return Err(Failed::user(text));
        }
        let request = self.http.get(url);
        let request = match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        };
        let answer = request.send().map_err(|error| {
            let endpoint = &self.endpoint;
            Failed::user(format!(
                "No Hub answers at {endpoint} ({}). Name another with --endpoint.",
                error.without_url()
            ))
        })?;
        self.refuse(answer)
    }

    fn refuse(&self, answer: Response) -> anyhow::Result<Response> {
        let (repo, revision, endpoint) = (&self.repo, &self.revision, &self.endpoint);
        let way = match self.token {
            Some(_) => "Check the name, and what the token in HF_TOKEN may read.",
            None => "Check the name; a private repository needs a token in HF_TOKEN.",
        };
        match answer.status() {
            status if status.is_success() => Ok(answer),
            // The Hub says 401 of what a stranger may not even know to be there.
            StatusCode::NOT_FOUND | StatusCode::UNAUTHORIZED => {
                let text =
                    format!("there is neither a folder {repo} nor {repo} at {revision} on {endpoint}. {way}");
                Err(Failed::with(ExitStatus::NotFound, text))
            }
            StatusCode::FORBIDDEN => Err(Failed::user(format!(
                "{endpoint} does not let {repo} be read: its conditions were not accepted, or the token may not. {way}"
            ))),
            status => Err(Failed::user(format!("{endpoint} answered {status}. Try again later."))),
        }
    }
}

/// The address of `<address>; rel="next"`.
fn next_page(link: &str) -> Option<String> {
    link.split(',').find_map(|part| {
        let (address, rest) = part.trim().strip_prefix('<')?.split_once('>')?;
        rest.contains("rel=\"next\"").then(|| address.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use sekisho_hub::signature::{SigningKey, sign};
    use sekisho_server::SystemEntropy;

    use super::*;

    #[test]
    fn the_next_page_is_found_among_links() {
        let link = "<https://hub/a?cursor=x>; rel=\"prev\", <https://hub/a?cursor=y>; rel=\"next\"";
        assert_eq!(next_page(link).as_deref(), Some("https://hub/a?cursor=y"));
        assert_eq!(next_page("<https://hub/a>; rel=\"prev\""), None);
    }

    #[test]
    fn files_are_judged_by_the_given_key_or_by_the_one_beside_them() {
        let key = SigningKey::generate(&SystemEntropy);
        let digests = vec![("config.json".to_owned(), Sha256::of("{}"))];
        let text = sign(&key, "m", digests.iter().map(|(path, digest)| (path.as_str(), *digest)));
        let mut files = Files { digests, signature: Some(text), ..Files::default() };
        let mut problems = Vec::new();
        let found = judge(&files, Some(&key.public()), "lab/m@c", &mut problems).expect("judged");
        assert!(found.is_some_and(|found| found.is_good() && found.key == KeySource::Given));
        assert!(judge(&files, None, "lab/m@c", &mut problems).expect("judged").is_none());
        assert!(problems.len() == 1 && problems[0].contains(PUBLIC_KEY_FILE));
        files.key = Some(key.public().pem());
        let found = judge(&files, None, "lab/m@c", &mut problems).expect("judged");
        assert!(found.is_some_and(|found| found.is_good() && found.key == KeySource::Folder));
        files.digests[0].1 = Sha256::of("other");
        let found = judge(&files, None, "lab/m@c", &mut problems).expect("judged");
        assert!(found.is_some_and(|found| !found.is_good()));
    }
}
