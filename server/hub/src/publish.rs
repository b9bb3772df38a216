use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use sekisho_domain::Text;
use sekisho_domain::lineage::{Gating, Visibility};

use crate::config::HubConfig;
use crate::intended::{Intended, first_few};
use crate::remote::{Info, Remote, TreeFile};
use crate::upload::{Meter, Plan};
use crate::{Bundle, Existing, Journal, PublishError, Source, Step};

/// Where every Hub repository begins.
const MAIN: &str = "main";
/// How often the commit is tried while nobody else commits.
const COMMIT_ATTEMPTS: u32 = 4;

/// Told (bytes done, bytes in all) while files are stored: after every block of an LFS upload, twice a second through Xet. It
/// is called on the runtime's threads and must not block.
pub type Progress = Arc<dyn Fn(u64, u64) + Send + Sync>;

/// A finished publication.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Published {
    /// The commit that holds exactly the bundle.
    pub commit: String,
    /// Address of the repository, for people.
    pub url: String,
    /// The tag at that commit.
    pub tag: Option<String>,
}

/// Publishes to one Hub.
pub struct Publisher {
    remote: Remote,
    staging: PathBuf,
}

impl Publisher {
    /// Checks the endpoint against the allow-list; speaks to nobody yet.
    ///
    /// # Errors
    /// [`PublishError::EndpointRefused`], or [`PublishError::TokenRefused`] for a token that no request could carry.
    pub fn new(config: &HubConfig) -> Result<Self, PublishError> {
        Ok(Self { remote: Remote::new(config)?, staging: config.staging.clone() })
    }

    /// Publishes the bundle, or finishes a publication of it that was cut off.
    ///
    /// # Errors
    /// Every error leaves the Hub in a state from which the same call goes on, and says what is there.
    pub async fn publish(
        &self,
        bundle: &Bundle,
        journal: &dyn Journal,
        progress: Progress,
    ) -> Result<Published, PublishError> {
        bundle.check()?;
        Publication { remote: &self.remote, staging: &self.staging, bundle, journal }.run(progress).await
    }
}

/// One publication on its way.
struct Publication<'a> {
    remote: &'a Remote,
    staging: &'a Path,
    bundle: &'a Bundle,
    journal: &'a dyn Journal,
}

/// The repository as it was found or made: what the commit builds on.
struct Ground {
    head: String,
    tree: Vec<TreeFile>,
    /// The branch is another than `main` and stands where `main` does: nobody has committed to it.
    as_main: bool,
}

/// What a step saw, in both languages.
fn seen(en: impl Into<String>, ja: impl Into<String>) -> Text {
    Text { en: en.into(), ja: ja.into() }
}

/// What reads the same in both languages.
fn plain(text: impl Into<String>) -> Text {
    let text = text.into();
    Text { ja: text.clone(), en: text }
}

impl Publication<'_> {
    async fn run(&self, progress: Progress) -> Result<Published, PublishError> {
        let bundle = self.bundle;
        self.step(Step::Probe, self.probe()).await?;
        let intended = self.step(Step::Preflight, self.preflight()).await?;
        let ground = self.step(Step::Create, self.create(&intended)).await?;
        let plan = self.step(Step::Upload, self.upload(&intended, &ground, progress)).await?;
        let commit = self.step(Step::Commit, self.commit(&intended, &ground, plan.as_ref())).await?;
        self.step(Step::Compare, self.compare(&intended, &commit)).await?;
        self.step(Step::Tag, self.tag(&commit)).await?;
        self.step(Step::Gating, self.gating()).await?;
        self.step(Step::Visibility, self.visibility()).await?;
        let mut url = format!("{}/{}", self.remote.endpoint(), bundle.repo);
        if bundle.revision != MAIN {
            url = format!("{url}/tree/{}", bundle.revision);
        }
        Ok(Published { commit, url, tag: bundle.tag.clone() })
    }

    /// Intent, action, outcome.
    async fn step<T>(
        &self,
        step: Step,
        action: impl Future<Output = Result<(T, Text), PublishError>>,
    ) -> Result<T, PublishError> {
        let stopped = |reason| PublishError::Journal { step, reason };
        self.journal.intended(step).await.map_err(stopped)?;
        match action.await {
            Ok((value, detail)) => {
                self.journal.done(step, &detail).await.map_err(stopped)?;
                Ok(value)
            }
            Err(error) => {
                let error = if step < Step::Upload { self.before_bytes(error) } else { error };
                match error {
                    PublishError::OutcomeUnknown { .. } => self.journal.unknown(step, &error).await,
                    _ => self.journal.failed(step, &error).await,
                }
                Err(error)
            }
        }
    }

    /// 401 and 403 while nothing has been uploaded yet.
    fn before_bytes(&self, error: PublishError) -> PublishError {
        match error {
            PublishError::Answer { status: 401, .. } => {
                PublishError::TokenRefused { endpoint: self.remote.endpoint().to_owned() }
            }
            PublishError::Answer { status: 403, .. } => self.forbidden(),
            other => other,
        }
    }

    fn forbidden(&self) -> PublishError {
        PublishError::Forbidden { repo: self.bundle.repo.clone(), owner: self.bundle.owner().to_owned() }
    }

    async fn probe(&self) -> Result<((), Text), PublishError> {
        let account = self.remote.whoami().await?;
        if !account.may_write_to(self.bundle.owner()) {
            return Err(self.forbidden());
        }
        let (name, endpoint) = (&account.name, self.remote.endpoint());
        Ok(((), seen(format!("{name} at {endpoint}"), format!("{endpoint} の {name}"))))
    }

    async fn preflight(&self) -> Result<(Intended<'_>, Text), PublishError> {
        let intended = Intended::read(self.bundle).await?;
        if let Some(card) = self.bundle.files.iter().find(|file| file.path == "README.md") {
            let bytes = match &card.source {
                Source::File(path) => fs_err::tokio::read(path).await?,
                Source::Bytes(bytes) => bytes.to_vec(),
            };
            let text = String::from_utf8(bytes)
                .map_err(|_| PublishError::CardRefused { reason: "it is not UTF-8".to_owned() })?;
            self.remote.validate_card(&text).await?;
        }
        let (files, bytes) = (intended.files.len(), intended.bytes());
        let detail = seen(format!("{files} files, {bytes} bytes"), format!("{files}ファイル、{bytes}バイト"));
        Ok((intended, detail))
    }

    /// Makes sure of a repository that is private (or already ours) and holds nothing else.
    async fn create(&self, intended: &Intended<'_>) -> Result<(Ground, Text), PublishError> {
        let repo = &self.bundle.repo;
        let found = self.remote.info(repo).await?;
        let created = found.is_none();
        let info = match found {
            Some(info) => info,
            None => {
                self.remote.create_private(repo).await?;
                self.info().await?
            }
        };
        if created && !info.private {
            return Err(PublishError::NotPrivate { repo: repo.clone() });
        }
        let ground = self.ground().await?;
        let difference = intended.difference(&ground.tree);
        let held =
            ground.tree.iter().filter(|file| file.path != ".gitattributes").map(|file| file.path.clone());
        let held = first_few(held);
        let ours = difference.is_none()
            || match self.bundle.existing {
                Existing::Refuse => false,
                Existing::Beside => held.is_empty() || ground.as_main,
                Existing::Update => true,
            };
        if !info.private && (!ours || self.bundle.visibility == Visibility::Private) {
            return Err(PublishError::AlreadyPublic { repo: repo.clone() });
        }
        if !ours && !held.is_empty() {
            let revision = self.bundle.revision.clone();
            return Err(PublishError::ForeignFiles { repo: repo.clone(), revision, files: held });
        }
        if !difference.is_none() {
            self.tag_is_free().await?;
        }
        // What goes into a public repository is there for everybody with the commit, so a gate must stand before it.
        if !info.private && self.bundle.gating.strictness() > strictness(info.gating()) {
            self.gating().await?;
        }
        let (at, head) = (&self.bundle.revision, &ground.head);
        let detail = if info.private {
            seen(format!("private, {at} at {head}"), format!("非公開、{at} は {head}"))
        } else {
            seen(format!("public, {at} at {head}"), format!("公開、{at} は {head}"))
        };
        Ok((ground, detail))
    }

    /// A tag that is there already can only be of another commit than the one that is to be made.
    async fn tag_is_free(&self) -> Result<(), PublishError> {
        let repo = &self.bundle.repo;
        let Some(tag) = &self.bundle.tag else { return Ok(()) };
        match self.remote.refs(repo).await?.tag(tag) {
            None => Ok(()),
            Some(have) => Err(PublishError::TagElsewhere {
                repo: repo.clone(),
                tag: tag.clone(),
                have: have.to_owned(),
                want: "the commit of this release".to_owned(),
            }),
        }
    }

    /// The repository; not to see it after creating it means that it is somebody else's.
    async fn info(&self) -> Result<Info, PublishError> {
        self.remote.info(&self.bundle.repo).await?.ok_or_else(|| self.forbidden())
    }

    /// Head and tree of the branch. One that does not exist is made from `main`.
    async fn ground(&self) -> Result<Ground, PublishError> {
        let (repo, revision) = (&self.bundle.repo, &self.bundle.revision);
        let mut head = self.remote.head(repo, revision).await?;
        if head.is_none() && revision != MAIN {
            self.remote.create_branch(repo, revision).await?;
            head = self.remote.head(repo, revision).await?;
        }
        let reason = || format!("{repo} has no branch {revision}");
        let head = head.ok_or_else(|| PublishError::Malformed { call: "revision", reason: reason() })?;
        let tree = self.remote.tree(repo, &head).await?;
        let as_main = revision != MAIN && self.remote.head(repo, MAIN).await?.as_ref() == Some(&head);
        Ok(Ground { head, tree, as_main })
    }

    /// Stores what is not there yet. Nothing to plan when the head already is the bundle.
    async fn upload<'b>(
        &self,
        intended: &Intended<'b>,
        ground: &Ground,
        progress: Progress,
    ) -> Result<(Option<Plan<'b>>, Text), PublishError> {
        let difference = intended.difference(&ground.tree);
        if difference.is_none() {
            return Ok((None, seen("already there", "すでに存在")));
        }
        let plan = Plan::make(self.remote, self.bundle, difference)
            .await
            .map_err(|error| self.before_bytes(error))?;
        let there = intended.bytes() - plan.bytes_to_store();
        plan.store(self.remote, self.staging, Meter::new(progress, there, intended.bytes())).await?;
        let detail = plan.summary();
        Ok((Some(plan), detail))
    }

    /// One commit on the ground that was seen. After any error the branch says what happened: it holds the bundle (the answer
    /// was lost), it stands still (try again), or somebody else moved it (stop). When the branch cannot be read either, an answer
    /// that was lost leaves the outcome unknown.
    async fn commit(
        &self,
        intended: &Intended<'_>,
        ground: &Ground,
        plan: Option<&Plan<'_>>,
    ) -> Result<(String, Text), PublishError> {
        let Some(plan) = plan else {
            let head = ground.head.clone();
            let detail = seen(format!("{head} already there"), format!("{head} がすでに存在"));
            return Ok((head, detail));
        };
        let (repo, revision) = (&self.bundle.repo, &self.bundle.revision);
        let body = plan.ndjson(&self.bundle.message, &ground.head).await?;
        let mut attempt = 1;
        loop {
            let error = match self.remote.commit(repo, revision, body.clone()).await {
                Ok(commit) => return Ok((commit.clone(), plain(commit))),
                Err(error) => error,
            };
            tracing::warn!(hub.repo = %repo, hub.attempt = attempt, "the commit got no success: {error}");
            match self.moved(intended, &ground.head).await {
                Ok(Some(head)) => {
                    let (en, ja) = (error.to_string(), error.ja());
                    let detail = seen(
                        format!("{head}, found after: {en}"),
                        format!("{head} を確認（直前のエラー：{ja}）"),
                    );
                    return Ok((head, detail));
                }
                Ok(None) if attempt == COMMIT_ATTEMPTS || !passes(&error) => return Err(error),
                Ok(None) => {}
                Err(overtaken @ PublishError::Overtaken { .. }) => return Err(overtaken),
                Err(unread) if is_lost(&error) => {
                    let (repo, revision) = (repo.clone(), revision.clone());
                    let (error, unread) = (error.text(), unread.text());
                    return Err(PublishError::OutcomeUnknown { repo, revision, error, unread });
                }
                Err(_) => return Err(error),
            }
            tokio::time::sleep(Duration::from_millis(250) * 2u32.pow(attempt)).await;
            attempt += 1;
        }
    }

    /// The head of the branch when it holds the bundle, none while it is where the commit was to build on.
    async fn moved(&self, intended: &Intended<'_>, parent: &str) -> Result<Option<String>, PublishError> {
        let (repo, revision) = (&self.bundle.repo, &self.bundle.revision);
        let head = self.remote.head(repo, revision).await?.unwrap_or_default();
        if head == parent {
            return Ok(None);
        }
        let tree = self.remote.tree(repo, &head).await?;
        if intended.difference(&tree).is_none() {
            return Ok(Some(head));
        }
        let (repo, revision, parent) = (repo.clone(), revision.clone(), parent.to_owned());
        Err(PublishError::Overtaken { repo, revision, parent, head })
    }

    async fn compare(&self, intended: &Intended<'_>, commit: &str) -> Result<((), Text), PublishError> {
        let tree = self.remote.tree(&self.bundle.repo, commit).await?;
        let difference = intended.difference(&tree);
        if difference.is_none() {
            let files = intended.files.len();
            return Ok(((), seen(format!("{files} files equal"), format!("{files}ファイルが一致"))));
        }
        Err(PublishError::RemoteDiffers {
            repo: self.bundle.repo.clone(),
            commit: commit.to_owned(),
            differences: difference.summary(),
        })
    }

    async fn tag(&self, commit: &str) -> Result<((), Text), PublishError> {
        let repo = &self.bundle.repo;
        let Some(tag) = &self.bundle.tag else { return Ok(((), seen("none", "なし"))) };
        if self.remote.refs(repo).await?.tag(tag).is_none() {
            self.remote.create_tag(repo, tag, commit).await?;
        }
        match self.remote.refs(repo).await?.tag(tag) {
            Some(have) if have == commit => {
                Ok(((), seen(format!("{tag} at {commit}"), format!("{tag} は {commit}"))))
            }
            have => Err(PublishError::TagElsewhere {
                repo: repo.clone(),
                tag: tag.clone(),
                have: have.unwrap_or("nothing").to_owned(),
                want: commit.to_owned(),
            }),
        }
    }

    async fn gating(&self) -> Result<((), Text), PublishError> {
        let want = self.bundle.gating;
        if self.info().await?.gating() != want.as_str() {
            self.remote.set_gating(&self.bundle.repo, want).await?;
        }
        let info = self.info().await?;
        self.settled("gating", want.as_str(), info.gating())
    }

    async fn visibility(&self) -> Result<((), Text), PublishError> {
        let want = self.bundle.visibility;
        if want == Visibility::Public && self.info().await?.private {
            self.remote.make_public(&self.bundle.repo).await?;
        }
        let have = if self.info().await?.private { Visibility::Private } else { Visibility::Public };
        self.settled("visibility", want.as_str(), have.as_str())
    }

    fn settled(&self, setting: &'static str, want: &str, have: &str) -> Result<((), Text), PublishError> {
        if want == have {
            return Ok(((), plain(have)));
        }
        Err(PublishError::SettingIgnored {
            repo: self.bundle.repo.clone(),
            setting,
            want: want.to_owned(),
            have: have.to_owned(),
        })
    }
}

/// How strict the Hub says a gate is; what it does not know stands for no gate.
fn strictness(gating: &str) -> u8 {
    gating.parse().map_or(0, Gating::strictness)
}

/// Errors after which the same commit may be sent again while the branch stands still.
fn passes(error: &PublishError) -> bool {
    match error {
        PublishError::Answer { status, .. } => matches!(status, 408 | 409 | 412 | 429 | 500..=504),
        PublishError::Unreachable { .. } => true,
        _ => false,
    }
}

/// Errors that do not say whether the Hub did what it was asked.
fn is_lost(error: &PublishError) -> bool {
    match error {
        PublishError::Answer { status, .. } => *status == 408 || *status >= 500,
        PublishError::Unreachable { .. } | PublishError::Malformed { .. } => true,
        _ => false,
    }
}
