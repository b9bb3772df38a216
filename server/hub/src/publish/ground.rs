//! What a publication finds on the Hub before it sends anything.

use sekisho_domain::Text;
use sekisho_domain::lineage::Visibility;

use super::{MAIN, Publication, seen, strictness};
use crate::intended::{Intended, first_few};
use crate::remote::{Info, TreeFile};
use crate::{Existing, PublishError};

/// The repository as it was found or made: what the commit builds on.
pub(super) struct Ground {
    pub(super) head: String,
    pub(super) tree: Vec<TreeFile>,
    /// The branch is another than `main` and stands where `main` does: nobody has committed to it.
    pub(super) as_main: bool,
}

impl Publication<'_> {
    /// Makes sure of a repository that is private (or already ours) and holds nothing else.
    pub(super) async fn create(&self, intended: &Intended<'_>) -> Result<(Ground, Text), PublishError> {
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
        self.admits(intended, info.private, &ground)?;
        let difference = intended.difference(&ground.tree);
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

    /// Whether this bundle may go onto this ground: only over what is its own, and never unseen into what is public.
    pub(super) fn admits(
        &self,
        intended: &Intended<'_>,
        private: bool,
        ground: &Ground,
    ) -> Result<(), PublishError> {
        let repo = &self.bundle.repo;
        let held =
            ground.tree.iter().filter(|file| file.path != ".gitattributes").map(|file| file.path.clone());
        let held = first_few(held);
        let ours = intended.difference(&ground.tree).is_none()
            || match self.bundle.existing {
                Existing::Refuse => false,
                Existing::Beside => held.is_empty() || ground.as_main,
                Existing::Update => true,
            };
        if !private && (!ours || self.bundle.visibility == Visibility::Private) {
            return Err(PublishError::AlreadyPublic { repo: repo.clone() });
        }
        if !ours && !held.is_empty() {
            let revision = self.bundle.revision.clone();
            return Err(PublishError::ForeignFiles { repo: repo.clone(), revision, files: held });
        }
        Ok(())
    }

    /// A tag that is there already can only be of another commit than the one that is to be made.
    pub(super) async fn tag_is_free(&self) -> Result<(), PublishError> {
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
    pub(super) async fn info(&self) -> Result<Info, PublishError> {
        self.remote.info(&self.bundle.repo).await?.ok_or_else(|| self.forbidden())
    }

    /// Head and tree of the branch. One that does not exist is made from `main`.
    pub(super) async fn ground(&self) -> Result<Ground, PublishError> {
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
}
