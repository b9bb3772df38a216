//! What a publication would do, found by looking alone: no request here changes anything, and no byte of a file is sent.

use async_trait::async_trait;
use sekisho_domain::Text;
use sekisho_domain::lineage::Visibility;
use serde::Serialize;

use super::ground::Ground;
use super::{MAIN, Publication, Publisher, plain};
use crate::intended::{INLINE_LIMIT, Intended};
use crate::journal::JournalError;
use crate::remote::{Info, TreeFile};
use crate::{Bundle, Journal, PublishError, Step};

/// What would happen, and why it would not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[schema(as = PublicationPlan)]
pub struct Plan {
    /// The Hub.
    pub endpoint: String,
    /// Whose token it is.
    pub account: String,
    /// What the Hub calls the kind of the token.
    pub token: Option<String>,
    /// `owner/name`.
    pub repo: String,
    /// Branch.
    pub revision: String,
    /// What is there now.
    pub repository: RepositoryNow,
    /// Every file of the bundle.
    pub files: Vec<PlannedFile>,
    /// Files that the commit would delete.
    pub removed: Vec<String>,
    /// The tag, when there is to be one.
    pub tag: Option<TagNow>,
    /// Settings that would change.
    pub settings: Vec<SettingChange>,
    /// What the publication would stop at, when something is in its way. The Hub may find more once files are announced to it.
    pub objections: Vec<Objection>,
}

/// A repository before the publication.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum RepositoryNow {
    /// It would be made, private at first.
    Absent,
    /// It is there.
    Present {
        /// Whether it is private.
        private: bool,
        /// `none`, `auto` or `manual`.
        gating: String,
        /// The commit of the branch; none when the branch would be made from `main`.
        head: Option<String>,
    },
}

/// What becomes of a file.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = PlannedChange)]
pub enum What {
    /// It is not there yet.
    New,
    /// Other bytes are there.
    Changed,
    /// It is there.
    Unchanged,
}

/// A file of the bundle.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct PlannedFile {
    /// Path in the repository.
    pub path: String,
    /// Bytes.
    pub size: u64,
    /// What becomes of it.
    pub what: What,
    /// Certainly stored apart from the commit. How a smaller file travels, the Hub says when the publication begins.
    pub stored: bool,
}

/// The tag before the publication.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct TagNow {
    /// Its name.
    pub name: String,
    /// Where it points, when it is there.
    pub commit: Option<String>,
}

/// A setting that would change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct SettingChange {
    /// `gating` or `visibility`.
    pub setting: &'static str,
    /// Now.
    pub from: String,
    /// Then.
    pub to: String,
}

/// Why it would not happen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Objection {
    /// Stable code, as of [`PublishError::code`].
    pub code: &'static str,
    /// The sentence.
    pub text: Text,
}

impl Publisher {
    /// Looks at everything that a publication of this bundle would look at first, and changes nothing: only `GET` is sent.
    ///
    /// # Errors
    /// The Hub cannot be asked, the token may not write there, or a local file is not the approved one.
    pub async fn plan(&self, bundle: &Bundle) -> Result<Plan, PublishError> {
        bundle.check()?;
        let work = Publication { remote: &self.remote, staging: &self.staging, bundle, journal: &NoJournal };
        work.plan().await.map_err(|error| work.before_bytes(error))
    }
}

impl Publication<'_> {
    async fn plan(&self) -> Result<Plan, PublishError> {
        let account = self.account().await?;
        let intended = Intended::read(self.bundle).await?;
        let info = self.remote.info(&self.bundle.repo).await?;
        let (head, ground) = self.ground_now(info.as_ref()).await?;
        let difference = intended.difference(&ground.tree);
        let mut objections = Vec::new();
        let mut object = |found: Result<(), PublishError>| {
            objections.extend(found.err().map(|e| Objection { code: e.code(), text: e.text() }));
        };
        object(self.admits(&intended, info.as_ref().is_none_or(|info| info.private), &ground));
        let mut tag = None;
        if let Some(name) = &self.bundle.tag {
            let refs = if info.is_some() { Some(self.remote.refs(&self.bundle.repo).await?) } else { None };
            let commit = refs.as_ref().and_then(|refs| refs.tag(name)).map(str::to_owned);
            object(self.tag_fits(name, commit.as_deref(), &ground, difference.is_none()));
            tag = Some(TagNow { name: name.clone(), commit });
        }
        let removed = difference.extra.clone();
        Ok(Plan {
            endpoint: self.remote.endpoint().to_owned(),
            token: account.role().map(str::to_owned),
            account: account.name,
            repo: self.bundle.repo.clone(),
            revision: self.bundle.revision.clone(),
            files: self.planned(
                &ground.tree,
                &difference.changed.iter().map(|f| f.path.as_str()).collect::<Vec<_>>(),
            ),
            removed,
            tag,
            settings: self.settings(info.as_ref()),
            repository: match &info {
                None => RepositoryNow::Absent,
                Some(info) => {
                    RepositoryNow::Present { private: info.private, gating: info.gating().to_owned(), head }
                }
            },
            objections,
        })
    }

    /// The branch as it is, or as it would be made.
    async fn ground_now(&self, info: Option<&Info>) -> Result<(Option<String>, Ground), PublishError> {
        let (repo, revision) = (&self.bundle.repo, &self.bundle.revision);
        let empty = Ground { head: String::new(), tree: Vec::new(), as_main: false };
        if info.is_none() {
            return Ok((None, empty));
        }
        let head = self.remote.head(repo, revision).await?;
        let main = if revision == MAIN { None } else { self.remote.head(repo, MAIN).await? };
        let Some(base) = head.clone().or_else(|| main.clone()) else { return Ok((None, empty)) };
        let tree = self.remote.tree(repo, &base).await?;
        let as_main = main.as_ref() == Some(&base);
        Ok((head, Ground { head: base, tree, as_main }))
    }

    fn tag_fits(
        &self,
        tag: &str,
        have: Option<&str>,
        ground: &Ground,
        published: bool,
    ) -> Result<(), PublishError> {
        match have {
            Some(have) if !(published && have == ground.head) => Err(PublishError::TagElsewhere {
                repo: self.bundle.repo.clone(),
                tag: tag.to_owned(),
                have: have.to_owned(),
                want: "the commit of this release".to_owned(),
            }),
            _ => Ok(()),
        }
    }

    fn planned(&self, tree: &[TreeFile], changed: &[&str]) -> Vec<PlannedFile> {
        let what = |path: &str| match changed.contains(&path) {
            false => What::Unchanged,
            true if tree.iter().any(|file| file.path == path) => What::Changed,
            true => What::New,
        };
        let files = self.bundle.files.iter().map(|file| PlannedFile {
            path: file.path.clone(),
            size: file.size,
            what: what(&file.path),
            stored: file.size > INLINE_LIMIT,
        });
        files.collect()
    }

    fn settings(&self, info: Option<&Info>) -> Vec<SettingChange> {
        let gating = info.map_or("none", |info| info.gating());
        let private = info.is_none_or(|info| info.private);
        let mut changes = Vec::new();
        let mut change = |setting, from: &str, to: &str| {
            if from != to {
                changes.push(SettingChange { setting, from: from.to_owned(), to: to.to_owned() });
            }
        };
        change("gating", gating, self.bundle.gating.as_str());
        let from = if private { Visibility::Private } else { Visibility::Public };
        change("visibility", from.as_str(), self.bundle.visibility.as_str());
        changes
    }
}

impl Plan {
    /// Bytes that are not there yet.
    #[must_use]
    pub fn bytes_to_send(&self) -> u64 {
        self.files.iter().filter(|file| file.what != What::Unchanged).map(|file| file.size).sum()
    }

    /// The plan as lines for people.
    #[must_use]
    pub fn lines(&self) -> Vec<Text> {
        let mut lines = vec![self.account_line(), self.repository_line()];
        for file in &self.files {
            let (en, ja) = match file.what {
                What::New => ("new", "新規"),
                What::Changed => ("changed", "変更"),
                What::Unchanged => ("unchanged", "変更なし"),
            };
            let (path, size) = (&file.path, file.size);
            lines.push(say(format!("{en}: {path}, {size} bytes"), format!("{ja}：{path}（{size}バイト）")));
        }
        lines
            .extend(self.removed.iter().map(|path| say(format!("removed: {path}"), format!("削除：{path}"))));
        let bytes = self.bytes_to_send();
        lines.push(say(
            format!("{bytes} bytes are not there yet; how each file travels, the Hub says when the publication begins."),
            format!("未送信は{bytes}バイトです。各ファイルの送信方法は、公開の開始時にHubが指定します。"),
        ));
        lines.extend(self.tag.iter().map(|tag| match &tag.commit {
            None => say(format!("tag: {} would be made", tag.name), format!("タグ：{} を作成", tag.name)),
            Some(at) => say(format!("tag: {} is at {at}", tag.name), format!("タグ：{} は {at}", tag.name)),
        }));
        lines.extend(self.settings.iter().map(|SettingChange { setting, from, to }| {
            let ja = if *setting == "gating" { "アクセス申請" } else { "公開範囲" };
            say(format!("{setting}: from {from} to {to}"), format!("{ja}：{from} から {to} へ変更"))
        }));
        lines.extend(self.objections.iter().map(|objection| objection.text.clone()));
        lines
    }

    fn account_line(&self) -> Text {
        let (account, endpoint) = (&self.account, &self.endpoint);
        let token = self.token.as_deref().unwrap_or("unknown");
        say(
            format!(
                "{account} at {endpoint}, with a token of the kind \"{token}\", may write to {}.",
                self.repo
            ),
            format!("{endpoint} の {account}（トークンの種類：{token}）は {} に書き込めます。", self.repo),
        )
    }

    fn repository_line(&self) -> Text {
        let (repo, revision) = (&self.repo, &self.revision);
        match &self.repository {
            RepositoryNow::Absent => say(
                format!("{repo} does not exist; it would be made as private."),
                format!("{repo} は存在しません。非公開で作成します。"),
            ),
            RepositoryNow::Present { private, gating, head } => {
                let (en, ja) = if *private { ("private", "非公開") } else { ("public", "公開") };
                let (at_en, at_ja) = match head {
                    Some(head) => (format!("{revision} is at {head}"), format!("{revision} は {head}")),
                    None => (
                        format!("{revision} would be made from main"),
                        format!("{revision} を main から作成"),
                    ),
                };
                say(
                    format!("{repo} is {en}, gating {gating}; {at_en}."),
                    format!("{repo} は{ja}、アクセス申請は {gating}、{at_ja}。"),
                )
            }
        }
    }
}

fn say(en: String, ja: String) -> Text {
    Text { en, ja }
}

/// A plan is no step: nothing is written down.
struct NoJournal;

#[async_trait]
impl Journal for NoJournal {
    async fn intended(&self, step: Step) -> Result<(), JournalError> {
        Err(JournalError(plain(format!("a plan takes no step, and {step} is one"))))
    }

    async fn done(&self, _: Step, _: &Text) -> Result<(), JournalError> {
        Ok(())
    }

    async fn failed(&self, _: Step, _: &PublishError) {}

    async fn unknown(&self, _: Step, _: &PublishError) {}
}
