use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use sekisho_domain::{TomlError, parse_toml};
use serde::Deserialize;

use crate::egress::Allow;
use crate::launch::{LauncherSection, LauncherSettings, read_settings};

/// What a visitor without sign-in may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Anonymous {
    /// Read.
    Viewer,
    /// Nothing.
    None,
}

/// A configuration that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file is not what it should be.
    #[error(transparent)]
    Toml(#[from] TomlError),
    /// The file cannot be read.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// A value that cannot be used.
    #[error("{key} = \"{value}\" in the configuration: {rule}")]
    Value {
        /// Which key.
        key: &'static str,
        /// Its value.
        value: String,
        /// What it should be.
        rule: String,
    },
}

/// `sekisho.toml` as written. Every key has a default.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct File {
    server: ServerSection,
    database: UrlSection,
    blobs: UrlSection,
    ingest: IngestSection,
    evaluate: EvaluateSection,
    sources: BTreeMap<String, PathBuf>,
    hub: HubSection,
    review: ReviewSection,
    policy: PolicySection,
    signing: SigningSection,
    workers: WorkersSection,
    launchers: BTreeMap<String, LauncherSection>,
    webhooks: WebhooksSection,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct ServerSection {
    listen: Option<String>,
    public_url: Option<String>,
    anonymous: Option<Anonymous>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct UrlSection {
    url: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct IngestSection {
    roots: Vec<PathBuf>,
    uploads_expire_days: Option<u32>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct EvaluateSection {
    suite: Option<String>,
    data: Option<PathBuf>,
    tasks: Option<PathBuf>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct HubSection {
    endpoint: Option<String>,
    token_file: Option<PathBuf>,
    allow: Vec<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct ReviewSection {
    approvals: Option<u32>,
    separate_publisher: Option<bool>,
    break_glass: Option<bool>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct PolicySection {
    set: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct SigningSection {
    key_file: Option<PathBuf>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct WorkersSection {
    pools: Vec<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct WebhooksSection {
    allow: Vec<String>,
    schedule: Option<Vec<u64>>,
    timeout: Option<u64>,
    failures: Option<u32>,
}

/// How messages are sent to other systems.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebhookSettings {
    /// Hosts that may be inside, and use http.
    pub allow: Allow,
    /// Seconds before each attempt, counted from the one before it.
    pub schedule: Vec<u64>,
    /// Seconds that an attempt may take.
    pub timeout: u64,
    /// Failed attempts in a row after which an endpoint is left alone.
    pub failures: u32,
}

/// At once, 5 s, 5 min, 30 min, 2 h, 5 h, 10 h, 14 h, 20 h, 24 h: what Standard Webhooks suggests.
const SCHEDULE: [u64; 10] = [0, 5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400];

/// The configuration, resolved: every path absolute, every default filled in.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where the service keeps its data.
    pub dir: PathBuf,
    /// Address to listen on.
    pub listen: SocketAddr,
    /// How people reach it.
    pub public_url: String,
    /// What the file says strangers may do; see [`Config::anonymous`].
    pub anonymous: Option<Anonymous>,
    /// Database URL or path.
    pub database_url: String,
    /// Blob store URL or path.
    pub blobs_url: String,
    /// Folders below which a checkpoint may be announced by path; empty: anywhere.
    pub ingest_roots: Vec<PathBuf>,
    /// Days after which an upload that nobody goes on with is removed.
    pub uploads_expire_days: u32,
    /// Suite for runs that name none.
    pub suite: String,
    /// Folder with benchmark data.
    pub data_dir: PathBuf,
    /// Folder with the user's own task and suite files.
    pub tasks_dir: PathBuf,
    /// Folders of single sources, by source id.
    pub sources: BTreeMap<String, PathBuf>,
    /// Hub to publish to.
    pub hub_endpoint: String,
    /// File with the Hub's token.
    pub hub_token_file: Option<PathBuf>,
    /// Endpoints that may be published to.
    pub hub_allow: Vec<String>,
    /// Approvals that a release needs.
    pub approvals: u32,
    /// Whether who approved a release may not publish it.
    pub separate_publisher: bool,
    /// Whether an admin may let a release out alone, with a reason.
    pub break_glass: bool,
    /// The policy set: the name of a built-in one, or a file.
    pub policy: String,
    /// File with the private key that releases are signed with.
    pub signing_key_file: Option<PathBuf>,
    /// Pools that workers may name; empty: any.
    pub pools: Vec<String>,
    /// What starts workers where work waits.
    pub launchers: Vec<LauncherSettings>,
    /// How messages are sent to other systems.
    pub webhooks: WebhookSettings,
    /// Whether `serve` starts a worker of its own.
    pub local_worker: bool,
}

impl Config {
    /// The defaults for a data folder.
    ///
    /// # Errors
    /// When the folder's path cannot be made absolute.
    pub fn defaults(dir: &Path) -> Result<Self, ConfigError> {
        Self::resolve(File::default(), dir, dir)
    }

    /// Reads `sekisho.toml`. Relative paths in it are relative to the file.
    ///
    /// # Errors
    /// [`ConfigError`] with place and rule.
    pub fn load(file: &Path, dir: &Path) -> Result<Self, ConfigError> {
        let text = fs_err::read_to_string(file)?;
        let parsed = parse_toml(&file.display().to_string(), &text)?;
        Self::resolve(parsed, file.parent().unwrap_or(Path::new(".")), dir)
    }

    fn resolve(file: File, base: &Path, dir: &Path) -> Result<Self, ConfigError> {
        let dir = std::path::absolute(dir)?;
        let absolute = |path: PathBuf| std::path::absolute(base.join(path));
        let listen_text = file.server.listen.unwrap_or_else(|| "127.0.0.1:7070".to_owned());
        let listen = listen_text.parse().map_err(|_| ConfigError::Value {
            key: "server.listen",
            value: listen_text,
            rule: "expected an address and a port, for example 127.0.0.1:7070".to_owned(),
        })?;
        let hub_endpoint = file.hub.endpoint.unwrap_or_else(|| "https://huggingface.co".to_owned());
        Ok(Self {
            listen,
            public_url: file.server.public_url.unwrap_or_default(),
            anonymous: file.server.anonymous,
            database_url: file.database.url.unwrap_or_else(|| dir.join("sekisho.db").display().to_string()),
            blobs_url: file.blobs.url.unwrap_or_else(|| dir.join("blobs").display().to_string()),
            uploads_expire_days: file.ingest.uploads_expire_days.unwrap_or(7).max(1),
            ingest_roots: file
                .ingest
                .roots
                .into_iter()
                .map(|root| absolute(root).map(canonical))
                .collect::<Result<_, _>>()?,
            suite: file.evaluate.suite.unwrap_or_else(|| "llm-jp-eval-dev100".to_owned()),
            data_dir: file.evaluate.data.map_or_else(|| Ok(dir.join("data")), absolute)?,
            tasks_dir: file.evaluate.tasks.map_or_else(|| Ok(dir.join("tasks")), absolute)?,
            sources: file
                .sources
                .into_iter()
                .map(|(id, path)| absolute(path).map(|p| (id, p)))
                .collect::<Result<_, _>>()?,
            hub_token_file: file.hub.token_file.map(absolute).transpose()?,
            hub_allow: if file.hub.allow.is_empty() { vec![hub_endpoint.clone()] } else { file.hub.allow },
            hub_endpoint,
            approvals: file.review.approvals.unwrap_or(1).max(1),
            separate_publisher: file.review.separate_publisher.unwrap_or(true),
            break_glass: file.review.break_glass.unwrap_or(true),
            policy: policy(file.policy.set, base)?,
            signing_key_file: file.signing.key_file.map(absolute).transpose()?,
            pools: file.workers.pools,
            launchers: read_settings(file.launchers, base)?,
            webhooks: webhooks(file.webhooks)?,
            local_worker: true,
            dir,
        })
    }

    /// Sets the address in place of the file's.
    pub fn set_listen(&mut self, listen: SocketAddr) {
        self.listen = listen;
    }

    /// What strangers may do: as the file says, else what goes with the address. Loopback is readable by whoever sits at the
    /// machine; anything else asks for a sign-in.
    #[must_use]
    pub fn anonymous(&self) -> Anonymous {
        let default = if self.listen.ip().is_loopback() { Anonymous::Viewer } else { Anonymous::None };
        self.anonymous.unwrap_or(default)
    }

    /// Whether people reach the service by HTTPS.
    #[must_use]
    pub fn is_https(&self) -> bool {
        self.public_url.starts_with("https://")
    }

    /// The session cookie's name: bound to the host where cookies can be (HTTPS).
    #[must_use]
    pub fn cookie_name(&self) -> &'static str {
        if self.is_https() { "__Host-sekisho" } else { "sekisho" }
    }
}

fn webhooks(section: WebhooksSection) -> Result<WebhookSettings, ConfigError> {
    let wrong = |key, value: String, rule: &str| ConfigError::Value { key, value, rule: rule.to_owned() };
    let allow = Allow::parse(&section.allow).map_err(|entry| {
        wrong("webhooks.allow", entry, "expected a host, or a host and a port, for example receiver.lab:8080")
    })?;
    let schedule = section.schedule.unwrap_or_else(|| SCHEDULE.to_vec());
    const LONGEST: u64 = 30 * 86_400;
    if schedule.is_empty() || schedule.iter().any(|seconds| *seconds > LONGEST) {
        let rule = "expected the seconds before each attempt, at most 30 days, for example [0, 5, 300]";
        return Err(wrong("webhooks.schedule", format!("{schedule:?}"), rule));
    }
    let timeout = section.timeout.unwrap_or(20);
    if !(1..=300).contains(&timeout) {
        return Err(wrong("webhooks.timeout", timeout.to_string(), "expected 1 to 300 seconds"));
    }
    Ok(WebhookSettings { allow, schedule, timeout, failures: section.failures.unwrap_or(100).max(1) })
}

/// A file's path relative to the configuration; the name of a built-in set as it is.
fn policy(set: Option<String>, base: &Path) -> Result<String, ConfigError> {
    match set {
        Some(file) if Path::new(&file).extension().is_some_and(|extension| extension == "toml") => {
            Ok(std::path::absolute(base.join(file))?.display().to_string())
        }
        Some(name) => Ok(name),
        None => Ok("base".to_owned()),
    }
}

/// A folder without links, as announced paths are compared; one that is not there yet stays as it is.
fn canonical(path: PathBuf) -> PathBuf {
    fs_err::canonicalize(&path).unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strangers_read_on_loopback_only() {
        let mut config = Config::defaults(Path::new("data")).expect("defaults");
        assert_eq!(config.anonymous(), Anonymous::Viewer);
        config.set_listen("0.0.0.0:7070".parse().expect("address"));
        assert_eq!(config.anonymous(), Anonymous::None);
    }

    #[test]
    fn what_the_file_says_about_strangers_holds_at_every_address() {
        let dir = tempfile::tempdir().expect("folder");
        let file = dir.path().join("sekisho.toml");
        for (listen, says, override_with) in
            [("0.0.0.0:7070", "none", "127.0.0.1:7070"), ("127.0.0.1:7070", "viewer", "0.0.0.0:7070")]
        {
            let text = format!("[server]\nlisten = \"{listen}\"\nanonymous = \"{says}\"\n");
            fs_err::write(&file, text).expect("write");
            let mut config = Config::load(&file, dir.path()).expect("a configuration");
            let before = config.anonymous();
            config.set_listen(override_with.parse().expect("address"));
            assert_eq!(config.anonymous(), before, "{says} on {override_with}");
        }
    }

    #[test]
    fn a_root_behind_a_link_is_the_folder_itself() {
        let dir = tempfile::tempdir().expect("folder");
        let real = fs_err::canonicalize(dir.path()).expect("a path").join("real");
        fs_err::create_dir(&real).expect("folder");
        std::os::unix::fs::symlink(&real, dir.path().join("link")).expect("link");
        let file = dir.path().join("sekisho.toml");
        fs_err::write(&file, "[ingest]\nroots = [\"link\", \"later\"]\n").expect("write");
        let config = Config::load(&file, dir.path()).expect("a configuration");
        assert_eq!(config.ingest_roots, [real, dir.path().join("later")]);
    }

    #[test]
    fn a_misspelt_key_is_refused_with_the_nearest_name() {
        let dir = tempfile::tempdir().expect("folder");
        let file = dir.path().join("sekisho.toml");
        fs_err::write(&file, "[server]\nlisen = \"127.0.0.1:1\"\n").expect("write");
        let error = Config::load(&file, dir.path()).expect_err("misspelt").to_string();
        assert!(
            error.contains(":2:1: unknown field `lisen`") && error.contains("did you mean \"listen\"?"),
            "{error}"
        );
    }

    #[test]
    fn the_page_about_the_configuration_names_the_keys_and_their_defaults() {
        let page = include_str!("../../docs/configuration.md");
        let block = page.split("```").nth(1).and_then(|block| block.strip_prefix("toml")).expect("a block");
        let dir = tempfile::tempdir().expect("folder");
        let file = dir.path().join("sekisho.toml");
        let text = block.replace("DIR", &dir.path().display().to_string());
        fs_err::write(&file, text).expect("write");
        let mut read = Config::load(&file, dir.path()).expect("a configuration");
        let defaults = Config::defaults(dir.path()).expect("defaults");
        read.public_url.clear();
        (read.anonymous, read.hub_token_file, read.signing_key_file) = (None, None, None);
        assert_eq!(format!("{read:?}"), format!("{defaults:?}"));
    }
}
