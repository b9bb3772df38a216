use std::collections::BTreeSet;

use sekisho_bench::contamination::{ItemTexts, texts};
use sekisho_bench::{SourceRef, TaskDefinition};
use sekisho_domain::Sha256;
use sekisho_domain::evaluation::TaskRun;
use sekisho_domain::wire::{ContaminationMethod, ContaminationReport, ScannedSubset, TaskContamination};
use sekisho_store::Run;

use crate::service::corpora;
use crate::{App, WebError};

/// 422, in both languages.
pub(super) fn refused(detail: impl Into<String>, ja: impl Into<String>) -> WebError {
    WebError::refused("contamination", detail).or_ja(ja)
}

/// A report made with longer runs of units finds less, and says less than the gate asks.
pub(super) fn method(report: &ContaminationReport) -> Result<(), WebError> {
    if let Some(fault) = report.method.fault() {
        return Err(refused(format!("{fault}."), "照合に用いる単位数（method）が互いに矛盾しています。"));
    }
    let usual = ContaminationMethod::default();
    if report.method.finds_as_much_as(&usual) {
        return Ok(());
    }
    let ContaminationMethod { words, least_words, characters, least_characters } = usual;
    Err(refused(
        format!(
            "The report was made with longer runs than {words} words (at least {least_words}) and {characters} characters (at least {least_characters}), so it finds less. Make it with these or shorter ones."
        ),
        format!(
            "このレポートは既定（{words}語、最小{least_words}語、{characters}文字、最小{least_characters}文字）より長い一致で照合しているため、見つかる項目が少なくなります。既定以下の長さで作成し直してください。"
        ),
    ))
}

/// All that the run was trained on, as its specification says, must have been looked through.
pub(super) fn subsets(run: &Run, report: &ContaminationReport) -> Result<(), WebError> {
    if report.tasks.is_empty() || report.subsets.is_empty() {
        return Err(refused(
            "A report names at least one task and one subset of the training text.",
            "レポートには、評価タスクと学習データのサブセットがそれぞれ1つ以上必要です。",
        ));
    }
    let mut named = BTreeSet::new();
    if let Some(twice) = report.subsets.iter().find(|subset| !named.insert(subset.name.as_str())) {
        let name = &twice.name;
        return Err(refused(
            format!("Subset \"{name}\" is there twice; count its documents together."),
            format!("サブセット「{name}」が2回記載されています。文書数を合算してください。"),
        ));
    }
    let missing =
        run.spec.iter().flat_map(corpora::claims).find(|claim| !named.contains(claim.subset.as_str()));
    let Some(missing) = missing.map(|claim| claim.subset) else { return Ok(()) };
    let run = &run.name;
    Err(refused(
        format!(
            "Run \"{run}\" was trained on subset \"{missing}\", which the report leaves out. Look through all of its subsets (`sekisho contamination --spec …`)."
        ),
        format!(
            "実験「{run}」の学習データに含まれるサブセット「{missing}」が、このレポートでは照合されていません。すべてのサブセットを照合してください（`sekisho contamination --spec …`）。"
        ),
    ))
}

/// The report on one task, under the task's full name.
pub(super) async fn task(
    app: &App,
    mut task: TaskContamination,
    subsets: &[ScannedSubset],
) -> Result<TaskContamination, WebError> {
    let definition = app
        .catalog
        .find(&task.profile, &task.task)
        .map_err(|error| WebError::refused("task-unknown", format!("{error}.")))?;
    task.profile.clone_from(&definition.profile);
    let run = TaskRun {
        profile: task.profile.clone(),
        task: task.task.clone(),
        split: task.split.clone(),
        limit: task.limit,
        shots: Some(0),
    };
    definition.split_of(&run).map_err(|error| WebError::refused("split-unknown", format!("{error}.")))?;
    if let Some(fault) = task.fault().or_else(|| subset_fault(&task, subsets)) {
        let ja = format!("{}の項目数または項目番号が矛盾しています（{fault}）。", task.name());
        return Err(refused(format!("{fault}."), ja));
    }
    if let Some(known) = known(app, definition, &run).await? {
        agrees(&task, &known)?;
    }
    Ok(task)
}

/// What is found in each subset is found in one that was looked through, and is no more than all.
fn subset_fault(task: &TaskContamination, subsets: &[ScannedSubset]) -> Option<String> {
    let total = task.found.len() as u64;
    let (name, found) = task
        .found_in
        .iter()
        .find(|(name, found)| **found > total || !subsets.iter().any(|subset| subset.name == **name))?;
    Some(format!(
        "{} has {found} items found in subset \"{name}\": that must be a subset of the report, and no more than the {total} items found in all",
        task.name()
    ))
}

/// The items as this server's own data has them; none where it has not got the files.
async fn known(app: &App, definition: &TaskDefinition, run: &TaskRun) -> Result<Option<ItemTexts>, WebError> {
    let (app, definition, run) = (app.clone(), definition.clone(), run.clone());
    let read = move || {
        let sources = app.sources.of_run(&definition, &run).ok()?;
        let bytes = |source: &SourceRef| {
            let (path, _) = app.sources.locate(&definition.name(), source)?;
            fs_err::read(path).map_err(|error| error.to_string())
        };
        // Where the definition names no digest, the file in place is the server's choice.
        let accept: Vec<Sha256> = sources.iter().map(|source| source.sha256).collect();
        texts(&definition, &run, &accept, &bytes).ok()
    };
    tokio::task::spawn_blocking(read).await.map_err(WebError::internal)
}

/// Numbers of the same data must be those of its items; a report on other data says nothing about these.
fn agrees(task: &TaskContamination, known: &ItemTexts) -> Result<(), WebError> {
    if task.data() != sekisho_domain::wire::data_digest(&known.sources) {
        return Ok(());
    }
    let (name, items) = (task.name(), known.items.len() as u64);
    if task.items != items {
        return Err(refused(
            format!("{name} has {items} items here, and {} in the report.", task.items),
            format!("{name}の項目数は{items}件ですが、レポートでは{}件です。", task.items),
        ));
    }
    let numbers: BTreeSet<u64> = known.items.iter().map(|item| item.item).collect();
    let beyond = task.found.iter().chain(&task.too_short).find(|item| !numbers.contains(*item));
    match beyond {
        None => Ok(()),
        Some(item) => Err(refused(
            format!("{name} asks no item {item}; items are numbered from 0, by their line in the split."),
            format!("{name}に項目{item}はありません。項目番号は、分割内の行番号（0から）です。"),
        )),
    }
}
