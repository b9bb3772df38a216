//! A small release, and a journal that can fall over at any point of its publication.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use sekisho_domain::lineage::{Gating, Visibility};
use sekisho_domain::manifest::FileEntry;
use sekisho_domain::{Sha256, Text};
use sekisho_hub::{
    Bundle, BundleFile, Existing, HubConfig, Journal, JournalError, Progress, PublishError, Published,
    Publisher, Step, Token,
};

use crate::hub_double::HubDouble;

/// The repository of the test releases.
pub const REPO: &str = "lab/mini";
/// Bytes of its weights.
pub const WEIGHTS: usize = 3_000_017;

const CARD: &str = "---\nlicense: apache-2.0\nlanguage: [ja, en]\n---\n# mini\n\n日本語と英語のモデル。\n";

/// Files that live as long as the test.
pub struct Release {
    folder: tempfile::TempDir,
    /// What is published; tests change it as they need.
    pub bundle: Bundle,
}

impl Default for Release {
    fn default() -> Self {
        Self::new()
    }
}

impl Release {
    /// A public release with a tag: card, configuration, an empty file, a file in a folder, weights on disk.
    #[must_use]
    pub fn new() -> Self {
        let folder = tempfile::tempdir().expect("temp dir");
        let weights = pseudo_random(WEIGHTS);
        let path = folder.path().join("weights.bin");
        fs_err::write(&path, &weights).expect("written");
        let entry = FileEntry {
            path: "model.safetensors".to_owned(),
            size: weights.len() as u64,
            sha256: Sha256::of(&weights),
        };
        let files = vec![
            BundleFile::memory("README.md", CARD.as_bytes()),
            BundleFile::memory("config.json", *br#"{"model_type":"llama"}"#),
            BundleFile::memory("evals/ja/結果.json", *b"{}"),
            BundleFile::memory("empty.txt", *b""),
            BundleFile::local(&entry, path),
        ];
        let bundle = Bundle {
            repo: REPO.to_owned(),
            revision: "main".to_owned(),
            files,
            visibility: Visibility::Public,
            gating: Gating::None,
            tag: Some("v1.0".to_owned()),
            message: "Release v1.0".to_owned(),
            existing: Existing::Refuse,
        };
        Self { folder, bundle }
    }

    /// Where the weights lie.
    #[must_use]
    pub fn weights(&self) -> std::path::PathBuf {
        self.folder.path().join("weights.bin")
    }

    /// Path → SHA-256 in hex of every file.
    #[must_use]
    pub fn digests(&self) -> BTreeMap<String, String> {
        self.bundle.files.iter().map(|file| (file.path.clone(), file.sha256.hex())).collect()
    }

    /// A publisher for this Hub.
    ///
    /// # Panics
    /// When the double's endpoint is refused.
    #[must_use]
    pub fn publisher(&self, hub: &HubDouble, token: &str) -> Publisher {
        Publisher::new(&config(hub.endpoint(), token, self.folder.path())).expect("loopback is allowed")
    }

    /// Publishes with a journal that records only.
    ///
    /// # Errors
    /// As [`Publisher::publish`].
    pub async fn publish(&self, hub: &HubDouble, token: &str) -> Result<Published, PublishError> {
        self.publisher(hub, token).publish(&self.bundle, &Recorder::default(), no_progress()).await
    }
}

/// A configuration that allows exactly its own endpoint.
#[must_use]
pub fn config(endpoint: &str, token: &str, folder: &Path) -> HubConfig {
    HubConfig {
        endpoint: endpoint.to_owned(),
        token: Token::new(token),
        allow: vec![endpoint.to_owned()],
        staging: folder.join("staging"),
    }
}

/// Nobody watches.
#[must_use]
pub fn no_progress() -> Progress {
    Arc::new(|_, _| {})
}

/// The most that was reported as done, and the total.
#[derive(Clone, Default)]
pub struct Watched {
    done: Arc<AtomicU64>,
    total: Arc<AtomicU64>,
}

impl Watched {
    /// The callback.
    #[must_use]
    pub fn progress(&self) -> Progress {
        let watched = self.clone();
        Arc::new(move |done, total| {
            watched.done.fetch_max(done, Ordering::Relaxed);
            watched.total.store(total, Ordering::Relaxed);
        })
    }

    /// (done, total)
    #[must_use]
    pub fn seen(&self) -> (u64, u64) {
        (self.done.load(Ordering::Relaxed), self.total.load(Ordering::Relaxed))
    }
}

/// A point of a step.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Moment {
    /// Its intent is to be written: nothing of it has happened.
    Before,
    /// Its outcome is to be written: it has happened.
    After,
}

/// Writes down what happens, and stops the publication where it is told to, as a crash would.
#[derive(Default)]
pub struct Recorder {
    lines: Mutex<Vec<String>>,
    stop: Option<(Step, Moment)>,
}

impl Recorder {
    /// A journal that fails at this point.
    #[must_use]
    pub fn stopping_at(step: Step, moment: Moment) -> Self {
        Self { lines: Mutex::default(), stop: Some((step, moment)) }
    }

    /// One line for each event.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn write(&self, step: Step, moment: Option<Moment>, line: String) -> Result<(), JournalError> {
        if self.stop.is_some_and(|(at, when)| at == step && Some(when) == moment) {
            let reason = "the power went out".to_owned();
            return Err(JournalError(Text { ja: reason.clone(), en: reason }));
        }
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).push(line);
        Ok(())
    }
}

#[async_trait]
impl Journal for Recorder {
    async fn intended(&self, step: Step) -> Result<(), JournalError> {
        self.write(step, Some(Moment::Before), format!("intended {step}"))
    }

    async fn done(&self, step: Step, detail: &Text) -> Result<(), JournalError> {
        assert!(!detail.en.is_empty() && !detail.ja.is_empty(), "{step} says what was seen");
        self.write(step, Some(Moment::After), format!("done {step}: {}", detail.en))
    }

    async fn failed(&self, step: Step, error: &PublishError) {
        let written = self.write(step, None, format!("failed {step}: {error}"));
        written.expect("failures do not stop this journal");
    }

    async fn unknown(&self, step: Step, error: &PublishError) {
        let written = self.write(step, None, format!("unknown {step}: {error}"));
        written.expect("failures do not stop this journal");
    }
}

/// Bytes that do not compress and do not repeat (xorshift64).
fn pseudo_random(length: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}
