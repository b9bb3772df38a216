use sekisho_domain::Sha256;
use serde_json::Value;

use super::fields::{json as parse, number, object, text, wrong};
use super::{File, ImportError, Imported, Origin, ReportedScore, Settings, base, llm_jp_eval, lm_eval};

/// Metrics that the JP harness and Swallow's aggregation write beside the scores.
const NOT_SCORES: [&str; 2] = ["_stderr", "alias"];

/// Results of swallow-evaluation: any of the files below its `results/<model>/`, told apart by content. Its llm-jp-eval is
/// 1.3 on the test split, its lm-eval is 0.4, its JP harness (`score_*.json`) has no items, and neither has
/// `aggregated_result.json`, which is taken only where nothing else is there: it repeats the others. −1 there means that a
/// task was not run.
///
/// # Errors
/// What [`llm_jp_eval`] and [`lm_eval`] refuse; [`ImportError::Format`] when no file holds a result.
pub fn swallow(files: &[File<'_>]) -> Result<Imported, ImportError> {
    let mut imported = Imported::default();
    let mut aggregates = Vec::new();
    let settings = Settings { profile: Some("llm-jp-eval@1.3"), split: Some("test") };
    for file in files.iter().filter(|file| file.name.ends_with(".json")) {
        let Ok(json) = parse(*file) else {
            imported.notes.push(format!("{}: not JSON, left out", file.name));
            continue;
        };
        if json["outputs"].is_object() && json["scores"].is_object() {
            imported.extend(llm_jp_eval(*file, settings)?);
        } else if json["results"].is_object() && json["configs"].is_object() {
            match newer(file, files) {
                Some(newer) => imported.notes.push(format!("{}: {newer} is newer, left out", file.name)),
                None => imported.extend(lm_eval(*file, &beside(file, files))?),
            }
        } else if json["results"].is_object() && json["versions"].is_object() {
            imported.reported.extend(jp_harness(file, &json));
        } else if json["result"].is_object() && json["tasks"].is_array() {
            aggregates.push((file, json));
        } else {
            imported.notes.push(format!("{}: no result that is known, left out", file.name));
        }
    }
    if imported.lines.is_empty() && imported.reported.is_empty() {
        imported.reported = aggregates.iter().flat_map(|(file, json)| aggregated(file, json)).collect();
    }
    if imported.lines.is_empty() && imported.reported.is_empty() {
        let name = files.first().map_or("the folder", |file| file.name);
        return Err(wrong(name, "no result of swallow-evaluation in it"));
    }
    Ok(imported)
}

/// Later results of lm-eval in the same folder: their names end with the date.
fn newer<'a>(results: &File<'_>, files: &[File<'a>]) -> Option<&'a str> {
    let folder = |name: &str| name.strip_suffix(base(name)).map(ToOwned::to_owned);
    let is_results = |name: &&str| base(name).starts_with("results_") && name.ends_with(".json");
    let names = files.iter().map(|file| file.name).filter(is_results);
    names.filter(|name| folder(name) == folder(results.name)).max().filter(|newest| *newest > results.name)
}

/// The samples in the same folder.
fn beside<'a>(results: &File<'a>, files: &[File<'a>]) -> Vec<File<'a>> {
    let folder = |name: &'a str| name.strip_suffix(base(name)).unwrap_or_default();
    let samples = files.iter().filter(|file| file.name.ends_with(".jsonl"));
    samples.filter(|file| folder(file.name) == folder(results.name)).copied().collect()
}

/// The JP harness (0.3): `{"results": {task: {metric: value, metric_stderr: …}}, "versions": …, "config": …}`.
fn jp_harness(file: &File<'_>, json: &Value) -> Vec<ReportedScore> {
    let config = &json["config"];
    let origin = Origin {
        harness: "jp-harness".to_owned(),
        backend: text(&config["model"]),
        model: text(&config["model_args"]),
        ..origin(file)
    };
    let shots = config["num_fewshot"].as_u64().or_else(|| config["num_fewshot"][0].as_u64());
    let rows = |(task, scores): (&String, &Value)| -> Vec<ReportedScore> {
        let is_score = |metric: &str| !NOT_SCORES.iter().any(|end| metric.ends_with(end));
        object(scores)
            .filter(|(metric, _)| is_score(metric))
            .filter_map(|(metric, value)| {
                Some(ReportedScore {
                    profile: "jp-harness@1".to_owned(),
                    task: task.clone(),
                    metric: metric.clone(),
                    value: number(value)?,
                    stderr: number(&scores[format!("{metric}_stderr")]),
                    n: None,
                    shots,
                    origin: origin.clone(),
                })
            })
            .collect()
    };
    object(&json["results"]).flat_map(rows).collect()
}

/// `aggregated_result.json`: one number per column, all between 0 and 1.
fn aggregated(file: &File<'_>, json: &Value) -> Vec<ReportedScore> {
    let origin = Origin { model: text(&json["model"]), ..origin(file) };
    let row = |(column, value): (&String, &Value)| {
        Some(ReportedScore {
            profile: "swallow@1".to_owned(),
            task: column.clone(),
            metric: "score".to_owned(),
            value: number(value).filter(|value| *value >= 0.0)?,
            stderr: None,
            n: None,
            shots: None,
            origin: origin.clone(),
        })
    };
    object(&json["result"]).filter_map(row).collect()
}

fn origin(file: &File<'_>) -> Origin {
    Origin {
        harness: "swallow-evaluation".to_owned(),
        version: None,
        backend: None,
        model: None,
        file: base(file.name).to_owned(),
        sha256: Sha256::of(file.bytes),
        run: None,
        step: None,
    }
}
