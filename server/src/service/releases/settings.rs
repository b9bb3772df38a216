use sekisho_domain::lineage::ReleaseSection;
use sekisho_domain::release::ReleaseState;
use sekisho_store::Release;

use super::{content, target};
use crate::{App, WebError};

/// Visibility and gating hold for a whole repository of the Hub, whatever the branch: refuses a release that would open what
/// another published release of the repository keeps closed, and one that goes where another project is.
///
/// # Errors
/// 422 naming the other release.
pub(super) async fn check(app: &App, release: &Release) -> Result<(), WebError> {
    let (_, section) = content::lineage(&release.lineage)?;
    if let Some(named) = &section.supersedes {
        of_one_project(release, &super::find(app, named).await?)?;
    }
    for (other, theirs) in published(app, release, &section.repo).await? {
        of_one_project(release, &other)?;
        let looser = if section.visibility.strictness() < theirs.visibility.strictness() {
            Some(("visibility", section.visibility.as_str(), theirs.visibility.as_str()))
        } else if section.gating.strictness() < theirs.gating.strictness() {
            Some(("gating", section.gating.as_str(), theirs.gating.as_str()))
        } else {
            None
        };
        if let Some((setting, ours, theirs)) = looser {
            let detail = format!(
                "{setting} = \"{ours}\" would hold for all of {}, and so open release \"{}\" ({}), which was published with {setting} = \"{theirs}\". Keep \"{theirs}\", or choose another repository.",
                section.repo, other.name, other.id
            );
            let ja = format!(
                "{setting} = \"{ours}\" は {} 全体に適用されるため、{setting} = \"{theirs}\" で公開済みのリリース「{}」（{}）の制限も緩みます。\"{theirs}\" のままにするか、別のリポジトリを指定してください。",
                section.repo, other.name, other.id
            );
            return Err(WebError::refused("repo-settings", detail).or_ja(ja));
        }
    }
    Ok(())
}

/// Who may let something out in one project decides nothing about what another has out.
fn of_one_project(release: &Release, other: &Release) -> Result<(), WebError> {
    if release.project == other.project {
        return Ok(());
    }
    let detail = format!(
        "Release \"{}\" ({}) is out there, and belongs to project \"{}\"; this one belongs to \"{}\". Choose another repository, or let people of that project propose it.",
        other.name, other.id, other.project, release.project
    );
    let ja = format!(
        "公開先ではプロジェクト「{}」のリリース「{}」（{}）が公開されています。このリリースはプロジェクト「{}」のものです。別のリポジトリを指定するか、そのプロジェクトで起案してください。",
        other.project, other.name, other.id, release.project
    );
    Err(WebError::refused("repo-of-project", detail).or_ja(ja))
}

/// The releases whose place this one takes: those that are out on the branch that it goes to, and the one that it names.
///
/// # Errors
/// When the store fails.
pub async fn superseded_by(app: &App, release: &Release) -> Result<Vec<Release>, WebError> {
    let (_, section) = content::lineage(&release.lineage)?;
    let out = published(app, release, &section.repo).await?;
    let same = |(old, theirs): (Release, ReleaseSection)| {
        let takes_place = old.state == ReleaseState::Published && theirs.revision == section.revision;
        takes_place.then_some(old)
    };
    let mut superseded: Vec<Release> = out.into_iter().filter_map(same).collect();
    if let Some(named) = &section.supersedes {
        let old = super::find(app, named).await?;
        let is_new = superseded.iter().all(|other| other.id != old.id) && old.id != release.id;
        superseded.extend((is_new && old.state == ReleaseState::Published).then_some(old));
    }
    Ok(superseded)
}

/// The other releases that are out in a repository, with where they went.
pub(super) async fn published(
    app: &App,
    release: &Release,
    repo: &str,
) -> Result<Vec<(Release, ReleaseSection)>, WebError> {
    let others = others(app, release).await?.into_iter();
    Ok(others.filter(|(_, section)| section.repo.eq_ignore_ascii_case(repo)).collect())
}

/// The other releases of a model of this name that are out, with where they went.
pub(super) async fn published_as(
    app: &App,
    release: &Release,
    name: &str,
) -> Result<Vec<(Release, ReleaseSection)>, WebError> {
    Ok(others(app, release).await?.into_iter().filter(|(other, _)| other.name == name).collect())
}

async fn others(app: &App, release: &Release) -> Result<Vec<(Release, ReleaseSection)>, WebError> {
    let out = app.store.releases_in(&[ReleaseState::Published, ReleaseState::Superseded]).await?;
    let others = out.into_iter().filter(|other| other.id != release.id);
    Ok(others.filter_map(|other| target(&other).map(|section| (other, section))).collect())
}
