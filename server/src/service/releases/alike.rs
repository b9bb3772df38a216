use sekisho_store::{Checkpoint, Release};

use super::propose::{Proposal, blank, fill};
use super::texts::ANNOUNCEMENT;
use super::{content, facts};
use crate::{App, WebError};

/// A release of another checkpoint like one that is out: the same lineage, repository and texts, on a branch of its own. It has neither
/// tag nor announcement of the first, and takes nothing's place. Nothing is kept yet.
///
/// # Errors
/// 409 for a checkpoint that is not verified, 422 for a branch that no Hub would take.
pub async fn alike(
    app: &App,
    reference: &Release,
    checkpoint: &Checkpoint,
    revision: &str,
) -> Result<Release, WebError> {
    let (mut file, mut section) = content::lineage(&reference.lineage)?;
    let announced = section.announcement.take();
    revision.clone_into(&mut section.revision);
    (section.tag, section.supersedes) = (None, None);
    file.release = Some(section);
    let mut release = blank(app, reference.author, checkpoint, &reference.project);
    release.card_edits.clone_from(&reference.card_edits);
    let given = |path: &&String| reference.given.contains(path) && *path != ANNOUNCEMENT;
    let missing = reference.missing.iter().filter(|name| announced.as_ref() != Some(name));
    let proposal = Proposal {
        lineage: toml::to_string(&file).map_err(WebError::internal)?,
        path: reference.path.clone(),
        parents: facts::texts(app, reference.parents.iter().collect()).await?,
        files: facts::texts(app, reference.files.iter().filter(|(path, _)| given(path)).collect()).await?,
        announcement: None,
        missing: Some(missing.cloned().collect()),
    };
    fill(app, &mut release, checkpoint, &proposal).await?;
    Ok(release)
}
