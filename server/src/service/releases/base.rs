//! The base model beside the release, where the service has evaluated it under the same settings.

use sekisho_domain::lineage::{Input, InputKind, LineageFile};
use sekisho_domain::release::ReleaseState;
use sekisho_hub::card::CardComparison;
use sekisho_policy::Facts;
use sekisho_store::{Checkpoint, Release};

use super::against::paired;
use super::{card_extras, facts, settings, target};
use crate::service::{checkpoints, lineage};
use crate::{App, WebError};

/// A model that the release may have been made from, and that was evaluated here.
struct Base {
    name: String,
    /// `owner/name` on the Hub, where it is out.
    repo: Option<String>,
    checkpoint: Checkpoint,
}

/// The scores of the first base model that shares settings with this checkpoint: a release of ours that the lineage names, by its
/// repository or by its lineage file, else the checkpoint that the run branched off from. `shown`: a release that the card compares with
/// already.
pub(super) async fn against_base(
    app: &App,
    release: &Release,
    checkpoint: &Checkpoint,
    shown: Option<&Release>,
) -> Result<Option<CardComparison>, WebError> {
    for base in bases(app, release, checkpoint).await? {
        if shown.is_some_and(|shown| shown.checkpoint == base.checkpoint.id) {
            continue;
        }
        let tasks = paired(app, &base.checkpoint, checkpoint).await?;
        let compared = card_extras::comparison(base.name, base.repo, tasks);
        if compared.is_some() {
            return Ok(compared);
        }
    }
    Ok(None)
}

async fn bases(app: &App, release: &Release, checkpoint: &Checkpoint) -> Result<Vec<Base>, WebError> {
    let of_lineage = facts::of_lineage(app, release).await?;
    let mut bases = Vec::new();
    for input in of_lineage.lineage.inputs.iter().filter(|input| input.kind == InputKind::BaseModel) {
        let Some(out) = released(app, release, &of_lineage, input).await? else { continue };
        let checkpoint = checkpoints::find(app, &out.checkpoint.to_string()).await?;
        bases.push(Base { repo: target(&out).map(|section| section.repo), name: out.name, checkpoint });
    }
    let run = app.store.run(checkpoint.run).await?;
    if let Some(run) = run
        && let Some(parent) = lineage::parent_checkpoint(app, &run).await?
    {
        let name = format!("{} · {}", parent.run_name, parent.step);
        bases.push(Base { name, repo: None, checkpoint: parent });
    }
    Ok(bases)
}

/// The release of ours that an input names: by the repository that its id or its own lineage file gives, else by the name of the model in
/// that file, where only one repository has a release of that name. The one that is out, on `main` and the newest, where there are
/// several.
async fn released(
    app: &App,
    release: &Release,
    facts: &Facts,
    input: &Input,
) -> Result<Option<Release>, WebError> {
    let own = facts.parent_of(input);
    let mut out = match repository(input, own) {
        Some(repo) => settings::published(app, release, repo).await?,
        None => match own {
            Some(file) => settings::published_as(app, release, &file.model.name).await?,
            None => return Ok(None),
        },
    };
    let is_one_place = |a: &str, b: &str| a.eq_ignore_ascii_case(b);
    if !out.windows(2).all(|pair| is_one_place(&pair[0].1.repo, &pair[1].1.repo)) {
        return Ok(None);
    }
    out.sort_by_key(|(other, theirs)| {
        let same_name = own.is_some_and(|file| file.model.name == other.name);
        (same_name, other.state == ReleaseState::Published, theirs.revision == "main", other.updated)
    });
    Ok(out.pop().map(|(other, _)| other))
}

/// Where an input was published, as its own lineage file or its id says.
fn repository<'i>(input: &'i Input, own: Option<&'i LineageFile>) -> Option<&'i str> {
    let of_file = own.and_then(|file| file.release.as_ref()).map(|section| section.repo.as_str());
    of_file.or(input.id.as_deref())
}
