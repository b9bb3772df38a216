//! A Hugging Face Hub in this process, faithful to the protocol as far as a publisher and the official client can tell
//! (`huggingface_hub` 2.4 is run against it, see `tests/it/release_hub_client.rs`): accounts, private and gated repositories, git
//! refs and trees, LFS `basic` and `multipart`, Xet through `xet-client`'s simulation server, the commit with its parent.
//! Faults can be asked for one by one, and every request is on record with its size.

mod account;
mod commit;
mod faults;
mod files;
mod lfs;
mod refused;
mod repos;
mod state;
mod xet;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::{get, post, put};
use bytes::Bytes;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

pub use account::{FINE_ELSEWHERE, FINE_READER, FINE_WRITER, OUTSIDER, READER, WRITER};
pub use faults::{Call, Fault, Logged};
use state::State;

/// What kind of Hub.
#[derive(Clone, Copy, Debug)]
pub struct HubOptions {
    /// Large files go through Xet; otherwise through LFS.
    pub xet: bool,
    /// LFS objects above this many bytes go in parts of this size.
    pub part: u64,
    /// Lines on one page of a tree.
    pub page: usize,
    /// Makes every repository public, whatever is asked.
    pub ignores_private: bool,
    /// Names this as the Xet storage instead of its own.
    pub false_storage: Option<&'static str>,
    /// Takes settings with thanks and leaves everything as it is.
    pub ignores_settings: bool,
    /// Says that a repository became public, and keeps it from everybody all the same.
    pub keeps_hidden: bool,
    /// Of LFS objects sent in one piece only digest and length are kept.
    pub keeps_nothing: bool,
}

impl HubOptions {
    /// A Hub as it should be, with LFS.
    pub const PLAIN: Self = Self {
        xet: false,
        part: 8 << 20,
        page: 1000,
        ignores_private: false,
        false_storage: None,
        ignores_settings: false,
        keeps_hidden: false,
        keeps_nothing: false,
    };
}

impl Default for HubOptions {
    fn default() -> Self {
        Self::PLAIN
    }
}

/// A running Hub; it ends when this is dropped.
pub struct HubDouble {
    shared: Arc<Shared>,
    server: JoinHandle<()>,
}

/// What the handlers share.
struct Shared {
    options: HubOptions,
    endpoint: String,
    xet: Option<xet::Storage>,
    state: Mutex<State>,
    faults: faults::Faults,
}

type Hub = axum::extract::State<Arc<Shared>>;

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl HubDouble {
    /// Starts on a free port of this machine. Xet wants a multi-thread runtime.
    pub async fn start(options: HubOptions) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let endpoint = format!("http://{}", listener.local_addr().expect("bound"));
        let xet = if options.xet { Some(xet::Storage::start().await) } else { None };
        let shared = Arc::new(Shared {
            options,
            endpoint,
            xet,
            state: Mutex::new(State::default()),
            faults: faults::Faults::default(),
        });
        let router = router(Arc::clone(&shared));
        let server = tokio::spawn(async move {
            axum::serve(listener, router).await.expect("the double serves");
        });
        Self { shared, server }
    }

    /// Base address, without trailing slash.
    #[must_use]
    pub fn endpoint(&self) -> &str {
        &self.shared.endpoint
    }

    /// Queues a fault for the next call of this kind. Several are used up in turn.
    pub fn inject(&self, call: Call, fault: Fault) {
        self.shared.faults.inject(call, fault);
    }

    /// Forgets the faults that have not happened yet.
    pub fn heal(&self) {
        self.shared.faults.heal();
    }

    /// How many requests are kept waiting by [`Fault::Hang`] and [`Fault::Silence`].
    #[must_use]
    pub fn held(&self) -> usize {
        self.shared.faults.held()
    }

    /// Becomes a new Hub at the same address: no repositories, no objects, no faults, nothing on record.
    pub fn forget(&self) {
        *self.shared.state() = State::default();
        self.shared.faults.forget();
    }

    /// Every request so far.
    #[must_use]
    pub fn log(&self) -> Vec<Logged> {
        self.shared.faults.log()
    }

    /// How many requests of this kind were answered.
    #[must_use]
    pub fn count(&self, call: Call) -> usize {
        self.log().iter().filter(|logged| logged.call == call).count()
    }

    /// What `hf-xet` reported about its transfers.
    #[must_use]
    pub fn telemetry(&self) -> Vec<serde_json::Value> {
        self.shared.xet.as_ref().map(xet::Storage::telemetry).unwrap_or_default()
    }

    /// Makes a repository as somebody else would, with one file in it when given.
    pub fn add_repo(&self, id: &str, private: bool, file: Option<(&str, &[u8])>) {
        let mut state = self.shared.state();
        state.create(id, private);
        if let Some((path, bytes)) = file {
            state.put_file(id, path, Bytes::copy_from_slice(bytes));
        }
    }

    /// Whether the repository exists, and is private.
    #[must_use]
    pub fn is_private(&self, id: &str) -> Option<bool> {
        self.shared.state().repos.get(id).map(|repo| repo.private)
    }

    /// `none`, `auto` or `manual`.
    #[must_use]
    pub fn gating(&self, id: &str) -> String {
        self.shared.state().repo(id).gated.clone().unwrap_or_else(|| "none".to_owned())
    }

    /// Commits on a branch, newest first, the initial one included; none of a branch that is not there.
    #[must_use]
    pub fn commits(&self, id: &str, branch: &str) -> Vec<String> {
        let state = self.shared.state();
        let repo = state.repo(id);
        let Some(head) = repo.branches.get(branch) else { return Vec::new() };
        repo.history(head).iter().map(|commit| commit.oid.clone()).collect()
    }

    /// Tags and the commits they point at.
    #[must_use]
    pub fn tags(&self, id: &str) -> Vec<(String, String)> {
        let state = self.shared.state();
        state.repo(id).tags.iter().map(|(name, oid)| (name.clone(), oid.clone())).collect()
    }

    /// Paths at a branch.
    #[must_use]
    pub fn paths(&self, id: &str, branch: &str) -> Vec<String> {
        let state = self.shared.state();
        let repo = state.repo(id);
        repo.commits[&repo.branches[branch]].tree.keys().cloned().collect()
    }

    /// The bytes of a file at a branch.
    #[must_use]
    pub fn bytes(&self, id: &str, branch: &str, path: &str) -> Option<Bytes> {
        let state = self.shared.state();
        let repo = state.repo(id);
        let entry = repo.commits[&repo.branches[branch]].tree.get(path)?;
        Some(state.content(entry))
    }

    /// Large objects stored, whether or not a commit names them.
    #[must_use]
    pub fn stored_objects(&self) -> usize {
        self.shared.state().objects.len()
    }
}

impl Drop for HubDouble {
    fn drop(&mut self) {
        self.server.abort();
    }
}

fn router(shared: Arc<Shared>) -> Router {
    let model = Router::new()
        .route("/", get(repos::info))
        .route("/revision/{revision}", get(repos::info_at))
        .route("/refs", get(repos::refs))
        .route("/commits/{revision}", get(repos::commits))
        .route("/tag/{revision}", post(repos::create_tag).delete(repos::delete_tag))
        .route("/branch/{branch}", post(repos::create_branch).delete(repos::delete_branch))
        .route("/settings", put(repos::settings))
        .route("/tree/{revision}", get(files::tree))
        .route("/tree/{revision}/{*path}", get(files::tree_below))
        .route("/paths-info/{revision}", post(files::paths_info))
        .route("/preupload/{revision}", post(commit::preupload))
        .route("/commit/{revision}", post(commit::commit))
        .route("/xet-read-token/{revision}", get(xet::read_token))
        .route("/xet-write-token/{revision}", get(xet::write_token));
    Router::new()
        .route("/api/whoami-v2", get(account::whoami))
        .route("/api/repos/create", post(repos::create))
        .route("/api/repos/delete", axum::routing::delete(repos::delete))
        .route("/api/repos/move", post(repos::rename))
        .route("/api/validate-yaml", post(commit::validate_card))
        .nest("/api/models/{owner}/{name}", model)
        .route("/{owner}/{name}/info/lfs/objects/batch", post(lfs::batch))
        .route("/{owner}/{name}/info/lfs/objects/verify", post(lfs::verify))
        .route("/storage/{oid}", put(lfs::put))
        .route("/storage/{oid}/parts/{number}", put(lfs::put_part))
        .route("/storage/{oid}/complete", post(lfs::complete))
        .route("/{owner}/{name}/resolve/{revision}/{*path}", get(files::resolve))
        .layer(DefaultBodyLimit::disable())
        .layer(axum::middleware::from_fn_with_state(Arc::clone(&shared), faults::record))
        .with_state(shared)
}
