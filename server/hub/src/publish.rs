mod anonymous;
mod commit;
mod dry_run;
mod ground;
mod revise;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use sekisho_domain::Text;
use sekisho_domain::lineage::{Gating, Visibility};

pub use dry_run::{Objection, Plan, PlannedFile, RepositoryNow, SettingChange, TagNow, What};
pub use revise::{CardRevision, Hide, Revised, Tombstone};

use crate::config::{HubConfig, Patience};
use crate::intended::Intended;
use crate::remote::{Remote, WhoAmI};
use crate::upload::{Meter, Plan as UploadPlan};
use crate::{Bundle, Journal, PublishError, Source, Step};
use ground::Ground;

/// Where every Hub repository begins.
const MAIN: &str = "main";

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

    /// With other time-outs than [`Patience::default`].
    #[must_use]
    pub fn with_patience(mut self, patience: Patience) -> Self {
        self.remote.patience = patience;
        self
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

/// Nobody watches.
fn no_progress() -> Progress {
    Arc::new(|_, _| {})
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
        self.step(Step::Anonymous, self.anonymous(&commit)).await?;
        Ok(Published { commit, url: self.url(), tag: bundle.tag.clone() })
    }

    /// The repository's page at its branch.
    fn url(&self) -> String {
        let url = format!("{}/{}", self.remote.endpoint(), self.bundle.repo);
        if self.bundle.revision == MAIN { url } else { format!("{url}/tree/{}", self.bundle.revision) }
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
        let account = self.account().await?;
        let (name, endpoint) = (&account.name, self.remote.endpoint());
        Ok(((), seen(format!("{name} at {endpoint}"), format!("{endpoint} の {name}"))))
    }

    /// Whose token it is, when that may write to the repository.
    async fn account(&self) -> Result<WhoAmI, PublishError> {
        let account = self.remote.whoami().await?;
        if account.may_write_to(&self.bundle.repo) { Ok(account) } else { Err(self.forbidden()) }
    }

    async fn preflight(&self) -> Result<(Intended<'_>, Text), PublishError> {
        let intended = Intended::read(self.bundle).await?;
        self.check_card().await?;
        let (files, bytes) = (intended.files.len(), intended.bytes());
        let detail = seen(format!("{files} files, {bytes} bytes"), format!("{files}ファイル、{bytes}バイト"));
        Ok((intended, detail))
    }

    /// Whether the Hub takes the metadata of README.md.
    async fn check_card(&self) -> Result<(), PublishError> {
        if let Some(card) = self.bundle.files.iter().find(|file| file.path == "README.md") {
            let bytes = match &card.source {
                Source::File(_) => crate::upload::read_all(card).await?,
                Source::Bytes(bytes) => bytes.to_vec(),
            };
            let text = String::from_utf8(bytes)
                .map_err(|_| PublishError::CardRefused { reason: "it is not UTF-8".to_owned() })?;
            self.remote.validate_card(&text).await?;
        }
        Ok(())
    }

    /// Stores what is not there yet. Nothing to plan when the head already is the bundle.
    async fn upload<'b>(
        &self,
        intended: &Intended<'b>,
        ground: &Ground,
        progress: Progress,
    ) -> Result<(Option<UploadPlan<'b>>, Text), PublishError> {
        let difference = intended.difference(&ground.tree);
        if difference.is_none() {
            return Ok((None, seen("already there", "すでに存在")));
        }
        let plan = UploadPlan::make(self.remote, self.bundle, difference)
            .await
            .map_err(|error| self.before_bytes(error))?;
        let there = intended.bytes() - plan.bytes_to_store();
        plan.store(self.remote, self.staging, Meter::new(progress, there, intended.bytes())).await?;
        let detail = plan.summary();
        Ok((Some(plan), detail))
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
            self.remote.set_private(&self.bundle.repo, false).await?;
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
