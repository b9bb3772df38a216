//! What the card says of the files behind it: the data of the benchmarks, and the tokenizer.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use sekisho_bench::fingerprint;
use sekisho_domain::Sha256;
use sekisho_domain::evaluation::{Bos, TaskRun};
use sekisho_store::{Checkpoint, Verification};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{App, WebError};

/// The one file that holds the items of a score, by the score's fingerprint. Left out where they come from several files, and where
/// definition or files are others now than when the score was made.
pub(super) async fn data_digests(
    app: &App,
    checkpoint: &Checkpoint,
) -> Result<BTreeMap<Sha256, Sha256>, WebError> {
    let mut digests = BTreeMap::new();
    for evaluation in app.store.evaluations_of(checkpoint.id).await? {
        let scores = app.store.scores(evaluation.id).await?;
        for work in app.store.work_of(evaluation.id).await? {
            let Some((settings, digest)) = data_digest(app, &work.work.run) else { continue };
            let same = |score: &sekisho_store::ScoreRow| {
                score.work == work.work.id && score.entry.fingerprint == settings
            };
            if scores.iter().any(same) {
                digests.insert(settings, digest);
            }
        }
    }
    Ok(digests)
}

/// The fingerprint of a run as it would be made now, and the digest of the file that it asks.
fn data_digest(app: &App, run: &TaskRun) -> Option<(Sha256, Sha256)> {
    let definition = app.catalog.find(&run.profile, &run.task).ok()?;
    // A file that is gone from its place is still the one that the definition names by digest.
    let files = app.sources.of_run(definition, run).unwrap_or_default();
    let [asked] = definition.asked_sources(run).ok()?.try_into().ok()?;
    let found = files.iter().find(|have| have.source == asked.source && have.file == asked.file);
    let digest = found.map(|found| found.sha256).or(asked.sha256)?;
    Some((fingerprint(definition, run, &files, Bos::Auto), digest))
}

/// What is kept of a tokenizer file, which may be large: by its digest it never changes.
#[derive(Serialize, Deserialize)]
struct Known {
    kind: Option<String>,
}

/// `BPE`, `Unigram` …, as the `tokenizer.json` of the checkpoint says; none where it is not there any more as it was examined.
pub(super) async fn tokenizer_kind(
    app: &App,
    checkpoint: &Checkpoint,
    found: &Verification,
) -> Result<Option<String>, WebError> {
    let Some(digest) = found.tokenizer else { return Ok(None) };
    let key = format!("tokenizers/{}.json", digest.hex());
    if let Some(known) =
        app.blobs.get(&key).await?.and_then(|bytes| serde_json::from_slice::<Known>(&bytes).ok())
    {
        return Ok(known.kind);
    }
    let file: PathBuf = Path::new(&checkpoint.path).join("tokenizer.json");
    let read = tokio::task::spawn_blocking(move || read_kind(&file, digest));
    let Some(known) = read.await.map_err(WebError::internal)? else { return Ok(None) };
    app.blobs.put(&key, serde_json::to_vec(&known).map_err(WebError::internal)?).await?;
    Ok(known.kind)
}

fn read_kind(file: &Path, digest: Sha256) -> Option<Known> {
    let bytes = fs_err::read(file).ok().filter(|bytes| Sha256::of(bytes) == digest)?;
    let tokenizer: Value = serde_json::from_slice(&bytes).ok()?;
    Some(Known { kind: tokenizer["model"]["type"].as_str().map(ToOwned::to_owned) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kind_is_that_of_the_file_that_was_examined() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("tokenizer.json");
        let kind = |text: &str, examined: &str| {
            fs_err::write(&file, text).expect("written");
            read_kind(&file, Sha256::of(examined)).map(|known| known.kind)
        };
        let (bpe, bare) = (r#"{"model":{"type":"BPE","vocab":{}}}"#, r#"{"model":{"vocab":{}}}"#);
        assert_eq!(kind(bpe, bpe), Some(Some("BPE".to_owned())));
        assert_eq!(kind(bare, bare), Some(None));
        assert_eq!(kind(bpe, bare), None, "another file than the one examined");
        assert_eq!(
            read_kind(&folder.path().join("none.json"), Sha256::of(bpe)).map(|known| known.kind),
            None
        );
    }
}
