use std::collections::{BTreeMap, BTreeSet};

use sekisho_domain::lineage::{LineageFile, ReleaseSection};
use sekisho_domain::manifest::FileEntry;
use sekisho_domain::{Sha256, canonical_json, parse_toml};
use sekisho_hub::{Bundle, BundleFile, Existing};
use sekisho_store::{Checkpoint, Release};

use super::texts::ANNOUNCEMENT;
use super::{facts, settings, weights};
use crate::service::{copies, corpora};
use crate::{App, WebError};

/// What of a checkpoint's folder is a model. Everything else (optimiser state, logs, manifest) stays in the lab.
pub(super) const MODEL_FILES: &[&str] = &[
    "config.json",
    "generation_config.json",
    "model.safetensors.index.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "tokenizer.model",
    "vocab.json",
    "merges.txt",
    "chat_template.jinja",
];

/// The files of a verified checkpoint that are released.
#[must_use]
pub fn model_files(checkpoint: &Checkpoint) -> Vec<FileEntry> {
    let files = checkpoint.verification.iter().flat_map(|found| &found.files);
    files.filter(|file| is_released(&file.path)).cloned().collect()
}

/// Whether a file of a checkpoint's folder belongs to the model.
pub(super) fn is_released(path: &str) -> bool {
    let is_weights = path.ends_with(".safetensors") && !path.contains('/');
    is_weights || MODEL_FILES.contains(&path)
}

/// The files of the model as they are released: the checkpoint's own, or those that were made from it.
#[must_use]
pub fn released_files(release: &Release, checkpoint: &Checkpoint) -> Vec<FileEntry> {
    match &release.prepared {
        Some(prepared) => prepared.files.clone(),
        None => model_files(checkpoint),
    }
}

/// The lineage file of a release with its `[release]` section.
pub(super) fn lineage(text: &str) -> Result<(LineageFile, ReleaseSection), WebError> {
    let file: LineageFile = parse_toml("lineage.toml", text)
        .map_err(|error| WebError::refused("lineage", format!("{error}.")))?;
    let Some(section) = file.release.clone() else {
        let detail = "lineage.toml has no [release] section; it says where to and under which licence: [release] repo = \"owner/name\".";
        let ja = "lineage.tomlに [release] がありません。公開先とライセンスを記載してください（例：[release] repo = \"owner/name\"）。";
        return Err(WebError::refused("lineage", detail).or_ja(ja));
    };
    Ok((file, section))
}

/// Exactly what is released, as a digest: files, card, everything that was judged, the decision, and the target with its Hub.
/// Approvals are bound to it.
pub(super) async fn digest(
    app: &App,
    release: &Release,
    checkpoint: &Checkpoint,
) -> Result<Sha256, WebError> {
    let (_, section) = lineage(&release.lineage)?;
    let content = serde_json::json!({
        "name": release.name,
        "checkpoint": checkpoint.verification.as_ref().map(|found| found.digest),
        "files": released_files(release, checkpoint),
        "texts": release.files,
        "card_en": Sha256::of(&release.card_en),
        "card_ja": Sha256::of(&release.card_ja),
        "lineage": Sha256::of(&release.lineage),
        "path": release.path,
        "parents": release.parents,
        "generated": release.generated,
        "given": release.given,
        "missing": release.missing,
        "registered": registered(app, release).await?,
        "decision": release.decision.as_ref().map(|decision| decision["digest"].clone()),
        "target": section,
        "endpoint": app.config.hub_endpoint.trim_end_matches('/'),
    });
    Ok(Sha256::of(canonical_json(&content)))
}

/// What the registry says of the texts that the lineage names: the card repeats it.
async fn registered(app: &App, release: &Release) -> Result<BTreeMap<String, [Option<String>; 4]>, WebError> {
    let facts = facts::of_lineage(app, release).await?;
    let inputs = std::iter::once(&facts.lineage).chain(facts.parents.values()).flat_map(|file| &file.inputs);
    let named: BTreeSet<&String> = inputs.filter_map(|input| input.id.as_ref()).collect();
    let registry = corpora::registry(app).await?.into_iter().filter(|(id, _)| named.contains(id));
    let facts = |there: sekisho_policy::Registered| {
        [there.level, there.license, there.generator, there.generator_license]
    };
    Ok(registry.map(|(id, there)| (id, facts(there))).collect())
}

/// Where on which Hub a release goes to: the address of its branch. None when its lineage file names no target.
#[must_use]
pub fn place(app: &App, release: &Release) -> Option<String> {
    let (_, section) = lineage(&release.lineage).ok()?;
    let (endpoint, repo) = (app.config.hub_endpoint.trim_end_matches('/'), section.repo.to_ascii_lowercase());
    Some(format!("{endpoint}/{repo}/tree/{}", section.revision))
}

/// What goes to the Hub.
///
/// # Errors
/// When a text is missing from the blob store.
pub async fn bundle(app: &App, release: &Release, checkpoint: &Checkpoint) -> Result<Bundle, WebError> {
    let given = release.files.iter().filter(|(path, _)| *path != ANNOUNCEMENT);
    let texts = facts::texts(app, given.chain(&release.generated).collect()).await?;
    let (_, section) = lineage(&release.lineage)?;
    let out = settings::published(app, release, &section.repo).await?;
    // An earlier content of this release that was committed there, and whose permit fell, is replaced like a release of before.
    let (here, commits) = (place(app, release), app.store.hub_commits(release.id).await?);
    let earlier = commits
        .iter()
        .any(|commit| Some(&commit.place) == here.as_ref() && Some(commit.digest) != release.digest);
    let existing = if earlier || out.iter().any(|(_, other)| other.revision == section.revision) {
        Existing::Update
    } else if out.is_empty() {
        Existing::Refuse
    } else {
        Existing::Beside
    };
    let mut bundle = Bundle { existing, ..named(app, release, checkpoint, texts)? };
    bundle.sign(&app.signing);
    Ok(bundle)
}

/// Refuses names that no Hub would take, while its author can still mend them.
///
/// # Errors
/// 422 naming repository, branch, tag or file.
pub(super) fn check_names(app: &App, release: &Release, checkpoint: &Checkpoint) -> Result<(), WebError> {
    let paths = release.files.keys().filter(|path| *path != ANNOUNCEMENT);
    let texts = paths.map(|path| (path.clone(), String::new())).collect();
    let bundle = named(app, release, checkpoint, texts)?;
    bundle.check().map_err(|error| WebError::refused("release-target", error.to_string()).or_ja(error.ja()))
}

fn named(
    app: &App,
    release: &Release,
    checkpoint: &Checkpoint,
    texts: BTreeMap<String, String>,
) -> Result<Bundle, WebError> {
    let (_, section) = lineage(&release.lineage)?;
    let folder = match &release.prepared {
        Some(prepared) => weights::place(app, prepared),
        None => copies::present(app, checkpoint),
    };
    let mut files: Vec<BundleFile> = released_files(release, checkpoint)
        .iter()
        .map(|entry| BundleFile::local(entry, folder.join(&entry.path)))
        .collect();
    let cards = [("README.md", &release.card_en), ("README_ja.md", &release.card_ja)];
    files.extend(cards.map(|(path, text)| BundleFile::memory(path, text.clone().into_bytes())));
    files.extend(texts.into_iter().map(|(path, text)| BundleFile::memory(&path, text.into_bytes())));
    Ok(Bundle {
        repo: section.repo,
        revision: section.revision,
        files,
        visibility: section.visibility,
        gating: section.gating,
        tag: Some(section.tag.unwrap_or_else(|| format!("release-{}", release.id))),
        message: format!("Release {} ({})", release.name, release.id),
        existing: Existing::Refuse,
    })
}
