//! What a release says of benchmark items in the training text: to the policy's gates, and in the card.

use std::collections::BTreeSet;

use sekisho_bench::TaskItems;
use sekisho_domain::Text;
use sekisho_domain::wire::ContaminationMethod;
use sekisho_hub::card::{CardContaminatedTask, CardContamination};
use sekisho_policy::{Contamination, Unreported};
use sekisho_store::{Checkpoint, ScoreRow};

use crate::service::contamination::{Chain, Looked};
use crate::service::{evaluations, found};
use crate::{App, WebError};

/// As the policy's gates see it: of each score how many of its items were found, or why that is not known. A task with a report and
/// without a score is told as such, so that the gate does not ask for a report that is there.
pub(super) async fn facts(
    app: &App,
    checkpoint: &Checkpoint,
    scores: &[ScoreRow],
) -> Result<(Vec<Contamination>, Vec<Unreported>), WebError> {
    let chain = Chain::of(app, checkpoint).await?;
    let (mut known, mut unknown) = (Vec::new(), BTreeSet::new());
    for score in scores {
        let task = score.entry.task.clone();
        match of_score(app, &chain, score).await? {
            Ok(looked) => {
                let found = looked.found.len() as u64;
                let report = Contamination { task, items: looked.looked_for, contaminated: found };
                if !known.contains(&report) {
                    known.push(report);
                }
            }
            Err(reason) => {
                unknown.insert(Unreported { task, reason });
            }
        }
    }
    let scored: BTreeSet<&str> = scores.iter().map(|score| score.entry.task.as_str()).collect();
    for task in chain.reported().filter(|task| !scored.contains(task)) {
        let reason = Text {
            en: "there is a report, but no score to hold it against".to_owned(),
            ja: "レポートはありますが、対応するスコアがありません".to_owned(),
        };
        unknown.insert(Unreported { task: task.to_owned(), reason });
    }
    known.sort_by(|a, b| (&a.task, a.items, a.contaminated).cmp(&(&b.task, b.items, b.contaminated)));
    Ok((known, unknown.into_iter().collect()))
}

async fn of_score(app: &App, chain: &Chain, score: &ScoreRow) -> Result<Result<Looked, Text>, WebError> {
    let gone = || WebError::internal(format_args!("the work item {} of a score is gone", score.work));
    let row = app.store.work(score.work).await?.ok_or_else(gone)?;
    chain.of_work(app, &row).await
}

/// The card's section: of each score whose items were looked for, how many were found, and the score over the others. None while no
/// score has a report.
pub(super) async fn of_card(
    app: &App,
    checkpoint: &Checkpoint,
) -> Result<Option<CardContamination>, WebError> {
    let chain = Chain::of(app, checkpoint).await?;
    let (mut rows, mut too_short, mut shortest) = (Vec::new(), 0, ContaminationMethod::default());
    for evaluation in app.store.evaluations_of(checkpoint.id).await? {
        for score in found::of(app, &evaluation).await?.primary() {
            let Ok(looked) = of_score(app, &chain, score).await? else { continue };
            too_short += score.entry.n.saturating_sub(looked.looked_for);
            shortest = shortest.shorter(looked.method);
            rows.push(CardContaminatedTask {
                fingerprint: score.entry.fingerprint,
                metric: score.entry.metric.clone(),
                found: looked.found.len() as u64,
                without: without(app, score, &looked.found).await?,
            });
        }
    }
    Ok((!rows.is_empty()).then(|| CardContamination { method: method(shortest, too_short), rows }))
}

/// The score over the items that were not found; none where that is not one of them.
async fn without(app: &App, score: &ScoreRow, found: &BTreeSet<u64>) -> Result<Option<f64>, WebError> {
    if found.is_empty() {
        return Ok(Some(score.entry.value));
    }
    let mut records = evaluations::records(app, score.work).await?;
    records.retain(|record| !found.contains(&record.item));
    Ok(TaskItems::new(&score.entry.metric, false, &records).score())
}

fn method(shortest: ContaminationMethod, too_short: u64) -> Text {
    let ContaminationMethod { words, characters, .. } = shortest;
    let (mut en, mut ja) = (
        format!(
            "An item counts as found where {words} words in a row of its question, passage or choices ({characters} characters in Japanese), or all of a shorter one, stand in a document of the training text. Width, case, punctuation and white space make no difference."
        ),
        format!(
            "設問文、本文、選択肢のいずれかで、連続する{words}語（日本語は{characters}文字）が学習データの文書に現れる設問を数えています（それより短い設問は全文で照合）。全角と半角、大文字と小文字、句読点、空白の違いは区別しません。"
        ),
    );
    if too_short > 0 {
        en.push_str(&format!(" {too_short} items are too short to be looked for."));
        ja.push_str(&format!("短すぎるため照合していない設問が{too_short}件あります。"));
    }
    Text { en, ja }
}
