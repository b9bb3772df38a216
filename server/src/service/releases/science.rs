//! What of the work goes out with the weights, where the release levels and the licences of benchmarks allow it. What the card says
//! about it is computed from the same list.

use std::collections::BTreeMap;

use sekisho_domain::Text;
use sekisho_domain::corpus::Subset;
use sekisho_domain::lineage::{BundlePart, InputKind, Level, LineageFile, ReleaseSection, Visibility};
use sekisho_domain::run::KeptEvent;
use sekisho_hub::card::{CardComponent, CardComponentKind as Kind, CardComponentState as State};
use sekisho_store::{Checkpoint, Release, Run};
use serde_json::{Value, json};

use super::content;
use crate::service::{evaluations, found};
use crate::{App, WebError};

/// Keys of a specification that say where files lie on the lab's machines.
const PLACES: [&str; 2] = ["path", "from"];

/// The files that go along, path → text. Nothing in them names a path of the lab.
pub(super) async fn files(
    app: &App,
    release: &Release,
    checkpoint: &Checkpoint,
) -> Result<BTreeMap<String, String>, WebError> {
    let (lineage, section) = content::lineage(&release.lineage)?;
    let run = app.store.run(checkpoint.run).await?;
    let mut files = BTreeMap::new();
    for part in &section.bundle {
        match (part, &run) {
            (BundlePart::Specification, Some(run)) => files.extend(specification(run)),
            (BundlePart::Logs, Some(run)) => files.extend(logs(app, run).await?),
            (BundlePart::Data, run) => {
                let data = data(app, &lineage, run.as_ref()).await?;
                files.insert("training/data.json".to_owned(), data);
            }
            (BundlePart::Evaluation, _) => files.extend(evaluation(app, checkpoint).await?),
            (BundlePart::Code, _) => drop(files.insert("code.json".to_owned(), code())),
            (BundlePart::Specification | BundlePart::Logs, None) => {}
        }
    }
    Ok(files)
}

fn pretty(value: &Value) -> String {
    serde_json::to_string_pretty(value).map(|text| text + "\n").unwrap_or_default()
}

/// The resolved specification, as JSON; a path of the lab is only its last part.
fn specification(run: &Run) -> Option<(String, String)> {
    let mut spec = run.spec.clone()?;
    without_places(&mut spec);
    Some(("training/specification.json".to_owned(), pretty(&spec)))
}

/// Leaves of every path of the lab only its last part.
pub(crate) fn without_places(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            for (key, value) in fields {
                match value {
                    Value::String(text) if PLACES.contains(&key.as_str()) => {
                        *text = text.rsplit('/').next().unwrap_or_default().to_owned();
                    }
                    other => without_places(other),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(without_places),
        _ => {}
    }
}

/// One line for each step, and one for each event.
async fn logs(app: &App, run: &Run) -> Result<Vec<(String, String)>, WebError> {
    let lines = |rows: Vec<Value>| rows.iter().map(|row| format!("{row}\n")).collect::<String>();
    let metrics = app.store.metrics(run.id).await?;
    let metrics = metrics.iter().map(|row| json!(row)).collect();
    let event = |event: KeptEvent| json!({ "step": event.step, "kind": event.kind, "at": event.at });
    // Notes are for the lab: they name hosts and people.
    let events = app.store.events(run.id).await?.into_iter().map(event).collect();
    Ok(vec![
        ("training/log.jsonl".to_owned(), lines(metrics)),
        ("training/events.jsonl".to_owned(), lines(events)),
    ])
}

/// What the subsets are: of those that may be handed on everything that a replay needs, of the others names and counts.
async fn data(app: &App, lineage: &LineageFile, run: Option<&Run>) -> Result<String, WebError> {
    let spec = run.and_then(|run| run.spec.clone()).unwrap_or_default();
    let mut subsets = Vec::new();
    for (input, registered) in texts(app, lineage).await? {
        let name = input.id.clone().unwrap_or_default();
        let mix = spec["data"]["mix"]
            .as_array()
            .and_then(|mixes| mixes.iter().find(|mix| mix["name"].as_str() == Some(&name)).cloned());
        let level = registered.as_ref().and_then(|subset| subset.level);
        let mut entry = json!({
            "id": name,
            "kind": input.kind,
            "stage": input.stage,
            "level": level,
            "license": registered.as_ref().and_then(|s| s.license.clone()).or_else(|| input.license.clone()),
            "tokens": input.tokens,
            "repeat": mix.as_ref().map(|mix| mix["repeat"].clone()),
            "weight": mix.as_ref().map(|mix| mix["weight"].clone()),
        });
        if level == Some(Level::L1) {
            entry["sha256"] = mix.as_ref().map(|mix| mix["sha256"].clone()).unwrap_or_default();
            entry["documents"] = mix.as_ref().map(|mix| mix["documents"].clone()).unwrap_or_default();
        }
        subsets.push(entry);
    }
    let data = &spec["data"];
    let order = json!({
        "seed": spec["seed"], "order": data["order"], "sequence_length": data["sequence_length"],
        "packing": data["packing"], "total_samples": data["total_samples"],
        "note": "With the text of the L1 subsets, `sekisho replay` gives the documents of every step.",
    });
    Ok(pretty(&json!({ "subsets": subsets, "order": order })))
}

/// Scores, their curve over the run, and the records. Text of a benchmark goes along only where its licence allows that.
async fn evaluation(app: &App, checkpoint: &Checkpoint) -> Result<Vec<(String, String)>, WebError> {
    let mut files = Vec::new();
    let mut results = Vec::new();
    for evaluation in app.store.evaluations_of(checkpoint.id).await? {
        for row in found::of(app, &evaluation).await?.primary() {
            let definition = app.catalog.find(&row.entry.profile, &row.entry.task).ok();
            let open = definition.is_some_and(|definition| definition.redistributable);
            let records = evaluations::records(app, row.work).await?;
            let shown = |record| format!("{}\n", evaluations::shown(record, open));
            let lines: String = records.iter().map(shown).collect();
            // The same task may have been run in several ways: on dev while it was trained, on test for the release.
            let (entry, settings) = (&row.entry, row.entry.fingerprint.hex());
            let folder = format!("evaluation/records/{}", entry.profile);
            let name = format!("{folder}/{}-{}-{}.jsonl", entry.task, entry.split, &settings[..8]);
            files.push((name, lines));
            let mut entry = json!(row.entry);
            entry["text_included"] = open.into();
            entry["environment"] = json!(evaluation.environment);
            results.push(entry);
        }
    }
    files.push(("evaluation/results.json".to_owned(), pretty(&Value::from(results))));
    files.push(("evaluation/curves.csv".to_owned(), curves(app, checkpoint).await?));
    Ok(files)
}

async fn curves(app: &App, checkpoint: &Checkpoint) -> Result<String, WebError> {
    let mut lines = vec!["tokens,step,profile,task,metric,score,low,high,n,fingerprint".to_owned()];
    let mut all = app.store.checkpoints_of_run(checkpoint.run).await?;
    all.retain(|other| other.step <= checkpoint.step);
    all.sort_by_key(|other| other.step);
    for other in all {
        for evaluation in app.store.evaluations_of(other.id).await? {
            for row in found::of(app, &evaluation).await?.primary() {
                let entry = &row.entry;
                lines.push(format!(
                    "{},{},{},{},\"{}\",{},{},{},{},{}",
                    other.tokens.0,
                    other.step.0,
                    entry.profile,
                    entry.task,
                    entry.metric.replace('"', "\"\""),
                    entry.value,
                    entry.low,
                    entry.high,
                    entry.n,
                    entry.fingerprint
                ));
            }
        }
    }
    Ok(lines.join("\n") + "\n")
}

fn code() -> String {
    let version = env!("CARGO_PKG_VERSION");
    pretty(&json!({
        "name": "Sekisho", "version": version, "license": "Apache-2.0",
        "what": "The code that trained, verified and evaluated this model, where the run was the bundled trainer's.",
    }))
}

/// The texts of a lineage with what the registry has of each.
async fn texts<'l>(
    app: &App,
    lineage: &'l LineageFile,
) -> Result<Vec<(&'l sekisho_domain::lineage::Input, Option<Subset>)>, WebError> {
    let mut texts = Vec::new();
    for input in &lineage.inputs {
        if matches!(input.kind, InputKind::Corpus | InputKind::Synthetic | InputKind::Preference) {
            let there = match &input.id {
                Some(id) => app.store.subset(id).await?.map(|found| found.subset),
                None => None,
            };
            texts.push((input, there));
        }
    }
    Ok(texts)
}

/// What the card says of each part: open, partly, or closed with the reason. Computed from what is there and what may leave.
pub(super) async fn components(
    app: &App,
    release: &Release,
    checkpoint: &Checkpoint,
    lineage: &LineageFile,
    section: &ReleaseSection,
) -> Result<Vec<CardComponent>, WebError> {
    let run = app.store.run(checkpoint.run).await?;
    let has_spec = run.as_ref().is_some_and(|run| run.spec.is_some());
    let goes = |part: BundlePart| section.bundle.contains(&part);
    let weights = if section.visibility == Visibility::Private { State::Closed } else { State::Open };
    let mut all = vec![component(Kind::Weights, weights, None, None)];
    let specification = part(
        goes(BundlePart::Specification),
        has_spec,
        "no specification of the run is known",
        "実験の設定が登録されていないため",
    );
    all.push(component(
        Kind::RunSpecification,
        specification.0,
        specification.1,
        Some("training/specification.json"),
    ));
    let logs = part(
        goes(BundlePart::Logs),
        run.is_some(),
        "no log of the run is known",
        "学習ログが登録されていないため",
    );
    all.push(component(Kind::TrainingLogs, logs.0, logs.1, Some("training/log.jsonl")));
    all.extend(of_data(app, lineage, goes(BundlePart::Data) && has_spec).await?);
    let evaluated = !app.store.evaluations_of(checkpoint.id).await?.is_empty();
    let mut records = part(
        goes(BundlePart::Evaluation),
        evaluated,
        "it was not evaluated here",
        "このサービスで評価していないため",
    );
    if records.0 == State::Open && closed_benchmarks(app, checkpoint).await? {
        records = (
            State::Partly,
            said(
                "the text of some benchmarks may not be redistributed; their records hold digests",
                "一部の評価データは再頒布できないため、記録にはダイジェストのみを含みます",
            ),
        );
    }
    all.push(component(Kind::EvaluationRecords, records.0, records.1, Some("evaluation/records")));
    if goes(BundlePart::Code) {
        all.push(component(Kind::Code, State::Open, None, Some("code.json")));
    }
    let _ = release;
    Ok(all)
}

fn said(en: &str, ja: &str) -> Option<Text> {
    Some(Text { en: en.to_owned(), ja: ja.to_owned() })
}

/// A part that goes along if it was asked for and is there.
fn part(asked: bool, there: bool, en: &str, ja: &str) -> (State, Option<Text>) {
    match (asked, there) {
        (true, true) => (State::Open, None),
        (_, false) => (State::Closed, said(en, ja)),
        (false, true) => {
            (State::Closed, said("not part of this release", "このリリースには含めていないため"))
        }
    }
}

fn component(kind: Kind, state: State, reason: Option<Text>, path: Option<&str>) -> CardComponent {
    let path = path.filter(|_| state != State::Closed).map(ToOwned::to_owned);
    CardComponent { kind, state, reason, path }
}

/// The text itself is never part of a release; what may be handed on is named, and its order can be replayed.
async fn of_data(app: &App, lineage: &LineageFile, has_order: bool) -> Result<Vec<CardComponent>, WebError> {
    let texts = texts(app, lineage).await?;
    if texts.is_empty() {
        return Ok(Vec::new());
    }
    let is_l1 = |(_, subset): &(_, Option<Subset>)| {
        subset.as_ref().is_some_and(|subset| subset.level == Some(Level::L1))
    };
    let free = texts.iter().filter(|text| is_l1(text)).count();
    let (state, reason) = match free {
        0 => (
            State::Closed,
            said(
                "release levels L2 and L3 forbid it",
                "リリースレベルL2・L3のサブセットは再頒布できないため",
            ),
        ),
        all if all == texts.len() => (
            State::Partly,
            said(
                "every subset is L1 and named here; its text is handed on by its source",
                "すべてのサブセットがL1です。本文は各配布元から入手できます",
            ),
        ),
        _ => (
            State::Partly,
            said(
                "the L1 subsets are named here; L2 and L3 may not be redistributed",
                "L1のサブセットのみ。L2・L3は再頒布できないため",
            ),
        ),
    };
    let mut all = vec![component(Kind::TrainingData, state, reason, Some("training/data.json"))];
    if has_order {
        let (state, reason) = if free == texts.len() {
            (State::Open, None)
        } else if free > 0 {
            (State::Partly, said("for the L1 subsets", "L1のサブセットが対象です"))
        } else {
            (
                State::Closed,
                said("release levels L2 and L3 forbid it", "リリースレベルL2・L3のサブセットのため"),
            )
        };
        all.push(component(Kind::DataOrder, state, reason, Some("training/data.json")));
    }
    Ok(all)
}

async fn closed_benchmarks(app: &App, checkpoint: &Checkpoint) -> Result<bool, WebError> {
    for evaluation in app.store.evaluations_of(checkpoint.id).await? {
        for row in found::of(app, &evaluation).await?.primary() {
            let definition = app.catalog.find(&row.entry.profile, &row.entry.task).ok();
            if !definition.is_some_and(|definition| definition.redistributable) {
                return Ok(true);
            }
        }
    }
    Ok(false)
}
