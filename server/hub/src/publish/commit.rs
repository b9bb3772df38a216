//! The commit: one, on the head that was seen, and found again when its answer is lost.

use std::time::Duration;

use sekisho_domain::Text;

use super::ground::Ground;
use super::{Publication, plain, seen};
use crate::PublishError;
use crate::intended::Intended;
use crate::upload::Plan;

/// How often the commit is tried while nobody else commits.
const COMMIT_ATTEMPTS: u32 = 4;

impl Publication<'_> {
    /// One commit on the ground that was seen. After any error the branch says what happened: it holds the bundle (the answer
    /// was lost), it stands still (try again), or somebody else moved it (stop). When the branch cannot be read either, an answer
    /// that was lost leaves the outcome unknown.
    pub(super) async fn commit(
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
