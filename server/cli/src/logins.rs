//! Sign-ins of this command line by service, as `sekisho login` keeps them. They are short, and whoever can read the file is that
//! person until they end: nobody but its owner may.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use fs_err::os::unix::fs::OpenOptionsExt as _;
use sekisho_domain::{Clock as _, Timestamp};
use sekisho_server::SystemClock;
use serde::{Deserialize, Serialize};

use crate::exit::Failed;

/// One sign-in. It has no `Debug`: the secret is shown nowhere.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Login {
    /// Its bearer token.
    pub(crate) secret: String,
    /// Whose it is.
    pub(crate) user: String,
    /// Until when.
    pub(crate) expires: Timestamp,
}

/// By address of the service, without a slash at its end.
#[derive(Default, Serialize, Deserialize)]
#[serde(transparent)]
struct Logins(BTreeMap<String, Login>);

/// The sign-in at a service that holds now.
pub(crate) fn current(server: &str) -> anyhow::Result<Option<Login>> {
    let Some(file) = file() else { return Ok(None) };
    Ok(Logins::read(&file)?.at(server, SystemClock.now()).cloned())
}

/// Keeps a sign-in, in place of an earlier one at that service.
pub(crate) fn keep(server: &str, login: Login) -> anyhow::Result<()> {
    change(|logins| logins.0.insert(key(server).to_owned(), login)).map(drop)
}

/// Forgets the sign-in at a service, and answers it when it holds still.
pub(crate) fn forget(server: &str) -> anyhow::Result<Option<Login>> {
    change(|logins| logins.0.remove(key(server)))
}

fn change<T>(change: impl FnOnce(&mut Logins) -> T) -> anyhow::Result<T> {
    let Some(file) = file() else {
        let text = "There is no place for sign-ins: HOME is not set. Name a file in SEKISHO_LOGINS.";
        return Err(Failed::user(text));
    };
    let mut logins = Logins::read(&file)?;
    logins.drop_expired(SystemClock.now());
    let changed = change(&mut logins);
    logins.write(&file).map_err(|error| Failed::user(sekisho_domain::disk_sentence(&error)))?;
    Ok(changed)
}

/// Where they lie.
fn file() -> Option<PathBuf> {
    let set = std::env::var_os;
    place(set("SEKISHO_LOGINS"), set("XDG_CONFIG_HOME"), set("HOME"))
}

/// A file of the user's choice, or in the folder for configuration. The XDG specification ignores relative ones.
fn place(own: Option<OsString>, config: Option<OsString>, home: Option<OsString>) -> Option<PathBuf> {
    let set = |value: Option<OsString>| value.filter(|value| !value.is_empty()).map(PathBuf::from);
    if let Some(file) = set(own) {
        return Some(file);
    }
    let config = set(config).filter(|folder| folder.is_absolute());
    let config = config.or_else(|| Some(set(home)?.join(".config")))?;
    Some(config.join("sekisho").join("logins.json"))
}

fn key(server: &str) -> &str {
    server.trim_end_matches('/')
}

impl Logins {
    fn read(file: &Path) -> anyhow::Result<Self> {
        let text = match fs_err::read_to_string(file) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => {
                let text =
                    format!("{error}; name a file that this account may read and write in SEKISHO_LOGINS");
                return Err(Failed::user(text));
            }
        };
        // What serde says would repeat what stands there, secrets too.
        serde_json::from_str(&text).map_err(|error| {
            let (file, line) = (file.display(), error.line());
            Failed::user(format!(
                "{file}:{line}: this is no list of sign-ins. Remove the file, and sign in again with `sekisho login`."
            ))
        })
    }

    fn at(&self, server: &str, now: Timestamp) -> Option<&Login> {
        self.0.get(key(server)).filter(|login| login.expires > now)
    }

    fn drop_expired(&mut self, now: Timestamp) {
        self.0.retain(|_, login| login.expires > now);
    }

    /// Through a file beside it, so that nobody ever reads a part; for its owner's eyes from its first byte on.
    fn write(&self, file: &Path) -> io::Result<()> {
        let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        if !folder.exists() {
            let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder);
            made.map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", folder.display())))?;
        }
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        let temporary = file.with_file_name(format!(".{name}.{}.partial", std::process::id()));
        let result = self.fill(&temporary).and_then(|()| fs_err::rename(&temporary, file));
        if result.is_err() {
            // The first error is the one to report.
            let _ = fs_err::remove_file(&temporary);
        }
        result
    }

    fn fill(&self, file: &Path) -> io::Result<()> {
        // One that a process of the same number left would keep its mode.
        let _ = fs_err::remove_file(file);
        let text = serde_json::to_string_pretty(self)?;
        let mut file = fs_err::OpenOptions::new().write(true).create_new(true).mode(0o600).open(file)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    const LAB: &str = "https://sekisho.example.org";

    fn login(user: &str, expires: i64) -> Login {
        let secret = format!("cli_{user}");
        Login { secret, user: user.to_owned(), expires: Timestamp::from_unix_ms(expires) }
    }

    #[test]
    fn the_place_is_the_named_file_or_below_the_configuration() {
        let place = |own: &str, config: &str, home: &str| {
            let set = |text: &str| Some(OsString::from(text));
            place(set(own), set(config), set(home)).map(|path| path.display().to_string())
        };
        assert_eq!(place("my.json", "/c", "/h").as_deref(), Some("my.json"));
        assert_eq!(place("", "/c", "/h").as_deref(), Some("/c/sekisho/logins.json"));
        assert_eq!(place("", "relative", "/h").as_deref(), Some("/h/.config/sekisho/logins.json"));
        assert_eq!(place("", "", ""), None);
    }

    #[test]
    fn a_sign_in_is_of_one_service_and_ends() {
        let logins = Logins(BTreeMap::from([(LAB.to_owned(), login("ueda", 1_000))]));
        let at = |server: &str, ms| logins.at(server, Timestamp::from_unix_ms(ms)).map(|login| &*login.user);
        assert_eq!(at(LAB, 999), Some("ueda"));
        assert_eq!(at(&format!("{LAB}/"), 999), Some("ueda"), "a slash at the end is the same service");
        assert_eq!(at(LAB, 1_000), None, "it has ended");
        assert_eq!(at("https://other.example.org", 0), None);
    }

    #[test]
    fn what_is_written_is_read_again_by_its_owner_alone() {
        let root = tempfile::tempdir().expect("a temporary folder");
        let file = root.path().join("below/logins.json");
        assert!(Logins::read(&file).expect("no file is no sign-in").0.is_empty());
        let mut logins = Logins::default();
        logins.0.insert(LAB.to_owned(), login("ueda", 1_000));
        logins.0.insert("http://old".to_owned(), login("mori", 10));
        logins.drop_expired(Timestamp::from_unix_ms(10));
        for _ in 0..2 {
            logins.write(&file).expect("written");
        }
        let read = Logins::read(&file).expect("read");
        assert!(read.0.len() == 1 && read.0[LAB] == login("ueda", 1_000), "the expired one is gone");
        let mode = |path: &Path| fs_err::metadata(path).expect("there").permissions().mode() & 0o777;
        assert_eq!((mode(&file), mode(&root.path().join("below"))), (0o600, 0o700));
        let beside = fs_err::read_dir(root.path().join("below")).expect("a folder").count();
        assert_eq!(beside, 1, "nothing temporary stays");
    }

    #[test]
    fn a_broken_file_is_named_without_what_stands_in_it() {
        let root = tempfile::tempdir().expect("a temporary folder");
        let file = root.path().join("logins.json");
        fs_err::write(&file, "{\"http://x\": \"cli_secret\"}").expect("written");
        let Err(error) = Logins::read(&file) else { panic!("it is no list") };
        let text = error.to_string();
        assert!(text.contains("logins.json:1: ") && text.contains("`sekisho login`"), "{text}");
        assert!(!text.contains("cli_secret"), "{text}");
    }
}
