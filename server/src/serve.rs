//! Puts the parts together and serves them.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use sekisho_bench::Catalog;
use sekisho_domain::user::{Role, Scope};
use sekisho_hub::signature::{SignatureError, SigningKey};
use sekisho_store::blobs::Blobs;
use sekisho_store::{SqlStore, Store, StoreError};
use sekisho_weights::{FolderLock, LockError};
use tokio::net::TcpListener;
use tokio::sync::{Mutex, Notify, watch};

use crate::jobs::prepare::Preparations;
use crate::jobs::publish::Publications;
use crate::launch::local::LocalWorker;
use crate::service::comparisons::Rankings;
use crate::service::computed::Computed;
use crate::service::found::Finished;
use crate::service::passwords::Tries;
use crate::service::sources::Sources;
use crate::service::standing::Looking;
use crate::service::uploads::UploadLocks;
use crate::service::webhooks::WebhookKey;
use crate::service::{copies, people, policies, releases, uploads};
use crate::state::Inner;
use crate::{App, Config, Events, SharedClock, SystemEntropy, WebError, jobs, web};

/// How long open requests may go on after a stop was asked for.
const DRAIN: Duration = Duration::from_secs(5);

/// Why the service could not start.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The address is taken.
    #[error(
        "{0} is in use by another program (another Sekisho?); stop it, or choose another port with --listen or --port"
    )]
    PortInUse(SocketAddr),
    /// The address cannot be bound for another reason.
    #[error(
        "cannot listen on {0}: {1}; choose an address of this machine with --listen (127.0.0.1:7070 unless told), and a port above 1023 without special rights"
    )]
    Listen(SocketAddr, std::io::Error),
    /// Another process has the data folder.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// The database cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A task or suite file of the user is wrong.
    #[error(transparent)]
    Task(#[from] sekisho_bench::TaskError),
    /// The suite for runs that name none is not there.
    #[error("[evaluate] suite in the configuration: {0}")]
    Suite(sekisho_bench::TaskError),
    /// The signing key cannot be used.
    #[error(transparent)]
    Signing(#[from] SignatureError),
    /// The policy set cannot be used.
    #[error("[policy] set in the configuration: {0}")]
    Policy(String),
    /// A file cannot be read or written.
    #[error("{}", sekisho_domain::disk_sentence(.0))]
    Io(#[from] std::io::Error),
    /// Setting up accounts failed.
    #[error("{0}")]
    Setup(#[from] WebError),
}

/// A service that has opened its store and its port, and has not answered anything yet.
pub struct Server {
    /// What handlers and jobs work with.
    pub app: App,
    listener: TcpListener,
    _lock: FolderLock,
    worker: Option<LocalWorker>,
    program: Option<PathBuf>,
    queues: Queues,
}

/// Takes the port: what comes first, so that a taken one leaves nothing behind.
///
/// # Errors
/// [`ServeError::PortInUse`] or [`ServeError::Listen`].
pub async fn bind(listen: SocketAddr) -> Result<TcpListener, ServeError> {
    TcpListener::bind(listen).await.map_err(|error| match error.kind() {
        std::io::ErrorKind::AddrInUse => ServeError::PortInUse(listen),
        _ => ServeError::Listen(listen, error),
    })
}

/// Takes the data folder, which is made where it is missing: two services on one folder would each undo the other's work.
///
/// # Errors
/// [`ServeError::Lock`] names the process that has it.
pub fn take(dir: &Path) -> Result<FolderLock, ServeError> {
    fs_err::create_dir_all(dir)?;
    Ok(FolderLock::take(dir)?)
}

impl Server {
    /// Opens store, blobs and task files, and makes the first accounts. `program` is started as the local worker.
    ///
    /// # Errors
    /// [`ServeError`].
    pub async fn open(
        mut config: Config,
        listener: TcpListener,
        lock: FolderLock,
        program: Option<PathBuf>,
    ) -> Result<Self, ServeError> {
        config.listen = listener.local_addr()?;
        if config.public_url.is_empty() {
            config.public_url = format!("http://{}", config.listen);
        }
        let (app, queues) = open_app(config).await?;
        policies::put_in_force(&app).await?;
        copies::clear_staging(&app).await?;
        copies::clear_given_up(&app).await?;
        uploads::clear(&app).await?;
        releases::clear_prepared(&app).await?;
        let token = first_accounts(&app).await?;
        // The folder is locked, so the local worker of an earlier start is gone.
        app.store.free(&local_worker(), app.now()).await?;
        app.store.free_keyed().await?;
        let worker = program.clone().filter(|_| app.config.local_worker).map(|program| LocalWorker {
            program,
            server: format!("http://{}", app.config.listen),
            token,
            name: local_worker(),
            log: app.config.dir.join("worker.log"),
        });
        // Always, whatever the digests of set and registry say: scores, what is published, the day and the rules in this program count too.
        releases::rejudge(&app, None).await?;
        Ok(Self { app, listener, _lock: lock, worker, program, queues })
    }

    /// Serves until `stop` turns true, then lets open requests end.
    ///
    /// # Errors
    /// When the listener fails.
    pub async fn run(self, stop: watch::Receiver<bool>) -> std::io::Result<()> {
        let background = [
            tokio::spawn(jobs::ingest::run(self.app.clone())),
            tokio::spawn(jobs::publish::run(self.app.clone(), self.queues.publications)),
            tokio::spawn(jobs::prepare::run(self.app.clone(), self.queues.preparations)),
            tokio::spawn(jobs::schedule::run(self.app.clone())),
            tokio::spawn(jobs::channels::run(self.app.clone())),
            tokio::spawn(jobs::stalls::run(self.app.clone())),
            tokio::spawn(jobs::behind::run(self.app.clone())),
            tokio::spawn(jobs::standing::run(self.app.clone())),
            tokio::spawn(jobs::uploads::run(self.app.clone())),
            tokio::spawn(jobs::webhooks::run(self.app.clone())),
            tokio::spawn(jobs::clock::run(self.app.clone(), self.queues.clock)),
            tokio::spawn(jobs::launches::run(self.app.clone(), self.program)),
        ];
        let worker = self.worker.map(|worker| tokio::spawn(worker.run(stop.clone())));
        let (mut stopped, mut deadline) = (stop.clone(), stop);
        // Who connects is told to those who count wrong passwords.
        let service = router(&self.app).into_make_service_with_connect_info::<SocketAddr>();
        let serving = axum::serve(self.listener, service).with_graceful_shutdown(async move {
            let _ = stopped.wait_for(|stop| *stop).await;
        });
        let result = tokio::select! {
            result = serving.into_future() => result,
            // Event streams never end by themselves.
            () = async { let _ = deadline.wait_for(|stop| *stop).await; tokio::time::sleep(DRAIN).await } => Ok(()),
        };
        for job in background {
            job.abort();
        }
        if let Some(worker) = worker {
            let _ = worker.await;
        }
        result
    }
}

/// Every route: pages, API, events, health.
pub fn router(app: &App) -> Router {
    web::layers(web::router().merge(web::api::router(app)).with_state(app.clone()), app)
}

/// Where the jobs take their work from.
pub(crate) struct Queues {
    publications: Publications,
    preparations: Preparations,
    clock: SharedClock,
}

pub(crate) async fn open_app(config: Config) -> Result<(App, Queues), ServeError> {
    let catalog = catalog(&config.tasks_dir)?;
    catalog.suite(&config.suite).map_err(ServeError::Suite)?;
    let policy = policies::load(&config.policy).map_err(ServeError::Policy)?;
    let store: Arc<dyn Store> = Arc::new(SqlStore::open(&config.database_url).await?);
    let clock = SharedClock::default();
    jobs::clock::set(&*store, &clock).await?;
    let blobs = Blobs::open(&config.blobs_url)?;
    let signing = signing_key(&config)?;
    fs_err::create_dir_all(&config.dir)?;
    let webhook_key = WebhookKey::open(&config.dir.join("webhook-key"), &SystemEntropy)?;
    let (publish, publications) = jobs::publish::channel();
    let (prepare, preparations) = jobs::prepare::channel();
    let app = App::new(Inner {
        store,
        blobs,
        sources: Sources::new(&config),
        config,
        catalog,
        policy,
        events: Events::new(&SystemEntropy),
        clock: Arc::new(clock.clone()),
        entropy: Arc::new(SystemEntropy),
        uploads: UploadLocks::default(),
        keeping: Mutex::new(()),
        looking: Looking::default(),
        ingest: Notify::new(),
        boards: web::Boards::default(),
        computed: Computed::default(),
        rankings: Rankings::default(),
        finished: Finished::default(),
        comparing: Mutex::new(()),
        signing,
        webhook_key,
        tries: Tries::default(),
        prepare,
        publish,
    });
    Ok((app, Queues { publications, preparations, clock }))
}

/// The key that the configuration names; else the service's own, made at the first start.
fn signing_key(config: &Config) -> Result<SigningKey, ServeError> {
    if let Some(file) = &config.signing_key_file {
        return Ok(SigningKey::read(file)?);
    }
    let own = config.dir.join("signing-key.pem");
    if !own.exists() {
        fs_err::create_dir_all(&config.dir)?;
        SigningKey::generate(&SystemEntropy).write_new(&own)?;
    }
    Ok(SigningKey::read(&own)?)
}

/// The built-in tasks and suites, and the user's: `TASKS/*.toml` are tasks, `TASKS/suites/*.toml` suites.
fn catalog(dir: &Path) -> Result<Catalog, ServeError> {
    let mut catalog = Catalog::builtin();
    for file in toml_files(dir)? {
        catalog.add(&file.display().to_string(), &fs_err::read_to_string(&file)?)?;
    }
    for file in toml_files(&dir.join("suites"))? {
        catalog.add_suite(&file.display().to_string(), &fs_err::read_to_string(&file)?)?;
    }
    Ok(catalog)
}

fn toml_files(dir: &Path) -> std::io::Result<Vec<PathBuf>> {
    if !dir.is_dir() {
        return Ok(Vec::new());
    }
    let entries = fs_err::read_dir(dir)?.collect::<std::io::Result<Vec<_>>>()?;
    let mut files: Vec<PathBuf> = entries.into_iter().map(|e| e.path()).collect();
    files.retain(|path| path.extension().is_some_and(|e| e == "toml"));
    files.sort();
    Ok(files)
}

/// The accounts `admin` (token in `DIR/admin-token`, made at the first start) and `worker` (a fresh token at each start).
async fn first_accounts(app: &App) -> Result<String, ServeError> {
    first_admin(app).await?;
    let worker = match app.store.user_by_name("worker").await? {
        Some(worker) => worker,
        None => people::add_user(app, None, "worker", &[Role::Evaluator]).await?,
    };
    for old in app.store.tokens(worker.id).await?.into_iter().filter(|t| t.label == LOCAL_WORKER) {
        people::revoke_token(app, None, &worker, &old).await?;
    }
    Ok(people::add_token(app, &worker, LOCAL_WORKER, &[Scope::Evaluate], None, None).await?)
}

/// The file comes first, and account and token then come together: a start that is cut off anywhere in between leaves nothing
/// that the next one does not complete. An account that is there is left alone: a token that somebody has withdrawn stays so.
async fn first_admin(app: &App) -> Result<(), ServeError> {
    if app.store.user_by_name("admin").await?.is_some() {
        return Ok(());
    }
    let roles = [Role::Admin, Role::Contributor, Role::Evaluator, Role::Publisher];
    let scopes = [Scope::Read, Scope::Ingest, Scope::Evaluate, Scope::Release, Scope::Publish, Scope::Admin];
    let admin = people::new_user(app, "admin", &roles)?;
    let (token, text) = people::new_token(app, &admin, "first start", &scopes, None, None);
    write_secret(&app.config.dir.join("admin-token"), &text)?;
    let detail = serde_json::json!({ "roles": roles, "label": token.label, "scopes": scopes });
    let audit = people::system_entry(app, "user.add", &admin.name, "done", detail);
    Ok(app.store.add_user_with_token(&admin, &token, &audit).await?)
}

/// Name of the worker that the service starts.
fn local_worker() -> String {
    format!("local@{}", rustix::system::uname().nodename().to_string_lossy())
}

const LOCAL_WORKER: &str = "local worker";

/// Writes a secret that only its owner can read.
pub(crate) fn write_secret(path: &Path, secret: &str) -> std::io::Result<()> {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    let mut file =
        std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    writeln!(file, "{secret}")?;
    file.sync_all()
}
