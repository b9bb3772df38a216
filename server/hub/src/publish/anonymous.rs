//! The look from outside, once everything is in place.

use sekisho_domain::lineage::{Gating, Visibility};
use sekisho_domain::{Sha256, Text};

use super::{Publication, seen};
use crate::intended::INLINE_LIMIT;
use crate::remote::{Place, Served};
use crate::{BundleFile, PublishError};

impl Publication<'_> {
    /// Asks without a token for the card and, in a few bytes, for the largest file. What everybody is refused is an error; that the
    /// Hub could not be asked is only told, since everything is published by then.
    pub(super) async fn anonymous(&self, commit: &str) -> Result<((), Text), PublishError> {
        if self.bundle.visibility == Visibility::Private {
            return Ok(((), seen("not asked: private", "確認対象外（非公開）")));
        }
        if self.bundle.gating != Gating::None {
            return Ok(((), seen("not asked: access is gated", "確認対象外（アクセス申請が必要）")));
        }
        match self.look(commit).await {
            Ok(looked) => {
                let (en, ja) = (looked.join(" and "), looked.join("と"));
                Ok((
                    (),
                    seen(
                        format!("{en} can be read without a token"),
                        format!("トークンなしで {ja} を取得可能"),
                    ),
                ))
            }
            Err(error @ (PublishError::NotPublic { .. } | PublishError::ServedDiffers { .. })) => Err(error),
            Err(error) => {
                let (en, ja) = (error.to_string(), error.ja());
                tracing::warn!(hub.repo = %self.bundle.repo, "the published files could not be looked at: {en}");
                Ok((
                    (),
                    seen(
                        format!("published; warning: it could not be seen without a token: {en}"),
                        format!("公開済み（警告：トークンなしでの確認ができませんでした：{ja}）"),
                    ),
                ))
            }
        }
    }

    async fn look(&self, commit: &str) -> Result<Vec<&str>, PublishError> {
        let files = &self.bundle.files;
        let card = files.iter().find(|file| file.path == "README.md" && file.size < INLINE_LIMIT);
        let largest = files.iter().filter(|file| file.path != "README.md").max_by_key(|file| file.size);
        let mut looked = Vec::new();
        if let Some(card) = card {
            let limit = usize::try_from(card.size + 1).unwrap_or(usize::MAX);
            let served = self.remote.served(self.place(commit, &card.path), false, limit).await?;
            self.answered(card, &served)?;
            if served.bytes.len() as u64 != card.size || Sha256::of(&served.bytes) != card.sha256 {
                return Err(self.differs(card));
            }
            looked.push(card.path.as_str());
        }
        if let Some(file) = largest {
            let served = self.remote.announced(self.place(commit, &file.path)).await?;
            self.answered(file, &served)?;
            if served.linked.is_some_and(|linked| linked != file.sha256.hex()) {
                return Err(self.differs(file));
            }
            looked.push(file.path.as_str());
        }
        Ok(looked)
    }

    fn place<'p>(&'p self, commit: &'p str, path: &'p str) -> Place<'p> {
        Place { repo: &self.bundle.repo, revision: commit, path }
    }

    fn answered(&self, file: &BundleFile, served: &Served) -> Result<(), PublishError> {
        let (repo, path, status) = (self.bundle.repo.clone(), file.path.clone(), served.status);
        match status {
            401 | 403 | 404 => Err(PublishError::NotPublic { repo, path, status }),
            _ if served.is_there() => Ok(()),
            _ => {
                let message = format!("asked for {path} without a token");
                Err(PublishError::Answer { call: "file", status, message })
            }
        }
    }

    fn differs(&self, file: &BundleFile) -> PublishError {
        PublishError::ServedDiffers { repo: self.bundle.repo.clone(), path: file.path.clone() }
    }
}
