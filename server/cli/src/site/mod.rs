//! `sekisho export site`: the pages of a service as files that need none. The pages are the service's own, asked for with `site=…`; what
//! is done to them here is that links lead to files.

mod address;
mod rewrite;
mod source;

use std::collections::{BTreeMap, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use indicatif::ProgressBar;
use sekisho_domain::Language;
use sekisho_server::Answer;

use self::address::{Address, Kind, relative};
use self::rewrite::{Link, links, rewritten, script};
pub(crate) use self::source::Source;
use crate::client::encode;
use crate::exit::{ExitStatus, Failed};

/// The scripts that need no service.
const SCRIPTS: [&str; 3] = ["app.js", "keys.js", "cursor.js"];

/// What is exported.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    /// At least one; the first is that of the first page.
    pub(crate) langs: Vec<Language>,
    /// Names of runs; every run that may be handed on when empty.
    pub(crate) runs: Vec<String>,
    /// Of the leaderboard; all, and every suite, when empty.
    pub(crate) presets: Vec<String>,
}

impl Wanted {
    /// The value of `site` that asks for these runs.
    fn site(&self) -> String {
        if self.runs.is_empty() {
            "*".to_owned()
        } else {
            self.runs.iter().map(|run| encode(run)).collect::<Vec<_>>().join(",")
        }
    }

    /// Whether a run is exported; `run` is as an address writes it.
    fn takes(&self, run: &str) -> bool {
        self.runs.is_empty() || self.runs.iter().any(|name| encode(name) == run)
    }

    /// Leads the leaderboard's own address to the first preset that is exported; none for a board that is not.
    fn choose_board(&self, query: &mut Vec<(String, String)>) -> Option<()> {
        let Some(first) = self.presets.first() else { return Some(()) };
        let chosen = |name: &str| query.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone());
        match (chosen("preset"), chosen("suite")) {
            (None, None) => {
                query.push(("preset".to_owned(), encode(first)));
                query.sort();
                Some(())
            }
            (Some(preset), None) => self.presets.iter().any(|name| encode(name) == preset).then_some(()),
            (_, Some(_)) => None,
        }
    }
}

/// What an export came to.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Written {
    pub(crate) pages: usize,
    pub(crate) files: usize,
    pub(crate) bytes: u64,
}

/// Writes the site into a folder; none when it was stopped.
pub(crate) fn export(
    source: &Source,
    wanted: &Wanted,
    folder: &Path,
    bar: &ProgressBar,
    stop: &AtomicBool,
) -> anyhow::Result<Option<Written>> {
    check(source, wanted)?;
    // What the service said lies there until it is known which pages there are: a link to one that is not there is none.
    let raw = folder.join(".raw");
    fs_err::create_dir(&raw)?;
    let mut site = Site { source, wanted, raw, found: BTreeMap::new() };
    if !site.fetch(bar, stop)? {
        return Ok(None);
    }
    let written = site.write(folder)?;
    fs_err::remove_dir_all(&site.raw)?;
    Ok(Some(written))
}

/// Refuses what the service has not, or does not hand on.
fn check(source: &Source, wanted: &Wanted) -> anyhow::Result<()> {
    for run in &wanted.runs {
        let answer = source.get(&format!("/runs/{}?site=*", encode(run)))?;
        match answer.status {
            404 => return Err(Failed::with(ExitStatus::NotFound, format!("There is no run \"{run}\"."))),
            403 => {
                let text = format!(
                    "Run \"{run}\" descends from a subset with level LZ: neither it nor anything made from it may be handed on. Leave it out."
                );
                return Err(Failed::with(ExitStatus::Refused, text));
            }
            _ => drop(good(answer, &format!("run \"{run}\""))?),
        }
    }
    for preset in &wanted.presets {
        let answer = source.get(&format!("/leaderboard.json?preset={}&site=*", encode(preset)))?;
        let board: serde_json::Value = serde_json::from_slice(&good(answer, "the leaderboard")?.bytes)?;
        if board["preset"] != preset.as_str() {
            let text = format!("There is no preset \"{preset}\". The leaderboard's own page names them all.");
            return Err(Failed::with(ExitStatus::NotFound, text));
        }
    }
    Ok(())
}

/// The answer, if it is what was asked for.
fn good(answer: Answer, what: &str) -> anyhow::Result<Answer> {
    match answer.status {
        200 => Ok(answer),
        401 => Err(Failed::user(
            "This service shows its pages to members only. Give a token with SEKISHO_TOKEN or --token-file.",
        )),
        status => {
            Err(Failed::with(ExitStatus::Unexpected, format!("the service answered {status} for {what}")))
        }
    }
}

struct Site<'s> {
    source: &'s Source,
    wanted: &'s Wanted,
    /// Folder of the answers.
    raw: PathBuf,
    /// What there is, with the file of the answer; without one where the service has no such page, or does not hand it on.
    found: BTreeMap<Address, Option<PathBuf>>,
}

impl Site<'_> {
    /// Asks for the first pages and for everything that they lead to. False when it was stopped.
    fn fetch(&mut self, bar: &ProgressBar, stop: &AtomicBool) -> anyhow::Result<bool> {
        let mut open: VecDeque<Address> = VecDeque::new();
        let mut seen: std::collections::BTreeSet<Address> = std::collections::BTreeSet::new();
        let lists = ["/", "/leaderboard", "/runs"].map(ToOwned::to_owned);
        let presets = self.wanted.presets.iter().map(|name| format!("/leaderboard?preset={}", encode(name)));
        let runs = self.wanted.runs.iter().map(|name| format!("/runs/{}", encode(name)));
        let starts: Vec<String> = lists.into_iter().chain(presets).chain(runs).collect();
        for lang in &self.wanted.langs {
            let all = starts.iter().filter_map(|href| Address::of(href, *lang, self.wanted));
            open.extend(all.map(|(address, _)| address).filter(|address| seen.insert(address.clone())));
        }
        let firsts = seen.clone();
        while let Some(address) = open.pop_front() {
            if stop.load(Ordering::Relaxed) {
                return Ok(false);
            }
            let lang = address.lang(self.wanted);
            let at = address.at(&self.wanted.site(), lang);
            bar.set_message(at.clone());
            let answer = self.source.get(&at)?;
            let is_withheld = matches!(answer.status, 403 | 404) && !firsts.contains(&address);
            let kept = if is_withheld { None } else { Some(good(answer, &at)?) };
            if let Some(answer) = kept.as_ref().filter(|_| address.kind == Kind::Page) {
                let page = String::from_utf8_lossy(&answer.bytes);
                let all = links(&page);
                let all = all.iter().filter_map(|href| Address::of(href, lang, self.wanted));
                open.extend(all.map(|(address, _)| address).filter(|address| seen.insert(address.clone())));
            }
            let file = kept.map(|answer| self.keep(&answer)).transpose()?;
            self.found.insert(address, file);
            bar.set_length(seen.len() as u64);
            bar.inc(1);
        }
        Ok(true)
    }

    fn keep(&self, answer: &Answer) -> anyhow::Result<PathBuf> {
        let file = self.raw.join(self.found.len().to_string());
        fs_err::write(&file, &answer.bytes)?;
        Ok(file)
    }

    fn write(&self, folder: &Path) -> anyhow::Result<Written> {
        let mut written = Written::default();
        for (address, raw) in &self.found {
            let Some(raw) = raw else { continue };
            let name = address.file(self.wanted);
            let bytes = self.as_file(address, &name, fs_err::read(raw)?)?;
            let Some(bytes) = bytes else { continue };
            let at = folder.join(&name);
            fs_err::create_dir_all(at.parent().unwrap_or(folder))?;
            fs_err::write(&at, &bytes)?;
            written.pages += usize::from(address.kind == Kind::Page);
            written.files += 1;
            written.bytes += bytes.len() as u64;
        }
        Ok(written)
    }

    /// What a file holds; none of a script that needs a service.
    fn as_file(&self, address: &Address, name: &str, bytes: Vec<u8>) -> anyhow::Result<Option<Vec<u8>>> {
        let is_script = Path::new(name).extension().is_some_and(|end| end == "js");
        Ok(match address.kind {
            Kind::Page => {
                Some(rewritten(std::str::from_utf8(&bytes)?, |href| self.link(address, name, href)).into())
            }
            Kind::Asset if is_script && !SCRIPTS.iter().any(|known| name.ends_with(known)) => None,
            Kind::Asset if is_script => Some(script(std::str::from_utf8(&bytes)?).into()),
            Kind::Asset | Kind::Data => Some(bytes),
        })
    }

    fn link(&self, page: &Address, name: &str, href: &str) -> Link {
        if href.starts_with('#') || href.starts_with("https://") || href.starts_with("http://") {
            return Link::Same;
        }
        let Some((to, fragment)) = Address::of(href, page.lang(self.wanted), self.wanted) else {
            return Link::Gone;
        };
        let file = to.file(self.wanted);
        let is_there = self.found.get(&to).is_some_and(Option::is_some);
        let needs_service = to.kind == Kind::Asset
            && file.ends_with(".js")
            && !SCRIPTS.iter().any(|known| file.ends_with(known));
        if !is_there || needs_service {
            return Link::Gone;
        }
        let mark = if fragment.is_empty() { String::new() } else { format!("#{fragment}") };
        Link::File(format!("{}{mark}", relative(name, &file)))
    }
}
