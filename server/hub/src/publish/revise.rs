//! Changes to what is published already: a card that says something else, and a release that is withdrawn. The weights are not
//! touched, and a tag is never moved: who pinned a version keeps it.

use sekisho_domain::Text;
use sekisho_domain::lineage::{Gating, Visibility};

use super::ground::Ground;
use super::{Publication, Publisher, no_progress, seen};
use crate::intended::Intended;
use crate::remote::Place;
use crate::signature::{PUBLIC_KEY_FILE, SIGNATURE_FILE};
use crate::{Bundle, BundleFile, Existing, Journal, PublishError, Step};

/// What a revision may replace: the cards, and the signature over them.
const CARDS: [&str; 4] = ["README.md", "README_ja.md", SIGNATURE_FILE, PUBLIC_KEY_FILE];
/// A card is a page of text.
const LONGEST_CARD: usize = 4 << 20;

/// Other cards for a published release.
#[derive(Clone, Debug)]
pub struct CardRevision {
    /// `owner/name` on the Hub.
    pub repo: String,
    /// Branch.
    pub revision: String,
    /// First line of the commit.
    pub message: String,
    /// `README.md`, `README_ja.md`, and where the release is signed `model.sig` and `sekisho.pub` anew: a signature covers the
    /// cards. Everything else on the branch stays.
    pub files: Vec<BundleFile>,
}

/// A release that is withdrawn. Its texts say why, and what cannot be undone: copies that were downloaded, and the rights that
/// came with them.
#[derive(Clone, Debug)]
pub struct Tombstone {
    /// The cards that take the place of the old ones.
    pub card: CardRevision,
    /// Who may still download it.
    pub hide: Hide,
}

/// What becomes of the access to a withdrawn release. It holds for the whole repository, which other versions may share.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Hide {
    /// Everybody who could before; the card warns.
    Nothing,
    /// Each who asks and is granted access.
    Gate,
    /// Members of the owner.
    Private,
}

/// A finished revision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revised {
    /// The commit that holds the new cards; the one that was there when it already did.
    pub commit: String,
    /// Address of the repository, for people.
    pub url: String,
}

impl Publisher {
    /// Withdraws a release: the cards first, then access. Asking again finishes what was cut off.
    ///
    /// # Errors
    /// As [`Publisher::publish`], and [`PublishError::Absent`].
    pub async fn yank(&self, tombstone: &Tombstone, journal: &dyn Journal) -> Result<Revised, PublishError> {
        self.change(&tombstone.card, tombstone.hide, journal).await
    }

    /// Replaces the cards of a release, for example by one that names its successor ([`crate::with_new_version`]).
    ///
    /// # Errors
    /// As [`Publisher::yank`].
    pub async fn revise(&self, card: &CardRevision, journal: &dyn Journal) -> Result<Revised, PublishError> {
        self.change(card, Hide::Nothing, journal).await
    }

    /// A text file as it is on the Hub now; nothing when there is none.
    ///
    /// # Errors
    /// The Hub cannot be asked, or the file is no text of a page's length.
    pub async fn read_text(
        &self,
        repo: &str,
        revision: &str,
        path: &str,
    ) -> Result<Option<String>, PublishError> {
        let served = self.remote.served(Place { repo, revision, path }, true, LONGEST_CARD).await?;
        let wrong =
            |reason: &str| PublishError::Malformed { call: "file", reason: format!("{path} {reason}") };
        match served.status {
            404 => Ok(None),
            200 if served.bytes.len() == LONGEST_CARD => Err(wrong("is longer than 4 MiB")),
            200 => String::from_utf8(served.bytes).map(Some).map_err(|_| wrong("is not UTF-8")),
            status => {
                Err(PublishError::Answer { call: "file", status, message: format!("asked for {path}") })
            }
        }
    }

    async fn change(
        &self,
        card: &CardRevision,
        hide: Hide,
        journal: &dyn Journal,
    ) -> Result<Revised, PublishError> {
        let bundle = card.as_bundle(hide);
        bundle.check()?;
        if let Some(file) = card.files.iter().find(|file| !CARDS.contains(&file.path.as_str())) {
            let rule = "a revision replaces README.md, README_ja.md and the signature, nothing else";
            return Err(PublishError::BundleInvalid { what: file.path.clone(), rule });
        }
        let work = Publication { remote: &self.remote, staging: &self.staging, bundle: &bundle, journal };
        work.revise(hide).await
    }
}

impl CardRevision {
    fn as_bundle(&self, hide: Hide) -> Bundle {
        Bundle {
            repo: self.repo.clone(),
            revision: self.revision.clone(),
            files: self.files.clone(),
            visibility: if hide == Hide::Private { Visibility::Private } else { Visibility::Public },
            gating: if hide == Hide::Gate { Gating::Manual } else { Gating::None },
            tag: None,
            message: self.message.clone(),
            existing: Existing::Update,
        }
    }
}

impl Publication<'_> {
    async fn revise(&self, hide: Hide) -> Result<Revised, PublishError> {
        self.step(Step::Probe, self.probe()).await?;
        let intended = self.step(Step::Preflight, self.new_cards()).await?;
        let ground = self.step(Step::Create, self.found()).await?;
        let plan = self.step(Step::Upload, self.upload(&intended, &ground, no_progress())).await?;
        let commit = self.step(Step::Commit, self.commit(&intended, &ground, plan.as_ref())).await?;
        self.step(Step::Compare, self.compare(&intended, &commit)).await?;
        match hide {
            Hide::Nothing => {}
            Hide::Gate => self.step(Step::Gating, self.gating()).await?,
            Hide::Private => self.step(Step::Visibility, self.hidden()).await?,
        }
        Ok(Revised { commit, url: self.url() })
    }

    async fn new_cards(&self) -> Result<(Intended<'_>, Text), PublishError> {
        let intended = Intended::read_part(self.bundle).await?;
        self.check_card().await?;
        let names: Vec<&str> = self.bundle.files.iter().map(|file| file.path.as_str()).collect();
        let names = names.join(", ");
        Ok((intended, seen(names.clone(), names)))
    }

    /// The branch as it is; nothing is made here.
    async fn found(&self) -> Result<(Ground, Text), PublishError> {
        let (repo, revision) = (&self.bundle.repo, &self.bundle.revision);
        let absent = || PublishError::Absent { repo: repo.clone(), revision: revision.clone() };
        self.remote.info(repo).await?.ok_or_else(absent)?;
        let head = self.remote.head(repo, revision).await?.ok_or_else(absent)?;
        let tree = self.remote.tree(repo, &head).await?;
        let detail = seen(format!("{revision} at {head}"), format!("{revision} は {head}"));
        Ok((Ground { head, tree, as_main: false }, detail))
    }

    async fn hidden(&self) -> Result<((), Text), PublishError> {
        if !self.info().await?.private {
            self.remote.set_private(&self.bundle.repo, true).await?;
        }
        let have = if self.info().await?.private { Visibility::Private } else { Visibility::Public };
        self.settled("visibility", Visibility::Private.as_str(), have.as_str())
    }
}
